//! Call forwarding codes: which digits make a network send a number's calls to somebody else.
//!
//! Nothing here dials. A code only tells the network; whether it worked is never visible to the server, so it has to be proved by a test call.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dial_string::DialString;

/// Which calls are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Every call.
    Always,
    /// When the line is busy.
    Busy,
    /// When nobody answers.
    NoReply,
    /// When the phone is off or without signal.
    Unreachable,
}

/// What a code does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Start forwarding to a number.
    Set,
    /// Stop forwarding.
    Cancel,
    /// Ask whether it is on; the answer appears on the handset's screen only.
    Query,
}

/// The codes of one condition. `N` in a template stands for the target number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Templates {
    /// When calls are forwarded.
    pub condition: Condition,
    /// How it is set; `None` where no such code is known.
    pub set: Option<&'static str>,
    /// How it is cancelled.
    pub cancel: Option<&'static str>,
    /// How it is asked for.
    pub query: Option<&'static str>,
    /// Other spellings of the cancel code.
    pub also_cancels: &'static [&'static str],
}

/// What one carrier offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Stable name for configuration.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// ISO 3166 country, empty for the standards.
    pub country: &'static str,
    /// Its codes; empty where forwarding by code is not possible.
    pub codes: &'static [Templates],
    /// Why there are no codes.
    pub unavailable: Option<&'static str>,
    /// What has not been checked on this carrier's network.
    pub unverified: Option<&'static str>,
    /// What else the operator must know.
    pub note: Option<&'static str>,
    /// Where the codes were read.
    pub source: &'static str,
}

const fn always(
    set: &'static str,
    cancel: &'static str,
    query: Option<&'static str>,
    also_cancels: &'static [&'static str],
) -> Templates {
    Templates { condition: Condition::Always, set: Some(set), cancel: Some(cancel), query, also_cancels }
}

const fn only_if(condition: Condition, set: &'static str, cancel: &'static str, query: Option<&'static str>) -> Templates {
    Templates { condition, set: Some(set), cancel: Some(cancel), query, also_cancels: &[] }
}

/// The codes every GSM network is meant to know, and every carrier whose page repeats them.
const THREE_GPP: &[Templates] = &[
    always("**21*N#", "##21#", Some("*#21#"), &["#21#"]),
    only_if(Condition::Busy, "**67*N#", "##67#", Some("*#67#")),
    only_if(Condition::NoReply, "**61*N#", "##61#", Some("*#61#")),
    only_if(Condition::Unreachable, "**62*N#", "##62#", Some("*#62#")),
];

/// Only unconditional forwarding, as the carrier's page prints it.
const THREE_GPP_ALWAYS: &[Templates] = &[always("**21*N#", "##21#", Some("*#21#"), &["#21#"])];

/// As [`THREE_GPP_ALWAYS`], where no query code was found.
const THREE_GPP_NO_QUERY: &[Templates] = &[always("**21*N#", "##21#", None, &["#21#"])];

/// The codes of CDMA networks, as China Telecom uses them.
const CDMA: &[Templates] = &[
    always("*72N", "*720", None, &[]),
    only_if(Condition::Busy, "*90N", "*900", None),
    only_if(Condition::NoReply, "*92N", "*920", None),
    only_if(Condition::Unreachable, "*68N", "*680", None),
];

const fn carrier(
    id: &'static str,
    name: &'static str,
    country: &'static str,
    codes: &'static [Templates],
    source: &'static str,
) -> Carrier {
    Carrier { id, name, country, codes, unavailable: None, unverified: None, note: None, source }
}

const fn without_codes(
    id: &'static str,
    name: &'static str,
    country: &'static str,
    why: &'static str,
    source: &'static str,
) -> Carrier {
    Carrier { id, name, country, codes: &[], unavailable: Some(why), unverified: None, note: None, source }
}

impl Carrier {
    const fn unverified(self, what: &'static str) -> Self {
        Self { unverified: Some(what), ..self }
    }

    const fn note(self, what: &'static str) -> Self {
        Self { note: Some(what), ..self }
    }

    /// The codes for one condition.
    #[must_use]
    pub fn templates(&self, condition: Condition) -> Option<&'static Templates> {
        self.codes.iter().find(|templates| templates.condition == condition)
    }

    /// The code that does `operation`, with `target` in place of the number.
    ///
    /// # Errors
    ///
    /// If the carrier has no such code, or setting was asked for without a target.
    pub fn code(
        &self,
        condition: Condition,
        operation: Operation,
        target: Option<&DialString>,
    ) -> Result<ServiceCode, ForwardingError> {
        if let Some(reason) = self.unavailable {
            return Err(ForwardingError::Unavailable { carrier: self.name, reason });
        }
        let missing = ForwardingError::NoSuchCode { carrier: self.name, condition, operation };
        let Some(templates) = self.templates(condition) else { return Err(missing) };
        let template = match operation {
            Operation::Set => templates.set,
            Operation::Cancel => templates.cancel,
            Operation::Query => templates.query,
        };
        let Some(template) = template else { return Err(missing) };
        let code = match (template.contains('N'), target) {
            (true, Some(target)) => template.replace('N', target.as_str()),
            (true, None) => return Err(ForwardingError::NoTarget),
            (false, _) => template.to_owned(),
        };
        Ok(ServiceCode(code))
    }

    /// What a code of this carrier means, if it is one.
    #[must_use]
    pub fn read(&self, code: &ServiceCode) -> Option<Meaning> {
        // Fixed codes first: `*720` cancels and does not forward to "0".
        for templates in self.codes {
            let fixed = [(Operation::Cancel, templates.cancel), (Operation::Query, templates.query)];
            let also = templates.also_cancels.iter().map(|&text| (Operation::Cancel, Some(text)));
            for (operation, text) in fixed.into_iter().chain(also) {
                if text == Some(code.as_str()) {
                    return Some(Meaning { condition: templates.condition, operation, target: None });
                }
            }
        }
        self.codes.iter().find_map(|templates| {
            let (before, after) = templates.set?.split_once('N')?;
            let target = code.as_str().strip_prefix(before)?.strip_suffix(after)?;
            let target = DialString::parse(target).ok()?;
            Some(Meaning { condition: templates.condition, operation: Operation::Set, target: Some(target) })
        })
    }
}

/// What a code does, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// When calls are forwarded.
    pub condition: Condition,
    /// What happens to that.
    pub operation: Operation,
    /// To whom, for [`Operation::Set`].
    pub target: Option<DialString>,
}

/// Every carrier that was looked up, standards first.
///
/// The pages are named in `source`; "AOSP" is the source of Android's telephony (`GsmMmiCode`, which
/// quotes 3GPP TS 22.030, and `CdmaMmiCode`).
pub const CARRIERS: &[Carrier] = &[
    carrier("3gpp", "any GSM, UMTS or LTE network", "", THREE_GPP, "AOSP GsmMmiCode, quoting 3GPP TS 22.030").note(
        "##002# cancels everything, ##004# all conditional forwarding; *21*N# is the same as **21*N# when a number is given",
    ),
    carrier("china-mobile", "China Mobile", "CN", THREE_GPP_ALWAYS, "aihuau.com/a/8104400103/263504.html; AOSP GsmMmiCode"),
    carrier("china-unicom", "China Unicom", "CN", THREE_GPP_ALWAYS, "AOSP GsmMmiCode")
        .unverified("no page of China Unicom was found; the codes are those of the standard"),
    carrier("china-telecom", "China Telecom", "CN", CDMA, "AlertCall README; AOSP CdmaMmiCode; wuhannews.cn/shouji/23075.html")
        .unverified("the pages speak of CDMA; a SIM that only does VoLTE may behave otherwise"),
    without_codes(
        "china-broadnet",
        "China Broadnet",
        "CN",
        "the carrier does not offer call forwarding",
        "outofmemory.cn/tougao/11334976.html",
    ),
    carrier("verizon", "Verizon, Visible", "US", &[always("*72N", "*73", None, &[])], "bubblyphone.com; ringowl.ai"),
    carrier("us-cellular", "US Cellular", "US", &[always("*72N", "*720", None, &[])], "bubblyphone.com; AOSP CdmaMmiCode"),
    carrier("att", "AT&T", "US", &[always("*21*N#", "##21#", Some("*#21#"), &["#21#"])], "bubblyphone.com; ringowl.ai"),
    carrier("t-mobile-us", "T-Mobile", "US", THREE_GPP_ALWAYS, "bubblyphone.com; ringowl.ai"),
    carrier("bell", "Bell, Telus", "CA", &[always("*72N", "*73", None, &[])], "ringowl.ai")
        .unverified("the source gives only the cancel code"),
    carrier("rogers", "Rogers, Freedom", "CA", THREE_GPP_NO_QUERY, "ringowl.ai")
        .unverified("the source gives only the cancel code"),
    carrier(
        "docomo",
        "docomo and its resellers",
        "JP",
        &[Templates { condition: Condition::Always, set: Some("1421"), cancel: Some("1420"), query: None, also_cancels: &[] }],
        "hi-ho.jp voice manual",
    )
    .note("register the target by hand first: 1429, then 3, the number, #; 1429, then 4 asks for it"),
    carrier(
        "au",
        "au and its resellers",
        "JP",
        &[Templates { condition: Condition::Always, set: None, cancel: Some("1420"), query: None, also_cancels: &[] }],
        "fiimo.jp",
    )
    .unverified("1422 to 1425 select the kind; full forwarding is probably 1424 followed by the number"),
    without_codes("softbank", "SoftBank", "JP", "only on the carrier's web page or in the phone's own menu", "softbank.jp"),
    carrier("airtel", "Airtel", "IN", THREE_GPP, "jkexpert.com; missdial.com"),
    carrier("bsnl", "BSNL", "IN", THREE_GPP, "jkexpert.com; missdial.com"),
    carrier("vi", "Vi", "IN", THREE_GPP, "jkexpert.com; missdial.com"),
    without_codes(
        "jio",
        "Jio",
        "IN",
        "the carrier has codes of its own, which were not found; do not assume those of the standard",
        "none found",
    ),
    carrier("9mobile", "9mobile", "NG", THREE_GPP_NO_QUERY, "etisalat.com.ng"),
    without_codes("skt", "SK Telecom", "KR", "a paid service, set by app or web page", "m.tworld.co.kr"),
];

/// The carrier with this id.
#[must_use]
pub fn carrier_by_id(id: &str) -> Option<&'static Carrier> {
    CARRIERS.iter().find(|carrier| carrier.id == id)
}

/// Why a forwarding code could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ForwardingError {
    /// The carrier has no codes.
    #[error("{carrier}: forwarding by code is not possible: {reason}")]
    Unavailable {
        /// Its name.
        carrier: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The carrier has codes, but not this one.
    #[error("{carrier} has no known code for {operation:?} of {condition:?}")]
    NoSuchCode {
        /// Its name.
        carrier: &'static str,
        /// For which condition.
        condition: Condition,
        /// To do what.
        operation: Operation,
    },
    /// A code that contains the target was asked for without one.
    #[error("to whom shall calls be forwarded?")]
    NoTarget,
}

/// A service code: digits, `*`, `#` and `+`, with at least one `*` or `#`, or a short carrier number such as `1421`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceCode(String);

/// The longest service code: two prefixes, a long number, and a time.
const MAX_CODE: usize = 40;

/// Why a text is not a [`ServiceCode`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceCodeError {
    /// Empty, or longer than any code.
    #[error("a service code has 2 to {MAX_CODE} characters")]
    Length,
    /// Something that no code contains.
    #[error("{found:?} cannot stand in a service code; it has only digits, *, # and +")]
    Character {
        /// The character.
        found: char,
    },
}

impl ServiceCode {
    /// Reads a code as it is dialled (`**21*N#`) or as it stands in an SMS (`**21*N%23`).
    ///
    /// # Errors
    ///
    /// If it is too long or contains anything but digits, `*`, `#` and `+`.
    pub fn parse(text: &str) -> Result<Self, ServiceCodeError> {
        if text.len() > MAX_CODE * 3 {
            return Err(ServiceCodeError::Length);
        }
        let code = text.replace("%23", "#").replace("%2A", "*").replace("%2a", "*");
        if let Some(found) = code.chars().find(|c| !matches!(c, '0'..='9' | '*' | '#' | '+')) {
            return Err(ServiceCodeError::Character { found });
        }
        if !(2..=MAX_CODE).contains(&code.len()) {
            return Err(ServiceCodeError::Length);
        }
        Ok(Self(code))
    }

    /// As it is dialled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in an SMS command and in a `tel:` address.
    ///
    /// Android reads the decoded address, in which a raw `#` would begin a fragment: it and all that follows would be lost.
    #[must_use]
    pub fn in_sms(&self) -> String {
        self.0.replace('#', "%23")
    }

    /// True if the network takes it as an MMI code. Then there is no call and no row in the call log; `*72…` on the other hand is an
    /// ordinary call and leaves one (AOSP, Telecom: only numbers with `#` are not tracked as calls).
    #[must_use]
    pub fn is_mmi(&self) -> bool {
        self.0.contains('#')
    }

    /// Whether a handset with this Android version can dial the code from an app that is not its default dialler.
    ///
    /// # Errors
    ///
    /// [`NeedsDialler`] on Android 14 and later, for the codes in [`REFUSED_BY_ANDROID_14`].
    pub fn check_android(&self, android: u32) -> Result<(), NeedsDialler> {
        let refused = REFUSED_BY_ANDROID_14.iter().find(|refused| refused.matches(&self.0));
        match refused {
            Some(refused) if android >= FIRST_ANDROID_THAT_REFUSES => Err(NeedsDialler { android, code: refused.code }),
            _ => Ok(()),
        }
    }
}

impl TryFrom<String> for ServiceCode {
    type Error = ServiceCodeError;

    fn try_from(text: String) -> Result<Self, ServiceCodeError> {
        Self::parse(&text)
    }
}

impl From<ServiceCode> for String {
    fn from(code: ServiceCode) -> Self {
        code.0
    }
}

impl fmt::Display for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first Android version that keeps forwarding codes for the dialler.
pub const FIRST_ANDROID_THAT_REFUSES: u32 = 14;

/// A code Android 14 refuses from an ordinary app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedCode {
    /// The service number.
    pub code: &'static str,
    /// True for a 3GPP code, spelled `*21*…#`, `#21#` and so on; false for a CDMA one, a prefix such as `*72`.
    pub gsm: bool,
}

impl RefusedCode {
    fn matches(&self, dialled: &str) -> bool {
        if self.gsm {
            let rest = dialled.trim_start_matches(['*', '#']);
            rest.len() < dialled.len()
                && rest.strip_prefix(self.code).is_some_and(|rest| rest.starts_with(['*', '#']))
                && dialled.ends_with('#')
        } else {
            dialled.strip_prefix('*').and_then(|rest| rest.strip_prefix(self.code)).is_some() && !dialled.contains('#')
        }
    }
}

/// The forwarding codes that Android 14 and later dial only for the default or the system dialler; for any other app the dialler opens,
/// pre-filled, and waits for a finger (AOSP change 853ff2154 of 2023-04-21).
pub const REFUSED_BY_ANDROID_14: &[RefusedCode] = &[
    RefusedCode { code: "21", gsm: true },
    RefusedCode { code: "67", gsm: true },
    RefusedCode { code: "61", gsm: true },
    RefusedCode { code: "62", gsm: true },
    RefusedCode { code: "002", gsm: true },
    RefusedCode { code: "004", gsm: true },
    RefusedCode { code: "72", gsm: false },
    RefusedCode { code: "68", gsm: false },
    RefusedCode { code: "09", gsm: false },
    RefusedCode { code: "42", gsm: false },
    RefusedCode { code: "56", gsm: false },
    RefusedCode { code: "60", gsm: false },
    RefusedCode { code: "63", gsm: false },
    RefusedCode { code: "64", gsm: false },
    RefusedCode { code: "77", gsm: false },
    RefusedCode { code: "78", gsm: false },
];

/// Android refuses the code, and so an SMS command cannot set forwarding on this handset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "Android {android} lets only the default dialler send forwarding code {code}; use a handset with Android 13 or earlier, a modem, or set it by hand"
)]
pub struct NeedsDialler {
    /// The handset's version.
    pub android: u32,
    /// The service number that is refused.
    pub code: &'static str,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn target() -> DialString {
        DialString::parse("18712345678").unwrap()
    }

    fn code(id: &str, operation: Operation) -> ServiceCode {
        carrier_by_id(id).unwrap().code(Condition::Always, operation, Some(&target())).unwrap()
    }

    #[test]
    fn each_carrier_as_its_source_prints_it() {
        for (id, set, cancel, query) in [
            ("3gpp", "**21*18712345678#", "##21#", Some("*#21#")),
            ("china-mobile", "**21*18712345678#", "##21#", Some("*#21#")),
            ("china-unicom", "**21*18712345678#", "##21#", Some("*#21#")),
            ("china-telecom", "*7218712345678", "*720", None),
            ("verizon", "*7218712345678", "*73", None),
            ("us-cellular", "*7218712345678", "*720", None),
            ("att", "*21*18712345678#", "##21#", Some("*#21#")),
            ("t-mobile-us", "**21*18712345678#", "##21#", Some("*#21#")),
            ("bell", "*7218712345678", "*73", None),
            ("rogers", "**21*18712345678#", "##21#", None),
            ("docomo", "1421", "1420", None),
            ("airtel", "**21*18712345678#", "##21#", Some("*#21#")),
            ("9mobile", "**21*18712345678#", "##21#", None),
        ] {
            assert_eq!(code(id, Operation::Set).as_str(), set, "{id}");
            assert_eq!(code(id, Operation::Cancel).as_str(), cancel, "{id}");
            let asked = carrier_by_id(id).unwrap().code(Condition::Always, Operation::Query, None);
            assert_eq!(asked.ok().map(String::from).as_deref(), query, "{id}");
        }
        let telecom = carrier_by_id("china-telecom").unwrap();
        assert_eq!(telecom.code(Condition::Busy, Operation::Set, Some(&target())).unwrap().as_str(), "*9018712345678");
        assert_eq!(telecom.code(Condition::NoReply, Operation::Cancel, None).unwrap().as_str(), "*920");
        assert_eq!(telecom.code(Condition::Unreachable, Operation::Set, Some(&target())).unwrap().as_str(), "*6818712345678");
        let standard = carrier_by_id("3gpp").unwrap();
        assert_eq!(standard.code(Condition::NoReply, Operation::Set, Some(&target())).unwrap().in_sms(), "**61*18712345678%23");
    }

    #[test]
    fn what_is_not_possible_says_why() {
        for id in ["china-broadnet", "softbank", "jio", "skt"] {
            let refused = carrier_by_id(id).unwrap().code(Condition::Always, Operation::Set, Some(&target()));
            assert!(matches!(refused, Err(ForwardingError::Unavailable { .. })), "{id}");
        }
        assert!(matches!(
            carrier_by_id("au").unwrap().code(Condition::Always, Operation::Set, Some(&target())),
            Err(ForwardingError::NoSuchCode { .. })
        ));
        assert_eq!(carrier_by_id("3gpp").unwrap().code(Condition::Always, Operation::Set, None), Err(ForwardingError::NoTarget));
    }

    #[test]
    fn every_row_has_a_source_and_either_codes_or_a_reason() {
        for (i, carrier) in CARRIERS.iter().enumerate() {
            assert!(!carrier.source.is_empty(), "{}", carrier.id);
            assert_eq!(carrier.codes.is_empty(), carrier.unavailable.is_some(), "{}", carrier.id);
            assert!(CARRIERS[i + 1..].iter().all(|other| other.id != carrier.id), "{}", carrier.id);
        }
    }

    #[test]
    fn the_sms_form_has_no_raw_hash() {
        assert_eq!(code("3gpp", Operation::Cancel).in_sms(), "%23%2321%23");
        assert_eq!(ServiceCode::parse("*%2321%23").unwrap().as_str(), "*#21#");
        assert!(code("3gpp", Operation::Set).is_mmi());
        assert!(!code("china-telecom", Operation::Set).is_mmi());
    }

    #[test]
    fn android_14_keeps_forwarding_for_the_dialler() {
        for refused in [
            "**21*18712345678#",
            "*21*187#",
            "##21#",
            "#21#",
            "*#21#",
            "**67*187#",
            "**61*187**20#",
            "##62#",
            "##002#",
            "##004#",
            "*72187",
            "*720",
            "*68187",
            "*09",
            "*42",
            "*56",
            "*60",
            "*63",
            "*64",
            "*77",
            "*78",
        ] {
            let code = ServiceCode::parse(refused).unwrap();
            assert!(code.check_android(14).is_err(), "{refused}");
            assert!(code.check_android(13).is_ok(), "{refused}");
        }
        for allowed in ["*73", "*90187", "*92187", "1421", "*100#", "*#06#", "18712345678", "*#100*21#"] {
            assert!(ServiceCode::parse(allowed).unwrap().check_android(15).is_ok(), "{allowed}");
        }
    }

    #[test]
    fn cancel_is_not_read_as_forwarding_to_zero() {
        let telecom = carrier_by_id("china-telecom").unwrap();
        assert_eq!(telecom.read(&ServiceCode::parse("*720").unwrap()).unwrap().operation, Operation::Cancel);
        assert_eq!(telecom.read(&ServiceCode::parse("*100#").unwrap()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            if let Ok(code) = ServiceCode::parse(&text) {
                for carrier in CARRIERS {
                    let _ = carrier.read(&code);
                }
                let _ = code.check_android(14);
            }
        }

        #[test]
        fn what_is_built_reads_back(number in r"\+?[1-9][0-9]{6,14}") {
            let target = DialString::parse(&number).unwrap();
            for carrier in CARRIERS {
                for templates in carrier.codes {
                    for operation in [Operation::Set, Operation::Cancel, Operation::Query] {
                        let Ok(code) = carrier.code(templates.condition, operation, Some(&target)) else { continue };
                        prop_assert_eq!(&ServiceCode::parse(&code.in_sms()).unwrap(), &code);
                        let Some(meaning) = carrier.read(&code) else { prop_assert!(carrier.id == "docomo"); continue };
                        prop_assert_eq!(meaning.operation, operation);
                        prop_assert_eq!(meaning.condition, templates.condition);
                        if operation == Operation::Set {
                            prop_assert_eq!(meaning.target.as_ref(), Some(&target));
                        }
                    }
                }
            }
        }
    }
}
