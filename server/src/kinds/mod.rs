//! Kinds of gateways and of notices: settings, checks, requests, and what counts as taken. Nothing is sent here.

pub mod answer;
pub mod gateways;
pub mod guard;
pub mod notices;
pub mod outcome;
pub mod signature;
pub mod words;
