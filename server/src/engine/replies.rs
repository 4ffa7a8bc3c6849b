//! Text messages from people: a reply counts for the alarm for which its sender was rung last.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::hand_over::{Trouble, trouble};
use super::{Acknowledgement, Acted, Actor, Doer, Effect, Engine, EngineError, delta};
use crate::ids::{AlarmId, InboundSmsId};
use crate::numbers::Number;
use crate::outbound::gateways::read_message_id;
use crate::outbound::outcome::Outcome;
use crate::sms_reply::{self, Reply};
use crate::store::Announcement;
use crate::store::events::EventKind;
use crate::store::sms::{GatewayRow, NewInbound, RungForRow};

/// Whoever was rung within this time may say that they want to be rung no more.
const STOP_WINDOW: chrono::TimeDelta = chrono::TimeDelta::days(30);
const LONGEST_SENDER: usize = 60;
const LONGEST_TEXT: usize = 2_000;
/// A message that a gateway could not send is tried again after this, the next time after twice as long.
const BOUNCE_PAUSE: chrono::TimeDelta = chrono::TimeDelta::seconds(30);
const LONGEST_BOUNCE_PAUSE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

impl Engine {
    /// Takes in a text message, and does what it says; gives what it did, in one word of the API.
    ///
    /// # Errors
    /// When the database fails; the same message told again does what was left undone.
    pub async fn sms_received(
        &self,
        gateway: &GatewayRow,
        sender: &str,
        text: &str,
        fingerprint: [u8; 32],
    ) -> Result<&'static str, EngineError> {
        let now = self.clock.now();
        let number = Number::parse(sender, self.region()).ok().map(|parsed| parsed.number);
        let reply = sms_reply::read(text, &self.config.sms);
        let clean = |text: &str, longest| text.chars().filter(|c| *c != '\0').take(longest).collect::<String>();
        let shown = number.as_ref().map_or_else(|| clean(sender, LONGEST_SENDER), |number| number.as_str().to_owned());
        let text = clean(text, LONGEST_TEXT);
        let id = InboundSmsId::new(now);
        let new = NewInbound { id, gateway: gateway.id, fingerprint, sender: &shown, text: &text, reply: reply.as_str() };
        let mut tx = self.store.begin().await?;
        let fresh = tx.db().insert_inbound(&new, now).await?;
        let stored = tx.db().inbound(gateway.id, &fingerprint).await?;
        tx.commit().await?;
        let Some(stored) = stored.filter(|stored| fresh || stored.effect.is_none()) else { return Ok("repeated") };
        let (alarm, effect) = self.act_on(reply, number.as_ref(), &text, now).await?;
        let mut tx = self.store.begin().await?;
        tx.db().set_inbound_effect(stored.id, alarm, effect).await?;
        tx.commit().await?;
        tracing::info!(reply = reply.as_str(), effect, "a text message came in");
        Ok(effect)
    }

    async fn act_on(
        &self,
        reply: Reply,
        number: Option<&Number>,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<(Option<AlarmId>, &'static str), EngineError> {
        let Some(number) = number else { return Ok((None, "stranger")) };
        let mut reader = self.store.read().await?;
        let since = now - delta(self.config.sms.reply_window);
        let rung_for = reader.db().rung_for(number.as_str(), since).await?;
        if reply == Reply::OptOut && rung_for.is_none() {
            // To stop is always possible for whoever was rung, but it is not about an alarm any more.
            let rung_for = reader.db().rung_for(number.as_str(), now - STOP_WINDOW).await?;
            drop(reader);
            let Some(rung_for) = rung_for else { return Ok((None, "stranger")) };
            self.opt_out(&rung_for, number, text, now).await?;
            return Ok((None, "stopped"));
        }
        drop(reader);
        let alarm = rung_for.as_ref().map(|rung_for| rung_for.alarm_id);
        let effect = match (reply, rung_for) {
            (_, None) => "stranger",
            (Reply::OptOut, Some(rung_for)) => {
                self.opt_out(&rung_for, number, text, now).await?;
                self.decline_by_sms(&rung_for, number).await?;
                "stopped"
            }
            (Reply::Confirm, Some(rung_for)) => self.confirm_by_sms(&rung_for, number, text).await?,
            (Reply::Decline, Some(rung_for)) => self.decline_by_sms(&rung_for, number).await?,
            (Reply::Unknown, Some(_)) => "none",
        };
        Ok((alarm, effect))
    }

    async fn confirm_by_sms(&self, rung_for: &RungForRow, number: &Number, text: &str) -> Result<&'static str, EngineError> {
        let answers = match self.store.read().await?.db().alarm(rung_for.alarm_id).await? {
            Some(alarm) => self.store.read().await?.db().answers_of(alarm.hunt_id).await?,
            None => return Ok("over"),
        };
        let own = |number_of: &Option<String>| number_of.as_deref() == Some(number.as_str());
        if answers.iter().any(|answer| answer.confirmed_at.is_some() && own(&answer.number)) {
            return Ok("already");
        }
        let by = Acknowledgement {
            number: Some(number.as_str().to_owned()),
            note: Some(text.to_owned()),
            callee: Some(rung_for.callee_id),
            doer: Doer::TextMessage,
            ..Acknowledgement::default()
        };
        let acted = self.take_these(&self.in_the_call(rung_for).await?, &by).await?;
        Ok(effect(&acted, "confirmed", "already"))
    }

    /// Somebody wants to be rung no more, by whatever alarm. People are told, since an alarm may now find nobody.
    async fn opt_out(&self, rung_for: &RungForRow, number: &Number, text: &str, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut tx = self.store.begin().await?;
        if tx.db().forbidden(number.as_str()).await?.is_none() {
            tx.db().forbid_number(number.as_str(), text, now).await?;
            let name = tx.db().person_with_number(number.as_str()).await?.map(|person| person.name);
            let body = json!({ "name": name.as_deref().unwrap_or(number.as_str()), "number": number.as_str() });
            tx.db().insert_event(Some(rung_for.alarm_id), None, now, EventKind::OptedOut, body).await?;
        }
        tx.announce(Announcement::Hunts);
        Ok(tx.commit().await?)
    }

    /// A callee says no: whatever hunts are under way for the alarms of their call go on without them.
    async fn decline_by_sms(&self, rung_for: &RungForRow, number: &Number) -> Result<&'static str, EngineError> {
        let alarms = self.in_the_call(rung_for).await?;
        let by = Actor { name: Some(number.as_str().to_owned()), doer: Doer::TextMessage };
        let acted = self.decline_these(&alarms, rung_for.callee_id, &by).await?;
        Ok(effect(&acted, "declined", "declined"))
    }

    /// The alarms that the call was about in which somebody was rung, when it was handed out.
    async fn in_the_call(&self, rung_for: &RungForRow) -> Result<Vec<AlarmId>, EngineError> {
        Ok(self.store.read().await?.db().alarms_in_call(rung_for.hunt_id, rung_for.offered_at).await?)
    }

    /// Takes in what a gateway reports on a message of ours: that it reached the phone, or why it could not be sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sms_reported(&self, gateway: &GatewayRow, id: &str, failed: Option<&str>) -> Result<&'static str, EngineError> {
        let Some((sms, failures)) = read_message_id(id) else { return Ok("none") };
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let Some(why) = failed else {
            let noted = tx.db().sms_delivered(sms, gateway.id, failures, now).await?;
            // The phone may take messages in another order than they were sent in. What it got last must not be an outdated command.
            if noted && let Some(later) = tx.db().later_sms(sms).await?.filter(|later| later.delivered_at.is_some()) {
                tx.db().send_sms_again(later.id, &Outcome::SentAgain.to_string(), now).await?;
            }
            tx.commit().await?;
            return Ok(if noted { "delivered" } else { "none" });
        };
        let why = Outcome::GatewayFailed(why.to_owned()).to_string();
        let pause = (BOUNCE_PAUSE * 2_i32.pow(u32::try_from(failures.clamp(0, 6)).unwrap_or(0))).min(LONGEST_BOUNCE_PAUSE);
        if !tx.db().sms_bounced(sms, gateway.id, failures, now + pause, &why).await? {
            return Ok("none");
        }
        // The second time it is no accident.
        if failures > 0
            && let Some(hand_over) = tx.db().hand_over_of_sms(sms).await?
            && let Some(line) = tx.db().line(hand_over.line_id).await?
        {
            trouble(&mut tx, &line, hand_over.id, &hand_over.person, &Trouble::NotSent(why), now).await?;
        }
        tx.commit().await?;
        Ok("bounced")
    }
}

/// What a reply did, in one word of the API.
fn effect(acted: &[Acted], done: &'static str, already: &'static str) -> &'static str {
    let any = |effect| acted.iter().any(|acted| acted.effect == effect);
    if any(Effect::Done) {
        return done;
    }
    if any(Effect::Already) { already } else { "over" }
}
