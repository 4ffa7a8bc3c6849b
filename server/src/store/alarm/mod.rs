//! Rows of alarms: hunts, callees, dials, records of calls, answers, the timeline, and what monitoring systems said.

pub mod alarms;
pub mod answers;
pub mod barista;
pub mod board;
pub mod call_records;
pub mod dials;
pub mod events;
pub mod found;
pub mod hunts;
pub mod live;
pub mod replicated;
pub mod said;
pub mod sought;
