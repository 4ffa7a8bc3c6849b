//! The two scripts of a shout, every branch of them, and what a menu of a careless author does.

use super::*;

/// The call in which the message is spoken, as the server makes it.
const RECORD: &str = include_str!("../../../tests/support/shouts/record.json");

/// The call that brings it.
const DELIVERY: &str = include_str!("../../../tests/support/shouts/delivery.json");

/// The caller speaks, two seconds after the tone.
fn speaking() -> Line {
    Line::answered(RECORD).until(1000).then(Input::Key('*')).until(7000)
}

/// The caller has spoken, and is asked what to do with it.
fn asked() -> Line {
    speaking().then(Input::Key('#')).until(8000)
}

/// With the times at which it happened, in seconds.
fn in_seconds(line: &Line) -> Vec<(f64, &str)> {
    line.told.iter().map(|(at, word)| (f64::from(u32::try_from(*at).unwrap()) / 1000.0, word.as_str())).collect()
}

fn action(line: &Line) -> Option<&str> {
    line.conversation.outcome().action.as_deref()
}

#[test]
fn a_message_is_spoken_heard_and_sent() {
    let line = asked().then(Input::Key('1')).until(11_000).then(Input::Key('2')).until(60_000);
    assert_eq!(
        in_seconds(&line),
        [
            (0.5, "says Welcome"),
            (1.0, "key * -"),
            (1.0, "stops"),
            (1.0, "enters record"),
            (1.0, "says Speak now"),
            (3.0, "beeps"),
            (5.0, "records"),
            (7.0, "recorded"),
            (7.0, "enters verify"),
            (7.0, "says Verify"),
            (8.0, "key 1 -"),
            (8.0, "stops"),
            (8.0, "enters replay"),
            (8.0, "replays 1"),
            (11.0, "key 2 -"),
            (11.0, "enters confirmed"),
            (11.0, "says It goes out"),
            (13.0, "hangs up"),
        ]
    );
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.action.as_deref(), outcome.keys.as_str()), (Some("accept"), "*#12"));
    assert_eq!((outcome.confirmed(), outcome.declined()), (Some(true), false));
}

#[test]
fn what_was_spoken_last_is_what_is_heard() {
    // Also while the one before is being played.
    let again = asked().then(Input::Key('1')).until(8500).then(Input::Key('3')).until(20_000).then(Input::Key('9'));
    let line = again.until(21_000).then(Input::Key('1')).until(22_000);
    let words = line.words();
    assert_eq!(
        words[13..],
        [
            "replays 1",
            "key 3 -",
            "stops",
            "enters record",
            "says Speak now",
            "beeps",
            "records",
            "recorded",
            "enters verify",
            "says Verify",
            "key 1 -",
            "stops",
            "enters replay",
            "replays 2"
        ]
    );
}

#[test]
fn a_message_ends_by_any_key_by_silence_and_by_its_length() {
    for key in "0123456789*#".chars() {
        let line = speaking().then(Input::Key(key));
        assert_eq!(line.words()[7..], ["recorded", "enters verify", "says Verify"], "{key} only ends it");
    }
    let quiet = |seconds| Input::Quiet(Duration::from_secs(seconds));
    let line = speaking().until(16_000).then(quiet(9)).until(17_000).then(quiet(10));
    assert_eq!(in_seconds(&line)[7], (17.0, "recorded"));
    let line = speaking().until(700_000);
    assert_eq!(in_seconds(&line)[7], (605.0, "recorded"));
}

#[test]
fn the_longest_message_is_heard_and_spoken_anew_within_one_call() {
    let line = speaking().until(605_000).then(Input::Key('3')).until(1_220_000).then(Input::Key('2')).until(1_400_000);
    assert_eq!(action(&line), Some("accept"), "{:?}", in_seconds(&line));
    assert_eq!(line.words().iter().filter(|word| **word == "recorded").count(), 2);
    let endless = r#"{"menu":{"start":{"say":"A","seconds":900,"times":20,"keys":{"1":"accept"}}},"max_seconds":86400}"#;
    let line = Line::answered(endless).until(20_000_000);
    assert_eq!(line.told.last().unwrap(), &(3_600_000, "hangs up".to_owned()), "an hour is enough for any menu");
}

#[test]
fn a_message_is_cancelled_by_key_and_by_silence() {
    let line = asked().then(Input::Key('7')).until(60_000);
    assert_eq!(line.words()[10..], ["key 7 -", "stops", "enters cancelled", "says It is cancelled", "hangs up"]);
    assert_eq!((action(&line), line.conversation.outcome().declined()), (Some("decline"), true));
    let silent = Line::answered(RECORD).until(90_000);
    assert_eq!(
        in_seconds(&silent),
        [
            (0.5, "says Welcome"),
            (17.5, "says Welcome"),
            (34.5, "says Welcome"),
            (51.5, "enters cancelled"),
            (51.5, "says It is cancelled"),
            (53.5, "hangs up"),
        ]
    );
    assert_eq!(action(&silent), Some("decline"));
    // Whoever only listens to their message is asked again, and then no more.
    let line = asked().then(Input::Key('1')).until(300_000);
    let entered: Vec<_> = line.words().into_iter().filter(|word| word.starts_with("enters")).collect();
    assert_eq!(entered, ["enters record", "enters verify", "enters replay", "enters verify", "enters cancelled"]);
}

#[test]
fn a_key_without_a_meaning_is_told_and_the_menu_is_said_again() {
    let line = asked().then(Input::Key('0')).until(8500).then(Input::Key('9')).until(60_000);
    assert_eq!(
        in_seconds(&line)[10..],
        [
            (8.0, "key 0 -"),
            (8.0, "stops"),
            (8.0, "enters verify"),
            (8.0, "says Verify"),
            (8.5, "key 9 -"),
            (8.5, "stops"),
            (8.5, "says No key"),
            // It costs none of the three times.
            (10.5, "says Verify"),
            (27.5, "says Verify"),
            (44.5, "says Verify"),
        ]
    );
    // Before a word was said: the caller hears what this is all the same.
    let line = Line::answered(RECORD).until(100).then(Input::Key('1')).until(5000);
    assert_eq!(line.words(), ["key 1 -", "says No key", "says Welcome"]);
    // Somebody sits on the keys.
    let mut line = Line::answered(RECORD);
    for at in 0..400 {
        line = line.until(at * 300).then(Input::Key('1'));
    }
    let line = line.until(1_000_000);
    assert!(line.words().iter().filter(|word| **word == "says No key").count() <= 10);
    assert_eq!(action(&line), Some("decline"));
}

#[test]
fn whoever_hangs_up_after_the_last_key_has_decided() {
    let hung_up = |mut line: Line| {
        let at = line.now;
        line.conversation.line_is_gone(at);
        line
    };
    let confirmed = || asked().then(Input::Key('2')).until(8500);
    assert_eq!(action(&hung_up(confirmed())), Some("accept"));
    assert_eq!(action(&hung_up(asked().then(Input::Key('7')))), Some("decline"));
    // Who only has not said anything has decided nothing.
    assert_eq!(action(&hung_up(asked())), None);
    assert_eq!(action(&hung_up(speaking())), None);
    assert_eq!(action(&hung_up(Line::answered(RECORD).until(52_000))), None);
    // A state that still asks is no decision.
    let asks = RECORD.replace("\"silent\": \"accept\"", "\"silent\": \"accept\", \"keys\": { \"1\": \"go:verify\" }");
    let line = Line::answered(&asks).until(1000).then(Input::Key('*')).until(7000).then(Input::Key('#')).then(Input::Key('2'));
    assert_eq!(action(&hung_up(line)), None);
}

#[test]
fn the_fifth_message_is_not_begun_and_the_fourth_stands() {
    let mut line = asked();
    for n in 1..4 {
        let at = 8000 + n * 10_000;
        line = line.until(at).then(Input::Key('3')).until(at + 6000).then(Input::Key('#'));
    }
    let line = line.until(50_000).then(Input::Key('3')).until(55_000).then(Input::Key('1')).until(56_000);
    let words = line.words();
    assert_eq!(words.iter().filter(|word| **word == "recorded").count(), 4);
    assert_eq!(words[words.len() - 6..], ["key 3 -", "says No key", "says Verify", "key 1 -", "enters replay", "replays 4"]);
    // What is wished for counts too.
    let wish = |ack| Input::Wish(ack, record(2));
    let mut line = Line::answered(ALARM).until(9000);
    for ack in 1..=5 {
        line = line.then(wish(ack)).until(9000 + u64::try_from(ack).unwrap() * 5000);
    }
    let words = line.words();
    assert!(words.contains(&"recorded for 4") && words.contains(&"tells 5 error busy"), "{words:?}");
    // A menu that goes on by itself goes on, and one that goes round ends.
    let round = Line::answered(r#"{"menu":{"start":{"record":{"beep":false,"max_seconds":1,"then":"go:start"}}}}"#).until(90_000);
    assert_eq!(round.words().iter().filter(|word| **word == "recorded").count(), 4, "{:?}", round.told);
    assert_eq!(round.words().last(), Some(&"hangs up"));
}

#[test]
fn a_call_that_is_wanted_no_more_says_so_and_keeps_what_was_spoken() {
    let over = || Input::Wish(0, Wish::Drop(Some(Utterance::Text("Too late".to_owned()))));
    assert_eq!(speaking().then(over()).until(60_000).words()[7..], ["recorded", "says Too late", "hangs up"]);
    let line = asked().then(Input::Key('1')).then(over()).then(Input::Key('2')).until(60_000);
    assert_eq!(line.words()[13..], ["replays 1", "says Too late", "hangs up"]);
    assert_eq!(action(&line), None);
}

#[test]
fn a_message_is_recorded_also_where_the_whole_call_was_to_be() {
    let both = RECORD.replacen('{', r#"{ "record": { "from": "answer" },"#, 1);
    let line = Line::answered(&both).until(1000).then(Input::Key('*')).until(7000).then(Input::Key('#')).until(7500);
    let words = ["says Speak now", "beeps", "records", "recorded", "enters verify", "says Verify"];
    assert_eq!(line.words()[4..], words, "the call is made for the message");
}

fn answered_by(verdict: Verdict) -> Line {
    Line::answered(DELIVERY).until(2000).then(Input::Machine(verdict))
}

#[test]
fn a_person_hears_the_message_once_and_what_keys_there_are() {
    let line = answered_by(Verdict::Human).until(60_000);
    assert_eq!(
        in_seconds(&line),
        [(2.0, "says Four hundred"), (4.0, "enters options"), (4.0, "says Options"), (21.0, "hangs up")]
    );
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.heard_times, outcome.action.as_deref()), (1, None));
    assert!(Line::answered(DELIVERY).until(10_900).words().is_empty(), "nothing is said before the guess");
    assert_eq!(in_seconds(&Line::answered(DELIVERY).until(11_000)), [(11.0, "says Four hundred")], "a guess may fail to come");
}

#[test]
fn a_machine_hears_it_once_when_it_is_silent() {
    let quiet = |milliseconds| Input::Quiet(Duration::from_millis(milliseconds));
    let line = answered_by(Verdict::Machine).until(9000).then(quiet(1800)).then(quiet(2000)).until(60_000);
    assert_eq!(
        in_seconds(&line),
        [(9.0, "says Four hundred"), (11.0, "enters options"), (11.0, "says Options"), (28.0, "hangs up")]
    );
    assert_eq!(line.conversation.outcome().heard_times, 1);
    let endless = answered_by(Verdict::Machine).until(90_000);
    assert_eq!(in_seconds(&endless)[0], (62.0, "says Four hundred"));
}

#[test]
fn whom_nobody_knows_hears_it_twice_and_a_person_by_key_once_more() {
    let line = answered_by(Verdict::Unknown).until(60_000);
    assert_eq!(
        in_seconds(&line),
        [
            (2.0, "says Four hundred"),
            // With a moment between the two.
            (5.0, "says Four hundred"),
            (7.0, "enters options"),
            (7.0, "says Options"),
            (24.0, "hangs up")
        ]
    );
    assert_eq!(line.conversation.outcome().heard_times, 2);
    let line = answered_by(Verdict::Unknown).until(8000).then(Input::Key('0')).until(60_000);
    assert_eq!(
        in_seconds(&line)[4..],
        [
            (8.0, "key 0 -"),
            (8.0, "stops"),
            (8.0, "enters start"),
            (8.0, "says Four hundred"),
            (10.0, "enters options"),
            (10.0, "says Options"),
            (27.0, "hangs up")
        ],
        "whoever presses a key is a person"
    );
}

#[test]
fn five_opts_out_whenever_it_is_pressed() {
    let at = |line: Line, when: u64| line.until(when).then(Input::Key('5')).then(Input::Key('0')).until(400_000);
    let waiting = || Line::answered(DELIVERY);
    for (name, line, heard) in [
        ("at once", at(waiting(), 0), 0),
        ("before the guess", at(waiting(), 1500), 0),
        ("in the greeting of what seems to be a machine", at(answered_by(Verdict::Machine), 20_000), 0),
        ("during the message", at(answered_by(Verdict::Human), 3000), 0),
        ("between the two times", at(answered_by(Verdict::Unknown), 4500), 1),
        ("during the second time", at(answered_by(Verdict::Unknown), 6000), 1),
        ("while the keys are named", at(answered_by(Verdict::Human), 5000), 1),
        ("afterwards", at(answered_by(Verdict::Human), 15_000), 1),
        (
            "and a guess that comes later changes nothing",
            {
                let line = waiting().until(1500).then(Input::Key('5')).then(Input::Machine(Verdict::Unknown));
                line.until(400_000)
            },
            0,
        ),
    ] {
        let words: Vec<_> = line.words().into_iter().filter(|word| *word != "stops").collect();
        assert_eq!(words[words.len() - 3..], ["key 5 stop_calling", "says No more calls", "hangs up"], "{name}");
        let outcome = line.conversation.outcome();
        assert_eq!((outcome.action.as_deref(), outcome.heard_times), (Some("stop_calling"), heard), "{name}");
        assert_eq!((outcome.confirmed(), outcome.declined()), (Some(true), true), "{name}");
    }
}

#[test]
fn any_other_key_repeats_the_message_as_long_as_the_call_may_last() {
    let mut line = answered_by(Verdict::Human);
    for n in 1..100 {
        line = line.until(2000 + n * 3000).then(Input::Key(if n % 2 == 0 { '0' } else { '8' }));
    }
    let line = line.until(1_000_000);
    assert_eq!(line.told.last().unwrap(), &(160_000, "hangs up".to_owned()));
    assert!(line.conversation.outcome().heard_times > 40, "{:?}", line.conversation.outcome());
    // Also before the guess: somebody is there.
    let line = Line::answered(DELIVERY).until(1000).then(Input::Key('0')).until(2000).then(Input::Machine(Verdict::Machine));
    assert_eq!(in_seconds(&line)[1..], [(1.0, "enters start"), (1.0, "says Four hundred")]);
}

#[test]
fn what_was_not_heard_to_its_end_does_not_count() {
    let mut line = answered_by(Verdict::Human).until(3900);
    line.conversation.line_is_gone(Duration::from_millis(3900));
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.heard, outcome.heard_times), (Duration::from_millis(1900), 0));
    // The same without a menu.
    assert_eq!(Line::answered(ALARM).until(60_000).conversation.outcome().heard_times, 2);
    assert_eq!(Line::answered(ALARM).until(6000).then(Input::Key('1')).until(60_000).conversation.outcome().heard_times, 1);
}

/// What a menu says, and when it ends.
fn careless(menu: &str) -> Line {
    Line::answered(&format!(r#"{{"menu":{menu}}}"#)).until(1_000_000)
}

#[test]
fn a_menu_that_goes_round_in_silence_ends() {
    for menu in [
        r#"{"start":{"silent":"go:b"},"b":{"silent":"go:start"}}"#,
        r#"{"start":{"silent":"go:start"}}"#,
        r#"{"start":{"silent":"repeat"}}"#,
        r#"{"start":{"silent":"go:b","seconds":0,"keys":{"1":"accept"}},"b":{"replay":true,"silent":"go:start"}}"#,
    ] {
        let line = careless(menu);
        assert_eq!(line.words().last(), Some(&"hangs up"), "{menu}");
        assert!(line.told.len() < 50, "{menu}: {}", line.told.len());
    }
    // One that says something goes round as long as the call may last.
    let line = careless(r#"{"start":{"say":"A","silent":"go:b"},"b":{"say":"B","silent":"go:start"}}"#);
    assert_eq!(line.told.last().unwrap(), &(180_000, "hangs up".to_owned()));
}

#[test]
fn a_careless_menu_is_spoken_as_far_as_it_goes() {
    for (menu, words) in [
        // Nowhere to go.
        (r#"{"start":{"say":"A","silent":"go:nowhere"}}"#, &["says A", "hangs up"][..]),
        (
            r#"{"start":{"say":"A","record":{"beep":false,"max_seconds":1,"then":"go:nowhere"}}}"#,
            &["says A", "records", "recorded", "hangs up"],
        ),
        // Nothing was recorded.
        (r#"{"start":{"replay":true,"say":"A"}}"#, &["says A", "hangs up"]),
        (r#"{"start":{"replay":true}}"#, &["hangs up"]),
        (r#"{"start":{"replay":"perhaps","say":"A"}}"#, &["says A", "hangs up"]),
        // Nothing to say.
        (r#"{"start":{}}"#, &["hangs up"]),
        (r#"{"start":{"silent":"go:b"},"b":{"say":"B"}}"#, &["enters b", "says B", "hangs up"]),
        // Nothing of it.
        (r#"{"start":{"say":"A","seconds":0,"times":0,"keys":{"1":"accept"}}}"#, &["says A", "hangs up"]),
        (r#"{"start":{"say":"A","seconds":-3,"times":"x","keys":{"12":"accept","":"accept"}}}"#, &["says A", "hangs up"]),
        // Words that nobody knows.
        (r#"{"start":{"say":"A","sing":1,"silent":"dance","else":"dance"}}"#, &["says A", "hangs up"]),
    ] {
        assert_eq!(careless(menu).words(), words, "{menu}");
    }
    let line = Line::answered(r#"{"max_seconds":0,"menu":{"start":{"say":"A"}}}"#).until(90_000);
    assert_eq!(line.words(), ["says A", "hangs up"], "no time at all is none that somebody meant");
    // A key that leads nowhere is told, and changes nothing.
    let line = Line::answered(r#"{"menu":{"start":{"say":"A","keys":{"1":"go:nowhere","2":"accept"}}}}"#).until(700);
    assert_eq!(line.then(Input::Key('1')).until(60_000).words(), ["says A", "key 1 go:nowhere", "hangs up"]);
    let line = Line::answered(r#"{"machine":{"detect":true,"wait":true,"on_human":"dance"},"menu":{"start":{"say":"A"}}}"#);
    assert_eq!(line.until(900).then(Input::Machine(Verdict::Human)).until(60_000).words(), ["says A", "hangs up"]);
}

#[test]
fn the_beginning_is_among_the_twenty_states_however_many_there_are() {
    let mut states: Vec<String> = (0..30).map(|n| format!(r#""a{n:02}":{{"say":"A{n:02}"}}"#)).collect();
    states.push(r#""start":{"say":"Welcome","keys":{"1":"go:a00","2":"go:a29"}}"#.to_owned());
    let script = format!(r#"{{"menu":{{{}}}}}"#, states.join(","));
    let read: Script = serde_json::from_str(&script).unwrap();
    let said = read.utterances();
    assert!(said.contains(&Utterance::Text("Welcome".to_owned())), "{said:?}");
    assert_eq!(said.len(), MOST_STATES);
    let line = Line::answered(&script).until(1000).then(Input::Key('2')).then(Input::Key('1')).until(60_000);
    assert_eq!(line.words(), ["says Welcome", "key 2 go:a29", "key 1 -", "stops", "enters a00", "says A00", "hangs up"]);
}

/// What happens in a call, told in one letter.
fn happens(letter: char) -> Input {
    match letter {
        'H' => Input::Machine(Verdict::Human),
        'M' => Input::Machine(Verdict::Machine),
        'U' => Input::Machine(Verdict::Unknown),
        'q' => Input::Quiet(Duration::from_secs(2)),
        'Q' => Input::Quiet(Duration::from_secs(10)),
        key => Input::Key(key),
    }
}

proptest! {
    /// Whatever is pressed, heard and guessed: the call ends in time, each key does one thing at most, and the last word of a person stands.
    #[test]
    fn every_shout_ends_and_each_key_does_one_thing(
        delivery: bool,
        longest in 1_u64..500,
        events in proptest::collection::vec((0_u64..20_000, "[0-9*#HMUqQ]"), 0..60),
    ) {
        let mut script: serde_json::Value = serde_json::from_str(if delivery { DELIVERY } else { RECORD }).unwrap();
        script["max_seconds"] = longest.into();
        let mut line = Line::answered(&script.to_string());
        let mut at = 0;
        for (pause, letter) in events {
            at += pause;
            line = line.until(at);
            let (before, was) = (line.told.len(), action(&line).map(str::to_owned));
            line = line.then(happens(letter.chars().next().unwrap()));
            let new: Vec<_> = line.words()[before..].to_vec();
            let count = |what: &str| new.iter().filter(|word| word.starts_with(what)).count();
            let done = count("key") + count("recorded");
            prop_assert!(done <= 1 && count("enters") <= 1 && count("says") + count("replays") <= 1, "{letter}: {new:?}");
            prop_assert!(was.is_none() || (new.is_empty() && action(&line) == was.as_deref()), "{letter}: {new:?}");
        }
        let line = line.until(1_000_000);
        let words = line.words();
        prop_assert_eq!(words.iter().filter(|word| **word == "hangs up").count(), 1);
        prop_assert_eq!(words.last().copied(), Some("hangs up"));
        prop_assert!(line.told.last().unwrap().0 <= longest * 1000);
        let count = |what: &str| words.iter().filter(|word| **word == what).count();
        prop_assert_eq!(count("records"), count("recorded"));
        prop_assert!(count("recorded") <= 4);
        let opted_out = count("key 5 stop_calling") == 1;
        prop_assert_eq!(opted_out, action(&line) == Some("stop_calling"));
    }
}
