//! The life of a hunt: raised, joined, claimed by handsets, reported, closed; and what people do about it.

pub mod act;
pub(in crate::engine) mod call_records;
pub mod claim;
pub mod closing;
pub mod follow;
pub mod hearing;
pub mod join;
pub mod ladder;
pub mod parting;
pub mod presses;
pub mod progress;
pub mod raise;
pub mod report;
pub mod returns;
pub mod serves;
