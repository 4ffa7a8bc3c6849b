//! Alarms in: our own API, and monitoring systems in their own words.

pub mod alarm_json;
pub mod alarm_request;
pub mod alertmanager;
pub mod api;
pub mod api_actions;
pub mod api_page;
pub mod do_not_call;
pub mod heartbeats;
pub mod keys;
pub mod lines;
pub mod maintenance;
pub mod policies;
pub mod quiet_hours;
pub mod skim;
pub mod sms_inbound;
mod sms_signature;
pub mod wash;

/// The door of requests that come without a key of their own.
pub const OPEN_DOOR: &str = "open";
