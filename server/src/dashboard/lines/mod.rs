//! The page *Lines* and its forms: public numbers, gateways, heartbeats, maintenance windows.

pub mod gateway;
pub mod gateway_form;
pub mod heartbeat;
pub mod heartbeat_form;
pub mod number;
pub mod number_form;
pub mod overview;
pub mod preview;
pub mod whom_form;
pub mod window;
pub mod window_form;
