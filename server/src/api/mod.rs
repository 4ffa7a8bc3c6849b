//! The API for operators and programs: everything that they read and change, one file for each noun. What is done stands elsewhere.

pub mod actions;
pub mod alarm;
pub mod alarms;
pub mod call_commands;
pub mod call_records;
pub mod do_not_call;
pub mod heartbeats;
pub mod lines;
pub mod maintenance;
pub mod media;
pub mod page;
pub mod people;
pub mod personal;
pub mod policies;
pub mod problems;
pub mod quiet_hours;
pub mod reports;
pub mod requests;
pub mod roster;
pub mod shouts;
