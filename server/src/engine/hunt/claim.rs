//! A handset asks for work: serve its open dial, or hand out the next one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::ladder::{Busy, Next, open_dials};
use crate::alarm::AlarmKind;
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, Rung};
use crate::alarm::hunt::{self, Decision, DialPlan, ListForm, WaitReason};
use crate::alarm::ringing::{self, Asked, Line};
use crate::engine::lines::forbidden::bar_forbidden;
use crate::engine::lines::texts;
use crate::engine::watch::idle::{IdleReason, Poller, voices_first};
use crate::engine::{Engine, EngineError, delta, seconds};
use crate::ids::{self, HuntId, short_mid};
use crate::lock::{Acquired, LockGuard};
use crate::needs::Words;
use crate::numbers::{Number, Region};
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::alarms::foremost;
use crate::store::alarm::barista::BaristaCall;
use crate::store::alarm::dials::{DialRow, NewDial, NewTarget, Serve};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::watch::handsets::{HandsetRow, Profile};
use crate::store::{Announcement, Haste, StoreError, Work};

/// A hunt that fails for good is tried again after this.
const PUT_ASIDE: TimeDelta = TimeDelta::seconds(60);
/// At most this many hunts are looked at in one poll: the others come with the next.
const HUNTS_PER_POLL: usize = 50;
/// How long the locks on numbers live should this node die while it claims: the transaction is over long before.
const CLAIM_LOCK: Duration = Duration::from_secs(5);
/// Counting a serve may take this long; then it is served uncounted, well within the time in which a poll must be answered.
const COUNT_WITHIN: Duration = Duration::from_secs(4);
/// A hunt that waits for a call to end is looked at again after this, or when a dial of its own closes.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(5);
/// How long each number is taken to ring in a dry run.
const DRY_RUN_RING: TimeDelta = TimeDelta::seconds(30);
/// A hunt is never looked at twice within this.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(1);

/// The handset that polls, and what it can be given.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Which handset.
    pub handset: Arc<HandsetRow>,
    /// What it can do; never [`Profile::Auto`].
    pub profile: Profile,
    /// For which of its channels it asks, counted from 0.
    pub channel: i32,
    /// Since when.
    pub asked_at: DateTime<Utc>,
}

impl Asker {
    /// It asks whoever picks up for a key.
    pub(in crate::engine) fn speaks(&self) -> bool {
        self.profile == Profile::Native && self.handset.speaks()
    }

    /// What it can do, by its last status.
    pub(in crate::engine) fn can(&self) -> Words {
        if self.profile == Profile::Native { self.handset.words() } else { Words::default() }
    }

    /// Until when a number that it is given may ring after it has reported: only the stock app reports *nobody* while the line still rings.
    pub(in crate::engine) fn line_free_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.profile == Profile::App).then(|| now + seconds(self.handset.ring_seconds))
    }

    /// As what it asks.
    fn poller(&self) -> Poller {
        Poller { handset: self.handset.id, channel: self.channel, speaks: self.speaks(), can: self.can() }
    }

    /// It may finish a dial that it holds, if it held that before its door was closed.
    fn may_finish(&self, dial: &DialRow) -> bool {
        // A phone with no token of its own any more: whoever has the new one may hold others since.
        let former = self.handset.former_mid.as_deref().filter(|_| self.handset.token_hash.is_none());
        former.is_none_or(|former| dial.mid.as_str() <= former)
    }

    fn form(&self) -> ListForm {
        match self.profile {
            // A native handset asks again at once, so one number at a time holds nobody up.
            Profile::App | Profile::Auto | Profile::Native => ListForm::One,
            Profile::List => ListForm::Distinct,
            Profile::Repeat => ListForm::Repeated,
        }
    }
}

/// A dial for a handset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its identifier.
    pub mid: String,
    /// The hunt it belongs to.
    pub hunt_id: HuntId,
    /// The list, ready to dial.
    pub phones: Vec<String>,
    /// When it is given up.
    pub deadline: DateTime<Utc>,
    /// Its handset speaks, and asks whoever picks up for a key.
    pub asks_key: bool,
    /// When this serve was counted.
    pub counted_at: DateTime<Utc>,
}

/// What a native handset is told beside the list.
#[derive(Clone, Debug)]
pub struct OfferDetails {
    /// The alarm it is about, the most urgent one of the hunt.
    pub alarm: AlarmRow,
    /// Each callee in list order: name and language, where known.
    pub callees: Vec<(Option<String>, Option<String>)>,
    /// What its sender wants to be said, when it is a Barista client.
    pub barista: Option<BaristaCall>,
    /// So many other alarms are rung for with it.
    pub others: usize,
}

/// The answer to a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Dial this: handed out now, or before and not reported yet.
    Serve {
        /// What.
        offer: Offer,
        /// Handed out just now.
        fresh: bool,
    },
    /// Nothing to do.
    Idle(IdleReason),
}

/// What came of looking at a hunt for a poll.
pub(in crate::engine) enum Step {
    /// A dial.
    HandedOut(Offer),
    /// Somebody else gave this channel or hunt a dial in the meantime.
    StartAgain,
    /// Nothing for this handset in this hunt.
    NextHunt,
}

impl Engine {
    /// Answers a poll.
    ///
    /// # Errors
    /// When the database fails; nothing was handed out then.
    pub fn claim<'e>(&'e self, asker: &'e Asker) -> BoxFuture<'e, Result<Claim, EngineError>> {
        Box::pin(self.answer_poll(asker))
    }

    async fn answer_poll(&self, asker: &Asker) -> Result<Claim, EngineError> {
        let now = self.clock.now();
        if asker.handset.disabled_at.is_some() {
            // A disabled handset may finish what it has, and gets nothing new.
            return self.serve_open_only(asker, now).await;
        }
        let poller = asker.poller();
        if self.idle.knows_idle(&poller, &self.presence, now) {
            return Ok(Claim::Idle(IdleReason::KnownIdle));
        }
        for _ in 0..3 {
            if let Some(claim) = self.try_claim(asker, &poller, now).await? {
                return Ok(claim);
            }
        }
        Ok(Claim::Idle(IdleReason::NothingDue))
    }

    /// What an offer is about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn offer_details(&self, offer: &Offer) -> Result<Option<OfferDetails>, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let alarms = db.alarms_of(offer.hunt_id).await?;
        let firing = alarms.iter().filter(|alarm| alarm.resolved_at.is_none() && alarm.cancelled_at.is_none()).count();
        let alarm = foremost(alarms);
        let callees = db.callees_of_dial(&offer.mid).await?;
        let mut named = Vec::new();
        for target in db.targets(&offer.mid).await? {
            let callee = callees.iter().find(|callee| callee.id == target.callee_id);
            let person = match callee.and_then(|callee| callee.person_id) {
                Some(id) => db.person(id).await?,
                None => None,
            };
            named.push((callee.and_then(|callee| callee.name.clone()), person.map(|person| person.language)));
        }
        let barista = match &alarm {
            Some(alarm) => db.barista_call(alarm.id).await?,
            None => None,
        };
        Ok(alarm.map(|alarm| OfferDetails { alarm, callees: named, barista, others: firing.saturating_sub(1) }))
    }

    /// Answers a poll for a channel beyond those that a handset may use: what was handed out on it before may be finished.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_open<'e>(&'e self, asker: &'e Asker) -> Result<Claim, EngineError> {
        if !self.idle.may_hold_dials() {
            return Ok(Claim::Idle(IdleReason::KnownIdle));
        }
        self.serve_open_only(asker, self.clock.now()).await
    }

    async fn serve_open_only(&self, asker: &Asker, now: DateTime<Utc>) -> Result<Claim, EngineError> {
        let open = self.store.read().await?.db().open_dial_on(asker.handset.id, asker.channel).await?;
        let served = match open {
            Some(dial) if dial.deadline > now && asker.may_finish(&dial) => self.serve_again(asker, dial, now).await?,
            _ => None,
        };
        Ok(served.unwrap_or(Claim::Idle(IdleReason::NothingDue)))
    }

    /// One try; `None` when another request interfered and it is worth starting again.
    async fn try_claim(&self, asker: &Asker, poller: &Poller, now: DateTime<Utc>) -> Result<Option<Claim>, EngineError> {
        let (handset, channel) = (asker.handset.id, asker.channel);
        let mut key_waits = TimeDelta::zero();
        let needs: BTreeSet<Words>;
        {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            let open = db.open_dial_on(handset, channel).await?;
            let wanted = db.earliest_due_of(handset).await?;
            if !poller.speaks && wanted.iter().any(|hunt| hunt.wants_key) {
                key_waits = voices_first(poller, &db.free_voices().await?, &self.presence, now);
            }
            let due = poller.wanted_at(&wanted, key_waits);
            needs = wanted.into_iter().map(|hunt| hunt.needs).filter(|needs| poller.can.cover(needs)).collect();
            if open.is_none() && due.is_none_or(|due| due > now) {
                return Ok(Some(Claim::Idle(IdleReason::NothingDue)));
            }
            drop(reader);
            if let Some(dial) = open.filter(|dial| dial.deadline > now) {
                return self.serve_again(asker, dial, now).await;
            }
        }
        if self.has_unwritten_serves() {
            // Whoever is handed a number next must not meet a line that rings from one of these.
            self.write_serves(now).await?;
        }
        let mut work = self.work_together(now, Doer::Handset { name: asker.handset.name.clone() }, Haste::Call).await?;
        // Others may have finished while this one waited for its turn.
        let now = self.clock.now();
        work.is_of(now);
        if let Some(dial) = work.db().open_dial_on(handset, channel).await? {
            drop(work);
            if dial.deadline <= now {
                return Ok(Some(Claim::Idle(IdleReason::PastDeadline { mid: dial.mid })));
            }
            return self.serve_again(asker, dial, now).await;
        }
        if is_called(&mut work, asker).await? {
            return Ok(Some(Claim::Idle(IdleReason::HeldBack)));
        }
        if let Some(latest) = work.db().latest_dial_on(handset, channel).await?
            && self.is_held_back(&latest, asker, now)
        {
            return Ok(Some(Claim::Idle(IdleReason::HeldBack)));
        }
        let stands = work.db().handset_on(handset, channel).await?;
        if stands.is_some_and(|(row, rests_until)| row.avoid_until.max(rests_until).is_some_and(|until| until > now)) {
            return Ok(Some(Claim::Idle(IdleReason::HeldBack)));
        }

        let mut locks = Vec::new();
        let mut claim = Claim::Idle(IdleReason::NothingDue);
        let mut taken = Words::default();
        let mut looked_at_one = false;
        let mut of_shouts_alone = true;
        for _ in 0..HUNTS_PER_POLL {
            let Some(hunt) = work.db().lock_next_due(now, handset, now - key_waits, &needs).await? else { break };
            looked_at_one = true;
            of_shouts_alone &= hunt.kind == AlarmKind::Shout;
            let advanced = match hunt.kind {
                AlarmKind::Shout => self.advance_shout(&mut work, &hunt, asker, &mut locks).await,
                AlarmKind::Call => self.advance_call(&mut work, &hunt, asker, &mut locks).await,
                _ => self.advance(&mut work, &hunt, asker, &mut locks).await,
            };
            let step = match advanced {
                Err(EngineError::Store(error)) if error.is_for_good() => {
                    drop(work);
                    release(locks);
                    self.put_aside(hunt.id, &error, now).await?;
                    return Ok(None);
                }
                step => step?,
            };
            match step {
                Step::HandedOut(offer) => {
                    work.tally.turns.insert(hunt.queue.clone());
                    claim = Claim::Serve { offer, fresh: true };
                    taken = hunt.needs;
                    break;
                }
                Step::StartAgain => {
                    release(locks);
                    return Ok(None);
                }
                Step::NextHunt => {}
            }
        }
        if !looked_at_one {
            // Somebody else is at it. Nothing was changed, so there is nothing to announce.
            return Ok(Some(claim));
        }
        if matches!(claim, Claim::Serve { .. }) {
            // Whoever tells this phone to dial a forwarding code has it rest first, and then looks for an open dial: either they see this
            // one, or this sees the rest.
            // And since it asked it may have said that it can do less, or be allowed fewer channels.
            let row = work.db().lock_handset(handset).await?;
            let may = |row: &HandsetRow| {
                let rests = row.avoid_until.is_some_and(|until| until > now);
                !rests && (channel == 0 || channel < row.usable_channels()) && row.words().cover(&taken)
            };
            // Or somebody has called it there.
            if is_called(&mut work, asker).await? || !row.is_some_and(|row| may(&row)) {
                drop(work);
                release(locks);
                return Ok(Some(Claim::Idle(IdleReason::HeldBack)));
            }
            if asker.handset.inbound {
                work.db().end_inbound_on(handset, channel, now).await?;
            }
        }
        // Last of all locks, and in one order: a claim that held one of these and went on to the next hunt would deadlock.
        for queue in &work.tally.turns.clone() {
            work.db().queue_served(queue, now).await?;
        }
        // A thousand phones that cannot speak need not look for each call of a shout.
        work.announce(if of_shouts_alone { Announcement::Shouts } else { Announcement::Hunts });
        let committed = work.commit().await;
        release(locks);
        committed?;
        Ok(Some(claim))
    }

    /// Puts a hunt off with which something is wrong that does not go away: it must not keep the others from being rung.
    async fn put_aside(&self, hunt: HuntId, error: &StoreError, now: DateTime<Utc>) -> Result<(), EngineError> {
        tracing::error!(%error, %hunt, "this hunt cannot go on; the others are rung before it is tried again");
        let mut tx = self.store.begin().await?;
        let row = tx.db().lock_hunt(hunt).await?;
        tx.db().set_hunt_due(hunt, now + PUT_ASIDE, row.begin_before, now).await?;
        Ok(tx.commit().await?)
    }

    /// Serves an open dial once more. When the serve cannot be counted because nothing can be written, it is served all the same:
    /// what it says never changes, and any other answer would make the phone forget it.
    async fn serve_again(&self, asker: &Asker, dial: DialRow, now: DateTime<Utc>) -> Result<Option<Claim>, EngineError> {
        if self.withholds(asker, &dial, now).await? {
            return Ok(Some(Claim::Idle(IdleReason::Withheld { mid: dial.mid })));
        }
        let ring = seconds(asker.handset.ring_seconds);
        let is_app = asker.profile == Profile::App;
        let serve = Serve {
            mid: &dial.mid,
            at: now,
            deadline: self.deadline_after(&dial, now, ring),
            line_free_at: (is_app || dial.profile == Some(Profile::App)).then(|| now + ring),
            profile: is_app.then_some(Profile::App),
        };
        let counted = async {
            let mut tx = self.store.begin().await?;
            let counted = tx.db().count_serve(&serve).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(counted)
        };
        match tokio::time::timeout(COUNT_WITHIN, counted).await {
            // Closed since it was read.
            Ok(Ok(false)) => return Ok(None),
            Ok(Ok(true)) => {}
            Ok(Err(error)) => {
                self.served_uncounted(&dial.mid, now);
                self.note_database_away();
                tracing::warn!(%error, dial.mid = short_mid(&dial.mid), "served without counting");
            }
            Err(_) => {
                self.served_uncounted(&dial.mid, now);
                self.note_database_away();
                tracing::warn!(dial.mid = short_mid(&dial.mid), "served without counting: the database is too slow");
            }
        }
        Ok(Some(Claim::Serve { offer: offer_of(dial, now), fresh: false }))
    }

    /// Whether an open dial is not served now, because its app was started again while the line rings. Its handset is marked then.
    async fn withholds(&self, asker: &Asker, dial: &DialRow, now: DateTime<Utc>) -> Result<bool, EngineError> {
        if let Some(until) = dial.withheld_until {
            return Ok(until > now);
        }
        // A phone whose report cannot be stored asks again, and so does one that found nobody here.
        if asker.profile != Profile::App || self.serves.is_heard(&dial.mid) || self.was_away(now) {
            return Ok(false);
        }
        let ring = seconds(asker.handset.ring_seconds);
        let interval = self.presence.usual_interval(asker.handset.id);
        let asked = Asked {
            serves: self.serves_of(dial),
            times: dial.serves,
            // Fractions of a second say nothing.
            #[expect(clippy::cast_possible_truncation, reason = "an interval is at most 15 minutes")]
            interval: interval.map(|interval| TimeDelta::milliseconds((interval * 1000.0) as i64)),
            ring,
        };
        let Some(until) = ringing::withheld_until(&asked, now) else { return Ok(false) };
        // A phone that asks every 70 s may hold a result whose report was lost: it comes once more before the deadline.
        let deadline = self.deadline_after(dial, until, ring);
        let mut tx = self.store.begin().await?;
        let withheld = tx.db().withhold_dial(&dial.mid, until, deadline).await?;
        if withheld && tx.db().handset_restarted(asker.handset.id, now).await? {
            tx.announce(Announcement::Handsets);
        }
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        if withheld {
            tracing::warn!(handset.name = %asker.handset.name, dial.mid = short_mid(&dial.mid),
                "asked for its call as an app does that was started again in it; it is given it when its line is free");
        }
        Ok(withheld)
    }

    /// Whether a handset is given nothing because the line of its latest dial may still ring.
    fn is_held_back(&self, latest: &DialRow, asker: &Asker, now: DateTime<Utc>) -> bool {
        let line = latest.line(seconds(asker.handset.ring_seconds));
        let stock_app = line.stock_app || asker.profile == Profile::App;
        ringing::quiet(&Line { serves: self.serves_of(latest), stock_app, ..line }, now).handset.is_some()
    }

    /// Moves one locked hunt on: hand out, wait, or end.
    async fn advance(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        asker: &Asker,
        locks: &mut Vec<LockGuard>,
    ) -> Result<Step, EngineError> {
        let now = work.now();
        if hunt.begin_before <= now {
            let open = open_dials(work, hunt.id).await?;
            if !open.is_empty() && open.iter().all(|dial| dial.deadline <= now) {
                // Its time is over, and its dial is from before nobody could end it: that comes first, and nobody is rung meanwhile.
                wait(work, hunt, now + LOOK_AGAIN, None).await?;
                return Ok(Step::NextHunt);
            }
        }
        let mut current = hunt.clone();
        let mut form = asker.form();
        if form != ListForm::One && work.db().is_barista_hunt(hunt.id).await? {
            // Its history tells every call, and its intervals hold between calls: neither can be said of a list.
            form = ListForm::One;
        }
        // Each turn takes one callee off, until the numbers that are left may be called.
        loop {
            let busy = Busy::Elsewhere(work.db().busy_phones(current.id, now).await?);
            let Next { hunt, callees, decision, waits_for } = self.next_move(work, &current, &busy, form).await?;
            if hunt.step != current.step {
                // Whose phones are busy was read before the people of this step were known.
                current = hunt;
                continue;
            }
            note_busy_number(work, &hunt, waits_for).await?;
            match decision {
                Decision::Finished { outcome, reason } => {
                    self.finish(work, &hunt, outcome, reason).await?;
                    return Ok(Step::NextHunt);
                }
                Decision::Wait { until, why } => {
                    let look_at = match why {
                        WaitReason::Interval
                        | WaitReason::QuietHours
                        | WaitReason::Later
                        | WaitReason::Confirming
                        | WaitReason::Snoozed => until,
                        WaitReason::Dialling | WaitReason::NumberBusy => until.min(now + LOOK_AGAIN),
                    };
                    let look_at = look_at.max(now + SHORTEST_WAIT);
                    // Whoever has quiet hours keeps a hunt from beginning; that is not for want of a handset.
                    let held = hunt.begun_at.is_some()
                        || matches!(why, WaitReason::Interval | WaitReason::QuietHours | WaitReason::Later | WaitReason::Snoozed);
                    // A dial is waited for until its deadline, and not for longer because nobody was here to end it.
                    let wanted_at = if why == WaitReason::Dialling { until.min(look_at) } else { look_at };
                    wait(work, &hunt, look_at, held.then_some(wanted_at)).await?;
                    if why == WaitReason::NumberBusy {
                        // A turn that cannot be used is over, or a queue whose people are busy would keep the others waiting.
                        work.tally.turns.insert(hunt.queue.clone());
                    }
                    return Ok(Step::NextHunt);
                }
                Decision::Dial(plan) if !bar_forbidden(work, &hunt, &callees, &plan).await? => {
                    return self.hand_out(work, &hunt, &callees, &plan, asker, locks).await;
                }
                Decision::Dial(_) => current = hunt,
            }
        }
    }

    async fn hand_out(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        callees: &[CalleeRow],
        plan: &DialPlan,
        asker: &Asker,
        locks: &mut Vec<LockGuard>,
    ) -> Result<Step, EngineError> {
        let now = work.now();
        let country = asker.handset.country.parse().unwrap_or(self.region());
        let dial = self.new_dial(hunt, callees, plan, Some(asker), country, now);
        let mut names: Vec<String> = dial.targets.iter().map(|target| format!("number:{}", target.phone())).collect();
        names.sort();
        match self.locks.try_lock_all(&names, CLAIM_LOCK).await {
            Acquired::Held(guard) => locks.push(guard),
            // Another node is handing out one of these numbers at this moment.
            Acquired::Taken => {
                let until = now + SHORTEST_WAIT;
                wait(work, hunt, until, hunt.begun_at.is_some().then_some(until)).await?;
                return Ok(Step::NextHunt);
            }
            // The unique indexes decide all the same.
            Acquired::Unavailable => {}
        }
        work.db().savepoint().await?;
        if !work.db().insert_dial(&dial).await? {
            return Ok(Step::StartAgain);
        }
        if !work.db().insert_targets(&dial).await? {
            work.db().rollback_to_savepoint().await?;
            let until = now + SHORTEST_WAIT;
            wait(work, hunt, until, hunt.begun_at.is_some().then_some(until)).await?;
            return Ok(Step::NextHunt);
        }
        work.db().release_savepoint().await?;
        record_hand_out(work, hunt, callees, &dial, Some(&asker.handset)).await?;
        texts::beside_call(work, hunt, callees, &dial).await?;
        Ok(Step::HandedOut(Offer {
            mid: dial.mid,
            hunt_id: hunt.id,
            phones: dial.phones,
            deadline: dial.deadline,
            asks_key: dial.asks_key,
            counted_at: now,
        }))
    }

    /// What a plan becomes for one handset: numbers as its SIM must dial them, and a deadline.
    pub(in crate::engine) fn new_dial(
        &self,
        hunt: &HuntRow,
        callees: &[CalleeRow],
        plan: &DialPlan,
        asker: Option<&Asker>,
        country: Region,
        now: DateTime<Utc>,
    ) -> NewDial {
        let by_id: HashMap<_, _> = callees.iter().map(|callee| (callee.id, callee)).collect();
        let number_of = |index: usize| by_id.get(&plan.targets[index].callee).map_or("", |callee| callee.number.as_str());
        let phones: Vec<String> =
            plan.sequence.iter().map(|&index| Number::from_stored(number_of(index)).dial_string(country)).collect();
        let targets = (0..plan.targets.len())
            .map(|index| NewTarget {
                callee_id: plan.targets[index].callee,
                number: number_of(index).to_owned(),
                attempts: plan.targets[index].attempts,
            })
            .collect();
        let deadline = match asker {
            Some(asker) => {
                let own = Duration::from_secs(u64::try_from(asker.handset.ring_seconds).unwrap_or(0));
                now + delta(self.config.handsets.dial_time(phones.len(), own))
            }
            None => now + DRY_RUN_RING,
        };
        NewDial {
            mid: ids::new_mid(now),
            hunt_id: hunt.id,
            handset_id: asker.map(|asker| asker.handset.id),
            exclusive: plan.exclusive,
            phones,
            offered_at: now,
            deadline,
            line_free_at: asker.and_then(|asker| asker.line_free_at(now)),
            profile: asker.map(|asker| asker.profile),
            asks_key: asker.is_some_and(Asker::speaks),
            channel: asker.map_or(0, |asker| asker.channel),
            targets,
        }
    }
}

/// Notes since when an urgent alarm waits for which phone in another call: where that is a shout's, the tick ends it.
pub(in crate::engine) async fn note_busy_number(
    work: &mut Work,
    hunt: &HuntRow,
    waits_for: Option<String>,
) -> Result<(), EngineError> {
    let waits_for = waits_for.filter(|_| hunt.is_urgent());
    if waits_for != hunt.busy_phone {
        let now = work.now();
        work.db().set_busy_phone(hunt.id, waits_for.as_deref(), now).await?;
    }
    Ok(())
}

/// Reserves the attempts of a dial that was inserted, begins the records of its calls, and moves its hunt on. A dry run calls nobody.
pub(in crate::engine) async fn record_hand_out(
    work: &mut Work,
    hunt: &HuntRow,
    callees: &[CalleeRow],
    dial: &NewDial,
    handset: Option<&HandsetRow>,
) -> Result<(), EngineError> {
    let now = work.now();
    if let Some(handset) = handset {
        work.db().begin_call_records(hunt, callees, dial, handset).await?;
    }
    for target in &dial.targets {
        work.db().reserve_attempts(target.callee_id, target.attempts, now).await?;
        let callee = callees.iter().find(|callee| callee.id == target.callee_id);
        let waits = |person| {
            callees.iter().any(|other| other.person_id == Some(person) && other.asked_at.is_none() && other.after_s > Some(0))
        };
        if let Some((callee, person)) =
            callee.and_then(|callee| Some((callee, callee.person_id?))).filter(|(_, person)| waits(*person))
        {
            // Their other numbers are called so long after this one.
            work.db().asked(hunt.id, callee.step, person, now).await?;
        }
    }
    // A parallel hunt wants the next handset at once; a sequential one not before this dial is over.
    let due_at = if dial.exclusive { dial.deadline } else { now };
    let window = seconds(hunt.begin_window_s);
    work.db().hunt_handed_out(hunt.id, due_at, hunt::begin_before(hunt.begin_before, dial.deadline, window), now).await?;
    let rung = dial
        .targets
        .iter()
        .map(|target| {
            let callee = callees.iter().find(|callee| callee.id == target.callee_id);
            Rung {
                callee: target.callee_id,
                name: callee.and_then(|callee| callee.name.clone()),
                number: target.number.clone(),
                attempt: callee.map(|callee| callee.attempts + 1),
            }
        })
        .collect();
    let event = Event::HandedOut {
        mid: dial.mid.clone(),
        handset: handset.map(|handset| handset.name.clone()),
        callees: rung,
        phones: dial.phones.clone(),
        deadline: dial.deadline,
    };
    work.db().insert_event(None, Some(hunt.id), now, &event).await?;
    work.announce(Announcement::Hunts);
    Ok(())
}

/// `held_until`: it is not for want of a handset that nobody is rung, so the time in which one must come counts from then.
async fn wait(
    work: &mut Work,
    hunt: &HuntRow,
    until: DateTime<Utc>,
    held_until: Option<DateTime<Utc>>,
) -> Result<(), EngineError> {
    let begin_before = match held_until {
        Some(held_until) => hunt::begin_before(hunt.begin_before, held_until, seconds(hunt.begin_window_s)),
        None => hunt.begin_before,
    };
    let now = work.now();
    Ok(work.db().set_hunt_due(hunt.id, until, begin_before, now).await?)
}

fn offer_of(dial: DialRow, now: DateTime<Utc>) -> Offer {
    let DialRow { mid, hunt_id, phones, deadline, asks_key, .. } = dial;
    Offer { mid, hunt_id, phones: phones.0, deadline, asks_key, counted_at: now }
}

fn release(locks: Vec<LockGuard>) {
    if !locks.is_empty() {
        // In the background: the handset does not wait for it, and the locks end by themselves all the same.
        tokio::spawn(async move {
            for lock in locks {
                lock.release().await;
            }
        });
    }
}

/// Whether a call that came in goes on on the channel for which a handset asks.
async fn is_called(work: &mut Work, asker: &Asker) -> Result<bool, EngineError> {
    if !asker.handset.inbound {
        return Ok(false);
    }
    let now = work.now();
    let calls = work.db().inbound_calls_on(asker.handset.id).await?;
    Ok(calls.iter().any(|call| call.channel == asker.channel && call.keeps_channel(asker.asked_at, now)))
}
