//! What handlers answer beside pages: the way to another page, why somebody does not get what they asked for, and the headers that every
//! answer carries.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::words::Words;
use crate::engine::EngineError;
use crate::http::problem::Problem;
use crate::keep::pairing::PairingError;
use crate::keep::people::PersonError;
use crate::keep::refused::Refused;
use crate::keep::users::UserError;
use crate::store::StoreError;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; media-src 'self'; \
     connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Sends the browser to another of our pages. The body is for a phone that was given a wrong address: it must not be empty.
pub(in crate::dashboard) fn go_to(address: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, "see the Location header").into_response();
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    response
}

/// A file that the browser saves under this name, and nobody keeps on the way.
pub(in crate::dashboard) fn as_file(kind: &'static str, name: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(saved_as) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        head.insert(header::CONTENT_DISPOSITION, saved_as);
    }
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why somebody does not get what they asked for. It becomes a page in their language on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Refusal {
    /// Nobody is logged in.
    LogIn,
    /// Their role may not.
    Forbidden,
    /// It is another team's.
    OtherTeam,
    /// They have to set up a second factor first.
    SetUpFirst,
    /// The form is not ours, or is too old.
    ForeignForm,
    /// The form is too large.
    TooLarge,
    /// What the form holds makes no sense.
    Garbled,
    /// There is no such page or alarm.
    NotFound,
    /// The alarm is over.
    Over,
    /// The alarm still rings.
    StillRinging,
    /// Nobody is rung for the alarm any more.
    HuntOver,
    /// Nobody has taken the alarm.
    NotTaken,
    /// A person has as many calendar addresses as they may have.
    TooManyFeeds,
    /// Its policy has no further step.
    NoFurtherStep,
    /// A time that cannot be meant.
    BadTime,
    /// A call is over.
    CallOver,
    /// A call's handset cannot do that.
    CallCannot,
    /// Too much was asked in a call.
    CallTooMuch,
    /// Somebody else has saved something since the form was opened.
    Stale,
    /// The database is away.
    Away,
    /// The server failed.
    Failed,
}

impl Refusal {
    pub(in crate::dashboard) fn status(&self) -> StatusCode {
        match self {
            Self::LogIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::OtherTeam | Self::SetUpFirst | Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Garbled | Self::BadTime => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Over
            | Self::StillRinging
            | Self::HuntOver
            | Self::NotTaken
            | Self::TooManyFeeds
            | Self::NoFurtherStep
            | Self::CallOver
            | Self::CallCannot
            | Self::CallTooMuch
            | Self::Stale => StatusCode::CONFLICT,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(in crate::dashboard) fn words(&self, words: &'static Words) -> (&'static str, &'static str) {
        match self {
            Self::LogIn => (&words.refused_login, &words.refused_login_why),
            Self::Forbidden => (&words.refused_role, &words.refused_role_why),
            Self::OtherTeam => (&words.refused_team, &words.refused_team_why),
            Self::SetUpFirst => (&words.refused_factor, &words.refused_factor_why),
            Self::ForeignForm => (&words.refused_form, &words.refused_form_why),
            Self::TooLarge => (&words.refused_large, &words.refused_large_why),
            Self::Garbled => (&words.refused_garbled, &words.refused_garbled_why),
            Self::NotFound => (&words.refused_missing, &words.refused_missing_why),
            Self::Over => (&words.refused_over, &words.refused_over_why),
            Self::StillRinging => (&words.refused_ringing, &words.refused_ringing_why),
            Self::HuntOver => (&words.refused_quiet, &words.refused_quiet_why),
            Self::NotTaken => (&words.refused_not_taken, &words.refused_not_taken_why),
            Self::TooManyFeeds => (&words.refused_feeds, &words.refused_feeds_why),
            Self::NoFurtherStep => (&words.refused_last_step, &words.refused_last_step_why),
            Self::BadTime => (&words.refused_time, &words.refused_time_why),
            Self::CallOver => (&words.refused_call, &words.refused_call_why),
            Self::CallCannot => (&words.refused_call, &words.refused_call_cannot),
            Self::CallTooMuch => (&words.refused_call, &words.refused_call_much),
            Self::Stale => (&words.refused_stale, &words.refused_stale_why),
            Self::Away => (&words.refused_away, &words.refused_away_why),
            Self::Failed => (&words.refused_failed, &words.refused_failed_why),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page failed because of the database");
        Self::Away
    }
}

impl From<crate::costly::CostlyError> for Refusal {
    fn from(_: crate::costly::CostlyError) -> Self {
        Self::Away
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoSuchAlarm => Self::NotFound,
            EngineError::Over(_) => Self::Over,
            EngineError::StillRinging => Self::StillRinging,
            EngineError::NoSuchCallee => Self::NotFound,
            EngineError::HuntOver => Self::HuntOver,
            EngineError::NotTaken | EngineError::WantsEveryone => Self::NotTaken,
            EngineError::NoFurtherStep => Self::NoFurtherStep,
            EngineError::BadTime => Self::BadTime,
            EngineError::NoSuchCall => Self::NotFound,
            EngineError::CallNotRunning => Self::CallOver,
            EngineError::HandsetCannot(_) => Self::CallCannot,
            EngineError::TooManyCommands => Self::CallTooMuch,
            EngineError::NoSuchPolicy(_) | EngineError::FollowsNoPolicy => Self::Garbled,
            EngineError::UnknownName { .. }
            | EngineError::NobodyNamed
            | EngineError::OutOfBounds(_)
            | EngineError::KeyReused
            | EngineError::Contended => Self::Failed,
            EngineError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing { .. } => Self::NotFound,
            Refused::Contended => Self::Failed,
            Refused::Store(error) => error.into(),
            Refused::Stale(_) => Self::Stale,
            Refused::Wrong { .. }
            | Refused::WrongAt { .. }
            | Refused::Several(_)
            | Refused::Command(_)
            | Refused::Taken { .. } => Self::Garbled,
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        match problem.status() {
            404 => Self::NotFound,
            412 => Self::Stale,
            503 => Self::Away,
            _ => Self::Failed,
        }
    }
}

impl From<PairingError> for Refusal {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::NoSuchHandset(_) => Self::NotFound,
            PairingError::BadName | PairingError::NameTaken(_) | PairingError::NoToken(_) | PairingError::BadChannels => {
                Self::Garbled
            }
            PairingError::Store(error) => error.into(),
        }
    }
}

impl From<PersonError> for Refusal {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Gone => Self::NotFound,
            PersonError::Stale(_) => Self::Stale,
            PersonError::Store(error) => error.into(),
            _ => Self::Garbled,
        }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Store(error) => error.into(),
            UserError::Stale(_) => Self::Stale,
            UserError::NoSuchUser(_) | UserError::NoSuchSession | UserError::NoSuchTeam(_) => Self::NotFound,
            UserError::Hash(_) | UserError::Stopping => Self::Failed,
            _ => Self::Garbled,
        }
    }
}

/// Headers that every answer of the pages carries.
pub(in crate::dashboard) fn protect(response: &mut Response) {
    const ALWAYS: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
