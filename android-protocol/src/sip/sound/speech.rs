//! Texts become sound, by programs that the operator names; what was spoken once is kept.
//!
//! Texts come from alarms, so from anywhere: they are cleaned and cut, and reach a program on its standard input or in a file, never as an argument,
//! because one that begins with a dash would be an option.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::{Instant, timeout_at},
};

use super::Pcm;
use crate::{
    sip::{
        call::{Sounds, pcm},
        config::{Speech, Voice},
    },
    voice::{
        pcm as sound,
        script::{Script, Utterance},
        text, wav,
    },
};

/// The largest file that a program may write: a minute at 48 kHz, twice over.
const MOST_BYTES: u64 = 20_000_000;

/// All texts of a call together are ready by then, or their place is taken by tones: a call must not wait for its prompts.
const ALL_WITHIN: Duration = Duration::from_secs(20);

/// The silence where two languages meet.
const BETWEEN: u64 = 60;

/// Why a text was not spoken.
#[derive(Debug, Error)]
pub enum SpeechError {
    /// The operator named no program for the language.
    #[error("no voice speaks {0:?}: name one under [[agent.speech.voice]]")]
    NoVoice(String),
    /// The program is not there, or cannot be started.
    #[error("{program} cannot be started: is it installed?")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It failed.
    #[error("{program} ends with {status}: {words}")]
    Failed {
        /// Which program.
        program: String,
        /// How.
        status: std::process::ExitStatus,
        /// What it said about it.
        words: String,
    },
    /// It took too long.
    #[error("{program} took longer than agent.speech.timeout_seconds")]
    Late {
        /// Which program.
        program: String,
    },
    /// What it wrote is no sound.
    #[error("{program} wrote no sound: {source}")]
    NoSound {
        /// Which program.
        program: String,
        /// Why.
        source: wav::WavError,
    },
    /// It wrote sound without any.
    #[error("{program} wrote only silence")]
    Silent {
        /// Which program.
        program: String,
    },
    /// A file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Speaks.
#[derive(Debug, Clone)]
pub struct Speaker {
    voices: Vec<Voice>,
    cache: PathBuf,
    most_cached: u64,
    patience: Duration,
    instead: Option<Pcm>,
    files: BTreeMap<String, PathBuf>,
}

/// The voices of Debian: espeak-ng, whose Mandarin is right under one name only.
#[must_use]
pub fn usual_voices() -> Vec<Voice> {
    let words = |command: &[&str]| command.iter().map(|word| (*word).to_owned()).collect();
    let espeak = |languages: &[&str], voice, speed| Voice {
        languages: words(languages),
        command: words(&["espeak-ng", "-v", voice, "-s", speed, "--stdin", "--stdout"]),
    };
    vec![espeak(&["zh", "cmn"], "cmn-latn-pinyin", "200"), espeak(&["*"], "{language}", "160")]
}

impl Speaker {
    /// A speaker by the configuration; `state` is where sound lies if that does not say.
    #[must_use]
    pub fn new(speech: &Speech, state: &Path) -> Self {
        let voices = if speech.voice.is_empty() { usual_voices() } else { speech.voice.clone() };
        Self {
            voices,
            cache: speech.cache_dir.clone().unwrap_or_else(|| state.join("speech")),
            most_cached: speech.cache_megabytes.saturating_mul(1_000_000),
            patience: Duration::from_secs(speech.timeout_seconds),
            instead: speech.fallback_tone.then(|| pcm(sound::beeps())),
            files: speech.files.clone(),
        }
    }

    /// Everything that a script may say, and what could not be had.
    pub async fn sounds(&self, script: &Script) -> (Sounds, Vec<String>) {
        let until = Instant::now() + ALL_WITHIN;
        let mut sounds = Sounds { ready: BTreeMap::new(), instead: self.instead.clone() };
        let mut missing = Vec::new();
        let message = script.message();
        let said = match &message {
            Some(Utterance::Text(text)) => text.as_str(),
            _ => script.states().find_map(|(_, state)| state.say.as_deref()).unwrap_or_default(),
        };
        let language = language_of(script.language.as_deref(), said);
        // The message itself first: it matters most, if time runs out.
        let mut utterances = script.utterances();
        utterances.sort_by_key(|utterance| Some(utterance) != message.as_ref());
        for utterance in utterances {
            let made = match &utterance {
                Utterance::Text(text) => match timeout_at(until, self.say(text, &language)).await {
                    Ok(Ok(made)) => Ok(made),
                    Ok(Err(why)) => Err(why.to_string()),
                    Err(_) => Err("there was no time left to speak it".to_owned()),
                },
                Utterance::Beep => Ok(pcm(sound::beep())),
                // The server's, which [`super::clips`] fetches.
                Utterance::Clip(_) => continue,
            };
            match made {
                Ok(made) => drop(sounds.ready.insert(utterance, made)),
                Err(why) => missing.push(why),
            }
        }
        (sounds, missing)
    }

    /// The sound of a text.
    ///
    /// # Errors
    ///
    /// Says which program is missing or failed, and how.
    pub async fn say(&self, said: &str, language: &str) -> Result<Pcm, SpeechError> {
        if let Some(file) = self.files.get(said) {
            let bytes = tokio::fs::read(file).await.map_err(|source| SpeechError::File { path: file.clone(), source })?;
            let program = file.display().to_string();
            return Ok(pcm(prepared(&bytes, &program)?));
        }
        let mut all: Vec<i16> = Vec::new();
        for run in text::runs(said, language) {
            if !all.is_empty() {
                all.extend(sound::silence(BETWEEN));
            }
            all.extend(self.run(&run.text, &run.language).await?.iter());
        }
        Ok(pcm(all))
    }

    /// One run of text in one language: by the first voice that speaks it and works.
    async fn run(&self, said: &str, language: &str) -> Result<Vec<i16>, SpeechError> {
        let primary = text::primary(language);
        let tag = language.to_ascii_lowercase();
        let speaks = |voice: &&Voice| {
            voice.languages.iter().map(|one| one.to_ascii_lowercase()).any(|one| one == "*" || one == tag || one == primary)
        };
        let mut failure = SpeechError::NoVoice(language.to_owned());
        for voice in self.voices.iter().filter(speaks) {
            match self.by_voice(voice, said, language).await {
                Ok(made) => return Ok(made),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    async fn by_voice(&self, voice: &Voice, said: &str, language: &str) -> Result<Vec<i16>, SpeechError> {
        let mut hash = Sha256::new();
        for part in voice.command.iter().map(String::as_str).chain([language, said]) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = self.cache.join(format!("{name}.wav"));
        if let Ok(bytes) = tokio::fs::read(&kept).await
            && let Ok(sound) = wav::read(&bytes)
        {
            touch(&kept);
            return Ok(sound.samples);
        }
        let made = self.spoken(voice, said, language).await?;
        self.keep(&kept, &made).await;
        Ok(made)
    }

    /// Asks the program.
    async fn spoken(&self, voice: &Voice, said: &str, language: &str) -> Result<Vec<i16>, SpeechError> {
        let program = voice.command.first().cloned().unwrap_or_default();
        let folder = Folder::new(&self.cache)?;
        let (text_file, out) = (folder.0.join("text.txt"), folder.0.join("out.wav"));
        let uses = |word: &str| voice.command.iter().any(|argument| argument.contains(word));
        let mut command = Command::new(&program);
        for argument in voice.command.iter().skip(1) {
            command.arg(
                argument
                    .replace("{language}", voice_name(language).as_str())
                    .replace("{text_file}", &text_file.display().to_string())
                    .replace("{out}", &out.display().to_string()),
            );
        }
        if uses("{text_file}") {
            tokio::fs::write(&text_file, said).await.map_err(|source| SpeechError::File { path: text_file.clone(), source })?;
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| SpeechError::Start { program: program.clone(), source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that takes its text from the file does not read this.
                let _ = stdin.write_all(said.as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let read = async {
            let mut bytes = Vec::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(MOST_BYTES).read_to_end(&mut bytes).await;
            }
            bytes
        };
        let complaints = async {
            let mut bytes = Vec::new();
            if let Some(stderr) = stderr {
                let _ = stderr.take(10_000).read_to_end(&mut bytes).await;
            }
            bytes
        };
        let all = async { tokio::join!(write, read, complaints, child.wait()) };
        let Ok(((), mut bytes, complaints, status)) = tokio::time::timeout(self.patience, all).await else {
            return Err(SpeechError::Late { program });
        };
        let status = status.map_err(|source| SpeechError::Start { program: program.clone(), source })?;
        if !status.success() {
            let words = text::clean(&String::from_utf8_lossy(&complaints)).chars().take(200).collect();
            return Err(SpeechError::Failed { program, status, words });
        }
        if uses("{out}") {
            bytes = tokio::fs::read(&out).await.map_err(|source| SpeechError::File { path: out.clone(), source })?;
        }
        let made = tokio::task::spawn_blocking(move || prepared(&bytes, &program)).await;
        made.unwrap_or(Ok(Vec::new()))
    }

    /// Keeps a sound, and throws the ones away that were not needed for longest. That this fails costs time only.
    async fn keep(&self, kept: &Path, made: &[i16]) {
        let temporary = kept.with_extension(format!("{:08x}", rand::random::<u32>()));
        if tokio::fs::write(&temporary, wav::write(made)).await.is_ok() {
            let _ = tokio::fs::rename(&temporary, kept).await;
        }
        let (cache, most) = (self.cache.clone(), self.most_cached);
        let _ = tokio::task::spawn_blocking(move || prune(&cache, most)).await;
    }
}

/// Marks a kept sound as needed now.
fn touch(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "the file system's own time, to compare files with each other")]
    let now = std::time::SystemTime::now();
    if let Ok(file) = std::fs::File::options().append(true).open(path) {
        let _ = file.set_modified(now);
    }
}

pub(super) fn prune(cache: &Path, most: u64) {
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in files {
        if total <= most {
            return;
        }
        let _ = std::fs::remove_file(path);
        total = total.saturating_sub(length);
    }
}

/// A folder for one program's files, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(cache: &Path) -> Result<Self, SpeechError> {
        let path = cache.join(format!("run-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&path).map_err(|source| SpeechError::File { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains is found by whoever looks after the folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The sound of a file, as a telephone takes it.
fn prepared(bytes: &[u8], program: &str) -> Result<Vec<i16>, SpeechError> {
    let program = || program.to_owned();
    let read = wav::read(bytes).map_err(|source| SpeechError::NoSound { program: program(), source })?;
    let made = sound::normalise(sound::resample(&read.samples, read.rate));
    if made.iter().all(|sample| sample.abs() < 50) {
        return Err(SpeechError::Silent { program: program() });
    }
    Ok(made)
}

/// The language of a text: what was said about it, else what its letters say.
#[must_use]
pub fn language_of(tag: Option<&str>, said: &str) -> String {
    match tag.map(str::trim) {
        Some(tag)
            if !tag.is_empty() && tag.len() <= 35 && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') =>
        {
            tag.to_owned()
        }
        _ => text::guess_language(said).to_owned(),
    }
}

/// What programs call a language: English needs its country.
fn voice_name(language: &str) -> String {
    match text::primary(language).as_str() {
        "en" => "en-us".to_owned(),
        "zh" => "cmn-latn-pinyin".to_owned(),
        other => other.to_owned(),
    }
}

/// Voices that are named as the program's author did not mean them: (language, what is wrong). Only espeak-ng is known to need this.
pub async fn defects(voices: &[Voice]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for voice in voices {
        let espeak =
            voice.command.first().is_some_and(|program| Path::new(program).file_name().is_some_and(|name| name == "espeak-ng"));
        let name = voice.command.iter().skip_while(|word| *word != "-v").nth(1);
        let (true, Some(name)) = (espeak, name) else { continue };
        for (language, sample) in [("zh", "磁盘已满"), ("ja", "障害")] {
            let meant = voice
                .languages
                .iter()
                .any(|one| one == "*" || text::primary(one) == language || (language == "zh" && one == "cmn"));
            let spoken_elsewhere = voices
                .iter()
                .take_while(|earlier| *earlier != voice)
                .any(|earlier| earlier.languages.iter().any(|one| text::primary(one) == language));
            if !meant || spoken_elsewhere {
                continue;
            }
            let name = name.replace("{language}", &voice_name(language));
            let asked = Command::new(&voice.command[0]).args(["-v", &name, "-q", "-x", sample]).kill_on_drop(true).output();
            if let Ok(Ok(output)) = tokio::time::timeout(Duration::from_secs(10), asked).await
                && String::from_utf8_lossy(&output.stdout).contains("(en)")
            {
                found.push((language.to_owned(), format!("the voice {name} of espeak-ng reads {sample} in English")));
            }
        }
    }
    found
}
