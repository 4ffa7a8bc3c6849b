//! A calendar that is kept elsewhere and read again and again: how its address is shown, when it is asked next, and what may be wrong
//! with it. Pure.

use std::fmt;
use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// How often a calendar is asked, in minutes, unless somebody says.
pub const USUAL_MINUTES: i32 = 15;
/// How often it may be asked, in minutes: a day is the longest that a schedule may be behind.
pub const MINUTES: RangeInclusive<i32> = 5..=1_440;
/// The layer that holds what a calendar says, unless another is named.
pub const USUAL_LAYER: &str = "calendar";
/// So many failures in a row are worth a notice: with the pauses between them some three minutes, so that a server elsewhere may restart.
pub const FAILURES_TO_TELL: i32 = 3;

/// After failures in a row.
const PAUSES: Backoff = Backoff::new(TimeDelta::minutes(1), TimeDelta::hours(1));
/// A calendar that is asked again so much later than it would be otherwise is not waited for: people are told without it.
const LATE_ANSWERS: TimeDelta = TimeDelta::minutes(2);
/// Whoever asks for more patience than this is asked all the same: people may be on duty by what changes meanwhile.
const MOST_PATIENCE: TimeDelta = TimeDelta::hours(6);
/// So many characters of an address are shown at its end, where there are enough others.
const SHOWN: usize = 4;
const ENOUGH: usize = 24;
/// So many lines are told of what a calendar is refused for: the rest is much the same.
const MOST_LINES: usize = 5;

/// The address of a calendar. It is often all that whoever reads it needs to know, so it is not written anywhere but on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// An address that was checked.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// All of it: for whoever asks there.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    /// Its host and last characters, by which people tell addresses apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        write!(f, "{scheme}://{host}")?;
        let hidden = path.chars().count().saturating_sub(SHOWN);
        match path.len() {
            0 | 1 => Ok(()),
            _ if hidden < ENOUGH => write!(f, "/…"),
            _ => write!(f, "/…{}", path.chars().skip(hidden).collect::<String>()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Why nobody could be asked for a calendar, or the answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "String")]
pub enum Unreached {
    /// The name in its address is known to nobody.
    UnknownName,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    NoWay,
    /// The connection or the answer broke off.
    BrokeOff,
    /// Its certificate is not trusted, or no encryption could be agreed.
    Certificate,
    /// Anything else; the log says what.
    Other,
}

impl Unreached {
    const ALL: [Self; 6] = [Self::UnknownName, Self::Refused, Self::NoWay, Self::BrokeOff, Self::Certificate, Self::Other];

    /// The stable word for it; also the end of the name of its sentence in the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown_name",
            Self::Refused => "refused",
            Self::NoWay => "no_way",
            Self::BrokeOff => "broke_off",
            Self::Certificate => "certificate",
            Self::Other => "other",
        }
    }
}

impl From<String> for Unreached {
    /// What was kept before there were words for it was what the system says.
    fn from(word: String) -> Self {
        Self::ALL.into_iter().find(|own| own.word() == word).unwrap_or(Self::Other)
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "the name in its address is known to nobody",
            Self::Refused => "nothing listens there",
            Self::NoWay => "no way leads there from here",
            Self::BrokeOff => "the connection breaks off",
            Self::Certificate => "its certificate is not trusted",
            Self::Other => "nobody can be reached there",
        })
    }
}

/// Why a calendar could not be read. Nothing of it holds the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", content = "detail", rename_all = "snake_case")]
pub enum Trouble {
    /// It lies inside, or leads there.
    ClosedAddress,
    /// Nobody answered, or the answer broke off.
    Unreachable(Unreached),
    /// It took too long.
    Slow,
    /// Another answer than a calendar: its HTTP status.
    Status(u16),
    /// It leads from one address to the next without an end, to where no calendar can be, or from https to http.
    Redirects,
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// A page for people, such as one to log in on.
    WebPage,
    /// Nothing at all.
    Empty,
    /// What an import of it is refused for, line by line.
    Unreadable(Vec<String>),
    /// To follow its rules takes too long.
    TooCostly,
}

impl Trouble {
    /// An import of it is refused, for these reasons.
    #[must_use]
    pub fn unreadable(mut lines: Vec<String>) -> Self {
        lines.truncate(MOST_LINES);
        Self::Unreadable(lines)
    }

    /// What may stand in a log: nothing of the calendar itself.
    #[must_use]
    pub fn logged(&self) -> String {
        if matches!(self, Self::Unreadable(_)) { String::new() } else { self.detail() }
    }

    /// The end of the name of its sentence in the catalogue.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Unreachable(Unreached::Other) => self.code().to_owned(),
            Self::Unreachable(why) => format!("{}_{}", self.code(), why.word()),
            _ => self.code().to_owned(),
        }
    }

    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClosedAddress => "closed_address",
            Self::Unreachable(_) => "unreachable",
            Self::Slow => "slow",
            Self::Status(_) => "status",
            Self::Redirects => "redirects",
            Self::TooLarge(_) => "too_large",
            Self::WebPage => "web_page",
            Self::Empty => "empty",
            Self::Unreadable(_) => "unreadable",
            Self::TooCostly => "too_costly",
        }
    }

    /// What stands in its sentence.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unreachable(why) => why.word().to_owned(),
            Self::Status(status) => status.to_string(),
            Self::TooLarge(most) => most.to_string(),
            Self::Unreadable(lines) => lines.join("; "),
            Self::ClosedAddress | Self::Slow | Self::Redirects | Self::WebPage | Self::Empty | Self::TooCostly => String::new(),
        }
    }
}

impl fmt::Display for Trouble {
    /// For programs and the command line; people read it in their language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedAddress => f.write_str(
                "its address is inside this network, or leads there; add the network to roster.allow_networks if that is meant",
            ),
            Self::Unreachable(why) => why.fmt(f),
            Self::Slow => f.write_str("it takes too long"),
            Self::Status(status) => write!(f, "the answer is HTTP {status}"),
            Self::Redirects => f.write_str("its address leads nowhere"),
            Self::TooLarge(most) => write!(f, "it is larger than {most} bytes"),
            Self::WebPage => f.write_str("the answer is a web page, such as one to log in on"),
            Self::Empty => f.write_str("the answer is empty"),
            Self::Unreadable(lines) => write!(f, "it is no calendar of shifts ({})", lines.join("; ")),
            Self::TooCostly => f.write_str("its rules take too long to follow"),
        }
    }
}

/// When people are told of a calendar that cannot be read, before it is asked again: its server wants so much patience that the failures
/// which are worth a notice would come too late. `asked_at` is the latest of `failures` in a row. `None`: not before the next answer.
#[must_use]
pub fn told_at(failures: i32, asked_at: DateTime<Utc>, due_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_patient = due_at > asked_at + PAUSES.pause(failures - 1) + LATE_ANSWERS;
    let left = (failures.max(1)..FAILURES_TO_TELL).map(|failures| PAUSES.pause(failures - 1)).sum::<TimeDelta>();
    is_patient.then_some(asked_at + left)
}

/// When to ask again: after `failures` failures in a row sooner than usual at first, so that a short absence is soon over, then ever more
/// rarely. `asked_for` is how much patience the other side wants.
#[must_use]
pub fn pause(every_minutes: i32, failures: i32, asked_for: Option<TimeDelta>) -> TimeDelta {
    if failures <= 0 {
        return TimeDelta::minutes(i64::from(every_minutes));
    }
    let pause = PAUSES.pause(failures - 1);
    asked_for.map_or(pause, |asked_for| pause.max(asked_for.min(MOST_PATIENCE)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_an_address_only_host_and_end_are_shown() {
        let google =
            "https://calendar.google.com/calendar/ical/ops%40example.com/private-0123456789abcdef0123456789abcdef/basic.ics";
        for (address, shown) in [
            (google, "https://calendar.google.com/….ics"),
            (
                "https://ops:secret@dav.example.com:8443/calendars/ops/on-call-of-the-platform?export",
                "https://dav.example.com:8443/…port",
            ),
            ("https://example.com/a1b2c3d4e5f6", "https://example.com/…"),
            ("https://example.com?token=a1b2c3d4e5f6", "https://example.com/…"),
            ("https://example.com/", "https://example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            let address = Address::new(address);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
        }
    }

    #[test]
    fn failures_are_tried_again_soon_and_then_rarely() {
        let minutes = |failures| pause(15, failures, None).num_minutes();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 100].map(minutes), [15, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let patient = |asked_for| pause(15, 1, Some(asked_for));
        assert_eq!(patient(TimeDelta::minutes(30)), TimeDelta::minutes(30));
        assert_eq!(patient(TimeDelta::seconds(3)), TimeDelta::minutes(1));
        assert_eq!(patient(TimeDelta::days(30)), TimeDelta::hours(6));
        assert_eq!(pause(15, 0, Some(TimeDelta::days(30))), TimeDelta::minutes(15), "only failures ask for patience");
    }

    #[test]
    fn patience_delays_no_notice() {
        let asked_at: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let told = |failures, minutes| {
            told_at(failures, asked_at, asked_at + TimeDelta::minutes(minutes)).map(|at| (at - asked_at).num_minutes())
        };
        assert_eq!([(1, 1), (2, 2), (1, 3)].map(|(failures, pause)| told(failures, pause)), [None; 3], "the third failure tells");
        assert_eq!([told(1, 30), told(1, 360), told(2, 30), told(3, 30)], [Some(3), Some(3), Some(2), Some(0)]);
    }

    #[test]
    fn what_is_wrong_reads_back() {
        let lines = vec!["event 1 (x): it has no DTSTART".to_owned()];
        let all = [
            Trouble::ClosedAddress,
            Trouble::Unreachable(Unreached::Refused),
            Trouble::Slow,
            Trouble::Status(404),
            Trouble::Redirects,
            Trouble::TooLarge(4_194_304),
            Trouble::WebPage,
            Trouble::Empty,
            Trouble::Unreadable(lines),
            Trouble::TooCostly,
        ];
        for trouble in all {
            let written = serde_json::to_value(&trouble).unwrap();
            assert_eq!(written["code"], trouble.code());
            assert_eq!(serde_json::from_value::<Trouble>(written).unwrap(), trouble);
        }
    }

    #[test]
    fn every_reason_is_kept_as_its_word_and_older_ones_were_the_system_s() {
        for why in Unreached::ALL {
            assert_eq!(serde_json::to_value(why).unwrap(), why.word());
            assert_eq!(serde_json::from_value::<Unreached>(why.word().into()).unwrap(), why);
        }
        let kept = serde_json::json!({ "code": "unreachable", "detail": "Connection refused (os error 111)" });
        assert_eq!(serde_json::from_value::<Trouble>(kept).unwrap(), Trouble::Unreachable(Unreached::Other));
    }

    proptest! {
        #[test]
        fn no_address_shows_what_it_hides(host in "[a-z]{1,10}\\.example", secret in "[a-zA-Z0-9]{6,60}", before in "[a-z/]{0,20}") {
            let shown = Address::new(format!("https://user:{secret}@{host}/{before}{secret}")).to_string();
            let start = format!("https://{host}/…");
            prop_assert!(shown.starts_with(&start));
            prop_assert!(!shown.contains(&secret));
            prop_assert!(shown.chars().count() <= host.len() + 14, "{}", shown);
        }

        #[test]
        fn pauses_never_shrink_and_are_bounded(failures in 1_i32..200, every in MINUTES) {
            let (one, next) = (pause(every, failures, None), pause(every, failures + 1, None));
            prop_assert!(TimeDelta::zero() < one && one <= next && next <= TimeDelta::hours(1));
        }
    }
}
