//! The one configuration file of the handset.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use super::address::{Dialling, Plus};
use crate::wire::CallOutcome;

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
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
    #[error("{path}: {key}: {why}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What would be right.
        why: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agent: Agent,
}

/// The kinds of handset that a configuration file can describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Calls over SIP.
    Sip,
}

/// `[agent]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// What it calls by.
    pub kind: AgentKind,
    /// The address the handset is given, `https://server/h/TOKEN`, with or without `/alert/phone`.
    pub server: String,
    /// Where the journal lies, and sound unless `speech.cache_dir` says otherwise.
    pub state_dir: PathBuf,
    /// How many calls at once. Servers of one channel a handset take 1.
    #[serde(default = "one")]
    pub channels: u8,
    /// `[agent.sip]`.
    pub sip: Sip,
    /// `[agent.speech]`.
    #[serde(default)]
    pub speech: Speech,
    /// `[agent.call]`.
    #[serde(default)]
    pub call: Call,
}

fn one() -> u8 {
    1
}

/// By which the trunk is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// One packet a message.
    #[default]
    Udp,
    /// A connection.
    Tcp,
    /// An encrypted connection, with the trunk's certificate checked.
    Tls,
}

/// A password, which is never written anywhere.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `[agent.sip]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sip {
    /// Host of the trunk, with its port if that is not the usual one.
    pub trunk: String,
    /// By which it is reached.
    #[serde(default)]
    pub transport: Transport,
    /// Who we are there.
    pub user: String,
    /// The name that goes with the password, where it is another.
    #[serde(default)]
    pub auth_user: Option<String>,
    /// The password; a trunk that knows our address needs none.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file that holds the password and nothing else.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Whether to register; a trunk that knows our address wants none.
    #[serde(default = "yes")]
    pub register: bool,
    /// For how long a registration is asked for.
    #[serde(default = "five_minutes")]
    pub expires_seconds: u32,
    /// Where everything is sent in place of the trunk: host, perhaps with its port.
    #[serde(default)]
    pub outbound_proxy: Option<String>,
    /// Our own address, with port 0 for any; else the one by which the trunk is reached.
    #[serde(default)]
    pub bind: Option<SocketAddr>,
    /// The address others see us by, behind NAT.
    #[serde(default)]
    pub public_address: Option<IpAddr>,
    /// Certificates of authorities that sign the trunk's, in PEM.
    #[serde(default = "authorities")]
    pub ca_file: PathBuf,
    /// Without any answer to a call for so long, the trunk counts as dead.
    #[serde(default = "five_seconds")]
    pub answer_within_seconds: u64,
    /// The address that is called.
    #[serde(default = "callee")]
    pub callee: String,
    /// What becomes of the plus of a number.
    #[serde(default)]
    pub plus: Plus,
    /// Written before every number.
    #[serde(default)]
    pub prefix: String,
    /// The number shown to the callee, where the trunk lets us choose.
    #[serde(default)]
    pub caller: Option<String>,
    /// What codes mean on this trunk, where it is not the usual.
    #[serde(default)]
    pub outcomes: BTreeMap<String, CallOutcome>,
    /// `[agent.sip.rtp]`.
    #[serde(default)]
    pub rtp: Rtp,
}

fn yes() -> bool {
    true
}

fn five_minutes() -> u32 {
    300
}

fn five_seconds() -> u64 {
    super::call::ANY_ANSWER_WITHIN.as_secs()
}

fn authorities() -> PathBuf {
    "/etc/ssl/certs/ca-certificates.crt".into()
}

fn callee() -> String {
    "sip:{number}@{trunk}".into()
}

/// `[agent.sip.rtp]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtp {
    /// Sound is sent to where it comes from, also if that is another host than the peer named.
    #[serde(default)]
    pub symmetric: bool,
    /// The first and the last port for sound; else any.
    #[serde(default)]
    pub ports: Option<(u16, u16)>,
}

/// `[agent.speech]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speech {
    /// Where spoken texts are kept.
    pub cache_dir: Option<PathBuf>,
    /// How much of them.
    pub cache_megabytes: u64,
    /// How long a command may take for one text.
    pub timeout_seconds: u64,
    /// Three tones where a text cannot be spoken; otherwise silence. Keys work either way.
    pub fallback_tone: bool,
    /// `[[agent.speech.voice]]`: the first that has the language speaks.
    pub voice: Vec<Voice>,
    /// Ready-made files by the text they hold.
    pub files: BTreeMap<String, PathBuf>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_megabytes: 200,
            timeout_seconds: 10,
            fallback_tone: true,
            voice: Vec::new(),
            files: BTreeMap::new(),
        }
    }
}

/// `[[agent.speech.voice]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// Language tags, or their first parts; `*` is every one.
    pub languages: Vec<String>,
    /// The program and its arguments. `{language}`, `{text_file}` and `{out}` are replaced; without `{text_file}` the text comes on standard input,
    /// without `{out}` the WAV goes to standard output.
    pub command: Vec<String>,
}

/// `[agent.call]`: how a call goes for which the server sent no script.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Call {
    /// What the keys do: `accept`, `decline`.
    pub keys: BTreeMap<String, String>,
    /// How often the text is said.
    pub repeat: u64,
    /// Silence between two times.
    pub pause_ms: u64,
    /// How long a key is waited for.
    pub key_wait_seconds: u64,
    /// The longest call.
    pub max_seconds: u64,
    /// How long it rings where the server does not say.
    pub ring_seconds: u64,
    /// Whether to guess if a machine answered.
    pub detect_machines: bool,
    /// The language of texts for which the server names none; else it is guessed from the letters.
    pub language: Option<String>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            keys: [("1", "accept"), ("2", "decline")].map(|(key, word)| (key.to_owned(), word.to_owned())).into(),
            repeat: 3,
            pause_ms: 3000,
            key_wait_seconds: 15,
            max_seconds: 90,
            ring_seconds: 60,
            detect_machines: true,
            language: None,
        }
    }
}

impl Agent {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Says which file, where in it, and what would be right.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text).map_err(|why| ConfigError::Syntax {
            path: path.to_owned(),
            // Its own rendering shows the line, which may hold the password.
            message: syntax_message(&text, &why),
        })?;
        let mut agent = file.agent;
        let refuse = |key, why: &str| ConfigError::Value { path: path.to_owned(), key, why: why.to_owned() };
        if let Some(file) = &agent.sip.password_file {
            if agent.sip.password.is_some() {
                return Err(refuse("agent.sip.password_file", "password is set too; keep one of them"));
            }
            let password = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { path: file.clone(), source })?;
            agent.sip.password = Some(Secret(password.trim_end_matches(['\r', '\n']).to_owned()));
        }
        agent.check().map_err(|(key, why)| refuse(key, why))?;
        agent.server = agent.server.trim_end_matches('/').trim_end_matches("/alert/phone").to_owned();
        Ok(agent)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let rules = [
            (
                self.server.starts_with("http://") || self.server.starts_with("https://"),
                "agent.server",
                "it is the handset's address, https://server/h/TOKEN",
            ),
            ((1..=64).contains(&self.channels), "agent.channels", "1 to 64 calls at once"),
            (is_host(&self.sip.trunk), "agent.sip.trunk", "a host, perhaps with a port: sip.example.com or 192.0.2.1:5080"),
            (self.sip.outbound_proxy.as_deref().is_none_or(is_host), "agent.sip.outbound_proxy", "a host, perhaps with a port"),
            (is_user(&self.sip.user), "agent.sip.user", "letters, digits and -_.+ only"),
            (self.sip.caller.as_deref().is_none_or(is_user), "agent.sip.caller", "letters, digits and -_.+ only"),
            (
                self.sip.bind.is_none_or(|bind| !bind.ip().is_unspecified()),
                "agent.sip.bind",
                "a concrete address, because others are told it",
            ),
            ((1..=60).contains(&self.sip.answer_within_seconds), "agent.sip.answer_within_seconds", "1 to 60"),
            ((60..=86_400).contains(&self.sip.expires_seconds), "agent.sip.expires_seconds", "60 to 86400"),
            (
                self.sip.callee.starts_with("sip") && self.sip.callee.contains("{number}"),
                "agent.sip.callee",
                "an address with {number} in it: sip:{number}@{trunk}",
            ),
            (self.sip.prefix.chars().all(|c| c.is_ascii_digit() || "+*".contains(c)), "agent.sip.prefix", "digits only"),
            (
                self.sip.rtp.ports.is_none_or(|(first, last)| first >= 1024 && first < last),
                "agent.sip.rtp.ports",
                "the first and the last port, at least 1024",
            ),
            (
                self.sip.outcomes.keys().all(|code| matches!(code.parse(), Ok(300_u16..=699))),
                "agent.sip.outcomes",
                "codes from 300 to 699",
            ),
            (
                !self.sip.outcomes.values().any(|outcome| *outcome == CallOutcome::Answered),
                "agent.sip.outcomes",
                "a refusal is never an answer",
            ),
            (
                self.speech.voice.iter().all(|voice| !voice.command.is_empty() && !voice.languages.is_empty()),
                "agent.speech.voice",
                "each has languages and a command",
            ),
            ((1..=120).contains(&self.speech.timeout_seconds), "agent.speech.timeout_seconds", "1 to 120"),
            ((5..=900).contains(&self.call.max_seconds), "agent.call.max_seconds", "5 to 900"),
            ((5..=300).contains(&self.call.ring_seconds), "agent.call.ring_seconds", "5 to 300"),
            (
                self.call.keys.keys().all(|key| key.len() == 1 && "0123456789*#".contains(key)),
                "agent.call.keys",
                "keys are 0 to 9, * and #",
            ),
        ];
        rules.into_iter().find(|(good, ..)| !good).map_or(Ok(()), |(_, key, why)| Err((key, why)))
    }
}

impl Sip {
    /// How numbers are written for this trunk.
    #[must_use]
    pub fn dialling(&self) -> Dialling {
        Dialling { template: self.callee.clone(), trunk: self.trunk.clone(), plus: self.plus, prefix: self.prefix.clone() }
    }

    /// What codes mean, where it is not the usual.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<u16, CallOutcome> {
        self.outcomes.iter().filter_map(|(code, outcome)| Some((code.parse().ok()?, *outcome))).collect()
    }
}

fn syntax_message(text: &str, why: &toml::de::Error) -> String {
    let line = why.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", why.message()),
        None => why.message().to_owned(),
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c))
}

fn is_user(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    const LEAST: &str = "[agent]\nkind = 'sip'\nserver = 'https://a.example/h/T/alert/phone'\nstate_dir = '/tmp/x'\n[agent.sip]\ntrunk = 'sip.example.com'\nuser = '1001'\n";

    fn read(text: &str) -> Result<Agent, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handset.toml");
        std::fs::write(&path, text.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        std::fs::write(folder.path().join("password"), "geheim\n").unwrap();
        Agent::read(&path).map_err(|why| why.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn the_least_that_is_needed() {
        let agent = read(LEAST).unwrap();
        assert_eq!((agent.server.as_str(), agent.channels, agent.sip.register), ("https://a.example/h/T", 1, true));
        assert_eq!((agent.sip.transport, agent.call.keys["1"].as_str()), (Transport::Udp, "accept"));
    }

    #[test]
    fn everything_that_can_be_set() {
        let agent = read(
            "[agent]\nkind = 'sip'\nserver = 'http://a/h/T/'\nstate_dir = '/tmp/x'\nchannels = 4\n[agent.sip]\ntrunk = '192.0.2.1:5080'\ntransport = 'tls'\n\
             user = '1001'\nauth_user = 'x'\npassword_file = 'FOLDER/password'\nregister = false\nexpires_seconds = 60\noutbound_proxy = 'p.example'\n\
             bind = '192.0.2.2:0'\npublic_address = '203.0.113.1'\nca_file = '/ca.pem'\ncallee = 'sip:{number}@{trunk};user=phone'\nplus = '00'\nprefix = '0'\n\
             caller = '+4930123'\noutcomes = { 480 = 'rejected' }\nrtp = { symmetric = true, ports = [20000, 20100] }\n[agent.speech]\ncache_dir = '/c'\n\
             timeout_seconds = 5\nfallback_tone = false\nfiles = { 'Hello' = '/hello.wav' }\n[[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['say']\n\
             [agent.call]\nrepeat = 1\n[agent.call.keys]\n5 = 'accept'\n",
        )
        .unwrap();
        assert_eq!(agent.sip.password.as_ref().unwrap().0, "geheim");
        assert!(!format!("{agent:?}").contains("geheim"));
        assert_eq!(agent.sip.outcomes(), BTreeMap::from([(480, CallOutcome::Rejected)]));
        assert_eq!(agent.sip.dialling().address("+491").unwrap(), "sip:000491@192.0.2.1:5080;user=phone");
        assert_eq!((agent.server.as_str(), agent.call.keys.len()), ("http://a/h/T", 1));
    }

    #[test]
    fn mistakes_are_named_and_no_password_is_shown() {
        for (change, to, says) in [
            ("kind = 'sip'", "kind = 'pigeon'", "FILE: line 2: unknown variant `pigeon`, expected `sip`"),
            ("user = '1001'", "user = '1001'\nusr = 1", "FILE: line 8: unknown field `usr`"),
            ("user = '1001'", "user = 'a b'", "FILE: agent.sip.user: letters, digits and -_.+ only"),
            ("user = '1001'", "user = '1001'\nbind = '0.0.0.0:5060'", "FILE: agent.sip.bind: a concrete address"),
            ("user = '1001'", "user = '1001'\noutcomes = { 200 = 'busy' }", "FILE: agent.sip.outcomes: codes from 300 to 699"),
            (
                "user = '1001'",
                "user = '1001'\noutcomes = { 486 = 'answered' }",
                "FILE: agent.sip.outcomes: a refusal is never an answer",
            ),
            ("user = '1001'", "user = '1001'\npassword = ['geheim']", "FILE: line 8: invalid type"),
            ("user = '1001'", "user = '1001'\npassword = 'geheim'\npassword_file = 'FOLDER/password'", "password is set too"),
            ("https://a.example/h/T/alert/phone", "a.example", "FILE: agent.server: it is the handset's address"),
            ("sip.example.com", "sip:x@y", "FILE: agent.sip.trunk: a host"),
        ] {
            let why = read(&LEAST.replace(change, to)).unwrap_err();
            assert!(why.contains(says) && !why.contains("geheim"), "{why}");
        }
        assert!(Agent::read(Path::new("/nowhere/x.toml")).unwrap_err().to_string().contains("/nowhere/x.toml cannot be read"));
    }
}
