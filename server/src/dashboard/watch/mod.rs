//! The page *Watch* and its forms: who has to say that they live, which handsets are silent, and what is held for maintenance.

pub mod heartbeat;
pub mod heartbeat_form;
pub mod overview;
pub mod window;
pub mod window_form;
