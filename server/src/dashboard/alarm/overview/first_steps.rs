//! The first steps on *Now*: what is still to be done on a new server before people are rung.

use askama::Template;

use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Words;
use crate::keep::first_steps::FirstStep;

/// One of them.
struct Line {
    done: bool,
    what: &'static str,
    how: &'static str,
    /// Where it is done, for those who may.
    link: Option<&'static str>,
    /// The command that does it.
    example: Option<String>,
}

#[derive(Template)]
#[template(path = "alarm/overview/first_steps.html")]
struct FirstSteps {
    words: &'static Words,
    lines: Vec<Line>,
}

/// The command that raises an alarm, to be tried.
pub(in crate::dashboard) fn first_alarm(reader: &Reader) -> String {
    let (server, summary) = (reader.server(), &reader.words.example_summary);
    format!(r#"curl {server}/api/v1/alarms -d '{{"summary": "{summary}", "phones": ["13800138000"]}}'"#)
}

/// The checklist, as HTML.
pub(in crate::dashboard) fn checklist(reader: &Reader, steps: &[(FirstStep, bool)]) -> String {
    let words = reader.words;
    let line = |(step, done): &(FirstStep, bool)| {
        let (what, how, link, for_all) = match step {
            FirstStep::Phone => (&words.first_phone, &words.first_phone_how, Some("/handsets#add"), false),
            FirstStep::Person => (&words.first_person, &words.first_person_how, Some("/people#add"), false),
            FirstStep::Sender => (&words.first_sender, &words.first_sender_how, Some("/connect"), false),
            FirstStep::Alarm => (&words.first_alarm, &words.first_alarm_how, None, true),
            FirstStep::Call => (&words.first_call, &words.first_call_how, Some("/handsets"), true),
        };
        Line {
            done: *done,
            what,
            how,
            link: link.filter(|_| for_all || reader.administers()),
            example: (*step == FirstStep::Alarm && !done).then(|| first_alarm(reader)),
        }
    };
    FirstSteps { words, lines: steps.iter().map(line).collect() }.render().unwrap_or_default()
}
