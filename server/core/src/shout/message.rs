//! What is said in the calls of a shout: to whoever records its message, and to whoever it goes to.

use std::collections::BTreeMap;

use android_protocol::voice::phrases;
use android_protocol::voice::script::{Clip, MachineRule, MenuState, RecordRule, START, Script};
use android_protocol::voice::text;

use super::RecordingStep;
use crate::alarm::KeyAction;

/// A sentence that the server says in these calls. An operator may keep a clip of its name, which is played in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prompt {
    /// Before the recording.
    RecordWelcome,
    /// That it begins.
    StartRecording,
    /// What to do with it.
    RecordVerification,
    /// That it goes out.
    ReadyForDelivery,
    /// That it does not.
    RecordingCancelled,
    /// After a key that means nothing.
    InvalidEntry,
    /// Without a key.
    NoKeyPressed,
    /// How to hear no more of it; after the message.
    Options,
    /// That they will not.
    OptOut,
    /// At the end.
    Goodbye,
}

impl Prompt {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RecordWelcome,
        Self::StartRecording,
        Self::RecordVerification,
        Self::ReadyForDelivery,
        Self::RecordingCancelled,
        Self::InvalidEntry,
        Self::NoKeyPressed,
        Self::Options,
        Self::OptOut,
        Self::Goodbye,
    ];

    /// The name of the clip that stands for it: the document's, where it has one.
    #[must_use]
    pub fn clip_name(self) -> &'static str {
        match self {
            Self::RecordWelcome => "record_welcome",
            Self::StartRecording => "start_recording",
            Self::RecordVerification => "record_verification",
            Self::ReadyForDelivery => "ready_for_delivery",
            Self::RecordingCancelled => "recording_cancelled",
            Self::InvalidEntry => "invalid_entry",
            Self::NoKeyPressed => "no_key_pressed",
            Self::Options => "options",
            Self::OptOut => "opt_out",
            Self::Goodbye => "goodbye",
        }
    }

    /// Its words. The Japanese is in kana, because Debian's voice speaks nothing else.
    #[must_use]
    pub fn words(self, language: &str) -> &'static str {
        let [en, zh, ja, es] = match self {
            Self::RecordWelcome => [
                "Hello. Press star, and speak your message after the tone. Press any key when you are done.",
                "您好。请按星号键，在提示音后说出您的消息，说完后请按任意键。",
                "おでんわありがとうございます。こめじるしをおして、おとのあとにメッセージをはなしてください。おわったら、どれかキーをおしてください。",
                "Hola. Pulse asterisco y diga su mensaje después de la señal. Pulse cualquier tecla cuando termine.",
            ],
            Self::StartRecording => ["Speak now.", "请讲。", "どうぞ、はなしてください。", "Hable ahora."],
            Self::RecordVerification => [
                "Press 1 to hear your message. Press 2 to send it. Press 3 to speak it again. Press 7 to cancel it. Press 0 to hear this again.",
                "试听请按1，发送请按2，重录请按3，取消请按7，重听菜单请按0。",
                "きくばあいは1を、おくるばあいは2を、はなしなおすばあいは3を、とりけすばあいは7を、もういちどきくばあいは0をおしてください。",
                "Pulse 1 para oír su mensaje. Pulse 2 para enviarlo. Pulse 3 para grabarlo de nuevo. Pulse 7 para anularlo. Pulse 0 para oír esto otra vez.",
            ],
            Self::ReadyForDelivery => [
                "Thank you. Your message goes out now.",
                "谢谢，您的消息即将发送。",
                "ありがとうございます。メッセージをおくります。",
                "Gracias. Su mensaje se envía ahora.",
            ],
            Self::RecordingCancelled => {
                ["Your message is cancelled.", "您的消息已取消。", "メッセージをとりけしました。", "Su mensaje queda anulado."]
            }
            Self::InvalidEntry => {
                ["That key means nothing here.", "此按键无效。", "そのキーはつかえません。", "Esa tecla no sirve aquí."]
            }
            Self::NoKeyPressed => {
                ["No key was pressed.", "未检测到按键。", "キーがおされませんでした。", "No se ha pulsado ninguna tecla."]
            }
            Self::Options => [
                "Press 0 to hear this again. Press 5 to receive no more of these calls.",
                "重听请按0，不再接收此类电话请按5。",
                "もういちどきくばあいは0を、このでんわをもうひつようとしないばあいは5をおしてください。",
                "Pulse 0 para oírlo otra vez. Pulse 5 para no recibir más estas llamadas.",
            ],
            Self::OptOut => [
                "You will receive no more of these calls.",
                "您将不再接到此类电话。",
                "こんごこのでんわはかかりません。",
                "No recibirá más estas llamadas.",
            ],
            Self::Goodbye => ["Goodbye.", "再见。", "しつれいします。", "Adiós."],
        };
        match phrases::of(language).language {
            "zh" => zh,
            "ja" => ja,
            "es" => es,
            _ => en,
        }
    }
}

/// Clips that operators keep in place of prompts, by the names of [`Prompt::clip_name`].
pub type Clips = BTreeMap<&'static str, Clip>;

/// The longest message, in seconds.
pub const LONGEST_MESSAGE: u64 = 600;
/// Silence that ends it, in milliseconds.
const MESSAGE_OVER_MS: u64 = 10_000;
/// Seconds in which a key is waited for.
const KEY_WAIT: u64 = 15;
/// How often the caller is asked before the call ends.
const TIMES: u64 = 3;
/// The longest call with a caller: several tries of the longest message.
pub const LONGEST_RECORDING_CALL: u64 = 3_600;

const RECORD: &str = "record";
const VERIFY: &str = "verify";
const REPLAY: &str = "replay";
const CONFIRMED: &str = "confirmed";
const CANCELLED: &str = "cancelled";

/// How far a recording has got when its call enters a state of [`record_script`].
#[must_use]
pub fn step_of(state: &str) -> Option<RecordingStep> {
    match state {
        START => Some(RecordingStep::Answered),
        RECORD => Some(RecordingStep::PressedStar),
        VERIFY | REPLAY => Some(RecordingStep::Recorded),
        CONFIRMED => Some(RecordingStep::Confirmed),
        _ => None,
    }
}

/// The call in which the caller speaks the message: a star begins, then 1 plays it, 2 sends it, 3 speaks it again, 7 cancels it, 0 says that
/// again. What the caller has spoken is played by the handset itself, which has it.
#[must_use]
pub fn record_script(language: &str, clips: &Clips) -> Script {
    let go = |state: &str| format!("go:{state}");
    let said = |prompts: &[Prompt]| said(prompts, language, clips);
    let keys = |keys: &[(&str, &str)]| keys.iter().map(|(key, to)| ((*key).to_owned(), (*to).to_owned())).collect();
    let (record, verify, replay) = (go(RECORD), go(VERIFY), go(REPLAY));
    let (confirmed, cancelled) = (go(CONFIRMED), go(CANCELLED));
    let verify_keys: BTreeMap<String, String> =
        keys(&[("1", &replay), ("2", &confirmed), ("3", &record), ("7", &cancelled), ("0", &verify)]);
    let ask = |own: MenuState| MenuState { seconds: Some(KEY_WAIT), times: Some(TIMES), ..own };
    let menu = [
        (
            START,
            ask(MenuState { keys: keys(&[("*", &record)]), silent: Some(cancelled.clone()), ..said(&[Prompt::RecordWelcome]) }),
        ),
        (
            RECORD,
            MenuState {
                record: Some(RecordRule {
                    max_seconds: Some(LONGEST_MESSAGE),
                    silence_ms: Some(MESSAGE_OVER_MS),
                    beep: Some(true),
                    then: Some(verify),
                    ..RecordRule::default()
                }),
                ..said(&[Prompt::StartRecording])
            },
        ),
        (
            VERIFY,
            ask(MenuState { keys: verify_keys.clone(), silent: Some(cancelled.clone()), ..said(&[Prompt::RecordVerification]) }),
        ),
        (
            REPLAY,
            // Once heard, the choices are said.
            MenuState {
                keys: verify_keys,
                silent: Some(go(VERIFY)),
                replay: Some(true),
                seconds: Some(1),
                times: Some(1),
                ..MenuState::default()
            },
        ),
        (CONFIRMED, ends(said(&[Prompt::ReadyForDelivery]), KeyAction::Accept)),
        (CANCELLED, ends(said(&[Prompt::RecordingCancelled]), KeyAction::Decline)),
    ];
    Script {
        language: Some(language.to_owned()),
        menu: menu.into_iter().map(|(name, state)| (name.to_owned(), state)).collect(),
        invalid_key_say: Some(Prompt::InvalidEntry.words(language).to_owned()),
        max_seconds: Some(LONGEST_RECORDING_CALL),
        ..Script::default()
    }
}

/// A state after which the call ends with an action.
fn ends(state: MenuState, action: KeyAction) -> MenuState {
    MenuState { silent: Some(action.as_str().to_owned()), times: Some(1), seconds: Some(0), ..state }
}

fn said(prompts: &[Prompt], language: &str, clips: &Clips) -> MenuState {
    let clip = prompts.first().and_then(|prompt| clips.get(prompt.clip_name())).filter(|_| prompts.len() == 1);
    let words: Vec<&str> = prompts.iter().map(|prompt| prompt.words(language)).collect();
    MenuState { say: Some(words.join(" ")), play: clip.cloned(), ..MenuState::default() }
}

/// The message of a shout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Words that are spoken.
    Words {
        /// What is said.
        text: String,
        /// In which language, where somebody has said so.
        language: Option<String>,
    },
    /// Sound.
    Sound {
        /// What is played.
        clip: Clip,
        /// The language of what is said around it.
        language: String,
        /// Its length.
        seconds: u64,
    },
}

/// The four times by which a machine is told from a person, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Silence before anything is said, after which nobody knows.
    pub initial: u64,
    /// A person says no more than this.
    pub greeting: u64,
    /// Silence after what was said, which shows that it is over.
    pub after: u64,
    /// No longer than this in all.
    pub total: u64,
}

/// The longest call that brings a message of this length, both in seconds: the detector, the silence of a machine, the message some times over,
/// and the keys.
#[must_use]
pub fn longest_delivery(seconds: u64) -> u64 {
    seconds.saturating_mul(5).saturating_add(150).min(3_600)
}

/// About how long it takes to say this, in seconds.
#[must_use]
pub fn seconds_of(text: &str) -> i32 {
    // Ten letters a second are spoken, and Chinese slower.
    i32::try_from(text.chars().count() / 3 + 1).unwrap_or(i32::MAX)
}

/// The call that brings the message: to a person once and what keys there are, to a machine when it is silent, to whom nobody knows twice.
/// 0 or any other key says it again, 5 opts out.
#[must_use]
pub fn delivery_script(message: &Message, times: Times, clips: &Clips) -> Script {
    let (say, play, language, seconds) = match message {
        Message::Words { text, language } => {
            let words = text::clean(text);
            let language = crate::alarm::script::language_of(language.as_deref(), &words);
            let seconds = u64::try_from(seconds_of(&words)).unwrap_or(0);
            (Some(words), None, language, seconds)
        }
        Message::Sound { clip, language, seconds } => (None, Some(clip.clone()), language.clone(), *seconds),
    };
    let state = |name: &str| format!("go:{name}");
    let opt_out = KeyAction::StopCalling.as_str().to_owned();
    let again = state(START);
    let keys = BTreeMap::from([("5".to_owned(), opt_out.clone()), ("0".to_owned(), again.clone())]);
    let options = MenuState {
        keys: keys.clone(),
        otherwise: Some(again.clone()),
        seconds: Some(KEY_WAIT),
        times: Some(1),
        ..said(&[Prompt::Options], &language, clips)
    };
    let menu = BTreeMap::from([
        (
            START.to_owned(),
            MenuState {
                say,
                play,
                keys,
                otherwise: Some(again),
                silent: Some(state("options")),
                seconds: Some(0),
                // The detector's guess allows fewer.
                times: Some(2),
                ..MenuState::default()
            },
        ),
        ("options".to_owned(), options),
    ]);
    Script {
        menu,
        thanks: BTreeMap::from([(opt_out, Prompt::OptOut.words(&language).to_owned())]),
        invalid_key_say: Some(Prompt::InvalidEntry.words(&language).to_owned()),
        machine: Some(MachineRule {
            detect: Some(true),
            wait: Some(true),
            initial: Some(times.initial),
            greeting: Some(times.greeting),
            after: Some(times.after),
            total: Some(times.total),
            on_human: Some("once".to_owned()),
            on_machine: Some("after_silence".to_owned()),
            on_unknown: Some("twice".to_owned()),
            silence_ms: Some(2_000),
            silence_max_ms: Some(60_000),
        }),
        max_seconds: Some(longest_delivery(seconds)),
        language: Some(language),
        ..Script::default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use android_protocol::voice::text::is_han;

    use super::*;

    const TIMES_OF_OURS: Times = Times { initial: 5_000, greeting: 2_500, after: 1_000, total: 10_000 };

    #[test]
    fn every_way_leads_to_a_state_that_is_there() {
        let words = Message::Words { text: "Water is off.".to_owned(), language: Some("en".to_owned()) };
        for script in [record_script("en", &Clips::new()), delivery_script(&words, TIMES_OF_OURS, &Clips::new())] {
            assert!(script.menu.contains_key(START));
            for (name, state) in &script.menu {
                let record = state.record.as_ref().and_then(|rule| rule.then.as_ref());
                let ways = state.keys.values().chain(&state.otherwise).chain(&state.silent).chain(record);
                for to in ways.filter_map(|way| way.strip_prefix("go:")) {
                    assert!(script.menu.contains_key(to), "{name} leads to {to}");
                }
            }
        }
    }

    #[test]
    fn each_state_of_a_recording_is_a_step() {
        let script = record_script("zh", &Clips::new());
        let steps: Vec<_> = script.menu.keys().map(|state| (state.as_str(), step_of(state).map(RecordingStep::number))).collect();
        assert_eq!(
            steps,
            [
                ("cancelled", None),
                ("confirmed", Some(5)),
                ("record", Some(3)),
                ("replay", Some(4)),
                ("start", Some(2)),
                ("verify", Some(4))
            ]
        );
        assert!(script.menu["verify"].say.as_deref().unwrap().contains("发送请按2"));
    }

    #[test]
    fn a_clip_stands_for_its_prompt() {
        let clip = Clip { media: "m".to_owned(), sha256: None };
        let clips = Clips::from([("record_welcome", clip.clone())]);
        let script = record_script("en", &clips);
        assert_eq!((script.menu[START].play.as_ref(), script.menu["verify"].play.as_ref()), (Some(&clip), None));
    }

    #[test]
    fn the_message_is_played_in_the_language_of_its_words() {
        let clip = Clip { media: "m".to_owned(), sha256: None };
        let sound = Message::Sound { clip: clip.clone(), language: "es".to_owned(), seconds: 40 };
        let script = delivery_script(&sound, TIMES_OF_OURS, &Clips::new());
        assert_eq!((script.menu[START].play.as_ref(), script.max_seconds), (Some(&clip), Some(350)));
        assert!(script.menu["options"].say.as_deref().unwrap().starts_with("Pulse 0"));
        let words = Message::Words { text: "今晚停水".to_owned(), language: None };
        let script = delivery_script(&words, TIMES_OF_OURS, &Clips::new());
        assert_eq!(script.language.as_deref(), Some("zh"));
        let long = Message::Sound { clip, language: "es".to_owned(), seconds: u64::MAX };
        assert_eq!(delivery_script(&long, TIMES_OF_OURS, &Clips::new()).max_seconds, Some(3_600));
    }

    #[test]
    fn every_prompt_has_its_words_and_its_clip() {
        let mut names = std::collections::HashSet::new();
        for prompt in Prompt::ALL {
            assert!(names.insert(prompt.clip_name()));
            let words: std::collections::HashSet<_> = ["en", "zh", "ja", "es"].map(|language| prompt.words(language)).into();
            assert_eq!(words.len(), 4, "{prompt:?}");
            assert!(!prompt.words("ja").chars().any(is_han), "Debian's Japanese voice reads no kanji");
        }
    }
}
