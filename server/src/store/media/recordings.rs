//! What callees said in calls: which recordings handsets told of, and which are here.

use chrono::{DateTime, Utc};

use crate::alarm::event::EventKind;
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, KeyId, MediaId, PersonId, RecordingId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// At most so many are let go in one transaction.
pub const RECORDINGS_AT_ONCE: u64 = 100;

row! {
    /// A recording as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RecordingRow {
        /// Which one.
        pub id: RecordingId,
        /// The dial in whose call it was made, or the call that came in.
        pub mid: String,
        /// The hunt whose call that was.
        pub hunt_id: HuntId,
        /// What its handset calls it.
        pub name: String,
        /// Whose words they are, as far as that is known.
        pub callee_id: Option<CalleeId>,
        /// Their number in its comparable form.
        pub number: String,
        /// Who that is.
        pub person_id: Option<PersonId>,
        /// Recorded only to find out what is wrong.
        pub debug: bool,
        /// When its handset told of it.
        pub named_at: DateTime<Utc>,
        /// Its length by its handset's word.
        pub seconds: Option<i64>,
        /// Its size, likewise.
        pub bytes: Option<i64>,
        /// The sound; `None`: not here yet, or not any more.
        pub media_id: Option<MediaId>,
        /// Of what its handset sent.
        pub upload_sha256: Option<String>,
        /// When it came.
        pub stored_at: Option<DateTime<Utc>>,
        /// Nobody wants it any more.
        pub gone_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A recording with what is known of its sound.
    #[derive(Clone, Debug)]
    pub struct HeardRow {
        /// Which one.
        pub id: RecordingId,
        /// The dial in whose call it was made.
        pub mid: String,
        /// The hunt of that dial.
        pub hunt_id: HuntId,
        /// Whose words they are.
        pub callee_id: Option<CalleeId>,
        /// Their number in its comparable form.
        pub number: String,
        /// When its handset told of it.
        pub named_at: DateTime<Utc>,
        /// Its length by its handset's word.
        pub said_seconds: Option<i64>,
        /// Its size, likewise.
        pub said_bytes: Option<i64>,
        /// The sound, where it is here.
        pub media_id: Option<MediaId>,
        /// Nobody wants it any more.
        pub is_gone: bool,
        /// Its length.
        pub milliseconds: Option<i64>,
        /// Its size.
        pub bytes: Option<i64>,
    }
}

impl HeardRow {
    /// Its length in whole seconds, as far as it is known.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        self.milliseconds.map(|milliseconds| (milliseconds + 500) / 1000).or(self.said_seconds)
    }

    /// Its size, likewise.
    #[must_use]
    pub fn size(&self) -> Option<i64> {
        self.bytes.or(self.said_bytes)
    }
}

/// Why a handset was told to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Somebody looks for what is wrong with calls.
    Debug,
    /// A callee may leave a message.
    Message,
}

statements! {
    /// A recording that a handset tells of; nothing when it did before.
    NAME = [
        "INSERT INTO recordings (id, mid, name, callee_id, number, person_id, debug, named_at, seconds, bytes, gone_at, hunt_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (mid, name) DO NOTHING"
    ];
    /// A program finds it under that name.
    IS_FILE = ["UPDATE recordings SET rpc_key = $3, rpc_file = $4 WHERE mid = $1 AND name = $2"];
    /// Under which name, and which program.
    FILE = ["SELECT rpc_key, rpc_file FROM recordings WHERE mid = $1 AND name = $2"];
    /// How many of a number there are.
    COUNT_NAMED = ["SELECT count(*) AS named FROM recordings WHERE mid = $1 AND number = $2"];
    /// By what its handset calls it.
    BY_NAME = ["SELECT * FROM recordings WHERE mid = $1 AND name = $2"];
    /// The one of a dial that its handset told of last.
    LATEST_OF = ["SELECT * FROM recordings WHERE mid = $1 ORDER BY named_at DESC, id DESC LIMIT 1"];
    /// By its sound.
    BY_MEDIA = [
        "SELECT r.id, r.mid, r.hunt_id, r.callee_id, r.number, r.named_at, r.seconds AS said_seconds, r.bytes AS said_bytes,
                r.media_id, r.gone_at IS NOT NULL AS is_gone, m.milliseconds, m.bytes
         FROM recordings r JOIN media m ON m.id = r.media_id WHERE r.media_id = $1"
    ];
    /// One of them.
    ONE = [
        "SELECT r.id, r.mid, r.hunt_id, r.callee_id, r.number, r.named_at, r.seconds AS said_seconds, r.bytes AS said_bytes,
                r.media_id, r.gone_at IS NOT NULL AS is_gone, m.milliseconds, m.bytes
         FROM recordings r LEFT JOIN media m ON m.id = r.media_id WHERE r.id = $1"
    ];
    /// Those of the calls for an alarm, oldest first.
    OF_ALARM = [
        "SELECT r.id, r.mid, r.hunt_id, r.callee_id, r.number, r.named_at, r.seconds AS said_seconds, r.bytes AS said_bytes,
                r.media_id, r.gone_at IS NOT NULL AS is_gone, m.milliseconds, m.bytes
         FROM alarm_hunts l JOIN recordings r ON r.hunt_id = l.hunt_id LEFT JOIN media m ON m.id = r.media_id
         WHERE l.alarm_id = $1 ORDER BY r.named_at, r.id"
    ];
    /// Its sound is here.
    STORED = [
        "UPDATE recordings SET media_id = $2, upload_sha256 = $3, stored_at = $4
         WHERE id = $1 AND media_id IS NULL AND gone_at IS NULL"
    ];
    /// The oldest of a kind that came before then are not wanted any more.
    LET_GO = [
        "UPDATE recordings SET media_id = NULL, gone_at = $3 WHERE id IN (
           SELECT id FROM recordings WHERE debug = $1 AND media_id IS NOT NULL AND stored_at < $2 ORDER BY stored_at LIMIT 100)"
    ];
    /// A person's are not wanted any more.
    LET_GO_OF_PERSON = ["UPDATE recordings SET media_id = NULL, gone_at = $2 WHERE person_id = $1 AND gone_at IS NULL"];
    /// What programs know by name of what a person said.
    NO_FILES_OF_PERSON = [
        "DELETE FROM rpc_files WHERE media_id IN (SELECT media_id FROM recordings WHERE person_id = $1 AND media_id IS NOT NULL)"
    ];
    /// What is being recorded in calls to them is not wanted either.
    RECORD_NO_MORE = ["UPDATE dials SET records = NULL WHERE mid = $1"];
    /// The same of a call that came in.
    RECORD_NO_CALLER = ["UPDATE inbound_calls SET records = NULL WHERE mid = $1"];
    /// The dials to a person, and the calls from them, in which something may still be recorded, or told of: the handset has not reported.
    RECORDS = [
        "SELECT d.mid FROM callees c JOIN dial_targets t ON t.callee_id = c.id JOIN dials d ON d.mid = t.mid
         WHERE c.person_id = $1 AND d.records IS NOT NULL AND d.reported_at IS NULL
         UNION
         SELECT mid FROM call_records WHERE person_id = $1 AND" unindexed "origin = 'inbound' AND reported_at IS NULL"
    ];
    /// Whose a dial or a call that came in is, and why it was told to record.
    OF_DIAL = [
        "SELECT handset_id, records FROM dials WHERE mid = $1 UNION ALL SELECT handset_id, records FROM inbound_calls WHERE mid = $1"
    ];
    /// A handset is told what to play and whether to record, once in a dial.
    TELL = ["UPDATE dials SET clip = $2, records = $3 WHERE mid = $1 AND clip IS NULL AND records IS NULL"];
    /// What it was told.
    TOLD = ["SELECT clip, records FROM dials WHERE mid = $1"];
    /// A call of the same hunt for which sound could not be had.
    MISSED = [
        "SELECT e.id FROM dials d JOIN events e ON e.hunt_id = d.hunt_id
         WHERE d.mid = $1 AND e.kind = $2 AND CAST(e.body AS TEXT) LIKE '%\"media\"%' LIMIT 1"
    ];
    /// The open dial in which a handset was told to play something.
    PLAYS = ["SELECT mid FROM dials WHERE handset_id = $1 AND clip = $2 AND closed_at IS NULL LIMIT 1"];
    /// Which teams the alarms asked for that the calls of a hunt are about.
    TEAMS = ["SELECT a.team FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id WHERE l.hunt_id = $1"];
    /// Whether the calls of a hunt are about something that this sender raised.
    RAISED_BY = [
        "SELECT a.id FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id WHERE l.hunt_id = $1 AND a.integration_id = $2 LIMIT 1"
    ];
}

impl Db<'_> {
    /// Notes that a handset told of a recording; nothing happens when it did before.
    pub async fn name_recording(&mut self, row: &RecordingRow) -> Result<()> {
        execute!(
            self,
            NAME,
            row.id,
            row.mid,
            row.name,
            row.callee_id,
            row.number,
            row.person_id,
            row.debug,
            row.named_at,
            row.seconds,
            row.bytes,
            row.gone_at,
            row.hunt_id
        )
        .map(|_| ())
    }

    /// How many recordings of a number its handset told of in a dial.
    pub async fn recording_is_file(&mut self, mid: &str, name: &str, key: KeyId, file: &str) -> Result<()> {
        execute!(self, IS_FILE, mid, name, key, file).map(|_| ())
    }

    /// The key whose program finds a recording, and under which name.
    pub async fn file_of_recording(&mut self, mid: &str, name: &str) -> Result<Option<(KeyId, String)>> {
        let row: Option<(Option<KeyId>, Option<String>)> = fetch_optional!(self, FILE, mid, name)?;
        Ok(row.and_then(|(key, file)| key.zip(file)))
    }

    /// How many recordings of a number in a call there are.
    pub async fn count_recordings(&mut self, mid: &str, number: &str) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_NAMED, mid, number)?;
        Ok(row.map_or(0, |(named,)| named))
    }

    /// A recording by what its handset calls it.
    pub async fn recording_named(&mut self, mid: &str, name: &str) -> Result<Option<RecordingRow>> {
        fetch_optional!(self, BY_NAME, mid, name)
    }

    /// The recording that some sound is.
    pub async fn recording_of_media(&mut self, media: MediaId) -> Result<Option<HeardRow>> {
        fetch_optional!(self, BY_MEDIA, media)
    }

    /// One recording.
    pub async fn recording(&mut self, id: RecordingId) -> Result<Option<HeardRow>> {
        fetch_optional!(self, ONE, id)
    }

    /// The recordings of the calls for an alarm, oldest first.
    pub async fn recordings_of_alarm(&mut self, alarm: AlarmId) -> Result<Vec<HeardRow>> {
        fetch_all!(self, OF_ALARM, alarm)
    }

    /// Notes that the sound of a recording is here; false when it was before, or is not wanted any more.
    pub async fn recording_stored(&mut self, id: RecordingId, media: MediaId, upload: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, STORED, id, media, upload, now)
    }

    /// Lets go of up to [`RECORDINGS_AT_ONCE`] recordings of a kind that came before then; gives how many.
    pub async fn let_recordings_go(&mut self, debug: bool, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64> {
        execute!(self, LET_GO, debug, before, now)
    }

    /// The recording of a dial that its handset told of last.
    pub async fn latest_recording_of(&mut self, mid: &str) -> Result<Option<RecordingRow>> {
        fetch_optional!(self, LATEST_OF, mid)
    }

    /// Lets go of the recordings of a person.
    pub async fn let_recordings_of_person_go(&mut self, person: PersonId, now: DateTime<Utc>) -> Result<u64> {
        let recording: Vec<(String,)> = fetch_all!(self, RECORDS, person)?;
        for (mid,) in recording {
            execute!(self, RECORD_NO_MORE, mid.as_str())?;
            execute!(self, RECORD_NO_CALLER, mid.as_str())?;
        }
        // A program finds it no more either.
        execute!(self, NO_FILES_OF_PERSON, person)?;
        execute!(self, LET_GO_OF_PERSON, person, now)
    }

    /// Whose a dial or a call that came in is, and why its handset was told to record.
    pub async fn recorder_of(&mut self, mid: &str) -> Result<Option<(Option<HandsetId>, Option<Records>)>> {
        fetch_optional!(self, OF_DIAL, mid)
    }

    /// Notes what a handset is told in a dial; what it was told first stands.
    pub async fn tell_dial(&mut self, mid: &str, clip: Option<MediaId>, records: Option<Records>) -> Result<()> {
        execute!(self, TELL, mid, clip, records).map(|_| ())
    }

    /// What a handset was told in a dial: what to play, and why to record.
    pub async fn told_in_dial(&mut self, mid: &str) -> Result<Option<(Option<MediaId>, Option<Records>)>> {
        fetch_optional!(self, TOLD, mid)
    }

    /// Whether sound could not be had for an earlier call of the dial's hunt.
    pub async fn missed_sound(&mut self, mid: &str) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, MISSED, mid, EventKind::NotRung.as_str())?;
        Ok(row.is_some())
    }

    /// Whether a handset has an open dial in which it was told to play that.
    pub async fn is_to_play(&mut self, handset: HandsetId, clip: MediaId) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, PLAYS, handset, clip)?;
        Ok(row.is_some())
    }

    /// The team of each alarm that the calls of a hunt are about; `None` for one that asked for no team, or for others too.
    pub async fn teams_of_hunt(&mut self, hunt: HuntId) -> Result<Vec<Option<String>>> {
        let rows: Vec<(Option<String>,)> = fetch_all!(self, TEAMS, hunt)?;
        Ok(rows.into_iter().map(|(team,)| team).collect())
    }

    /// Whether the calls of a hunt are about something that this sender raised.
    pub async fn is_raised_by(&mut self, hunt: HuntId, integration: &str) -> Result<bool> {
        let row: Option<(AlarmId,)> = fetch_optional!(self, RAISED_BY, hunt, integration)?;
        Ok(row.is_some())
    }
}
