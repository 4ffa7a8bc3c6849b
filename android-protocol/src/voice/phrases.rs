//! What a handset says of its own where the server sent no script: in plain Chinese, Japanese, English and Spanish.
//!
//! The Japanese is in kana, because Debian's voice speaks nothing else.

use super::text;

/// The sentences of one language. `{accept}` and `{decline}` stand for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phrases {
    /// Its language tag.
    pub language: &'static str,
    /// After the text, where both keys are set.
    pub prompt: &'static str,
    /// After the text, where only the key that accepts is set.
    pub prompt_accept: &'static str,
    /// After a key that accepts.
    pub accepted: &'static str,
    /// After a key that declines.
    pub declined: &'static str,
    /// After a key that means nothing.
    pub invalid: &'static str,
    /// The text of `handset check`.
    pub check: &'static str,
}

/// English stands first: it is spoken where a language has no sentences.
pub const ALL: [Phrases; 4] = [
    Phrases {
        language: "en",
        prompt: "Press {accept} to take it. Press {decline} if you cannot.",
        prompt_accept: "Press {accept} to take it.",
        accepted: "Thank you. It is yours.",
        declined: "All right. Somebody else will be called.",
        invalid: "That key means nothing here.",
        check: "This is a test call. Press any key.",
    },
    Phrases {
        language: "zh",
        prompt: "接手请按{accept}，无法处理请按{decline}。",
        prompt_accept: "接手请按{accept}。",
        accepted: "谢谢，已由您接手。",
        declined: "好的，将呼叫下一位。",
        invalid: "此按键无效。",
        check: "这是测试电话，请按任意键。",
    },
    Phrases {
        language: "ja",
        prompt: "たいおうできるばあいは{accept}を、できないばあいは{decline}をおしてください。",
        prompt_accept: "たいおうできるばあいは{accept}をおしてください。",
        accepted: "ありがとうございます。よろしくおねがいします。",
        declined: "わかりました。つぎのひとにでんわします。",
        invalid: "そのキーはつかえません。",
        check: "これはテストのでんわです。どれかキーをおしてください。",
    },
    Phrases {
        language: "es",
        prompt: "Pulse {accept} para hacerse cargo. Pulse {decline} si no puede.",
        prompt_accept: "Pulse {accept} para hacerse cargo.",
        accepted: "Gracias. Queda a su cargo.",
        declined: "De acuerdo. Se llamará a otra persona.",
        invalid: "Esa tecla no sirve aquí.",
        check: "Esta es una llamada de prueba. Pulse cualquier tecla.",
    },
];

/// The sentences of a language tag, English if it has none.
#[must_use]
pub fn of(language: &str) -> &'static Phrases {
    let primary = text::primary(language);
    let primary = if matches!(primary.as_str(), "cmn" | "yue") { "zh" } else { &primary };
    ALL.iter().find(|phrases| phrases.language == primary).unwrap_or(&ALL[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_sentences() {
        for phrases in ALL {
            assert_eq!(of(phrases.language), &phrases);
            assert!(phrases.prompt.contains("{accept}") && phrases.prompt.contains("{decline}"), "{phrases:?}");
            assert!(phrases.prompt_accept.contains("{accept}") && !phrases.prompt_accept.contains("{decline}"), "{phrases:?}");
        }
        assert_eq!((of("zh-TW").language, of("cmn").language, of("fr").language), ("zh", "zh", "en"));
        assert!(!ALL[2].prompt.chars().any(text::is_han), "Debian's Japanese voice reads no kanji");
    }
}
