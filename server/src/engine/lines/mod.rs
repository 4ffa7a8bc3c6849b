//! Public numbers and the gateways to their phones; the text messages that tell of alarms, and those that come back.

pub mod calling_back;
pub mod forbidden;
pub mod gateways;
pub mod hand_over;
pub mod numbers;
pub mod replies;
pub mod texts;
