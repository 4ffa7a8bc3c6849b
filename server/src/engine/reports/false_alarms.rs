//! Alarms that people say are false: nothing was wrong. Said with a reason, of an alarm that is over or not, and taken back as easily.

use serde_json::json;

use crate::alarm::doer::Actor;
use crate::alarm::event::Event;
use crate::audit::Operation;
use crate::engine::{Engine, EngineError, noted};
use crate::ids::AlarmId;
use crate::store::alarm::alarms::AlarmRow;

impl Engine {
    /// Marks an alarm as false, or gives another reason for that. Nothing else changes: whoever is being rung is rung on.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or it is none, such as a test.
    pub async fn mark_false(&self, id: AlarmId, reason: &str, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |_, work, alarm, hunt| {
            if !alarm.kind.is_alarm() {
                return Err(EngineError::NoSuchAlarm);
            }
            let now = work.now();
            let mut db = work.db();
            if db.false_alarm(id).await?.is_some_and(|mark| mark.reason == reason) {
                return Ok(());
            }
            db.mark_false(id, reason, by.name.as_deref(), now).await?;
            let event = Event::MarkedFalse { reason: reason.to_owned(), by: by.name.clone(), done_by: Some(by.doer.clone()) };
            db.insert_event(Some(id), Some(hunt.id), now, &event).await?;
            work.note(noted::line(Operation::AlarmMarkedFalse, alarm, by).after(json!({ "reason": reason })));
            Ok(())
        })
        .await
    }

    /// Takes that back; nothing happens where nobody had said so.
    ///
    /// # Errors
    /// When the database fails or there is no such alarm.
    pub async fn mark_not_false(&self, id: AlarmId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |_, work, alarm, hunt| {
            let now = work.now();
            let mut db = work.db();
            if !db.mark_not_false(id).await? {
                return Ok(());
            }
            let event = Event::NotFalse { by: by.name.clone(), done_by: Some(by.doer.clone()) };
            db.insert_event(Some(id), Some(hunt.id), now, &event).await?;
            work.note(noted::line(Operation::AlarmNotFalse, alarm, by));
            Ok(())
        })
        .await
    }
}
