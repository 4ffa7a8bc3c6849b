//! The one configuration file of a handset with a real line.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use thiserror::Error;

#[cfg(feature = "sip")]
use crate::sip::config::Sip;

/// How long a connection to the server may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or holds what is not known.
    #[error("{path}: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value cannot be.
    #[error("{}{key}: {why}", path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Value {
        /// Which file, if it stands in one.
        path: Option<PathBuf>,
        /// Which key.
        key: &'static str,
        /// What would be right.
        why: String,
    },
    /// Certificates.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The kinds of handset with a real line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The phone on which the program runs, by Termux.
    Termux,
    /// A GSM modem at a serial port.
    Modem,
    /// Calls over SIP, with a voice.
    Sip,
}

impl LineKind {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Termux => "termux",
            Self::Modem => "modem",
            Self::Sip => "sip",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Termux, Self::Modem, Self::Sip].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Where the file is if nobody says: `~/.config/autocall/handset.toml`.
#[must_use]
pub fn usual_file() -> PathBuf {
    home().join(".config/autocall/handset.toml")
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    agent: Agent,
}

/// `[agent]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// What it calls by.
    pub kind: LineKind,
    /// The address the handset is given, `https://server/h/TOKEN`, with or without `/alert/phone`.
    pub server: String,
    /// Where the journal lies.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// A file of certificates (PEM) that are trusted instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How many calls at once. Servers of one channel a handset take 1.
    #[serde(default = "one")]
    pub channels: u8,
    /// `[agent.termux]`.
    #[serde(default)]
    pub termux: crate::termux::line::Settings,
    /// `[agent.modem]`.
    #[serde(default)]
    pub modem: Option<crate::modem::line::config::Modem>,
    /// `[agent.sip]`.
    #[cfg(feature = "sip")]
    #[serde(default)]
    pub sip: Option<Sip>,
    /// `[agent.speech]`.
    #[cfg(feature = "sip")]
    #[serde(default)]
    pub speech: crate::sip::config::Speech,
    /// `[agent.call]`.
    #[cfg(feature = "sip")]
    #[serde(default)]
    pub call: crate::sip::config::Call,
}

fn one() -> u8 {
    1
}

/// What a check of values finds: which key, and what would be right.
pub type Fault = (&'static str, String);

impl Agent {
    /// Settings for one kind and one address, everything else as usual.
    #[must_use]
    pub fn new(kind: LineKind, server: &str) -> Self {
        Self {
            kind,
            server: server.to_owned(),
            state_dir: None,
            ca_file: None,
            channels: one(),
            termux: crate::termux::line::Settings::default(),
            modem: None,
            #[cfg(feature = "sip")]
            sip: None,
            #[cfg(feature = "sip")]
            speech: crate::sip::config::Speech::default(),
            #[cfg(feature = "sip")]
            call: crate::sip::config::Call::default(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is not TOML, or holds an unknown key or an impossible value.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let syntax = |why: &toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: syntax_message(&text, why) };
        if cfg!(not(feature = "sip")) {
            let whole: toml::Table = text.parse().map_err(|why| syntax(&why))?;
            let kind = whole.get("agent").and_then(|agent| agent.get("kind")).and_then(toml::Value::as_str);
            if kind == Some(LineKind::Sip.as_str()) {
                let why = "this handset was built without SIP: cargo build -p android-protocol --features sip".to_owned();
                return Err(ConfigError::Value { path: Some(path.to_owned()), key: "agent.kind", why });
            }
        }
        let whole: Whole = toml::from_str(&text).map_err(|why| syntax(&why))?;
        whole.agent.checked().map_err(|why| match why {
            ConfigError::Value { key, why, .. } => ConfigError::Value { path: Some(path.to_owned()), key, why },
            other => other,
        })
    }

    /// The same, if its values can be.
    ///
    /// # Errors
    ///
    /// Which key is wrong, and what would be right.
    pub fn checked(mut self) -> Result<Self, ConfigError> {
        let server = self.server.trim_end_matches('/');
        self.server = server.strip_suffix("/alert/phone").unwrap_or(server).to_owned();
        #[cfg(feature = "sip")]
        if let Some(sip) = &mut self.sip {
            sip.read_password()?;
        }
        match self.fault() {
            Some((key, why)) => Err(ConfigError::Value { path: None, key, why }),
            None => Ok(self),
        }
    }

    /// The first value that cannot be.
    fn fault(&self) -> Option<Fault> {
        let fits = crate::http::as_sent(&self.server).is_some_and(|sent| sent == self.server) && self.server.contains("/h/");
        if !fits {
            let why = "is the address from the page Handsets, such as https://alarms.example.com/h/TOKEN".to_owned();
            return Some(("agent.server", why));
        }
        if !(1..=64).contains(&self.channels) {
            return Some(("agent.channels", "1 to 64 calls at once".to_owned()));
        }
        if self.kind == LineKind::Modem && self.modem.is_none() {
            return Some(("agent.modem", "is wanted: say there at which `port` the modem is".to_owned()));
        }
        if let Some(fault) = self.modem.clone().and_then(|modem| modem.checked().err()) {
            return Some(fault);
        }
        self.fault_of_speech()
    }

    #[cfg(feature = "sip")]
    fn fault_of_speech(&self) -> Option<Fault> {
        if self.kind == LineKind::Sip && self.sip.is_none() {
            return Some(("agent.sip", "is wanted: say there which `trunk` it is, and which `user` there".to_owned()));
        }
        self.sip.as_ref().and_then(Sip::fault).or_else(|| self.speech.fault()).or_else(|| self.call.fault())
    }

    #[cfg(not(feature = "sip"))]
    fn fault_of_speech(&self) -> Option<Fault> {
        let why = "this handset was built without SIP: cargo build -p android-protocol --features sip";
        (self.kind == LineKind::Sip).then(|| ("agent.kind", why.to_owned()))
    }

    /// The folder of the journal: what the file says, or the usual place below the home folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        let usual =
            || std::env::var_os("XDG_STATE_HOME").map_or_else(|| home().join(".local/state"), PathBuf::from).join("autocall");
        match &self.state_dir {
            Some(folder) => folder.strip_prefix("~").map_or_else(|_| folder.clone(), |below| home().join(below)),
            None => usual(),
        }
    }

    /// The HTTP client, which trusts what the file says.
    ///
    /// # Errors
    ///
    /// If the certificates cannot be read.
    pub fn client(&self) -> Result<reqwest::Client, ConfigError> {
        let builder = crate::client::builder().connect_timeout(CONNECT_WITHIN);
        let Some(path) = self.ca_file.clone().or_else(certificates_of_termux) else { return Ok(builder.build()?) };
        let pem = std::fs::read(&path).map_err(|source| ConfigError::Read { path, source })?;
        Ok(builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?).build()?)
    }
}

/// Its own rendering would show the line, which may hold a password or a token.
fn syntax_message(text: &str, why: &toml::de::Error) -> String {
    let line = why.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", why.message()),
        None => why.message().to_owned(),
    }
}

/// Below Termux no library finds the certificates by itself: Android's are behind Java, and Termux's own lie in its prefix.
fn certificates_of_termux() -> Option<PathBuf> {
    let prefix = PathBuf::from(std::env::var_os("PREFIX")?);
    Some(prefix.join("etc/tls/cert.pem")).filter(|path| path.is_file())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Agent, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handset.toml");
        std::fs::write(&path, text).unwrap();
        Agent::read(&path)
    }

    #[test]
    fn a_file_says_what_and_where() {
        let agent = read("[agent]\nkind = \"termux\"\nserver = \"https://h/h/T\"\nstate_dir = \"/tmp/x\"").unwrap();
        assert_eq!((agent.kind, agent.state_dir()), (LineKind::Termux, PathBuf::from("/tmp/x")));
        agent.client().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("[agent]\nkind = \"fax\"\nserver = \"https://h/h/T\"", "fax"),
            ("[agent]\nkind = \"termux\"\nserver = \"https://h/h/T\"\nstate = 1", "state"),
            ("[agent]\nkind = \"termux\"\nserver = \"alarms.example.com\"", "agent.server"),
            ("[agent]\nkind = \"termux\"\nserver = \"https://alarms.example.com\"", "agent.server"),
            ("[agent]\nkind = \"termux\"", "server"),
            ("server", "expected"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
        assert!(Agent::read(Path::new("/nowhere/handset.toml")).unwrap_err().to_string().contains("/nowhere/handset.toml"));
    }
}
