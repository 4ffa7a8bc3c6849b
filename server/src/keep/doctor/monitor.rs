//! Whether the installation that this one watches passes its tests, and whether somebody watches this one.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen, ago};
use crate::config::{Config, Watched};
use crate::monitor::Stage;
use crate::store::StoreError;
use crate::store::watch::handsets::HandsetRow;
use crate::store::watch::monitored::Monitored;

/// Whoever tests this installation is missed after so long: tests come every minute, and every hour at the most.
const SILENT: TimeDelta = TimeDelta::minutes(65);

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        let mut reader = store.read().await?;
        let (state, monitors) = (reader.db().monitored().await?, reader.db().monitors().await?);
        let now = seen.clock.now();
        let mut found: Vec<Finding> = monitors.iter().map(|monitor| watches_us(monitor, now)).collect();
        found.push(watched(seen.config(), &state, now));
        Ok(found)
    })
}

fn watched(config: &Config, state: &Monitored, now: DateTime<Utc>) -> Finding {
    let Some(watched) = config.monitor.url.as_ref().and_then(Watched::of) else {
        return Finding::good("this installation watches no other (docs/monitor.md)");
    };
    let host = &watched.host;
    if let (Some(since), Some(why)) = (state.failing_since, &state.failure) {
        let stage = state.stage.as_deref().and_then(Stage::parse).map_or("it fails", Stage::failed);
        let told = format!("{host} has failed {} test(s) for {}: {stage} ({why})", state.failures, ago(now, since));
        return Finding::bad(told, "look there; autocall monitor makes a test at once and tells each stage");
    }
    let longest = TimeDelta::from_std(config.monitor.every * 3 + config.monitor.within).unwrap_or(TimeDelta::MAX);
    match state.good_at {
        Some(at) if now - at <= longest => Finding::good(format!("{host} passed its test {} ago", ago(now, at))),
        Some(at) => Finding::bad(
            format!("{host} was tested last {} ago", ago(now, at)),
            "see whether the server of this installation runs: it makes the tests",
        ),
        None => Finding::warn(
            format!("{host} was not tested yet"),
            "the server makes the first test when it starts: see that it runs",
        ),
    }
}

fn watches_us(monitor: &HandsetRow, now: DateTime<Utc>) -> Finding {
    let name = &monitor.name;
    match monitor.last_seen_at {
        Some(at) if now - at <= SILENT => {
            Finding::good(format!("the monitor {name} tested this installation {} ago", ago(now, at)))
        }
        Some(at) => Finding::bad(
            format!("the monitor {name} has not tested this installation for {}: nobody notices when it stops", ago(now, at)),
            format!("look at the installation that watches this one; if there is none any more: autocall monitor remove {name}"),
        ),
        None => Finding::warn(
            format!("the monitor {name} has never tested this installation"),
            "write the address that autocall monitor add has printed below [monitor] of the other installation",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::time::Duration;

    use super::*;
    use crate::config::Overrides;
    use crate::keep::doctor::Grade;

    fn watching() -> Config {
        let env = |name: &str| (name == "AUTOCALL_MONITOR_URL").then(|| "https://watcher:ak_1.t2@pager.example.org".to_owned());
        Config::load(None, env, Overrides::default()).unwrap().config
    }

    #[test]
    fn tests_that_fail_or_come_no_more_are_told() {
        let (config, now) = (watching(), DateTime::UNIX_EPOCH + TimeDelta::days(100));
        let good = |seconds| Monitored { good_at: Some(now - TimeDelta::seconds(seconds)), ..Monitored::default() };
        let grade = |config: &Config, state: &Monitored| watched(config, state, now).grade;
        assert_eq!(grade(&Config::default(), &Monitored::default()), Grade::Good);
        assert_eq!(grade(&config, &Monitored::default()), Grade::Warn);
        assert_eq!(grade(&config, &good(210)), Grade::Good);
        assert_eq!(grade(&config, &good(211)), Grade::Bad);
        let slower = Config {
            monitor: crate::config::MonitorConfig { every: Duration::from_hours(1), ..config.monitor.clone() },
            ..config.clone()
        };
        assert_eq!(grade(&slower, &good(3_000)), Grade::Good);
        let failing = Monitored {
            failing_since: Some(now),
            failure: Some("not within 30 s".to_owned()),
            stage: Some("hand_out".to_owned()),
            failures: 2,
            ..good(10)
        };
        let told = watched(&config, &failing, now);
        assert_eq!(told.grade, Grade::Bad);
        assert!(told.said.contains("pager.example.org") && told.said.contains(Stage::HandOut.failed()), "{}", told.said);
        assert!(!told.said.contains("ak_1"), "{}", told.said);
    }
}
