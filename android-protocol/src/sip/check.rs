//! `handset check`: tries one thing after the other, and says what is wrong where it stops.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::timeout;

use super::{
    call::{News, Order, SOUND_WITHIN, lines, make, new_call_id},
    config::Settings,
    server::Server,
    signal::stack::{RegisterError, Stack},
    sound::speech::{Speaker, defects, usual_voices},
};
use crate::{
    voice::{phrases, script::Script},
    wire::{CallOutcome, FailureDetail},
};

/// How long one of the questions may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries the configuration, and calls a number for so long if there is one. Answers whether everything that matters works; `tell` gets a line for each step.
pub async fn check(
    agent: &Settings,
    client: reqwest::Client,
    number: Option<(&str, Duration)>,
    mut tell: impl FnMut(&str),
) -> bool {
    let mut good = true;
    let speaker = Speaker::new(&agent.speech, &agent.state_dir);
    for phrases in phrases::ALL {
        match timeout(PATIENCE, speaker.say(phrases.check, phrases.language)).await {
            Ok(Ok(sound)) => tell(&format!("ok    speech {}: {:.1} s", phrases.language, seconds(sound.len()))),
            Ok(Err(why)) => tell(&format!("warn  speech {}: {why}; three tones would be heard", phrases.language)),
            Err(_) => tell(&format!("warn  speech {}: it takes too long; three tones would be heard", phrases.language)),
        }
    }
    let voices = if agent.speech.voice.is_empty() { usual_voices() } else { agent.speech.voice.clone() };
    for (language, why) in defects(&voices).await {
        tell(&format!("warn  speech {language}: {why}; name another voice under [[agent.speech.voice]]"));
    }
    match server_answers(agent, client).await {
        Ok(()) => tell("ok    server: it knows this handset"),
        Err(why) => {
            good = false;
            tell(&format!("FAIL  server: {why}"));
        }
    }
    let stack = match Stack::start(&agent.sip).await {
        Ok(stack) => stack,
        Err(why) => {
            tell(&format!("FAIL  trunk: {why}"));
            return false;
        }
    };
    tell(&format!("ok    trunk: {} is {}, and we are {}", agent.sip.trunk, stack.target(), stack.ip()));
    let mut registration = stack.registration();
    if agent.sip.register {
        match registration.register(&stack, agent.sip.expires_seconds).await {
            Ok(granted) => tell(&format!("ok    registration: as {} for {} s", agent.sip.user, granted.as_secs())),
            Err(why) => {
                tell(&format!("FAIL  registration: {why}"));
                return false;
            }
        }
    }
    let Some((number, ring)) = number else {
        if !agent.sip.register {
            // A call would show it, and nothing else has asked the trunk yet.
            match stack.options().await {
                Ok((code, phrase)) => tell(&format!("ok    answer: the trunk answers {code} {phrase} to OPTIONS")),
                Err(RegisterError::Unreachable(why)) => {
                    tell(&format!("FAIL  answer: the trunk cannot be reached: {why}"));
                    return false;
                }
                Err(_) => {
                    tell("FAIL  answer: the trunk does not answer; if it answers no OPTIONS at all, try a call with --number");
                    return false;
                }
            }
        }
        tell("      no call was tried: handset check --config FILE --number NUMBER does, to your own phone or to an echo");
        return good;
    };
    good & call(agent, (&speaker, &stack), (number, ring), &mut tell).await
}

async fn server_answers(agent: &Settings, client: reqwest::Client) -> Result<(), String> {
    let server = Server::new(client, &agent.server);
    // Takes nothing: a poll would be given an alarm.
    server.outbox().await.map(drop).map_err(|why| why.to_string())
}

fn seconds(samples: usize) -> f64 {
    f64::from(u32::try_from(samples).unwrap_or(u32::MAX)) / 8000.0
}

async fn call(
    agent: &Settings,
    (speaker, stack): (&Speaker, &Stack),
    (number, ring): (&str, Duration),
    tell: &mut impl FnMut(&str),
) -> bool {
    let address = match agent.sip.dialling().address(number) {
        Ok(address) => address,
        Err(why) => {
            tell(&format!("FAIL  call: {why}"));
            return false;
        }
    };
    let language = agent.call.language.clone().unwrap_or_else(|| "en".to_owned());
    let keys: BTreeMap<String, String> = "0123456789*#".chars().map(|key| (key.to_string(), "accept".to_owned())).collect();
    let script = Script {
        say: Some(phrases::of(&language).check.to_owned()),
        language: Some(language),
        repeat: Some(3),
        keys,
        key_wait_seconds: Some(10),
        max_seconds: Some(60),
        ..Script::default()
    };
    let (sounds, _) = speaker.sounds(&script).await;
    let order = Order {
        address,
        call_id: new_call_id(),
        ring,
        script,
        patience: Duration::from_secs(agent.sip.answer_within_seconds),
        sounds,
        ports: agent.sip.rtp.ports,
        symmetric: agent.sip.rtp.symmetric,
        silence: SOUND_WITHIN,
        outcomes: agent.sip.outcomes(),
    };
    tell(&format!("      calling for up to {} s: pick up, listen, and press any key", ring.as_secs()));
    let (news, mut told, _control, mut controlled) = lines();
    let making = async {
        let made = make(stack, &order, &news, &mut controlled).await;
        drop(news);
        made
    };
    let listening = async {
        while let Some(news) = told.recv().await {
            match news {
                News::Alerting => tell("ok    it rings"),
                News::Connected => tell("ok    somebody answered, or something did"),
                News::Key { key, .. } => tell(&format!("ok    key {key} was heard")),
                News::State(_) | News::Live { .. } | News::Recorded { .. } => {}
            }
        }
    };
    let (made, ()) = tokio::join!(making, listening);
    let words = made.ending.code.map_or(made.ending.phrase.clone(), |code| format!("{code} {}", made.ending.phrase));
    if made.judged.outcome != CallOutcome::Answered {
        let hint = match made.judged.detail {
            Some(FailureDetail::Auth) => "the trunk does not let us call: check user, password, and what this account may do",
            Some(FailureDetail::BadNumber) => "the trunk does not know the number: see agent.sip.callee, plus and prefix",
            Some(FailureDetail::Trunk) => "the trunk does not work, or nothing answers at its address",
            Some(FailureDetail::Media) => "sound cannot be exchanged: the trunk has to offer PCMA or PCMU",
            Some(FailureDetail::Unreachable) => "the phone is switched off or out of reach",
            None => "nobody took the call",
        };
        tell(&format!("FAIL  call: {} ({words}): {hint}", made.judged.outcome.as_str()));
        return false;
    }
    if made.received == 0 {
        tell("FAIL  sound: nothing came from the trunk: a firewall, or agent.sip.public_address behind NAT, or rtp.symmetric");
        return false;
    }
    tell(&format!("ok    sound: {} packets came", made.received));
    if made.conversation.keys.is_empty() {
        tell("FAIL  keys: none was heard: has the trunk RFC 4733 (also called RFC 2833) or SIP INFO switched on for keys?");
        return false;
    }
    true
}
