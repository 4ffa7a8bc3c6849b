//! How people are told by text message: what they want, and the messages about their duties.

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::alarm::ways;
use crate::audit::{Line, Operation};
use crate::ids::PersonId;
use crate::keep::lines::gateways;
use crate::keep::refused::Refused;
use crate::line::duty::{Comes, comes, put_on};
use crate::numbers::{Number, Region};
use crate::roster::changes::swap::Deal;
use crate::roster::{Absences, Roster, Schedule, evaluate};
use crate::store::duty::swaps::SwapRow;
use crate::store::duty::told::{DutyText, ToldRow};
use crate::store::edits::Edited;
use crate::store::lines::sms::{Purpose, Sentence, SmsRow};
use crate::store::{Announcement, Db, StoreError, Work};
use crate::versions::{Expected, Version};
use serde_json::{Value, json};

/// Nobody wants to be told earlier that their shift begins.
pub const MOST_MINUTES: i32 = 1440;
/// Of a shift that began longer ago nobody is told any more: whoever has it knows by now.
pub const LATE: TimeDelta = TimeDelta::minutes(15);
/// It is looked so often whose shift begins.
pub const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Of a duty that a change puts somebody on they are told when it begins so soon.
const SOON: TimeDelta = TimeDelta::hours(24);
/// So long after it has begun, a message about a duty is no news any more.
const NO_NEWS: TimeDelta = TimeDelta::minutes(30);
/// A wall time in a message.
const TIME: &str = "%Y-%m-%d %H:%M";

/// The version of how somebody is told.
#[must_use]
pub fn version(person: PersonId, told: &ToldRow) -> Version {
    Version::of(&(person, told.alarm_texts.as_str(), told.shift_minutes, told.put_on_duty, &told.ways.0))
}

/// Writes the numbers of somebody's ways in their comparable form.
///
/// # Errors
/// When one is no number.
pub fn numbers_as_kept(told: &mut ToldRow, region: Region) -> Result<(), Refused> {
    for way in &mut told.ways.0 {
        let parsed = Number::parse(&way.number, region).map_err(|wrong| Refused::wrong("ways", wrong.to_string()))?;
        parsed.number.as_str().clone_into(&mut way.number);
    }
    Ok(())
}

/// What a line of the audit log says of it.
fn as_line(told: &ToldRow) -> Value {
    json!({ "alarm_texts": told.alarm_texts.as_str(), "shift_minutes": told.shift_minutes, "put_on_duty": told.put_on_duty, "ways": told.ways })
}

/// Has somebody told in this way from now on.
///
/// # Errors
/// When a field is wrong, there is no such person, it has changed meanwhile, or the database fails.
pub async fn set(work: &mut Work, person: PersonId, told: &ToldRow, expected: &Expected) -> Result<(), Refused> {
    if told.shift_minutes.is_some_and(|minutes| !(0..=MOST_MINUTES).contains(&minutes)) {
        return Err(Refused::wrong("shift_minutes", format!("shift_minutes must be 0 to {MOST_MINUTES}")));
    }
    work.db().lock_edits(Edited::People).await?;
    if work.db().person(person).await?.is_none() {
        return Err(Refused::Missing { what: "person", name: person.to_string() });
    }
    let before = work.db().told(person).await?;
    expected.check(Some(&version(person, &before)))?;
    // A number that was taken away since is no reason to refuse what else is changed.
    if told.ways != before.ways {
        let numbers = work.db().numbers_of(person).await?;
        ways::check(&told.ways, &numbers).map_err(|wrong| Refused::wrong("ways", wrong.to_string()))?;
    }
    work.db().set_told(person, told).await?;
    let line = Line::new(Operation::ToldChanged).of(person).about(Some(person));
    work.note(line.before(as_line(&before)).after(as_line(told)));
    work.announce(Announcement::People);
    Ok(())
}

/// Puts a message about a duty into the outbox, unless there was one; false when there was, or it cannot be sent to them.
///
/// # Errors
/// When the database fails.
pub async fn tell(
    db: &mut Db<'_>,
    kind: DutyText,
    schedule: &Schedule,
    absences: &Absences,
    begins: Comes,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(person) = db.person(begins.person).await? else { return Ok(false) };
    let Some(number) = db.numbers_of(person.id).await?.into_iter().next() else { return Ok(false) };
    let Some(gateway) = gateways::for_people(db, None).await? else { return Ok(false) };
    if !db.note_duty_told(kind, person.id, schedule.id, begins.at).await? {
        return Ok(false);
    }
    if kind == DutyText::Change
        && let Some(shift) = shift_told_too(db, schedule, absences, begins, now).await?
    {
        db.note_duty_told(DutyText::Shift, person.id, schedule.id, shift).await?;
    }
    let until = evaluate::on_duty(schedule, absences, begins.at).into_iter().find(|on| on.person == begins.person);
    let until = until.and_then(|on| on.until);
    let name = match (kind, until) {
        (DutyText::Shift, None) => "text_shift",
        (DutyText::Shift, Some(_)) => "text_shift_until",
        (DutyText::Change, None) => "text_put_on_duty",
        (DutyText::Change, Some(_)) => "text_put_on_duty_until",
    };
    let wall = |at: DateTime<Utc>| at.with_timezone(&schedule.zone).format(TIME).to_string();
    let places = [
        ("schedule".to_owned(), schedule.name.clone()),
        ("from".to_owned(), wall(begins.at)),
        ("to".to_owned(), until.map(wall).unwrap_or_default()),
        ("zone".to_owned(), schedule.zone.name().to_owned()),
    ];
    let sentence = Sentence { name: name.to_owned(), language: person.language, places: places.into() };
    let expires = begins.at.max(now) + NO_NEWS;
    db.insert_sms(&SmsRow::saying(sentence, Purpose::Duty, gateway.id, &number, now, expires)).await?;
    Ok(true)
}

/// At most so many people are told of one request for a swap.
const MOST_TOLD: usize = 50;

/// Puts what somebody says of a swap into the outbox, for those of these who want to be told when they are put on duty; nobody is told of what
/// they do themselves. `name`: whose word it is.
pub(super) async fn of_swap(
    work: &mut Work,
    whom: &[PersonId],
    sentence: &'static str,
    roster: &Roster,
    schedule: &Schedule,
    row: &SwapRow,
    name: PersonId,
) -> Result<(), StoreError> {
    let now = work.now();
    let wanted = work.db().told_of_changes().await?;
    let own = own_person(work).await?;
    let wall = |at: DateTime<Utc>| at.with_timezone(&schedule.zone).format(TIME).to_string();
    let back = row.back();
    let places = [
        ("name", roster.name(name)),
        ("schedule", schedule.name.clone()),
        ("from", wall(row.starts_at)),
        ("to", wall(row.ends_at)),
        ("back_from", back.map(|back| wall(back.0)).unwrap_or_default()),
        ("back_to", back.map(|back| wall(back.1)).unwrap_or_default()),
        ("zone", schedule.zone.name().to_owned()),
    ];
    let told = whom.iter().filter(|person| wanted.contains(person) && own != Some(**person) && **person != name);
    for person in told.take(MOST_TOLD) {
        let mut db = work.db();
        let Some(person) = db.person(*person).await? else { continue };
        let Some(number) = db.numbers_of(person.id).await?.into_iter().next() else { continue };
        let Some(gateway) = gateways::for_people(&mut db, None).await? else { return Ok(()) };
        let places = places.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        let sentence = Sentence { name: sentence.to_owned(), language: person.language, places };
        // What the request is about has begun then.
        let expires = row.starts_at.max(now + NO_NEWS);
        db.insert_sms(&SmsRow::saying(sentence, Purpose::Duty, gateway.id, &number, now, expires)).await?;
    }
    Ok(())
}

/// Tells those whom an accepted swap puts on duty, however far ahead, where they have not said so themselves.
pub(super) async fn of_taken_shifts(
    work: &mut Work,
    roster: &Roster,
    schedule: &Schedule,
    deal: &Deal,
) -> Result<(), StoreError> {
    let now = work.now();
    let (wanted, own) = (work.db().told_of_changes().await?, own_person(work).await?);
    let taken = [Comes { person: deal.taker, at: deal.given.0 }];
    let back = deal.back.map(|back| Comes { person: deal.giver, at: back.0 });
    for begins in taken.into_iter().chain(back) {
        // Whoever asked hears that it was accepted.
        if wanted.contains(&begins.person) && own != Some(begins.person) && begins.person != deal.giver {
            tell(&mut work.db(), DutyText::Change, schedule, &roster.absences, begins, now).await?;
        }
    }
    Ok(())
}

/// Who somebody is who acts as a user of the pages.
async fn own_person(work: &mut Work) -> Result<Option<PersonId>, StoreError> {
    match work.by().clone() {
        Doer::User { name } => work.db().person_of_user(&name).await,
        _ => Ok(None),
    }
}

/// When the shift begins that somebody knows of by being told that a change puts them on duty: its own message would be due by now.
async fn shift_told_too(
    db: &mut Db<'_>,
    schedule: &Schedule,
    absences: &Absences,
    begins: Comes,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let lead = TimeDelta::minutes(i64::from(db.told(begins.person).await?.shift_minutes.unwrap_or_default()));
    if begins.at - lead > now {
        return Ok(None);
    }
    // A change counts from now on, and what it puts them on may have begun before.
    let own = comes(schedule, absences, now - LATE, begins.at + LOOK_EVERY).into_iter();
    Ok(own.filter(|one| one.person == begins.person && one.at <= begins.at).map(|one| one.at).next_back())
}

/// Tells whoever wants to know that a change puts them on duty soon; nobody who made it themselves.
pub(in crate::keep) async fn of_change(work: &mut Work, before: &Roster, after: &Roster) -> Result<(), StoreError> {
    let now = work.now();
    let wanted = work.db().told_of_changes().await?;
    if wanted.is_empty() {
        return Ok(());
    }
    let own = own_person(work).await?;
    for schedule in &after.schedules {
        let old = before.schedule(schedule.id);
        if old == Some(schedule) && before.absences == after.absences {
            continue;
        }
        let shifts = |schedule: &Schedule, absences| evaluate::shifts(schedule, absences, now, now + SOON);
        let was = old.map(|old| shifts(old, &before.absences)).unwrap_or_default();
        for begins in put_on(&was, &shifts(schedule, &after.absences)) {
            if wanted.contains(&begins.person) && own != Some(begins.person) {
                tell(&mut work.db(), DutyText::Change, schedule, &after.absences, begins, now).await?;
            }
        }
    }
    Ok(())
}
