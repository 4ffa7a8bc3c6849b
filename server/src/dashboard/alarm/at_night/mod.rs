//! What somebody wants who was just woken, or wakes somebody: links and numbers to touch, who was faster, calling somebody. Their words are in
//! `frame/words/pages/now/at_night.toml`.

pub(in crate::dashboard) mod addresses;
pub(in crate::dashboard) mod faster;
pub(in crate::dashboard) mod page_somebody;
