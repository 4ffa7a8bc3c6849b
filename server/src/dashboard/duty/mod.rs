//! The pages about duty: who is on duty, and the schedules.

pub mod calendar;
pub mod overview;
pub mod preview;
pub mod schedule;
pub mod swaps;
pub mod words;
