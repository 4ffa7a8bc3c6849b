//! Erasing a person: everything that tells who they are goes, what happened stays.
//!
//! The first transaction checks that nobody needs them now, writes down that they are to be erased, and takes away by what they could be rung or
//! could log in. The rest goes portion by portion, each in a transaction of its own: whatever breaks it off, it goes on behind the last one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::audit::forget::{ERASED, Known};
use crate::audit::{Line, Operation};
use crate::ids::{HandOverId, PersonId, ScheduleId};
use crate::keep::people::{self, PersonError, there_as_expected};
use crate::roster::evaluate;
use crate::store::audit::erasing::ErasureRow;
use crate::store::edits::Edited;
use crate::store::{Announcement, Store, StoreError, Work};
use crate::versions::Expected;

/// Why somebody is not erased; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// There is no such person.
    #[error("there is no such person")]
    Gone,
    /// Alarms ring them now.
    #[error("an open alarm may ring them: wait until it is over, or skip them in it, then erase them")]
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
    Hunts,
    Answers,
    Calls,
    Texts,
    Duty,
    HandOvers,
    OwnWords,
    Audit,
    Person,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Hunts,
        Self::Answers,
        Self::Calls,
        Self::Texts,
        Self::Duty,
        Self::HandOvers,
        Self::OwnWords,
        Self::Audit,
        Self::Person,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Hunts => "hunts",
            Self::Answers => "answers",
            Self::Calls => "calls",
            Self::Texts => "texts",
            Self::Duty => "duty",
            Self::HandOvers => "hand_overs",
            Self::OwnWords => "own_words",
            Self::Audit => "audit",
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
    work.db().lock_edits(Edited::People).await?;
    if work.db().erasure(id).await?.is_some_and(|row| row.done_at.is_none()) {
        return Ok(());
    }
    let (person, numbers) = match there_as_expected(&mut work.db(), id, expected).await {
        Err(PersonError::Gone) => return Err(ErasureError::Gone),
        there => there?,
    };
    work.db().lock_roster().await?;
    if work.db().is_in_open_hunt(id).await? {
        return Err(ErasureError::InOpenHunt);
    }
    let roster = work.db().roster().await?;
    let on_duty =
        |schedule: &&crate::roster::Schedule| evaluate::who(schedule, &roster.absences, now).iter().any(|on| on.person == id);
    if let Some(schedule) = roster.schedules.iter().find(on_duty) {
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
    let mut names = vec![person.name.clone()];
    names.extend(logins.into_iter().filter(|login| *login != person.name));
    let known = Known { names, numbers, emails, masks: false };
    work.db().begin_erasure(id, &known, Step::Hunts.as_str(), now).await?;
    // Nobody finds them by a number from here on, so that nothing new is written of them.
    work.db().let_recordings_of_person_go(id, now).await?;
    work.db().clear_numbers(id).await?;
    // The duty log is still written while they are in the plan.
    work.db().update_person(id, &name_of_erased(id), "", now).await?;
    work.db().set_emails(id, &[]).await?;
    work.db().forget_users_of(id).await?;
    work.note(Line::new(Operation::PersonErased).of(id).about(Some(id)));
    work.announce(Announcement::People);
    Ok(())
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

/// Goes on with what was begun, for no longer than that; true when nothing is left.
///
/// # Errors
/// When the database fails; what was forgotten until then stays forgotten.
pub async fn go_on(store: &Store, now: DateTime<Utc>, longest: Duration) -> Result<bool, ErasureError> {
    let until = tokio::time::Instant::now() + longest;
    loop {
        let open = store.read().await?.db().open_erasure().await?;
        let Some(row) = open else { return Ok(true) };
        let began = tokio::time::Instant::now();
        let mut work = store.work(now, crate::alarm::doer::Doer::Server, None).await?;
        portion(&mut work, &row).await?;
        work.commit().await?;
        if tokio::time::Instant::now() >= until {
            return Ok(store.read().await?.db().open_erasure().await?.is_none());
        }
        // Others get at the embedded database meanwhile.
        tokio::time::sleep(began.elapsed().min(Duration::from_millis(50))).await;
    }
}

/// One portion of an erasure, and how far it has got with it.
async fn portion(work: &mut Work, row: &ErasureRow) -> Result<(), ErasureError> {
    let (id, step) = (row.person_id, Step::of(&row.step));
    let known: Known = row.known.as_deref().and_then(|known| serde_json::from_str(known).ok()).unwrap_or_default();
    let further = match step {
        Step::Hunts => hunts(work, id, &known).await?,
        Step::Answers => some(work.db().erase_answers(id).await?),
        Step::Calls => calls(work, id, &known).await?,
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
            work.db().erase_in_duty_log(&known, after).await?.map(|(schedule, at)| format!("{schedule} {}", at.to_rfc3339()))
        }
        Step::HandOvers => {
            let after = row.reached.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
            let after = after.unwrap_or((DateTime::UNIX_EPOCH, HandOverId(Uuid::nil())));
            work.db().erase_in_hand_overs(&known, after).await?.map(|(at, id)| format!("{} {id}", at.to_rfc3339()))
        }
        Step::OwnWords => {
            let after = row.reached.split_once(' ').and_then(|(table, id)| Some((table.parse().ok()?, id.parse().ok()?)));
            let further = work.db().erase_in_own_words(&known, after.unwrap_or((0, Uuid::nil()))).await?;
            further.map(|(table, id)| format!("{table} {id}"))
        }
        Step::Audit => {
            let after = row.reached.parse().unwrap_or(0);
            work.db().erase_in_audit(id, &known, after).await?.map(|last| last.to_string())
        }
        Step::Person => {
            let now = work.now();
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
    Ok(())
}

/// There may be more of what is found no more once it is forgotten.
fn some(gone: u64) -> Option<String> {
    (gone > 0).then(String::new)
}

async fn hunts(work: &mut Work, id: PersonId, known: &Known) -> Result<Option<String>, ErasureError> {
    if work.db().erase_in_hunts(id, known).await? {
        return Ok(Some(String::new()));
    }
    for number in &known.numbers {
        // Before they were known here, or where somebody named the number alone.
        let phone = crate::numbers::phone_of(number).into_owned();
        if work.db().erase_in_hunts_of_phone(&phone, known).await? {
            return Ok(Some(String::new()));
        }
    }
    Ok(None)
}

async fn calls(work: &mut Work, id: PersonId, known: &Known) -> Result<Option<String>, ErasureError> {
    let mut gone = work.db().erase_call_records(id, known).await? + work.db().erase_recordings(id).await?;
    for number in &known.numbers {
        gone += work.db().erase_call_records_of(number, known).await?;
    }
    Ok(some(gone))
}
