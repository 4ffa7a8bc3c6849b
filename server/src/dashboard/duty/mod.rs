//! The pages about duty: who is on duty, and the schedules.

pub mod calendar;
pub mod overview;
pub mod schedule;
pub mod words;
