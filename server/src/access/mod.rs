//! Who is asking, and what they may do: doors, keys of senders, tokens of handsets, and what happens to those who guess.

pub mod directory;
pub mod doors;
pub mod guard;
pub mod knocks;
pub mod path_token;
pub mod rates;
pub mod refusals;
pub mod senders;
