//! What a kind asks of whoever sets it up, and what it is told: the same for a page, a command and the API. Faces draw and read it.

use std::collections::BTreeMap;

use reqwest::Url;

/// Words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// As it stands, in every language: a name, or an example.
    Plain(&'static str),
    /// The word of this key in the catalogue of the pages.
    Word(&'static str),
    /// The same with these places filled.
    Filled(&'static str, &'static [(&'static str, &'static str)]),
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// With one line.
    Line,
    /// With an address; one that may hold a secret is not shown, and blank leaves it.
    Address,
    /// With what nobody is to see.
    Secret,
    /// With what nobody is to see and may be left out. Where it is set it can be taken away as well.
    OptionalSecret {
        /// There is one.
        is_set: bool,
    },
    /// With lines; at first it has room for so many.
    Lines(usize),
    /// By choosing one of these.
    Choice(Vec<(&'static str, Said)>),
    /// By choosing one of our handsets.
    Handset,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name, for programs.
    pub name: &'static str,
    /// Its name, for people.
    pub label: Said,
    /// What helps to fill it in.
    pub how: Said,
    /// How it is filled in.
    pub by: AskedBy,
}

impl Asked {
    /// A field.
    #[must_use]
    pub fn new(name: &'static str, label: Said, how: Said, by: AskedBy) -> Self {
        Self { name, label, how, by }
    }
}

/// What was filled in: a field that is not there leaves what it asks for as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// By the names of the fields.
    pub fields: BTreeMap<String, String>,
    /// What is to be taken away.
    pub gone: Vec<String>,
}

impl Typed {
    /// What was written into a field; `None` in a form without it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The same, without blanks around it; empty in a form without it.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default().trim()
    }

    /// Whether what a field holds is to be taken away.
    #[must_use]
    pub fn takes_away(&self, name: &str) -> bool {
        self.gone.iter().any(|gone| gone == name)
    }

    /// What is shown, and so says what it is to be: as it was in a form without the field.
    #[must_use]
    pub fn shown(&self, name: &str, old: Option<&String>) -> String {
        match (self.get(name), old) {
            (None, Some(old)) => old.clone(),
            _ => self.text(name).to_owned(),
        }
    }

    /// What is not shown: left blank, it stays as it was. Blanks may be part of it.
    #[must_use]
    pub fn kept(&self, name: &str, old: Option<&String>) -> String {
        match (self.get(name).unwrap_or_default(), old) {
            ("", Some(old)) => old.clone(),
            (typed, _) => typed.to_owned(),
        }
    }

    /// The same of a text, without blanks around it.
    #[must_use]
    pub fn kept_text(&self, name: &str, old: Option<&String>) -> String {
        match (self.text(name), old) {
            ("", Some(old)) => old.clone(),
            (typed, _) => typed.to_owned(),
        }
    }

    /// The same of what may be left out, and taken away.
    #[must_use]
    pub fn optional(&self, name: &str, old: Option<&String>) -> Option<String> {
        let old = old.filter(|_| !self.takes_away(name));
        Some(self.kept(name, old)).filter(|text| !text.is_empty())
    }
}

/// Whether an address leads elsewhere than the one before it: then secrets that were kept are to be given again, so that nobody learns one by
/// sending it to themselves. What is no address of ours leads nowhere, and is refused as such.
#[must_use]
pub fn leads_elsewhere(old: &str, new: &str) -> bool {
    let place = |address: &str| {
        let url = Url::parse(&filled_in(address)).ok()?;
        Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    let is_ours = |scheme: &str| matches!(scheme, "http" | "https" | "smtp" | "smtps");
    place(new).is_some_and(|new| is_ours(&new.0) && place(old) != Some(new))
}

/// With something in each place in braces, as it is when it is used.
fn filled_in(address: &str) -> String {
    let (mut filled, mut rest) = (String::new(), address);
    while let Some((before, (_, behind))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        filled.extend([before, "1"]);
        rest = behind;
    }
    filled + rest
}

/// Lines of `name=value`, each name once.
///
/// # Errors
/// The first line that is none.
pub fn pairs(text: &str) -> Result<BTreeMap<String, String>, &str> {
    let mut pairs = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').ok_or(line)?;
        if pairs.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
            return Err(line);
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_scheme_host_or_port_is_elsewhere() {
        let old = "https://push.example.com/hook/1?key=x";
        for same in [
            "https://push.example.com/hook/2",
            "https://PUSH.example.com:443",
            "https://push.example.com/{text}",
            "",
            "x",
            "ftp://x",
        ] {
            assert!(!leads_elsewhere(old, same), "{same}");
        }
        let others = [
            "http://push.example.com/hook/1",
            "https://push.example.com:8443/",
            "https://b.example/hook/1",
            "https://b.example:4{number}/",
            "https://push.example.com@b.example/",
            "https://{id}.b.example/",
        ];
        for other in others {
            assert!(leads_elsewhere(old, other), "{other}");
        }
        assert!(
            leads_elsewhere("smtp://a.example:25", "smtp://b.example:25")
                && !leads_elsewhere("smtp://a.example", "smtp://a.example/x")
        );
        assert!(leads_elsewhere("nonsense", old), "what leads nowhere led nowhere else");
    }
}
