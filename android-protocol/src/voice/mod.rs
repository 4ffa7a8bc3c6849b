//! What a handset needs that speaks into a call and listens: sound, keys, the guess whether a machine answered, and the script.
//!
//! Everything here is pure: no network, no files, time is a parameter. Sound is 8 kHz, mono, 16 bit, in frames of 20 ms, unless a name says otherwise.
//!
//! To add something a script can do: give it a word in [`script`], let [`conversation`] act on it, and give whoever plays and listens a
//! [`conversation::Command`] to carry out.

pub mod conversation;
pub mod detector;
pub mod g711;
pub mod keys;
pub mod mixer;
pub mod pcm;
pub mod phrases;
pub mod rewritten;
pub mod room;
pub mod script;
pub mod text;
pub mod tone;
pub mod wav;

/// Samples a second.
pub const RATE: u32 = 8000;

/// Samples of one frame.
pub const FRAME: usize = 160;

/// Length of one frame, in milliseconds.
pub const FRAME_MS: u64 = 20;
