//! What somebody sent, for looking at: whatever looks like a secret is left out.
//!
//! The text may be JSON, a form, an address, parts of a form, or anything cut off in the middle; so it is read as text. Rather too much is
//! left out than too little.

/// Stands for what is left out.
pub const MASK: &str = "•••";

/// Names of secrets hold one of these, written small and without what joins words.
const SECRET: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "appkey",
    "authkey",
    "accesskey",
    "routingkey",
    "servicekey",
    "integrationkey",
    "privatekey",
    "authorization",
    "credential",
    "signature",
    "cookie",
];
/// Or are one of these.
const WHOLE: [&str; 5] = ["pwd", "pass", "auth", "geniekey", "sessionid"];
/// Also, where an address or a form says it: in JSON it names something else.
const IN_FORMS: [&str; 3] = ["key", "sig", "sign"];
/// Behind these a secret comes, whatever it is called.
const SCHEMES: [&str; 3] = ["Bearer ", "GenieKey ", "Basic "];
/// How our own keys begin.
const OURS: &str = "ak_";
/// A name is no longer, in bytes.
const LONGEST_NAME: usize = 80;
/// Neither is what stands between the name of a part of a form and its value.
const LONGEST_HEAD: usize = 200;

/// What stands between the head of a part of a form and its value.
const EMPTY_LINES: [&str; 2] = ["\r\n\r\n", "\n\n"];

/// The text without its secrets, and without what would garble a page.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(scheme) = SCHEMES.iter().find(|scheme| begins_with(rest, scheme)) {
            let (said, behind) = rest.split_at(scheme.len());
            let secret = behind.find(|c: char| !is_of_secret(c)).unwrap_or(behind.len());
            shown.push_str(said);
            rest = left_out(&mut shown, behind, secret);
        } else if let Some(behind) = rest.strip_prefix("://") {
            // A user and a password in front of the host.
            shown.push_str("://");
            let host = behind
                .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '&'))
                .unwrap_or(behind.len());
            let user = behind.get(..host).and_then(|authority| authority.rfind('@')).unwrap_or(0);
            rest = left_out(&mut shown, behind, user);
        } else if is_of_name(c) {
            let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            rest = behind;
            if is_ours(name) {
                shown.push_str(MASK);
                continue;
            }
            if is_packed_secret(name) {
                // It goes on where it holds what is no letter of a name.
                let end = behind.find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'')).unwrap_or(behind.len());
                shown.push_str(MASK);
                rest = behind.get(end..).unwrap_or_default();
                continue;
            }
            shown.push_str(name);
            let form = behind.starts_with('=');
            if let Some(before) = is_secret(name, form).then(|| before_value(behind)).flatten() {
                let (between, value) = behind.split_at(before);
                shown.push_str(between);
                rest = left_out(&mut shown, value, length(value, between));
            }
        } else {
            shown.push(if c.is_control() && !matches!(c, '\n' | '\t' | '\r') { '\u{fffd}' } else { c });
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    shown
}

/// Whether a text begins with this, in capitals or not.
fn begins_with(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(with))
}

/// Writes the mask for so many bytes, where there are any, and gives what comes behind.
fn left_out<'t>(shown: &mut String, text: &'t str, bytes: usize) -> &'t str {
    if bytes > 0 {
        shown.push_str(MASK);
    }
    text.get(bytes..).unwrap_or_default()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')
}

fn is_of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '.' | '_' | '~' | '-' | ':' | '%')
}

/// One of our own keys is in it, and not only letters like its first.
fn is_ours(name: &str) -> bool {
    name.match_indices(OURS).any(|(at, _)| {
        let before = name.get(..at).unwrap_or_default();
        let by_its_byte = at.checked_sub(3).and_then(|from| before.get(from..)).is_some_and(|last| last.starts_with('%'));
        by_its_byte || !before.ends_with(|c: char| c.is_ascii_alphanumeric())
    })
}

/// A value of a form that holds names and values of its own, some of them secret: `%22token%22%3A…`.
fn is_packed_secret(value: &str) -> bool {
    let plain = value.to_ascii_lowercase();
    let packed = ["%22", "%3a", "%3d"].iter().any(|mark| plain.contains(mark));
    packed && SECRET.iter().any(|part| plain.replace(['_', '-'], "").replace("%5f", "").contains(part))
}

fn is_secret(name: &str, form: bool) -> bool {
    // Of a longer one the end says what it is.
    let from = name.len().saturating_sub(LONGEST_NAME);
    let plain: String = name.get(from..).unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    // In a form a name may be written by its bytes: `routing%5Fkey`.
    let plain = plain.to_ascii_lowercase().replace("5f", "").replace("2d", "");
    SECRET.iter().any(|part| plain.contains(part))
        || WHOLE.contains(&plain.as_str())
        || (form && IN_FORMS.contains(&plain.as_str()))
}

/// How much stands between a name and its value; `None` where no value follows.
fn before_value(text: &str) -> Option<usize> {
    let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    // The end of a quoted name, also within a text that is quoted itself.
    let mut at = text.len() - text.trim_start_matches('\\').len();
    if text.get(at..)?.starts_with(['"', '\'']) {
        at += 1;
    }
    // A part of a form: the value comes behind an empty line.
    let rest = text.get(at..)?;
    if rest.starts_with(['\r', '\n']) {
        let near = rest.get(..rest.floor_char_boundary(LONGEST_HEAD)).unwrap_or_default();
        if let Some(behind) = EMPTY_LINES.into_iter().find_map(|line| Some(near.find(line)? + line.len())) {
            return Some(at + behind);
        }
    }
    let is_quoted = at > 0;
    at += blank(rest);
    let rest = text.get(at..)?;
    // In a list of pairs, or of objects that hold a name and a value.
    if let Some(next) = rest.strip_prefix(',').filter(|_| is_quoted) {
        let next = next.trim_start();
        let marks = next.trim_start_matches('\\');
        let value = marks.strip_prefix('"')?;
        let from =
            match value.strip_prefix("value").map(|rest| rest.trim_start_matches('\\')).and_then(|rest| rest.strip_prefix('"')) {
                Some(rest) => rest.trim_start().strip_prefix(':')?.trim_start(),
                None => next,
            };
        return Some(text.len() - from.len());
    }
    let separator = ["%3D", "%3d", "=", ":", ">"].into_iter().find(|separator| rest.starts_with(separator))?;
    at += separator.len();
    Some(at + blank(text.get(at..)?))
}

/// How long a value is, in bytes.
fn length(value: &str, between: &str) -> usize {
    let slashes = value.len() - value.trim_start_matches('\\').len();
    let opened = value.get(slashes..).and_then(|rest| rest.chars().next());
    match opened {
        Some(quote @ ('"' | '\'')) => quoted(value, slashes, quote),
        Some('[' | '{') => nested(value),
        // A part of a form goes on to the line that ends it.
        _ if EMPTY_LINES.iter().any(|line| between.ends_with(line)) => {
            ["\r\n--", "\n--"].into_iter().find_map(|end| value.find(end)).unwrap_or(value.trim_end().len())
        }
        // A header goes on to the end of its line, as `Authorization: Bearer …`, and so does a line of YAML.
        _ if between.contains(':') && !between.contains(['"', '\'']) => value.find(['\r', '\n']).unwrap_or(value.len()),
        // What stands in JSON without quotes.
        _ if between.contains(':') => value.find(['\r', '\n', ',', '}', '"']).unwrap_or(value.len()),
        _ => value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'') || (c == '<' && between.ends_with('>')))
            .unwrap_or(value.len()),
    }
}

/// A text between quotes, each behind so many backslashes; one that is cut off goes to the end.
fn quoted(value: &str, slashes: usize, quote: char) -> usize {
    let mut before = 0;
    for (at, c) in value.char_indices().skip(slashes + 1) {
        if c == '\\' {
            before += 1;
            continue;
        }
        // A quote within the text has more backslashes, and so an odd one out.
        if c == quote && (before == slashes || before == 0 || (slashes == 0 && before % 2 == 0)) {
            return at + 1;
        }
        before = 0;
    }
    value.len()
}

/// A list or an object, to where it is closed.
fn nested(value: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in value.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        for (sent, shown) in [
            (r#"{"routing_key": "R0123", "summary": "Disk full"}"#, r#"{"routing_key": •••, "summary": "Disk full"}"#),
            (r#"{"password":"a\"b","x":1}"#, r#"{"password":•••,"x":1}"#),
            (r#"{"apiKey":12345,"n":{"accessToken":{"a":"b"}},"k":2}"#, r#"{"apiKey":•••,"n":{"accessToken":•••},"k":2}"#),
            (r#"{"text": "{\"token\": \"t0p\", \"a\": 1}"}"#, r#"{"text": "{\"token\": •••, \"a\": 1}"}"#),
            ("summary=x&api_key=abc&key=def&dedup_key=d", "summary=x&api_key=•••&key=•••&dedup_key=d"),
            ("routing%5Fkey=abc&x=1", "routing%5Fkey=•••&x=1"),
            ("/api/v1/intake/generic?key=abc&phones=1", "/api/v1/intake/generic?key=•••&phones=1"),
            ("Authorization: Bearer abc.def\r\nHost: x", "Authorization: •••\r\nHost: x"),
            (r#""curl -H 'X: GenieKey 12-34'""#, r#""curl -H 'X: GenieKey •••'""#),
            ("see https://bob:pw@db1.example/x and http://db2/", "see https://•••@db1.example/x and http://db2/"),
            ("name=\"secret\"\r\n\r\nhidden\r\n--x", "name=\"secret\"\r\n\r\n•••\r\n--x"),
            (
                "name=\"token\"\r\nContent-Type: text/plain\r\n\r\nhidden\r\n",
                "name=\"token\"\r\nContent-Type: text/plain\r\n\r\n•••\r\n",
            ),
            ("payload=%7B%22token%22%3A%22hidden%22%7D&x=1", "payload=•••&x=1"),
            ("to=http%3A%2F%2Fa%2Fk%2Fak_0a1b2c&what=leak_found", "to=•••&what=leak_found"),
            ("password=two+words,more&x=1", "password=•••&x=1"),
            ("password=a,b;c", "password=•••"),
            ("name=\"token\"\r\n\r\ntwo words; more\r\n--x", "name=\"token\"\r\n\r\n•••\r\n--x"),
            ("payload=%7B%22token%22%3A%22hid+den%21%22%7D&x=1", "payload=•••&x=1"),
            (r#"[["Cookie","sid=abc"],["Host","x"]]"#, r#"[["Cookie",•••],["Host","x"]]"#),
            (r#"{"name":"password","value":"hidden"}"#, r#"{"name":"password","value":•••}"#),
            (r#"["token", 1]"#, r#"["token", 1]"#),
            ("x: bearer hidden", "x: bearer •••"),
            ("<password>hidden</password>", "<password>•••</password>"),
            ("/k/ak_0a1b2c/api", "/k/•••/api"),
            (r#"{"key": "db1/disk", "groupKey": "{}:{}"}"#, r#"{"key": "db1/disk", "groupKey": "{}:{}"}"#),
            ("an authorization is needed", "an authorization is needed"),
            ("a\u{0}b\u{1b}[1m", "a\u{fffd}b\u{fffd}[1m"),
        ] {
            assert_eq!(masked(sent), shown, "{sent}");
        }
    }

    #[test]
    fn what_is_cut_off_shows_nothing_of_its_secret() {
        for cut in [r#"{"token": "hidd"#, r#"{"tokens": ["hidd"#, "password=hidd", "Bearer hidd"] {
            assert!(!masked(cut).contains("hidd"), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_holds_no_secret_stays(text in ".{0,200}") {
            let _ = masked(&text);
        }

        #[test]
        fn a_password_is_never_shown(before in "[ -~é]{0,40}", password in "[a-z]{8,20}") {
            let body = serde_json::json!({ "before": before, "db_password": format!("PW{password}"), "after": 1 }).to_string();
            prop_assert!(!masked(&body).contains(&format!("PW{password}")), "{}", masked(&body));
        }
    }
}
