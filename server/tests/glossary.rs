//! One word for one thing in each language: every catalogue keeps to the glossary of its language.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

const LANGUAGES: [&str; 4] = ["en", "zh", "ja", "es"];
/// Where words for people stand, a file for each language.
const CATALOGUES: [&str; 2] = ["src/dashboard/frame/words", "src/kinds/words"];
/// Where words for people stand in all languages at once.
const PAGES: &str = "src/dashboard/frame/words/pages";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn table(file: &Path) -> Table {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).parse().unwrap()
}

/// Every text of a language, with its key.
fn texts(language: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in CATALOGUES {
        let text = |(key, text): (String, Value)| Some((key, text.as_str()?.to_owned()));
        all.extend(table(&here(folder).join(format!("{language}.toml"))).into_iter().filter_map(text));
    }
    let mut folders = vec![here(PAGES)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let (inner, own): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|entry| entry.is_dir());
        folders.extend(inner);
        files.extend(own);
    }
    for file in files {
        let text = |(key, texts): (String, Value)| (key, texts[language].as_str().unwrap().to_owned());
        all.extend(table(&file).into_iter().map(text));
    }
    all
}

fn list(of: &Table, name: &str) -> Vec<String> {
    let list = of.get(name).and_then(Value::as_array);
    list.into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Whether a text has this as a word or words of its own, whatever their case.
fn has_word(text: &str, word: &str) -> bool {
    let apart = |text: &str| -> String {
        let plain = |c: char| if c.is_alphanumeric() { c.to_lowercase().next().unwrap() } else { ' ' };
        format!(" {} ", text.chars().map(plain).collect::<String>())
    };
    apart(text).contains(&apart(word))
}

#[test]
fn every_catalogue_keeps_to_the_glossary_of_its_language() {
    let mut wrong = Vec::new();
    for language in LANGUAGES {
        let mut glossary = table(&here("glossary").join(format!("{language}.toml")));
        let style = glossary.remove("style").unwrap();
        let (never, words_never) = (list(style.as_table().unwrap(), "never"), list(style.as_table().unwrap(), "words_never"));
        let texts = texts(language);
        assert!(texts.len() > 900 && glossary.len() > 5, "{language}: nothing was read");
        for (key, text) in &texts {
            wrong.extend(
                never.iter().filter(|bad| text.contains(*bad)).map(|bad| format!("{language} {key}: {bad:?} in {text:?}")),
            );
            wrong.extend(
                words_never.iter().filter(|bad| has_word(text, bad)).map(|bad| format!("{language} {key}: {bad:?} in {text:?}")),
            );
        }
        for (term, entry) in &glossary {
            let entry = entry.as_table().unwrap();
            let say = entry["say"].as_str().unwrap();
            let (never, but) = (list(entry, "never"), list(entry, "but"));
            for (key, text) in &texts {
                let rest = but.iter().fold(text.to_lowercase(), |text, allowed| text.replace(&allowed.to_lowercase(), ""));
                let bad = never.iter().filter(|bad| match bad.is_ascii() || language == "es" {
                    true => has_word(&rest, bad),
                    false => rest.contains(&bad.to_lowercase()),
                });
                wrong.extend(bad.map(|bad| format!("{language} {key}: {bad:?} is {say:?} ({term}): {text:?}")));
            }
            for key in list(entry, "at") {
                let there = texts.iter().any(|(own, text)| *own == key && text.to_lowercase().contains(&say.to_lowercase()));
                if !there {
                    wrong.push(format!("{language} {key} does not say {say:?} ({term})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file below a folder whose name ends so.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut all) = (vec![here(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inner, own): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|entry| entry.is_dir());
        folders.extend(inner);
        all.extend(own.into_iter().filter(|file| file.to_string_lossy().ends_with(ending)));
    }
    all
}

#[test]
fn every_word_of_the_pages_is_said_somewhere() {
    let mut sources = files("src", ".rs");
    sources.extend(files("templates", ".html"));
    let mut said = std::collections::HashSet::new();
    for file in &sources {
        let text = fs::read_to_string(file).unwrap();
        said.extend(text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned));
    }
    let mut keys: Vec<String> = table(&here(CATALOGUES[0]).join("en.toml")).keys().cloned().collect();
    keys.extend(files(PAGES, ".toml").iter().flat_map(|file| table(file).keys().cloned().collect::<Vec<_>>()));
    assert!(keys.len() > 1000 && sources.len() > 300, "nothing was read");
    let unsaid: Vec<&String> = keys.iter().filter(|key| !said.contains(*key)).collect();
    assert!(unsaid.is_empty(), "no page says these words: {unsaid:?}");
}

#[test]
fn words_are_told_from_parts_of_words() {
    assert!(has_word("Elige tú.", "tú") && has_word("¿Qué tal, TÚ?", "tú"));
    assert!(!has_word("actúa", "tú") && !has_word("Tutela", "tu"));
}
