//! Why a request of a Barista client is refused.

use axum::http::StatusCode;

use crate::engine::EngineError;
use crate::store::StoreError;

/// Why a request is refused. Nothing was stored then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallRefused {
    /// A parameter is not there, or empty.
    #[error("the parameter {0} is missing: send it in the query, or in a body with the content type of a form")]
    Missing(&'static str),
    /// A parameter says what it must not.
    #[error("the parameter {0} has a value that is not allowed: see docs/barista.md")]
    Value(&'static str),
    /// The body is not what its content type says, or too large.
    #[error("the body cannot be read: it is larger than http.body_limit_bytes, broke off, or is no multipart form")]
    Body,
    /// No alarm has this number.
    #[error("there is no event of this id")]
    UnknownEvent,
    /// The database cannot store or read it now.
    #[error("the database failed: {0}")]
    System(String),
}

impl CallRefused {
    /// A value that is merely wrong is answered with 200, as Barista does.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Value(_) => StatusCode::OK,
            Self::Missing(_) | Self::Body => StatusCode::BAD_REQUEST,
            Self::UnknownEvent => StatusCode::NOT_FOUND,
            Self::System(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<EngineError> for CallRefused {
    fn from(error: EngineError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<StoreError> for CallRefused {
    fn from(error: StoreError) -> Self {
        Self::System(error.to_string())
    }
}
