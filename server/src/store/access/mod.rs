//! Rows of those who may come in: keys of senders, users with their roles for teams, their second factors and their sessions.

pub mod keys;
pub mod repeats;
pub mod second_factors;
pub mod sessions;
pub mod team_roles;
pub mod users;
