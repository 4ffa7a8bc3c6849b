//! What operators keep: people, users, the roster, webhooks.

pub mod checks;
pub mod do_not_call;
pub mod keys;
pub mod pairing;
pub mod people;
pub mod people_import;
pub mod policies;
pub mod quiet_hours;
pub mod refused;
pub mod roster;
pub mod users;
pub mod webhooks;
pub mod whom;
