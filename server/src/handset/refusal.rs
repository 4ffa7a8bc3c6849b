//! Why a handset does not get what it asks for; how it is told stands in [`crate::http::phone`].

use axum::http::StatusCode;

use crate::engine::EngineError;
use crate::store::StoreError;

/// Why a handset does not get what it asks for.
pub enum PollError {
    /// It may not.
    Refused(StatusCode, &'static str),
    /// The server cannot.
    Engine(EngineError),
}

impl From<EngineError> for PollError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for PollError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}
