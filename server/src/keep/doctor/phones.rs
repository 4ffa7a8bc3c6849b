//! Whether phones are there that can ring people.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen, ago};
use crate::config::{HandsetConfig, PlainPath};
use crate::store::StoreError;
use crate::store::watch::handsets::HandsetRow;

/// Calls in a row that have not left a handset, from which on somebody should look.
const FAILURES: i32 = 3;
/// A phone that polled within this time is there. Written down at least every half minute; the server notices silence much sooner.
const LATELY: TimeDelta = TimeDelta::minutes(10);

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        let mut reader = store.read().await?;
        let mut db = reader.db();
        let (handsets, knocks) = (db.handsets().await?, db.count_knocks().await?);
        Ok(judge(&seen.config().handsets, &handsets, knocks, seen.clock.now()))
    })
}

fn judge(config: &HandsetConfig, handsets: &[HandsetRow], knocks: i64, now: DateTime<Utc>) -> Vec<Finding> {
    let used: Vec<&HandsetRow> = handsets.iter().filter(|handset| handset.disabled_at.is_none()).collect();
    let mut found = Vec::new();
    if used.is_empty() {
        let todo = "pair one: autocall handset add --name desk";
        found.push(Finding::bad("there is no phone that can ring anybody", todo));
    }
    let mut well = 0;
    for handset in &used {
        match trouble(handset, now) {
            Some(trouble) => found.push(trouble),
            None => well += 1,
        }
    }
    if well == 1 && used.len() == 1 {
        found.push(Finding::warn(
            format!("{} is the only phone: without it nobody is rung", used[0].name),
            "pair a second one, on another network",
        ));
    } else if well > 0 {
        found.push(Finding::good(format!("{well} phones are paired or let in, and polled lately")));
    }
    if knocks > 0 {
        found.push(Finding::warn(
            format!("{knocks} phones polled that are not let in"),
            "see which: autocall handset knocks; let one in with autocall handset allow, or pair it",
        ));
    }
    let paired = handsets.iter().any(|handset| handset.token_hash.is_some());
    if config.plain_path == PlainPath::Always && paired {
        found.push(Finding::warn(
            "handsets.plain_path is always: whoever is in an open network can take an alarm away from the paired phones",
            "write plain_path = \"auto\" below [handsets], unless a phone needs it",
        ));
    }
    found
}

fn trouble(handset: &HandsetRow, now: DateTime<Utc>) -> Option<Finding> {
    let name = &handset.name;
    let see = "see docs/connecting-a-phone.md, \"Watch it\"";
    if let Some(since) = handset.stuck_since {
        let told = format!("{name} has not returned from a call, noticed {} ago", ago(now, since));
        return Some(Finding::bad(told, "look at its screen"));
    }
    if let Some(since) = handset.offline_since {
        return Some(Finding::bad(format!("{name} is silent, noticed {} ago", ago(now, since)), see));
    }
    if handset.shared_since.is_some() {
        return Some(Finding::bad(format!("two phones use the token of {name}"), "pair each by itself: autocall handset add"));
    }
    if handset.failures >= FAILURES {
        let told = format!("the last {} calls have not left {name}", handset.failures);
        return Some(Finding::bad(told, "check its credit, signal or account"));
    }
    if handset.restarted_since.is_some() {
        return Some(Finding::warn(format!("the app of {name} was started again in a call"), see));
    }
    match handset.last_seen_at {
        None => Some(Finding::warn(
            format!("{name} has never polled"),
            "type its address on the phone; if it is lost: autocall handset rotate",
        )),
        Some(at) if now - at > LATELY => Some(Finding::warn(format!("{name} polled last {} ago", ago(now, at)), see)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::HandsetId;
    use crate::keep::doctor::Grade;
    use crate::store::watch::handsets::{IdleForm, Profile};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default()
    }

    fn handset(name: &str) -> HandsetRow {
        HandsetRow {
            id: HandsetId::new(now()),
            name: name.to_owned(),
            token_hash: Some(vec![1]),
            next_token_hash: None,
            plain_key: None,
            profile: Profile::Auto,
            idle_form: IdleForm::Plain,
            country: "CN".to_owned(),
            ring_seconds: 75,
            interval_seconds: None,
            created_at: now(),
            disabled_at: None,
            last_seen_at: Some(now()),
            last_address: None,
            last_model: None,
            last_user_agent: None,
            offline_since: None,
            stuck_since: None,
            shared_since: None,
            failures: 0,
            avoid_until: None,
            allowed_at: None,
            restarted_since: None,
            test_alarm_id: None,
            status: None,
            status_at: None,
            capabilities: None,
            channels: 1,
            inbound: false,
            bulk: false,
            former_mid: None,
            monitor: false,
        }
    }

    fn grades(config: &HandsetConfig, handsets: &[HandsetRow], knocks: i64) -> Vec<Grade> {
        judge(config, handsets, knocks, now()).into_iter().map(|found| found.grade).collect()
    }

    #[test]
    fn phones_are_judged_by_what_is_known_of_them() {
        let usual = HandsetConfig::default();
        assert_eq!(grades(&usual, &[], 0), [Grade::Bad]);
        let off = HandsetRow { disabled_at: Some(now()), ..handset("off") };
        assert_eq!(grades(&usual, &[off], 0), [Grade::Bad], "one that is switched off is none");
        assert_eq!(grades(&usual, &[handset("a")], 0), [Grade::Warn], "one alone");
        assert_eq!(grades(&usual, &[handset("a"), handset("b")], 2), [Grade::Good, Grade::Warn]);
        let troubled = [
            (HandsetRow { offline_since: Some(now()), ..handset("a") }, Grade::Bad),
            (HandsetRow { stuck_since: Some(now()), ..handset("a") }, Grade::Bad),
            (HandsetRow { shared_since: Some(now()), ..handset("a") }, Grade::Bad),
            (HandsetRow { failures: FAILURES, ..handset("a") }, Grade::Bad),
            (HandsetRow { restarted_since: Some(now()), ..handset("a") }, Grade::Warn),
            (HandsetRow { last_seen_at: None, ..handset("a") }, Grade::Warn),
            (HandsetRow { last_seen_at: Some(now() - TimeDelta::minutes(11)), ..handset("a") }, Grade::Warn),
        ];
        for (handset, grade) in troubled {
            assert_eq!(trouble(&handset, now()).map(|found| found.grade), Some(grade), "{handset:?}");
        }
        let open = HandsetConfig { plain_path: PlainPath::Always, ..HandsetConfig::default() };
        assert_eq!(grades(&open, &[handset("a"), handset("b")], 0), [Grade::Good, Grade::Warn]);
    }
}
