//! What Opsgenie's API lists: users with their contacts, teams, schedules with rotations, overrides, escalations.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::converted::{Building, Converted, Part, Span, each, each_by_id, every, start};
use super::file::{LayerEntry, OverrideEntry, Ring};
use crate::numbers::Region;
use crate::roster::text;
use crate::signal::said::Said;

/// The lists that are read.
pub const LISTS: [&str; 5] = ["users", "teams", "schedules", "overrides", "escalations"];

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// The minutes of a week.
const WEEK: i64 = 7 * DAY;

/// Reads them.
#[must_use]
pub fn read(value: &Value, region: Region, at: DateTime<Utc>) -> Converted {
    let (root, mut building) = (Said(value), Building::new(region, at));
    for user in each_by_id(root, "users") {
        read_user(&mut building, user);
    }
    for team in each_by_id(root, "teams") {
        let members: Vec<String> = team.list("members").filter_map(|own| own.at(&["user", "id"])?.as_text()).collect();
        if let Some(id) = team.text("id") {
            building.team(&id, team.text("name"), &members);
            if team.list("routingRules").next().is_some() {
                building.lost(format!(
                    "team {}: its routing rules; write rules that lead to its policies",
                    team.text("name").unwrap_or(id)
                ));
            }
        }
    }
    for schedule in each_by_id(root, "schedules") {
        read_schedule(&mut building, schedule);
    }
    for entry in each(root, "overrides") {
        let schedule = entry.at(&["_parent", "id"]).or_else(|| entry.at(&["schedule", "id"])).and_then(Said::as_text);
        if let Some(schedule) = schedule {
            read_override(&mut building, &schedule, entry);
        }
    }
    for escalation in each_by_id(root, "escalations") {
        read_escalation(&mut building, escalation);
    }
    building.done()
}

fn read_user(building: &mut Building, user: Said<'_>) {
    let Some(id) = user.text("id") else { return };
    let email = user.text("username");
    let mut numbers = Vec::new();
    for contact in user.list("userContacts").chain(user.list("contacts")) {
        let way = contact.first(&["contactMethod", "method"]).unwrap_or_default();
        let is_on = contact.yes("enabled").or_else(|| contact.at(&["status"])?.yes("enabled")).unwrap_or(true);
        if matches!(way.as_str(), "voice" | "sms") && is_on {
            // Written as 1-5551234567: the country, then the rest.
            let number = contact.text("to").map(|to| if to.starts_with('+') { to } else { format!("+{to}") });
            numbers.extend(number.map(|number| (way != "voice", number)));
        }
    }
    // What is called stands before what gets texts.
    numbers.sort_by_key(|(is_text, _)| *is_text);
    let numbers = numbers.into_iter().map(|(_, number)| number).collect();
    if user.list("notificationRules").next().is_some() {
        building.lost("notification rules of users: delays between their ways to be told");
    }
    building.person(&id, user.text("fullName"), email.clone(), numbers, user.text("locale"));
    if let Some(email) = email {
        building.also_known_as(&id, &email);
    }
}

fn read_schedule(building: &mut Building, schedule: Said<'_>) {
    let Some(id) = schedule.text("id") else { return };
    let title = schedule.text("name").unwrap_or_else(|| id.clone());
    if schedule.yes("enabled") == Some(false) {
        building.lost(format!("schedule {title} is disabled: left out"));
        return;
    }
    let zone = building.zone(&format!("schedule {title}"), schedule.text("timezone"));
    let team = schedule.at(&["ownerTeam", "id"]).and_then(Said::as_text).and_then(|team| building.team_named(&team));
    building.begin();
    let mut parts = Vec::new();
    for rotation in schedule.list("rotations") {
        if rotation.instant("endDate", TimeDelta::zero()).is_some_and(|end| end <= building.at) {
            continue;
        }
        match read_rotation(building, &title, zone, rotation) {
            Some(part) => parts.push(part),
            None => building.left_out(),
        }
    }
    building.schedule(&id, Some(title), zone, team, parts);
    for entry in schedule.list("overrides") {
        read_override(building, &id, entry);
    }
}

fn read_rotation(building: &mut Building, title: &str, zone: Tz, rotation: Said<'_>) -> Option<Part> {
    let name = rotation.text("name").unwrap_or_else(|| "rotation".to_owned());
    let whose = format!("schedule {title}, rotation {name}");
    let unit = match rotation.text("type").unwrap_or_default().as_str() {
        "hourly" => 3600,
        "daily" => 86_400,
        "weekly" => 604_800,
        other => {
            building.lost(format!("{whose}: turns of the type {other:?}"));
            return None;
        }
    };
    let seconds = rotation.number("length").unwrap_or(1).checked_mul(unit).unwrap_or(0);
    let begins = rotation.instant("startDate", TimeDelta::zero()).and_then(|at| start(zone, at));
    let (Some(every), Some(begins)) = (every(seconds), begins) else {
        building.lost(format!("{whose}: when its turns begin, or how long they are"));
        return None;
    };
    let mut ids = Vec::new();
    for participant in rotation.list("participants") {
        match participant.text("type").as_deref() {
            Some("user") => ids.extend(participant.first(&["id", "username"])),
            Some("none") => building.lost(format!("{whose}: turns in which nobody is on duty; the others come around sooner")),
            other => {
                let (kind, who) = (other.unwrap_or("?"), participant.first(&["name", "id"]).unwrap_or_default());
                building.lost(format!("{whose}: the {kind} {who} takes turns; only people do here"));
            }
        }
    }
    let people = building.turns(&whose, &ids);
    if people.is_empty() {
        building.lost(format!("{whose} has nobody: left out"));
        return None;
    }
    let spans = rotation.get("timeRestriction").map(restriction).unwrap_or_default();
    let active = building.hours(&whose, &spans)?;
    let end = rotation.instant("endDate", TimeDelta::zero()).and_then(|end| start(zone, end)).map(text::write_wall);
    let layer = LayerEntry { name, people, every, start: text::write_wall(begins), end, active, ..LayerEntry::default() };
    Some(Part { level: 0, layer })
}

/// The times of a week in which a rotation is active.
fn restriction(own: Said<'_>) -> Vec<Span> {
    let of_day = |one: Said<'_>, hour: &str, minute: &str| {
        let (hour, minute) = (one.number(hour)?, one.number(minute).unwrap_or(0));
        ((0..=24).contains(&hour) && (0..60).contains(&minute)).then(|| (hour * 60 + minute).min(DAY))
    };
    let day = |one: Said<'_>, field: &str| {
        let name = one.text(field)?.to_lowercase();
        DAYS.iter().position(|day| *day == name).and_then(|place| i64::try_from(place).ok())
    };
    let mut spans = Vec::new();
    for one in own.list("restrictions").chain(own.get("restriction")) {
        let (Some(from), Some(to)) = (of_day(one, "startHour", "startMin"), of_day(one, "endHour", "endMin")) else { continue };
        match (day(one, "startDay"), day(one, "endDay")) {
            (Some(first), Some(last)) => {
                let (from, to) = (first * DAY + from, last * DAY + to);
                spans.push((from, (to - from - 1).rem_euclid(WEEK) + 1));
            }
            _ => spans.extend((0..7).map(|day| (day * DAY + from, (to - from - 1).rem_euclid(DAY) + 1))),
        }
    }
    spans
}

fn read_override(building: &mut Building, schedule: &str, entry: Said<'_>) {
    let Some((from, to)) = building.span(entry, "startDate", "endDate") else { return };
    let who = entry.get("user").and_then(|user| user.first(&["id", "username"])).unwrap_or_default();
    let Some(person) = building.known(&format!("an override from {from} to {to}"), &who) else { return };
    let names = building.schedules_named(schedule);
    if names.len() > 1 && entry.list("rotations").next().is_some() {
        building.lost(format!(
            "schedule {}: the override of {person} is of some rotations only: here it is of all",
            names.join(", ")
        ));
    }
    let change = OverrideEntry { action: "replace".to_owned(), person, ..OverrideEntry::default() };
    building.differs(schedule, (from, to), &change);
}

fn read_escalation(building: &mut Building, escalation: Said<'_>) {
    building.begin();
    let name = escalation.text("name").unwrap_or_else(|| "escalation".to_owned());
    let mut steps: Vec<(Vec<Ring>, i64)> = Vec::new();
    for rule in escalation.list("rules") {
        let amount = rule.at(&["delay", "timeAmount"]).and_then(Said::as_number).unwrap_or(0);
        let unit = match rule.at(&["delay", "timeUnit"]).and_then(Said::as_text).as_deref() {
            Some("hours") => 3600,
            Some("days") => 86_400,
            _ => 60,
        };
        let after = amount.checked_mul(unit).unwrap_or(0).max(0);
        if rule.text("condition").as_deref() == Some("if-not-closed") {
            building.lost(format!(
                "policy {name}: a step that also comes when the alarm was taken; here whoever takes it ends the steps"
            ));
        }
        if let Some(other) = rule.text("notifyType").filter(|own| own != "default" && own != "all") {
            building.lost(format!("policy {name}: a step for {other} only; here it is for whoever is on duty"));
        }
        let ring = rule.get("recipient").map(|recipient| recipients(building, &name, recipient)).unwrap_or_default();
        match steps.iter_mut().find(|(_, own)| *own == after) {
            Some((known, _)) => known.extend(ring),
            None => steps.push((ring, after)),
        }
    }
    steps.retain(|(ring, _)| !ring.is_empty());
    steps.sort_by_key(|(_, after)| *after);
    if steps.first().is_some_and(|(_, after)| *after > 0) {
        building.lost(format!("policy {name} begins some minutes after the alarm: here it begins at once"));
    }
    // Theirs are counted from the alarm, ours from the step before.
    let next: Vec<i64> = steps.iter().skip(1).map(|(_, after)| *after).collect();
    let steps: Vec<(Vec<Ring>, Option<i64>)> =
        steps.into_iter().enumerate().map(|(place, (ring, after))| (ring, next.get(place).map(|next| next - after))).collect();
    let again = escalation.at(&["repeat", "count"]).and_then(Said::as_number).unwrap_or(0);
    building.policy(&name, again.max(0).saturating_add(1), steps);
}

fn recipients(building: &mut Building, policy: &str, recipient: Said<'_>) -> Vec<Ring> {
    let id = recipient.text("id").unwrap_or_default();
    let kind = recipient.text("type").unwrap_or_default();
    let found = match kind.as_str() {
        "user" => {
            let other = recipient.text("username").unwrap_or_default();
            building.name_of(if building.knows(&id) { &id } else { &other }).map(Ring::Person).into_iter().collect()
        }
        "schedule" => building.schedules_named(&id).into_iter().map(Ring::Schedule).collect(),
        "team" => building.team_named(&id).map(Ring::Team).into_iter().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    if found.is_empty() {
        let who = recipient.first(&["name", "username", "id"]).unwrap_or_default();
        building.lost(format!("policy {policy}: a step rings the {kind} {who}, which is not in the file"));
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn sample() -> Converted {
        let value = serde_json::from_str(include_str!("../../../../fixtures/coming/opsgenie.json")).unwrap();
        read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn members_and_overrides_of_people_who_are_not_in_the_file_are_told_of() {
        let mut value: Value = serde_json::from_str(include_str!("../../../../fixtures/coming/opsgenie.json")).unwrap();
        value["users"].as_array_mut().unwrap().truncate(1);
        let Converted { settings, losses, .. } = read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap());
        assert_eq!((settings.teams[0].members.len(), settings.overrides.len()), (1, 0));
        for part in ["team ops: 4513b7ea", "an override from 2099-12-24"] {
            assert!(losses.iter().any(|loss| loss.contains(part) && loss.contains("is no user")), "{part}: {losses:#?}");
        }
    }

    #[test]
    fn people_come_with_the_numbers_that_are_called_before_those_that_get_texts() {
        let mut people = sample().settings.people;
        people.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(people[0].name, "Ann Archer");
        assert_eq!(people[0].numbers.as_deref().unwrap(), ["+861062345678", "+8618712345678"]);
        assert_eq!(people[0].language.as_deref(), Some("en-US"));
        assert_eq!(people[0].emails.as_deref().unwrap(), ["ann@example.com"]);
        assert_eq!(people[2].numbers, None, "what is not known here is not taken away");
    }

    #[test]
    fn rotations_become_layers_and_escalations_policies() {
        let Converted { settings, losses, .. } = sample();
        let [schedule] = settings.schedules.as_slice() else { panic!("{:#?}", settings.schedules) };
        assert_eq!((schedule.zone.as_str(), schedule.team.as_deref()), ("Europe/Berlin", Some("ops")));
        let [days, nights] = schedule.layers.as_slice() else { panic!("{schedule:#?}") };
        assert_eq!((days.people.join(","), days.every.as_str()), ("Ann Archer,Bob Baker".to_owned(), "1 week"));
        assert_eq!((days.start.as_str(), days.active.as_slice()), ("2026-11-02T08:00", &["mon-tue 08:00-20:00".to_owned()][..]));
        assert_eq!((nights.every.as_str(), nights.active.as_slice()), ("2 days", &["mon-sun 20:00-08:00".to_owned()][..]));
        let [policy] = settings.policies.as_slice() else { panic!("{:#?}", settings.policies) };
        let steps: Vec<(String, Option<i32>)> =
            policy.steps.iter().map(|step| (step.ring[0].to_string(), step.wait_seconds)).collect();
        let expected = [("schedule: ops_schedule", Some(300)), ("person: Ann Archer", Some(600)), ("team: ops", None)];
        assert_eq!(steps, expected.map(|(ring, wait)| (ring.to_owned(), wait)));
        assert_eq!(policy.rounds, 3);
        // The one that is over is not among them.
        assert_eq!(settings.overrides.len(), 1);
        assert!(losses.iter().any(|loss| loss.contains("the team ops takes turns")), "{losses:#?}");
        assert!(losses.iter().any(|loss| loss.contains("Eve has no number")), "{losses:#?}");
    }
}
