//! The catalogue of notices: every sentence in every language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Languages with a complete catalogue, the first one for everybody else.
pub const LANGUAGES: [&str; 4] = ["en", "zh", "ja", "es"];

static CATALOGUE: LazyLock<BTreeMap<&'static str, BTreeMap<String, String>>> = LazyLock::new(|| {
    let files = [
        ("en", include_str!("words/en.toml")),
        ("zh", include_str!("words/zh.toml")),
        ("ja", include_str!("words/ja.toml")),
        ("es", include_str!("words/es.toml")),
    ];
    // They are part of the program, and a test reads them all; a missing sentence shows as its name.
    files.into_iter().map(|(language, text)| (language, toml::from_str(text).unwrap_or_default())).collect()
});

/// The language of the catalogue for a language tag such as `zh-CN`.
#[must_use]
pub fn language(tag: &str) -> &'static str {
    let main = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    LANGUAGES.into_iter().find(|language| *language == main).unwrap_or(LANGUAGES[0])
}

/// A sentence with its places filled in.
#[must_use]
pub fn say(language: &str, sentence: &str, places: &[(&str, &str)]) -> String {
    let Some(text) = CATALOGUE.get(language).and_then(|words| words.get(sentence)) else { return sentence.to_owned() };
    // In one pass, so that what is filled in is never taken for a place itself.
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        out.push_str(places.iter().find(|(name, _)| *name == place).map_or("", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let mut places: Vec<String> = text.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect();
        places.sort();
        places
    }

    #[test]
    fn every_language_says_everything() {
        let english = &CATALOGUE["en"];
        assert!(english.len() > 10);
        for language in LANGUAGES {
            let words = &CATALOGUE[language];
            assert_eq!(words.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language}");
            for (name, text) in words {
                assert_eq!(places(text), places(&english[name]), "{language} {name}");
                assert!(!text.trim().is_empty());
            }
        }
    }

    #[test]
    fn every_trouble_with_a_public_number_has_its_sentence() {
        use crate::engine::lines::hand_over::Trouble;
        use crate::line::command::ComposeError;
        use android_protocol::forwarding::{ForwardingError, NeedsDialler};
        use android_protocol::sms::SmsBuildError;
        let refused = [
            ComposeError::UnknownCarrier("telekom".to_owned()),
            ForwardingError::NoTarget.into(),
            ComposeError::FixedTarget("docomo"),
            ComposeError::Number("too short".to_owned()),
            NeedsDialler { android: 14, code: "21" }.into(),
            SmsBuildError::TooLong { used: 71, limit: 70 }.into(),
            SmsBuildError::StrayBar.into(),
        ];
        let other = [Trouble::NotTaken, Trouble::NotSent("HTTP 503".to_owned()), Trouble::Unanswered, Trouble::VerifierSilent];
        let all: Vec<Trouble> = refused.into_iter().map(Trouble::Refused).chain(other).collect();
        let mut sentences: Vec<&str> =
            all.iter().map(|trouble| CATALOGUE["en"][&format!("why_{}", trouble.word())].as_str()).collect();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), all.len(), "each has one of its own");
    }

    #[test]
    fn everything_that_is_wrong_with_a_calendar_has_its_sentence() {
        use crate::roster::source::Trouble;
        let all = [
            Trouble::ClosedAddress,
            Trouble::Unreachable(String::new()),
            Trouble::Slow,
            Trouble::Status(404),
            Trouble::Redirects,
            Trouble::TooLarge(1),
            Trouble::WebPage,
            Trouble::Empty,
            Trouble::Unreadable(Vec::new()),
            Trouble::TooCostly,
        ];
        let mut sentences: Vec<&str> =
            all.iter().map(|trouble| CATALOGUE["en"][&format!("calendar_{}", trouble.code())].as_str()).collect();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), all.len(), "each has one of its own");
    }

    #[test]
    fn what_is_filled_in_is_not_a_place() {
        assert_eq!(say("en", "answered", &[("name", "{summary}"), ("summary", "disk")]), "{summary} answered for: disk");
    }

    #[test]
    fn tags_find_their_language() {
        assert_eq!((language("zh-CN"), language("ja"), language("pt-BR"), language("")), ("zh", "ja", "en", "en"));
    }
}
