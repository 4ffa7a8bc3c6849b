//! Sound: files in pieces, the recordings of calls, and the clips that calls play.

pub mod clips;
pub mod pieces;
pub mod recordings;
