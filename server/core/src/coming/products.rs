//! The products whose lists are read, each with its reader.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::converted::Converted;
use super::{goalert, oncall, opsgenie, pagerduty};
use crate::numbers::Region;

/// A larger file is surely another one, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// A product that people come from.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What its makers call it.
    pub title: &'static str,
    /// The lists that are read, by the names that they have in the file.
    pub lists: &'static [&'static str],
    read: fn(&Value, Region, DateTime<Utc>) -> Converted,
}

/// All of them.
pub const PRODUCTS: [Product; 4] = [
    Product { name: "goalert", title: "GoAlert", lists: &goalert::LISTS, read: goalert::read },
    Product { name: "oncall", title: "Grafana OnCall", lists: &oncall::LISTS, read: oncall::read },
    Product { name: "opsgenie", title: "Opsgenie", lists: &opsgenie::LISTS, read: opsgenie::read },
    Product { name: "pagerduty", title: "PagerDuty", lists: &pagerduty::LISTS, read: pagerduty::read },
];

impl Product {
    /// The product of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|product| product.name == name)
    }

    /// Reads what its API lists. What is over at `at` is left out; numbers without a country are of `region`.
    ///
    /// # Errors
    /// When it is no JSON, has none of the lists, or does not have that of users, without which there is nobody: a sentence.
    pub fn read(&self, bytes: &[u8], region: Region, at: DateTime<Utc>) -> Result<Converted, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
        let value = value.get("data").filter(|inner| self.lists.iter().any(|list| inner.get(list).is_some())).unwrap_or(&value);
        if !self.lists.iter().any(|list| value.get(list).is_some()) {
            let lists = self.lists.join(", ");
            return Err(format!("there is nothing of {} in it: it is an object with {lists}", self.title));
        }
        if !value.get("users").is_some_and(|users| users.is_array() || users.is_object()) {
            return Err(
                "there is no list of users in it, and whoever takes turns would be nobody: put it into the file".to_owned()
            );
        }
        Ok((self.read)(value, region, at))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::plan::{Known, Plan, Wish};
    use super::super::reading::{Document, read};
    use super::*;
    use proptest::prelude::*;

    const SAMPLES: [(&str, &str); 4] = [
        ("goalert", include_str!("../../../../fixtures/coming/goalert.json")),
        ("oncall", include_str!("../../../../fixtures/coming/oncall.json")),
        ("opsgenie", include_str!("../../../../fixtures/coming/opsgenie.json")),
        ("pagerduty", include_str!("../../../../fixtures/coming/pagerduty.json")),
    ];

    fn at() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_converted_can_be_applied_and_says_the_same_when_it_is_written() {
        for (name, sample) in SAMPLES {
            let converted = Product::named(name).unwrap().read(sample.as_bytes(), Region::CN, at()).unwrap();
            let written = converted.settings.write().unwrap();
            let wish = |document| Wish { document, remove: false, region: Region::CN, at: at() };
            let direct = Document { settings: converted.settings, ..Document::default() };
            let plan =
                Plan::make(&Known::default(), &wish(direct)).unwrap_or_else(|wrong| panic!("{name}: {wrong:#?}\n{written}"));
            let again = Plan::make(&Known::default(), &wish(read(&written).unwrap())).unwrap();
            // What is said of an entry also has its line there.
            assert_eq!(again.notes.len(), plan.notes.len(), "{name}: {:?}", again.notes);
            assert_eq!(Plan { notes: plan.notes.clone(), ..again }, plan, "{name}");
        }
    }

    #[test]
    fn another_file_is_refused_with_what_is_looked_for() {
        let told = Product::named("opsgenie").unwrap().read(b"{\"alerts\": []}", Region::CN, at()).unwrap_err();
        assert!(told.contains("users, teams, schedules"), "{told}");
        for none in [r#"{"teams": []}"#, r#"{"teams": [], "users": null}"#] {
            let told = Product::named("opsgenie").unwrap().read(none.as_bytes(), Region::CN, at()).unwrap_err();
            assert!(told.contains("no list of users"), "{told}");
        }
        assert!(Product::named("opsgenie").unwrap().read(b"{", Region::CN, at()).unwrap_err().contains("no JSON"));
    }

    /// Anything at all in the place of one value of a sample.
    fn spoilt(value: &mut Value, place: &mut usize, with: &Value) {
        if *place == 0 {
            *value = with.clone();
        }
        *place = place.wrapping_sub(1);
        match value {
            Value::Array(list) => list.iter_mut().for_each(|one| spoilt(one, place, with)),
            Value::Object(members) => members.values_mut().for_each(|one| spoilt(one, place, with)),
            _ => {}
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(vec![0_i64, -1, 1, 604_800, i64::MAX, i64::MIN]).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,30}".prop_map(Value::from),
            prop::sample::select(vec!["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "24:00", "25:61:00"]).prop_map(Value::from),
            Just(serde_json::json!([])),
            Just(serde_json::json!([{}, [], null])),
            Just(serde_json::json!({"id": {}, "name": []})),
        ]
    }

    proptest! {
        #[test]
        fn no_reader_panics(which in 0..4_usize, place in 0..600_usize, with in anything()) {
            let (name, sample) = SAMPLES[which];
            let mut value: Value = serde_json::from_str(sample).unwrap();
            spoilt(&mut value, &mut { place }, &with);
            if let Ok(converted) = Product::named(name).unwrap().read(value.to_string().as_bytes(), Region::CN, at()) {
                // Whatever it says can be applied, or what is wrong is told.
                let document = Document { settings: converted.settings, ..Document::default() };
                let _ = Plan::make(&Known::default(), &Wish { document, remove: false, region: Region::CN, at: at() });
            }
        }
    }
}
