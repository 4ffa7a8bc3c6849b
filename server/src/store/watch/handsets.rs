//! Handsets: phones that poll, known by a token, or on the plain path by address and model.

use std::collections::HashMap;

use android_protocol::wire::Capability;
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::types::Json;

use crate::ids::{AlarmId, HandsetId};
use crate::needs::Words;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{FromRow, Row, changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// What a handset can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Decided at each poll: the stock app by its user agent, else by the path.
    Auto,
    /// The stock app: one number at a time.
    App,
    /// An ordered list without repeats.
    List,
    /// The sequence copied, as the document shows.
    Repeat,
    /// Our own protocol.
    Native,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] = [Self::Auto, Self::App, Self::List, Self::Repeat, Self::Native];

    /// The word used on the command line, in forms and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::App => "app",
            Self::List => "list",
            Self::Repeat => "repeat",
            Self::Native => "native",
        }
    }
}

/// No handset holds more calls at once, whatever it says and whatever it is allowed.
pub const MOST_CHANNELS: i32 = 64;

/// How a handset is told that there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleForm {
    /// The documented one, `code` 1.
    Plain,
    /// One that the stock app survives without its screen open.
    HeadlessSafe,
}

row! {
    /// A handset as it is stored.
    #[derive(Clone, Debug)]
    pub struct HandsetRow {
        /// Which one.
        pub id: HandsetId,
        /// What people call it.
        pub name: String,
        /// SHA-256 of its token; `None` on the plain path.
        pub token_hash: Option<Vec<u8>>,
        /// SHA-256 of the token that replaces it.
        pub next_token_hash: Option<Vec<u8>>,
        /// Address and model; `None` when paired.
        pub plain_key: Option<String>,
        /// What it can be given.
        pub profile: Profile,
        /// How it is told that there is nothing to do.
        pub idle_form: IdleForm,
        /// The country of its SIM: ISO 3166 alpha-2.
        pub country: String,
        /// Longest time a call rings.
        pub ring_seconds: i32,
        /// Time between its polls, as learned.
        pub interval_seconds: Option<f64>,
        /// When it was made known.
        pub created_at: DateTime<Utc>,
        /// Since when it is given nothing.
        pub disabled_at: Option<DateTime<Utc>>,
        /// Its last poll, as of the last time that was written down.
        pub last_seen_at: Option<DateTime<Utc>>,
        /// Where it polled from.
        pub last_address: Option<String>,
        /// What model it says it is.
        pub last_model: Option<String>,
        /// What program it says it is.
        pub last_user_agent: Option<String>,
        /// Since when it has been silent for longer than it ever is.
        pub offline_since: Option<DateTime<Utc>>,
        /// Since when it has not returned from a dial.
        pub stuck_since: Option<DateTime<Utc>>,
        /// Since when two phones have used its token.
        pub shared_since: Option<DateTime<Utc>>,
        /// Calls in a row that never left the phone.
        pub failures: i32,
        /// Another handset is preferred until then.
        pub avoid_until: Option<DateTime<Utc>>,
        /// Since when it may poll the plain path from outside the open networks.
        pub allowed_at: Option<DateTime<Utc>>,
        /// Since when its app seems to have been started again in a call; until its next report.
        pub restarted_since: Option<DateTime<Utc>>,
        /// The alarm of its latest test call.
        pub test_alarm_id: Option<AlarmId>,
        /// What a native handset last said of itself.
        pub status: Option<Json<serde_json::Value>>,
        /// When it said so.
        pub status_at: Option<DateTime<Utc>>,
        /// What it last said that it can do, in words with commas between; `None`: it never said.
        pub capabilities: Option<String>,
        /// So many calls at once it is allowed.
        pub channels: i32,
        /// Calls that come in on it are taken.
        pub inbound: bool,
        /// Shouts may take all its channels.
        pub bulk: bool,
        /// The latest dial that it held when its token was replaced, or it was removed: that, and earlier ones, may still be finished there.
        pub former_mid: Option<String>,
        /// It stands in for a phone in the tests of a monitor, and is given nothing else.
        pub monitor: bool,
    }
}

/// A handset that speaks and has a free channel.
#[derive(Clone, Debug)]
pub struct Voice {
    /// Which one.
    pub id: HandsetId,
    /// Its last poll, as of the last time that was written down.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// It and all its free channels rest until then.
    pub avoid_until: Option<DateTime<Utc>>,
    /// So many of its channels are free, whether they rest or not.
    pub free: i32,
    /// So many are in use.
    pub in_calls: i32,
    /// It can record.
    pub records: bool,
    /// Shouts may take all its channels.
    pub bulk: bool,
    /// It holds calls for programs.
    pub holds_calls: bool,
    /// It holds conferences.
    pub confers: bool,
}

row! {
    /// What decides whether, and as what, a phone is let in as a handset.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Doors {
        /// Since when it is given nothing.
        pub disabled_at: Option<DateTime<Utc>>,
        /// SHA-256 of its token.
        pub token_hash: Option<Vec<u8>>,
        /// SHA-256 of the token that replaces it.
        pub next_token_hash: Option<Vec<u8>>,
        /// What it last said that it can do.
        pub capabilities: Option<String>,
        /// So many calls at once it is allowed.
        pub channels: i32,
    }
}

struct DoorsRow {
    id: HandsetId,
    doors: Doors,
}

impl FromRow for DoorsRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { id: row.get("id")?, doors: Doors::from_row(row)? })
    }
}

/// The app's HTTP library, old or new, names itself so.
#[must_use]
pub fn is_app(user_agent: &[u8]) -> bool {
    user_agent.starts_with(b"okhttp/") || user_agent.starts_with(b"Dalvik/")
}

impl HandsetRow {
    /// Whether the stock app polls with its token by now, whatever another program said that had it before.
    #[must_use]
    pub fn polls_as_app(&self) -> bool {
        self.last_user_agent.as_ref().is_some_and(|agent| is_app(agent.as_bytes()))
    }

    /// Whether it has said that it can do this.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        !self.monitor
            && !self.polls_as_app()
            && self.capabilities.as_deref().is_some_and(|words| words.split(',').any(|word| word == capability.as_str()))
    }

    /// Whether it speaks to whoever picks up, and hears keys.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.can(Capability::Tts) && self.can(Capability::Dtmf)
    }

    /// Whether it guesses when a line is connected, by its own word.
    #[must_use]
    pub fn guesses(&self) -> bool {
        let word = self.status.as_ref().and_then(|status| status.0["answer_detection"].as_str());
        matches!(word, Some("early" | "duration" | "none"))
    }

    /// What it last said that it can do. Whether it stands in for a phone in tests is not for it to say.
    #[must_use]
    pub fn words(&self) -> Words {
        match self.monitor {
            true => Words::of_monitor(),
            false => Words::read(self.capabilities.as_deref().unwrap_or_default()).of_phone(),
        }
    }

    /// How many calls at once it said that it can hold; one that does not say can hold one.
    #[must_use]
    pub fn offered_channels(&self) -> i32 {
        let status = self.status.as_ref().filter(|_| !self.polls_as_app());
        let offered = status.and_then(|status| status.0["channels"].as_i64());
        offered.and_then(|offered| i32::try_from(offered).ok()).unwrap_or(1).clamp(1, MOST_CHANNELS)
    }

    /// How many calls at once it may hold: as many as it is allowed, and no more than it says that it can.
    #[must_use]
    pub fn usable_channels(&self) -> i32 {
        self.channels.clamp(1, MOST_CHANNELS).min(self.offered_channels())
    }

    /// What decides whether, and as what, a phone is let in as this handset.
    #[must_use]
    pub fn doors(&self) -> Doors {
        Doors {
            disabled_at: self.disabled_at,
            token_hash: self.token_hash.clone(),
            next_token_hash: self.next_token_hash.clone(),
            capabilities: self.capabilities.clone(),
            channels: self.channels,
        }
    }
}

row! {
    /// A phone that polled without being let in.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KnockRow {
        /// From where.
        pub address: String,
        /// What model it says it is; empty when it does not say.
        pub model: String,
        /// What program it says it is.
        pub user_agent: String,
        /// When it came first.
        pub first_at: DateTime<Utc>,
        /// When it came last.
        pub last_at: DateTime<Utc>,
        /// How often it was noted; not every poll is.
        pub times: i64,
    }
}

statements! {
    /// A new handset.
    INSERT = [
        "INSERT INTO handsets (id, name, token_hash, plain_key, profile, idle_form, country, ring_seconds, created_at, allowed_at,
                               monitor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING"
    ];
    /// By its token, old or new.
    BY_TOKEN = ["SELECT * FROM handsets WHERE token_hash = $1 OR next_token_hash = $1"];
    /// By address and model.
    BY_PLAIN_KEY = ["SELECT * FROM handsets WHERE plain_key = $1"];
    /// By what people call it.
    BY_NAME = ["SELECT * FROM handsets WHERE name = $1 AND removed_at IS NULL AND NOT monitor"];
    /// What stands in for a phone in the tests of a monitor, by its name.
    MONITOR_BY_NAME = ["SELECT * FROM handsets WHERE name = $1 AND removed_at IS NULL AND monitor"];
    /// All of these.
    MONITORS = ["SELECT * FROM handsets WHERE removed_at IS NULL AND monitor ORDER BY name LIMIT 100"];
    /// One handset.
    GET = ["SELECT * FROM handsets WHERE id = $1"];
    /// One, locked.
    LOCK = ["SELECT * FROM handsets WHERE id = $1" for_no_key_update];
    /// All that were not removed.
    LIST = ["SELECT * FROM handsets WHERE removed_at IS NULL AND NOT monitor ORDER BY name"];
    /// What decides whether phones are let in as them.
    DOORS = ["SELECT id, disabled_at, token_hash, next_token_hash, capabilities, channels FROM handsets WHERE removed_at IS NULL"];
    /// What all are called, those that were removed too: what they rang is told with their names.
    NAMES = ["SELECT id, name FROM handsets"];
    /// How many are paired and in use.
    COUNT_PAIRED = ["SELECT count(*) AS paired FROM handsets WHERE token_hash IS NOT NULL AND disabled_at IS NULL AND NOT monitor"];
    /// How many came by the plain path.
    COUNT_PLAIN = ["SELECT count(*) AS plain FROM handsets WHERE plain_key IS NOT NULL"];
    /// May be given something again.
    ENABLE = ["UPDATE handsets SET disabled_at = NULL, offline_since = NULL, stuck_since = NULL WHERE name = $1 AND disabled_at IS NOT NULL"];
    /// Gets another name.
    RENAME = ["UPDATE handsets SET name = $2 WHERE name = $1 AND removed_at IS NULL AND NOT monitor"];
    /// Leaves its name and its doors to others.
    REMOVE = [
        "UPDATE handsets SET name = $2, removed_at = $3, disabled_at = coalesce(disabled_at, $3), former_token_hash = token_hash,
                former_plain_key = plain_key,
                former_mid = (SELECT max(mid) FROM dials WHERE handset_id = handsets.id AND closed_at IS NULL), token_hash = NULL, next_token_hash = NULL, plain_key = NULL
         WHERE name = $1 AND removed_at IS NULL"
    ];
    /// Gets a token that replaces its own once the phone has polled with it.
    SET_NEXT_TOKEN = ["UPDATE handsets SET next_token_hash = $2 WHERE name = $1 AND token_hash IS NOT NULL"];
    /// The phone polled with the new token: the old one is no good any more.
    TAKE_NEXT_TOKEN = [
        "UPDATE handsets SET former_token_hash = token_hash, token_hash = next_token_hash, next_token_hash = NULL,
                former_mid = (SELECT max(mid) FROM dials WHERE handset_id = handsets.id AND closed_at IS NULL)
         WHERE next_token_hash = $1"
    ];
    /// Whoever had this token until it was replaced or the handset removed, while a dial that it held then is open: mids begin with the time.
    HOLDER_BY_TOKEN = [
        "SELECT h.* FROM handsets h WHERE h.former_token_hash = $1
           AND EXISTS (SELECT 1 FROM dials d WHERE d.handset_id = h.id AND d.closed_at IS NULL AND d.mid <= h.former_mid)"
    ];
    /// Whoever polls from here with this model, while it holds an open dial.
    HOLDER_BY_PLAIN_KEY = [
        "SELECT h.* FROM handsets h WHERE h.plain_key = $1
           AND EXISTS (SELECT 1 FROM dials d WHERE d.handset_id = h.id AND d.closed_at IS NULL)"
    ];
    /// Whoever did until it was removed, while a dial that it held then is open.
    HOLDER_BY_FORMER_KEY = [
        "SELECT h.* FROM handsets h WHERE h.former_plain_key = $1
           AND EXISTS (SELECT 1 FROM dials d WHERE d.handset_id = h.id AND d.closed_at IS NULL AND d.mid <= h.former_mid)"
    ];
    /// Its app seems to have been started again in a call.
    RESTARTED = ["UPDATE handsets SET restarted_since = $2 WHERE id = $1 AND restarted_since IS NULL"];
    /// It reported.
    REPORTED = ["UPDATE handsets SET restarted_since = NULL WHERE id = $1 AND restarted_since IS NOT NULL"];
    /// Silent for too long. `last_seen_at` is asked again, since another node may have heard it.
    GONE_OFFLINE = [
        "UPDATE handsets SET offline_since = $2
         WHERE id = $1 AND offline_since IS NULL AND disabled_at IS NULL AND last_seen_at <= $3"
    ];
    /// Did not return after a dial.
    STUCK = ["UPDATE handsets SET stuck_since = $2 WHERE id = $1 AND stuck_since IS NULL AND last_seen_at <= $3"];
    /// Polls again.
    BACK = [
        "UPDATE handsets SET offline_since = NULL, stuck_since = NULL, last_seen_at = $2
         WHERE id = $1 AND (offline_since IS NOT NULL OR stuck_since IS NOT NULL)"
    ];
    /// Two phones use its token.
    SHARED = ["UPDATE handsets SET shared_since = $2 WHERE id = $1 AND shared_since IS NULL"];
    /// One phone uses its token again.
    NOT_SHARED = ["UPDATE handsets SET shared_since = NULL WHERE id = $1 AND shared_since IS NOT NULL"];
    /// Its calls do not leave the phone.
    FAILED = ["UPDATE handsets SET failures = failures + 1, avoid_until = $2, failed_at = $3 WHERE id = $1"];
    /// Its calls leave the phone again: one that was handed out since they did not.
    WORKS = [
        "UPDATE handsets SET failures = 0, avoid_until = NULL WHERE id = $1 AND failures > 0 AND (failed_at IS NULL OR failed_at <= $2)"
    ];
    /// How many are in trouble.
    COUNT_OFFLINE = ["SELECT count(*) AS offline FROM handsets WHERE offline_since IS NOT NULL AND disabled_at IS NULL"];
    /// Its latest test call.
    SET_TEST = ["UPDATE handsets SET test_alarm_id = $2 WHERE id = $1"];
    /// What it says of itself.
    SET_STATUS = ["UPDATE handsets SET status = $2, status_at = $3, capabilities = coalesce($4, capabilities) WHERE id = $1"];
    /// Those that may speak, and work as far as is known.
    VOICES = [
        "SELECT * FROM handsets WHERE capabilities LIKE '%dtmf%' AND capabilities LIKE '%tts%' AND removed_at IS NULL
           AND disabled_at IS NULL AND offline_since IS NULL AND stuck_since IS NULL AND NOT monitor"
    ];
    /// It is allowed so many calls at once.
    SET_CHANNELS = ["UPDATE handsets SET channels = $2 WHERE name = $1 AND removed_at IS NULL"];
    /// Calls that come in on it are taken, or not.
    SET_INBOUND = ["UPDATE handsets SET inbound = $2 WHERE name = $1 AND removed_at IS NULL"];
    /// Shouts may take all its channels, or not.
    SET_BULK = ["UPDATE handsets SET bulk = $2 WHERE name = $1 AND removed_at IS NULL"];
    /// A phone polled without being let in.
    KNOCK = [
        "INSERT INTO knocks (address, model, user_agent, first_at, last_at, times) VALUES ($1, $2, $3, $4, $4, 1)
         ON CONFLICT (address, model) DO UPDATE SET last_at = excluded.last_at, user_agent = excluded.user_agent,
                                                    times = knocks.times + 1"
    ];
    /// Phones that knocked, latest first.
    KNOCKS = ["SELECT * FROM knocks ORDER BY last_at DESC LIMIT 100"];
    /// Forgets those of an address.
    FORGET_KNOCKS_OF = ["DELETE FROM knocks WHERE address = $1"];
    /// Forgets old ones.
    FORGET_KNOCKS = ["DELETE FROM knocks WHERE last_at < $1"];
    /// How many phones knocked.
    COUNT_KNOCKS = ["SELECT count(*) AS knocks FROM knocks"];
    /// Is given nothing new from now on.
    DISABLE = ["UPDATE handsets SET disabled_at = $2 WHERE name = $1 AND disabled_at IS NULL"];
    /// Several, locked in one order, so that nodes that write down the same ones wait for each other and do not deadlock.
    LOCK_LIST = ["SELECT id FROM handsets WHERE id" in_list "ORDER BY id" for_no_key_update];
    /// Writes down that they were seen.
    SEEN = [
        "UPDATE handsets SET last_seen_at = s.at, last_address = s.address, last_model = s.model, last_user_agent = s.user_agent,
                interval_seconds = s.seconds
         FROM" sightings "WHERE handsets.id = s.id AND (last_seen_at IS NULL OR last_seen_at < s.at)"
    ];
}

/// A handset to be made known.
#[derive(Clone, Debug)]
pub struct NewHandset {
    /// Which one.
    pub id: HandsetId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its token.
    pub token_hash: Option<Vec<u8>>,
    /// Address and model, on the plain path.
    pub plain_key: Option<String>,
    /// What it can be given.
    pub profile: Profile,
    /// How it is told that there is nothing to do.
    pub idle_form: IdleForm,
    /// The country of its SIM.
    pub country: String,
    /// Longest time a call rings.
    pub ring_seconds: i32,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// When it was allowed to poll the plain path from outside the open networks.
    pub allowed_at: Option<DateTime<Utc>>,
    /// It stands in for a phone in the tests of a monitor.
    pub monitor: bool,
}

impl Db<'_> {
    /// Makes a handset known; false when its name, token or plain key is taken.
    pub async fn insert_handset(&mut self, handset: &NewHandset) -> Result<bool> {
        changed_one!(
            self,
            INSERT,
            handset.id,
            handset.name.as_str(),
            handset.token_hash.as_deref(),
            handset.plain_key.as_deref(),
            handset.profile,
            handset.idle_form,
            handset.country.as_str(),
            handset.ring_seconds,
            handset.created_at,
            handset.allowed_at,
            handset.monitor,
        )
    }

    /// The handset with a token, old or new.
    pub async fn handset_by_token(&mut self, token_hash: &[u8]) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, BY_TOKEN, token_hash)
    }

    /// The handset with this address and model.
    pub async fn handset_by_plain_key(&mut self, key: &str) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, BY_PLAIN_KEY, key)
    }

    /// What stands in for a phone in the tests of the monitor of this name.
    pub async fn monitor_by_name(&mut self, name: &str) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, MONITOR_BY_NAME, name)
    }

    /// Whatever stands in for phones in the tests of monitors.
    pub async fn monitors(&mut self) -> Result<Vec<HandsetRow>> {
        fetch_all!(self, MONITORS)
    }

    /// The handset with a name.
    pub async fn handset_by_name(&mut self, name: &str) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, BY_NAME, name)
    }

    /// The handsets that speak, work as far as is known, and have a channel on which nothing is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn free_voices(&mut self) -> Result<Vec<Voice>> {
        Ok(self.voices().await?.into_iter().filter(|voice| voice.free > 0).collect())
    }

    /// The handsets that speak and work, as far as is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn voices(&mut self) -> Result<Vec<Voice>> {
        let voices: Vec<HandsetRow> = fetch_all!(self, VOICES)?;
        if voices.is_empty() {
            return Ok(Vec::new());
        }
        let (open, known) = (self.open_mids().await?, self.channels().await?);
        let called = match voices.iter().any(|voice| voice.inbound) {
            true => self.inbound_calls_open().await?,
            false => Vec::new(),
        };
        // From when on it may be used, where it is free.
        let free_from = |voice: &HandsetRow, channel: i32| {
            let row = known.get(&voice.id).and_then(|rows| rows.iter().find(|row| row.channel == channel));
            let is_free = !open.contains_key(&(voice.id, channel)) && row.is_none_or(|row| row.stuck_since.is_none());
            // At the latest when a call that came in is over.
            let called = called.iter().find(|call| (call.handset_id, call.channel) == (voice.id, channel));
            is_free.then(|| row.and_then(|row| row.avoid_until).max(called.map(|call| call.deadline)))
        };
        let all = voices.into_iter().filter(HandsetRow::speaks).map(|voice| {
            let free: Vec<_> = (0..voice.usable_channels()).filter_map(|channel| free_from(&voice, channel)).collect();
            let in_calls = (0..voice.usable_channels()).filter(|channel| open.contains_key(&(voice.id, *channel))).count();
            Voice {
                id: voice.id,
                last_seen_at: voice.last_seen_at,
                avoid_until: voice.avoid_until.max(free.iter().copied().min().flatten()),
                free: i32::try_from(free.len()).unwrap_or(i32::MAX),
                in_calls: i32::try_from(in_calls).unwrap_or(i32::MAX),
                records: voice.can(Capability::Record),
                bulk: voice.bulk,
                holds_calls: voice.can(Capability::Calls),
                confers: voice.can(Capability::Conference),
            }
        });
        Ok(all.collect())
    }

    /// Lets calls that come in on a handset be taken, or not; false when there is none of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_handset_inbound(&mut self, name: &str, inbound: bool) -> Result<bool> {
        changed_one!(self, SET_INBOUND, name, inbound)
    }

    /// Lets shouts take all channels of a handset, or not; false when there is none of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_handset_bulk(&mut self, name: &str, bulk: bool) -> Result<bool> {
        changed_one!(self, SET_BULK, name, bulk)
    }

    /// Allows a handset so many calls at once; false when there is none of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_handset_channels(&mut self, name: &str, channels: i32) -> Result<bool> {
        changed_one!(self, SET_CHANNELS, name, channels)
    }

    /// One handset.
    pub async fn handset(&mut self, id: HandsetId) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, GET, id)
    }

    /// One handset, locked until the transaction ends.
    pub async fn lock_handset(&mut self, id: HandsetId) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, LOCK, id)
    }

    /// All handsets by name.
    pub async fn handsets(&mut self) -> Result<Vec<HandsetRow>> {
        fetch_all!(self, LIST)
    }

    /// What decides whether phones are let in as handsets.
    pub async fn doors(&mut self) -> Result<HashMap<HandsetId, Doors>> {
        let rows: Vec<DoorsRow> = fetch_all!(self, DOORS)?;
        Ok(rows.into_iter().map(|row| (row.id, row.doors)).collect())
    }

    /// What each handset is or was called.
    pub async fn handset_names(&mut self) -> Result<HashMap<HandsetId, String>> {
        let rows: Vec<(HandsetId, String)> = fetch_all!(self, NAMES)?;
        Ok(rows.into_iter().collect())
    }

    /// Removes a handset: nobody sees it any more, no phone is let in as it, and what it rang is told under `last_name`. False when
    /// there is none of that name.
    pub async fn remove_handset(&mut self, name: &str, last_name: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, REMOVE, name, last_name, now)
    }

    /// How many handsets are paired and in use.
    pub async fn count_paired_handsets(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_PAIRED)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// How many handsets came by the plain path.
    pub async fn count_plain_handsets(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_PLAIN)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Gives a handset nothing new from now on; false when there is none of that name, or it was disabled before.
    pub async fn disable_handset(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, DISABLE, name, now)
    }

    /// Lets a disabled handset be given something again; false when there is none.
    pub async fn enable_handset(&mut self, name: &str) -> Result<bool> {
        changed_one!(self, ENABLE, name)
    }

    /// Gives a handset another name; false when there is none of that name.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the new name is taken.
    pub async fn rename_handset(&mut self, name: &str, new_name: &str) -> Result<bool> {
        changed_one!(self, RENAME, name, new_name)
    }

    /// Gives a paired handset a second token; false when there is none of that name.
    pub async fn set_next_token(&mut self, name: &str, token_hash: &[u8]) -> Result<bool> {
        changed_one!(self, SET_NEXT_TOKEN, name, token_hash)
    }

    /// Makes the second token the only one; false when that has happened already.
    pub async fn take_next_token(&mut self, token_hash: &[u8]) -> Result<bool> {
        changed_one!(self, TAKE_NEXT_TOKEN, token_hash)
    }

    /// The handset that had this token until it was replaced or the handset removed, while the dial that it held then is open.
    pub async fn holder_by_token(&mut self, token_hash: &[u8]) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, HOLDER_BY_TOKEN, token_hash)
    }

    /// The handset with this address and model, while it holds an open dial.
    pub async fn holder_by_plain_key(&mut self, key: &str) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, HOLDER_BY_PLAIN_KEY, key)
    }

    /// The handset that had this address and model until it was removed, while the dial that it held then is open.
    pub async fn holder_by_former_key(&mut self, key: &str) -> Result<Option<HandsetRow>> {
        fetch_optional!(self, HOLDER_BY_FORMER_KEY, key)
    }

    /// Marks a handset whose app seems to have been started again in a call; false when it was marked before.
    pub async fn handset_restarted(&mut self, id: HandsetId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, RESTARTED, id, now)
    }

    /// Takes that mark off a handset that reported; false when there was none.
    pub async fn handset_reported(&mut self, id: HandsetId) -> Result<bool> {
        changed_one!(self, REPORTED, id)
    }

    /// Marks a handset as offline, unless it was heard after `silent_since`; false when it is not marked now.
    pub async fn handset_offline(&mut self, id: HandsetId, now: DateTime<Utc>, silent_since: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, GONE_OFFLINE, id, now, silent_since)
    }

    /// Marks a handset as stuck, unless it was heard after `silent_since`; false when it is not marked now.
    pub async fn handset_stuck(&mut self, id: HandsetId, now: DateTime<Utc>, silent_since: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, STUCK, id, now, silent_since)
    }

    /// Notes that an offline or stuck handset polls again; false when it was neither.
    pub async fn handset_back(&mut self, id: HandsetId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, BACK, id, now)
    }

    /// Notes whether two phones use a handset's token; false when that was known.
    pub async fn set_handset_shared(&mut self, id: HandsetId, since: Option<DateTime<Utc>>) -> Result<bool> {
        match since {
            Some(since) => execute!(self, SHARED, id, since),
            None => execute!(self, NOT_SHARED, id),
        }
        .map(|rows| rows == 1)
    }

    /// Notes that a handset's calls do not leave it: another one is preferred until then.
    pub async fn handset_failed(&mut self, id: HandsetId, avoid_until: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
        execute!(self, FAILED, id, avoid_until, now).map(|_| ())
    }

    /// Notes that a handset's calls leave it again, as one shows that was handed out then.
    pub async fn handset_works(&mut self, id: HandsetId, offered_at: DateTime<Utc>) -> Result<()> {
        execute!(self, WORKS, id, offered_at).map(|_| ())
    }

    /// How many handsets in use are offline.
    pub async fn count_offline_handsets(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_OFFLINE)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Notes the alarm of a handset's latest test call.
    pub async fn set_test_call(&mut self, id: HandsetId, alarm: AlarmId) -> Result<()> {
        execute!(self, SET_TEST, id, alarm).map(|_| ())
    }

    /// Keeps what a native handset says of itself, and what it can do where it says that.
    pub async fn set_handset_status(
        &mut self,
        id: HandsetId,
        status: &serde_json::Value,
        can: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, SET_STATUS, id, Json(status), now, can).map(|_| ())
    }

    /// Notes a phone that polled without being let in.
    pub async fn note_knock(&mut self, address: &str, model: &str, user_agent: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, KNOCK, address, model, user_agent, now).map(|_| ())
    }

    /// Phones that knocked, latest first.
    pub async fn knocks(&mut self) -> Result<Vec<KnockRow>> {
        fetch_all!(self, KNOCKS)
    }

    /// How many phones knocked.
    pub async fn count_knocks(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_KNOCKS)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Forgets the knocks of an address, once its phone is let in.
    pub async fn forget_knocks_of(&mut self, address: &str) -> Result<()> {
        execute!(self, FORGET_KNOCKS_OF, address).map(|_| ())
    }

    /// Forgets phones that have not knocked since then.
    pub async fn forget_knocks(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_KNOCKS, before)
    }

    /// Writes down that handsets were seen: one statement for all of them.
    pub async fn handsets_seen(&mut self, seen: &[(HandsetId, Sighting)]) -> Result<()> {
        let ids: Vec<HandsetId> = seen.iter().map(|(id, _)| *id).collect();
        let sightings: Vec<_> = seen
            .iter()
            .map(|(id, sighting)| {
                serde_json::json!({
                    "id": id,
                    // As the driver writes times on SQLite, where they are text and compared as such.
                    "at": sighting.at.to_rfc3339_opts(SecondsFormat::AutoSi, false),
                    "address": sighting.address,
                    "model": sighting.model,
                    "user_agent": sighting.user_agent,
                    "seconds": sighting.interval_seconds,
                })
            })
            .collect();
        let _: Vec<(HandsetId,)> = fetch_all!(self, LOCK_LIST, serde_json::json!(ids).to_string())?;
        execute!(self, SEEN, serde_json::json!(sightings).to_string())?;
        for (id, sighting) in seen {
            for (channel, at) in &sighting.channels {
                self.channel_polled(*id, *channel, *at).await?;
            }
        }
        Ok(())
    }
}

/// What a poll tells of a handset.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When.
    pub at: DateTime<Utc>,
    /// From where.
    pub address: String,
    /// What model it says it is.
    pub model: Option<String>,
    /// What program it says it is.
    pub user_agent: Option<String>,
    /// Time between its polls, as learned.
    pub interval_seconds: Option<f64>,
    /// When each of its channels was asked for, where it has several.
    pub channels: Vec<(i32, DateTime<Utc>)>,
}
