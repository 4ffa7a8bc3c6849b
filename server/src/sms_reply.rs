//! What a text message means: pure.

use crate::config::SmsConfig;

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
            Self::Unknown => "unknown",
        }
    }
}

/// Reads a message. Only one that is a word as a whole counts: "no problem, I am on it" must not decline.
#[must_use]
pub fn read(text: &str, words: &SmsConfig) -> Reply {
    let said = plain(text);
    let is_one_of = |words: &[String]| words.iter().any(|word| plain(word) == said);
    // To stop must always be possible, whatever else the words are.
    if is_one_of(&words.stop_words) {
        Reply::OptOut
    } else if is_one_of(&words.decline_words) {
        Reply::Decline
    } else if is_one_of(&words.confirm_words) {
        Reply::Confirm
    } else {
        Reply::Unknown
    }
}

/// Small letters, ASCII digits, and neither blanks nor punctuation around it.
fn plain(text: &str) -> String {
    let narrow = |c: char| match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let narrowed: String = text.chars().map(narrow).collect();
    narrowed.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(text: &str) -> Reply {
        read(text, &SmsConfig::default())
    }

    #[test]
    fn whole_messages_only() {
        for text in ["1", " OK!", "１", "ｏｋ", "收到。", "Ack\r\n", "(yes)"] {
            assert_eq!(reading(text), Reply::Confirm, "{text}");
        }
        for text in ["2", "No.", "拒绝"] {
            assert_eq!(reading(text), Reply::Decline, "{text}");
        }
        for text in ["STOP", "退订"] {
            assert_eq!(reading(text), Reply::OptOut, "{text}");
        }
        for text in ["", "  ", "?", "11", "no problem, I am on it", "1 2", "not ok"] {
            assert_eq!(reading(text), Reply::Unknown, "{text}");
        }
    }

    #[test]
    fn words_come_from_the_configuration() {
        let words = SmsConfig { confirm_words: vec!["Jawohl!".to_owned(), "stop".to_owned()], ..SmsConfig::default() };
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
