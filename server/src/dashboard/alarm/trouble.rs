//! What is wrong: each with its cause, since when, and what to do about it.

use chrono::{DateTime, TimeDelta, Utc};

use super::health::Health;
use super::read::Board;
use crate::alarm::EndReason;
use crate::dashboard::frame::page::{at, since};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{escape, fill, isolated};
use crate::engine::watch::backups::BackupTrouble;
use crate::engine::watch::health::{Backlog, Outbox, Wrong};
use crate::net::secured::Secured;
use crate::store::watch::handsets::HandsetRow;

/// What waits for so long in an outbox is worth a word.
const WAITS_LONG: TimeDelta = TimeDelta::minutes(5);

/// Alarms that nobody heard of and that are named beside the latest; the others are counted.
const MOST_NAMED: usize = 3;

/// Something that needs a hand.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Trouble {
    /// What, in a few words; HTML.
    pub(in crate::dashboard) what: String,
    /// Since when, and what it means; HTML.
    pub(in crate::dashboard) why: String,
    /// Where to read on, and the words for it.
    pub(in crate::dashboard) link: Option<(String, &'static str)>,
    /// Nobody may be rung because of it, or nobody was.
    pub(in crate::dashboard) stops_ringing: bool,
}

/// What is wrong with the database.
pub(in crate::dashboard) fn database_away(reader: &Reader) -> Vec<Trouble> {
    vec![Trouble {
        what: escape(&reader.words.trouble_database),
        why: escape(&reader.words.trouble_database_why),
        link: None,
        stops_ringing: true,
    }]
}

/// Everything that is wrong, the worst first.
pub(in crate::dashboard) fn all(reader: &Reader, board: &Board) -> Vec<Trouble> {
    let mut found = Vec::new();
    found.extend(board.wrong.iter().map(|wrong| of_node(reader, *wrong)));
    found.extend(behind_proxy(reader, board));
    found.extend(nobody_can_ring(reader, board));
    found.extend(unheard(reader, board));
    // A silent handset beside others that ring is no hurry; where none is left, it is why nobody is rung.
    let some_serve = board.handsets.iter().any(|handset| board.health(handset).serves());
    found.extend(handsets(reader, board).into_iter().map(|trouble| Trouble { stops_ringing: !some_serve, ..trouble }));
    found.extend(backlogs(reader, board));
    found.extend(locks(reader, board));
    found.extend(board.backup.as_ref().map(|trouble| of_backups(reader, trouble)));
    found
}

/// What keeps this node from doing its work.
pub(in crate::dashboard) fn of_node(reader: &Reader, wrong: Wrong) -> Trouble {
    let words = reader.words;
    let (what, why) = match wrong {
        Wrong::DatabaseAway => (&words.trouble_database, &words.trouble_database_why),
        Wrong::ReadOnly => (&words.trouble_unwritten, &words.trouble_unwritten_read_only),
        Wrong::DiskFull => (&words.trouble_unwritten, &words.trouble_unwritten_full),
        Wrong::OldPrimary => (&words.trouble_unwritten, &words.trouble_unwritten_old_primary),
        Wrong::Outgrown => (&words.trouble_unwritten, &words.trouble_unwritten_outgrown),
        Wrong::Refused => (&words.trouble_unwritten, &words.trouble_unwritten_refused),
        Wrong::TickStands => (&words.trouble_tick, &words.trouble_tick_why),
        Wrong::NoticesStand => (&words.trouble_notices_stand, &words.trouble_stands_why),
        Wrong::MessagesStand => (&words.trouble_messages_stand, &words.trouble_stands_why),
    };
    Trouble { what: escape(what), why: escape(why), link: None, stops_ringing: true }
}

/// What is wrong with handsets.
pub(in crate::dashboard) fn handsets(reader: &Reader, board: &Board) -> Vec<Trouble> {
    board.handsets.iter().filter_map(|handset| of_handset(reader, handset, board.health(handset))).collect()
}

fn of_handset(reader: &Reader, handset: &HandsetRow, health: Health) -> Option<Trouble> {
    let words = reader.words;
    let (what, why, from, check) = match health {
        Health::Stuck => (&words.trouble_stuck, &words.trouble_stuck_why, handset.stuck_since, &words.check_screen),
        Health::Offline => (
            &words.trouble_offline,
            &words.trouble_offline_why,
            handset.last_seen_at.or(handset.offline_since),
            &words.check_list,
        ),
        Health::Shared => (&words.trouble_shared, &words.trouble_shared_why, handset.shared_since, &words.check_shared),
        Health::Restarted => (&words.trouble_restarted, &words.trouble_restarted_why, handset.restarted_since, &words.check_list),
        Health::Failing => (&words.trouble_failing, &words.trouble_failing_why, handset.last_seen_at, &words.check_list),
        Health::Disabled | Health::Unserved | Health::Stray | Health::NeverPolled | Health::InDial | Health::Answers => {
            return None;
        }
    };
    let (from, counted) = from.map_or_else(Default::default, |from| (at(from), since(from)));
    Some(Trouble {
        what: fill(what, &[("name", Text(&handset.name))]),
        why: fill(why, &[("at", Html(&from)), ("since", Html(&counted))]),
        link: Some(("/handsets#check".to_owned(), check)),
        stops_ringing: false,
    })
}

/// Somebody is to be rung, and no handset could.
fn nobody_can_ring(reader: &Reader, board: &Board) -> Option<Trouble> {
    let serves = |handset: &HandsetRow| board.health(handset).serves();
    let waiting = board.open.iter().any(|hunt| hunt.alarms.iter().any(|alarm| !alarm.dry_run));
    if !waiting || board.handsets.iter().any(serves) {
        return None;
    }
    let words = reader.words;
    let link = ("/handsets".to_owned(), words.trouble_no_handset_link.as_str());
    Some(Trouble {
        what: escape(&words.trouble_no_handset),
        why: escape(&words.trouble_no_handset_why),
        link: Some(link),
        stops_ringing: true,
    })
}

fn unheard(reader: &Reader, board: &Board) -> Option<Trouble> {
    let words = reader.words;
    let latest = board.unheard.first()?;
    let when = at(latest.ended_at.unwrap_or(latest.raised_at));
    let link = if reader.responds() { &words.trouble_unheard_link } else { &words.trouble_unheard_see };
    let link = (format!("/alarms/{}", latest.id), link.as_str());
    let what = match latest.end_reason {
        Some(EndReason::AllDeclined) => &words.trouble_declined,
        _ => &words.trouble_unheard,
    };
    let what = fill(what, &[("summary", Text(&latest.summary))]);
    let others = &board.unheard[1..];
    let named =
        others.iter().take(MOST_NAMED).map(|alarm| format!(r#"<a href="/alarms/{}">{}</a>"#, alarm.id, isolated(&alarm.summary)));
    let mut named: Vec<String> = named.collect();
    if others.len() > MOST_NAMED {
        named.push(fill(&words.and_more, &[("count", Text(&(others.len() - MOST_NAMED).to_string()))]));
    }
    let names = named.join(&escape(&words.list_comma));
    let why = match others {
        [] => fill(&words.trouble_unheard_why, &[("at", Html(&when))]),
        _ => fill(&words.trouble_unheard_more, &[("at", Html(&when)), ("names", Html(&names))]),
    };
    Some(Trouble { what, why, link: Some(link), stops_ringing: true })
}

/// Webhooks and gateways that do not take what they are told.
fn backlogs(reader: &Reader, board: &Board) -> Vec<Trouble> {
    let words = reader.words;
    let long = board.backlogs.iter().filter(|backlog| board.now - backlog.oldest > WAITS_LONG);
    let trouble = |backlog: &Backlog| {
        let (what, why) = match backlog.outbox {
            Outbox::Notices => (&words.trouble_notices, &words.trouble_notices_why),
            Outbox::Messages => (&words.trouble_messages, &words.trouble_messages_why),
        };
        let (from, counted) = (at(backlog.oldest), since(backlog.oldest));
        Trouble {
            what: fill(what, &[("name", Text(&backlog.name))]),
            why: fill(why, &[("count", Text(&backlog.count.to_string())), ("at", Html(&from)), ("since", Html(&counted))]),
            link: None,
            stops_ringing: false,
        }
    };
    long.map(trouble).collect()
}

/// Backups that fail, or have grown old.
pub(in crate::dashboard) fn of_backups(reader: &Reader, trouble: &BackupTrouble) -> Trouble {
    let words = reader.words;
    let (what, why, from) = match trouble {
        BackupTrouble::Fails { since, .. } => (&words.trouble_backup_fails, &words.trouble_backup_fails_why, *since),
        BackupTrouble::Old { made_at } => (&words.trouble_backup_old, &words.trouble_backup_old_why, *made_at),
    };
    Trouble {
        what: escape(what),
        why: fill(why, &[("at", Html(&at(from)))]),
        link: reader.administers().then(|| ("/system".to_owned(), words.nav_system.as_str())),
        stops_ringing: false,
    }
}

/// A certificate that ends soon, or a newer one that cannot be used.
pub(in crate::dashboard) fn of_certificate(reader: &Reader, secured: &Secured, now: DateTime<Utc>) -> Vec<Trouble> {
    let words = reader.words;
    let (about, refused) = secured.about();
    let day = about.ends.format("%Y-%m-%d").to_string();
    let end = about.ends_soon(now).then(|| {
        let what = if about.ends < now { &words.trouble_certificate_over } else { &words.trouble_certificate_ends };
        (escape(what), fill(&words.trouble_certificate_ends_why, &[("day", Text(&day))]))
    });
    let refused = refused.map(|why| {
        let why = fill(&words.trouble_certificate_refused_why, &[("day", Text(&day)), ("why", Text(&why.to_string()))]);
        (escape(&words.trouble_certificate_refused), why)
    });
    let troubles = end.into_iter().chain(refused);
    troubles.map(|(what, why)| Trouble { what, why, link: None, stops_ringing: false }).collect()
}

fn behind_proxy(reader: &Reader, board: &Board) -> Option<Trouble> {
    const LINE: &str = r#"trusted_proxies = ["127.0.0.1", "::1"]"#;
    let words = reader.words;
    board.unlisted_proxy.then(|| Trouble {
        what: escape(&words.trouble_proxy),
        why: fill(&words.trouble_proxy_why, &[("line", Html(&format!("<code>{}</code>", escape(LINE))))]),
        link: None,
        stops_ringing: false,
    })
}

fn locks(reader: &Reader, board: &Board) -> Option<Trouble> {
    let words = reader.words;
    board.locks.away_for?;
    let (what, why) = if board.locks.refused {
        (&words.trouble_redis_refuses, &words.trouble_redis_refuses_why)
    } else {
        (&words.trouble_redis, &words.trouble_redis_why)
    };
    Some(Trouble { what: escape(what), why: escape(why), link: None, stops_ringing: false })
}
