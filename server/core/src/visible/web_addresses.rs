//! Web addresses in what senders write: where one begins and ends, and which of them lead to a runbook. Only `http` and `https`; everything
//! else is text, so that whatever a page makes a link of is one.

use std::collections::BTreeMap;

/// A longer one, in bytes, is left as text.
const LONGEST: usize = 2_000;
/// So many are told apart from the text around them at the most.
const MOST_FOREMOST: usize = 6;
/// How labels and lines say that they lead to a runbook.
const RUNBOOK: &str = "runbook";

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Words.
    Text(&'t str),
    /// A web address.
    Address(&'t str),
}

impl<'t> Piece<'t> {
    /// What is written.
    #[must_use]
    pub fn as_str(self) -> &'t str {
        match self {
            Self::Text(text) | Self::Address(text) => text,
        }
    }
}

/// What an address was given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of<'t> {
    /// What to do about it.
    Runbook,
    /// The value of a label of this name.
    Label(&'t str),
    /// It stands in the text.
    Details,
}

/// An address, and what it was given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'t> {
    /// What it was given as.
    pub of: Of<'t>,
    /// The address.
    pub address: &'t str,
}

/// Splits a text into words and web addresses. Put together again, the pieces are the text.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut done, mut from) = (0, 0);
    while let Some(begin) = next_scheme(text, from) {
        let whole = &text[begin..begin + reach(&text[begin..])];
        from = begin + whole.len();
        let address = without_end_marks(whole);
        if whole.len() > LONGEST || !is_address(address) {
            continue;
        }
        if done < begin {
            pieces.push(Piece::Text(&text[done..begin]));
        }
        pieces.push(Piece::Address(address));
        done = begin + address.len();
    }
    if done < text.len() {
        pieces.push(Piece::Text(&text[done..]));
    }
    pieces
}

/// The addresses that somebody who was just woken wants first, each once: the runbook, then those of labels, then those of the text.
#[must_use]
pub fn foremost<'t>(details: &'t str, labels: &'t BTreeMap<String, String>) -> Vec<Link<'t>> {
    let of_label = |(name, value): (&'t String, &'t String)| {
        let of = if names_runbook(name) { Of::Runbook } else { Of::Label(name) };
        addresses(value).map(move |address| Link { of, address })
    };
    let of_line = |line: &'t str| {
        let of = if names_runbook(line) { Of::Runbook } else { Of::Details };
        addresses(line).map(move |address| Link { of, address })
    };
    let mut all: Vec<Link<'t>> = labels.iter().flat_map(of_label).chain(details.lines().flat_map(of_line)).collect();
    // Labels stand before the text, and stay there.
    all.sort_by_key(|link| link.of != Of::Runbook);
    let mut each: Vec<Link<'t>> = Vec::new();
    for link in all {
        if each.len() < MOST_FOREMOST && !each.iter().any(|known| known.address == link.address) {
            each.push(link);
        }
    }
    each
}

fn addresses(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Address(address) => Some(address),
        Piece::Text(_) => None,
    })
}

/// It begins so, as `runbook_url` does and `Runbook: …`.
fn names_runbook(text: &str) -> bool {
    text.trim_start().get(..RUNBOOK.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(RUNBOOK))
}

/// The length of the scheme with which this begins; 0: it begins with none.
fn scheme(text: &str) -> usize {
    let begins = |scheme: &&str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    ["https://", "http://"].into_iter().find(begins).map_or(0, str::len)
}

/// Where the next scheme begins that is not the end of a longer word.
fn next_scheme(text: &str, from: usize) -> Option<usize> {
    let begins = |at: &usize| {
        let before = text[..*at].chars().next_back();
        scheme(&text[*at..]) > 0 && !before.is_some_and(|before| before.is_ascii_alphanumeric())
    };
    text[from..].match_indices(['h', 'H']).map(|(at, _)| from + at).find(begins)
}

/// How far an address reaches that begins here, in bytes.
fn reach(text: &str) -> usize {
    let mut before = '/';
    for (at, c) in text.char_indices() {
        // Words may follow without a blank; where the address itself is written in such letters, a mark of the address stands before.
        let may_stand = if c.is_ascii() {
            c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '`' | '{' | '}' | '|' | '\\' | '^')
        } else {
            c.is_alphanumeric() && (!before.is_ascii() || matches!(before, '/' | '=' | '-' | '_' | '&' | '?' | '#' | '+' | '%'))
        };
        if !may_stand {
            return at;
        }
        before = c;
    }
    text.len()
}

/// Without the marks of the sentence around it: its end, and a bracket that was opened before the address.
fn without_end_marks(address: &str) -> &str {
    let count = |mark: char| address.matches(mark).count();
    // How many are closed that were never opened.
    let mut round = count(')').saturating_sub(count('('));
    let mut square = count(']').saturating_sub(count('['));
    let mut left = address;
    while let Some(last) = left.chars().next_back() {
        match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' => {}
            ')' if round > 0 => round -= 1,
            ']' if square > 0 => square -= 1,
            _ => break,
        }
        left = &left[..left.len() - last.len_utf8()];
    }
    left
}

/// It names a host.
fn is_address(text: &str) -> bool {
    let host = text[scheme(text)..].chars().next();
    scheme(text) > 0 && host.is_some_and(|c| c.is_ascii_alphanumeric() || c == '[')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        addresses(text).collect()
    }

    #[test]
    fn an_address_ends_where_a_reader_would_end_it() {
        for (text, address) in [
            ("see https://wiki.example/disk.", "https://wiki.example/disk"),
            ("(https://wiki.example/disk_(db))", "https://wiki.example/disk_(db)"),
            (
                "runbook: http://10.0.0.1:9090/graph?g0.expr=up%7Ba%3D1%7D&x=1#y, then wait",
                "http://10.0.0.1:9090/graph?g0.expr=up%7Ba%3D1%7D&x=1#y",
            ),
            ("<https://wiki.example>", "https://wiki.example"),
            ("见https://wiki.example/disk，再处理", "https://wiki.example/disk"),
            ("请看https://wiki.example/disk再处理", "https://wiki.example/disk"),
            ("https://wiki.example/磁盘/清理", "https://wiki.example/磁盘/清理"),
            ("HTTPS://WIKI.EXAMPLE/A", "HTTPS://WIKI.EXAMPLE/A"),
            ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
            ("\"https://wiki.example/a\"", "https://wiki.example/a"),
        ] {
            assert_eq!(found(text), [address], "{text}");
        }
    }

    #[test]
    fn nothing_else_is_an_address() {
        for text in [
            "javascript:alert(1)",
            "ftp://files.example",
            "data:text/html,x",
            "xhttps://wiki.example",
            "https://",
            "https:// wiki.example",
            "http://.",
            "https://例え.jp",
            "htt",
            "",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
        let long = format!("https://wiki.example/{}", "a".repeat(LONGEST));
        assert_eq!(found(&long), Vec::<&str>::new());
    }

    #[test]
    fn the_runbook_stands_first_and_each_once() {
        let labels = BTreeMap::from([
            ("dashboard".to_owned(), "https://grafana.example/d/1".to_owned()),
            ("host".to_owned(), "db1".to_owned()),
            ("runbook_url".to_owned(), "https://wiki.example/disk".to_owned()),
        ]);
        let details = "97 % of /var\nRunbook: https://wiki.example/disk\nhttps://prometheus.example/graph";
        let all = foremost(details, &labels);
        assert_eq!(
            all,
            [
                Link { of: Of::Runbook, address: "https://wiki.example/disk" },
                Link { of: Of::Label("dashboard"), address: "https://grafana.example/d/1" },
                Link { of: Of::Details, address: "https://prometheus.example/graph" },
            ]
        );
        let many: String = (0..20).map(|number| format!("https://wiki.example/{number} ")).collect();
        assert_eq!(foremost(&many, &BTreeMap::new()).len(), MOST_FOREMOST);
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            ".{0,8}",
            Just("https://".to_owned()),
            Just("http://a.b/".to_owned()),
            Just("HTTP://".to_owned()),
            Just(").,'\"<>".to_owned()),
            "[a-z/.?=&()\\[\\]]{0,12}",
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Put together again, the pieces are the text; and every address is one by itself.
        #[test]
        fn the_pieces_are_the_text(text in any_text()) {
            let all = pieces(&text);
            prop_assert_eq!(all.iter().map(|piece| piece.as_str()).collect::<String>(), text.clone());
            prop_assert!(all.iter().all(|piece| !piece.as_str().is_empty()));
            for piece in all {
                if let Piece::Address(address) = piece {
                    prop_assert!(scheme(address) > 0 && address.len() <= LONGEST);
                    prop_assert!(!address.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)), "{address}");
                    prop_assert_eq!(pieces(address), vec![Piece::Address(address)]);
                }
            }
        }
    }
}
