//! The pages in a real Chromium, against the real program: what people see happen, and that nothing else happens.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected stops")]

mod accessible;
mod below_a_path;
mod chromium;
mod cut;
mod escalation;
#[path = "../contract/harness.rs"]
#[expect(dead_code, unused_macros, unused_imports, reason = "shared with the contract suite, which uses the rest")]
mod harness;
mod lines;
mod night;
mod pages;
mod roster;
mod screenshots;
mod two_people;
