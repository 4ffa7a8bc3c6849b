//! Text messages from people: a reply counts for the call that its sender had been given when they wrote it, and for the alarms that this
//! call was about.
//!
//! What came in, what it does and what it did is one transaction on one connection: a copy that comes at the same time waits for it and
//! finds the message there, and a server that dies in between has taken in nothing.

use android_protocol::wire::{Delivery, OutboxResult};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::hand_over::{self, Trouble, trouble};
use super::texts;
use crate::alarm::AlarmKind;
use crate::alarm::AlarmState;
use crate::alarm::event::Event;
use crate::audit::{Line, Operation};
use crate::backoff::Backoff;
use crate::engine::{Acknowledgement, Actor, Doer, Effect, Engine, EngineError, delta};
use crate::ids::{AlarmId, CommandId, GatewayId, HandsetId, InboundSmsId, SmsId};
use crate::keep::lines::gateways;
use crate::kinds::gateways::read_message_id;
use crate::kinds::outcome::Outcome;
use crate::line::code;
use crate::line::reply::{Reply, TextEffect};
use crate::line::written::{self, Given, LATELY, Meant, TOLERANCE, TimeTold};
use crate::numbers::{Number, phone_of, same_phone};
use crate::store::alarm::answers;
use crate::store::lines::inbound_calls::InboundCallRow;
use crate::store::lines::sms::{GatewayRow, GivenRow, NewInbound, Purpose, Sentence, SmsRow};
use crate::store::shouts::opted_out::OptedOutRow;
use crate::store::{Announcement, Db, Work};

/// Whoever was rung within this time may say that they want to be rung no more.
const STOP_WINDOW: TimeDelta = TimeDelta::days(30);
/// Without a time and an id, the same words of the same sender within this time are the same message.
const SAME_WITHIN: TimeDelta = TimeDelta::seconds(60);
/// A reply is answered so often at most, in this time.
const MOST_ANSWERS: i64 = 5;
const ANSWERS_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// An answer that could not be sent by then helps nobody.
const ANSWER_EXPIRES: TimeDelta = TimeDelta::minutes(10);
/// That a message came too late is told to whoever wrote it no longer ago than this.
const ANSWER_WITHIN: TimeDelta = TimeDelta::days(1);
/// So many characters of an alarm's summary stand in an answer.
const LONGEST_SUMMARY: usize = 30;
/// And so many of each, where an answer lists several.
const LONGEST_LISTED: usize = 20;
/// So many of which it lists.
const MOST_LISTED: usize = 3;
const LONGEST_SENDER: usize = 60;
const LONGEST_TEXT: usize = 2_000;
/// A message that a gateway could not send is tried again after this, the next time after twice as long.
const BOUNCES: Backoff = Backoff::new(TimeDelta::seconds(30), TimeDelta::minutes(10));

/// A text message as a gateway passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextReceived {
    /// From whom, as the phone has it.
    pub sender: String,
    /// What it says.
    pub text: String,
    /// What the gateway calls it.
    pub id: Option<String>,
    /// When the phone got it, by its clock.
    pub told: Option<TimeTold>,
    /// When it was sent here, by the same clock; only where that is another time at each try.
    pub sent: Option<DateTime<Utc>>,
}

impl TextReceived {
    /// The same for the same message told again, where a time or an id tells it from others. Texts of one sender with the same words in
    /// one second mean the same call, so they are one, whatever their ids and gateways.
    fn same_key(&self, gateway: GatewayId, sender: &str) -> Option<[u8; 32]> {
        match (self.told, &self.id) {
            (Some(told), _) => Some(hash(&["told", sender, self.text.trim(), &told.at.timestamp().to_string()])),
            (None, Some(id)) => Some(hash(&["id", &gateway.to_string(), sender, self.text.trim(), id])),
            (None, None) => None,
        }
    }

    /// The same for the same words of the same sender.
    fn words_key(&self, gateway: GatewayId, sender: &str) -> [u8; 32] {
        hash(&["words", &gateway.to_string(), sender, self.text.trim()])
    }
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts are one text.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What a message did.
struct Did {
    effect: TextEffect,
    /// The first of the alarms that it was about.
    alarm: Option<AlarmId>,
    /// Who else had confirmed it by then.
    taken_by: Option<String>,
    /// Its sender is rung no more from now on.
    barred: bool,
    /// It may be about any of these: their codes, and what they say.
    which: Vec<(String, String)>,
}

impl From<TextEffect> for Did {
    fn from(effect: TextEffect) -> Self {
        Self { effect, alarm: None, taken_by: None, barred: false, which: Vec::new() }
    }
}

/// A message under the hands of the engine.
pub(super) struct Word<'m> {
    pub(super) reply: Reply,
    /// The alarm that it names.
    pub(super) code: Option<&'m str>,
    pub(super) text: &'m str,
    /// Its sender's numbers, the one it came from first.
    pub(super) numbers: &'m [Number],
    pub(super) written_at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

impl Engine {
    /// Takes in a text message, and does what it says; gives what it did.
    ///
    /// # Errors
    /// When the database fails: then nothing was taken in, and the same message told again does what this one did not.
    pub async fn sms_received(&self, gateway: &GatewayRow, received: &TextReceived) -> Result<TextEffect, EngineError> {
        let now = self.clock.now();
        let number = Number::parse(&received.sender, self.region()).ok().map(|parsed| parsed.number);
        let (reply, code) = code::read(&received.text, &self.config.sms.replies);
        let clean = |text: &str, longest| text.chars().filter(|c| *c != '\0').take(longest).collect::<String>();
        let sender = number.as_ref().map_or_else(|| clean(&received.sender, LONGEST_SENDER), |number| number.as_str().to_owned());
        let text = clean(&received.text, LONGEST_TEXT);
        let mut work = self.work_at(now, Doer::TextMessage).await?;
        // One gateway may tell one number of a phone, and another the other.
        let phone = phone_of(&sender);
        let same_key = received.same_key(gateway.id, &phone);
        if same_key.is_none() && work.db().same_words(&received.words_key(gateway.id, &phone), now - SAME_WITHIN, now).await? {
            // The copy begins the time anew.
            work.commit().await?;
            return Ok(TextEffect::Repeated);
        }
        let earlier = match received.told {
            Some(told) => work.db().delays(gateway.id, now - LATELY, told.zoned, received.sent.is_some()).await?,
            None => Vec::new(),
        };
        let written_at = written::written(received.told, received.sent, now, &earlier);
        let id = InboundSmsId::new(now);
        let new = NewInbound {
            id,
            gateway: gateway.id,
            same_key,
            sender: &sender,
            text: &text,
            told_at: received.told.map(|told| told.at),
            told_zoned: received.told.is_some_and(|told| told.zoned),
            sent_at: received.sent,
            written_at,
            reply: reply.as_str(),
        };
        if !work.db().insert_inbound(&new, now).await? {
            return Ok(TextEffect::Repeated);
        }
        let numbers = match number {
            Some(number) => numbers_of(&mut work.db(), number).await?,
            None => Vec::new(),
        };
        let word = Word { reply, code: code.as_deref(), text: &text, numbers: &numbers, written_at, now };
        let did = self.act_on(&mut work, &word).await?;
        work.db().set_inbound_effect(id, did.alarm, did.effect).await?;
        self.answer(&mut work, gateway, &word, &did).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        tracing::info!(reply = reply.as_str(), effect = did.effect.as_str(), "a text message came in");
        Ok(did.effect)
    }

    async fn act_on(&self, work: &mut Work, word: &Word<'_>) -> Result<Did, EngineError> {
        let (now, written_at) = (word.now, word.written_at);
        let window = delta(self.config.sms.reply_window);
        if now - written_at > window {
            return Ok(TextEffect::TooLate.into());
        }
        if word.numbers.is_empty() {
            return Ok(TextEffect::Stranger.into());
        }
        if word.reply == Reply::OptIn {
            return opt_in(work, word).await;
        }
        // To stop is always possible for whoever was rung, but after the window it is not about an alarm any more.
        let back_to = if word.reply == Reply::OptOut { STOP_WINDOW } else { window };
        let (given, alarms) = if let Some(code) = word.code {
            let Some(named) = named(&mut work.db(), word, Some(code)).await? else {
                // Nobody else is answered: whoever wrote it may be anybody.
                let known = is_known(&mut work.db(), word, window).await?;
                return Ok(if known { TextEffect::Unclear } else { TextEffect::Stranger }.into());
            };
            let alarms = named.alarms.clone();
            (named.into(), alarms)
        } else {
            let mut given = given(&mut work.db(), word, back_to).await?;
            let mut alarms = match &given {
                Some(given) => work.db().alarms_in_call(given.hunt_id, given.offered_at).await?,
                None => Vec::new(),
            };
            if let Some(which) = which(work, word, given.as_ref(), &alarms, window).await? {
                // Told by one message, and not called yet: nothing else can be meant.
                let only = which.first().filter(|_| given.is_none() && which.len() == 1).map(|(code, _)| code.as_str());
                let Some(named) = named(&mut work.db(), word, only).await? else {
                    return Ok(Did { which, ..TextEffect::Unclear.into() });
                };
                alarms = named.alarms.clone();
                given = Some(named.into());
            }
            let Some(given) = given else {
                return match word.reply {
                    Reply::OptOut => leaves_in_peace(work, word).await,
                    _ => Ok(TextEffect::Stranger.into()),
                };
            };
            (given, alarms)
        };
        let about = alarms.first().copied();
        if word.reply != Reply::Unknown && is_outdated(work, word, about, None).await? {
            return Ok(Did { alarm: about, ..TextEffect::Outdated.into() });
        }
        let taken_by = taken_by(work, word, about).await?;
        let mut barred = false;
        let effect = match word.reply {
            Reply::Confirm => {
                let by = Acknowledgement {
                    number: word.numbers.first().map(|number| number.as_str().to_owned()),
                    note: Some(word.text.to_owned()),
                    callee: Some(given.callee_id),
                    heard_at: Some(given.offered_at),
                    doer: Doer::TextMessage,
                    ..Acknowledgement::default()
                };
                let acted = self.take_in(work, &alarms, &by).await?;
                effect(acted.iter().map(|acted| acted.effect), TextEffect::Confirmed, TextEffect::Already)
            }
            Reply::Decline => self.decline_by_text(work, &alarms, &given).await?,
            Reply::OptOut => {
                barred = opt_out(work, word, about).await?;
                if written_at - given.offered_at > window {
                    return Ok(Did { barred, ..TextEffect::Stopped.into() });
                }
                self.decline_by_text(work, &alarms, &given).await?;
                TextEffect::Stopped
            }
            Reply::OptIn | Reply::Unknown => TextEffect::Nothing,
        };
        Ok(Did { effect, alarm: about, taken_by, barred, which: Vec::new() })
    }

    /// Answers a message that came from somebody who had been rung, through the gateway by which it came, in their language. Not too
    /// often: two programs that answer each other would go on for ever. Whoever is rung no more from now on is told in any case: they may
    /// have meant something else, and that is once for each time that they come back.
    async fn answer(&self, work: &mut Work, gateway: &GatewayRow, word: &Word<'_>, did: &Did) -> Result<(), EngineError> {
        let wanted = self.config.sms.answer_replies || did.barred;
        let (Some(number), true) = (word.numbers.first(), wanted) else { return Ok(()) };
        let person = work.db().person_with_number(number.as_str()).await?;
        let recent = word.now - word.written_at <= ANSWER_WITHIN;
        let name = match (did.effect, &did.taken_by) {
            (TextEffect::Confirmed | TextEffect::Already | TextEffect::Declined, Some(_)) => "reply_taken_by",
            (TextEffect::Confirmed | TextEffect::Already, None) => "reply_confirmed",
            (TextEffect::Declined, None) => "reply_declined",
            (TextEffect::Over, _) => "reply_over",
            (TextEffect::Stopped, _) => "reply_stopped",
            (TextEffect::Allowed, _) => "reply_allowed",
            (TextEffect::Unclear, _) if did.which.is_empty() => "reply_no_code",
            (TextEffect::Unclear, _) => "reply_which",
            (TextEffect::Nothing, _) if word.reply == Reply::Unknown => "reply_not_understood",
            // Not when somebody exports what was written long ago.
            (TextEffect::TooLate, _) if recent && person.is_some() => "reply_too_late",
            (
                TextEffect::Nothing
                | TextEffect::TooLate
                | TextEffect::Outdated
                | TextEffect::Stranger
                | TextEffect::Noted
                | TextEffect::Repeated
                | TextEffect::Delivered
                | TextEffect::Bounced
                | TextEffect::Ignored,
                _,
            ) => return Ok(()),
        };
        let most = if name == "reply_not_understood" { 1 } else { MOST_ANSWERS };
        let mut answered = 0;
        for own in word.numbers.iter().filter(|own| own.is_same_phone(number)) {
            answered += work.db().answers_to(own.as_str(), word.now - ANSWERS_WITHIN).await?;
        }
        if answered >= most && !did.barred {
            return Ok(());
        }
        let alarm = match did.alarm {
            Some(id) => work.db().alarm(id).await?,
            None => None,
        };
        let summary: String = alarm.map(|alarm| alarm.summary.chars().take(LONGEST_SUMMARY).collect()).unwrap_or_default();
        let places = [
            ("summary".to_owned(), summary),
            ("name".to_owned(), did.taken_by.clone().unwrap_or_default()),
            ("which".to_owned(), listed(&did.which)),
        ];
        let language = person.map(|person| person.language).unwrap_or_default();
        let sentence = Sentence { name: name.to_owned(), language, places: places.into() };
        let until = word.now + ANSWER_EXPIRES;
        let sms = SmsRow::saying(sentence, Purpose::Answer, gateway.id, number.as_str(), word.now, until);
        Ok(work.db().insert_sms(&sms).await?)
    }

    async fn decline_by_text(&self, work: &mut Work, alarms: &[AlarmId], given: &GivenRow) -> Result<TextEffect, EngineError> {
        let by = Actor::nameless(Doer::TextMessage);
        let acted = self.decline_in(work, alarms, given.callee_id, &by, None).await?;
        Ok(effect(acted.iter().map(|acted| acted.effect), TextEffect::Declined, TextEffect::Declined))
    }

    /// Takes in what a gateway reports on a message of ours: that it reached the phone, or why it could not be sent; `told` says when, by
    /// the gateway's clock. What happened before what is known already changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sms_reported(
        &self,
        gateway: &GatewayRow,
        id: &str,
        failed: Option<&str>,
        told: Option<TimeTold>,
    ) -> Result<TextEffect, EngineError> {
        let now = self.clock.now();
        let at = told.map_or(now, |told| told.at.min(now));
        let mut work = self.work_at(now, Doer::Server).await?;
        let known = match read_message_id(id) {
            Some(known) => Some(known),
            None => work.db().sms_by_ref(gateway.id, id).await?,
        };
        let Some((sms, failures)) = known else { return Ok(TextEffect::Nothing) };
        let effect = sms_fate(&mut work, Taken { sms, gateway: gateway.id, failures }, failed, at).await?;
        work.commit().await?;
        Ok(effect)
    }

    /// Takes in what a native handset says of a command. What becomes of a text message it tells later, by a second result.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn command_result(&self, id: CommandId, handset: HandsetId, result: &OutboxResult) -> Result<(), EngineError> {
        let mut work = self.work(Doer::Server).await?;
        let first = self.command_done(&mut work, id, handset, result).await?;
        match result.delivery {
            // A first result of this kind is no success anyway.
            Some(Delivery::Failed) if first => {}
            Some(delivery) => self.network_tells(&mut work, id, handset, delivery, result).await?,
            None => {}
        }
        Ok(work.commit().await?)
    }

    /// What the network says of a text message that a handset has sent.
    async fn network_tells(
        &self,
        work: &mut Work,
        command: CommandId,
        handset: HandsetId,
        delivery: Delivery,
        result: &OutboxResult,
    ) -> Result<(), EngineError> {
        let Some((sms, gateway, failures)) = work.db().sms_of_command(command, handset).await? else { return Ok(()) };
        let told = result.delivery_at.as_deref().and_then(|at| written::read_time(at, self.config.sms.zone));
        let at = told.map_or(work.now(), |told| told.at.min(work.now()));
        let why = result.detail.as_deref().unwrap_or("the network says that it will not come");
        let failed = (delivery == Delivery::Failed).then_some(why);
        sms_fate(work, Taken { sms, gateway, failures }, failed, at).await?;
        Ok(())
    }
}

/// A message of ours that a gateway took, after it could not send it so many times.
struct Taken {
    sms: SmsId,
    gateway: GatewayId,
    failures: i32,
}

/// Takes in that a message reached the phone at this moment, or why it could not be sent after all.
async fn sms_fate(work: &mut Work, taken: Taken, failed: Option<&str>, at: DateTime<Utc>) -> Result<TextEffect, EngineError> {
    let (now, Taken { sms, gateway, failures }) = (work.now(), taken);
    let Some(why) = failed else {
        if !work.db().sms_delivered(sms, gateway, failures, at).await? {
            return Ok(TextEffect::Nothing);
        }
        correct_order(work, sms, at).await?;
        return Ok(TextEffect::Delivered);
    };
    let failed = Outcome::GatewayFailed(why.to_owned());
    let why = failed.to_string();
    if !work.db().sms_bounced(sms, gateway, failures, now + BOUNCES.pause(failures), &why).await? {
        return Ok(TextEffect::Nothing);
    }
    texts::was_not_sent(&mut work.db(), sms, &failed, true, now).await?;
    work.announce(Announcement::Calls);
    // The second time it is no accident.
    if failures > 0
        && let Some(row) = work.db().sms(sms).await?.filter(|row| row.purpose.is_for_person())
        && let Some(other) = gateways::for_people(&mut work.db(), Some(gateway)).await?
    {
        work.db().move_sms(sms, other.id, row.due_at, &why).await?;
    }
    if failures > 0
        && let Some(hand_over) = work.db().hand_over_of_sms(sms).await?
        && let Some(line) = work.db().line(hand_over.line_id).await?
    {
        trouble(&mut work.db(), &line, hand_over.id, &hand_over.person, &Trouble::NotSent(why), now).await?;
    }
    Ok(TextEffect::Bounced)
}

/// The phone may take messages in another order than they were sent in, and reports may come in a third one. What it got last must not be
/// an outdated command. In doubt it is sent once more: the same command twice does no harm.
async fn correct_order(work: &mut Work, sms: SmsId, at: DateTime<Utc>) -> Result<(), EngineError> {
    let now = work.now();
    let after_it = match work.db().later_sms(sms).await? {
        Some(later) => later.delivered_at.is_some_and(|delivered_at| delivered_at <= at).then_some(later.id),
        None => work.db().earlier_delivered(sms).await?.is_some_and(|earlier| earlier > at).then_some(sms),
    };
    if let Some(latest) = after_it {
        work.db().send_sms_again(latest, &Outcome::SentAgain.to_string(), now).await?;
    }
    Ok(())
}

/// The alarms that a code names, where there is one.
async fn named(db: &mut Db<'_>, word: &Word<'_>, code: Option<&str>) -> Result<Option<texts::Named>, EngineError> {
    match code {
        Some(code) => texts::named(db, word.numbers, code, word.written_at, word.written_at + TOLERANCE).await,
        None => Ok(None),
    }
}

impl From<texts::Named> for GivenRow {
    fn from(named: texts::Named) -> Self {
        Self { hunt_id: named.hunt, callee_id: named.callee, offered_at: named.at, test: false }
    }
}

/// Between which alarms somebody has to choose who takes or declines and names none: a text message has told them of one that still waits, and
/// that was not in the call which such a word means else. Codes and what they stand for, the latest first; `None`: it is clear.
async fn which(
    work: &mut Work,
    word: &Word<'_>,
    call: Option<&GivenRow>,
    alarms: &[AlarmId],
    window: TimeDelta,
) -> Result<Option<Vec<(String, String)>>, EngineError> {
    if !matches!(word.reply, Reply::Confirm | Reply::Decline) {
        return Ok(None);
    }
    let open = texts::open_for(&mut work.db(), word.numbers, word.written_at - window, word.written_at).await?;
    if open.iter().all(|one| alarms.contains(&one.alarm)) {
        return Ok(None);
    }
    let mut choices = match call.filter(|call| !call.test) {
        Some(call) => texts::choices_of_call(work, word.numbers, call.hunt_id, call.callee_id, alarms).await?,
        None => Vec::new(),
    };
    choices.extend(open);
    let mut which: Vec<(String, String)> = Vec::new();
    for one in choices {
        if which.iter().all(|(code, _)| *code != one.code) {
            which.push((one.code, one.summary));
        }
    }
    Ok(Some(which))
}

/// Whether a message comes from somebody of the roster, or from whoever was called lately.
async fn is_known(db: &mut Db<'_>, word: &Word<'_>, window: TimeDelta) -> Result<bool, EngineError> {
    for number in word.numbers {
        if db.person_with_number(number.as_str()).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(given(db, word, window).await?.is_some())
}

/// Alarms and their codes, as an answer lists them: the latest few.
fn listed(which: &[(String, String)]) -> String {
    let one = |(code, summary): &(String, String)| format!("{code} {}", summary.chars().take(LONGEST_LISTED).collect::<String>());
    which.iter().take(MOST_LISTED).map(one).collect::<Vec<_>>().join("; ")
}

/// What came of a reply: somewhere it was done, or had been said before, or was too late for all.
fn effect(of: impl Iterator<Item = Effect> + Clone, done: TextEffect, already: TextEffect) -> TextEffect {
    let any = |wanted: Effect| of.clone().any(|effect| effect == wanted);
    match (any(Effect::Done), any(Effect::Already)) {
        (true, _) => done,
        (false, true) => already,
        (false, false) => TextEffect::Over,
    }
}

/// A number, the others of the person it belongs to, and those by which the same phones are reached.
pub(super) async fn numbers_of(db: &mut Db<'_>, number: Number) -> Result<Vec<Number>, EngineError> {
    let person = db.person_with_number(number.as_str()).await?;
    let others = match person {
        Some(person) => db.numbers_of(person.id).await?,
        None => Vec::new(),
    };
    let mut all = vec![number];
    for other in others.into_iter().map(Number::from_stored) {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    for other in all.clone().iter().filter_map(Number::other_form) {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    Ok(all)
}

/// The call for an alarm that a message answers, if its sender had been given one: what else they were rung for is nothing to answer.
pub(super) async fn given(db: &mut Db<'_>, word: &Word<'_>, window: TimeDelta) -> Result<Option<GivenRow>, EngineError> {
    let tests = hand_over::VERIFICATION;
    let mut rows = Vec::new();
    for number in word.numbers {
        rows.extend(db.given(number.as_str(), word.written_at - window, word.written_at + TOLERANCE, tests).await?);
    }
    let latest_alarm = rows.iter().filter(|row| !row.test && row.offered_at <= word.written_at).max_by_key(|row| row.offered_at);
    let open = match latest_alarm {
        Some(row) => waits(db, row).await?,
        None => false,
    };
    let calls: Vec<Given> = rows.iter().map(|row| Given { at: row.offered_at, test: row.test, open }).collect();
    Ok(match written::meant(&calls, word.written_at, window) {
        Meant::Nothing => None,
        Meant::This(place) => rows.into_iter().nth(place),
    })
}

/// Who else has confirmed an alarm.
pub(super) async fn taken_by(work: &mut Work, word: &Word<'_>, about: Option<AlarmId>) -> Result<Option<String>, EngineError> {
    let Some(alarm) = (match about {
        Some(id) => work.db().alarm(id).await?,
        None => None,
    }) else {
        return Ok(None);
    };
    let given = work.db().answers_of(alarm.hunt_id).await?;
    let theirs = |number: &Option<String>| {
        word.numbers.iter().any(|own| number.as_deref().is_some_and(|number| same_phone(number, own.as_str())))
    };
    Ok(answers::current(&given).filter(|one| one.confirmed_at.is_some() && !theirs(&one.number)).map(|one| one.name.clone()))
}

/// Whether some alarm that a call was about still waits for somebody to take it.
async fn waits(db: &mut Db<'_>, call: &GivenRow) -> Result<bool, EngineError> {
    for id in db.alarms_in_call(call.hunt_id, call.offered_at).await? {
        let Some(alarm) = db.alarm(id).await? else { continue };
        let over = matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
        if !over && db.answers_of(alarm.hunt_id).await?.iter().all(|answer| answer.confirmed_at.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether something that its sender wrote later, or said with a key in a later call, has been taken in before; or the alarm was given back
/// since. `call`: the call that came in
/// in which this was said.
pub(super) async fn is_outdated(
    work: &mut Work,
    word: &Word<'_>,
    about: Option<AlarmId>,
    call: Option<&str>,
) -> Result<bool, EngineError> {
    let since = word.now - STOP_WINDOW;
    let alarm = match about {
        Some(alarm) => work.db().alarm(alarm).await?,
        None => None,
    };
    if let Some(alarm) = alarm
        && work.db().given_back_at(alarm.hunt_id).await?.is_some_and(|back| word.written_at < back)
    {
        return Ok(true);
    }
    for number in word.numbers {
        let mut last = work.db().last_word(number.as_str(), since, about).await?;
        if let Some(alarm) = about {
            last = last.max(work.db().last_key(number.as_str(), alarm).await?);
            let calls = work.db().said_in_calls_of(number.as_str(), since).await?;
            let own = |other: &&InboundCallRow| Some(other.mid.as_str()) != call && other.alarms.contains(&alarm);
            last = last.max(calls.iter().filter(own).filter_map(|other| other.acted_at).max());
        }
        if last.is_some_and(|last| word.written_at < last) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Somebody wants to be rung no more, by whatever alarm and at whatever number of theirs. People are told, since an alarm may now find
/// nobody. Gives whether that is new.
async fn opt_out(work: &mut Work, word: &Word<'_>, about: Option<AlarmId>) -> Result<bool, EngineError> {
    let mut newly = false;
    for number in word.numbers {
        // One entry is enough for a phone with two numbers.
        if work.db().forbidden(number.as_str()).await?.is_none() {
            newly |= work.db().forbid_by_text(number.as_str(), word.text, word.now).await?;
        }
    }
    if let Some(number) = word.numbers.first().filter(|_| newly) {
        let name = work.db().person_with_number(number.as_str()).await?.map(|person| person.name);
        let number = number.as_str().to_owned();
        work.note(Line::new(Operation::OptedOutAdded).named(number.as_str()));
        let event = Event::OptedOut { name: name.unwrap_or_else(|| number.clone()), number };
        work.db().insert_event(about, None, word.now, &event).await?;
    }
    Ok(newly)
}

/// Somebody who was rung for no alarm wants to be rung no more: whoever heard a shout wants no more of its sender's, and whoever was tested is
/// not rung at all.
async fn leaves_in_peace(work: &mut Work, word: &Word<'_>) -> Result<Did, EngineError> {
    let (from, to) = (word.written_at - STOP_WINDOW, word.written_at + TOLERANCE);
    for number in word.numbers {
        let Some((callee, kind)) = work.db().rung_otherwise(number.as_str(), from, to).await? else { continue };
        if is_outdated(work, word, None, None).await? {
            return Ok(TextEffect::Outdated.into());
        }
        let recipient = match kind {
            AlarmKind::Shout => work.db().shout_call_of(callee).await?,
            _ => None,
        };
        let barred = match recipient {
            Some(recipient) => {
                let Some(shout) = work.db().any_shout(recipient.shout_id).await? else { continue };
                let row = OptedOutRow {
                    key_id: shout.key_id,
                    userdata: shout.userdata,
                    number: recipient.number.unwrap_or_else(|| number.as_str().to_owned()),
                    phone: recipient.phone,
                    shout_id: shout.id,
                    at: word.now,
                };
                work.note(Line::new(Operation::OptedOutAdded).named(row.number.as_str()));
                work.db().opt_out_of_shouts(&row).await?
            }
            // Whoever speaks a message for a shout is no recipient.
            None => opt_out(work, word, None).await?,
        };
        return Ok(Did { barred, ..TextEffect::Stopped.into() });
    }
    Ok(TextEffect::Stranger.into())
}

/// Somebody takes back that they want to be rung no more. What an operator has forbidden stays forbidden.
async fn opt_in(work: &mut Work, word: &Word<'_>) -> Result<Did, EngineError> {
    if is_outdated(work, word, None, None).await? {
        return Ok(TextEffect::Outdated.into());
    }
    let mut any = false;
    for number in word.numbers {
        if work.db().take_back_by_text(number.as_str()).await? {
            any = true;
            work.note(Line::new(Operation::OptedOutRemoved).named(number.as_str()));
        }
    }
    Ok(if any { TextEffect::Allowed } else { TextEffect::Nothing }.into())
}
