//! Whether a subject says that something is over: only when it is written as a known sender writes that. In doubt it is not: who is rung
//! for nothing can say so, and who is not rung cannot.

/// Words by which something is over.
pub const OVER: &[&str] =
    &["resolved", "recovered", "recovery", "ok", "恢复", "恢復", "復旧", "resuelto", "resuelta", "recuperado", "recuperada"];

/// What stands in front, before what it is about: nothing else can be meant, whatever that is called. `W`: a word by which it is over;
/// `UP`: that in capitals; `T`: how long it took; `N`: a number; `*`: anything; `X`: one word; the others as they are.
const IN_FRONT: &[&str] = &[
    // Alertmanager, Grafana, Icinga 2, Datadog, and many a script.
    "[ W ] *",
    "[ W : N ] *",
    "[ UP ] *",
    "( W ) *",
    // CloudWatch, Azure, Zabbix, Better Stack.
    "W : *",
    "W in T : *",
    "W - *",
    // Nagios and Icinga; Pingdom.
    "W service alert : *",
    "W host alert : *",
    "CAPITALS alert : *",
    // UptimeRobot, StatusCake, Pingdom.
    "monitor is UP : *",
    "site UP : *",
    "website UP : *",
];

/// What stands behind what it is about, or between. `B`: a word by which something is wrong; `G`: a word that ends with one by which it is
/// over, in a language without blanks; `→`: an arrow.
const BEHIND: &[&str] = &[
    "W",
    "* : W",
    "* - W",
    "* [ W ]",
    "* ( W )",
    "* G",
    "* is W",
    "* is W now",
    "* is now W",
    "* is CAPITALS",
    "* is now CAPITALS",
    "* has W",
    "* has been W",
    // Netdata.
    "X W - *",
    // Checkmk, and whoever tells both states.
    "* B → W",
    "* B → UP",
    "[ B ] → [ W ] *",
    "B → W : *",
    "* from B to W *",
    "* from B to UP *",
    // PRTG.
    "[ prtg * ] * UP ( * )",
    "* B ended ( now : UP )",
    // Monit.
    "monit alert - * succeeded X",
];

/// Words by which something is wrong now, as states are called.
const BAD: &[&str] = &[
    "critical",
    "crit",
    "warning",
    "warn",
    "down",
    "unknown",
    "unkn",
    "unreachable",
    "unreach",
    "unavailable",
    "unhealthy",
    "unusual",
    "degraded",
    "offline",
    "alarm",
    "alerting",
    "problem",
    "firing",
    "triggered",
    "failed",
    "failing",
    "failure",
    "error",
];
/// Words by which it goes on, or may.
const GOES_ON: &[&str] = &[
    "still",
    "again",
    "but",
    "partial",
    "partially",
    "partly",
    "ongoing",
    "reopened",
    "recurred",
    "recovering",
    "resolving",
    "progress",
    "started",
    "starting",
    "attempt",
    "attempting",
    "begun",
    "underway",
    "running",
    "needed",
    "required",
    "incomplete",
    "aborted",
    "cancelled",
    "delayed",
    "parcial",
    "parcialmente",
    "todavía",
    "aún",
    "sigue",
    "pero",
    "?",
    "→",
];
/// What stands between two things, of which one may be well and another not.
const JOINS: &[&str] = &[
    ",", "!", "&", "and", "plus", "or", "with", "while", "whereas", "though", "although", "however", "y", "e", "et", "und",
    "mientras", "aunque",
];
/// The same where no blanks stand between words, anywhere in one.
const JOINS_GLUED: &[&str] = &["和", "与", "與", "及", "且", "而", "と", "だが"];
/// In front it ends something, but it is the name of a job as well.
const JOB: &str = "recovery";
/// Words that deny, or leave it open.
const DENIES: &[&str] = &[
    "please",
    "verify",
    "ensure",
    "confirm",
    "sure",
    "nobody",
    "not",
    "no",
    "never",
    "non",
    "none",
    "neither",
    "nor",
    "nothing",
    "without",
    "cannot",
    "can't",
    "couldn't",
    "isn't",
    "wasn't",
    "hasn't",
    "won't",
    "didn't",
    "doesn't",
    "unable",
    "failed",
    "fails",
    "failing",
    "yet",
    "longer",
    "hardly",
    "barely",
    "nearly",
    "almost",
    "only",
    "until",
    "unless",
    "whether",
    "if",
    "when",
    "may",
    "might",
    "could",
    "would",
    "should",
    "will",
    "expected",
    "waiting",
    "pending",
    "false",
    "previous",
    "previously",
    "except",
    "excluding",
    "former",
    "formerly",
    "before",
    "last",
    "sin",
    "nunca",
    "casi",
    "nicht",
    "kein",
    "keine",
    "pas",
    "jamais",
    "não",
];
/// The same where no blanks stand between words, anywhere in one.
const DENIES_GLUED: &[&str] = &[
    "未", "没", "沒", "不", "无", "無", "尚", "否", "仍", "待", "若", "如果", "请", "預", "预", "将", "將", "失败", "失敗",
    "异常", "異常", "せん", "ない", "なし", "予定", "除", "まだ",
];
const GOES_ON_GLUED: &[&str] = &[
    "正在",
    "进行中",
    "開始",
    "开始",
    "需要",
    "部分",
    "一部",
    "再次",
    "再発",
    "仍",
    "尚未",
    "恢复中",
    "復旧中",
    "恢復中",
    "ません",
];
/// They stand before a word by which it is over, glued to it, and change nothing.
const STEMS: &[&str] =
    &["告警", "告警已", "报警", "报警已", "警報", "故障", "故障已", "障害", "障害が", "障害は", "已", "已经", "已經"];
/// They stand behind one.
const TAILS: &[&str] = &["", "了", "正常", "通知", "しました", "いたしました", "致しました", "済み", "のお知らせ"];
/// What is put in front of a subject that is sent on.
pub(super) const SENT_ON: &[&str] = &["re", "fw", "fwd", "aw", "wg", "rv", "回复", "答复", "转发", "回覆", "轉寄", "返信"];
/// A subject of more words is not one that a known sender writes.
const MOST_WORDS: usize = 60;

/// Whether a subject says that it is over, by these words.
pub(super) fn is_over(subject: &str, over: &[String]) -> bool {
    let over: Vec<String> = over.iter().map(|word| word.to_lowercase()).collect();
    let said = said(subject);
    let mut rest = said.as_slice();
    if rest.len() > MOST_WORDS {
        return false;
    }
    while let [first, colon, after @ ..] = rest
        && colon == ":"
        && SENT_ON.contains(&first.to_lowercase().as_str())
    {
        rest = after;
    }
    // A sender may put its own name in brackets in front.
    let mut names: Vec<&str> = Vec::new();
    for _ in 0..3 {
        let read = |form: &&str| {
            let mut found = Found::default();
            let form: Vec<&str> = form.split(' ').collect();
            fits(&form, rest, &over, &mut found).then_some(found)
        };
        let calm = |name: &&str| !is_doubtful(name) && !is_bad(name);
        let may = names.iter().all(calm);
        let in_front = || IN_FRONT.iter().filter_map(read).any(|found| found.holds_in_front(&over));
        let behind = || BEHIND.iter().filter_map(read).any(|found| found.holds_behind());
        if may && (in_front() || (!begins_bad(rest) && behind())) {
            return true;
        }
        let Some(([open, name @ ..], [_, after @ ..])) =
            rest.iter().position(|word| word == "]").and_then(|close| rest.split_at_checked(close))
        else {
            return false;
        };
        if open != "[" {
            return false;
        }
        names.extend(name.iter().map(String::as_str));
        rest = after;
    }
    false
}

/// A subject as words and the marks between them, each mark a word, and all marks of a kind alike.
fn said(subject: &str) -> Vec<String> {
    const ARROWS: [&str; 9] = ["-->", "==>", "->", "=>", "⇒", "➜", "➔", "⟶", "⇨"];
    let subject = ARROWS.iter().fold(subject.replace('\u{2019}', "'"), |subject, arrow| subject.replace(arrow, "→"));
    let mut spaced = String::with_capacity(subject.len() * 2);
    for c in subject.chars() {
        let mark = match c {
            '[' | '【' | '［' => '[',
            ']' | '】' | '］' => ']',
            '(' | '（' => '(',
            ')' | '）' => ')',
            ':' | '：' | '|' | '｜' => ':',
            ',' | '，' | '、' | ';' | '；' => ',',
            '!' | '！' | '。' => '!',
            '?' | '？' => '?',
            '→' => '→',
            '&' | '＆' | '+' | '＋' => '&',
            '"' | '/' | '“' | '”' | '「' | '」' | '《' | '》' | '*' | '#' | '{' | '}' => ' ',
            other => {
                spaced.push(other);
                continue;
            }
        };
        spaced.extend([' ', mark, ' ']);
    }
    let word = |word: &str| match word {
        "[" | "]" | "(" | ")" | ":" | "," | "!" | "?" | "→" | "&" => word.to_owned(),
        "-" | "--" | "–" | "—" => "-".to_owned(),
        other => other.trim_matches(|c: char| !c.is_alphanumeric() && c != '%').to_owned(),
    };
    let mut words: Vec<String> = Vec::new();
    for own in spaced.split_whitespace() {
        words.extend(Some(word(own)).filter(|word| !word.is_empty()));
        // A sentence ends, as in `Disk full. CPU is OK`.
        if own.len() > 2 && own.ends_with('.') {
            words.push("!".to_owned());
        }
    }
    while words.last().is_some_and(|last| last == "!") {
        words.pop();
    }
    words
}

/// What stands in the places of a form.
#[derive(Clone, Default)]
struct Found<'s> {
    /// The word by which it is over.
    word: Option<&'s str>,
    /// What stands before it.
    before: Vec<&'s str>,
    /// What stands behind it.
    behind: Vec<&'s str>,
    /// Whether the state before is told as well, as in `CRIT -> OK`.
    tells_both: bool,
}

impl<'s> Found<'s> {
    fn push(&mut self, word: &'s str) {
        match self.word {
            Some(_) => self.behind.push(word),
            None => self.before.push(word),
        }
    }

    /// Whether nothing takes it back. What it is about may be called *not available*, or *disk is critical*.
    fn holds_in_front(&self, over: &[String]) -> bool {
        let lower: Vec<String> = self.behind.iter().map(|word| word.to_lowercase()).collect();
        let is = |place: usize, words: &[&str]| lower.get(place).is_some_and(|own| words.contains(&own.as_str()));
        let all_denied = match lower.as_slice() {
            [only] => {
                DENIES.contains(&only.as_str())
                    || BAD.contains(&only.as_str())
                    || (only.chars().count() <= 3 && is_doubtful(only))
            }
            _ => is(0, &["false", "not", "never", "pending"]) || (is(0, &["no"]) && is(1, &["longer"])),
        };
        let is_undone = |word: &String| is_doubtful(word) && over.iter().any(|own| is_glued(own) && word.contains(own.as_str()));
        let turns = |place: usize| {
            let is_over = |ahead: usize| lower.get(place + ahead).is_some_and(|own| marks(own, over).is_some());
            (is(place, DENIES) && (is_over(1) || is_over(2)))
                || (is(place, &["now", "to", "into", "became", "becomes", "went"]) && is(place + 1, BAD))
        };
        // OK is a state as others are: which of two holds, nobody can know.
        let is_state = self.word.is_none_or(|word| word == "ok" || !OVER.contains(&word));
        // A recovery may be a job, and fail.
        let is_job = self.word == Some(JOB);
        let takes_back = |word: &String| {
            is_undone(word) || goes_on(word) || (is_state && is_bad(word)) || (is_job && (is_bad(word) || is_doubtful(word)))
        };
        !all_denied && !(0..lower.len()).any(turns) && !lower.iter().any(takes_back) && !is_a_part(&lower)
    }

    /// Whether nothing takes it back, nor leaves it open.
    fn holds_behind(&self) -> bool {
        let all: Vec<String> = self.before.iter().chain(&self.behind).map(|word| word.to_lowercase()).collect();
        // One thing is well, and another is not: OK and UP say it of the last one only.
        let is_state = matches!(self.word, Some("ok" | "UP" | "Up"));
        let parts = |word: &&str| is_state && !self.tells_both && *word == ":";
        let is_split = self.before.iter().any(parts)
            || (self.before.iter().any(|word| joins(word)) && (is_state || self.before.iter().any(|word| is_bad(word))));
        let says_bad = |pair: &[&str]| matches!(pair, [mark, bad] if matches!(*mark, ":" | "-" | "[" | "is") && is_bad(bad));
        self.word != Some(JOB)
            && !is_split
            && !self.before.windows(2).any(says_bad)
            && !all.iter().any(|word| is_doubtful(word))
            && !self.behind.iter().any(|word| is_bad(word))
            && !is_a_part(&all)
    }
}

fn is_bad(word: &str) -> bool {
    BAD.contains(&word.to_lowercase().as_str())
}

fn joins(word: &str) -> bool {
    let word = word.to_lowercase();
    JOINS.contains(&word.as_str()) || JOINS_GLUED.iter().any(|glued| word.contains(glued))
}

fn goes_on(word: &str) -> bool {
    GOES_ON.contains(&word) || GOES_ON_GLUED.iter().any(|glued| word.contains(glued))
}

fn is_doubtful(word: &str) -> bool {
    let word = word.to_lowercase();
    goes_on(&word) || DENIES.contains(&word.as_str()) || DENIES_GLUED.iter().any(|glued| word.contains(glued))
}

/// Whether it begins with what is wrong, by itself: `CRITICAL: disk - OK`.
fn begins_bad(said: &[String]) -> bool {
    matches!(said, [first, mark, after @ ..] if is_bad(first) && !after.is_empty() && matches!(mark.as_str(), ":" | "-"))
        || matches!(said, [open, first, close, next, ..] if open == "[" && close == "]" && is_bad(first) && next != "→")
}

/// Whether it is of some of several: `2 of 3`.
fn is_a_part(said: &[String]) -> bool {
    let counts = |word: &String| {
        word.chars().all(|c| c.is_ascii_digit())
            || matches!(word.as_str(), "one" | "two" | "three" | "some" | "most" | "half" | "uno" | "dos")
    };
    said.windows(2).any(|pair| matches!(pair, [many, of] if counts(many) && matches!(of.as_str(), "of" | "out" | "de")))
}

/// The word by which it is over that a word is, where it is one by itself.
fn marks<'o>(word: &str, over: &'o [String]) -> Option<&'o str> {
    let word = word.to_lowercase();
    let exactly = over.iter().find(|own| **own == word);
    exactly
        .map(String::as_str)
        .or_else(|| glued(&word, over).filter(|(before, _)| before.is_empty() || STEMS.contains(before)).map(|(_, own)| own))
}

/// A word that ends with one by which it is over, in a language without blanks: what stands before that, and that.
fn glued<'w, 'o>(word: &'w str, over: &'o [String]) -> Option<(&'w str, &'o str)> {
    let ends = |own: &'o String| {
        TAILS.iter().find_map(|tail| word.strip_suffix(tail)?.strip_suffix(own.as_str())).map(|before| (before, own.as_str()))
    };
    over.iter().filter(|own| is_glued(own)).find_map(ends)
}

/// Whether no blanks stand between words in the language of a word.
fn is_glued(word: &str) -> bool {
    word.chars().any(|c| c >= '\u{2e80}')
}

/// What stands before a word by which it surely is over: `已恢复`, `復旧しました`. Without that it may be a thing to do.
fn surely<'w, 'o>(word: &'w str, over: &'o [String]) -> Option<(&'w str, &'o str)> {
    let (before, own) = glued(word, over)?;
    let done = ["しました", "いたしました", "致しました", "済み"].iter().any(|tail| word.ends_with(tail));
    let named = ["已经", "已經", "已"].iter().find_map(|stem| before.strip_suffix(stem));
    named.or(done.then_some(before)).filter(|named| !named.ends_with('%')).map(|named| (named, own))
}

/// Whether a word says how long something took, as `5m`.
pub(super) fn is_time(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < word.len() && matches!(unit, "y" | "w" | "d" | "h" | "m" | "s" | "ms")
}

/// Whether words fit a form; what stands in its places is then found.
fn fits<'s>(form: &[&str], said: &'s [String], over: &'s [String], found: &mut Found<'s>) -> bool {
    let Some((place, others)) = form.split_first() else { return said.is_empty() };
    if *place == "*" {
        // The fewest words first.
        let before = found.clone();
        for many in 0..=said.len() {
            let Some((own, rest)) = said.split_at_checked(many) else { return false };
            *found = before.clone();
            for word in own {
                found.push(word);
            }
            if fits(others, rest, over, found) {
                return true;
            }
        }
        return false;
    }
    let Some((word, rest)) = said.split_first() else { return false };
    let lower = word.to_lowercase();
    match *place {
        "W" => match marks(word, over) {
            Some(own) => found.word = Some(own),
            None => return false,
        },
        "UP" => match word.as_str() {
            "UP" | "Up" => found.word = Some(word),
            _ => return false,
        },
        "CAPITALS" if word != "UP" => return false,
        "CAPITALS" => found.word = Some(word),
        "G" => match surely(word, over) {
            Some((before, own)) => {
                found.push(before);
                found.word = Some(own);
            }
            None => return false,
        },
        "B" if !is_bad(word) => return false,
        "X" => found.push(word),
        "N" if !word.chars().all(|c| c.is_ascii_digit()) => return false,
        // It took an hour, and five minutes.
        "T" if is_time(&lower) && fits(form, rest, over, found) => return true,
        "T" if !is_time(&lower) => return false,
        "B" => found.tells_both = true,
        "N" | "T" => {}
        exactly if lower != exactly => return false,
        _ => {}
    }
    fits(others, rest, over, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(subject: &str) -> bool {
        let usual: Vec<String> = OVER.iter().map(|word| (*word).to_owned()).collect();
        is_over(subject, &usual)
    }

    /// As senders write it.
    const ENDS: &[&str] = &[
        "** RECOVERY Service Alert: db1/disk is OK **",
        "** RECOVERY Host Alert: db1 is UP **",
        "[RECOVERY] disk on db1 is OK!",
        "Resolved in 5m: Disk full",
        "Resolved in 1d 2h 5m: Linux: Zabbix agent is not available (for 3m)",
        "Resolved: Disk full",
        "[RESOLVED] DiskFull (db1 node critical)",
        "[RESOLVED:2] CRITICAL: disk",
        "[Grafana] [RESOLVED] Backup failed",
        "[OK] High load",
        "Monitor is UP: example.com",
        "[PRTG Network Monitor (NOC)] db1 Ping Up (OK)",
        "[PRTG] db1 Ping Down ended (now: Up)",
        "OK: \"disk-db1\" in US East (N. Virginia)",
        "Check_MK: db1/disk CRIT -> OK",
        "Checkmk: db1 DOWN -> UP",
        "db1 recovered - disk space usage - disk_space._",
        "monit alert --  Connection succeeded www",
        "[Recovered] CPU on host:db1",
        "[Monitor Alert] Recovered: CPU on host:db1",
        "Website Up | example.com",
        "UP alert: example.com is UP",
        "Resolved:Sev3 Azure Monitor Alert cpu on db1",
        "[db1] [✅ Up] 200 - OK",
        "已恢复: 磁盘满",
        "[恢复] 机房温度 25",
        "【恢复】网络不通",
        "【告警恢复】磁盘满",
        "磁盘满已恢复",
        "磁盘满 已恢复",
        "復旧: 回線",
        "【復旧】回線",
        "回線が復旧しました。",
        "障害復旧のお知らせ：回線",
        "Recuperado: disco lleno",
        "RESUELTO: disco de db1 (12 %)",
        "disco lleno - resuelto",
        "disk full - OK",
        "UPS on battery: resolved",
        "disk: CRITICAL -> OK",
        "[CRITICAL] -> [OK] disk",
        "State of db1 changed from CRITICAL to OK",
        "Host db1 is UP",
        "db1 is OK now",
        "Re: resolved",
        "Fwd: [OK] disk",
        "[OK] disk & cpu",
        "OK: R&D server",
        "disk & cpu - recovered",
        "db1: disk: resolved",
        "db1: CRIT -> OK",
        "db1 is OK.",
        "db1 has recovered.",
    ];

    /// In doubt a letter rings.
    const RING: &[&str] = &[
        "disk full",
        "Host changed from OK to Degraded",
        "State changed from CRITICAL to OK to CRITICAL",
        "2 of 3 nodes OK",
        "nodes OK: 2 of 3",
        "Status: 2 of 3 nodes is OK",
        "正在恢复",
        "正在恢复: 磁盘",
        "恢复中",
        "恢复: 失败",
        "恢复: 未完成",
        "已恢复: 否",
        "恢复: 尚未完全恢复",
        "[恢复] 需要人工",
        "Recovery: needed",
        "[OK] -> [CRITICAL]",
        "[OK] → [CRITICAL] disk",
        "OK -> CRITICAL",
        "disk CRIT -> OK -> CRIT",
        "Check_MK: db1/disk OK -> WARN",
        "Not OK",
        "disk: not OK",
        "disk is not OK",
        "db1 isn\u{2019}t OK",
        "Backup not resolved",
        "no longer OK",
        "[OK] no longer",
        "OK: no longer OK",
        "OK count below threshold",
        "OK: disk is CRITICAL",
        "Resolved: false",
        "Resolved: no",
        "Resolved: not yet",
        "Resolved: FAILED",
        "[RESOLVED] now CRITICAL",
        "[RESOLVED] partially: disk",
        "[RESOLVED] disk, but it fires again",
        "[RESOLVED] 1 of 2 disks",
        "[FIRING:1, RESOLVED:2] disk",
        "[CRITICAL] [OK] disk",
        "[not] [RESOLVED] disk",
        "CRITICAL: disk - OK",
        "Host db1 - previous state: OK",
        "Previous state OK, now CRITICAL",
        "disk full & cpu OK",
        "disk is full & cpu is OK",
        "db1 & db2: OK",
        "db1&db2 is UP",
        "disk full + cpu is OK",
        "disk full | cpu is OK",
        "disk full: cpu is OK",
        "db1: disk: OK",
        "disk full plus cpu is OK",
        "disk is full while cpu is OK",
        "Disk full. CPU is OK",
        "Disk full! CPU is OK",
        "Platte voll und CPU is OK",
        "disque plein et CPU is OK",
        "磁盘和CPU - OK",
        "Is it resolved?",
        "disk: resolved?",
        "Unresolved: disk",
        "未恢复",
        "磁盘未恢复",
        "磁盘尚未恢复",
        "请确认是否已恢复",
        "预计今晚已恢复",
        "数据恢复失败",
        "主库无法自动恢复",
        "系统恢复出厂设置",
        "等待 恢复",
        "Recovery failed",
        "Recovery: failed",
        "Recovery: attempt started",
        "復旧していません",
        "復旧できません",
        "回線：一部復旧しました",
        "no recuperado",
        "disco: no recuperado",
        "no se ha resuelto: disco",
        "DNS name db1 could not be resolved",
        "db1 cannot be resolved - DNS",
        "Temperature is up",
        "Heads up: disk full",
        "[PRTG] db1 Ping Up ended (now: Down)",
        "[PRTG] db1 Ping Down (no answer)",
        "Monitor is DOWN: example.com",
        "temperature: critical, fan: OK",
        "db1 down, db2 is OK",
        "db1 is down and db2 is OK",
        "Web: down - database: OK",
        "All nodes except db1: OK",
        "除db1外，其他服务已恢复",
        "80%已恢复",
        "大部分已恢复",
        "db1 recovered - degraded",
        "Waiting until db1 is OK",
        "Only db2 is OK",
        "Recovery: database restore failed",
        "[Recovery] db1 replica failed",
        "Recovery - job did not complete",
        "db1 boot mode: recovery",
        "ESXi db1 - Recovery",
        "Temp: HIGH, Hum: OK",
        "PSU1: Lost, PSU2: OK",
        "UPS on battery, load: OK",
        "Link lost on eth0 and eth1 is OK",
        "db1 timed out, db2 is OK",
        "Please verify that the generator is OK",
        "Make sure db1 is OK",
        "Temperature Is Up",
        "Error Rate Is Now Up",
        "Up Alert: queue length",
        "okay: disk",
        "OKs: 3",
        "tokio broke",
        "",
        "[",
        "]",
        "[OK",
    ];

    #[test]
    fn what_known_senders_write_is_over() {
        for subject in ENDS {
            assert!(ends(subject), "{subject}");
        }
    }

    #[test]
    fn in_doubt_it_is_not_over() {
        for subject in RING {
            assert!(!ends(subject), "{subject}");
        }
    }

    #[test]
    fn own_words_stand_where_the_usual_ones_do() {
        let own = vec!["Back".to_owned()];
        for (subject, over) in [("mains: BACK", true), ("[back] mains", true), ("Back: mains DOWN", false), ("mains back", false)]
        {
            assert_eq!(is_over(subject, &own), over, "{subject}");
        }
        assert!(!is_over("[RESOLVED] disk", &own));
        assert!(!is_over("[RESOLVED] disk", &[]));
    }

    proptest! {
        #[test]
        fn what_is_denied_in_front_is_never_over(
            subject in prop::sample::select(ENDS),
            denial in prop::sample::select(vec![
                "not", "Not", "no longer", "not yet", "cannot be", "failed:", "未", "没有", "尚未", "[not]", "no se ha", "Still not",
                "waiting until", "partially", "2 of 3",
            ]),
        ) {
            let denied = format!("{} {}", denial, subject.trim_start_matches("Re: ").trim_start_matches("Fwd: "));
            prop_assert!(!ends(&denied), "{}", denied);
        }

        #[test]
        fn what_turns_bad_is_never_over(
            subject in prop::sample::select(ENDS),
            turn in prop::sample::select(vec![" -> ", " => ", " → ", ", now ", " changed to ", " but still "]),
            bad in prop::sample::select(BAD),
        ) {
            let turned = format!("{subject}{turn}{}", bad.to_uppercase());
            prop_assert!(!ends(&turned), "{}", turned);
        }

        #[test]
        fn from_good_to_bad_is_never_over(
            good in prop::sample::select(OVER),
            bad in prop::sample::select(BAD),
            form in prop::sample::select(vec![
                "{g} -> {b}",
                "[{g}] -> [{b}]",
                "x: {g} -> {b}",
                "x from {g} to {b}",
                "[{b}] x {g}",
                "{b}: x is {g}",
                "[{g}] x now {b}",
            ]),
        ) {
            let subject = form.replace("{g}", good).replace("{b}", bad);
            prop_assert!(!ends(&subject), "{}", subject);
        }

        #[test]
        fn a_word_alone_among_others_is_never_over(
            before in "[a-z]{1,9}( [a-z]{1,9}){0,4}",
            good in prop::sample::select(OVER),
            after in "[a-z]{1,9}( [a-z]{1,9}){0,4}",
        ) {
            prop_assume!(!before.ends_with("is") && !before.ends_with("has") && !before.ends_with("been"));
            let subject = format!("{before} {good} {after}");
            prop_assert!(!ends(&subject), "{}", subject);
        }

        #[test]
        fn nothing_is_too_odd_nor_too_long(subject in "\\PC*", many in 0..2_000usize) {
            ends(&subject);
            let long = format!("{}: resolved", "OK : [ ".repeat(60 + many));
            prop_assert!(!ends(&long));
        }
    }
}
