//! A message as it came, read leniently: what is null is missing, a number may be a text and a text a number.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;

/// One message, or one element of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// What it says: an object. A form is one of texts.
    pub body: Value,
    /// What stands in the address.
    pub query: BTreeMap<String, String>,
    /// The headers that a sender may speak in, by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Message {
    /// What it says.
    #[must_use]
    pub fn said(&self) -> Said<'_> {
        Said(&self.body)
    }

    /// A field of the address; `None` where it says nothing.
    #[must_use]
    pub fn in_address(&self, name: &str) -> Option<String> {
        Said(&Value::from(self.query.get(name)?.as_str())).as_text()
    }
}

/// Something that was said, of any form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said<'v>(pub &'v Value);

impl<'v> Said<'v> {
    /// A member; `None` where it is missing or null.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Said<'v>> {
        self.0.get(name).filter(|value| !value.is_null()).map(Said)
    }

    /// A member of a member.
    #[must_use]
    pub fn at(self, path: &[&str]) -> Option<Said<'v>> {
        path.iter().try_fold(self, |said, name| said.get(name))
    }

    /// It as a text, without blanks around it; `None` where it shows nothing. What is no text is written as one.
    #[must_use]
    pub fn as_text(self) -> Option<String> {
        let text = match self.0 {
            Value::Null => return None,
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        (!crate::visible::is_blank(&text)).then_some(text)
    }

    /// A member as a text.
    #[must_use]
    pub fn text(self, name: &str) -> Option<String> {
        self.get(name)?.as_text()
    }

    /// The first of these members that says something.
    #[must_use]
    pub fn first(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// It as a whole number, however it is written.
    #[must_use]
    pub fn as_number(self) -> Option<i64> {
        match self.0 {
            Value::Number(number) => number.as_i64().or_else(|| {
                let whole = number.as_f64()?.trunc().clamp(-1e15, 1e15);
                format!("{whole:.0}").parse().ok()
            }),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(yes) => Some((*yes).into()),
            _ => None,
        }
    }

    /// A member as a whole number.
    #[must_use]
    pub fn number(self, name: &str) -> Option<i64> {
        self.get(name)?.as_number()
    }

    /// A member as yes or no, however it is written.
    #[must_use]
    pub fn yes(self, name: &str) -> Option<bool> {
        match self.get(name)?.0 {
            Value::Bool(yes) => Some(*yes),
            other => match Said(other).as_text()?.to_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
        }
    }

    /// The elements of a list; of anything else, itself.
    pub fn each(self) -> impl Iterator<Item = Said<'v>> {
        let list = match self.0 {
            Value::Array(list) => list.as_slice(),
            Value::Null => &[],
            other => std::slice::from_ref(other),
        };
        list.iter().map(Said)
    }

    /// The elements of a member that is a list.
    pub fn list(self, name: &str) -> impl Iterator<Item = Said<'v>> {
        self.get(name).into_iter().flat_map(Said::each)
    }

    /// The members of an object, each as a text.
    #[must_use]
    pub fn texts(self) -> BTreeMap<String, String> {
        let members = self.0.as_object().into_iter().flatten();
        members.filter_map(|(name, value)| Some((name.clone(), Said(value).as_text()?))).collect()
    }

    /// A member as an instant: RFC 3339, with a zone without colon, without any zone, or seconds or milliseconds since 1970. `ahead` is how far
    /// clocks that name no zone are ahead of UTC.
    #[must_use]
    pub fn instant(self, name: &str, ahead: TimeDelta) -> Option<DateTime<Utc>> {
        instant(&self.text(name)?, ahead)
    }
}

/// An instant, as programs write it. None before 1971: that stands for *no time* with many. None after the year 9999 either.
#[must_use]
pub fn instant(text: &str, ahead: TimeDelta) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z"))
        .map(|at| at.to_utc())
        .ok()
        .or_else(|| {
            let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S"];
            let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
            local.and_utc().checked_sub_signed(ahead)
        })
        .or_else(|| {
            let number: i64 = text.split('.').next()?.parse().ok()?;
            // Seconds reach this in the year 5138.
            if number < 100_000_000_000 { DateTime::from_timestamp(number, 0) } else { DateTime::from_timestamp_millis(number) }
        })?;
    (365 * 86_400 + 1..253_402_300_800).contains(&at.timestamp()).then(|| at.trunc_subsecs(6))
}

/// Numbers or names with commas, semicolons or line ends between.
#[must_use]
pub fn split(text: &str) -> Vec<String> {
    let each = text.split([',', ';', '\n', '，', '；']).map(crate::visible::shown);
    each.filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// Whom a member names: a text with commas, or a list.
#[must_use]
pub fn whom(said: Option<Said<'_>>) -> Vec<String> {
    let each = said.into_iter().flat_map(Said::each).filter_map(Said::as_text);
    each.flat_map(|text| split(&text)).collect()
}

/// Lines of which some may be missing, one below the other.
#[must_use]
pub fn lines<const N: usize>(each: [Option<String>; N]) -> String {
    each.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Tags as labels: `name:value`, `name=value`, or a bare word.
#[must_use]
pub fn tags<'t>(each: impl Iterator<Item = &'t str>) -> BTreeMap<String, String> {
    each.filter_map(|tag| {
        let tag = crate::visible::shown(tag);
        let (name, value) = tag.split_once(['=', ':']).unwrap_or((tag, ""));
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn numbers_texts_and_nothing() {
        let body = json!({ "a": "  x ", "b": 7, "c": null, "d": " ", "e": "12", "f": 3.9, "g": [1, 2], "h": { "i": true } });
        let said = Said(&body);
        assert_eq!(said.text("a").as_deref(), Some("x"));
        assert_eq!((said.text("b").as_deref(), said.text("c"), said.text("d")), (Some("7"), None, None));
        assert_eq!((said.number("e"), said.number("f"), said.number("a")), (Some(12), Some(3), None));
        assert_eq!(said.list("g").filter_map(Said::as_number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(said.at(&["h", "i"]).and_then(Said::as_text).as_deref(), Some("true"));
        assert_eq!(said.first(&["z", "c", "b"]).as_deref(), Some("7"));
    }

    #[test]
    fn instants_in_all_spellings() {
        let at = DateTime::parse_from_rfc3339("2026-11-28T03:00:00Z").unwrap().to_utc();
        let zone = TimeDelta::hours(8);
        for text in [
            "2026-11-28T03:00:00Z",
            "2026-11-28T11:00:00.000+0800",
            "2026-11-28 11:00:00",
            "1795834800",
            "1795834800000",
            "1795834800.7",
        ] {
            assert_eq!(instant(text, zone), Some(at), "{text}");
        }
        for text in [
            "0001-01-01T00:00:00Z",
            "0",
            "yesterday",
            "",
            "99999999999999999999",
            "8210266876799999",
            "9999-12-31T23:59:59-12:00",
        ] {
            assert_eq!(instant(text, zone), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".*") {
            let _ = instant(&text, TimeDelta::zero());
            let _ = tags(split(&text).iter().map(String::as_str));
        }
    }
}
