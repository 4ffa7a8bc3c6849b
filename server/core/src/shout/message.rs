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
    /// Before the message, where the call is recorded to find out what is wrong.
    CallRecorded,
}

impl Prompt {
    /// All of them.
    pub const ALL: [Self; 11] = [
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
        Self::CallRecorded,
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
            Self::CallRecorded => "call_recorded",
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
            Self::CallRecorded => {
                ["This call is recorded.", "本次通话将被录音。", "このつうわはろくおんされます。", "Esta llamada se graba."]
            }
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

/// How the names of such clips begin where operators keep them; a language may follow: `shout.goodbye`, `shout.goodbye.ja`.
pub const CLIP_PREFIX: &str = "shout.";

/// The clips that stand for prompts in a language, of all that are kept: the one of that language before the one of all.
#[must_use]
pub fn clips_for(language: &str, kept: &BTreeMap<String, Clip>) -> Clips {
    let language = phrases::of(language).language;
    let of = |prompt: Prompt| {
        let name = prompt.clip_name();
        let clip = kept.get(&format!("{CLIP_PREFIX}{name}.{language}")).or_else(|| kept.get(&format!("{CLIP_PREFIX}{name}")));
        Some((name, clip?.clone()))
    };
    Prompt::ALL.into_iter().filter_map(of).collect()
}

/// Whether the callee's side of a call is recorded, to find out what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is not.
    No,
    /// It is, once they have heard so.
    Said,
    /// It is.
    Unsaid,
}

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
const NO_KEY: &str = "no_key";
const MESSAGE: &str = "message";
const OPTIONS: &str = "options";
const GOODBYE: &str = "goodbye";
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
    let said = |prompt: Prompt| said(prompt, language, clips);
    let keys = |keys: &[(&str, &str)]| keys.iter().map(|(key, to)| ((*key).to_owned(), (*to).to_owned())).collect();
    let (record, verify, replay) = (go(RECORD), go(VERIFY), go(REPLAY));
    let (confirmed, cancelled, no_key) = (go(CONFIRMED), go(CANCELLED), go(NO_KEY));
    let verify_keys: BTreeMap<String, String> =
        keys(&[("1", &replay), ("2", &confirmed), ("3", &record), ("7", &cancelled), ("0", &verify)]);
    let ask = |own: MenuState| MenuState { seconds: Some(KEY_WAIT), times: Some(TIMES), ..own };
    let menu = [
        (START, ask(MenuState { keys: keys(&[("*", &record)]), silent: Some(no_key.clone()), ..said(Prompt::RecordWelcome) })),
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
                ..said(Prompt::StartRecording)
            },
        ),
        (VERIFY, ask(MenuState { keys: verify_keys.clone(), silent: Some(no_key), ..said(Prompt::RecordVerification) })),
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
        (NO_KEY, MenuState { silent: Some(cancelled), seconds: Some(0), times: Some(1), ..said(Prompt::NoKeyPressed) }),
        (CONFIRMED, ends(said(Prompt::ReadyForDelivery), KeyAction::Accept)),
        (CANCELLED, ends(said(Prompt::RecordingCancelled), KeyAction::Decline)),
    ];
    Script {
        language: Some(language.to_owned()),
        menu: menu.into_iter().map(|(name, state)| (name.to_owned(), state)).collect(),
        invalid_key_say: Some(Prompt::InvalidEntry.words(language).to_owned()),
        invalid_key_play: clips.get(Prompt::InvalidEntry.clip_name()).cloned(),
        max_seconds: Some(LONGEST_RECORDING_CALL),
        ..Script::default()
    }
}

/// A state after which the call ends with an action.
fn ends(state: MenuState, action: KeyAction) -> MenuState {
    MenuState { silent: Some(action.as_str().to_owned()), times: Some(1), seconds: Some(0), ..state }
}

fn said(prompt: Prompt, language: &str, clips: &Clips) -> MenuState {
    let (say, play) = (prompt.words(language).to_owned(), clips.get(prompt.clip_name()).cloned());
    MenuState { say: Some(say), play, ..MenuState::default() }
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

impl Message {
    /// The language of what is said in its call.
    #[must_use]
    pub fn language(&self) -> String {
        match self {
            Self::Words { text, language } => crate::alarm::script::language_of(language.as_deref(), &text::clean(text)),
            Self::Sound { language, .. } => language.clone(),
        }
    }
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
pub fn delivery_script(message: &Message, times: Times, clips: &Clips, recorded: Recorded) -> Script {
    let language = message.language();
    let (say, play, seconds) = match message {
        Message::Words { text, .. } => {
            let words = text::clean(text);
            let seconds = u64::try_from(seconds_of(&words)).unwrap_or(0);
            (Some(words), None, seconds)
        }
        Message::Sound { clip, seconds, .. } => (None, Some(clip.clone()), *seconds),
    };
    let state = |name: &str| format!("go:{name}");
    let said = |prompt: Prompt| said(prompt, &language, clips);
    // Whoever is recorded hears so in a state of its own, so that the message is as long as it may be, or sound.
    let first = if recorded == Recorded::Said { MESSAGE } else { START };
    let opt_out = KeyAction::StopCalling.as_str().to_owned();
    let again = state(first);
    let keys = BTreeMap::from([("5".to_owned(), opt_out.clone()), ("0".to_owned(), again.clone())]);
    let options = MenuState {
        keys: keys.clone(),
        otherwise: Some(again.clone()),
        silent: Some(state(GOODBYE)),
        seconds: Some(KEY_WAIT),
        times: Some(1),
        ..said(Prompt::Options)
    };
    let brought = MenuState {
        say,
        play,
        keys: keys.clone(),
        otherwise: Some(again.clone()),
        silent: Some(state(OPTIONS)),
        seconds: Some(0),
        // The detector's guess allows fewer.
        times: Some(2),
        ..MenuState::default()
    };
    let goodbye = MenuState { seconds: Some(0), times: Some(1), ..said(Prompt::Goodbye) };
    let mut menu: BTreeMap<String, MenuState> =
        [(first, brought), (OPTIONS, options), (GOODBYE, goodbye)].map(|(name, own)| (name.to_owned(), own)).into();
    if first != START {
        let told = MenuState {
            keys,
            otherwise: Some(again.clone()),
            silent: Some(again),
            seconds: Some(0),
            times: Some(1),
            ..said(Prompt::CallRecorded)
        };
        menu.insert(START.to_owned(), told);
    }
    let from = match recorded {
        Recorded::No => None,
        Recorded::Said => Some("said"),
        Recorded::Unsaid => Some("answer"),
    };
    Script {
        menu,
        thanks: BTreeMap::from([(opt_out.clone(), Prompt::OptOut.words(&language).to_owned())]),
        thanks_play: clips.get(Prompt::OptOut.clip_name()).map(|clip| (opt_out, clip.clone())).into_iter().collect(),
        invalid_key_say: Some(Prompt::InvalidEntry.words(&language).to_owned()),
        invalid_key_play: clips.get(Prompt::InvalidEntry.clip_name()).cloned(),
        record: from.map(|from| RecordRule { from: Some(from.to_owned()), ..RecordRule::default() }),
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
    use android_protocol::voice::script::Utterance;
    use android_protocol::voice::text::is_han;

    use super::*;

    const TIMES_OF_OURS: Times = Times { initial: 5_000, greeting: 2_500, after: 1_000, total: 10_000 };

    #[test]
    fn every_way_leads_to_a_state_that_is_there() {
        let words = Message::Words { text: "Water is off.".to_owned(), language: Some("en".to_owned()) };
        for script in [record_script("en", &Clips::new()), delivery_script(&words, TIMES_OF_OURS, &Clips::new(), Recorded::Said)]
        {
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
                ("no_key", None),
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
        let clip = |media: &str| Clip { media: media.to_owned(), sha256: None };
        let kept = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), clip(name))).collect::<BTreeMap<_, _>>();
        let kept = kept(&["shout.record_welcome", "shout.record_welcome.zh", "shout.goodbye.ja", "goodbye", "shout.nothing"]);
        let of = |language: &str| clips_for(language, &kept);
        assert_eq!(of("en-GB"), Clips::from([("record_welcome", clip("shout.record_welcome"))]));
        assert_eq!(of("zh")["record_welcome"], clip("shout.record_welcome.zh"), "that of the language goes first");
        assert_eq!(of("ja")["goodbye"], clip("shout.goodbye.ja"));
        let script = record_script("en", &of("en"));
        let played = (script.menu[START].play.as_ref(), script.menu["verify"].play.as_ref());
        assert_eq!(played, (Some(&clip("shout.record_welcome")), None));
    }

    /// Every prompt is heard in one of the calls, and a clip of its name in its place.
    #[test]
    fn every_prompt_may_be_a_clip() {
        let clips: Clips =
            Prompt::ALL.map(|own| (own.clip_name(), Clip { media: own.clip_name().to_owned(), sha256: None })).into();
        let words = Message::Words { text: "Water is off.".to_owned(), language: Some("en".to_owned()) };
        let scripts = [record_script("en", &clips), delivery_script(&words, TIMES_OF_OURS, &clips, Recorded::Said)];
        let heard: Vec<Utterance> = scripts.iter().flat_map(Script::utterances).collect();
        for prompt in Prompt::ALL {
            let clip = Utterance::Clip(clips[prompt.clip_name()].clone());
            let text = Utterance::Text(prompt.words("en").to_owned());
            assert!(heard.contains(&clip) && !heard.contains(&text), "{prompt:?}");
        }
    }

    #[test]
    fn whoever_is_recorded_hears_it_before_the_message() {
        let words = Message::Words { text: "Water is off.".to_owned(), language: Some("en".to_owned()) };
        let of = |recorded| delivery_script(&words, TIMES_OF_OURS, &Clips::new(), recorded);
        let said = of(Recorded::Said);
        assert_eq!(said.menu[START].say.as_deref(), Some("This call is recorded."));
        assert_eq!((said.menu[START].silent.as_deref(), said.menu["message"].times), (Some("go:message"), Some(2)));
        assert_eq!(said.menu["message"].say.as_deref(), Some("Water is off."));
        assert_eq!(said.record.unwrap().from.as_deref(), Some("said"), "not before they have heard of it");
        let unsaid = of(Recorded::Unsaid);
        assert_eq!(unsaid.menu[START].say.as_deref(), Some("Water is off."));
        assert_eq!(unsaid.record.unwrap().from.as_deref(), Some("answer"));
        assert_eq!(of(Recorded::No).record, None);
    }

    #[test]
    fn the_message_is_played_in_the_language_of_its_words() {
        let clip = Clip { media: "m".to_owned(), sha256: None };
        let sound = Message::Sound { clip: clip.clone(), language: "es".to_owned(), seconds: 40 };
        let script = delivery_script(&sound, TIMES_OF_OURS, &Clips::new(), Recorded::No);
        assert_eq!((script.menu[START].play.as_ref(), script.max_seconds), (Some(&clip), Some(350)));
        assert!(script.menu["options"].say.as_deref().unwrap().starts_with("Pulse 0"));
        let words = Message::Words { text: "今晚停水".to_owned(), language: None };
        let script = delivery_script(&words, TIMES_OF_OURS, &Clips::new(), Recorded::No);
        assert_eq!(script.language.as_deref(), Some("zh"));
        let long = Message::Sound { clip, language: "es".to_owned(), seconds: u64::MAX };
        assert_eq!(delivery_script(&long, TIMES_OF_OURS, &Clips::new(), Recorded::No).max_seconds, Some(3_600));
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
