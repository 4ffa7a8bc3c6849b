//! Swaps: somebody asks another person, or anybody of the team, to take a shift; what is accepted becomes overrides in the same unit of work.
//! Whose shift it is, is looked at when it is asked for and again when it is accepted, with the roster locked.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::forms::times;
use super::{Editing, Faults, RosterError, find_person, find_schedule, note, told};
use crate::audit::{Line, Operation};
use crate::ids::{OverrideId, PersonId, SwapId};
use crate::roster::changes::swap::{Cannot, Deal, LONGEST, Said, Standing, changes, has_all};
use crate::roster::{Override, Roster, Schedule, Times, evaluate};
use crate::store::Work;
use crate::store::duty::exceptions::Made;
use crate::store::duty::swaps::{MOST_IN_AN_HOUR, MOST_OPEN, MOST_OPEN_OF_ONE, SwapRow};
use crate::versions::Expected;

/// Somebody asks for a swap.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapForm {
    /// The schedule of the shift, by name or id.
    pub schedule: String,
    /// Whose shift it is, by name or id.
    pub person: String,
    /// RFC 3339, or a wall time of the schedule's zone; it must be to come.
    pub starts_at: String,
    /// The same. In all of the time the person must be on duty: a part of a shift, a shift, or several, such as a weekend.
    pub ends_at: String,
    /// Who is asked, by name or id; anybody of the schedule's team, when it is left out.
    pub other: Option<String>,
    /// A shift of the other that the person takes in exchange: from when. Only with `other`.
    pub back_starts_at: Option<String>,
    /// Until when.
    pub back_ends_at: Option<String>,
    /// Why, in at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

/// For whom somebody may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// For everybody: they may change the plan anyway.
    SpeakForAll,
    /// For this person alone.
    SpeakFor(PersonId),
}

impl May {
    fn speak_for(self, person: PersonId) -> Result<(), RosterError> {
        match self {
            Self::SpeakForAll => Ok(()),
            Self::SpeakFor(own) if own == person => Ok(()),
            Self::SpeakFor(_) => Err(RosterError::NotYours),
        }
    }
}

/// Who may take a shift that anybody is asked to take: the team of the schedule, else whoever its rules name.
#[must_use]
pub fn circle(roster: &Roster, schedule: &Schedule) -> Vec<PersonId> {
    let mut all = match schedule.team {
        Some(team) => roster.all_of_team(team),
        None => schedule.layers.iter().flat_map(|layer| layer.rule.people()).collect(),
    };
    all.retain(|person| roster.people.contains_key(person));
    all.sort_unstable();
    all.dedup();
    all
}

fn cannot(roster: &Roster, why: Cannot) -> RosterError {
    let (Cannot::NotTheirs(person) | Cannot::OnDutyAlready(person) | Cannot::Away(person)) = why else {
        return RosterError::Cannot { why, name: String::new() };
    };
    RosterError::Cannot { why, name: roster.name(person) }
}

/// A time that is to come, and no longer than a shift can be.
fn to_come(field: &'static str, (from, to): Times, now: DateTime<Utc>) -> Result<(), RosterError> {
    if from <= now { Err(RosterError::BegunAlready.at(field)) } else { short_enough(field, to - from) }
}

fn short_enough(field: &'static str, length: chrono::TimeDelta) -> Result<(), RosterError> {
    if length > LONGEST { Err(RosterError::TooLong.at(field)) } else { Ok(()) }
}

/// Asks for a swap, and tells whoever is asked.
///
/// # Errors
/// When the form is wrong, the shift is not that person's, it was asked already, too much is asked at once, or the database fails.
pub async fn ask(work: &mut Work, form: &SwapForm, may: May, by: &str) -> Result<SwapId, RosterError> {
    let now = work.now();
    work.db().lock_roster().await?;
    let roster = work.db().roster().await?;
    let own = find_schedule(&roster, &form.schedule)?;
    let mut faults = Faults::default();
    let given = faults.note(times(("starts_at", "ends_at"), &form.starts_at, &form.ends_at, own.zone))?;
    let person = faults.note(find_person(&roster, &form.person))?;
    let named = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let other = named(&form.other).map(|other| find_person(&roster, &other).map_err(|error| error.at("other")));
    let other = faults.note(other.transpose())?.flatten();
    let back = match (named(&form.back_starts_at), named(&form.back_ends_at)) {
        (None, None) => None,
        (from, to) => {
            let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
            faults.note(times(("back_starts_at", "back_ends_at"), &from, &to, own.zone))?
        }
    };
    let note = faults.note(note(&form.note))?;
    for (field, time) in [("starts_at", given), ("back_starts_at", back)] {
        faults.note(time.map_or(Ok(()), |time| to_come(field, time, now)))?;
    }
    if back.is_some() && other.is_none() {
        faults.note(Err::<(), _>(RosterError::NobodyToExchangeWith))?;
    }
    if let (Some(person), Some(other)) = (person, other)
        && person == other
    {
        faults.note(Err::<(), _>(RosterError::SwapWithSelf))?;
    }
    faults.none()?;
    let (given, person, note) = (Faults::sound(given)?, Faults::sound(person)?, Faults::sound(note)?);
    may.speak_for(person)?;
    match other {
        Some(taker) => {
            changes(&roster, own, &Deal { giver: person, taker, given, back }).map_err(|why| cannot(&roster, why))?;
        }
        None if has_all(&roster, own, person, given) => {}
        None => return Err(cannot(&roster, Cannot::NotTheirs(person))),
    }
    let open = work.db().open_swaps(now).await?;
    if open.len() >= MOST_OPEN {
        return Err(RosterError::TooManySwaps);
    }
    if open.iter().filter(|row| row.person_id == person).count() >= MOST_OPEN_OF_ONE {
        return Err(RosterError::TooManySwapsOfOne);
    }
    if work.db().swaps_made_since(person, now - TimeDelta::hours(1)).await? >= MOST_IN_AN_HOUR {
        return Err(RosterError::AskedTooOften);
    }
    let same =
        |row: &SwapRow| row.schedule_id == own.id && row.person_id == person && row.starts_at < given.1 && given.0 < row.ends_at;
    if open.iter().any(|row| same(row) && row.standing(now) == Standing::Open) {
        return Err(RosterError::AskedAlready);
    }
    let row = SwapRow {
        id: SwapId::new(now),
        schedule_id: own.id,
        person_id: person,
        starts_at: given.0,
        ends_at: given.1,
        other_id: other,
        back_starts_at: back.map(|back| back.0),
        back_ends_at: back.map(|back| back.1),
        note,
        said: Said::Asked,
        taken_by: None,
        created_at: now,
        created_by: by.to_owned(),
        said_at: None,
        said_by: String::new(),
    };
    work.db().insert_swap(&row).await?;
    let after = json!({
        "schedule": row.schedule_id, "starts_at": row.starts_at, "ends_at": row.ends_at, "other": row.other_id, "note": row.note,
    });
    work.note(Line::new(Operation::SwapAsked).of(row.id).about(Some(person)).in_name_of(Some(by)).after(after));
    let whom = other.map_or_else(|| circle(&roster, own), |other| vec![other]);
    let sentence = if back.is_some() { "text_swap_exchange" } else { "text_swap_asked" };
    told::of_swap(work, &whom, sentence, &roster, own, &row, person).await?;
    Ok(row.id)
}

/// The request, which must wait for an answer.
async fn open(work: &mut Work, id: SwapId) -> Result<SwapRow, RosterError> {
    let now = work.now();
    let row = work.db().swap(id).await?.ok_or(RosterError::NoEntry)?;
    match row.standing(now) {
        Standing::Open => Ok(row),
        over => Err(RosterError::SwapIsOver(over)),
    }
}

/// Accepts a request: the plan says so from now on. `taker` names who takes the shift, where anybody was asked.
///
/// # Errors
/// When it waits for an answer no more, the shift is not whose it was, somebody else was asked, or the database fails.
pub async fn accept(work: &mut Work, id: SwapId, taker: Option<&str>, may: May, by: &str) -> Result<(), RosterError> {
    let now = work.now();
    let mut editing = Editing::begin(work).await?;
    let row = open(editing.work, id).await?;
    let roster = editing.roster.clone();
    let schedule = roster.schedule(row.schedule_id).ok_or(RosterError::NoEntry)?;
    let named = taker.map(str::trim).filter(|taker| !taker.is_empty()).map(|taker| find_person(&roster, taker)).transpose()?;
    let taker = match (named, row.other_id, may) {
        (Some(named), Some(other), _) if named != other => return Err(RosterError::NotYours),
        (_, Some(other), _) => other,
        (Some(named), None, _) => named,
        (None, None, May::SpeakFor(own)) => own,
        (None, None, May::SpeakForAll) => return Err(RosterError::NobodyTakes),
    };
    may.speak_for(taker)?;
    if row.other_id.is_none() && may != May::SpeakForAll && !circle(&roster, schedule).contains(&taker) {
        return Err(RosterError::NotYours);
    }
    if taker == row.person_id {
        return Err(RosterError::SwapWithSelf);
    }
    let deal = Deal { giver: row.person_id, taker, given: row.given(), back: row.back() };
    let made = changes(&roster, schedule, &deal).map_err(|why| cannot(&roster, why))?;
    if !editing.work.db().say_to_swap(id, Said::Accepted, Some(taker), now, by).await? {
        return Err(RosterError::SwapIsOver(Standing::Accepted));
    }
    let line = Line::new(Operation::SwapAccepted).of(id).about(Some(row.person_id)).in_name_of(Some(by));
    editing.work.note(line.after(json!({ "taken_by": taker })));
    editing.next_version(schedule.id, &Expected::Anything).await?;
    for ((from, to), change) in made {
        let own = Override { id: OverrideId::new(now), from, to, change, note: row.note.clone() };
        editing.work.db().insert_override(schedule.id, &own, Made { by, at: now }).await?;
    }
    editing.finish().await?;
    let after = work.db().roster().await?;
    let schedule = after.schedule(row.schedule_id).ok_or(RosterError::NoEntry)?;
    told::of_swap(work, &[row.person_id], "text_swap_accepted", &after, schedule, &row, taker).await?;
    told::of_taken_shifts(work, &after, schedule, &deal).await?;
    Ok(())
}

/// Declines a request that somebody was asked by name.
///
/// # Errors
/// When it waits for an answer no more, somebody else was asked, or the database fails.
pub async fn decline(work: &mut Work, id: SwapId, may: May, by: &str) -> Result<(), RosterError> {
    let now = work.now();
    work.db().lock_roster().await?;
    let row = open(work, id).await?;
    match (row.other_id, may) {
        (Some(other), _) => may.speak_for(other)?,
        (None, May::SpeakForAll) => {}
        (None, May::SpeakFor(_)) => return Err(RosterError::NotYours),
    }
    say(work, &row, Said::Declined, by).await?;
    let roster = work.db().roster_from(now).await?;
    let Some(schedule) = roster.schedule(row.schedule_id) else { return Ok(()) };
    let whose = row.other_id.unwrap_or(row.person_id);
    Ok(told::of_swap(work, &[row.person_id], "text_swap_declined", &roster, schedule, &row, whose).await?)
}

/// Takes back a request.
///
/// # Errors
/// When it waits for an answer no more, somebody else asked, or the database fails.
pub async fn take_back(work: &mut Work, id: SwapId, may: May, by: &str) -> Result<(), RosterError> {
    let now = work.now();
    work.db().lock_roster().await?;
    let row = open(work, id).await?;
    may.speak_for(row.person_id)?;
    say(work, &row, Said::TakenBack, by).await?;
    let roster = work.db().roster_from(now).await?;
    let (Some(schedule), Some(other)) = (roster.schedule(row.schedule_id), row.other_id) else { return Ok(()) };
    Ok(told::of_swap(work, &[other], "text_swap_taken_back", &roster, schedule, &row, row.person_id).await?)
}

async fn say(work: &mut Work, row: &SwapRow, said: Said, by: &str) -> Result<(), RosterError> {
    let now = work.now();
    match work.db().say_to_swap(row.id, said, None, now, by).await? {
        true => {
            let operation = if said == Said::TakenBack { Operation::SwapTakenBack } else { Operation::SwapDeclined };
            work.note(Line::new(operation).of(row.id).about(Some(row.person_id)).in_name_of(Some(by)));
            Ok(())
        }
        false => {
            let over = work.db().swap(row.id).await?.map_or(Standing::TakenBack, |row| row.standing(now));
            Err(RosterError::SwapIsOver(over))
        }
    }
}

/// Whether a request can still be accepted as the plan stands: whoever asks has the shift still.
#[must_use]
pub fn is_still_theirs(roster: &Roster, row: &SwapRow) -> bool {
    let Some(schedule) = roster.schedule(row.schedule_id) else { return false };
    has_all(roster, schedule, row.person_id, row.given())
        && row.back().zip(row.other_id).is_none_or(|(back, other)| has_all(roster, schedule, other, back))
}

/// The coming shifts of somebody by a schedule, at most so many: what they may give away.
#[must_use]
pub fn coming_shifts(
    roster: &Roster,
    schedule: &Schedule,
    person: PersonId,
    now: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<Times> {
    const MOST: usize = 20;
    let mut all: Vec<Times> = Vec::new();
    for shift in evaluate::shifts(schedule, &roster.absences, now, to) {
        if !shift.on.iter().any(|on| on.person == person) {
            continue;
        }
        match all.last_mut() {
            Some(last) if last.1 == shift.from => last.1 = shift.to,
            _ => all.push((shift.from, shift.to)),
        }
    }
    all.retain(|(from, _)| *from > now);
    all.truncate(MOST);
    all
}
