//! The monitoring of clouds, and services that watch for others: each says the same few things in its own form.

pub mod alibaba;
pub mod azure;
pub mod datadog;
pub mod gitlab;
pub mod google;
pub mod graylog;
pub mod sentry;
pub mod sns;
pub mod tencent;

use std::collections::BTreeMap;

use super::Reader;

/// How their messages are read.
pub const READERS: [Reader; 9] = [
    sns::READER,
    azure::READER,
    google::READER,
    datadog::READER,
    alibaba::READER,
    tencent::READER,
    sentry::READER,
    graylog::READER,
    gitlab::READER,
];

/// What is wrong, after the name of the thing with which it is wrong.
fn named(thing: Option<String>, what: String) -> String {
    match thing {
        Some(thing) if thing != what => format!("{thing}: {what}"),
        _ => what,
    }
}

/// Names and values in one text, always in the same order: a sender may change the order, and a key must not.
pub(super) fn in_order(each: &BTreeMap<String, String>) -> String {
    each.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_one_reader() {
        let names: Vec<&str> = READERS.iter().flat_map(|reader| reader.also.iter().copied().chain([reader.name])).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_thing_is_named_once() {
        assert_eq!(named(Some("db1".to_owned()), "cpu".to_owned()), "db1: cpu");
        assert_eq!(named(Some("cpu".to_owned()), "cpu".to_owned()), "cpu");
        assert_eq!(named(None, "cpu".to_owned()), "cpu");
    }

    #[test]
    fn the_order_of_names_is_always_the_same() {
        let each = |names: [&str; 2]| names.map(|name| (name.to_owned(), "1".to_owned())).into();
        assert_eq!(in_order(&each(["b", "a"])), "a=1,b=1");
        assert_eq!(in_order(&each(["a", "b"])), "a=1,b=1");
    }
}
