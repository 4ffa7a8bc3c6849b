//! Rows of what is watched: handsets, their commands and outages, heartbeats, maintenance windows.

pub mod commands;
pub mod handsets;
pub mod heartbeats;
pub mod maintenance;
pub mod outages;
