//! Alarms as a file, all that a filter finds: a table for spreadsheets, or the objects of the API. Read and written a piece at a time, so that
//! neither this server nor the database ever holds more than that.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{AlarmJson, summaries};
use crate::engine::EngineError;
use crate::sheet::cells::harmless;
use crate::store::Store;
use crate::store::alarm::alarms::AlarmFilter;

/// So many alarms are read at a time.
const AT_ONCE: i64 = 500;

/// What is in the columns of the table.
pub const COLUMNS: [&str; 22] = [
    "alarm_number",
    "id",
    "kind",
    "raised_at",
    "state",
    "reason",
    "priority",
    "source",
    "asked_team",
    "summary",
    "details",
    "labels",
    "dedup_key",
    "repeats",
    "answered_by",
    "answered_number",
    "answered_at",
    "answered_via",
    "confirmed_at",
    "resolved_at",
    "cancelled_at",
    "ended_at",
];

/// In which form a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// A table, a line for each alarm, with the names of its columns in the first.
    Csv,
    /// A JSON array of the objects of the API.
    Json,
}

/// A file that is being written.
pub struct AlarmFile {
    store: Store,
    form: FileForm,
    sees_numbers: bool,
    /// What is still to be read; `None` when all has been.
    rest: Option<AlarmFilter>,
    /// Nothing has been written yet.
    begins: bool,
    /// No alarm has been written yet.
    is_empty: bool,
}

impl AlarmFile {
    /// A file of all that a filter finds.
    #[must_use]
    pub fn new(store: Store, filter: AlarmFilter, form: FileForm, sees_numbers: bool) -> Self {
        Self { store, form, sees_numbers, rest: Some(filter), begins: true, is_empty: true }
    }

    /// Its next piece; `None` at its end.
    ///
    /// # Errors
    /// When the database fails; what has been written until then is no whole file.
    pub async fn piece(&mut self) -> Result<Option<String>, EngineError> {
        let Some(filter) = self.rest.take() else { return Ok(None) };
        let found = self.store.read().await?.db().find_alarms(&filter, AT_ONCE).await?;
        self.rest = found.next.map(|place| filter.behind(place));
        let alarms = summaries(&self.store, found.alarms).await?;
        let shown = |alarm: AlarmJson| if self.sees_numbers { alarm } else { alarm.with_numbers_masked() };
        let alarms: Vec<AlarmJson> = alarms.into_iter().map(shown).collect();
        let piece = match self.form {
            FileForm::Csv => self.lines(&alarms),
            FileForm::Json => self.objects(&alarms),
        };
        self.begins = false;
        self.is_empty &= alarms.is_empty();
        piece.map(Some)
    }

    fn lines(&self, alarms: &[AlarmJson]) -> Result<String, EngineError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let unwritten = |error: String| EngineError::Store(crate::store::StoreError::Inconsistent(error));
        if self.begins {
            out.write_record(COLUMNS).map_err(|error| unwritten(error.to_string()))?;
        }
        for alarm in alarms {
            out.write_record(alarm.cells()).map_err(|error| unwritten(error.to_string()))?;
        }
        let bytes = out.into_inner().map_err(|error| unwritten(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| unwritten(error.to_string()))
    }

    fn objects(&self, alarms: &[AlarmJson]) -> Result<String, EngineError> {
        let mut out = if self.begins { "[".to_owned() } else { String::new() };
        for (place, alarm) in alarms.iter().enumerate() {
            out.push_str(if place == 0 && self.is_empty { "\n" } else { ",\n" });
            let written = serde_json::to_string(alarm);
            let unwritten = |error: serde_json::Error| crate::store::StoreError::Inconsistent(error.to_string());
            out.push_str(&written.map_err(unwritten)?);
        }
        if self.rest.is_none() {
            out.push_str("\n]\n");
        }
        Ok(out)
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl AlarmJson {
    /// What stands in the columns. Whatever others wrote is made harmless.
    fn cells(&self) -> [String; 22] {
        let at = |at: Option<DateTime<Utc>>| at.map(instant).unwrap_or_default();
        let text = |text: Option<&str>| harmless(text.unwrap_or_default());
        let answer = self.answer.as_ref();
        let labels = if self.labels.is_empty() { String::new() } else { serde_json::json!(self.labels).to_string() };
        [
            self.alarm_number.clone(),
            self.id.to_string(),
            self.kind.as_str().to_owned(),
            instant(self.raised_at),
            self.state.as_str().to_owned(),
            self.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            self.priority.as_str().to_owned(),
            harmless(&self.source),
            text(self.asked_team.as_deref()),
            harmless(&self.summary),
            harmless(&self.details),
            labels,
            text(self.dedup_key.as_deref()),
            self.repeats.to_string(),
            text(answer.map(|answer| answer.name.as_str())),
            text(answer.and_then(|answer| answer.phone_number.as_deref())),
            at(answer.map(|answer| answer.answered_at)),
            answer.map(|answer| answer.via.as_str().to_owned()).unwrap_or_default(),
            at(answer.and_then(|answer| answer.confirmed_at)),
            at(self.resolved_at),
            at(self.cancelled_at),
            at(self.ended_at),
        ]
    }
}
