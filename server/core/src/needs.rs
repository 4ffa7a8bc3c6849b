//! What a hunt needs of a handset, and what a handset can: sets of words. A hunt is due only for a handset that has every word.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the tests of a monitor need, and whoever takes them can: a word that no phone says of itself.
const MONITOR: &str = "monitor";

/// A set of words, such as `dtmf,tts`: what a handset can do, or what a hunt needs. Words that this program does not know count as any
/// other: a newer server beside it may have written them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(BTreeSet<String>);

impl Words {
    /// Reads words with commas between; an empty text holds none.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a handset that can do these may be given what needs those. Whoever stands in for a phone in the tests of a monitor is given
    /// these and nothing else: what it answers, nobody has heard.
    #[must_use]
    pub fn cover(&self, needs: &Self) -> bool {
        needs.0.is_subset(&self.0) && (self.are_of_monitor() == needs.are_of_monitor())
    }

    /// What whoever stands in for a phone in the tests of a monitor can, and what such a test needs.
    #[must_use]
    pub fn of_monitor() -> Self {
        Self::read(MONITOR)
    }

    fn are_of_monitor(&self) -> bool {
        self.0.contains(MONITOR)
    }

    /// The same without what no phone can say of itself.
    #[must_use]
    pub fn of_phone(mut self) -> Self {
        self.0.remove(MONITOR);
        self
    }
}

impl fmt::Display for Words {
    /// In one order, so that equal sets are equal texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{word}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = Words> {
        let word = prop::sample::select(vec!["dtmf", "tts", "live", "record", "conference", "machine"]);
        prop::collection::vec(word, 0..6).prop_map(|words| Words::read(&words.join(",")))
    }

    fn both(one: &Words, other: &Words) -> Words {
        Words::read(&format!("{one},{other}"))
    }

    #[test]
    fn every_word_is_needed() {
        let voice = Words::read("dtmf,tts");
        assert!(Words::read("tts, hangup,dtmf").cover(&voice));
        assert!(!Words::read("tts").cover(&voice) && !Words::default().cover(&voice));
        assert!(Words::default().cover(&Words::read("")), "an ordinary alarm needs nothing");
        assert!(!Words::read("dtmfx,tts").cover(&voice), "a word is a word, and no beginning of one");
    }

    #[test]
    fn whoever_takes_a_monitors_tests_takes_no_alarm() {
        let (monitor, phone) = (Words::of_monitor(), Words::read("dtmf,tts"));
        assert!(monitor.cover(&Words::of_monitor()));
        assert!(
            !monitor.cover(&Words::default()) && !monitor.cover(&phone),
            "an alarm that it answered would be heard by nobody"
        );
        assert!(
            !phone.cover(&Words::of_monitor()) && !Words::default().cover(&Words::of_monitor()),
            "no phone rings for a test of a monitor"
        );
        assert_eq!(Words::read("monitor,tts").of_phone(), Words::read("tts"), "no phone says so of itself");
    }

    proptest! {
        #[test]
        fn a_monitor_is_never_given_what_a_phone_is(can in words(), needs in words()) {
            prop_assert!(!both(&can, &Words::of_monitor()).cover(&needs));
            prop_assert!(!can.cover(&both(&needs, &Words::of_monitor())));
        }

        #[test]
        fn read_as_written(words in words()) {
            prop_assert_eq!(Words::read(&words.to_string()), words);
        }

        #[test]
        fn what_can_do_more_takes_more(can in words(), more in words(), needs in words()) {
            prop_assert!(!can.cover(&needs) || both(&can, &more).cover(&needs));
            prop_assert!(can.cover(&can) && can.cover(&Words::default()));
            prop_assert_eq!(can.cover(&both(&needs, &more)), can.cover(&needs) && can.cover(&more));
        }
    }
}
