//! The handset that calls over SIP: any trunk, exchange, or gateway with SIM cards.
//!
//! Pure: [`address`], [`outcome`], [`rtp`], [`sdp`]. What touches the world: [`stack`] (the only file that knows the SIP library), [`call`] (one
//! call from INVITE to its end), [`speech`] (texts become sound), [`agent`] (polls, journals, dials, reports), [`check`] (says what is wrong).

pub mod address;
pub mod agent;
pub mod call;
pub mod channel;
pub mod check;
pub mod config;
pub mod journal;
pub mod outcome;
pub mod peer;
pub mod rtp;
pub mod sdp;
pub mod server;
pub mod sound;
pub mod speech;
pub mod stack;
pub mod trunk;
