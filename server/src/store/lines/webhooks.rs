//! Webhooks and their outbox: what is to be told where, and what became of it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use crate::ids::{AlarmId, DeliveryId, HuntId, WebhookId};
use crate::kinds::notices::{LeftOver, Target, WebhookSettings, WebhookShape};
use crate::links::Links;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, Waiting, WaitingRow};
use crate::versions::Version;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// An alarm came in.
    Raised,
    /// Somebody picked up.
    Answered,
    /// A human confirmed.
    Confirmed,
    /// The next people are rung.
    Escalated,
    /// Nobody was reached.
    NoAnswer,
    /// A handset is silent.
    HandsetOffline,
    /// A handset did not return after a dial.
    HandsetStuck,
    /// A handset polls again.
    HandsetBack,
    /// A handset cannot be used, and nobody can be rung about it.
    Fallback,
    /// A public number could not be handed over.
    HandOverTrouble,
    /// Somebody wants to be rung no more.
    OptedOut,
    /// An alarm comes again and again.
    Flapping,
    /// A gateway for text messages does not say any more that it lives.
    GatewaySilent,
    /// It does again.
    GatewayBack,
    /// A calendar that a schedule follows cannot be read.
    CalendarTrouble,
    /// It can again.
    CalendarBack,
    /// Backups that the server makes by itself fail.
    BackupTrouble,
    /// They succeed again.
    BackupBack,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Raised,
        Self::Answered,
        Self::Confirmed,
        Self::Escalated,
        Self::NoAnswer,
        Self::HandsetOffline,
        Self::HandsetStuck,
        Self::HandsetBack,
        Self::Fallback,
        Self::HandOverTrouble,
        Self::OptedOut,
        Self::Flapping,
        Self::GatewaySilent,
        Self::GatewayBack,
        Self::CalendarTrouble,
        Self::CalendarBack,
        Self::BackupTrouble,
        Self::BackupBack,
    ];

    /// The word on the wire and in the catalogue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Answered => "answered",
            Self::Confirmed => "confirmed",
            Self::Escalated => "escalated",
            Self::NoAnswer => "no_answer",
            Self::HandsetOffline => "handset_offline",
            Self::HandsetStuck => "handset_stuck",
            Self::HandsetBack => "handset_back",
            Self::Fallback => "fallback",
            Self::HandOverTrouble => "hand_over_trouble",
            Self::OptedOut => "opted_out",
            Self::Flapping => "flapping",
            Self::GatewaySilent => "gateway_silent",
            Self::GatewayBack => "gateway_back",
            Self::CalendarTrouble => "calendar_trouble",
            Self::CalendarBack => "calendar_back",
            Self::BackupTrouble => "backup_trouble",
            Self::BackupBack => "backup_back",
        }
    }
}

row! {
    /// A webhook as it is stored.
    #[derive(Clone, Debug)]
    pub struct WebhookRow {
        /// Which one.
        pub id: WebhookId,
        /// What people call it.
        pub name: String,
        /// Where to post, or where the service is; it often holds a secret.
        pub url: String,
        /// In which form.
        pub shape: WebhookShape,
        /// What the signature is made with, or a token.
        pub secret: Option<String>,
        /// What else the form needs to know; it may hold secrets.
        pub settings: Json<WebhookSettings>,
        /// The kinds it wants, each between commas.
        pub kinds: String,
        /// In which language.
        pub language: String,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// Since when it is told nothing.
        pub removed_at: Option<DateTime<Utc>>,
    }
}

impl WebhookRow {
    /// The version of what operators say of it, its secrets too.
    #[must_use]
    pub fn version(&self, key: &Links) -> Version {
        let settings = &self.settings.0;
        key.version_of(&(self.id, &self.name, &self.url, &self.secret, settings, &self.kinds, &self.language))
    }

    /// What it is told.
    #[must_use]
    pub fn told(&self) -> Vec<NoticeKind> {
        NoticeKind::ALL.into_iter().filter(|kind| self.kinds.contains(&format!(",{},", kind.as_str()))).collect()
    }

    /// Where its notices go.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        Target { shape: self.shape, url: &self.url, secret: self.secret.as_deref(), settings: &self.settings.0 }
    }
}

row! {
    /// Something that is to be told.
    #[derive(Clone, Debug)]
    pub struct DeliveryRow {
        /// Which one.
        pub id: DeliveryId,
        /// Whom to tell.
        pub webhook_id: WebhookId,
        /// What.
        pub kind: NoticeKind,
        /// About which alarm.
        pub alarm_id: Option<AlarmId>,
        /// About which hunt.
        pub hunt_id: Option<HuntId>,
        /// Particulars of the event.
        pub body: Json<Value>,
        /// When it happened.
        pub at: DateTime<Utc>,
        /// When it is tried next.
        pub due_at: DateTime<Utc>,
        /// How often it was tried.
        pub attempts: i32,
        /// When it was told.
        pub delivered_at: Option<DateTime<Utc>>,
        /// When it was given up.
        pub gave_up_at: Option<DateTime<Utc>>,
        /// What came of the last try.
        pub last_result: Option<String>,
        /// Who is still to be told, where others have it already.
        pub left_over: Option<Json<LeftOver>>,
    }
}

statements! {
    /// A new webhook.
    INSERT = [
        "INSERT INTO webhooks (id, name, url, shape, secret, settings, kinds, language, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ];
    /// All that are in use.
    LIST = ["SELECT * FROM webhooks WHERE removed_at IS NULL ORDER BY name"];
    /// One webhook.
    GET = ["SELECT * FROM webhooks WHERE id = $1"];
    /// It is reached otherwise, or told something else.
    CHANGE = [
        "UPDATE webhooks SET name = $2, url = $3, secret = $4, settings = $5, kinds = $6, language = $7
         WHERE id = $1 AND removed_at IS NULL"
    ];
    /// Is told nothing more. Its name is free again.
    REMOVE = ["UPDATE webhooks SET removed_at = $2, name = $3 WHERE name = $1 AND removed_at IS NULL"];
    /// Is left alone for a while, as its service has asked.
    REST = ["UPDATE webhooks SET rests_until = $2 WHERE id = $1 AND (rests_until IS NULL OR rests_until < $2)"];
    /// It has taken something.
    END_REST = ["UPDATE webhooks SET rests_until = NULL WHERE id = $1 AND rests_until IS NOT NULL"];
    /// Those that want to be told of this kind. Nobody is told of a test, a shout or a call.
    WANTING = [
        "SELECT id FROM webhooks WHERE removed_at IS NULL AND kinds LIKE $1
           AND NOT EXISTS (SELECT 1 FROM alarms a WHERE a.id = $2 AND" unindexed "a.kind <> 'alarm')
           AND NOT EXISTS (SELECT 1 FROM hunts h WHERE h.id = $3 AND h.kind <> 'alarm')"
    ];
    /// Something to tell.
    INSERT_DELIVERY = [
        "INSERT INTO deliveries (id, webhook_id, kind, alarm_id, hunt_id, body, at, due_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0)"
    ];
    /// What waits, by webhook, those first whose first has been due longest. Nothing is due at one that is left alone but a test that
    /// nobody has tried.
    WAITING = [
        "SELECT webhook_id, name, COUNT(*), MIN(at), COUNT(*) FILTER (WHERE is_due), MIN(due_at) FILTER (WHERE is_due) AS due_since
         FROM (SELECT d.webhook_id, w.name, d.at, d.due_at,
             d.due_at <= $1 AND (w.rests_until IS NULL OR w.rests_until <= $1
               OR (d.alarm_id IS NULL AND d.hunt_id IS NULL AND d.kind = 'raised' AND d.attempts = 0)) AS is_due
           FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
           WHERE d.delivered_at IS NULL AND d.gave_up_at IS NULL) waiting
         GROUP BY webhook_id, name ORDER BY due_since NULLS LAST, webhook_id"
    ];
    /// A test of one webhook that nobody has tried: somebody waits for what comes of it.
    TEST_DUE = [
        "SELECT * FROM deliveries WHERE webhook_id = $1 AND delivered_at IS NULL AND gave_up_at IS NULL
           AND due_at <= $2 AND alarm_id IS NULL AND hunt_id IS NULL AND kind = 'raised' AND attempts = 0
         ORDER BY at DESC, id DESC LIMIT 1"
    ];
    /// What one webhook is to be told now, unless it is left alone. What came later about a hunt waits for what came before, unless that
    /// was refused too often, or only some are left who have not heard of it. What was refused too often comes last: each time its
    /// refusal may cost the webhook a rest.
    DUE = [
        "SELECT * FROM deliveries d WHERE webhook_id = $1 AND delivered_at IS NULL AND gave_up_at IS NULL AND due_at <= $2
           AND NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $1 AND w.rests_until > $2)
           AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.hunt_id = d.hunt_id AND e.webhook_id = d.webhook_id AND e.id < d.id
             AND e.delivered_at IS NULL AND e.gave_up_at IS NULL AND e.due_at > $2 AND e.attempts < $3 AND e.left_over IS NULL)
         ORDER BY (attempts >= $3), at, id LIMIT 20"
    ];
    /// Takes one for a try, unless another node took it.
    TAKE = ["UPDATE deliveries SET due_at = $3, attempts = attempts + 1 WHERE id = $1 AND due_at = $2 AND delivered_at IS NULL"];
    /// It was told.
    DELIVERED = ["UPDATE deliveries SET delivered_at = $2, last_result = $3 WHERE id = $1"];
    /// It was not; again later.
    FAILED = ["UPDATE deliveries SET due_at = $2, last_result = $3 WHERE id = $1 AND delivered_at IS NULL"];
    /// Some were told, others not; these again later.
    FAILED_FOR_SOME = [
        "UPDATE deliveries SET due_at = $2, last_result = $3, left_over = $4 WHERE id = $1 AND delivered_at IS NULL"
    ];
    /// It will not be told.
    GAVE_UP = ["UPDATE deliveries SET gave_up_at = $2, last_result = $3 WHERE id = $1 AND delivered_at IS NULL"];
    /// One, for whoever waits for what comes of it.
    DELIVERY = ["SELECT * FROM deliveries WHERE id = $1"];
    /// The latest, for a look.
    LATEST = ["SELECT * FROM deliveries ORDER BY at DESC, id DESC LIMIT $1"];
}

impl Db<'_> {
    /// Stores a webhook.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_webhook(&mut self, webhook: &WebhookRow) -> Result<()> {
        execute!(
            self,
            INSERT,
            webhook.id,
            webhook.name.as_str(),
            webhook.url.as_str(),
            webhook.shape,
            webhook.secret.as_deref(),
            &webhook.settings,
            webhook.kinds.as_str(),
            webhook.language.as_str(),
            webhook.created_at,
        )
        .map(|_| ())
    }

    /// All webhooks in use.
    pub async fn webhooks(&mut self) -> Result<Vec<WebhookRow>> {
        fetch_all!(self, LIST)
    }

    /// One webhook.
    pub async fn webhook(&mut self, id: WebhookId) -> Result<Option<WebhookRow>> {
        fetch_optional!(self, GET, id)
    }

    /// Stores what was changed of a webhook; false when it is in use no more. Its form stays what it is.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn change_webhook(&mut self, webhook: &WebhookRow) -> Result<bool> {
        changed_one!(
            self,
            CHANGE,
            webhook.id,
            webhook.name.as_str(),
            webhook.url.as_str(),
            webhook.secret.as_deref(),
            &webhook.settings,
            webhook.kinds.as_str(),
            webhook.language.as_str()
        )
    }

    /// Tells a webhook nothing more; false when there is none of that name.
    pub async fn remove_webhook(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool> {
        let retired = format!("{name} (removed {})", now.timestamp_micros());
        changed_one!(self, REMOVE, name, now, retired)
    }

    /// Leaves a webhook alone until then; all that is to be told there waits.
    pub async fn rest_webhook(&mut self, id: WebhookId, until: DateTime<Utc>) -> Result<()> {
        execute!(self, REST, id, until).map(|_| ())
    }

    /// Leaves a webhook alone no longer: it has taken something.
    pub async fn end_webhook_rest(&mut self, id: WebhookId) -> Result<()> {
        execute!(self, END_REST, id).map(|_| ())
    }

    /// Puts a notice into the outbox of every webhook that wants this kind, unless it is about what is no alarm.
    pub async fn enqueue_notice(
        &mut self,
        kind: NoticeKind,
        alarm: Option<AlarmId>,
        hunt: Option<HuntId>,
        body: &Value,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let wanting: Vec<(WebhookId,)> = fetch_all!(self, WANTING, format!("%,{},%", kind.as_str()), alarm, hunt)?;
        for (webhook,) in wanting {
            execute!(self, INSERT_DELIVERY, DeliveryId::new(now), webhook, kind, alarm, hunt, Json(body), now)?;
        }
        Ok(())
    }

    /// Puts a test notice into the outbox of one webhook.
    pub async fn enqueue_test(&mut self, webhook: WebhookId, body: &Value, now: DateTime<Utc>) -> Result<DeliveryId> {
        let id = DeliveryId::new(now);
        let no_alarm: Option<AlarmId> = None;
        let no_hunt: Option<HuntId> = None;
        execute!(self, INSERT_DELIVERY, id, webhook, NoticeKind::Raised, no_alarm, no_hunt, Json(body), now)?;
        Ok(id)
    }

    /// One notice.
    pub async fn delivery(&mut self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        fetch_optional!(self, DELIVERY, id)
    }

    /// What waits in the outbox of notices, by webhook.
    pub async fn notices_waiting(&mut self, now: DateTime<Utc>) -> Result<Vec<Waiting<WebhookId>>> {
        let rows: Vec<WaitingRow<WebhookId>> = fetch_all!(self, WAITING, now)?;
        Ok(rows.into_iter().map(Waiting::from).collect())
    }

    /// A test of a webhook that nobody has tried yet, also of one that is left alone.
    pub async fn test_due(&mut self, webhook: WebhookId, now: DateTime<Utc>) -> Result<Option<DeliveryRow>> {
        fetch_optional!(self, TEST_DUE, webhook, now)
    }

    /// Up to 20 notices that are due at a webhook, in their order, behind which stand those that were tried so often. An earlier one about
    /// the same hunt that waits for its next try holds a later one back, until it was tried so often.
    pub async fn due_deliveries(&mut self, webhook: WebhookId, now: DateTime<Utc>, in_order: i32) -> Result<Vec<DeliveryRow>> {
        fetch_all!(self, DUE, webhook, now, in_order)
    }

    /// Takes a notice for one try until `until`; false when another node took it first.
    pub async fn take_delivery(&mut self, delivery: &DeliveryRow, until: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, TAKE, delivery.id, delivery.due_at, until)
    }

    /// Notes that a notice was told.
    pub async fn delivered(&mut self, id: DeliveryId, result: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, DELIVERED, id, now, result).map(|_| ())
    }

    /// Notes that a notice was not told, and when to try again.
    pub async fn delivery_failed(&mut self, id: DeliveryId, result: &str, again_at: DateTime<Utc>) -> Result<()> {
        execute!(self, FAILED, id, again_at, result).map(|_| ())
    }

    /// Notes who was not told of a notice that others have taken, and when to try again.
    pub async fn delivery_left_over(
        &mut self,
        id: DeliveryId,
        result: &str,
        left: &LeftOver,
        again_at: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, FAILED_FOR_SOME, id, again_at, result, Json(left)).map(|_| ())
    }

    /// Notes that a notice will not be told.
    pub async fn delivery_given_up(&mut self, id: DeliveryId, result: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, GAVE_UP, id, now, result).map(|_| ())
    }

    /// The latest notices, newest first.
    pub async fn latest_deliveries(&mut self, limit: i64) -> Result<Vec<DeliveryRow>> {
        fetch_all!(self, LATEST, limit)
    }
}
