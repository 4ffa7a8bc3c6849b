//! A card: something with a state in a word, and sentences about it.

/// What one card shows.
pub(in crate::dashboard) struct Card {
    pub(in crate::dashboard) name: String,
    /// A class and a word.
    pub(in crate::dashboard) state: (&'static str, String),
    /// In short, below the name; may be empty.
    pub(in crate::dashboard) about: String,
    /// HTML.
    pub(in crate::dashboard) sentences: Vec<String>,
    /// A sentence in HTML about what needs a hand.
    pub(in crate::dashboard) trouble: Option<String>,
    /// Where it is changed, for those who may.
    pub(in crate::dashboard) change: Option<String>,
}
