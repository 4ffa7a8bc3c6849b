//! Who changed what, and what is kept of a person.

pub mod audit;
pub mod person;
