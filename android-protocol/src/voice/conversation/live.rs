//! What is wanted of a conversation while it runs: it is laid aside for that, and goes on afterwards.
//!
//! Whatever is played for a wish takes the place of what the script plays. When it is over, the script says its sentence again where it was
//! interrupted, and waits for a key anew where it waited. Keys keep their meaning meanwhile, unless they are being collected or the call is in a room.

use std::time::Duration;

use super::{Command, Conversation, Doing, Utterance};
use crate::live::{HUNG_UP, LiveWord};

/// The longest time for which keys are collected, or a voice is recorded.
pub const LONGEST_WISH: Duration = Duration::from_mins(10);

/// What is played for a wish waits no longer for a callee who holds the call: somebody waits for what becomes of it.
pub(super) const LONGEST_UNHEARD: Duration = Duration::from_secs(30);

/// Most keys that one wish collects.
pub const MOST_COLLECTED: usize = 64;

/// What somebody wants of a running call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Play what comes with it in place of what is playing.
    Play {
        /// So many times more.
        again: u32,
        /// The keys that end it.
        finish: String,
    },
    /// Play, collect and record nothing more; a script waits for a key then.
    Stop,
    /// Take keys for nothing but this.
    Collect {
        /// So many at most.
        most: usize,
        /// For so long at most, counted from when what is being played was; where `between` says more, until the first key.
        within: Duration,
        /// For so long at most after each key.
        between: Option<Duration>,
        /// The keys that count; all of them where it is not said.
        valid: Option<String>,
        /// The keys that end it.
        finish: String,
    },
    /// Record the callee; that it has begun is told as [`LiveWord::Playing`].
    Record {
        /// For so long at most.
        longest: Duration,
        /// The keys that end it; any key where it is not said.
        finish: Option<String>,
        /// After a tone.
        beep: bool,
    },
    /// Hear a room, and be heard there.
    Join {
        /// Its name.
        room: String,
        /// Hear only.
        mute: bool,
        /// Be heard only.
        deaf: bool,
    },
    /// Hear the room no longer.
    Leave,
    /// End the call: at once, or when this was said.
    Drop(Option<Utterance>),
}

/// Where a script goes on that was laid aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Back {
    /// With its sentence.
    Say,
    /// With the pause between two times.
    Pause,
    /// With waiting for a key.
    #[default]
    Wait,
    /// It had its result: the call ends, or stays.
    End,
    /// It was over, and the call stayed.
    Stay,
}

/// Keys that are being collected.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Collecting {
    ack: i64,
    most: usize,
    within: Duration,
    between: Option<Duration>,
    valid: Option<String>,
    finish: String,
    until: Duration,
    keys: String,
}

/// What of a conversation is not the script's.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    back: Back,
    collecting: Option<Collecting>,
    /// Which room it is in.
    room: Option<String>,
    /// How often what is played for a wish is played again.
    again: u32,
    /// The keys that end what is played or recorded for a wish.
    finish: Option<String>,
}

impl Conversation {
    /// When keys have been collected for long enough; the time does not run while something is played.
    pub(super) fn collected_at(&self) -> Option<Duration> {
        let playing = matches!(self.doing, Doing::Aside { .. });
        self.aside.collecting.as_ref().filter(|_| !playing).map(|collecting| collecting.until)
    }

    pub(super) fn wish(&mut self, at: Duration, ack: i64, wish: Wish) {
        match wish {
            Wish::Play { again, finish } => {
                if self.lay_aside(at, ack) {
                    self.doing = Doing::Aside { ack };
                    (self.aside.again, self.aside.finish) = (again, Some(finish));
                    self.commands.push(Command::PlayWished { ack, again: again > 0 });
                    self.tell(ack, LiveWord::Playing, None);
                }
            }
            Wish::Stop => {
                self.tell_collected();
                match self.doing {
                    Doing::Taping { ack, .. } => {
                        self.commands.push(Command::KeepRecording(ack));
                        self.doing = Doing::Held;
                    }
                    Doing::Announcing { ack, .. } => {
                        self.commands.push(Command::Stop);
                        self.tell(ack, LiveWord::Stopped, None);
                        self.doing = Doing::Held;
                    }
                    _ => {}
                }
                if self.lay_aside(at, ack) {
                    self.tell(ack, LiveWord::Stopped, None);
                    self.wait_afterwards();
                    self.go_on(at);
                }
            }
            Wish::Collect { most, within, between, valid, finish } => {
                let within = within.min(LONGEST_WISH);
                let (most, between) = (most.clamp(1, MOST_COLLECTED), between.map(|between| between.min(LONGEST_WISH)));
                let until = at + within;
                self.collect(at, Collecting { ack, most, within, between, valid, finish, until, keys: String::new() });
            }
            Wish::Record { longest, finish, beep } => {
                // One recording at a time, and one meaning of a key at a time.
                if self.whole.is_some() || self.is_full() || self.aside.collecting.is_some() {
                    self.busy(ack);
                } else if self.lay_aside(at, ack) {
                    let longest = longest.min(LONGEST_WISH);
                    self.aside.finish = finish;
                    if beep {
                        self.doing = Doing::Announcing { ack, longest };
                        self.commands.push(Command::Play(vec![Utterance::Beep]));
                    } else {
                        self.announced(at, ack, longest);
                    }
                }
            }
            Wish::Join { room, mute, deaf } => {
                // Where it is already, only who hears whom changes.
                let is_there = self.aside.room.as_ref() == Some(&room);
                if is_there || self.lay_aside(at, ack) {
                    if !is_there {
                        self.wait_afterwards();
                    }
                    self.aside.room = Some(room.clone());
                    self.commands.push(Command::Enter { room: room.clone(), mute, deaf });
                    self.tell(ack, LiveWord::Joined, Some(room));
                }
            }
            Wish::Leave => {
                if self.aside.room.take().is_some() {
                    self.commands.push(Command::Leave);
                }
                self.tell(ack, LiveWord::Left, None);
                if self.doing == Doing::Held {
                    self.go_on(at);
                }
            }
            Wish::Drop(None) => self.hang_up(at),
            Wish::Drop(Some(say)) => {
                self.stopped_playing(at);
                if self.records() {
                    self.commands.push(Command::EndRecording);
                }
                self.close_wishes();
                // These are the last words.
                self.stay = false;
                self.doing = Doing::Thanking;
                self.commands.push(Command::Play(vec![say]));
            }
        }
    }

    /// Takes the line from the script, and from a wish that is being played; not from a recording, which would hold what is played now.
    fn lay_aside(&mut self, at: Duration, ack: i64) -> bool {
        self.aside.back = match self.doing {
            Doing::Over | Doing::Beeping | Doing::Recording { .. } | Doing::Announcing { .. } | Doing::Taping { .. } => {
                self.busy(ack);
                return false;
            }
            Doing::Opening { .. } | Doing::Greeting { .. } => Back::Say,
            Doing::Speaking => {
                // It was not heard to its end, so it does not count.
                self.said = self.said.saturating_sub(1);
                Back::Say
            }
            Doing::Waiting { last: false, .. } => Back::Pause,
            Doing::Waiting { last: true, .. } | Doing::Correcting => Back::Wait,
            Doing::Thanking => Back::End,
            Doing::Staying => Back::Stay,
            Doing::Aside { .. } | Doing::Held => self.aside.back,
        };
        if self.doing == Doing::Thanking {
            self.commands.push(Command::Stop);
        }
        self.interrupt(at);
        self.doing = Doing::Held;
        true
    }

    fn wait_afterwards(&mut self) {
        if !matches!(self.aside.back, Back::End | Back::Stay) {
            self.aside.back = Back::Wait;
        }
    }

    /// The script has the line again, unless something else still holds it.
    fn go_on(&mut self, at: Duration) {
        // What held it so far is over, also if the call ends now.
        self.doing = Doing::Held;
        if self.aside.room.is_some() || self.aside.collecting.is_some() {
            return;
        }
        match std::mem::take(&mut self.aside.back) {
            Back::Say => self.say(at),
            Back::Pause => self.doing = Doing::Waiting { until: at + self.state().pause, last: false },
            Back::Wait => self.wait_for_key(at),
            Back::End => self.end(at),
            Back::Stay => self.doing = Doing::Staying,
        }
    }

    /// What was played for a wish is over, for this time.
    pub(super) fn aside_played(&mut self, at: Duration, ack: i64) {
        if let Some(left) = self.aside.again.checked_sub(1) {
            self.aside.again = left;
            return self.commands.push(Command::PlayWished { ack, again: left > 0 });
        }
        self.tell(ack, LiveWord::Played, None);
        if let Some(collecting) = &mut self.aside.collecting {
            collecting.until = at + collecting.within;
        }
        self.go_on(at);
    }

    /// The callee holds the call, for so long by now: nobody hears what is played.
    pub(super) fn wish_unheard(&mut self, at: Duration, unheard: Duration) {
        let (Doing::Aside { ack } | Doing::Announcing { ack, .. }) = self.doing else { return };
        if self.aside.back == Back::End && !self.stay && self.aside.room.is_none() && self.aside.collecting.is_none() {
            // It was to be the last that is said.
            return self.hang_up(at);
        }
        if unheard < LONGEST_UNHEARD {
            return;
        }
        self.commands.push(Command::Stop);
        self.tell(ack, LiveWord::Error, Some("too_late".to_owned()));
        if let Some(collecting) = &mut self.aside.collecting {
            collecting.until = at + collecting.within;
        }
        self.go_on(at);
    }

    fn collect(&mut self, at: Duration, collecting: Collecting) {
        let prompt = matches!(self.doing, Doing::Aside { .. });
        // Who asks while the question is still being said does not want it cut off.
        if !prompt && !self.lay_aside(at, collecting.ack) {
            return;
        }
        self.wait_afterwards();
        self.tell_collected();
        self.aside.collecting = Some(collecting);
    }

    fn tell_collected(&mut self) {
        if let Some(collecting) = self.aside.collecting.take() {
            self.tell(collecting.ack, LiveWord::Collected, Some(collecting.keys));
        }
    }

    /// The time for keys is over, or there are enough.
    pub(super) fn collected(&mut self, at: Duration) {
        self.tell_collected();
        if self.doing == Doing::Held {
            self.go_on(at);
        }
    }

    /// Whether a key was meant for a wish, and not for the script.
    pub(super) fn key_for_wish(&mut self, at: Duration, key: char) -> bool {
        if self.aside.collecting.is_some() {
            self.key_collected(at, key);
            return true;
        }
        let finishes = self.aside.finish.as_ref().map(|finish| finish.contains(key));
        match self.doing {
            Doing::Taping { ack, .. } => {
                let named = if finishes == Some(true) { ack } else { 0 };
                self.tell_key(key, named);
                // Where nobody has said which, any key ends it.
                if finishes != Some(false) {
                    self.taped(at, ack);
                }
                true
            }
            Doing::Aside { ack } if finishes == Some(true) => {
                self.tell_key(key, ack);
                self.interrupt(at);
                self.go_on(at);
                true
            }
            // The script had its result already.
            Doing::Aside { .. } | Doing::Announcing { .. } if self.aside.back == Back::End && !self.stay => true,
            Doing::Aside { .. } | Doing::Announcing { .. } => {
                // Only a key that means something cuts off what is said.
                let state = self.state();
                let may_mean = self.aside.room.is_none() && self.aside.back != Back::End;
                let means = may_mean && (state.keys.contains_key(&key) || state.otherwise.is_some());
                if !means {
                    self.tell_key(key, 0);
                }
                !means
            }
            Doing::Held => {
                self.tell_key(key, 0);
                true
            }
            _ => false,
        }
    }

    /// Keys are being collected, and one was pressed.
    fn key_collected(&mut self, at: Duration, key: char) {
        let Some(collecting) = &mut self.aside.collecting else { return };
        let finishes = collecting.finish.contains(key);
        let counts = finishes || collecting.valid.as_ref().is_none_or(|valid| valid.contains(key));
        // The question is cut off by a key that counts, or that ends it itself.
        let asking = if let Doing::Aside { ack } = self.doing { Some(ack) } else { None };
        let ends_question = asking.filter(|_| !counts && self.aside.finish.as_ref().is_some_and(|finish| finish.contains(key)));
        if !counts && ends_question.is_none() {
            return;
        }
        if counts {
            collecting.keys.push(key);
        }
        match collecting.between.filter(|_| counts) {
            Some(between) => collecting.until = at + between,
            None if asking.is_some() => collecting.until = at + collecting.within,
            None => {}
        }
        let (ack, enough) = (collecting.ack, finishes || collecting.keys.len() >= collecting.most);
        if let Some(ack) = ends_question {
            self.tell(ack, LiveWord::Key, Some(key.to_string()));
        }
        if asking.is_some() {
            self.interrupt(at);
            self.doing = Doing::Held;
        }
        if finishes {
            self.tell(ack, LiveWord::Key, Some(key.to_string()));
        }
        if enough {
            self.collected(at);
        }
    }

    /// The tone was heard.
    pub(super) fn announced(&mut self, at: Duration, ack: i64, longest: Duration) {
        self.doing = Doing::Taping { ack, until: at + longest };
        self.recordings += 1;
        self.commands.push(Command::Record);
        self.tell(ack, LiveWord::Playing, None);
    }

    /// Enough was recorded for a wish.
    pub(super) fn taped(&mut self, at: Duration, ack: i64) {
        self.commands.push(Command::KeepRecording(ack));
        self.go_on(at);
    }

    /// The call ends: whoever still waits for something is told how that went.
    pub(super) fn close_wishes(&mut self) {
        match self.doing {
            Doing::Aside { ack } => self.tell(ack, LiveWord::Stopped, None),
            Doing::Announcing { ack, .. } => self.tell(ack, LiveWord::Error, Some("too_late".to_owned())),
            Doing::Taping { ack, .. } => self.commands.push(Command::KeepRecording(ack)),
            _ => {}
        }
        if let Some(collecting) = self.aside.collecting.take() {
            self.tell(collecting.ack, LiveWord::Error, Some(HUNG_UP.to_owned()));
        }
        if self.aside.room.take().is_some() {
            self.commands.push(Command::Leave);
        }
    }

    /// Whether one more recording may be made in this call, which is begun then: of the room that it is in.
    pub fn may_record(&mut self) -> bool {
        let may = !self.is_full();
        self.recordings += usize::from(may);
        may
    }

    pub(super) fn tell_key(&mut self, key: char, ack: i64) {
        self.commands.push(Command::Key { key, ack, action: None });
    }

    fn busy(&mut self, ack: i64) {
        self.tell(ack, LiveWord::Error, Some("busy".to_owned()));
    }

    pub(super) fn tell(&mut self, ack: i64, word: LiveWord, value: Option<String>) {
        self.commands.push(Command::Tell { ack, word, value });
    }
}
