//! What another product's lists mean here: who among its users is whom, by numbers and addresses first; and what stays as it is, since they
//! do not tell it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::converted::{Converted, Given};
use super::file::{Kind, PersonEntry, PolicyEntry, Ring, ScheduleEntry, Settings, TeamEntry};
use crate::numbers::phone_of;

/// Gives people the names by which they are known here. Lists come in any order, and people of one name come and go: whoever had a name
/// would otherwise have the numbers and the turns of somebody else after the next import. What could not be read there stays as it is here.
/// Gives a sentence of each who is somebody else than their name says, and of what stays.
pub fn recognise(converted: &mut Converted, known: &Settings) -> Vec<String> {
    let names = names(converted, &known.people);
    let mut notes = Vec::new();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for (person, Name { name, is_another }) in converted.settings.people.iter_mut().zip(names) {
        if is_another {
            notes.push(format!("person {name}: there is somebody of that name here, with other numbers and addresses"));
        }
        let before = std::mem::replace(&mut person.name, name.clone());
        renamed.insert(before, name);
    }
    rename(&mut converted.settings, &renamed);
    let partly = |kind: Kind, name: &str| converted.partly.contains(&(kind, name.to_owned()));
    for team in &mut converted.settings.teams {
        let own = known.teams.iter().find(|own| own.name == team.name);
        notes.extend(own.and_then(|own| keep_members(team, own, partly(Kind::Teams, &own.name))));
    }
    for schedule in &mut converted.settings.schedules {
        if let Some(own) = known.schedules.iter().find(|own| own.name == schedule.name) {
            notes.extend(keep_duty(schedule, own, partly(Kind::Schedules, &own.name)));
        }
    }
    for policy in &mut converted.settings.policies {
        if let Some(own) = known.policies.iter().find(|own| own.name == policy.name) {
            notes.extend(keep_steps(policy, own, partly(Kind::Policies, &own.name)));
            keep_patience(policy, own);
        }
    }
    notes
}

/// Of what was not read as a whole nobody can say what is gone: it stays as it is here.
fn stays(what: &str, name: &str, which: &str) -> String {
    format!("{what} {name}: it was not read as a whole: its {which} stay as they are here")
}

/// A team of which nobody was read is no team without people.
fn keep_members(team: &mut TeamEntry, known: &TeamEntry, partly: bool) -> Option<String> {
    if known.members.is_empty() || !(partly || team.members.is_empty()) {
        return None;
    }
    team.members.clone_from(&known.members);
    Some(stays("team", &team.name, "people"))
}

/// The same of what a policy rings.
fn keep_steps(policy: &mut PolicyEntry, known: &PolicyEntry, partly: bool) -> Option<String> {
    if !partly {
        return None;
    }
    policy.steps.clone_from(&known.steps);
    Some(stays("policy", &policy.name, "steps"))
}

/// The same of a schedule without layers or with some that were not read, or without a team. Whether gaps are allowed, they do not tell.
fn keep_duty(schedule: &mut ScheduleEntry, known: &ScheduleEntry, partly: bool) -> Vec<String> {
    let mut notes = Vec::new();
    schedule.gaps_allowed = known.gaps_allowed;
    // Their wall times are those of their zone.
    if !known.layers.is_empty() && (partly || schedule.layers.is_empty()) {
        schedule.zone.clone_from(&known.zone);
        schedule.layers.clone_from(&known.layers);
        notes.push(stays("schedule", &schedule.name, "layers"));
    }
    if schedule.team.is_none()
        && let Some(team) = &known.team
    {
        schedule.team = Some(team.clone());
        notes.push(format!("schedule {}: its team was not read: it stays {team}", schedule.name));
    }
    notes
}

/// Which word ends an alarm, who is told by text message, and how often each is called, they do not tell.
fn keep_patience(policy: &mut PolicyEntry, known: &PolicyEntry) {
    (policy.confirm_within_seconds, policy.confirm, policy.texts) = (known.confirm_within_seconds, known.confirm, known.texts);
    for step in &mut policy.steps {
        if let Some(own) = known.steps.iter().find(|own| own.ring == step.ring) {
            (step.attempts, step.min_interval_seconds) = (own.attempts, own.min_interval_seconds);
        }
    }
}

struct Name {
    name: String,
    /// Somebody else has the one that they would have.
    is_another: bool,
}

/// By what somebody is reached.
fn ways(person: &PersonEntry) -> impl Iterator<Item = String> + '_ {
    let numbers = person.numbers.iter().flatten().map(|number| phone_of(number).into_owned());
    numbers.chain(person.emails.iter().flatten().cloned())
}

fn names(converted: &Converted, known: &[PersonEntry]) -> Vec<Name> {
    let people = &converted.settings.people;
    let plain = |person: &PersonEntry| converted.called.get(&person.name).unwrap_or(&person.name).clone();
    let mut names: Vec<Option<Name>> = by_ways(people, known, plain).into_iter().map(|own| own.map(known_as)).collect();
    let by_name: BTreeMap<&str, &PersonEntry> = known.iter().map(|own| (own.name.as_str(), own)).collect();
    let mut taken: BTreeSet<String> = names.iter().flatten().map(|own| own.name.clone()).collect();
    let mut shared: BTreeMap<String, usize> = BTreeMap::new();
    for person in people {
        *shared.entry(plain(person)).or_default() += 1;
    }
    // By the name: where it is the only one there, or where nothing else is known that could say otherwise.
    for (place, person) in people.iter().enumerate().filter(|(place, _)| names[*place].is_none()).collect::<Vec<_>>() {
        let plain = plain(person);
        let is_only = shared.get(&plain) == Some(&1);
        let may_be = |name: &String| match by_name.get(name.as_str()) {
            Some(own) => is_only || ways(own).next().is_none() || ways(person).next().is_none(),
            None => true,
        };
        if let Some(name) = [&person.name, &plain].into_iter().find(|name| !taken.contains(*name) && may_be(name)) {
            taken.insert(name.clone());
            names[place] = Some(known_as(name.clone()));
        }
    }
    let mut given = Given::default();
    for name in known.iter().map(|own| &own.name).chain(&taken) {
        given.take(name);
    }
    let another = |(place, own): (usize, Option<Name>)| {
        own.unwrap_or_else(|| {
            let email = people[place].emails.iter().flatten().next();
            Name { name: given.unique(&plain(&people[place]), email.map(String::as_str)), is_another: true }
        })
    };
    names.into_iter().enumerate().map(another).collect()
}

fn known_as(name: String) -> Name {
    Name { name, is_another: false }
}

/// That somebody at a place is one who is known: whether by an address, and by the name; then who stands first.
type Claim = (bool, bool, Reverse<usize>);

/// Whose numbers and addresses they have; each person here is one of theirs at most.
fn by_ways(people: &[PersonEntry], known: &[PersonEntry], plain: impl Fn(&PersonEntry) -> String) -> Vec<Option<String>> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for own in known {
        owners.extend(ways(own).map(|way| (way, own.name.as_str())));
    }
    // An address is somebody's for longer than a phone is, and a name decides between several.
    let mut claims: BTreeMap<&str, Vec<Claim>> = BTreeMap::new();
    for (place, person) in people.iter().enumerate() {
        let is_name = |name: &str| name == person.name || name == plain(person);
        let by_email: BTreeSet<&str> = person.emails.iter().flatten().filter_map(|own| owners.get(own).copied()).collect();
        let by_any: BTreeSet<&str> = ways(person).filter_map(|way| owners.get(&way).copied()).collect();
        let named = || by_any.iter().copied().find(|name| is_name(name));
        if let Some(name) = only(&by_email).or_else(|| only(&by_any)).or_else(named) {
            claims.entry(name).or_default().push((by_email.contains(name), is_name(name), Reverse(place)));
        }
    }
    let mut found = vec![None; people.len()];
    for (name, claims) in claims {
        if let Some((_, _, Reverse(place))) = claims.into_iter().max() {
            found[place] = Some(name.to_owned());
        }
    }
    found
}

fn only<'n>(found: &BTreeSet<&'n str>) -> Option<&'n str> {
    found.first().copied().filter(|_| found.len() == 1)
}

fn rename(settings: &mut Settings, renamed: &BTreeMap<String, String>) {
    let one = |name: &mut String| {
        if let Some(own) = renamed.get(name) {
            name.clone_from(own);
        }
    };
    settings.teams.iter_mut().flat_map(|team| &mut team.members).for_each(one);
    settings.schedules.iter_mut().flat_map(|own| &mut own.layers).flat_map(|layer| &mut layer.people).for_each(one);
    settings.overrides.iter_mut().flat_map(|own| std::iter::once(&mut own.person).chain(&mut own.instead_of)).for_each(one);
    settings.temporaries.iter_mut().flat_map(|own| &mut own.people).for_each(one);
    let steps = settings.policies.iter_mut().flat_map(|own| &mut own.steps);
    for ring in steps.flat_map(|step| &mut step.ring) {
        if let Ring::Person(name) = ring {
            one(name);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::products::Product;
    use super::*;
    use crate::numbers::Region;
    use proptest::prelude::*;

    /// Two of one name, as `OnCall` and others list them.
    fn read(users: &[(&str, &str, &str, &str)]) -> Converted {
        let user = |(id, name, email, phone): &(&str, &str, &str, &str)| {
            serde_json::json!({ "id": id, "name": name, "email": email, "contact_methods":
                [{ "type": "phone_contact_method", "address": phone, "country_code": 86 }], "teams": [{ "id": format!("team of {id}") }] })
        };
        let teams =
            users.iter().map(|own| serde_json::json!({ "id": format!("team of {}", own.0), "name": format!("of {}", own.0) }));
        let value = serde_json::json!({
            "users": users.iter().map(user).collect::<Vec<_>>(), "teams": teams.collect::<Vec<_>>(),
        });
        let product = Product::named("pagerduty").unwrap();
        product.read(value.to_string().as_bytes(), Region::CN, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap()
    }

    const A: (&str, &str, &str, &str) = ("a", "Zhang Wei", "a@example.com", "18712345678");
    const B: (&str, &str, &str, &str) = ("b", "Zhang Wei", "b@example.com", "18812345678");
    const NEW: (&str, &str, &str, &str) = ("0", "Zhang Wei", "0@example.com", "18912345678");

    fn numbers(converted: &Converted) -> Vec<(String, String)> {
        let number = |own: &PersonEntry| (own.name.clone(), own.numbers.clone().unwrap_or_default().join(" "));
        let mut all: Vec<_> = converted.settings.people.iter().map(number).collect();
        all.sort();
        all
    }

    fn again(users: &[(&str, &str, &str, &str)], known: &Converted) -> Converted {
        let mut converted = read(users);
        recognise(&mut converted, &known.settings);
        converted
    }

    #[test]
    fn two_of_one_name_keep_their_numbers_in_whatever_order_they_are_listed() {
        let first = read(&[A, B]);
        let names: Vec<&str> = first.settings.people.iter().map(|own| own.name.as_str()).collect();
        assert_eq!(names, ["Zhang Wei", "Zhang Wei (b@example.com)"]);
        assert_eq!(numbers(&again(&[B, A], &first)), numbers(&first));
        // Somebody of that name comes, and the first one leaves.
        let three = again(&[NEW, B, A], &first);
        let mut expected = numbers(&first);
        expected.push(("Zhang Wei (0@example.com)".to_owned(), "+8618912345678".to_owned()));
        expected.sort();
        assert_eq!(numbers(&three), expected);
        assert_eq!(numbers(&again(&[B], &first)), [("Zhang Wei (b@example.com)".to_owned(), "+8618812345678".to_owned())]);
        // Whoever names them means the same ones.
        let team =
            |name: &str| three.settings.teams.iter().find(|own| own.name == name).map(|own: &TeamEntry| own.members.clone());
        assert_eq!(team("of b").unwrap(), ["Zhang Wei (b@example.com)"]);
        assert_eq!(team("of a").unwrap(), ["Zhang Wei"]);
    }

    #[test]
    fn a_name_that_only_one_has_is_enough_and_one_that_was_changed_here_is_kept() {
        let mut first = read(&[A]);
        let moved = ("a", "Zhang Wei", "new@example.com", "18500000000");
        assert_eq!(again(&[moved], &first).settings.people[0].name, "Zhang Wei");
        first.settings.people[0].name = "小张".to_owned();
        let second = again(&[A], &first);
        assert_eq!((second.settings.people[0].name.as_str(), second.settings.teams[0].members[0].as_str()), ("小张", "小张"));
        // Nobody of those who share a name is taken for somebody who cannot be told to be them.
        let first = read(&[A]);
        let mut strangers = read(&[NEW, B]);
        let told = recognise(&mut strangers, &first.settings);
        assert!(!strangers.settings.people.iter().any(|own| own.name == "Zhang Wei"), "{:?}", strangers.settings.people);
        assert!(matches!(told.as_slice(), [one] if one.contains("somebody of that name")), "{told:?}");
    }

    #[test]
    fn what_was_not_read_stays_as_it_is() {
        let file = |users: &str, team: &str, layers: &str| {
            let text = format!(
                r#"{{"users": [{users}], "teams": [{{"id": "t", "name": "ops"}}],
                "schedules": [{{"id": "s", "name": "ops", "time_zone": "UTC", "teams": [{team}], "schedule_layers": [{layers}]}}]}}"#
            );
            let product = Product::named("pagerduty").unwrap();
            product.read(text.as_bytes(), Region::CN, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap()
        };
        let layer = r#"{"name": "l", "start": "2026-11-02T09:00:00Z", "rotation_virtual_start": "2026-11-02T09:00:00Z",
            "rotation_turn_length_seconds": 86400, "users": [{"user": {"id": "a"}}]}"#;
        let mut first = file(r#"{"id": "a", "name": "Ann", "teams": [{"id": "t"}]}"#, r#"{"id": "t"}"#, layer);
        first.settings.schedules[0].gaps_allowed = true;
        assert_eq!((&first.settings.teams[0].members[0], first.settings.schedules[0].layers.len()), (&"Ann".to_owned(), 1));
        // Without include[]=teams, without teams, with turns that cannot be said here.
        for users in [r#"{"id": "a", "name": "Ann"}"#, ""] {
            let mut again = file(users, "", &layer.replace("86400", "5400"));
            let told = recognise(&mut again, &first.settings);
            assert_eq!(
                (&again.settings.teams, &again.settings.schedules),
                (&first.settings.teams, &first.settings.schedules),
                "{told:?}"
            );
            assert_eq!(told.len(), 3, "{told:?}");
        }
        // What was read is as it was read.
        let bob = layer.replace(r#""a""#, r#""b""#);
        let mut again = file(r#"{"id": "b", "name": "Bob", "teams": [{"id": "t"}]}"#, r#"{"id": "t"}"#, &bob);
        assert_eq!(recognise(&mut again, &first.settings), Vec::<String>::new());
        let layers: &[crate::coming::file::LayerEntry] = &again.settings.schedules[0].layers;
        assert_eq!(
            (again.settings.teams[0].members.as_slice(), &layers[0].people),
            (&["Bob".to_owned()][..], &vec!["Bob".to_owned()])
        );
    }

    #[test]
    fn what_was_read_in_part_stays_as_it_is() {
        let read = |product: &str, text: &str| {
            let product = Product::named(product).unwrap();
            product.read(text.as_bytes(), Region::CN, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap()
        };
        let users = r#"{"id": "a", "name": "Ann", "teams": [{"id": "t"}]}, {"id": "b", "name": "Bob", "teams": [{"id": "t"}]}"#;
        let schedules = r#"{"id": "s", "name": "ops", "time_zone": "UTC", "schedule_layers": [{"start": "2026-11-02T09:00:00Z",
            "rotation_virtual_start": "2026-11-02T09:00:00Z", "rotation_turn_length_seconds": 86400,
            "users": [{"user": {"id": "a"}}, {"user": {"id": "b"}}]}]}"#;
        let rest = r#""teams": [{"id": "t", "name": "team"}], "escalation_policies": [{"name": "p", "escalation_rules": [
            {"targets": [{"type": "schedule_reference", "id": "s"}]}, {"targets": [{"type": "user_reference", "id": "a"}]}]}]"#;
        let file = |users: &str, schedules: &str| {
            read("pagerduty", &format!(r#"{{"users": [{users}], "schedules": [{schedules}], {rest}}}"#))
        };
        let mut known = file(users, schedules).settings;
        known.policies[0].texts = true;
        let layers = |own: &Converted| own.settings.schedules.clone();
        assert_eq!((known.policies[0].steps.len(), known.schedules[0].layers[0].people.len()), (2, 2));
        // A list of the schedules was not asked for.
        let mut again = file(users, "");
        assert!(recognise(&mut again, &known).iter().any(|told| told.contains("policy p: it was not read as a whole")));
        assert_eq!(again.settings.policies, known.policies);
        // Of the users only the first page; or turns that cannot be said here, of a layer without a name.
        let first_page = r#"{"id": "a", "name": "Ann", "teams": [{"id": "t"}]}"#;
        for mut again in [file(first_page, schedules), file(users, &schedules.replace("86400", "5400"))] {
            let told = recognise(&mut again, &known);
            assert_eq!((layers(&again), &again.settings.policies), (known.schedules.clone(), &known.policies), "{told:?}");
        }
        // As a whole it is as it was read, and whoever is told by text message is so still.
        let mut again = file(users, &schedules.replace(r#", {"user": {"id": "b"}}"#, ""));
        assert_eq!(recognise(&mut again, &known), Vec::<String>::new());
        assert_eq!((layers(&again)[0].layers[0].people.len(), again.settings.policies[0].texts), (1, true));
    }

    #[test]
    fn a_schedule_of_which_a_layer_was_not_read_stays_as_it_is() {
        let file = |zone: &str, night: &str| {
            let layer = |name: &str, seconds: &str| {
                format!(
                    r#"{{"name": "{name}", "start": "2026-11-02T09:00:00Z", "rotation_virtual_start": "2026-11-02T09:00:00Z",
                    "rotation_turn_length_seconds": {seconds}, "users": [{{"user": {{"id": "a"}}}}]}}"#
                )
            };
            let text = format!(
                r#"{{"users": [{{"id": "a", "name": "Ann"}}],
                "schedules": [{{"id": "s", "name": "ops", "time_zone": "{zone}", "schedule_layers": [{}]}}]}}"#,
                [layer("night", night), layer("day", "86400")].join(", ")
            );
            let product = Product::named("pagerduty").unwrap();
            product.read(text.as_bytes(), Region::CN, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap()
        };
        let known = file("UTC", "86400").settings;
        // Turns that cannot be said here.
        let mut again = file("UTC", "5400");
        assert_eq!(again.settings.schedules[0].layers.len(), 1);
        let told = recognise(&mut again, &known);
        assert_eq!(again.settings.schedules, known.schedules, "{told:?}");
        assert!(matches!(told.as_slice(), [one] if one.contains("it was not read as a whole")), "{told:?}");
        // A wall time of another zone is another time.
        let mut again = file("Europe/Berlin", "5400");
        let told = recognise(&mut again, &known);
        assert_eq!(again.settings.schedules, known.schedules, "{told:?}");
        // What they do not have any more goes.
        let mut again = file("UTC", "86400");
        again.settings.schedules[0].layers.remove(0);
        assert_eq!(recognise(&mut again, &known), Vec::<String>::new());
        assert_eq!(again.settings.schedules[0].layers.len(), 1);
    }

    const PEOPLE: [(&str, &str, &str, &str); 6] = [
        A,
        B,
        NEW,
        ("d", "Zhang Wei", "d@example.com", "18600000000"),
        ("e", "Li Na", "e@example.com", "18600000001"),
        ("f", "Li Na", "f@example.com", "18600000002"),
    ];

    proptest! {
        #[test]
        fn nobody_gets_what_is_somebody_elses(
            first in prop::sample::subsequence(PEOPLE.to_vec(), 0..=6).prop_shuffle(),
            second in prop::sample::subsequence(PEOPLE.to_vec(), 0..=6).prop_shuffle(),
        ) {
            let known = read(&first);
            let then = again(&second, &known);
            let before: BTreeMap<String, String> = numbers(&known).into_iter().map(|(name, number)| (number, name)).collect();
            let mut names = BTreeSet::new();
            for (name, number) in numbers(&then) {
                prop_assert!(names.insert(name.clone()), "{} twice", name);
                match before.get(&number) {
                    Some(own) => prop_assert_eq!(own, &name),
                    // Whoever is new and shares a name has nobody's.
                    None => prop_assert!(
                        !before.values().any(|own| *own == name) || second.iter().filter(|own| own.1 == name).count() == 1,
                        "{} is somebody else", name
                    ),
                }
            }
        }
    }
}
