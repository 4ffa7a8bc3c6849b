//! One call from here, from the dial to its end, by all that a modem says about it.
//!
//! Two things tell of it: what the modem says by itself, which may be lost, and the list of its calls, which is asked for every second.

use std::time::Duration;

use super::{
    cause::meaning,
    dialect::Dialect,
    event::{Event, Step, Word},
    exchange::Final,
    listed::{Listed, ListedState},
};
use crate::phone::{CallState, EndCause};

/// How long a dial may leave no trace in the modem.
const TRACE_WITHIN: Duration = Duration::from_secs(5);

/// A call that ends so soon without a trace never left the modem.
const TOO_SOON: Duration = Duration::from_secs(2);

/// How long a better word for the end of a call may take.
const WORD_WITHIN: Duration = Duration::from_secs(3);

/// How long a command to hang up gets before the next is tried.
const HANG_UP_EVERY: Duration = Duration::from_secs(3);

/// How long the network may take a call before it is hung up all the same.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// Lists in a row on which the call is missing before it is over: one may have been damaged on its way.
const MISSING: u8 = 2;

/// Most keys that wait to be asked for.
const MOST_KEYS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Asked,
    Dialling,
    Alerting,
    Connected,
}

#[derive(Debug, Clone)]
struct HangUp {
    asked: Duration,
    next_at: Duration,
    tried: usize,
}

/// A call from here. Times are of any clock that only goes on.
#[derive(Debug, Clone)]
pub struct Call {
    number: String,
    dialect: Dialect,
    /// Whether the modem takes a call for connected while it still rings.
    early: bool,
    dialled: Duration,
    reached: Reached,
    connected: Option<Duration>,
    key: bool,
    /// Whether the network has the call.
    taken: bool,
    missing: u8,
    over: Option<Duration>,
    word: Option<Word>,
    cause: Option<u8>,
    cause_asked: bool,
    refused: Option<String>,
    hang_up: Option<HangUp>,
    /// Keys that nobody has asked for yet.
    keys: Vec<char>,
}

impl Call {
    /// A call that is about to be dialled.
    ///
    /// `early`: whether this modem may say "connected" while it rings; then only a key that the callee presses counts as an answer.
    #[must_use]
    pub fn new(number: &str, dialect: Dialect, early: bool, now: Duration) -> Self {
        Self {
            number: number.to_owned(),
            dialect,
            early,
            dialled: now,
            reached: Reached::Asked,
            connected: None,
            key: false,
            taken: false,
            missing: 0,
            over: None,
            word: None,
            cause: None,
            cause_asked: false,
            refused: None,
            hang_up: None,
            keys: Vec::new(),
        }
    }

    /// A call that a process before this one has dialled: whatever the list says now is so, and a call that is missing is over.
    #[must_use]
    pub fn found(number: &str, dialect: Dialect, early: bool, now: Duration, list: &[Listed]) -> Self {
        let mut call = Self { reached: Reached::Dialling, missing: MISSING, ..Self::new(number, dialect, early, now) };
        call.listed(now, list);
        call
    }

    /// Whom it rings.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Whether it may still run in the modem.
    #[must_use]
    pub fn may_run(&self) -> bool {
        self.over.is_none()
    }

    /// Whether keys were pressed that nobody has asked for yet.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The keys that the callee has pressed since this was asked last.
    pub fn take_keys(&mut self) -> Vec<char> {
        std::mem::take(&mut self.keys)
    }

    /// What the modem had against it, in words.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Why it ended, by the number of the telephone network (ITU-T Q.850), where the modem knows.
    #[must_use]
    pub fn cause(&self) -> Option<u8> {
        self.cause
    }

    /// The answer to the dial; `None` if none came, which says nothing about the call.
    pub fn dial_answered(&mut self, now: Duration, result: Option<&Final>) {
        match result {
            Some(Final::Ok) | None => {}
            Some(Final::Call(word)) => self.heard(now, &Event::Word(*word)),
            Some(refusal) => {
                self.refused = Some(refusal.to_words());
                self.end(now);
            }
        }
    }

    /// Something the modem said by itself.
    pub fn heard(&mut self, now: Duration, event: &Event) {
        self.taken |= matches!(event, Event::Step(_));
        match event {
            Event::Step(Step::Dialling) => self.reach(now, Reached::Dialling),
            Event::Step(Step::Alerting) => self.reach(now, Reached::Alerting),
            Event::Step(Step::Connected) => self.reach(now, Reached::Connected),
            Event::Step(Step::Ended { cause }) => {
                self.cause = self.cause.or(*cause);
                self.end(now);
            }
            Event::Word(word) => {
                // Of two, the one that says more counts.
                if self.word.is_none_or(|known| known == Word::NoCarrier) {
                    self.word = Some(*word);
                }
                self.end(now);
            }
            Event::Listed(listed) if self.is_ours(listed) => self.note(now, listed),
            Event::Key(key) if self.over.is_none() => {
                self.reach(now, Reached::Connected);
                self.key = true;
                if self.keys.len() < MOST_KEYS {
                    self.keys.push(*key);
                }
            }
            _ => {}
        }
    }

    /// All calls that the modem has.
    pub fn listed(&mut self, now: Duration, list: &[Listed]) {
        if self.over.is_some() {
            return;
        }
        if let Some(listed) = list.iter().find(|listed| self.is_ours(listed)) {
            self.missing = 0;
            self.note(now, listed);
            return;
        }
        self.missing = self.missing.saturating_add(1);
        let patient = self.reached == Reached::Asked && now < self.dialled + TRACE_WITHIN;
        if self.missing >= MISSING && !patient {
            self.end(now);
        }
    }

    /// Whether the modem is to be asked why the call ended.
    #[must_use]
    pub fn wants_cause(&self, now: Duration) -> bool {
        self.over.is_some() && !self.cause_asked && !self.is_decided(now)
    }

    /// What it answered to that: the cause, if it has one.
    pub fn cause_answered(&mut self, cause: Option<u8>) {
        self.cause_asked = true;
        self.cause = self.cause.or(cause);
    }

    /// Nothing more will be heard of it.
    pub fn lost(&mut self, now: Duration) {
        self.cause_asked = true;
        self.end(now);
    }

    /// It is to end.
    pub fn hang_up(&mut self, now: Duration) {
        if self.over.is_none() && self.hang_up.is_none() {
            self.hang_up = Some(HangUp { asked: now, next_at: now, tried: 0 });
        }
    }

    /// The command that is due now to end it.
    pub fn next_hang_up(&mut self, now: Duration) -> Option<&'static str> {
        let hang_up = self.hang_up.as_mut().filter(|hang_up| self.over.is_none() && now >= hang_up.next_at)?;
        let taken = self.taken || self.reached > Reached::Dialling || now >= hang_up.asked + TAKEN_WITHIN;
        if self.dialect.hangs_up_late() && !taken {
            return None;
        }
        let commands = self.dialect.hang_up();
        // A call that goes on is never left alone: from the last one it begins anew.
        let command = commands.get(hang_up.tried % commands.len()).copied();
        hang_up.tried += 1;
        hang_up.next_at = now + HANG_UP_EVERY;
        command
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self, now: Duration) -> CallState {
        if let Some(over) = self.over.filter(|_| self.is_decided(now)) {
            let talked = self.answered().map(|connected| over.saturating_sub(connected));
            return CallState::Ended { cause: self.end_cause(over, talked.is_some()), talked };
        }
        match self.reached {
            Reached::Connected if self.answered().is_some() => CallState::Connected { held: false },
            Reached::Alerting | Reached::Connected => CallState::Alerting,
            Reached::Asked | Reached::Dialling => CallState::Dialling,
        }
    }

    /// Since when somebody is there, as far as can be known.
    fn answered(&self) -> Option<Duration> {
        self.connected.filter(|_| !self.early || self.key)
    }

    fn is_ours(&self, listed: &Listed) -> bool {
        // Nobody else dials from this modem, so a call without a number is ours too.
        listed.is_to(&self.number) || (listed.outgoing && listed.number.is_empty())
    }

    fn note(&mut self, now: Duration, listed: &Listed) {
        match listed.state {
            ListedState::Active | ListedState::Held => self.reach(now, Reached::Connected),
            ListedState::Alerting => self.reach(now, Reached::Alerting),
            ListedState::Dialling => self.reach(now, Reached::Dialling),
            ListedState::Over => self.end(now),
            ListedState::Incoming | ListedState::Waiting => {}
        }
    }

    fn reach(&mut self, now: Duration, reached: Reached) {
        if self.over.is_some() {
            return;
        }
        if reached == Reached::Connected {
            self.connected.get_or_insert(now);
        }
        self.reached = self.reached.max(reached);
    }

    fn end(&mut self, now: Duration) {
        self.over.get_or_insert(now);
    }

    /// Whether no better word for its end can come.
    fn is_decided(&self, now: Duration) -> bool {
        // Who declines is "busy" for many modems, until they are asked for the cause.
        let says_all = matches!(self.word, Some(Word::NoAnswer | Word::NoDialtone));
        self.refused.is_some()
            || self.answered().is_some()
            || self.hang_up.is_some()
            || says_all
            || self.cause.is_some_and(|cause| meaning(cause).is_some())
            || self.over.is_some_and(|over| self.cause_asked || now >= over + WORD_WITHIN)
    }

    fn end_cause(&self, over: Duration, talked: bool) -> EndCause {
        let by_cause = self.cause.and_then(meaning);
        match self.word {
            _ if self.refused.is_some() => EndCause::Failed,
            _ if self.hang_up.is_some() => EndCause::HungUp,
            _ if talked => EndCause::Normal,
            Some(Word::Busy) if by_cause == Some(EndCause::Rejected) => EndCause::Rejected,
            Some(Word::Busy) => EndCause::Busy,
            Some(Word::NoAnswer) => EndCause::Normal,
            Some(Word::NoDialtone) => EndCause::Failed,
            Some(Word::NoCarrier) if self.reached == Reached::Asked && over < self.dialled + TOO_SOON => EndCause::Failed,
            // Gone without a trace and without a word: it never left the modem.
            None if self.reached == Reached::Asked => EndCause::Failed,
            Some(Word::NoCarrier) | None => by_cause.unwrap_or(EndCause::Normal),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modem::exchange::Refusal;

    const N: &str = "13900000001";

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn call(dialect: Dialect) -> Call {
        Call::new(N, dialect, false, s(0))
    }

    fn line(state: ListedState) -> Listed {
        Listed { index: 1, outgoing: true, state, number: N.into() }
    }

    fn say(call: &mut Call, at: u64, lines: &[&str]) {
        for line in lines {
            if let Some(event) = Event::parse(line) {
                call.heard(s(at), &event);
            }
        }
    }

    fn ended(cause: EndCause, talked: Option<u64>) -> CallState {
        CallState::Ended { cause, talked: talked.map(s) }
    }

    #[test]
    fn answered_in_every_dialect() {
        for (dialect, rings, answers, ends) in [
            (
                Dialect::Quectel,
                "^DSCI: 1,0,7,0,13900000001,129",
                "^DSCI: 1,0,3,0,13900000001,129",
                "^DSCI: 1,0,6,0,13900000001,129",
            ),
            (Dialect::Sim7600, "+CLCC: 1,0,3,0,0,\"13900000001\",129", "VOICE CALL: BEGIN", "VOICE CALL: END: 000009"),
            (Dialect::Huawei, "^CONF:1", "^CONN:1,0", "^CEND:1,12,104,16"),
            (
                Dialect::Sim800,
                "+CLCC: 1,0,3,0,0,\"13900000001\",129,\"\"",
                "+CLCC: 1,0,0,0,0,\"13900000001\",129,\"\"",
                "+CLCC: 1,0,6,0,0,\"13900000001\",129,\"\"",
            ),
        ] {
            let mut call = call(dialect);
            call.dial_answered(s(0), Some(&Final::Ok));
            assert_eq!(call.state(s(0)), CallState::Dialling);
            say(&mut call, 2, &[rings]);
            assert_eq!(call.state(s(2)), CallState::Alerting, "{dialect:?}");
            say(&mut call, 8, &[answers]);
            assert_eq!(call.state(s(8)), CallState::Connected { held: false }, "{dialect:?}");
            say(&mut call, 20, &[ends]);
            assert_eq!(call.state(s(20)), ended(EndCause::Normal, Some(12)), "{dialect:?}");
        }
    }

    #[test]
    fn the_list_alone_is_enough_where_all_news_are_lost() {
        let mut call = call(Dialect::Generic);
        for (at, state, seen) in [
            (1, ListedState::Dialling, CallState::Dialling),
            (2, ListedState::Alerting, CallState::Alerting),
            (9, ListedState::Active, CallState::Connected { held: false }),
        ] {
            call.listed(s(at), &[line(state)]);
            assert_eq!(call.state(s(at)), seen);
        }
        call.listed(s(14), &[]);
        assert_eq!(call.state(s(14)), CallState::Connected { held: false }, "one list may have been damaged");
        call.listed(s(15), &[]);
        assert_eq!(call.state(s(15)), ended(EndCause::Normal, Some(6)));
    }

    #[test]
    fn why_nobody_answered() {
        for (lines, cause, end) in [
            (&["BUSY"][..], None, EndCause::Busy),
            (&["^CEND:1,0,104,17"], None, EndCause::Busy),
            (&["^CEND:1,0,104,21", "BUSY"], None, EndCause::Rejected),
            (&["^CEND:1,0,104,18"], None, EndCause::Normal),
            (&["NO ANSWER"], None, EndCause::Normal),
            (&["NO CARRIER"], None, EndCause::Normal),
            (&["NO CARRIER"], Some(17), EndCause::Busy),
            (&["NO CARRIER"], Some(21), EndCause::Rejected),
            (&["NO CARRIER"], Some(1), EndCause::Failed),
            (&["NO CARRIER"], Some(20), EndCause::Normal),
            (&["VOICE CALL: END: 000000", "NO CARRIER", "BUSY"], None, EndCause::Busy),
            (&["^DSCI: 1,0,6,0,13900000001,129"], Some(41), EndCause::Failed),
        ] {
            let mut call = call(Dialect::Generic);
            call.listed(s(1), &[line(ListedState::Alerting)]);
            say(&mut call, 8, lines);
            if call.wants_cause(s(8)) {
                assert_eq!(call.state(s(8)), CallState::Alerting, "{lines:?}: a better word may come");
                call.cause_answered(cause);
            }
            assert_eq!(call.state(s(8)), ended(end, None), "{lines:?} {cause:?}");
        }
    }

    #[test]
    fn a_dial_that_never_left() {
        let cme = Final::Cme(Refusal { code: Some(30), text: "30".into() });
        for refusal in [cme, Final::Error, Final::Call(Word::NoCarrier), Final::Call(Word::NoDialtone)] {
            let mut call = call(Dialect::Generic);
            call.dial_answered(s(1), Some(&refusal));
            call.cause_answered(None);
            assert_eq!(call.state(s(1)), ended(EndCause::Failed, None), "{refusal:?}");
        }
        // An answer that was lost says nothing; a list without it does, after a while.
        let mut call = call(Dialect::Generic);
        call.dial_answered(s(1), None);
        call.listed(s(2), &[]);
        call.listed(s(3), &[]);
        assert_eq!(call.state(s(3)), CallState::Dialling);
        call.listed(s(5), &[]);
        assert_eq!(call.state(s(9)), ended(EndCause::Failed, None));
    }

    #[test]
    fn a_strangers_call_is_not_ours() {
        let mut call = call(Dialect::Generic);
        call.listed(s(1), &[line(ListedState::Dialling)]);
        let stranger = Listed { outgoing: false, state: ListedState::Active, ..line(ListedState::Active) };
        call.listed(s(2), &[stranger.clone(), line(ListedState::Alerting)]);
        assert_eq!(call.state(s(2)), CallState::Alerting);
        call.heard(s(3), &Event::Listed(stranger));
        assert_eq!(call.state(s(3)), CallState::Alerting);
    }

    #[test]
    fn hanging_up_goes_on_until_the_call_is_gone() {
        let mut call = call(Dialect::Generic);
        call.listed(s(1), &[line(ListedState::Alerting)]);
        assert_eq!(call.next_hang_up(s(2)), None, "nobody asked");
        call.hang_up(s(45));
        let sent: Vec<_> = (45..58).filter_map(|at| call.next_hang_up(s(at)).map(|command| (at, command))).collect();
        assert_eq!(sent, [(45, "AT+CHUP"), (48, "ATH"), (51, "AT+CHLD=11"), (54, "AT+CHUP"), (57, "ATH")]);
        call.listed(s(58), &[]);
        call.listed(s(59), &[]);
        assert_eq!(call.state(s(59)), ended(EndCause::HungUp, None));
        assert_eq!(call.next_hang_up(s(70)), None);
    }

    #[test]
    fn huawei_is_not_hung_up_before_the_network_has_the_call() {
        let mut early = call(Dialect::Huawei);
        early.hang_up(s(1));
        assert_eq!(early.next_hang_up(s(1)), None);
        say(&mut early, 2, &["^ORIG:1,0"]);
        assert_eq!(early.next_hang_up(s(2)), Some("AT+CHUP"));
        let mut listed = call(Dialect::Huawei);
        listed.hang_up(s(1));
        listed.listed(s(1), &[line(ListedState::Dialling)]);
        assert_eq!(listed.next_hang_up(s(1)), None, "that it is listed does not say that the network has it");
        let mut never = call(Dialect::Huawei);
        never.hang_up(s(1));
        assert_eq!((never.next_hang_up(s(5)), never.next_hang_up(s(6))), (None, Some("AT+CHUP")));
        assert!(!Dialect::Huawei.hang_up().iter().any(|command| command.contains("CHLD")));
    }

    #[test]
    fn where_connected_comes_early_only_a_key_is_an_answer() {
        let rung = |key: bool| {
            let mut call = Call::new(N, Dialect::Sim7600, true, s(0));
            say(&mut call, 2, &["VOICE CALL: BEGIN"]);
            assert_eq!(call.state(s(2)), CallState::Alerting);
            if key {
                say(&mut call, 9, &["+RXDTMF: 1"]);
                assert_eq!(call.state(s(9)), CallState::Connected { held: false });
            }
            say(&mut call, 20, &["VOICE CALL: END: 000018", "NO CARRIER"]);
            call.cause_answered(None);
            call.state(s(20))
        };
        assert_eq!(rung(true), ended(EndCause::Normal, Some(18)));
        assert_eq!(rung(false), ended(EndCause::Normal, None));
    }

    #[test]
    fn after_a_restart_the_list_decides() {
        let running = Call::found(N, Dialect::Generic, false, s(100), &[line(ListedState::Active)]);
        assert_eq!(running.state(s(100)), CallState::Connected { held: false });
        let mut gone = Call::found(N, Dialect::Generic, false, s(100), &[]);
        assert!(!gone.may_run());
        gone.cause_answered(None);
        assert_eq!(gone.state(s(100)), ended(EndCause::Normal, None), "it may have rung, so it is not dialled again");
    }

    proptest! {
        /// Whatever is said in whatever order: an end is an end, and what was connected was answered.
        #[test]
        fn an_end_is_an_end(words in proptest::collection::vec(0_usize..12, 0..30), early: bool) {
            const LINES: [&str; 11] = [
                "^ORIG:1,0", "^CONF:1", "^CONN:1,0", "^CEND:1,0,104,17", "BUSY", "NO CARRIER", "NO ANSWER", "+RXDTMF: 5",
                "VOICE CALL: BEGIN", "+CLCC: 1,0,3,0,0,\"13900000001\",129", "+CLCC: 1,1,0,0,0,\"13900000001\",129",
            ];
            let mut call = Call::new(N, Dialect::Generic, early, s(0));
            let (mut was_connected, mut was_over) = (false, None);
            for (at, word) in (1_u64..).zip(words) {
                match LINES.get(word) {
                    Some(line) => say(&mut call, at, &[line]),
                    None => call.listed(s(at), &[]),
                }
                let state = call.state(s(at));
                was_connected |= matches!(state, CallState::Connected { .. });
                if let CallState::Ended { talked, .. } = state {
                    prop_assert!(!was_connected || talked.is_some());
                    let over = *was_over.get_or_insert(talked);
                    prop_assert_eq!(over, talked);
                } else {
                    prop_assert!(was_over.is_none());
                }
            }
        }
    }
}
