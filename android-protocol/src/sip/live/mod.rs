//! The live connection: while calls run, commands for them come in and what becomes of them goes out.
//!
//! One question waits at the server as long as a call runs that was offered with `live`. A command finds its call by the mid and the number; what is
//! for no call, or for one that is over, is told as that and starts nothing. The commands of a call are carried out one after the other, except
//! `drop`, which overtakes them. [`events`] keeps what happened until the server has it.

pub mod events;
mod line;
pub mod rooms;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

pub use self::line::Line;
use self::{
    events::{Events, Told},
    line::judge,
};
use super::{
    call::{Control, RoomOrder, pcm},
    server::Server,
    sound::{
        Pcm,
        clips::Clips,
        seat::{House, Manner},
        speech::{Speaker, language_of},
    },
};
use crate::{
    live::{COMMAND_LIVES_SECONDS, LiveCommand, LiveEvent, LiveOrder, LivePart, LiveWord, MOST_PARTS},
    voice::{
        conversation::{MOST_COLLECTED, Wish},
        pcm as sound,
        room::{By, RoomNews},
        script::{Clip, Script},
    },
};

/// How long the server may hold the question.
pub const WAIT: Duration = Duration::from_secs(30);

/// After a question that failed, and between two that were answered at once with nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after one that failed: where there was no answer, and where it was refused.
const PAUSE_MOST: Duration = Duration::from_secs(5);
const REFUSED_MOST: Duration = Duration::from_mins(1);

/// How many commands of one call may wait.
const MOST_WAITING: usize = 32;

/// How many mids of calls that are over are known by name.
const REMEMBERED: usize = 100;

/// A recording that is to be played is not waited for longer: a command of half a minute ago is of no use.
const CLIP_WITHIN: Duration = Duration::from_secs(10);

/// No more is played for one command, its repetitions not counted: an hour.
const MOST_SAMPLES: usize = 3600 * 8000;

/// A sentence before hanging up is not waited for longer.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(3);

/// The usual limits of what a command leaves open.
const USUAL_COLLECT: Duration = Duration::from_secs(10);
const USUAL_RECORD: Duration = Duration::from_mins(1);

/// No name of a room is longer.
const LONGEST_ROOM: usize = 64;

/// The calls of this handset, as commands find them. Clones are the same ones.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    calls: Mutex<Calls>,
    /// How many calls run that commands may come for.
    count: watch::Sender<usize>,
    events: Events,
    house: House,
    server: Server,
    speaker: Speaker,
    clips: Clips,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct Calls {
    running: BTreeMap<String, Arc<Line>>,
    over: VecDeque<String>,
}

/// A hand-out, or a call that came in, for as long as this is held.
pub struct Entered {
    live: Live,
    line: Arc<Line>,
}

impl std::ops::Deref for Entered {
    type Target = Arc<Line>;

    fn deref(&self) -> &Self::Target {
        &self.line
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut calls = self.live.calls();
        calls.running.remove(&self.line.mid);
        calls.over.push_back(self.line.mid.clone());
        if calls.over.len() > REMEMBERED {
            calls.over.pop_front();
        }
        drop(calls);
        // Whoever carries out its commands finds no call any more, and ends with the last of them.
        self.line.close();
        self.live.counted();
    }
}

/// The pause after one of this length: a server that refuses is asked less and less, one that is away may be back soon.
fn longer(pause: Duration, status: Option<u16>) -> Duration {
    let refused = status.is_some_and(|status| (400..500).contains(&status));
    (pause * 2).min(if refused { REFUSED_MOST } else { PAUSE_MOST })
}

impl Live {
    /// Begins; `unix_ms` is the wall clock, by which the numbers of events go on over restarts, as by what stands in `state_dir`. What becomes of
    /// what is asked for of rooms comes out beside it.
    #[must_use]
    pub fn new(
        server: Server,
        speaker: Speaker,
        clips: Clips,
        tell: Arc<dyn Fn(&str) + Send + Sync>,
        (unix_ms, state_dir): (i64, &Path),
    ) -> (Self, mpsc::UnboundedReceiver<RoomNews>) {
        let events = Events::new(unix_ms, state_dir.join("events.mark"));
        let count = watch::Sender::new(0);
        let (house, told) = House::open();
        (Self(Arc::new(Inner { calls: Mutex::default(), count, events, house, server, speaker, clips, tell })), told)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        // Nothing in it is left half changed.
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) {
        let count = self.calls().running.values().filter(|line| line.live).count();
        self.0.count.send_replace(count);
    }

    /// A hand-out is taken up, or a call came in; `live` is whether commands may come for it.
    #[must_use]
    pub fn enter(&self, mid: &str, live: bool, inbound: bool) -> Entered {
        let (orders, mut waiting) = mpsc::channel(MOST_WAITING);
        let line = Arc::new(Line::new(mid, live, inbound, Some(orders)));
        self.calls().running.insert(mid.to_owned(), Arc::clone(&line));
        if live {
            let (this, of) = (self.clone(), Arc::clone(&line));
            tokio::spawn(async move {
                while let Some((command, call, came)) = waiting.recv().await {
                    this.carry_out(&of, command, &call, came).await;
                }
            });
        }
        self.counted();
        Entered { live: self.clone(), line }
    }

    /// Something happened in a call.
    pub fn tell(&self, line: &Line, ack: i64, word: LiveWord, value: Option<String>) {
        if line.live {
            let at_ms = line.since_begun().map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
            self.0.events.push(LiveEvent { ack, mid: line.mid.clone(), word: Some(word), value, at_ms, ..LiveEvent::default() });
        }
    }

    /// Something happened in the call of this name, or was asked for in its name: it may be over by now.
    fn tell_of(&self, mid: &str, ack: i64, word: LiveWord, value: Option<String>) {
        let line = self.calls().running.get(mid).cloned();
        match line {
            Some(line) => self.tell(&line, ack, word, value),
            None => {
                let event = LiveEvent { ack, mid: mid.to_owned(), word: Some(word), value, ..LiveEvent::default() };
                self.0.events.push(event);
            }
        }
    }

    /// A call is over, by this word; whoever had it dropped is told.
    pub fn ended(&self, line: &Line, by: &str) {
        self.tell(line, line.dropped_by(), LiveWord::Ended, Some(by.to_owned()));
    }

    fn refuse(&self, command: &LiveCommand, why: &str) {
        let event = LiveEvent { ack: command.seq, mid: command.mid.clone(), word: Some(LiveWord::Error), ..LiveEvent::default() };
        self.0.events.push(LiveEvent { value: Some(why.to_owned()), ..event });
    }

    /// Posts what happened, for ever.
    pub async fn post(self) {
        self.0.events.post(&self.0.server, &self.0.tell).await;
    }

    /// Completes when the server has everything that happened so far.
    pub async fn told(&self) {
        self.0.house.told().await;
        self.events_told().await;
    }

    async fn events_told(&self) {
        self.0.events.empty().await;
    }

    fn seen_to(&self) {
        self.0.house.seen_to();
    }

    /// Asks for commands whenever there are calls, for ever.
    pub async fn keep(self) {
        let mut since = None;
        let mut pause = PAUSE;
        let mut told = Told::default();
        let mut count = self.0.count.subscribe();
        loop {
            if count.wait_for(|count| *count > 0).await.is_err() {
                return;
            }
            let asked = Instant::now();
            let reply = tokio::select! {
                reply = self.0.server.live(WAIT, since) => reply,
                _ = count.wait_for(|count| *count == 0) => continue,
            };
            match reply {
                Ok(reply) => {
                    (pause, told) = (PAUSE, Told::default());
                    let nothing = reply.commands.is_empty();
                    for command in reply.commands {
                        // What was told before was acknowledged too late to be kept back.
                        if since.is_none_or(|since| command.seq > since) {
                            since = Some(command.seq);
                            self.take(command);
                        }
                    }
                    if nothing {
                        sleep_until(asked + PAUSE).await;
                    }
                }
                Err(why) => {
                    told.say(&self.0.tell, format!("no commands can be had: {why}"));
                    tokio::select! {
                        () = sleep(pause) => {}
                        // The next call has its own chance.
                        _ = count.wait_for(|count| *count == 0) => {}
                    }
                    pause = longer(pause, why.status());
                }
            }
        }
    }

    /// A command came: at once where it ends a call, else behind those before it.
    fn take(&self, command: LiveCommand) {
        let (line, was_here) = {
            let calls = self.calls();
            (calls.running.get(&command.mid).filter(|line| line.live).cloned(), calls.over.contains(&command.mid))
        };
        let line = match judge(&command, line.as_deref(), was_here) {
            Ok(()) => line,
            Err(why) => return self.refuse(&command, why),
        };
        let Some(line) = line else { return };
        if let LiveOrder::Drop { say, language } = command.order {
            let news = line.drop_for(command.seq);
            let sentence = say.filter(|say| !say.trim().is_empty());
            if sentence.is_some() && !news {
                // It is ending, perhaps with this very sentence: progress says the same as a command does.
                return;
            }
            let this = self.clone();
            tokio::spawn(async move { this.drop_call(&line, sentence, language).await });
        } else if let Err(command) = line.order(command) {
            self.refuse(&command, "busy");
        }
    }

    async fn drop_call(&self, line: &Line, sentence: Option<String>, language: Option<String>) {
        let Some(control) = line.control() else { return };
        let spoken = self.last_words(line, sentence, language.as_deref()).await;
        // It may be over by now.
        let _ = control.send(Control::Drop(spoken)).await;
    }

    /// A sentence for whoever has picked up, ready to be said; a phone that rings is not kept ringing for the sake of one.
    pub(super) async fn last_words(
        &self,
        line: &Line,
        sentence: Option<String>,
        language: Option<&str>,
    ) -> Option<(String, Pcm)> {
        let said = sentence.filter(|_| line.is_connected())?;
        let spoken = timeout(LAST_WORDS_WITHIN, self.0.speaker.say(&said, &language_of(language, &said))).await;
        spoken.ok().and_then(Result::ok).map(|sound| (said, sound))
    }

    async fn carry_out(&self, line: &Line, command: LiveCommand, call: &mpsc::Sender<Control>, came: Instant) {
        let control = match self.control_of(&command).await {
            Ok(control) => control,
            Err(why) => return self.refuse(&command, why),
        };
        // Whoever asked has given it up by now: what is long past is not said after all.
        let too_old = came.elapsed() > Duration::from_secs(COMMAND_LIVES_SECONDS.unsigned_abs());
        // What ends is not held up; and the call may be over by now, and the next one is another.
        if too_old || line.is_unwanted() || call.send(control).await.is_err() {
            self.refuse(&command, "too_late");
        }
    }

    /// What a command means for the call, with everything ready that it needs.
    async fn control_of(&self, command: &LiveCommand) -> Result<Control, &'static str> {
        let wish = |wish, sounds, seat| Control::Wish { number: command.seq, wish, sounds, seat };
        let room = |room: &str, order| {
            let by = By { mid: command.mid.clone(), ack: command.seq };
            Control::Room { by, room: room.to_owned(), order }
        };
        Ok(match &command.order {
            LiveOrder::Play { text, language, media, sha256, parts, repeat, finish } => {
                let sounds = if parts.is_empty() {
                    let (text, language, media, sha256) = (text.clone(), language.clone(), media.clone(), sha256.clone());
                    self.sounds_of(&[LivePart { text, language, media, sha256 }]).await?
                } else {
                    self.sounds_of(parts).await?
                };
                let finish = finish.as_deref().map(keys).unwrap_or_default();
                wish(Wish::Play { again: repeat.unwrap_or(0), finish }, sounds, None)
            }
            LiveOrder::Stop => wish(Wish::Stop, Vec::new(), None),
            LiveOrder::SendDtmf { digits } => {
                Control::Press(command.seq, digits.chars().filter(|c| !c.is_whitespace()).take(MOST_COLLECTED).collect())
            }
            LiveOrder::Collect { max, seconds, valid, finish, between } => {
                let most = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(1);
                let within = seconds.map_or(USUAL_COLLECT, Duration::from_secs);
                let (valid, finish) = (valid.as_deref().map(keys), finish.as_deref().map(keys).unwrap_or_default());
                let between = between.map(Duration::from_secs);
                wish(Wish::Collect { most, within, between, valid, finish }, Vec::new(), None)
            }
            LiveOrder::Record { seconds, finish, beep } => {
                let longest = seconds.map_or(USUAL_RECORD, Duration::from_secs);
                let (finish, beep) = (finish.as_deref().map(keys), beep.unwrap_or(true));
                wish(Wish::Record { longest, finish, beep }, vec![pcm(sound::beep())], None)
            }
            LiveOrder::Join { room, mute, deaf } => {
                if room.is_empty() || room.chars().count() > LONGEST_ROOM {
                    return Err("unknown");
                }
                let (mute, deaf) = (*mute, *deaf);
                let seat = self.0.house.seat(room, Manner { mute, deaf });
                wish(Wish::Join { room: room.clone(), mute, deaf }, Vec::new(), Some(seat))
            }
            LiveOrder::Leave => wish(Wish::Leave, Vec::new(), None),
            LiveOrder::RoomPlay { room: name, parts, looped } => {
                let sounds = self.sounds_of(parts).await?;
                room(name, RoomOrder::Play { sounds, looped: *looped })
            }
            LiveOrder::RoomStop { room: name } => room(name, RoomOrder::Stop),
            LiveOrder::RoomRecord { room: name, seconds } => {
                room(name, RoomOrder::Record(seconds.map_or(USUAL_RECORD, Duration::from_secs)))
            }
            LiveOrder::RoomEndRecording { room: name } => room(name, RoomOrder::EndRecording),
            LiveOrder::Answer => Control::Answer(command.seq),
            LiveOrder::Reject { cause } => Control::Reject(command.seq, *cause),
            LiveOrder::Redirect { to } => Control::Redirect(command.seq, to.clone()),
            LiveOrder::Drop { .. } | LiveOrder::Unknown => return Err("unknown"),
        })
    }

    /// Everything that is to be played, one after the other.
    async fn sounds_of(&self, parts: &[LivePart]) -> Result<Vec<Pcm>, &'static str> {
        if parts.len() > MOST_PARTS {
            return Err("unknown");
        }
        let mut sounds: Vec<Pcm> = Vec::with_capacity(parts.len());
        for part in parts {
            sounds.push(self.sound_of(part).await?);
            if sounds.iter().map(|sound| sound.len()).sum::<usize>() > MOST_SAMPLES {
                return Err("media");
            }
        }
        if sounds.is_empty() { Err("media") } else { Ok(sounds) }
    }

    async fn sound_of(&self, part: &LivePart) -> Result<Pcm, &'static str> {
        if let Some(media) = &part.media {
            let clip = Clip { media: media.clone(), sha256: part.sha256.clone() };
            let script = Script { play: Some(clip), ..Script::default() };
            let clips = timeout(CLIP_WITHIN, self.0.clips.of(&script)).await.ok().and_then(Result::ok);
            return clips.and_then(|clips| clips.into_values().next()).ok_or("media");
        }
        let text = part.text.as_deref().filter(|text| !text.trim().is_empty()).ok_or("media")?;
        self.0.speaker.say(text, &language_of(part.language.as_deref(), text)).await.map_err(|why| {
            (self.0.tell)(&format!("not spoken: {why}"));
            "media"
        })
    }
}

/// Keys as they are heard.
fn keys(written: &str) -> String {
    written.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::{
        sip::config::Speech,
        voice::{tone, wav},
    };

    const A: &str = "13900000001";

    /// Without a server; "Bye" can be said.
    fn live(folder: &Path) -> Live {
        let bye = folder.join("bye.wav");
        std::fs::write(&bye, wav::write(&tone::sine(&[400.0], 100, 9000.0))).unwrap();
        let speech = Speech { files: [("Bye".to_owned(), bye)].into(), ..Speech::default() };
        let server = Server::new(crate::client::builder().build().unwrap(), "http://127.0.0.1:9/h/T");
        let clips = Clips::new(server.clone(), folder);
        Live::new(server, Speaker::new(&speech, folder), clips, Arc::new(|_| {}), (0, folder)).0
    }

    #[tokio::test]
    async fn a_command_that_waited_does_not_undo_that_the_call_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (live, line) = (live(folder.path()), Line::new("m", true, false, None));
        let (control, mut controlled) = mpsc::channel(4);
        line.begin(A, control.clone());
        assert!(line.drop_for(9));
        let play = LiveOrder::say("Bye".to_owned(), None);
        let command = LiveCommand { seq: 8, mid: "m".to_owned(), call: A.to_owned(), order: play };
        live.carry_out(&line, command, &control, Instant::now()).await;
        assert!(controlled.try_recv().is_err(), "the call that ends is told to say something");
        let told = live.0.events.waiting();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].ack, told[0].word, told[0].value.as_deref()), (8, Some(LiveWord::Error), Some("too_late")));
    }

    #[tokio::test]
    async fn a_phone_that_rings_is_not_kept_ringing_for_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let live = live(folder.path());
        for connected in [false, true] {
            let line = Line::new("m", true, false, None);
            let (control, mut controlled) = mpsc::channel(4);
            line.begin(A, control);
            if connected {
                line.connect();
            }
            live.drop_call(&line, Some("Bye".to_owned()), None).await;
            let Ok(Control::Drop(said)) = controlled.try_recv() else { panic!("it is not dropped") };
            assert_eq!(said.is_some(), connected, "a sentence was made ready: {}", said.is_some());
        }
    }

    #[tokio::test]
    async fn what_is_played_has_so_many_parts_and_not_none() {
        let folder = tempfile::tempdir().unwrap();
        let live = live(folder.path());
        let part = LivePart { text: Some("Bye".to_owned()), ..LivePart::default() };
        for (count, made) in [(0, Err("media")), (1, Ok(1)), (MOST_PARTS, Ok(MOST_PARTS)), (MOST_PARTS + 1, Err("unknown"))] {
            let room = LiveOrder::RoomPlay { room: "r".to_owned(), parts: vec![part.clone(); count], looped: true };
            let command = LiveCommand { seq: 8, mid: "m".to_owned(), call: A.to_owned(), order: room };
            let control = live.control_of(&command).await.map(|control| match control {
                Control::Room { order: RoomOrder::Play { sounds, looped: true }, .. } => sounds.len(),
                _ => 0,
            });
            assert_eq!(control, made, "{count}");
        }
    }

    #[test]
    fn a_server_that_refuses_is_asked_less_and_less() {
        let after = |asked: usize, status| (0..asked).fold(PAUSE, |pause, _| longer(pause, status)).as_secs();
        assert_eq!([0, 1, 2, 3, 6, 99].map(|asked| after(asked, Some(404))), [1, 2, 4, 8, 60, 60]);
        // One that is away may be back soon, and somebody waits.
        for status in [None, Some(503)] {
            assert_eq!([0, 1, 2, 3, 99].map(|asked| after(asked, status)), [1, 2, 4, 5, 5]);
        }
    }
}
