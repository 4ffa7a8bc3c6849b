//! What a sender may say of an alarm, and the checks that turn it into something the engine can take.
//!
//! A request is refused as a whole, with the field at fault, before anything is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::alarm::{AlarmKind, Confirm, Mode, Priority, Until};
use crate::config::Config;
use crate::engine::{Acknowledgement, Mended, NamedBy, NewCallee, RaiseRequest};
use crate::http::aging;
use crate::http::bodies::BODY_WITHIN;
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, MOST_FAULTS, Problem, Wrong};
use crate::http::wash::{self, Washer};
use crate::keep::checks::{
    ATTEMPTS, DAY, LONGEST_LABEL_NAME, LONGEST_LABEL_VALUE, LONGEST_NAME, LONGEST_NOTE, MOST_LABELS, optional_text, within,
};
use crate::keep::whom::Named;
use crate::needs::Words;
use crate::net::arriving::is_slow;
use crate::numbers::{Number, phone_of};
use crate::visible;

const LONGEST_SUMMARY: usize = 1_000;
const LONGEST_DETAILS: usize = 20_000;
const LONGEST_SOURCE: usize = 200;
const LONGEST_MONITOR: usize = 60;
const LONGEST_DEDUP_KEY: usize = 500;
/// Longest key of a request, in characters.
const LONGEST_KEY: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What makes a request that comes again the same request.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey<'h>(&'h str);

impl<'h> IdempotencyKey<'h> {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// When it has several, or one that is none.
    pub fn of(headers: &'h HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => return Err(Problem::header("Idempotency-Key", "a request has at most one Idempotency-Key")),
        };
        if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters");
            return Err(Problem::header("Idempotency-Key", text));
        }
        Ok(Some(Self(key)))
    }

    /// As it was sent.
    #[must_use]
    pub fn as_str(self) -> &'h str {
        self.0
    }
}

/// The JSON body of `POST /api/v1/alarms`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmBody {
    /// What happened, in one line, of which at most 1000 characters are kept.
    #[schema(min_length = 1, pattern = "\\S")]
    summary: String,
    /// More text, of which at most 20000 characters are kept.
    #[serde(default)]
    details: String,
    /// What the sender calls itself; else the name of its key.
    #[serde(default)]
    source: String,
    /// What makes two reports the same alarm.
    #[schema(min_length = 1)]
    dedup_key: Option<String>,
    /// Default: normal.
    priority: Option<Priority>,
    /// Names and values, of which at most 64 are kept.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Whom to ring, in order; else the numbers of the key, else `alarms.fallback_phones`.
    #[serde(default)]
    phones: Vec<String>,
    /// Default: sequential.
    mode: Option<Mode>,
    /// Default: first.
    until: Option<Until>,
    /// Calls to each callee, 1 to 10; default 2.
    #[schema(minimum = 1, maximum = 10)]
    attempts: Option<i32>,
    /// Least time between two calls to one callee; default 60.
    #[schema(minimum = 0, maximum = 86400)]
    min_interval_seconds: Option<i32>,
    /// Without a handset by then the alarm ends; default 3600.
    #[schema(minimum = 1, maximum = 604_800)]
    begin_before_seconds: Option<i32>,
    /// An answer that nobody confirms within so many seconds lapses, and ringing goes on; default: as the policy says.
    #[schema(minimum = 1, maximum = 86400)]
    confirm_within_seconds: Option<i32>,
    /// When an answer needs no further word: `none`, as soon as the line connects; `any`, once somebody confirms it; `key`: the same, and where
    /// the handset speaks, who presses no key has not answered. Default: as the policy says, or `any` where a time to confirm is given.
    confirm: Option<Confirm>,
    /// The escalation policy that says whom to ring, instead of `phones`.
    #[schema(max_length = 200)]
    policy: Option<String>,
    /// Whom to ring by name or by duty, in order, instead of `phones`: as in a step of a policy.
    #[serde(default)]
    ring: Vec<Named>,
    /// Nobody is rung; counters and history advance all the same.
    #[serde(default)]
    dry_run: bool,
    /// A test of this monitor, which `autocall monitor add` makes: it goes all the way of an alarm, and nobody but the monitor is given its
    /// `phones`. It is no alarm: it stands in no list, counts in no report, and is forgotten with the next one.
    #[schema(max_length = 60)]
    monitor: Option<String>,
}

/// The JSON body of `POST /api/v1/alarms/resolve`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// The key under which the alarm was raised.
    #[schema(min_length = 1)]
    dedup_key: String,
}

/// The JSON body of `POST /api/v1/alarms/{id}/acknowledge`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeBody {
    /// Who confirms.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Their number, if the name is to be found by it.
    #[serde(alias = "number")]
    phone_number: Option<String>,
    /// A remark for the timeline.
    #[schema(max_length = 2000)]
    note: Option<String>,
    /// Unless it is over by then, the alarm rings again after so many seconds: 60 to 604800.
    #[schema(minimum = 60, maximum = 604_800)]
    ring_again_after_seconds: Option<i32>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/cancel`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Who calls it off.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// Reads a body of limited size.
///
/// # Errors
/// When it is larger, breaks off, or takes too long.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    read_within(body, limit, BODY_WITHIN).await
}

pub(crate) async fn read_within(body: Body, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(within, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(error)) if is_slow(&*error) => Err(too_slow()),
        Ok(Err(_)) => Err(broke_off()),
        Err(_) => Err(too_slow()),
    }
}

fn too_large(limit: usize) -> Problem {
    let text = format!("the body is larger than {limit} bytes; the limit is http.body_limit_bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, text)
}

pub(crate) fn broke_off() -> Problem {
    Problem::bad_request(Code::BodyBrokeOff, "the body broke off, or is not packed as its head says")
}

pub(crate) fn too_slow() -> Problem {
    let text = format!("the body did not come within {} s: send it again", BODY_WITHIN.as_secs());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::BodyTooSlow, text)
}

/// The body of an alarm, with texts that are much too long cut.
#[derive(Debug)]
pub struct AlarmText {
    json: Vec<u8>,
    /// Of the whole body.
    hash: Vec<u8>,
    /// Something in it was put right already.
    cleaned: bool,
}

impl From<&[u8]> for AlarmText {
    fn from(body: &[u8]) -> Self {
        Self { json: body.to_vec(), hash: Sha256::digest(body).to_vec(), cleaned: false }
    }
}

/// A text that is longer than this is cut before anything is read, in bytes: it is longer than what is kept of any.
const LONGEST_TEXT: usize = 128 * 1024;
/// A longer body of an alarm is refused, in bytes, however little is kept of it.
const LONGEST_BODY: usize = 64 << 20;

/// Reads the body of an alarm. No text in it makes it too long: what is left of it, when each was cut, must fit into `limit`.
///
/// # Errors
/// When that is larger, the body breaks off, or takes too long.
pub async fn read_alarm(mut body: Body, limit: usize) -> Result<AlarmText, Problem> {
    let mut washer = Washer::new(LONGEST_TEXT);
    let (mut json, mut hash, mut length) = (Vec::new(), Sha256::new(), 0_usize);
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| broke_off())?.into_data() else { continue };
            if length == 0 {
                wash::refuse_wide(&piece)?;
            }
            length = length.saturating_add(piece.len());
            hash.update(&piece);
            washer.feed(&piece, &mut json);
            if json.len() > limit || length > LONGEST_BODY {
                return Err(too_large(limit));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_WITHIN, read).await {
        Ok(read) => read?,
        Err(_) => return Err(too_slow()),
    }
    Ok(AlarmText { json, hash: hash.finalize().to_vec(), cleaned: washer.cleaned() })
}

/// Text as it is kept: without what cannot be stored or shown, and not too long. What was done to it is noted.
fn kept(field: &str, text: &str, longest: usize, mended: &mut Mended) -> String {
    let (clean, changed) = wash::printable(text);
    if changed {
        mended.cleaned.push(field.to_owned());
    }
    if clean.chars().count() <= longest {
        return clean.into_owned();
    }
    mended.cut.push(field.to_owned());
    clean.chars().take(longest).collect()
}

/// Names and values as they are kept.
fn kept_labels(labels: &BTreeMap<String, String>, mended: &mut Mended) -> BTreeMap<String, String> {
    if labels.len() > MOST_LABELS {
        mended.cut.push("labels".to_owned());
    }
    let mut all = Mended::default();
    let each = labels.iter().take(MOST_LABELS).map(|(name, value)| {
        (kept("labels", name, LONGEST_LABEL_NAME, &mut all), kept("labels", value, LONGEST_LABEL_VALUE, &mut all))
    });
    let kept = each.filter(|(name, _)| !name.is_empty()).collect();
    for (from, into) in [(all.cut, &mut mended.cut), (all.cleaned, &mut mended.cleaned)] {
        if !from.is_empty() && !into.iter().any(|field| field == "labels") {
            into.push("labels".to_owned());
        }
    }
    kept
}

/// A key as it is kept: a long one becomes its hash, since two that differ at the end are two.
fn kept_key(key: &str, mended: &mut Mended) -> String {
    let clean = kept("dedup_key", key, usize::MAX, mended);
    if clean.chars().count() <= LONGEST_DEDUP_KEY { clean } else { crate::ids::hex(&Sha256::digest(&clean)) }
}

/// Reads and checks a request to raise an alarm. What is too long is cut and what cannot be shown is taken out: that is no reason to
/// leave people asleep. With it the monitor whose test it is, if it is one.
///
/// # Errors
/// All that is wrong with it.
pub fn raise_request(
    body: impl Into<AlarmText>,
    idempotency_key: Option<IdempotencyKey<'_>>,
    sender: &Sender,
    config: &Config,
) -> Result<(RaiseRequest, Option<String>), Problem> {
    let body: AlarmText = body.into();
    let mut wrong = Wrong::default();
    let (alarm, cleaned) = read_noting::<AlarmBody>(Parsed::read(&body.json)?, &mut wrong)?;
    let Some(alarm) = alarm else {
        return Err(Problem::several(wrong.0).unwrap_or_else(|| Problem::bad_request(Code::MalformedJson, NO_OBJECT)));
    };
    let mut mended = Mended::default();
    if cleaned || body.cleaned {
        mended.cleaned.push("body".to_owned());
    }
    if visible::is_blank(&alarm.summary) && !wrong.names("summary") {
        wrong.0.push(Problem::invalid("summary", "the summary must say what happened: it is empty"));
    }
    if alarm.dedup_key.as_deref() == Some("") {
        let text = "an empty dedup_key would make all such alarms one: leave it out";
        wrong.0.push(Problem::invalid("dedup_key", text));
    }
    if alarm.labels.contains_key("") {
        wrong.0.push(Problem::invalid("labels", "a label needs a name"));
    }
    let or = |given: Option<i32>, default: i32| given.unwrap_or(default);
    let max_attempts = match alarm.attempts {
        Some(attempts) => wrong.note(within("attempts", attempts, ATTEMPTS, "calls to each callee")),
        None => Some(default_attempts(config)),
    };
    let min_interval_s = match alarm.min_interval_seconds {
        Some(interval) => wrong.note(within("min_interval_seconds", interval, 0..=DAY, "seconds")),
        None => Some(default_interval(config)),
    };
    let begin_window_s = match alarm.begin_before_seconds {
        Some(window) => wrong.note(within("begin_before_seconds", window, 1..=7 * DAY, "seconds")),
        None => Some(begin_window(config)),
    };
    let confirm_within = alarm
        .confirm_within_seconds
        .and_then(|seconds| wrong.note(within("confirm_within_seconds", seconds, 1..=DAY, "seconds")));
    let policy = wrong.note(optional_text("policy", alarm.policy, LONGEST_NAME)).flatten();
    let ways = [policy.is_some(), !alarm.phones.is_empty(), !alarm.ring.is_empty()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        let field = if policy.is_some() { "policy" } else { "ring" };
        wrong.0.push(Problem::invalid(field, "give one of phones, ring and policy: each says whom to ring"));
    }
    let monitor = wrong.note(optional_text("monitor", alarm.monitor, LONGEST_MONITOR)).flatten();
    if monitor.is_some() && alarm.phones.is_empty() {
        wrong.0.push(Problem::invalid("phones", "a test of a monitor names the numbers that the monitor is given"));
    }
    if alarm.ring.len() > config.alarms.max_phones {
        let text = format!("at most {} can be named for one alarm", config.alarms.max_phones);
        wrong.0.push(Problem::invalid("ring", text));
    }
    let own = sender.key.as_ref().map_or(&[][..], |key| key.phones.as_slice());
    let named =
        [(NamedBy::Alarm, &alarm.phones[..]), (NamedBy::Sender, own), (NamedBy::Fallback, &config.alarms.fallback_phones)];
    let (named_by, phones) = named.into_iter().find(|(_, phones)| !phones.is_empty()).unwrap_or((NamedBy::Fallback, &[]));
    let callees = all_callees(phones, or(max_attempts, 1), or(min_interval_s, 0), config, &mut wrong);
    // Without a key of its own a sender is its address: in an open network hosts count from 1, each for itself.
    let idempotency = idempotency_key.map(|IdempotencyKey(key)| match &sender.key {
        Some(_) => (key.to_owned(), body.hash),
        None => (format!("{} {key}", sender.address), body.hash),
    });
    // What stands in for a value that could not be read may be wrong as well.
    wrong.each_once();
    if let Some(problem) = Problem::several(wrong.0) {
        return Err(problem);
    }
    let source = kept("source", &alarm.source, LONGEST_SOURCE, &mut mended);
    let summary = kept("summary", &alarm.summary, LONGEST_SUMMARY, &mut mended);
    let (kind, needs) = match &monitor {
        Some(_) => (AlarmKind::Test, Words::of_monitor()),
        None => (AlarmKind::Alarm, Words::default()),
    };
    let raised = RaiseRequest {
        kind,
        needs,
        integration_id: sender.integration_id(),
        source: if source.is_empty() { sender.name().unwrap_or_default().to_owned() } else { source },
        dedup_key: alarm.dedup_key.map(|key| kept_key(&key, &mut mended)),
        summary: if visible::is_blank(&summary) { NO_WORDS.to_owned() } else { summary },
        details: kept("details", &alarm.details, LONGEST_DETAILS, &mut mended),
        labels: kept_labels(&alarm.labels, &mut mended),
        priority: alarm.priority.unwrap_or(Priority::Normal),
        mode: alarm.mode.unwrap_or(Mode::Sequential),
        until: alarm.until.unwrap_or(Until::First),
        dry_run: alarm.dry_run,
        begin_window_s: or(begin_window_s, begin_window(config)),
        confirm_within,
        confirm: alarm.confirm,
        policy,
        named_by: if alarm.ring.is_empty() { named_by } else { NamedBy::Alarm },
        callees: if alarm.ring.is_empty() { callees } else { Vec::new() },
        ring: alarm.ring,
        attempts: alarm.attempts,
        min_interval_s: alarm.min_interval_seconds,
        sender: sender.name().map(str::to_owned),
        by: sender.doer(),
        idempotency,
        flaps: true,
        mended,
        bounds: sender.bounds().cloned(),
        ..RaiseRequest::default()
    };
    Ok((raised, monitor))
}

/// Stands for a summary of which nothing can be shown.
const NO_WORDS: &str = "(an alarm without a readable summary)";

/// Reads which alarm is over.
///
/// # Errors
/// What is wrong with it.
pub fn resolved_key(body: &AlarmText) -> Result<String, Problem> {
    let ResolveBody { dedup_key } = read_json(&body.json)?;
    if dedup_key.is_empty() {
        return Err(Problem::invalid("dedup_key", "give the dedup_key under which the alarm was raised"));
    }
    Ok(kept_key(&dedup_key, &mut Mended::default()))
}

/// Reads and checks who acknowledges; an empty body is allowed.
///
/// # Errors
/// All that is wrong with it.
pub fn acknowledgement(body: &[u8], config: &Config) -> Result<Acknowledgement, Problem> {
    let by: AcknowledgeBody = read_optional_json(body)?;
    let mut wrong = Wrong::default();
    let name = wrong.note(optional_text("name", by.name, LONGEST_NAME)).flatten();
    let note = wrong.note(optional_text("note", by.note, LONGEST_NOTE)).flatten();
    let number = by.phone_number.and_then(|number| {
        let parsed = Number::parse(&number, config.default_region);
        let parsed = wrong.note(parsed.map_err(|error| Problem::invalid("phone_number", error.to_string())))?;
        Some(parsed.number.as_str().to_owned())
    });
    let ring_again_after_s = by
        .ring_again_after_seconds
        .and_then(|after| wrong.note(within("ring_again_after_seconds", after, 60..=7 * DAY, "seconds")));
    wrong.none()?;
    Ok(Acknowledgement { name, number, note, ring_again_after_s, ..Acknowledgement::default() })
}

/// Reads and checks who cancels; an empty body is allowed.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn cancelled_by(body: &AlarmText) -> Result<Option<String>, Problem> {
    let by: CancelBody = read_optional_json(&body.json)?;
    Ok(optional_text("by", by.by, LONGEST_NAME)?)
}

/// How long an alarm that does not say waits for a handset, in seconds.
#[must_use]
pub fn begin_window(config: &Config) -> i32 {
    i32::try_from(config.alarms.begin_before.as_secs()).unwrap_or(7 * DAY)
}

fn default_attempts(config: &Config) -> i32 {
    i32::try_from(config.alarms.attempts).unwrap_or(*ATTEMPTS.end())
}

fn default_interval(config: &Config) -> i32 {
    i32::try_from(config.alarms.min_interval.as_secs()).unwrap_or(DAY)
}

/// Callees for an alarm that does not say how often to ring them.
///
/// # Errors
/// The first number that cannot be rung.
pub fn default_callees(phones: &[String], config: &Config) -> Result<Vec<NewCallee>, Problem> {
    callees(phones, default_attempts(config), default_interval(config), config)
}

fn callees(phones: &[String], max_attempts: i32, min_interval_s: i32, config: &Config) -> Result<Vec<NewCallee>, Problem> {
    let mut wrong = Wrong::default();
    let callees = all_callees(phones, max_attempts, min_interval_s, config, &mut wrong);
    Problem::several(wrong.0).map_or(Ok(callees), Err)
}

fn all_callees(phones: &[String], max_attempts: i32, min_interval_s: i32, config: &Config, wrong: &mut Wrong) -> Vec<NewCallee> {
    let most = config.alarms.max_phones;
    if phones.len() > most {
        wrong.0.push(Problem::invalid("phones", format!("at most {most} numbers can be rung for one alarm")));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut callees = Vec::with_capacity(phones.len());
    for (index, phone) in phones.iter().enumerate() {
        let parsed = Number::parse(phone, config.default_region);
        let parsed = parsed.map_err(|error| Problem::invalid(format!("phones[{index}]"), error.to_string()));
        let Some(parsed) = wrong.note(parsed) else { continue };
        let number = parsed.number.as_str().to_owned();
        // The same number in two spellings, or a phone under both its numbers, is one callee: nobody is rung twice in a row for one alarm.
        if seen.insert(phone_of(&number).into_owned()) {
            let known_to_plan = parsed.known_to_plan;
            callees.push(NewCallee { number, known_to_plan, name: None, reference: None, max_attempts, min_interval_s });
        }
    }
    callees
}

pub(crate) fn read_optional_json<T: Default + for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    if matches!(body.trim_ascii(), b"" | b"null") { Ok(T::default()) } else { read_json(body) }
}

const NO_OBJECT: &str = "the body must be a JSON object: {\"summary\": …}";

/// Reads JSON, and names the fields at fault. A field that is null is one that was left out.
///
/// # Errors
/// What is wrong, and where.
pub fn read_json<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    read_parsed(Parsed::read(body)?)
}

/// The same of what was read already.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read_parsed<T: for<'de> Deserialize<'de>>(parsed: Parsed) -> Result<T, Problem> {
    let mut wrong = Wrong::default();
    let (value, _) = read_noting(parsed, &mut wrong)?;
    match (value, Problem::several(wrong.0)) {
        (Some(value), None) => Ok(value),
        (_, problem) => Err(problem.unwrap_or_else(|| Problem::bad_request(Code::MalformedJson, NO_OBJECT))),
    }
}

/// Reads a word of the API, such as a state.
///
/// # Errors
/// Which words there are.
pub(crate) fn read_word<T: for<'de> Deserialize<'de>>(word: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(word))
        .map_err(|error| in_plain_words(&error.to_string(), word))
}

/// Reads JSON, and notes what is wrong with its fields; gives what can be read without these, and whether something in it was put
/// right.
fn read_noting<T: for<'de> Deserialize<'de>>(parsed: Parsed, wrong: &mut Wrong) -> Result<(Option<T>, bool), Problem> {
    let Parsed { mut value, cleaned, twice } = parsed;
    // A list of values in the order of the fields would be read as well; nobody means that.
    if !value.is_object() {
        return Err(Problem::bad_request(Code::MalformedJson, NO_OBJECT));
    }
    wrong.0.extend(twice.into_iter().take(MOST_FAULTS).map(stands_twice));
    // What is wrong is taken out, and the rest is looked at: whoever repairs a request wants to know of everything.
    let mut known: Vec<String> = Vec::new();
    let mut tries: HashMap<String, usize> = HashMap::new();
    for _ in 0..MOST_LOOKS {
        if wrong.0.len() >= MOST_FAULTS {
            break;
        }
        let (field, text) = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return Ok((Some(read), cleaned)),
            Err(error) => fault(&error),
        };
        let of = root(&field).to_owned();
        // What is missing under its name of now may have been taken out under that of before.
        let was_taken_out = known.contains(&of) || aging::once_read_as(&of).any(|old| known.iter().any(|known| known == old));
        if !was_taken_out {
            match consequence(&known, &field) {
                None if field != of => {
                    wrong.0.push(Problem::invalid(field.as_str(), text));
                    if take_out_inside(&mut value, &field) || stand_in_inside(&mut value, &field, 0) {
                        known.push(field);
                        continue;
                    }
                }
                None => wrong.0.push(Problem::invalid(field, text)),
                Some(inside) => {
                    let tried = tries.entry(inside.clone()).or_insert(0);
                    *tried += 1;
                    if stand_in_inside(&mut value, inside, *tried - 1) {
                        continue;
                    }
                    // Nothing fits: what it is part of goes.
                    let (inside, outer) = (inside.clone(), part_of(inside).unwrap_or_default().to_owned());
                    known.retain(|own| *own != inside);
                    if take_out_inside(&mut value, &outer) || stand_in_inside(&mut value, &outer, 0) {
                        known.push(outer);
                        continue;
                    }
                }
            }
            // What is missing cannot be taken out: something stands in for it.
            if !take_out(&mut value, &of) && !stand_in(&mut value, &of, 0) {
                break;
            }
            known.push(of);
            continue;
        }
        // It was taken out and is needed, or what stands in for it does not fit.
        let tried = *tries.entry(of.clone()).and_modify(|tried| *tried += 1).or_insert(0);
        take_out(&mut value, &of);
        if !stand_in(&mut value, &of, tried) {
            break;
        }
    }
    Ok((None, cleaned))
}

/// So often a request is looked at.
const MOST_LOOKS: usize = 5 * MOST_FAULTS;

/// What was taken out of a field before, where a fault may come of that: it lies at that place, in what stands in for it, or around it.
fn consequence<'k>(known: &'k [String], field: &str) -> Option<&'k String> {
    let lies_in =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    known.iter().find(|own| own.contains(['.', '[']) && (lies_in(field, own) || lies_in(own, field)))
}

/// What a field is part of.
fn part_of(field: &str) -> Option<&str> {
    field.rsplit_once(['.', '[']).map(|(outer, _)| outer)
}

/// What stands at a field that is part of another, such as `steps[0].ring`, and what it is called there.
fn around<'v, 'f>(value: &'v mut Value, field: &'f str) -> Option<(&'v mut Value, &'f str)> {
    let (way, last) = field.rsplit_once(['.', '['])?;
    let steps = way.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let object = steps.into_iter().try_fold(value, |inner, step| match inner {
        Value::Array(all) => all.get_mut(step.parse::<usize>().ok()?),
        inner => inner.get_mut(step),
    })?;
    Some((object, last.trim_end_matches(']')))
}

/// Takes out what is part of a field; false when it is not in there. In a list something stands in for it, so that the others keep their
/// places.
fn take_out_inside(value: &mut Value, field: &str) -> bool {
    match around(value, field) {
        Some((Value::Object(members), name)) => members.remove(name).is_some(),
        Some((Value::Array(_), _)) => stand_in_inside(value, field, 0),
        _ => false,
    }
}

/// Puts something in the place of what was taken out of a field; false when there is nothing left to try.
fn stand_in_inside(value: &mut Value, field: &str, tried: usize) -> bool {
    let (Some((around, name)), Some(some)) = (around(value, field), some(tried)) else { return false };
    match around {
        Value::Object(members) => _ = members.insert(name.to_owned(), some),
        Value::Array(all) => match name.parse().ok().and_then(|place: usize| all.get_mut(place)) {
            Some(one) => *one = some,
            None => return false,
        },
        _ => return false,
    }
    true
}

/// What stands in for something of which nothing is known, one after the other.
fn some(tried: usize) -> Option<Value> {
    [json!(""), json!(0), json!([]), json!({}), json!(false)].into_iter().nth(tried)
}

fn stands_twice(field: String) -> Problem {
    let text = format!("{field} stands there twice");
    Problem::invalid(field, text)
}

/// The name of the outermost field.
fn root(field: &str) -> &str {
    field.split(['.', '[']).next().unwrap_or(field)
}

/// Puts something in the place of a field that must be there, so that the others can be looked at; false when there is nothing left to try.
fn stand_in(object: &mut Value, field: &str, tried: usize) -> bool {
    let (Some(members), Some(value)) = (object.as_object_mut(), some(tried)) else { return false };
    members.insert(field.to_owned(), value);
    true
}

/// Takes a field out of an object; false when it is not in there.
fn take_out(object: &mut Value, field: &str) -> bool {
    object.as_object_mut().is_some_and(|members| members.remove(field).is_some())
}

/// Which field is at fault, and why, in words for whoever sent it.
fn fault(error: &serde_path_to_error::Error<serde_json::Error>) -> (String, String) {
    let said = error.inner().to_string();
    let path = error.path().to_string();
    // A missing, unknown or repeated field is reported at the object that should hold it; the name stands in the message.
    let of_object = ["missing field", "unknown field", "duplicate field"].iter().any(|kind| said.starts_with(kind));
    let missing = said.starts_with("missing field");
    let field = match said.split('`').nth(1).filter(|_| of_object) {
        Some(name) if path == "." => name.to_owned(),
        // One that is not known may have been gone into by then.
        Some(name) if !missing && path.rsplit('.').next() == Some(name) => path,
        Some(name) => format!("{path}.{name}"),
        None => path,
    };
    let text = in_plain_words(&said, &field);
    (field, text)
}

/// What the library says of a time that it cannot read (its source: `ParseErrorKind`).
const OF_TIMES: [&str; 6] = [
    "input is out of range",
    "no possible date and time matching input",
    "input is not enough for unique date and time",
    "input contains invalid characters",
    "premature end of input",
    "trailing input",
];

/// What the parser says, in words of people.
fn in_plain_words(said: &str, field: &str) -> String {
    let ticked: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    if said.starts_with("missing field") {
        return format!("{field} is missing");
    }
    if said.starts_with("duplicate field") {
        return format!("{field} stands there twice");
    }
    if said.starts_with("unknown field") {
        let known = ticked.get(1..).unwrap_or_default();
        return match known.is_empty() {
            true => "there is no such field here".to_owned(),
            false => format!("there is no such field here; there are {}", known.join(", ")),
        };
    }
    if said.starts_with("unknown variant") {
        return format!("must be one of {}", ticked.get(1..).unwrap_or_default().join(", "));
    }
    let Some((_, expected)) = said.split_once("expected ") else {
        return match OF_TIMES.contains(&said) {
            true => format!("{field} must be a time such as 2026-11-20T03:22:07Z"),
            false => format!("{field} is not what it should be"),
        };
    };
    let meant = match expected {
        "a string" | "string" | "str" => "text in quotation marks",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "an object of strings" => "an object of names and texts",
        number if ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "usize"].contains(&number) => {
            return match said.starts_with("invalid value: integer") {
                true => format!("{field} is beyond what it can be"),
                false => format!("{field} must be a whole number"),
            };
        }
        _ if expected.starts_with("struct") || expected.starts_with("enum") || expected.contains("variant") => {
            "an object as documented"
        }
        _ => return format!("{field} is not what it should be"),
    };
    format!("{field} must be {meant}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn parse(body: &Value) -> Result<RaiseRequest, Value> {
        raise_request(
            body.to_string().as_bytes(),
            None,
            &Sender::new(None, std::net::Ipv4Addr::LOCALHOST.into()),
            &Config::default(),
        )
        .map(|(request, _)| request)
        .map_err(|problem| serde_json::to_value(problem).unwrap())
    }

    fn field(body: &Value) -> String {
        parse(body).unwrap_err()["field"].as_str().unwrap_or("-").to_owned()
    }

    #[test]
    fn defaults() {
        let request = parse(&json!({ "summary": "disk", "phones": ["18712345678"] })).unwrap();
        assert_eq!(request.mode, Mode::Sequential);
        assert_eq!(request.until, Until::First);
        assert_eq!(request.priority, Priority::Normal);
        assert_eq!(request.begin_window_s, 3600);
        assert_eq!(request.callees[0].number, "+8618712345678");
        assert_eq!((request.callees[0].max_attempts, request.callees[0].min_interval_s), (2, 60));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let with = |name: &str, value: Value| {
            let mut body = json!({ "summary": "s", "phones": ["18712345678"] });
            body[name] = value;
            body
        };
        assert_eq!(field(&json!({ "phones": ["18712345678"] })), "summary");
        assert_eq!(field(&with("summary", json!("  "))), "summary");
        assert_eq!(field(&with("summary", json!(7))), "summary");
        assert_eq!(field(&with("phones", json!(["18712345678", "110"]))), "phones[1]");
        assert_eq!(field(&with("phones", json!(["187#21"]))), "phones[0]");
        assert_eq!(field(&with("phones", json!([18_712_345_678_u64]))), "phones[0]");
        assert_eq!(field(&with("phones", json!("18712345678"))), "phones");
        assert_eq!(field(&with("attempts", json!(0))), "attempts");
        assert_eq!(field(&with("attempts", json!(11))), "attempts");
        assert_eq!(field(&with("mode", json!("random"))), "mode");
        assert_eq!(field(&with("until", json!("never"))), "until");
        assert_eq!(field(&with("priority", json!("urgent"))), "priority");
        assert_eq!(field(&with("min_interval_seconds", json!(-1))), "min_interval_seconds");
        assert_eq!(field(&with("begin_before_seconds", json!(0))), "begin_before_seconds");
        assert_eq!(field(&with("dedup_key", json!(""))), "dedup_key");
        assert_eq!(field(&with("labels", json!({ "a": 1 }))), "labels.a");
        assert_eq!(field(&with("sumary", json!("typo"))), "sumary");
    }

    #[test]
    fn one_number_in_two_spellings_is_one_callee() {
        let body = json!({ "summary": "s", "phones": ["187 1234 5678", "+8618712345678", "18812345678"] });
        assert_eq!(parse(&body).unwrap().callees.len(), 2);
    }

    #[test]
    fn not_json_at_all() {
        for body in ["", "{", "[]x", "{\"summary\":\"a\"} {}", "\u{feff}"] {
            assert!(
                raise_request(
                    body.as_bytes(),
                    None,
                    &Sender::new(None, std::net::Ipv4Addr::LOCALHOST.into()),
                    &Config::default()
                )
                .is_err(),
                "{body}"
            );
        }
        let twice = r#"{"summary":"a","summary":"b","phones":["18712345678"]}"#;
        assert!(
            raise_request(twice.as_bytes(), None, &Sender::new(None, std::net::Ipv4Addr::LOCALHOST.into()), &Config::default())
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200), key in prop::collection::vec(any::<u8>(), 0..20)) {
            let headers: HeaderMap = HeaderValue::from_bytes(&key).into_iter().map(|key| (IDEMPOTENCY_KEY, key)).collect();
            let key = IdempotencyKey::of(&headers).ok().flatten();
            let _ = raise_request(&body[..], key, &Sender::new(None, std::net::Ipv4Addr::LOCALHOST.into()), &Config::default());
            let _ = acknowledgement(&body, &Config::default());
            let _ = cancelled_by(&AlarmText::from(&body[..]));
        }
    }
}
