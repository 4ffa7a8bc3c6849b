//! Files for monitoring systems, with address and key filled in: each as the language around it wants it.
//!
//! A place is written `@WHAT:LANGUAGE@`, and becomes a whole literal of that language, quotes and all. What is no such place stays.

/// What is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'v> {
    /// Where this server is reached, without a slash at its end.
    pub server: &'v str,
    /// Where on it the sender sends to.
    pub path: &'v str,
    /// The sender's key.
    pub key: &'v str,
}

impl Values<'_> {
    /// The address that a sender is given which shows its key elsewhere.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}{}", self.server, self.path)
    }

    /// The address with the key in it, for a sender that can be given nothing else.
    #[must_use]
    pub fn keyed(&self) -> String {
        format!("{}/k/{}{}", self.server, in_path(self.key), self.path)
    }

    /// The address of the server in parts: how it is spoken to, its name with the port, and the path in front of all others.
    fn parts(&self) -> (&str, &str, &str) {
        let (scheme, rest) = self.server.split_once("://").unwrap_or(("http", self.server));
        let (host, folder) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        (scheme, host, if folder.is_empty() { "/" } else { folder })
    }

    /// What stands at a place, where it is one.
    fn at(&self, place: &str) -> Option<String> {
        let (what, language) = place.split_once(':')?;
        let text = match what {
            "server" => self.server.to_owned(),
            "scheme" => self.parts().0.to_owned(),
            "host" => self.parts().1.to_owned(),
            "folder" => self.parts().2.to_owned(),
            "address" => self.address(),
            "keyed" => self.keyed(),
            "key" => self.key.to_owned(),
            _ => return None,
        };
        let (_, literal) = LANGUAGES.iter().find(|(name, _)| *name == language)?;
        Some(literal(&text))
    }
}

/// A language, and how a text is written in it.
type Language = (&'static str, fn(&str) -> String);

const LANGUAGES: [Language; 6] =
    [("yaml", yaml), ("json", json), ("shell", shell), ("nagios", nagios), ("icinga", icinga), ("groovy", groovy)];

/// The text with all its places filled.
#[must_use]
pub fn fill(text: &str, values: &Values<'_>) -> String {
    let mut filled = String::with_capacity(text.len() + 128);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('@') {
        filled.push_str(before);
        match behind.split_once('@').and_then(|(place, after)| Some((values.at(place)?, after))) {
            Some((literal, after)) => {
                filled.push_str(&literal);
                rest = after;
            }
            None => {
                filled.push('@');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// As a part of a path: what could end it, or begin something else, is written by its bytes.
fn in_path(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

/// Characters that YAML does not take as they are, or reads as the end of a line.
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Between single quotes nothing means anything but the quote. What may not stand there is written as in JSON, which YAML reads as well.
fn yaml(text: &str) -> String {
    if text.contains(is_odd) { json(text) } else { format!("'{}'", text.replace('\'', "''")) }
}

/// In ASCII: a program that reads it as something else than UTF-8 reads the same.
fn json(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            ' '..='~' => written.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    written.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    written.push('"');
    written
}

/// Between single quotes nothing means anything but the quote. No argument of a program holds a NUL.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// A word of a shell within a line of a Nagios object: `$` begins a macro there, `;` a remark, and nothing stands on two lines.
fn nagios(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    shell(&line).replace('$', "$$").replace(';', r"\;")
}

/// A string of Icinga 2, in which `$` begins a macro.
fn icinga(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '$' => written.push_str("$$"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            other if other.is_control() => {}
            other => written.push(other),
        }
    }
    written.push('"');
    written
}

/// A string of Groovy between single quotes, in which `$` means nothing.
fn groovy(text: &str) -> String {
    let mut written = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => written.push_str("\\'"),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            other => written.push(other),
        }
    }
    written.push('\'');
    written
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    const ODD: &str = r#"https://o'brien.example/a"b\c$d;e&f`g#h: i"#;

    fn filled(text: &str, key: &str) -> String {
        fill(text, &Values { server: ODD, path: "/api/v1/intake/generic", key })
    }

    /// What a shell makes of one word.
    fn by_shell(word: &str) -> String {
        let (mut said, mut quoted, mut all) = (String::new(), false, word.chars());
        while let Some(c) = all.next() {
            match c {
                '\'' => quoted = !quoted,
                '\\' if !quoted => said.extend(all.next()),
                other => {
                    assert!(quoted, "{other:?} of {word} stands outside of quotes");
                    said.push(other);
                }
            }
        }
        assert!(!quoted, "{word} is open");
        said
    }

    /// What Nagios hands to the shell.
    fn by_nagios(written: &str) -> String {
        let line = written.replace(r"\;", "\0");
        assert!(!line.contains([';', '\n', '\r']), "{written} ends early");
        let line = line.replace("$$", "\u{1}");
        assert!(!line.contains('$'), "{written} holds a macro");
        line.replace('\u{1}', "$").replace('\0', ";")
    }

    /// What a language with backslashes makes of a literal between these quotes.
    fn by_backslashes(literal: &str, quote: char) -> String {
        let inside = literal.strip_prefix(quote).unwrap().strip_suffix(quote).unwrap();
        let (mut said, mut all) = (String::new(), inside.chars());
        while let Some(c) = all.next() {
            assert!(c != quote && c != '\n', "{literal} ends early");
            said.push(match c {
                '\\' => match all.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                },
                other => other,
            });
        }
        said
    }

    #[test]
    fn a_place_becomes_a_literal_of_its_language() {
        let values = Values { server: "https://alerts.example.com", path: "/api/v1/intake/zabbix", key: "ak_1" };
        assert_eq!(fill("url: @address:yaml@", &values), "url: 'https://alerts.example.com/api/v1/intake/zabbix'");
        assert_eq!(fill("curl @keyed:shell@", &values), "curl 'https://alerts.example.com/k/ak_1/api/v1/intake/zabbix'");
        let other = "curl --data-binary @file -u a@b:c@d @none:yaml@ @key:none@ @";
        assert_eq!(fill(other, &values), other, "what is no place of ours stays");
        assert_eq!(fill("mail a@b @key:json@", &values), "mail a@b \"ak_1\"");
    }

    #[test]
    fn an_address_has_three_parts() {
        let parts = |server: &str| fill("@scheme:json@ @host:json@ @folder:json@", &Values { server, path: "/p", key: "k" });
        assert_eq!(parts("https://alerts.example.com"), r#""https" "alerts.example.com" "/""#);
        assert_eq!(parts("https://a.example:8443/x/y"), r#""https" "a.example:8443" "/x/y""#);
        assert_eq!(parts("http://[::1]:8080"), r#""http" "[::1]:8080" "/""#);
    }

    #[test]
    fn an_odd_address_breaks_no_file() {
        assert_eq!(filled("@server:yaml@", "k"), r#"'https://o''brien.example/a"b\c$d;e&f`g#h: i'"#);
        assert_eq!(filled("@server:shell@", "k"), r#"'https://o'\''brien.example/a"b\c$d;e&f`g#h: i'"#);
        assert_eq!(filled("@server:nagios@", "k"), r#"'https://o'\''brien.example/a"b\c$$d\;e&f`g#h: i'"#);
        assert_eq!(filled("@server:icinga@", "k"), r#""https://o'brien.example/a\"b\\c$$d;e&f`g#h: i""#);
        assert_eq!(filled("@server:json@", "k"), r#""https://o'brien.example/a\"b\\c$d;e&f`g#h: i""#);
        assert_eq!(filled("@server:groovy@", "k"), r#"'https://o\'brien.example/a"b\\c$d;e&f`g#h: i'"#);
        assert!(filled("@keyed:shell@", "a/b?é").contains("/k/a%2Fb%3F%C3%A9/api/"));
    }

    proptest! {
        #[test]
        fn every_literal_says_what_was_filled_in(text in ".{0,40}") {
            prop_assert_eq!(by_shell(&shell(&text)), text.replace('\0', ""));
            let plain: String = text.chars().filter(|c| !c.is_control()).collect();
            prop_assert_eq!(by_shell(&by_nagios(&nagios(&text))), plain.clone());
            prop_assert_eq!(by_backslashes(&icinga(&plain), '"').replace("$$", "$"), plain.clone());
            prop_assert_eq!(by_backslashes(&groovy(&text), '\''), text.clone());
            prop_assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text.clone());
            let written = yaml(&text);
            let said = match written.strip_prefix('\'') {
                Some(rest) => {
                    let inside = rest.strip_suffix('\'').unwrap();
                    prop_assert!(!inside.replace("''", "").contains('\''), "{} ends early", written);
                    inside.replace("''", "'")
                }
                None => serde_json::from_str(&written).unwrap(),
            };
            prop_assert_eq!(said, text);
        }

        #[test]
        fn filling_twice_changes_nothing_more(text in "[a-z@: ]{0,40}") {
            let values = Values { server: "http://a.example", path: "/p", key: "k" };
            let once = fill(&text, &values);
            prop_assert_eq!(fill(&once, &values), once);
        }
    }
}
