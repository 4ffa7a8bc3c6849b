//! What is ours about shouts, beside blast-api's addresses.

pub mod records;
