//! Says what the phone still needs: one line for each thing, with what to do.

use std::{fmt, time::Duration};

use super::{line::TermuxLine, output::Refused, telemetry};
use crate::{
    client,
    driver::{clock::Clock, line::Line},
    http::{Method, Request},
    native::{CannotDial, Seen, Unfinished},
    phone::CallState,
    wire::{PROTOCOL_HEADER, PROTOCOL_VERSION, Status},
};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// It works without, but less well.
    Less,
    /// It does not work so.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub grade: Grade,
    /// What was looked at.
    pub what: &'static str,
    /// What was found, and what to do about it.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.grade {
            Grade::Good => "ok     ",
            Grade::Less => "could  ",
            Grade::Bad => "MISSING",
        };
        write!(f, "{mark}  {}: {}", self.what, self.words)
    }
}

fn finding(grade: Grade, what: &'static str, words: impl Into<String>) -> Finding {
    Finding { grade, what, words: words.into() }
}

/// The permission behind a command, in the words of Android's settings.
fn permission(what: &'static str, of: &str, why: &Refused) -> Finding {
    let todo = match why {
        Refused::Words { .. } => {
            format!(" - on the phone: Settings, Apps, Termux:API, Permissions, allow \"{of}\", and run the check again")
        }
        _ => String::new(),
    };
    finding(Grade::Bad, what, format!("{why}{todo}"))
}

/// Looks at the phone, without calling anybody.
pub async fn phone(line: &TermuxLine) -> Vec<Finding> {
    let commands = line.commands();
    let mut found = Vec::new();
    match commands.json("termux-battery-status", &[]).await {
        Ok(_) => found.push(finding(Grade::Good, "Termux:API", "answers")),
        Err(why) => {
            found.push(finding(Grade::Bad, "Termux:API", why.to_string()));
            if matches!(why, Refused::Missing(_) | Refused::Silent(_)) {
                // Everything else would say the same.
                return found;
            }
        }
    }
    found.push(
        match commands.json("termux-telephony-deviceinfo", &[]).await.map(|info| telemetry::device(&mut Status::default(), &info))
        {
            Ok(Ok(())) => finding(Grade::Good, "SIM card", "is ready"),
            Ok(Err(words)) => finding(Grade::Bad, "SIM card", words),
            Err(why) => permission("SIM card", "Phone", &why),
        },
    );
    let reads_log = match line.rows().await {
        Ok(_) => {
            found.push(finding(Grade::Good, "call log", "can be read"));
            true
        }
        Err(why) => {
            found.push(permission("call log", "Call logs", &why));
            false
        }
    };
    found.push(match commands.json("termux-sms-list", &["-l", "1", "-t", "inbox"]).await {
        Ok(_) => finding(Grade::Good, "text messages", "can be read; whether they can be sent shows only when one is sent"),
        Err(why) => Finding { grade: Grade::Less, ..permission("text messages", "SMS", &why) },
    });
    found.push(match commands.json("termux-telephony-cellinfo", &[]).await {
        Ok(_) => finding(Grade::Good, "signal", "can be read"),
        Err(why) => Finding { grade: Grade::Less, ..permission("signal", "Location (all the time)", &why) },
    });
    found.push(match line.calls().await {
        Some(_) => finding(Grade::Good, "answers", "are seen the moment they come"),
        None => finding(
            if reads_log { Grade::Less } else { Grade::Bad },
            "answers",
            "are known only from the call log, after the call; to see them at once, run on a computer: adb shell pm grant com.termux android.permission.DUMP",
        ),
    });
    found.push(match line.android_version().await {
        Some(version) if version >= crate::forwarding::FIRST_ANDROID_THAT_REFUSES => finding(
            Grade::Less,
            "Android",
            format!("{version}: forwarding codes are refused by this version, so no public number can live in this phone; alarms are not concerned"),
        ),
        Some(version) => finding(Grade::Good, "Android", format!("{version}")),
        None => finding(Grade::Less, "Android", "its version cannot be found out"),
    });
    found
}

/// Whether the server knows this handset. It is told how the phone is, and asked for nothing: asking would take an alarm.
pub async fn server(http: &reqwest::Client, base: &str, status: &Status) -> Finding {
    let base = crate::native::NativeSettings::new(base).base;
    let request = Request {
        method: Method::Post,
        url: format!("{base}/status"),
        headers: vec![
            (PROTOCOL_HEADER.to_owned(), PROTOCOL_VERSION.to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ],
        body: status.to_body(),
        timeout: Duration::from_secs(20),
    };
    match client::send(http, request).await {
        Ok(reply) if reply.status == 200 => finding(Grade::Good, "server", "knows this handset"),
        Ok(reply) => {
            finding(Grade::Bad, "server", format!("it answers {}: copy the address again from the page Handsets", reply.status))
        }
        Err(why) => finding(Grade::Bad, "server", format!("{why}; is the address right, and is the phone online?")),
    }
}

/// Rings a number and says what could be seen of it, telling each step.
pub async fn call(line: &TermuxLine, number: &str, ring: Duration, mut tell: impl FnMut(&str)) -> Finding {
    let what = "test call";
    let mark = match line.prepare(number).await {
        Ok(mark) => mark,
        Err(CannotDial::LineBusy) => return finding(Grade::Bad, what, "the phone is in a call already"),
        Err(CannotDial::Broken(why)) => return finding(Grade::Bad, what, why),
    };
    let clock = Clock::start();
    let started = clock.now();
    if let Err(CannotDial::Broken(why)) = line.dial(number).await {
        return finding(Grade::Bad, what, why);
    }
    tell("dialling: answer the other phone, and hang up there");
    let call = Unfinished { number, started, ring, recovered: false };
    let mut last = None;
    loop {
        let seen = line.look(clock.now(), &call, mark.as_deref()).await;
        match seen {
            Seen::Call(CallState::Ended { talked: Some(talked), .. }) => {
                return finding(Grade::Good, what, format!("answered, {} s", talked.as_secs()));
            }
            Seen::Call(CallState::Ended { cause: crate::phone::EndCause::Failed, .. }) | Seen::NoCall(_) => {
                return finding(
                    Grade::Bad,
                    what,
                    "the phone never dialled: allow Termux:API \"Phone\", and \"Display over other apps\", for without the second Android drops a dial from the background",
                );
            }
            Seen::Call(CallState::Ended { .. }) => return finding(Grade::Less, what, "it rang, and nobody answered"),
            Seen::Call(state) => {
                if last != Some(state) {
                    match state {
                        CallState::Alerting => tell("it rings"),
                        CallState::Connected { .. } => tell("answered"),
                        CallState::Dialling | CallState::Ended { .. } => {}
                    }
                    last = Some(state);
                }
            }
        }
        tokio::time::sleep(line.look_every()).await;
    }
}
