//! Rows of those who may come in: keys of senders, users and their sessions.

pub mod keys;
pub mod repeats;
pub mod users;
