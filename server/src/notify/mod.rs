//! Words out: the call is silent, so what it is about, who answered and that nobody did goes out as notices.
//!
//! A notice is put into the outbox in the transaction that makes it true ([`crate::store::events::notice_of`]), and told from there by [`sender`] until
//! the other side has taken it or a day has passed. On several nodes each notice is taken by one of them at a time.

pub mod ping;
pub mod sender;
pub mod shapes;
pub mod sms;
mod ways;
pub mod webhooks;
pub mod words;
