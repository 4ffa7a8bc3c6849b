//! Whoever listens to the events of a key's calls: which of them they get, and which they have missed.
//!
//! An event goes to the connection on which its call was made. One that does not come back within ten seconds leaves it to any other of the
//! key. Whoever wants all of them, or shares them with others, says so.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use crate::alarm::doer::Doer;
use crate::engine::{Engine, EngineError};
use crate::ids::KeyId;
use crate::store::rpc::events::RpcEventRow;

/// A connection that has not been heard of for so long is gone.
pub const GONE_AFTER: TimeDelta = TimeDelta::seconds(45);
/// Events that nobody is there for are left to others after this.
const LEFT_AFTER: TimeDelta = TimeDelta::seconds(10);
/// Which events somebody gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Those of what they made themselves, and those of which nobody takes care.
    #[default]
    Own,
    /// All of the key.
    All,
    /// Each goes to one of those who share them.
    One,
}

impl Share {
    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "own" => Some(Self::Own),
            "all" => Some(Self::All),
            "one" => Some(Self::One),
            _ => None,
        }
    }
}

/// Somebody who listens.
#[derive(Clone, Debug)]
pub struct Listener {
    /// To whose events.
    pub key: KeyId,
    /// By which name; nobody else has it.
    pub id: String,
    /// To which.
    pub share: Share,
    /// All up to there is told, or somebody else's.
    floor: i64,
    /// What is told beyond that.
    told: BTreeSet<i64>,
    /// It comes back, having read up to there: whatever was taken since by nobody who is still there is told again.
    back_from: Option<i64>,
    /// Up to there events are kept no more, of those that it wanted.
    lost: Option<(i64, i64)>,
    /// Since when it listens.
    since: DateTime<Utc>,
    /// When it was last written down that it does.
    seen: DateTime<Utc>,
    /// The first event of which is not decided yet whose it is.
    open: Option<i64>,
}

/// An event, to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub n: i64,
    /// As it is sent.
    pub body: String,
}

/// Which of an event's fates holds for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is theirs.
    Theirs,
    /// It is somebody else's.
    Others,
    /// Not yet decided: its own connection may come back.
    Open,
}

impl Listener {
    /// Up to where it has been told all that was for it.
    #[must_use]
    pub fn reached(&self) -> i64 {
        self.told.last().copied().unwrap_or(self.floor).max(self.floor)
    }

    /// From where it has to go on so that nothing is left out: what is not decided yet may become its own.
    #[must_use]
    pub fn goes_on(&self) -> i64 {
        self.open.map_or(self.reached(), |open| self.reached().min(open - 1))
    }

    /// It has read up to there, by its own word: that is not told again.
    pub fn has_read(&mut self, n: i64) {
        if n > self.floor && n <= self.reached() {
            self.floor = n;
            self.told.retain(|told| *told > n);
        }
    }

    fn fate(&self, event: &RpcEventRow, alive: &[String], now: DateTime<Utc>) -> Fate {
        let is_there = |id: &String| alive.contains(id);
        match (self.share, &event.taken_by, &event.addressee) {
            (Share::All, ..) => Fate::Theirs,
            // What it took and was not told: the word that it was taken got lost, or an older connection of the same name took it.
            (_, Some(taker), _) if *taker == self.id => Fate::Theirs,
            (_, Some(taker), _) => match self.back_from.is_some_and(|from| event.n > from) {
                true if !is_there(taker) => Fate::Theirs,
                // Its node may have died a moment ago.
                true if now - self.since < GONE_AFTER => Fate::Open,
                _ => Fate::Others,
            },
            (Share::One, ..) | (_, None, None) => Fate::Theirs,
            (_, None, Some(addressee)) if *addressee == self.id => Fate::Theirs,
            (_, None, Some(_)) if now - event.at >= LEFT_AFTER => Fate::Theirs,
            (_, None, Some(_)) => Fate::Open,
        }
    }
}

impl Engine {
    /// Somebody begins to listen: to what comes from now on, or to what came after an event that they name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rpc_listens(&self, key: KeyId, id: String, share: Share, after: Option<i64>) -> Result<Listener, EngineError> {
        let mut work = self.work(Doer::Server).await?;
        let now = work.now();
        let (reached, lost) = work.db().rpc_events_reach(key).await?;
        work.db().rpc_consumer(&id, key, now).await?;
        work.commit().await?;
        let back_from = after.map(|after| after.clamp(0, reached));
        let floor = back_from.unwrap_or(reached);
        let missed = (floor < lost).then_some((floor + 1, lost));
        let told = BTreeSet::new();
        Ok(Listener { key, id, share, floor: floor.max(lost), told, back_from, lost: missed, since: now, seen: now, open: None })
    }

    /// Somebody is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rpc_still_listens(&self, listener: &mut Listener) -> Result<(), EngineError> {
        let mut work = self.work(Doer::Server).await?;
        let now = work.now();
        work.db().rpc_consumer(&listener.id, listener.key, now).await?;
        work.commit().await?;
        listener.seen = now;
        Ok(())
    }

    /// Somebody has gone; whoever has come under the same name since stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rpc_leaves(&self, listener: &Listener) -> Result<(), EngineError> {
        let mut work = self.work(Doer::Server).await?;
        work.db().rpc_consumer_left(&listener.id, listener.seen).await?;
        Ok(work.commit().await?)
    }

    /// Forgets events of before then.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::engine) async fn forget_rpc_events(&self, before: DateTime<Utc>) -> Result<(), EngineError> {
        let old = self.store.read().await?.db().old_rpc_events(before).await?;
        for (key, up_to) in old {
            let mut work = self.work(Doer::Server).await?;
            work.db().lose_rpc_events(key, up_to).await?;
            work.commit().await?;
        }
        Ok(())
    }

    /// What there is for somebody now, in order; first of all, what is kept no more.
    ///
    /// # Errors
    /// When the database fails; it is there the next time.
    pub fn rpc_events<'e>(&'e self, listener: &'e mut Listener) -> BoxFuture<'e, Result<Vec<Event>, EngineError>> {
        Box::pin(self.read_rpc_events(listener))
    }

    async fn read_rpc_events(&self, listener: &mut Listener) -> Result<Vec<Event>, EngineError> {
        let now = self.clock.now();
        let (events, lost, alive) = {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            let (reached, lost) = db.rpc_events_reach(listener.key).await?;
            if reached <= listener.floor && listener.lost.is_none() {
                return Ok(Vec::new());
            }
            let events = db.rpc_events_after(listener.key, listener.floor).await?;
            let alive = db.rpc_consumers(listener.key, now - GONE_AFTER).await?;
            (events, lost, alive)
        };
        let mut all = Vec::new();
        if lost > listener.floor {
            listener.lost = Some((listener.lost.map_or(listener.floor + 1, |(from, _)| from), lost));
            listener.floor = lost;
        }
        if let Some((from, to)) = listener.lost.take() {
            all.push(Event { n: to, body: lost_event(from, to) });
        }
        let mut theirs: Vec<&RpcEventRow> = Vec::new();
        listener.open = None;
        for event in events.iter().filter(|event| event.n > listener.floor) {
            match listener.fate(event, &alive, now) {
                _ if listener.told.contains(&event.n) => {}
                Fate::Theirs => theirs.push(event),
                Fate::Others => {
                    listener.told.insert(event.n);
                }
                Fate::Open => listener.open = listener.open.or(Some(event.n)),
            }
        }
        if listener.share != Share::All && theirs.iter().any(|event| event.taken_by.as_ref() != Some(&listener.id)) {
            let mut work = self.work(Doer::Server).await?;
            let mut taken = Vec::new();
            for event in theirs {
                let free = event.taken_by.as_deref();
                if work.db().take_rpc_event(listener.key, event.n, free, &listener.id).await? {
                    taken.push(event);
                } else {
                    listener.told.insert(event.n);
                }
            }
            work.commit().await?;
            theirs = taken;
        }
        for event in theirs {
            listener.told.insert(event.n);
            all.push(Event { n: event.n, body: event.body.clone() });
        }
        while listener.told.remove(&(listener.floor + 1)) {
            listener.floor += 1;
        }
        Ok(all)
    }
}

/// Says that events are kept no more.
fn lost_event(from: i64, to: i64) -> String {
    serde_json::json!({ "method": "sys.on_events_lost", "params": { "from": from, "to": to } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: i64, addressee: Option<&str>, taken_by: Option<&str>) -> RpcEventRow {
        let text = |text: Option<&str>| text.map(str::to_owned);
        RpcEventRow { n, body: String::new(), addressee: text(addressee), taken_by: text(taken_by), at: DateTime::UNIX_EPOCH }
    }

    fn listener(share: Share, back_from: Option<i64>) -> Listener {
        Listener {
            key: KeyId(uuid::Uuid::nil()),
            id: "me".into(),
            share,
            floor: 0,
            told: BTreeSet::new(),
            back_from,
            lost: None,
            since: DateTime::UNIX_EPOCH,
            seen: DateTime::UNIX_EPOCH,
            open: None,
        }
    }

    #[test]
    fn an_event_goes_to_its_own_connection_and_then_to_any() {
        let alive = ["me".to_owned(), "other".to_owned()];
        let soon = DateTime::UNIX_EPOCH + TimeDelta::seconds(9);
        let late = DateTime::UNIX_EPOCH + TimeDelta::seconds(10);
        let own = listener(Share::Own, None);
        assert_eq!(own.fate(&event(1, Some("me"), None), &alive, soon), Fate::Theirs);
        assert_eq!(own.fate(&event(1, None, None), &alive, soon), Fate::Theirs);
        assert_eq!(own.fate(&event(1, Some("other"), None), &alive, soon), Fate::Open);
        assert_eq!(own.fate(&event(1, Some("other"), None), &alive, late), Fate::Theirs);
        assert_eq!(own.fate(&event(1, Some("me"), Some("other")), &alive, late), Fate::Others);
        assert_eq!(listener(Share::One, None).fate(&event(1, Some("other"), None), &alive, soon), Fate::Theirs);
        assert_eq!(listener(Share::All, None).fate(&event(1, Some("other"), Some("other")), &alive, soon), Fate::Theirs);
    }

    #[test]
    fn whoever_comes_back_gets_what_was_taken_by_nobody_who_is_there() {
        let alive = ["me".to_owned(), "other".to_owned()];
        let now = DateTime::UNIX_EPOCH;
        let back = listener(Share::Own, Some(4));
        assert_eq!(back.fate(&event(5, None, Some("gone")), &alive, now), Fate::Theirs);
        assert_eq!(back.fate(&event(5, None, Some("me")), &alive, now), Fate::Theirs);
        // It may be on a node that died a moment ago.
        assert_eq!(back.fate(&event(5, None, Some("other")), &alive, now), Fate::Open);
        assert_eq!(back.fate(&event(5, None, Some("other")), &alive, now + GONE_AFTER), Fate::Others);
        assert_eq!(listener(Share::One, None).fate(&event(5, None, Some("me")), &alive, now), Fate::Theirs, "and not told yet");
        assert_eq!(back.fate(&event(4, None, Some("gone")), &alive, now), Fate::Others);
    }
}
