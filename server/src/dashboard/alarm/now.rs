//! *Now*: what is wrong, who is being rung at this moment, and how the last alarms ended.

use askama::Template;
use chrono::TimeDelta;

use super::health::Health;
use super::ladder::{self, Flights, Known};
use super::overview::first_steps;
use super::read::{Board, Finished, OpenHunt, Week};
use super::standing;
use super::trouble::{self, Trouble};
use crate::alarm::AnswerVia;
use crate::alarm::{AlarmState, EndReason, Priority, Verdict};
use crate::dashboard::frame::page::{Part, Sight, ago, at, at_second, duration, since};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, escape, fill, fill_text, isolated};
use crate::dashboard::query::asked;
use crate::engine::watch::handsets::TEST_CALLS;
use crate::roster::evaluate::FORESIGHT;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::duty::log::LoggedPerson;

/// What was just done, when the address says so.
pub(in crate::dashboard) fn done_words(words: &'static Words, query: Option<&str>) -> Option<&'static str> {
    match &*asked(query?, "done")? {
        "acknowledged" => Some(&words.done_acknowledged),
        "shout_sent" => Some(&words.done_shout_sent),
        "shout_to_me" => Some(&words.done_shout_to_me),
        "shout_taken_back" => Some(&words.done_shout_taken_back),
        "cancelled" => Some(&words.done_cancelled),
        "redialled" => Some(&words.done_redialled),
        "renamed" => Some(&words.done_renamed),
        "channels" => Some(&words.done_channels),
        "disabled" => Some(&words.done_disabled),
        "enabled" => Some(&words.done_enabled),
        "allowed" => Some(&words.done_allowed),
        "testing" => Some(&words.done_testing),
        "skipped" => Some(&words.done_skipped),
        "escalated" => Some(&words.done_escalated),
        "snoozed" => Some(&words.done_snoozed),
        "noted" => Some(&words.done_noted),
        "false_marked" => Some(&words.done_marked_false),
        "false_taken_back" => Some(&words.done_not_false),
        "inbound" => Some(&words.done_inbound),
        "hung_up" => Some(&words.done_hung_up),
        "said" => Some(&words.done_said),
        "declined" => Some(&words.own_declined),
        "gave_back" => Some(&words.own_given_back),
        "called" => Some(&words.done_called),
        "policy_set" => Some(&words.done_policy_set),
        "handed_over" => Some(&words.done_handed_over),
        "window_ended" => Some(&words.done_window_ended),
        "saved" => Some(&words.done_saved),
        "removed" => Some(&words.done_removed),
        "revoked" => Some(&words.done_revoked),
        "narrowed" => Some(&words.done_narrowed),
        "feed" => Some(&words.done_feed_revoked),
        "ringing_me" => Some(&words.done_ringing_me),
        "reading" => Some(&words.done_reading),
        "role" => Some(&words.done_role),
        "user_disabled" => Some(&words.done_user_disabled),
        "user_enabled" => Some(&words.done_user_enabled),
        "password" => Some(&words.done_password),
        "code_used" => Some(&words.done_code_used),
        "factor_removed" => Some(&words.done_factor_removed),
        "factor_reset" => Some(&words.done_factor_reset),
        "session_ended" => Some(&words.done_session_ended),
        "team_role" => Some(&words.done_role),
        "connected" => Some(&words.done_connected),
        "disconnected" => Some(&words.done_disconnected),
        _ => None,
    }
}

/// What is on the page at this moment. `open`: how the open alarms are shown, and below them what is wrong and does not keep anybody from
/// being rung.
pub(in crate::dashboard) fn sight(reader: &Reader, board: &Board, open: impl FnOnce(Vec<Trouble>) -> Part) -> Sight {
    let words = reader.words;
    // Every open alarm counts, also where one call is about several.
    let alarms = |rings: bool| -> usize {
        let hunts = board.open.iter().filter(|hunt| hunt.ringing.is_empty() != rings);
        hunts.map(|hunt| hunt.alarms.len()).sum()
    };
    let (ringing, waiting) = (alarms(true), alarms(false) + usize::try_from(board.more_open).unwrap_or(0));
    let of = |sentence: &str, count: usize| fill_text(sentence, &[("count", &count.to_string())]);
    let title = match (ringing, waiting) {
        (0, 0) => words.nav_now.clone(),
        (0, waiting) => of(&words.title_waiting, waiting),
        (ringing, 0) => of(&words.title_ringing, ringing),
        (ringing, waiting) => {
            format!("{}{}{}", of(&words.title_ringing, ringing), words.list_comma, of(&words.title_waiting, waiting))
        }
    };
    let mut troubles = trouble::all(reader, board);
    // While somebody is rung, that stands above whatever does not keep it from ringing.
    let below =
        if board.open.is_empty() { Vec::new() } else { troubles.extract_if(.., |trouble| !trouble.stops_ringing).collect() };
    let parts = vec![
        Part::new("trouble", &TroublePart { words, troubles }),
        open(below),
        Part::new("facts", &FactsPart { words, facts: facts(reader, board) }),
        Part::new("finished", &finished_part(reader, board)),
    ];
    Sight { title, parts }
}

/// What is on the page while the database is away; the rest stays as it was.
pub(in crate::dashboard) fn sight_away(reader: &Reader) -> Sight {
    let troubles = trouble::database_away(reader);
    let part = Part::new("trouble", &TroublePart { words: reader.words, troubles });
    Sight { title: reader.words.title_away.clone(), parts: vec![part] }
}

#[derive(Template)]
#[template(path = "alarm/part_trouble.html")]
pub(in crate::dashboard) struct TroublePart {
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) troubles: Vec<Trouble>,
}

#[derive(Template)]
#[template(path = "alarm/part_open.html")]
struct OpenPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    cards: Vec<Card>,
    heading: &'static str,
    ringing: String,
    more: Option<String>,
    /// No alarm was ever raised.
    never: bool,
    last: Option<String>,
    /// What is still to be done on a new server; HTML.
    steps: Option<String>,
    /// The command that raises the first alarm.
    example: String,
    /// What is wrong beside, and does not keep anybody from being rung.
    troubles: Vec<Trouble>,
}

/// One open hunt.
struct Card {
    id: String,
    /// The confirmed answer that stands on the card; empty where nobody has it.
    seen: String,
    summary: String,
    rings: bool,
    /// Counts up since the hunt began.
    clock: String,
    /// Priority, source, when; HTML.
    meta: String,
    others: Vec<(String, String)>,
    /// The step of its policy, as HTML.
    place: Option<String>,
    ladder: Flights,
    /// Nobody is being rung: why, as HTML.
    waits: Vec<String>,
    /// The reader acts on all of its alarms.
    acts: bool,
}

/// The open alarms as most want them: a card for each.
pub(in crate::dashboard) fn cards(reader: &Reader, board: &Board, troubles: Vec<Trouble>) -> Part {
    Part::new("open", &open_part(reader, board, troubles))
}

fn open_part<'r>(reader: &'r Reader, board: &Board, troubles: Vec<Trouble>) -> OpenPart<'r> {
    let words = reader.words;
    let ringing = board.open.iter().filter(|hunt| !hunt.ringing.is_empty()).count();
    let more = (board.more_open > 0).then(|| fill_text(&words.open_more, &[("count", &board.more_open.to_string())]));
    let last = board.finished.first().map(|finished| last_words(reader, finished));
    OpenPart {
        reader,
        words,
        cards: board.open.iter().filter_map(|hunt| card(reader, hunt)).collect(),
        heading: if ringing > 0 { &words.open_heading } else { &words.open_heading_waiting },
        ringing: match ringing {
            0 => fill_text(&words.title_waiting, &[("count", &board.open.len().to_string())]),
            ringing => fill_text(&words.open_count, &[("count", &ringing.to_string())]),
        },
        more,
        never: board.open.is_empty() && board.finished.is_empty(),
        last,
        steps: board.first_steps.map(|steps| first_steps::checklist(reader, &steps)),
        example: first_steps::first_alarm(reader),
        troubles,
    }
}

fn last_words(reader: &Reader, finished: &Finished) -> String {
    let when = at(finished.alarm.raised_at);
    let bits = [("summary", Text(&finished.alarm.summary)), ("at", Html(&when))];
    fill(&reader.words.quiet_last, &bits)
}

fn card(reader: &Reader, hunt: &OpenHunt) -> Option<Card> {
    let (first, others) = hunt.alarms.split_first()?;
    let reader = &*reader.on_alarms(&hunt.teams);
    let rings = !hunt.ringing.is_empty();
    let known = Known {
        rungs: &hunt.rungs,
        ringing: &hunt.ringing,
        answers: &hunt.answers,
        steps: &hunt.steps,
        standing: Some(&hunt.standing),
    };
    let mut waits = hunt.standing.waits(reader);
    if let (true, Some(until)) = (!rings, first.held_until) {
        waits = vec![fill(&reader.words.held_until, &[("at", Html(&at(until)))])];
    }
    if waits.is_empty() && !rings {
        waits.push(match hunt.rungs.iter().any(|rung| rung.attempts > 0) {
            true => escape(&reader.words.open_pause),
            false => escape(&reader.words.open_waits),
        });
    }
    Some(Card {
        id: first.id.to_string(),
        seen: hunt.seen(),
        summary: first.summary.clone(),
        rings,
        clock: since(first.hunt_created_at),
        meta: meta(reader.words, first),
        others: others.iter().map(|alarm| (alarm.id.to_string(), alarm.summary.clone())).collect(),
        place: hunt.standing.place_words(reader),
        ladder: ladder::ladder(reader, &known, None),
        waits,
        acts: reader.responds(),
    })
}

/// Priority, source, repeats and when, as HTML.
pub(in crate::dashboard) fn meta(words: &Words, alarm: &AlarmRow) -> String {
    let mut pieces = vec![priority(words, alarm.priority)];
    if alarm.dry_run {
        pieces.push(format!("<b>{}</b>", escape(&words.dry_run)));
    }
    pieces.push(isolated(source(words, alarm)));
    if alarm.repeats > 0 {
        pieces.push(fill(&words.repeats, &[("count", Text(&alarm.repeats.to_string()))]));
    }
    pieces.push(fill(&words.raised_at, &[("at", Html(&at_second(alarm.raised_at)))]));
    pieces.join(" · ")
}

/// What its sender calls itself; test calls are ours.
pub(in crate::dashboard) fn source<'w>(words: &'w Words, alarm: &'w AlarmRow) -> &'w str {
    match alarm.source.as_str() {
        TEST_CALLS => &words.test_call,
        "" => &words.source_none,
        source => source,
    }
}

fn priority(words: &Words, priority: Priority) -> String {
    format!(r#"<span class="priority {}">{}</span>"#, priority.as_str(), escape(words.priority(priority)))
}

#[derive(Template)]
#[template(path = "alarm/part_facts.html")]
struct FactsPart {
    words: &'static Words,
    facts: Vec<Fact>,
}

struct Fact {
    label: &'static str,
    value: String,
    /// HTML.
    small: String,
    link: Option<(&'static str, &'static str)>,
    calm: bool,
}

fn facts(reader: &Reader, board: &Board) -> Vec<Fact> {
    let words = reader.words;
    let mut facts: Vec<Fact> = duty_fact(words, board).into_iter().collect();
    facts.extend([handsets_fact(reader, board), week_fact(words, board.week)]);
    if !board.knocks.is_empty() && reader.administers() {
        facts.push(Fact {
            label: &words.fact_knocks,
            value: fill_text(&words.fact_knocks_count, &[("count", &board.knocks.len().to_string())]),
            small: String::new(),
            link: Some(("/handsets#knocks", &words.fact_knocks_link)),
            calm: true,
        });
    }
    facts
}

/// Who is on duty now; nothing without a schedule.
fn duty_fact(words: &'static Words, board: &Board) -> Option<Fact> {
    if board.duties.is_empty() {
        return None;
    }
    let names = |people: &[LoggedPerson]| match people {
        [] => words.roster_nobody.clone(),
        people => people.iter().map(|own| own.name.clone()).collect::<Vec<_>>().join(&words.list_comma),
    };
    let all: Vec<LoggedPerson> = board.duties.iter().flat_map(|duty| duty.people.0.clone()).collect();
    let mut each: Vec<LoggedPerson> = Vec::new();
    for own in all {
        if !each.iter().any(|known| known.person == own.person) {
            each.push(own);
        }
    }
    let lines = board.duties.iter().take(8).map(|duty| {
        let (people, until) = (names(&duty.people.0), at(duty.log_due_at));
        // Where no hand-over is in sight, the log only looks again then.
        let endless = duty.log_due_at - board.now > FORESIGHT - TimeDelta::days(7);
        let sentence = if endless { &words.fact_duty_endless } else { &words.fact_duty_line };
        fill(sentence, &[("name", Text(&duty.name)), ("people", Text(&people)), ("at", Html(&until))])
    });
    Some(Fact {
        label: &words.fact_duty,
        value: names(&each),
        small: lines.collect::<Vec<_>>().join("<br>"),
        link: Some(("/roster", &words.fact_duty_link)),
        calm: board.duties.iter().all(|duty| duty.gaps_allowed || !duty.people.0.is_empty()),
    })
}

fn handsets_fact(reader: &Reader, board: &Board) -> Fact {
    let words = reader.words;
    let healths = board.handsets.iter().map(|handset| (handset, board.health(handset)));
    let used: Vec<_> = healths.filter(|(_, health)| health.counts()).collect();
    if used.is_empty() {
        return Fact {
            label: &words.nav_handsets,
            value: words.fact_no_handset.clone(),
            small: escape(&words.fact_no_handset_why),
            link: Some(("/handsets#add", &words.fact_no_handset_link)),
            calm: false,
        };
    }
    let serving = used.iter().filter(|(_, health)| health.serves()).count();
    let lines = used.iter().take(6).map(|(handset, health)| {
        let seen = handset.last_seen_at.map(ago).unwrap_or_default();
        let sentence = match health {
            Health::InDial => &words.fact_handset_busy,
            Health::NeverPolled => &words.fact_handset_never,
            health if health.serves() => &words.fact_handset_seen,
            _ => &words.fact_handset_silent,
        };
        fill(sentence, &[("name", Text(&handset.name)), ("since", Html(&seen))])
    });
    Fact {
        label: &words.nav_handsets,
        value: fill_text(&words.fact_handsets, &[("count", &serving.to_string()), ("all", &used.len().to_string())]),
        small: lines.collect::<Vec<_>>().join("<br>"),
        link: None,
        calm: serving == used.len(),
    }
}

fn week_fact(words: &'static Words, week: Week) -> Fact {
    let all = week.answered + week.unanswered;
    let (value, small) = match week.median_seconds {
        _ if all == 0 => (words.fact_week_none.clone(), String::new()),
        None => (
            words.fact_week_nobody.clone(),
            fill(&words.fact_week_count, &[("count", Text("0")), ("all", Text(&all.to_string()))]),
        ),
        Some(median) => (
            fill_text(&words.fact_week_median, &[("time", &duration(words, median))]),
            [
                escape(&words.fact_week_how),
                fill(&words.fact_week_count, &[("count", Text(&week.answered.to_string())), ("all", Text(&all.to_string()))]),
            ]
            .join(" · "),
        ),
    };
    Fact { label: &words.fact_week, value, small, link: None, calm: week.unanswered == 0 }
}

#[derive(Template)]
#[template(path = "alarm/part_finished.html")]
struct FinishedPart {
    words: &'static Words,
    lines: Vec<Line>,
    more: bool,
}

/// One finished alarm.
pub(in crate::dashboard) struct Line {
    pub(in crate::dashboard) id: String,
    /// HTML.
    pub(in crate::dashboard) when: String,
    pub(in crate::dashboard) summary: String,
    pub(in crate::dashboard) who: String,
    /// Nobody was reached.
    pub(in crate::dashboard) nobody: bool,
    /// How; HTML.
    pub(in crate::dashboard) how: String,
    /// The class and the word of how it ended.
    pub(in crate::dashboard) tags: Vec<(&'static str, &'static str)>,
}

fn finished_part(reader: &Reader, board: &Board) -> FinishedPart {
    let lines: Vec<Line> = board.finished.iter().map(|finished| line(reader, finished)).collect();
    FinishedPart { words: reader.words, more: lines.len() >= 20, lines }
}

/// A finished alarm in one line.
pub(in crate::dashboard) fn line(reader: &Reader, finished: &Finished) -> Line {
    let words = reader.words;
    let alarm = &finished.alarm;
    let state = alarm.state();
    let (who, nobody, mut how) = match &finished.answer {
        Some(answer) => (reader.name(&answer.name), false, how_answered(reader, finished, answer)),
        None if state == AlarmState::NoAnswer => (words.nobody.clone(), true, how_unanswered(reader, finished)),
        None => (String::new(), false, how_unanswered(reader, finished)),
    };
    if let Some(again) = standing::rings_again(reader, alarm) {
        how = format!("{how} · {again}");
    }
    Line {
        id: alarm.id.to_string(),
        when: at(alarm.raised_at),
        summary: alarm.summary.clone(),
        who,
        nobody,
        how,
        tags: tags(words, finished),
    }
}

fn tags(words: &'static Words, finished: &Finished) -> Vec<(&'static str, &'static str)> {
    let mut tags = Vec::new();
    match &finished.answer {
        Some(answer) if answer.confirmed_at.is_some() => tags.push(("confirmed", words.confirmed.as_str())),
        Some(_) => tags.push(("answered", words.answered_only.as_str())),
        None => {}
    }
    match finished.alarm.state() {
        AlarmState::NoAnswer if finished.alarm.end_reason == Some(EndReason::AllDeclined) => {
            tags.push(("bad", words.rung_declined.as_str()));
        }
        AlarmState::NoAnswer => tags.push(("bad", words.no_answer.as_str())),
        AlarmState::Waiting => tags.push(("waiting", words.state_waiting.as_str())),
        AlarmState::Ringing => tags.push(("now", words.state_ringing.as_str())),
        AlarmState::Cancelled => tags.push(("plain", words.cancelled.as_str())),
        AlarmState::Resolved => tags.push(("plain", words.resolved.as_str())),
        AlarmState::Answered => {}
    }
    if finished.alarm.dry_run {
        tags.push(("plain", words.dry_run.as_str()));
    }
    tags
}

/// "answered after 38 s · try 1 · “desk” · after 张伟": HTML.
pub(in crate::dashboard) fn how_answered(reader: &Reader, finished: &Finished, answer: &AnswerRow) -> String {
    let words = reader.words;
    let after = duration(words, (answer.at - finished.alarm.hunt_created_at).num_seconds());
    let sentence = if answer.mid.is_some() { &words.answered_after } else { &words.taken_after };
    let mut pieces = vec![fill(sentence, &[("time", Text(&after))])];
    // A handset is named below.
    if answer.via != AnswerVia::Handset {
        pieces.push(escape(via_words(words, answer.via)));
    }
    if let (Some(attempt), true) = (answer.attempt, answer.mid.is_some()) {
        pieces.push(fill(&words.at_try, &[("count", Text(&attempt.to_string()))]));
    }
    if let Some(handset) = &finished.handset {
        pieces.push(fill(&words.through, &[("handset", Text(handset))]));
    }
    let before = finished.rungs.iter().filter(|rung| rung.attempts > 0 && Some(rung.id) != answer.callee_id);
    let before: Vec<String> = before.take(4).map(|rung| reader.name(rung.name.as_deref().unwrap_or(&rung.number))).collect();
    if !before.is_empty() {
        let names = before.join(words.list_comma.as_str());
        pieces.push(fill(&words.after_others, &[("names", Text(&names))]));
    }
    pieces.join(" · ")
}

/// How word of an answer came.
pub(in crate::dashboard) fn via_words(words: &Words, via: AnswerVia) -> &str {
    match via {
        AnswerVia::Handset => &words.via_handset,
        AnswerVia::Api => &words.via_api,
        AnswerVia::Page => &words.via_page,
        AnswerVia::Link => &words.via_link,
        AnswerVia::Sms => &words.via_sms,
        AnswerVia::CommandLine => &words.by_command_line,
    }
}

fn how_unanswered(reader: &Reader, finished: &Finished) -> String {
    let words = reader.words;
    let why = why_unanswered(words, finished);
    // Whoever picked up and then said no is no voicemail.
    let refused = |answer: &AnswerRow| {
        let own = finished.rungs.iter().find(|rung| Some(rung.id) == answer.callee_id);
        own.is_some_and(|rung| matches!(rung.verdict, Some(Verdict::Declined | Verdict::Skipped)))
    };
    match finished.lapsed.as_ref().filter(|answer| !refused(answer)) {
        Some(answer) => {
            let lapsed = fill(&words.lapsed_by, &[("who", Text(&reader.name(&answer.name)))]);
            format!("{lapsed} · {why}")
        }
        None => why,
    }
}

fn why_unanswered(words: &Words, finished: &Finished) -> String {
    let rung: Vec<_> = finished.rungs.iter().filter(|rung| rung.attempts > 0).collect();
    let calls: i32 = rung.iter().map(|rung| rung.attempts).sum();
    match finished.alarm.end_reason {
        Some(EndReason::NoHandset) => escape(&words.why_no_handset),
        Some(EndReason::NoReport) => escape(&words.why_no_report),
        Some(EndReason::AllDeclined) => escape(&words.why_all_declined),
        Some(EndReason::NobodyToRing) => escape(&words.why_nobody_to_ring),
        Some(EndReason::HandOutLimit) => escape(&words.why_hand_out_limit),
        _ if calls == 0 => escape(&words.nobody_rung),
        _ => fill(&words.calls_to, &[("calls", Text(&calls.to_string())), ("people", Text(&rung.len().to_string()))]),
    }
}
