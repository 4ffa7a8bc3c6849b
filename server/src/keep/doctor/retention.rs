//! How long things are kept, and whether there is an end to it.

use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::config::Config;
use crate::store::StoreError;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let mut found = vec![kept(seen.config())];
        if let Some(store) = seen.store() {
            let bytes = store.read().await?.db().media_total().await?;
            found.extend(sound(bytes, seen.config().media.most_bytes));
        }
        Ok(found)
    })
}

fn kept(config: &Config) -> Finding {
    let forever: Vec<&str> = [("retention.days", config.retention.days), ("records.keep_days", config.records.keep_days)]
        .into_iter()
        .filter_map(|(key, days)| (days == 0).then_some(key))
        .collect();
    match forever.as_slice() {
        [] => Finding::good(format!(
            "alarms are kept for {} days after their end, records of calls for {}",
            config.retention.days, config.records.keep_days
        )),
        keys => Finding::warn(
            format!("{} is 0: nothing of it is ever forgotten, and people's numbers stay with it", keys.join(" and ")),
            "say for how many days it is needed",
        ),
    }
}

/// How full the room for sound is.
fn sound(bytes: i64, most: u64) -> Option<Finding> {
    let percent = (i128::from(bytes.max(0)) * 100).checked_div(i128::from(most))?.min(100);
    (percent >= 90).then(|| {
        let told = format!("recordings and clips fill {percent} % of media.most_bytes");
        let todo = "raise it, or keep recordings for fewer days (media.keep_days); at 100 % nothing more is recorded";
        if percent >= 100 { Finding::bad(told, todo) } else { Finding::warn(told, todo) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn what_has_no_end_is_said() {
        let mut config = Config::default();
        assert_eq!(kept(&config).grade, Grade::Good);
        config.records.keep_days = 0;
        assert!(kept(&config).said.starts_with("records.keep_days is 0"));
        let grade = |bytes| sound(bytes, 1_000).map(|found| found.grade);
        assert_eq!((grade(899), grade(900), grade(1_000)), (None, Some(Grade::Warn), Some(Grade::Bad)));
        assert_eq!(sound(i64::MAX, 1).map(|found| found.grade), Some(Grade::Bad));
        assert_eq!(sound(5, 0), None);
    }
}
