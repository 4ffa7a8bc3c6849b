//! A call of a program begins: whom it may call, which handset could make it, and the alarm and the hunt that it is.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{CONFERS, HOLDS_CALLS};
use crate::alarm::event::Event;
use crate::alarm::{AlarmKind, Mode, Priority, Until};
use crate::cti::reply::Refusal;
use crate::cti::request::{CallParams, Uri};
use crate::engine::shouts::lives;
use crate::engine::{Engine, EngineError};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, KeyId};
use crate::needs::Words;
use crate::numbers::{Number, Parsed};
use crate::store::alarm::alarms::NewAlarm;
use crate::store::alarm::hunts::{CalleeRow, NewHunt};
use crate::store::{Announcement, Work};

/// A call begins within this, or not at all.
const BEGINS_WITHIN: i32 = 5;
/// A handset that cannot speak lives as long as it was heard of within this.
const PHONE_LIVES: TimeDelta = TimeDelta::minutes(3);

/// A call that waits for its handset, or has one.
#[derive(Clone, Debug, Default)]
pub(super) struct NewCall {
    /// Whom it calls, or who calls, in its comparable form.
    pub(super) number: String,
    /// The hunt that finds a handset for it.
    pub(super) hunt: Option<HuntId>,
    /// The call that came in.
    pub(super) mid: Option<String>,
    /// The handset on which it came in.
    pub(super) handset: Option<HandsetId>,
}

/// Whether the host behind a number is one that may be named.
fn is_host(uri: &Uri, hosts: &[String], own: Option<&str>) -> bool {
    let Some(host) = uri.host.as_deref() else { return true };
    let is = |other: &str| other.eq_ignore_ascii_case(host);
    hosts.iter().any(|one| is(one)) || own.is_some_and(is)
}

impl Engine {
    /// This server's own host, by its public address.
    fn own_host(&self) -> Option<String> {
        let url = self.config.http.public_url.as_deref()?;
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        Some(host.to_owned()).filter(|host| !host.is_empty())
    }

    /// Why the host behind a number may not be named, where it may not.
    pub(super) fn foreign_host(&self, uri: &Uri) -> Option<Refusal> {
        if is_host(uri, &self.config.cti.hosts, self.own_host().as_deref()) {
            return None;
        }
        let host = uri.host.as_deref().unwrap_or_default();
        Some(Refusal::bad(format!(
            "{host:?} is not a host of this server: write the number alone, or have the operator list the host in cti.hosts"
        )))
    }

    /// The number that is meant by a URI which is called.
    pub(super) async fn number_of(
        &self,
        work: &mut Work,
        uri: &Uri,
        beginnings: Option<&str>,
    ) -> Result<Result<Parsed, Refusal>, EngineError> {
        let refused = |why: String| Ok(Err(Refusal::bad(why)));
        if let Some(why) = self.foreign_host(uri) {
            return Ok(Err(why));
        }
        let parsed = match Number::parse(&uri.user, self.region()) {
            Ok(parsed) => parsed,
            Err(why) => return refused(format!("{:?}: {why}", uri.user)),
        };
        let number = parsed.number.as_str();
        if let Some(may) = beginnings
            && !may.split(',').any(|beginning| number.starts_with(beginning))
        {
            return refused(format!("this key may only call numbers that begin with {}", may.replace(',', " or ")));
        }
        if work.db().forbidden(number).await?.is_some() {
            return refused("this number must not be called: it is on the do-not-call list".to_owned());
        }
        Ok(Ok(parsed))
    }

    /// Whether a handset is there that holds calls for programs, and conferences where these are wanted.
    pub(super) async fn is_able(&self, work: &mut Work, confers: bool) -> Result<bool, EngineError> {
        let now = work.now();
        let voices = work.db().voices().await?;
        Ok(voices.iter().any(|voice| voice.holds_calls && (voice.confers || !confers) && lives(voice, &self.presence, now)))
    }

    /// What a call needs of a handset: one that can do all that may be asked, where such a one is there with a free channel, and else any.
    /// `None`: none is there at all.
    pub(super) async fn needs_of_call(&self, work: &mut Work, confers: bool) -> Result<Option<Words>, EngineError> {
        let now = work.now();
        if self.is_able(work, confers).await? {
            return Ok(Some(Words::read(if confers { CONFERS } else { HOLDS_CALLS })));
        }
        if confers {
            return Ok(None);
        }
        let is_there = |seen: Option<DateTime<Utc>>| seen.is_some_and(|seen| now - seen < PHONE_LIVES);
        let any = work.db().handsets().await?.into_iter().any(|handset| {
            handset.disabled_at.is_none() && is_there(self.presence.last_seen(handset.id).max(handset.last_seen_at))
        });
        Ok(any.then(Words::default))
    }

    /// Raises the alarm that a call is, with its hunt.
    pub(super) async fn new_call(
        &self,
        work: &mut Work,
        key: KeyId,
        call: &CallParams,
        (on, connects): (Option<HandsetId>, bool),
        source: &str,
    ) -> Result<Result<NewCall, Refusal>, EngineError> {
        let now = work.now();
        let beginnings = work.db().rpc_may_call(key).await?;
        let parsed = match self.number_of(work, &call.to, beginnings.as_deref()).await? {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Err(why)),
        };
        let confers = connects || call.parent_conf.is_some() || call.parent_call.is_some();
        let Some(needs) = self.needs_of_call(work, confers).await? else {
            return Ok(Err(Refusal::unavailable("no handset is there that could make this call: see the page Handsets")));
        };
        let said = call.user_data.as_deref().filter(|said| !said.is_empty()).unwrap_or("call");
        let hunt = insert_alarm(work, key, source, said, (needs, on)).await?;
        let person = work.db().person_with_number(parsed.number.as_str()).await?;
        let callee = CalleeRow {
            id: CalleeId::new(now),
            step: 0,
            position: 0,
            person_id: person.as_ref().map(|person| person.id),
            name: person.map(|person| person.name),
            number: parsed.number.as_str().to_owned(),
            known_to_plan: parsed.known_to_plan,
            reference: None,
            max_attempts: 1,
            min_interval_s: 0,
            attempts: 0,
            failed: 0,
            last_offered_at: None,
            after_s: None,
            asked_at: None,
            verdict: None,
        };
        work.db().insert_callee(hunt, &callee).await?;
        work.announce(Announcement::Hunts);
        Ok(Ok(NewCall { number: callee.number, hunt: Some(hunt), mid: None, handset: on }))
    }
}

/// The alarm that a call is, with its hunt.
pub(super) async fn insert_alarm(
    work: &mut Work,
    key: KeyId,
    source: &str,
    summary: &str,
    (needs, on): (Words, Option<HandsetId>),
) -> Result<HuntId, EngineError> {
    let now = work.now();
    let (alarm, hunt) = (AlarmId::new(now), HuntId::new(now));
    let new = NewHunt {
        id: hunt,
        priority: Priority::High,
        mode: Mode::Sequential,
        until: Until::First,
        dry_run: false,
        dials_left: 1,
        created_at: now,
        begin_window_s: BEGINS_WITHIN,
        only_handset_id: on,
        confirm_within: None,
        wants_key: false,
        needs,
        policy_id: None,
        queue: format!("calls {key}"),
        ring: None,
        kind: AlarmKind::Call,
    };
    work.db().insert_hunt(&new).await?;
    let new = NewAlarm {
        id: alarm,
        hunt_id: hunt,
        integration_id: key.to_string(),
        source: source.to_owned(),
        dedup_key: None,
        dedup_open: false,
        summary: summary.to_owned(),
        details: String::new(),
        labels: BTreeMap::new(),
        priority: Priority::High,
        raised_at: now,
        team: None,
        group_key: None,
        kind: AlarmKind::Call,
    };
    let number = work.db().insert_alarm(&new).await?;
    let raised = Event::Raised { number, source: source.to_owned(), priority: Priority::High, held_until: None };
    work.db().insert_event(Some(alarm), Some(hunt), now, &raised).await?;
    Ok(hunt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_ours_stand_behind_a_number() {
        let uri = |host: Option<&str>| Uri {
            user: "13900000001".to_owned(),
            host: host.map(str::to_owned),
            port: None,
            written: String::new(),
        };
        let hosts = ["trunk.example.org".to_owned()];
        assert!(is_host(&uri(None), &hosts, None));
        assert!(is_host(&uri(Some("TRUNK.example.org")), &hosts, None));
        assert!(is_host(&uri(Some("ops.example.org")), &[], Some("ops.example.org")));
        assert!(!is_host(&uri(Some("10.0.0.1")), &hosts, Some("ops.example.org")));
        assert!(!is_host(&uri(Some("trunk.example.org.evil.net")), &hosts, None));
    }
}
