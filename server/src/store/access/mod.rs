//! Rows of those who may come in: keys of senders, users, their sessions, and by what they are known elsewhere.

pub mod identities;
pub mod keys;
pub mod repeats;
pub mod users;
