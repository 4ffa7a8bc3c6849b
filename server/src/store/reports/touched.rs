//! What a transaction changed that counts for figures. Whatever operation of the store changes such a row notes it here, so that nobody can
//! forget it; the unit of work writes down, as it commits, what is to be counted anew. That is all an operation ever does for a figure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ids::{AlarmId, HuntId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::execute;
use crate::store::{Db, Result};

/// Rows whose count may have changed.
#[derive(Debug, Default)]
pub struct Touched {
    pub(in crate::store) alarms: BTreeSet<AlarmId>,
    pub(in crate::store) hunts: BTreeSet<HuntId>,
    pub(in crate::store) calls: BTreeSet<i64>,
    /// Dials whose records of calls are new, and have no id here yet.
    pub(in crate::store) dials: BTreeSet<String>,
    /// What the log tells of it once it is committed.
    told: Vec<Told>,
    /// So much of that was there at the last place to which the transaction can go back.
    marked: usize,
}

/// Something that happened to an alarm, for a line of the log.
#[derive(Debug)]
struct Told {
    what: &'static str,
    alarm: Option<AlarmId>,
    hunt: Option<HuntId>,
}

/// So many lines of one transaction are written: one that ends a thousand alarms says it of these.
const MOST_TOLD: usize = 100;

impl Touched {
    /// Nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alarms.is_empty() && self.hunts.is_empty() && self.calls.is_empty() && self.dials.is_empty()
    }

    /// The log tells of this once it is committed.
    pub(in crate::store) fn tell(&mut self, what: &'static str, alarm: Option<AlarmId>, hunt: Option<HuntId>) {
        if self.told.len() < MOST_TOLD {
            self.told.push(Told { what, alarm, hunt });
        }
    }

    /// The transaction may go back to here.
    pub(in crate::store) fn mark(&mut self) {
        self.marked = self.told.len();
    }

    /// It has gone back.
    pub(in crate::store) fn back(&mut self) {
        self.told.truncate(self.marked);
    }

    /// With what another did in the same transaction.
    pub(in crate::store) fn join(&mut self, other: Self) {
        let Self { alarms, hunts, calls, dials, told, marked: _ } = other;
        self.alarms.extend(alarms);
        self.hunts.extend(hunts);
        self.calls.extend(calls);
        self.dials.extend(dials);
        self.told.extend(told);
    }

    /// It is committed: one line for each thing that happened, whoever did it and by whichever face.
    pub(in crate::store) fn log(&self) {
        for Told { what, alarm, hunt } in &self.told {
            let (alarm, hunt) = (alarm.map(tracing::field::display), hunt.map(tracing::field::display));
            tracing::info!(what, alarm.id = alarm, hunt.id = hunt, "alarm");
        }
    }
}

statements! {
    /// All that is to be counted anew after a transaction, hunts first.
    NOTE_DUE = ["INSERT INTO figures_due (alarm_id, hunt_id, record_id, mid) SELECT n.alarm, n.hunt, n.record, n.mid FROM" things_to_count];
}

impl Db<'_> {
    /// The transaction changed this; without one nothing is noted.
    pub(in crate::store) fn touched(&mut self, note: impl FnOnce(&mut Touched)) {
        if let Self::Postgres(_, Some(touched), _) | Self::Sqlite(_, Some(touched)) = self {
            note(touched);
        }
    }

    /// Writes down that this is to be counted anew.
    pub(in crate::store) async fn note_due_figures(&mut self, touched: &Touched) -> Result<()> {
        let Touched { alarms, hunts, calls, dials, .. } = touched;
        let rows = hunts.iter().map(|hunt| json!({ "hunt": hunt }));
        let rows = rows.chain(alarms.iter().map(|alarm| json!({ "alarm": alarm })));
        let rows = rows.chain(calls.iter().map(|record| json!({ "record": record })));
        let rows: Vec<Value> = rows.chain(dials.iter().map(|mid| json!({ "mid": mid }))).collect();
        execute!(self, NOTE_DUE, json!(rows).to_string()).map(|_| ())
    }
}
