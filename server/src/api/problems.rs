//! What programs are told when the engine, or what operators keep, refuses something.

use axum::http::StatusCode;

use crate::engine::EngineError;
use crate::http::problem::{Code, Problem};
use crate::keep::refused::Refused;

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NoSuchAlarm => Self::not_found(text),
            EngineError::Over(_) => Self::new(StatusCode::CONFLICT, Code::AlarmIsOver, text),
            EngineError::NoSuchCallee => Self::not_found(text),
            EngineError::NoSuchPolicy(_) | EngineError::FollowsNoPolicy => Self::invalid("policy", text),
            EngineError::UnknownName { index, .. } => Self::invalid(format!("ring[{index}]"), text),
            EngineError::NobodyNamed => Self::invalid("phones", text),
            EngineError::NoFurtherStep => Self::new(StatusCode::CONFLICT, Code::NoFurtherStep, text),
            EngineError::NotTaken | EngineError::WantsEveryone => Self::new(StatusCode::CONFLICT, Code::NotTaken, text),
            EngineError::HuntOver => Self::new(StatusCode::CONFLICT, Code::NobodyIsRung, text),
            EngineError::BadTime => Self::invalid("snooze_ends_at", text),
            EngineError::StillRinging => Self::new(StatusCode::CONFLICT, Code::StillRinging, text),
            EngineError::OutOfBounds(_) => Self::new(StatusCode::FORBIDDEN, Code::KeyMayNot, text),
            EngineError::KeyReused => Self::key_reused(text),
            EngineError::NoSuchCall => Self::not_found(text),
            EngineError::CallNotRunning => Self::new(StatusCode::CONFLICT, Code::CallNotRunning, text),
            EngineError::HandsetCannot(_) => Self::new(StatusCode::CONFLICT, Code::HandsetCannot, text),
            EngineError::TooManyCommands => Self::new(StatusCode::CONFLICT, Code::TooManyCommands, text),
            EngineError::Contended => Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::TryAgain, text),
            EngineError::Store(error) => error.into(),
        }
    }
}

/// What the API calls a field.
fn named_here(field: &str) -> &str {
    if field == "number" { "phone_number" } else { field }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Wrong { field, .. } => Self::invalid(named_here(field), text),
            Refused::WrongAt { field, .. } => Self::invalid(field, text),
            Refused::Several(all) => {
                // There are several.
                Self::several(all.into_iter().map(Self::from).collect()).unwrap_or_else(|| Self::invalid("", text))
            }
            Refused::Command(error) => Self::invalid(named_here(error.field()), text),
            Refused::Taken { .. } => Self::new(StatusCode::CONFLICT, Code::NameTaken, text).of_field("name"),
            Refused::Missing { .. } => Self::not_found(text),
            Refused::Stale(stale) => stale.into(),
            Refused::Contended => Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::TryAgain, text),
            Refused::Store(error) => error.into(),
        }
    }
}
