//! The pages in a real Chromium, against the real program: what people see happen, and that nothing else happens.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected stops")]

mod chromium;
mod pages;
mod roster;
