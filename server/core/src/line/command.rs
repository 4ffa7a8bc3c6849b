//! What is said to the handset that holds a team's public number, so that it forwards all calls to the person on duty: pure.
//!
//! The codes come from the carrier table of `android_protocol::forwarding`, extended by the configuration; the text message from the
//! grammar of `android_protocol::sms`, which is what the app's builds really understand.

use std::fmt;
use std::str::FromStr;

use android_protocol::DialString;
use android_protocol::forwarding::{self, Carrier, Condition, ForwardingError, NeedsDialler, Operation, ServiceCode};
use android_protocol::sms::{CommandNumber, Encoding, SmsBuildError, SmsCommand, Wording};

use crate::numbers::{Number, Region};

/// Stands for the target in a code of the configuration.
const PLACE: char = 'N';

/// A carrier that the configuration adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCarrier {
    id: String,
    set: String,
}

impl OwnCarrier {
    /// What lines name it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for OwnCarrier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("holds {text:?}; write the carrier's id and its code with N for the number, such as acme **21*N#");
        let (id, set) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let set = set.trim();
        let sound = !id.is_empty() && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !sound || set.matches(PLACE).count() != 1 || ServiceCode::parse(&set.replace(PLACE, "18712345678")).is_err() {
            return Err(wrong());
        }
        Ok(Self { id: id.to_owned(), set: set.to_owned() })
    }
}

impl fmt::Display for OwnCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.set)
    }
}

/// Which build of the app runs on the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppBuild {
    /// The documented v1.0, which knows the word `autocall` only.
    First,
    /// Any later one, or it is not known.
    Later,
}

/// Why a hand-over cannot be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// Nobody knows the carrier's code.
    #[error("no carrier {0:?} is known; take one of {known}, or add its code to lines.carriers", known = known_carriers())]
    UnknownCarrier(String),
    /// The carrier cannot be told by a code.
    #[error(transparent)]
    Forwarding(#[from] ForwardingError),
    /// The carrier forwards to one number only, which a person registers.
    #[error("{0} forwards only to a number that was registered by hand, so it cannot follow the person on duty")]
    FixedTarget(&'static str),
    /// The carrier's code does not take such a number.
    #[error("this number cannot stand in a forwarding code: {0}")]
    Number(String),
    /// The handset's Android does not dial it.
    #[error(transparent)]
    Android(#[from] NeedsDialler),
    /// The text message cannot be sent.
    #[error(transparent)]
    Text(#[from] SmsBuildError),
}

impl ComposeError {
    /// Which of the things that an operator says of a line is at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownCarrier(_) | Self::Forwarding(_) | Self::FixedTarget(_) | Self::Number(_) => "carrier",
            Self::Android(_) => "android",
            Self::Text(_) => "text",
        }
    }

    /// One word for it, by which a catalogue finds its sentence.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnknownCarrier(_) => "unknown_carrier",
            Self::Forwarding(_) => "no_code",
            Self::FixedTarget(_) => "fixed_target",
            Self::Number(_) => "number",
            Self::Android(_) => "android",
            Self::Text(SmsBuildError::TooLong { .. }) => "too_long",
            Self::Text(_) => "text",
        }
    }
}

/// The carriers that forward to any number by a code: their ids, and what people call them.
pub fn usable_carriers() -> impl Iterator<Item = (&'static str, &'static str)> {
    let usable = forwarding::CARRIERS.iter().filter(|carrier| takes_any_number(carrier));
    usable.map(|carrier| (carrier.id, carrier.name))
}

fn takes_any_number(carrier: &Carrier) -> bool {
    carrier.templates(Condition::Always).and_then(|templates| templates.set).is_some_and(|set| set.contains(PLACE))
}

fn known_carriers() -> String {
    usable_carriers().map(|(id, _)| id).collect::<Vec<_>>().join(", ")
}

/// A forwarding code, and what the operator must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// What is dialled.
    pub code: ServiceCode,
    /// What has not been checked on this network, and what else matters.
    pub notes: Vec<&'static str>,
}

/// The code by which a carrier forwards all calls to a number.
///
/// # Errors
/// When the carrier has none that is known, or none that takes a number.
pub fn code(carrier: &str, own: &[OwnCarrier], number: &Number, country: Region) -> Result<Code, ComposeError> {
    let target = DialString::parse(&number.dial_string(country)).map_err(|error| ComposeError::Number(error.to_string()))?;
    if let Some(own) = own.iter().find(|own| own.id == carrier) {
        let code = own.set.replace(PLACE, target.as_str());
        let code = ServiceCode::parse(&code).map_err(|error| ComposeError::Number(error.to_string()))?;
        return Ok(Code { code, notes: Vec::new() });
    }
    let known = forwarding::carrier_by_id(carrier).ok_or_else(|| ComposeError::UnknownCarrier(carrier.to_owned()))?;
    let code = known.code(Condition::Always, Operation::Set, Some(&target))?;
    if !takes_any_number(known) {
        return Err(ComposeError::FixedTarget(known.name));
    }
    Ok(Code { code, notes: [known.unverified, known.note].into_iter().flatten().collect() })
}

/// A text message that makes the handset dial a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is sent.
    pub text: String,
    /// How it is packed.
    pub encoding: Encoding,
}

/// The text message for a code: one part, that only this handset understands.
///
/// # Errors
/// When the handset's Android would not dial it, or the text would be misread or needs a second part.
pub fn message(code: &ServiceCode, android: u32, build: AppBuild, text: &str) -> Result<Message, ComposeError> {
    code.check_android(android)?;
    let wording = match build {
        AppBuild::First => Wording::Documented,
        AppBuild::Later => Wording::EveryBuild,
    };
    let text = SmsCommand::new(CommandNumber::Code(code.clone()), wording, text)?.to_text();
    Ok(Message { encoding: Encoding::of(&text), text })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use android_protocol::app::Build;
    use android_protocol::phone::from_tel_address;
    use android_protocol::sms::{Reaction, reaction};
    use proptest::prelude::*;

    use super::*;

    const BUILDS: [Build; 5] = [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head, Build::HeadHeadless];

    fn number(text: &str) -> Number {
        Number::parse(text, Region::CN).unwrap().number
    }

    fn own() -> Vec<OwnCarrier> {
        vec!["acme *99*N#".parse().unwrap()]
    }

    /// What a build makes Android dial when the message arrives.
    fn dialled(build: Build, message: &str) -> Option<String> {
        match reaction(build, &[message]) {
            Reaction::Dials { number, .. } => Some(from_tel_address(&number)),
            _ => None,
        }
    }

    #[test]
    fn the_documented_example() {
        let code = code("china-telecom", &[], &number("18712345678"), Region::CN).unwrap().code;
        assert_eq!(message(&code, 13, AppBuild::First, "今天你值班").unwrap().text, "|*7218712345678|autocall|今天你值班");
        assert_eq!(
            message(&code, 13, AppBuild::Later, "今天你值班").unwrap().text,
            "|*7218712345678|autocall|alertcall 今天你值班"
        );
    }

    #[test]
    fn every_carrier_makes_every_build_dial_exactly_its_code() {
        let mut usable = std::collections::BTreeSet::new();
        for carrier in forwarding::CARRIERS.iter().map(|carrier| carrier.id).chain(["acme"]) {
            for target in ["18712345678", "+819012345678"] {
                let Ok(Code { code, .. }) = code(carrier, &own(), &number(target), Region::CN) else { continue };
                usable.insert(carrier);
                let later = message(&code, 13, AppBuild::Later, "今天你值班").unwrap();
                assert!(later.encoding.fits_one_part());
                for build in BUILDS {
                    assert_eq!(dialled(build, &later.text).as_deref(), Some(code.as_str()), "{carrier} {build:?}");
                }
                let first = message(&code, 13, AppBuild::First, "duty").unwrap();
                assert_eq!(dialled(Build::V1_0, &first.text).as_deref(), Some(code.as_str()), "{carrier}");
                assert!(code.as_str().contains(target.trim_start_matches('+')), "{carrier}");
            }
        }
        let promised = usable_carriers().map(|(id, _)| id).chain(["acme"]).collect();
        assert_eq!(usable, promised);
        assert_eq!(usable.len(), 15, "{usable:?}");
    }

    #[test]
    fn what_cannot_work_says_why() {
        let person = number("18712345678");
        let refused = |carrier: &str| code(carrier, &own(), &person, Region::CN).unwrap_err().to_string();
        assert!(refused("telekom").contains("china-mobile") && refused("telekom").contains("lines.carriers"));
        assert!(refused("china-broadnet").contains("does not offer"));
        assert!(refused("docomo").contains("registered by hand"), "its code would forward to somebody else");
        assert!(refused("au").contains("no known code"));
        let code = code("china-mobile", &[], &person, Region::CN).unwrap().code;
        assert!(message(&code, 14, AppBuild::Later, "").unwrap_err().to_string().contains("default dialler"));
        let long = message(&code, 13, AppBuild::Later, &"班".repeat(40)).unwrap_err().to_string();
        assert!(long.contains("of 70"), "{long}");
        assert!(matches!(
            message(&code, 13, AppBuild::Later, "AutoCall"),
            Err(ComposeError::Text(SmsBuildError::Keyword { .. }))
        ));
        assert!(matches!(message(&code, 13, AppBuild::Later, "a|b"), Err(ComposeError::Text(SmsBuildError::StrayBar))));
    }

    #[test]
    fn the_manual_names_every_carrier() {
        let manual = include_str!("../../../../docs/public-number.md");
        for carrier in forwarding::CARRIERS {
            assert!(manual.contains(&format!("`{}`", carrier.id)), "{}", carrier.id);
        }
    }

    #[test]
    fn own_carriers_are_checked() {
        for wrong in ["acme", "acme 21", "acme **21*#", "ACME **21*N#", "acme **21*N#N", "acme **21*N;"] {
            assert!(wrong.parse::<OwnCarrier>().is_err(), "{wrong}");
        }
        assert_eq!(own()[0].to_string(), "acme *99*N#");
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_handset_dials_the_code_or_it_is_refused(text: String, digits in "1[3-9][0-9]{9}") {
            let code = code("china-mobile", &[], &number(&digits), Region::CN).unwrap().code;
            if let Ok(message) = message(&code, 13, AppBuild::Later, &text) {
                for build in BUILDS {
                    let dialled = dialled(build, &message.text);
                    prop_assert_eq!(dialled.as_deref(), Some(code.as_str()));
                }
            }
        }
    }
}
