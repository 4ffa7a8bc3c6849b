//! The catalogue: every word that the pages show, in every language. No text stands in code or templates.
//!
//! To add a language: a file in `words/`, a line in [`Language`], and the tests say what is missing. To add a word: a line in every
//! file, and its place in a page. The words that one page alone says stand in all languages in one file of `words/pages/`.

use std::sync::LazyLock;

use crate::alarm::Priority;
pub(in crate::dashboard) use crate::http::html::escape;
pub(in crate::dashboard) use crate::kinds::words::Language;
use crate::kinds::words::{Piece, split};

impl Language {
    /// Its words.
    pub(in crate::dashboard) fn words(self) -> &'static Words {
        static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::read("en", include_str!("words/en.toml")));
        static CHINESE: LazyLock<Words> = LazyLock::new(|| Words::read("zh", include_str!("words/zh.toml")));
        static JAPANESE: LazyLock<Words> = LazyLock::new(|| Words::read("ja", include_str!("words/ja.toml")));
        static SPANISH: LazyLock<Words> = LazyLock::new(|| Words::read("es", include_str!("words/es.toml")));
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
            Self::Japanese => &JAPANESE,
            Self::Spanish => &SPANISH,
        }
    }
}

impl Words {
    /// The word for a priority.
    pub(in crate::dashboard) fn priority(&self, priority: Priority) -> &str {
        match priority {
            Priority::Critical => &self.priority_critical,
            Priority::High => &self.priority_high,
            Priority::Normal => &self.priority_normal,
            Priority::Low => &self.priority_low,
        }
    }
}

macro_rules! words {
    ($($key:ident)+) => {
        /// The words of one language; the field is the key in its file.
        pub(in crate::dashboard) struct Words { $(pub(in crate::dashboard) $key: String),+ }

        impl Words {
            fn read(tag: &str, text: &str) -> Self {
                let table = catalogue(tag, text);
                // A missing word shows its key; a test holds every file to every key.
                let word = |key: &str| table.get(key).and_then(toml::Value::as_str).unwrap_or(key).to_owned();
                Self { $($key: word(stringify!($key))),+ }
            }

            /// The word of this key, for what names words and does not know this catalogue; empty when there is none.
            pub(in crate::dashboard) fn word(&self, key: &str) -> &str {
                match key {
                    $(stringify!($key) => &self.$key,)+
                    _ => "",
                }
            }

            /// All keys, with a space behind each.
            #[cfg(test)]
            const KEYS: &str = concat!($(stringify!($key), " "),+);
        }
    };
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A thousand words tell nobody anything.
        f.debug_struct("Words").field("language_name", &self.language_name).finish_non_exhaustive()
    }
}

/// The words of a language: those of its own file, and of each page.
fn catalogue(tag: &str, text: &str) -> toml::Table {
    let mut all: toml::Table = text.parse().unwrap_or_default();
    for page in PAGES {
        let page: toml::Table = page.parse().unwrap_or_default();
        all.extend(page.into_iter().filter_map(|(key, languages)| Some((key, languages.get(tag)?.clone()))));
    }
    all
}

// `build.rs` lists the keys of `words/en.toml` and of `words/pages`, and the files there.
include!(concat!(env!("OUT_DIR"), "/words.rs"));

/// What takes the place of `{name}` in a sentence.
#[derive(Clone, Copy, Debug)]
pub(in crate::dashboard) enum Bit<'t> {
    /// Text, escaped.
    Text(&'t str),
    /// Markup that our own code made.
    Html(&'t str),
}

/// A sentence of the catalogue with its places filled, as HTML.
pub(in crate::dashboard) fn fill(sentence: &str, bits: &[(&str, Bit<'_>)]) -> String {
    let mut html = String::with_capacity(sentence.len() + 32);
    split(sentence, |piece| match piece {
        Piece::Words(words) => html.push_str(&escape(words)),
        Piece::Place(name) => match bits.iter().find(|(own, _)| *own == name) {
            Some((_, Bit::Text(text))) => html.push_str(&isolated(text)),
            Some((_, Bit::Html(markup))) => html.push_str(markup),
            None => html.push_str(&escape(name)),
        },
    });
    html
}

/// A sentence of the catalogue with its places filled, as text.
pub(in crate::dashboard) fn fill_text(sentence: &str, bits: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(sentence.len() + 32);
    split(sentence, |piece| match piece {
        Piece::Words(words) => filled.push_str(words),
        Piece::Place(name) => filled.push_str(bits.iter().find(|(own, _)| *own == name).map_or(name, |(_, text)| text)),
    });
    filled
}

/// Text within a sentence, as HTML: whichever way it is written, the words around it stay in their order.
pub(in crate::dashboard) fn isolated(text: &str) -> String {
    if text.is_ascii() { escape(text) } else { format!("<bdi>{}</bdi>", escape(text)) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::collections::BTreeSet;

    const FILES: [(&str, &str); 4] = [
        ("en", include_str!("words/en.toml")),
        ("zh", include_str!("words/zh.toml")),
        ("ja", include_str!("words/ja.toml")),
        ("es", include_str!("words/es.toml")),
    ];

    fn places(sentence: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        split(sentence, |piece| {
            if let Piece::Place(name) = piece {
                found.insert(name.to_owned());
            }
        });
        found
    }

    #[test]
    fn every_language_has_every_word_and_no_other() {
        let wanted: BTreeSet<&str> = Words::KEYS.split_whitespace().collect();
        for (tag, text) in FILES {
            assert!(text.parse::<toml::Table>().is_ok() && PAGES.iter().all(|page| page.parse::<toml::Table>().is_ok()), "{tag}");
            let table = catalogue(tag, text);
            let there: BTreeSet<&str> = table.keys().map(String::as_str).collect();
            assert_eq!(wanted.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new(), "missing in {tag}");
            assert_eq!(there.difference(&wanted).collect::<Vec<_>>(), Vec::<&&str>::new(), "unknown in {tag}");
        }
    }

    #[test]
    fn every_language_has_the_same_places_in_a_sentence() {
        let [(_, english), others @ ..] = FILES;
        let english = catalogue("en", english);
        for (tag, text) in others {
            let table = catalogue(tag, text);
            for (key, sentence) in &english {
                let other = table[key].as_str().unwrap();
                assert!(!other.trim().is_empty(), "{tag}: {key} is empty");
                assert_eq!(places(sentence.as_str().unwrap()), places(other), "{tag}: {key}");
            }
        }
    }

    #[test]
    fn every_language_is_tested_and_read_from_its_own_file() {
        assert_eq!(FILES.map(|(tag, _)| tag), Language::ALL.map(Language::tag));
        let names: BTreeSet<&str> = Language::ALL.iter().map(|language| language.words().language_name.as_str()).collect();
        assert_eq!(names.len(), FILES.len());
    }

    #[test]
    fn what_is_filled_in_is_escaped() {
        let html = fill("a {who} < {at}", &[("who", Bit::Text("<b>\"'&")), ("at", Bit::Html("<i>1</i>"))]);
        assert_eq!(html, "a &lt;b&gt;&quot;&#39;&amp; &lt; <i>1</i>");
        assert_eq!(fill_text("{n} of {m}", &[("n", "1"), ("m", "2")]), "1 of 2");
    }

    #[test]
    fn the_browser_says_what_it_wants() {
        assert_eq!(Language::of_accept("zh-CN,zh;q=0.9,en;q=0.8"), Some(Language::Chinese));
        assert_eq!(Language::of_accept("fr, en;q=0.5, zh;q=0.4"), Some(Language::English));
        assert_eq!(Language::of_accept("es-MX, ja;q=0.4"), Some(Language::Spanish));
        assert_eq!(Language::of_accept("zh;q=0, fr"), None);
        assert_eq!(Language::of_tag("ZH-Hans-CN"), Some(Language::Chinese));
    }
}
