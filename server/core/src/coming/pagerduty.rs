//! What PagerDuty's REST API lists: users with their contact methods, teams, schedules with layers, overrides, escalation policies.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::converted::{Building, Converted, Part, Span, each, each_by_id, every, members, minutes, start, turn_at, turned};
use super::file::{LayerEntry, OverrideEntry, Ring};
use crate::numbers::Region;
use crate::roster::{text, wall as walls};
use crate::signal::said::Said;

/// The lists that are read.
pub const LISTS: [&str; 6] = ["users", "teams", "schedules", "overrides", "escalation_policies", "services"];

/// The minutes of a day.
const DAY: i64 = 24 * 60;

/// Reads them.
#[must_use]
pub fn read(value: &Value, region: Region, at: DateTime<Utc>) -> Converted {
    let (root, mut building) = (Said(value), Building::new(region, at));
    let users = each_by_id(root, "users");
    for user in &users {
        read_user(&mut building, *user);
    }
    let members = members(&users);
    for team in each_by_id(root, "teams") {
        let Some(id) = team.text("id") else { continue };
        building.team(&id, team.first(&["name", "summary"]), members.get(&id).map_or(&[], Vec::as_slice));
    }
    for schedule in each_by_id(root, "schedules") {
        read_schedule(&mut building, schedule);
    }
    for entry in each(root, "overrides") {
        if let Some(schedule) = entry.at(&["schedule", "id"]).and_then(Said::as_text) {
            read_override(&mut building, &schedule, entry);
        }
    }
    for policy in each_by_id(root, "escalation_policies") {
        read_policy(&mut building, policy);
    }
    for service in each(root, "services") {
        let policy = service.get("escalation_policy").and_then(|own| own.first(&["summary", "name", "id"]));
        if let (Some(name), Some(policy)) = (service.first(&["name", "summary"]), policy) {
            building.lost(format!("service {name} leads to the policy {policy}: make a key for what sends to it, and a rule"));
        }
    }
    building.done()
}

fn read_user(building: &mut Building, user: Said<'_>) {
    let Some(id) = user.text("id") else { return };
    let mut numbers = Vec::new();
    for method in user.list("contact_methods") {
        let kind = method.text("type").unwrap_or_default();
        let is_text = kind.starts_with("sms_contact_method");
        if !is_text && !kind.starts_with("phone_contact_method") {
            continue;
        }
        let Some(address) = method.text("address") else {
            building.lost("contact methods that are only named: ask for users with include[]=contact_methods");
            continue;
        };
        let number = match method.number("country_code") {
            Some(country) if !address.starts_with('+') => format!("+{country}{address}"),
            _ => address,
        };
        numbers.push((is_text, number));
    }
    // What is called stands before what gets texts.
    numbers.sort_by_key(|(is_text, _)| *is_text);
    if user.list("notification_rules").any(|rule| rule.number("start_delay_in_minutes").is_some_and(|delay| delay > 0)) {
        building.lost("notification rules of users: delays between their ways to be told");
    }
    let numbers = numbers.into_iter().map(|(_, number)| number).collect();
    building.person(&id, user.first(&["name", "summary"]), user.text("email"), numbers, None);
}

fn read_schedule(building: &mut Building, schedule: Said<'_>) {
    let Some(id) = schedule.text("id") else { return };
    let title = schedule.first(&["name", "summary"]).unwrap_or_else(|| id.clone());
    let zone = building.zone(&format!("schedule {title}"), schedule.text("time_zone"));
    let team = schedule.list("teams").find_map(|team| building.team_named(&team.text("id")?));
    building.begin();
    if schedule.list("teams").count() > 1 {
        building.lost(format!("schedule {title} is of several teams: here it is of one"));
    }
    // The first that they list is the one on top, and decides before the others.
    let layers: Vec<Said<'_>> = schedule.list("schedule_layers").collect();
    let mut level = i64::try_from(layers.len()).unwrap_or(0);
    let mut parts = Vec::new();
    for layer in layers {
        level -= 1;
        if layer.instant("end", TimeDelta::zero()).is_some_and(|end| end <= building.at) {
            // Each change of a layer leaves one that has ended.
            continue;
        }
        match read_layer(building, &title, zone, layer) {
            Some(layer) => parts.push(Part { level, layer }),
            None => building.left_out(),
        }
    }
    building.schedule(&id, Some(title), zone, team, parts);
    for entry in schedule.list("overrides") {
        read_override(building, &id, entry);
    }
}

fn read_layer(building: &mut Building, title: &str, zone: Tz, layer: Said<'_>) -> Option<LayerEntry> {
    let name = layer.text("name").unwrap_or_else(|| "layer".to_owned());
    let whose = format!("schedule {title}, layer {name}");
    let seconds = layer.number("rotation_turn_length_seconds").unwrap_or(0);
    let begins = layer.instant("rotation_virtual_start", TimeDelta::zero()).or_else(|| layer.instant("start", TimeDelta::zero()));
    let (Some(every), Some(begins)) = (every(seconds), begins.and_then(|at| start(zone, at))) else {
        building.lost(format!("{whose}: turns of {seconds} seconds; here they are whole hours: left out"));
        return None;
    };
    let user = |own: Said<'_>| own.at(&["user", "id"]).and_then(Said::as_text).or_else(|| own.text("id"));
    let ids: Vec<String> = layer.list("users").filter_map(user).collect();
    let people = building.turns(&whose, &ids);
    if people.is_empty() {
        building.lost(format!("{whose} has nobody: left out"));
        return None;
    }
    let spans: Vec<Span> = layer.list("restrictions").flat_map(restriction).collect();
    if layer.list("restrictions").any(|own| own.number("duration_seconds").is_some_and(|seconds| seconds % 60 != 0)) {
        building.lost(format!("{whose}: hours that end within a minute"));
    }
    let active = building.hours(&whose, &spans)?;
    // A layer begins with the turn that is under way then.
    let now = walls::local(zone, building.at);
    let from: Option<NaiveDateTime> = layer.instant("start", TimeDelta::zero()).and_then(|at| start(zone, at));
    let (begins, passed) = turn_at(begins, seconds, from.unwrap_or(begins));
    if from.is_some_and(|from| from > now && begins < from) {
        building.lost(format!("{whose} begins within a turn: here it begins with that turn"));
    }
    let end = layer.instant("end", TimeDelta::zero()).and_then(|end| start(zone, end)).map(text::write_wall);
    Some(LayerEntry {
        name,
        people: turned(&people, passed),
        every,
        start: text::write_wall(begins),
        end,
        active,
        ..LayerEntry::default()
    })
}

/// The times of a week in which a layer is active.
fn restriction(own: Said<'_>) -> Vec<Span> {
    let length = own.number("duration_seconds").unwrap_or(0) / 60;
    let Some(from) = own.text("start_time_of_day").and_then(|time| minutes(time.trim_end_matches('Z'))) else {
        return Vec::new();
    };
    match own.number("start_day_of_week").filter(|day| (1..=7).contains(day)) {
        Some(day) if own.text("type").as_deref() != Some("daily_restriction") => vec![((day - 1) * DAY + from, length)],
        _ => (0..7).map(|day| (day * DAY + from, length.min(DAY))).collect(),
    }
}

fn read_override(building: &mut Building, schedule: &str, entry: Said<'_>) {
    let Some((from, to)) = building.span(entry, "start", "end") else { return };
    let who = entry.at(&["user", "id"]).and_then(Said::as_text).unwrap_or_default();
    let Some(person) = building.known(&format!("an override from {from} to {to}"), &who) else { return };
    let change = OverrideEntry { action: "replace".to_owned(), person, ..OverrideEntry::default() };
    building.differs(schedule, (from, to), &change);
}

fn read_policy(building: &mut Building, policy: Said<'_>) {
    building.begin();
    let name = policy.first(&["name", "summary"]).unwrap_or_else(|| "policy".to_owned());
    let mut steps = Vec::new();
    for rule in policy.list("escalation_rules") {
        let mut ring = Vec::new();
        for target in rule.list("targets") {
            let id = target.text("id").unwrap_or_default();
            let found: Vec<Ring> = match target.text("type").unwrap_or_default().as_str() {
                "user" | "user_reference" => building.name_of(&id).map(Ring::Person).into_iter().collect(),
                "schedule" | "schedule_reference" => building.schedules_named(&id).into_iter().map(Ring::Schedule).collect(),
                _ => Vec::new(),
            };
            if found.is_empty() {
                let who = target.first(&["summary", "name", "id"]).unwrap_or_default();
                building.lost(format!("policy {name}: a step rings {who}, who is not in the file"));
            }
            ring.extend(found);
        }
        let delay = rule.number("escalation_delay_in_minutes").and_then(|delay| delay.checked_mul(60));
        steps.push((ring, delay));
    }
    let again = policy.number("num_loops").unwrap_or(0).max(0);
    building.policy(&name, again.saturating_add(1), steps);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::converted::layers_said;
    use super::*;

    fn sample() -> Converted {
        let value = serde_json::from_str(include_str!("../../../../fixtures/coming/pagerduty.json")).unwrap();
        read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn layers_stand_in_their_order_without_those_that_have_ended() {
        let Converted { settings, losses, .. } = sample();
        assert_eq!(settings.people[0].numbers.as_deref().unwrap(), ["+12125550123", "+12125550124"]);
        assert_eq!(settings.teams[0].members, ["Ann Archer", "Bob Baker"]);
        let [schedule] = settings.schedules.as_slice() else { panic!("{:#?}", settings.schedules) };
        assert_eq!(
            layers_said(schedule),
            [
                "Night Shift: Ann Archer+Bob Baker every 1 day from 2026-11-06T20:00, mon-sun 20:00-08:00",
                "Business hours: Bob Baker+Ann Archer every 1 week from 2026-11-02T09:00, tue-thu 00:00-24:00; \
                 fri 00:00-17:59; mon 09:00-24:00",
            ]
        );
        assert_eq!(settings.overrides[0].person, "Ann Archer");
        let policy = &settings.policies[0];
        assert_eq!((policy.rounds, policy.steps.len(), policy.steps[0].wait_seconds), (3, 2, Some(600)));
        assert_eq!(policy.steps[0].mode, crate::alarm::Mode::Parallel);
        assert!(losses.iter().any(|loss| loss.starts_with("service My Application Service")), "{losses:#?}");
        assert!(losses.iter().any(|loss| loss.contains("within a minute")), "{losses:#?}");
    }

    #[test]
    fn a_layer_that_begins_later_begins_with_the_turn_of_then() {
        let sample = |start: &str, seconds: i64| {
            let layer = serde_json::json!({
                "name": "l", "start": start, "rotation_virtual_start": "2026-11-02T09:00:00Z", "rotation_turn_length_seconds": seconds,
                "users": [{"user": {"id": "a"}}, {"user": {"id": "b"}}],
            });
            let value = serde_json::json!({
                "users": [{"id": "a", "name": "Ann"}, {"id": "b", "name": "Bob"}],
                "schedules": [{"id": "s", "name": "s", "time_zone": "UTC", "schedule_layers": [layer]}],
            });
            let converted = read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap());
            let layer = converted.settings.schedules[0].layers.first().map(|own| (own.people.join("+"), own.start.clone()));
            (layer, converted.losses.iter().filter(|loss| loss.contains("layer l")).count())
        };
        assert_eq!(sample("2026-12-07T09:00:00Z", 604_800), (Some(("Bob+Ann".to_owned(), "2026-12-07T09:00".to_owned())), 0));
        assert_eq!(sample("2026-12-08T09:00:00Z", 604_800), (Some(("Bob+Ann".to_owned(), "2026-12-07T09:00".to_owned())), 1));
        assert_eq!(sample("2026-11-02T09:00:00Z", 5400), (None, 1));
    }
}
