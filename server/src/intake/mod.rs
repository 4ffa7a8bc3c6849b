//! Alarms in: our own API, and monitoring systems in their own words.

pub mod alarm_request;
pub mod alertmanager;
pub mod skim;
pub mod sms_inbound;
mod sms_signature;
pub mod wash;

/// The door of requests that come without a key of their own.
pub const OPEN_DOOR: &str = "open";
