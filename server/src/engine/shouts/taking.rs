//! A shout is taken in, or taken back.

use std::collections::{BTreeMap, HashSet};

use android_protocol::voice::rewritten::Rewritten;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{OF_PAGES, needs};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::alarm::{AlarmKind, Mode, Priority, Until};
use crate::audit::{Line, Operation};
use crate::costly;
use crate::engine::{Engine, EngineError};
use crate::ids::{AlarmId, HuntId, KeyId, MediaId};
use crate::keep::media::{self, NotTaken};
use crate::shout::course::{Course, Word};
use crate::shout::recipients::{self, Recipient, comparable, is_among};
use crate::shout::{CallStatus, ShoutStatus, message};
use crate::store::alarm::alarms::NewAlarm;
use crate::store::alarm::hunts::NewHunt;
use crate::store::media::pieces::MediaRow;
use crate::store::shouts::calls::NewRecipient;
use crate::store::shouts::log::RecordKind;
use crate::store::shouts::rows::{NewShout, ShoutRow};
use crate::store::{Announcement, Db, StoreError, Work};

/// How many recipients a key has had is counted over so long.
const RATE_OVER: TimeDelta = TimeDelta::hours(1);

/// Where the message of a shout comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Its caller speaks it on the phone.
    ByPhone,
    /// These words are spoken.
    Words {
        /// What is said.
        text: String,
        /// In which language, where somebody has said so.
        language: Option<String>,
    },
    /// This sound is played, which comes with it.
    Sound(Rewritten),
    /// The sound that has this name is played, as it is now.
    Clip(String),
    /// That of an earlier shout of the same key.
    Of(i64),
}

/// A shout as it comes in, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShoutRequest {
    /// Whose it is.
    pub key: KeyId,
    /// The name of that key.
    pub source: String,
    /// Who really sends it.
    pub by: Doer,
    /// A name space of that key.
    pub userdata: String,
    /// What its sender calls it.
    pub title: Option<String>,
    /// Whose phone the message is spoken on.
    pub caller: String,
    /// Whom it goes to, as its sender wrote them.
    pub recipients: Vec<String>,
    /// When it is to go out.
    pub schedule: Option<DateTime<Utc>>,
    /// Where its message comes from.
    pub message: Message,
    /// The form by which it is sent, where it is: whatever sends it again gets the first.
    pub form: Option<String>,
}

/// Why a shout is not taken in. Nothing was stored then.
#[derive(Debug, thiserror::Error)]
pub enum ShoutRefused {
    /// There is no such shout of this key.
    #[error("there is no shout {0} of this key")]
    NoSuchShout(i64),
    /// That shout has no message that could be used again.
    #[error("the shout {0} has no message yet: name one that has gone out")]
    NoMessage(i64),
    /// There is no clip of that name.
    #[error("there is no clip named {0:?}")]
    NoSuchClip(String),
    /// The sound that came with it is not kept.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The key has had too many recipients.
    #[error("this key may reach {most} recipients in an hour (shouts.recipients_per_hour): send it again later")]
    TooMany {
        /// So many.
        most: u32,
    },
    /// More recipients than a key may have in an hour.
    #[error(
        "no shout may have more than {most} recipients, which is what a key may reach in an hour (shouts.recipients_per_hour)"
    )]
    NeverSoMany {
        /// So many.
        most: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for ShoutRefused {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// A message that is there.
#[derive(Clone, Debug, Default)]
struct There {
    words: Option<String>,
    language: Option<String>,
    media: Option<MediaId>,
    seconds: i32,
}

impl Engine {
    /// Takes in a shout.
    ///
    /// # Errors
    /// Why not.
    pub fn take_shout<'e>(&'e self, request: &'e ShoutRequest) -> BoxFuture<'e, Result<ShoutRow, ShoutRefused>> {
        Box::pin(self.try_take_shout(request))
    }

    async fn try_take_shout(&self, request: &ShoutRequest) -> Result<ShoutRow, ShoutRefused> {
        let mut named = self.read_recipients(request.recipients.clone()).await?;
        named.retain(|one| !one.repeats);
        let most = self.config.shouts.recipients_per_hour;
        {
            let mut reader = self.store.read().await?;
            if let Some(form) = &request.form
                && let Some(sent) = reader.db().shout_of_form(form).await?
            {
                return Ok(sent);
            }
            // Before anything is written that nobody would want; and once more where it counts.
            let had = reader.db().recipients_since(request.key, self.clock.now() - RATE_OVER).await?;
            within_the_hour(named.len(), had, most)?;
        }
        // In many transactions of its own: what is refused below leaves it to be swept.
        let sound = match &request.message {
            Message::Sound(sound) => {
                let most = self.config.media.most_bytes;
                Some(media::write(&self.store, sound, most, self.clock.now()).await?)
            }
            _ => None,
        };
        let mut work = self.work(request.by.clone()).await?;
        let now = work.now();
        let there = self.message_of(&mut work, request, sound.as_ref()).await?;
        let had = work.db().recipients_since(request.key, now - RATE_OVER).await?;
        within_the_hour(named.len(), had, most)?;
        let barred = barred(&mut work.db(), request.key, &request.userdata).await?;
        let has_message = there.words.is_some() || there.media.is_some();
        let recipients: Vec<NewRecipient> = named
            .into_iter()
            .enumerate()
            .map(|(place, Recipient { phone, number, .. })| {
                let status = match &number {
                    None => CallStatus::Failed,
                    Some(number) if barred.holds(number) => CallStatus::DoNotCall,
                    Some(_) if has_message => CallStatus::Ready,
                    Some(_) => CallStatus::Pending,
                };
                // What no phone can dial.
                let q850 = i32::from(status == CallStatus::Failed);
                NewRecipient { place, phone, number, status: status.as_str(), q850 }
            })
            .collect();
        let may_be_called = |one: &&NewRecipient| one.status != CallStatus::DoNotCall.as_str();
        let callable = recipients.iter().filter(may_be_called).count();
        let course = Course::new(has_message, callable > 0, request.schedule, now);
        let (alarm, hunt) = insert_alarm(&mut work, request, &course).await?;
        let new = NewShout {
            alarm,
            hunt,
            key: request.key,
            userdata: &request.userdata,
            title: request.title.as_deref(),
            caller: &request.caller,
            course: &course,
            words: there.words.as_deref(),
            language: there.language.as_deref(),
            media: there.media,
            seconds: there.seconds,
            recipients: i32::try_from(recipients.len()).unwrap_or(i32::MAX),
            callable: i32::try_from(callable).unwrap_or(i32::MAX),
        };
        let id = work.db().insert_shout(&new, now).await?;
        if let Some(form) = &request.form {
            match work.db().set_shout_form(id, form).await {
                Err(error) if error.is_unique_violation() => {
                    // Pressed twice at once: the other one has sent it.
                    drop(work);
                    let sent = self.store.read().await?.db().shout_of_form(form).await?;
                    return sent.ok_or_else(|| EngineError::Contended.into());
                }
                noted => noted?,
            }
        }
        work.db().insert_recipients(id, &recipients, now).await?;
        let line = Line::new(Operation::ShoutSent).of(id).after(serde_json::json!({ "recipients": recipients.len() }));
        work.note(match &request.title {
            Some(title) => line.named(title.as_str()),
            None => line,
        });
        let shout = self.begun(&mut work, id, &course).await?;
        work.announce(Announcement::Shouts);
        work.commit().await?;
        tracing::info!(shout = id, recipients = recipients.len(), "a shout");
        Ok(shout)
    }

    /// What is over before it began is written down as such; the rest is looked after.
    async fn begun(&self, work: &mut Work, id: i64, course: &Course) -> Result<ShoutRow, EngineError> {
        let there = |shout: Option<ShoutRow>| shout.ok_or_else(|| StoreError::Inconsistent("a shout is gone".to_owned()));
        let shout = there(work.db().any_shout(id).await?)?;
        let failed = work.db().shout_calls_with(id, CallStatus::Failed).await?;
        let lines: Vec<String> = failed.iter().map(|row| super::cdr(&shout, row, &row.call())).collect();
        self.write_down(work, RecordKind::Call, &shout, &lines).await?;
        if course.status == ShoutStatus::Canceled {
            self.record_shout(work, &shout, course).await?;
            self.end_calls(work, &shout, CallStatus::Cancelled).await?;
            super::end_hunt(work, &shout).await?;
        } else {
            self.settle_shout(work, shout).await?;
        }
        Ok(there(work.db().any_shout(id).await?)?)
    }

    async fn message_of(&self, work: &mut Work, request: &ShoutRequest, sound: Option<&MediaRow>) -> Result<There, ShoutRefused> {
        let played = |media: MediaId, milliseconds: i64| There {
            media: Some(media),
            seconds: i32::try_from((milliseconds + 999) / 1000).unwrap_or(i32::MAX),
            ..There::default()
        };
        Ok(match &request.message {
            Message::ByPhone => There::default(),
            Message::Words { text, language } => {
                There { seconds: message::seconds_of(text), words: Some(text.clone()), language: language.clone(), media: None }
            }
            Message::Sound(_) => {
                let Some(sound) = sound else { return Ok(There::default()) };
                let now = work.now();
                work.db().media_is_whole(sound.id, now).await?;
                played(sound.id, sound.milliseconds)
            }
            Message::Clip(name) => {
                let clip = work.db().clip(name).await?.ok_or_else(|| ShoutRefused::NoSuchClip(name.clone()))?;
                played(clip.media_id, clip.milliseconds)
            }
            Message::Of(id) => {
                let earlier = match request.key {
                    // Whoever sends from the pages may hear them all.
                    OF_PAGES => work.db().any_shout(*id).await?,
                    key => work.db().shout(*id, key).await?,
                };
                let earlier = earlier.ok_or(ShoutRefused::NoSuchShout(*id))?;
                if !earlier.course().has_message {
                    return Err(ShoutRefused::NoMessage(*id));
                }
                There { words: earlier.words, language: earlier.language, media: earlier.media_id, seconds: earlier.seconds }
            }
        })
    }

    /// Reads recipients as their sender wrote them.
    async fn read_recipients(&self, named: Vec<String>) -> Result<Vec<Recipient>, EngineError> {
        let (rule, region) = (self.config.shouts.number_rule(self.region()), self.region());
        // A hundred thousand numbers take seconds.
        costly::run(move |_| recipients::read(named, rule, region)).await.map_err(|_| EngineError::Contended)
    }

    /// Says who of those named would be called by a shout of that name space, before anybody is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look_at_recipients(
        &self,
        key: KeyId,
        userdata: &str,
        named: Vec<String>,
    ) -> Result<Vec<(Recipient, Fate)>, EngineError> {
        let named = self.read_recipients(named).await?;
        let barred = barred(&mut self.store.read().await?.db(), key, userdata).await?;
        let fate = |one: &Recipient| match &one.number {
            _ if one.repeats => Fate::Repeats,
            None => Fate::NoNumber,
            Some(number) if is_among(&barred.everybody, number) => Fate::Forbidden,
            Some(number) if is_among(&barred.opted_out, number) => Fate::OptedOut,
            Some(_) => Fate::Called,
        };
        Ok(named.into_iter().map(|one| (one.clone(), fate(&one))).collect())
    }

    /// Takes a shout back; `None` where this key has none of that id. One that is over stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel_shout(&self, key: KeyId, id: i64, by: Doer) -> Result<Option<ShoutRow>, EngineError> {
        let mut work = self.work(by).await?;
        let Some(shout) = work.db().shout(id, key).await? else { return Ok(None) };
        work.db().lock_hunt(shout.hunt_id).await?;
        let Some(shout) = work.db().shout(id, key).await? else { return Ok(None) };
        let told = self.tell_shout(&mut work, &shout, Word::Cancel).await?;
        if told != shout {
            let event = Event::Cancelled { by: None, done_by: Some(work.by().clone()) };
            let now = work.now();
            work.db().insert_event(Some(shout.alarm_id), Some(shout.hunt_id), now, &event).await?;
            work.note(Line::new(Operation::ShoutCancelled).of(id));
            tracing::info!(shout = id, "a shout was taken back");
        }
        work.commit().await?;
        Ok(Some(told))
    }

    /// Lets the shouts of a name space call a number again; false where they may already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn let_shouts_call(&self, key: KeyId, userdata: &str, phone: &str, by: Doer) -> Result<bool, EngineError> {
        let rule = self.config.shouts.number_rule(self.region());
        let Some(number) = comparable(phone, rule, self.region()) else { return Ok(false) };
        let mut work = self.work(by).await?;
        let done = work.db().opt_in_to_shouts(key, userdata, &number).await?;
        if done {
            work.note(Line::new(Operation::OptedOutRemoved).named(number.as_str()));
        }
        work.commit().await?;
        Ok(done)
    }
}

/// Whether a key may have so many recipients after those it has had in an hour.
fn within_the_hour(named: usize, had: i64, most: u32) -> Result<(), ShoutRefused> {
    let named = i64::try_from(named).unwrap_or(i64::MAX);
    match (named > i64::from(most), had.saturating_add(named) > i64::from(most)) {
        (true, _) => Err(ShoutRefused::NeverSoMany { most }),
        (_, true) => Err(ShoutRefused::TooMany { most }),
        _ => Ok(()),
    }
}

/// What becomes of somebody who is named, as far as is known before a shout goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// They are called.
    Called,
    /// Their phone is named before.
    Repeats,
    /// That is no number that may be called.
    NoNumber,
    /// Nobody may call them from here.
    Forbidden,
    /// They want no more of this name space.
    OptedOut,
}

/// The numbers that must not be called.
struct Barred {
    /// By nobody.
    everybody: HashSet<String>,
    /// By this name space.
    opted_out: HashSet<String>,
}

impl Barred {
    fn holds(&self, number: &str) -> bool {
        is_among(&self.everybody, number) || is_among(&self.opted_out, number)
    }
}

async fn barred(db: &mut Db<'_>, key: KeyId, userdata: &str) -> Result<Barred, StoreError> {
    Ok(Barred {
        everybody: db.forbidden_numbers().await?.into_iter().map(|row| row.number).collect(),
        opted_out: db.opted_out_numbers(key, userdata).await?.into_iter().collect(),
    })
}

/// The alarm that a shout is, with its hunt.
async fn insert_alarm(work: &mut Work, request: &ShoutRequest, course: &Course) -> Result<(AlarmId, HuntId), StoreError> {
    let now = work.now();
    let alarm = AlarmId::new(now);
    let hunt = NewHunt {
        id: HuntId::new(now),
        priority: Priority::Low,
        mode: Mode::Parallel,
        until: Until::Everyone,
        dry_run: false,
        // What it may still do is for its own rules to say.
        dials_left: i32::MAX,
        created_at: now,
        begin_window_s: i32::MAX,
        only_handset_id: None,
        confirm_within: None,
        wants_key: false,
        needs: needs(course.status),
        policy_id: None,
        // Whichever was served longest ago is due first, so that shouts take turns.
        queue: "shouts".to_owned(),
        ring: None,
        kind: AlarmKind::Shout,
    };
    work.db().insert_hunt(&hunt).await?;
    let integration_id = request.key.to_string();
    let new = NewAlarm {
        id: alarm,
        hunt_id: hunt.id,
        integration_id,
        source: request.source.clone(),
        dedup_key: None,
        dedup_open: false,
        summary: request.title.clone().unwrap_or_else(|| request.userdata.clone()),
        details: String::new(),
        labels: BTreeMap::from([("userdata".to_owned(), request.userdata.clone())]),
        priority: Priority::Low,
        raised_at: now,
        team: None,
        group_key: None,
        kind: AlarmKind::Shout,
    };
    let number = work.db().insert_alarm(&new).await?;
    let event = Event::Raised { number, source: request.source.clone(), priority: Priority::Low, held_until: None };
    work.db().insert_event(Some(alarm), Some(hunt.id), now, &event).await?;
    if let Some(at) = course.schedule.filter(|_| course.status == ShoutStatus::Scheduled) {
        work.db().set_hunt_due(hunt.id, at, now + TimeDelta::seconds(i64::from(i32::MAX)), now).await?;
    }
    Ok((alarm, hunt.id))
}
