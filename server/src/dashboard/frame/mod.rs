//! What all pages share: the frame, sessions, forms, words, live updates.

pub mod answer;
pub mod asked;
pub mod assets;
pub mod card;
pub mod csrf;
pub mod device;
pub mod edit;
pub mod field;
pub mod form;
pub mod live;
pub mod page;
pub mod place;
pub mod reader;
pub mod session;
pub mod throttle;
pub mod trial;
pub mod typed_time;
pub mod words;
