//! Commands of whoever looks after the server: whether all is well with it, backups, who changed what, what is forgotten, its manual, and what a
//! signal makes it read anew.

pub(super) mod audit;
pub(super) mod backup;
pub(super) mod doctor;
pub(super) mod manual;
pub(super) mod monitor;
pub(super) mod prune;
pub(super) mod reload;
