//! Who changed what: lines are added with the change that they tell of, in its transaction, and read. Nothing here changes or takes one away:
//! that is `erasing.rs` for what names somebody, and `pruning.rs` for what is old enough.

pub mod anywhere;
pub mod copies;
pub mod erasing;
pub mod kept_of;
pub mod masking;
pub mod pruning;
pub mod whence;

use std::net::IpAddr;

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::Value as Json;

use super::dialect::{Dialect, fragment, statements};
use super::statement::{Built, all, execute, fetch_optional, row};
use super::{Db, Result};
use crate::alarm::doer::Doer;
use crate::audit::{Kind, Line, Operation};
use crate::ids::PersonId;

row! {
    /// A line as it is kept, with what still stands beside it.
    #[derive(Clone, Debug)]
    pub struct AuditRow {
        /// In the order in which they were written.
        pub id: i64,
        /// When.
        pub at: DateTime<Utc>,
        /// What was done, by its word: a later version may have others.
        pub operation: String,
        /// With what.
        pub kind: String,
        /// With which one: its id.
        pub subject: Option<String>,
        /// What let whoever did it in.
        pub doer: String,
        /// Which user, key or handset.
        pub doer_id: Option<String>,
        /// The person who did it.
        pub person_id: Option<PersonId>,
        /// The person whom it is about.
        pub about_id: Option<PersonId>,
        /// What whoever did it was called.
        pub doer_name: Option<String>,
        /// In whose name.
        pub said: Option<String>,
        /// From where.
        pub address: Option<String>,
        /// What the thing was called.
        pub name: Option<String>,
        /// JSON of what was so before.
        pub before: Option<String>,
        /// JSON of what is so since.
        pub after: Option<String>,
    }
}

statements! {
    /// A line.
    INSERT = [
        "INSERT INTO audit (at, operation, kind, subject, doer, doer_id) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"
    ];
    /// What of it names somebody.
    INSERT_PERSONAL = [
        "INSERT INTO audit_personal (audit_id, at, person_id, about_id, doer_name, said, address, name, before, after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    ];
    /// Which user has a name, and who that is.
    USER = ["SELECT id, person_id FROM users WHERE name = $1"];
    /// Which key has a name: the one that is not revoked, else the last.
    KEY = ["SELECT id FROM api_keys WHERE name = $1 ORDER BY revoked_at IS NULL DESC, created_at DESC LIMIT 1"];
    /// Which handset has a name.
    HANDSET = ["SELECT id FROM handsets WHERE name = $1"];
    /// Any lines; what is asked for is appended.
    LIST = [
        "SELECT a.id, a.at, a.operation, a.kind, a.subject, a.doer, a.doer_id, p.person_id, p.about_id, p.doer_name, p.said, p.address,
                p.name, p.before, p.after
         FROM audit a LEFT JOIN audit_personal p ON p.audit_id = a.id WHERE TRUE"
    ];
}

/// Where a page of lines ends, or another begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// When the line is of.
    pub at: DateTime<Utc>,
    /// Which one.
    pub id: i64,
}

impl std::fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at.timestamp_micros(), self.id)
    }
}

impl std::str::FromStr for AuditPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> std::result::Result<Self, NoPlace> {
        let (at, id) = text.split_once('.').ok_or(NoPlace)?;
        let at = at.parse().ok().and_then(DateTime::from_timestamp_micros);
        // What no database can compare is no place.
        let at = at.filter(|at| (1..=9999).contains(&at.year())).ok_or(NoPlace)?;
        Ok(Self { at, id: id.parse().map_err(|_| NoPlace)? })
    }
}

/// A text that is no place in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the audit log")]
pub struct NoPlace;

/// Which lines to list; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of one of these operations.
    pub operations: Vec<Operation>,
    /// With one of these kinds of things.
    pub kinds: Vec<Kind>,
    /// By whoever is called so, or in this name.
    pub who: Option<String>,
    /// With the thing that has this name or id.
    pub what: Option<String>,
    /// By or about this person.
    pub person: Option<PersonId>,
    /// Then or later.
    pub from: Option<DateTime<Utc>>,
    /// Before then.
    pub before: Option<DateTime<Utc>>,
    /// Older than this one.
    pub below: Option<AuditPlace>,
    /// Newer than this one.
    pub above: Option<AuditPlace>,
    /// The oldest come first.
    pub oldest_first: bool,
}

impl AuditFilter {
    /// The same, going on behind a place.
    #[must_use]
    pub fn behind(mut self, place: AuditPlace) -> Self {
        *(if self.oldest_first { &mut self.above } else { &mut self.below }) = Some(place);
        self
    }
}

/// A page of lines.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// In the order of the filter.
    pub lines: Vec<AuditRow>,
    /// Behind which the next page begins; `None` when there is nothing more.
    pub next: Option<AuditPlace>,
}

impl AuditRow {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> AuditPlace {
        AuditPlace { at: self.at, id: self.id }
    }
}

/// Who did something, as it is kept.
struct Who {
    word: &'static str,
    id: Option<String>,
    person: Option<PersonId>,
    name: Option<String>,
    address: Option<String>,
}

impl Db<'_> {
    /// Adds lines of what somebody did from there.
    pub(in crate::store) async fn insert_audit(
        &mut self,
        now: DateTime<Utc>,
        by: &Doer,
        address: Option<IpAddr>,
        lines: Vec<Line>,
    ) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let who = self.who(by, address).await?;
        for line in lines.into_iter().map(Line::as_kept) {
            let (operation, kind) = (line.operation.as_str(), line.operation.kind().as_str());
            let row: Option<(i64,)> =
                fetch_optional!(self, INSERT, now, operation, kind, line.id.as_deref(), who.word, who.id.as_deref())?;
            let Some((id,)) = row else { continue };
            let text = |value: Option<Json>| value.map(|value| value.to_string());
            execute!(
                self,
                INSERT_PERSONAL,
                id,
                now,
                line.own.or(who.person),
                line.about,
                who.name.as_deref(),
                line.said.as_deref(),
                who.address.as_deref(),
                line.name.as_deref(),
                text(line.before),
                text(line.after),
            )?;
        }
        Ok(())
    }

    async fn who(&mut self, by: &Doer, address: Option<IpAddr>) -> Result<Who> {
        let mut who = Who { word: "server", id: None, person: None, name: None, address: address.map(|one| one.to_string()) };
        match by {
            Doer::User { name } => {
                let row: Option<(crate::ids::UserId, Option<PersonId>)> = fetch_optional!(self, USER, name.as_str())?;
                who.word = "user";
                who.id = row.as_ref().map(|(id, _)| id.to_string());
                who.person = row.and_then(|(_, person)| person);
                who.name = Some(name.clone());
            }
            Doer::Key { name } => {
                let row: Option<(crate::ids::KeyId,)> = fetch_optional!(self, KEY, name.as_str())?;
                who.word = "key";
                who.id = row.map(|(id,)| id.to_string());
                who.name = Some(name.clone());
            }
            Doer::Handset { name } => {
                let row: Option<(crate::ids::HandsetId,)> = fetch_optional!(self, HANDSET, name.as_str())?;
                who.word = "handset";
                who.id = row.map(|(id,)| id.to_string());
                who.name = Some(name.clone());
            }
            Doer::OpenNetwork { address } => {
                who.word = "open_network";
                who.address = Some(address.to_string());
            }
            Doer::Link => who.word = "link",
            Doer::TextMessage => who.word = "text_message",
            Doer::CommandLine => who.word = "command_line",
            Doer::Server => {}
        }
        Ok(who)
    }

    /// A page of lines, of so many at most.
    pub async fn list_audit(&mut self, filter: &AuditFilter, limit: i64) -> Result<AuditPage> {
        // One more than asked for tells whether there are more.
        let query = list_query(self.dialect(), filter, limit.saturating_add(1));
        let running = self.rows_of_built(&LIST, &query);
        let mut lines: Vec<AuditRow> = running.await.and_then(|rows| all(&LIST, &rows))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next = lines.last().filter(|_| more).map(AuditRow::place);
        Ok(AuditPage { lines, next })
    }
}

/// The text of the query for a list, for the test that looks how the databases carry it out.
#[must_use]
pub fn list_text(dialect: Dialect, filter: &AuditFilter, limit: i64) -> String {
    list_query(dialect, filter, limit).into_text()
}

/// Only rows whose column has one of these words.
fn any_of(query: &mut Built, column: &str, words: impl Iterator<Item = &'static str>) {
    let words: Vec<&'static str> = words.collect();
    match words.as_slice() {
        [] => {}
        [word] => {
            query.push(" AND ").push(column).push(" = ").push_value((*word).to_owned());
        }
        words => {
            for (place, word) in words.iter().enumerate() {
                query.push(if place == 0 { " AND " } else { ", " });
                if place == 0 {
                    query.push(column).push(" IN (");
                }
                query.push_value((*word).to_owned());
            }
            query.push(")");
        }
    }
}

/// By what lines are found that name somebody or something.
#[derive(Clone, Copy)]
enum Name<'f> {
    Text(&'f str),
    Person(PersonId),
}

impl Name<'_> {
    fn push(self, query: &mut Built) {
        match self {
            Self::Text(text) => query.push_value(text.to_owned()),
            Self::Person(id) => query.push_value(id),
        };
    }
}

/// A name that is asked for, and the two columns in which it may stand: beside a line, as `p`, or in it, as `a`.
type Named<'f> = (Name<'f>, [&'static str; 2]);

impl AuditFilter {
    /// The names that are asked for.
    fn named(&self) -> impl Iterator<Item = Named<'_>> {
        let who = self.who.as_deref().map(|who| (Name::Text(who), ["p.doer_name", "p.said"]));
        let what = self.what.as_deref().map(|what| (Name::Text(what), ["p.name", "a.subject"]));
        let person = self.person.map(|person| (Name::Person(person), ["p.person_id", "p.about_id"]));
        who.into_iter().chain(what).chain(person)
    }
}

/// What else is asked for, but for names.
fn push_others(query: &mut Built, filter: &AuditFilter) {
    any_of(query, "a.operation", filter.operations.iter().map(|operation| operation.as_str()));
    any_of(query, "a.kind", filter.kinds.iter().map(|kind| kind.as_str()));
}

/// The order of lines, and from where to where in it, by the columns of one table.
fn push_part(query: &mut Built, filter: &AuditFilter, [moment, id]: [&str; 2], limit: i64) {
    if let Some(from) = filter.from {
        query.push(" AND ").push(moment).push(" >= ").push_value(from);
    }
    if let Some(before) = filter.before {
        query.push(" AND ").push(moment).push(" < ").push_value(before);
    }
    for (place, sign) in [(filter.below, "<"), (filter.above, ">")] {
        if let Some(AuditPlace { at, id: last }) = place {
            query.push(&format!(" AND ({moment}, {id}) {sign} (")).push_value(at).push(", ").push_value(last).push(")");
        }
    }
    let way = if filter.oldest_first { "" } else { " DESC" };
    query.push(&format!(" ORDER BY {moment}{way}, {id}{way} LIMIT ")).push_value(limit);
}

/// The lines in one of whose columns a name stands, in their order and no more than are wanted: an index holds them so, however many there are.
fn push_found(query: &mut Built, filter: &AuditFilter, name: Name<'_>, column: &str, limit: i64) {
    let others: Vec<Named<'_>> = filter.named().skip(1).collect();
    let more =
        !filter.operations.is_empty() || !filter.kinds.is_empty() || others.iter().any(|(_, two)| two.contains(&"a.subject"));
    let own = column.starts_with("p.");
    let (first, place) = match own {
        true => ("SELECT p.audit_id AS id FROM audit_personal p", ["p.at", "p.audit_id"]),
        false => ("SELECT a.id AS id FROM audit a", ["a.at", "a.id"]),
    };
    query.push("SELECT id FROM (").push(first);
    let joined = match own {
        true if more => Some("audit a"),
        true => None,
        false if !others.is_empty() => Some("audit_personal p"),
        false => None,
    };
    if let Some(joined) = joined {
        // The first finds, and the other is looked at beside it.
        query.push(" CROSS JOIN ").push(joined);
    }
    query.push(" WHERE ").push(column).push(" = ");
    name.push(query);
    if joined.is_some() {
        query.push(" AND p.audit_id = a.id");
    }
    for (name, [one, two]) in others {
        query.push(" AND (").push(one).push(" = ");
        name.push(query);
        query.push(" OR ").push(two).push(" = ");
        name.push(query);
        query.push(")");
    }
    push_others(query, filter);
    push_part(query, filter, place, limit);
    query.push(") AS found");
}

/// Built for what is asked for, and planned anew each time.
fn list_query(dialect: Dialect, filter: &AuditFilter, limit: i64) -> Built {
    let mut query = Built::new(LIST.on(dialect));
    match filter.named().next() {
        None => push_others(&mut query, filter),
        Some((name, [one, two])) => {
            query.push(" AND a.id IN (");
            push_found(&mut query, filter, name, one, limit);
            query.push(" UNION ALL ");
            push_found(&mut query, filter, name, two, limit);
            query.push(")");
        }
    }
    push_part(&mut query, filter, ["a.at", "a.id"], limit);
    query
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_place_is_written_and_read() {
        let place = AuditPlace { at: DateTime::from_timestamp_micros(1_764_000_000_123_456).unwrap(), id: 17 };
        assert_eq!(place.to_string().parse::<AuditPlace>().unwrap(), place);
        for nonsense in
            ["", "17", "x.17", "17.", ".17", "9999999999999999999.1", "-8000000000000000000.1", "8000000000000000000.1"]
        {
            assert_eq!(nonsense.parse::<AuditPlace>(), Err(NoPlace), "{nonsense}");
        }
    }
}
