//! *Notifications*: where notices go, and the forms that say it.

pub mod form;
pub mod list;
pub mod one;
