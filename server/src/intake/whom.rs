//! Whom a message of a monitoring system rings: the first of the message, its address, its key and the configuration that names anybody.

use crate::access::senders::Sender;
use crate::app::App;
use crate::config::Config;
use crate::engine::{NamedBy, NewCallee};
use crate::http::problem::Problem;
use crate::keep::whom::Named;
use crate::numbers::Number;
use crate::roster::Roster;
use crate::store::{Db, StoreError};
use crate::visible;

use super::alarm_request;
use super::said::clean;

/// Who is rung.
#[derive(Debug)]
pub(super) struct Rung {
    pub(super) named_by: NamedBy,
    /// By number.
    pub(super) callees: Vec<NewCallee>,
    /// Where somebody is named otherwise, all of them.
    pub(super) ring: Vec<Named>,
    /// By a policy instead.
    pub(super) policy: Option<String>,
    /// What could not be used, for the details of the alarm.
    pub(super) remarks: Vec<String>,
}

/// What one of those who may say it has named.
#[derive(Debug, Default)]
struct Found {
    all: Vec<Named>,
    policy: Option<String>,
}

/// So many names of one list are looked at.
const MOST_NAMES: usize = 200;
/// None is longer, in characters.
const LONGEST_NAME: usize = 200;

/// Finds out who is meant. What names nobody is left out and said: whoever sends it would not send it again, and the others would sleep on.
/// `address` is whom its address names, and the policy there.
///
/// # Errors
/// When the database fails.
pub(super) async fn find(
    app: &App,
    sender: &Sender,
    message: &[String],
    address: (&[String], Option<&str>),
) -> Result<Rung, Problem> {
    let config = app.config();
    let key = sender.key.as_ref().map_or(&[][..], |key| key.phones.as_slice());
    let by_address: Vec<String> = address.0.iter().cloned().chain(address.1.map(str::to_owned)).collect();
    let lists = [
        (NamedBy::Alarm, message),
        (NamedBy::Alarm, by_address.as_slice()),
        (NamedBy::Sender, key),
        (NamedBy::Fallback, &config.alarms.fallback_phones),
    ];
    let mut wrong = Vec::new();
    for (named_by, list) in lists {
        let found = read(app, list, &mut wrong).await?;
        if found.policy.is_some() || !found.all.is_empty() {
            return rung(config, named_by, found, wrong);
        }
    }
    rung(config, NamedBy::Fallback, Found::default(), wrong)
}

async fn read(app: &App, list: &[String], wrong: &mut Vec<String>) -> Result<Found, Problem> {
    let region = app.config().default_region;
    let mut names: Vec<String> = Vec::new();
    for one in list.iter().take(MOST_NAMES) {
        let one = clean(one, LONGEST_NAME);
        if !visible::is_blank(&one) && !names.contains(&one) {
            names.push(one);
        }
    }
    let is_number = |one: &String| Number::parse(one, region).is_ok();
    if names.iter().all(is_number) {
        return Ok(Found { all: names.into_iter().map(Named::Number).collect(), policy: None });
    }
    let mut reader = app.engine.store.read().await?;
    let roster = reader.db().roster().await?;
    let mut found = Found::default();
    for one in names {
        if is_number(&one) {
            found.all.push(Named::Number(one));
        } else if let Some(named) = by_name(&mut reader.db(), &roster, &one).await? {
            found.all.push(named);
        } else if found.policy.is_none() && reader.db().policy_by_name(&one).await?.is_some() {
            found.policy = Some(one);
        } else {
            wrong.push(one);
        }
    }
    if !found.all.is_empty() {
        // Who is named is rung. A policy would ring others in their place.
        wrong.extend(found.policy.take());
    }
    Ok(found)
}

/// A team before a person before a schedule: whoever is on duty is meant rather than somebody who is called the same.
async fn by_name(db: &mut Db<'_>, roster: &Roster, name: &str) -> Result<Option<Named>, StoreError> {
    if roster.find_team(name).is_some() {
        return Ok(Some(Named::Team(name.to_owned())));
    }
    if db.person_by_name(name).await?.is_some() {
        return Ok(Some(Named::Person(name.to_owned())));
    }
    Ok(roster.find_schedule(name).map(|_| Named::Schedule(name.to_owned())))
}

fn rung(config: &Config, named_by: NamedBy, found: Found, wrong: Vec<String>) -> Result<Rung, Problem> {
    let Found { mut all, policy } = found;
    let most = config.alarms.max_phones;
    // Better some of them than nobody.
    let left_out = all.split_off(all.len().min(most));
    let mut remarks = Vec::new();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(word).collect();
        remarks.push(format!("not rung, because alarms.max_phones is {most}: {}", names.join(", ")));
    }
    if !wrong.is_empty() {
        tracing::warn!(count = wrong.len(), "an alert names numbers that cannot be dialled, or nobody; they are left out");
        remarks.push(format!("not dialable: {}", wrong.join(", ")));
    }
    let numbers: Vec<String> = all.iter().filter(|one| matches!(one, Named::Number(_))).map(|one| word(one).to_owned()).collect();
    let by_number = numbers.len() == all.len();
    let callees = if by_number && !numbers.is_empty() { alarm_request::default_callees(&numbers, config)? } else { Vec::new() };
    let ring = if by_number { Vec::new() } else { all };
    Ok(Rung { named_by, callees, ring, policy, remarks })
}

fn word(named: &Named) -> &str {
    match named {
        Named::Person(word) | Named::Number(word) | Named::Team(word) | Named::Schedule(word) => word,
    }
}
