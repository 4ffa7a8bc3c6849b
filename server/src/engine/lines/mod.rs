//! Public numbers and the gateways to their phones; the text messages that come back.

pub mod calling_back;
pub mod gateways;
pub mod hand_over;
pub mod numbers;
pub mod replies;
