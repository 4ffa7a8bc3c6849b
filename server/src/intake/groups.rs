//! Groups of alerts, in the form that Alertmanager gave them and others took over; what is each sender's own is in its [`Form`].
//!
//! The larger the outage, the larger the message: it is read in pieces, however long it is. The first alerts that burn are kept, the
//! others are counted, and their fingerprints are noted ([`super::skim`]).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::said::{
    LONGEST_LABEL, LONGEST_SUMMARY, PHONES, clean, dedup_key, instant, labels, named, number, phones, priority, said,
    split_phones, summary, text, texts,
};
use super::skim::Skimmer;
use super::whom::{self, Rung};
use super::{FORMS, alarm_request};
use crate::access::refusals::KEYLESS;
use crate::access::senders::Sender;
use crate::alarm::burning::{self, Mark, Told};
use crate::alarm::{Mode, Priority, Until};
use crate::app::App;
use crate::config::Config;
use crate::engine::{EngineError, RaiseRequest, RaisedAs, Word};
use crate::http::bodies::BODY_WITHIN;
use crate::http::json;
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, Problem};
use crate::http::wash::{self, Washer};
use crate::telemetry::AlarmResult;
use crate::visible;

const LONGEST_DETAILS: usize = 20_000;
/// Of the lines about single alerts; what is left is for what is said of all of them.
const LONGEST_LINES: usize = 18_000;
const LONGEST_ANNOTATION: usize = 2_000;

/// So many alerts that burn are kept as they are; of the others only their fingerprints and what makes them urgent.
const MOST_KEPT: usize = 100;
/// And no more than this of them, in bytes.
const MOST_KEPT_BYTES: usize = 1 << 20;
/// So many fingerprints are noted.
const MOST_MARKS: usize = 20_000;
/// So many numbers are noted; `alarms.max_phones` of them are rung.
const MOST_PHONES: usize = 1_000;
/// A message is read so far, in bytes.
const LONGEST_MESSAGE: usize = 64 << 20;
/// A message that everything is over is read so far: it ends the alarm, however long it is. The rest of others is read up to here as
/// well, and left aside, since a sender hears an answer only when it has sent everything.
const LONGEST_AT_ALL: usize = 1 << 30;
/// A text in a message is cut after so many bytes.
const LONGEST_TEXT: usize = 16 * 1024;
const RESOLVED: &str = "\"resolved\"";
/// Bytes that are looked at before others have their turn.
const AT_ONCE: usize = 32 * 1024;

/// What is a sender's own in a message of this form.
pub(super) struct Form {
    /// Its `version`.
    pub(super) version: &'static str,
    /// What the message is called, for whoever sends another.
    pub(super) called: &'static str,
    /// The key under which its group is kept: made of what it says, and of the organisation in which it was said.
    pub(super) key: fn(&str, Option<i64>) -> String,
    /// Whether an alert with these labels only tries the way.
    pub(super) is_test: fn(&BTreeMap<String, String>) -> bool,
}

impl Form {
    /// That of a message of this version.
    fn of(version: Option<&str>) -> Option<&'static Self> {
        FORMS.iter().find(|form| Some(form.version) == version)
    }
}

/// What a message says beside its alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default, deserialize_with = "text")]
    version: Option<String>,
    #[serde(default, deserialize_with = "text")]
    group_key: Option<String>,
    status: Option<Status>,
    #[serde(default, deserialize_with = "text")]
    receiver: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    group_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    common_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    common_annotations: BTreeMap<String, String>,
    #[serde(default, rename = "externalURL", deserialize_with = "text")]
    external_url: Option<String>,
    #[serde(default, deserialize_with = "number")]
    truncated_alerts: Option<i64>,
    #[serde(default, deserialize_with = "number")]
    org_id: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Firing,
    Resolved,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: Option<Status>,
    #[serde(default, deserialize_with = "texts")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "text")]
    fingerprint: Option<String>,
    #[serde(default, deserialize_with = "text")]
    starts_at: Option<String>,
    #[serde(default, deserialize_with = "text")]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL", deserialize_with = "text")]
    generator_url: Option<String>,
    #[serde(default, rename = "dashboardURL", deserialize_with = "text")]
    dashboard_url: Option<String>,
    #[serde(default, rename = "panelURL", deserialize_with = "text")]
    panel_url: Option<String>,
}

/// What the address of the webhook says.
#[derive(Debug, Default)]
struct Options {
    per_alert: bool,
    phones: Vec<String>,
    mode: Option<Mode>,
    /// A message that only tries the way rings as well.
    ring_tests: bool,
}

/// A message with its alerts, as far as they are kept.
#[derive(Debug, Default)]
struct Group {
    message: Message,
    alerts: Alerts,
    /// It was too long or too slow to be read whole.
    cut: bool,
}

#[derive(Debug, Default)]
struct Alerts {
    /// The first that burn.
    kept: Vec<Alert>,
    kept_bytes: usize,
    /// What each says, as far as there is room.
    told: Vec<Told>,
    /// Each alert is an alarm: then they are known by name as well, as far as there is room.
    per_alert: bool,
    named: Vec<(String, Told)>,
    named_bytes: usize,
    burning: usize,
    /// Some could not be read or noted.
    more: bool,
    priority: Option<Priority>,
    phones: Vec<String>,
    seen_phones: HashSet<String>,
    only_tests: bool,
    any: bool,
}

/// One alarm as the message has it.
#[derive(Debug)]
struct Wanted {
    key: String,
    word: burning::Message,
    summary: String,
    details: String,
    labels: BTreeMap<String, String>,
    phones: Vec<String>,
    priority: Priority,
}

/// Takes a message in: firing raises or counts, resolved ends and stops ringing.
///
/// # Errors
/// When it is no such message, or when nothing in it can be used.
pub(super) async fn take_in(app: &App, sender: &Sender, query: Option<String>, body: Body) -> Result<Response, Problem> {
    let options = options(&query.unwrap_or_default());
    let group = read(body, options.as_ref().is_ok_and(|options| options.per_alert), BODY_WITHIN).await?;
    let options = options?;
    if group.cut {
        tracing::warn!(sender.name = sender.name(), "a message of a monitoring system was too long or too slow to be read whole");
    }
    if group.alerts.any && group.alerts.only_tests && !options.ring_tests {
        tracing::info!(sender.name = sender.name(), "a test message: nobody is rung");
        return Ok(json(StatusCode::OK, json!({ "alarms": [{ "id": null, "outcome": "test" }] }).to_string()));
    }
    let mut done = Vec::new();
    let mut refused = None;
    let open = if options.per_alert { open_groups(app, sender).await? } else { HashSet::new() };
    for wanted in group.wanted(&options, &open) {
        let key = wanted.key.clone();
        match take(app, sender, &group.message, &options, wanted).await {
            Ok(taken) => done.push(taken),
            // Alertmanager sends it again, and what was taken in is then a repeat.
            Err(problem) if problem.is_ours() => return Err(problem),
            // It would not: so one alert that cannot be used costs the others nothing.
            Err(problem) => {
                // Why stands in the answer: it may quote a number.
                tracing::warn!(field = problem.field(), "an alert cannot be used");
                done.push(json!({ "key": key, "outcome": "refused", "detail": problem.sentence() }));
                if let Some(earlier) = refused.replace(problem) {
                    count_refused(app, sender, &earlier);
                }
            }
        }
    }
    group.end_what_was_cut(app, sender).await?;
    match refused {
        // The answer itself is counted.
        Some(problem) if done.iter().all(|one| one["outcome"] == "refused") => return Err(problem),
        Some(problem) => count_refused(app, sender, &problem),
        None => {}
    }
    Ok(json(StatusCode::OK, json!({ "alarms": done }).to_string()))
}

/// Counts an alert that cannot be used, in a message whose others can.
pub(super) fn count_refused(app: &App, sender: &Sender, problem: &Problem) {
    app.engine.refusals.count(sender.name().unwrap_or(KEYLESS), problem.code());
}

async fn open_groups(app: &App, sender: &Sender) -> Result<HashSet<String>, Problem> {
    let open = app.engine.store.read().await?.db().open_groups(&sender.integration_id()).await?;
    Ok(open.into_iter().collect())
}

/// Reads a message in pieces.
async fn read(mut body: Body, per_alert: bool, within: Duration) -> Result<Group, Problem> {
    let mut skimmer = Skimmer::new("alerts");
    let mut washer = Washer::new(LONGEST_TEXT);
    let mut alerts = Alerts { per_alert, only_tests: true, ..Alerts::default() };
    let mut washed = Vec::with_capacity(AT_ONCE);
    let (mut length, mut sound, mut cut) = (0_usize, true, false);
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame.map_err(|_| alarm_request::broke_off())?.into_data() else { continue };
            for piece in frame.chunks(AT_ONCE) {
                if length == 0 {
                    wash::refuse_wide(piece)?;
                }
                length = length.saturating_add(piece.len());
                // The status may stand behind the alerts; then these tell.
                let over = skimmer.member("status").map_or(alerts.any && alerts.burning == 0, |status| status == RESOLVED);
                cut |= length > if over { LONGEST_AT_ALL } else { LONGEST_MESSAGE };
                if length > LONGEST_AT_ALL {
                    return Ok(());
                }
                if sound && !cut {
                    washed.clear();
                    washer.feed(piece, &mut washed);
                    sound = skimmer.feed(&washed, &mut |alert| alerts.take(alert)).is_ok();
                }
                tokio::task::yield_now().await;
            }
        }
        Ok::<(), Problem>(())
    };
    match tokio::time::timeout(within, reading).await {
        Ok(read) => read?,
        // What is known by now is worth more than a second try that would be as slow: unless nothing is.
        Err(_) if skimmer.elements() == 0 => return Err(alarm_request::too_slow()),
        Err(_) if skimmer.member("status") == Some(RESOLVED) || alerts.burning == 0 => return Err(alarm_request::too_slow()),
        Err(_) => cut = true,
    }
    if !sound || !(skimmer.is_complete() || cut) {
        let text = "the body must be a JSON object, as Alertmanager sends it";
        return Err(Problem::bad_request(Code::MalformedJson, text));
    }
    let message: Message = match cut {
        true => serde_json::from_str(&skimmer.object()).unwrap_or_default(),
        // What stands there twice is no reason to leave people asleep.
        false => alarm_request::read_parsed(Parsed { twice: Vec::new(), ..Parsed::read(skimmer.object().as_bytes())? })?,
    };
    alerts.more |= cut || skimmer.left_out();
    let group = Group { message, alerts, cut };
    group.check()?;
    Ok(group)
}

impl Alerts {
    /// Takes one alert, as it stands in the message.
    fn take(&mut self, json: &[u8]) {
        let text = String::from_utf8_lossy(json);
        let Ok(alert) = serde_json::from_str::<Alert>(&text) else {
            // It cannot be read: it counts, and in doubt it burns.
            self.burning += 1;
            self.more = true;
            self.any = true;
            self.only_tests = false;
            return;
        };
        self.any = true;
        self.only_tests &= FORMS.iter().any(|form| (form.is_test)(&alert.labels));
        let burns = alert.status != Some(Status::Resolved);
        let told = Told {
            mark: mark(&alert),
            burns,
            starts_at: instant(alert.starts_at.as_deref()),
            ends_at: instant(alert.ends_at.as_deref()),
            until: None,
        };
        if self.told.len() < MOST_MARKS {
            self.told.push(told);
        } else {
            self.more = true;
        }
        if self.per_alert && self.named_bytes < MOST_KEPT_BYTES {
            // Whether the group says that it is over, comes with the group.
            let name = identity(&alert);
            self.named_bytes += name.len();
            self.named.push((name, told));
        }
        if !burns {
            return;
        }
        self.burning += 1;
        self.priority = self.priority.max(Some(priority(&alert.labels)));
        for phone in phones(&alert.annotations, &alert.labels) {
            if self.phones.len() < MOST_PHONES && self.seen_phones.insert(phone.clone()) {
                self.phones.push(phone);
            }
        }
        if self.kept.len() < MOST_KEPT && self.kept_bytes < MOST_KEPT_BYTES {
            let alert = alert.short();
            self.kept_bytes += alert.length();
            self.kept.push(alert);
        }
    }
}

impl Alert {
    /// What is shown of it.
    fn short(mut self) -> Self {
        const SHOWN: [&str; 7] = ["summary", "title", "message", "description", "runbook_url", "runbook", PHONES];
        self.labels = labels(&self.labels);
        self.annotations.retain(|name, _| SHOWN.contains(&name.as_str()));
        for text in self.annotations.values_mut() {
            *text = clean(text, LONGEST_ANNOTATION);
        }
        self
    }

    fn length(&self) -> usize {
        self.labels.iter().chain(&self.annotations).map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Where more is to be seen of it.
    fn link(&self) -> Option<&str> {
        let links = [&self.panel_url, &self.dashboard_url, &self.generator_url];
        links.into_iter().filter_map(|link| link.as_deref()).find(|link| !link.trim().is_empty())
    }
}

/// Sixteen hexadecimal digits are what Alertmanager makes; whatever else tells alerts apart becomes as many.
fn mark(alert: &Alert) -> Mark {
    let name = identity(alert);
    let number = if name.len() == 16 { u64::from_str_radix(&name, 16).ok() } else { None };
    Mark(number.unwrap_or_else(|| {
        let hash = Sha256::digest(&name);
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }))
}

async fn take(app: &App, sender: &Sender, message: &Message, options: &Options, wanted: Wanted) -> Result<Value, Problem> {
    let (key, word) = (wanted.key.clone(), wanted.word.clone());
    let request = match word.over {
        true => RaiseRequest { integration_id: sender.integration_id(), by: sender.doer(), ..RaiseRequest::default() },
        false => {
            let rung = whom::find(app, sender, &wanted.phones, (&options.phones, None)).await?;
            raise_request(app.config(), sender, message, options, wanted, rung)
        }
    };
    let word = app.engine.hear(&key, &word, &request).await.map_err(unheard)?;
    Ok(outcome(app, word))
}

/// Why a message was not taken.
pub(super) fn unheard(error: EngineError) -> Problem {
    match error {
        EngineError::NobodyNamed => Problem::invalid(
            PHONES,
            "nobody is named to ring: give the alert a label or annotation `phones`, the webhook ?phones=, its key --phones, a rule for \
             an escalation policy, or set alarms.fallback_phones",
        ),
        other => other.into(),
    }
}

/// What became of a message, for whoever sent it.
pub(super) fn outcome(app: &App, word: Word) -> Value {
    let Word { raised, ended, stale, open, .. } = word;
    if let Some(raised) = raised {
        tracing::info!(alarm.id = %raised.alarm.id, outcome = ?raised.raised_as, "alarm from a monitoring system");
        app.engine.metrics.alarms.inc(match raised.raised_as {
            RaisedAs::Created => AlarmResult::Created,
            _ => AlarmResult::Repeated,
        });
        let outcome = raised.raised_as.word();
        return json!({ "id": raised.alarm.id, "number": raised.alarm.number.to_string(), "outcome": outcome });
    }
    let outcome = match (ended.is_empty(), stale, open) {
        (false, ..) => "resolved",
        (true, true, _) => "stale",
        (true, false, 0) => "nothing_open",
        (true, false, _) => "still_firing",
    };
    json!({ "id": ended.first(), "outcome": outcome })
}

fn raise_request(
    config: &Config,
    sender: &Sender,
    message: &Message,
    options: &Options,
    wanted: Wanted,
    rung: Rung,
) -> RaiseRequest {
    let source = sender.name().unwrap_or("alertmanager").to_owned();
    let mut details = wanted.details;
    if let Some(url) = message.external_url.as_deref().filter(|url| !url.is_empty()) {
        details = format!("{details}\n{}", clean(url, LONGEST_LABEL)).trim().to_owned();
    }
    for remark in &rung.remarks {
        details = format!("{details}\n{remark}");
    }
    RaiseRequest {
        integration_id: sender.integration_id(),
        source,
        summary: wanted.summary,
        details: clean(&details, LONGEST_DETAILS),
        labels: wanted.labels,
        priority: wanted.priority,
        mode: options.mode.unwrap_or(Mode::Sequential),
        until: Until::First,
        begin_window_s: alarm_request::begin_window(config),
        sender: sender.name().map(str::to_owned),
        by: sender.doer(),
        policy: rung.policy,
        ring: rung.ring,
        callees: rung.callees,
        named_by: rung.named_by,
        bounds: sender.bounds().cloned(),
        ..RaiseRequest::default()
    }
}

impl Group {
    /// Refuses what is no such message.
    fn check(&self) -> Result<(), Problem> {
        if self.cut {
            return Ok(());
        }
        if Form::of(self.message.version.as_deref()).is_none() {
            let called: Vec<&str> = FORMS.iter().map(|form| form.called).collect();
            return Err(Problem::invalid("version", format!("this is the webhook of {}", called.join(", and of "))));
        }
        match self.message.status {
            Some(_) => Ok(()),
            None => Err(Problem::invalid("status", "status is missing: it is firing or resolved")),
        }
    }

    fn is_over(&self) -> bool {
        // Of one that was cut the status may stand in what was not read.
        let none_burns = self.cut && self.alerts.any && self.alerts.burning == 0;
        self.message.status.map_or(none_burns, |status| status == Status::Resolved)
    }

    /// Whose word it is: the address of the monitoring system, and the receiver by which it sends.
    fn address(&self) -> String {
        let part = |text: &Option<String>| clean(text.as_deref().unwrap_or_default(), LONGEST_LABEL);
        format!("{} {}", part(&self.message.external_url), part(&self.message.receiver))
    }

    /// The key of the group.
    fn key(&self) -> String {
        let Message { group_key, version, org_id, group_labels, .. } = &self.message;
        if self.cut && group_key.is_none() {
            return self.key_of_what_is_cut();
        }
        match (group_key.as_deref().filter(|key| !key.is_empty()), Form::of(version.as_deref())) {
            (Some(key), Some(form)) => dedup_key(&(form.key)(key, *org_id)),
            (Some(key), None) => dedup_key(key),
            (None, _) => dedup_key(&format!("{}/{group_labels:?}", self.receiver())),
        }
    }

    fn receiver(&self) -> &str {
        self.message.receiver.as_deref().unwrap_or_default()
    }

    /// Under which a message is kept that could not be read whole: the key of its group stands at its end.
    fn key_of_what_is_cut(&self) -> String {
        dedup_key(&format!("unread/{}", self.receiver()))
    }

    /// The alarms that it is about: one for the group, or one for each alert. `open`: the groups that have open alarms.
    fn wanted(&self, options: &Options, open: &HashSet<String>) -> Vec<Wanted> {
        if !options.per_alert || self.cut {
            return vec![self.whole()];
        }
        let group = self.key();
        let plain =
            |key: &str| Form::of(self.message.version.as_deref()).is_none_or(|form| (form.key)(key, self.message.org_id) == key);
        let raw = self.message.group_key.clone().filter(|key| plain(key)).unwrap_or_else(|| group.clone());
        let key = |identity: &str| dedup_key(&format!("{raw}/{identity}"));
        let mut all = Vec::new();
        if !self.is_over() {
            for alert in &self.alerts.kept {
                let told = Told {
                    burns: true,
                    mark: mark(alert),
                    starts_at: instant(alert.starts_at.as_deref()),
                    ends_at: None,
                    until: None,
                };
                all.push(Wanted {
                    key: key(&identity(alert)),
                    word: burning::Message { address: self.address(), alerts: vec![told], ..burning::Message::default() },
                    summary: summary(&alert.annotations, &alert.labels, 1),
                    details: line_of_one(alert),
                    labels: alert.labels.clone(),
                    phones: phones(&alert.annotations, &alert.labels),
                    priority: priority(&alert.labels),
                });
            }
        }
        for (identity, told) in &self.alerts.named {
            let key = key(identity);
            if (!told.burns || self.is_over()) && open.contains(&key) {
                let told = Told { burns: false, ..*told };
                let word = burning::Message { address: self.address(), over: true, alerts: vec![told], ..Default::default() };
                all.push(Wanted::over(key, word));
            }
        }
        all.extend(self.rest(&key("rest"), open));
        if all.is_empty() {
            // Nothing of it is open: that is said of the group.
            all.push(Wanted::over(group, burning::Message { address: self.address(), over: true, ..Default::default() }));
        }
        all
    }

    /// Where each alert is an alarm, those for which there was no room are one together.
    fn rest(&self, key: &str, open: &HashSet<String>) -> Option<Wanted> {
        let kept: BTreeSet<Mark> = self.alerts.kept.iter().map(mark).collect();
        let rest: Vec<Told> =
            self.alerts.told.iter().filter(|told| !(told.burns && kept.contains(&told.mark))).copied().collect();
        let burning = self.alerts.burning.saturating_sub(self.alerts.kept.len()) + self.truncated();
        if self.is_over() || burning == 0 {
            let word = burning::Message { address: self.address(), over: true, alerts: Vec::new(), ..Default::default() };
            return open.contains(key).then(|| Wanted::over(key.to_owned(), word));
        }
        let whole = self.whole();
        Some(Wanted {
            key: key.to_owned(),
            word: burning::Message {
                address: self.address(),
                alerts: rest,
                more: self.alerts.more || self.truncated() > 0,
                ..Default::default()
            },
            summary: clean(&format!("[{burning} more] {}", self.name()), LONGEST_SUMMARY),
            details: format!("{burning} more alerts, which are too many to be alarms of their own"),
            ..whole
        })
    }

    /// So many alerts its sender left out.
    fn truncated(&self) -> usize {
        let told = self.message.truncated_alerts.unwrap_or_default().clamp(0, 1_000_000_000);
        usize::try_from(told).unwrap_or(0)
    }

    /// What all of it is called, without a number in front.
    fn name(&self) -> String {
        if self.cut {
            return format!("alerts for {}, which could not be read whole", self.receiver());
        }
        let common = self.common_labels();
        let annotations = match &self.alerts.kept[..] {
            [only] if self.alerts.burning == 1 => &only.annotations,
            _ => &self.message.common_annotations,
        };
        let said = said(annotations).map(str::to_owned);
        said.unwrap_or_else(|| named(common).unwrap_or_else(|| format!("alerts for {}", self.receiver())))
    }

    fn common_labels(&self) -> &BTreeMap<String, String> {
        if self.message.common_labels.is_empty() { &self.message.group_labels } else { &self.message.common_labels }
    }

    fn whole(&self) -> Wanted {
        let common = self.common_labels();
        let mut numbers = phones(&self.message.common_annotations, &self.message.common_labels);
        // Alerts of one group may name different people: all of them are rung, in the order in which they are named.
        numbers.extend(self.alerts.phones.iter().cloned());
        let mut seen: BTreeSet<String> = BTreeSet::new();
        numbers.retain(|number| seen.insert(number.clone()));
        let mut shown = labels(common);
        if !self.receiver().is_empty() {
            shown.insert("receiver".to_owned(), clean(self.receiver(), LONGEST_LABEL));
        }
        let count = self.alerts.burning + self.truncated();
        let name = self.name();
        let summary = if count > 1 { format!("[{count}] {name}") } else { name };
        let (over, more) = (self.is_over(), self.alerts.more || self.truncated() > 0);
        let alerts = self.alerts.told.iter().map(|told| Told { burns: told.burns && !over, ..*told }).collect();
        Wanted {
            key: self.key(),
            word: burning::Message { address: self.address(), over, alerts, more, ..burning::Message::default() },
            summary: clean(&summary, LONGEST_SUMMARY),
            details: self.details(count),
            labels: shown,
            phones: numbers,
            // A group is as urgent as the most urgent alert in it.
            priority: self.alerts.priority.unwrap_or_else(|| priority(common)),
        }
    }

    /// A line for each alert that burns: what it says, what tells it apart from the others, and what to do.
    fn details(&self, count: usize) -> String {
        let kept = &self.alerts.kept;
        let common = |name: &str, value: &str| match self.message.common_labels.is_empty() {
            false => self.message.common_labels.get(name).map(String::as_str) == Some(value),
            true => kept.iter().all(|alert| alert.labels.get(name).map(String::as_str) == Some(value)),
        };
        let first = kept.first().and_then(runbook);
        let shared = first.filter(|first| kept.iter().all(|alert| runbook(alert) == Some(*first)));
        let mut lines: Vec<String> = Vec::new();
        let mut length = 0;
        for alert in kept {
            let apart = alert.labels.iter().filter(|(name, value)| name.as_str() != PHONES && !common(name, value));
            let apart: Vec<String> = apart.map(|(name, value)| format!("{name}={value}")).collect();
            let line = line(alert, &apart, shared.is_none());
            length += line.chars().count() + 1;
            if length > LONGEST_LINES && !lines.is_empty() {
                break;
            }
            lines.push(line);
        }
        let rest = count.saturating_sub(lines.len());
        if rest > 0 && (count > 1 || lines.is_empty()) {
            lines.push(if lines.is_empty() { format!("{rest} alerts") } else { format!("and {rest} more") });
        }
        if self.cut {
            lines.push("The message was too long and could not be read whole: there may be more alerts.".to_owned());
        }
        lines.extend(shared.map(|runbook| format!("runbook: {runbook}")));
        if let [only] = &kept[..] {
            lines.extend(only.link().map(|link| clean(link, LONGEST_ANNOTATION)));
        }
        lines.join("\n")
    }

    /// Ends what was raised of a message of this group that could not be read whole.
    async fn end_what_was_cut(&self, app: &App, sender: &Sender) -> Result<(), Problem> {
        if self.cut || self.alerts.told.iter().all(|told| told.burns) && !self.is_over() {
            return Ok(());
        }
        let over = self.is_over();
        let alerts =
            self.alerts.told.iter().filter(|told| over || !told.burns).map(|told| Told { burns: false, ..*told }).collect();
        let word = burning::Message { address: self.address(), over, alerts, guest: true, ..burning::Message::default() };
        let request = RaiseRequest { integration_id: sender.integration_id(), by: sender.doer(), ..RaiseRequest::default() };
        let key = self.key_of_what_is_cut();
        if app.engine.store.read().await?.db().open_of_group(&request.integration_id, &key).await?.is_empty() {
            return Ok(());
        }
        app.engine.hear(&key, &word, &request).await?;
        Ok(())
    }
}

impl Wanted {
    /// Something is over.
    fn over(key: String, word: burning::Message) -> Self {
        Self {
            key,
            word,
            summary: String::new(),
            details: String::new(),
            labels: BTreeMap::new(),
            phones: Vec::new(),
            priority: Priority::Normal,
        }
    }
}

/// What is to be done about an alert.
fn runbook(alert: &Alert) -> Option<&str> {
    let texts = ["runbook_url", "runbook"].into_iter().filter_map(|name| alert.annotations.get(name));
    texts.map(|text| visible::shown(text)).find(|text| !text.is_empty())
}

/// One alert in one line.
fn line(alert: &Alert, apart: &[String], with_runbook: bool) -> String {
    let said = said(&alert.annotations);
    let mut line = said.map_or_else(|| named(&alert.labels).unwrap_or_else(|| "alert".to_owned()), str::to_owned);
    if said.is_some() && !apart.is_empty() {
        line = format!("{line} ({})", apart.join(", "));
    }
    let description = alert.annotations.get("description").map(|text| text.trim());
    if let Some(description) = description.filter(|text| !text.is_empty() && Some(*text) != said) {
        line = format!("{line}: {description}");
    }
    match runbook(alert).filter(|_| with_runbook) {
        Some(runbook) => format!("{line} {runbook}"),
        None => line,
    }
}

/// The details of an alert that is an alarm of its own.
fn line_of_one(alert: &Alert) -> String {
    let line = line(alert, &[], true);
    match alert.link() {
        Some(link) => format!("{line}\n{}", clean(link, LONGEST_ANNOTATION)),
        None => line,
    }
}

/// What tells an alert from others.
fn identity(alert: &Alert) -> String {
    match alert.fingerprint.as_deref().filter(|fingerprint| !fingerprint.is_empty()) {
        Some(fingerprint) => fingerprint.to_owned(),
        None => format!("{:?}", alert.labels),
    }
}

fn options(query: &str) -> Result<Options, Problem> {
    let mut options = Options::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "per" if value == "alert" => options.per_alert = true,
            "per" if value == "group" => options.per_alert = false,
            "per" => return Err(Problem::invalid("per", "per must be group or alert")),
            PHONES => options.phones = split_phones(&value),
            "mode" if value == "sequential" => options.mode = Some(Mode::Sequential),
            "mode" if value == "parallel" => options.mode = Some(Mode::Parallel),
            "mode" => return Err(Problem::invalid("mode", "mode must be sequential or parallel")),
            "test" if value == "ring" => options.ring_tests = true,
            "test" => return Err(Problem::invalid("test", "test must be ring, or be left out")),
            "key" => {}
            _ => return Err(Problem::invalid(&*name, format!("the webhook has no option {name:?}"))),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    /// Reads a message that comes in pieces of such a length.
    async fn pieces(body: Vec<u8>, length: usize, per_alert: bool) -> Result<Group, Problem> {
        let pieces: Vec<Result<axum::body::Bytes, std::io::Error>> =
            body.chunks(length.max(1)).map(|piece| Ok(axum::body::Bytes::copy_from_slice(piece))).collect();
        read(Body::from_stream(futures_util::stream::iter(pieces)), per_alert, BODY_WITHIN).await
    }

    fn group(value: serde_json::Value, per_alert: bool) -> Group {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(pieces(value.to_string().into_bytes(), 7, per_alert)).unwrap()
    }

    fn per_alert() -> Options {
        Options { per_alert: true, ..Options::default() }
    }

    #[test]
    fn a_group_is_one_alarm() {
        let message = json!({
            "version": "4", "groupKey": "{}:{alertname=\"Disk\"}", "status": "firing", "receiver": "team",
            "commonLabels": { "alertname": "Disk", "severity": "critical" }, "commonAnnotations": {},
            "alerts": [
                { "status": "firing", "labels": { "instance": "db1" }, "annotations": { "phones": "18712345678", "summary": "db1 is full" } },
                { "status": "firing", "labels": { "instance": "db2" }, "annotations": { "phones": "18812345678, 18712345678" } },
                { "status": "resolved", "labels": { "instance": "db3" }, "annotations": { "phones": "18912345678" } },
            ],
        });
        let wanted = group(message.clone(), false).wanted(&Options::default(), &HashSet::new());
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].phones, ["18712345678", "18812345678"], "each once, and only of those that fire");
        assert_eq!(wanted[0].summary, "[2] Disk (severity=critical)");
        assert_eq!(priority(&wanted[0].labels), Priority::Critical);
        let open = HashSet::from([format!("{{}}:{{alertname=\"Disk\"}}/{:?}", BTreeMap::from([("instance", "db3")]))]);
        let each = group(message, true).wanted(&per_alert(), &open);
        assert_eq!(each.iter().map(|wanted| wanted.word.over).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(each[0].summary, "db1 is full");
    }

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_message_panics(status in "firing|resolved", text in ".{0,80}", key in ".{0,500}", phones in "[0-9,; +a-z]{0,60}", query in ".{0,60}") {
            let alert = json!({ "status": status, "labels": { text.clone(): text.clone() }, "annotations": { "phones": phones, "summary": text } });
            let message = json!({
                "version": "4", "groupKey": key, "status": status, "commonLabels": { "severity": text }, "alerts": [alert.clone(), alert],
            });
            for each in [false, true] {
                let options = Options { per_alert: each, ..Options::default() };
                for wanted in group(message.clone(), each).wanted(&options, &HashSet::new()) {
                    prop_assert!(wanted.word.over || !wanted.summary.trim().is_empty());
                    prop_assert!(!wanted.summary.contains('\0') && !wanted.key.contains('\0'));
                }
            }
            let _ = options(&query);
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _ = runtime.block_on(pieces(body, 3, true));
        }
    }

    /// A body of which something comes, and then nothing more.
    fn stuck(begins: &'static str) -> Body {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(axum::body::Bytes::from_static(begins.as_bytes()))]);
        Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_cut_off() {
        let cut = async |begins| read(stuck(begins), false, Duration::ZERO).await;
        let refused = cut(r#"{"receiver":"team","status":"firing","alerts":["#).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (503, "body_too_slow"));
        let known = cut(r#"{"receiver":"team","status":"firing","alerts":[{"status":"firing"},{"#).await.unwrap();
        assert!(known.cut && known.name().contains("team"), "what is known by then rings");
        let refused = cut(r#"{"receiver":"team","status":"resolved","alerts":[{"status":"resolved"},{"#).await.unwrap_err();
        assert_eq!(refused.code(), "body_too_slow", "what is over is told again");
        let refused = alarm_request::read_within(stuck("{"), 100, Duration::ZERO).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (503, "body_too_slow"));
    }
}
