//! The roster in words: who is on duty and why, what is wrong, and what is wrong with a form; pure but for the reader.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Wrong, lines};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::roster::RosterError;
use crate::kinds::guard::AddressError;
use crate::kinds::words::say;
use crate::roster::changes::swap::{Cannot, Standing};
use crate::roster::check::Finding;
use crate::roster::text::TextError;
use crate::roster::{OnDuty, Reason, Roster, Schedule, evaluate, wall};
use crate::store::duty::sources::SourceRow;

/// At most so many of them are told for one schedule.
const MOST_FINDINGS: usize = 5;

/// Who makes an entry.
pub(in crate::dashboard) fn maker(reader: &Reader) -> &str {
    reader.visitor.as_ref().map_or("", |visitor| visitor.known_as())
}

/// What is wrong with a form, in the reader's language and at the field that is to blame. `fields`: as it was sent.
///
/// # Errors
/// When nothing in it is.
pub(in crate::dashboard) fn wrong(words: &Words, error: &RosterError, fields: &Fields) -> Result<Wrong, Refusal> {
    let sentence = sentence(words, error)?;
    let holds = |field: &&str, name: &str| lines(fields.get(field)).iter().any(|line| line == name);
    let field = match error.first() {
        // Whoever is meant stands in one of these.
        RosterError::NoPerson(name) => {
            ["person", "instead_of", "members", "people"].into_iter().find(|field| holds(field, name)).unwrap_or("person")
        }
        RosterError::BadRotation => "people",
        // The zone of a vacation is asked beside its times.
        RosterError::Text { source: TextError::Zone(_), .. } => "zone",
        RosterError::Text { source: TextError::Every(_), .. } => "every",
        RosterError::Text { source: TextError::Window(_), .. } => "active",
        RosterError::BadLayer => "layer",
        // The pages ask for times under shorter names.
        error => match error.field() {
            "starts_at" | "changes_at" => "from",
            "ends_at" => "to",
            "back_starts_at" => "back_from",
            "back_ends_at" => "back_to",
            field => field,
        },
    };
    Ok(Wrong::new(field, sentence))
}

/// What is wrong with a form, in the reader's language.
fn sentence(words: &Words, error: &RosterError) -> Result<String, Refusal> {
    Ok(match error.first() {
        RosterError::BadName | RosterError::BadLayer => words.roster_bad_name.clone(),
        RosterError::NameTaken(name) => fill_text(&words.person_name_taken, &[("name", name)]),
        RosterError::NoPerson(name) => fill_text(&words.roster_no_person, &[("name", name)]),
        RosterError::NoTeam(name) => fill_text(&words.roster_no_team, &[("name", name)]),
        RosterError::Text { source, .. } => match source {
            TextError::Every(own) => fill_text(&words.roster_bad_every, &[("text", own)]),
            TextError::Window(own) => fill_text(&words.roster_bad_window, &[("text", own)]),
            TextError::Time(own) => fill_text(&words.roster_bad_time, &[("text", own)]),
            TextError::Zone(own) => fill_text(&words.roster_bad_zone, &[("text", own)]),
        },
        RosterError::EndsFirst => words.roster_ends_first.clone(),
        RosterError::BadNote => words.roster_bad_note.clone(),
        RosterError::BadRotation => words.roster_bad_rotation.clone(),
        RosterError::BadAction => words.roster_bad_action.clone(),
        RosterError::Followed(line) => fill_text(&words.roster_followed, &[("line", line)]),
        RosterError::Meanwhile | RosterError::Stale { .. } => words.roster_stale.clone(),
        RosterError::BadAddress(AddressError::Bad) => words.source_bad_url.clone(),
        RosterError::BadAddress(AddressError::Inside { allowed_by }) => fill_text(&words.source_inside, &[("key", allowed_by)]),
        RosterError::NoAddress => words.source_no_url.clone(),
        RosterError::BadInterval => words.source_bad_every.clone(),
        RosterError::StaleSource => words.roster_stale.clone(),
        RosterError::SwapIsOver(over) => match over {
            Standing::Open | Standing::Accepted => words.swap_over_accepted.clone(),
            Standing::Declined => words.swap_over_declined.clone(),
            Standing::TakenBack => words.swap_over_taken_back.clone(),
            Standing::Lapsed => words.swap_over_lapsed.clone(),
        },
        RosterError::Cannot { why, name } => {
            let sentence = match why {
                Cannot::NotTheirs(_) => &words.swap_not_theirs,
                Cannot::OnDutyAlready(_) => &words.swap_on_duty_already,
                Cannot::Away(_) => &words.swap_away,
                Cannot::StandsAbove => &words.swap_stands_above,
            };
            fill_text(sentence, &[("name", name)])
        }
        RosterError::NotYours => words.swap_not_yours.clone(),
        RosterError::BegunAlready => words.swap_begun.clone(),
        RosterError::TooLong => words.swap_too_long.clone(),
        RosterError::SwapWithSelf => words.swap_with_self.clone(),
        RosterError::NobodyToExchangeWith => words.swap_nobody_to_exchange.clone(),
        RosterError::NobodyTakes => words.swap_nobody_takes.clone(),
        RosterError::AskedAlready => words.swap_asked_already.clone(),
        RosterError::TooManySwaps => words.swap_too_many.clone(),
        RosterError::TooManySwapsOfOne => words.swap_too_many_of_one.clone(),
        RosterError::AskedTooOften => words.swap_too_often.clone(),
        RosterError::TooManyFeeds => words.refused_feeds_why.clone(),
        RosterError::BadDays
        | RosterError::Import(_)
        | RosterError::Costly(_)
        | RosterError::At { .. }
        | RosterError::Several(_) => return Err(Refusal::Garbled),
        RosterError::NoSchedule(_) | RosterError::NoEntry | RosterError::NoSource => return Err(Refusal::NotFound),
        RosterError::Store(_) => return Err(Refusal::Away),
    })
}

/// A wall time for people: weekday, day and time.
pub(in crate::dashboard) fn shown(words: &Words, zone: Tz, at: DateTime<Utc>) -> String {
    use chrono::Datelike;
    let local = wall::local(zone, at);
    let day = usize::try_from(local.weekday().num_days_from_monday()).unwrap_or(0);
    let day = words.weekdays.split(',').nth(day).unwrap_or_default();
    format!("{day} {}", local.format("%Y-%m-%d %H:%M"))
}

/// "Ann · weekly · until Mon 2026-11-30 09:00".
pub(in crate::dashboard) fn on_words(words: &Words, roster: &Roster, schedule: &Schedule, on: &OnDuty) -> String {
    let mut pieces = vec![roster.name(on.person), reason_words(words, roster, schedule, &on.reason)];
    if let Some(until) = on.until {
        pieces.push(fill_text(
            &words.roster_until,
            &[("at", &format!("{} {}", shown(words, schedule.zone, until), schedule.zone.name()))],
        ));
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces.join(" · ")
}

/// Everybody on duty by a schedule at an instant.
pub(in crate::dashboard) fn on_duty_words(words: &Words, roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> Vec<String> {
    evaluate::on_duty(schedule, &roster.absences, at).iter().map(|on| on_words(words, roster, schedule, on)).collect()
}

/// Who comes after whoever is on duty at an instant, and when.
pub(in crate::dashboard) fn next_words(words: &Words, roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> Option<String> {
    let (when, people) = evaluate::next_people(schedule, &roster.absences, at)?;
    let names: Vec<String> = people.iter().map(|person| roster.name(*person)).collect();
    let names = if names.is_empty() { words.roster_nobody.clone() } else { names.join(&words.list_comma) };
    Some(fill_text(&words.roster_next, &[("at", &shown(words, schedule.zone, when)), ("names", &names)]))
}

/// Why somebody is on duty.
pub(in crate::dashboard) fn reason_words(words: &Words, roster: &Roster, schedule: &Schedule, reason: &Reason) -> String {
    let (_, of) = schedule.origin(reason);
    // Whoever is being erased is named nowhere any more.
    let instead = |person: &Option<_>| {
        let known = person.filter(|own| roster.people.contains_key(own));
        known.map(|own| fill_text(&words.roster_instead_of, &[("name", &roster.name(own))]))
    };
    let (kind, instead) = match reason {
        Reason::Temporary { covers, .. } => (Some(&words.roster_temporary), instead(covers)),
        Reason::Override { replaces, .. } => (Some(&words.roster_override), instead(replaces)),
        Reason::Layer { covers, .. } => (None, instead(covers)),
        Reason::Member => (None, None),
    };
    let pieces = [kind.cloned(), Some(of).filter(|of| !of.is_empty()), instead];
    pieces.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// What is wrong with a schedule in the coming weeks.
pub(in crate::dashboard) fn troubles(words: &Words, roster: &Roster, schedule: &Schedule, findings: &[Finding]) -> Vec<String> {
    let own = findings.iter().filter(|finding| finding.concerns(schedule)).take(MOST_FINDINGS);
    own.map(|finding| finding_words(words, roster, schedule.zone, finding)).collect()
}

/// What was found, as a sentence.
pub(in crate::dashboard) fn finding_words(words: &Words, roster: &Roster, zone: Tz, finding: &Finding) -> String {
    let shown = |at: &DateTime<Utc>| shown(words, zone, *at);
    let times = |from: &DateTime<Utc>, to: &DateTime<Utc>| [("from", shown(from)), ("to", shown(to))];
    let fill = |sentence: &str, names: String, times: &[(&str, String)]| {
        let mut bits: Vec<(&str, &str)> = times.iter().map(|(name, text)| (*name, text.as_str())).collect();
        bits.push(("names", names.as_str()));
        fill_text(sentence, &bits)
    };
    match finding {
        Finding::Gap { from, to, .. } | Finding::TeamGap { from, to, .. } => {
            fill(&words.roster_found_gap, String::new(), &times(from, to))
        }
        Finding::Unreachable { person, from, .. } | Finding::UnreachableMember { person, from, .. } => {
            fill(&words.roster_found_unreachable, roster.name(*person), &[("from", shown(from))])
        }
        Finding::Never { person, .. } => fill(&words.roster_found_never, roster.name(*person), &[]),
        Finding::Several { from, to, people, .. } => {
            let names: Vec<String> = people.iter().map(|person| roster.name(*person)).collect();
            fill(&words.roster_found_several, names.join(&words.list_comma), &times(from, to))
        }
        Finding::Twice { person, from, to, .. } => fill(&words.roster_found_twice, roster.name(*person), &times(from, to)),
    }
}

/// That the calendar of a schedule cannot be read, since when and why, in the reader's language.
pub(in crate::dashboard) fn source_trouble(reader: &Reader, zone: Tz, row: &SourceRow) -> Option<String> {
    let (since, trouble) = row.wrong()?;
    let sentence = format!("calendar_{}", trouble.sentence());
    let why = say(reader.language.tag(), &sentence, &[("detail", &trouble.detail())]);
    Some(fill_text(&reader.words.source_wrong, &[("since", &shown(reader.words, zone, since)), ("why", &why)]))
}

/// Everybody's names, for lists to choose from.
pub(in crate::dashboard) fn people(roster: &Roster) -> Vec<String> {
    let mut names: Vec<String> = roster.people.values().map(|person| person.name.clone()).collect();
    names.sort();
    names
}

/// Whose schedule it is.
pub(in crate::dashboard) fn team_name(roster: &Roster, schedule: &Schedule) -> String {
    roster.teams.iter().find(|team| Some(team.id) == schedule.team).map(|team| team.name.clone()).unwrap_or_default()
}
