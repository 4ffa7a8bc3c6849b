//! Runs a [`Script`]: what happened on the line goes in with its time, what to do comes out.
//!
//! A script without a menu is a menu of one state. Time is that since the answer. Whoever carries out the commands says [`Input::Played`] when
//! everything of the last [`Command::Play`] was heard, and [`Input::Tick`] no later than [`Conversation::wake`].
//!
//! What somebody wants of it while it runs: [`Input::Wish`].

mod live;

use std::{collections::BTreeMap, time::Duration};

use self::live::Aside;
pub use self::live::{LONGEST_WISH, MOST_COLLECTED, Wish};
use super::{
    detector::{Times, Verdict},
    script::{MOST_STATES, MachineRule, MenuState, RecordRule, START, Script, Utterance, utterance},
};
use crate::live::LiveWord;

/// The first words wait so long after the answer, because networks often lose the first frames.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long a call lasts at most where the script does not say.
pub const DEFAULT_LONGEST: Duration = Duration::from_mins(3);

/// No call lasts longer, whatever a script says.
pub const LONGEST: Duration = Duration::from_mins(15);

/// The same of one with a menu, in which a message of ten minutes may be spoken, heard, and spoken anew.
pub const LONGEST_MENU: Duration = Duration::from_hours(1);

/// The same of one that stays, which others talk in.
pub const LONGEST_STAY: Duration = Duration::from_hours(4);

/// No more is recorded in a call: the server takes no more.
pub const MOST_RECORDINGS: usize = 4;

/// Most states entered and keys asked for again, so that no menu goes round for ever.
const MOST_STEPS: u32 = 200;

/// States that are entered within this time of each other go round in silence, if there are as many of them as a menu may have.
const AT_ONCE: Duration = Duration::from_millis(200);

/// At least so long is it silent between two times of a menu's state, where it waits for no key: else one is not told from the other.
const BETWEEN_TIMES: Duration = Duration::from_secs(1);

/// How often one state is asked again because of keys that mean nothing.
const MOST_AGAIN: u32 = 10;

/// Most keys that are kept for the report.
const MOST_KEYS: usize = 64;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time went by.
    Tick,
    /// What was to be played has been.
    Played,
    /// The callee pressed a key.
    Key(char),
    /// The detector has made up its mind.
    Machine(Verdict),
    /// The callee's side has been silent for so long.
    Quiet(Duration),
    /// Nothing has been sent for so long: the callee holds the call, and hears nothing of what is played.
    Unheard(Duration),
    /// The server answers a key with a sentence, which is ready to be played.
    Told(String),
    /// Somebody wants something, under this number; what came of it is told with [`Command::Tell`], once.
    Wish(i64, Wish),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Play this, in place of what is playing.
    Play(Vec<Utterance>),
    /// Play what the callee has recorded last by the script, in place of what is playing; where there is nothing, this, or nothing.
    Replay(Option<Utterance>),
    /// Play what came with a wish, in place of what is playing.
    PlayWished {
        /// The wish's number.
        ack: i64,
        /// Whether the same is played again afterwards.
        again: bool,
    },
    /// Play nothing any more.
    Stop,
    /// Tell the server at once.
    Key {
        /// Which key.
        key: char,
        /// The number of the wish that it has ended; 0: of none.
        ack: i64,
        /// The word it stands for in the script, `go:` excepted.
        action: Option<String>,
    },
    /// Tell the server that a state of the menu was entered.
    State(String),
    /// Record what the callee says from now on.
    Record,
    /// Record no longer.
    EndRecording,
    /// Record no longer: it was wanted under this number, and is told when it is kept.
    KeepRecording(i64),
    /// Let the callee hear a room, and be heard there.
    Enter {
        /// Its name.
        room: String,
        /// Hear only.
        mute: bool,
        /// Be heard only.
        deaf: bool,
    },
    /// Out of the room.
    Leave,
    /// Tell what came of a wish.
    Tell {
        /// Its number.
        ack: i64,
        /// What.
        word: LiveWord,
        /// More about it.
        value: Option<String>,
    },
    /// End the call.
    HangUp,
}

/// What came of it, for the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The keys that were pressed, in order.
    pub keys: String,
    /// The action that ended the conversation.
    pub action: Option<String>,
    /// The detector's guess.
    pub machine: Option<Verdict>,
    /// How much of the message was played.
    pub heard: Duration,
    /// How often the message, which is what the script says first, was played to its end.
    pub heard_times: u64,
}

impl Outcome {
    /// Whether a person confirmed: `None` if one seems to have listened and said nothing by key.
    #[must_use]
    pub fn confirmed(&self) -> Option<bool> {
        match (self.action.as_deref(), self.machine) {
            (Some("accept" | "decline" | "stop_calling"), _) => Some(true),
            (_, Some(Verdict::Human)) => None,
            _ => Some(false),
        }
    }

    /// Whether the person said that somebody else should take it.
    #[must_use]
    pub fn declined(&self) -> bool {
        matches!(self.action.as_deref(), Some("decline" | "stop_calling"))
    }
}

/// Where a word of a script leads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// Into a state.
    Go(String),
    /// The conversation has its result.
    Final(String),
    /// From the beginning of this state.
    Repeat,
    /// The callee leaves a message.
    Record,
    /// The call ends without a result.
    End,
    /// A word of a later version: reported only.
    Unknown(String),
}

#[derive(Debug, Clone, Default)]
struct State {
    says: Option<Utterance>,
    /// Whether the callee's own message is played in place of that.
    replay: bool,
    keys: BTreeMap<char, Target>,
    times: u64,
    pause: Duration,
    /// After the last time.
    wait: Duration,
    otherwise: Option<Target>,
    silent: Option<Target>,
    record: Option<RecordRule>,
    /// Whether a message is recorded without a key.
    records_at_once: bool,
    /// Whether it is one of a menu.
    of_menu: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Nothing was said yet.
    Opening {
        until: Duration,
    },
    /// Waiting for the greeting of a machine to end.
    Greeting {
        until: Duration,
    },
    Speaking,
    /// Between two times, and after the last.
    Waiting {
        until: Duration,
        last: bool,
    },
    /// Saying that a key means nothing.
    Correcting,
    /// The tone before a message.
    Beeping,
    Recording {
        since: Duration,
        until: Duration,
    },
    Thanking,
    /// The script is over, and the call goes on in silence.
    Staying,
    /// Something is played for a wish.
    Aside {
        ack: i64,
    },
    /// Nothing is said: the call is in a room, or keys are collected.
    Held,
    /// The tone before a recording that is wished for.
    Announcing {
        ack: i64,
        longest: Duration,
    },
    /// That recording.
    Taping {
        ack: i64,
        until: Duration,
    },
    Over,
}

/// When the recording of a whole call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WholeCall {
    /// At the answer.
    FromAnswer,
    /// When everything was said once.
    FromSaid,
    /// It runs.
    Recorded,
}

impl WholeCall {
    fn of(script: &Script) -> Option<Self> {
        // One recording at a time, and such a call is made for the message.
        if script.states().any(|(_, state)| state.record.is_some()) {
            return None;
        }
        match script.record.as_ref()?.from.as_deref()? {
            "answer" => Some(Self::FromAnswer),
            // Whatever a later version may call it: nobody is recorded before they have heard of it.
            _ => Some(Self::FromSaid),
        }
    }
}

/// A running conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    states: BTreeMap<String, State>,
    name: String,
    thanks: BTreeMap<String, Utterance>,
    invalid: Option<Utterance>,
    rule: MachineRule,
    whole: Option<WholeCall>,
    longest: Duration,
    /// Whether the call goes on when the script is over.
    stay: bool,
    doing: Doing,
    /// How often the state was said, the running time included.
    said: u64,
    /// Most times, where the detector's guess allows fewer than the script.
    limit: Option<u64>,
    again: u32,
    steps: u32,
    /// When the last of them was, and how many there were at once.
    stepped: Option<Duration>,
    at_once: usize,
    /// How many recordings were begun.
    recordings: usize,
    /// What the callee's last key has decided, while that is still being said.
    decided: Option<String>,
    playing_since: Option<Duration>,
    aside: Aside,
    outcome: Outcome,
    commands: Vec<Command>,
}

fn ms(milliseconds: Option<u64>, default: u64) -> Duration {
    Duration::from_millis(milliseconds.unwrap_or(default).min(900_000))
}

fn s(seconds: Option<u64>, default: u64) -> Duration {
    Duration::from_secs(seconds.unwrap_or(default).min(900))
}

impl MachineRule {
    /// The detector's times; `None` if nobody asked for a guess.
    #[must_use]
    pub fn times(&self) -> Option<Times> {
        let usual = Times::default();
        let time = |milliseconds: Option<u64>, usual: Duration| milliseconds.map_or(usual, |_| ms(milliseconds, 0));
        (self.detect == Some(true)).then(|| Times {
            initial: time(self.initial, usual.initial),
            greeting: time(self.greeting, usual.greeting),
            after: time(self.after, usual.after),
            total: time(self.total, usual.total),
        })
    }
}

impl Conversation {
    /// A conversation by this script, at the moment of the answer.
    #[must_use]
    pub fn new(script: &Script) -> Self {
        let mut states: BTreeMap<String, State> = BTreeMap::new();
        let names: Vec<&String> = script.states().map(|(name, _)| name).collect();
        for (name, state) in script.states() {
            states.insert(name.clone(), State::of_menu(state, script, &names));
        }
        let most = if script.stay {
            LONGEST_STAY
        } else if states.is_empty() {
            LONGEST
        } else {
            LONGEST_MENU
        };
        if states.is_empty() {
            states.insert(START.to_owned(), State::of_script(script));
        }
        let rule = script.machine.clone().unwrap_or_default();
        let waits = rule.wait == Some(true) && rule.detect == Some(true);
        let opening = rule.times().filter(|_| waits).map_or(FIRST_PAUSE, |times| times.total + Duration::from_secs(1));
        Self {
            states,
            name: START.to_owned(),
            thanks: script
                .thanks
                .keys()
                .chain(script.thanks_play.keys())
                .filter_map(|action| Some((action.clone(), script.thanks_for(action)?)))
                .collect(),
            invalid: script.invalid_key(),
            rule,
            whole: WholeCall::of(script),
            longest: script.max_seconds.filter(|seconds| *seconds > 0).map_or(DEFAULT_LONGEST, Duration::from_secs).min(most),
            stay: script.stay,
            doing: Doing::Opening { until: opening },
            said: 0,
            limit: None,
            again: 0,
            steps: 0,
            stepped: None,
            at_once: 0,
            recordings: 0,
            decided: None,
            playing_since: None,
            aside: Aside::default(),
            outcome: Outcome::default(),
            commands: Vec::new(),
        }
    }

    /// When [`Input::Tick`] is needed at the latest.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        let next = match self.doing {
            Doing::Opening { until }
            | Doing::Greeting { until }
            | Doing::Waiting { until, .. }
            | Doing::Recording { until, .. }
            | Doing::Taping { until, .. } => until,
            Doing::Speaking
            | Doing::Correcting
            | Doing::Beeping
            | Doing::Thanking
            | Doing::Staying
            | Doing::Aside { .. }
            | Doing::Held
            | Doing::Announcing { .. } => self.longest,
            Doing::Over => return None,
        };
        Some(self.collected_at().unwrap_or(next).min(next).min(self.longest))
    }

    /// What came of it so far.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether a message is being recorded.
    #[must_use]
    pub fn records(&self) -> bool {
        matches!(self.doing, Doing::Recording { .. })
    }

    /// The call ended without us: what is left to do.
    pub fn line_is_gone(&mut self, at: Duration) -> Vec<Command> {
        if self.doing != Doing::Over {
            self.stopped_playing(at);
            self.close_wishes();
            self.decide();
            self.doing = Doing::Over;
        }
        std::mem::take(&mut self.commands)
    }

    /// Something happened.
    pub fn input(&mut self, at: Duration, input: Input) -> Vec<Command> {
        if self.doing != Doing::Over {
            if self.whole == Some(WholeCall::FromAnswer) {
                self.record_whole();
            }
            if at >= self.longest {
                self.hang_up(at);
            } else {
                self.step(at, input);
            }
        }
        std::mem::take(&mut self.commands)
    }

    fn record_whole(&mut self) {
        self.whole = Some(WholeCall::Recorded);
        self.commands.push(Command::Record);
    }

    fn state(&self) -> State {
        self.states.get(&self.name).cloned().unwrap_or_default()
    }

    fn step(&mut self, at: Duration, input: Input) {
        match (self.doing, input) {
            (_, Input::Key(key)) => self.key(at, key),
            (_, Input::Machine(verdict)) => self.machine(at, verdict),
            (_, Input::Wish(ack, wish)) => self.wish(at, ack, wish),
            (_, Input::Tick) if self.collected_at().is_some_and(|until| at >= until) => self.collected(at),
            (Doing::Aside { ack }, Input::Played) => self.aside_played(at, ack),
            (Doing::Announcing { ack, longest }, Input::Played) => self.announced(at, ack, longest),
            (Doing::Taping { ack, until }, Input::Tick) if at >= until => self.taped(at, ack),
            (Doing::Opening { until } | Doing::Greeting { until }, Input::Tick) if at >= until => self.say(at),
            (Doing::Greeting { .. }, Input::Quiet(quiet)) if quiet >= ms(self.rule.silence_ms, 2000) => self.say(at),
            (Doing::Waiting { until, last: false }, Input::Tick) if at >= until => self.say(at),
            (Doing::Waiting { until, last: true }, Input::Tick) if at >= until => match self.state().silent {
                Some(target) => self.follow(at, target),
                None => self.end(at),
            },
            (Doing::Speaking, Input::Played) => {
                self.stopped_playing(at);
                if self.name == START {
                    self.outcome.heard_times += 1;
                }
                if self.whole == Some(WholeCall::FromSaid) {
                    self.record_whole();
                }
                self.said_once(at);
            }
            (Doing::Correcting, Input::Played) if self.state().of_menu => self.say_again(at),
            // There the sentence asks for the right one.
            (Doing::Correcting, Input::Played) => self.wait_for_key(at),
            (Doing::Beeping, Input::Played) => self.record(at),
            (Doing::Recording { until, .. }, Input::Tick) if at >= until => self.recorded(at),
            (Doing::Recording { since, .. }, Input::Quiet(quiet)) => {
                let enough = ms(self.state().record.and_then(|rule| rule.silence_ms), 3000);
                if quiet >= enough && at.saturating_sub(since) >= enough {
                    self.recorded(at);
                }
            }
            (Doing::Thanking, Input::Played) => self.end(at),
            (_, Input::Unheard(unheard)) => self.unheard(at, unheard),
            (Doing::Thanking, Input::Told(text)) => self.commands.push(Command::Play(vec![Utterance::Text(text)])),
            _ => {}
        }
    }

    /// Says what the state says, for one more time.
    fn say(&mut self, at: Duration) {
        self.said += 1;
        let state = self.state();
        let command = match state.says {
            says if state.replay && self.recordings > 0 => Command::Replay(says),
            Some(says) => Command::Play(vec![says]),
            None => return self.said_once(at),
        };
        self.playing_since = Some(at);
        self.doing = Doing::Speaking;
        self.commands.push(command);
    }

    /// Says it once more, which is none of the times that it is to be said.
    fn say_again(&mut self, at: Duration) {
        self.said = self.said.saturating_sub(1);
        self.say(at);
    }

    fn said_once(&mut self, at: Duration) {
        let state = self.state();
        if state.records_at_once {
            self.begin_recording(at);
        } else if self.said < self.limit.unwrap_or(u64::MAX).min(state.times) {
            self.doing = Doing::Waiting { until: at + state.pause, last: false };
        } else {
            self.wait_for_key(at);
        }
    }

    fn wait_for_key(&mut self, at: Duration) {
        self.doing = Doing::Waiting { until: at + self.state().wait, last: true };
    }

    /// What the script says waits for somebody to hear it, as long as the call may last; the last words do not, and the call ends without them.
    fn unheard(&mut self, at: Duration, unheard: Duration) {
        if self.doing == Doing::Thanking {
            self.commands.extend(self.stay.then_some(Command::Stop));
            self.end(at);
        } else {
            self.wish_unheard(at, unheard);
        }
    }

    fn stopped_playing(&mut self, at: Duration) {
        if let Some(since) = self.playing_since.take() {
            self.outcome.heard += at.saturating_sub(since);
        }
    }

    /// Silences whatever plays, because something else comes now.
    fn interrupt(&mut self, at: Duration) {
        if matches!(
            self.doing,
            Doing::Speaking | Doing::Correcting | Doing::Beeping | Doing::Aside { .. } | Doing::Announcing { .. }
        ) {
            self.commands.push(Command::Stop);
        }
        if let Doing::Aside { ack } | Doing::Announcing { ack, .. } = self.doing {
            self.tell(ack, LiveWord::Stopped, None);
        }
        self.stopped_playing(at);
    }

    fn key(&mut self, at: Duration, key: char) {
        if self.outcome.keys.len() < MOST_KEYS {
            self.outcome.keys.push(key);
        }
        if self.key_for_wish(at, key) {
            return;
        }
        match self.doing {
            // The first word of a person stands.
            _ if self.stay && self.outcome.action.is_some() => return self.tell_key(key, 0),
            Doing::Thanking | Doing::Over => return,
            Doing::Recording { .. } => return self.recorded(at),
            _ => {}
        }
        self.at_once = 0;
        let state = self.state();
        // Where no more is recorded, a key for that means nothing.
        let target = state.keys.get(&key).filter(|target| !(self.is_full() && self.leads_to_recording(target))).cloned();
        let action = match &target {
            Some(Target::Final(word) | Target::Unknown(word)) => Some(word.clone()),
            Some(Target::Repeat) => Some("repeat".to_owned()),
            Some(Target::Record) => Some("record".to_owned()),
            Some(Target::Go(_) | Target::End) | None => None,
        };
        self.commands.push(Command::Key { key, ack: 0, action });
        match target.or(state.otherwise) {
            Some(Target::Unknown(_)) => {}
            Some(target) => {
                self.interrupt(at);
                if self.rule.on_human.as_deref() == Some("once") {
                    // Whoever presses a key is a person, whatever the guess is.
                    self.limit = Some(1);
                }
                let decided = self.decided_by(&target);
                self.follow(at, target);
                self.decided = decided;
            }
            // Nothing is asked: a key is only reported.
            None if state.keys.is_empty() => {}
            None => self.ask_again(at),
        }
    }

    fn ask_again(&mut self, at: Duration) {
        self.again += 1;
        if self.again > MOST_AGAIN {
            return;
        }
        self.interrupt(at);
        match self.invalid.clone() {
            Some(says) => {
                self.doing = Doing::Correcting;
                self.commands.push(Command::Play(vec![says]));
            }
            None if self.state().of_menu => self.say_again(at),
            None => self.say(at),
        }
    }

    /// What a key has decided that leads to a state which asks nothing more, and only says what it ends with: whoever hangs up then has heard
    /// enough.
    fn decided_by(&self, target: &Target) -> Option<String> {
        let Target::Go(name) = target else { return None };
        let state = self.states.get(name).filter(|state| state.keys.is_empty() && !state.records_at_once)?;
        match (&state.otherwise, &state.silent) {
            (None, Some(Target::Final(word))) => Some(word.clone()),
            _ => None,
        }
    }

    /// The call ends: what was decided stands, if it had no result yet.
    fn decide(&mut self) {
        let decided = self.decided.take();
        self.outcome.action = self.outcome.action.take().or(decided);
    }

    fn follow(&mut self, at: Duration, target: Target) {
        self.steps += 1;
        let soon = self.stepped.replace(at).is_some_and(|before| at.saturating_sub(before) < AT_ONCE);
        self.at_once = if soon { self.at_once + 1 } else { 0 };
        self.decided = None;
        if self.steps > MOST_STEPS || self.at_once > MOST_STATES {
            return self.end(at);
        }
        match target {
            Target::Go(name) => {
                self.name.clone_from(&name);
                (self.said, self.again) = (0, 0);
                self.commands.push(Command::State(name));
                self.say(at);
            }
            Target::Repeat => {
                self.said = self.said.saturating_sub(1);
                self.again += 1;
                if self.again > MOST_AGAIN { self.wait_for_key(at) } else { self.say(at) }
            }
            Target::Record => self.begin_recording(at),
            Target::Final(word) => {
                let thanks = self.thanks.get(&word).cloned();
                self.outcome.action = Some(word);
                match thanks {
                    Some(says) => {
                        self.doing = Doing::Thanking;
                        self.commands.push(Command::Play(vec![says]));
                    }
                    None => self.end(at),
                }
            }
            Target::End => self.hang_up(at),
            // Not a person's key, so nothing to report either: the conversation goes on waiting for one.
            Target::Unknown(_) => self.end(at),
        }
    }

    /// Whether no more is recorded in this call. What was recorded last stands then.
    fn is_full(&self) -> bool {
        self.recordings >= MOST_RECORDINGS
    }

    fn leads_to_recording(&self, target: &Target) -> bool {
        match target {
            Target::Record => true,
            Target::Go(name) => self.states.get(name).is_some_and(|state| state.records_at_once),
            _ => false,
        }
    }

    fn begin_recording(&mut self, at: Duration) {
        if self.whole.is_some() {
            // The call is recorded as a whole.
            return self.wait_for_key(at);
        }
        if self.is_full() {
            return self.after_recording(at);
        }
        if self.state().record.is_some_and(|rule| rule.beep == Some(false)) {
            self.record(at);
        } else {
            self.doing = Doing::Beeping;
            self.commands.push(Command::Play(vec![Utterance::Beep]));
        }
    }

    fn record(&mut self, at: Duration) {
        let longest = s(self.state().record.and_then(|rule| rule.max_seconds), 60);
        self.doing = Doing::Recording { since: at, until: at + longest };
        self.recordings += 1;
        self.commands.push(Command::Record);
    }

    fn recorded(&mut self, at: Duration) {
        self.commands.push(Command::EndRecording);
        self.after_recording(at);
    }

    fn after_recording(&mut self, at: Duration) {
        // The recording is over, also if the call ends now.
        self.doing = Doing::Waiting { until: at, last: true };
        let state = self.state();
        match state.record.as_ref().and_then(|rule| rule.then.as_deref()) {
            Some(word) => {
                let names: Vec<&String> = self.states.keys().collect();
                let target = Target::of(word, &names);
                self.follow(at, target);
            }
            None if state.records_at_once => self.end(at),
            None => self.wait_for_key(at),
        }
    }

    fn machine(&mut self, at: Duration, verdict: Verdict) {
        self.outcome.machine = Some(verdict);
        let word = match verdict {
            Verdict::Human => self.rule.on_human.as_deref(),
            Verdict::Machine => Some(self.rule.on_machine.as_deref().unwrap_or("say_once")),
            Verdict::Unknown => self.rule.on_unknown.as_deref(),
        };
        match word {
            Some("once" | "say_once" | "after_silence") => self.limit = Some(1),
            Some("twice") => self.limit = Some(2),
            _ => {}
        }
        match self.doing {
            Doing::Opening { .. } if word == Some("after_silence") => {
                self.doing = Doing::Greeting { until: at + ms(self.rule.silence_max_ms, 60_000) };
            }
            Doing::Opening { .. } => self.say(at),
            // Enough was said already.
            Doing::Waiting { last: false, .. } if self.limit.is_some_and(|limit| self.said >= limit) => self.wait_for_key(at),
            _ => {}
        }
    }

    /// The script is over: so is the call, unless it stays.
    fn end(&mut self, at: Duration) {
        if !self.stay {
            return self.hang_up(at);
        }
        self.stopped_playing(at);
        self.decide();
        self.doing = Doing::Staying;
    }

    fn hang_up(&mut self, at: Duration) {
        self.stopped_playing(at);
        self.close_wishes();
        if self.records() || self.whole == Some(WholeCall::Recorded) {
            self.commands.push(Command::EndRecording);
        }
        self.decide();
        self.doing = Doing::Over;
        self.commands.push(Command::HangUp);
    }
}

impl Target {
    fn of(word: &str, states: &[&String]) -> Self {
        match word {
            "accept" | "decline" | "stop_calling" => Self::Final(word.to_owned()),
            "repeat" => Self::Repeat,
            "record" => Self::Record,
            "end" | "hang_up" => Self::End,
            _ => match word.strip_prefix("go:") {
                Some(name) if states.iter().any(|state| *state == name) => Self::Go(name.to_owned()),
                _ => Self::Unknown(word.to_owned()),
            },
        }
    }
}

/// The keys that are keys.
fn keys(keys: &BTreeMap<String, String>, states: &[&String]) -> BTreeMap<char, Target> {
    let one = |(key, word): (&String, &String)| {
        let mut letters = key.trim().chars();
        let key = letters.next().filter(|_| letters.next().is_none())?;
        Some((key.to_ascii_uppercase(), Target::of(word.trim(), states)))
    };
    keys.iter().filter_map(one).collect()
}

impl State {
    fn of_script(script: &Script) -> Self {
        let mut all = keys(&script.keys, &[]);
        let message = script.record.clone().filter(|rule| rule.from.is_none());
        if let Some(key) = message.as_ref().and_then(|rule| rule.key.as_deref()).and_then(|key| key.trim().chars().next()) {
            all.entry(key).or_insert(Target::Record);
        }
        // Without a question nobody has to be waited for.
        let wait = if all.is_empty() { Duration::from_secs(1) } else { s(script.key_wait_seconds, 15) };
        Self {
            says: utterance(script.say.as_ref(), script.play.as_ref()),
            times: script.repeat.unwrap_or(1).clamp(1, 20),
            pause: ms(script.pause_ms, 3000),
            wait,
            keys: all,
            record: message,
            ..Self::default()
        }
    }

    fn of_menu(state: &MenuState, script: &Script, states: &[&String]) -> Self {
        let wait = s(state.seconds, if state.keys.is_empty() { 0 } else { 10 });
        Self {
            says: utterance(state.say.as_ref(), state.play.as_ref()),
            replay: state.replay == Some(true),
            keys: keys(&state.keys, states),
            times: state.times.unwrap_or(1).clamp(1, 20),
            pause: if state.keys.is_empty() { ms(script.pause_ms, 3000) } else { wait.max(BETWEEN_TIMES) },
            wait,
            otherwise: state.otherwise.as_deref().map(|word| Target::of(word, states)),
            silent: state.silent.as_deref().map(|word| Target::of(word, states)),
            record: state.record.clone(),
            records_at_once: state.record.is_some(),
            of_menu: true,
        }
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
