//! What is kept, how much of it and for how long.

pub mod backup;
pub mod media;
pub mod monitor;
pub mod phonecalls;
pub mod retention;
