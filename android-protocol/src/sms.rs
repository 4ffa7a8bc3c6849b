//! The SMS command by which a handset is told to dial: `|number|autocall|text`.

use thiserror::Error;

use crate::{
    app::Build,
    dial_string::DialString,
    forwarding::{ServiceCode, ServiceCodeError},
};

/// The documented keyword; build 967beca reacts to it.
pub const DOCUMENTED_KEYWORD: &str = "autocall";

/// The keyword to which builds from 25cd829 on react.
pub const LATER_KEYWORD: &str = "alertcall";

/// The keyword on which builds from 14558f3 on try to hang up.
pub const HANG_UP_KEYWORD: &str = "downcall";

/// Every word that makes some build do something, wherever in a text it stands.
pub const KEYWORDS: [&str; 3] = [DOCUMENTED_KEYWORD, LATER_KEYWORD, HANG_UP_KEYWORD];

/// Septets in one SMS part of the default alphabet (3GPP TS 23.038).
pub const MAX_SEPTETS: usize = 160;

/// UCS-2 code units in one SMS part (3GPP TS 23.038).
pub const MAX_UNITS: usize = 70;

/// Characters of the GSM 7-bit default alphabet that cost one septet (3GPP TS 23.038, section 6.2.1); the escape is left out.
pub(crate) const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Characters of its extension table, which cost two (3GPP TS 23.038, section 6.2.1.1); form feed is one of them.
pub(crate) const EXTENSION: &str = "^{}\\[~]|€\u{c}";

/// How a text is packed into SMS parts, and how much of the first it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 7-bit default alphabet.
    Gsm7 {
        /// Septets used.
        septets: usize,
    },
    /// UCS-2.
    Ucs2 {
        /// 16-bit code units used.
        units: usize,
    },
}

impl Encoding {
    /// How a sender packs `text`: one character outside the default alphabet turns the whole of it into UCS-2.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let septets = text.chars().try_fold(0_usize, |sum, c| {
            if BASIC.contains(c) {
                Some(sum + 1)
            } else if EXTENSION.contains(c) {
                Some(sum + 2)
            } else {
                None
            }
        });
        match septets {
            Some(septets) => Self::Gsm7 { septets },
            None => Self::Ucs2 { units: text.encode_utf16().count() },
        }
    }

    /// How much is used.
    #[must_use]
    pub fn used(self) -> usize {
        match self {
            Self::Gsm7 { septets } => septets,
            Self::Ucs2 { units } => units,
        }
    }

    /// How much one part holds.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Gsm7 { .. } => MAX_SEPTETS,
            Self::Ucs2 { .. } => MAX_UNITS,
        }
    }

    /// True if one part is enough.
    #[must_use]
    pub fn fits_one_part(self) -> bool {
        self.used() <= self.limit()
    }
}

/// `text` without the words that make a handset dial or hang up, for every other message that is ever sent to one.
///
/// The app tests for a substring anywhere in a message and asks nobody's permission; a message that merely quotes `alertcall` and has no
/// bar in it kills the app. Upper and lower case are treated alike, although the app minds them.
#[must_use]
pub fn strip_keywords(text: &str) -> String {
    let mut text = text.to_owned();
    // Taking one word out can make another out of what stood around it.
    while let Some((at, word)) = find_keyword(&text) {
        text.replace_range(at..at + word.len(), "");
    }
    text
}

/// The first keyword in `text`, in upper or lower case.
fn find_keyword(text: &str) -> Option<(usize, &'static str)> {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    KEYWORDS.iter().filter_map(|&word| Some((lower.find(word)?, word))).min()
}

/// What is to be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandNumber {
    /// A person.
    Dial(DialString),
    /// The network, to set or cancel call forwarding.
    Code(ServiceCode),
}

impl CommandNumber {
    /// Reads what stands between the first two bars.
    ///
    /// # Errors
    ///
    /// If it is neither a number nor a service code.
    pub fn parse(text: &str) -> Result<Self, ServiceCodeError> {
        match DialString::parse(text) {
            // Separators would be dialled as they stand, so only the exact form counts.
            Ok(dial) if dial.as_str() == text => Ok(Self::Dial(dial)),
            _ => ServiceCode::parse(text).map(Self::Code),
        }
    }

    /// As it stands in the message: with `%23` for each `#`.
    #[must_use]
    pub fn in_sms(&self) -> String {
        match self {
            Self::Dial(dial) => dial.as_str().to_owned(),
            Self::Code(code) => code.in_sms(),
        }
    }
}

/// Which builds a command is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// Exactly the documented form, `|number|autocall|text`. Only the first build reacts to it.
    Documented,
    /// The documented form with `alertcall` at the head of the text, so that every build reacts.
    EveryBuild,
}

/// An SMS command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsCommand {
    /// What to dial.
    pub number: CommandNumber,
    /// For which builds it is worded.
    pub wording: Wording,
    /// The words for whoever reads the message on the handset.
    pub text: String,
}

/// Why a command cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SmsBuildError {
    /// A bar in the text: it would shift what other readers take for the keyword.
    #[error("the text of an SMS command must not contain a vertical bar")]
    StrayBar,
    /// A word in the text to which a handset reacts.
    #[error("the text of an SMS command must not contain the word {word:?}")]
    Keyword {
        /// The word.
        word: &'static str,
    },
    /// A line break or another control character.
    #[error("the text of an SMS command must be one line without control characters")]
    ControlCharacter,
    /// More than one part: the app reads the last part only.
    #[error("the SMS command needs {used} of {limit} characters; a handset reads one part only")]
    TooLong {
        /// What it needs, in units of its encoding.
        used: usize,
        /// What one part holds.
        limit: usize,
    },
}

impl SmsCommand {
    /// A command that can be sent.
    ///
    /// # Errors
    ///
    /// If the text would be misread, or the whole does not fit into one part.
    pub fn new(number: CommandNumber, wording: Wording, text: &str) -> Result<Self, SmsBuildError> {
        if text.contains('|') {
            return Err(SmsBuildError::StrayBar);
        }
        if let Some((_, word)) = find_keyword(text) {
            return Err(SmsBuildError::Keyword { word });
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(SmsBuildError::ControlCharacter);
        }
        let command = Self { number, wording, text: text.trim().to_owned() };
        let encoding = Encoding::of(&command.to_text());
        if encoding.fits_one_part() {
            Ok(command)
        } else {
            Err(SmsBuildError::TooLong { used: encoding.used(), limit: encoding.limit() })
        }
    }

    /// The message.
    #[must_use]
    pub fn to_text(&self) -> String {
        let number = self.number.in_sms();
        let text = &self.text;
        match self.wording {
            Wording::Documented => format!("|{number}|{DOCUMENTED_KEYWORD}|{text}"),
            Wording::EveryBuild if text.is_empty() => format!("|{number}|{DOCUMENTED_KEYWORD}|{LATER_KEYWORD}"),
            Wording::EveryBuild => format!("|{number}|{DOCUMENTED_KEYWORD}|{LATER_KEYWORD} {text}"),
        }
    }

    /// Reads a message. What stands before the first bar, such as a gateway's signature, is skipped, as the app skips it.
    ///
    /// # Errors
    ///
    /// Says which piece is missing or wrong.
    pub fn parse(message: &str) -> Result<Self, SmsParseError> {
        let mut pieces = message.splitn(4, '|').skip(1);
        let number = pieces.next().ok_or(SmsParseError::NoBar)?;
        let keyword = pieces.next().ok_or(SmsParseError::NoKeyword)?;
        let text = pieces.next().ok_or(SmsParseError::NoKeyword)?;
        if keyword != DOCUMENTED_KEYWORD {
            return Err(SmsParseError::NoKeyword);
        }
        let number = CommandNumber::parse(number).map_err(SmsParseError::Number)?;
        let (wording, text) = match text.strip_prefix(LATER_KEYWORD) {
            Some(rest) => (Wording::EveryBuild, rest),
            None => (Wording::Documented, text),
        };
        Self::new(number, wording, text).map_err(SmsParseError::Text)
    }
}

/// Why a message is not a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SmsParseError {
    /// No bar at all.
    #[error("the message has no vertical bar")]
    NoBar,
    /// The third piece is not the documented keyword, or there is no third piece.
    #[error("the word {DOCUMENTED_KEYWORD:?} must stand between the second and the third bar")]
    NoKeyword,
    /// What stands between the first two bars.
    #[error("what stands between the first two bars is not a number")]
    Number(#[source] ServiceCodeError),
    /// What stands behind the third bar.
    #[error("the text cannot be sent")]
    Text(#[source] SmsBuildError),
}

/// What an app build does with a received SMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Ignored,
    /// It hands `number` to Android, `times` times. See [`crate::phone::from_tel_address`] for what Android then dials.
    Dials {
        /// The text between the first two bars, as it stands.
        number: String,
        /// 2 for the early builds, which start the dial service twice.
        times: u8,
        /// Android 8 and later kill the app some seconds later: the service was announced as a foreground one and never became it.
        killed_on_android_8: bool,
    },
    /// It calls the hidden `endCall`; then, if `then_dials` is set, it dials that once.
    ///
    /// Where Android gives out no interface for that, the result is null and the app crashes instead.
    HangsUp {
        /// The number to dial afterwards, when both keywords stand in the message.
        then_dials: Option<String>,
    },
    /// It hangs up and then crashes, because the other keyword stands there without a bar.
    HangsUpAndCrashes,
    /// The process dies: the keyword is there, and no bar.
    Crashes,
}

/// What `build` does with a message that arrives in these parts.
///
/// Read in the app's source and confirmed by running it: only the last part is looked at; the keyword is a case-sensitive substring
/// anywhere in it; the number is what stands between the first two bars, or behind the only one. The sender is not checked.
#[must_use]
pub fn reaction(build: Build, parts: &[&str]) -> Reaction {
    let Some(&body) = parts.last() else { return Reaction::Ignored };
    let (keyword, times, hangs_up) = match build {
        Build::V1_0 => (DOCUMENTED_KEYWORD, 2, false),
        Build::B25cd829 => (LATER_KEYWORD, 2, false),
        Build::B14558f3 | Build::Head | Build::HeadHeadless => (LATER_KEYWORD, 1, true),
    };
    let hangs_up = hangs_up && body.contains(HANG_UP_KEYWORD);
    let dials = body.contains(keyword);
    let number = body.split('|').nth(1).map(str::to_owned);
    match (hangs_up, dials, number) {
        (true, false, _) => Reaction::HangsUp { then_dials: None },
        (true, true, Some(number)) => Reaction::HangsUp { then_dials: Some(number) },
        (true, true, None) => Reaction::HangsUpAndCrashes,
        (false, true, Some(number)) => Reaction::Dials { number, times, killed_on_android_8: times == 2 },
        (false, true, None) => Reaction::Crashes,
        (false, false, _) => Reaction::Ignored,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    const BUILDS: [Build; 5] = [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head, Build::HeadHeadless];

    /// Not only what the server sends: every code that the table has, for every condition, to set, to cancel and to ask.
    #[test]
    fn every_row_of_the_table_makes_every_build_dial_exactly_its_code() {
        use crate::forwarding::{CARRIERS, Condition, Operation};
        let target = DialString::parse("+8618712345678").unwrap();
        let mut told = std::collections::BTreeMap::new();
        for carrier in CARRIERS {
            for condition in [Condition::Always, Condition::Busy, Condition::NoReply, Condition::Unreachable] {
                for operation in [Operation::Set, Operation::Cancel, Operation::Query] {
                    let Ok(code) = carrier.code(condition, operation, Some(&target)) else { continue };
                    let command = SmsCommand::new(CommandNumber::Code(code.clone()), Wording::EveryBuild, "今天你值班").unwrap();
                    for build in BUILDS {
                        let Reaction::Dials { number, .. } = reaction(build, &[&command.to_text()]) else {
                            panic!("{} {condition:?} {operation:?}: {build:?} does not dial", carrier.id)
                        };
                        assert_eq!(crate::phone::from_tel_address(&number), code.as_str(), "{} {build:?}", carrier.id);
                    }
                    *told.entry(carrier.id).or_insert(0) += 1;
                }
            }
        }
        let whole = |id| told.get(id).copied().unwrap_or(0);
        assert_eq!([whole("3gpp"), whole("china-mobile"), whole("china-telecom")], [12, 3, 8]);
        let without: Vec<_> = CARRIERS.iter().map(|carrier| carrier.id).filter(|id| !told.contains_key(id)).collect();
        assert_eq!(without, ["china-broadnet", "softbank", "jio", "skt"], "the others have at least one code");
    }

    fn command(number: &str, wording: Wording, text: &str) -> Result<SmsCommand, SmsBuildError> {
        SmsCommand::new(CommandNumber::parse(number).unwrap(), wording, text)
    }

    #[test]
    fn the_documented_samples_verbatim() {
        assert_eq!(
            command("18712345678", Wording::Documented, "今天你值班").unwrap().to_text(),
            "|18712345678|autocall|今天你值班"
        );
        assert_eq!(
            command("*7218712345678", Wording::Documented, "今天你值班").unwrap().to_text(),
            "|*7218712345678|autocall|今天你值班"
        );
        assert_eq!(command("**21*187#", Wording::EveryBuild, "duty").unwrap().to_text(), "|**21*187%23|autocall|alertcall duty");
    }

    #[test]
    fn a_signature_before_the_first_bar_is_skipped() {
        let read = SmsCommand::parse("【值班】|18712345678|autocall|今天你值班").unwrap();
        assert_eq!(read.text, "今天你值班");
        assert_eq!(SmsCommand::parse("hello"), Err(SmsParseError::NoBar));
        assert_eq!(SmsCommand::parse("|187|autocall"), Err(SmsParseError::NoKeyword));
        assert_eq!(SmsCommand::parse("|187|Autocall|x"), Err(SmsParseError::NoKeyword));
        assert!(matches!(SmsCommand::parse("|18a|autocall|x"), Err(SmsParseError::Number(_))));
        assert!(matches!(SmsCommand::parse("|18712345678|autocall|x|y"), Err(SmsParseError::Text(SmsBuildError::StrayBar))));
    }

    #[test]
    fn what_a_handset_would_misread_is_refused() {
        use SmsBuildError as E;
        for (text, why) in [
            ("a|b", E::StrayBar),
            ("the autocall app", E::Keyword { word: "autocall" }),
            ("AlertCall", E::Keyword { word: "alertcall" }),
            ("xdowncallx", E::Keyword { word: "downcall" }),
            ("two\nlines", E::ControlCharacter),
            ("\u{2028}", E::ControlCharacter),
        ] {
            assert_eq!(command("18712345678", Wording::Documented, text), Err(why), "{text}");
        }
    }

    #[test]
    fn one_part_and_not_a_septet_more() {
        // Three bars cost two septets each: 6 + 11 digits + 8 letters leave 135.
        assert!(command("18712345678", Wording::Documented, &"x".repeat(135)).is_ok());
        assert_eq!(
            command("18712345678", Wording::Documented, &"x".repeat(136)),
            Err(SmsBuildError::TooLong { used: 161, limit: 160 })
        );
        // 3 + 11 + 8 leave 48 of 70 in UCS-2.
        assert!(command("18712345678", Wording::Documented, &"班".repeat(48)).is_ok());
        assert_eq!(
            command("18712345678", Wording::Documented, &"班".repeat(49)),
            Err(SmsBuildError::TooLong { used: 71, limit: 70 })
        );
        // A character outside the basic plane is two units.
        assert_eq!(Encoding::of("😀班"), Encoding::Ucs2 { units: 3 });
    }

    #[test]
    fn the_default_alphabet_has_127_characters_and_ten_more() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        for c in BASIC.chars() {
            assert_eq!(Encoding::of(&c.to_string()), Encoding::Gsm7 { septets: 1 }, "{c:?}");
            assert!(!EXTENSION.contains(c));
        }
        for c in EXTENSION.chars() {
            assert_eq!(Encoding::of(&c.to_string()), Encoding::Gsm7 { septets: 2 }, "{c:?}");
        }
        for c in ['`', '\t', 'ç', 'á', '班', '’'] {
            assert!(matches!(Encoding::of(&c.to_string()), Encoding::Ucs2 { .. }), "{c:?}");
        }
    }

    #[test]
    fn keywords_are_stripped_until_none_is_left() {
        assert_eq!(strip_keywords("restart the AlertCall app"), "restart the  app");
        assert_eq!(strip_keywords("autoautocallcall"), "");
        assert_eq!(strip_keywords("downalertcallcall now"), " now");
        assert_eq!(strip_keywords("Größe 班"), "Größe 班");
    }

    #[test]
    fn what_each_build_does() {
        let dials = |number: &str, times| Reaction::Dials { number: number.into(), times, killed_on_android_8: times == 2 };
        let documented = "|18712345678|autocall|duty";
        assert_eq!(reaction(Build::V1_0, &[documented]), dials("18712345678", 2));
        for build in [Build::B25cd829, Build::B14558f3, Build::Head] {
            assert_eq!(reaction(build, &[documented]), Reaction::Ignored, "{build:?}");
        }
        let both = "|18712345678|autocall|alertcall duty";
        assert_eq!(reaction(Build::V1_0, &[both]), dials("18712345678", 2));
        assert_eq!(reaction(Build::B25cd829, &[both]), dials("18712345678", 2));
        assert_eq!(reaction(Build::B14558f3, &[both]), dials("18712345678", 1));
        assert_eq!(reaction(Build::Head, &[both]), dials("18712345678", 1));
        assert_eq!(reaction(Build::HeadHeadless, &[both]), dials("18712345678", 1));
    }

    #[test]
    fn only_the_last_part_counts() {
        assert_eq!(reaction(Build::Head, &["|187|alertcall|long", "er text"]), Reaction::Ignored);
        assert_eq!(reaction(Build::Head, &["something long ", "about alertcall"]), Reaction::Crashes);
        assert_eq!(reaction(Build::V1_0, &["something long ", "about autocall"]), Reaction::Crashes);
        assert_eq!(reaction(Build::Head, &[]), Reaction::Ignored);
    }

    #[test]
    fn hang_up_case_and_stray_bars() {
        assert_eq!(reaction(Build::Head, &["please downcall"]), Reaction::HangsUp { then_dials: None });
        assert_eq!(reaction(Build::B14558f3, &["downcall |187|alertcall"]), Reaction::HangsUp { then_dials: Some("187".into()) });
        assert_eq!(reaction(Build::Head, &["downcall alertcall"]), Reaction::HangsUpAndCrashes);
        assert_eq!(reaction(Build::B25cd829, &["please downcall"]), Reaction::Ignored);
        assert_eq!(reaction(Build::Head, &["|187|AlertCall|x"]), Reaction::Ignored, "case-sensitive");
        assert_eq!(
            reaction(Build::Head, &["【sig】|187|alertcall"]),
            Reaction::Dials { number: "187".into(), times: 1, killed_on_android_8: false }
        );
        // One bar only: everything behind it is taken for the number.
        assert_eq!(
            reaction(Build::Head, &["alertcall|187 x"]),
            Reaction::Dials { number: "187 x".into(), times: 1, killed_on_android_8: false }
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, parts: Vec<String>) {
            let _ = SmsCommand::parse(&text);
            let stripped = strip_keywords(&text);
            let _ = Encoding::of(&stripped);
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            for build in BUILDS {
                let _ = reaction(build, &parts);
                prop_assert_eq!(reaction(build, &[&stripped]), Reaction::Ignored);
            }
        }

        #[test]
        fn texts_made_of_keywords_are_stripped_too(text in "(auto|alert|down|call|CALL|x){0,12}") {
            let stripped = strip_keywords(&text).to_lowercase();
            prop_assert!(KEYWORDS.iter().all(|word| !stripped.contains(word)));
        }

        #[test]
        fn what_is_built_reads_back_and_makes_every_build_dial(number in r"\+?[1-9][0-9]{6,14}|\*72[1-9][0-9]{6,14}|\*\*21\*[1-9][0-9]{6,14}#", text in ".{0,40}", early: bool) {
            let wording = if early { Wording::Documented } else { Wording::EveryBuild };
            if let Ok(built) = command(&number, wording, &text) {
                let message = built.to_text();
                prop_assert_eq!(SmsCommand::parse(&message).unwrap(), built.clone());
                prop_assert!(!message.contains('#') || text.contains('#'));
                for build in BUILDS {
                    let dialled = match reaction(build, &[&message]) {
                        Reaction::Dials { number, .. } => Some(crate::phone::from_tel_address(&number)),
                        _ => None,
                    };
                    if build == Build::V1_0 || wording == Wording::EveryBuild {
                        prop_assert_eq!(dialled.as_deref(), Some(number.as_str()));
                    }
                }
            }
        }
    }
}
