//! Rows of what is watched: handsets, their channels, commands and outages, heartbeats, maintenance windows.

pub mod channels;
pub mod commands;
pub mod handsets;
pub mod heartbeats;
pub mod maintenance;
pub mod outages;
