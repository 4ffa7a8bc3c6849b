//! The pages about people and users, and how users get in.

pub mod calls;
mod duty;
pub mod first_login;
pub mod identities;
pub mod list;
pub mod login;
pub mod me;
pub mod oidc;
pub mod person;
pub mod personal;
pub mod told;
pub mod users;
