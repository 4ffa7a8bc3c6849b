//! Text before it is spoken: cleaned, cut, and taken apart by script.

/// The longest text that is spoken, in characters: about a minute.
pub const LONGEST: usize = 600;

/// A piece of text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its language tag.
    pub language: String,
    /// What to say.
    pub text: String,
}

/// The text without control characters and with single blanks, at most [`LONGEST`] characters of it.
#[must_use]
pub fn clean(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect::<String>().trim_end().to_owned()
}

/// Marks of direction and the like, which nobody hears.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The first part of a language tag, in lower case: `zh-CN` is `zh`.
#[must_use]
pub fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The language of a text for which nobody said one.
#[must_use]
pub fn guess_language(text: &str) -> &'static str {
    let any = |test: fn(char) -> bool| text.chars().any(test);
    if any(is_kana) {
        "ja"
    } else if any(is_han) {
        "zh"
    } else if any(|c| matches!(c, 'á' | 'é' | 'í' | 'ó' | 'ú' | 'ñ' | '¿' | '¡' | 'Á' | 'É' | 'Í' | 'Ó' | 'Ú' | 'Ñ'))
    {
        "es"
    } else {
        "en"
    }
}

/// Whether a character is of the script that Chinese is written in, and Japanese partly.
#[must_use]
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}')
}

const DIGITS: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];

/// A text taken apart: in Chinese and Japanese, words in Latin letters are English, because a voice of those languages spells them as its own
/// syllables. Digits of Chinese stand one by one, so that a port or an address is not read as a number of millions.
#[must_use]
pub fn runs(text: &str, language: &str) -> Vec<Run> {
    let text = clean(text);
    let own = primary(language);
    if !matches!(own.as_str(), "zh" | "cmn" | "yue" | "ja") {
        return if text.is_empty() { Vec::new() } else { vec![Run { language: language.to_owned(), text }] };
    }
    // Words first: one with a Latin letter in it is English, digits and marks included (db1, v2.3, /var).
    let mut runs: Vec<Run> = Vec::new();
    for (latin, piece) in pieces(&text) {
        let (language, piece) = if latin {
            ("en", piece.replace('%', " percent "))
        } else if own == "ja" {
            (language, piece)
        } else {
            (language, piece.chars().map(digit_in_chinese).collect())
        };
        match runs.last_mut() {
            Some(last) if last.language == language => last.text.push_str(&piece),
            _ => runs.push(Run { language: language.to_owned(), text: piece }),
        }
    }
    for run in &mut runs {
        run.text = clean(&run.text);
    }
    runs.retain(|run| run.text.chars().any(char::is_alphanumeric));
    runs
}

fn digit_in_chinese(c: char) -> char {
    c.to_digit(10).and_then(|digit| DIGITS.get(usize::try_from(digit).ok()?)).copied().unwrap_or(c)
}

/// Stretches of ASCII without blanks, each with whether it holds a letter or a per cent sign, and what is between them.
fn pieces(text: &str) -> Vec<(bool, String)> {
    let mut pieces: Vec<(bool, String)> = Vec::new();
    let mut word = String::new();
    let end_word = |word: &mut String, pieces: &mut Vec<(bool, String)>| {
        if !word.is_empty() {
            let latin = word.chars().any(|c| c.is_alphabetic() || c == '%');
            pieces.push((latin, std::mem::take(word)));
        }
    };
    for c in text.chars() {
        let latin_letter = c.is_alphabetic() && c < '\u{250}';
        if c.is_ascii_graphic() || latin_letter {
            word.push(c);
        } else {
            end_word(&mut word, &mut pieces);
            // A blank between two English words keeps them one run.
            let latin = c == ' ' && pieces.last().is_some_and(|(latin, _)| *latin);
            pieces.push((latin, c.to_string()));
        }
    }
    end_word(&mut word, &mut pieces);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str, language: &str) -> Vec<(String, String)> {
        runs(text, language).into_iter().map(|run| (run.language, run.text)).collect()
    }

    fn pair(language: &str, text: &str) -> (String, String) {
        (language.to_owned(), text.to_owned())
    }

    #[test]
    fn latin_words_in_chinese_are_english_and_digits_stand_alone() {
        assert_eq!(
            said("主机db1的CPU使用率95%，端口8080", "zh-CN"),
            [
                pair("zh-CN", "主机"),
                pair("en", "db1"),
                pair("zh-CN", "的"),
                pair("en", "CPU"),
                pair("zh-CN", "使用率"),
                pair("en", "95 percent"),
                pair("zh-CN", "，端口八零八零"),
            ]
        );
        assert_eq!(said("磁盘已满: disk full on db1", "zh"), [pair("zh", "磁盘已满:"), pair("en", "disk full on db1")]);
        assert_eq!(
            said("ディスク web1 が止まりました", "ja"),
            [pair("ja", "ディスク"), pair("en", "web1"), pair("ja", "が止まりました")]
        );
    }

    #[test]
    fn other_languages_stay_whole() {
        assert_eq!(said("Disk full on db1: 95%", "en-GB"), [pair("en-GB", "Disk full on db1: 95%")]);
        assert_eq!(said("  ", "es"), []);
        assert_eq!(said(" 。 ", "zh"), []);
    }

    #[test]
    fn what_nobody_can_say_is_taken_out() {
        assert_eq!(clean("a\u{0}b\r\n\tc \u{202e}d"), "a b c d");
        assert_eq!(clean(&"字".repeat(700)).chars().count(), LONGEST);
    }

    #[test]
    fn a_language_is_guessed_from_the_letters() {
        for (text, language) in
            [("磁盘已满", "zh"), ("ディスクがいっぱいです", "ja"), ("El disco está lleno", "es"), ("Disk full", "en"), ("", "en")]
        {
            assert_eq!(guess_language(text), language);
        }
        assert_eq!((primary("zh-CN"), primary("EN_us"), primary("")), ("zh".into(), "en".into(), String::new()));
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_and_holds_no_control(text: String, language in "zh|ja|en|") {
            let cleaned = clean(&text);
            prop_assert!(cleaned.chars().count() <= LONGEST && !cleaned.chars().any(char::is_control));
            prop_assert_eq!(clean(&cleaned), cleaned);
            for run in runs(&text, &language) {
                prop_assert!(!run.text.is_empty() && !run.text.chars().any(char::is_control));
            }
        }

        #[test]
        fn no_letter_of_chinese_is_lost(text in "[磁盘已满主机]{0,20}[a-z]{0,5} [磁盘已满]{0,9}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            let said: String = runs(&text, "zh").into_iter().map(|run| run.text).collect();
            prop_assert_eq!(letters(&said), letters(&text));
        }
    }
}
