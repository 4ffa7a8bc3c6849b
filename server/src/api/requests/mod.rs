//! What requests of the API have in common: patches, repeats, names of before.

pub mod merge;
pub mod old_names;
pub mod repeats;
