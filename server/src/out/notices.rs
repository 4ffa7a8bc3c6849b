//! Tells what is in the outbox: each notice until the other side has taken it, with growing pauses, for a day.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::mail::{self, Handed, Undelivered};
use super::ways::{Round, pause, serve_all};
use crate::alarm::{EndReason, Priority, Verdict};
use crate::engine::Engine;
use crate::engine::watch::health::Outbox;
use crate::ids::{CalleeId, WebhookId};
use crate::kinds::answer;
use crate::kinds::guard::{GuardedResolver, check_mail_url, check_url};
use crate::kinds::notices::{self, Answer, Envelope, LeftOver, Notice, Parcel, Refused, Target, WebhookShape};
use crate::kinds::words;
use crate::net::{tls, unanswered};
use crate::roster::source::{Trouble, Unreached};
use crate::store::alarm::alarms::{AlarmRow, foremost};
use crate::store::alarm::events;
use crate::store::lines::webhooks::{DeliveryRow, NoticeKind, WebhookRow};
use crate::store::{StoreError, Waiting};

/// The other side has this long to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A notice that was taken is free for another node after this: longer than a try can take.
const TAKEN_FOR: TimeDelta = TimeDelta::seconds(60);
/// The same by mail, where a server may look at a message for long.
const MAIL_TAKEN_FOR: TimeDelta = TimeDelta::seconds(150);
/// News older than this helps nobody.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);
/// Whoever asks for more patience than this is asked all the same.
const LONGEST_REST: TimeDelta = TimeDelta::minutes(10);
/// What a notice is called that is about no alarm.
const OWN_TITLE: &str = "AutoCall";

/// The client for whatever leaves this server: no redirects, no proxies, no addresses inside.
///
/// # Errors
/// When the system's certificates cannot be read.
pub fn client(guard: &GuardedResolver) -> Result<Client, reqwest::Error> {
    tls::client()
        .timeout(ANSWER_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // What is answered is a line; nobody need pack it.
        .gzip(false)
        .dns_resolver(Arc::new(guard.clone()))
        .user_agent(concat!("autocall/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A notice that was refused so often holds what came later no longer back.
const IN_ORDER: i32 = 3;

/// Tells what is due, every second, until dropped: each webhook by itself.
pub async fn run(engine: Arc<Engine>, client: Client) {
    let round = |webhook| {
        let (engine, client) = (Arc::clone(&engine), client.clone());
        async move { serve(&engine, &client, webhook).await }
    };
    serve_all(&engine, Outbox::Notices, || waiting(&engine), round).await;
}

async fn waiting(engine: &Engine) -> Result<Vec<Waiting<WebhookId>>, StoreError> {
    engine.store.read().await?.db().notices_waiting(engine.clock.now()).await
}

/// Tries everything that is due once, at all webhooks at the same time; gives how much was tried.
///
/// # Errors
/// When the database fails.
pub async fn deliver_due(engine: &Engine, client: &Client) -> Result<usize, StoreError> {
    let due = waiting(engine).await?.into_iter().filter(|one| one.due > 0);
    let rounds = join_all(due.map(|one| serve(engine, client, one.target))).await;
    rounds.into_iter().try_fold(0, |tried, round| Ok(tried + round?.tried))
}

/// Tells one webhook what is due, one notice after the other.
async fn serve(engine: &Engine, client: &Client, webhook: WebhookId) -> Result<Round, StoreError> {
    // Somebody waits for what comes of a test, so it goes first, also to a webhook that is left alone.
    let test = engine.store.read().await?.db().test_due(webhook, engine.clock.now()).await?;
    let mut round = Round::default();
    if let Some(test) = test
        && tell_all(engine, client, vec![test], &mut round).await?
    {
        return Ok(round);
    }
    let due = engine.store.read().await?.db().due_deliveries(webhook, engine.clock.now(), IN_ORDER).await?;
    tell_all(engine, client, due, &mut round).await?;
    Ok(round)
}

/// Tells these, one after the other; whether their webhook is to be left alone now.
async fn tell_all(engine: &Engine, client: &Client, due: Vec<DeliveryRow>, round: &mut Round) -> Result<bool, StoreError> {
    let mut held_back = Vec::new();
    for delivery in due {
        if held_back.contains(&delivery.hunt_id) {
            continue;
        }
        let now = engine.clock.now();
        let mut tx = engine.store.begin().await?;
        let webhook = tx.db().webhook(delivery.webhook_id).await?.filter(|webhook| webhook.removed_at.is_none());
        let is_mail = webhook.as_ref().is_some_and(|webhook| webhook.target().shape == WebhookShape::Email);
        let taken = tx.db().take_delivery(&delivery, now + if is_mail { MAIL_TAKEN_FOR } else { TAKEN_FOR }).await?;
        tx.commit().await?;
        if !taken {
            // Another node tells it right now, and what came later is to come later.
            held_back.extend(delivery.hunt_id.map(Some));
            continue;
        }
        round.tried += 1;
        let result = match &webhook {
            Some(webhook) => tell(engine, client, webhook, &delivery).await,
            None => Err(Refusal::Final("the webhook was removed".to_owned())),
        };
        let is_held = matches!(&result, Err(why) if !matches!(why, Refusal::ForSome { .. }));
        if is_held && delivery.attempts + 1 < IN_ORDER {
            held_back.extend(delivery.hunt_id.map(Some));
        }
        round.hung = matches!(result, Err(Refusal::Silent(_)));
        let wants_rest = matches!(&result, Err(Refusal::ForNow(Refused { patience: Some(_), .. })));
        write_down(engine, &delivery, result).await?;
        if round.hung || wants_rest {
            return Ok(true);
        }
    }
    Ok(false)
}

enum Refusal {
    /// Worth trying again.
    ForNow(Refused),
    /// The same, and nobody answered at all.
    Silent(String),
    /// Worth trying again for some, while others have it.
    ForSome { why: String, left: LeftOver },
    /// Not.
    Final(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::ForNow(Refused { why: error.to_string(), patience: None })
    }
}

async fn write_down(engine: &Engine, delivery: &DeliveryRow, result: Result<String, Refusal>) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let mut tx = engine.store.begin().await?;
    let (mut patience, mut left, mut is_final) = (None, None, false);
    let why = match result {
        Ok(said) => {
            tx.db().delivered(delivery.id, &said, now).await?;
            tx.db().end_webhook_rest(delivery.webhook_id).await?;
            return tx.commit().await;
        }
        Err(Refusal::ForNow(refused)) => {
            patience = refused.patience;
            refused.why
        }
        Err(Refusal::Silent(why)) => why,
        Err(Refusal::ForSome { why, left: some }) => {
            left = Some(some);
            why
        }
        Err(Refusal::Final(why)) => {
            is_final = true;
            why
        }
    };
    if let Some(patience) = patience {
        tx.db().rest_webhook(delivery.webhook_id, now + patience.min(LONGEST_REST)).await?;
    }
    if is_final || now - delivery.at >= GIVE_UP_AFTER {
        tracing::error!(delivery.id = %delivery.id, %why, "a notice was given up");
        tx.db().delivery_given_up(delivery.id, &why, now).await?;
    } else {
        tracing::warn!(delivery.id = %delivery.id, attempt = delivery.attempts + 1, %why, "a notice was not taken");
        let again_at = now + pause(delivery.attempts);
        match left {
            Some(left) => tx.db().delivery_left_over(delivery.id, &why, &left, again_at).await?,
            None => tx.db().delivery_failed(delivery.id, &why, again_at).await?,
        }
    }
    tx.commit().await
}

/// Tells a webhook; gives what it answered, in short.
async fn tell(engine: &Engine, client: &Client, webhook: &WebhookRow, delivery: &DeliveryRow) -> Result<String, Refusal> {
    let alarm = alarm_of(engine, delivery).await?;
    let links = links(engine, delivery).await?;
    let mut text = text(&webhook.language, delivery, alarm.as_ref());
    for link in &links {
        text.push('\n');
        text.push_str(&words::say(&webhook.language, "own_link", &[("name", &link.name), ("link", &link.url)]));
    }
    let mut facts = facts(delivery, alarm.as_ref(), &text);
    if !links.is_empty() {
        facts["links"] = json!(links);
    }
    let id = delivery.id.to_string();
    let notice = Notice {
        id: &id,
        title: alarm.as_ref().map_or(OWN_TITLE, |alarm| alarm.summary.as_str()),
        text: &text,
        facts: &facts,
        link: match links.as_slice() {
            [only] => Some(only.url.as_str()),
            _ => None,
        },
        is_urgent: is_urgent(delivery.kind, alarm.as_ref()),
        happened_at: delivery.at,
        at: engine.clock.now(),
    };
    let target = webhook.target();
    match notices::parcel(&target, &notice).map_err(|wrong| Refusal::Final(wrong.to_string()))? {
        Parcel::Request(envelope) => ask(engine, client, &target, envelope).await,
        Parcel::Mail(letter) => {
            let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
            check_mail_url(target.url, &guard).map_err(|error| Refusal::Final(error.to_string()))?;
            let own_name = own_name(engine);
            let before = delivery.left_over.clone().map(|Json(left)| left);
            let letter = match &before {
                Some(left) => letter.left(left),
                None => letter,
            };
            match mail::deliver(&letter, &guard, own_name.as_deref()).await {
                Ok(handed) => mailed(&target, handed, before),
                Err(why) => Err(unmailed(&target, why, before.unwrap_or_default())),
            }
        }
    }
}

/// How this server is called where others reach it; `None` where it has but an address.
fn own_name(engine: &Engine) -> Option<String> {
    let url = Url::parse(engine.config.http.public_url.as_deref()?).ok()?;
    url.domain().map(str::to_owned)
}

/// What became of a message: whom it goes to again, and who never gets it, now or `before`, when others were told.
fn mailed(target: &Target<'_>, handed: Handed, before: Option<LeftOver>) -> Result<String, Refusal> {
    let told = |said: &str| notices::told_by_mail(target, said);
    let is_somebody_told = handed.said.is_some() || before.is_some();
    let mut refused = before.unwrap_or_default().refused;
    refused.extend(handed.refused.iter().map(|said| told(said)));
    let mut parts: Vec<String> = handed.said.into_iter().collect();
    if !refused.is_empty() {
        parts.push(format!("not told: {}", refused.join("; ")));
    }
    if handed.later.is_empty() {
        return Ok(told(&parts.join("; ")));
    }
    let later: Vec<String> = handed.later.iter().map(|(to, said)| format!("{to}: {said}")).collect();
    parts.push(format!("not told yet: {}", later.join("; ")));
    let why = told(&parts.join("; "));
    if !is_somebody_told {
        // What comes later waits for it: nobody has heard of it. All are asked again, also those who never get it.
        return Err(Refusal::ForNow(Refused { why, patience: None }));
    }
    let to = handed.later.into_iter().map(|(to, _)| to.to_string()).collect();
    Err(Refusal::ForSome { why, left: LeftOver { to, refused } })
}

/// Why a mail server did not take a notice; `before` names who never gets it.
fn unmailed(target: &Target<'_>, why: Undelivered, before: LeftOver) -> Refusal {
    let told = |said: String| {
        let all: Vec<String> = before.refused.into_iter().chain([said]).collect();
        notices::told_by_mail(target, &all.join("; "))
    };
    match why {
        Undelivered::Later(said) => Refusal::ForNow(Refused { why: told(said), patience: None }),
        Undelivered::Silent(said) => Refusal::Silent(told(said)),
        Undelivered::Never(said) => Refusal::Final(told(said)),
    }
}

/// Sends a request; gives what was answered, in short.
async fn ask(engine: &Engine, client: &Client, target: &Target<'_>, envelope: Envelope) -> Result<String, Refusal> {
    let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
    let url = check_url(&envelope.url, &guard).map_err(|error| Refusal::Final(error.to_string()))?;
    let mut request = client.request(envelope.method, url).body(envelope.body);
    for (name, value) in envelope.headers {
        request = request.header(name, value);
    }
    // Errors are told without the address: it often holds a secret.
    let response = request.send().await.map_err(|error| Refusal::Silent(unanswered::why(error)))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = answer::read(response).await;
    let answer = Answer { status, headers: &headers, body: &body };
    notices::accepted(target, &answer, engine.clock.now()).map_err(Refusal::ForNow)?;
    Ok(format!("HTTP {status}"))
}

/// Whether a phone is to be loud about it: somebody is wanted, and it cannot wait.
fn is_urgent(kind: NoticeKind, alarm: Option<&AlarmRow>) -> bool {
    match kind {
        NoticeKind::NoAnswer | NoticeKind::Fallback => true,
        NoticeKind::Raised | NoticeKind::Escalated => alarm.is_some_and(|alarm| alarm.priority >= Priority::High),
        _ => false,
    }
}

async fn alarm_of(engine: &Engine, delivery: &DeliveryRow) -> Result<Option<AlarmRow>, StoreError> {
    let mut reader = engine.store.read().await?;
    match (delivery.alarm_id, delivery.hunt_id) {
        (Some(alarm), _) => reader.db().alarm(alarm).await,
        (None, Some(hunt)) => Ok(foremost(reader.db().alarms_of(hunt).await?)),
        (None, None) => Ok(None),
    }
}

/// A callee's own link.
#[derive(Debug, Serialize)]
struct CalleeLink {
    callee: CalleeId,
    name: String,
    url: String,
}

/// The links that belong into a notice: of those who are being rung, or of whoever picked up and has still to confirm.
async fn links(engine: &Engine, delivery: &DeliveryRow) -> Result<Vec<CalleeLink>, StoreError> {
    let (Some(public_url), Some(id)) = (&engine.config.http.public_url, delivery.hunt_id) else { return Ok(Vec::new()) };
    let mut reader = engine.store.read().await?;
    let mut db = reader.db();
    let Some(hunt) = db.hunt(id).await?.filter(|hunt| hunt.ended_at.is_none() && !hunt.dry_run) else { return Ok(Vec::new()) };
    let wanted = match delivery.kind {
        NoticeKind::Raised | NoticeKind::Escalated => None,
        NoticeKind::Answered => Some(Verdict::Answered),
        _ => return Ok(Vec::new()),
    };
    let callees = db.callees(id).await?.into_iter();
    let callees = callees.filter(|callee| callee.step == hunt.step && callee.verdict == wanted);
    Ok(callees
        .map(|callee| CalleeLink {
            url: engine.links.address(public_url, callee.id),
            callee: callee.id,
            name: callee.name.unwrap_or(callee.number),
        })
        .collect())
}

/// What the sentences of notices have places for, of the event that a notice is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    /// It is no notice, but a test of the webhook.
    test: bool,
    name: Option<String>,
    handset: Option<String>,
    line: Option<String>,
    schedule: Option<String>,
    gateway: Option<String>,
    person: Option<String>,
    why: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
    others_alive: Option<usize>,
}

impl Told {
    fn of(body: &Value) -> Self {
        Self::deserialize(body).unwrap_or_default()
    }

    /// Why a hunt ended, when that is what it is about.
    fn end_reason(&self) -> Option<EndReason> {
        EndReason::parse(self.reason.as_deref()?)
    }
}

/// The notice for people.
fn text(language: &str, delivery: &DeliveryRow, alarm: Option<&AlarmRow>) -> String {
    let told = Told::of(&delivery.body.0);
    if told.test {
        return words::say(language, "test", &[]);
    }
    let priority = words::say(language, alarm.map_or("normal", |alarm| alarm.priority.as_str()), &[]);
    let reasons = match delivery.kind {
        NoticeKind::HandOverTrouble => Some("why"),
        NoticeKind::CalendarTrouble => Some("calendar"),
        _ => None,
    };
    let why = match (reasons, &told.reason) {
        (Some("calendar"), Some(reason)) if reason == "unreachable" => {
            // It has a sentence for each way in which nobody can be reached.
            let why = Unreached::from(told.detail.clone().unwrap_or_default());
            words::say(language, &format!("calendar_{}", Trouble::Unreachable(why).sentence()), &[])
        }
        (Some(kind), Some(reason)) => {
            words::say(language, &format!("{kind}_{reason}"), &[("detail", told.detail.as_deref().unwrap_or_default())])
        }
        _ => told.why.clone().unwrap_or_default(),
    };
    let places = [
        ("summary", alarm.map_or("", |alarm| alarm.summary.as_str())),
        ("source", alarm.map_or("", |alarm| alarm.source.as_str())),
        ("priority", priority.as_str()),
        ("name", told.name.as_deref().unwrap_or_default()),
        ("handset", told.handset.as_deref().unwrap_or_default()),
        ("line", told.line.as_deref().unwrap_or_default()),
        ("schedule", told.schedule.as_deref().unwrap_or_default()),
        ("gateway", told.gateway.as_deref().unwrap_or_default()),
        ("person", told.person.as_deref().unwrap_or_default()),
        ("why", why.as_str()),
    ];
    let sentence = match delivery.kind {
        NoticeKind::Raised if alarm.is_some_and(|alarm| !alarm.source.is_empty()) => "raised_from",
        NoticeKind::Fallback if told.others_alive == Some(0) => "fallback_none",
        NoticeKind::NoAnswer if told.end_reason() == Some(EndReason::NoHandset) => "no_handset",
        NoticeKind::NoAnswer if told.end_reason() == Some(EndReason::NoReport) => "no_report",
        kind => kind.as_str(),
    };
    words::say(language, sentence, &places)
}

/// The notice for programs. `id` is the same at every try, so that a receiver can tell a repetition.
fn facts(delivery: &DeliveryRow, alarm: Option<&AlarmRow>, text: &str) -> Value {
    let at: DateTime<Utc> = delivery.at;
    json!({
        "id": delivery.id,
        "event": delivery.kind,
        "at": at,
        "text": text,
        "alarm": alarm.map(|alarm| json!({
            "id": alarm.id,
            "number": alarm.number.to_string(),
            "summary": alarm.summary,
            "priority": alarm.priority,
            "source": alarm.source,
            "labels": alarm.labels.0,
            "state": alarm.state(),
        })),
        "particulars": events::shown(delivery.body.0.clone()),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::WebhookSettings;

    #[test]
    fn only_what_somebody_was_told_is_left_over() {
        let settings = WebhookSettings::default();
        let target = Target { shape: WebhookShape::Email, url: "smtp://x.example", secret: None, settings: &settings };
        let handed = |said: Option<&str>| Handed {
            said: said.map(str::to_owned),
            later: vec![("grey@example.com".parse().unwrap(), "451 4.7.1 later".to_owned())],
            refused: vec!["gone@example.com: 550 5.1.1 unknown".to_owned()],
        };
        let of_nobody = mailed(&target, handed(None), None);
        let wanted = "not told: gone@example.com: 550 5.1.1 unknown; not told yet: grey@example.com: 451 4.7.1 later";
        assert!(matches!(&of_nobody, Err(Refusal::ForNow(refused)) if refused.why == wanted));
        let of_some = mailed(&target, handed(Some("250 ok")), None);
        assert!(matches!(&of_some, Err(Refusal::ForSome { left, .. }) if left.to == ["grey@example.com"]));
        let before = LeftOver { to: vec!["grey@example.com".to_owned()], refused: Vec::new() };
        assert!(matches!(mailed(&target, handed(None), Some(before)), Err(Refusal::ForSome { .. })), "others have it");
    }
}
