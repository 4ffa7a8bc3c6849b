//! What programs find that were written for other interfaces.

pub mod barista;
pub mod cti;
pub mod mail;
pub mod shouts;
