//! Kinds of gateways, of notices and of calendars elsewhere: settings, checks, requests, and what counts as taken. Nothing is sent here.

pub mod answer;
pub mod calendar;
mod forwarder_cipher;
pub mod gateways;
pub mod guard;
pub mod notices;
pub mod outcome;
pub mod signature;
pub mod words;
