//! The handset contracts: what a phone asks and reports over HTTP, and who it is.

mod address;
pub mod at_once;
pub mod face;
pub mod live;
pub mod media;
pub mod native;
mod query;
pub mod refusal;
