//! Notices to phones, by services that push. They want a title, and some want to know how loud a phone is to be.

pub(super) mod bark;
pub(super) mod gotify;
pub(super) mod ntfy;
pub(super) mod pushdeer;
pub(super) mod serverchan;

/// Titles are cut off at this length, where a service does not want them shorter.
const LONGEST_TITLE: usize = 100;
