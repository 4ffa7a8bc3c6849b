//! What is neither a call nor the radio: text messages both ways, forwarding, and codes that the network answers.

use std::{collections::BTreeMap, time::Duration};

use super::{
    session::explain,
    shared::Shared,
    talk::{Talk, Trouble},
};
use crate::{
    forwarding::{ServiceCode, carrier_by_id},
    modem::{
        ccfc::Wish,
        event::Event,
        exchange::{Command, Final},
        number_at,
        pdu::{
            Incoming,
            joining::join,
            report::{Fate, Report},
            submit::{Submit, submit},
        },
        ussd, values,
    },
    native::delivery::Carried,
    wire::{CommandKind, Delivery, OutboxResult},
};

/// How often the SIM is looked at without news of a message, which may be lost.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How long the parts of a text are waited for before it is passed on without those that are missing.
const PARTS_WITHIN: Duration = Duration::from_mins(10);

/// How often a part is sent while the network says "not now".
const TRIES: u8 = 3;

/// What is on the SIM, and on its way.
pub(super) struct Texting {
    look_at: Duration,
    /// Places where the modem put reports.
    report_slots: Vec<u32>,
    /// Since when a part waits for the others, by its place.
    waiting: BTreeMap<u32, Duration>,
    full: bool,
    reference: u16,
    ussd: Option<Ussd>,
}

/// A code that was sent, and is not answered yet.
struct Ussd {
    until: Duration,
    reply: Option<String>,
    /// The modem was told to write UCS-2, and is to be told otherwise.
    charset: bool,
}

impl Texting {
    pub(super) fn new(now: Duration) -> Self {
        // Two runs of this program are hardly begun in the same moment; a reference only tells the texts of one hour apart.
        let reference = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
        Self { look_at: now, report_slots: Vec::new(), waiting: BTreeMap::new(), full: false, reference, ussd: None }
    }

    pub(super) fn look_soon(&mut self) {
        self.look_at = Duration::ZERO;
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Duration {
        let ussd =
            self.ussd.as_ref().map_or(Duration::MAX, |ussd| if ussd.reply.is_some() { Duration::ZERO } else { ussd.until });
        if self.report_slots.is_empty() { self.look_at.min(ussd) } else { Duration::ZERO }
    }

    /// Something the modem said by itself.
    pub(super) fn heard(&mut self, event: Event, shared: &Shared) {
        match event {
            Event::TextStored(_) => self.look_soon(),
            Event::ReportStored(slot) => self.report_slots.push(slot),
            Event::Pdu { report: true, digits } => match Incoming::parse(&digits) {
                Ok(Incoming::Report(report)) => {
                    keep(&report, None, shared);
                }
                _ => tracing::warn!("a delivery report cannot be read"),
            },
            // Phones show these at once and keep them nowhere.
            Event::Pdu { report: false, digits } => match Incoming::parse(&digits) {
                Ok(Incoming::Text(text)) => {
                    shared.keep_loose(text);
                    self.look_soon();
                }
                _ => tracing::warn!("a message that lies on no SIM cannot be read"),
            },
            Event::TextsFull => {
                self.full = true;
                self.look_soon();
            }
            Event::Ussd(line) => {
                if let Some(ussd) = &mut self.ussd {
                    ussd.reply = Some(line);
                }
            }
            _ => {}
        }
    }

    pub(super) async fn do_what_is_due(&mut self, talk: &mut Talk, shared: &Shared) -> Result<(), Trouble> {
        let now = shared.pace.now();
        if self.ussd.as_ref().is_some_and(|ussd| ussd.reply.is_some() || now >= ussd.until) {
            return self.finish_ussd(talk, shared).await;
        }
        self.read_reports(talk, shared).await?;
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            self.look(talk, shared).await?;
        }
        Ok(())
    }

    async fn read_reports(&mut self, talk: &mut Talk, shared: &Shared) -> Result<(), Trouble> {
        while let Some(slot) = self.report_slots.pop() {
            let answer = talk.ask(Command::new(format!("AT+CMGR={slot}")).answered_by("+CMGR")).await?;
            let digits = answer.lines.get(1).map(String::as_str).unwrap_or_default();
            if let Ok(Incoming::Report(report)) = Incoming::parse(digits)
                && !keep(&report, Some(slot), shared)
            {
                self.delete(talk, &[slot]).await?;
            }
        }
        Ok(())
    }

    /// Reads all that lies on the SIM.
    async fn look(&mut self, talk: &mut Talk, shared: &Shared) -> Result<(), Trouble> {
        let list = talk.ask(Command::new("AT+CMGL=4").answered_by("+CMGL").within(Duration::from_secs(30))).await?;
        let (mut texts, mut leftovers) = (Vec::new(), Vec::new());
        let mut lines = list.lines.iter().peekable();
        while let Some(head) = lines.next() {
            let Some(slot) = head.strip_prefix("+CMGL").and_then(|_| number_at::<u32>(&values(head), 0)) else { continue };
            let Some(digits) = lines.next_if(|line| !line.starts_with("+CMGL")) else { continue };
            match Incoming::parse(digits) {
                Ok(Incoming::Text(text)) => texts.push((slot, text)),
                Ok(Incoming::Report(report)) => {
                    if !keep(&report, Some(slot), shared) {
                        self.delete(talk, &[slot]).await?;
                    }
                }
                // Sent from here by another program, or damaged: nobody reads it.
                Err(_) => leftovers.push(slot),
            }
        }
        if std::mem::take(&mut self.full) {
            tracing::warn!(
                unread = texts.len(),
                removed = leftovers.len(),
                "the SIM is full of messages, and takes no more of them"
            );
            self.delete(talk, &leftovers).await?;
        }
        texts.extend(shared.loose());
        let now = shared.pace.now();
        self.waiting.retain(|slot, _| texts.iter().any(|(known, _)| known == slot));
        for (slot, _) in &texts {
            self.waiting.entry(*slot).or_insert(now);
        }
        let overdue = |slot: &u32| self.waiting.get(slot).is_some_and(|since| now >= *since + PARTS_WITHIN);
        let whole = join(&texts, false);
        let mut ready = join(&texts, true);
        ready.retain(|text| whole.iter().any(|known| known.id == text.id) || text.slots.iter().all(overdue));
        shared.keep_texts(ready);
        Ok(())
    }

    /// Deletes messages from the SIM.
    pub(super) async fn delete(&mut self, talk: &mut Talk, slots: &[u32]) -> Result<(), Trouble> {
        for slot in slots {
            let answer = talk.ask(Command::new(format!("AT+CMGD={slot}")).within(Duration::from_secs(15))).await?;
            if !answer.is_ok() {
                tracing::warn!(slot, why = explain(&answer.result), "a message cannot be deleted from the SIM");
            }
        }
        Ok(())
    }

    /// Carries a command of the server out.
    pub(super) async fn carry_out(&mut self, talk: &mut Talk, kind: &CommandKind, shared: &Shared) -> (Carried, Option<Trouble>) {
        let done = match self.finish_ussd(talk, shared).await {
            Err(trouble) => Err(trouble),
            Ok(()) => match kind {
                CommandKind::Sms { number, text } => return self.send(talk, number, text, shared).await,
                CommandKind::Forward { code } => forward(talk, code).await,
                CommandKind::TestCall { .. } => Ok(refused("a test call is dialled like any other")),
            },
        };
        match done {
            Ok(result) => (result.into(), None),
            Err(trouble) => (refused("the modem does not answer").into(), Some(trouble)),
        }
    }

    /// Sends a text, part by part.
    async fn send(&mut self, talk: &mut Talk, number: &str, text: &str, shared: &Shared) -> (Carried, Option<Trouble>) {
        self.reference = self.reference.wrapping_add(1);
        let parts = match submit(number, text, self.reference, false, true) {
            Ok(parts) => parts,
            Err(why) => return (refused(&why.to_string()).into(), None),
        };
        let (count, mut references) = (parts.len(), Vec::new());
        for (at, part) in (1..).zip(&parts) {
            match self.send_part(talk, part, shared).await {
                Ok(Ok(reference)) => references.extend(reference),
                Ok(Err(why)) => return (refused(&format!("part {at} of {count} was not sent: {why}")).into(), None),
                Err(trouble) => {
                    let why =
                        format!("part {at} of {count}: the modem did not say whether it was sent, and it is not sent twice");
                    return (refused(&why).into(), Some(trouble));
                }
            }
        }
        let sent = if count == 1 { "sent".to_owned() } else { format!("sent in {count} parts") };
        let result = OutboxResult { ok: true, detail: Some(sent), ..OutboxResult::default() };
        // A part without a number is one of which nothing will be known, and so is the whole.
        let references = if references.len() == count { references } else { Vec::new() };
        (Carried { result, references }, None)
    }

    /// Sends one part: the number that the modem gave it, or why it was not taken.
    async fn send_part(
        &mut self,
        talk: &mut Talk,
        part: &Submit,
        shared: &Shared,
    ) -> Result<Result<Option<u8>, String>, Trouble> {
        let mut tries = 0;
        loop {
            let command = Command::new(format!("AT+CMGS={}", part.length)).answered_by("+CMGS");
            let answer = talk.ask(command.within(Duration::from_mins(1)).followed_by(part.digits.clone())).await?;
            tries += 1;
            let later = match &answer.result {
                Final::Ok => return Ok(Ok(number_at(&values(answer.first()), 0))),
                Final::Cms(refusal) => matches!(refusal.code, Some(38 | 42 | 47 | 322 | 500 | 512 | 513)),
                Final::Cme(refusal) => refusal.code == Some(14),
                Final::Error | Final::Call(_) => false,
            };
            if !later || tries >= TRIES {
                return Ok(Err(explain(&answer.result)));
            }
            shared.pace.sleep(Duration::from_secs(3)).await;
        }
    }

    /// Sends a code to the network. What it answers comes later, and is the credit.
    pub(super) async fn ask_network(&mut self, talk: &mut Talk, code: &str, shared: &Shared) -> Result<(), Trouble> {
        let dialect = shared.dialect();
        // Otherwise a text in another alphabet would come as question marks.
        let charset = !dialect.packs_ussd() && talk.ask(Command::new("AT+CSCS=\"UCS2\"")).await?.is_ok();
        let command = if charset { ussd::command_in_ucs2(code) } else { ussd::command(dialect, code) };
        let Some(command) = command else { return Ok(()) };
        self.ussd = Some(Ussd { until: shared.pace.now() + ussd::ANSWER_WITHIN, reply: None, charset });
        let answer = talk.ask(command).await?;
        if !answer.is_ok()
            && let Some(ussd) = &mut self.ussd
        {
            tracing::warn!(why = explain(&answer.result), "the modem did not send the code that asks for the credit");
            ussd.until = Duration::ZERO;
        }
        Ok(())
    }

    /// Ends what a code has begun.
    pub(super) async fn finish_ussd(&mut self, talk: &mut Talk, shared: &Shared) -> Result<(), Trouble> {
        let Some(ussd) = self.ussd.take() else { return Ok(()) };
        let mut asks_back = false;
        match ussd.reply.as_deref().map(ussd::parse) {
            Some(Ok(reply)) => {
                shared.credit(&reply.text);
                asks_back = reply.asks_back;
            }
            Some(Err(why)) => tracing::warn!("the network did not say how much credit there is: {why}"),
            None => {}
        }
        if asks_back {
            talk.ask(ussd::end()).await?;
        }
        if ussd.charset {
            talk.ask(Command::new("AT+CSCS=\"IRA\"")).await?;
        }
        Ok(())
    }
}

/// Keeps a word of the network about a text until it is written down; false for one that says nothing yet.
fn keep(report: &Report, slot: Option<u32>, shared: &Shared) -> bool {
    tracing::info!(reference = report.reference, fate = ?report.fate(), "the network says what became of a message");
    let delivery = match report.fate() {
        Fate::Delivered => Delivery::Delivered,
        Fate::Failed => Delivery::Failed,
        Fate::Trying => return false,
    };
    shared.keep_told(report, delivery, slot);
    true
}

fn refused(why: &str) -> OutboxResult {
    OutboxResult { detail: Some(why.to_owned()), ..OutboxResult::default() }
}

/// Sets forwarding, asks for it, and believes only what the network then says.
async fn forward(talk: &mut Talk, code: &str) -> Result<OutboxResult, Trouble> {
    let meaning = ServiceCode::parse(code).ok().and_then(|code| carrier_by_id("3gpp")?.read(&code));
    let Some(wish) = meaning.as_ref().and_then(Wish::of) else {
        return Ok(refused("a modem cannot tell what this code is to do: set the carrier of this line to one with GSM codes"));
    };
    let mut refusal = None;
    for command in wish.commands() {
        let answer = talk.ask(command).await?;
        refusal = Some(answer.result).filter(|result| *result != Final::Ok);
        if refusal.is_none() {
            break;
        }
    }
    if let Some(refusal) = refusal {
        return Ok(OutboxResult {
            error: Some(refusal.to_words()),
            detail: Some(format!("the network did not take it: {}", explain(&refusal))),
            ..OutboxResult::default()
        });
    }
    let answer = talk.ask(wish.question()).await?;
    let network = wish.answer(&answer);
    Ok(match network {
        None => OutboxResult {
            error: Some(if answer.is_ok() { "no answer".to_owned() } else { answer.result.to_words() }),
            detail: Some(format!("set, but the network does not say whether it is so: {}", explain(&answer.result))),
            ..OutboxResult::default()
        },
        Some(network) => {
            let says = match (&network.number, network.active) {
                (Some(number), true) => format!("the network says: calls go to {number}"),
                (None, true) => "the network says: calls are forwarded".to_owned(),
                (_, false) => "the network says: calls are not forwarded".to_owned(),
            };
            OutboxResult { ok: wish.is_met(&network), detail: Some(says), network: Some(network), ..OutboxResult::default() }
        }
    })
}
