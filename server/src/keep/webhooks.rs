//! Webhooks, which notices go to: adding, changing, removing and trying them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::audit::{Line, Operation};
use crate::ids::{DeliveryId, WebhookId};
use crate::kinds::guard::{AddressError, GuardedResolver, check_mail_url, check_url};
use crate::kinds::notices::{self, WebhookSettings, WebhookShape, WrongSetting};
use crate::kinds::words;
use crate::links::Links;
use crate::store::edits::Edited;
use crate::store::lines::webhooks::{DeliveryRow, NoticeKind, WebhookRow};
use crate::store::{Store, StoreError, Work};
use crate::versions::{Expected, Stale};

const LONGEST_NAME: usize = 60;
/// Whoever tests a webhook is answered after so long at the latest.
const TEST_WAITS: Duration = Duration::from_secs(20);
const TEST_LOOKS: Duration = Duration::from_millis(250);

/// Why a webhook was not added or removed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The name is empty, too long, or garbled.
    #[error("a webhook's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name.
    #[error("there is a webhook {0:?} already: choose another name, or remove it first")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no webhook {0:?}: `autocall webhook list` shows them")]
    NoSuchWebhook(String),
    /// The form has no address of its own.
    #[error("{0} needs an address: --url")]
    NoAddress(&'static str),
    /// What waits was meant for another service.
    #[error("this would be another webhook: add that, and remove this one")]
    OtherShape,
    /// Somebody else has changed it since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The address may not be posted to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Something that the form needs is missing or wrong.
    #[error(transparent)]
    Setting(#[from] WrongSetting),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// What people call it.
    pub name: String,
    /// Where to post, or where the service is; empty: the form's own address.
    pub url: String,
    /// In which form.
    pub shape: WebhookShape,
    /// What the signature is made with, or a token.
    pub secret: Option<String>,
    /// What else the form needs to know.
    pub settings: WebhookSettings,
    /// What it is told; empty: everything.
    pub kinds: Vec<NoticeKind>,
    /// A language tag.
    pub language: String,
}

/// Adds a webhook.
///
/// # Errors
/// When the name, the address or a setting is bad, or the database fails.
pub async fn add(work: &mut Work, new: &NewWebhook, guard: &GuardedResolver) -> Result<WebhookId, WebhookError> {
    let now = work.now();
    let row = row_of(WebhookId::new(now), new, now)?;
    check(&row, guard)?;
    match work.db().insert_webhook(&row).await {
        Ok(()) => {
            work.note(Line::new(Operation::WebhookAdded).of(row.id).named(row.name.as_str()).after(told(&row)));
            Ok(row.id)
        }
        Err(error) if error.is_unique_violation() => Err(WebhookError::NameTaken(row.name)),
        Err(error) => Err(error.into()),
    }
}

/// Changes what a webhook is called, how it is reached and what it is told; what waits goes out the new way.
///
/// # Errors
/// As [`add`], and when there is none, it would have another form, or somebody else has changed it meanwhile.
pub async fn change(
    work: &mut Work,
    links: &Links,
    id: WebhookId,
    new: &NewWebhook,
    guard: &GuardedResolver,
    expected: &Expected,
) -> Result<(), WebhookError> {
    work.db().lock_edits(Edited::Webhooks).await?;
    let old = find(work, id).await?;
    expected.check(Some(&old.version(links)))?;
    if new.shape != old.shape {
        return Err(WebhookError::OtherShape);
    }
    let row = row_of(id, new, old.created_at)?;
    check(&row, guard)?;
    match work.db().change_webhook(&row).await {
        Ok(true) => {
            let line = Line::new(Operation::WebhookChanged).of(id).named(row.name.as_str());
            let (before, mut after) = (told(&old), told(&row));
            if row.url != old.url {
                // Where it goes may be all that is needed to send there.
                after["address"] = json!(crate::audit::kept::OTHER);
            }
            work.note(line.before(before).after(after));
            Ok(())
        }
        Ok(false) => Err(WebhookError::NoSuchWebhook(old.name)),
        Err(error) if error.is_unique_violation() => Err(WebhookError::NameTaken(row.name)),
        Err(error) => Err(error.into()),
    }
}

/// What a line of the audit log says of one: neither where it goes nor what it is told there.
fn told(row: &WebhookRow) -> Value {
    json!({ "shape": row.shape.as_str(), "kinds": row.kinds.trim_matches(','), "language": row.language })
}

/// A webhook in use.
async fn find(work: &mut Work, id: WebhookId) -> Result<WebhookRow, WebhookError> {
    let found = work.db().webhook(id).await?.filter(|webhook| webhook.removed_at.is_none());
    found.ok_or_else(|| WebhookError::NoSuchWebhook(id.to_string()))
}

fn row_of(id: WebhookId, new: &NewWebhook, created_at: DateTime<Utc>) -> Result<WebhookRow, WebhookError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(WebhookError::BadName);
    }
    let secret = new.secret.clone().filter(|secret| !secret.is_empty());
    let url = match new.url.trim() {
        "" => new.shape.home(secret.as_deref()).ok_or(WebhookError::NoAddress(new.shape.as_str()))?,
        url => url.to_owned(),
    };
    let kinds = if new.kinds.is_empty() { NoticeKind::ALL.to_vec() } else { new.kinds.clone() };
    let words: Vec<&str> = kinds.into_iter().map(NoticeKind::as_str).collect();
    Ok(WebhookRow {
        id,
        name: name.to_owned(),
        url,
        shape: new.shape,
        secret,
        settings: Json(new.settings.clone()),
        kinds: format!(",{},", words.join(",")),
        language: words::language(&new.language).to_owned(),
        created_at,
        removed_at: None,
    })
}

fn check(row: &WebhookRow, guard: &GuardedResolver) -> Result<(), WebhookError> {
    match row.shape.is_mail() {
        true => {
            // What is no address of a mail server is said in its own words.
            notices::check(&row.target())?;
            check_mail_url(&row.url, guard)?;
        }
        false => {
            check_url(&row.url, guard)?;
            notices::check(&row.target())?;
        }
    }
    Ok(())
}

/// Tells a webhook nothing more, by its name.
///
/// # Errors
/// When there is none of that name, or the database fails.
pub async fn remove(work: &mut Work, name: &str) -> Result<(), WebhookError> {
    let now = work.now();
    let id = work.db().webhooks().await?.into_iter().find(|webhook| webhook.name == name).map(|webhook| webhook.id);
    if !work.db().remove_webhook(name, now).await? {
        return Err(WebhookError::NoSuchWebhook(name.to_owned()));
    }
    let line = Line::new(Operation::WebhookRemoved).named(name);
    work.note(match id {
        Some(id) => line.of(id),
        None => line,
    });
    Ok(())
}

/// The same of one that somebody has read.
///
/// # Errors
/// As [`remove`], and when somebody else has changed it meanwhile.
pub async fn remove_read(work: &mut Work, links: &Links, id: WebhookId, expected: &Expected) -> Result<(), WebhookError> {
    work.db().lock_edits(Edited::Webhooks).await?;
    let old = find(work, id).await?;
    expected.check(Some(&old.version(links)))?;
    remove(work, &old.name).await
}

/// Puts a test notice into the outbox of one webhook.
///
/// # Errors
/// When there is none of that name, or the database fails.
pub async fn test(work: &mut Work, name: &str) -> Result<DeliveryId, WebhookError> {
    let now = work.now();
    let webhook = work.db().webhooks().await?.into_iter().find(|webhook| webhook.name == name);
    let webhook = webhook.ok_or_else(|| WebhookError::NoSuchWebhook(name.to_owned()))?;
    work.note(Line::new(Operation::WebhookTested).of(webhook.id).named(name));
    Ok(work.db().enqueue_test(webhook.id, &json!({ "test": true }), now).await?)
}

/// Waits until a test notice was tried, or for 20 seconds.
///
/// # Errors
/// When the database fails.
pub async fn tried(store: &Store, test: DeliveryId) -> Result<DeliveryRow, StoreError> {
    let until = tokio::time::Instant::now() + TEST_WAITS;
    loop {
        let row = store.read().await?.db().delivery(test).await?;
        let row = row.ok_or_else(|| StoreError::Inconsistent(format!("notice {test} vanished")))?;
        // It says what came of it, whatever that was.
        if row.last_result.is_some() || tokio::time::Instant::now() >= until {
            return Ok(row);
        }
        tokio::time::sleep(TEST_LOOKS).await;
    }
}

/// Why a test came to nothing in the time that whoever tests waits.
///
/// # Errors
/// When the database fails.
pub async fn why_untold(store: &Store, test: &DeliveryRow) -> Result<String, StoreError> {
    /// So many of the latest notices are looked through for what came of the last one there.
    const LOOKED_THROUGH: i64 = 1_000;
    const LOG: &str = "`autocall webhook log` shows what became of it";
    if test.attempts > 0 {
        return Ok(format!("the other side was asked and has not answered yet; {LOG}"));
    }
    let latest = store.read().await?.db().latest_deliveries(LOOKED_THROUGH).await?;
    let last = latest.into_iter().find(|one| one.webhook_id == test.webhook_id && one.id != test.id && one.last_result.is_some());
    Ok(match last.filter(|last| last.delivered_at.is_none()).and_then(|last| last.last_result) {
        Some(why) => format!(
            "the other side did not take what it was told last ({why}), so it is left alone for up to a minute; the test goes out \
             then, and {LOG}"
        ),
        None => format!("nobody has tried it yet: does the server run? {LOG}"),
    })
}
