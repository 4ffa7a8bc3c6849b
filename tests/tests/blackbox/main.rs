//! The real program from outside: what HTTP, exit codes, the log and the command line show, on both databases, also while parts of the world are missing.
//!
//! A scenario is an `async fn` that takes an [`world::Engine`]; [`world::on_both`] makes one test for each database of it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets the unexpected has failed")]

mod api_tools;
mod audited;
mod backups;
mod below_a_path;
mod client;
mod coming_over;
mod configuration;
mod connections;
mod crash;
mod database;
mod disk;
mod doctor;
mod documented;
mod doors;
mod first_steps;
mod handset_wire;
mod imports;
mod log_lines;
mod mail;
mod modem;
mod monitor;
mod nimbox_script;
mod nodes;
mod outage;
mod package;
mod phone_calls;
mod programs;
mod raw;
mod redis_away;
mod reload;
mod roster;
mod senders;
mod shout_logs;
mod shouts_by_curl;
mod shutdown;
mod sound;
mod termux_phone;
mod text_messages;
mod trust;
mod voice;
mod world;
