//! Connections: accepted, limited, timed, encrypted. Knows nothing of what is asked over them.

pub mod arriving;
pub mod authority;
pub mod certificate;
pub mod files;
pub mod given;
pub mod seats;
pub mod secured;
pub mod serve;
pub mod smtp;
pub mod tls;
pub mod unanswered;
pub mod wire;
