//! Requests that the server makes by itself: where they may go, and what they look like on the wire.

pub mod answer;
pub mod gateways;
pub mod guard;
pub mod outcome;
pub mod signature;
pub mod tls;
