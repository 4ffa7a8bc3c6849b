//! What keys may: given, narrowed to what they do, bound; and their secrets, changed without a gap. What is wider than it need be is found
//! here, for the pages, for commands, and for whoever checks an installation.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::audit::{Line, Operation};
use crate::config::Config;
use crate::ids::KeyId;
use crate::rights::{Bounds, Right, Rights};
use crate::secrets;
use crate::store::access::keys::{KeyRow, UsedRightRow, WITHOUT_KEY};
use crate::store::{Announcement, Db, StoreError, Work};
use crate::versions::Expected;

use super::{KeyError, PREFIX};

/// What was used within this time is what somebody needs.
pub const USED_WITHIN: TimeDelta = TimeDelta::days(30);
/// No key is made that ends later: ten years.
const LONGEST: TimeDelta = TimeDelta::days(3653);
/// An old secret is good as well for so long at most.
const LONGEST_OVERLAP: TimeDelta = TimeDelta::days(90);
/// A key is bound to so many names of one kind at most.
const MOST_NAMES: usize = 50;
const LONGEST_BOUND: usize = 200;

/// Checks what a key is to have.
///
/// # Errors
/// When rights do not go together, it is bound to what is not there, or it ends at once.
pub(super) async fn check(
    work: &mut Work,
    rights: &Rights,
    bounds: &Bounds,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), KeyError> {
    let now = work.now();
    if rights.is_empty() {
        return Err(KeyError::BadRights("a key needs a right: raise, read, operate or admin"));
    }
    if rights.iter().any(Right::comes_alone) && rights.iter().count() > 1 {
        return Err(KeyError::BadRights("a key that lists calls, or raises alarms by mail, does nothing else"));
    }
    if !bounds.is_empty() {
        cannot_be_bound(rights)?;
    }
    if expires_at.is_some_and(|at| at <= now || at > now + LONGEST) {
        return Err(KeyError::NotAhead("the end of a key"));
    }
    let all = [&bounds.sources, &bounds.teams, &bounds.policies];
    let is_bad =
        |name: &String| name.trim().is_empty() || name.chars().count() > LONGEST_BOUND || name.chars().any(char::is_control);
    if all.iter().any(|names| names.len() > MOST_NAMES) || all.into_iter().flatten().any(is_bad) {
        return Err(KeyError::BadRights(
            "a key is bound to at most 50 names of a kind, of 1 to 200 characters without line breaks",
        ));
    }
    if !bounds.teams.is_empty() {
        let roster = work.db().roster().await?;
        if let Some(name) = bounds.teams.iter().find(|name| roster.find_team(name).is_none()) {
            return Err(KeyError::NothingToBindTo { kind: "team", name: name.clone() });
        }
    }
    for name in &bounds.policies {
        if work.db().policy_by_name(name).await?.is_none() {
            return Err(KeyError::NothingToBindTo { kind: "policy", name: name.clone() });
        }
    }
    Ok(())
}

/// Refuses rights that no key has that is bound: with these it would reach beyond any bounds.
fn cannot_be_bound(rights: &Rights) -> Result<(), KeyError> {
    if rights.iter().any(Right::comes_alone) || rights.may(Right::Admin) {
        return Err(KeyError::BadRights("only keys that raise, read or operate are bound: admin keeps everything"));
    }
    if rights.may(Right::Shouts) || rights.may(Right::Calls) {
        return Err(KeyError::BadRights(
            "a key that sends shouts or commands calls reaches any number, and is not bound: make another key for that",
        ));
    }
    Ok(())
}

/// What is to change of what a key may; `None`: that stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its ordinary rights. Those that stand apart, such as `shouts`, stay.
    pub rights: Option<Rights>,
    /// Which alarms it is bound to.
    pub bounds: Option<Bounds>,
    /// From when on it is no good.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// Says what a key may from now on; gives it as it is then.
///
/// # Errors
/// When there is no such key, as for a new one, or the database fails.
pub async fn change(work: &mut Work, name: &str, change: Change) -> Result<KeyRow, KeyError> {
    let key = good(work, name).await?;
    let apart = key.rights.iter().filter(|right| !Right::ORDINARY.contains(right));
    let rights = change.rights.as_ref().map_or_else(|| key.rights.clone(), |rights| rights.iter().chain(apart).collect());
    let bounds = change.bounds.clone().unwrap_or_else(|| key.bound_to().cloned().unwrap_or_default());
    let expires_at = change.expires_at.unwrap_or(key.expires_at);
    // What stays need not lie ahead, nor be there any more.
    let checked = change.bounds.is_some().then_some(&bounds);
    let none = Bounds::default();
    check(work, &rights, checked.unwrap_or(&none), change.expires_at.flatten()).await?;
    if !bounds.is_empty() && rights.may(Right::Admin) {
        return Err(KeyError::BadRights(
            "the key is bound, and admin keeps everything: take the bounds away as well, with --unbound",
        ));
    }
    // One that was bound before this was looked at can still be given less, but not other bounds.
    if change.bounds.is_some() && !bounds.is_empty() {
        cannot_be_bound(&rights)?;
    }
    if change.rights.is_some() {
        work.db().give_key(key.id, &rights).await?;
    }
    work.db().bind_key(key.id, &bounds, expires_at).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    let before = json!({ "rights": key.rights.to_string(), "bounds": key.bound_to(), "expires_at": key.expires_at });
    work.note(line.before(before).after(json!({ "rights": rights.to_string(), "bounds": bounds, "expires_at": expires_at })));
    work.announce(Announcement::Keys);
    good(work, name).await
}

/// What becomes of a key that is narrowed to what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing {
    /// What it may now.
    pub had: Rights,
    /// What it used of that in 30 days.
    pub used: Rights,
    /// What it may then.
    pub becomes: Rights,
    /// Since when it is noted what it uses, when that is less than 30 days ago: then it may need more than was seen.
    pub noted_since: Option<DateTime<Utc>>,
}

impl Narrowing {
    /// Whether something is taken away.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        self.becomes != self.had
    }
}

/// What would become of a key; nothing is changed.
///
/// # Errors
/// When the database fails.
pub async fn foresee(db: &mut Db<'_>, key: &KeyRow, now: DateTime<Utc>) -> Result<Narrowing, StoreError> {
    let used = db.rights_used_by(&key.id.to_string(), now - USED_WITHIN).await?;
    let begun = db.rights_begin().await?.and_then(|row| row.noted_since);
    Ok(narrowing(key, &used, begun, now))
}

fn narrowing(key: &KeyRow, used: &[UsedRightRow], begun: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Narrowing {
    let used = rights_of(used);
    // Of a key that was made later, all is known.
    let noted_since = begun.map_or(now, |begun| begun.max(key.created_at));
    let becomes = key.rights.narrowed_to(&used);
    Narrowing {
        had: key.rights.clone(),
        used,
        becomes,
        noted_since: Some(noted_since).filter(|since| *since > now - USED_WITHIN),
    }
}

/// The rights of a list of uses.
fn rights_of(used: &[UsedRightRow]) -> Rights {
    used.iter().filter_map(|row| Right::ALL.into_iter().find(|right| right.as_str() == row.name)).collect()
}

/// Narrows a key to what it did in 30 days; gives what became of it.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn narrow(work: &mut Work, name: &str) -> Result<Narrowing, KeyError> {
    let (key, now) = (good(work, name).await?, work.now());
    let narrowing = foresee(&mut work.db(), &key, now).await?;
    // Also where nothing is taken away: somebody has looked at it.
    work.db().give_key(key.id, &narrowing.becomes).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name).before(json!({ "rights": key.rights.to_string() }));
    work.note(line.after(json!({ "rights": narrowing.becomes.to_string() })));
    work.announce(Announcement::Keys);
    Ok(narrowing)
}

/// The same of a key that somebody has read.
///
/// # Errors
/// As [`narrow`], and when somebody else has changed it meanwhile.
pub async fn narrow_read(work: &mut Work, id: KeyId, expected: &Expected) -> Result<Narrowing, KeyError> {
    let named = work.db().key(id).await?.map(|key| key.name).ok_or_else(|| KeyError::Unknown(id.to_string()))?;
    // Locked from here on.
    let key = good(work, &named).await?;
    expected.check(Some(&key.version()))?;
    narrow(work, &named).await
}

/// Gives a key another secret, which is shown once. The one that it had is good as well for a while: what is sent with either is of the same
/// key. Of two that it had before, only the later one is.
///
/// # Errors
/// When there is no such key, it would be good for too long, or the database fails.
pub async fn rotate(work: &mut Work, name: &str, overlap: TimeDelta) -> Result<String, KeyError> {
    let (key, now) = (good(work, name).await?, work.now());
    if overlap < TimeDelta::zero() || overlap > LONGEST_OVERLAP {
        return Err(KeyError::BadRights("the old secret is good as well for at most 90 days: give --overlap as 0 to 90d"));
    }
    let (secret, hash) = secrets::new(PREFIX);
    let old_until = (overlap > TimeDelta::zero()).then(|| now + overlap);
    work.db().rotate_key(key.id, &hash, old_until).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    work.note(line.after(json!({ "rotated_at": now, "old_until": old_until })));
    work.announce(Announcement::Keys);
    Ok(secret)
}

/// The key of a name that was not revoked; locked.
async fn good(work: &mut Work, name: &str) -> Result<KeyRow, KeyError> {
    work.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.to_owned()))
}

/// What open networks may: what the configuration says; else what they had before there were rights, or `raise` and `read`.
///
/// # Errors
/// When the database fails.
pub async fn of_open_networks(db: &mut Db<'_>, config: &Config) -> Result<Rights, StoreError> {
    if let Some(rights) = &config.http.open_rights {
        return Ok(rights.clone());
    }
    let kept = db.rights_begin().await?.map(|row| row.open);
    Ok(kept.unwrap_or_else(|| Rights::of([Right::Raise, Right::Read])))
}

/// What is wider than it need be.
#[derive(Clone, Debug, Default)]
pub struct TooWide {
    /// Keys that have their rights from before, with what would become of them.
    pub keys: Vec<(KeyRow, Narrowing)>,
    /// What open networks may, where that is from before, and what they used of it in 30 days.
    pub open: Option<(Rights, Rights)>,
}

/// Finds what is wider than it need be, because it is from before there were rights.
///
/// # Errors
/// When the database fails.
pub async fn too_wide(db: &mut Db<'_>, config: &Config, now: DateTime<Utc>) -> Result<TooWide, StoreError> {
    let used = db.rights_used(now - USED_WITHIN).await?;
    let of = |who: &str| used.iter().filter(|row| row.who == who).cloned().collect::<Vec<_>>();
    let begun = db.rights_begin().await?;
    let noted_since = begun.as_ref().and_then(|row| row.noted_since);
    let keys = db.keys_from_before().await?.into_iter().map(|key| {
        let narrowing = narrowing(&key, &of(&key.id.to_string()), noted_since, now);
        (key, narrowing)
    });
    let keys = keys.collect();
    let is_kept = config.http.open_rights.is_none() && !config.http.open_networks.is_empty();
    let open = begun.map(|row| row.open).filter(|open| is_kept && open.may(Right::Admin));
    Ok(TooWide { keys, open: open.map(|open| (open, rights_of(&of(WITHOUT_KEY)))) })
}

impl TooWide {
    /// Each of them as a sentence, with what to do about it.
    #[must_use]
    pub fn sentences(&self) -> Vec<(String, String)> {
        let keys = self.keys.iter().map(|(key, narrowing)| {
            let said = format!(
                "the key {:?} may do everything ({}), as before there were rights; in 30 days it used {}",
                key.name,
                narrowing.had,
                told(&narrowing.used)
            );
            (said, format!("`autocall key narrow {:?}` narrows it to {}", key.name, narrowing.becomes))
        });
        let open = self.open.iter().map(|(had, used)| {
            let words: Vec<String> = suggested(used).iter().map(|right| format!("\"{right}\"")).collect();
            let said = format!(
                "whoever comes without a key from http.open_networks may do everything ({had}), as before there were rights; in 30 days they used {}",
                told(used)
            );
            (said, format!("http.open_rights = [{}] narrows them to it", words.join(", ")))
        });
        keys.chain(open).collect()
    }
}

/// What open networks are given where they used no more than this: what they have where nothing was before, or more where they need it.
#[must_use]
pub fn suggested(used: &Rights) -> Rights {
    let usual = [Right::Raise, Right::Read];
    let ordinary = used.iter().filter(|right| Right::ORDINARY.contains(right));
    usual.into_iter().chain(ordinary).collect::<Rights>().plain()
}

fn told(used: &Rights) -> String {
    if used.is_empty() { "nothing".to_owned() } else { used.plain().to_string() }
}
