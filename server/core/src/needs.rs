//! What a hunt needs of a handset, and what a handset can: sets of words. A hunt is due only for a handset that has every word.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// Whether a handset that can do these may be given what needs those.
    #[must_use]
    pub fn cover(&self, needs: &Self) -> bool {
        needs.0.is_subset(&self.0)
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

    proptest! {
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
