//! Calls from a list, a thousand at a time: read by a rule, looked up once for each number, stored in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{calls_in, whose};
use crate::call_log::reading::{self, NotATime, Rule};
use crate::call_log::rows::{self, Told};
use crate::ids::KeyId;
use crate::keep::refused::Refused;
use crate::numbers::NumberError;
use crate::store::alarm::replicated::{ReplicatedCall, Whose};
use crate::store::{StoreError, Work};

/// So many lines go into one transaction.
pub const AT_ONCE: usize = 1_000;
/// Whose so many numbers are is remembered.
const MOST_REMEMBERED: usize = 50_000;

/// What a number means, and whose it is.
type Called = Result<(String, Option<Whose>), NumberError>;

/// Why a line was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineRefused {
    /// When it was cannot be read.
    #[error("{0}")]
    Time(#[from] NotATime),
    /// Nobody called, or cannot be said.
    #[error("who called is not said, or too long")]
    Caller,
    /// The number was not dialled as one.
    #[error("{0}")]
    Number(#[from] NumberError),
    /// It is a call between people whom nobody here knows.
    #[error("nobody here has either number")]
    Nobody,
    /// The record has the wrong form.
    #[error("this is no address for pages: it must begin with http:// or https://")]
    Url,
}

/// What became of some lines.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// So many are new.
    pub new: u64,
    /// So many were there.
    pub known: u64,
    /// So many are older than what is kept.
    pub too_old: u64,
    /// The others by their numbers, and why.
    pub refused: Vec<(u64, LineRefused)>,
}

/// Reads lists of calls.
pub struct Importer {
    rule: Rule,
    key: Option<KeyId>,
    make: bool,
    from: Option<DateTime<Utc>>,
    /// Of each number as it was written: what it means, and whose it is.
    known: HashMap<String, Called>,
}

impl Importer {
    /// By this rule and as if this key had told of them; `make`: unknown numbers become contacts.
    #[must_use]
    pub fn new(rule: Rule, key: Option<KeyId>, make: bool) -> Self {
        Self { rule, key, make, from: None, known: HashMap::new() }
    }

    /// As if which key had told of them.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.key
    }

    /// From now on they are read by this rule.
    pub fn read_by(&mut self, rule: Rule) {
        if rule != self.rule {
            self.rule = rule;
            self.forget();
        }
    }

    /// From now on older ones are not kept.
    pub fn keep_from(&mut self, from: Option<DateTime<Utc>>) {
        self.from = from;
    }

    /// Somebody may have another number by now.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Stores what is new among these lines, each with its number in the list.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then.
    pub async fn take(&mut self, work: &mut Work, lines: &[(u64, Told)]) -> Result<Portion, Refused> {
        let mut portion = Portion::default();
        let mut calls = Vec::with_capacity(lines.len());
        for (number, told) in lines {
            match self.read(work, told).await? {
                Ok((call, _)) if self.from.is_some_and(|from| call.at < from) => portion.too_old += 1,
                Ok(call) => calls.push(call),
                Err(why) => portion.refused.push((*number, why)),
            }
        }
        let now = work.now();
        let pairs: Vec<_> = calls.iter().map(|(call, whose)| (call, whose)).collect();
        portion.new = work.db().add_replicated_calls(&pairs, now).await?;
        portion.known = u64::try_from(calls.len()).unwrap_or(u64::MAX) - portion.new;
        Ok(portion)
    }

    async fn read(&mut self, work: &mut Work, told: &Told) -> Result<Result<(ReplicatedCall, Whose), LineRefused>, StoreError> {
        let at = match reading::instant(&told.initiated, &self.rule) {
            Ok(at) => at,
            Err(why) => return Ok(Err(why.into())),
        };
        let Some(caller) = reading::caller(&told.source) else { return Ok(Err(LineRefused::Caller)) };
        if !told.url.is_empty() && !reading::is_address(&told.url) {
            return Ok(Err(LineRefused::Url));
        }
        let (number, whose) = match self.called(work, &told.destination).await? {
            Ok((number, Some(whose))) => (number, whose),
            // Nobody here was called; perhaps somebody here called.
            Ok((number, None)) => match self.calling(work, &caller).await? {
                Some(whose) => (number, whose),
                None => return Ok(Err(LineRefused::Nobody)),
            },
            Err(why) => return Ok(Err(why.into())),
        };
        let call = ReplicatedCall {
            at,
            said_at: told.initiated.clone(),
            caller,
            number,
            written: told.destination.clone(),
            seconds: rows::seconds(&told.duration),
            url: Some(told.url.replace(' ', "%20")).filter(|url| !url.is_empty()),
            key: self.key,
        };
        Ok(Ok((call, whose)))
    }

    async fn called(&mut self, work: &mut Work, written: &str) -> Result<Called, StoreError> {
        if let Some(known) = self.known.get(written) {
            return Ok(known.clone());
        }
        let read = match reading::number(written, &self.rule) {
            // Inside the telephone system only: nobody outside has such a number.
            Ok(number) if number.as_str().len() < reading::LOCAL_DIGITS => Ok((number.as_str().to_owned(), None)),
            Ok(number) => Ok((number.as_str().to_owned(), whose(work, number.as_str(), self.make).await?)),
            Err(why) => Err(why),
        };
        self.remember(written.to_owned(), read.clone());
        Ok(read)
    }

    async fn calling(&mut self, work: &mut Work, caller: &str) -> Result<Option<Whose>, StoreError> {
        // Another name than numbers have: a caller's number is looked up among people only.
        let name = format!("\u{0}{caller}");
        if let Some(Ok((_, whose))) = self.known.get(&name) {
            return Ok(whose.clone());
        }
        let whose = calls_in(work, caller, &self.rule).await?;
        self.remember(name, Ok((String::new(), whose.clone())));
        Ok(whose)
    }

    fn remember(&mut self, written: String, read: Called) {
        if self.known.len() >= MOST_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(written, read);
    }
}
