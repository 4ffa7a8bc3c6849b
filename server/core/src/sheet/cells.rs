//! What spreadsheets put around and into cells.

/// The content of a cell: without blanks and marks around it, a leading apostrophe, or a formula that is only a text (`="018"`).
#[must_use]
pub fn plain(cell: &str) -> String {
    let mut text = trimmed(cell);
    if let Some(own) = text.strip_prefix("=\"").and_then(|own| own.strip_suffix('"')) {
        text = trimmed(own);
    }
    // Excel's sign for "as it is written".
    if let Some(own) = text.strip_prefix('\'').filter(|own| !own.ends_with('\'')) {
        text = trimmed(own);
    }
    text.to_owned()
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

/// A number as a spreadsheet or an address book has it: without `tel:`.
#[must_use]
pub fn number(cell: &str) -> String {
    let text = plain(cell);
    let own = text.get(..4).filter(|head| head.eq_ignore_ascii_case("tel:")).map(|_| text[4..].to_owned());
    own.unwrap_or(text)
}

/// Whether a spreadsheet has shortened a number until its digits were lost: `1.8714E+10`.
#[must_use]
pub fn is_shortened(number: &str) -> bool {
    let text = number.trim().to_ascii_uppercase();
    text.split_once('E').is_some_and(|(number, power)| {
        let digits =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-'));
        digits(number) && digits(power)
    })
}

/// A text in which no spreadsheet sees a formula: a cell that we write ourselves.
#[must_use]
pub fn harmless(text: &str) -> String {
    let is_number = text.chars().skip(1).all(|c| c.is_ascii_digit());
    match text.chars().next() {
        Some('=' | '-' | '@' | '\t' | '\r' | '\n') => format!("'{text}"),
        Some('+') if !is_number => format!("'{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spreadsheet_sees_a_formula() {
        for (text, kept) in [
            ("=1+1", "'=1+1"),
            ("+582122853348", "+582122853348"),
            ("+1+cmd", "'+1+cmd"),
            ("@x", "'@x"),
            ("-1", "'-1"),
            ("\n=1", "'\n=1"),
            ("Ana", "Ana"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), kept);
        }
    }

    #[test]
    fn cells_are_what_they_show() {
        for (cell, content) in [
            (" x ", "x"),
            ("'18714000920", "18714000920"),
            ("=\"018714000920\"", "018714000920"),
            ("\u{202a}+86 187\u{202c}", "+86 187"),
            ("O'Neil", "O'Neil"),
            ("'quoted'", "'quoted'"),
        ] {
            assert_eq!(plain(cell), content, "{cell}");
        }
        assert_eq!((number("TEL:+86-187").as_str(), number("té").as_str()), ("+86-187", "té"));
        assert!(is_shortened("1.8714E+10") && is_shortened("1,87e10") && !is_shortened("187") && !is_shortened("E.ON"));
    }

    proptest::proptest! {
        #[test]
        fn no_cell_panics(text in ".{0,30}") {
            let _ = (plain(&text), number(&text), is_shortened(&text));
        }
    }
}
