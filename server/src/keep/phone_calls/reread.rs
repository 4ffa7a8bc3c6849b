//! The calls that a key has listed are read anew, by another zone, country or area code.

use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::time::Instant;

use super::{calls_in, whose};
use crate::alarm::call_record::CallDirection;
use crate::audit::{Line, Operation};
use crate::call_log::reading::{self, Rule, Said};
use crate::ids::KeyId;
use crate::keep::keys::KeyError;
use crate::numbers::Region;
use crate::store::alarm::replicated::WrittenCall;
use crate::store::{Announcement, Work};

/// Two years of a call in each hour. Of more, one is taken for another.
const LONGEST_CHAIN: usize = 20_000;
/// So many are read anew in one transaction.
const AT_ONCE: usize = 500;
/// Between two transactions others get at the embedded database: a quarter of the time, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What is to be read otherwise; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The country.
    pub region: Option<Region>,
    /// The zone.
    pub zone: Option<Tz>,
    /// The area code; an empty one: none.
    pub area_code: Option<String>,
    /// Whether `Z` is of that zone.
    pub z_is_local: Option<bool>,
}

/// What became of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reread {
    /// So many mean another time or number.
    pub moved: u64,
    /// So many are the same as others by now, and went.
    pub dropped: u64,
    /// So many cannot be read any more, and stay as they are.
    pub unreadable: u64,
}

/// Changes how the calls that a key lists are read. Calls that are kept are read anew only where that is asked for; without, a key that has some
/// stays as it is: the same calls would be told again, and be other ones.
///
/// # Errors
/// Why not.
pub async fn change(work: &mut Work, name: &str, change: &Change, reread: bool, own: (Region, Tz)) -> Result<Reread, KeyError> {
    let key = work.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.to_owned()))?;
    if !key.only_lists_calls() {
        return Err(KeyError::ListsNoCalls(name.to_owned()));
    }
    let before = key.phonecalls.map(|said| said.0).unwrap_or_default();
    let mut said = before.clone();
    if let Some(region) = change.region {
        said.region = Some(region.to_string());
    }
    said.zone = change.zone.or(said.zone);
    said.z_is_local = change.z_is_local.unwrap_or(said.z_is_local);
    match change.area_code.as_deref() {
        None => {}
        Some("") => said.area_code = None,
        Some(code) if reading::is_area_code(code) => said.area_code = Some(code.to_owned()),
        Some(code) => return Err(KeyError::BadAreaCode(code.to_owned())),
    }
    if said != before && !reread && work.db().key_has_calls(key.id).await? {
        return Err(KeyError::HasCalls(name.to_owned()));
    }
    work.db().read_key_otherwise(key.id, &said).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    work.note(line.before(json!(before)).after(json!(said)));
    work.announce(Announcement::Keys);
    let mut done = Reread::default();
    if !reread {
        return Ok(done);
    }
    let rule = rule(&said, own);
    let mut after = 0;
    let mut read = HashSet::new();
    let mut began = Instant::now();
    loop {
        // Whoever tells of calls meanwhile is read by the new rule already.
        began = go_on(work, began).await?;
        let calls = work.db().calls_of_key(key.id, after).await?;
        let Some(last) = calls.last() else { return Ok(done) };
        after = last.id;
        for call in &calls {
            // Whoever calls the same number at the same minute of each hour has a call where this one goes: that one goes first.
            let chain = in_the_way(work, key.id, call, &rule, &read).await?;
            for (place, one) in chain.iter().rev().enumerate() {
                read_anew(work, one, &rule, &mut done).await?;
                read.insert(one.id);
                // The last of them has moved first, so that it may end here at any time.
                if (place + 1) % AT_ONCE == 0 {
                    began = go_on(work, began).await?;
                }
            }
        }
    }
}

/// The rule of a key, with what the installation says for what was not said of it.
#[must_use]
pub fn rule(said: &Said, (region, zone): (Region, Tz)) -> Rule {
    said.rule(region, zone)
}

/// Ends a transaction that began then, and begins the next after a pause; gives when that was.
async fn go_on(work: &mut Work, began: Instant) -> Result<Instant, KeyError> {
    work.go_on_after((began.elapsed() / 4).min(LONGEST_PAUSE)).await?;
    Ok(Instant::now())
}

/// A call, and those of the same key that stand where it goes and go elsewhere themselves, each in the way of the one before it.
async fn in_the_way(
    work: &mut Work,
    key: KeyId,
    call: &WrittenCall,
    rule: &Rule,
    read: &HashSet<i64>,
) -> Result<Vec<WrittenCall>, KeyError> {
    // What was in another's way has gone already, and is not as it was read here any more.
    if read.contains(&call.id) {
        return Ok(Vec::new());
    }
    let mut chain = vec![call.clone()];
    let mut known = HashSet::from([call.id]);
    while chain.len() < LONGEST_CHAIN {
        let Some(last) = chain.last() else { break };
        let Some((at, number)) = goes_to(last, rule).filter(|(at, number)| *at != last.at || *number != last.number) else {
            break;
        };
        let next = work.db().call_of_key_at(key, (at, &last.caller, &number)).await?;
        match next.filter(|next| !read.contains(&next.id) && known.insert(next.id)) {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    Ok(chain)
}

/// Where a call stands by a rule.
fn goes_to(call: &WrittenCall, rule: &Rule) -> Option<(DateTime<Utc>, String)> {
    let at = reading::instant(&call.said_at, rule).ok()?;
    Some((at, reading::number(&call.written, rule).ok()?.as_str().to_owned()))
}

async fn read_anew(work: &mut Work, call: &WrittenCall, rule: &Rule, done: &mut Reread) -> Result<(), KeyError> {
    let (Ok(at), Ok(number)) = (reading::instant(&call.said_at, rule), reading::number(&call.written, rule)) else {
        done.unreadable += 1;
        return Ok(());
    };
    if at == call.at && number.as_str() == call.number {
        return Ok(());
    }
    if work.db().replicated_call(at, &call.caller, number.as_str()).await?.is_some() {
        work.db().drop_replicated_call(call.id).await?;
        done.dropped += 1;
        return Ok(());
    }
    // It was taken once, so it stays, whether somebody has that number or not.
    let called_in = match call.direction {
        CallDirection::Incoming => calls_in(work, &call.caller, rule).await?,
        CallDirection::Outgoing => None,
    };
    let whose = if called_in.is_some() { called_in } else { whose(work, number.as_str(), true).await? };
    if let Some(whose) = whose {
        work.db().move_replicated_call(call.id, at, number.as_str(), &whose).await?;
        done.moved += 1;
    }
    Ok(())
}
