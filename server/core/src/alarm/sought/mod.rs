//! **How alarms are found by text**: which words an alarm is kept under, which words somebody asks for, and in which spans of time they are
//! looked for. Pure; the databases only compare words.

mod asked;
mod fold;
mod spans;
mod words;

pub use asked::{Asked, Known, Sought, Term};
pub use fold::{is_unspaced, words};
pub use spans::{Span, spans, spans_of};
pub use words::{Told, label_word, person_word, source_word, words_of};

/// An alarm is kept under at most so many words.
pub const MOST_WORDS: usize = 400;
/// Of its details so many bytes are read.
pub const MOST_READ: usize = 8 * 1024;
/// A longer word counts as far as this.
pub const LONGEST_WORD: usize = 40;
/// The end of a number finds it from so many digits on.
pub const LEAST_DIGITS: usize = 4;
/// No number has more digits.
pub const MOST_DIGITS: usize = 15;
/// At most so many words are asked for at once.
pub const MOST_ASKED: usize = 12;
/// What somebody asks for has so many characters at most.
pub const LONGEST_ASKED: usize = 200;
/// A word may be the beginning of another from so many characters on.
pub const LEAST_BEGINNING: usize = 3;
/// One word stands for at most so many people.
pub const MOST_PEOPLE: usize = 50;
