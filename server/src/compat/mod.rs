//! Published interfaces of other programs: thin faces over the same alarms.

pub mod barista;
pub mod blast;
pub mod cti;
pub mod nimbox;
pub mod opsgenie;
pub mod pagerduty;
