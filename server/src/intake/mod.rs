//! Alarms in: our own API, and monitoring systems in their own words.

pub mod alarm_request;
pub mod alertmanager;
pub mod skim;
pub mod sms_inbound;
mod sms_signature;
