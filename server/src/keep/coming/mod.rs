//! People, roster, policies and rules as one file: what is kept by now, and carrying out what a file changes.

pub mod apply;
pub mod kept;
