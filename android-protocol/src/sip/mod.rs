//! The handset that calls over SIP: any trunk, exchange, or gateway with SIM cards.
//!
//! [`signal`]: SIP itself. [`sound`]: what is heard and said. [`call`]: one call from INVITE to its end. [`agent`] polls, [`channel`] journals,
//! dials and reports, [`inbound`] takes calls that come in, [`live`] carries out what is wanted of running ones, [`check`] says what is wrong.
//! [`peer`]: a simulated trunk.

pub mod agent;
pub mod call;
pub mod channel;
pub mod check;
pub mod config;
pub mod inbound;
pub mod live;
pub mod peer;
pub mod recordings;
pub mod server;
pub mod signal;
pub mod sound;
