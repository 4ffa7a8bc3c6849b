//! `handset check` for a modem: says what works, and what is wrong.

use std::time::Duration;

use super::ModemLine;
use crate::{
    driver::{clock::Clock, line::Line},
    native::{CannotDial, Seen, Unfinished},
    phone::{CallState, EndCause},
    termux::check::{Finding, Grade},
};

/// How long a modem may take until it is ready: it may have to be started anew, and to look for its network.
const READY_WITHIN: Duration = Duration::from_mins(1);

fn finding(grade: Grade, what: &'static str, words: impl Into<String>) -> Finding {
    Finding { grade, what, words: words.into() }
}

/// Looks at the modem, without calling anybody.
pub async fn modem(line: &ModemLine) -> Vec<Finding> {
    let settled = async {
        while line.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The network is asked right after the start.
        while line.registration().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // What is wrong then is said below.
    let _ = tokio::time::timeout(READY_WITHIN, settled).await;
    if let Some(why) = line.trouble() {
        return vec![finding(Grade::Bad, "modem", why)];
    }
    let status = line.status().await;
    let mut found = vec![finding(Grade::Good, "modem", status.agent.unwrap_or_default())];
    found.push(match line.registration() {
        Some(state) if state.is_in() => finding(Grade::Good, "network", status.network.unwrap_or_default()),
        Some(state) => finding(Grade::Bad, "network", format!("the SIM is not in one: {}", state.words())),
        None => finding(Grade::Bad, "network", "the modem does not say whether it is in one"),
    });
    found.push(match status.signal_dbm {
        Some(dbm) if dbm < -101 => finding(Grade::Less, "signal", format!("{dbm} dBm is weak: try another place, or an antenna")),
        Some(dbm) => finding(Grade::Good, "signal", format!("{dbm} dBm")),
        None => finding(Grade::Less, "signal", "the modem does not know how strong it is"),
    });
    found
}

/// Rings a number and says what could be seen of it, telling each step.
pub async fn call(line: &ModemLine, number: &str, ring: Duration, mut tell: impl FnMut(&str)) -> Finding {
    let what = "test call";
    match line.prepare(number).await {
        Ok(_) => {}
        Err(CannotDial::LineBusy) => return finding(Grade::Bad, what, "the modem is in a call already"),
        Err(CannotDial::Broken(why)) => return finding(Grade::Bad, what, why),
    }
    let clock = Clock::start();
    let started = clock.now();
    if let Err(CannotDial::Broken(why)) = line.dial(number).await {
        return finding(Grade::Bad, what, why);
    }
    tell(
        "dialling: let it ring some time before you answer; if \"answered\" stands here before that, set answer_detection = \"early\"",
    );
    let call = Unfinished { number, started, ring, recovered: false };
    let (mut last, mut hung_up) = (None, false);
    loop {
        let now = clock.now();
        if let Seen::Call(state) = line.look(now, &call, None).await {
            if let CallState::Ended { cause, talked } = state {
                return match (talked, cause) {
                    (Some(talked), _) => finding(Grade::Good, what, format!("answered, {} s", talked.as_secs())),
                    (None, EndCause::Failed) => finding(Grade::Bad, what, "the network did not put it through"),
                    (None, EndCause::Busy) => finding(Grade::Less, what, "busy"),
                    (None, EndCause::Rejected) => finding(Grade::Less, what, "declined"),
                    (None, EndCause::Normal | EndCause::HungUp) => finding(Grade::Less, what, "it rang, and nobody answered"),
                };
            }
            if last != Some(state) {
                match state {
                    CallState::Alerting => tell("it rings"),
                    CallState::Connected { .. } => tell("answered"),
                    CallState::Dialling | CallState::Ended { .. } => {}
                }
                last = Some(state);
            }
        }
        let talks = matches!(last, Some(CallState::Connected { .. }));
        // After an answer it is over soon, too: this is a test.
        let too_long = now >= started + if talks { ring * 2 } else { ring };
        if too_long && !hung_up {
            hung_up = true;
            line.hang_up().await;
        }
        tokio::time::sleep(line.look_every()).await;
    }
}
