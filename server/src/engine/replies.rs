//! Text messages from people: a reply counts for the alarm for which its sender was rung last.

use chrono::{DateTime, Utc};

use super::lines::trouble;
use super::{Acknowledgement, Engine, EngineError, delta};
use crate::ids::{AlarmId, InboundSmsId};
use crate::numbers::Number;
use crate::outbound::gateways::read_message_id;
use crate::sms_reply::{self, Reply};
use crate::store::Announcement;
use crate::store::answers::AnswerVia;
use crate::store::sms::{GatewayRow, NewInbound, RungForRow};

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
        let since = now - delta(self.config.sms.reply_window);
        let rung_for = match number {
            Some(number) => self.store.read().await?.db().rung_for(number.as_str(), since).await?,
            None => None,
        };
        let Some(number) = number else { return Ok((None, "stranger")) };
        let alarm = rung_for.as_ref().map(|rung_for| rung_for.alarm_id);
        let effect = match (reply, rung_for) {
            (Reply::OptOut, _) => self.opt_out(number, text, now).await?,
            (_, None) => "stranger",
            (Reply::Confirm, Some(rung_for)) => self.confirm_by_sms(&rung_for, number, text).await?,
            (Reply::Decline, Some(rung_for)) => self.decline_by_sms(&rung_for).await?,
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
            name: None,
            number: Some(number.as_str().to_owned()),
            note: Some(text.to_owned()),
            callee: Some(rung_for.callee_id),
            via: AnswerVia::Sms,
            ring_again_after_s: None,
        };
        match self.acknowledge(rung_for.alarm_id, &by).await {
            Ok(_) => Ok("confirmed"),
            Err(EngineError::Over(_) | EngineError::NoSuchAlarm) => Ok("over"),
            Err(error) => Err(error),
        }
    }

    /// Somebody wants to be rung no more, by whatever alarm.
    async fn opt_out(&self, number: &Number, text: &str, now: DateTime<Utc>) -> Result<&'static str, EngineError> {
        let mut tx = self.store.begin().await?;
        tx.db().forbid_number(number.as_str(), text, now).await?;
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        Ok("stopped")
    }

    /// A callee says no: the hunt goes on without them, unless the alarm is over or has a newer hunt.
    async fn decline_by_sms(&self, rung_for: &RungForRow) -> Result<&'static str, EngineError> {
        match self.decline(rung_for.alarm_id, rung_for.callee_id, AnswerVia::Sms).await {
            Ok(_) => Ok("declined"),
            Err(EngineError::Over(_) | EngineError::NoSuchAlarm | EngineError::NoSuchCallee) => Ok("over"),
            Err(error) => Err(error),
        }
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
            let noted = tx.db().sms_delivered(sms, gateway.id, now).await?;
            tx.commit().await?;
            return Ok(if noted { "delivered" } else { "none" });
        };
        let why: String = format!("the gateway could not send it: {why}").chars().take(LONGEST_TEXT).collect();
        let pause = (BOUNCE_PAUSE * 2_i32.pow(u32::try_from(failures.clamp(0, 6)).unwrap_or(0))).min(LONGEST_BOUNCE_PAUSE);
        if !tx.db().sms_bounced(sms, gateway.id, failures, now + pause, &why).await? {
            return Ok("none");
        }
        // The second time it is no accident.
        if failures > 0
            && let Some(hand_over) = tx.db().hand_over_of_sms(sms).await?
            && let Some(line) = tx.db().line(hand_over.line_id).await?
        {
            trouble(&mut tx, &line, hand_over.id, &hand_over.person, &why, now).await?;
        }
        tx.commit().await?;
        Ok("bounced")
    }
}
