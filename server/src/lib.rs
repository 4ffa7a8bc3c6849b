//! The alerting server.
//!
//! # The life of an alarm
//!
//! 1. A sender posts it ([`intake`]). The [`engine`] stores it with a *hunt*: whom to ring, how often, in which mode.
//! 2. A handset polls ([`handset`]). The engine asks the pure rule ([`alarm::hunt::decide`]) whom this hunt rings next, and hands
//!    out a *dial* under a *mid*: a list of numbers and a deadline, kept in the [`store`] until the handset reports.
//! 3. The handset dials over its SIM and reports who picked up. The engine closes the dial, attributes the *answer* to a person
//!    ([`alarm::attribution`]), and the hunt ends, or goes on with the next callee.
//! 4. Without a report the deadline passes ([`engine`], periodic work), and another handset goes on.
//!
//! # Which way the arrows point
//!
//! `cli` → `service` → `router` → `handset`, `intake`, `api`, `compat`, `dashboard` → `out` → `engine` → `access` → `keep` → `store` →
//! `alarm`; `alarm` knows no I/O and no clock.

pub use autocall_core::{
    alarm, audit, backoff, call_log, coming, connect, cti, effort, ids, line, monitor, needs, numbers, reports, rights, roster,
    sheet, shout, signal, visible,
};

pub mod access;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod compat;
pub mod config;
pub mod costly;
pub mod dashboard;
pub mod engine;
pub mod handset;
pub mod http;
pub mod intake;
pub mod keep;
pub mod kinds;
pub mod links;
pub mod lock;
pub mod net;
pub mod out;
pub mod router;
pub mod secrets;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod versions;
