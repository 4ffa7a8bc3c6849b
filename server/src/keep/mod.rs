//! What operators keep: people, users, the roster, webhooks.

pub mod keys;
pub mod pairing;
pub mod people;
pub mod people_import;
pub mod refused;
pub mod roster;
pub mod users;
pub mod webhooks;
