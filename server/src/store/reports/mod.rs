//! Figures of what happened: what each alarm, hunt and call was counted for, the sums per day and month, and alarms that are false.

pub mod counting;
pub mod false_alarms;
pub mod sums;
pub mod touched;

pub use touched::Touched;
