//! Alarms come and go: raised and repeated by their senders, resolved by them, called off by people.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use crate::alarm::consequences;
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::event::Event;
use crate::alarm::policy::{Step, Whom};
use crate::alarm::{AlarmKind, AlarmState, Confirm, Confirmation, HuntOutcome, Mode, Priority, Until, hunt};
use crate::audit::Operation;
use crate::engine::watch::windows;
use crate::engine::{Engine, EngineError, delta, noted};
use crate::ids::{AlarmId, HandsetId, HuntId, hex};
use crate::keep::whom::{self, Named};
use crate::needs::Words;
use crate::rights::Bounds;
use crate::store::alarm::alarms::{AlarmRow, NewAlarm};
use crate::store::alarm::barista::BaristaCall;
use crate::store::alarm::hunts::{CalleeRow, HuntRow, NewHunt};
use crate::store::duty::policies::{PolicyRow, PolicyRuleRow};
use crate::store::{Announcement, Db, Haste, StoreError, Work};

/// How often a change is tried again when others made the same one at the same time.
pub(in crate::engine) const TRIES: usize = 5;

/// Somebody to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCallee {
    /// The number in its comparable form.
    pub number: String,
    /// The numbering plan knows such a number.
    pub known_to_plan: bool,
    /// A name, when the sender gave one; else whoever has the number.
    pub name: Option<String>,
    /// What the sender calls this callee.
    pub reference: Option<String>,
    /// How often to ring; 0 for a number that cannot be dialled.
    pub max_attempts: i32,
    /// Least seconds between two hand-outs.
    pub min_interval_s: i32,
}

/// Whom a new hunt rings first.
pub(in crate::engine) enum Naming<'r> {
    /// Those of its policy's first step.
    Policy,
    /// Those to whom this leads.
    Step {
        /// Whom to ring, and how.
        step: Step,
        /// Who was rung for the same alarm before: those who said no are left out.
        earlier: Vec<CalleeRow>,
    },
    /// These.
    These(&'r [NewCallee]),
}

/// Who says whom to ring, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The alarm itself: no policy is looked for.
    Alarm,
    /// The sender's key: counts where no rule names the sender or a label of the alarm.
    Sender,
    /// The configuration: counts where no policy does.
    Fallback,
}

/// An alarm as it comes in, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseRequest {
    /// What it is for.
    pub kind: AlarmKind,
    /// The door it came through.
    pub integration_id: String,
    /// What its sender calls itself.
    pub source: String,
    /// What makes two reports the same alarm.
    pub dedup_key: Option<String>,
    /// One line of text.
    pub summary: String,
    /// More text.
    pub details: String,
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// How urgent.
    pub priority: Priority,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When it has reached what it wants.
    pub until: Until,
    /// Nobody is really rung.
    pub dry_run: bool,
    /// How long it waits for a handset, in seconds.
    pub begin_window_s: i32,
    /// An answer that nobody confirms within so many seconds lapses; `None`: as the policy says, else none is wanted.
    pub confirm_within: Option<i32>,
    /// When an answer needs no further word; `None`: as the policy says, or once it is confirmed where a time is given.
    pub confirm: Option<Confirm>,
    /// The escalation policy that the alarm names.
    pub policy: Option<String>,
    /// Whom the alarm names to be rung, by name or by duty, instead of `callees`.
    pub ring: Vec<Named>,
    /// Calls to each of those; `None`: as configured.
    pub attempts: Option<i32>,
    /// Least seconds between two calls to one of those; `None`: as configured.
    pub min_interval_s: Option<i32>,
    /// Nobody is named, and that is no reason to refuse it.
    pub ring_nobody: bool,
    /// The name of the sender's key.
    pub sender: Option<String>,
    /// Who really sends it.
    pub by: Doer,
    /// Whom to ring, in order, where no policy says so.
    pub callees: Vec<NewCallee>,
    /// Who named them.
    pub named_by: NamedBy,
    /// Only this handset may ring for it: a test call.
    pub only_handset: Option<HandsetId>,
    /// Only handsets that can do all this may ring for it.
    pub needs: Words,
    /// The sender's key for this request and a hash of the request: the same again gives the same alarm.
    pub idempotency: Option<(String, Vec<u8>)>,
    /// Its source repeats itself, and says until when its word holds: without another one it is over then. Counts where a message is heard
    /// ([`Engine::hear`]).
    pub word_until: Option<DateTime<Utc>>,
    /// What a Barista client wants to read again in its history.
    pub barista: Option<BaristaCall>,
    /// The key of its group, where several alarms may share one; `None`: the dedup key.
    pub group_key: Option<String>,
    /// What was wrong with its form, and was put right.
    pub mended: Mended,
    /// When it comes again soon after it was over, it is the same alarm; else another one.
    pub flaps: bool,
    /// The alarms that its sender is bound to.
    pub bounds: Option<Bounds>,
    /// The team in whose name somebody raises it by hand, where they may do so for single teams alone.
    pub for_team: Option<String>,
}

/// What could not be taken as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Fields that were too long, and were cut.
    pub cut: Vec<String>,
    /// Fields out of which characters were taken.
    pub cleaned: Vec<String>,
}

impl Default for RaiseRequest {
    /// An alarm that says nothing but has every default of the API.
    fn default() -> Self {
        Self {
            kind: AlarmKind::Alarm,
            integration_id: String::new(),
            source: String::new(),
            dedup_key: None,
            summary: String::new(),
            details: String::new(),
            labels: BTreeMap::new(),
            priority: Priority::Normal,
            mode: Mode::Sequential,
            until: Until::First,
            dry_run: false,
            begin_window_s: 3600,
            confirm_within: None,
            confirm: None,
            policy: None,
            ring: Vec::new(),
            attempts: None,
            min_interval_s: None,
            ring_nobody: false,
            sender: None,
            by: Doer::Server,
            callees: Vec::new(),
            named_by: NamedBy::Alarm,
            only_handset: None,
            word_until: None,
            needs: Words::default(),
            for_team: None,
            idempotency: None,
            barista: None,
            group_key: None,
            mended: Mended::default(),
            flaps: false,
            bounds: None,
        }
    }
}

/// What became of a request to raise an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedAs {
    /// A new alarm.
    Created,
    /// Another report of an open alarm.
    Repeated,
    /// An alarm that was over a moment ago, and is open again.
    Reopened,
    /// The same request again, answered as before: as a new alarm, or as a repeat.
    Replayed {
        /// It was answered as a repeat.
        repeated: bool,
    },
}

impl RaisedAs {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Repeated => "repeated",
            Self::Reopened => "reopened",
            Self::Replayed { .. } => "replayed",
        }
    }
}

/// The alarm that a request raised.
#[derive(Clone, Debug)]
pub struct Raised {
    /// The alarm as it is now.
    pub alarm: AlarmRow,
    /// What became of the request.
    pub raised_as: RaisedAs,
}

impl RaiseRequest {
    /// The key by which it may be another report of an open alarm. What is no alarm neither repeats one nor is repeated by one, and no more
    /// does a dry run.
    pub(in crate::engine) fn repeats_under(&self) -> Option<&str> {
        self.dedup_key.as_deref().filter(|_| self.kind.is_alarm() && !self.dry_run)
    }

    /// How urgent it is.
    fn urgency(&self) -> Priority {
        self.kind.priority(self.priority)
    }

    /// What is no alarm, a dry run, what is for one handset, and what a Barista client wants to read of its own event join no other hunt.
    pub(in crate::engine) fn is_by_itself(&self) -> bool {
        !self.kind.is_alarm() || self.dry_run || self.only_handset.is_some() || self.barista.is_some() || !self.needs.is_empty()
    }
}

impl Engine {
    /// Takes in an alarm.
    ///
    /// # Errors
    /// When the database fails, or an idempotency key was used for another request. Nothing was stored then.
    pub fn raise<'e>(&'e self, request: &'e RaiseRequest) -> BoxFuture<'e, Result<Raised, EngineError>> {
        Box::pin(self.take_alarm(request))
    }

    async fn take_alarm(&self, request: &RaiseRequest) -> Result<Raised, EngineError> {
        for _ in 0..TRIES {
            match self.try_raise(request).await {
                // Another request with the same key was stored meanwhile: this one is its repeat.
                Err(EngineError::Store(error)) if error.is_unique_violation() => {}
                other => return other,
            }
        }
        Err(EngineError::Contended)
    }

    async fn try_raise(&self, request: &RaiseRequest) -> Result<Raised, EngineError> {
        let mut work = self.work_together(self.clock.now(), request.by.clone(), Haste::Alarm).await?;
        let now = work.now();
        if let Some((key, hash)) = &request.idempotency
            && let Some(earlier) = work.db().idempotent_request(&request.integration_id, key).await?
        {
            if earlier.request_hash != *hash {
                return Err(EngineError::KeyReused);
            }
            let alarm = load(&mut work.db(), earlier.alarm_id).await?;
            // It may be of this very transaction: what is said of it holds once that is committed.
            work.commit().await?;
            return Ok(Raised { alarm, raised_as: RaisedAs::Replayed { repeated: earlier.repeated } });
        }
        self.refuse_beyond(&mut work, request).await?;
        let (id, raised_as) = if let Some(id) = self.repeat_open(&mut work, request).await? {
            (id, RaisedAs::Repeated)
        } else if let Some(id) = self.reopen_with_key(&mut work, request).await? {
            (id, RaisedAs::Reopened)
        } else {
            (self.create(&mut work, request).await?, RaisedAs::Created)
        };
        note_cleaned(&mut work, request, id).await?;
        if let Some((key, hash)) = &request.idempotency {
            let repeated = raised_as != RaisedAs::Created;
            work.db().insert_idempotent_request(&request.integration_id, key, hash, id, repeated, now).await?;
        }
        let alarm = load(&mut work.db(), id).await?;
        if noted::by_hand(&request.by) {
            let operation = match request.only_handset {
                Some(_) => Operation::HandsetTested,
                None => Operation::AlarmRaised,
            };
            let after = serde_json::json!({ "kind": request.kind.as_str(), "summary": request.summary, "as": raised_as.word() });
            work.note(noted::line(operation, &alarm, &Actor::nameless(request.by.clone())).after(after));
        }
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(Raised { alarm, raised_as })
    }

    /// Counts the request as a repeat of an open alarm, when there is one with its key.
    async fn repeat_open(&self, work: &mut Work, request: &RaiseRequest) -> Result<Option<AlarmId>, EngineError> {
        let now = work.now();
        let Some(key) = request.repeats_under() else { return Ok(None) };
        let Some(alarm) = work.db().open_alarm_with_key(&request.integration_id, key).await? else { return Ok(None) };
        // It may have got another hunt while this waited for the lock.
        let (alarm, hunt) = lock_alarm(work, alarm.id).await?;
        if now - alarm.last_repeat_at > delta(self.config.alarms.dedup) {
            work.db().close_dedup(alarm.id).await?;
            return Ok(None);
        }
        if !work.db().repeat_alarm(alarm.id, now).await? {
            return Ok(None);
        }
        refuse_foreign(work, request, &alarm).await?;
        self.repeat(work, request, &alarm, &hunt, false).await?;
        Ok(Some(alarm.id))
    }

    /// Refuses what rings somebody beyond the bounds of its sender's key, also where it would only repeat an alarm, or open it again. What names
    /// nobody rings those of the alarm that it repeats.
    ///
    /// # Errors
    /// That it is beyond them.
    pub(in crate::engine) async fn refuse_beyond(&self, work: &mut Work, request: &RaiseRequest) -> Result<(), EngineError> {
        let Some(bounds) = &request.bounds else { return Ok(()) };
        match self.policy_for(work, request).await {
            Ok(None) if names_nobody(request) => refuse_unless(request, bounds.cover_source(&request.source)),
            Err(EngineError::NobodyNamed) => refuse_unless(request, bounds.cover_source(&request.source)),
            // There may be none of that name any more: what counts is what is asked for.
            Err(EngineError::NoSuchPolicy(name)) => refuse_unless_within(request, Some(&name)),
            Ok(policy) => refuse_unless_within(request, policy.as_ref().map(|policy| policy.name.as_str())),
            Err(other) => Err(other),
        }
    }

    pub(in crate::engine) async fn create(&self, work: &mut Work, request: &RaiseRequest) -> Result<AlarmId, EngineError> {
        let now = work.now();
        let policy = self.policy_for(work, request).await?;
        let team = team_asked_for(request);
        let policy_name = policy.as_ref().map(|policy| policy.name.as_str());
        refuse_unless_within(request, policy_name)?;
        let naming = self.naming(work, request, policy.is_some()).await?;
        let hunt_id = insert_hunt(work, request, policy.as_ref(), &naming).await?;
        // Nobody is told of what is held: that it rings people is told when it does.
        let held_until = windows::holds(work, request.kind, &request.labels, team).await?;
        let alarm = NewAlarm {
            id: AlarmId::new(now),
            kind: request.kind,
            hunt_id,
            integration_id: request.integration_id.clone(),
            source: request.source.clone(),
            dedup_key: request.dedup_key.clone(),
            dedup_open: request.repeats_under().is_some(),
            summary: request.summary.clone(),
            details: request.details.clone(),
            labels: request.labels.clone(),
            priority: request.urgency(),
            raised_at: now,
            team: team.map(str::to_owned),
            group_key: request
                .group_key
                .clone()
                .or_else(|| request.dedup_key.clone())
                .filter(|_| request.kind.is_alarm() && !request.dry_run),
        };
        let number = work.db().insert_alarm(&alarm).await?;
        let event = Event::Raised { number, source: request.source.clone(), priority: request.urgency(), held_until };
        work.db().insert_event(Some(alarm.id), Some(hunt_id), now, &event).await?;
        if let Some(call) = &request.barista {
            work.db().insert_barista_call(alarm.id, call).await?;
        }
        self.name_callees(work, hunt_id, naming).await?;
        if !windows::hold(work, alarm.id, hunt_id, &request.labels, team).await? {
            self.join_if_alike(work, request.urgency(), request.is_by_itself(), alarm.id, hunt_id).await?;
        }
        let of_callees = policy.is_none() && request.ring.is_empty();
        if of_callees && request.callees.iter().all(|callee| callee.max_attempts == 0) {
            // Nobody can be rung: that is said now, and not when a handset asks.
            self.settle(work, hunt_id).await?;
        }
        Ok(alarm.id)
    }

    /// The policy that says whom to ring; `None` when the request itself does.
    pub(in crate::engine) async fn policy_for(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
    ) -> Result<Option<PolicyRow>, EngineError> {
        if !request.kind.is_alarm() {
            return Ok(None);
        }
        if let Some(name) = &request.policy {
            let policy = work.db().policy_by_name(name).await?;
            return policy.map(Some).ok_or_else(|| EngineError::NoSuchPolicy(name.clone()));
        }
        if request.named_by == NamedBy::Alarm && !(request.callees.is_empty() && request.ring.is_empty()) {
            return Ok(None);
        }
        let rules = work.db().policy_rules().await?;
        match rule_for(&rules, request) {
            Some((_, rule)) => Ok(work.db().policy(rule.policy_id).await?),
            None if request.callees.is_empty() && !request.ring_nobody => Err(EngineError::NobodyNamed),
            None => Ok(None),
        }
    }

    /// Who says whom to ring for a request.
    pub(in crate::engine) async fn naming<'r>(
        &self,
        work: &mut Work,
        request: &'r RaiseRequest,
        by_policy: bool,
    ) -> Result<Naming<'r>, EngineError> {
        if by_policy {
            return Ok(Naming::Policy);
        }
        if request.ring.is_empty() {
            return Ok(Naming::These(&request.callees));
        }
        let mut whom = Vec::with_capacity(request.ring.len());
        for (index, named) in request.ring.iter().enumerate() {
            let found = whom::find(&mut work.db(), named, self.region()).await?;
            whom.push(found.map_err(|why| EngineError::UnknownName { index, why })?);
        }
        let step =
            Step { whom, mode: request.mode, attempts: request.attempts, min_interval_s: request.min_interval_s, wait_s: None };
        Ok(Naming::Step { step, earlier: Vec::new() })
    }

    /// Puts the first people into a new hunt.
    pub(in crate::engine) async fn name_callees(
        &self,
        work: &mut Work,
        hunt: HuntId,
        naming: Naming<'_>,
    ) -> Result<(), EngineError> {
        let callees = match naming {
            Naming::These(callees) => callees,
            Naming::Policy | Naming::Step { .. } => {
                let row = work.db().lock_hunt(hunt).await?;
                match naming {
                    Naming::Step { step, earlier } => self.begin_only_step(work, &row, &step, &earlier).await?,
                    _ => self.begin_next_step(work, &row).await?,
                }
                // Whether there is anybody at all, and when the step is over.
                return self.settle(work, hunt).await;
            }
        };
        for (position, callee) in (0_i32..).zip(callees) {
            let row = CalleeRow { position, ..callee_row(work, callee).await? };
            work.db().insert_callee(hunt, &row).await?;
        }
        Ok(())
    }

    /// The numbers and people that a request names, each by itself: whom duty leads to is left out, and so is who cannot be found.
    pub(in crate::engine) async fn named_one_by_one(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
    ) -> Result<Vec<CalleeRow>, EngineError> {
        if request.ring.is_empty() {
            let mut rows = Vec::with_capacity(request.callees.len());
            for callee in &request.callees {
                rows.push(callee_row(work, callee).await?);
            }
            return Ok(rows);
        }
        let now = work.now();
        let mut whom = Vec::new();
        for named in &request.ring {
            let found = whom::find(&mut work.db(), named, self.region()).await?;
            whom.extend(found.ok().filter(|one| !matches!(one, Whom::Team(_) | Whom::Schedule(_))));
        }
        let led = whom::reach(&mut work.db(), &whom, now).await?;
        let settings = &self.config.alarms;
        let attempts = request.attempts.unwrap_or_else(|| i32::try_from(settings.attempts).unwrap_or(1));
        let interval = || i32::try_from(settings.min_interval.as_secs()).unwrap_or(i32::MAX);
        let min_interval_s = request.min_interval_s.unwrap_or_else(interval);
        let of_all = CalleeRow { max_attempts: attempts, min_interval_s, ..CalleeRow::of(String::new(), now) };
        Ok(led.to.iter().flat_map(|one| of_all.all_of(one, now)).collect())
    }

    /// A person calls an alarm off: ringing stops, unless the hunt also serves another alarm.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or its source said that it is over.
    pub async fn cancel(&self, id: AlarmId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            let now = work.now();
            if alarm.cancelled_at.is_some() {
                return Ok(());
            }
            if !work.db().cancel_alarm(id, now).await? {
                return Err(EngineError::Over("resolved"));
            }
            work.note(noted::line(Operation::AlarmCancelled, alarm, by));
            let event = Event::Cancelled { by: by.name.clone(), done_by: Some(by.doer.clone()) };
            work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?;
            engine.stop_unless_wanted(work, hunt, HuntOutcome::Cancelled).await
        })
        .await
    }

    /// The source says that an alarm is over: ringing stops, unless the hunt also serves another alarm.
    ///
    /// # Errors
    /// When the database fails or there is no such alarm. An alarm that is over stays as it is.
    pub async fn resolve(&self, id: AlarmId, by: &Doer) -> Result<AlarmRow, EngineError> {
        self.change(id, by, async |engine, work, alarm, hunt| {
            if noted::by_hand(by) && alarm.resolved_at.is_none() {
                work.note(noted::line(Operation::AlarmResolved, alarm, &Actor::nameless(by.clone())));
            }
            engine.over(work, id, hunt, None).await
        })
        .await
    }

    /// An alarm is over, whose hunt is locked; its source said so, or has said nothing more since then.
    pub(in crate::engine) async fn over(
        &self,
        work: &mut Work,
        id: AlarmId,
        hunt: &HuntRow,
        no_word_since: Option<DateTime<Utc>>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        if work.db().resolve_alarm(id, now).await? {
            work.db().insert_event(Some(id), Some(hunt.id), now, &Event::Resolved { no_word_since }).await?;
            self.stop_unless_wanted(work, hunt, HuntOutcome::Resolved).await?;
        }
        Ok(())
    }

    /// The open alarm with a key is over, if there is one, as part of what else is done.
    pub(in crate::engine) async fn over_with_key(
        &self,
        work: &mut Work,
        integration: &str,
        key: &str,
    ) -> Result<(), EngineError> {
        let Some(open) = work.db().open_alarm_with_key(integration, key).await? else { return Ok(()) };
        let (alarm, hunt) = lock_alarm(work, open.id).await?;
        self.over(work, alarm.id, &hunt, None).await?;
        work.announce(Announcement::Hunts);
        Ok(())
    }

    /// The same for the open alarm with a key; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resolve_with_key(&self, integration: &str, key: &str, by: &Doer) -> Result<Option<AlarmRow>, EngineError> {
        let open = self.store.read().await?.db().open_alarm_with_key(integration, key).await?;
        match open {
            Some(alarm) => self.resolve(alarm.id, by).await.map(Some),
            None => Ok(None),
        }
    }

    /// A sender says that an alarm of its own is over.
    ///
    /// # Errors
    /// When the database fails, or this sender raised no such alarm.
    pub async fn resolve_own(&self, integration: &str, id: AlarmId, by: &Doer) -> Result<AlarmRow, EngineError> {
        let alarm = self.store.read().await?.db().alarm(id).await?;
        match alarm.filter(|alarm| alarm.integration_id == integration) {
            Some(alarm) => self.resolve(alarm.id, by).await,
            None => Err(EngineError::NoSuchAlarm),
        }
    }

    /// Loads an alarm, locks its hunt, changes both in one transaction, and gives the alarm as it is then.
    pub(in crate::engine) async fn change<F>(&self, id: AlarmId, by: &Doer, change: F) -> Result<AlarmRow, EngineError>
    where
        F: AsyncFnOnce(&Engine, &mut Work, &AlarmRow, &HuntRow) -> Result<(), EngineError>,
    {
        let mut work = self.work(by.clone()).await?;
        let (alarm, hunt) = lock_alarm(&mut work, id).await?;
        change(self, &mut work, &alarm, &hunt).await?;
        let alarm = load(&mut work.db(), id).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(alarm)
    }

    /// Ends a hunt that is under way for nothing any more.
    pub(in crate::engine) async fn stop_unless_wanted(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        outcome: HuntOutcome,
    ) -> Result<(), EngineError> {
        let firing = work.db().count_firing(hunt.id).await?;
        match consequences::over(hunt.standing(), outcome, firing) {
            Some(one) => self.follow(work, hunt, one).await,
            None => Ok(()),
        }
    }
}

/// The rule that says whom to ring for a request that does not say it itself, and its place in the list, counted from one.
pub(in crate::engine) fn rule_for<'r>(rules: &'r [PolicyRuleRow], request: &RaiseRequest) -> Option<(usize, &'r PolicyRuleRow)> {
    let mut matching = (1..).zip(rules).filter(|(_, rule)| rule.matches(request.sender.as_deref(), &request.labels));
    // A key's own numbers are meant for that sender, so they go before the rule for everything that is left.
    matching.find(|(_, rule)| request.named_by == NamedBy::Fallback || !rule.is_default())
}

/// Whether a request names nobody whom it wants to be rung; those of the configuration are nobody's choice.
fn names_nobody(request: &RaiseRequest) -> bool {
    let callees = request.callees.is_empty() || request.named_by == NamedBy::Fallback;
    request.policy.is_none() && request.ring.is_empty() && callees
}

/// Refuses what goes beyond the bounds of its sender's key: by its source, by the team that it asks for, or by its policy.
fn refuse_unless_within(request: &RaiseRequest, policy: Option<&str>) -> Result<(), EngineError> {
    let is_within = |bounds: &Bounds| {
        bounds.cover(&request.source, team_asked_for(request), policy) && !(bounds.are_of_monitor() && request.kind.is_alarm())
    };
    refuse_unless(request, request.bounds.as_ref().is_none_or(is_within))
}

fn refuse_unless(request: &RaiseRequest, is_within: bool) -> Result<(), EngineError> {
    match &request.bounds {
        Some(bounds) if !is_within => Err(EngineError::OutOfBounds(bounds.to_string())),
        _ => Ok(()),
    }
}

/// Refuses a repeat of an alarm that is beyond the bounds of its sender's key itself, where it names nobody: those of the alarm would be rung.
/// It may be from before the key was bound.
pub(in crate::engine) async fn refuse_foreign(
    work: &mut Work,
    request: &RaiseRequest,
    alarm: &AlarmRow,
) -> Result<(), EngineError> {
    match &request.bounds {
        Some(bounds) if names_nobody(request) => refuse_unless(request, work.db().is_within(alarm, bounds).await?),
        _ => Ok(()),
    }
}

/// The one team that a request asks for, when it asks for nobody else.
pub(in crate::engine) fn team_asked_for(request: &RaiseRequest) -> Option<&str> {
    match &request.ring[..] {
        _ if request.for_team.is_some() => request.for_team.as_deref(),
        [Named::Team(name)] => Some(name),
        _ => None,
    }
}

/// Longer names of queues are cut, in bytes.
const LONGEST_QUEUE: usize = 200;

/// Whose turn it is when this is rung: the team's, else the policy's, else the sender's.
fn queue(request: &RaiseRequest, policy: Option<&PolicyRow>) -> String {
    let named = request.ring.iter().find_map(|named| match named {
        Named::Team(name) => Some(format!("team {name}")),
        Named::Schedule(name) => Some(format!("schedule {name}")),
        Named::Person(_) | Named::Number(_) => None,
    });
    let labelled = request.labels.get("team").map(|team| format!("team {team}"));
    let by_policy = policy.map(|policy| format!("policy {}", policy.id));
    short(labelled.or(named).or(by_policy).unwrap_or_else(|| format!("sender {}", request.integration_id)))
}

/// A label may be longer than what an index holds: the name of a queue is cut, and stays one of its own.
fn short(queue: String) -> String {
    if queue.len() <= LONGEST_QUEUE {
        return queue;
    }
    let begins: String = queue.chars().take(40).collect();
    format!("{begins}… {}", hex(&Sha256::digest(&queue)[..16]))
}

/// A callee whom a sender names by number: a person, where the number is theirs.
async fn callee_row(work: &mut Work, callee: &NewCallee) -> Result<CalleeRow, EngineError> {
    let now = work.now();
    let person = work.db().person_with_number(&callee.number).await?;
    // Several people may share a number: whom the sender names is not somebody else for having the same one.
    let person = person.filter(|person| callee.name.as_ref().is_none_or(|name| *name == person.name));
    Ok(CalleeRow {
        person_id: person.as_ref().map(|person| person.id),
        name: callee.name.clone().or(person.map(|person| person.name)),
        known_to_plan: callee.known_to_plan,
        reference: callee.reference.clone(),
        max_attempts: callee.max_attempts,
        min_interval_s: callee.min_interval_s,
        ..CalleeRow::of(callee.number.clone(), now)
    })
}

pub(in crate::engine) async fn insert_hunt(
    work: &mut Work,
    request: &RaiseRequest,
    policy: Option<&PolicyRow>,
    naming: &Naming<'_>,
) -> Result<HuntId, EngineError> {
    let now = work.now();
    let attempts = request.callees.iter().map(|callee| callee.max_attempts);
    let of_policy = policy.map(|policy| policy.definition.confirmation()).unwrap_or_default();
    let wanted = Confirmation::or(request.confirm, request.confirm_within, of_policy);
    let hunt = NewHunt {
        id: HuntId::new(now),
        kind: request.kind,
        priority: request.urgency(),
        mode: request.mode,
        until: if policy.is_some() { Until::First } else { request.until },
        dry_run: request.dry_run,
        // A policy's steps bring their own.
        dials_left: if policy.is_some() { 0 } else { hunt::hand_out_limit(attempts) },
        created_at: now,
        begin_window_s: request.begin_window_s,
        only_handset_id: request.only_handset,
        confirm_within: wanted.within,
        wants_key: wanted.key,
        needs: request.needs.clone(),
        policy_id: policy.map(|policy| policy.id),
        queue: queue(request, policy),
        ring: match naming {
            Naming::Step { step, .. } => Some(step.clone()),
            Naming::Policy | Naming::These(_) => None,
        },
    };
    work.db().insert_hunt(&hunt).await?;
    Ok(hunt.id)
}

pub(in crate::engine) fn refuse_if_over(alarm: &AlarmRow) -> Result<(), EngineError> {
    match alarm.state() {
        AlarmState::Cancelled => Err(EngineError::Over("cancelled")),
        AlarmState::Resolved => Err(EngineError::Over("resolved")),
        _ => Ok(()),
    }
}

/// Notes on the timeline what could not be taken as it was sent.
pub(in crate::engine) async fn note_cleaned(work: &mut Work, request: &RaiseRequest, id: AlarmId) -> Result<(), EngineError> {
    let now = work.now();
    let Mended { cut, cleaned } = &request.mended;
    if cut.is_empty() && cleaned.is_empty() {
        return Ok(());
    }
    let event = Event::Cleaned { cut: cut.clone(), cleaned: cleaned.clone() };
    Ok(work.db().insert_event(Some(id), None, now, &event).await?)
}

/// Locks the current hunt of an alarm. The alarm may get a new hunt between reading and locking, so it is read again.
pub(in crate::engine) async fn lock_alarm(work: &mut Work, id: AlarmId) -> Result<(AlarmRow, HuntRow), EngineError> {
    let mut alarm = work.db().alarm(id).await?.ok_or(EngineError::NoSuchAlarm)?;
    for _ in 0..TRIES {
        let hunt = work.db().lock_hunt(alarm.hunt_id).await?;
        if matches!(hunt.kind, AlarmKind::Shout | AlarmKind::Call) {
            // What is done about it is done by its own rules.
            return Err(EngineError::NoSuchAlarm);
        }
        alarm = load(&mut work.db(), id).await?;
        if alarm.hunt_id == hunt.id {
            return Ok((alarm, hunt));
        }
    }
    Err(EngineError::Contended)
}

pub(in crate::engine) async fn load(db: &mut Db<'_>, id: AlarmId) -> Result<AlarmRow, EngineError> {
    let alarm = db.alarm(id).await?;
    alarm.ok_or_else(|| StoreError::Inconsistent(format!("alarm {id} vanished")).into())
}
