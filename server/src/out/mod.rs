//! Words out: on a stock phone the call is silent, so what it is about, who answered and that nobody did goes out as notices and text messages.
//!
//! A notice is put into the outbox in the transaction that makes it true ([`crate::store::alarm::events::notice_of`]), and told from there by
//! [`notices`] until the other side has taken it or a day has passed. On several nodes each notice is taken by one of them at a time.

pub mod ask;
pub mod calendars;
mod mail;
pub mod messages;
pub mod monitor;
pub mod notices;
pub mod shout_logs;
pub mod sign_of_life;
pub mod ways;
