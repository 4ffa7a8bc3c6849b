//! What calendars (RFC 5545) and address cards (RFC 6350) have in common: components that hold lines `NAME;PARAMETER=VALUE:VALUE`.
//!
//! Read here and not by a library, because the input is a stranger's: nothing is recursive, so a file of nested components cannot use
//! up the stack, and what one file has wrong in one line does not make the others unreadable.

/// Components inside each other; a calendar has three.
const DEEPEST: usize = 16;

/// One line, unfolded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// In capitals, without the group of an address card.
    pub name: String,
    /// What comes before a dot: address cards tie lines together by it.
    pub group: String,
    /// Names in capitals; values without quotes.
    pub parameters: Vec<(String, String)>,
    /// As it is written.
    pub value: String,
}

impl Property {
    /// The first parameter of a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The value as text: `\n`, `\,`, `\;` and `\\` mean what they stand for.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut rest = self.value.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => match rest.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => {}
                },
                c => text.push(c),
            }
        }
        text
    }
}

/// What stands between `BEGIN` and `END`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// In capitals.
    pub name: String,
    /// Its own lines in order.
    pub properties: Vec<Property>,
    /// What it holds, in order.
    pub components: Vec<Component>,
}

impl Component {
    /// The first line of a name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|own| own.name == name)
    }

    /// All lines of a name.
    pub fn all<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Property> {
        self.properties.iter().filter(move |own| own.name == name)
    }

    /// What it holds of one kind.
    pub fn inner<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Component> {
        self.components.iter().filter(move |own| own.name == name)
    }
}

/// Takes the folds out of a file: line breaks that a blank or tab follows. Before the file becomes text, since a fold may stand in
/// the middle of a character.
#[must_use]
pub fn unfolded(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let fold = match rest {
            [b'\r', b'\n', b' ' | b'\t', ..] => 3,
            [b'\n' | b'\r', b' ' | b'\t', ..] => 2,
            _ => 0,
        };
        if fold > 0 {
            rest = &rest[fold..];
        } else {
            text.push(*first);
            rest = after;
        }
    }
    text
}

/// Reads the outermost components of an unfolded text.
///
/// # Errors
/// When components do not end, or not in order.
pub fn read(text: &str) -> Result<Vec<Component>, String> {
    let mut done = Vec::new();
    let mut open: Vec<Component> = Vec::new();
    for line in text.split(['\r', '\n']) {
        // What is no such line is nobody's: some programs break long texts without a fold.
        let Some(property) = property(line) else { continue };
        match property.name.as_str() {
            "BEGIN" => {
                if open.len() == DEEPEST {
                    return Err(format!("components are nested deeper than {DEEPEST}"));
                }
                open.push(Component { name: property.value.trim().to_ascii_uppercase(), ..Component::default() });
            }
            "END" => {
                let name = property.value.trim();
                let Some(own) = open.pop().filter(|own| own.name.eq_ignore_ascii_case(name)) else {
                    return Err(format!("END:{name} has no BEGIN:{name} before it"));
                };
                match open.last_mut() {
                    Some(outer) => outer.components.push(own),
                    None => done.push(own),
                }
            }
            _ => {
                if let Some(own) = open.last_mut() {
                    own.properties.push(property);
                }
            }
        }
    }
    match open.last() {
        Some(own) => Err(format!("it ends in the middle: BEGIN:{0} has no END:{0}. Was it cut off?", own.name)),
        None => Ok(done),
    }
}

fn property(line: &str) -> Option<Property> {
    let line = line.trim_start_matches('\u{feff}');
    let end = line.find([';', ':'])?;
    let (group, name) = line[..end].rsplit_once('.').unwrap_or(("", &line[..end]));
    if name.trim().is_empty() {
        return None;
    }
    let mut parameters = Vec::new();
    let mut rest = &line[end..];
    while let Some(own) = rest.strip_prefix(';') {
        let end = end_of_parameter(own)?;
        let (name, value) = own[..end].split_once('=').unwrap_or(("TYPE", &own[..end]));
        parameters.push((name.trim().to_ascii_uppercase(), value.replace('"', "")));
        rest = &own[end..];
    }
    let value = rest.strip_prefix(':')?.to_owned();
    Some(Property { name: name.trim().to_ascii_uppercase(), group: group.trim().to_owned(), parameters, value })
}

/// Where a parameter ends: at the next `;` or `:` that is not quoted.
fn end_of_parameter(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(place, c)| {
        quoted ^= c == '"';
        (!quoted && matches!(c, ';' | ':')).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let own = property("item1.TEL;TYPE=\"cell;x\";PREF=1:tel:+86-1;ext=2").unwrap();
        assert_eq!((own.group.as_str(), own.name.as_str(), own.value.as_str()), ("item1", "TEL", "tel:+86-1;ext=2"));
        assert_eq!((own.parameter("TYPE"), own.parameter("PREF"), own.parameter("X")), (Some("cell;x"), Some("1"), None));
        assert_eq!(property("SUMMARY:a\\, b\\nc\\\\").unwrap().text(), "a, b\nc\\");
        assert_eq!(property("TEL;HOME:1").unwrap().parameter("TYPE"), Some("HOME"));
        assert!(property("no line").is_none() && property(":x").is_none());
    }

    #[test]
    fn a_fold_in_the_middle_of_a_character_is_taken_out() {
        let folded = [b"SUMMARY:\xe5\xbc".as_slice(), b"\r\n \xa0\xe4\xbc\x9f\n\tx"].concat();
        assert_eq!(String::from_utf8(unfolded(&folded)).unwrap(), "SUMMARY:张伟x");
    }

    #[test]
    fn what_does_not_end_is_refused() {
        assert!(read("BEGIN:A\nBEGIN:B\nEND:A\nEND:B\n").is_err());
        assert!(read("BEGIN:A\nX:1\n").unwrap_err().contains("cut off"));
        assert!(read(&"BEGIN:A\n".repeat(100_000)).unwrap_err().contains("nested"));
        assert_eq!(read("BEGIN:A\r\nX:1\r\nBEGIN:B\r\nEND:B\r\nEND:a\r\n").unwrap()[0].components.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(BEGIN:A|END:A|[\r\n;:\"=. A]|.){0,60}") {
            let _ = (read(&text), unfolded(text.as_bytes()));
        }
    }
}
