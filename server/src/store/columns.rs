//! How the values of other modules are kept in a column: an identifier as a UUID, a choice as a word. The words stay what they are, whatever
//! the API or a page calls them: rows of years hold them.

use android_protocol::voice::detector;
use android_protocol::wire::EndedBy;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Json;
use uuid::Uuid;

use crate::alarm::call_record::{CallDirection, CallOrigin, CallResult, HowKnown};
use crate::alarm::policy::AlarmTexts;
use crate::alarm::{
    AlarmKind, AnswerVia, DialOutcome, EndReason, HuntOutcome, KeyAction, Mode, Priority, TargetOutcome, Until, Verdict,
};
use crate::ids::{
    AlarmId, AnswerId, CalleeId, CommandId, DeliveryId, FeedId, GatewayId, HandOverId, HandsetId, HeartbeatId, HuntId,
    InboundSmsId, InstallationId, KeyId, LayerId, LineId, LiveCommandId, LogFolderId, MediaId, OverrideId, PersonId, PolicyId,
    RecordingId, ScheduleId, SmsId, SwapId, TeamId, TemporaryId, UserId, VacationId, WebhookId, WindowId,
};
use crate::kinds::notices::WebhookShape;
use crate::line::command::AppBuild;
use crate::line::reply::TextEffect;
use crate::needs::Words;
use crate::rights::Rights;
use crate::roster::changes::swap::Said;
use crate::roster::source::Address;
use crate::shout::{CallStatus, RecordingStep, ShoutStatus};
use crate::store::access::users::Role;
use crate::store::duty::told::DutyText;
use crate::store::lines::numbers::HandOverWhy;
use crate::store::lines::sms::Purpose;
use crate::store::lines::webhooks::NoticeKind;
use crate::store::media::recordings::Records;
use crate::store::shouts::log::RecordKind;
use crate::store::statement::{Column, Value};
use crate::store::watch::handsets::{IdleForm, Profile};
use crate::store::watch::outages::OutageTold;

/// How a value is written down: as what the drivers make of it.
macro_rules! written_as {
    ($value:ident, $kept:expr) => {
        fn add_to_postgres($value: Option<&Self>, values: &mut PgArguments) -> Result<(), BoxDynError> {
            values.add($kept)
        }

        fn add_to_sqlite($value: Option<&Self>, values: &mut SqliteArguments) -> Result<(), BoxDynError> {
            Arguments::add(values, $kept)
        }
    };
}

/// Types that both drivers know.
macro_rules! known_to_drivers {
    ($($name:ty)+) => { $(
        impl Value for $name {
            written_as!(value, value);
        }

        impl Column for $name {
            type Kept = Self;

            fn found(kept: Self) -> Result<Self, BoxDynError> {
                Ok(kept)
            }
        }
    )+ };
}

known_to_drivers! { bool i16 i32 i64 f64 String Uuid DateTime<Utc> NaiveDate Vec<u8> }

impl Value for str {
    written_as!(value, value);
}

impl Value for [u8] {
    written_as!(value, value);
}

impl<T: Serialize + Send + Sync> Value for Json<T> {
    written_as!(value, value);
}

impl<T: DeserializeOwned + 'static> Column for Json<T> {
    type Kept = Self;

    fn found(kept: Self) -> Result<Self, BoxDynError> {
        Ok(kept)
    }
}

/// Keeps a type as another one that the drivers know.
macro_rules! kept_as {
    ($name:ty, $kept:ty, |$value:ident| $keep:expr, |$found:ident| $read:expr) => {
        impl Value for $name {
            written_as!(value, value.map(|$value| $keep));
        }

        impl Column for $name {
            type Kept = $kept;

            fn found($found: $kept) -> Result<Self, BoxDynError> {
                $read
            }
        }
    };
}

macro_rules! identifiers {
    ($($name:ident)+) => { $(kept_as!($name, Uuid, |id| id.0, |id| Ok(Self(id)));)+ };
}

identifiers! {
    AlarmId HuntId PolicyId CalleeId HandsetId PersonId AnswerId CommandId KeyId WebhookId DeliveryId UserId
    TeamId ScheduleId LayerId OverrideId TemporaryId VacationId SwapId FeedId HeartbeatId WindowId GatewayId SmsId
    InstallationId InboundSmsId LineId HandOverId MediaId RecordingId LiveCommandId LogFolderId
}

macro_rules! words {
    ($($name:ident { $($choice:ident = $word:literal),+ $(,)? })+) => { $(
        impl Value for $name {
            written_as!(value, value.map(|choice| match choice {
                $(Self::$choice => $word),+
            }));
        }

        impl Column for $name {
            type Kept = String;

            fn found(kept: String) -> Result<Self, BoxDynError> {
                match kept.as_str() {
                    $($word => Ok(Self::$choice),)+
                    other => Err(format!("{other:?} is no {}", stringify!($name)).into()),
                }
            }
        }
    )+ };
}

words! {
    Said { Asked = "asked", Accepted = "accepted", Declined = "declined", TakenBack = "taken_back" }
    DutyText { Shift = "shift", Change = "change" }
    OutageTold { Alarm = "alarm", Fallback = "fallback" }
    AppBuild { First = "first", Later = "later" }
    Profile { Auto = "auto", App = "app", List = "list", Repeat = "repeat", Native = "native" }
    IdleForm { Plain = "plain", HeadlessSafe = "headless_safe" }
    HandOverWhy { Duty = "duty", Person = "person" }
    Records { Debug = "debug", Message = "message" }
    Purpose { Command = "command", Answer = "answer", Test = "test", Alarm = "alarm", Duty = "duty" }
    Role { Viewer = "viewer", Responder = "responder", Admin = "admin" }
    NoticeKind {
        Raised = "raised", Answered = "answered", Confirmed = "confirmed", Escalated = "escalated", NoAnswer = "no_answer",
        HandsetOffline = "handset_offline", HandsetStuck = "handset_stuck", HandsetBack = "handset_back", Fallback = "fallback",
        HandOverTrouble = "hand_over_trouble", OptedOut = "opted_out", Flapping = "flapping", GatewaySilent = "gateway_silent",
        GatewayBack = "gateway_back", CalendarTrouble = "calendar_trouble", CalendarBack = "calendar_back",
        BackupTrouble = "backup_trouble", BackupBack = "backup_back",
    }
}

/// Keeps a type by words that it knows itself.
macro_rules! kept_by_its_words {
    ($($name:ident)+) => { $(kept_as!($name, String, |value| value.as_str(), |word| {
        $name::parse(&word).ok_or_else(|| format!("{word:?} is no {}", stringify!($name)).into())
    });)+ };
}

kept_by_its_words! {
    AlarmKind KeyAction Mode Until AnswerVia Verdict HuntOutcome EndReason DialOutcome TargetOutcome TextEffect
    CallDirection CallOrigin CallResult HowKnown ShoutStatus CallStatus RecordKind AlarmTexts
}

kept_as!(detector::Verdict, String, |verdict| verdict.as_str(), |word| match word.as_str() {
    "human" => Ok(Self::Human),
    "machine" => Ok(Self::Machine),
    _ => Ok(Self::Unknown),
});

kept_as!(EndedBy, String, |by| by.as_str(), |word| match word.as_str() {
    "us" => Ok(Self::Us),
    "callee" => Ok(Self::Callee),
    _ => Ok(Self::Network),
});
kept_as!(Words, String, |words| words.to_string(), |text| Ok(Self::read(&text)));
kept_as!(Rights, String, |rights| rights.to_string(), |text| Ok(Self::read(&text)));

// As records give it to their readers.
kept_as!(RecordingStep, i32, |step| step.number(), |number| {
    Self::of(number).ok_or_else(|| format!("{number} is no step of a recording").into())
});

kept_as!(Address, String, |address| address.expose().to_owned(), |text| Ok(Address::new(text)));

kept_as!(WebhookShape, String, |shape| shape.as_str().to_owned(), |word| {
    Self::read(&word).ok_or_else(|| format!("{word:?} is no form of notices").into())
});

// The more urgent, the larger: queries sort by it.
kept_as!(Priority, i32, |priority| *priority as i32, |number| match number {
    0 => Ok(Self::Low),
    1 => Ok(Self::Normal),
    2 => Ok(Self::High),
    3 => Ok(Self::Critical),
    other => Err(format!("{other} is no priority").into()),
});
