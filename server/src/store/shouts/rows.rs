//! Shouts, and how many of their calls went out in a second.

use chrono::{DateTime, Utc};

use crate::ids::{AlarmId, HuntId, KeyId, MediaId};
use crate::needs::Words;
use crate::shout::course::Course;
use crate::shout::{RecordingStep, ShoutStatus};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

row! {
    /// A shout as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ShoutRow {
        /// Which one; its clients know it by this.
        pub id: i64,
        /// The alarm that it is.
        pub alarm_id: AlarmId,
        /// Its hunt.
        pub hunt_id: HuntId,
        /// Whose it is.
        pub key_id: KeyId,
        /// A name space of that key.
        pub userdata: String,
        /// What its sender calls it.
        pub title: Option<String>,
        /// Whose phone the message is spoken on, as its sender wrote it.
        pub caller: String,
        /// When it is to go out.
        pub schedule: Option<DateTime<Utc>>,
        /// Where it stands.
        pub status: ShoutStatus,
        /// When it was taken in.
        pub created_at: DateTime<Utc>,
        /// When its first call was handed out.
        pub started_at: Option<DateTime<Utc>>,
        /// When it was over.
        pub finished_at: Option<DateTime<Utc>>,
        /// How far its recording has got.
        pub step: RecordingStep,
        /// Since when.
        pub step_at: DateTime<Utc>,
        /// The message, where it is spoken.
        pub words: Option<String>,
        /// Its language, where that was said.
        pub language: Option<String>,
        /// The message, where it is sound.
        pub media_id: Option<MediaId>,
        /// How long it takes to say it, in seconds.
        pub seconds: i32,
        /// Since when it is there.
        pub recorded_at: Option<DateTime<Utc>>,
        /// So many recipients.
        pub recipients: i32,
        /// So many of them may be called.
        pub callable: i32,
        /// So many have been called for the first time.
        pub sent: i32,
        /// There has been no handset that could make its calls since then.
        pub no_voice_since: Option<DateTime<Utc>>,
    }
}

impl ShoutRow {
    /// What the rules need to know of it.
    #[must_use]
    pub fn course(&self) -> Course {
        Course {
            status: self.status,
            step: self.step,
            step_at: self.step_at,
            has_message: self.words.is_some() || self.media_id.is_some(),
            schedule: self.schedule,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

row! {
    /// A shout as a list shows it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ShoutLine {
        /// Which one.
        pub id: i64,
        /// Who sent it: the name of a key, or of a user of the pages.
        pub source: String,
        /// A name space.
        pub userdata: String,
        /// What its sender calls it.
        pub title: Option<String>,
        /// Where it stands.
        pub status: ShoutStatus,
        /// When it was taken in.
        pub created_at: DateTime<Utc>,
        /// When it is to go out.
        pub schedule: Option<DateTime<Utc>>,
        /// So many recipients.
        pub recipients: i32,
        /// So many have been called for the first time.
        pub sent: i32,
    }
}

statements! {
    /// A new one.
    INSERT = [
        "INSERT INTO shouts (alarm_id, hunt_id, key_id, userdata, title, caller, schedule, status, created_at, finished_at, step, step_at, words,
                             language, media_id, seconds, recorded_at, callable, recipients)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING id"
    ];
    /// One of a key.
    GET = ["SELECT * FROM shouts WHERE id = $1 AND key_id = $2"];
    /// One, whosever it is.
    BY_ID = ["SELECT * FROM shouts WHERE id = $1"];
    /// That of a hunt.
    OF_HUNT = ["SELECT * FROM shouts WHERE hunt_id = $1"];
    /// Whether sound is the message of a shout.
    PLAYS = ["SELECT id FROM shouts WHERE media_id = $1 LIMIT 1"];
    /// Whether it is the message of one of that key.
    PLAYS_FOR = ["SELECT id FROM shouts WHERE media_id = $1 AND key_id = $2 LIMIT 1"];
    /// Those of a name space, the newest first.
    OF_OWNER = ["SELECT * FROM shouts WHERE key_id = $1 AND userdata = $2 ORDER BY id DESC LIMIT $3"];
    /// The latest of all before one, the newest first.
    LATEST = [
        "SELECT s.id, a.source, s.userdata, s.title, s.status, s.created_at, s.schedule, s.recipients, s.sent
         FROM shouts s JOIN alarms a ON a.id = s.alarm_id WHERE s.id < $1 ORDER BY s.id DESC LIMIT $2"
    ];
    /// The one that a form has sent.
    OF_FORM = ["SELECT * FROM shouts WHERE form = $1"];
    /// Notes by which form one was sent.
    SET_FORM = ["UPDATE shouts SET form = $2 WHERE id = $1"];
    /// Who sent one.
    SOURCE = ["SELECT a.source FROM shouts s JOIN alarms a ON a.id = s.alarm_id WHERE s.id = $1"];
    /// Where it stands.
    SET_COURSE = [
        "UPDATE shouts SET status = $2, step = $3, step_at = $4, started_at = $5, finished_at = $6 WHERE id = $1"
    ];
    /// The message as sound.
    SET_MESSAGE = ["UPDATE shouts SET media_id = $2, seconds = $3, recorded_at = $4 WHERE id = $1"];
    /// It is no message any more.
    DROP_MESSAGE = ["UPDATE shouts SET media_id = NULL, seconds = 0, recorded_at = NULL WHERE id = $1"];
    /// One more of its recipients was called.
    SENT = ["UPDATE shouts SET sent = sent + 1 WHERE id = $1"];
    /// Since when no handset could make its calls.
    SET_NO_VOICE = ["UPDATE shouts SET no_voice_since = $2 WHERE id = $1"];
    /// What its hunt needs of a handset.
    SET_NEEDS = ["UPDATE hunts SET needs = $2 WHERE id = $1"];
    /// What went out in the second that was counted last.
    PACE = ["SELECT counted, calls FROM shout_pace WHERE one = 1" for_update];
    /// One more.
    SET_PACE = ["UPDATE shout_pace SET counted = $1, calls = $2 WHERE one = 1"];
    /// So many recipients a key has had since then.
    RECIPIENTS_SINCE = [
        "SELECT CAST(coalesce(sum(recipients), 0) AS BIGINT) AS recipients FROM shouts WHERE key_id = $1 AND created_at > $2"
    ];
}

/// A shout to be kept.
#[derive(Clone, Debug)]
pub struct NewShout<'s> {
    /// The alarm that it is.
    pub alarm: AlarmId,
    /// Its hunt.
    pub hunt: HuntId,
    /// Whose it is.
    pub key: KeyId,
    /// A name space of that key.
    pub userdata: &'s str,
    /// What its sender calls it.
    pub title: Option<&'s str>,
    /// Whose phone the message is spoken on.
    pub caller: &'s str,
    /// Where it stands.
    pub course: &'s Course,
    /// The message, where it is spoken.
    pub words: Option<&'s str>,
    /// Its language.
    pub language: Option<&'s str>,
    /// The message, where it is sound.
    pub media: Option<MediaId>,
    /// How long it takes to say it, in seconds.
    pub seconds: i32,
    /// So many recipients.
    pub recipients: i32,
    /// So many of them may be called.
    pub callable: i32,
}

impl Db<'_> {
    /// Keeps a new shout; gives its id.
    pub async fn insert_shout(&mut self, new: &NewShout<'_>, now: DateTime<Utc>) -> Result<i64> {
        let course = new.course;
        let id: Option<(i64,)> = fetch_optional!(
            self,
            INSERT,
            new.alarm,
            new.hunt,
            new.key,
            new.userdata,
            new.title,
            new.caller,
            course.schedule,
            course.status,
            now,
            course.finished_at,
            course.step,
            course.step_at,
            new.words,
            new.language,
            new.media,
            new.seconds,
            course.has_message.then_some(now),
            new.callable,
            new.recipients,
        )?;
        id.map(|(id,)| id).ok_or_else(|| StoreError::Inconsistent("a shout got no id".to_owned()))
    }

    /// A shout of a key.
    pub async fn shout(&mut self, id: i64, key: KeyId) -> Result<Option<ShoutRow>> {
        fetch_optional!(self, GET, id, key)
    }

    /// A shout, whosever it is.
    pub async fn any_shout(&mut self, id: i64) -> Result<Option<ShoutRow>> {
        fetch_optional!(self, BY_ID, id)
    }

    /// The shout whose hunt this is. Whoever changes it has locked that.
    pub async fn shout_of_hunt(&mut self, hunt: HuntId) -> Result<Option<ShoutRow>> {
        fetch_optional!(self, OF_HUNT, hunt)
    }

    /// Whether some sound is the message of a shout: of that key, or of any.
    pub async fn is_message_of_shout(&mut self, media: MediaId, key: Option<KeyId>) -> Result<bool> {
        let found: Option<(i64,)> = match key {
            Some(key) => fetch_optional!(self, PLAYS_FOR, media, key)?,
            None => fetch_optional!(self, PLAYS, media)?,
        };
        Ok(found.is_some())
    }

    /// The latest shouts of a name space of a key, newest first.
    pub async fn shouts_of(&mut self, key: KeyId, userdata: &str, most: i64) -> Result<Vec<ShoutRow>> {
        fetch_all!(self, OF_OWNER, key, userdata, most)
    }

    /// The latest shouts of all before that id, newest first.
    pub async fn latest_shouts(&mut self, before: i64, most: i64) -> Result<Vec<ShoutLine>> {
        fetch_all!(self, LATEST, before, most)
    }

    /// The shout that a form has sent already.
    pub async fn shout_of_form(&mut self, form: &str) -> Result<Option<ShoutRow>> {
        fetch_optional!(self, OF_FORM, form)
    }

    /// Notes by which form a shout was sent; fails where that has sent another.
    pub async fn set_shout_form(&mut self, id: i64, form: &str) -> Result<()> {
        execute!(self, SET_FORM, id, form).map(|_| ())
    }

    /// Who sent a shout: the name of a key, or of a user of the pages.
    pub async fn shout_source(&mut self, id: i64) -> Result<Option<String>> {
        let row: Option<(String,)> = fetch_optional!(self, SOURCE, id)?;
        Ok(row.map(|(source,)| source))
    }

    /// Keeps where a shout stands.
    pub async fn set_shout_course(&mut self, id: i64, course: &Course) -> Result<()> {
        execute!(self, SET_COURSE, id, course.status, course.step, course.step_at, course.started_at, course.finished_at)
            .map(|_| ())
    }

    /// Keeps the sound of its message.
    pub async fn set_shout_message(&mut self, id: i64, media: MediaId, seconds: i32, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_MESSAGE, id, media, seconds, now).map(|_| ())
    }

    /// What was its message is none any more: its caller speaks anew.
    pub async fn drop_shout_message(&mut self, id: i64) -> Result<()> {
        execute!(self, DROP_MESSAGE, id).map(|_| ())
    }

    /// Counts one more recipient who was called for the first time.
    pub async fn shout_sent_one(&mut self, id: i64) -> Result<()> {
        execute!(self, SENT, id).map(|_| ())
    }

    /// Notes since when no handset could make its calls; `None`: one can.
    pub async fn set_no_voice_since(&mut self, id: i64, since: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, SET_NO_VOICE, id, since).map(|_| ())
    }

    /// Says what the next calls of a hunt need of a handset.
    pub async fn set_hunt_needs(&mut self, hunt: HuntId, needs: &Words) -> Result<()> {
        execute!(self, SET_NEEDS, hunt, needs).map(|_| ())
    }

    /// Locks what counts calls; gives the second that was counted last and how many went out in it.
    pub async fn lock_shout_pace(&mut self) -> Result<(DateTime<Utc>, i32)> {
        let row: Option<(DateTime<Utc>, i32)> = fetch_optional!(self, PACE)?;
        Ok(row.unwrap_or((DateTime::UNIX_EPOCH, 0)))
    }

    /// Notes how many calls went out in a second.
    pub async fn set_shout_pace(&mut self, second: DateTime<Utc>, calls: i32) -> Result<()> {
        execute!(self, SET_PACE, second, calls).map(|_| ())
    }

    /// How many recipients a key's shouts have had since then.
    pub async fn recipients_since(&mut self, key: KeyId, since: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, RECIPIENTS_SINCE, key, since)?;
        Ok(row.map_or(0, |(calls,)| calls))
    }
}
