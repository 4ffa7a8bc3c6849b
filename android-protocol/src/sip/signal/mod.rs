//! Signalling: addresses, descriptions of sound, what final answers mean, the library, and the registration that is kept.
//!
//! Pure: [`address`], [`outcome`], [`sdp`]. [`stack`] is the only file that knows the SIP library.

pub mod address;
pub mod outcome;
pub mod sdp;
pub mod stack;
pub mod surroundings;
pub mod trunk;
