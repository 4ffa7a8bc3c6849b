//! The alarm as a text message: whoever is called is told what it is about, once for an alarm as urgent as it is, and by which code a reply
//! names it. What becomes of the message stands on the timeline.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::hand_over::VERIFICATION;
use crate::alarm::AlarmKind;
use crate::alarm::event::Event;
use crate::alarm::ways;
use crate::engine::EngineError;
use crate::ids::{AlarmId, CalleeId, HuntId, SmsId};
use crate::keep::lines::gateways;
use crate::kinds::outcome::Outcome;
use crate::kinds::words;
use crate::line::code;
use crate::numbers::Number;
use crate::store::alarm::dials::NewDial;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::duty::told::ToldRow;
use crate::store::lines::sms::{Purpose, Sentence, SmsRow};
use crate::store::lines::texts::{NewText, TextRow, whom};
use crate::store::{Announcement, Db, Tx, Work};

/// A message that could not be sent by then is no help any more: they were called again, or somebody else was.
const EXPIRES: TimeDelta = TimeDelta::hours(1);
/// For so long a code means the same alarm.
const CODE_COUNTS: TimeDelta = TimeDelta::hours(24);
/// And nobody is given it again for another.
const CODE_TAKEN: TimeDelta = TimeDelta::hours(48);
/// The sentence by which an alarm is told.
pub const SENTENCE: &str = "text_alarm";
/// So many digits in a row may be a number of somebody.
const LIKE_A_NUMBER: usize = 6;

/// Puts a message into the outbox for everybody whom a dial calls and who wants one, or whose policy does: about those alarms of its hunt of
/// which they were not told yet. Quiet hours and numbers that must not be called were heeded before there was a dial.
pub(in crate::engine) async fn beside_call(
    work: &mut Work,
    hunt: &HuntRow,
    callees: &[CalleeRow],
    dial: &NewDial,
) -> Result<(), EngineError> {
    if hunt.kind != AlarmKind::Alarm || hunt.dry_run {
        return Ok(());
    }
    let by_policy = match hunt.policy_id {
        Some(id) => work.db().policy(id).await?.is_some_and(|policy| policy.definition.texts),
        None => false,
    };
    for target in &dial.targets {
        let Some(callee) = callees.iter().find(|own| own.id == target.callee_id) else { continue };
        let told = match callee.person_id {
            Some(person) => work.db().told(person).await?,
            None => ToldRow::default(),
        };
        if told.ways.is_empty() {
            if told.alarm_texts.wants(by_policy) {
                tell(work, hunt, callee, &callee.number, TimeDelta::zero()).await?;
            }
        } else {
            by_own_way(work, hunt, callee, &told).await?;
        }
    }
    Ok(())
}

/// The turn of somebody has come who wants to be called later: they are told by text message, if that is one of their ways.
pub(in crate::engine) async fn at_turn(
    work: &mut Work,
    hunt: &HuntRow,
    callees: &[CalleeRow],
    callee: CalleeId,
) -> Result<(), EngineError> {
    let now = work.now();
    let asked = callees.iter().find(|own| own.id == callee).and_then(|callee| Some((callee, callee.person_id?)));
    let Some((callee, person)) = asked else { return Ok(()) };
    work.db().asked(hunt.id, callee.step, person, now).await?;
    work.announce(Announcement::Hunts);
    if hunt.kind != AlarmKind::Alarm || hunt.dry_run {
        return Ok(());
    }
    let told = work.db().told(person).await?;
    by_own_way(work, hunt, callee, &told).await
}

async fn by_own_way(work: &mut Work, hunt: &HuntRow, callee: &CalleeRow, told: &ToldRow) -> Result<(), EngineError> {
    let Some(person) = callee.person_id else { return Ok(()) };
    let numbers = work.db().numbers_of(person).await?;
    let Some((number, after_seconds)) = ways::text(&told.ways, &numbers) else { return Ok(()) };
    // Counted from when their turn came, which was a while ago where they are called later.
    let due_at = callee.asked_at.unwrap_or(work.now()) + TimeDelta::seconds(i64::from(after_seconds));
    tell(work, hunt, callee, number, (due_at - work.now()).max(TimeDelta::zero())).await
}

/// Tells somebody by a number of theirs, after some time.
async fn tell(work: &mut Work, hunt: &HuntRow, callee: &CalleeRow, number: &str, after: TimeDelta) -> Result<(), EngineError> {
    let now = work.now();
    let (sms, whom) = (SmsId::new(now), whom(callee.person_id, &callee.number));
    let code = code::fresh(sms.0.as_u64_pair().1, &work.db().codes_of(&whom, now - CODE_TAKEN).await?);
    let text = NewText { sms, whom: &whom, code: &code, callee: callee.id, hunt: hunt.id };
    if work.db().tell_of_hunt(text, VERIFICATION, now).await? == 0 {
        return Ok(());
    }
    let about = work.db().text_of_sms(sms).await?;
    let Some(first) = about.first() else { return Ok(()) };
    let Some(gateway) = gateways::for_people(&mut work.db(), None).await? else {
        return not_sent(&mut work.db(), &about, number, &Outcome::NoGateway, false, now).await;
    };
    let others = work.db().told_lately(&whom, now - CODE_COUNTS, now).await?;
    let is_other = |row: &TextRow| row.is_open() && row.hunt_id != hunt.id;
    let person = match callee.person_id {
        Some(person) => work.db().person(person).await?,
        None => None,
    };
    let language = person.map(|person| person.language).unwrap_or_default();
    let say = |name: &str, places: &[(&str, &str)]| words::say(words::language(&language), name, places);
    let more = match about.len() {
        1 => String::new(),
        all => say("text_more", &[("count", &(all - 1).to_string())]),
    };
    // Alone it needs no code, and most people will not have seen one before.
    let how = match others.iter().any(is_other) {
        true => say("text_how_code", &[("code", &code)]),
        false => say("text_how", &[]),
    };
    let places = [
        ("priority".to_owned(), say(first.priority.as_str(), &[])),
        ("summary".to_owned(), on_one_line(&first.summary)),
        ("more".to_owned(), more),
        ("how".to_owned(), how),
    ];
    let sentence = Sentence { name: SENTENCE.to_owned(), language, places: places.into() };
    let due_at = now + after;
    let row = SmsRow { id: sms, ..SmsRow::saying(sentence, Purpose::Alarm, gateway.id, number, due_at, due_at + EXPIRES) };
    work.db().insert_sms(&row).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

fn on_one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The alarms of a hunt that a code names, of those of which somebody was told; as a call about them would.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) hunt: HuntId,
    pub(super) callee: CalleeId,
    pub(super) at: DateTime<Utc>,
    pub(super) alarms: Vec<AlarmId>,
}

/// What whoever has these numbers was told between two instants, under the names of all of them.
async fn told_to(
    db: &mut Db<'_>,
    numbers: &[Number],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<TextRow>, EngineError> {
    let mut whoms = BTreeSet::new();
    for number in numbers {
        let person = db.person_with_number(number.as_str()).await?.map(|person| person.id);
        whoms.insert(whom(person, number.as_str()));
        // They may have become somebody since.
        whoms.insert(whom(None, number.as_str()));
    }
    let mut rows = Vec::new();
    for whom in whoms {
        rows.extend(db.told_lately(&whom, from, to).await?);
    }
    Ok(rows)
}

/// The alarms that a code names for whoever has these numbers and wrote it then.
pub(super) async fn named(
    db: &mut Db<'_>,
    numbers: &[Number],
    code: &str,
    written_at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Named>, EngineError> {
    let mut rows = told_to(db, numbers, written_at - CODE_COUNTS, until).await?;
    rows.retain(|row| row.code == code);
    let Some(latest) = rows.iter().max_by_key(|row| row.at) else { return Ok(None) };
    let (hunt, callee, at) = (latest.told_by, latest.callee_id, latest.at);
    let mut alarms: Vec<AlarmId> = rows.iter().filter(|row| row.at == at).map(|row| row.alarm_id).collect();
    alarms.dedup();
    Ok(Some(Named { hunt, callee, at, alarms }))
}

/// An alarm between which and others somebody may have to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) alarm: AlarmId,
    /// By which a reply names it.
    pub(super) code: String,
    /// What it says, on one line.
    pub(super) summary: String,
}

/// The alarms that wait for whoever has these numbers, and of which messages had told them when they wrote: the latest first. Not what they
/// have declined, and not what was only to be told: of a message that has not left, nobody can mean anything.
pub(super) async fn open_for(
    db: &mut Db<'_>,
    numbers: &[Number],
    from: DateTime<Utc>,
    written_at: DateTime<Utc>,
) -> Result<Vec<Choice>, EngineError> {
    let mut rows = told_to(db, numbers, from, written_at).await?;
    rows.retain(|row| row.is_open() && !row.declined && row.left_at().is_some_and(|at| at <= written_at));
    Ok(choices(rows))
}

/// The latest first, each alarm once.
fn choices(mut rows: Vec<TextRow>) -> Vec<Choice> {
    rows.sort_by_key(|row| (Reverse(row.at), Reverse(row.priority)));
    let mut seen = BTreeSet::new();
    rows.retain(|row| seen.insert(row.alarm_id));
    let choice = |row: TextRow| Choice { alarm: row.alarm_id, code: row.code, summary: on_one_line(&row.summary) };
    rows.into_iter().map(choice).collect()
}

/// The codes by which whoever has these numbers names the alarms of a call that still wait. Where no message has told them of these, they are
/// given one by being asked.
pub(super) async fn choices_of_call(
    work: &mut Work,
    numbers: &[Number],
    hunt: HuntId,
    callee: CalleeId,
    alarms: &[AlarmId],
) -> Result<Vec<Choice>, EngineError> {
    let now = work.now();
    if let Some((_, callee)) = work.db().callee(callee).await? {
        let whom = whom(callee.person_id, &callee.number);
        let (sms, taken) = (SmsId::new(now), work.db().codes_of(&whom, now - CODE_TAKEN).await?);
        let code = code::fresh(sms.0.as_u64_pair().1, &taken);
        // Only those of which they were not told: others keep their code.
        let text = NewText { sms, whom: &whom, code: &code, callee: callee.id, hunt };
        work.db().tell_of_hunt(text, VERIFICATION, now).await?;
    }
    let mut rows = told_to(&mut work.db(), numbers, now - CODE_COUNTS, now).await?;
    rows.retain(|row| row.is_open() && alarms.contains(&row.alarm_id));
    Ok(choices(rows))
}

/// Why a message to a person is not sent any more, if that is so.
///
/// # Errors
/// When the database fails.
pub async fn unwanted(tx: &mut Tx, sms: &SmsRow) -> Result<Option<Outcome>, EngineError> {
    if !sms.purpose.is_for_person() {
        return Ok(None);
    }
    if tx.db().forbidden(&sms.number).await?.is_some() {
        return Ok(Some(Outcome::DoNotCall));
    }
    if sms.purpose == Purpose::Duty {
        return Ok(None);
    }
    let about = tx.db().text_of_sms(sms.id).await?;
    Ok(match () {
        () if about.iter().all(TextRow::is_over) => Some(Outcome::AlarmOver),
        () if about.iter().all(|row| row.is_over() || row.is_taken_by_another()) => Some(Outcome::AlarmTaken),
        () => None,
    })
}

/// Writes on the timeline that a gateway took a message; nothing when it is about no alarm.
///
/// # Errors
/// When the database fails.
pub async fn was_sent(db: &mut Db<'_>, id: SmsId, now: DateTime<Utc>) -> Result<(), EngineError> {
    let about = db.text_of_sms(id).await?;
    let Some((first, sms)) = about.first().zip(db.sms(id).await?) else { return Ok(()) };
    let gateway = db.gateway(sms.gateway_id).await?.map(|gateway| gateway.name).unwrap_or_default();
    let event = Event::Texted {
        callee: first.callee_id,
        name: name_of(db, first.callee_id).await?,
        number: sms.number,
        gateway,
        code: first.code.clone(),
        alarms: alarms_of(&about),
    };
    write(db, &about, event, now).await
}

/// Writes on the timeline why a message was not sent, and whether it is tried again; nothing when it is about no alarm.
///
/// # Errors
/// When the database fails.
pub async fn was_not_sent(db: &mut Db<'_>, id: SmsId, why: &Outcome, again: bool, now: DateTime<Utc>) -> Result<(), EngineError> {
    let about = db.text_of_sms(id).await?;
    let Some(sms) = (match about.is_empty() {
        true => None,
        false => db.sms(id).await?,
    }) else {
        return Ok(());
    };
    not_sent(db, &about, &sms.number, why, again, now).await
}

async fn not_sent(
    db: &mut Db<'_>,
    about: &[TextRow],
    number: &str,
    why: &Outcome,
    again: bool,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    let Some(first) = about.first() else { return Ok(()) };
    let event = Event::NotTexted {
        callee: first.callee_id,
        name: name_of(db, first.callee_id).await?,
        number: number.to_owned(),
        why: without_numbers(&why.to_string()),
        again,
        alarms: alarms_of(about),
    };
    write(db, about, event, now).await
}

async fn write(db: &mut Db<'_>, about: &[TextRow], event: Event, now: DateTime<Utc>) -> Result<(), EngineError> {
    match about {
        [only] => db.insert_event(Some(only.alarm_id), None, now, &event).await?,
        [first, ..] => db.insert_event(None, Some(first.told_by), now, &event).await?,
        [] => {}
    }
    Ok(())
}

fn alarms_of(about: &[TextRow]) -> Vec<AlarmId> {
    about.iter().map(|row| row.alarm_id).collect()
}

async fn name_of(db: &mut Db<'_>, callee: CalleeId) -> Result<Option<String>, EngineError> {
    Ok(db.callee(callee).await?.and_then(|(_, callee)| callee.name))
}

/// What a gateway says may hold a number, which not everybody may read who reads the timeline.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() >= LIKE_A_NUMBER { "…" } else { &digits });
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_number_is_left_out() {
        assert_eq!(without_numbers("HTTP 503 for +8618712345678."), "HTTP 503 for +….");
        assert_eq!(without_numbers("18712345678"), "…");
        assert_eq!(without_numbers("12345 is short"), "12345 is short");
    }

    #[test]
    fn a_summary_is_one_line() {
        assert_eq!(on_one_line(" disk\r\n full\ton  db1 "), "disk full on db1");
    }
}
