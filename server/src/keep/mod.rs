//! What operators keep: people, users, the roster, webhooks, public numbers, heartbeats and more, one file for each noun.

pub mod checks;
pub mod coming;
pub mod do_not_call;
pub mod doctor;
pub mod first_steps;
pub mod heartbeats;
pub mod keys;
pub mod lines;
pub mod media;
pub mod pairing;
pub mod people;
pub mod people_import;
pub mod personal;
pub mod phone_calls;
pub mod policies;
pub mod quiet_hours;
pub mod refused;
pub mod roster;
pub mod users;
pub mod webhooks;
pub mod whom;
pub mod windows;
