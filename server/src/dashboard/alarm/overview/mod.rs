//! What the overview *Now* is made of besides its alarms: its views, and the first steps on a new server.

pub mod first_steps;
pub mod views;
