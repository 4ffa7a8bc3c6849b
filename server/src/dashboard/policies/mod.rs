//! The pages about policies, the rules that choose them, and numbers that must not be called.

pub mod do_not_call;
pub mod form;
pub mod list;
pub mod page;
pub mod rules;
