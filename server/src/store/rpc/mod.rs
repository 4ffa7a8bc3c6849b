//! Rows of calls and conferences that programs command: what they stand at, what was heard of them, what was asked and told, and their sound.

pub mod events;
pub mod files;
pub mod requests;
pub mod resources;
