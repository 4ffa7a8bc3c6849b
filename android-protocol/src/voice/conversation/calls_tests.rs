//! Calls that stay: they are commanded by somebody else, as long as they are not told to end.

use super::*;

const STAYS: &str = r#"{"stay":true,"max_seconds":600}"#;

/// What happened after the first so many words, with its time in seconds.
fn after(line: &Line, words: usize) -> Vec<(f64, &str)> {
    let told = line.told.iter().skip(words);
    told.map(|(at, word)| (f64::from(u32::try_from(*at).unwrap()) / 1000.0, word.as_str())).collect()
}

#[test]
fn a_call_that_stays_goes_on_in_silence_until_its_time_is_over() {
    let line = Line::answered(STAYS).until(1_000_000);
    assert_eq!(after(&line, 0), [(600.0, "hangs up")]);
    assert_eq!(line.conversation.outcome().action, None);
    // As long as other calls where nothing is said about it, and for four hours at most.
    for (script, ends) in [(r#"{"stay":true}"#, 180.0), (r#"{"stay":true,"max_seconds":99999}"#, 14_400.0)] {
        assert_eq!(after(&Line::answered(script).until(20_000_000), 0), [(ends, "hangs up")]);
    }
    let line = Line::answered(r#"{"stay":false,"max_seconds":600}"#).until(1_000_000);
    assert_eq!(after(&line, 0), [(1.5, "hangs up")], "others end when nothing is left to say");
}

#[test]
fn it_says_what_the_script_says_and_keys_are_told_for_as_long_as_it_stays() {
    let script = ALARM.replacen('{', r#"{"stay":true,"#, 1);
    let line = Line::answered(&script).until(100_000).then(Input::Key('8')).until(110_000).then(Input::Key('1'));
    let line = line.until(120_000).then(Input::Key('2')).until(1_000_000);
    let words = [
        (0.5, "says Disk full"),
        (5.5, "says Disk full"),
        (100.0, "key 8 -"),
        (100.0, "says Wrong key"),
        (110.0, "key 1 accept"),
        (110.0, "says Thanks"),
        (120.0, "key 2 -"),
        (180.0, "hangs up"),
    ];
    assert_eq!(after(&line, 0), words);
    let outcome = line.conversation.outcome();
    assert_eq!((outcome.action.as_deref(), outcome.keys.as_str()), (Some("accept"), "812"), "the first word stands");
    // While it thanks, too; and a key that means the end is the end.
    let script = r#"{"stay":true,"say":"A","keys":{"1":"accept","9":"end"},"thanks":{"accept":"T"}}"#;
    let line = Line::answered(script).until(1000).then(Input::Key('1')).then(Input::Key('9')).until(9000);
    assert_eq!(line.words(), ["says A", "key 1 accept", "stops", "says T", "key 9 -"]);
    let line = Line::answered(script).until(90_000).then(Input::Key('9'));
    assert_eq!(line.words(), ["says A", "key 9 -", "hangs up"]);
    let menu = r#"{"stay":true,"menu":{"start":{"say":"A","keys":{"1":"go:b"}},"b":{"say":"B","silent":"accept"}}}"#;
    let line = Line::answered(menu).until(20_000).then(Input::Key('1')).until(30_000);
    assert_eq!(line.words(), ["says A", "key 1 -", "enters b", "says B"]);
    assert_eq!(line.conversation.outcome().action.as_deref(), Some("accept"));
}

#[test]
fn one_command_after_the_other_and_it_still_stays() {
    let line = Line::answered(STAYS).until(20_000).then(Input::Wish(1, Wish::Play { again: 1, finish: String::new() }));
    let line = line.until(30_000).then(Input::Wish(2, collect(1, 5))).until(40_000).then(Input::Wish(3, record(5)));
    let line = line.until(50_000).then(Input::Wish(4, join("r", false))).until(60_000).then(Input::Wish(5, Wish::Leave));
    let line = line.until(70_000).then(Input::Wish(6, Wish::Stop)).until(80_000).then(Input::Key('5')).until(300_000);
    let words = [
        (20.0, "plays for 1, and again"),
        (20.0, "tells 1 playing"),
        (22.0, "plays for 1"),
        (24.0, "tells 1 played"),
        (35.0, "tells 2 collected "),
        (40.0, "beeps"),
        (42.0, "records"),
        (42.0, "tells 3 playing"),
        (47.0, "recorded for 3"),
        (50.0, "enters the room r"),
        (50.0, "tells 4 joined r"),
        (60.0, "leaves"),
        (60.0, "tells 5 left"),
        (70.0, "tells 6 stopped"),
        (80.0, "key 5 -"),
    ];
    assert_eq!(after(&line, 0), words);
    let dropped = |say: Option<&str>| Input::Wish(0, Wish::Drop(say.map(|say| Utterance::Text(say.to_owned()))));
    assert_eq!(Line::answered(STAYS).until(9000).then(dropped(None)).words(), ["hangs up"]);
    let line = Line::answered(STAYS).until(9000).then(dropped(Some("Bye"))).until(20_000);
    assert_eq!(after(&line, 0), [(9.0, "says Bye"), (11.0, "hangs up")], "dropped, it does not stay");
}

#[test]
fn a_key_that_was_named_ends_what_is_played_and_no_other_does() {
    let play = |again| Input::Wish(7, Wish::Play { again, finish: "#*".to_owned() });
    let line = Line::answered(STAYS).until(9000).then(play(5)).until(12_000).then(Input::Key('1')).then(Input::Key('#'));
    let line = line.until(15_000).then(Input::Key('#')).until(20_000);
    let words = [
        (9.0, "plays for 7, and again"),
        (9.0, "tells 7 playing"),
        (11.0, "plays for 7, and again"),
        (12.0, "key 1 -"),
        (12.0, "key # for 7"),
        (12.0, "stops"),
        (12.0, "tells 7 stopped"),
        (15.0, "key # -"),
    ];
    assert_eq!(after(&line, 0), words);
    // Also where it would mean something to the script, which goes on.
    let line = Line::answered(ALARM).until(9000).then(Input::Wish(7, Wish::Play { again: 0, finish: "1".to_owned() }));
    let line = line.until(10_000).then(Input::Key('1')).until(11_000).then(Input::Key('1'));
    let words = ["plays for 7", "tells 7 playing", "key 1 for 7", "stops", "tells 7 stopped", "key 1 accept", "says Thanks"];
    assert_eq!(line.words()[2..], words);
}

#[test]
fn keys_are_collected_by_their_rules() {
    let collect = |valid: Option<&str>| Wish::Collect {
        most: 4,
        within: Duration::from_secs(10),
        between: Some(Duration::from_secs(3)),
        valid: valid.map(str::to_owned),
        finish: "#".to_owned(),
    };
    let asked = |valid| Line::answered(STAYS).until(10_000).then(Input::Wish(4, collect(valid)));
    assert_eq!(after(&asked(None).until(60_000), 0), [(20.0, "tells 4 collected ")], "no key in time");
    let line = asked(None).until(19_000).then(Input::Key('1')).until(21_000).then(Input::Key('2')).until(60_000);
    assert_eq!(after(&line, 0), [(24.0, "tells 4 collected 12")], "the second time counts from each key");
    let line = asked(None).then(Input::Key('1')).then(Input::Key('#')).then(Input::Key('5'));
    assert_eq!(line.words(), ["tells 4 key #", "tells 4 collected 1#", "key 5 -"]);
    let line = asked(None).then(Input::Key('1')).then(Input::Key('2')).then(Input::Key('3')).then(Input::Key('4'));
    assert_eq!(line.words(), ["tells 4 collected 1234"], "enough");
    // Another key is as none, also for the time.
    let line = asked(Some("12")).until(12_000).then(Input::Key('3')).then(Input::Key('1')).until(14_000).then(Input::Key('9'));
    let line = line.until(14_500).then(Input::Key('2')).until(60_000);
    assert_eq!(after(&line, 0), [(17.5, "tells 4 collected 12")]);
    // Stopped, what came so far is told.
    let line = asked(None).then(Input::Key('7')).then(Input::Wish(5, Wish::Stop)).until(60_000);
    assert_eq!(after(&line, 0), [(10.0, "tells 4 collected 7"), (10.0, "tells 5 stopped")]);
    // The question is cut off by a key that counts, and by its own.
    let question = || Line::answered(STAYS).until(10_000).then(Input::Wish(3, Wish::Play { again: 0, finish: "*".to_owned() }));
    let question = |key| question().then(Input::Wish(4, collect(Some("12")))).until(11_000).then(Input::Key(key)).until(60_000);
    let begun = [(10.0, "plays for 3"), (10.0, "tells 3 playing")];
    for (key, then) in [
        ('9', &[(12.0, "tells 3 played"), (22.0, "tells 4 collected ")][..]),
        ('1', &[(11.0, "stops"), (11.0, "tells 3 stopped"), (14.0, "tells 4 collected 1")]),
        ('*', &[(11.0, "tells 3 key *"), (11.0, "stops"), (11.0, "tells 3 stopped"), (21.0, "tells 4 collected ")]),
        ('#', &[(11.0, "stops"), (11.0, "tells 3 stopped"), (11.0, "tells 4 key #"), (11.0, "tells 4 collected #")]),
    ] {
        assert_eq!(after(&question(key), 0), [&begun[..], then].concat(), "{key}");
    }
}

#[test]
fn a_recording_may_begin_without_a_tone_and_end_by_the_keys_that_were_named() {
    let record = |finish: Option<&str>, beep| {
        Input::Wish(5, Wish::Record { longest: Duration::from_secs(6), finish: finish.map(str::to_owned), beep })
    };
    let begun = |finish, beep| Line::answered(STAYS).until(9000).then(record(finish, beep));
    let line = begun(Some("#"), false).until(10_000).then(Input::Key('1')).then(Input::Key('#')).until(60_000);
    let words = [(9.0, "records"), (9.0, "tells 5 playing"), (10.0, "key 1 -"), (10.0, "key # for 5"), (10.0, "recorded for 5")];
    assert_eq!(after(&line, 0), words);
    let line = begun(Some(""), true).until(12_000).then(Input::Key('#')).until(60_000);
    assert_eq!(after(&line, 3), [(12.0, "key # -"), (17.0, "recorded for 5")], "no key ends it");
    let line = begun(None, true).until(12_000).then(Input::Key('#')).until(60_000);
    assert_eq!(after(&line, 3), [(12.0, "key # -"), (12.0, "recorded for 5")], "any key does, as ever");
}

#[test]
fn in_the_room_where_it_is_only_who_hears_whom_changes() {
    let join = |ack, room: &str, mute, deaf| Input::Wish(ack, Wish::Join { room: room.to_owned(), mute, deaf });
    let line = Line::answered(STAYS).until(9000).then(join(1, "r", false, false)).then(Input::Wish(2, play()));
    let line = line.until(10_000).then(join(3, "r", true, true)).until(20_000).then(join(4, "s", false, true)).until(30_000);
    let words = [
        (9.0, "enters the room r"),
        (9.0, "tells 1 joined r"),
        (9.0, "plays for 2"),
        (9.0, "tells 2 playing"),
        (10.0, "enters the room r, mute, deaf"),
        (10.0, "tells 3 joined r"),
        (11.0, "tells 2 played"),
        (20.0, "enters the room s, deaf"),
        (20.0, "tells 4 joined s"),
    ];
    assert_eq!(after(&line, 0), words);
    // No more recordings are begun than the server takes, those of rooms included.
    let mut line = line;
    let may: Vec<bool> = (0..5).map(|_| line.conversation.may_record()).collect();
    assert_eq!(may, [true, true, true, true, false]);
    assert_eq!(line.then(Input::Wish(9, record(5))).words().last(), Some(&"tells 9 error busy"));
}

#[test]
fn a_call_that_stays_and_is_held_goes_on() {
    let line = Line::answered(STAYS).until(9000).then(Input::Wish(1, play()));
    let line = held(line, 100_000);
    assert_eq!(after(&line, 2), [(39.0, "stops"), (39.0, "tells 1 error too_late")]);
    let script = r#"{"stay":true,"say":"A","keys":{"1":"accept"},"thanks":{"accept":"T"}}"#;
    let thanked = Line::answered(script).until(1000).then(Input::Key('1'));
    let line = held(thanked, 9000);
    assert_eq!(line.words(), ["says A", "key 1 accept", "stops", "says T", "stops"], "the last words do not wait");
}
