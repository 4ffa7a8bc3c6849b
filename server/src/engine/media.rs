//! Sound in calls: what a handset is told to play and to record, what it tells of recordings, and who hears them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use android_protocol::voice::script::Clip;
use android_protocol::wire::{NativeCall, Recording};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, EngineError};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::alarm::{AlarmKind, consequences};
use crate::audit::{Line, Operation};
use crate::ids::{HuntId, MediaId};
use crate::keep::keys::rights::of_open_networks;
use crate::keep::media::recordings::{self, Spoken};
use crate::keep::users::teams::Owners;
use crate::links::{Hearing, Listener};
use crate::rights::Right;
use crate::store::access::keys::KeyRow;
use crate::store::access::users::{Role, UserRow};
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::hunts::CalleeRow;
use crate::store::media::recordings::{HeardRow, Records};
use crate::store::{Announcement, Db, StoreError, Work};

/// Somebody who hears a recording several times within so long hears it once: players ask for it in parts.
const ONE_HEARING: TimeDelta = TimeDelta::minutes(10);
/// Most hearings that are remembered for that.
const MOST_REMEMBERED: usize = 10_000;

/// What a handset is told in a call beside what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What it plays in place of the alarm's words.
    pub clip: Option<Clip>,
    /// Why it records.
    pub records: Option<Records>,
}

/// What is heard, by whom; of an open network also from where.
type Hears = (MediaId, Listener, Option<IpAddr>);

/// Who heard what, and when last.
#[derive(Debug, Default)]
pub struct HeardMemory(Mutex<HashMap<Hears, DateTime<Utc>>>);

impl HeardMemory {
    /// Whether that is part of a hearing that was written down.
    fn is_known(&self, what: Hears, now: DateTime<Utc>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&what).is_some_and(|at| now - *at < ONE_HEARING)
    }

    fn remember(&self, what: Hears, now: DateTime<Utc>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            // What is forgotten is written down once more.
            known.clear();
        }
        known.insert(what, now);
    }
}

impl Engine {
    /// What a handset is told in a dial: once decided, it stays so. `records`: it can; `has_own_words`: its sender says what is to be said.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told(&self, mid: &str, records: bool, has_own_words: bool) -> Result<Told, EngineError> {
        let config = &self.config.media;
        let announcement = config.announcement.as_deref().filter(|_| !has_own_words);
        let would_record = if records { self.would_record(has_own_words) } else { None };
        if announcement.is_none() && would_record.is_none() {
            return Ok(Told::default());
        }
        let told = self.store.read().await?.db().told_in_dial(mid).await?;
        let (clip, records) = match told {
            None => return Ok(Told::default()),
            Some((None, None)) => {
                self.decide_what_to_tell(mid, announcement, would_record).await?;
                self.store.read().await?.db().told_in_dial(mid).await?.unwrap_or_default()
            }
            Some(told) => told,
        };
        let sound = match clip {
            Some(id) => self.store.read().await?.db().media(id).await?,
            None => None,
        };
        let clip = sound.map(|sound| Clip { media: sound.id.to_string(), sha256: Some(sound.sha256) });
        Ok(Told { clip, records })
    }

    /// Why a handset that can is told to record in a call. `has_own_words`: its sender says what is to be said.
    pub(in crate::engine) fn would_record(&self, has_own_words: bool) -> Option<Records> {
        let config = &self.config.media;
        match () {
            () if config.debug_recording.is_on() => Some(Records::Debug),
            () if has_own_words => None,
            () => config.message_key.map(|_| Records::Message),
        }
    }

    /// Whether there is room for another recording.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::engine) async fn has_room(&self) -> Result<bool, EngineError> {
        let total = self.store.read().await?.db().media_total().await?;
        let most_bytes = self.config.media.most_bytes;
        let room = u64::try_from(total).unwrap_or_default() < most_bytes;
        if !room {
            tracing::warn!(most_bytes, "nothing is recorded: media.most_bytes is reached");
        }
        Ok(room)
    }

    async fn decide_what_to_tell(
        &self,
        mid: &str,
        announcement: Option<&str>,
        records: Option<Records>,
    ) -> Result<(), EngineError> {
        let config = &self.config.media;
        let clip = {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            // Where it could not be had before, the alarm's words are spoken.
            match announcement {
                Some(name) if !db.missed_sound(mid).await? => db.clip(name).await?,
                _ => None,
            }
        };
        if let (Some(name), None) = (announcement, &clip) {
            tracing::warn!(clip = name, "the clip in media.announcement cannot be played: the alarm's words are spoken");
        }
        let room = records.is_some() && self.has_room().await?;
        // In a call that plays a clip nobody would hear that it is recorded.
        let heard_first = clip.is_none() || !config.say_recorded.is_on();
        let (clip, records) = (clip.map(|clip| clip.media_id), records.filter(|_| room && heard_first));
        if clip.is_some() || records.is_some() {
            let mut tx = self.store.begin().await?;
            tx.db().tell_dial(mid, clip, records).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Measures how much sound is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measure_media(&self) -> Result<(), EngineError> {
        let total = self.store.read().await?.db().media_total().await?;
        self.metrics.media_bytes.set(total);
        Ok(())
    }

    /// Notes the recordings that a report tells of.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::engine) async fn name_recordings(
        work: &mut Work,
        dial: &DialRow,
        rung: &consequences::Dial,
        callees: &[CalleeRow],
        calls: &[NativeCall],
    ) -> Result<(), StoreError> {
        let now = work.now();
        for call in calls.iter().filter(|call| !call.recordings.is_empty()) {
            let Some(spoken) = spoken(dial, rung, callees, &call.number) else { continue };
            recordings::name(&mut work.db(), &spoken, &call.recordings, now).await?;
        }
        Ok(())
    }

    /// Notes the recording that progress tells of.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::engine) async fn name_recording(
        work: &mut Work,
        dial: &DialRow,
        number: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        let now = work.now();
        let rung = dial.standing(&work.db().targets(&dial.mid).await?);
        let callees = work.db().callees_of_dial(&dial.mid).await?;
        let Some(spoken) = spoken(dial, &rung, &callees, number) else { return Ok(()) };
        let told = [Recording { id: name.to_owned(), ..Recording::default() }];
        recordings::name(&mut work.db(), &spoken, &told, now).await
    }

    /// A path at which a listener hears some sound for so long.
    #[must_use]
    pub fn hearing_path(&self, media: MediaId, listener: Listener, lasts: TimeDelta) -> (String, DateTime<Utc>) {
        let until = self.clock.now() + lasts;
        (self.links.hearing(&Hearing { media, listener, until }), until)
    }

    /// Who a listener is by now, whose request comes from this address; `None` when they may not hear this recording, or not any more.
    /// `heard`: what was said in which call; none where it is the message of a shout, which all hear who respond.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn listener_now(
        &self,
        heard: Option<&HeardRow>,
        listener: Listener,
        address: IpAddr,
    ) -> Result<Option<Doer>, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        Ok(match listener {
            Listener::User(id) => match db.user(id).await? {
                Some(user) if may_hear(&mut db, &user, heard.map(|heard| heard.hunt_id)).await? => {
                    Some(Doer::User { name: user.name })
                }
                _ => None,
            },
            Listener::Key(id) => match db.key(id).await? {
                Some(key) if key_may_hear(&mut db, &key, heard.map(|heard| heard.hunt_id), self.clock.now()).await? => {
                    Some(Doer::Key { name: key.name })
                }
                _ => None,
            },
            Listener::OpenNetwork => {
                let is_open = self.config.http.open_networks.iter().any(|network| network.contains(&address));
                let rights = of_open_networks(&mut db, &self.config).await?;
                (is_open && (rights.may(Right::Read) || rights.may(Right::Raise))).then_some(Doer::OpenNetwork { address })
            }
        })
    }

    /// Writes down that somebody hears a recording, before they do.
    ///
    /// # Errors
    /// When the database fails; nobody is to hear it then.
    pub async fn recording_heard(
        &self,
        heard: &HeardRow,
        media: MediaId,
        listener: Listener,
        by: Doer,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        let from = match &by {
            Doer::OpenNetwork { address } => Some(*address),
            _ => None,
        };
        let what = (media, listener, from);
        if self.heard.is_known(what, now) {
            return Ok(());
        }
        let mut work = self.work_at(now, by).await?;
        let event = Event::RecordingHeard {
            mid: heard.mid.clone(),
            callee: heard.callee_id,
            number: heard.number.clone(),
            recording: heard.id,
            done_by: Some(work.by().clone()),
        };
        work.db().insert_event(None, Some(heard.hunt_id), now, &event).await?;
        work.note(Line::new(Operation::RecordingHeard).of(heard.id));
        work.announce(Announcement::Calls);
        work.commit().await?;
        self.heard.remember(what, now);
        Ok(())
    }
}

/// Whether a user may hear what was said in the calls of a hunt: admins, and whoever responds for the team of an alarm that they are about.
/// An alarm of no team is everybody's who responds.
///
/// # Errors
/// When the database fails.
pub async fn may_hear(db: &mut Db<'_>, user: &UserRow, hunt: Option<HuntId>) -> Result<bool, StoreError> {
    if user.disabled_at.is_some() {
        return Ok(false);
    }
    if user.role < Role::Responder {
        return hears_for_a_team(db, user, hunt).await;
    }
    if user.role >= Role::Admin {
        return Ok(true);
    }
    let Some(hunt) = hunt else { return Ok(true) };
    let teams = db.teams_of_hunt(hunt).await?;
    if teams.iter().any(Option::is_none) {
        return Ok(true);
    }
    let Some(person) = user.person_id else { return Ok(false) };
    let roster = db.roster().await?;
    let theirs = |team: &String| roster.find_team(team).is_some_and(|team| team.members.contains(&person));
    Ok(teams.iter().flatten().any(theirs))
}

/// Whether somebody who acts for single teams alone acts for one of those that the calls of a hunt are about.
async fn hears_for_a_team(db: &mut Db<'_>, user: &UserRow, hunt: Option<HuntId>) -> Result<bool, StoreError> {
    let roles = db.team_roles_of(user.id).await?;
    let Some(hunt) = hunt.filter(|_| !roles.is_empty()) else { return Ok(false) };
    let owners = Owners::read(db).await?;
    let teams = db.teams_of_hunt(hunt).await?;
    let own = teams.iter().flatten().filter_map(|team| owners.team(team));
    Ok(own.into_iter().any(|team| roles.teams().any(|own| own == team)))
}

/// Whether a key may hear by now what was said in the calls of a hunt for what it raised, or the message of a shout: as it may ask for another
/// address of it. Its rights may have been taken away since it was given this one, or it was bound, or has ended.
///
/// # Errors
/// When the database fails.
async fn key_may_hear(db: &mut Db<'_>, key: &KeyRow, hunt: Option<HuntId>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    if key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= now) {
        return Ok(false);
    }
    let Some(hunt) = hunt else { return Ok(key.may(Right::Shouts)) };
    let own = key.id.to_string();
    for alarm in db.alarms_of(hunt).await?.into_iter().filter(|alarm| alarm.integration_id == own) {
        let may = match alarm.kind {
            AlarmKind::Shout => key.may(Right::Shouts),
            AlarmKind::Call => key.may(Right::Calls),
            AlarmKind::Alarm | AlarmKind::Test => key.may(Right::Read) || key.may(Right::Raise),
        };
        // Whoever only raises alarms reads their own, whatever they are bound to.
        let within = match key.bound_to().filter(|_| key.may(Right::Read)) {
            Some(bounds) => db.is_within(&alarm, bounds).await?,
            None => true,
        };
        if may && within {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whose call that was, by the number as its handset was given it.
fn spoken<'d>(dial: &'d DialRow, rung: &'d consequences::Dial, callees: &[CalleeRow], number: &str) -> Option<Spoken<'d>> {
    let place = dial.phones.iter().position(|phone| phone == number);
    // Where one number is rung there is no other whose words they could be.
    let place = place.or((dial.phones.len() == 1).then_some(0))?;
    let target = rung.rings.get(place)?;
    let callee = callees.iter().find(|callee| callee.id == target.callee);
    Some(Spoken {
        mid: &dial.mid,
        hunt: dial.hunt_id,
        number: &target.number,
        callee: Some(target.callee),
        person: callee.and_then(|callee| callee.person_id),
    })
}
