//! Public numbers and the gateways to their phones, as operators say them.

pub mod gateways;
pub mod numbers;
