//! What a change of a roster does: what differs afterwards, swaps of shifts, and the shifts of one person.

pub mod difference;
pub mod own;
pub mod swap;
