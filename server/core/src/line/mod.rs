//! Public numbers and text messages: pure. What a phone is told, what a reply means, and which call it is about.

pub mod code;
pub mod command;
pub mod duty;
pub mod network;
pub mod parts;
pub mod reply;
pub mod written;
