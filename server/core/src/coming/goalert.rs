//! What `GoAlert`'s `GraphQL` API lists: users with contact methods, rotations, schedules with their targets and rules, overrides, policies.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::converted::{Building, Converted, Part, Span, each, each_by_id, every, minutes, start, turn_at, turned};
use super::file::{LayerEntry, OverrideEntry, Ring, TemporaryEntry};
use crate::numbers::Region;
use crate::roster::{Times, text, wall as walls};
use crate::signal::said::Said;

/// The lists that are read.
pub const LISTS: [&str; 6] = ["users", "rotations", "schedules", "userOverrides", "escalationPolicies", "services"];

/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// When the only turn of somebody begins who takes none.
const LONG_AGO: &str = "2024-01-01T00:00";

/// Reads them.
#[must_use]
pub fn read(value: &Value, region: Region, at: DateTime<Utc>) -> Converted {
    let (root, mut building) = (Said(value), Building::new(region, at));
    for user in each_by_id(root, "users") {
        read_user(&mut building, user);
    }
    let with_id = |own: Said<'_>| own.text("id");
    let rotations: BTreeMap<String, Said<'_>> =
        each(root, "rotations").into_iter().filter_map(|own| Some((with_id(own)?, own))).collect();
    for schedule in each_by_id(root, "schedules") {
        read_schedule(&mut building, schedule, &rotations);
    }
    for entry in each(root, "userOverrides") {
        read_override(&mut building, entry);
    }
    for policy in each_by_id(root, "escalationPolicies") {
        read_policy(&mut building, policy, &rotations);
    }
    for service in each(root, "services") {
        let policy =
            service.get("escalationPolicy").and_then(|own| own.text("name")).or_else(|| service.text("escalationPolicyID"));
        if let (Some(name), Some(policy)) = (service.text("name"), policy) {
            building.lost(format!("service {name} leads to the policy {policy}: make a key for what sends to it, and a rule"));
        }
    }
    building.done()
}

fn read_user(building: &mut Building, user: Said<'_>) {
    let Some(id) = user.text("id") else { return };
    let mut numbers = Vec::new();
    for method in user.list("contactMethods").filter(|method| method.yes("disabled") != Some(true)) {
        let kind = method.text("type").unwrap_or_default();
        if matches!(kind.as_str(), "VOICE" | "SMS") {
            let delay = user.list("notificationRules").filter(|rule| rule.text("contactMethodID") == method.text("id"));
            let delay = delay.filter_map(|rule| rule.number("delayMinutes")).min().unwrap_or(i64::MAX);
            numbers.extend(method.text("value").map(|number| (kind != "VOICE", delay, number)));
        }
    }
    // What is called stands before what gets texts, and what comes first before what comes later.
    numbers.sort_by_key(|(is_text, delay, _)| (*is_text, *delay));
    if user.list("notificationRules").any(|rule| rule.number("delayMinutes").is_some_and(|delay| delay > 0)) {
        building.lost("notification rules of users: delays between their ways to be told");
    }
    let numbers = numbers.into_iter().map(|(_, _, number)| number).collect();
    building.person(&id, user.text("name"), user.text("email"), numbers, None);
}

/// A rotation as a layer of a schedule in this zone, active at these times.
fn rotation(building: &mut Building, zone: Tz, own: Said<'_>, spans: &[Span]) -> Option<LayerEntry> {
    let name = own.text("name").unwrap_or_else(|| "rotation".to_owned());
    let whose = format!("rotation {name}");
    let unit = match own.text("type").unwrap_or_default().as_str() {
        "hourly" => 3600,
        "daily" => 86_400,
        "weekly" => 604_800,
        other => {
            building.lost(format!("{whose}: turns of the type {other:?}: left out"));
            return None;
        }
    };
    let seconds = own.number("shiftLength").unwrap_or(1).checked_mul(unit).unwrap_or(0);
    let begins = own.instant("start", TimeDelta::zero()).and_then(|at| start(zone, at));
    let (Some(every), Some(begins)) = (every(seconds), begins) else {
        building.lost(format!("{whose}: when its turns begin, or how long they are: left out"));
        return None;
    };
    if own.text("timeZone").and_then(|name| text::zone(&name).ok()).is_some_and(|other| other != zone) {
        building.lost(format!("{whose} hands over by the clock of another zone than its schedule: here by {zone}"));
    }
    let mut ids: Vec<String> = own.list("userIDs").filter_map(Said::as_text).collect();
    if ids.is_empty() {
        ids = own.list("users").filter_map(|user| user.text("id")).collect();
    }
    // Whose turn it is, they keep; it does not follow from the beginning. From there it is counted back.
    let (_, passed) = turn_at(begins, seconds, walls::local(zone, building.at));
    let ids = turned(&ids, own.number("activeUserIndex").unwrap_or(0).checked_sub(passed).unwrap_or(0));
    let people = building.turns(&whose, &ids);
    if people.is_empty() {
        building.lost(format!("{whose} has nobody: left out"));
        return None;
    }
    let active = building.hours(&whose, spans)?;
    Some(LayerEntry { name, people, every, start: text::write_wall(begins), active, ..LayerEntry::default() })
}

fn read_schedule(building: &mut Building, schedule: Said<'_>, rotations: &BTreeMap<String, Said<'_>>) {
    let Some(id) = schedule.text("id") else { return };
    let title = schedule.text("name").unwrap_or_else(|| id.clone());
    let zone = building.zone(&format!("schedule {title}"), schedule.text("timeZone"));
    building.begin();
    let mut parts = Vec::new();
    for own in schedule.list("targets") {
        let spans: Vec<Span> = own.list("rules").flat_map(rule).collect();
        if spans.is_empty() {
            // A target without a time is never on duty.
            continue;
        }
        let Some(target) = own.get("target") else { continue };
        let who = target.text("id").unwrap_or_default();
        let layer = match (target.text("type").unwrap_or_default().as_str(), rotations.get(&who)) {
            ("rotation", Some(found)) => rotation(building, zone, *found, &spans),
            ("user", _) => building.known(&format!("schedule {title}"), &who).and_then(|name| {
                let active = building.hours(&format!("schedule {title}, {name}"), &spans)?;
                let (people, every, start) = (vec![name.clone()], "1 week".to_owned(), LONG_AGO.to_owned());
                Some(LayerEntry { name, people, every, start, active, ..LayerEntry::default() })
            }),
            _ => {
                let name = target.first(&["name", "id"]).unwrap_or_default();
                building.lost(format!("schedule {title}: {name}, which is not in the file"));
                None
            }
        };
        match layer {
            Some(layer) => parts.push(Part { level: 0, layer }),
            None => building.left_out(),
        }
    }
    building.schedule(&id, Some(title.clone()), zone, None, parts);
    for own in schedule.list("temporarySchedules") {
        read_temporary(building, &id, &title, own);
    }
}

/// The times of a week in which a target is on duty.
fn rule(own: Said<'_>) -> Vec<Span> {
    let time = |field: &str| own.text(field).and_then(|time| minutes(&time));
    let (Some(from), Some(to)) = (time("start"), time("end")) else { return Vec::new() };
    // From Sunday on; ours begin on Monday.
    let days = own.list("weekdayFilter").take(7).enumerate().filter(|(_, day)| day.0.as_bool() == Some(true));
    let monday = |place: usize| (i64::try_from(place).unwrap_or(0) + 6) % 7;
    days.map(|(place, _)| (monday(place) * DAY + from, (to - from - 1).rem_euclid(DAY) + 1)).collect()
}

fn read_temporary(building: &mut Building, id: &str, title: &str, own: Said<'_>) {
    let Some((begins, _)) = building.span(own, "start", "end") else { return };
    let whose = format!("schedule {title}, temporary schedule from {begins}");
    building.lost(format!("{whose}: where it has nobody, here the ordinary one holds"));
    let names = building.schedules_named(id);
    let mut shifts: Vec<(Times, String)> = Vec::new();
    for shift in own.list("shifts") {
        let Some(times) = building.span(shift, "start", "end") else { continue };
        let id = shift.text("userID").or_else(|| shift.at(&["user", "id"])?.as_text()).unwrap_or_default();
        shifts.extend(building.known(&whose, &id).map(|person| (times, person)));
    }
    shifts.sort();
    let mut until = DateTime::<Utc>::MIN_UTC;
    for ((from, to), person) in shifts {
        if from < until {
            building.lost(format!("{whose}: several are on duty together: here whoever began last is"));
        }
        until = until.max(to);
        for schedule in &names {
            let entry = TemporaryEntry {
                schedule: schedule.clone(),
                name: "temporary".to_owned(),
                starts_at: text::shown(Tz::UTC, from),
                ends_at: text::shown(Tz::UTC, to),
                people: vec![person.clone()],
                ..TemporaryEntry::default()
            };
            building.settings().temporaries.push(entry);
        }
    }
}

fn read_override(building: &mut Building, entry: Said<'_>) {
    let Some((from, to)) = building.span(entry, "start", "end") else { return };
    let whose = format!("an override from {from} to {to}");
    let said = |id: &str, user: &str| entry.text(id).or_else(|| entry.at(&[user, "id"])?.as_text());
    // Half of it would say something else: with nobody instead of somebody, nobody would be on duty.
    let mut known = |said: Option<String>| said.map_or(Some(None), |id| building.known(&whose, &id).map(Some));
    let (Some(add), Some(remove)) = (known(said("addUserID", "addUser")), known(said("removeUserID", "removeUser"))) else {
        return;
    };
    let (action, person, instead_of) = match (add, remove) {
        (Some(add), Some(remove)) => ("replace", add, Some(remove)),
        (Some(add), None) => ("add", add, None),
        (None, Some(remove)) => ("remove", remove, None),
        (None, None) => {
            building.lost(format!("{whose} of nobody"));
            return;
        }
    };
    let id = entry.at(&["target", "id"]).and_then(Said::as_text).unwrap_or_default();
    let change = OverrideEntry { action: action.to_owned(), person, instead_of, ..OverrideEntry::default() };
    building.differs(&id, (from, to), &change);
}

fn read_policy(building: &mut Building, policy: Said<'_>, rotations: &BTreeMap<String, Said<'_>>) {
    building.begin();
    let name = policy.text("name").unwrap_or_else(|| "policy".to_owned());
    let mut steps = Vec::new();
    for step in policy.list("steps") {
        let mut ring = Vec::new();
        for target in step.list("targets") {
            let id = target.text("id").unwrap_or_default();
            let kind = target.text("type").unwrap_or_default();
            let found: Vec<Ring> = match kind.as_str() {
                "user" => building.name_of(&id).map(Ring::Person).into_iter().collect(),
                "schedule" => building.schedules_named(&id).into_iter().map(Ring::Schedule).collect(),
                "rotation" => of_rotation(building, &id, rotations),
                _ => Vec::new(),
            };
            if found.is_empty() {
                let who = target.first(&["name", "id"]).unwrap_or_default();
                building.lost(format!("policy {name}: a step tells the {kind} {who}, which cannot be rung here"));
            }
            ring.extend(found);
        }
        steps.push((ring, step.number("delayMinutes").and_then(|delay| delay.checked_mul(60))));
    }
    let again = policy.number("repeat").unwrap_or(0).max(0);
    building.policy(&name, again.saturating_add(1), steps);
}

/// A rotation that a policy rings by itself becomes a schedule.
fn of_rotation(building: &mut Building, id: &str, rotations: &BTreeMap<String, Said<'_>>) -> Vec<Ring> {
    let Some(own) = rotations.get(id) else { return Vec::new() };
    let key = format!("rotation {id}");
    if !building.has_schedule(&key) {
        let name = own.text("name");
        let zone = building.zone(&format!("rotation {}", name.clone().unwrap_or_default()), own.text("timeZone"));
        let part = rotation(building, zone, *own, &[]).map(|layer| Part { level: 0, layer });
        building.schedule(&key, name, zone, None, part.into_iter().collect());
    }
    building.schedules_named(&key).into_iter().map(Ring::Schedule).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn sample(at: &str) -> Converted {
        let value = serde_json::from_str(include_str!("../../../../fixtures/coming/goalert.json")).unwrap();
        read(&value, Region::CN, at.parse().unwrap())
    }

    #[test]
    fn whose_turn_it_is_stays() {
        // The third week since the beginning, and Bob's: so the first was Bob's too.
        let converted = sample("2026-11-20T12:00:00Z");
        let layer = &converted.settings.schedules[0].layers[0];
        assert_eq!((layer.people.join("+"), layer.start.as_str()), ("Bob Baker+Ann Archer".to_owned(), "2026-11-02T08:00"));
        assert_eq!(sample("2026-11-10T12:00:00Z").settings.schedules[0].layers[0].people[0], "Ann Archer");
    }

    fn changed(change: impl Fn(&mut Value)) -> Converted {
        let mut value = serde_json::from_str(include_str!("../../../../fixtures/coming/goalert.json")).unwrap();
        change(&mut value);
        read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap())
    }

    fn is_told(converted: &Converted, parts: &[&str]) -> bool {
        converted.losses.iter().any(|loss| parts.iter().all(|part| loss.contains(part)))
    }

    #[test]
    fn an_override_by_somebody_who_is_not_in_the_file_takes_nobody_off_duty() {
        for whose in ["addUserID", "removeUserID"] {
            let converted = changed(|value| value["userOverrides"]["nodes"][0][whose] = "gone".into());
            assert_eq!(converted.settings.overrides, []);
            assert!(is_told(&converted, &["an override", "gone is no user"]), "{:#?}", converted.losses);
        }
        // What is not said is not meant: they write it as an empty text.
        let converted = changed(|value| value["userOverrides"]["nodes"][0]["addUserID"] = "".into());
        assert_eq!(converted.settings.overrides[0].action, "remove");
        let converted = changed(|value| value["userOverrides"]["nodes"][0]["target"]["id"] = "elsewhere".into());
        assert!(is_told(&converted, &["an override", "a schedule that is not taken over"]), "{:#?}", converted.losses);
    }

    #[test]
    fn whoever_is_dropped_and_what_is_on_duty_together_is_told() {
        let converted = changed(|value| {
            value["schedules"]["nodes"][0]["targets"][1]["target"]["id"] = "left".into();
            let temporary = &mut value["schedules"]["nodes"][0]["temporarySchedules"][0];
            let mut second = temporary["shifts"][0].clone();
            second["start"] = "2099-12-25T00:00:00Z".into();
            let mut third = second.clone();
            third["userID"] = "retired".into();
            temporary["shifts"].as_array_mut().unwrap().extend([second, third]);
        });
        assert!(is_told(&converted, &["schedule Primary", "left is no user"]), "{:#?}", converted.losses);
        assert!(is_told(&converted, &["temporary schedule", "retired is no user"]), "{:#?}", converted.losses);
        assert!(is_told(&converted, &["temporary schedule", "several are on duty together"]), "{:#?}", converted.losses);
        assert!(!is_told(&sample("2026-11-20T12:00:00Z"), &["several are on duty together"]));
    }

    #[test]
    fn targets_that_are_on_duty_together_are_schedules_of_their_own() {
        let Converted { settings, losses, .. } = sample("2026-11-20T12:00:00Z");
        let schedules: Vec<(String, Vec<String>)> = settings
            .schedules
            .iter()
            .map(|own| (own.name.clone(), own.layers.iter().map(|layer| layer.active.join("; ")).collect()))
            .collect();
        let expected: [(&str, &[&str]); 3] = [
            ("Primary", &["mon-fri 08:00-20:00", "sat-sun 00:00-24:00"]),
            ("Primary 2", &["mon-sun 12:00-13:00"]),
            ("Second line", &[""]),
        ];
        let expected =
            expected.map(|(name, layers)| (name.to_owned(), layers.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>()));
        assert_eq!(schedules, expected);
        let rings: Vec<Vec<String>> =
            settings.policies[0].steps.iter().map(|step| step.ring.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(rings, [vec!["schedule: Primary", "schedule: Primary 2"], vec!["schedule: Second line"]]);
        assert_eq!(settings.policies[0].rounds, 4);
        assert_eq!(settings.people[0].numbers.as_deref().unwrap(), ["+12125550123", "+12125550124"]);
        assert_eq!((settings.overrides.len(), settings.temporaries.len()), (2, 2));
        assert_eq!(settings.overrides[0].instead_of.as_deref(), Some("Ann Archer"));
        assert!(losses.iter().any(|loss| loss.contains("slackChannel #ops")), "{losses:#?}");
        assert!(losses.iter().any(|loss| loss.contains("service Shop")), "{losses:#?}");
    }
}
