//! What is under way at all. Most of the time nothing is, and then one statement a second says so, in place of all that would look for it.

use chrono::{DateTime, Utc};

use crate::store::dialect::{fragment, statements};
use crate::store::statement::{fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// What there may be something to do about. Where nothing is said to be, there is nothing; the other way round is found out by whoever
    /// looks for it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct UnderWay {
        /// Alarms, calls, and whatever becomes due for them or for the log of duty by the mere passing of time.
        pub alarms: bool,
        /// Public numbers.
        pub lines: bool,
        /// Gateways of which it is known that they tell of themselves.
        pub gateways: bool,
        /// Notices that are not told yet.
        pub notices: bool,
        /// Text messages that are not sent yet.
        pub texts: bool,
        /// Calendars that are followed.
        pub calendars: bool,
    }
}

row! {
    struct OpenRow {
        open: bool,
    }
}

statements! {
    /// What there is. Each condition holds wherever that of the statement holds that looks for the rows themselves.
    UNDER_WAY = [
        "SELECT
           EXISTS (SELECT 1 FROM hunts WHERE ended_at IS NULL)
             OR EXISTS (SELECT 1 FROM dials WHERE closed_at IS NULL)
             OR EXISTS (SELECT 1 FROM alarms WHERE ring_again_at <= $1 AND cancelled_at IS NULL AND resolved_at IS NULL)
             OR EXISTS (SELECT 1 FROM alarms WHERE word_until <= $1)
             OR EXISTS (SELECT 1 FROM alarms WHERE held_until IS NOT NULL AND resolved_at IS NULL AND cancelled_at IS NULL)
             OR EXISTS (SELECT 1 FROM heartbeats WHERE missed_since IS NULL AND due_at <= $1)
             OR EXISTS (SELECT 1 FROM schedules WHERE removed_at IS NULL AND log_due_at <= $1)
             OR EXISTS (SELECT 1 FROM rpc_resources WHERE due_at IS NOT NULL AND due_at <= $1 AND released_at IS NULL)
             OR EXISTS (SELECT 1 FROM inbound_calls WHERE ended_at IS NULL AND deadline <= $1)
             OR EXISTS (SELECT 1 FROM live_commands WHERE token IS NOT NULL AND done_at IS NULL AND made_at <= $1)
             OR EXISTS (SELECT 1 FROM live_commands WHERE digits IS NOT NULL AND made_at <= $2)
             OR EXISTS (SELECT 1 FROM sought_due)
             OR EXISTS (SELECT 1 FROM figures_due) AS alarms,
           EXISTS (SELECT 1 FROM public_lines WHERE removed_at IS NULL) AS lines,
           EXISTS (SELECT 1 FROM sms_gateways WHERE removed_at IS NULL AND ping_at IS NOT NULL AND silent_since IS NULL) AS gateways,
           EXISTS (SELECT 1 FROM deliveries WHERE delivered_at IS NULL AND gave_up_at IS NULL) AS notices,
           EXISTS (SELECT 1 FROM sms_outbox WHERE sent_at IS NULL AND gave_up_at IS NULL) AS texts,
           EXISTS (SELECT 1 FROM calendar_sources) AS calendars"
    ];
    /// Whether a hunt or a dial is open.
    OPEN = [
        "SELECT EXISTS (SELECT 1 FROM hunts WHERE ended_at IS NULL) OR EXISTS (SELECT 1 FROM dials WHERE closed_at IS NULL) AS open"
    ];
}

impl Db<'_> {
    /// What is under way, or due by now; digits that somebody entered are due when they were entered before `digits_before`.
    pub async fn under_way(&mut self, now: DateTime<Utc>, digits_before: DateTime<Utc>) -> Result<UnderWay> {
        let row: Option<UnderWay> = fetch_optional!(self, UNDER_WAY, now, digits_before)?;
        Ok(row.unwrap_or_default())
    }

    /// Whether a hunt or a dial is open: else there is nothing for any handset.
    pub async fn is_any_call_open(&mut self) -> Result<bool> {
        let row: Option<OpenRow> = fetch_optional!(self, OPEN)?;
        Ok(row.is_some_and(|row| row.open))
    }
}
