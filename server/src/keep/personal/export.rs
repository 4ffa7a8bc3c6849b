//! All that is kept of one person, as one JSON file. It is read and written a piece at a time, so that nobody holds all of it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::forget::Known;
use crate::audit::{Line, Operation};
use crate::ids::{AnswerId, CalleeId, HandOverId, InboundSmsId, PersonId, RecordingId, ScheduleId, SmsId};
use crate::keep::people::PersonError;
use crate::keep::users::teams::Standing;
use crate::roster::Change;
use crate::store::audit::kept_of::LineOf;
use crate::store::audit::{AuditFilter, AuditRow};
use crate::store::{Store, StoreError, Work};

/// So many records are read at a time.
const AT_ONCE: i64 = 500;
/// So many numbers that they had before are looked for.
const MOST_EARLIER: usize = 50;

/// Where the next piece begins.
enum Next {
    /// Who they are, and what is planned for them.
    Person,
    /// When they were on duty.
    Duty((ScheduleId, DateTime<Utc>)),
    /// Where they were to be rung.
    Rung(CalleeId),
    Answers(AnswerId),
    Calls(Option<(DateTime<Utc>, i64)>),
    /// What was recorded of them.
    Recordings(RecordingId),
    /// Calls that came from the number at this place of theirs.
    CallsFrom(usize, (DateTime<Utc>, String)),
    /// Text messages to the number at this place of theirs.
    TextsTo(usize, (DateTime<Utc>, SmsId)),
    TextsFrom(usize, (DateTime<Utc>, InboundSmsId)),
    /// Public numbers that led to them.
    HandOvers((DateTime<Utc>, HandOverId)),
    /// What stands of them on timelines.
    Timelines(i64),
    Audit(AuditFilter),
    End,
    Over,
}

/// A file that is being written.
pub struct Export {
    store: Store,
    person: PersonId,
    numbers: Vec<String>,
    /// Those at which they were called before, as far as nobody else has them now.
    earlier: Vec<String>,
    /// By what they are found where they stand by name.
    known: Known,
    next: Next,
    /// Nothing stands in the list yet that is being written.
    is_first: bool,
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Notes that somebody takes out all that is kept of a person.
///
/// # Errors
/// When there is no such person, or the database fails.
pub async fn note(work: &mut Work, id: PersonId) -> Result<(), PersonError> {
    let person = work.db().person(id).await?.ok_or(PersonError::Gone)?;
    work.note(Line::new(Operation::PersonExported).of(id).named(person.name).about(Some(id)));
    Ok(())
}

impl Export {
    /// Begins the file of one person.
    ///
    /// # Errors
    /// When there is no such person, or the database fails.
    pub async fn begin(store: Store, person: PersonId) -> Result<Self, PersonError> {
        let mut reader = store.read().await?;
        let row = reader.db().person(person).await?.ok_or(PersonError::Gone)?;
        let numbers = reader.db().numbers_of(person).await?;
        let (logins, _) = reader.db().users_of(person).await?;
        drop(reader);
        let known = Known::of(vec![row.name], logins, numbers.clone(), Vec::new());
        Ok(Self { store, person, numbers, earlier: Vec::new(), known, next: Next::Person, is_first: true })
    }

    /// Its next piece; `None` at its end.
    ///
    /// # Errors
    /// When the database fails; what has been written until then is no whole file.
    pub async fn piece(&mut self) -> Result<Option<String>, StoreError> {
        let person = self.person;
        match std::mem::replace(&mut self.next, Next::Over) {
            Next::Over => Ok(None),
            Next::Person => {
                let written = self.about().await?;
                self.next = Next::Duty((ScheduleId(Uuid::nil()), DateTime::UNIX_EPOCH));
                Ok(Some(format!("{}{}", written, self.begins("duty"))))
            }
            Next::Duty(after) => {
                let rows = self.store.read().await?.db().duty_log_behind(after).await?;
                let last = rows.last().map(|(schedule, at, _)| (*schedule, *at));
                let id = person.to_string();
                let own = rows.into_iter().filter_map(|(schedule, at, people)| {
                    let is_on = people.0.as_array()?.iter().any(|one| one.get("person").and_then(Value::as_str) == Some(&id));
                    is_on.then(|| json!({ "schedule": schedule, "since": instant(at) }))
                });
                let out = self.list(own);
                let next = last.map(Next::Duty);
                Ok(Some(self.go_on(out, next, "rung", || Next::Rung(CalleeId(Uuid::nil())))))
            }
            Next::Rung(after) => {
                let rows = self.store.read().await?.db().rung_of_person(person, after).await?;
                let next = rows.last().map(|row| Next::Rung(row.id));
                self.note_earlier(rows.iter().map(|row| &row.number));
                let out = self.list(rows.into_iter().map(|row| {
                    json!({ "hunt": row.hunt_id, "name": row.name, "number": row.number, "attempts": row.attempts,
                            "last_offered_at": row.last_offered_at.map(instant) })
                }));
                Ok(Some(self.go_on(out, next, "answers", || Next::Answers(AnswerId(Uuid::nil())))))
            }
            Next::Answers(after) => {
                let rows = self.store.read().await?.db().answers_of_person(person, after).await?;
                let next = rows.last().map(|row| Next::Answers(row.id));
                let out = self.list(rows.into_iter().map(|row| {
                    json!({ "hunt": row.hunt_id, "name": row.name, "number": row.number, "at": instant(row.at),
                            "confirmed_at": row.confirmed_at.map(instant) })
                }));
                Ok(Some(self.go_on(out, next, "calls", || Next::Calls(None))))
            }
            Next::Calls(before) => {
                let rows = self.store.read().await?.db().calls_of_person(person, before, AT_ONCE).await?;
                let next = rows.last().map(|row| Next::Calls(Some((row.offered_at, row.id))));
                self.note_earlier(rows.iter().map(|row| &row.number));
                let out = self.list(rows.into_iter().map(|row| {
                    json!({ "id": row.id, "at": instant(row.offered_at), "number": row.number, "name": row.name,
                            "outcome": row.outcome.as_str(), "keys": row.keys, "talk_seconds": row.talk_seconds })
                }));
                Ok(Some(self.go_on(out, next, "recordings", || Next::Recordings(RecordingId(Uuid::nil())))))
            }
            Next::Recordings(after) => {
                let rows = self.store.read().await?.db().recordings_of_person(person, after).await?;
                let next = rows.last().map(|row| Next::Recordings(row.id));
                if next.is_none() {
                    self.take_earlier().await?;
                }
                let out = self.list(rows.into_iter().map(|row| {
                    json!({ "id": row.id, "hunt": row.hunt_id, "number": row.number, "at": instant(row.named_at), "seconds": row.seconds,
                            "gone_at": row.gone_at.map(instant) })
                }));
                let first = (DateTime::UNIX_EPOCH, String::new());
                Ok(Some(self.go_on(out, next, "calls_from", || Next::CallsFrom(0, first))))
            }
            Next::CallsFrom(place, (at, mid)) => {
                let first = (DateTime::UNIX_EPOCH, SmsId(Uuid::nil()));
                let Some(number) = self.numbers.get(place).cloned() else {
                    return Ok(Some(self.go_on(String::new(), None, "texts_to", || Next::TextsTo(0, first))));
                };
                let rows = self.store.read().await?.db().calls_from(&number, (at, &mid)).await?;
                self.next = match rows.last() {
                    Some(row) => Next::CallsFrom(place, (row.at, row.mid.clone())),
                    None => Next::CallsFrom(place + 1, (DateTime::UNIX_EPOCH, String::new())),
                };
                Ok(Some(
                    self.list(
                        rows.into_iter().map(
                            |row| json!({ "number": number, "at": instant(row.at), "hunt": row.hunt_id, "said": row.action }),
                        ),
                    ),
                ))
            }
            Next::TextsTo(place, after) => {
                let first = (DateTime::UNIX_EPOCH, InboundSmsId(Uuid::nil()));
                let Some(number) = self.numbers.get(place).cloned() else {
                    return Ok(Some(self.go_on(String::new(), None, "texts_from", || Next::TextsFrom(0, first))));
                };
                let rows = self.store.read().await?.db().texts_sent_to(&number, after).await?;
                self.next = match rows.last() {
                    Some(row) => Next::TextsTo(place, (row.created_at, row.id)),
                    None => Next::TextsTo(place + 1, (DateTime::UNIX_EPOCH, SmsId(Uuid::nil()))),
                };
                Ok(Some(self.list(rows.into_iter().map(|row| {
                    json!({ "number": number, "at": instant(row.created_at), "text": row.text, "sent_at": row.sent_at.map(instant) })
                }))))
            }
            Next::TextsFrom(place, after) => {
                let Some(number) = self.numbers.get(place).cloned() else {
                    let first = (DateTime::UNIX_EPOCH, HandOverId(Uuid::nil()));
                    return Ok(Some(self.go_on(String::new(), None, "hand_overs", || Next::HandOvers(first))));
                };
                let rows = self.store.read().await?.db().texts_from(&number, after).await?;
                self.next = match rows.last() {
                    Some(row) => Next::TextsFrom(place, (row.received_at, row.id)),
                    None => Next::TextsFrom(place + 1, (DateTime::UNIX_EPOCH, InboundSmsId(Uuid::nil()))),
                };
                Ok(Some(self.list(
                    rows.into_iter().map(|row| json!({ "number": number, "at": instant(row.received_at), "text": row.text })),
                )))
            }
            Next::HandOvers(after) => {
                let rows = self.store.read().await?.db().hand_overs_behind(after).await?;
                let next = rows.last().map(|(id, at, ..)| Next::HandOvers((*at, *id)));
                let known = &self.known;
                let own =
                    rows.into_iter().filter(|(_, _, name, number)| known.names.contains(name) || known.numbers.contains(number));
                let own: Vec<Value> = own.map(|(_, at, _, number)| json!({ "at": instant(at), "number": number })).collect();
                let out = self.list(own.into_iter());
                Ok(Some(self.go_on(out, next, "timelines", || Next::Timelines(0))))
            }
            Next::Timelines(after) => {
                let rows = self.store.read().await?.db().lines_behind(after).await?;
                let next = rows.last().map(|row| Next::Timelines(row.id));
                let own: Vec<Value> = rows.iter().filter_map(|row| on_timeline(&self.known, row)).collect();
                let out = self.list(own.into_iter());
                let filter = AuditFilter { person: Some(person), oldest_first: true, ..AuditFilter::default() };
                Ok(Some(self.go_on(out, next, "audit", || Next::Audit(filter))))
            }
            Next::Audit(filter) => {
                let page = self.store.read().await?.db().list_audit(&filter, AT_ONCE).await?;
                let out = self.list(page.lines.iter().map(line));
                self.next = match page.next {
                    Some(place) => Next::Audit(filter.behind(place)),
                    None => Next::End,
                };
                Ok(Some(out))
            }
            Next::End => Ok(Some("\n]\n}\n".to_owned())),
        }
    }

    /// Remembers numbers at which they were called.
    fn note_earlier<'n>(&mut self, numbers: impl Iterator<Item = &'n String>) {
        for number in numbers {
            let is_known = self.numbers.contains(number) || self.earlier.contains(number) || number.contains('*');
            if !is_known && self.earlier.len() < MOST_EARLIER {
                self.earlier.push(number.clone());
            }
        }
    }

    /// What came to and from numbers that they had before is theirs too, unless somebody else has them now.
    async fn take_earlier(&mut self) -> Result<(), StoreError> {
        let mut reader = self.store.read().await?;
        for number in std::mem::take(&mut self.earlier) {
            if reader.db().person_with_number(&number).await?.is_none() {
                self.numbers.push(number);
            }
        }
        self.known = Known::of(self.known.names.clone(), self.known.logins.clone(), self.numbers.clone(), Vec::new());
        Ok(())
    }

    /// The beginning of the next list, behind the one that has ended.
    fn begins(&mut self, name: &str) -> String {
        self.is_first = true;
        format!(",\n\"{name}\": [")
    }

    fn list(&mut self, all: impl Iterator<Item = Value>) -> String {
        let mut out = String::new();
        for one in all {
            out.push_str(if self.is_first { "\n" } else { ",\n" });
            self.is_first = false;
            out.push_str(&one.to_string());
        }
        out
    }

    /// Goes on in this list where there may be more of it, else with the one that comes next.
    fn go_on(&mut self, mut out: String, more: Option<Next>, name: &str, then: impl FnOnce() -> Next) -> String {
        if let Some(more) = more {
            self.next = more;
            return out;
        }
        out.push_str("\n]");
        out.push_str(&self.begins(name));
        self.next = then();
        out
    }

    /// The beginning of the file: who they are, and what is planned for them.
    async fn about(&self) -> Result<String, StoreError> {
        let person = self.person;
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let row = db.person(person).await?;
        let roster = db.roster().await?;
        let told = db.told(person).await?;
        let emails = db.emails().await?.remove(&person).unwrap_or_default();
        let (logins, _) = db.users_of(person).await?;
        let (mut standings, mut sessions) = (Vec::new(), Vec::new());
        for name in &logins {
            let Some(user) = db.user_by_name(name).await? else { continue };
            let standing = Standing::of(&mut db, &user).await?;
            let factor = db.second_factor(user.id).await?.and_then(|own| own.confirmed_at);
            standings.push(json!({ "name": name, "role": standing.role, "teams": standing.teams, "second_factor_since": factor.map(instant) }));
            let rows = db.sessions_of(user.id, DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH).await?.into_iter();
            sessions.extend(rows.map(|own| {
                json!({ "since": instant(own.created_at), "last_used_at": instant(own.last_used_at), "address": own.address, "browser": own.browser })
            }));
        }
        let known_elsewhere: Vec<Value> = db
            .identities_of_person(person)
            .await?
            .iter()
            .map(|own| json!({ "issuer": own.issuer, "subject": own.subject, "last_used_at": instant(own.last_used_at) }))
            .collect();
        let quiet = db.quiet_hours().await?.into_iter().filter(|own| own.person == Some(person));
        let quiet: Vec<Value> = quiet
            .map(|own| json!({ "from": own.from.to_string(), "to": own.to.to_string(), "zone": own.zone.name(), "up_to": own.up_to.as_str() }))
            .collect();
        let vacations = db.vacations().await?.into_iter().filter(|own| own.person_id == person);
        let vacations: Vec<Value> = vacations
            .map(|own| json!({ "starts_at": instant(own.starts_at), "ends_at": instant(own.ends_at), "note": own.note }))
            .collect();
        let feeds: Vec<Value> =
            db.feeds_of(person).await?.iter().map(|own| json!({ "id": own.id, "made_at": instant(own.created_at) })).collect();
        let swaps: Vec<Value> = db
            .swaps_of_person(person)
            .await?
            .into_iter()
            .map(|own| {
                json!({ "schedule": own.schedule_id, "starts_at": instant(own.starts_at), "ends_at": instant(own.ends_at), "said": own.said })
            })
            .collect();
        let teams: Vec<&str> =
            roster.teams.iter().filter(|team| team.members.contains(&person)).map(|team| team.name.as_str()).collect();
        let overrides: Vec<Value> = roster
            .schedules
            .iter()
            .flat_map(|schedule| schedule.overrides.iter().map(move |own| (schedule, own)))
            .filter(|(_, own)| concerns(&own.change, person))
            .map(|(schedule, own)| {
                json!({ "schedule": schedule.name, "starts_at": instant(own.from), "ends_at": instant(own.to), "note": own.note })
            })
            .collect();
        let about = json!({
            "id": person,
            "name": row.as_ref().map(|row| &row.name),
            "language": row.as_ref().map(|row| &row.language).filter(|language| !language.is_empty()),
            "numbers": self.numbers,
            "emails": emails,
            "logins": logins,
            "roles": standings,
            "sessions": sessions,
            "known_elsewhere": known_elsewhere,
            "teams": teams,
            "told": {
                "alarm_texts": told.alarm_texts.as_str(), "shift_minutes": told.shift_minutes, "put_on_duty": told.put_on_duty,
                "ways": told.ways,
            },
            "quiet_hours": quiet,
            "vacations": vacations,
            "overrides": overrides,
            "swaps": swaps,
            "calendar_addresses": feeds,
        });
        Ok(format!("{{\n\"person\": {about}"))
    }
}

/// A line of a timeline that names them: what it was, and what they said; nobody else who stands in it. `None` where it does not name them.
fn on_timeline(known: &Known, row: &LineOf) -> Option<Value> {
    let body = &row.body.0;
    if !known.is_named_in(body) {
        return None;
    }
    let by = |key: &str| body[key].as_str().is_some_and(|name| known.names.iter().any(|own| own == name) || known.is_login(name));
    let said = ["text", "note", "reason"].iter().find_map(|key| body[*key].as_str()).filter(|_| by("by") || by("name"));
    let number = body["number"].as_str().filter(|number| known.numbers.iter().any(|own| own == number));
    Some(json!({
        "alarm": row.alarm_id, "hunt": row.hunt_id, "at": instant(row.at), "what": row.kind, "said": said, "number": number,
    }))
}

/// Whether an override is about somebody.
fn concerns(change: &Change, person: PersonId) -> bool {
    match change {
        Change::Add(own) | Change::Remove(own) => *own == person,
        Change::Replace { by, of } => *by == person || *of == Some(person),
    }
}

/// A line of the audit log as one of a file.
#[must_use]
pub fn line(row: &AuditRow) -> Value {
    let side = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "id": row.id, "at": instant(row.at), "operation": row.operation, "kind": row.kind, "subject": row.subject, "name": row.name,
        "doer": row.doer, "doer_id": row.doer_id, "doer_name": row.doer_name, "said": row.said, "address": row.address,
        "before": side(&row.before), "after": side(&row.after),
    })
}
