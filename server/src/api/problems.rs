//! What programs are told when the engine, or what operators keep, refuses something.

use axum::http::StatusCode;

use crate::engine::EngineError;
use crate::http::problem::Problem;
use crate::keep::refused::Refused;

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NoSuchAlarm => Self::new(StatusCode::NOT_FOUND, "no_such_alarm", text),
            EngineError::Over(_) => Self::new(StatusCode::CONFLICT, "alarm_is_over", text),
            EngineError::NoSuchCallee => Self::new(StatusCode::NOT_FOUND, "no_such_callee", text),
            EngineError::NoSuchPolicy(_) => Self::invalid("policy", text),
            EngineError::UnknownName { index, .. } => Self::invalid(format!("ring[{index}]"), text),
            EngineError::NobodyNamed => Self::invalid("phones", text),
            EngineError::NoFurtherStep => Self::new(StatusCode::CONFLICT, "no_further_step", text),
            EngineError::HuntOver => Self::new(StatusCode::CONFLICT, "nobody_is_rung", text),
            EngineError::BadTime => Self::invalid("until", text),
            EngineError::StillRinging => Self::new(StatusCode::CONFLICT, "still_ringing", text),
            EngineError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text).of_field("Idempotency-Key")
            }
            EngineError::Contended => Self::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", text),
            EngineError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Wrong { field, .. } => Self::invalid(field, text),
            Refused::WrongAt { field, .. } => Self::invalid(field, text),
            Refused::Command(error) => Self::invalid(error.field(), text),
            Refused::Taken { .. } => Self::new(StatusCode::CONFLICT, "name_taken", text).of_field("name"),
            Refused::Missing { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", text),
            Refused::Stale(stale) => stale.into(),
            Refused::Contended => Self::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", text),
            Refused::Store(error) => error.into(),
        }
    }
}
