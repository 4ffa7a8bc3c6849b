//! A handset that is the phone on which it runs, by the commands of Termux:API.
//!
//! Pure: [`output`] (what a command printed), [`call_log`], [`inbox`], [`telemetry`], [`telephony`] (what stands in it), [`follow`] (what that says
//! about our call). What touches the phone: [`command`] (one command, with a time limit), [`line`](mod@line) (the phone as a line), [`check`] (says what
//! is missing), [`boot`] (starts it with the phone).
//!
//! The forms of all outputs are from the sources of termux-api (2025-09) and of Android; no phone was at hand: see `docs/termux.md`.

pub mod boot;
pub mod call_log;
pub mod check;
pub mod command;
pub mod follow;
pub mod inbox;
pub mod line;
pub mod output;
pub mod telemetry;
pub mod telephony;
