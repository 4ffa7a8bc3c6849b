//! Commands of whoever looks after the server: whether all is well with it, its manual, and what a signal makes it read anew.

pub(super) mod doctor;
pub(super) mod manual;
pub(super) mod reload;
