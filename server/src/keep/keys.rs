//! Keys of senders: made and revoked.

use chrono_tz::Tz;

use crate::call_log::reading::{self, Said};
use crate::ids::KeyId;
use crate::needs::Words;
use crate::numbers::{Number, NumberError, Region};
use crate::secrets;
use crate::store::access::keys::{COMMANDS_CALLS, LISTS_CALLS};
use crate::store::{Announcement, StoreError, Work};

/// Tells a key from other secrets, in a log or a search for leaked ones.
const PREFIX: &str = "ak_";
const LONGEST_NAME: usize = 60;

/// Why a key was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or garbled.
    #[error("a key's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name, perhaps revoked.
    #[error("there is or was a key {0:?}: choose another name, so that its alarms are not mixed up with the old one's")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no key {0:?} that could be revoked: `autocall key list` shows them")]
    NoSuchKey(String),
    /// Whom to ring cannot be rung.
    #[error("{0:?}: {1}")]
    BadNumber(String, NumberError),
    /// There is none of that name that is good.
    #[error("there is no key {0:?} that is good: `autocall key list` shows them")]
    Unknown(String),
    /// It does not list calls.
    #[error("the key {0:?} lists no calls: only keys that were made with --phonecalls are read by a zone and an area code")]
    ListsNoCalls(String),
    /// There are calls that were read by what is to be changed.
    #[error("calls that the key {0:?} listed are kept, and were read as it is now: with --reread they are read anew")]
    HasCalls(String),
    /// It commands no calls.
    #[error("the key {0:?} commands no calls: only keys that were made with --calls do")]
    CommandsNoCalls(String),
    /// No number begins so.
    #[error(
        "{0:?} is no beginning of a number: write + and the digits behind it, such as +86, or several with commas between them"
    )]
    BadBeginning(String),
    /// That is no area code.
    #[error("{0:?} is no area code: write 1 to 8 digits, such as 0261")]
    BadAreaCode(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key, and gives it: it is shown once.
///
/// # Errors
/// When the name is bad or taken, a number cannot be rung, or the database fails.
pub async fn add(work: &mut Work, name: &str, phones: &[String], region: Region) -> Result<String, KeyError> {
    add_with(work, name, phones, &Words::default(), region).await
}

/// Makes a key that may list calls and nothing else, and gives it. It keeps the country and the zone of the installation where none was said:
/// were these to change later, each call that is told again would be another one.
///
/// # Errors
/// As [`add`], and when there is no such area code.
pub async fn add_for_calls(work: &mut Work, name: &str, said: &Said, own: (Region, Tz)) -> Result<String, KeyError> {
    if let Some(code) = said.area_code.as_deref().filter(|code| !reading::is_area_code(code)) {
        return Err(KeyError::BadAreaCode(code.to_owned()));
    }
    let rule = said.rule(own.0, own.1);
    let kept = Said { region: Some(rule.region.to_string()), zone: Some(rule.zone), ..said.clone() };
    insert(work, name, (&[], &Words::read(LISTS_CALLS), Some(&kept))).await
}

/// Says which numbers a key may call: those that begin with one of these, or `any`. Gives what it may then; `None` is any.
///
/// # Errors
/// When there is no such key, it commands no calls, no number begins so, or the database fails.
pub async fn may_call(work: &mut Work, name: &str, beginnings: &str) -> Result<Option<String>, KeyError> {
    let key = work.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.to_owned()))?;
    if !key.may(COMMANDS_CALLS) {
        return Err(KeyError::CommandsNoCalls(name.to_owned()));
    }
    let may = match beginnings.trim() {
        "any" => None,
        all => {
            let each: Vec<&str> = all.split(',').map(str::trim).collect();
            let is_one = |one: &&str| {
                one.strip_prefix('+')
                    .is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
            };
            if let Some(bad) = each.iter().find(|one| !is_one(one)) {
                return Err(KeyError::BadBeginning((*bad).to_owned()));
            }
            Some(each.join(","))
        }
    };
    work.db().set_rpc_may_call(key.id, may.as_deref()).await?;
    Ok(may)
}

/// Makes a key that may more than raise alarms, and gives it.
///
/// # Errors
/// As [`add`].
pub async fn add_with(
    work: &mut Work,
    name: &str,
    phones: &[String],
    rights: &Words,
    region: Region,
) -> Result<String, KeyError> {
    for phone in phones {
        Number::parse(phone, region).map_err(|error| KeyError::BadNumber(phone.clone(), error))?;
    }
    insert(work, name, (phones, rights, None)).await
}

async fn insert(work: &mut Work, name: &str, what: (&[String], &Words, Option<&Said>)) -> Result<String, KeyError> {
    let now = work.now();
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(KeyError::BadName);
    }
    let (key, hash) = secrets::new(PREFIX);
    match work.db().insert_key(KeyId::new(now), name, &hash, what, now).await {
        Ok(()) => {}
        Err(error) if error.is_unique_violation() => return Err(KeyError::NameTaken(name.to_owned())),
        Err(error) => return Err(error.into()),
    }
    work.announce(Announcement::Keys);
    Ok(key)
}

/// Revokes a key at once.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn revoke(work: &mut Work, name: &str) -> Result<(), KeyError> {
    let now = work.now();
    if !work.db().revoke_key(name, now).await? {
        return Err(KeyError::NoSuchKey(name.to_owned()));
    }
    work.announce(Announcement::Keys);
    Ok(())
}
