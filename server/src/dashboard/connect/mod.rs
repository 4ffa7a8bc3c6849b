//! *Connect*: what a monitoring system is given, and what arrives of it. Its words are in `frame/words/pages/connect.toml`.

pub(super) mod choose;
pub(super) mod sender;
