//! Calls that other systems list come in, and go.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, EngineError};
use crate::alarm::doer::Doer;
use crate::config::UnknownNumber;
use crate::keep::phone_calls;
use crate::store::alarm::replicated::{DELETED_AT_ONCE, ReplicatedCall, ReplicatedIds};

/// What became of a call that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenCall {
    /// It is kept, perhaps since somebody told of it before.
    Kept(ReplicatedIds),
    /// It is older than what is kept; of whom it is, as far as that is known.
    TooOld(Option<i64>),
    /// It was to nobody that is known here.
    ToNobody,
}

impl Engine {
    /// Takes a call that another system tells of. One that was told before is found without a transaction: nearly all are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_phone_call(&self, call: &ReplicatedCall, by: Doer) -> Result<TakenCall, EngineError> {
        let mut reader = self.store.read().await?;
        if let Some(ids) = reader.db().replicated_call(call.at, &call.caller, &call.number).await? {
            return Ok(TakenCall::Kept(ids));
        }
        let make = self.config.phonecalls.unknown == UnknownNumber::Make;
        if self.phone_calls_kept_from().is_some_and(|first| call.at < first) {
            let known = make || reader.db().person_with_number(&call.number).await?.is_some();
            return Ok(match known {
                true => TakenCall::TooOld(reader.db().known_contact(&call.number).await?),
                false => TakenCall::ToNobody,
            });
        }
        // Most calls of a telephone system are to strangers, and come again every hour: they take nobody's turn to write.
        if !make && reader.db().person_with_number(&call.number).await?.is_none() {
            return Ok(TakenCall::ToNobody);
        }
        drop(reader);
        let mut work = self.work(by).await?;
        let kept = phone_calls::add(&mut work, call, make).await?;
        let Some(ids) = kept else { return Ok(TakenCall::ToNobody) };
        work.commit().await?;
        Ok(TakenCall::Kept(ids))
    }

    /// Deletes what other systems told of a time, and none of our own; gives how many. In portions, so that nobody waits.
    ///
    /// # Errors
    /// When the database fails; what was deleted until then stays deleted.
    pub async fn delete_phone_calls(&self, from: DateTime<Utc>, before: DateTime<Utc>) -> Result<u64, EngineError> {
        let mut all = 0;
        loop {
            let mut tx = self.store.begin().await?;
            let gone = tx.db().delete_replicated_calls(from, before).await?;
            tx.commit().await?;
            all += gone;
            if gone < DELETED_AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// From when on such calls are kept; `None`: all are.
    pub(in crate::engine) fn phone_calls_kept_from(&self) -> Option<DateTime<Utc>> {
        let days = self.config.phonecalls.keep_days;
        (days > 0).then(|| self.clock.now() - TimeDelta::days(i64::from(days)))
    }
}
