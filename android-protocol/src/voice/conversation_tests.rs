#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use proptest::prelude::*;

use super::*;

#[path = "conversation/calls_tests.rs"]
mod calls;
#[path = "conversation/shout_tests.rs"]
mod shouts;

/// A callee, and a player: every utterance takes two seconds.
struct Line {
    conversation: Conversation,
    now: Duration,
    plays_until: Option<Duration>,
    /// How many messages of the callee were recorded for the script.
    recorded: usize,
    /// What happened, with the time in milliseconds.
    told: Vec<(u64, String)>,
}

const PLAYING: Duration = Duration::from_secs(2);

impl Line {
    fn answered(script: &str) -> Self {
        let script: Script = serde_json::from_str(script).unwrap();
        Self { conversation: Conversation::new(&script), now: Duration::ZERO, plays_until: None, recorded: 0, told: Vec::new() }
    }

    fn input(&mut self, input: Input) {
        for command in self.conversation.input(self.now, input) {
            let word = match &command {
                Command::Play(what) => {
                    self.plays_until = Some(self.now + PLAYING);
                    saying(&what[0])
                }
                Command::Replay(instead) => {
                    self.plays_until = Some(self.now + PLAYING);
                    match (self.recorded, instead) {
                        (0, Some(instead)) => saying(instead),
                        (0, None) => "plays nothing".to_owned(),
                        (last, _) => format!("replays {last}"),
                    }
                }
                Command::Stop => {
                    self.plays_until = None;
                    "stops".to_owned()
                }
                Command::PlayWished { ack, again } => {
                    self.plays_until = Some(self.now + PLAYING);
                    format!("plays for {ack}{}", if *again { ", and again" } else { "" })
                }
                Command::Key { key, ack: 0, action } => format!("key {key} {}", action.as_deref().unwrap_or("-")),
                Command::Key { key, ack, .. } => format!("key {key} for {ack}"),
                Command::State(name) => format!("enters {name}"),
                Command::Record => "records".to_owned(),
                Command::EndRecording => {
                    self.recorded += 1;
                    "recorded".to_owned()
                }
                Command::KeepRecording(ack) => format!("recorded for {ack}"),
                Command::Enter { room, mute, deaf } => {
                    format!("enters the room {room}{}{}", if *mute { ", mute" } else { "" }, if *deaf { ", deaf" } else { "" })
                }
                Command::Leave => "leaves".to_owned(),
                Command::Tell { ack, word, value } => {
                    format!(
                        "tells {ack} {}{}",
                        word.as_str(),
                        value.as_deref().map(|value| format!(" {value}")).unwrap_or_default()
                    )
                }
                Command::HangUp => "hangs up".to_owned(),
            };
            self.told.push((u64::try_from(self.now.as_millis()).unwrap(), word));
        }
    }

    /// Lets time go by.
    fn until(mut self, milliseconds: u64) -> Self {
        let end = Duration::from_millis(milliseconds);
        while self.conversation.wake().is_some() {
            let next = self.conversation.wake().into_iter().chain(self.plays_until).min().unwrap().max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            if self.plays_until.is_some_and(|over| over <= next) {
                self.plays_until = None;
                self.input(Input::Played);
            } else {
                self.input(Input::Tick);
            }
        }
        self.now = end;
        self
    }

    fn then(mut self, input: Input) -> Self {
        self.input(input);
        self
    }

    fn words(&self) -> Vec<&str> {
        self.told.iter().map(|(_, word)| word.as_str()).collect()
    }
}

fn saying(what: &Utterance) -> String {
    match what {
        Utterance::Text(text) => format!("says {text}"),
        Utterance::Clip(clip) => format!("plays {}", clip.media),
        Utterance::Beep => "beeps".to_owned(),
    }
}

const ALARM: &str = r#"{"say":"Disk full","repeat":2,"pause_ms":3000,"keys":{"1":"accept","2":"decline","5":"stop_calling","7":"dance"},
    "key_wait_seconds":15,"thanks":{"accept":"Thanks"},"invalid_key_say":"Wrong key"}"#;

#[test]
fn nobody_presses_a_key() {
    let line = Line::answered(ALARM).until(60_000);
    let told: Vec<_> = line.told.iter().map(|(at, word)| (*at, word.as_str())).collect();
    assert_eq!(told, [(500, "says Disk full"), (5500, "says Disk full"), (22_500, "hangs up")]);
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.heard, outcome.action.as_deref(), outcome.keys.as_str()), (Duration::from_secs(4), None, ""));
    assert_eq!((outcome.confirmed(), outcome.declined()), (Some(false), false));
}

#[test]
fn a_key_interrupts_is_told_at_once_and_thanked_for() {
    let line = Line::answered(ALARM).until(1500).then(Input::Key('1')).then(Input::Key('2')).until(9000);
    assert_eq!(line.words(), ["says Disk full", "key 1 accept", "stops", "says Thanks", "hangs up"]);
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.action.as_deref(), outcome.keys.as_str(), outcome.heard), (Some("accept"), "12", Duration::from_secs(1)));
    assert_eq!((outcome.confirmed(), outcome.declined()), (Some(true), false));
}

#[test]
fn a_decline_and_a_wish_not_to_be_called_are_confirmed_refusals() {
    for (key, word) in [('2', "decline"), ('5', "stop_calling")] {
        let line = Line::answered(ALARM).until(100).then(Input::Key(key)).until(9000);
        assert_eq!(line.words(), [format!("key {key} {word}").as_str(), "hangs up"]);
        let outcome = line.conversation.outcome();
        assert_eq!((outcome.confirmed(), outcome.declined()), (Some(true), true));
    }
}

#[test]
fn a_key_without_a_meaning_is_asked_for_again() {
    let line = Line::answered(ALARM).until(1000).then(Input::Key('9')).until(4000).then(Input::Key('1')).until(9000);
    let words = ["says Disk full", "key 9 -", "stops", "says Wrong key", "key 1 accept", "says Thanks", "hangs up"];
    assert_eq!(line.words(), words);
    // Without a sentence for it, everything is said again.
    let line = Line::answered(r#"{"say":"A","keys":{"1":"accept"}}"#).until(1000).then(Input::Key('9')).until(2000);
    assert_eq!(line.words(), ["says A", "key 9 -", "stops", "says A"]);
}

#[test]
fn a_word_of_a_later_version_is_reported_and_nothing_else() {
    let line = Line::answered(ALARM).until(1000).then(Input::Key('7')).until(60_000);
    assert_eq!(line.words(), ["says Disk full", "key 7 dance", "says Disk full", "hangs up"]);
    assert_eq!(line.conversation.outcome().action, None);
    // A script that has only such words is spoken all the same, and its keys do nothing.
    let line = Line::answered(r#"{"say":"A","sing":{"loud":true},"keys":{"1":"go:nowhere"}}"#)
        .until(700)
        .then(Input::Key('1'))
        .until(60_000);
    assert_eq!(line.words(), ["says A", "key 1 go:nowhere", "hangs up"]);
}

#[test]
fn a_text_without_a_question_ends_soon() {
    let line = Line::answered(r#"{"say":"A"}"#).until(600).then(Input::Key('4')).until(60_000);
    let told: Vec<_> = line.told.iter().map(|(at, word)| (*at, word.as_str())).collect();
    assert_eq!(told, [(500, "says A"), (600, "key 4 -"), (3500, "hangs up")]);
}

#[test]
fn the_longest_time_ends_everything() {
    let line = Line::answered(r#"{"say":"A","repeat":20,"keys":{"1":"accept"},"max_seconds":7}"#).until(60_000);
    assert_eq!(line.told.last().unwrap(), &(7000, "hangs up".to_owned()));
    let line =
        Line::answered(r#"{"say":"A","keys":{"1":"accept"},"key_wait_seconds":86400,"max_seconds":86400}"#).until(2_000_000);
    assert_eq!(line.told.last().unwrap(), &(900_000, "hangs up".to_owned()));
}

#[test]
fn a_machine_hears_it_once_and_a_key_still_counts() {
    let script = ALARM.replace("\"repeat\":2", "\"repeat\":3,\"machine\":{\"detect\":true,\"on_machine\":\"say_once\"}");
    let line = Line::answered(&script).until(1000).then(Input::Machine(Verdict::Machine)).until(60_000);
    assert_eq!(line.words(), ["says Disk full", "hangs up"]);
    assert_eq!(line.conversation.outcome().confirmed(), Some(false));
    let line = Line::answered(&script)
        .until(1000)
        .then(Input::Machine(Verdict::Machine))
        .until(9000)
        .then(Input::Key('1'))
        .until(60_000);
    assert_eq!(line.words(), ["says Disk full", "key 1 accept", "says Thanks", "hangs up"]);
    // A voice without a key is no proof, and no proof against.
    let line = Line::answered(&script).until(1000).then(Input::Machine(Verdict::Human)).until(60_000);
    assert_eq!((line.words().len(), line.conversation.outcome().confirmed()), (4, None));
}

#[test]
fn a_message_waits_for_the_guess_and_for_the_greetings_end() {
    let script = r#"{"say":"A","repeat":2,"machine":{"detect":true,"wait":true,"total":10000,"on_human":"once","on_machine":"after_silence",
        "on_unknown":"twice","silence_ms":2000,"silence_max_ms":60000}}"#;
    let waiting = || Line::answered(script).until(1400);
    assert_eq!(waiting().then(Input::Machine(Verdict::Human)).until(30_000).words(), ["says A", "hangs up"]);
    assert_eq!(waiting().then(Input::Machine(Verdict::Unknown)).until(30_000).words(), ["says A", "says A", "hangs up"]);
    let greeting = waiting().then(Input::Machine(Verdict::Machine)).until(8000).then(Input::Quiet(Duration::from_millis(1900)));
    assert_eq!(greeting.words(), Vec::<&str>::new());
    assert_eq!(greeting.then(Input::Quiet(Duration::from_secs(2))).until(30_000).words(), ["says A", "hangs up"]);
    let endless = waiting().then(Input::Machine(Verdict::Machine)).until(90_000);
    assert_eq!(endless.told[0], (61_400, "says A".to_owned()));
    // A detector that never speaks does not keep anybody waiting.
    assert_eq!(waiting().until(30_000).told[0], (11_000, "says A".to_owned()));
}

const MENU: &str = r#"{"invalid_key_say":"Wrong key","thanks":{"accept":"Thanks"},"menu":{
    "start":{"say":"Alarm","keys":{"1":"go:ask","9":"go:start"},"seconds":5,"times":2,"silent":"go:bye"},
    "ask":{"say":"Sure?","keys":{"1":"accept"},"else":"go:start","seconds":4},
    "leave":{"say":"Speak","record":{"max_seconds":10,"silence_ms":1000,"then":"go:bye"}},
    "bye":{"say":"Bye"}}}"#;

#[test]
fn a_menu_is_walked_through() {
    let line = Line::answered(MENU).until(1000).then(Input::Key('1')).until(4000).then(Input::Key('1')).until(30_000);
    let words = ["says Alarm", "key 1 -", "stops", "enters ask", "says Sure?", "key 1 accept", "says Thanks", "hangs up"];
    assert_eq!(line.words(), words);
    let line = Line::answered(MENU).until(1000).then(Input::Key('1')).until(1500).then(Input::Key('8')).until(2000);
    assert_eq!(line.words()[4..], ["says Sure?", "key 8 -", "stops", "enters start", "says Alarm"]);
    let silent = Line::answered(MENU).until(60_000);
    let told: Vec<_> = silent.told.iter().map(|(at, word)| (*at, word.as_str())).collect();
    assert_eq!(
        told,
        [(500, "says Alarm"), (7500, "says Alarm"), (14_500, "enters bye"), (14_500, "says Bye"), (16_500, "hangs up")]
    );
}

#[test]
fn a_menu_without_its_beginning_is_the_script_above_it() {
    let line = Line::answered(r#"{"say":"A","menu":{"other":{"say":"B"}}}"#).until(600);
    assert_eq!(line.words(), ["says A"]);
}

#[test]
fn a_message_is_recorded_until_silence_or_a_key() {
    let menu = MENU.replace("\"1\":\"go:ask\"", "\"1\":\"go:leave\"");
    let begun = || Line::answered(&menu).until(600).then(Input::Key('1')).until(5000);
    assert_eq!(begun().words()[4..], ["says Speak", "beeps", "records"]);
    let quiet = begun().then(Input::Quiet(Duration::from_millis(900))).until(7000).then(Input::Quiet(Duration::from_secs(1)));
    assert_eq!(quiet.words()[7..], ["recorded", "enters bye", "says Bye"]);
    assert_eq!(begun().then(Input::Key('#')).words()[7..], ["recorded", "enters bye", "says Bye"]);
    assert_eq!(begun().until(60_000).told[7], (14_600, "recorded".to_owned()));
    // By a key of a plain script; afterwards the question stands again.
    let line =
        Line::answered(r#"{"say":"A","keys":{"1":"accept"},"record":{"key":"3","beep":false,"max_seconds":5}}"#).until(700);
    let line = line.then(Input::Key('3')).until(6000).then(Input::Key('1')).until(7000);
    assert_eq!(line.words(), ["says A", "key 3 record", "stops", "records", "recorded", "key 1 accept", "hangs up"]);
}

#[test]
fn a_call_is_recorded_as_a_whole_from_where_the_script_says() {
    let script = |from: &str| {
        format!(r#"{{"say":"A","repeat":2,"keys":{{"1":"accept","3":"record"}},"record":{{"from":"{from}","key":"4"}}}}"#)
    };
    let at_once = Line::answered(&script("answer")).until(600).then(Input::Key('1')).until(700);
    assert_eq!(at_once.words(), ["records", "says A", "key 1 accept", "stops", "recorded", "hangs up"]);
    for from in ["said", "a word of later"] {
        let warned = Line::answered(&script(from)).until(3000).then(Input::Key('3')).then(Input::Key('4')).then(Input::Key('1'));
        let words = ["says A", "records", "key 3 record", "key 4 -", "says A", "key 1 accept", "stops", "recorded", "hangs up"];
        assert_eq!(warned.words(), words, "{from}: a message is no recording of its own");
        let unheard = Line::answered(&script(from)).until(900).then(Input::Key('1'));
        assert_eq!(unheard.words(), ["says A", "key 1 accept", "stops", "hangs up"], "{from}: they have not heard of it");
    }
    let script: Script = serde_json::from_str(&script("said")).unwrap();
    assert!(!script.utterances().contains(&Utterance::Beep));
}

#[test]
fn the_servers_word_takes_the_place_of_thanks() {
    let line =
        Line::answered(ALARM).until(700).then(Input::Key('1')).until(900).then(Input::Told("Li Na has it".into())).until(9000);
    assert_eq!(line.words()[2..], ["stops", "says Thanks", "says Li Na has it", "hangs up"]);
    assert_eq!(Line::answered(ALARM).until(700).then(Input::Told("x".into())).words(), ["says Disk full"]);
}

#[test]
fn the_callee_hangs_up() {
    let mut line = Line::answered(ALARM).until(1500);
    line.conversation.line_is_gone(Duration::from_millis(1500));
    assert_eq!(line.conversation.outcome().heard, Duration::from_secs(1));
    assert_eq!(line.until(90_000).words(), ["says Disk full"]);
}

fn play() -> Wish {
    Wish::Play { again: 0, finish: String::new() }
}

fn collect(most: usize, seconds: u64) -> Wish {
    let within = Duration::from_secs(seconds);
    Wish::Collect { most, within, between: None, valid: None, finish: String::new() }
}

fn record(seconds: u64) -> Wish {
    Wish::Record { longest: Duration::from_secs(seconds), finish: None, beep: true }
}

fn join(room: &str, mute: bool) -> Wish {
    Wish::Join { room: room.to_owned(), mute, deaf: false }
}

#[test]
fn what_is_played_for_a_wish_interrupts_and_the_script_goes_on_where_it_was() {
    // Before the first word, in the middle of a sentence, between two, and while a key is waited for.
    for (at, afterwards) in [
        (100, vec![(2100, "says Disk full"), (7100, "says Disk full")]),
        (1500, vec![(3500, "says Disk full"), (8500, "says Disk full")]),
        (3000, vec![(8000, "says Disk full")]),
        (9000, vec![(26_000, "hangs up")]),
    ] {
        let line = Line::answered(ALARM).until(at).then(Input::Wish(9, play())).until(60_000);
        let told: Vec<_> = line.told.iter().map(|(at, word)| (*at, word.as_str())).collect();
        let begun = told.iter().position(|(_, word)| *word == "tells 9 playing").unwrap();
        assert_eq!(told[begun - 1], (at, "plays for 9"), "{told:?}");
        assert_eq!(told[begun + 1], (at + 2000, "tells 9 played"), "{told:?}");
        assert_eq!(told[begun + 2..begun + 2 + afterwards.len()], afterwards, "{told:?}");
        assert_eq!(told.iter().filter(|(_, word)| *word == "says Disk full").count(), 2 + usize::from(at == 1500), "{told:?}");
        assert_eq!(told.last().unwrap().1, "hangs up");
    }
}

#[test]
fn a_key_that_means_something_cuts_off_what_is_played_for_a_wish() {
    let playing = || Line::answered(ALARM).until(1000).then(Input::Wish(9, play())).until(1500);
    let line = playing().then(Input::Key('8')).then(Input::Key('1')).until(9000);
    let words =
        ["says Disk full", "stops", "plays for 9", "tells 9 playing", "key 8 -", "key 1 accept", "stops", "tells 9 stopped"];
    assert_eq!(line.words()[..8], words);
    assert_eq!(line.words()[8..], ["says Thanks", "hangs up"]);
    // After the person's word another sentence takes the place of the thanks, and the call ends with it.
    let line = Line::answered(ALARM).until(700).then(Input::Key('1')).then(Input::Wish(9, play())).then(Input::Key('2'));
    assert_eq!(line.until(9000).words()[4..], ["stops", "plays for 9", "tells 9 playing", "tells 9 played", "hangs up"]);
}

#[test]
fn a_second_sentence_takes_the_place_of_the_first_and_stop_stops_for_good() {
    let line = Line::answered(ALARM).until(9000).then(Input::Wish(1, play())).until(9500).then(Input::Wish(2, play()));
    let line = line.until(10_000).then(Input::Wish(3, Wish::Stop)).until(60_000);
    let told: Vec<_> = line.told.iter().skip(2).map(|(at, word)| (*at, word.as_str())).collect();
    assert_eq!(
        told,
        [
            (9000, "plays for 1"),
            (9000, "tells 1 playing"),
            (9500, "stops"),
            (9500, "tells 1 stopped"),
            (9500, "plays for 2"),
            (9500, "tells 2 playing"),
            (10_000, "stops"),
            (10_000, "tells 2 stopped"),
            (10_000, "tells 3 stopped"),
            (25_000, "hangs up")
        ]
    );
    // Also the script is silent then, and waits for a key.
    let line = Line::answered(ALARM).until(1000).then(Input::Wish(3, Wish::Stop)).until(60_000);
    assert_eq!(line.told.last().unwrap(), &(16_000, "hangs up".to_owned()));
    assert_eq!(line.words(), ["says Disk full", "stops", "tells 3 stopped", "hangs up"]);
}

#[test]
fn keys_are_collected_for_a_wish_and_for_nothing_else() {
    let collect = |most| Input::Wish(4, collect(most, 5));
    let line = Line::answered(ALARM).until(9000).then(collect(2)).then(Input::Key('1')).until(9100).then(Input::Key('2'));
    assert_eq!(line.words()[2..], ["tells 4 collected 12"], "1 would have taken the alarm");
    // Then the script has the line again.
    let line = line.until(9200).then(Input::Key('1'));
    assert_eq!(line.words()[3..], ["key 1 accept", "says Thanks"]);
    assert_eq!(line.conversation.outcome().keys, "121");
    // The time counts from the end of the question, which a key cuts off.
    let asked = || Line::answered(ALARM).until(9000).then(Input::Wish(3, play())).then(collect(4));
    let told = asked().until(60_000).told;
    assert!(
        told.contains(&(11_000, "tells 3 played".into())) && told.contains(&(16_000, "tells 4 collected ".into())),
        "{told:?}"
    );
    let line = asked().until(10_000).then(Input::Key('7')).until(60_000);
    assert_eq!(line.words()[4..7], ["stops", "tells 3 stopped", "tells 4 collected 7"]);
    assert_eq!(line.told[6].0, 15_000);
}

#[test]
fn a_recording_for_a_wish_begins_with_a_tone_and_is_not_disturbed() {
    let record = || Input::Wish(5, record(6));
    let taping = || Line::answered(ALARM).until(9000).then(record()).until(12_000);
    assert_eq!(taping().words()[2..], ["beeps", "records", "tells 5 playing"]);
    let line = taping().then(Input::Wish(6, play())).until(20_000);
    assert_eq!(line.words()[5..], ["tells 6 error busy", "recorded for 5"]);
    assert_eq!(line.told.last().unwrap().0, 17_000);
    let line = taping().then(Input::Key('1')).then(Input::Key('1'));
    let words = ["key 1 -", "recorded for 5", "key 1 accept", "says Thanks"];
    assert_eq!(line.words()[5..], words, "the first key only ends it");
    let early = Line::answered(ALARM).until(9000).then(record()).then(Input::Key('8')).then(Input::Key('1'));
    assert_eq!(early.words()[2..], ["beeps", "key 8 -", "key 1 accept", "stops", "tells 5 stopped", "says Thanks"]);
    assert_eq!(taping().then(Input::Wish(6, Wish::Stop)).words()[5..], ["recorded for 5", "tells 6 stopped"]);
    let early = Line::answered(ALARM).until(9000).then(record()).then(Input::Wish(6, Wish::Stop));
    assert_eq!(early.words()[2..], ["beeps", "stops", "tells 5 stopped", "tells 6 stopped"]);
    let whole = r#"{"say":"A","record":{"from":"answer"}}"#;
    assert_eq!(Line::answered(whole).until(600).then(record()).words().last(), Some(&"tells 5 error busy"));
}

#[test]
fn in_a_room_the_script_has_no_line() {
    let join = |mute| Input::Wish(7, join("r", mute));
    let line = Line::answered(ALARM).until(1000).then(join(true)).until(50_000).then(Input::Key('1')).until(60_000);
    assert_eq!(line.words(), ["says Disk full", "stops", "enters the room r, mute", "tells 7 joined r", "key 1 -"]);
    let line = line.then(Input::Wish(8, play())).until(61_000).then(Input::Key('1')).until(70_000);
    assert_eq!(line.words()[5..], ["plays for 8", "tells 8 playing", "key 1 -", "tells 8 played"]);
    // Out of it, a key is waited for.
    let line = line.then(Input::Wish(9, Wish::Leave)).until(71_000).then(Input::Key('1')).until(80_000);
    assert_eq!(line.words()[9..], ["leaves", "tells 9 left", "key 1 accept", "says Thanks", "hangs up"]);
    let line = Line::answered(ALARM).until(1000).then(join(false)).until(1_000_000);
    assert_eq!(line.told.last().unwrap(), &(180_000, "hangs up".to_owned()), "the longest time holds in a room too");
}

#[test]
fn a_call_that_is_dropped_ends_at_once_or_with_a_sentence() {
    let drop = |say: Option<&str>| Input::Wish(0, Wish::Drop(say.map(|say| Utterance::Text(say.to_owned()))));
    assert_eq!(Line::answered(ALARM).until(700).then(drop(None)).words(), ["says Disk full", "hangs up"]);
    let line = Line::answered(ALARM).until(700).then(Input::Wish(1, play())).then(drop(Some("Bye"))).until(9000);
    assert_eq!(line.words()[4..], ["tells 1 stopped", "says Bye", "hangs up"]);
    assert_eq!(line.conversation.outcome().action, None, "nobody said anything");
}

/// A callee who holds the call: nothing that is played comes to its end.
fn held(mut line: Line, until: u64) -> Line {
    let since = line.now;
    let mut at = u64::try_from(line.now.as_millis()).unwrap();
    while at < until && line.conversation.wake().is_some() {
        at += 500;
        (line.plays_until, line.now) = (None, Duration::from_millis(at));
        let unheard = line.now.saturating_sub(since);
        line.input(Input::Unheard(unheard));
        if line.conversation.wake().is_some_and(|wake| wake <= line.now) {
            line.input(Input::Tick);
        }
    }
    line
}

#[test]
fn last_words_do_not_wait_for_a_callee_who_holds_the_call() {
    let say = |say: &str| Input::Wish(0, Wish::Drop(Some(Utterance::Text(say.to_owned()))));
    let thanked = || Line::answered(ALARM).until(9000).then(Input::Key('1'));
    for (line, ends) in [
        (thanked(), &["says Thanks", "hangs up"][..]),
        (Line::answered(ALARM).until(9000).then(say("Bye")), &["says Bye", "hangs up"]),
        // Said in place of thanks, on command: those are the last words then.
        (thanked().then(Input::Wish(9, play())), &["tells 9 playing", "tells 9 stopped", "hangs up"]),
        (thanked().then(Input::Wish(9, record(6))), &["beeps", "tells 9 error too_late", "hangs up"]),
    ] {
        let line = held(line, 10_000);
        let words = line.words();
        assert_eq!(words[words.len() - ends.len()..], *ends, "{words:?}");
        assert_eq!(line.told.last().unwrap().0, 9500);
    }
}

#[test]
fn whatever_waits_for_a_callee_who_holds_the_call_ends() {
    let wish = |ack, wish| Input::Wish(ack, wish);
    let at = || Line::answered(ALARM).until(9000);
    let told = |line: Line, word: &str| {
        let line = held(line, 1_000_000);
        assert_eq!(line.words().last(), Some(&"hangs up"), "{:?}", line.told);
        line.told.iter().find(|(_, told)| told == word).map(|(at, _)| *at)
    };
    // Whoever wanted something hears soon what became of it.
    assert_eq!(told(at().then(wish(3, play())), "tells 3 error too_late"), Some(39_000));
    assert_eq!(told(at().then(wish(3, record(6))), "tells 3 error too_late"), Some(39_000));
    assert_eq!(told(at().then(wish(4, collect(2, 4))), "tells 4 collected "), Some(13_000), "no sound is needed for that");
    assert_eq!(told(at().then(wish(3, play())).then(wish(4, collect(2, 4))), "tells 4 collected "), Some(43_000));
    // What the script itself says is kept for the callee, as long as the call may last.
    let longest = |line| told(line, "hangs up");
    assert_eq!(longest(Line::answered(ALARM).until(1000)), Some(180_000), "the message");
    let asks = r#"{"say":"A","keys":{"1":"accept"},"invalid_key_say":"No","record":{"key":"3"},"max_seconds":60}"#;
    for key in ['9', '3'] {
        let line = Line::answered(asks).until(9000).then(Input::Key(key));
        assert!(matches!(line.conversation.doing, Doing::Correcting | Doing::Beeping));
        assert_eq!(longest(line), Some(60_000), "{key}");
    }
}

/// One of everything that can be wanted.
fn wish(kind: u8) -> Wish {
    match kind {
        0 => play(),
        1 => Wish::Stop,
        2 => collect(2, 4),
        3 => record(4),
        4 => join("r", false),
        5 => Wish::Leave,
        6 => Wish::Play { again: 2, finish: "3#".to_owned() },
        7 => {
            let (within, between) = (Duration::from_secs(9), Some(Duration::from_secs(2)));
            Wish::Collect { most: 3, within, between, valid: Some("1".to_owned()), finish: "3".to_owned() }
        }
        8 => Wish::Record { longest: Duration::from_secs(7), finish: Some("3".to_owned()), beep: false },
        _ => Wish::Join { room: "s".to_owned(), mute: true, deaf: true },
    }
}

proptest! {
    /// Whatever is wanted and pressed: the call ends in time, and each wish is answered to its end, once.
    #[test]
    fn every_wish_is_answered_once(
        happens in proptest::collection::vec((0_u64..60_000, 0_u8..13), 0..40),
        longest in 5_u64..80,
        script in 0_usize..5,
        dropped in proptest::option::of(0_u64..60_000),
    ) {
        let script = [ALARM, MENU, r#"{"say":"A","repeat":9,"keys":{"1":"accept"},"record":{"key":"3"},"thanks":{"accept":"T"}}"#,
            r#"{"stay":true}"#, r#"{"stay":true,"say":"A","keys":{"1":"accept"},"thanks":{"accept":"T"}}"#][script];
        let script = format!("{},\"max_seconds\":{longest}}}", script.trim_end().strip_suffix('}').unwrap());
        let mut line = Line::answered(&script);
        let mut happens = happens;
        happens.sort_unstable();
        let mut wishes = Vec::new();
        for (ack, (at, kind)) in (1..).zip(happens) {
            if dropped.is_some_and(|dropped| dropped < at) {
                break;
            }
            line = line.until(at);
            if line.conversation.wake().is_none() {
                break;
            }
            line = match kind {
                0..=9 => {
                    wishes.push((ack, kind));
                    line.then(Input::Wish(ack, wish(kind)))
                }
                10 => line.then(Input::Key('1')),
                11 => line.then(Input::Key('3')),
                _ => line.then(Input::Quiet(Duration::from_secs(4))),
            };
        }
        if let Some(at) = dropped {
            let now = u64::try_from(line.now.as_millis()).unwrap();
            line = line.until(at.max(now)).then(Input::Wish(0, Wish::Drop(None)));
        }
        let line = line.until(1_000_000);
        let words = line.words();
        prop_assert_eq!(words.iter().filter(|word| **word == "hangs up").count(), 1);
        prop_assert_eq!(words.last().copied(), Some("hangs up"));
        for (ack, kind) in wishes {
            let told = |what: &str| words.iter().filter(|word| word.starts_with(&format!("tells {ack} {what}"))).count();
            let kept = words.iter().filter(|word| **word == format!("recorded for {ack}")).count();
            let finally = ["played", "stopped", "collected", "joined", "left", "error"].iter().map(|word| told(word)).sum::<usize>() + kept;
            prop_assert_eq!((finally, ack, kind), (1, ack, kind), "{:?}", words);
            // The key that ended something is told once, and before that.
            let is_end = |word: &str| word.starts_with(&format!("tells {ack} ")) || word.ends_with(&format!("d for {ack}"));
            let (told_key, ended_by) = (format!("tells {ack} key "), ["3", "#"].map(|key| format!("key {key} for {ack}")));
            let is_key = |word: &str| word.starts_with(&told_key) || ended_by.iter().any(|ended| ended == word);
            let keys: Vec<usize> = words.iter().enumerate().filter(|(_, word)| is_key(word)).map(|(at, _)| at).collect();
            prop_assert!(keys.len() <= 1, "{:?}", words);
            prop_assert!(keys.iter().all(|key| words[key + 1..].iter().any(|word| is_end(word))), "{:?}", words);
        }
        let count = |what: &str| words.iter().filter(|word| **word == what).count();
        prop_assert_eq!(count("records"), words.iter().filter(|word| word.starts_with("recorded")).count());
        prop_assert!(count("leaves") <= words.iter().filter(|word| word.starts_with("enters the room")).count());
    }

    /// Whatever is pressed and however the script is made: it ends in time, hangs up once, and the first final key stands.
    #[test]
    fn every_conversation_ends(
        words in proptest::collection::vec(("[0-9*#]", "accept|decline|repeat|record|end|go:start|go:b|go:x|zzz"), 0..6),
        other in "accept|go:b|go:start|repeat|",
        keys in proptest::collection::vec((0_u64..40_000, "[0-9*#]"), 0..30),
        longest in 1_u64..400,
        menu: bool,
    ) {
        let map: std::collections::BTreeMap<_, _> = words.into_iter().collect();
        let keys_json = serde_json::to_string(&map).unwrap();
        let script = if menu {
            format!(r#"{{"menu":{{"start":{{"say":"A","keys":{keys_json},"else":"{other}","silent":"go:b","seconds":0}},"b":{{"keys":{keys_json},"silent":"go:start"}}}},"max_seconds":{longest}}}"#)
        } else {
            format!(r#"{{"say":"A","repeat":3,"keys":{keys_json},"record":{{"key":"3"}},"max_seconds":{longest}}}"#)
        };
        let mut line = Line::answered(&script);
        let mut pressed = keys;
        pressed.sort();
        for (at, key) in pressed {
            line = line.until(at).then(Input::Key(key.chars().next().unwrap()));
        }
        let line = line.until(1_000_000);
        let words = line.words();
        prop_assert_eq!(words.iter().filter(|word| **word == "hangs up").count(), 1);
        prop_assert_eq!(words.last().copied(), Some("hangs up"));
        prop_assert!(line.told.last().unwrap().0 <= longest.min(900) * 1000);
        prop_assert!(line.told.len() < 2000);
        let records = |word: &str| words.iter().filter(|w| **w == word).count();
        prop_assert_eq!(records("records"), records("recorded"));
    }
}
