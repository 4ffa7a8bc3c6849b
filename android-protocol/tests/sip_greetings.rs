//! Greetings of people and of mailboxes in four languages, spoken by espeak-ng: who is taken for whom. A measurement, whose table stands in
//! `docs/voice.md`: `cargo test -p android-protocol --features sip --test sip_greetings -- --ignored --nocapture`.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{collections::BTreeMap, path::Path};

use android_protocol::{
    sip::{config::Speech, sound::speech::Speaker},
    voice::{
        FRAME,
        detector::{Detector, Times, Verdict},
        pcm, tone,
    },
};

const PEOPLE: [(&str, &[&str]); 4] = [
    ("zh", &["喂", "喂，你好", "你好，请说", "我是王伟，哪位", "你好，这里是数据中心值班室"]),
    (
        "ja",
        &[
            "もしもし",
            "はい",
            "はい、たなかです",
            "おせわになっております、たなかです",
            "はい、うんようセンターのたなかでございます",
        ],
    ),
    (
        "en",
        &[
            "Hello?",
            "Yes?",
            "Hello, Alex speaking.",
            "Yes, this is Alex, who is calling?",
            "Good morning, data centre operations, how may I help you today?",
        ],
    ),
    (
        "es",
        &[
            "¿Diga?",
            "¿Sí?",
            "Hola, ¿quién es?",
            "Sí, soy Alejandro, ¿quién llama?",
            "Buenos días, centro de datos, ¿en qué puedo ayudarle?",
        ],
    ),
];

const MAILBOXES: [(&str, &[&str]); 4] = [
    (
        "zh",
        &[
            "您好，您拨打的电话已关机，请稍后再拨",
            "您好，我现在无法接听电话，请在提示音后留言",
            "您拨打的用户暂时无法接通，请稍后再拨",
            "你好。|请在嘀声后留言",
            "这里是王伟的语音信箱",
        ],
    ),
    (
        "ja",
        &[
            "ただいまでんわにでることができません。はっしんおんのあとにメッセージをどうぞ",
            "おかけになったでんわは、でんぱのとどかないばしょにあるか、でんげんがはいっていません",
            "るすばんでんわサービスにせつぞくします",
            "たなかです。|メッセージをおねがいします",
            "はい、ただいまるすにしております",
        ],
    ),
    (
        "en",
        &[
            "The person you are calling is not available at the moment. Please leave a message after the tone.",
            "You have reached the voice mail of Alex. Please leave a message.",
            "The number you have dialled is switched off. Please try again later.",
            "Hello!|You have reached my voice mail. Please leave a message.",
            "This is the mailbox of Alex.",
        ],
    ),
    (
        "es",
        &[
            "El teléfono al que llama está apagado o fuera de cobertura.",
            "En este momento no puedo atenderle. Deje su mensaje después de la señal.",
            "Ha llamado al buzón de voz. Grabe su mensaje después de oír la señal.",
            "¡Hola!|Deje su mensaje después de la señal.",
            "Este es el buzón de Alejandro.",
        ],
    ),
];

/// Without the silence at both ends.
fn trimmed(sound: &[i16]) -> Vec<i16> {
    let loud = |sample: &i16| sample.abs() > 300;
    let first = sound.iter().position(loud).unwrap();
    let last = sound.iter().rposition(loud).unwrap();
    sound[first..=last].to_vec()
}

/// A greeting as it is heard after the answer; `|` is a pause.
async fn greeting(speaker: &Speaker, language: &str, said: &str, machine: bool) -> Vec<i16> {
    let mut sound = pcm::silence(if machine { 700 } else { 400 });
    for (n, part) in said.split('|').enumerate() {
        if n > 0 {
            sound.extend(pcm::silence(700));
        }
        sound.extend(trimmed(&speaker.say(part, language).await.unwrap()));
    }
    if machine {
        sound.extend(pcm::silence(600));
        sound.extend(tone::sine(&[1000.0], 400, 9000.0));
    }
    sound.extend(pcm::silence(12_000));
    sound
}

fn judged(sound: &[i16]) -> Verdict {
    let mut detector = Detector::new(Times::default());
    sound.chunks_exact(FRAME).find_map(|frame| detector.hear(frame)).unwrap_or(Verdict::Unknown)
}

#[tokio::test]
#[ignore = "a measurement: its figures depend on the voice that is installed"]
async fn greetings_of_four_languages() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = Speaker::new(&Speech::default(), Path::new(folder.path()));
    let mut table: BTreeMap<(&str, bool), [usize; 3]> = BTreeMap::new();
    for (machine, all) in [(false, PEOPLE), (true, MAILBOXES)] {
        for (language, greetings) in all {
            for said in greetings {
                let verdict = judged(&greeting(&speaker, language, said, machine).await);
                println!("{language} {} {}: {said}", if machine { "mailbox" } else { "person" }, verdict.as_str());
                table.entry((language, machine)).or_default()[verdict as usize] += 1;
            }
        }
    }
    println!("| | of | human | machine | unknown |\n|---|---|---|---|---|");
    for ((language, machine), [human, as_machine, unknown]) in table {
        let who = if machine { "mailboxes" } else { "people" };
        println!("| {language}, {who} | {} | {human} | {as_machine} | {unknown} |", human + as_machine + unknown);
    }
}
