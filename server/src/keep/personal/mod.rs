//! What is kept of one person: all of it taken out, and all of it forgotten.

pub mod erasing;
pub mod export;
