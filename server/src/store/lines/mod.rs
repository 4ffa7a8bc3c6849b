//! Rows of public numbers, text messages, and webhooks with their outbox.

pub mod inbound_calls;
pub mod numbers;
pub mod sms;
pub mod texts;
pub mod webhooks;
