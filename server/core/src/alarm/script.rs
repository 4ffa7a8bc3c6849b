//! What a call about an alarm says, and what its keys do: a script for a handset that speaks.

use std::collections::BTreeMap;

use android_protocol::voice::phrases::{self, Phrases};
use android_protocol::voice::script::{MachineRule, RecordRule, Script};
use android_protocol::voice::text;

use super::{HuntOutcome, KeyAction};

/// A call in which nothing was agreed ends after so many seconds.
pub const LONGEST_CALL: u64 = 120;
/// How often it is said.
const TIMES: u64 = 2;
/// Silence between two times, in milliseconds.
const PAUSE_MS: u64 = 3_000;
/// Seconds in which a key is waited for after the last time.
const KEY_WAIT: u64 = 15;

/// Which key does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// They take it.
    pub accept: char,
    /// Somebody else should; `None`: that is not offered.
    pub decline: Option<char>,
    /// Somebody else should, and they want to hear no more of it; `None`: that is not offered.
    pub stop_calling: Option<char>,
}

impl Keys {
    /// Those that Barista's phrases speak of.
    pub const BARISTA: Self = Self { accept: '1', decline: Some('2'), stop_calling: None };
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub struct Said<'s> {
    /// The words.
    pub text: &'s str,
    /// Their language, where somebody has said it.
    pub language: Option<&'s str>,
    /// So many other alarms are rung for with it.
    pub others: usize,
    /// The words say themselves which keys there are.
    pub asks: bool,
    /// What is recorded of the call.
    pub recording: Option<Recording>,
}

/// What is recorded of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What.
    pub what: Recorded,
    /// The callee hears of it first.
    pub is_said: bool,
}

/// What of a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// All that the callee says.
    Call,
    /// A message that they leave, after a key and a tone.
    Message {
        /// The key.
        key: char,
    },
}

/// The longest message, in seconds.
const LONGEST_MESSAGE: u64 = 60;
/// Silence that ends it, in milliseconds.
const MESSAGE_OVER_MS: u64 = 3_000;

/// Sentences that handsets have no need of: they are spoken where the server knows more. The Japanese is in kana, as there.
struct Sentences {
    language: &'static str,
    others: &'static str,
    taken: &'static str,
    over: &'static str,
    /// Before everything else, where the call is recorded.
    recorded: &'static str,
    /// How a message is left.
    message: &'static str,
    /// The same where it is said that it is recorded.
    message_recorded: &'static str,
}

const SENTENCES: [Sentences; 4] = [
    Sentences {
        language: "en",
        others: "And {count} more.",
        taken: "{name} has taken it already.",
        over: "It is over already.",
        recorded: "This call is recorded.",
        message: "Press {key} to leave a message.",
        message_recorded: "Press {key} to leave a message. It is recorded.",
    },
    Sentences {
        language: "zh",
        others: "另有{count}条告警。",
        taken: "{name}已经接手。",
        over: "告警已经结束。",
        recorded: "本次通话将被录音。",
        message: "留言请按{key}。",
        message_recorded: "留言请按{key}，留言将被录音。",
    },
    Sentences {
        language: "ja",
        others: "ほかに{count}けんあります。",
        taken: "{name}さんがすでにたいおうしています。",
        over: "すでにおわっています。",
        recorded: "このつうわはろくおんされます。",
        message: "でんごんをのこすばあいは{key}をおしてください。",
        message_recorded: "でんごんをのこすばあいは{key}をおしてください。でんごんはろくおんされます。",
    },
    Sentences {
        language: "es",
        others: "Y {count} más.",
        taken: "{name} ya se ha hecho cargo.",
        over: "Ya ha terminado.",
        recorded: "Esta llamada se graba.",
        message: "Pulse {key} para dejar un mensaje.",
        message_recorded: "Pulse {key} para dejar un mensaje. Se grabará.",
    },
];

/// Whether words that a Barista client wrote ask for its two keys themselves: each of them stands there by itself, in digits of any width.
#[must_use]
pub fn asks_itself(words: &str) -> bool {
    let narrow = |c: char| match c {
        '０'..='９' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let words: String = words.chars().map(narrow).collect();
    let numbers: Vec<&str> = words.split(|c: char| !c.is_ascii_digit()).collect();
    ["1", "2"].iter().all(|key| numbers.contains(key))
}

/// What is said in a language, English where it has no sentences.
fn sentences(phrases: &Phrases) -> &'static Sentences {
    SENTENCES.iter().find(|own| own.language == phrases.language).unwrap_or(&SENTENCES[0])
}

/// The language of words: what was said about it, else what its letters say.
#[must_use]
pub fn language_of(tag: Option<&str>, words: &str) -> String {
    match tag.map(str::trim).filter(|tag| !tag.is_empty()) {
        Some(tag) => tag.to_owned(),
        None => text::guess_language(words).to_owned(),
    }
}

/// What a call says and asks. Any key that is not one of `keys` is asked for again. `guesses`: the handset can guess whether a machine
/// answered; to one of these it is said once.
#[must_use]
pub fn script(said: Said<'_>, keys: &Keys, guesses: bool) -> Script {
    let words = text::clean(said.text);
    let language = language_of(said.language, &words);
    let phrases = phrases::of(&language);
    let prompt = prompt(phrases, keys);
    let mut tail = String::new();
    if said.others > 0 {
        tail = format!(" {}", sentences(phrases).others.replace("{count}", &said.others.to_string()));
    }
    // Words that are cut lose their own question, which stands last.
    if !said.asks || words.chars().count() >= text::LONGEST {
        tail = format!("{tail} {prompt}");
    }
    let offered =
        [(Some(keys.accept), KeyAction::Accept), (keys.decline, KeyAction::Decline), (keys.stop_calling, KeyAction::StopCalling)];
    let taken = |key: char| offered.iter().any(|(own, _)| *own == Some(key));
    // A key does one thing.
    let recording = said.recording.filter(|recording| !matches!(recording.what, Recorded::Message { key } if taken(key)));
    let mut head = String::new();
    let record = recording.map(|Recording { what, is_said }| match what {
        Recorded::Call => {
            if is_said {
                head = format!("{} ", sentences(phrases).recorded);
            }
            RecordRule { from: Some(if is_said { "said" } else { "answer" }.to_owned()), ..RecordRule::default() }
        }
        Recorded::Message { key } => {
            let sentences = sentences(phrases);
            let how = if is_said { sentences.message_recorded } else { sentences.message };
            tail = format!("{tail} {}", how.replace("{key}", &key.to_string()));
            RecordRule {
                key: Some(key.to_string()),
                max_seconds: Some(LONGEST_MESSAGE),
                silence_ms: Some(MESSAGE_OVER_MS),
                beep: Some(true),
                ..RecordRule::default()
            }
        }
    });
    // Nothing that is asked or has to be heard is cut off.
    let room = text::LONGEST.saturating_sub(head.chars().count() + tail.chars().count() + 1);
    let words: String = words.chars().take(room).collect();
    let stop = match words.trim_end().chars().last() {
        None | Some('.' | '!' | '?' | '。' | '！' | '？') => "",
        Some(_) if matches!(phrases.language, "zh" | "ja") => "。",
        Some(_) => ".",
    };
    let say = format!("{head}{}{stop}{tail}", words.trim_end()).trim().to_owned();
    let word = |action: KeyAction| action.as_str().to_owned();
    Script {
        say: Some(if say.is_empty() { prompt.clone() } else { say }),
        language: Some(language),
        repeat: Some(TIMES),
        pause_ms: Some(PAUSE_MS),
        keys: offered.into_iter().filter_map(|(key, action)| Some((key?.to_string(), word(action)))).collect(),
        key_wait_seconds: Some(KEY_WAIT),
        thanks: BTreeMap::from([
            (word(KeyAction::Accept), phrases.accepted.to_owned()),
            (word(KeyAction::Decline), phrases.declined.to_owned()),
            (word(KeyAction::StopCalling), phrases.declined.to_owned()),
        ]),
        invalid_key_say: Some(format!("{} {prompt}", phrases.invalid)),
        record,
        machine: guesses.then(|| MachineRule {
            detect: Some(true),
            on_machine: Some("say_once".to_owned()),
            ..MachineRule::default()
        }),
        max_seconds: Some(LONGEST_CALL),
        ..Script::default()
    }
}

fn prompt(phrases: &Phrases, keys: &Keys) -> String {
    match keys.decline {
        Some(decline) => phrases.prompt.replace("{accept}", &keys.accept.to_string()).replace("{decline}", &decline.to_string()),
        None => phrases.prompt_accept.replace("{accept}", &keys.accept.to_string()),
    }
}

/// What somebody hears who takes an alarm in a call that was given up: that it is taken, or over; nothing where it is theirs all the same.
#[must_use]
pub fn too_late(outcome: Option<HuntOutcome>, taken_by: Option<&str>, language: &str) -> Option<String> {
    let sentences = sentences(phrases::of(language));
    match (outcome, taken_by) {
        (Some(HuntOutcome::Answered), Some(name)) => Some(sentences.taken.replace("{name}", &text::clean(name))),
        (Some(HuntOutcome::Cancelled | HuntOutcome::Resolved), _) => Some(sentences.over.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::time::Duration;

    use android_protocol::voice::conversation::{Command, Conversation, FIRST_PAUSE, Input};
    use android_protocol::voice::script::Utterance;
    use proptest::prelude::*;

    use super::*;

    const KEYS: Keys = Keys { accept: '1', decline: Some('2'), stop_calling: None };

    fn said(text: &str, language: Option<&'static str>) -> Script {
        script(Said { text, language, others: 0, asks: false, recording: None }, &KEYS, true)
    }

    #[test]
    fn an_alarm_is_said_with_its_question_in_its_language() {
        let english = said("Disk full on db1", Some("en"));
        assert_eq!(english.say.unwrap(), "Disk full on db1. Press 1 to take it. Press 2 if you cannot.");
        let chinese = said("db1 磁盘已满", None);
        assert_eq!(chinese.language.as_deref(), Some("zh"));
        assert_eq!(chinese.say.unwrap(), "db1 磁盘已满。 接手请按1，无法处理请按2。");
        assert_eq!(chinese.keys, BTreeMap::from([("1".to_owned(), "accept".to_owned()), ("2".to_owned(), "decline".to_owned())]));
    }

    #[test]
    fn alarms_that_share_a_call_are_counted() {
        let both =
            script(Said { text: "Disk full.", language: Some("es"), others: 2, asks: false, recording: None }, &KEYS, false);
        assert_eq!(both.say.unwrap(), "Disk full. Y 2 más. Pulse 1 para hacerse cargo. Pulse 2 si no puede.");
        assert_eq!(both.machine, None);
    }

    #[test]
    fn words_that_ask_themselves_are_left_as_they_are() {
        let text = "緊急のお知らせです。db1 対応できる場合は1を、できない場合は2を押してください。";
        let barista =
            script(Said { text, language: Some("ja-jp"), others: 0, asks: true, recording: None }, &Keys::BARISTA, true);
        assert_eq!(barista.say.as_deref(), Some(text));
        assert!(barista.invalid_key_say.unwrap().contains("1を"), "any other key is asked for again");
    }

    #[test]
    fn a_question_is_told_from_other_numbers() {
        for asks in ["Press 1 to take it, 2 if you cannot.", "１か２を押してください", "1を、2を"] {
            assert!(asks_itself(asks), "{asks}");
        }
        for other in ["", "Ticket desk: 0312", "Press 1", "Call 12 or 21", "rack 2"] {
            assert!(!asks_itself(other), "{other}");
        }
    }

    #[test]
    fn a_message_too_long_for_its_own_question_is_given_ours() {
        let text = format!("{} Press 1 to take it, 2 if you cannot.", "x".repeat(580));
        let script =
            script(Said { text: &text, language: Some("en"), others: 0, asks: true, recording: None }, &Keys::BARISTA, true);
        assert!(script.say.as_deref().is_some_and(|say| say.ends_with("Press 2 if you cannot.")), "{:?}", script.say);
    }

    #[test]
    fn whoever_is_recorded_hears_it_first_and_in_their_language() {
        let of = |what, is_said, language| {
            let recording = Some(Recording { what, is_said });
            script(Said { text: "Disk full", language: Some(language), others: 0, asks: false, recording }, &KEYS, false)
        };
        let call = of(Recorded::Call, true, "en");
        assert_eq!(call.say.unwrap(), "This call is recorded. Disk full. Press 1 to take it. Press 2 if you cannot.");
        assert_eq!(call.record.unwrap().from.as_deref(), Some("said"), "not before they have heard of it");
        let unsaid = of(Recorded::Call, false, "en");
        assert!(unsaid.say.unwrap().starts_with("Disk full"));
        assert_eq!(unsaid.record.unwrap().from.as_deref(), Some("answer"));
        for (language, begins) in [("zh", "本次通话"), ("ja", "このつうわ"), ("es", "Esta llamada")] {
            assert!(of(Recorded::Call, true, language).say.unwrap().starts_with(begins), "{language}");
        }
        let message = of(Recorded::Message { key: '3' }, true, "en");
        assert!(message.say.unwrap().ends_with("Press 2 if you cannot. Press 3 to leave a message. It is recorded."));
        assert_eq!(message.record.unwrap().key.as_deref(), Some("3"));
        let taken = of(Recorded::Message { key: '1' }, true, "en");
        assert_eq!((taken.record, taken.keys["1"].as_str()), (None, "accept"), "a key does one thing");
        let long = "x".repeat(700);
        let recording = Some(Recording { what: Recorded::Call, is_said: true });
        let cut =
            script(Said { text: &long, language: Some("en"), others: 0, asks: false, recording }, &KEYS, false).say.unwrap();
        assert!(
            cut.starts_with("This call is recorded.") && cut.ends_with("if you cannot.") && cut.chars().count() <= text::LONGEST
        );
        for sentences in &SENTENCES {
            assert!(
                sentences.message.contains("{key}") && sentences.message_recorded.contains("{key}"),
                "{}",
                sentences.language
            );
            assert!(sentences.language != "ja" || !sentences.recorded.chars().any(text::is_han));
        }
    }

    #[test]
    fn whoever_is_too_late_hears_why() {
        let taken = |outcome, by| too_late(outcome, by, "en");
        assert_eq!(taken(Some(HuntOutcome::Answered), Some("Li Na")).as_deref(), Some("Li Na has taken it already."));
        assert_eq!(taken(Some(HuntOutcome::Cancelled), None).as_deref(), Some("It is over already."));
        assert_eq!(taken(Some(HuntOutcome::NoAnswer), None), None, "it is theirs");
        assert_eq!(taken(None, None), None);
        for sentences in &SENTENCES {
            assert!(sentences.others.contains("{count}") && sentences.taken.contains("{name}"), "{}", sentences.language);
            assert_eq!(phrases::of(sentences.language).language, sentences.language);
        }
    }

    proptest! {
        /// Whatever a sender writes, the question is whole, and each key does what it is for; any other is asked for again.
        #[test]
        fn a_call_can_always_be_answered(
            text in any::<String>(), long in 0..1_000_usize, language in prop::option::of("[a-z]{0,3}"), others in 0..200_usize,
            stop in prop::option::of(Just('5')), pressed in prop::sample::select(vec!['0', '1', '2', '5', '9', '#', '*']),
        ) {
            let keys = Keys { stop_calling: stop, ..KEYS };
            let text = format!("{text}{}", "x".repeat(long));
            let script = script(Said { text: &text, language: language.as_deref(), others, asks: false, recording: None }, &keys, false);
            let say = script.say.clone().unwrap();
            prop_assert!(say.chars().count() <= text::LONGEST, "{}", say.chars().count());
            prop_assert!(say.ends_with(&prompt(phrases::of(script.language.as_deref().unwrap()), &keys)), "{say}");
            let mut call = Conversation::new(&script);
            prop_assert_eq!(call.input(FIRST_PAUSE, Input::Tick), vec![Command::Play(vec![Utterance::Text(say)])]);
            let heard = call.input(FIRST_PAUSE + Duration::from_secs(1), Input::Key(pressed));
            let meant = script.keys.get(&pressed.to_string());
            prop_assert_eq!(&heard[0], &Command::Key { key: pressed, action: meant.cloned(), ack: 0 });
            let said = |text: &Option<String>| Command::Play(vec![Utterance::Text(text.clone().unwrap())]);
            let answer = meant.map_or_else(|| said(&script.invalid_key_say), |word| said(&script.thanks.get(word).cloned()));
            prop_assert_eq!(heard.last(), Some(&answer));
        }
    }
}
