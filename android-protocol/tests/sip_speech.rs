//! Texts become sound by programs: real ones where they are installed, and small scripts that behave well and badly.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{fs, path::Path, time::Duration};

use android_protocol::{
    sip::{
        config::{Speech, Voice},
        sound::speech::{Speaker, SpeechError, defects, usual_voices},
    },
    voice::{
        script::{Script, Utterance},
        tone, wav,
    },
};

/// A speaker whose voice is this shell script; `tone.wav` lies in its folder, at 16 kHz with a false length.
fn speaker(folder: &Path, script: &str, arguments: &[&str]) -> Speaker {
    patient_speaker(folder, script, arguments, 60)
}

fn patient_speaker(folder: &Path, script: &str, arguments: &[&str], seconds: u64) -> Speaker {
    let mut file = wav::write(&tone::sine(&[500.0], 1000, 3000.0));
    file[24..28].copy_from_slice(&16_000_u32.to_le_bytes());
    file[40..44].copy_from_slice(&0_u32.to_le_bytes());
    fs::write(folder.join("tone.wav"), file).unwrap();
    fs::write(folder.join("voice.sh"), script.replace("DIR", folder.to_str().unwrap())).unwrap();
    let command =
        ["sh", folder.join("voice.sh").to_str().unwrap()].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let voice = Voice { languages: vec!["*".to_owned()], command };
    Speaker::new(&Speech { voice: vec![voice], timeout_seconds: seconds, ..Speech::default() }, folder)
}

const GOOD: &str = "cat > DIR/said; echo x >> DIR/count; cat DIR/tone.wav";

#[tokio::test]
async fn a_text_is_spoken_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = speaker(folder.path(), GOOD, &[]);
    let first = speaker.say("-v Disk\u{0} full\r\non db1", "en").await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("said")).unwrap(), "-v Disk full on db1", "as text, never as an option");
    // 16 kHz is played at 8 kHz, twice as loud by now: 1000 Hz for half a second.
    assert!(first.len().abs_diff(4000) < 10 && tone::share(&first[400..3600], 1000.0) > 0.98);
    assert!(first.iter().any(|sample| *sample > 15_000));
    let again = speaker.say("-v Disk full on db1", "en").await.unwrap();
    assert_eq!(again, first);
    assert_eq!(fs::read_to_string(folder.path().join("count")).unwrap(), "x\n");
    speaker.say("-v Disk full on db1", "es").await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("count")).unwrap(), "x\nx\n", "another language is another sound");
    let left = fs::read_dir(folder.path().join("speech")).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(left, 0, "the programs' folders go with them");
}

#[tokio::test]
async fn a_program_may_want_files() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cat \"$1\" > DIR/said; echo \"$3\" > DIR/language; cp DIR/tone.wav \"$2\"";
    let speaker = speaker(folder.path(), script, &["{text_file}", "{out}", "{language}"]);
    assert!(!speaker.say("Hello", "en-GB").await.unwrap().is_empty());
    assert_eq!(fs::read_to_string(folder.path().join("said")).unwrap(), "Hello");
    assert_eq!(fs::read_to_string(folder.path().join("language")).unwrap(), "en-us\n");
}

#[tokio::test]
async fn runs_of_two_languages_are_spoken_by_their_own_voices() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = speaker(folder.path(), "echo \"$1 $(cat)\" >> DIR/said; cat DIR/tone.wav", &["{language}"]);
    let sound = speaker.say("主机db1已满", "zh").await.unwrap();
    assert_eq!(
        fs::read_to_string(folder.path().join("said")).unwrap(),
        "cmn-latn-pinyin 主机\nen-us db1\ncmn-latn-pinyin 已满\n"
    );
    assert!(sound.len() > 3 * 3900, "joined");
}

#[tokio::test]
async fn what_goes_wrong_is_said_and_tones_take_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (script, says) in [
        ("echo 'no such voice' >&2; exit 3", "ends with exit status: 3: no such voice"),
        ("sleep 600", "took longer than agent.speech.timeout_seconds"),
        ("echo hello", "wrote no sound: it is no WAV file"),
        ("head -c 44 DIR/tone.wav; head -c 9000 /dev/zero", "wrote only silence"),
    ] {
        let speaker = patient_speaker(folder.path(), script, &[], if script.starts_with("sleep") { 1 } else { 60 });
        let why = speaker.say("Hello", "en").await.unwrap_err().to_string();
        assert!(why.contains(says), "{why}");
        let script = Script { say: Some("Hello".into()), ..Script::default() };
        let (sounds, missing) = speaker.sounds(&script).await;
        assert_eq!((sounds.ready.len(), missing.len()), (0, 1));
        assert!(sounds.instead.unwrap().len() > 4000, "three tones");
    }
    let nobody = Voice { languages: vec!["en".into()], command: vec!["/nowhere/voice".into()] };
    let speaker = Speaker::new(&Speech { voice: vec![nobody], ..Speech::default() }, folder.path());
    assert!(matches!(speaker.say("Hello", "en").await, Err(SpeechError::Start { .. })));
    assert!(matches!(speaker.say("Hola", "es").await, Err(SpeechError::NoVoice(_))));
}

#[tokio::test]
async fn the_second_voice_speaks_where_the_first_one_fails_and_files_go_before_both() {
    let folder = tempfile::tempdir().unwrap();
    let good = speaker(folder.path(), GOOD, &[]);
    drop(good);
    let voice = |languages: &str, command: &[&str]| Voice {
        languages: vec![languages.to_owned()],
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let sh = folder.path().join("voice.sh");
    let voices = vec![voice("en", &["/nowhere/voice"]), voice("*", &["sh", sh.to_str().unwrap()])];
    let files = [("Good night".to_owned(), folder.path().join("tone.wav"))].into();
    let speaker = Speaker::new(&Speech { voice: voices, files, ..Speech::default() }, folder.path());
    assert!(!speaker.say("Hello", "en").await.unwrap().is_empty());
    assert!(!speaker.say("Good night", "en").await.unwrap().is_empty());
    assert_eq!(fs::read_to_string(folder.path().join("count")).unwrap(), "x\n");
}

#[tokio::test]
async fn the_oldest_sounds_make_room() {
    let folder = tempfile::tempdir().unwrap();
    speaker(folder.path(), GOOD, &[]);
    let command = vec!["sh".to_owned(), folder.path().join("voice.sh").to_str().unwrap().to_owned()];
    let voice = vec![Voice { languages: vec!["*".into()], command }];
    // Nothing fits: each sound makes room for the next one, and for itself.
    let speaker = Speaker::new(&Speech { voice, cache_megabytes: 0, ..Speech::default() }, folder.path());
    speaker.say("One", "en").await.unwrap();
    speaker.say("Two", "en").await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join("speech")).unwrap().count(), 0);
}

#[tokio::test]
async fn every_sound_of_a_script_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = speaker(folder.path(), GOOD, &[]);
    let script: Script = serde_json::from_str(
        r#"{"say":"A","thanks":{"accept":"B"},"invalid_key_say":"C","record":{"key":"3"},"menu":{"start":{"play":{"media":"m1"}}}}"#,
    )
    .unwrap();
    let (sounds, missing) = speaker.sounds(&script).await;
    let said: Vec<&Utterance> = sounds.ready.keys().collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(missing, [""; 0]);
}

/// With Debian's espeak-ng: all four languages are spoken, and the voice that reads Chinese as English is found out.
#[tokio::test]
async fn the_usual_voices_speak_four_languages() {
    if tokio::process::Command::new("espeak-ng").arg("--version").output().await.is_err() {
        eprintln!("skipped: espeak-ng is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let speaker = Speaker::new(&Speech { timeout_seconds: 60, ..Speech::default() }, folder.path());
    for (language, text) in [
        ("zh-CN", "主机db1磁盘已满"),
        ("ja", "ディスクがいっぱいです"),
        ("en", "Disk full on db1"),
        ("es", "El disco está lleno"),
    ] {
        let sound = speaker.say(text, language).await.unwrap();
        let length = Duration::from_millis(u64::try_from(sound.len()).unwrap() / 8);
        assert!(length > Duration::from_millis(800) && length < Duration::from_secs(10), "{language}: {length:?}");
    }
    let wrong: Vec<String> = defects(&usual_voices()).await.into_iter().map(|(language, _)| language).collect();
    assert!(!wrong.contains(&"zh".to_owned()), "{wrong:?}");
    let bad = Voice {
        languages: vec!["zh".into()],
        command: ["espeak-ng", "-v", "cmn", "--stdin", "--stdout"].map(str::to_owned).into(),
    };
    assert_eq!(defects(&[bad]).await.first().map(|(language, _)| language.clone()), Some("zh".to_owned()));
}
