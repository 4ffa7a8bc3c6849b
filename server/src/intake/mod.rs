//! Alarms in: our own API, and monitoring systems in their own words.

pub mod alarm_request;
pub mod alertmanager;
pub mod grafana;
mod groups;
pub mod mail;
pub mod places;
mod said;
mod set_aside;
pub mod signals;
pub mod skim;
pub mod sms_inbound;
mod sms_signature;
mod whom;

/// The senders whose messages are groups of alerts.
const FORMS: [groups::Form; 2] = [alertmanager::FORM, grafana::FORM];
