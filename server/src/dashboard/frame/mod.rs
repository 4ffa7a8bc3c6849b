//! What all pages share: the frame, sessions, forms, words, live updates.

pub mod answer;
pub mod assets;
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
pub mod set_up;
pub mod throttle;
pub mod typed_time;
pub mod vouched;
pub mod words;
