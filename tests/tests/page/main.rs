//! The pages for people over HTTP: who gets in, who may do what, what is shown to whom, and what is refused; on both engines.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected stops")]

mod actions;
mod alarm_list;
mod audit;
mod calls;
mod client;
mod connect;
mod doors;
mod duty;
mod escalation;
#[path = "../contract/harness.rs"]
#[expect(dead_code, reason = "shared with the contract suite, which uses the rest")]
mod harness;
mod lines;
mod lines_forms;
mod live;
mod night;
mod oidc;
mod people_pages;
mod proxied;
mod recordings;
mod rendered;
mod reports;
mod roster;
mod running;
mod sayings;
mod second_factor;
mod senders;
mod sessions;
mod settings;
mod shouts;
mod sights;
mod spoken;
mod system_backups;
mod system_certificate;
mod team_roles;
mod views;
