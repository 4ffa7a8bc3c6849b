//! What devices say that can only mail, such as a UPS or a switch: the subject says what has happened, and what it is about.

mod data;
pub mod letter;
pub mod session;

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use self::letter::Letter;
use super::{Signal, Word};
use crate::alarm::Priority;
use crate::visible;

/// Words in a subject by which something is over.
pub const OVER: &[&str] = &["resolved", "recovered", "ok", "恢复", "恢復", "復旧", "resuelto", "resuelta"];
/// Words by which something is wrong. Like those by which it is over, they say nothing of which thing it is.
const WRONG: &[&str] = &[
    "problem",
    "alert",
    "alarm",
    "firing",
    "triggered",
    "down",
    "critical",
    "warning",
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
/// Up to four words before one, in the same part of a subject, they turn it round.
const NOT: &[&str] = &[
    "not", "no", "never", "non", "sin", "cannot", "can't", "couldn't", "isn't", "wasn't", "hasn't", "won't", "unable", "failed",
    "yet", "longer",
];
/// The same for what is written without blanks, up to eight characters before.
const NOT_GLUED: &[&str] = &["未", "没", "沒", "不", "无法", "無法"];
/// Words that hold one of those and deny nothing: a UPS, and what is unknown.
const NO_DENIAL: &[&str] = &["不间断", "不斷電", "不間斷", "未知"];
/// Behind a word that is written without blanks they turn it round.
const UNDONE: &[&str] = &["失败", "失敗", "异常", "異常", "报错", "超时", "出厂", "せん", "ない", "なし"];
/// Glued to the end of a word it says that it goes on.
const GOES_ON: &str = "中";
/// What is put in front of a subject that is sent on.
const SENT_ON: &[&str] = &["re", "fw", "fwd", "aw", "wg", "rv", "回复", "答复", "转发", "回覆", "轉寄", "返信"];
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

/// Whether a subject says that it is over. In doubt it does not: who is rung for nothing can say so, and who is not rung cannot.
fn is_over(subject: &str, over: &[String]) -> bool {
    let subject = subject.replace('\u{2019}', "'");
    let over: Vec<String> = over.iter().map(|word| word.to_lowercase()).collect();
    if begins_with(&subject, &over) {
        return true;
    }
    let parts: Vec<Vec<String>> = parts(&subject).map(words).collect();
    parts.iter().enumerate().any(|(part, own)| {
        let later = || parts.iter().skip(part + 1).flatten();
        (0..own.len()).any(|place| ends_it(own, place, later(), &over))
    })
}

/// Whether a subject begins with one of these words by itself: in brackets, or before a colon.
fn begins_with(subject: &str, over: &[String]) -> bool {
    let mut rest = subject.trim().to_lowercase();
    while let Some((first, after)) = rest.split_once([':', '：'])
        && SENT_ON.contains(&first.trim())
    {
        rest = after.trim().to_owned();
    }
    let within = |open: char, close: char| rest.strip_prefix(open)?.split_once(close).map(|(within, _)| within);
    let brackets = within('[', ']').or_else(|| within('【', '】')).or_else(|| within('(', ')'));
    let first = brackets.or_else(|| rest.split_once([':', '：']).map(|(first, _)| first)).unwrap_or_default();
    // As in `[RESOLVED:2]`.
    let first = first.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | ' ' | '#'));
    over.iter().any(|own| own == first.trim())
}

/// A subject cut where another thing begins to be said. Arrows stand within a part.
fn parts(subject: &str) -> impl Iterator<Item = &str> {
    subject.split(|c: char| ":,;!()[]{}【】《》「」（）：，；！。|".contains(c)).flat_map(|part| part.split(" - "))
}

/// Whether a word, in its part of a subject, says that it is over.
fn ends_it<'w>(own: &[String], place: usize, later: impl Iterator<Item = &'w String>, over: &[String]) -> bool {
    let Some((before, [word, after @ ..])) = own.split_at_checked(place) else { return false };
    let denied = before.iter().rev().take(4).any(|word| NOT.contains(&word.as_str()));
    let bad = |word: &String| WRONG.iter().chain(WORST).any(|bad| is_spaced(bad) && word == bad);
    let gets_bad = || after.iter().any(bad) || later.into_iter().any(bad);
    if over.contains(word) && is_spaced(word) {
        return !denied && !gets_bad();
    }
    let glued = over.iter().filter(|own| !is_spaced(own)).find_map(|own| Some((own, word.find(own.as_str())?)));
    let Some((found, at)) = glued else { return false };
    let begins: String =
        before.last().into_iter().flat_map(|word| word.chars()).chain(word.get(..at).unwrap_or_default().chars()).collect();
    let begins = NO_DENIAL.iter().fold(begins, |text, one| text.replace(one, ""));
    let close: String = begins.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
    let ends = word.get(at + found.len()..).unwrap_or_default();
    let behind = after.first().map_or("", String::as_str);
    !denied
        && !NOT_GLUED.iter().any(|not| close.contains(not))
        && !ends.starts_with(GOES_ON)
        && !UNDONE.iter().any(|undone| ends.contains(undone) || behind.contains(undone))
}

/// What a subject is about: without what changes from one letter to the next. `None`: nothing is left.
fn about(subject: &str, over: &[String]) -> Option<String> {
    let over: Vec<String> = over.iter().map(|word| word.to_lowercase()).collect();
    let states: Vec<&str> = over.iter().map(String::as_str).chain(WRONG.iter().copied()).collect();
    let mut left = Vec::new();
    for word in words(subject) {
        let is_state = states.contains(&word.as_str());
        // An address is the name of a machine.
        let is_number = !word.chars().any(char::is_alphabetic) && word.parse::<IpAddr>().is_err();
        if is_state || is_number || (left.is_empty() && SENT_ON.contains(&word.as_str())) {
            continue;
        }
        let bare = states.iter().filter(|state| !is_spaced(state)).fold(word, |word, state| word.replace(*state, ""));
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
    fn words_say_that_it_is_over() {
        for over in [
            "[RESOLVED] disk full",
            "disk full - OK",
            "OK: disk full",
            "磁盘满 恢复",
            "磁盘满已恢复",
            "【恢复】磁盘满",
            "復旧: 回線",
            "Resuelto: disco lleno",
            "disk: CRITICAL -> OK",
            "from CRITICAL to OK",
            "db1 is OK now",
            "Re: resolved",
            "The problem was resolved: db1 disk",
            "RESOLVED: A volume is degraded",
            "Recovered: to many connections",
            "[RESOLVED:2] CRITICAL: disk",
            "disk not mounted - RESOLVED",
            "不间断电源恢复供电",
        ] {
            assert_eq!(of(over).word, Word::Resolved, "{over}");
        }
        for burns in [
            "disk full",
            "disk is not OK",
            "unresolved: disk",
            "OK -> CRITICAL",
            "changed from OK to CRITICAL",
            "磁盘未恢复",
            "磁盘尚未恢复",
            "数据恢复失败",
            "no resuelto",
            "DNS name db1 could not be resolved",
            "Host cannot be resolved",
            "db1 is no longer OK",
            "disk is not yet resolved",
            "RAID could not be recovered",
            "Previous state OK, now CRITICAL",
            "db1 isn\u{2019}t OK",
            "no se ha resuelto: disco",
            "磁盘未能恢复",
            "主库无法自动恢复",
            "服务尚未完全恢复",
            "数据库恢复任务失败",
            "恢复 失败",
            "恢复中",
            "系统恢复出厂设置",
            "復旧していません",
            "復旧できません",
            "tokio broke",
            "",
            "okay",
        ] {
            assert_eq!(of(burns).word, Word::Firing, "{burns}");
        }
        let own = vec!["Back".to_owned()];
        let letter = Letter { subject: "mains BACK".to_owned(), ..Letter::default() };
        assert_eq!(signal(&letter, None, &own, DateTime::UNIX_EPOCH).word, Word::Resolved);
        assert_eq!(of("mains back").word, Word::Firing);
    }

    #[test]
    fn what_begins_and_what_ends_are_about_the_same() {
        for (begins, ends) in [
            ("[PROBLEM] disk of db1 full", "[OK] disk of db1 full"),
            ("PROBLEM: disk of db1 full (97%)", "RESOLVED: disk of db1 full (12 %)"),
            ("Host db1 is DOWN", "Re: Host db1 is OK"),
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
