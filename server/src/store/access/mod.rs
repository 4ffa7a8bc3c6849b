//! Rows of those who may come in: keys of senders, users with their roles for teams, their second factors and their sessions, and by
//! what they are known elsewhere.

pub mod identities;
pub mod keys;
pub mod repeats;
pub mod second_factors;
pub mod sessions;
pub mod team_roles;
pub mod users;
