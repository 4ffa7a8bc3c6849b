//! What Grafana `OnCall`'s API lists: users, teams, schedules with their shifts, escalation chains with their steps.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::converted::{Building, Converted, Part, Span, each, each_by_id, every, members, start};
use super::file::{LayerEntry, OverrideEntry, Ring};
use crate::numbers::Region;
use crate::roster::{text, wall as walls};
use crate::signal::said::Said;

/// The lists that are read.
pub const LISTS: [&str; 7] =
    ["users", "teams", "schedules", "on_call_shifts", "escalation_chains", "escalation_policies", "personal_notification_rules"];

const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// Their *repeat the steps* does it so often at most.
const REPEATS: i64 = 5;

/// Reads them.
#[must_use]
pub fn read(value: &Value, region: Region, at: DateTime<Utc>) -> Converted {
    let (root, mut building) = (Said(value), Building::new(region, at));
    let users = each_by_id(root, "users");
    for user in &users {
        let Some(id) = user.text("id") else { continue };
        let numbers = ["verified_phone_number", "phone_number"].into_iter().filter_map(|field| user.text(field)).collect();
        building.person(&id, user.first(&["name", "username"]), user.text("email"), numbers, None);
    }
    if users.iter().any(|user| user.first(&["verified_phone_number", "phone_number"]).is_none()) {
        building.lost("numbers of users, which their API does not tell: add them with `autocall people import`");
    }
    let members = members(&users);
    for team in each_by_id(root, "teams") {
        let Some(id) = team.text("id") else { continue };
        building.team(&id, team.text("name"), members.get(&id).map_or(&[], Vec::as_slice));
    }
    let shifts: BTreeMap<String, Said<'_>> =
        each(root, "on_call_shifts").into_iter().filter_map(|own| Some((own.text("id")?, own))).collect();
    for schedule in each_by_id(root, "schedules") {
        read_schedule(&mut building, schedule, &shifts);
    }
    read_chains(&mut building, root);
    if !each(root, "personal_notification_rules").is_empty() {
        building.lost("notification rules of users: delays between their ways to be told");
    }
    building.done()
}

fn read_schedule(building: &mut Building, schedule: Said<'_>, shifts: &BTreeMap<String, Said<'_>>) {
    let Some(id) = schedule.text("id") else { return };
    let title = schedule.text("name").unwrap_or_else(|| id.clone());
    for (field, what) in [("ical_url_primary", "follows a calendar"), ("ical_url_overrides", "has a calendar of overrides")] {
        if schedule.text(field).is_some() {
            building.lost(format!("schedule {title} {what}: give its address to `autocall roster set-calendar`"));
        }
    }
    let zone = building.zone(&format!("schedule {title}"), schedule.text("time_zone"));
    let team = schedule.text("team_id").and_then(|team| building.team_named(&team));
    building.begin();
    let now = walls::local(zone, building.at);
    let mut parts = Vec::new();
    let mut single = Vec::new();
    for shift in schedule.list("shifts").filter_map(Said::as_text) {
        let Some(own) = shifts.get(&shift).copied() else {
            building.lost(format!("schedule {title}: the shift {shift}, which is not in the file"));
            continue;
        };
        match own.text("type").as_deref() {
            Some("single_event" | "override") => single.push(own),
            _ if begins(own, "until", zone).is_some_and(|until| until <= now) => {}
            _ => match turns(building, &title, zone, own) {
                none if none.is_empty() => building.left_out(),
                found => parts.extend(found),
            },
        }
    }
    building.schedule(&id, Some(title), zone, team, parts);
    for own in single {
        one_shift(building, &id, zone, own);
    }
}

/// When a shift begins first: a wall time of its own zone, of the schedule's, or an instant.
fn begins(own: Said<'_>, field: &str, zone: Tz) -> Option<NaiveDateTime> {
    let written = own.text(field)?;
    let other = own.text("time_zone").and_then(|name| text::zone(&name).ok()).unwrap_or(zone);
    text::instant(&written, other).ok().and_then(|at| start(zone, at))
}

fn level(own: Said<'_>) -> i64 {
    own.number("level").or_else(|| own.number("priority_level")).unwrap_or(0)
}

/// A shift that comes again, as one part for each of those who are on duty at once.
fn turns(building: &mut Building, title: &str, zone: Tz, own: Said<'_>) -> Vec<Part> {
    let name = own.text("name").unwrap_or_else(|| "shift".to_owned());
    let whose = format!("schedule {title}, shift {name}");
    let until = begins(own, "until", zone);
    let interval = own.number("interval").unwrap_or(1).max(1);
    let unit = match own.text("frequency").unwrap_or_default().as_str() {
        "hourly" => 3600,
        "daily" => 86_400,
        "weekly" => 604_800,
        other => {
            building.lost(format!("{whose}: it comes again {other:?}: left out"));
            return Vec::new();
        }
    };
    if own.list("by_month").next().is_some() || own.list("by_monthday").next().is_some() {
        building.lost(format!("{whose}: it comes in some months or on some days of the month only: left out"));
        return Vec::new();
    }
    let mut groups: Vec<Vec<String>> =
        own.list("rolling_users").map(|group| group.each().filter_map(Said::as_text).collect()).collect();
    if groups.is_empty() {
        groups = vec![own.list("users").filter_map(Said::as_text).collect()];
    }
    let seconds = interval.checked_mul(unit).unwrap_or(0);
    let (Some(every), Some(first)) = (every(seconds), begins(own, "start", zone)) else {
        building.lost(format!("{whose}: when it begins, or how often it comes: left out"));
        return Vec::new();
    };
    let days: Vec<i64> = own.list("by_day").filter_map(|day| weekday(&day.as_text()?)).collect();
    let Some(spans) = spans(own, unit, interval, groups.len(), first, &days) else {
        building.lost(format!("{whose}: it is on duty in some of its turns only, and nobody in the others: left out"));
        return Vec::new();
    };
    let Some(active) = building.hours(&whose, &spans) else { return Vec::new() };
    // Weeks begin on their own day, with days of the week in them.
    let first = match own.text("week_start").and_then(|day| weekday(&day)) {
        week_start if unit == 604_800 && !days.is_empty() => {
            let back = (i64::from(first.weekday().num_days_from_monday()) - week_start.unwrap_or(6)).rem_euclid(7);
            first.date().and_time(NaiveTime::MIN).checked_sub_signed(TimeDelta::days(back)).unwrap_or(first)
        }
        _ => first,
    };
    let shift = own.number("start_rotation_from_user_index").unwrap_or(0);
    let count = i64::try_from(groups.len()).unwrap_or(1).max(1);
    groups.rotate_left(usize::try_from(shift.rem_euclid(count)).unwrap_or(0));
    let most = groups.iter().map(Vec::len).max().unwrap_or(0).min(10);
    if groups.iter().any(|group| group.len() != most) && groups.len() > 1 {
        building
            .lost(format!("{whose}: turns of several people, of which not all have as many: the last of the turn stays longer"));
    }
    let mut parts = Vec::new();
    for place in 0..most {
        let ids: Vec<String> = groups.iter().filter_map(|group| group.get(place).or(group.last()).cloned()).collect();
        let people = building.turns(&whose, &ids);
        if people.is_empty() {
            building.lost(format!("{whose} has nobody: left out"));
            break;
        }
        let (name, every, end) = (name.clone(), every.clone(), until.map(text::write_wall));
        let layer = LayerEntry {
            name,
            people,
            every,
            start: text::write_wall(first),
            end,
            active: active.clone(),
            ..LayerEntry::default()
        };
        parts.push(Part { level: level(own), layer });
    }
    parts
}

fn weekday(day: &str) -> Option<i64> {
    DAYS.iter().position(|own| own.eq_ignore_ascii_case(day)).and_then(|place| i64::try_from(place).ok())
}

/// The times of a week in which a shift is on duty; none: always. `None` where it is not on duty in some of the turns.
fn spans(own: Said<'_>, unit: i64, interval: i64, groups: usize, first: NaiveDateTime, days: &[i64]) -> Option<Vec<Span>> {
    let length = own.number("duration").unwrap_or(0) / 60;
    let of_day = i64::from(first.time().num_seconds_from_midnight()) / 60;
    let turn = interval.checked_mul(unit)? / 60;
    if days.is_empty() && length >= turn {
        return Some(Vec::new());
    }
    match unit {
        // A turn of several days of which only a part is on duty is no time of the week.
        604_800 if interval == 1 || groups > 1 && !days.is_empty() => {
            let own_day = [i64::from(first.weekday().num_days_from_monday())];
            let days = if days.is_empty() { &own_day[..] } else { days };
            Some(days.iter().map(|day| (day * DAY + of_day, length)).collect())
        }
        86_400 if interval == 1 => {
            let all: Vec<i64> = (0..7).collect();
            let days = if days.is_empty() { all.as_slice() } else { days };
            Some(days.iter().map(|day| (day * DAY + of_day, length.min(DAY))).collect())
        }
        _ => None,
    }
}

/// A shift that comes once.
fn one_shift(building: &mut Building, id: &str, zone: Tz, own: Said<'_>) {
    let Some(from) = begins(own, "start", zone).map(|at| walls::instant(zone, at)) else { return };
    let length = own.number("duration").and_then(TimeDelta::try_seconds);
    let Some(to) = length.and_then(|length| from.checked_add_signed(length)).filter(|to| *to > building.at && *to > from) else {
        return;
    };
    let ids: Vec<String> =
        own.list("users").chain(own.list("rolling_users").flat_map(Said::each)).filter_map(Said::as_text).collect();
    let is_above = level(own) > 0 || own.text("type").as_deref() == Some("override");
    let whose = format!("an override from {from} to {to}");
    let people: Vec<String> = ids.iter().filter_map(|id| building.known(&whose, id)).collect();
    for (place, person) in people.into_iter().enumerate().take(10) {
        let action = if place == 0 && is_above { "replace" } else { "add" };
        let note = own.text("name").unwrap_or_default().chars().filter(|c| !c.is_control()).take(500).collect();
        let change = OverrideEntry { action: action.to_owned(), person, note, ..OverrideEntry::default() };
        building.differs(id, (from, to), &change);
    }
}

fn read_chains(building: &mut Building, root: Said<'_>) {
    let mut steps: BTreeMap<String, Vec<Said<'_>>> = BTreeMap::new();
    for step in each(root, "escalation_policies") {
        if let Some(chain) = step.text("escalation_chain_id") {
            steps.entry(chain).or_default().push(step);
        }
    }
    for chain in each_by_id(root, "escalation_chains") {
        let Some(id) = chain.text("id") else { continue };
        let name = chain.text("name").unwrap_or_else(|| id.clone());
        let mut own = steps.remove(&id).unwrap_or_default();
        own.sort_by_key(|step| step.number("position").unwrap_or(0));
        read_chain(building, &name, &own);
    }
}

fn read_chain(building: &mut Building, name: &str, own: &[Said<'_>]) {
    building.begin();
    let mut steps: Vec<(Vec<Ring>, Option<i64>)> = Vec::new();
    let mut rounds = 1;
    for step in own {
        let kind = step.text("type").unwrap_or_default();
        let people = |field: &str| step.list(field).filter_map(Said::as_text).collect::<Vec<_>>();
        let (ids, ring): (Vec<String>, Vec<Ring>) = match kind.as_str() {
            "wait" => {
                let wait = step.number("duration").unwrap_or(0).max(0);
                match steps.last_mut() {
                    Some((_, waits)) => *waits = Some(waits.unwrap_or(0).saturating_add(wait)),
                    None => building.lost(format!("policy {name} begins with a wait: here it begins at once")),
                }
                continue;
            }
            "repeat_escalation" => {
                rounds = REPEATS + 1;
                continue;
            }
            "notify_persons" => (people("persons_to_notify"), Vec::new()),
            "notify_person_next_each_time" => {
                building.lost(format!("policy {name}: who is next each time; here all are rung at once"));
                (people("persons_to_notify_next_each_time"), Vec::new())
            }
            "notify_on_call_from_schedule" => {
                let schedule = step.text("notify_on_call_from_schedule").unwrap_or_default();
                (Vec::new(), building.schedules_named(&schedule).into_iter().map(Ring::Schedule).collect())
            }
            "notify_team_members" => {
                let team = step.text("team_to_notify").and_then(|team| building.team_named(&team));
                (Vec::new(), team.map(Ring::Team).into_iter().collect())
            }
            other => {
                building.lost(format!("policy {name}: a step of the kind {other}"));
                continue;
            }
        };
        let whose = format!("policy {name}");
        let people: Vec<Ring> = ids.iter().filter_map(|id| building.known(&whose, id)).map(Ring::Person).collect();
        if people.len() + ring.len() == 0 {
            building.lost(format!("policy {name}: a step {kind} of somebody who is not in the file"));
        }
        let ring = ring.into_iter().chain(people);
        match steps.last_mut() {
            // Without a wait between them both are told at once.
            Some((known, None)) => known.extend(ring),
            _ => steps.push((ring.collect(), None)),
        }
    }
    building.policy(name, rounds, steps);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::converted::layers_said;
    use super::*;

    #[test]
    fn people_who_are_not_in_the_file_are_told_of() {
        let sample = include_str!("../../../../fixtures/coming/oncall.json");
        // Bob and Cat are no users any more.
        let mut value: Value = serde_json::from_str(sample).unwrap();
        value["users"].as_array_mut().unwrap().truncate(1);
        value["escalation_policies"][0]["duration"] = 100_000.into();
        let Converted { settings, losses, .. } = read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap());
        assert_eq!(settings.overrides, []);
        for parts in [
            ["an override from 2099-12-31", "U6RV9WPSL6DFW is no user"],
            ["policy default: U6RV9WPSL6DFW", "is no user"],
            ["schedule Primary, shift Weekly", "U6RV9WPSL6DFW is no user"],
            ["policy default", "longer than a day"],
        ] {
            assert!(losses.iter().any(|loss| parts.iter().all(|part| loss.contains(part))), "{parts:?}: {losses:#?}");
        }
        assert_eq!(settings.policies[0].steps[0].wait_seconds, Some(86_400));
    }

    #[test]
    fn shifts_become_layers_by_their_level() {
        let value = serde_json::from_str(include_str!("../../../../fixtures/coming/oncall.json")).unwrap();
        let Converted { settings, losses, .. } = read(&value, Region::CN, "2026-11-20T12:00:00Z".parse().unwrap());
        assert_eq!(settings.teams[0].members, ["ann", "bob"]);
        assert_eq!(
            layers_said(&settings.schedules[0]),
            [
                "Business hours: cat every 1 week from 2026-11-02T00:00, mon,wed,fri 09:00-17:00",
                "Weekly: bob+ann every 1 week from 2026-11-02T09:00, ",
            ]
        );
        let [new_year] = settings.overrides.as_slice() else { panic!("{:#?}", settings.overrides) };
        assert_eq!((new_year.action.as_str(), new_year.starts_at.as_str()), ("replace", "2099-12-31T19:00:00+00:00"));
        let policy = &settings.policies[0];
        let rings: Vec<usize> = policy.steps.iter().map(|step| step.ring.len()).collect();
        assert_eq!((rings, policy.steps[0].wait_seconds), (vec![1, 2], Some(300)));
        for part in ["numbers of users", "From a calendar follows a calendar", "Patch day", "trigger_webhook"] {
            assert!(losses.iter().any(|loss| loss.contains(part)), "{part}: {losses:#?}");
        }
    }
}
