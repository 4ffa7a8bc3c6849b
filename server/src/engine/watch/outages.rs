//! A handset that cannot be used raises an alarm of its own through another one; where none is left, or nobody is named, the fallback
//! notice goes out. One alarm or notice for each outage, however long it lasts and however many nodes there are.

use chrono::{DateTime, TimeDelta, Utc};

use super::handsets::{is_expected, is_served, plain_path_is_open};
use crate::alarm::Priority;
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::config::HandsetConfig;
use crate::engine::{Engine, EngineError, RaiseRequest, delta};
use crate::store::watch::handsets::HandsetRow;
use crate::store::watch::outages::{OutageRow, OutageTold};

/// The door of alarms about handsets; the dedup key is the handset's id.
pub const HANDSETS: &str = "handset";

/// When a handset was heard is written down at least this often.
const HEARD_WITHIN: TimeDelta = TimeDelta::minutes(3);

/// What is to be done about an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attend {
    /// Nothing yet: it may be back in a moment.
    Wait,
    /// People are rung through another handset.
    Ring,
    /// The fallback notice goes out.
    Fallback,
}

/// What is to be done about an outage that has lasted so long.
#[must_use]
pub fn attend(lasted: TimeDelta, patience: TimeDelta, others_alive: usize, somebody_named: bool) -> Attend {
    match (others_alive, somebody_named) {
        // No alarm of any kind could be rung: nothing is gained by waiting.
        (0, _) => Attend::Fallback,
        _ if lasted < patience => Attend::Wait,
        (_, true) => Attend::Ring,
        (_, false) => Attend::Fallback,
    }
}

/// Since when a handset that should be usable is not.
fn out_since(handset: &HandsetRow) -> Option<DateTime<Utc>> {
    handset.offline_since.or(handset.stuck_since).filter(|_| handset.disabled_at.is_none())
}

/// Whether a handset is looked for: a phone that was let in, or one that has polled the documented path for a while, or was heard there
/// a moment ago. Anything else was a curl.
#[must_use]
pub fn counts(handset: &HandsetRow, now: DateTime<Utc>) -> bool {
    is_expected(handset) || handset.last_seen_at.is_some_and(|seen| now - seen <= HEARD_WITHIN)
}

fn is_alive(handset: &HandsetRow, plain_path_open: bool, now: DateTime<Utc>) -> bool {
    counts(handset, now)
        && is_served(handset, plain_path_open)
        && handset.disabled_at.is_none()
        && handset.last_seen_at.is_some()
        && out_since(handset).is_none()
}

/// How many handsets should be there, and how many of them could ring somebody.
#[must_use]
pub(in crate::engine) fn usable(handsets: &[HandsetRow], config: &HandsetConfig, now: DateTime<Utc>) -> (usize, usize) {
    let open_path = plain_path_is_open(config, handsets);
    let expected = handsets.iter().filter(|handset| handset.disabled_at.is_none() && counts(handset, now));
    (expected.count(), handsets.iter().filter(|handset| is_alive(handset, open_path, now)).count())
}

impl Engine {
    /// Attends to handsets that went away and came back.
    ///
    /// # Errors
    /// When the database fails; the next look does what this one did not.
    pub async fn attend_outages(&self) -> Result<(), EngineError> {
        let _turn = self.watching.lock().await;
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let (mut handsets, open) = (reader.db().handsets().await?, reader.db().open_outages().await?);
        drop(reader);
        self.presence.complete(&mut handsets);
        for outage in open.iter().filter(|outage| !handsets.iter().any(|handset| handset.id == outage.handset_id)) {
            // It was removed: nobody needs to look after it any more.
            self.end_outage(outage, now).await?;
        }
        let open_path = plain_path_is_open(&self.config.handsets, &handsets);
        let others_alive = handsets.iter().filter(|other| is_alive(other, open_path, now)).count();
        for handset in &handsets {
            let own: Vec<&OutageRow> = open.iter().filter(|outage| outage.handset_id == handset.id).collect();
            // What fails for one handset must not keep the others from being told of.
            if let Err(error) = self.attend_handset(handset, &own, others_alive, now).await {
                tracing::error!(%error, handset.name = %handset.name, "an outage could not be attended to; trying again");
            }
        }
        Ok(())
    }

    async fn attend_handset(
        &self,
        handset: &HandsetRow,
        open: &[&OutageRow],
        others_alive: usize,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let since = out_since(handset);
        for over in open.iter().filter(|outage| Some(outage.since) != since) {
            self.end_outage(over, now).await?;
        }
        let Some(since) = since else { return Ok(()) };
        let known = open.iter().find(|outage| outage.since == since);
        if known.is_none() {
            let mut tx = self.store.begin().await?;
            tx.db().begin_outage(handset.id, since).await?;
            tx.commit().await?;
        }
        if known.is_some_and(|outage| outage.told_at.is_some()) {
            return Ok(());
        }
        let outage = OutageRow { handset_id: handset.id, since, told_at: None };
        self.attend_to(&outage, handset, others_alive, now).await
    }

    async fn end_outage(&self, outage: &OutageRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        // First, so that a crash in between does it again.
        self.resolve_with_key(HANDSETS, &outage.handset_id.to_string(), &Doer::Server).await?;
        let mut tx = self.store.begin().await?;
        tx.db().end_outage(outage, now).await?;
        Ok(tx.commit().await?)
    }

    async fn attend_to(
        &self,
        outage: &OutageRow,
        handset: &HandsetRow,
        others_alive: usize,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let settings = &self.config.handsets;
        let named = !settings.offline_phones.is_empty();
        match attend(now - outage.since, delta(settings.offline_alarm_after), others_alive, named) {
            Attend::Wait => Ok(()),
            Attend::Ring => {
                self.raise(&self.outage_alarm(outage, handset)).await?;
                let mut tx = self.store.begin().await?;
                tx.db().outage_told(outage, OutageTold::Alarm, now).await?;
                Ok(tx.commit().await?)
            }
            Attend::Fallback => {
                let mut tx = self.store.begin().await?;
                if tx.db().outage_told(outage, OutageTold::Fallback, now).await? {
                    let event = Event::HandsetFallback { handset: handset.name.clone(), handset_id: handset.id, others_alive };
                    tx.db().insert_event(None, None, now, &event).await?;
                    tracing::error!(handset.name = %handset.name, others_alive, "nobody can be rung about this handset: the fallback notice goes out");
                }
                Ok(tx.commit().await?)
            }
        }
    }

    fn outage_alarm(&self, outage: &OutageRow, handset: &HandsetRow) -> RaiseRequest {
        let what = if handset.stuck_since.is_some() { "did not return from a call" } else { "is offline" };
        RaiseRequest {
            integration_id: HANDSETS.to_owned(),
            source: HANDSETS.to_owned(),
            dedup_key: Some(handset.id.to_string()),
            summary: format!("Handset {} {what}", handset.name),
            labels: [("handset".to_owned(), handset.name.clone())].into(),
            priority: Priority::High,
            begin_window_s: self.begin_window_s(),
            callees: self.own_callees(&self.config.handsets.offline_phones),
            // Raised once, also when a node dies before it could note that.
            idempotency: Some((format!("{}:{}", handset.id, outage.since.timestamp_micros()), Vec::new())),
            ..RaiseRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_handset_waits_for_nothing() {
        let (short, long, patience) = (TimeDelta::seconds(10), TimeDelta::seconds(120), TimeDelta::seconds(120));
        assert_eq!(attend(short, patience, 0, true), Attend::Fallback);
        assert_eq!(attend(short, patience, 1, true), Attend::Wait);
        assert_eq!(attend(long, patience, 1, true), Attend::Ring);
        assert_eq!(attend(long, patience, 1, false), Attend::Fallback);
    }
}
