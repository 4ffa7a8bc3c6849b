//! How long a text may be for a service, and where what is too much is cut off.

use std::borrow::Cow;

/// What stands for what was cut off.
const CUT: char = '…';

/// A limit, as a service counts.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub(super) most: usize,
    /// What a character counts.
    pub(super) counted: fn(char) -> usize,
}

impl Length {
    /// Any.
    pub(super) const ANY: Self = Self::bytes(usize::MAX);

    /// In UTF-16, as services count that are written in languages whose texts are: never fewer than characters.
    pub(super) const fn utf16(most: usize) -> Self {
        Self { most, counted: char::len_utf16 }
    }

    /// In bytes of the text itself.
    pub(super) const fn bytes(most: usize) -> Self {
        Self { most, counted: char::len_utf8 }
    }

    /// In bytes of the JSON that holds it.
    pub(super) const fn json(most: usize) -> Self {
        Self { most, counted: in_json }
    }

    /// What is left of it beside another text and a blank.
    pub(super) fn beside(self, other: &str) -> Self {
        if other.is_empty() {
            return self;
        }
        let taken = other.chars().chain([' ']).map(self.counted).fold(0, usize::saturating_add);
        Self { most: self.most.saturating_sub(taken), ..self }
    }

    /// A text, or as much of it as may be: cut off behind a word where one ends near, and never inside a character.
    pub(super) fn cut(self, text: &str) -> Cow<'_, str> {
        let Some(room) = self.room(text) else { return Cow::Borrowed(text) };
        let mut used = 0;
        let fits = |c: &char| {
            used += (self.counted)(*c);
            used <= room
        };
        let end: usize = text.chars().take_while(fits).map(char::len_utf8).sum();
        let (head, rest) = text.split_at(end);
        let head = match head.rfind(char::is_whitespace) {
            _ if rest.starts_with(char::is_whitespace) => head,
            // A quarter at most is given away for it: some languages write without blanks.
            Some(blank) if blank >= head.len() / 4 * 3 => &head[..blank],
            _ => whole(head, rest),
        };
        Cow::Owned(format!("{}{CUT}", head.trim_end()))
    }

    /// How much of a text that is too long may stay; `None`: all of it.
    fn room(self, text: &str) -> Option<usize> {
        let length = text.chars().map(self.counted).fold(0, usize::saturating_add);
        (length > self.most).then(|| self.most.saturating_sub((self.counted)(CUT)))
    }
}

/// The bytes of a character between the quotes of a JSON string.
pub(super) fn in_json(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

/// The beginning of a text without what belongs to a character that people see as one with the rest.
fn whole<'t>(mut head: &'t str, rest: &str) -> &'t str {
    let mut next = rest.chars().next();
    while let (Some(last), Some(after)) = (head.chars().next_back(), next)
        && (is_joined(after) || last == JOINER)
    {
        head = &head[..head.len() - last.len_utf8()];
        next = Some(last);
    }
    head
}

/// Makes one picture of two.
const JOINER: char = '\u{200d}';

/// Whether a character changes the one before it: accents, selectors, tones of skin.
fn is_joined(c: char) -> bool {
    matches!(c, JOINER | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(Length::utf16(9).cut("disk full"), "disk full");
        assert_eq!(Length::bytes(12).cut("磁盘已满"), "磁盘已满");
        assert_eq!(Length::ANY.cut(&"x".repeat(100_000)).len(), 100_000);
    }

    #[test]
    fn too_much_is_cut_off_behind_a_word() {
        assert_eq!(Length::utf16(20).cut("the disk of db1 is full"), "the disk of db1 is…");
        assert_eq!(Length::utf16(16).cut("the disk of db1 is full"), "the disk of db1…", "a word that just ends is kept");
        assert_eq!(Length::utf16(22).cut("one two https://a.example/b"), "one two https://a.exa…", "no word ends near");
        assert_eq!(Length::utf16(25).cut("one two three four https://a.example/b"), "one two three four…", "no half address");
    }

    #[test]
    fn it_is_counted_as_the_service_does() {
        assert_eq!(Length::bytes(11).cut("磁盘已满"), "磁盘…", "three bytes each, and three for the mark");
        assert_eq!(Length::utf16(4).cut("磁盘已满了"), "磁盘已…");
        assert_eq!(Length::utf16(4).cut("👍👍👍"), "👍…", "two units each");
        assert_eq!(Length::json(8).cut("\"\"\"\"\"\""), "\"\"…", "a quotation mark is two bytes there");
        assert_eq!((in_json('\u{1}'), in_json('\n'), in_json('a'), in_json('é')), (6, 2, 1, 2));
    }

    #[test]
    fn what_people_see_as_one_is_not_torn() {
        assert_eq!(Length::utf16(4).cut("abcde\u{301}"), "abc…");
        assert_eq!(Length::utf16(4).cut("abe\u{301}cd"), "ab…");
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(Length::utf16(6).cut(&format!("a{family}b")), "a…");
        assert_eq!(Length::utf16(3).cut("\u{301}\u{301}\u{301}\u{301}"), "…");
        assert_eq!(Length::utf16(0).cut("abc"), "…", "nobody says so little, and nothing breaks");
    }

    proptest! {
        #[test]
        fn it_fits_and_is_a_beginning(text in "(\\PC| |\n|\"|\u{301}|\u{200d}){0,60}", most in 3_usize..60) {
            for length in [Length::utf16(most), Length::bytes(most), Length::json(most)] {
                let cut = length.cut(&text);
                prop_assert!(cut.chars().map(length.counted).sum::<usize>() <= most);
                let beginning = cut.strip_suffix('…').unwrap_or(&cut);
                prop_assert!(text.starts_with(beginning));
            }
        }
    }
}
