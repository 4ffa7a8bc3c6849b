//! The one configuration file of a handset with a real line.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

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
    #[error("{key}: {why}")]
    Value {
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
}

impl LineKind {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Termux => "termux",
            Self::Modem => "modem",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Termux, Self::Modem].into_iter().find(|kind| kind.as_str() == name)
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

/// The kind that a file names, whatever else stands in it; `None` if it cannot be read.
#[must_use]
pub fn kind_of(path: &Path) -> Option<String> {
    let whole: toml::Table = std::fs::read_to_string(path).ok()?.parse().ok()?;
    Some(whole.get("agent")?.get("kind")?.as_str()?.to_owned())
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
    /// `[agent.termux]`.
    #[serde(default)]
    pub termux: crate::termux::line::Settings,
    /// `[agent.modem]`.
    #[serde(default)]
    pub modem: Option<crate::modem::line::config::Modem>,
}

impl Agent {
    /// Settings for one kind and one address, everything else as usual.
    #[must_use]
    pub fn new(kind: LineKind, server: &str) -> Self {
        Self {
            kind,
            server: server.to_owned(),
            state_dir: None,
            ca_file: None,
            termux: crate::termux::line::Settings::default(),
            modem: None,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is not TOML, or holds an unknown key or an impossible value.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let whole: Whole = toml::from_str(&text)
            .map_err(|why| ConfigError::Syntax { path: path.to_owned(), message: why.to_string().trim_end().to_owned() })?;
        whole.agent.checked()
    }

    /// The same, if its values can be.
    ///
    /// # Errors
    ///
    /// If the server's address is none.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let fits = crate::http::as_sent(&self.server).is_some_and(|sent| sent == self.server) && self.server.contains("/h/");
        if !fits {
            let why = "is the address from the page Handsets, such as https://alarms.example.com/h/TOKEN".to_owned();
            return Err(ConfigError::Value { key: "agent.server", why });
        }
        match (self.kind, self.modem.clone()) {
            (LineKind::Modem, None) => {
                let why = "is wanted: say there at which `port` the modem is".to_owned();
                return Err(ConfigError::Value { key: "agent.modem", why });
            }
            (_, Some(modem)) => drop(modem.checked().map_err(|(key, why)| ConfigError::Value { key, why })?),
            (LineKind::Termux, None) => {}
        }
        Ok(self)
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
        let builder = crate::client::builder();
        let Some(path) = self.ca_file.clone().or_else(certificates_of_termux) else { return Ok(builder.build()?) };
        let pem = std::fs::read(&path).map_err(|source| ConfigError::Read { path, source })?;
        Ok(builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?).build()?)
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
