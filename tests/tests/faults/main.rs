//! The real program while parts of the world break: nodes die and freeze, databases and networks go away, clocks jump.
//!
//! Every scenario has the same shape. An [`installation::Installation`] is put under load: alarms from [`senders`], dialled by
//! [`phones`] that behave as real handsets do, by simulated builds of the real app, and by the real program of our [`own`] handsets. While that goes on, the scenario breaks
//! something. Afterwards [`verdict`] compares what senders and phones were told (the [`ledger`]) with what the server says and what
//! is in its database.
//!
//! To add a scenario: open a [`drill::Drill`], break things, and end with [`drill::Drill::finish`].
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets the unexpected has failed")]

mod apps;
mod backups;
mod calls;
mod clock_step;
mod crashes;
mod drill;
mod failover;
#[path = "../../../android-protocol/tests/support/fake_phone.rs"]
#[expect(dead_code, reason = "what else a phone can do is tested beside the handset")]
mod fake_phone;
mod installation;
mod ledger;
mod nodes;
mod outage;
mod own;
mod phones;
mod redis_away;
mod senders;
mod shouts;
mod verdict;
mod wire;
