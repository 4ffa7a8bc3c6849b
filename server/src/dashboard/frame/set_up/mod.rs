//! What the pages of whatever is set up share: what a kind asks, what a card shows, and a test that is sent.

pub mod asked;
pub mod card;
pub mod trial;
