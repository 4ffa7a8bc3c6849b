//! Public numbers and text messages: pure. What a phone is told, what a reply means, and which call it is about.

pub mod command;
pub mod network;
pub mod reply;
pub mod written;
