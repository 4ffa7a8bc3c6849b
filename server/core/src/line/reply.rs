//! What a text message means: pure.

/// By which words somebody says that they take care of it, in the four languages of the pages.
pub const CONFIRM: [&str; 27] = [
    "1",
    "ok",
    "okay",
    "k",
    "y",
    "yes",
    "yep",
    "ack",
    "roger",
    "on it",
    "taken",
    "👍",
    "👌",
    "收到",
    "好",
    "好的",
    "ok收到",
    "收到好的",
    "确认",
    "確認",
    "はい",
    "了解",
    "了解です",
    "承知しました",
    "sí",
    "vale",
    "de acuerdo",
];
/// By which they say that they do not.
pub const DECLINE: [&str; 16] = [
    "2",
    "n",
    "no",
    "nope",
    "decline",
    "cannot",
    "can't",
    "👎",
    "拒绝",
    "拒絕",
    "不行",
    "不能",
    "いいえ",
    "無理です",
    "no puedo",
    "rechazar",
];
/// By which they say that they want to be rung no more: those of the carriers (CTIA), and of each language.
pub const STOP: [&str; 13] =
    ["stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "td", "退订", "退訂", "停止", "配信停止", "baja"];
/// By which they take that back.
pub const START: [&str; 7] = ["start", "unstop", "subscribe", "恢复", "恢復", "再開", "alta"];

/// What a text message, or what a gateway says of one, did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextEffect {
    /// Its sender takes care of an alarm.
    Confirmed,
    /// They had said so before.
    Already,
    /// Its sender is not rung again for it.
    Declined,
    /// Its sender is rung no more, whatever the alarm.
    Stopped,
    /// Its sender may be rung again.
    Allowed,
    /// The alarm that it was about is over.
    Over,
    /// It was written down; rows of the first versions.
    Noted,
    /// It was written too long before it came.
    TooLate,
    /// Its sender had written something later, which was taken in already.
    Outdated,
    /// Its sender was not rung.
    Stranger,
    /// Nothing.
    Nothing,
    /// Several alarms are open for its sender, and it names none of them; or it names none that there is.
    Unclear,
    /// It was told before.
    Repeated,
    /// A message of ours reached its phone.
    Delivered,
    /// A message of ours could not be sent, and is tried again.
    Bounced,
    /// Nothing was kept of it.
    Ignored,
}

impl TextEffect {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Confirmed,
        Self::Already,
        Self::Declined,
        Self::Stopped,
        Self::Allowed,
        Self::Over,
        Self::Noted,
        Self::TooLate,
        Self::Outdated,
        Self::Stranger,
        Self::Nothing,
        Self::Unclear,
        Self::Repeated,
        Self::Delivered,
        Self::Bounced,
        Self::Ignored,
    ];

    /// The word by which it is kept, and told by the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Already => "already",
            Self::Declined => "declined",
            Self::Stopped => "stopped",
            Self::Allowed => "allowed",
            Self::Over => "over",
            Self::Noted => "noted",
            Self::TooLate => "too_late",
            Self::Outdated => "outdated",
            Self::Stranger => "stranger",
            Self::Nothing => "none",
            Self::Unclear => "unclear",
            Self::Repeated => "repeated",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Ignored => "ignored",
        }
    }

    /// Reads the word by which it is kept.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.as_str() == word)
    }
}

/// Which words mean what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyWords {
    /// That somebody takes care of it.
    pub confirm: Vec<String>,
    /// That they do not.
    pub decline: Vec<String>,
    /// That they want to be rung no more.
    pub stop: Vec<String>,
    /// That they take that back.
    pub start: Vec<String>,
}

impl Default for ReplyWords {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self { confirm: words(&CONFIRM), decline: words(&DECLINE), stop: words(&STOP), start: words(&START) }
    }
}

/// What somebody wants who answers by text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// They take care of it.
    Confirm,
    /// They do not; somebody else shall be rung.
    Decline,
    /// They want to be rung no more.
    OptOut,
    /// They take that back.
    OptIn,
    /// It is none of the words.
    Unknown,
}

impl Reply {
    /// The word in the API and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Decline => "decline",
            Self::OptOut => "opt_out",
            Self::OptIn => "opt_in",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads a message. Only one that is a word as a whole counts, or several words of one meaning: "no problem, I am on it" must not decline.
#[must_use]
pub fn read(text: &str, words: &ReplyWords) -> Reply {
    let said = plain(text);
    let is_one_of = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| plain(word)).collect();
        words.contains(&said) || are_words(&said.split(APART).filter(|part| !part.is_empty()).collect::<Vec<_>>(), &words)
    };
    // To stop must always be possible, whatever else the words are.
    if is_one_of(&words.stop) {
        Reply::OptOut
    } else if is_one_of(&words.start) {
        Reply::OptIn
    } else if is_one_of(&words.decline) {
        Reply::Decline
    } else if is_one_of(&words.confirm) {
        Reply::Confirm
    } else {
        Reply::Unknown
    }
}

/// What stands between two words.
const APART: [char; 12] = [' ', ',', '.', '!', ';', ':', '/', '-', '、', '，', '。', '！'];

/// Whether all of a message are words of a list, one behind the other.
fn are_words(parts: &[&str], words: &[String]) -> bool {
    const MOST: usize = 8;
    if parts.is_empty() || parts.len() > MOST {
        return false;
    }
    // Up to where it can be read so.
    let mut read = vec![true];
    for end in 1..=parts.len() {
        let known = |begin: usize| words.iter().any(|word| word.split(APART).eq(parts[begin..end].iter().copied()));
        read.push((0..end).any(|begin| read[begin] && known(begin)));
    }
    read[parts.len()]
}

/// A letter without its accent, which many phones do not offer.
fn unaccented(c: char) -> char {
    match c {
        'á' | 'à' | 'â' | 'ä' | 'ã' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        c => c,
    }
}

/// Whether nothing is left of a word once it is read: every empty message would say it.
#[must_use]
pub fn says_nothing(word: &str) -> bool {
    plain(word).is_empty()
}

/// Small letters without accents, ASCII digits, and neither blanks nor punctuation around it; within it single blanks. A message of signs
/// alone is left as it is, without what only changes how a sign looks.
pub(super) fn plain(text: &str) -> String {
    let narrow = |c: char| match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c if c.is_whitespace() => ' ',
        '’' => '\'',
        c => c,
    };
    // Accents that stand by themselves, variation selectors, joiners, and the tones of hands.
    let looks = |c: &char| !matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}');
    let narrowed: String = text.chars().filter(looks).map(narrow).collect();
    let words = narrowed.trim_matches(|c: char| !c.is_alphanumeric());
    let said = if words.is_empty() { narrowed.trim() } else { words };
    let small = said.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase();
    small.chars().map(unaccented).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(text: &str) -> Reply {
        read(text, &ReplyWords::default())
    }

    #[test]
    fn whole_messages_only() {
        for text in [
            "1",
            " OK!",
            "１",
            "ｏｋ",
            "收到。",
            "Ack\r\n",
            "(yes)",
            "Okay",
            "y",
            "👍",
            "👍🏽",
            "👌️",
            "好的",
            "OK收到",
            "はい",
            "了解",
            "Sí",
            "SÍ.",
            "on  it",
            "Si",
            "SI",
            "Si\u{301}",
            "OK 收到",
            "ok, ok!",
            "收到，好的",
            "1 ok",
            "OK. On it",
        ] {
            assert_eq!(reading(text), Reply::Confirm, "{text}");
        }
        for text in ["2", "No.", "拒绝", "拒絕", "Can’t", "いいえ", "no puedo", "no, no puedo", "No. 2"] {
            assert_eq!(reading(text), Reply::Decline, "{text}");
        }
        for text in ["START", "unstop"] {
            assert_eq!(reading(text), Reply::OptIn, "{text}");
        }
        for text in ["STOP", "退订", "退訂", "STOPALL", "Unsubscribe", "CANCEL", "END", "QUIT", "TD", "stop all"] {
            assert_eq!(reading(text), Reply::OptOut, "{text}");
        }
        for text in [
            "",
            "  ",
            "?",
            "👎👍",
            "11",
            "no problem, I am on it",
            "1 2",
            "not ok",
            "ok no",
            "si no puedo",
            "ok, stop",
            "ok ok ok ok ok ok ok ok ok",
        ] {
            assert_eq!(reading(text), Reply::Unknown, "{text}");
        }
    }

    #[test]
    fn words_come_from_the_configuration() {
        let words = ReplyWords { confirm: vec!["Jawohl!".to_owned(), "stop".to_owned()], ..ReplyWords::default() };
        assert_eq!(read("jawohl", &words), Reply::Confirm);
        assert_eq!(read("1", &words), Reply::Unknown);
        assert_eq!(read("stop", &words), Reply::OptOut, "to stop goes before everything");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = reading(&text);
        }
    }
}
