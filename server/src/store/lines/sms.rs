//! Text messages: the gateways that send them, the outbox, and what came in.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::types::Json;

use crate::alarm::AlarmKind;
use crate::ids::{AlarmId, CalleeId, CommandId, GatewayId, HandOverId, HandsetId, HuntId, InboundSmsId, LineId, SmsId};
use crate::kinds::gateways::GatewaySettings;
use crate::line::reply::TextEffect;
use crate::line::written::Delay;
use crate::links::Links;
use crate::numbers::phone_of;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, Waiting, WaitingRow};
use crate::versions::Version;

/// How what a gateway reports is read, and how it is known that it comes from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Inbound {
    /// The IANA zone of times that tell none; `sms.zone` unless given.
    pub zone: Option<String>,
    /// What it signs its reports with; then a report without a good signature is refused.
    pub signing_secret: Option<String>,
}

row! {
    /// A gateway as it is stored.
    #[derive(Clone, Debug)]
    pub struct GatewayRow {
        /// Which one.
        pub id: GatewayId,
        /// What people call it.
        pub name: String,
        /// How it is reached.
        pub settings: Json<GatewaySettings>,
        /// How what it reports is read.
        pub inbound: Json<Inbound>,
        /// Since when it is used no more.
        pub removed_at: Option<DateTime<Utc>>,
        /// When it last reported anything.
        pub heard_at: Option<DateTime<Utc>>,
        /// When it last said that it lives.
        pub ping_at: Option<DateTime<Utc>>,
        /// How many seconds pass between two such words.
        pub ping_every_s: Option<i32>,
        /// Since when it has been silent, once people were told.
        pub silent_since: Option<DateTime<Utc>>,
    }
}

/// What a text message is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It hands a public number over.
    Command,
    /// It answers a reply.
    Answer,
    /// It proves that its gateway works.
    Test,
    /// It tells somebody who is rung of their alarms.
    Alarm,
    /// It tells somebody of a duty of theirs.
    Duty,
}

impl Purpose {
    /// It tells a person something, whichever gateway sends it.
    #[must_use]
    pub fn is_for_person(self) -> bool {
        matches!(self, Self::Alarm | Self::Duty)
    }
}

impl GatewayRow {
    /// The version of what operators say of it, its secrets too.
    #[must_use]
    pub fn version(&self, key: &Links) -> Version {
        key.version_of(&(self.id, &self.name, &self.settings, &self.inbound))
    }
}

row! {
    /// A text message in the outbox.
    #[derive(Clone, Debug)]
    pub struct SmsRow {
        /// Which one.
        pub id: SmsId,
        /// Through which gateway.
        pub gateway_id: GatewayId,
        /// The hand-over that it carries out.
        pub hand_over_id: Option<HandOverId>,
        /// To whom.
        pub number: String,
        /// What it says.
        pub text: String,
        /// What a handset dials itself, instead of sending.
        pub code: Option<String>,
        /// When it was put there.
        pub created_at: DateTime<Utc>,
        /// When it is tried next.
        pub due_at: DateTime<Utc>,
        /// How often it was tried.
        pub attempts: i32,
        /// How often the gateway took it and reported that it could not be sent.
        pub failures: i32,
        /// What it says, instead of the text.
        pub sentence: Option<Json<Sentence>>,
        /// What for.
        pub purpose: Purpose,
        /// When it is not worth sending any more; a command never is not.
        pub expires_at: Option<DateTime<Utc>>,
    }
}

/// A sentence of the catalogue, to be put into words when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sentence {
    /// Its name in the catalogue.
    pub name: String,
    /// The language of whoever gets it: a BCP 47 tag.
    pub language: String,
    /// What stands in its places.
    pub places: BTreeMap<String, String>,
}

row! {
    /// How far a text message has got.
    #[derive(Clone, Debug)]
    pub struct SmsStateRow {
        /// How often it was tried.
        pub attempts: i32,
        /// When its gateway took it.
        pub sent_at: Option<DateTime<Utc>>,
        /// When it reached the phone.
        pub delivered_at: Option<DateTime<Utc>>,
        /// When it was given up.
        pub gave_up_at: Option<DateTime<Utc>>,
        /// What came of the last try.
        pub last_result: Option<String>,
    }
}

row! {
    /// The command of a native handset, and what it said.
    #[derive(Clone, Debug)]
    pub struct CommandedRow {
        /// The message it carries out.
        pub id: SmsId,
        /// The command.
        pub command_id: CommandId,
        /// How often it was tried.
        pub attempts: i32,
        /// How often it could not be sent after all.
        pub failures: i32,
        /// When the handset said something.
        pub done_at: Option<DateTime<Utc>>,
        /// What.
        pub result: Option<Json<Value>>,
    }
}

row! {
    /// The latest command of a line, as seen from an earlier one.
    #[derive(Clone, Debug)]
    pub struct LaterSms {
        /// Which one.
        pub id: SmsId,
        /// When it was sent.
        pub sent_at: Option<DateTime<Utc>>,
        /// When it reached the phone.
        pub delivered_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A text message that came in.
    #[derive(Clone, Debug)]
    pub struct InboundRow {
        /// Which one.
        pub id: InboundSmsId,
        /// From whom: E.164 where it is a number.
        pub sender: String,
        /// What it says.
        pub text: String,
        /// When it reached the server.
        pub received_at: DateTime<Utc>,
        /// When it was written, as far as that is known; `None` in rows of older versions.
        pub written_at: Option<DateTime<Utc>>,
        /// What it was read as.
        pub reply: String,
        /// The alarm it counted for.
        pub alarm_id: Option<AlarmId>,
        /// What it did; `None`: nothing yet.
        pub effect: Option<TextEffect>,
    }
}

/// A message that has just come in.
#[derive(Clone, Debug)]
pub struct NewInbound<'m> {
    /// Which one.
    pub id: InboundSmsId,
    /// Through which gateway.
    pub gateway: GatewayId,
    /// The same for the same message told again, where it can be told from others by what it is.
    pub same_key: Option<[u8; 32]>,
    /// From whom.
    pub sender: &'m str,
    /// What it says.
    pub text: &'m str,
    /// When the phone got it, by its clock.
    pub told_at: Option<DateTime<Utc>>,
    /// It told in which zone.
    pub told_zoned: bool,
    /// When the gateway sent it, by its clock.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was written, as far as that is known.
    pub written_at: DateTime<Utc>,
    /// What it was read as.
    pub reply: &'m str,
}

row! {
    /// A call for an alarm that somebody was given.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GivenRow {
        /// The hunt that rang them.
        pub hunt_id: HuntId,
        /// As which callee.
        pub callee_id: CalleeId,
        /// When.
        pub offered_at: DateTime<Utc>,
        /// It only tests a public number.
        pub test: bool,
    }
}

/// So many messages are handed to a gateway in one go.
const MOST_DUE: i64 = 20;
/// A message that was taken is free for another node after this: longer than a try can take.
pub const TAKEN_FOR: TimeDelta = TimeDelta::seconds(60);
/// A public number is rung to prove a hand-over no later after it than this.
const LONGEST_HAND_OVER: TimeDelta = TimeDelta::days(30);

statements! {
    /// A new gateway.
    INSERT_GATEWAY = [
        "INSERT INTO sms_gateways (id, name, settings, inbound, inbound_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
    ];
    /// Those in use.
    GATEWAYS = ["SELECT id, name, settings, inbound, removed_at, heard_at, ping_at, ping_every_s, silent_since FROM sms_gateways WHERE removed_at IS NULL ORDER BY name"];
    /// One.
    GATEWAY = ["SELECT id, name, settings, inbound, removed_at, heard_at, ping_at, ping_every_s, silent_since FROM sms_gateways WHERE id = $1"];
    /// The one that reports under a token.
    GATEWAY_BY_TOKEN = ["SELECT id, name, settings, inbound, removed_at, heard_at, ping_at, ping_every_s, silent_since FROM sms_gateways WHERE inbound_hash = $1 AND removed_at IS NULL"];
    /// Is called and reached otherwise.
    CHANGE_GATEWAY = ["UPDATE sms_gateways SET name = $2, settings = $3, inbound = $4 WHERE id = $1 AND removed_at IS NULL"];
    /// It reported something.
    HEARD_OF_GATEWAY = ["UPDATE sms_gateways SET heard_at = $2 WHERE id = $1 AND (heard_at IS NULL OR heard_at < $2)"];
    /// It said that it lives.
    GATEWAY_PINGED = [
        "UPDATE sms_gateways SET heard_at = $2, ping_at = $2, ping_every_s = $3, silent_since = NULL
         WHERE id = $1 AND (ping_at IS NULL OR ping_at < $2)"
    ];
    /// It does not say that it lives any more.
    GATEWAY_SILENT = ["UPDATE sms_gateways SET silent_since = ping_at WHERE id = $1 AND silent_since IS NULL AND ping_at = $2"];
    /// Is used no more. Its name is free again.
    REMOVE_GATEWAY = ["UPDATE sms_gateways SET removed_at = $2, name = $3 WHERE id = $1 AND removed_at IS NULL"];
    /// A new message.
    INSERT = [
        "INSERT INTO sms_outbox (id, gateway_id, hand_over_id, number, text, code, created_at, due_at, attempts, failures, purpose,
                                 expires_at, sentence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, 0, $8, $9, $10)"
    ];
    /// How far one has got.
    STATE = ["SELECT attempts, sent_at, delivered_at, gave_up_at, last_result FROM sms_outbox WHERE id = $1"];
    /// How many answers a number got since then.
    COUNT_ANSWERS = ["SELECT count(*) AS answers FROM sms_outbox WHERE purpose = 'answer' AND number = $1 AND created_at > $2"];
    /// Which message a gateway calls so, and how often it could not be sent.
    BY_REF = ["SELECT id, failures FROM sms_outbox WHERE gateway_id = $1 AND gateway_ref = $2 ORDER BY created_at DESC LIMIT 1"];
    /// What its gateway calls a message.
    SET_REF = ["UPDATE sms_outbox SET gateway_ref = $3 WHERE id = $1 AND failures = $2"];
    /// Forgets what was not sent for a hand-over: that goes with it.
    FORGET_SMS = [
        "DELETE FROM sms_outbox WHERE id IN (
           SELECT id FROM sms_outbox" by_age_if_loose "WHERE hand_over_id IS NULL AND created_at < $1 ORDER BY created_at LIMIT 500)"
    ];
    /// What waits, by gateway. What is in the hands of a handset is not due.
    WAITING = [
        "SELECT o.gateway_id, g.name, COUNT(*), MIN(o.created_at), COUNT(*) FILTER (WHERE o.command_id IS NULL AND o.due_at <= $1),
           MIN(o.due_at) FILTER (WHERE o.command_id IS NULL AND o.due_at <= $1)
         FROM sms_outbox o JOIN sms_gateways g ON g.id = o.gateway_id
         WHERE o.sent_at IS NULL AND o.gave_up_at IS NULL GROUP BY o.gateway_id, g.name"
    ];
    /// What is due at one gateway, and not in the hands of a handset.
    DUE = [
        "SELECT id, gateway_id, hand_over_id, number, text, code, created_at, due_at, attempts, failures, purpose, expires_at,
           sentence
         FROM sms_outbox
         WHERE gateway_id = $1 AND sent_at IS NULL AND gave_up_at IS NULL AND command_id IS NULL AND due_at <= $2
           AND purpose <> 'duty'
         ORDER BY due_at, id LIMIT 20"
    ];
    /// The same of what tells somebody of a duty.
    DUE_OF_DUTIES = [
        "SELECT id, gateway_id, hand_over_id, number, text, code, created_at, due_at, attempts, failures, purpose, expires_at,
           sentence
         FROM sms_outbox
         WHERE gateway_id = $1 AND sent_at IS NULL AND gave_up_at IS NULL AND command_id IS NULL AND due_at <= $2
           AND purpose = 'duty'
         ORDER BY due_at, id LIMIT $3"
    ];
    /// Takes one for a try, unless another node took it.
    TAKE = [
        "UPDATE sms_outbox SET due_at = $3, taken_until = $3, attempts = attempts + 1
         WHERE id = $1 AND due_at = $2 AND sent_at IS NULL AND gave_up_at IS NULL"
    ];
    /// Not now.
    POSTPONE = [
        "UPDATE sms_outbox SET due_at = $3, last_result = $4 WHERE id = $1 AND due_at = $2 AND sent_at IS NULL AND gave_up_at IS NULL"
    ];
    /// It is in the hands of a handset.
    COMMANDED = ["UPDATE sms_outbox SET command_id = $2, taken_until = NULL WHERE id = $1"];
    /// It is in the hands of that handset no more.
    RELEASED = ["UPDATE sms_outbox SET command_id = NULL WHERE id = $1 AND command_id = $2 AND sent_at IS NULL"];
    /// What handsets were told to send, and what they said.
    COMMANDS = [
        "SELECT o.id, c.id AS command_id, o.attempts, o.failures, c.done_at, c.result FROM sms_outbox o JOIN handset_commands c ON c.id = o.command_id
         WHERE o.id IN (SELECT id FROM sms_outbox WHERE sent_at IS NULL AND gave_up_at IS NULL) AND c.done_at IS NOT NULL
         ORDER BY" unindexed "o.id LIMIT 50"
    ];
    /// It was sent, also when it was not wanted any more; unless the gateway has said since that it could not send it.
    SENT = [
        "UPDATE sms_outbox SET sent_at = $3, taken_until = NULL, gave_up_at = NULL, last_result = $4
         WHERE id = $1 AND failures = $2 AND sent_at IS NULL"
    ];
    /// It was not; again later.
    FAILED = ["UPDATE sms_outbox SET due_at = $2, taken_until = NULL, command_id = NULL, last_result = $3 WHERE id = $1 AND sent_at IS NULL"];
    /// It goes another way.
    MOVE = [
        "UPDATE sms_outbox SET gateway_id = $2, due_at = $3, taken_until = NULL, command_id = NULL, last_result = $4
         WHERE id = $1 AND sent_at IS NULL AND gave_up_at IS NULL"
    ];
    /// Goes another way, unless another node has taken it.
    REROUTE = [
        "UPDATE sms_outbox SET gateway_id = $3 WHERE id = $1 AND due_at = $2 AND sent_at IS NULL AND gave_up_at IS NULL AND command_id IS NULL"
    ];
    /// The commands of messages that their handset has not fetched since then, where they are for people; and of those that helped nobody after
    /// that, fetched or not.
    UNFETCHED = [
        "SELECT c.id FROM sms_outbox o JOIN handset_commands c ON c.id = o.command_id
         WHERE o.id IN (SELECT id FROM sms_outbox WHERE sent_at IS NULL AND gave_up_at IS NULL) AND c.done_at IS NULL
           AND (o.expires_at <= $2 OR (o.purpose IN ('alarm', 'duty') AND c.handed_at IS NULL AND c.created_at <= $1))
         ORDER BY" unindexed "o.id LIMIT 50"
    ];
    /// One, with its gateway and whom it is for.
    ONE = [
        "SELECT id, gateway_id, hand_over_id, number, text, code, created_at, due_at, attempts, failures, purpose, expires_at,
           sentence
         FROM sms_outbox WHERE id = $1"
    ];
    /// It will not be sent.
    GAVE_UP = [
        "UPDATE sms_outbox SET gave_up_at = $2, taken_until = NULL, last_result = $3
         WHERE id = $1 AND sent_at IS NULL AND gave_up_at IS NULL"
    ];
    /// The gateway says that it reached the phone, and so that it was sent, if that was not written down.
    DELIVERED = [
        "UPDATE sms_outbox SET delivered_at = $4, sent_at = coalesce(sent_at, $4), taken_until = NULL, gave_up_at = NULL
         WHERE id = $1 AND gateway_id = $2 AND failures = $3 AND attempts > 0 AND delivered_at IS NULL"
    ];
    /// The message that a handset was told to send by a command of which it has given a result, while it is that message's last.
    OF_COMMAND = [
        "SELECT o.id, o.gateway_id, o.failures FROM sms_outbox o JOIN handset_commands c ON c.id = o.command_id
         WHERE o.command_id = $1 AND c.handset_id = $2 AND c.done_at IS NOT NULL"
    ];
    /// The gateway says that it could not send what it took, whether that was written down or not.
    BOUNCED = [
        "UPDATE sms_outbox SET sent_at = NULL, failures = failures + 1, due_at = $4, taken_until = NULL, command_id = NULL, last_result = $5
         WHERE id = $1 AND gateway_id = $2 AND failures = $3 AND attempts > 0 AND delivered_at IS NULL"
    ];
    /// What became of the latest command of a line, when this message is an earlier one.
    LATER = [
        "SELECT later.id, later.sent_at, later.delivered_at FROM sms_outbox o JOIN hand_overs own ON own.id = o.hand_over_id
           JOIN public_lines l ON l.id = own.line_id JOIN hand_overs latest ON latest.line_id = l.id AND latest.seq = l.latest_seq
           JOIN sms_outbox later ON later.hand_over_id = latest.id
         WHERE o.id = $1 AND own.seq < latest.seq"
    ];
    /// Sends one once more that was sent, with all the time that a new one has.
    SEND_AGAIN = [
        "UPDATE sms_outbox SET sent_at = NULL, delivered_at = NULL, failures = failures + 1, created_at = $2, due_at = $2,
           taken_until = NULL, command_id = NULL, last_result = $3
         WHERE id = $1 AND sent_at IS NOT NULL"
    ];
    /// The call that proved the hand-over proved nothing.
    UNVERIFY = ["UPDATE hand_overs SET verify_alarm_id = NULL WHERE id = (SELECT hand_over_id FROM sms_outbox WHERE id = $1)"];
    /// Whether another message for the same line may be on its way right now.
    UNDER_WAY = [
        "SELECT count(*) AS busy FROM sms_outbox o CROSS JOIN hand_overs h
         WHERE h.id = o.hand_over_id AND h.line_id = $1 AND o.id <> $2 AND o.taken_until > $3"
    ];
    /// Earlier commands for a line are not wanted any more.
    SUPERSEDE = [
        "UPDATE sms_outbox SET gave_up_at = $3, last_result = 'superseded by a later hand-over'
         WHERE sent_at IS NULL AND gave_up_at IS NULL
           AND hand_over_id IN (SELECT id FROM hand_overs WHERE line_id = $1 AND seq < $2)"
    ];
    /// What handsets have not carried out yet for them, neither.
    SUPERSEDE_COMMANDS = [
        "UPDATE handset_commands SET done_at = $3, result = $4 WHERE done_at IS NULL AND id IN (
           SELECT o.command_id FROM sms_outbox o JOIN hand_overs h ON h.id = o.hand_over_id
           WHERE h.line_id = $1 AND h.seq < $2 AND o.sent_at IS NULL AND o.command_id IS NOT NULL)"
    ];
    /// When the phone got the latest command of a line before this message of it, as its gateway told.
    EARLIER_DELIVERED = [
        "SELECT max(o.delivered_at) AS at FROM sms_outbox this JOIN hand_overs own ON own.id = this.hand_over_id
           JOIN hand_overs h ON h.line_id = own.line_id AND h.seq < own.seq JOIN sms_outbox o ON o.hand_over_id = h.id
         WHERE this.id = $1"
    ];
    /// A message that came in, unless it was told before.
    INSERT_INBOUND = [
        "INSERT INTO sms_inbox (id, gateway_id, fingerprint, same_key, sender, text, received_at, told_at, told_zoned, sent_at,
                                written_at, reply)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING"
    ];
    /// Words without a time and an id: how often they were told again, each time within a minute. The row is locked until the end, so of
    /// two copies at once the second counts the first.
    SAME_WORDS = [
        "INSERT INTO sms_same_words (words_key, last_at, copies) VALUES ($1, $2, 0)
         ON CONFLICT (words_key) DO UPDATE SET
           copies = CASE WHEN sms_same_words.last_at > $3 THEN sms_same_words.copies + 1 ELSE 0 END, last_at = excluded.last_at
         RETURNING copies"
    ];
    /// Forgets such words.
    FORGET_WORDS = [
        "DELETE FROM sms_same_words WHERE words_key IN (SELECT words_key FROM sms_same_words WHERE last_at < $1 ORDER BY last_at LIMIT 500)"
    ];
    /// How late the gateway's latest messages came.
    DELAYS = [
        "SELECT told_at, coalesce(sent_at, received_at) AS passed_on FROM sms_inbox
         WHERE gateway_id = $1 AND received_at > $2 AND told_at IS NOT NULL AND told_zoned = $3
               AND (sent_at IS NOT NULL) = $4
         ORDER BY received_at DESC LIMIT 20"
    ];
    /// What it did.
    SET_EFFECT = ["UPDATE sms_inbox SET alarm_id = $2, effect = $3 WHERE id = $1 AND effect IS NULL"];
    /// The latest that came in.
    LATEST_INBOUND = [
        "SELECT id, sender, text, received_at, written_at, reply, alarm_id, effect FROM sms_inbox
         ORDER BY received_at DESC, id DESC LIMIT $1"
    ];
    /// Those of a sender until then.
    INBOUND_FROM = [
        "SELECT id, sender, text, received_at, written_at, reply, alarm_id, effect FROM sms_inbox
         WHERE sender = $1 AND received_at <= $2 ORDER BY received_at DESC, id DESC LIMIT $3"
    ];
    /// Those that came in before one of them.
    INBOUND_BEHIND = [
        "SELECT id, sender, text, received_at, written_at, reply, alarm_id, effect FROM sms_inbox
         WHERE received_at <= $1 AND (received_at < $1 OR id < $2) ORDER BY received_at DESC, id DESC LIMIT $3"
    ];
    /// When a sender last wrote something that did something: about an alarm, or about being rung at all.
    LAST_WORD = [
        "SELECT max(written_at) AS at FROM sms_inbox
         WHERE sender = $1 AND received_at > $2
           AND (alarm_id = $3 OR effect IN ('stopped', 'allowed')) AND effect IN ('confirmed', 'already', 'declined', 'stopped', 'allowed')"
    ];
    /// The calls that a phone was in, from then to then, the latest first: at the phone itself, or at a public number to prove that it leads
    /// there. Only those for alarms. A call that was under way when phones were first told apart from numbers may be kept under its number.
    GIVEN = [
        "SELECT g.hunt_id, g.callee_id, g.offered_at, EXISTS (
             SELECT 1 FROM alarm_hunts l CROSS JOIN alarms a
             WHERE l.hunt_id = g.hunt_id AND a.id = l.alarm_id AND a.integration_id = $4
           ) AS test
         FROM (
           SELECT d.hunt_id, t.callee_id, d.offered_at FROM dial_targets t JOIN dials d ON d.mid = t.mid JOIN hunts u ON u.id = d.hunt_id
             WHERE t.phone IN ($5, $1) AND t.offered_at >= $2 AND t.offered_at <= $3 AND d.handset_id IS NOT NULL AND u.kind = 'alarm'
           UNION
           SELECT d.hunt_id, t.callee_id, d.offered_at FROM hand_overs h JOIN alarms v ON v.id = h.verify_alarm_id
             JOIN dials d ON d.hunt_id = v.hunt_id JOIN dial_targets t ON t.mid = d.mid
             WHERE h.number = $1 AND h.at >= $6 AND d.offered_at >= $2 AND d.offered_at <= $3 AND d.handset_id IS NOT NULL
           ORDER BY 3 DESC LIMIT 200) g
         ORDER BY g.offered_at DESC"
    ];
    /// The latest call that a phone was in, from then to then, for what is no alarm.
    RUNG_OTHERWISE = [
        "SELECT t.callee_id, u.kind FROM dial_targets t JOIN dials d ON d.mid = t.mid JOIN hunts u ON u.id = d.hunt_id
         WHERE t.phone IN ($1, $2) AND t.offered_at >= $3 AND t.offered_at <= $4 AND d.handset_id IS NOT NULL AND u.kind <> 'alarm'
         ORDER BY t.offered_at DESC LIMIT 1"
    ];
    /// Another handset is preferred until then.
    REST_HANDSET = ["UPDATE handsets SET avoid_until = $2 WHERE id = $1 AND (avoid_until IS NULL OR avoid_until < $2)"];
    /// It need not rest, unless something else has it rest since.
    END_REST = ["UPDATE handsets SET avoid_until = NULL WHERE id = $1 AND avoid_until = $2"];
    /// Until when the line of a handset may ring although its dial is closed.
    LINE_FREE_AT = ["SELECT line_free_at FROM dials WHERE handset_id = $1 AND line_free_at > $2 ORDER BY line_free_at DESC LIMIT 1"];
    /// Forgets what came in long ago.
    FORGET_INBOUND = [
        "DELETE FROM sms_inbox WHERE id IN (SELECT id FROM sms_inbox WHERE received_at < $1 ORDER BY received_at LIMIT 500)"
    ];
}

impl SmsRow {
    /// One that says a sentence of the catalogue, and is not worth sending any more after `expires_at`.
    #[must_use]
    pub fn saying(
        sentence: Sentence,
        purpose: Purpose,
        gateway: GatewayId,
        number: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: SmsId::new(now),
            gateway_id: gateway,
            hand_over_id: None,
            number: number.to_owned(),
            text: String::new(),
            code: None,
            created_at: now,
            due_at: now,
            attempts: 0,
            failures: 0,
            sentence: Some(Json(sentence)),
            purpose,
            expires_at: Some(expires_at),
        }
    }
}

impl Db<'_> {
    /// Stores a gateway.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_gateway(&mut self, gateway: &GatewayRow, inbound_hash: &[u8], now: DateTime<Utc>) -> Result<()> {
        let (name, settings, inbound) = (gateway.name.as_str(), &gateway.settings, &gateway.inbound);
        execute!(self, INSERT_GATEWAY, gateway.id, name, settings, inbound, inbound_hash, now).map(|_| ())
    }

    /// The gateways in use, by name.
    pub async fn gateways(&mut self) -> Result<Vec<GatewayRow>> {
        fetch_all!(self, GATEWAYS)
    }

    /// One gateway, in use or not.
    pub async fn gateway(&mut self, id: GatewayId) -> Result<Option<GatewayRow>> {
        fetch_optional!(self, GATEWAY, id)
    }

    /// The gateway that reports under this token.
    pub async fn gateway_by_token(&mut self, hash: &[u8]) -> Result<Option<GatewayRow>> {
        fetch_optional!(self, GATEWAY_BY_TOKEN, hash)
    }

    /// Changes what a gateway is called and how it is reached.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn change_gateway(&mut self, gateway: &GatewayRow) -> Result<()> {
        execute!(self, CHANGE_GATEWAY, gateway.id, gateway.name.as_str(), &gateway.settings, &gateway.inbound).map(|_| ())
    }

    /// Notes that a gateway reported something.
    pub async fn heard_of_gateway(&mut self, id: GatewayId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, HEARD_OF_GATEWAY, id, now).map(|_| ())
    }

    /// Notes that a gateway said that it lives, as it does every so many seconds.
    pub async fn gateway_pinged(&mut self, id: GatewayId, every_s: Option<i32>, now: DateTime<Utc>) -> Result<()> {
        execute!(self, GATEWAY_PINGED, id, now, every_s).map(|_| ())
    }

    /// Notes that a gateway has not said that it lives since then; false when that was noted, or it has.
    pub async fn gateway_silent(&mut self, id: GatewayId, since: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, GATEWAY_SILENT, id, since)
    }

    /// Uses a gateway no more.
    pub async fn remove_gateway(&mut self, gateway: &GatewayRow, now: DateTime<Utc>) -> Result<bool> {
        let retired = format!("{} (removed {})", gateway.name, now.timestamp_micros());
        changed_one!(self, REMOVE_GATEWAY, gateway.id, now, retired)
    }

    /// Puts a message into the outbox.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the hand-over has one.
    pub async fn insert_sms(&mut self, sms: &SmsRow) -> Result<()> {
        execute!(
            self,
            INSERT,
            sms.id,
            sms.gateway_id,
            sms.hand_over_id,
            sms.number.as_str(),
            sms.text.as_str(),
            sms.code.as_deref(),
            sms.created_at,
            sms.purpose,
            sms.expires_at,
            &sms.sentence,
        )
        .map(|_| ())
    }

    /// What waits in the outbox of text messages, by gateway.
    pub async fn messages_waiting(&mut self, now: DateTime<Utc>) -> Result<Vec<Waiting<GatewayId>>> {
        let rows: Vec<WaitingRow<GatewayId>> = fetch_all!(self, WAITING, now)?;
        Ok(rows.into_iter().map(Waiting::from).collect())
    }

    /// Up to 20 messages that are due at a gateway. What tells somebody of a duty waits until nothing else does.
    pub async fn due_sms(&mut self, gateway: GatewayId, now: DateTime<Utc>) -> Result<Vec<SmsRow>> {
        let mut due: Vec<SmsRow> = fetch_all!(self, DUE, gateway, now)?;
        let room = MOST_DUE.saturating_sub(i64::try_from(due.len()).unwrap_or(MOST_DUE));
        if room > 0 {
            let of_duties: Vec<SmsRow> = fetch_all!(self, DUE_OF_DUTIES, gateway, now, room)?;
            due.extend(of_duties);
        }
        Ok(due)
    }

    /// Takes a message for one try until `until`; false when another node took it first.
    pub async fn take_sms(&mut self, sms: &SmsRow, until: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, TAKE, sms.id, sms.due_at, until)
    }

    /// Puts a message off, and says why.
    pub async fn postpone_sms(&mut self, sms: &SmsRow, until: DateTime<Utc>, why: &str) -> Result<()> {
        execute!(self, POSTPONE, sms.id, sms.due_at, until, why).map(|_| ())
    }

    /// Notes that a native handset has it now.
    pub async fn sms_commanded(&mut self, id: SmsId, command: CommandId) -> Result<()> {
        execute!(self, COMMANDED, id, command).map(|_| ())
    }

    /// What native handsets said of messages that are not settled, at most 50.
    pub async fn commanded_sms(&mut self) -> Result<Vec<CommandedRow>> {
        fetch_all!(self, COMMANDS)
    }

    /// Notes that a message was sent, which the gateway could not send `failures` times before; false when that was noted.
    pub async fn sms_sent(&mut self, id: SmsId, failures: i32, result: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, SENT, id, failures, now, result)
    }

    /// Takes a message out of the hands of a handset that has not sent it; false when another node did.
    pub async fn release_sms(&mut self, id: SmsId, command: CommandId) -> Result<bool> {
        changed_one!(self, RELEASED, id, command)
    }

    /// Notes that a message was not sent, and when to try again.
    pub async fn sms_failed(&mut self, id: SmsId, result: &str, again_at: DateTime<Utc>) -> Result<()> {
        execute!(self, FAILED, id, again_at, result).map(|_| ())
    }

    /// Sends a message through another gateway, which was not taken by the one before.
    pub async fn move_sms(&mut self, id: SmsId, to: GatewayId, at: DateTime<Utc>, why: &str) -> Result<()> {
        execute!(self, MOVE, id, to, at, why).map(|_| ())
    }

    /// Sends a message that nobody has tried through another gateway; nothing when another node has taken it since.
    pub async fn reroute_sms(&mut self, sms: &SmsRow, to: GatewayId) -> Result<()> {
        execute!(self, REROUTE, sms.id, sms.due_at, to).map(|_| ())
    }

    /// What handsets have not fetched since `since`, of what is for people, and what was worth sending no longer than until now: the commands, at
    /// most 50.
    pub async fn unfetched_sms(&mut self, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<CommandId>> {
        let rows: Vec<(CommandId,)> = fetch_all!(self, UNFETCHED, since, now)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// One message.
    pub async fn sms(&mut self, id: SmsId) -> Result<Option<SmsRow>> {
        fetch_optional!(self, ONE, id)
    }

    /// Notes that a message will not be sent; false when that was noted, or it was.
    pub async fn sms_given_up(&mut self, id: SmsId, result: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, GAVE_UP, id, now, result)
    }

    /// Notes that a gateway's message reached the phone; false when it is none of its messages, or was noted.
    pub async fn sms_delivered(&mut self, id: SmsId, gateway: GatewayId, failures: i32, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, DELIVERED, id, gateway, failures, now)
    }

    /// The message that a command of this handset sent, with its gateway, and how often it could not be sent before.
    pub async fn sms_of_command(&mut self, command: CommandId, handset: HandsetId) -> Result<Option<(SmsId, GatewayId, i32)>> {
        fetch_optional!(self, OF_COMMAND, command, handset)
    }

    /// Notes that a gateway could not send what it took for the `failures`-th time, so that it is tried again.
    pub async fn sms_bounced(
        &mut self,
        id: SmsId,
        gateway: GatewayId,
        failures: i32,
        again_at: DateTime<Utc>,
        why: &str,
    ) -> Result<bool> {
        let bounced = changed_one!(self, BOUNCED, id, gateway, failures, again_at, why)?;
        if bounced {
            execute!(self, UNVERIFY, id)?;
        }
        Ok(bounced)
    }

    /// The latest command of a line, when this message is an earlier one.
    pub async fn later_sms(&mut self, earlier: SmsId) -> Result<Option<LaterSms>> {
        fetch_optional!(self, LATER, earlier)
    }

    /// Sends a message once more, under another id. What a call has proved of it counts no more.
    pub async fn send_sms_again(&mut self, id: SmsId, why: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, UNVERIFY, id)?;
        execute!(self, SEND_AGAIN, id, now, why).map(|_| ())
    }

    /// Whether another message for a line may be on its way right now.
    pub async fn sms_under_way(&mut self, line: LineId, but: SmsId, now: DateTime<Utc>) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, UNDER_WAY, line, but, now)?;
        Ok(row.is_some_and(|(busy,)| busy > 0))
    }

    /// Calls off what earlier hand-overs of a line have not sent yet.
    pub async fn supersede_sms(&mut self, line: LineId, before_seq: i32, now: DateTime<Utc>) -> Result<()> {
        let result = serde_json::json!({ "ok": false, "detail": "superseded by a later hand-over" });
        execute!(self, SUPERSEDE_COMMANDS, line, before_seq, now, Json(result))?;
        execute!(self, SUPERSEDE, line, before_seq, now).map(|_| ())
    }

    /// How far a message has got.
    pub async fn sms_state(&mut self, id: SmsId) -> Result<Option<SmsStateRow>> {
        fetch_optional!(self, STATE, id)
    }

    /// How many answers a number got since then.
    pub async fn answers_to(&mut self, number: &str, since: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_ANSWERS, number, since)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// The message that a gateway calls so, and how often it could not be sent.
    pub async fn sms_by_ref(&mut self, gateway: GatewayId, reference: &str) -> Result<Option<(SmsId, i32)>> {
        fetch_optional!(self, BY_REF, gateway, reference)
    }

    /// Keeps what its gateway calls a message.
    pub async fn set_sms_ref(&mut self, id: SmsId, failures: i32, reference: &str) -> Result<()> {
        execute!(self, SET_REF, id, failures, reference).map(|_| ())
    }

    /// When the phone got the latest of the commands of a line before this one, as far as its gateway told.
    pub async fn earlier_delivered(&mut self, sms: SmsId) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, EARLIER_DELIVERED, sms)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Stores a message that came in; false when it was told before.
    pub async fn insert_inbound(&mut self, sms: &NewInbound<'_>, now: DateTime<Utc>) -> Result<bool> {
        // One that nothing tells from others is told from them by its words, before it comes here.
        let own = Sha256::digest(sms.id.0.as_bytes());
        let fingerprint = sms.same_key.as_ref().map_or(&own[..], |key| &key[..]);
        let inserted = execute!(
            self,
            INSERT_INBOUND,
            sms.id,
            sms.gateway,
            fingerprint,
            sms.same_key.as_ref().map(|key| &key[..]),
            sms.sender,
            sms.text,
            now,
            sms.told_at,
            sms.told_zoned,
            sms.sent_at,
            sms.written_at,
            sms.reply,
        )?;
        Ok(inserted == 1)
    }

    /// Whether the same words came after `since`, each copy after the one before; they count from now on.
    pub async fn same_words(&mut self, key: &[u8; 32], since: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
        let row: Option<(i32,)> = fetch_optional!(self, SAME_WORDS, &key[..], now, since)?;
        Ok(row.is_some_and(|(copies,)| copies > 0))
    }

    /// How late a gateway's latest messages came, of those that told their time with a zone or without, and their sending or not.
    pub async fn delays(&mut self, gateway: GatewayId, since: DateTime<Utc>, zoned: bool, sent: bool) -> Result<Vec<Delay>> {
        let rows: Vec<(DateTime<Utc>, DateTime<Utc>)> = fetch_all!(self, DELAYS, gateway, since, zoned, sent)?;
        Ok(rows.into_iter().map(|(told, passed_on)| Delay { told, passed_on }).collect())
    }

    /// Notes what a message did; nothing when that was noted before.
    pub async fn set_inbound_effect(&mut self, id: InboundSmsId, alarm: Option<AlarmId>, effect: TextEffect) -> Result<()> {
        execute!(self, SET_EFFECT, id, alarm, effect).map(|_| ())
    }

    /// The latest messages that came in, newest first.
    pub async fn latest_inbound(&mut self, limit: i64) -> Result<Vec<InboundRow>> {
        fetch_all!(self, LATEST_INBOUND, limit)
    }

    /// The messages of a sender that came in until then, newest first.
    pub async fn inbound_from(&mut self, sender: &str, until: DateTime<Utc>, limit: i64) -> Result<Vec<InboundRow>> {
        fetch_all!(self, INBOUND_FROM, sender, until, limit)
    }

    /// The messages that came in before one of them, newest first.
    pub async fn inbound_behind(&mut self, at: DateTime<Utc>, id: InboundSmsId, limit: i64) -> Result<Vec<InboundRow>> {
        fetch_all!(self, INBOUND_BEHIND, at, id, limit)
    }

    /// When the latest message of a sender was written that did something about this alarm, or about being rung at all, of those that
    /// came since then.
    pub async fn last_word(
        &mut self,
        sender: &str,
        since: DateTime<Utc>,
        alarm: Option<AlarmId>,
    ) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LAST_WORD, sender, since, alarm)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// The calls for alarms that a number was in between two instants, the latest first; at most 200. Alarms that came through the door
    /// `tests` only test a public number.
    pub async fn given(&mut self, number: &str, from: DateTime<Utc>, to: DateTime<Utc>, tests: &str) -> Result<Vec<GivenRow>> {
        let phone = phone_of(number);
        fetch_all!(self, GIVEN, number, from, to, tests, &*phone, from - LONGEST_HAND_OVER)
    }

    /// As whom, and for what, a phone was rung last from then to then where that was no alarm.
    pub async fn rung_otherwise(
        &mut self,
        number: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<(CalleeId, AlarmKind)>> {
        fetch_optional!(self, RUNG_OTHERWISE, number, &*phone_of(number), from, to)
    }

    /// Lets a handset rest until then: it is given no dial.
    pub async fn rest_handset(&mut self, id: HandsetId, until: DateTime<Utc>) -> Result<()> {
        execute!(self, REST_HANDSET, id, until).map(|_| ())
    }

    /// Ends a rest that lasts until exactly then.
    pub async fn end_rest(&mut self, id: HandsetId, until: DateTime<Utc>) -> Result<()> {
        execute!(self, END_REST, id, until).map(|_| ())
    }

    /// Until when the line of a handset may ring although it has no open dial.
    pub async fn line_free_at(&mut self, id: HandsetId, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LINE_FREE_AT, id, now)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Forgets up to 500 messages that came in before then; gives how many.
    pub async fn forget_inbound(&mut self, before: DateTime<Utc>) -> Result<u64> {
        let words = execute!(self, FORGET_WORDS, before)?;
        let sent = execute!(self, FORGET_SMS, before)?;
        Ok(words + sent + execute!(self, FORGET_INBOUND, before)?)
    }
}
