//! The commands that keep what operators keep, one file for each noun.

pub mod do_not_call;
pub mod gateway;
pub mod handset;
pub mod heartbeat;
pub mod key;
pub mod key_rights;
pub mod line;
pub mod maintenance;
pub mod media;
pub mod people;
pub mod policy;
pub mod quiet_hours;
pub mod user;
pub mod webhook;
