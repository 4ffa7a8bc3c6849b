//! Rows of who is rung: people, policies, the roster, quiet hours, numbers that must not be called.

pub mod contacts;
pub mod do_not_call;
pub mod exceptions;
pub mod feeds;
pub mod log;
pub mod people;
pub mod policies;
pub mod quiet;
pub mod roster;
pub mod sources;
pub mod swaps;
pub mod told;
