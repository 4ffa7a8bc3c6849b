//! What stands in the configuration for a handset that calls over SIP and speaks.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

use super::signal::{
    address::{Dialling, Plus},
    surroundings::Surroundings,
};
use crate::{
    driver::config::{Agent, ConfigError, Fault},
    wire::CallOutcome,
};

/// What of the configuration is for a handset that calls over SIP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The handset's address on the server.
    pub server: String,
    /// Where sound lies, unless `speech.cache_dir` says otherwise, and what callees said.
    pub state_dir: PathBuf,
    /// How many calls at once.
    pub channels: u8,
    /// `[agent.sip]`.
    pub sip: Sip,
    /// `[agent.speech]`.
    pub speech: Speech,
    /// `[agent.call]`.
    pub call: Call,
}

impl Settings {
    /// Those of a configuration of this kind.
    ///
    /// # Errors
    ///
    /// If it is not of this kind.
    pub fn of(agent: &Agent) -> Result<Self, ConfigError> {
        let missing = || ConfigError::Value { path: None, key: "agent.sip", why: "is wanted".to_owned() };
        Ok(Self {
            server: agent.server.clone(),
            state_dir: agent.state_dir(),
            channels: agent.channels,
            sip: agent.sip.clone().ok_or_else(missing)?,
            speech: agent.speech.clone(),
            call: agent.call.clone(),
        })
    }
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
    /// Whether calls that come in are told to the server, and taken where it says so.
    #[serde(default)]
    pub inbound: bool,
    /// From where they may come, besides the address to which everything is sent.
    #[serde(default)]
    pub inbound_from: Vec<IpAddr>,
    /// What codes mean on this trunk, where it is not the usual.
    #[serde(default)]
    pub outcomes: BTreeMap<String, CallOutcome>,
    /// `[agent.sip.rtp]`.
    #[serde(default)]
    pub rtp: Rtp,
    /// What a test has in place of the world.
    #[serde(skip)]
    pub surroundings: Surroundings,
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

/// The first of these rules that does not hold.
fn first(rules: impl IntoIterator<Item = (bool, &'static str, &'static str)>) -> Option<Fault> {
    rules.into_iter().find(|(good, ..)| !good).map(|(_, key, why)| (key, why.to_owned()))
}

impl Speech {
    /// The first value that cannot be.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let voices = self.voice.iter().all(|voice| !voice.command.is_empty() && !voice.languages.is_empty());
        first([
            (voices, "agent.speech.voice", "each has languages and a command"),
            ((1..=120).contains(&self.timeout_seconds), "agent.speech.timeout_seconds", "1 to 120"),
        ])
    }
}

impl Call {
    /// The first value that cannot be.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let keys = self.keys.keys().all(|key| key.len() == 1 && "0123456789*#".contains(key));
        first([
            ((5..=900).contains(&self.max_seconds), "agent.call.max_seconds", "5 to 900"),
            ((5..=300).contains(&self.ring_seconds), "agent.call.ring_seconds", "5 to 300"),
            (keys, "agent.call.keys", "keys are 0 to 9, * and #"),
        ])
    }
}

impl Sip {
    /// Takes the password out of its file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the password is there already.
    pub fn read_password(&mut self) -> Result<(), ConfigError> {
        let Some(file) = self.password_file.take() else { return Ok(()) };
        if self.password.is_some() {
            let why = "password is set too; keep one of them".to_owned();
            return Err(ConfigError::Value { path: None, key: "agent.sip.password_file", why });
        }
        let password = std::fs::read_to_string(&file).map_err(|source| ConfigError::Read { path: file, source })?;
        self.password = Some(Secret(password.trim_end_matches(['\r', '\n']).to_owned()));
        Ok(())
    }

    /// The first value that cannot be.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        first([
            (is_host(&self.trunk), "agent.sip.trunk", "a host, perhaps with a port: sip.example.com or 192.0.2.1:5080"),
            (self.outbound_proxy.as_deref().is_none_or(is_host), "agent.sip.outbound_proxy", "a host, perhaps with a port"),
            (is_user(&self.user), "agent.sip.user", "letters, digits and -_.+ only"),
            (self.caller.as_deref().is_none_or(is_user), "agent.sip.caller", "letters, digits and -_.+ only"),
            (
                self.bind.is_none_or(|bind| !bind.ip().is_unspecified()),
                "agent.sip.bind",
                "a concrete address, because others are told it",
            ),
            ((1..=60).contains(&self.answer_within_seconds), "agent.sip.answer_within_seconds", "1 to 60"),
            ((60..=86_400).contains(&self.expires_seconds), "agent.sip.expires_seconds", "60 to 86400"),
            (
                self.callee.starts_with("sip") && self.callee.contains("{number}"),
                "agent.sip.callee",
                "an address with {number} in it: sip:{number}@{trunk}",
            ),
            (self.prefix.chars().all(|c| c.is_ascii_digit() || "+*".contains(c)), "agent.sip.prefix", "digits only"),
            (
                self.rtp.ports.is_none_or(|(first, last)| first >= 1024 && first < last),
                "agent.sip.rtp.ports",
                "the first and the last port, at least 1024",
            ),
            (
                self.outcomes.keys().all(|code| matches!(code.parse(), Ok(300_u16..=699))),
                "agent.sip.outcomes",
                "codes from 300 to 699",
            ),
            (
                !self.outcomes.values().any(|outcome| *outcome == CallOutcome::Answered),
                "agent.sip.outcomes",
                "a refusal is never an answer",
            ),
        ])
    }

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

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c))
}

fn is_user(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::path::Path;

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
        assert_eq!(
            (agent.server.as_str(), agent.channels, agent.sip.as_ref().unwrap().register),
            ("https://a.example/h/T", 1, true)
        );
        assert_eq!((agent.sip.as_ref().unwrap().transport, agent.call.keys["1"].as_str()), (Transport::Udp, "accept"));
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
        assert_eq!(agent.sip.as_ref().unwrap().password.as_ref().unwrap().0, "geheim");
        assert!(!format!("{agent:?}").contains("geheim"));
        assert_eq!(agent.sip.as_ref().unwrap().outcomes(), BTreeMap::from([(480, CallOutcome::Rejected)]));
        assert_eq!(agent.sip.as_ref().unwrap().dialling().address("+491").unwrap(), "sip:000491@192.0.2.1:5080;user=phone");
        assert_eq!((agent.server.as_str(), agent.call.keys.len()), ("http://a/h/T", 1));
    }

    #[test]
    fn mistakes_are_named_and_no_password_is_shown() {
        for (change, to, says) in [
            (
                "kind = 'sip'",
                "kind = 'pigeon'",
                "FILE: line 2: unknown variant `pigeon`, expected one of `termux`, `modem`, `sip`",
            ),
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
            ("https://a.example/h/T/alert/phone", "a.example", "FILE: agent.server: is the address from the page Handsets"),
            ("sip.example.com", "sip:x@y", "FILE: agent.sip.trunk: a host"),
        ] {
            let why = read(&LEAST.replace(change, to)).unwrap_err();
            assert!(why.contains(says) && !why.contains("geheim"), "{why}");
        }
        assert!(Agent::read(Path::new("/nowhere/x.toml")).unwrap_err().to_string().contains("/nowhere/x.toml cannot be read"));
    }
}
