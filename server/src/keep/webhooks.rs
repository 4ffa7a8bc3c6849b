//! Webhooks: adding, removing and trying them.

use serde_json::json;

use crate::ids::WebhookId;
use crate::kinds::guard::{AddressError, GuardedResolver, check_url};
use crate::kinds::notices::WebhookShape;
use crate::kinds::words;
use crate::store::lines::webhooks::{NoticeKind, WebhookRow};
use crate::store::{StoreError, Work};

const LONGEST_NAME: usize = 60;

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
    /// The address may not be posted to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// What people call it.
    pub name: String,
    /// Where to post.
    pub url: String,
    /// In which form.
    pub shape: WebhookShape,
    /// What the signature is made with.
    pub secret: Option<String>,
    /// What it is told; empty: everything.
    pub kinds: Vec<NoticeKind>,
    /// A language tag.
    pub language: String,
}

/// Adds a webhook.
///
/// # Errors
/// When the name or the address is bad, or the database fails.
pub async fn add(work: &mut Work, new: &NewWebhook, guard: &GuardedResolver) -> Result<(), WebhookError> {
    let now = work.now();
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(WebhookError::BadName);
    }
    check_url(&new.url, guard)?;
    let kinds = if new.kinds.is_empty() { NoticeKind::ALL.to_vec() } else { new.kinds.clone() };
    let words: Vec<&str> = kinds.into_iter().map(NoticeKind::as_str).collect();
    let row = WebhookRow {
        id: WebhookId::new(now),
        name: name.to_owned(),
        url: new.url.clone(),
        shape: new.shape,
        secret: new.secret.clone(),
        kinds: format!(",{},", words.join(",")),
        language: words::language(&new.language).to_owned(),
        created_at: now,
        removed_at: None,
    };
    match work.db().insert_webhook(&row).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_unique_violation() => Err(WebhookError::NameTaken(name.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Tells a webhook nothing more.
///
/// # Errors
/// When there is none of that name, or the database fails.
pub async fn remove(work: &mut Work, name: &str) -> Result<(), WebhookError> {
    let now = work.now();
    if !work.db().remove_webhook(name, now).await? {
        return Err(WebhookError::NoSuchWebhook(name.to_owned()));
    }
    Ok(())
}

/// Puts a test notice into the outbox of one webhook.
///
/// # Errors
/// When there is none of that name, or the database fails.
pub async fn test(work: &mut Work, name: &str) -> Result<(), WebhookError> {
    let now = work.now();
    let webhook = work.db().webhooks().await?.into_iter().find(|webhook| webhook.name == name);
    let webhook = webhook.ok_or_else(|| WebhookError::NoSuchWebhook(name.to_owned()))?;
    work.db().enqueue_test(webhook.id, &json!({ "test": true }), now).await?;
    Ok(())
}
