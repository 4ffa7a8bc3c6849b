//! Erasing a person: everything that tells who they are goes, what happened stays.
//!
//! The first transaction checks that nobody needs them now, writes down that they are to be erased, takes them out of the plan, and takes away by
//! what they could be rung or could log in. The rest goes portion by portion, each in a transaction of its own: whatever breaks it off, it goes on
//! behind the last one. Where their number still rings, named by a sender, it waits until that is over, and others who are to be erased go on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::audit::forget::{ERASED, Known};
use crate::audit::{Line, Operation};
use crate::ids::{CalleeId, HandOverId, HuntId, PersonId, ScheduleId};
use crate::keep::people::{self, PersonError, REMOVAL, there_as_expected};
use crate::keep::roster::{self, log, told};
use crate::numbers::phone_of;
use crate::roster::evaluate;
use crate::store::audit::anywhere::Anywhere;
use crate::store::audit::copies::CopiesPlace;
use crate::store::audit::erasing::{CalleeFound, ErasureRow};
use crate::store::{Announcement, Store, StoreError, Work};
use crate::versions::Expected;

/// Why somebody is not erased; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// There is no such person.
    #[error("there is no such person")]
    Gone,
    /// Alarms ring them now, or will by themselves.
    #[error(
        "an open alarm may ring them, or their number, now or when it rings again: wait until it is over, or skip them in it, then erase them"
    )]
    InOpenHunt,
    /// They are on duty now.
    #[error("they are on duty now in {0}: put somebody else on duty first, then erase them")]
    OnDuty(String),
    /// A public number leads to them.
    #[error("the public number {0} is bound to them: bind it to somebody else first, then erase them")]
    Bound(String),
    /// Nobody else could change anything.
    #[error("they are the last admin who can log in: make somebody else an admin first, then erase them")]
    LastAdmin,
    /// They could not be taken out of the list.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is forgotten, in this order; its word is kept, so that an erasure goes on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Where they were to be rung.
    Hunts,
    Answers,
    Calls,
    Texts,
    /// What they did without having been called, and wherever else they stand.
    Anywhere,
    Duty,
    HandOvers,
    OwnWords,
    Audit,
    /// What went on until now.
    Late,
    Person,
}

impl Step {
    const ALL: [Self; 11] = [
        Self::Hunts,
        Self::Answers,
        Self::Calls,
        Self::Texts,
        Self::Anywhere,
        Self::Duty,
        Self::HandOvers,
        Self::OwnWords,
        Self::Audit,
        Self::Late,
        Self::Person,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Hunts => "hunts",
            Self::Answers => "answers",
            Self::Calls => "calls",
            Self::Texts => "texts",
            Self::Anywhere => "anywhere",
            Self::Duty => "duty",
            Self::HandOvers => "hand_overs",
            Self::OwnWords => "own_words",
            Self::Audit => "audit",
            Self::Late => "late",
            Self::Person => "person",
        }
    }

    /// The step of a word. One of another version is begun from the first: what was forgotten is found no more.
    fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|step| step.as_str() == word).unwrap_or(Self::Hunts)
    }

    fn next(self) -> Option<Self> {
        let place = Self::ALL.iter().position(|step| *step == self)?;
        Self::ALL.get(place + 1).copied()
    }
}

/// Begins to erase a person, or finds that it was begun. From then on nobody rings them, and they log in no more.
///
/// # Errors
/// Why they are not erased, that they have changed meanwhile, or when the database fails.
pub async fn begin(work: &mut Work, id: PersonId, expected: &Expected) -> Result<(), ErasureError> {
    let now = work.now();
    let before = roster::locked(work, &REMOVAL).await?;
    if work.db().erasure(id).await?.is_some_and(|row| row.done_at.is_none()) {
        return Ok(());
    }
    let (person, numbers) = match there_as_expected(&mut work.db(), id, expected).await {
        Err(PersonError::Gone) => return Err(ErasureError::Gone),
        there => there?,
    };
    if work.db().is_needed(id, &phones(&numbers)).await? {
        return Err(ErasureError::InOpenHunt);
    }
    let on_duty =
        |schedule: &&crate::roster::Schedule| evaluate::who(schedule, &before.absences, now).iter().any(|on| on.person == id);
    if let Some(schedule) = before.schedules.iter().find(on_duty) {
        return Err(ErasureError::OnDuty(schedule.name.clone()));
    }
    let bound = work.db().lines().await?.into_iter().find(|line| {
        line.bound_name.as_deref() == Some(person.name.as_str())
            || line.bound_number.as_ref().is_some_and(|own| numbers.contains(own))
    });
    if let Some(line) = bound {
        return Err(ErasureError::Bound(line.name));
    }
    let (logins, is_last) = work.db().users_of(id).await?;
    if is_last {
        return Err(ErasureError::LastAdmin);
    }
    let emails = work.db().emails().await?.remove(&id).unwrap_or_default();
    let known = Known::of(vec![person.name.clone()], logins, numbers, emails);
    work.db().begin_erasure(id, &known, Step::Hunts.as_str(), now).await?;
    // Nobody finds them by a number from here on, so that nothing new is written of them.
    work.db().let_recordings_of_person_go(id, now).await?;
    work.db().clear_numbers(id).await?;
    work.db().update_person(id, &name_of_erased(id), "", now).await?;
    work.db().set_emails(id, &[]).await?;
    work.db().forget_users_of(id).await?;
    work.note(Line::new(Operation::PersonErased).of(id).about(Some(id)));
    work.announce(Announcement::People);
    // Nobody counts on them from here on.
    let after = log::keep(&mut work.db(), now).await?.roster;
    told::of_change(work, &before, &after).await?;
    work.announce(Announcement::Roster);
    Ok(())
}

/// The phones of these numbers.
fn phones(numbers: &[String]) -> Vec<String> {
    numbers.iter().map(|number| phone_of(number).into_owned()).collect()
}

/// What somebody is called while they are being erased: two of them have two names.
fn name_of_erased(id: PersonId) -> String {
    let id = id.0.simple().to_string();
    format!("{ERASED} {}", &id[id.len() - 8..])
}

/// Whether somebody is being erased.
///
/// # Errors
/// When the database fails.
pub async fn is_under_way(store: &Store, id: PersonId) -> Result<bool, StoreError> {
    Ok(store.read().await?.db().erasure(id).await?.is_some_and(|row| row.done_at.is_none()))
}

/// What is left of what was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Something that can be gone on with.
    Something,
    /// Only what waits until alarms are over that ring the number of somebody who is to be erased.
    Waiting,
}

/// Somebody's places in some hunts, of which more is forgotten first.
struct Batch {
    person: PersonId,
    hunts: Vec<HuntId>,
    callees: Vec<CalleeFound>,
    /// How far the copies around these hunts have been gone through; `None`: to the end.
    place: Option<CopiesPlace>,
    /// How far the step has got when they are forgotten.
    reached: String,
}

/// What a portion came to.
enum Portion {
    Done,
    /// These are to be forgotten first.
    First(Batch),
    /// Nothing can be done about them now.
    Waits,
}

/// Goes on with what was begun, for no longer than that; what is left then.
///
/// # Errors
/// When the database fails; what was forgotten until then stays forgotten.
pub async fn go_on(store: &Store, now: DateTime<Utc>, longest: Duration) -> Result<Left, ErasureError> {
    let until = tokio::time::Instant::now() + longest;
    let mut waiting: Vec<PersonId> = Vec::new();
    let mut batch: Option<Batch> = None;
    loop {
        let open = store.read().await?.db().open_erasures().await?;
        let Some(row) = open.into_iter().find(|row| !waiting.contains(&row.person_id)) else {
            return Ok(if waiting.is_empty() { Left::Nothing } else { Left::Waiting });
        };
        let began = tokio::time::Instant::now();
        let mut work = store.work(now, crate::alarm::doer::Doer::Server, None).await?;
        let known: Known = row.known.as_deref().and_then(|known| serde_json::from_str(known).ok()).unwrap_or_default();
        // Another node may have come to the end with whoever it was found for.
        batch = batch.filter(|first| first.person == row.person_id);
        match &mut batch {
            Some(first) => {
                if first_of(&mut work, &row, &known, first).await? {
                    batch = None;
                }
            }
            None => match portion(&mut work, &row, &known).await? {
                Portion::Done => {}
                Portion::First(first) => batch = Some(first),
                Portion::Waits => waiting.push(row.person_id),
            },
        }
        work.commit().await?;
        // What was found is forgotten to its end: it would be looked for again.
        if batch.is_none() && tokio::time::Instant::now() >= until {
            let open = store.read().await?.db().open_erasures().await?;
            return Ok(match open.iter().all(|row| waiting.contains(&row.person_id)) {
                true if open.is_empty() => Left::Nothing,
                true => Left::Waiting,
                false => Left::Something,
            });
        }
        // Others get at the embedded database meanwhile.
        tokio::time::sleep(began.elapsed().min(Duration::from_millis(50))).await;
    }
}

/// A portion of what is forgotten first: the copies around some hunts, then who was to be rung in each of them. True at its end.
async fn first_of(work: &mut Work, row: &ErasureRow, known: &Known, first: &mut Batch) -> Result<bool, ErasureError> {
    let now = work.now();
    if let Some(place) = first.place.take() {
        first.place = work.db().forget_copies(&first.hunts, known, place, now).await?;
        return Ok(false);
    }
    // One at a time: whoever holds one and waits for another would deadlock.
    if let Some(hunt) = first.hunts.pop() {
        let own: Vec<CalleeId> = first.callees.iter().filter(|callee| callee.hunt_id == hunt).map(|callee| callee.id).collect();
        work.db().erase_callees(hunt, &own).await?;
        return Ok(false);
    }
    work.db().note_erasure(row.person_id, &row.step, &first.reached).await?;
    Ok(true)
}

/// What was found, to be forgotten first; `None` where nothing was.
fn first(person: PersonId, callees: Vec<CalleeFound>, reached: String) -> Option<Portion> {
    let mut hunts: Vec<HuntId> = callees.iter().map(|callee| callee.hunt_id).collect();
    hunts.sort_unstable();
    hunts.dedup();
    (!hunts.is_empty()).then(|| Portion::First(Batch { person, hunts, callees, place: Some(CopiesPlace::default()), reached }))
}

/// One portion of an erasure, and how far it has got with it.
async fn portion(work: &mut Work, row: &ErasureRow, known: &Known) -> Result<Portion, ErasureError> {
    let (id, step, now) = (row.person_id, Step::of(&row.step), work.now());
    let further = match step {
        Step::Hunts => {
            if let Some(found) = first(id, hunts(work, id, known).await?, String::new()) {
                return Ok(found);
            }
            None
        }
        Step::Late => {
            if row.reached.is_empty() && work.db().is_still_called(id, &phones(&known.numbers)).await? {
                return Ok(Portion::Waits);
            }
            // Also those whom nobody has called in what went on until now.
            let (callees, next) = work.db().late_callees(known, &row.reached).await?;
            if let Some(found) = first(id, callees, next.clone().unwrap_or_default()) {
                return Ok(found);
            }
            next
        }
        Step::Anywhere => {
            let looked = work.db().forget_anywhere(known, Anywhere::read(&row.reached), now).await?;
            let next = looked.next.map(|next| next.written());
            if let Some(found) = first(id, looked.callees, next.clone().unwrap_or_default()) {
                return Ok(found);
            }
            next
        }
        Step::Answers => some(work.db().erase_answers(id).await?),
        Step::Calls => calls(work, id, known).await?,
        Step::Texts => {
            let mut gone = 0;
            for number in &known.numbers {
                gone += work.db().erase_texts_of(number).await?;
            }
            some(gone)
        }
        Step::Duty => {
            let after = row.reached.split_once(' ').and_then(|(schedule, at)| Some((schedule.parse().ok()?, at.parse().ok()?)));
            let after = after.unwrap_or((ScheduleId(Uuid::nil()), DateTime::UNIX_EPOCH));
            work.db().erase_in_duty_log(known, after).await?.map(|(schedule, at)| format!("{schedule} {}", at.to_rfc3339()))
        }
        Step::HandOvers => {
            let after = row.reached.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
            let after = after.unwrap_or((DateTime::UNIX_EPOCH, HandOverId(Uuid::nil())));
            work.db().erase_in_hand_overs(known, after).await?.map(|(at, id)| format!("{} {id}", at.to_rfc3339()))
        }
        Step::OwnWords => {
            let after = row.reached.split_once(' ').and_then(|(table, id)| Some((table.parse().ok()?, id.parse().ok()?)));
            let further = work.db().erase_in_own_words(known, after.unwrap_or((0, Uuid::nil()))).await?;
            further.map(|(table, id)| format!("{table} {id}"))
        }
        Step::Audit => {
            let after = row.reached.parse().unwrap_or(0);
            work.db().erase_in_audit(id, known, after).await?.map(|last| last.to_string())
        }
        Step::Person => {
            match people::erase_row(work, id).await {
                Ok(()) | Err(PersonError::Gone) => {}
                Err(other) => return Err(other.into()),
            }
            work.db().end_erasure(id, now).await?;
            tracing::info!(person.id = %id, "a person was erased");
            None
        }
    };
    match (further, step.next()) {
        (Some(reached), _) => work.db().note_erasure(id, step.as_str(), &reached).await?,
        (None, Some(next)) => work.db().note_erasure(id, next.as_str(), "").await?,
        (None, None) => {}
    }
    Ok(Portion::Done)
}

/// There may be more of what is found no more once it is forgotten.
fn some(gone: u64) -> Option<String> {
    (gone > 0).then(String::new)
}

/// Some of their places in hunts that are over.
async fn hunts(work: &mut Work, id: PersonId, known: &Known) -> Result<Vec<CalleeFound>, ErasureError> {
    let own = work.db().callees_of_person(id).await?;
    if !own.is_empty() {
        return Ok(own);
    }
    for phone in phones(&known.numbers) {
        // Before they were known here, or where somebody named the number alone.
        let of_phone = work.db().callees_of_phone(&phone).await?;
        if !of_phone.is_empty() {
            return Ok(of_phone);
        }
    }
    Ok(Vec::new())
}

async fn calls(work: &mut Work, id: PersonId, known: &Known) -> Result<Option<String>, ErasureError> {
    let mut gone = work.db().erase_call_records(id, known).await? + work.db().erase_recordings(id).await?;
    for number in &known.numbers {
        gone += work.db().erase_call_records_of(number, known).await?;
    }
    Ok(some(gone))
}
