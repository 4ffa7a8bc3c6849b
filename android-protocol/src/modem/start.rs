//! The first talk with a modem: who it is, whether its SIM is open, and what it shall tell by itself.

use std::{collections::VecDeque, time::Duration};

use super::{
    dialect::{Dialect, Identity},
    exchange::{Answer, Command, Final},
    values,
};

/// The PIN of the SIM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its digits.
    pub code: String,
    /// Whether it was tried before, and not taken: three wrong ones lock a SIM.
    pub tried: bool,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pin").field("tried", &self.tried).finish_non_exhaustive()
    }
}

/// Why a modem cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It answers, but not as a modem.
    #[error("what answers at this port does not speak AT commands: is it the right one?")]
    NoModem,
    /// The SIM wants a PIN, and there is none.
    #[error("the SIM wants a PIN: set `agent.modem.pin`, or switch the PIN off in a phone")]
    PinWanted,
    /// The PIN was refused, now or before.
    #[error(
        "the SIM did not take the PIN, and it is not tried again, because the third wrong one locks the SIM: put the right one into `agent.modem.pin`"
    )]
    PinRefused,
    /// The SIM is locked.
    #[error("the SIM is locked and wants its PUK: unlock it in a phone")]
    PukWanted,
    /// There is none, or it does not work.
    #[error("the modem finds no SIM ({0})")]
    NoSim(String),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this, and give its answer to [`Start::answered`].
    Ask(Command),
    /// Write down that the PIN is tried, before it is.
    NotePin,
    /// Wait this long: the modem reads its SIM.
    Wait(Duration),
    /// The modem is ready.
    Ready,
    /// It is not, and why.
    Failed(NotReady),
}

/// How often the state of the SIM is asked for while it is being read, a second apart.
const SIM_TRIES: u8 = 15;

/// How often it is asked whether it is there. The first one may be taken together with what was on the line before.
const GREETINGS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Asking,
    Sim,
    /// A PIN was sent.
    Unlocked,
    Setting,
}

/// The talk, command by command.
#[derive(Debug, Clone)]
pub struct Start {
    identity: Identity,
    stage: Stage,
    to_ask: VecDeque<Command>,
    asked: Option<Command>,
    pin: Option<Pin>,
    pin_noted: bool,
    sim_tries: u8,
    pause: bool,
    refused: Vec<String>,
    /// How often it refused the plainest question.
    at_refused: usize,
    failed: Option<NotReady>,
}

impl Start {
    /// Begins, with the PIN where there is one.
    #[must_use]
    pub fn new(pin: Option<Pin>) -> Self {
        let greeting = std::iter::repeat_n("AT", GREETINGS).chain(["ATE0", "ATV1", "AT+CMEE=1"]).map(Command::new);
        Self {
            identity: Identity::default(),
            stage: Stage::Greeting,
            to_ask: greeting.collect(),
            asked: None,
            pin,
            pin_noted: false,
            sim_tries: 0,
            pause: false,
            refused: Vec::new(),
            at_refused: 0,
            failed: None,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The commands that it did not take: what they are for cannot be had from it.
    #[must_use]
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    /// What to do.
    pub fn step(&mut self) -> Next {
        if let Some(why) = &self.failed {
            return Next::Failed(why.clone());
        }
        if std::mem::take(&mut self.pause) {
            return Next::Wait(Duration::from_secs(1));
        }
        while self.to_ask.is_empty() {
            match self.stage {
                Stage::Greeting => {
                    self.stage = Stage::Asking;
                    self.to_ask.extend(Dialect::questions());
                }
                Stage::Asking => self.stage = Stage::Sim,
                Stage::Sim => self.to_ask.push_back(Command::new("AT+CPIN?").answered_by("+CPIN")),
                Stage::Unlocked => match (&self.pin, self.pin_noted) {
                    (_, false) => {
                        self.pin_noted = true;
                        return Next::NotePin;
                    }
                    (Some(pin), true) => self.to_ask.push_back(Command::new(format!("AT+CPIN=\"{}\"", pin.code))),
                    (None, true) => return self.fail(NotReady::PinWanted),
                },
                Stage::Setting => return Next::Ready,
            }
        }
        self.asked = self.to_ask.pop_front();
        self.asked.clone().map_or(Next::Ready, Next::Ask)
    }

    /// The answer to the command before; `None` if none came.
    pub fn answered(&mut self, answer: Option<&Answer>) {
        let Some(command) = self.asked.take() else { return };
        match (self.stage, answer) {
            // A modem that does not know echo or error numbers is still a modem; one that is silent is a matter of recovery.
            (Stage::Greeting, Some(answer)) => {
                self.at_refused += usize::from(command.text == "AT" && !answer.is_ok());
                if self.at_refused == GREETINGS {
                    let _ = self.fail(NotReady::NoModem);
                }
                self.note_refused(&command, answer);
            }
            (Stage::Asking, Some(answer)) => self.identity.note(&command.text, answer.first()),
            (Stage::Sim, Some(answer)) => self.sim(answer),
            (Stage::Unlocked, Some(answer)) => {
                if answer.is_ok() {
                    self.stage = Stage::Sim;
                    self.pause = true;
                    // A second time would be a second try.
                    self.pin = self.pin.take().map(|pin| Pin { tried: true, ..pin });
                } else {
                    let _ = self.fail(NotReady::PinRefused);
                }
            }
            (Stage::Setting, Some(answer)) => self.note_refused(&command, answer),
            (Stage::Unlocked, None) => {
                let _ = self.fail(NotReady::PinRefused);
            }
            (Stage::Sim, None) => self.try_sim_again("no answer"),
            (_, None) => self.refused.push(command.text),
        }
    }

    fn note_refused(&mut self, command: &Command, answer: &Answer) {
        if !answer.is_ok() {
            self.refused.push(command.text.clone());
        }
    }

    fn fail(&mut self, why: NotReady) -> Next {
        self.failed = Some(why.clone());
        Next::Failed(why)
    }

    fn sim(&mut self, answer: &Answer) {
        let state = values(answer.first()).into_iter().next().unwrap_or_default();
        match (&answer.result, state.as_str()) {
            (Final::Ok, "READY") => {
                self.stage = Stage::Setting;
                self.to_ask.extend(settings(self.identity.dialect()));
            }
            (Final::Ok, "SIM PIN") => match &self.pin {
                None => {
                    let _ = self.fail(NotReady::PinWanted);
                }
                // Right after a PIN was taken some say this once more.
                Some(pin) if pin.tried && self.pin_noted => self.try_sim_again("SIM PIN"),
                Some(pin) if pin.tried => {
                    let _ = self.fail(NotReady::PinRefused);
                }
                Some(_) => self.stage = Stage::Unlocked,
            },
            (Final::Ok, state) if state.contains("PUK") => {
                let _ = self.fail(NotReady::PukWanted);
            }
            (Final::Cme(refusal), _) => match refusal.code {
                Some(11) => {
                    let why = if self.pin.is_some() { NotReady::PinRefused } else { NotReady::PinWanted };
                    let _ = self.fail(why);
                }
                Some(12) => {
                    let _ = self.fail(NotReady::PukWanted);
                }
                // 14 is "busy": it is being read.
                _ => self.try_sim_again(&answer.result.to_words()),
            },
            // A modem without this question has no lock that could be asked for.
            (Final::Error, _) if self.sim_tries + 1 >= SIM_TRIES => {
                self.stage = Stage::Setting;
                self.to_ask.extend(settings(self.identity.dialect()));
            }
            _ => self.try_sim_again(&answer.result.to_words()),
        }
    }

    fn try_sim_again(&mut self, why: &str) {
        self.sim_tries += 1;
        self.pause = true;
        if self.sim_tries >= SIM_TRIES {
            let _ = self.fail(NotReady::NoSim(why.to_owned()));
        }
    }
}

/// Everything that is set once the SIM is open. Each of them may be refused.
fn settings(dialect: Dialect) -> Vec<Command> {
    let common = [
        "AT+CREG=1",
        "AT+CEREG=1",
        "AT+COPS=3,0",
        "AT+CLIP=1",
        // Not 1: on SIM800 a dial would then be answered only when somebody picks up, and the port would be deaf until then.
        "AT+COLP=0",
        "AT+CVHU=0",
        "AT+CSSN=1,1",
        "AT+CCWA=0,0,1",
        "AT+CMGF=0",
        "AT+CPMS=\"SM\",\"SM\",\"SM\"",
    ];
    let own = dialect.start().iter().copied();
    common
        .into_iter()
        .chain([dialect.message_news()])
        .chain(own)
        .map(|text| Command { prefix: None, ..Command::new(text) })
        .map(|command| {
            // These talk to the SIM or to the network.
            let slow = ["AT+CCWA", "AT+CPMS", "AT+COPS"].iter().any(|begin| command.text.starts_with(begin));
            if slow { command.within(Duration::from_secs(20)) } else { command }
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::modem::exchange::Refusal;

    fn ok(line: &str) -> Answer {
        Answer { lines: vec![line.to_owned()].into_iter().filter(|line| !line.is_empty()).collect(), result: Final::Ok }
    }

    fn cme(code: u16) -> Answer {
        Answer { lines: Vec::new(), result: Final::Cme(Refusal { code: Some(code), text: code.to_string() }) }
    }

    /// Plays a modem until the talk is over: what was sent, and how it ended.
    fn play(start: &mut Start, modem: impl Fn(&str, usize) -> Answer) -> (Vec<String>, Next) {
        let mut sent = Vec::new();
        for _ in 0..200 {
            match start.step() {
                Next::Ask(command) => {
                    let before = sent.iter().filter(|text| **text == command.text).count();
                    let answer = modem(&command.text, before);
                    sent.push(command.text);
                    start.answered(Some(&answer));
                }
                Next::NotePin => sent.push("(noted)".to_owned()),
                Next::Wait(_) => {}
                end => return (sent, end),
            }
        }
        panic!("no end: {sent:?}")
    }

    #[test]
    fn what_does_not_even_take_the_plainest_question_is_no_modem() {
        let refuses = |times: usize| {
            let mut start = Start::new(None);
            let (_, end) = play(&mut start, |text, before| match text {
                "AT" if before < times => Answer { lines: Vec::new(), result: Final::Error },
                "AT+CPIN?" => ok("+CPIN: READY"),
                _ => ok(""),
            });
            end
        };
        assert_eq!(refuses(2), Next::Ready, "something was on the line before");
        assert_eq!(refuses(3), Next::Failed(NotReady::NoModem));
    }

    #[test]
    fn what_is_refused_is_skipped() {
        let mut start = Start::new(None);
        let (sent, end) = play(&mut start, |text, _| match text {
            "AT+CGMI" => ok("Quectel"),
            "AT+CGMM" => ok("EC25"),
            "AT+CPIN?" => ok("+CPIN: READY"),
            "AT+CVHU=0" | "AT+CEREG=1" => cme(3),
            _ => ok(""),
        });
        assert_eq!(end, Next::Ready);
        assert_eq!(start.refused(), ["AT+CEREG=1", "AT+CVHU=0"]);
        assert_eq!(start.identity().dialect(), Dialect::Quectel);
        for wanted in ["AT+COLP=0", "AT^DSCI=1", "AT+CNMI=2,1,0,2,0", "AT+CMGF=0"] {
            assert!(sent.iter().any(|text| text == wanted), "{wanted}: {sent:?}");
        }
        assert!(!sent.iter().any(|text| text == "ATZ" || text == "AT+COLP=1"));
    }

    #[test]
    fn a_pin_is_written_down_and_tried_once() {
        let pin = Pin { code: "1234".into(), tried: false };
        let mut start = Start::new(Some(pin.clone()));
        let (sent, end) = play(&mut start, |text, before| match (text, before) {
            ("AT+CPIN?", 0) => ok("+CPIN: SIM PIN"),
            ("AT+CPIN?", 1) => cme(14),
            ("AT+CPIN?", _) => ok("+CPIN: READY"),
            _ => ok(""),
        });
        assert_eq!(end, Next::Ready);
        let at = sent.iter().position(|text| text == "AT+CPIN=\"1234\"");
        assert_eq!(at.and_then(|at| sent.get(at - 1)).map(String::as_str), Some("(noted)"));
        for refusing in [cme(16), Answer { lines: Vec::new(), result: Final::Error }] {
            let mut start = Start::new(Some(pin.clone()));
            let (sent, end) = play(&mut start, |text, _| match text {
                "AT+CPIN?" => ok("+CPIN: SIM PIN"),
                text if text.starts_with("AT+CPIN=") => refusing.clone(),
                _ => ok(""),
            });
            assert_eq!(end, Next::Failed(NotReady::PinRefused));
            assert_eq!(sent.iter().filter(|text| text.starts_with("AT+CPIN=")).count(), 1);
        }
        // A modem that takes it and asks again all the same.
        let mut start = Start::new(Some(pin));
        let (sent, end) = play(&mut start, |text, _| if text == "AT+CPIN?" { ok("+CPIN: SIM PIN") } else { ok("") });
        assert!(matches!(end, Next::Failed(NotReady::NoSim(_))), "{end:?}");
        assert_eq!(sent.iter().filter(|text| text.starts_with("AT+CPIN=")).count(), 1);
    }

    #[test]
    fn a_pin_that_was_tried_before_is_never_sent() {
        for (pin, why) in [(None, NotReady::PinWanted), (Some(Pin { code: "1".into(), tried: true }), NotReady::PinRefused)] {
            let (sent, end) =
                play(&mut Start::new(pin), |text, _| if text == "AT+CPIN?" { ok("+CPIN: SIM PIN") } else { ok("") });
            assert_eq!(end, Next::Failed(why));
            assert!(!sent.iter().any(|text| text.starts_with("AT+CPIN=")));
        }
    }

    #[test]
    fn a_sim_that_is_missing_locked_or_slow() {
        let sim = |answer: Answer| {
            play(&mut Start::new(None), move |text, _| if text == "AT+CPIN?" { answer.clone() } else { ok("") }).1
        };
        assert_eq!(sim(ok("+CPIN: SIM PUK")), Next::Failed(NotReady::PukWanted));
        assert_eq!(sim(cme(12)), Next::Failed(NotReady::PukWanted));
        assert_eq!(sim(cme(11)), Next::Failed(NotReady::PinWanted));
        assert_eq!(sim(cme(10)), Next::Failed(NotReady::NoSim("cme 10".into())));
    }
}
