//! Rows of what is watched: handsets, their channels, commands and outages, heartbeats, maintenance windows, first
//! steps; what came of the tests of another installation.

pub mod channels;
pub mod commands;
pub mod first_steps;
pub mod handsets;
pub mod heartbeats;
pub mod maintenance;
pub mod monitored;
pub mod outages;
