//! Why a request of a blast-api client is refused, in its words: a bare JSON string, or an object with `detail`.

use axum::http::StatusCode;

use crate::engine::EngineError;
use crate::engine::shouts::taking::ShoutRefused;
use crate::keep::media::NotTaken;
use crate::store::StoreError;

/// Why a request is refused. Nothing was stored then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlastRefused {
    /// There is no userdata.
    #[error("You have to specify userdata")]
    NoUserdata,
    /// There are no recipients.
    #[error("You have to specify at least one recipient")]
    NoRecipients,
    /// Nobody is named whose phone could be called for the message.
    #[error("You have to specify caller, or message with its language, or old-shout-id")]
    NoCaller,
    /// A list of shouts is asked for, and nobody says whose.
    #[error("User data is required")]
    UserDataRequired,
    /// A list of calls is asked for, and nobody says of which shout.
    #[error("shout-id is a required parameter")]
    ShoutIdRequired,
    /// A time cannot be read.
    #[error("{0} is no time: write it by RFC 3339 with a zone, such as 2026-01-31T09:30:00Z")]
    Schedule(String),
    /// A time is too far ahead.
    #[error("{0} is more than 366 days ahead")]
    TooFar(String),
    /// The shout whose message is wanted again is not there. The document has JSON in a string here.
    #[error("{{\"status\": 404, \"error\": \"The shout with ID {0} does not exist\"}}")]
    NoOldShout(i64),
    /// A value is not what it has to be.
    #[error("{0}")]
    Value(String),
    /// There is no such shout.
    #[error("Not found.")]
    NotFound,
    /// The key may not.
    #[error("This key may not send shouts: make one with `autocall key add --shouts`.")]
    NoRight,
    /// The body is no JSON.
    #[error("JSON parse error - {0}")]
    Json(String),
    /// The body is no multipart form.
    #[error("Multipart form parse error")]
    Multipart,
    /// It is something else than can be read.
    #[error("Unsupported media type \"{0}\" in request.")]
    MediaType(String),
    /// Too much at once.
    #[error("{0}")]
    TooMany(String),
    /// Sound takes more room than there is.
    #[error("{0}")]
    NoRoom(String),
    /// A file or a body is too large.
    #[error("{0}")]
    TooLarge(String),
    /// The database cannot store or read it now.
    #[error("The server cannot store or read this now: send it again.")]
    System(String),
}

impl BlastRefused {
    /// The status, and whether the words stand in an object with `detail`.
    pub(super) fn form(&self) -> (StatusCode, bool) {
        match self {
            Self::NoUserdata | Self::NoRecipients | Self::UserDataRequired | Self::ShoutIdRequired | Self::NoOldShout(_) => {
                (StatusCode::NOT_FOUND, false)
            }
            Self::NoCaller | Self::Schedule(_) | Self::TooFar(_) | Self::Value(_) => (StatusCode::BAD_REQUEST, false),
            Self::NotFound => (StatusCode::NOT_FOUND, true),
            Self::NoRight => (StatusCode::FORBIDDEN, true),
            Self::Json(_) | Self::Multipart => (StatusCode::BAD_REQUEST, true),
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, true),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, true),
            Self::NoRoom(_) => (StatusCode::INSUFFICIENT_STORAGE, true),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, true),
            Self::System(_) => (StatusCode::SERVICE_UNAVAILABLE, true),
        }
    }
}

impl From<EngineError> for BlastRefused {
    fn from(error: EngineError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<StoreError> for BlastRefused {
    fn from(error: StoreError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<ShoutRefused> for BlastRefused {
    fn from(refused: ShoutRefused) -> Self {
        match refused {
            ShoutRefused::NoSuchShout(id) => Self::NoOldShout(id),
            ShoutRefused::NoMessage(_) | ShoutRefused::NeverSoMany { .. } | ShoutRefused::NoSuchClip(_) => {
                Self::Value(refused.to_string())
            }
            ShoutRefused::TooMany { .. } => Self::TooMany(refused.to_string()),
            ShoutRefused::NotTaken(why) => why.into(),
            ShoutRefused::Engine(error) => error.into(),
        }
    }
}

impl From<NotTaken> for BlastRefused {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Wrong(why) => Self::Value(format!("recording cannot be taken: {why}")),
            NotTaken::Full => Self::NoRoom(why.to_string()),
            NotTaken::Costly(why) => Self::System(why.to_string()),
            NotTaken::Store(why) => Self::System(why.to_string()),
        }
    }
}
