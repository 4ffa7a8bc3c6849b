//! The contract suite: what handsets and senders may rely on, written once and run on both engines.
//!
//! The server runs in this process with a clock that stands still until a test moves it; everything else is real: HTTP over a
//! socket, SQLite on a disk, Postgres and Redis as `tests/run` starts them.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected stops")]

mod alarms;
mod api_shape;
mod audit;
mod barista;
mod bodies;
mod calendar_files;
mod calendars;
mod call_records;
mod calling_back;
mod channels;
mod clips;
mod coming_over;
mod confirming;
mod duty_paging;
mod escalation;
mod figures;
mod finding;
mod gateway;
mod giving_back;
mod handsets;
mod harness;
mod heartbeats;
mod hosts;
mod hunts;
mod intake;
mod joining;
mod keeping;
mod kinds;
mod last_serve;
mod late_reports;
mod lines;
mod live;
mod mail;
mod mail_notices;
mod maintenance;
mod metrics;
mod native;
mod notices;
mod one_phone;
mod open_dials;
mod openapi;
mod outages;
mod overwriting;
mod pairing;
mod personal;
mod phone_calls;
mod plans;
mod pressing;
mod reached;
mod recordings;
mod replies;
mod reports_anywhere;
mod rising;
mod roster;
mod rpc;
mod senders;
mod shout_calls;
mod shout_records;
mod shouts;
mod signals;
mod sources;
mod speaking;
mod store;
mod storm;
mod story;
mod swaps;
mod text_gateways;
mod text_times;
mod told;
mod trust;
mod ways;
