//! What an Android handset and the alerting server say to each other.
//!
//! Everything here is free of I/O, and time is a parameter: the same types serve the server, the tests and the simulated handset.
//!
//! To add a message of the native protocol: add its type to [`wire`], with every key optional when read, and a round-trip test beside it.

#[cfg(feature = "simulated")]
pub mod agent;
pub mod app;
#[cfg(feature = "simulated")]
pub mod client;
pub mod dial_string;
#[cfg(feature = "agent")]
pub mod driver;
pub mod forwarding;
pub mod http;
pub mod live;
pub mod mid;
pub mod modem;
pub mod native;
pub mod phone;
pub mod sim;
#[cfg(feature = "sip")]
pub mod sip;
pub mod sms;
#[cfg(feature = "agent")]
pub mod termux;
pub mod voice;
pub mod wire;

pub use dial_string::{DialString, DialStringError};
pub use mid::Mid;
