//! Rows of shouts: what is to be said, whom it goes to, who wants no more of it, and the records that are read by whoever accounts for it.

pub mod calls;
pub mod log;
pub mod opted_out;
pub mod rows;
