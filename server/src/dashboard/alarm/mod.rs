//! The pages about alarms: what is going on now, one alarm, all of them, and a callee's own link.

pub mod acting;
pub mod actions;
pub mod at_night;
pub mod calls;
pub mod health;
pub mod ladder;
pub mod list;
pub mod now;
pub mod one;
pub mod overview;
pub mod own_link;
pub mod read;
pub mod recordings;
pub mod running;
pub mod standing;
pub mod timeline;
pub mod trouble;
