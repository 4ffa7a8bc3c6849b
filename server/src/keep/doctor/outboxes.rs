//! What is to be told and sent, and for how long it has waited.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen, ago};
use crate::store::{StoreError, Waiting};

/// What is due for so long is worth a word.
const LATE: TimeDelta = TimeDelta::minutes(10);
/// And so long: somebody was not told.
const STUCK: TimeDelta = TimeDelta::hours(1);

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        let now = seen.clock.now();
        let mut reader = store.read().await?;
        let mut db = reader.db();
        let (notices, messages) = (db.notices_waiting(now).await?, db.messages_waiting(now).await?);
        let mut found: Vec<Finding> = notices.iter().filter_map(|waiting| late("notices", "the webhook", waiting, now)).collect();
        found.extend(messages.iter().filter_map(|waiting| late("text messages", "the gateway", waiting, now)));
        for gateway in db.gateways().await? {
            if let Some(since) = gateway.silent_since.filter(|_| gateway.removed_at.is_none()) {
                let told = format!("the gateway {} has said nothing, noticed {} ago", gateway.name, ago(now, since));
                found.push(Finding::bad(told, "look at its phone or service: see docs/public-number.md"));
            }
        }
        if found.is_empty() {
            let waits: i64 = notices.iter().map(|one| one.count).chain(messages.iter().map(|one| one.count)).sum();
            found.push(Finding::good(format!("{waits} notices and text messages wait, none of them for long")));
        }
        Ok(found)
    })
}

/// What has waited too long for one of them.
fn late<T>(what: &str, whom: &str, waiting: &Waiting<T>, now: DateTime<Utc>) -> Option<Finding> {
    let waited = now - waiting.oldest;
    let told = format!("{} {what} wait for {whom} {}, the oldest for {}", waiting.count, waiting.name, ago(now, waiting.oldest));
    let todo = "it refuses them or does not answer: the page shows what it said last; correct its address or secret";
    match waited {
        long if long >= STUCK => Some(Finding::bad(told, todo)),
        some if some >= LATE => Some(Finding::warn(told, todo)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn what_waits_is_judged_by_its_age() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let grade = |minutes: i64| {
            let oldest = now - TimeDelta::minutes(minutes);
            let waiting = Waiting { target: (), name: "desk".to_owned(), count: 2, oldest, due: 1, due_since: None };
            late("notices", "the webhook", &waiting, now).map(|found| found.grade)
        };
        assert_eq!((grade(9), grade(10), grade(59), grade(60)), (None, Some(Grade::Warn), Some(Grade::Warn), Some(Grade::Bad)));
    }
}
