//! Calls while they run: what people and programs have done in them, how their handsets hear of it, and what these tell.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use android_protocol::live::{LiveCommand, LiveEvent, LiveOrder, LiveWord, MOST_EVENTS};
use android_protocol::wire::{Capability, Progress, ProgressState, Recording};
use chrono::{DateTime, Utc};

use super::hunt::closing::under_way;
use super::lines::calling_back;
use super::{Engine, EngineError};
use crate::alarm::call_record::CallOrigin;
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::event::Event;
use crate::alarm::{live_command, script};
use crate::audit::{Line, Operation};
use crate::ids::{HandsetId, KeyId, LiveCommandId, short_mid};
use crate::store::alarm::call_records::CallRecordRow;
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::live::{LiveCommandRow, NewLiveCommand};
use crate::store::lines::inbound_calls::InboundCallRow;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Work};

/// A call has no more commands; whoever wants more has lost count.
const MOST_COMMANDS: i64 = 100;
/// So much is kept of what a handset tells of a call.
const MOST_HEARD: i64 = 1_000;
/// So many characters of what belongs to an event.
const LONGEST_VALUE: usize = 500;
/// Beyond what programs can count exactly, no handset has seen a command.
const LARGEST_SEQ: i64 = (1 << 53) - 1;

/// A request of a handset that waits for commands.
#[derive(Clone, Debug)]
pub struct LiveAsk {
    /// Whose.
    pub handset: HandsetId,
    /// Up to where it has seen commands; 0: of none that it remembers.
    pub since: i64,
    /// The request itself, to be told from a newer one.
    connection: String,
}

/// What there is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveLook {
    /// A newer request of the same handset has come: this one ends.
    Replaced,
    /// These, if any.
    Commands(Vec<LiveCommand>),
}

impl Engine {
    /// A handset asks for commands: whatever request of it still waits ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_begins(&self, handset: HandsetId, since: Option<i64>) -> Result<LiveAsk, EngineError> {
        let since = since.filter(|since| (0..LARGEST_SEQ).contains(since)).unwrap_or(0);
        let mut work = self.work(Doer::Server).await?;
        // Not guessable, and that is all that counts.
        let connection = LiveCommandId::new(work.now()).to_string();
        work.db().live_connects(handset, &connection, since).await?;
        work.announce(Announcement::Live);
        work.commit().await?;
        Ok(LiveAsk { handset, since, connection })
    }

    /// Looks for what is to be done in a handset's calls, and notes that it is sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_look(&self, ask: &LiveAsk) -> Result<LiveLook, EngineError> {
        let now = self.clock.now();
        let young = live_command::too_old(now);
        {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            if !db.is_live_connection(ask.handset, &ask.connection).await? {
                return Ok(LiveLook::Replaced);
            }
            if db.open_live_commands(ask.handset, young, ask.since).await?.is_empty() {
                return Ok(LiveLook::Commands(Vec::new()));
            }
        }
        let mut work = self.work_at(now, Doer::Server).await?;
        let Some(mut seq) = work.db().lock_live_seq(ask.handset, &ask.connection).await? else {
            return Ok(LiveLook::Replaced);
        };
        let before = seq;
        let mut commands = Vec::new();
        for row in work.db().open_live_commands(ask.handset, young, ask.since).await? {
            let own = match row.seq {
                Some(own) => own,
                None => {
                    seq += 1;
                    work.db().live_command_sent(row.id, seq, now).await?;
                    seq
                }
            };
            let order = self.order_now(&mut work, &row).await?;
            commands.push(LiveCommand { seq: own, mid: row.mid, call: row.dialled_number, order });
        }
        // Those that are sent again come first.
        commands.sort_by_key(|command| command.seq);
        if seq > before {
            work.db().live_seq_given(ask.handset, seq).await?;
            work.announce(Announcement::Calls);
        }
        work.commit().await?;
        Ok(LiveLook::Commands(commands))
    }

    /// What is to be done, with what whoever has picked up is told: why a call ends that is wanted no more is known only once all is done.
    async fn order_now(&self, work: &mut Work, row: &LiveCommandRow) -> Result<LiveOrder, EngineError> {
        match row.order() {
            LiveOrder::Drop { .. } if row.made_by.0 == Doer::Server => {
                let said = self.why_over(work, &row.mid).await?;
                let (say, language) = said.map_or((None, None), |(say, language)| (Some(say), Some(language)));
                Ok(LiveOrder::Drop { say, language })
            }
            order => Ok(order),
        }
    }

    /// Forgets the keys of commands that are not sent any more, whatever became of them: nobody is to read them later.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn forget_digits(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let old = live_command::too_old(now);
        // What is seldom there is looked for without the right to write.
        if !self.store.read().await?.db().has_old_digits(old).await? {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        tx.db().forget_digits(old).await?;
        Ok(tx.commit().await?)
    }

    /// Has something done in a call that runs. Gives the command: its handset fetches it at once, or it comes to nothing.
    ///
    /// # Errors
    /// When the database fails, there is no such call, it does not run, its handset cannot do that, or has been told too much in it.
    pub async fn command(&self, record: i64, order: &LiveOrder, by: &Actor) -> Result<LiveCommandRow, EngineError> {
        let (record, handset) = {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            let record = db.call_record(record).await?.ok_or(EngineError::NoSuchCall)?;
            let handset = match record.handset_id {
                Some(id) => db.handset(id).await?,
                None => None,
            };
            (record, handset)
        };
        let handset = handset.ok_or(EngineError::CallNotRunning)?;
        let mut work = self.work(by.doer.clone()).await?;
        let now = work.now();
        if !self.runs(&mut work, &record).await? {
            return Err(EngineError::CallNotRunning);
        }
        if let Some(why) = why_not(&handset, order) {
            return Err(EngineError::HandsetCannot(why));
        }
        if work.db().count_live_commands(&record.mid).await? >= MOST_COMMANDS {
            return Err(EngineError::TooManyCommands);
        }
        let order = &in_its_language(order);
        let (mid, place, doer) = (record.mid.as_str(), record.place, &by.doer);
        let new = NewLiveCommand { handset: handset.id, mid, place, order, by: doer, name: by.name.as_deref() };
        let id = work.db().insert_live_command(&new, now).await?;
        let text = match order {
            LiveOrder::Play { text, .. } => text.clone(),
            // Digits may be somebody's secret: they stand nowhere but in the command.
            _ => None,
        };
        let event = Event::CallCommanded {
            mid: record.mid.clone(),
            callee: record.callee_id,
            name: record.name.clone(),
            number: record.number.clone(),
            order: live_command::word(order).to_owned(),
            text,
            by: by.name.clone(),
            done_by: Some(by.doer.clone()),
        };
        if let Some(hunt) = record.hunt_id {
            work.db().insert_event(None, Some(hunt), now, &event).await?;
        }
        let line = Line::new(Operation::CallCommanded).of(record.id).about(record.person_id).in_name_of(by.name.as_deref());
        work.note(line.after(serde_json::json!({ "order": live_command::word(order), "name": record.name })));
        work.announce(Announcement::Live);
        work.announce(Announcement::Calls);
        let made = work.db().live_command(id).await?.ok_or(EngineError::NoSuchCall)?;
        work.commit().await?;
        tracing::info!(dial.mid = short_mid(&record.mid), order = live_command::word(order), "a command for a call that runs");
        Ok(made)
    }

    /// Whether a call goes on, as far as is known; whoever closes it meanwhile waits for this.
    async fn runs(&self, work: &mut Work, record: &CallRecordRow) -> Result<bool, EngineError> {
        if let Some(hunt) = record.hunt_id {
            // It is gone where the record has outlived it.
            if work.db().hunt(hunt).await?.is_none() {
                return Ok(false);
            }
            work.db().lock_hunt(hunt).await?;
        }
        let now = work.now();
        let is_open = match record.origin {
            CallOrigin::Inbound => work.db().inbound_call(&record.mid).await?.is_some_and(|call| call.is_open(now)),
            _ => work.db().dial(&record.mid).await?.is_some_and(|dial| dial.closed_at.is_none()),
        };
        let over = match work.db().call_record(record.id).await? {
            Some(now) => now.ended_at.is_some() || now.reported_at.is_some(),
            None => true,
        };
        Ok(is_open && !over)
    }

    /// Takes in what a handset tells of its calls. What is of no call of its own, or was told before, changes nothing.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then, and all is to be told again.
    pub async fn live_events(&self, handset: &HandsetRow, events: &[LiveEvent]) -> Result<(), EngineError> {
        let mut events: Vec<&LiveEvent> = events.iter().take(MOST_EVENTS).collect();
        events.sort_by_key(|event| event.seq);
        let mut work = self.work(Doer::Handset { name: handset.name.clone() }).await?;
        let now = work.now();
        let mut calls: HashMap<&str, Option<Told>> = HashMap::new();
        let mut over: BTreeMap<String, String> = BTreeMap::new();
        let mut programs: BTreeSet<KeyId> = BTreeSet::new();
        for event in events {
            let mid = event.mid.as_str();
            if !android_protocol::mid::is_well_formed(mid) {
                continue;
            }
            let told = match calls.entry(mid) {
                Entry::Occupied(told) => told.into_mut(),
                Entry::Vacant(place) => place.insert(told_of(&mut work, handset.id, mid).await?),
            };
            let (Some(word), Some(call)) = (event.word, told) else { continue };
            // Also where it was told before: what follows from it may have failed then.
            if word == LiveWord::Ended {
                over.extend(call.number().map(|number| (mid.to_owned(), number)));
            }
            // What a handset owes is heard for longer than what it volunteers: calls of programs go on for hours.
            let most =
                if event.ack > 0 || matches!(word, LiveWord::Ended | LiveWord::Recording) { 10 * MOST_HEARD } else { MOST_HEARD };
            if event.seq <= 0 || call.heard >= most {
                continue;
            }
            let value: Option<String> =
                event.value.as_deref().map(|value| value.chars().filter(|c| !c.is_control()).take(LONGEST_VALUE).collect());
            if !work.db().hear_live(handset.id, event, word, value.as_deref(), now).await? {
                continue;
            }
            call.heard += 1;
            if let (true, Some(outcome)) = (event.ack > 0, live_command::outcome(word, value.as_deref())) {
                let failed = outcome.err();
                work.db().live_command_done(handset.id, event.ack, mid, failed.as_deref(), now).await?;
            }
            // Named first: what a program has recorded is known by that name.
            if let (LiveWord::Recording, Some(name)) = (word, value.as_deref()) {
                if let Some(dial) = &call.dial {
                    let number = number_recorded(&mut work, dial, handset.id, event).await?;
                    Self::name_recording(&mut work, dial, &number, name).await?;
                } else if let Some(inbound) = &call.inbound {
                    let told = [Recording { id: name.to_owned(), ..Recording::default() }];
                    calling_back::name_recordings(&mut work, inbound, &told).await?;
                }
            }
            programs.extend(self.rpc_live_event(&mut work, event, word, value.as_deref()).await?);
        }
        work.announce(Announcement::Calls);
        work.commit().await?;
        for key in programs {
            self.try_to_settle_rpc(key).await;
        }
        for (mid, number) in over {
            self.progress(&mid, &Progress { number, state: Some(ProgressState::Ended), ..Progress::default() }).await?;
        }
        Ok(())
    }
}

/// A call that a handset tells of.
struct Told {
    dial: Option<DialRow>,
    /// The call, where it came in.
    inbound: Option<InboundCallRow>,
    heard: i64,
}

impl Told {
    /// The number, where it is the only one.
    fn number(&self) -> Option<String> {
        match &self.dial {
            Some(dial) => dial.phones.first().filter(|_| dial.phones.len() == 1).cloned(),
            None => self.inbound.as_ref().map(|call| call.caller.clone()),
        }
    }
}

/// A call of a handset; `None` where it is another's, or nobody's.
async fn told_of(work: &mut Work, handset: HandsetId, mid: &str) -> Result<Option<Told>, EngineError> {
    let dial = work.db().dial(mid).await?.filter(|dial| dial.handset_id == Some(handset));
    let inbound = match dial {
        Some(_) => None,
        None => work.db().inbound_call(mid).await?.filter(|call| call.handset_id == handset),
    };
    if dial.is_none() && inbound.is_none() {
        return Ok(None);
    }
    Ok(Some(Told { dial, inbound, heard: work.db().count_heard_live(mid).await? }))
}

/// The number in whose call something was recorded: that of the command, or else the one under way.
async fn number_recorded(work: &mut Work, dial: &DialRow, handset: HandsetId, event: &LiveEvent) -> Result<String, EngineError> {
    let commanded = match event.ack > 0 {
        true => work.db().place_of_live_command(handset, event.ack, &dial.mid).await?,
        false => None,
    };
    let place = match commanded.and_then(|place| usize::try_from(place).ok()) {
        Some(place) => place,
        None => under_way(&work.db().targets(&dial.mid).await?),
    };
    Ok(dial.phones.get(place).cloned().unwrap_or_default())
}

/// With the language of what is to be said, which its letters tell where nobody else does.
fn in_its_language(order: &LiveOrder) -> LiveOrder {
    let mut order = order.clone();
    if let LiveOrder::Play { text: Some(text), language: language @ None, .. } = &mut order {
        *language = Some(script::language_of(None, text));
    }
    order
}

/// Why a handset cannot do something in a call that runs.
fn why_not(handset: &HandsetRow, order: &LiveOrder) -> Option<&'static str> {
    if !handset.can(Capability::Live) {
        return Some("its handset takes no commands while a call runs");
    }
    match order {
        LiveOrder::Play { .. } if !handset.can(Capability::Tts) => Some("its handset cannot speak"),
        _ => None,
    }
}
