//! What devices say that can only mail, such as a UPS or a switch: the subject says what has happened, and what it is about.

mod data;
pub mod letter;
mod over;
pub mod session;

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use self::letter::Letter;
pub use self::over::OVER;
use self::over::{SENT_ON, is_over, is_time};
use super::{Signal, Word};
use crate::alarm::Priority;
use crate::visible;

/// Words of states. Like those by which something is over, they say nothing of which thing it is.
const STATES: &[&str] = &[
    "problem",
    "alert",
    "alarm",
    "firing",
    "triggered",
    "down",
    "up",
    "critical",
    "crit",
    "warning",
    "warn",
    "error",
    "告警",
    "报警",
    "警告",
    "故障",
    "障害",
    "警報",
    "発生",
    "alerta",
    "alarma",
    "problema",
    "crítico",
    "crítica",
];
/// Words by which it is as bad as can be.
const WORST: &[&str] = &["critical", "disaster", "emergency", "fatal", "紧急", "緊急", "严重", "crítico", "crítica", "urgente"];
/// A time that is farther from ours is that of a clock which nobody has set.
const OLDEST: TimeDelta = TimeDelta::hours(24);
const NEWEST: TimeDelta = TimeDelta::minutes(5);

/// What a letter says that came now: under a key of the sender's own, or under what its subject is about. `over` are the words by which
/// something is over.
#[must_use]
pub fn signal(letter: &Letter, key: Option<&str>, over: &[String], now: DateTime<Utc>) -> Signal {
    let subject = visible::shown(&letter.subject);
    let word = match letter.automatic {
        Some(why) => Word::Ignored(why),
        None if is_over(subject, over) => Word::Resolved,
        None => Word::Firing,
    };
    let first_line = || visible::shown(&letter.text).lines().next().unwrap_or_default().to_owned();
    let worst = words(subject).iter().any(|word| holds(word, WORST.iter().copied()));
    Signal {
        word,
        key: key.map(str::to_owned).or_else(|| about(subject, over)),
        priority: match worst {
            true => Some(Priority::Critical),
            false => letter.important.then_some(Priority::High),
        },
        summary: if subject.is_empty() { first_line() } else { subject.to_owned() },
        details: letter.text.clone(),
        labels: letter.from.iter().map(|from| ("from".to_owned(), from.clone())).collect::<BTreeMap<_, _>>(),
        link: None,
        whom: Vec::new(),
        at: letter.at.filter(|at| (-NEWEST..=OLDEST).contains(&(now - *at))),
        holds_until: None,
    }
}

/// The words of a subject in lower case, without the marks around them. Arrows are words.
fn words(subject: &str) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || ":,;!()[]{}【】《》「」（）：，；！。|/\"".contains(c);
    let bare = |word: &str| word.trim_matches(|c: char| matches!(c, '.' | '*' | '#' | '\'')).to_lowercase();
    subject.split(between).map(bare).filter(|word| !word.is_empty()).collect()
}

/// Whether a word is one of these. What is written without blanks between its words may hold it.
fn holds<'w>(word: &str, mut these: impl Iterator<Item = &'w str>) -> bool {
    these.any(|one| word == one || (!is_spaced(one) && word.contains(one)))
}

/// Whether blanks stand between words in the language of a word.
fn is_spaced(word: &str) -> bool {
    word.chars().all(|c| c < '\u{2e80}')
}

/// What a subject is about: without what changes from one letter to the next. `None`: nothing is left.
fn about(subject: &str, over: &[String]) -> Option<String> {
    let over: Vec<String> = over.iter().map(|word| word.to_lowercase()).collect();
    let states: Vec<&str> = over.iter().map(String::as_str).chain(STATES.iter().copied()).collect();
    let mut left = Vec::new();
    let words = words(subject);
    // As in `Resolved in 1h 5m: disk full`.
    let mut took = false;
    for (place, word) in words.iter().enumerate() {
        let is_in = word == "in" && words.get(place + 1).is_some_and(|next| is_time(next));
        took = over.contains(word) || (took && (is_in || is_time(word)));
        let is_state = states.contains(&word.as_str());
        // An address is the name of a machine.
        let is_number = !word.chars().any(char::is_alphabetic) && word.parse::<IpAddr>().is_err();
        if is_state || is_number || took || (left.is_empty() && SENT_ON.contains(&word.as_str())) {
            continue;
        }
        let bare = states.iter().filter(|state| !is_spaced(state)).fold(word.clone(), |word, state| word.replace(*state, ""));
        let bare = bare.trim_matches(|c: char| matches!(c, '已' | '了' | '-' | '_'));
        if !bare.is_empty() {
            left.push(bare.to_owned());
        }
    }
    let about = left.join(" ");
    (!visible::is_blank(&about)).then_some(about)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn usual() -> Vec<String> {
        OVER.iter().map(|word| (*word).to_owned()).collect()
    }

    fn of(subject: &str) -> Signal {
        let letter = Letter { subject: subject.to_owned(), text: "Load 40 %\nleft".to_owned(), ..Letter::default() };
        signal(&letter, None, &usual(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_letter_that_says_that_it_is_over_ends_it_and_any_other_rings() {
        assert_eq!((of("[RESOLVED] disk full").word, of("disk full").word), (Word::Resolved, Word::Firing));
        let own = vec!["Back".to_owned()];
        let letter = Letter { subject: "mains: BACK".to_owned(), ..Letter::default() };
        assert_eq!(signal(&letter, None, &own, DateTime::UNIX_EPOCH).word, Word::Resolved);
        assert_eq!(of("mains: back").word, Word::Firing);
    }

    #[test]
    fn what_begins_and_what_ends_are_about_the_same() {
        for (begins, ends) in [
            ("[PROBLEM] disk of db1 full", "[OK] disk of db1 full"),
            ("PROBLEM: disk of db1 full (97%)", "RESOLVED: disk of db1 full (12 %)"),
            ("Host db1 is DOWN", "Re: Host db1 is OK"),
            ("** PROBLEM Service Alert: db1/disk is CRITICAL **", "** RECOVERY Service Alert: db1/disk is OK **"),
            ("Problem: Disk full", "Resolved in 1h 5m: Disk full"),
            ("Monitor is DOWN: example.com", "Monitor is UP: example.com"),
            ("Check_MK: db1/disk OK -> CRIT", "Check_MK: db1/disk CRIT -> OK"),
            ("[Triggered] CPU on host:db1", "[Recovered] CPU on host:db1"),
            ("[FIRING:1] DiskFull (db1)", "[RESOLVED] DiskFull (db1)"),
            ("ALARM: \"disk-db1\" in US East", "OK: \"disk-db1\" in US East"),
            ("磁盘满 告警", "磁盘满 恢复"),
            ("磁盘满告警", "磁盘满已恢复"),
            ("【告警】磁盘满", "【恢复】磁盘满"),
            ("UPS alarm 2026-11-28 11:00", "UPS alarm resolved 2026-11-28 11:09"),
        ] {
            assert_eq!(of(begins).key, of(ends).key, "{begins} / {ends}");
            assert!(of(begins).key.is_some(), "{begins}");
        }
        for (one, other) in [
            ("disk of db1 full", "disk of db2 full"),
            ("10.0.0.1 is DOWN", "10.0.0.2 is OK"),
            ("10.0.0.1:9100 is DOWN", "10.0.0.2:9100 is DOWN"),
            ("[db1] disk full", "[db2] disk full OK"),
        ] {
            assert_ne!(of(one).key, of(other).key, "{one} / {other}");
        }
        assert_eq!(of("disk of DB1 full").key.as_deref(), Some("disk of db1 full"));
        assert_eq!((of("[OK] 12:00").key, of("").key), (None, None));
        let letter = Letter { subject: "x".to_owned(), ..Letter::default() };
        assert_eq!(signal(&letter, Some("own"), &usual(), DateTime::UNIX_EPOCH).key.as_deref(), Some("own"));
    }

    #[test]
    fn how_urgent_it_is() {
        assert_eq!(of("[CRITICAL] disk").priority, Some(Priority::Critical));
        assert_eq!((of("紧急：磁盘满").priority, of("disk").priority), (Some(Priority::Critical), None));
        let letter = Letter { subject: "disk".to_owned(), important: true, ..Letter::default() };
        assert_eq!(signal(&letter, None, &usual(), DateTime::UNIX_EPOCH).priority, Some(Priority::High));
    }

    #[test]
    fn a_clock_that_nobody_has_set_is_not_believed() {
        let now = DateTime::from_timestamp(1_795_834_800, 0).unwrap();
        let at = |ago: TimeDelta| {
            let letter = Letter { subject: "x".to_owned(), at: Some(now - ago), ..Letter::default() };
            signal(&letter, None, &usual(), now).at
        };
        assert_eq!(at(TimeDelta::hours(3)), Some(now - TimeDelta::hours(3)));
        assert_eq!((at(TimeDelta::hours(25)), at(TimeDelta::minutes(-6))), (None, None));
    }

    #[test]
    fn a_letter_without_a_subject_is_called_by_its_text() {
        assert_eq!((of("").summary.as_str(), of(" \u{200b} ").summary.as_str()), ("Load 40 %", "Load 40 %"));
        let letter = Letter { subject: "Undelivered".to_owned(), automatic: Some("it goes round"), ..Letter::default() };
        assert_eq!(signal(&letter, None, &usual(), DateTime::UNIX_EPOCH).word, Word::Ignored("it goes round"));
    }

    proptest! {
        #[test]
        fn no_subject_is_too_odd(subject in "\\PC*") {
            let read = of(&subject);
            prop_assert!(read.key.is_none_or(|key| !visible::is_blank(&key)));
        }

        #[test]
        fn numbers_do_not_make_it_another_thing(before in 0..10_000u32, after in 0..10_000u32) {
            prop_assert_eq!(of(&format!("Temperature {before} C high")).key, of(&format!("Temperature {after} C high")).key);
        }
    }
}
