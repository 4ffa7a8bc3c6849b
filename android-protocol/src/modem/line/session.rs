//! A modem that answers: its call, its radio, and what is asked of it.

use std::time::Duration;

use super::{
    Order, broken,
    keeper::Keeper,
    talk::{Talk, Trouble},
    texting::Texting,
};
use crate::{
    modem::{
        cause::parse_ceer,
        event::{Event, Step},
        exchange::{Command, Final},
        listed::Listed,
        radio::{Registration, operator, signal_dbm},
    },
    native::CannotDial,
};

/// How often the list of calls is asked for while one runs.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How often a modem without a call is asked how it is.
const RADIO_EVERY: Duration = Duration::from_secs(50);

/// How often one that is in no network is.
const RADIO_SOON: Duration = Duration::from_secs(5);

/// How often it is tried to end a call that belongs to nobody.
const LEFTOVER_TRIES: usize = 6;

/// How long after a call the next one waits: what the modem still says about the first would be taken for news of the second.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);

/// How long a dial may take to be accepted.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// A modem that answers.
pub(super) struct Session<'a> {
    keeper: &'a mut Keeper,
    pub(super) talk: Talk,
    path: String,
    texting: Texting,
    list_at: Duration,
    radio_at: Duration,
    credit_at: Option<Duration>,
    /// When the last call was over.
    call_over: Option<Duration>,
}

impl<'a> Session<'a> {
    pub(super) fn new(keeper: &'a mut Keeper, talk: Talk, path: String) -> Self {
        let now = keeper.shared.pace.now();
        let credit_at = keeper.settings.credit_code.as_ref().map(|_| now + Duration::from_secs(5));
        Self { keeper, talk, path, texting: Texting::new(now), list_at: now, radio_at: now, credit_at, call_over: None }
    }

    fn now(&self) -> Duration {
        self.keeper.shared.pace.now()
    }

    /// Looks after the modem until it is silent or gone.
    pub(super) async fn serve(&mut self) -> Trouble {
        loop {
            match self.turn().await {
                Ok(true) => {}
                // Nobody wants anything of it any more.
                Ok(false) => return Trouble::Gone(std::io::ErrorKind::Interrupted.into()),
                Err(trouble) => return trouble,
            }
        }
    }

    async fn turn(&mut self) -> Result<bool, Trouble> {
        self.take_news();
        self.do_what_is_due().await?;
        self.take_news();
        let wake = self.keeper.shared.pace.instant(self.next_due());
        tokio::select! {
            order = self.keeper.orders.recv() => match order {
                Some(order) => self.carry_out(order).await?,
                None => return Ok(false),
            },
            heard = self.talk.listen() => heard?,
            () = tokio::time::sleep_until(wake) => {}
        }
        Ok(true)
    }

    /// Tells whoever it concerns what the modem said by itself; gives whether somebody else calls by that.
    fn take_news(&mut self) -> bool {
        let mut rings = false;
        while let Some(event) = self.talk.news() {
            let now = self.now();
            // While somebody else calls, an end may be theirs: the list tells whose it is.
            let ends = matches!(event, Event::Step(Step::Ended { .. }) | Event::Word(_));
            if ends && self.keeper.shared.has_stranger() {
                self.list_at = now;
            } else {
                self.keeper.shared.with_call(|call| call.heard(now, &event));
            }
            match event {
                Event::Ring { .. } => {
                    rings = true;
                    self.keeper.shared.stranger(true);
                }
                Event::Registration => self.radio_at = self.radio_at.min(now + Duration::from_secs(1)),
                Event::Restarted => {
                    tracing::warn!("the modem was restarted by something else");
                    self.texting.look_soon();
                }
                event => self.texting.heard(event, &self.keeper.shared),
            }
        }
        if self.call_over.is_none() && self.keeper.shared.with_call(|call| call.may_run()) == Some(false) {
            self.call_over = Some(self.now());
        }
        rings
    }

    fn call_runs(&self) -> bool {
        self.keeper.shared.call_may_run()
    }

    fn next_due(&self) -> Duration {
        let credit = self.credit_at.unwrap_or(Duration::MAX);
        let idle = self.radio_at.min(credit).min(self.texting.due());
        let next = if self.call_runs() { self.list_at } else { idle };
        // A call that is over may wait for a better word about its end.
        next.min(self.now() + LIST_EVERY)
    }

    async fn do_what_is_due(&mut self) -> Result<(), Trouble> {
        let now = self.now();
        if let Some(number) = self.keeper.shared.searched_number() {
            self.find(&number).await?;
        }
        if self.keeper.shared.with_call(|call| call.wants_cause(now)) == Some(true) {
            let answer = self.talk.ask(Command::new("AT+CEER").answered_by("+CEER")).await?;
            self.keeper.shared.with_call(|call| call.cause_answered(parse_ceer(answer.first())));
            return Ok(());
        }
        if self.call_runs() {
            if let Some(command) = self.keeper.shared.with_call(|call| call.next_hang_up(now)).flatten() {
                // Whether it was taken shows in the list.
                self.talk.ask(Command::new(command).within(Duration::from_secs(8))).await?;
            }
            if now >= self.list_at {
                self.list_at = now + LIST_EVERY;
                let list = self.list().await?;
                let now = self.now();
                self.keeper.shared.with_call(|call| call.listed(now, &list));
            }
            return Ok(());
        }
        if now >= self.radio_at {
            self.radio_at = now + RADIO_EVERY;
            return self.ask_radio().await;
        }
        if self.credit_at.is_some_and(|at| now >= at) {
            self.credit_at = Some(now + Duration::from_hours(24));
            return self.ask_credit().await;
        }
        self.texting.do_what_is_due(&mut self.talk, &self.keeper.shared).await
    }

    async fn list(&mut self) -> Result<Vec<Listed>, Trouble> {
        let answer = self.talk.ask(Command::new("AT+CLCC").answered_by("+CLCC")).await?;
        let list: Vec<_> = answer.lines.iter().filter_map(|line| Listed::parse(line)).collect();
        // What was said before the answer is judged by who was there then: an end may be that of somebody who is not in the list any more.
        let rings = self.take_news();
        self.keeper.shared.stranger(rings || list.iter().any(|listed| !listed.outgoing));
        Ok(list)
    }

    async fn ask_radio(&mut self) -> Result<(), Trouble> {
        let signal = self.talk.ask(Command::new("AT+CSQ").answered_by("+CSQ")).await?;
        let voice = self.talk.ask(Command::new("AT+CREG?").answered_by("+CREG")).await?;
        let without_sim = matches!(&voice.result, Final::Cme(refusal) if matches!(refusal.code, Some(10..=15)));
        let mut registration = Registration::parse(voice.first()).or(without_sim.then_some(Registration::None));
        if !registration.is_some_and(Registration::is_in) {
            // On LTE some are only in there.
            let packets = self.talk.ask(Command::new("AT+CEREG?").answered_by("+CEREG")).await?;
            registration = Registration::parse(packets.first()).filter(|state| state.is_in()).or(registration);
        }
        let name = self.talk.ask(Command::new("AT+COPS?").answered_by("+COPS").within(Duration::from_secs(20))).await?;
        let before = self.keeper.shared.registration();
        if registration != before
            && let Some(state) = registration
        {
            tracing::info!("the SIM is {}", state.words());
        }
        self.keeper.shared.radio(signal_dbm(signal.first()), registration, operator(name.first()));
        if !self.keeper.shared.can_dial() {
            self.radio_at = self.now() + RADIO_SOON;
        }
        self.list().await?;
        Ok(())
    }

    async fn ask_credit(&mut self) -> Result<(), Trouble> {
        let code = self.keeper.settings.credit_code.clone().unwrap_or_default();
        self.texting.ask_network(&mut self.talk, &code, &self.keeper.shared).await
    }

    async fn find(&mut self, number: &str) -> Result<(), Trouble> {
        let list = self.list().await?;
        self.keeper.shared.found_call(number, &list);
        Ok(())
    }

    async fn carry_out(&mut self, order: Order) -> Result<(), Trouble> {
        match order {
            Order::Prepare(reply) => {
                let prepared = self.prepare().await;
                let (answer, trouble) = match prepared {
                    Ok(answer) => (answer, None),
                    Err(trouble) => (Err(broken("the modem does not answer")), Some(trouble)),
                };
                drop(reply.send(answer));
                trouble.map_or(Ok(()), Err)
            }
            Order::Dial(number, reply) => {
                let (answer, trouble) = self.dial(&number).await;
                drop(reply.send(answer));
                trouble.map_or(Ok(()), Err)
            }
            Order::Find(number) => {
                self.keeper.shared.search_later(&number);
                Ok(())
            }
            // It stands with the call, and is due at once.
            Order::HangUp => Ok(()),
            Order::CarryOut(kind, reply) => {
                let (result, trouble) = self.texting.carry_out(&mut self.talk, &kind, &self.keeper.shared).await;
                drop(reply.send(result));
                trouble.map_or(Ok(()), Err)
            }
            Order::Delete(slots) => {
                self.keeper.shared.forget_told(&slots);
                self.texting.delete(&mut self.talk, &slots).await
            }
        }
    }

    async fn prepare(&mut self) -> Result<Result<Option<String>, CannotDial>, Trouble> {
        self.texting.finish_ussd(&mut self.talk, &self.keeper.shared).await?;
        if let Some(over) = self.call_over {
            self.keeper.shared.pace.sleep((over + BETWEEN_CALLS).saturating_sub(self.now())).await;
        }
        let list = self.without_leftovers().await?;
        if !list.is_empty() {
            return Ok(Err(CannotDial::LineBusy));
        }
        self.take_news();
        Ok(Ok(Some(self.path.clone())))
    }

    /// The calls of the modem. One from here that was given up while it was away, or that something else has dialled, belongs to nobody, and would
    /// keep the line until the other side hangs up: it is ended. Not while somebody calls: theirs might end with it.
    async fn without_leftovers(&mut self) -> Result<Vec<Listed>, Trouble> {
        let commands = self.keeper.shared.dialect().hang_up();
        let mut list = self.list().await?;
        for command in commands.iter().cycle().take(LEFTOVER_TRIES) {
            if list.is_empty() || list.iter().any(|listed| !listed.outgoing) || self.call_runs() {
                break;
            }
            tracing::warn!("a call from here that belongs to nobody is ended");
            self.talk.ask(Command::new(*command).within(Duration::from_secs(8))).await?;
            self.keeper.shared.pace.sleep(BETWEEN_CALLS).await;
            list = self.list().await?;
        }
        Ok(list)
    }

    /// Dials. Whatever goes wrong after the command was sent says nothing about the call: the list will.
    async fn dial(&mut self, number: &str) -> (Result<(), CannotDial>, Option<Trouble>) {
        // News from before are not about this call.
        self.take_news();
        self.keeper.shared.begin_call(number);
        self.call_over = None;
        let answer = self.talk.ask(Command::new(format!("ATD{number};")).within(DIAL_WITHIN)).await;
        let now = self.now();
        self.list_at = now;
        match answer {
            Ok(answer) => {
                self.keeper.shared.with_call(|call| call.dial_answered(now, Some(&answer.result)));
                match answer.result {
                    Final::Ok | Final::Call(_) => (Ok(()), None),
                    refusal => (Err(broken(format!("the modem did not dial: {}", explain(&refusal)))), None),
                }
            }
            Err(trouble) => {
                self.keeper.shared.with_call(|call| call.dial_answered(now, None));
                // Some are silent until somebody picks up: the list tells.
                (Ok(()), Some(trouble).filter(|trouble| matches!(trouble, Trouble::Gone(_))))
            }
        }
    }
}

/// A refusal and what it means.
pub(super) fn explain(refusal: &Final) -> String {
    let known = match refusal {
        Final::Cme(refusal) => match refusal.code {
            Some(3) => ", not allowed",
            Some(10) => ", there is no SIM",
            Some(11) => ", the SIM wants its PIN",
            Some(12) => ", the SIM wants its PUK",
            Some(13 | 15) => ", the SIM does not work",
            Some(14) => ", the SIM is busy",
            Some(30) => ", no network",
            Some(32) => ", emergency calls only",
            _ => "",
        },
        Final::Cms(refusal) => match refusal.code {
            Some(1 | 28) => ", there is no such number",
            Some(21) => ", the network rejected it",
            Some(50) => ", the network does not offer this",
            Some(38 | 42 | 47 | 500 | 512 | 513) => ", the network could not now",
            Some(322) => ", the SIM is full",
            _ => "",
        },
        _ => "",
    };
    format!("{}{known}", refusal.to_words())
}
