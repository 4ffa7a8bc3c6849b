//! The judge: compares what senders and phones saw with what the server says and what its database holds.

use std::collections::{HashMap, HashSet};

use autocall_tests::wait::eventually;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{
    drill::LONG,
    installation::{Installation, NUMBERS, person},
    ledger::{Ledger, Seen, SeenDial, shown},
    own::Program,
    senders::number,
};

/// Two nodes' clocks agree to this: each measures the database's, on a machine that may be very busy.
const CLOCKS_AGREE: TimeDelta = TimeDelta::seconds(2);

/// Waits until no alarm waits or rings.
pub async fn everything_ends(server: &str) {
    let http = client();
    let mut left = String::new();
    eventually("every alarm to end", LONG, async || {
        for state in ["waiting", "ringing"] {
            let page = try_get(&http, &format!("{server}/api/v1/alarms?state={state}&limit=200")).await?;
            let alarms = page["alarms"].as_array()?;
            if !alarms.is_empty() {
                // For whoever reads how the wait came to nothing.
                let last = alarms.iter().take(3).map(|alarm| text(alarm, "id")).collect::<Vec<_>>().join(" ");
                if alarms.len() <= 3 && last != left {
                    println!("{state}: {last}");
                    left = last;
                }
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Judges a drill in which everything has come to its end.
///
/// # Panics
///
/// With everything that is wrong.
pub async fn judge(server: &str, installation: &Installation, ledger: &Ledger) {
    let alarms = all_alarms(server).await;
    let records = all_records(server).await;
    let never_left = never_left(&records);
    let mut case = Case { joins: installation.joins, alarms: &alarms, never_left, dials: HashMap::new(), problems: Vec::new() };
    {
        let seen = ledger.open();
        case.problems.extend(seen.violations.iter().cloned());
        case.collect_dials();
        case.accepted_alarms_exist(&seen);
        case.ends_are_true();
        case.limits_are_kept(&seen);
        case.dials_are_as_handed_out(&seen);
        case.nobody_is_rung_twice_at_once(&seen);
        case.nobody_is_rung_twice_for_one_attempt(&seen);
        case.handsets_have_one_dial_at_a_time();
        case.answers_are_true(&seen);
        case.records_are_true(&seen, &records);
        println!(
            "{} alarms, {} of them in a call with others, {} dials ({} seen by phones), {} answers of apps, outcomes {:?}, {}",
            alarms.len(),
            case.joined(),
            case.dials.len(),
            seen.dials.len(),
            seen.app_answers.len(),
            case.outcomes(),
            own_calls(&seen),
        );
    }
    if case.joins && case.joined() == 0 {
        case.problem("no alarm joined another: this drill has shown nothing".to_owned());
    }
    case.own_handsets_took_part(&ledger.open());
    case.database_agrees(installation).await;
    if !case.problems.is_empty() {
        eprintln!("{}", ledger.open().logs.join("\n"));
    }
    assert!(case.problems.is_empty(), "{} problems:\n{}", case.problems.len(), case.problems.join("\n"));
}

/// The dials of which every call is on record as one that never left its handset.
fn never_left(records: &[Value]) -> HashSet<String> {
    let dial_of = |record: &Value| {
        shown(record["dialled_by"]["name"].as_str().unwrap_or_default(), record["mid"].as_str().unwrap_or_default())
    };
    let left = |record: &&Value| !matches!(record["outcome"].as_str(), Some("failed" | "not_dialled"));
    let did: HashSet<String> = records.iter().filter(left).map(dial_of).collect();
    records.iter().map(dial_of).filter(|dial| !did.contains(dial)).collect()
}

/// What our own handsets lived through, in words.
fn own_calls(seen: &Seen) -> String {
    let told = |program: Program| {
        let own: Vec<&SeenDial> = seen.dials.values().filter(|dial| dial.handset == program.name()).collect();
        let rang: usize = own.iter().map(|dial| dial.rang.len()).sum();
        let answered = own.iter().filter(|dial| dial.picked_up.is_some()).count();
        format!("{}: {} dials, {rang} rung, {answered} answered", program.name(), own.len())
    };
    format!("{}; killed {} times", Program::ALL.map(told).join(", "), seen.crashes)
}

struct Case<'a> {
    /// One call may be for several alarms.
    joins: bool,
    alarms: &'a [Value],
    /// Dials of which no call left the handset: they are no hand-outs.
    never_left: HashSet<String>,
    dials: HashMap<String, Dial<'a>>,
    problems: Vec<String>,
}

/// A dial as the server tells it.
struct Dial<'a> {
    json: &'a Value,
    /// What it was for: one, unless alarms join.
    alarms: Vec<&'a Value>,
    offered_at: DateTime<Utc>,
    deadline: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    reported_at: Option<DateTime<Utc>>,
}

impl<'a> Case<'a> {
    fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    fn collect_dials(&mut self) {
        for alarm in self.alarms {
            for json in list(alarm, "dials") {
                let mid = shown_of(json);
                if let Some(known) = self.dials.get_mut(&mid) {
                    known.alarms.push(alarm);
                    let same = known.json == json;
                    if !same || !self.joins {
                        self.problem(format!("{json} is in two alarms"));
                    }
                    continue;
                }
                let dial = Dial {
                    json,
                    alarms: vec![alarm],
                    offered_at: instant(&json["offered_at"]).unwrap(),
                    deadline: instant(&json["deadline"]).unwrap(),
                    closed_at: instant(&json["closed_at"]),
                    reported_at: instant(&json["reported_at"]),
                };
                self.dials.insert(mid, dial);
            }
        }
    }

    /// How many alarms shared a call.
    fn joined(&self) -> usize {
        self.dials.values().filter(|dial| dial.alarms.len() > 1).map(|dial| dial.alarms.len()).sum()
    }

    /// Whether the call of a dial was not over yet when the alarm was raised.
    fn was_for(&self, mid: &str, alarm: &Value) -> bool {
        self.dials.get(mid).is_none_or(|dial| dial.closed_at.is_none_or(|closed| raised_at(alarm) <= closed))
    }

    fn outcomes(&self) -> HashMap<String, usize> {
        let mut outcomes = HashMap::new();
        for dial in self.dials.values() {
            let late = if dial.came_late() { "late " } else { "" };
            *outcomes.entry(format!("{late}{}", dial.json["outcome"].as_str().unwrap_or("none"))).or_default() += 1;
        }
        outcomes
    }

    /// Every alarm that was accepted is there, once.
    fn accepted_alarms_exist(&mut self, seen: &Seen) {
        let mut by_summary: HashMap<&str, Vec<&Value>> = HashMap::new();
        for alarm in self.alarms {
            by_summary.entry(alarm["summary"].as_str().unwrap()).or_default().push(&alarm["id"]);
        }
        for (key, id) in &seen.accepted {
            match by_summary.remove(key.as_str()).unwrap_or_default()[..] {
                [only] if only == id => {}
                ref other => self.problem(format!("{key} was accepted as {id}, and there are {other:?}")),
            }
        }
        for (key, ids) in by_summary {
            self.problem(format!("{ids:?} ({key}) exist, though their sender never heard so"));
        }
    }

    /// Answered means that somebody answered; unanswered means that everybody was tried as often as was asked.
    fn ends_are_true(&mut self) {
        for alarm in self.alarms {
            // An alarm that joined when a call was over is not answered by what came of it.
            let before = |answer: &&Value| self.joins && !self.was_for(&shown_of(answer), alarm);
            let answered = list(alarm, "answers").iter().any(|answer| !before(&answer));
            let true_end = match (alarm["state"].as_str().unwrap(), alarm["reason"].as_str()) {
                ("answered", _) => answered && !alarm["answer"].is_null() && !alarm["ended_at"].is_null(),
                ("no_answer", Some("attempts_used" | "no_report")) => {
                    !answered && list(alarm, "callees").iter().all(|callee| callee["attempts"] == callee["max_attempts"])
                }
                ("no_answer", Some("hand_out_limit")) => {
                    !answered && dials_by_hunt(alarm).into_values().any(|dials| dials.len() >= hand_out_limit(alarm))
                }
                _ => false,
            };
            if !true_end {
                self.problem(format!("not a true end: {alarm}"));
            }
        }
    }

    /// Neither attempts nor hand-outs go beyond what was asked, by the server's count and by what phones really rang.
    fn limits_are_kept(&mut self, seen: &Seen) {
        for alarm in self.alarms {
            for dials in dials_by_hunt(alarm).into_values() {
                if dials.iter().filter(|dial| !self.never_left.contains(&shown_of(dial))).count() > hand_out_limit(alarm) {
                    self.problem(format!("more hand-outs than twice the attempts: {alarm}"));
                }
                for callee in list(alarm, "callees") {
                    let number = callee["number"].as_str().unwrap();
                    let rang: usize = dials
                        .iter()
                        .filter_map(|dial| seen.dials.get(&shown_of(dial)))
                        .map(|dial| dial.rang.iter().filter(|rang| is_same(rang, number)).count())
                        .sum();
                    let max = callee["max_attempts"].as_u64().unwrap();
                    if callee["attempts"].as_u64().unwrap() > max || rang as u64 > max {
                        self.problem(format!("{number} was rung {rang} times, {max} were asked for: {alarm}"));
                    }
                }
            }
        }
    }

    /// What a phone was given is what the server remembers.
    fn dials_are_as_handed_out(&mut self, seen: &Seen) {
        for (mid, dial) in &seen.dials {
            let same = self.dials.get(mid).is_some_and(|stored| {
                let phones: Vec<_> = list(stored.json, "phones").iter().filter_map(Value::as_str).collect();
                stored.json["handset"] == dial.handset && phones == dial.phones
            });
            if !same {
                let stored = self.dials.get(mid).map(|stored| stored.json);
                self.problem(format!("{mid} was given out as {dial:?} and stored as {stored:?}"));
            }
        }
        for (mid, dial) in &self.dials {
            if dial.closed_at.is_none() {
                self.problems.push(format!("{mid} is still open: {}", dial.json));
            }
            if dial.json["outcome"] == "expired" && dial.closed_at.is_some_and(|closed| closed < dial.deadline) {
                self.problems.push(format!("{mid} expired before its deadline: {}", dial.json));
            }
        }
    }

    /// While a phone rang a number, no other phone was given it, unless the server had given the first dial up before.
    fn nobody_is_rung_twice_at_once(&mut self, seen: &Seen) {
        let mut spans: HashMap<&str, Vec<(&SeenDial, &Dial<'a>)>> = HashMap::new();
        for (mid, dial) in &seen.dials {
            let Some(stored) = self.dials.get(mid) else { continue };
            let mut numbers: Vec<&str> = dial.phones.iter().map(String::as_str).collect();
            numbers.sort_unstable();
            numbers.dedup();
            for number in numbers {
                spans.entry(number).or_default().push((dial, stored));
            }
        }
        let mut problems = Vec::new();
        for (number, mut spans) in spans {
            spans.sort_by_key(|(dial, _)| dial.got);
            for (index, (one, one_stored)) in spans.iter().enumerate() {
                for (other, other_stored) in &spans[index + 1..] {
                    let over = one.hung_up.is_some_and(|hung_up| hung_up <= other.got);
                    if !over && !one_stored.was_given_up_before(other_stored) && !other_stored.was_given_up_before(one_stored) {
                        problems.push(format!("{number} was rung twice at once: {} {}", one_stored.json, other_stored.json));
                    }
                }
            }
        }
        self.problems.extend(problems);
    }

    /// Whatever became of phones and servers meanwhile, a number is rung as often as its dial holds it.
    fn nobody_is_rung_twice_for_one_attempt(&mut self, seen: &Seen) {
        for dial in seen.dials.values() {
            let count = |numbers: &[String], number: &String| numbers.iter().filter(|own| *own == number).count();
            if let Some(number) = dial.rang.iter().find(|number| count(&dial.rang, number) > count(&dial.phones, number)) {
                self.problem(format!("{number} was rung more often than was asked: {dial:?}"));
            }
        }
    }

    /// Where there were any: each has asked, and of all of them some rang somebody, some were answered, and some were killed.
    fn own_handsets_took_part(&mut self, seen: &Seen) {
        if seen.asked.is_empty() {
            return;
        }
        let own = || seen.dials.values().filter(|dial| Program::ALL.iter().any(|program| program.name() == dial.handset));
        let did = (own().any(|dial| !dial.rang.is_empty()), own().any(|dial| dial.picked_up.is_some()), seen.crashes > 0);
        if did != (true, true, true) {
            self.problem(format!(
                "our own handsets rang, were answered, were killed: {did:?}; this drill has shown nothing of them"
            ));
        }
    }

    fn handsets_have_one_dial_at_a_time(&mut self) {
        let mut by_handset: HashMap<&str, Vec<&Dial<'a>>> = HashMap::new();
        for dial in self.dials.values() {
            by_handset.entry(dial.json["handset"].as_str().unwrap_or_default()).or_default().push(dial);
        }
        let mut problems = Vec::new();
        for (handset, mut dials) in by_handset {
            dials.sort_by_key(|dial| dial.offered_at);
            for pair in dials.windows(2) {
                if pair[0].closed_at.is_none_or(|closed| closed > pair[1].offered_at + CLOCKS_AGREE) {
                    problems.push(format!("{handset} had two dials: {} {}", pair[0].json, pair[1].json));
                }
            }
        }
        self.problems.extend(problems);
    }

    /// An acknowledged answer stands exactly once, by the right person; and no answer stands that no phone reported.
    fn answers_are_true(&mut self, seen: &Seen) {
        let people: HashMap<String, String> =
            (0..NUMBERS).map(|index| (number(index), if index % 2 == 0 { person(index) } else { number(index) })).collect();
        let mut acknowledged: HashMap<&str, &str> = HashMap::new();
        for (mid, dial) in &seen.dials {
            if let (Some(picked_up), Some(_)) = (&dial.picked_up, dial.acknowledged) {
                acknowledged.insert(mid, picked_up);
            }
        }
        acknowledged.extend(
            seen.app_answers
                .iter()
                .filter(|(.., acknowledged)| *acknowledged)
                .map(|(mid, resp, _)| (mid.as_str(), resp.as_str())),
        );
        for (mid, resp) in acknowledged {
            let Some(dial) = self.dials.get(mid) else {
                self.problem(format!("the answer to {mid} was acknowledged, and there is no such dial"));
                continue;
            };
            let mut problems = Vec::new();
            for alarm in dial.alarms.iter().filter(|alarm| !self.joins || raised_at(alarm) <= dial.offered_at) {
                let answers: Vec<_> = list(alarm, "answers").iter().filter(|answer| shown_of(answer) == mid).collect();
                let is_right = |answer: &&Value| {
                    answer["number"].as_str().is_some_and(|number| is_same(resp, number)) && people[resp] == answer["name"]
                };
                // A late answer stands in each hunt that the alarm has had since.
                let right = if self.joins { !answers.is_empty() } else { answers.len() == 1 } && answers.iter().all(is_right);
                if !right || alarm["state"] != "answered" {
                    problems.push(format!("{resp} picked up under {mid}, which the server acknowledged as {answers:?}: {alarm}"));
                }
            }
            self.problems.extend(problems);
        }
        for alarm in self.alarms {
            for answer in list(alarm, "answers") {
                let mid = shown_of(answer);
                let number = answer["number"].as_str().unwrap_or_default();
                // A simulated app that is switched off does not say what it has just sent.
                let by_app = answer["handset"].as_str().is_some_and(|handset| handset.starts_with("simulated-"));
                let reported = seen.dials.get(&mid).is_some_and(|dial| {
                    dial.sent && [&dial.picked_up, &dial.perhaps].into_iter().flatten().any(|own| is_same(own, number))
                });
                if !reported && !by_app {
                    self.problem(format!("nobody reported {answer}: {alarm}"));
                }
            }
        }
    }

    /// What is on record of each call is what its phone lived through, as far as the server acknowledged its report.
    fn records_are_true(&mut self, seen: &Seen, records: &[Value]) {
        let mut by_dial: HashMap<String, Vec<&Value>> = HashMap::new();
        for record in records {
            let handset = record["dialled_by"]["name"].as_str().unwrap_or_default();
            by_dial.entry(shown(handset, record["mid"].as_str().unwrap_or_default())).or_default().push(record);
        }
        for (mid, dial) in seen.dials.iter().filter(|(_, dial)| dial.acknowledged.is_some()) {
            let own = by_dial.remove(mid).unwrap_or_default();
            let is_of = |number: &String| own.iter().any(|record| record["dialled_number"] == **number);
            let is_true = |record: &&Value| {
                let number = record["dialled_number"].as_str().unwrap_or_default();
                let outcome = record["outcome"].as_str().unwrap_or_default();
                match &dial.picked_up {
                    Some(picked_up) if picked_up == number => outcome == "answered",
                    None if dial.perhaps.as_deref() == Some(number) => outcome != "not_dialled",
                    _ if dial.rang.iter().any(|rang| rang == number) => !matches!(outcome, "answered" | "not_dialled"),
                    _ => outcome != "answered",
                }
            };
            if !dial.phones.iter().all(is_of) || !own.iter().all(is_true) {
                self.problem(format!("{dial:?} is on record as {own:?}"));
            }
        }
    }

    /// The same from the inside, where nothing can be left out.
    async fn database_agrees(&mut self, installation: &Installation) {
        let nothing_of = [
            ("open hunts", "SELECT count(*) FROM hunts WHERE ended_at IS NULL"),
            ("open dials", "SELECT count(*) FROM dials WHERE closed_at IS NULL"),
            ("numbers held by closed dials", "SELECT count(*) FROM dial_targets WHERE holds"),
            ("callees tried too often", "SELECT count(*) FROM callees WHERE attempts > max_attempts OR attempts < 0"),
            (
                "dials without targets",
                "SELECT count(*) FROM dials d WHERE NOT EXISTS (SELECT 1 FROM dial_targets t WHERE t.mid = d.mid)",
            ),
            (
                "hunts with too many dials",
                "SELECT count(*) FROM hunts h WHERE (SELECT count(*) FROM dials d WHERE d.hunt_id = h.id AND EXISTS
                   (SELECT 1 FROM call_records r WHERE r.mid = d.mid AND r.outcome NOT IN ('failed', 'not_dialled')))
                   > 2 * (SELECT sum(c.max_attempts) FROM callees c WHERE c.hunt_id = h.id)",
            ),
            (
                "hunts that lost count of their dials",
                // What never left its handset may have been given back.
                "SELECT count(*) FROM hunts h WHERE (SELECT count(*) FROM dials d WHERE d.hunt_id = h.id) + h.dials_left
                   - 2 * (SELECT sum(c.max_attempts) FROM callees c WHERE c.hunt_id = h.id) NOT BETWEEN 0 AND
                   (SELECT count(*) FROM dials d WHERE d.hunt_id = h.id AND NOT EXISTS
                     (SELECT 1 FROM call_records r WHERE r.mid = d.mid AND r.outcome NOT IN ('failed', 'not_dialled')))",
            ),
            (
                "calls without a record",
                "SELECT count(*) FROM dials d JOIN dial_targets t ON t.mid = d.mid WHERE d.handset_id IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM call_records r WHERE r.mid = t.mid AND r.place = t.seq AND r.number = t.number)",
            ),
            (
                "records of calls whose times run backwards",
                "SELECT count(*) FROM call_records WHERE offered_at > coalesce(dialled_at, alerting_at, connected_at, ended_at)
                   OR dialled_at > connected_at OR connected_at > ended_at",
            ),
            (
                "reported dials that are not on record as reported",
                "SELECT count(*) FROM dials d JOIN call_records r ON r.mid = d.mid WHERE (d.reported_at IS NULL) <> (r.reported_at IS NULL)",
            ),
            (
                "dials answered twice",
                "SELECT count(*) FROM (SELECT mid FROM answers WHERE mid IS NOT NULL GROUP BY mid, hunt_id HAVING count(*) > 1) AS twice",
            ),
            (
                "answers of hunts that say otherwise",
                "SELECT count(*) FROM answers a JOIN hunts h ON h.id = a.hunt_id WHERE h.outcome <> 'answered'",
            ),
            (
                "answered hunts without an answer",
                "SELECT count(*) FROM hunts h WHERE h.outcome = 'answered'
                   AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.hunt_id = h.id)",
            ),
            (
                "answers without an answered dial",
                "SELECT count(*) FROM answers a LEFT JOIN dials d ON d.mid = a.mid WHERE d.outcome IS NULL OR d.outcome <> 'answered'",
            ),
            (
                "answered dials without an answer",
                "SELECT count(*) FROM dials d WHERE d.outcome = 'answered' AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.mid = d.mid)",
            ),
        ];
        for (what, sql) in nothing_of {
            let count = installation.count(sql).await;
            if count != 0 {
                self.problem(format!("the database holds {count} {what}"));
            }
        }
        let stored = installation.count("SELECT count(*) FROM alarms").await;
        if usize::try_from(stored) != Ok(self.alarms.len()) {
            self.problem(format!("the database holds {stored} alarms, the API shows {}", self.alarms.len()));
        }
    }
}

impl Dial<'_> {
    /// The report came after the server had closed the dial.
    fn came_late(&self) -> bool {
        self.reported_at.zip(self.closed_at).is_some_and(|(reported, closed)| reported > closed)
    }

    /// It was closed before the other one was handed out, and not by its own phone's report: its deadline had passed, or the hunt
    /// had come to its end without it.
    fn was_given_up_before(&self, other: &Self) -> bool {
        let without_report = self.reported_at.is_none() || self.came_late();
        without_report && self.closed_at.is_some_and(|closed| closed <= other.offered_at + CLOCKS_AGREE)
    }
}

/// An alarm has one hunt, unless it joined others too late to get all that it asked for.
fn dials_by_hunt(alarm: &Value) -> HashMap<&str, Vec<&Value>> {
    let mut hunts: HashMap<&str, Vec<&Value>> = HashMap::new();
    for dial in list(alarm, "dials") {
        hunts.entry(dial["hunt_id"].as_str().unwrap_or_default()).or_default().push(dial);
    }
    hunts
}

/// What is shown of a dial, or of the dial of an answer.
fn shown_of(json: &Value) -> String {
    shown(json["handset"].as_str().unwrap_or_default(), json["mid"].as_str().unwrap_or_default())
}

fn raised_at(alarm: &Value) -> DateTime<Utc> {
    instant(&alarm["raised_at"]).unwrap()
}

fn hand_out_limit(alarm: &Value) -> usize {
    let attempts: u64 = list(alarm, "callees").iter().filter_map(|callee| callee["max_attempts"].as_u64()).sum();
    usize::try_from(2 * attempts).unwrap()
}

/// Whether a number that a phone dialled is the one the server keeps with its country code.
fn is_same(dialled: &str, stored: &str) -> bool {
    stored == format!("+86{dialled}")
}

async fn all_alarms(server: &str) -> Vec<Value> {
    let http = client();
    let mut alarms = Vec::new();
    let mut page_of = format!("{server}/api/v1/alarms?limit=200");
    loop {
        let page = try_get(&http, &page_of).await.expect("a page of alarms");
        for alarm in list(&page, "alarms") {
            let url = format!("{server}/api/v1/alarms/{}", alarm["id"].as_str().unwrap());
            alarms.push(try_get(&http, &url).await.expect("an alarm"));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => page_of = format!("{server}/api/v1/alarms?limit=200&cursor={cursor}"),
            None => return alarms,
        }
    }
}

async fn all_records(server: &str) -> Vec<Value> {
    let (http, mut records, mut cursor) = (client(), Vec::new(), String::new());
    loop {
        let page = try_get(&http, &format!("{server}/api/v1/call-records?limit=200{cursor}")).await.expect("a page of records");
        records.extend(list(&page, "items").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return records,
        }
    }
}

fn client() -> reqwest::Client {
    autocall_tests::http_client().no_proxy().build().unwrap()
}

async fn try_get(http: &reqwest::Client, url: &str) -> Option<Value> {
    http.get(url).send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

fn list<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object[member].as_array().map_or(&[], Vec::as_slice)
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_else(|| panic!("no {member} in {object}")).to_owned()
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).unwrap().to_utc())
}
