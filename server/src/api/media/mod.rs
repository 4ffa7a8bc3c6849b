//! Sound over HTTP: recordings of calls, the addresses at which people hear them, and clips.

pub mod clips;
pub mod listen;
pub mod recordings;
