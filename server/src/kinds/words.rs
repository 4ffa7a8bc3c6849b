//! The catalogue of notices: every sentence in every language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language that the server speaks, on its pages and in what it sends; the first one is for everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
    /// Japanese.
    Japanese,
    /// Spanish.
    Spanish,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::English, Self::Chinese, Self::Japanese, Self::Spanish];

    /// The tag for `lang` attributes, cookies, addresses and people.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
            Self::Japanese => "ja",
            Self::Spanish => "es",
        }
    }

    /// The language with a tag, whatever its region: `zh-CN` is `zh`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// What a browser asks for: the known language with the greatest weight.
    #[must_use]
    pub fn of_accept(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for entry in header.split(',') {
            let mut parts = entry.split(';');
            let Some(language) = Self::of_tag(parts.next().unwrap_or_default()) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// Its sentences of notices.
    fn notices(self) -> &'static str {
        match self {
            Self::English => include_str!("words/en.toml"),
            Self::Chinese => include_str!("words/zh.toml"),
            Self::Japanese => include_str!("words/ja.toml"),
            Self::Spanish => include_str!("words/es.toml"),
        }
    }
}

static CATALOGUE: LazyLock<BTreeMap<&'static str, BTreeMap<String, String>>> = LazyLock::new(|| {
    // They are part of the program, and a test reads them all; a missing sentence shows as its name.
    Language::ALL.into_iter().map(|one| (one.tag(), toml::from_str(one.notices()).unwrap_or_default())).collect()
});

/// The language of the catalogue for a language tag such as `zh-CN`.
#[must_use]
pub fn language(tag: &str) -> &'static str {
    Language::of_tag(tag).unwrap_or(Language::ALL[0]).tag()
}

/// A sentence with its places filled in.
#[must_use]
pub fn say(language: &str, sentence: &str, places: &[(&str, &str)]) -> String {
    let Some(text) = CATALOGUE.get(language).and_then(|words| words.get(sentence)) else { return sentence.to_owned() };
    let mut out = String::with_capacity(text.len() + 64);
    split(text, |piece| match piece {
        Piece::Words(words) => out.push_str(words),
        Piece::Place(name) => out.push_str(places.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)),
    });
    out
}

/// A part of a sentence of a catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Words as they stand.
    Words(&'t str),
    /// The name of a place that is to be filled.
    Place(&'t str),
}

/// Goes through a sentence with places, once: what is filled in is never taken for a place itself.
pub fn split<'t>(sentence: &'t str, mut each: impl FnMut(Piece<'t>)) {
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        each(Piece::Words(before));
        let Some((name, after)) = after.split_once('}') else { return each(Piece::Words(after)) };
        each(Piece::Place(name));
        rest = after;
    }
    each(Piece::Words(rest));
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
        for language in Language::ALL.map(Language::tag) {
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
        let other = [
            Trouble::NotTaken,
            Trouble::NotSent("HTTP 503".to_owned()),
            Trouble::Elsewhere,
            Trouble::Unanswered,
            Trouble::VerifierSilent,
        ];
        let all: Vec<Trouble> = refused.into_iter().map(Trouble::Refused).chain(other).collect();
        let mut sentences: Vec<&str> =
            all.iter().map(|trouble| CATALOGUE["en"][&format!("why_{}", trouble.word())].as_str()).collect();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), all.len(), "each has one of its own");
    }

    #[test]
    fn everything_that_is_wrong_with_a_calendar_has_its_sentence() {
        use crate::roster::source::{Trouble, Unreached};
        let all = [
            Trouble::ClosedAddress,
            Trouble::Unreachable(Unreached::UnknownName),
            Trouble::Unreachable(Unreached::Refused),
            Trouble::Unreachable(Unreached::NoWay),
            Trouble::Unreachable(Unreached::BrokeOff),
            Trouble::Unreachable(Unreached::Certificate),
            Trouble::Unreachable(Unreached::Other),
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
            all.iter().map(|trouble| CATALOGUE["en"][&format!("calendar_{}", trouble.sentence())].as_str()).collect();
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
