//! Kinds of gateways, of notices and of calendars elsewhere: settings, checks, requests, what counts as taken, and what forms ask; and how
//! senders sign. Nothing is sent here.

pub mod answer;
pub mod calendar;
pub mod form;
pub mod gateways;
pub mod guard;
mod hidden;
pub mod notices;
pub mod outcome;
pub mod signature;
pub mod signing;
pub mod words;
pub mod written;
