//! *System*: what this node knows of itself, for whoever has to look after it. Its words are in `frame/words/pages/system.toml`.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;

use super::alarm::trouble::{Trouble, of_backups, of_certificate, of_node};
use super::frame::page::{Frame, ago, at_second, html};
use super::frame::reader::Reader;
use super::frame::words::Bit::{Html, Text};
use super::frame::words::{Words, escape, fill, fill_text};
use crate::app::App;
use crate::engine::watch::health::{Outbox, wrong};
use crate::lock::LockKind;
use crate::store::backup::state::BackupState;
use crate::store::dialect::Dialect;

/// What to read on, below `docs`.
const DOCUMENTS: [&str; 5] = ["docs/operating.md", "docs/backup.md", "docs/configuration.md", "docs/security.md", "docs/tls.md"];

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    troubles: Vec<Trouble>,
    /// What it is about, and how it is; HTML.
    facts: Vec<(&'static str, String)>,
    documents: [&'static str; 5],
}

/// `GET /system`. It asks nobody, so it answers while nothing can be stored; while nothing can be read, nobody is let in.
pub(super) async fn show(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Response {
    let (engine, config, words) = (&app.engine, app.config(), reader.words);
    let (now, facts) = (engine.clock.now(), engine.facts());
    let before = |past: Duration| ago(now - TimeDelta::from_std(past).unwrap_or_default());
    let database = match engine.store.dialect() {
        Dialect::Sqlite => fill_text(&words.system_sqlite, &[("folder", &config.data_dir.display().to_string())]),
        Dialect::Postgres => words.system_postgres.clone(),
    };
    let locks = engine.locks.health();
    let locks = match (locks.kind, locks.away_for) {
        (LockKind::Local, _) => &words.system_locks_own,
        (LockKind::Redis, None) => &words.system_locks_redis,
        (LockKind::Redis, Some(_)) => &words.system_locks_away,
    };
    let waiting = |outbox: Outbox| {
        let own = engine.health.backlogs().into_iter().filter(|backlog| backlog.outbox == outbox);
        own.map(|backlog| backlog.count).sum::<i64>().to_string()
    };
    let (notices, messages) = (waiting(Outbox::Notices), waiting(Outbox::Messages));
    let kept = match config.retention.days {
        0 => words.system_kept_for_ever.clone(),
        days => fill_text(&words.system_kept, &[("days", &days.to_string())]),
    };
    let backups = last_backup(words, engine.health.backups().as_ref());
    let clock = fill(&words.system_clock_shows, &[("at", Html(&at_second(now)))]);
    let clock = if engine.clock.is_sure() { clock } else { format!("{clock} {}", escape(&words.system_clock_doubted)) };
    let certificate = match &app.secured {
        Some(secured) => {
            let (about, _) = secured.about();
            let (day, names) = (about.ends.format("%Y-%m-%d").to_string(), about.named());
            fill_text(&words.system_certificate_is, &[("day", &day), ("names", &names)])
        }
        None => words.system_certificate_none.clone(),
    };
    let facts = vec![
        (words.system_version.as_str(), env!("CARGO_PKG_VERSION").to_owned()),
        (&words.system_database, escape(&database)),
        (&words.system_wrote, before(facts.wrote)),
        (&words.system_tick, before(facts.ticked)),
        (&words.system_waiting, escape(&fill_text(&words.system_waits, &[("notices", &notices), ("messages", &messages)]))),
        (&words.system_locks, escape(locks)),
        (&words.system_clock, clock),
        (&words.system_retention, escape(&kept)),
        (&words.system_backup, backups),
        (&words.system_certificate, escape(&certificate)),
        (&words.system_reached, escape(config.http.public_url.as_deref().unwrap_or(&words.system_reached_nowhere))),
    ];
    let mut troubles: Vec<Trouble> = wrong(&engine.facts()).into_iter().map(|wrong| of_node(&reader, wrong)).collect();
    troubles.extend(engine.backup_trouble().map(|trouble| of_backups(&reader, &trouble)));
    troubles.extend(app.secured.iter().flat_map(|secured| of_certificate(&reader, secured, now)));
    let page = SystemPage {
        frame: Frame::new(&reader, "system", words.nav_system.as_str(), now),
        words,
        troubles,
        facts,
        documents: DOCUMENTS,
    };
    html(StatusCode::OK, &page)
}

/// Of when the last good backup is and where, and what became of the last attempt; HTML.
fn last_backup(words: &Words, state: Option<&BackupState>) -> String {
    let made = state.and_then(|state| Some((state.made_at?, state.place.as_deref()?, state.bytes?)));
    let told = match made {
        Some((made_at, place, bytes)) => {
            let megabytes = format!("{:.1}", f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0);
            fill(&words.system_backup_is, &[("ago", Html(&ago(made_at))), ("file", Text(place)), ("size", Text(&megabytes))])
        }
        None => escape(&words.system_backup_none),
    };
    match state.and_then(|state| state.failure.as_deref()) {
        Some(failure) => format!("{told} {}", fill(&words.system_backup_failed, &[("why", Text(failure))])),
        None => told,
    }
}
