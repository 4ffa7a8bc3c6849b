//! Nagios, Naemon, Icinga and Checkmk, by a script that posts what a notification says, as a form or as JSON.
//!
//! The fields have short names, or the names that these programs give them in the environment of a script: so a script may also
//! post its whole environment as it is. A problem has no number that lasts: Nagios sends 0 for it at the end of a host's.

use chrono::TimeDelta;

use super::said::{Message, Said, instant, lines, whom};
use super::{Reader, Signal, Unreadable, Word};
use crate::alarm::Priority;

/// How it is read.
pub const READER: Reader = Reader { also: &["icinga", "icinga2", "naemon", "checkmk"], ..Reader::of("nagios", read) };

/// What stands before the name of a macro in the environment: with Nagios, and with Checkmk.
const PREFIXES: [&str; 2] = ["NAGIOS_", "NOTIFY_"];

/// The names that a field may have.
fn names(own: &str, variable: &str) -> [String; 3] {
    let [nagios, checkmk] = PREFIXES.map(|prefix| format!("{prefix}{variable}"));
    [own.to_owned(), nagios, checkmk]
}

/// A field; `None` where it says nothing.
fn field(said: Said<'_>, own: &str, variable: &str) -> Option<String> {
    names(own, variable).iter().find_map(|name| said.text(name).filter(|text| !is_macro(text)))
}

/// A macro as it is written in the configuration: it does not apply to this notification, and nothing was put in its place.
fn is_macro(text: &str) -> bool {
    text.strip_prefix('$').and_then(|text| text.strip_suffix('$')).is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':'))
    })
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let field = |own: &str, variable: &str| field(said, own, variable);
    let host = field("host", "HOSTNAME");
    let of_host = field("what", "WHAT").is_some_and(|what| what.eq_ignore_ascii_case("host"));
    let service = field("service", "SERVICEDESC").filter(|_| !of_host);
    // What is said of a service comes with what is said of its host.
    let (state, output, long) = match service {
        Some(_) => ("SERVICESTATE", "SERVICEOUTPUT", "LONGSERVICEOUTPUT"),
        None => ("HOSTSTATE", "HOSTOUTPUT", "LONGHOSTOUTPUT"),
    };
    let (state, output) = (field("state", state), field("output", output));
    let long = field("long_output", long).map(|text| in_lines(&text));
    if host.is_none() && service.is_none() && output.is_none() {
        let why = "no host, service or output is there: post host=… and the other fields; Nagios fills the environment of a \
                   script only with enable_environment_macros=1";
        return Err(Unreadable::new("host", why));
    }
    let (by, comment) = (field("author", "NOTIFICATIONAUTHOR"), field("comment", "NOTIFICATIONCOMMENT"));
    let kind = field("type", "NOTIFICATIONTYPE").unwrap_or_default();
    let upper = kind.to_uppercase();
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| upper.starts_with(prefix));
    let (custom, flapping) = (is(&["CUSTOM"]), is(&["FLAPPINGSTART"]));
    let word = if custom || flapping || is(&["PROBLEM"]) {
        Word::Firing
    } else if is(&["RECOVERY"]) {
        Word::Resolved
    } else if is(&["ACKNOWLEDGEMENT"]) {
        Word::Acknowledged { by, note: comment.clone() }
    } else if is(&["FLAPPING", "DOWNTIME", "ALERTHANDLER"]) {
        let more = comment.clone().or_else(|| output.clone());
        Word::Noted { by, text: more.map_or_else(|| kind.clone(), |more| format!("{kind}: {more}")) }
    } else if is(&["TEST"]) {
        Word::Test
    } else if state.as_deref().is_some_and(is_well) {
        // No type, or one that nobody knows: the state says enough.
        Word::Resolved
    } else {
        Word::Firing
    };
    // Somebody sends a custom notification for the sake of their words.
    let words = comment.filter(|_| custom);
    let told = words.clone().or_else(|| output.clone()).unwrap_or_default();
    let head = told.lines().next().unwrap_or_default();
    let now = if flapping { Some(kind) } else { state.clone() };
    let thing = [host.clone(), service.clone(), now].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let summary = [thing.as_str(), head].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    let key = (host.is_some() || service.is_some())
        .then(|| format!("{}/{}", host.as_deref().unwrap_or_default(), service.as_deref().unwrap_or_default()));
    let phones = names("phones", "CONTACTPAGER").iter().map(|name| whom(said.get(name))).find(|named| !named.is_empty());
    Ok(vec![Signal {
        word,
        key: key.filter(|_| !custom),
        priority: if flapping { Some(Priority::Normal) } else { state.as_deref().and_then(priority) },
        details: lines([words, output, long].map(|text| text.filter(|text| text != head))),
        summary,
        labels: [("host", host), ("service", service), ("state", state)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
        link: None,
        whom: phones.into_iter().flatten().filter(|named| !is_macro(named)).collect(),
        at: field("timet", "TIMET").and_then(|text| instant(&text, TimeDelta::zero())),
        holds_until: None,
    }])
}

/// A text in which the ends of lines are written as `\n`, and a backslash as two.
fn in_lines(text: &str) -> String {
    text.split("\\\\").map(|part| part.replace("\\n", "\n")).collect::<Vec<_>>().join("\\")
}

/// A state in which nothing is wrong.
fn is_well(state: &str) -> bool {
    state.eq_ignore_ascii_case("ok") || state.eq_ignore_ascii_case("up")
}

/// How urgent a state is; `None` where nothing is wrong.
fn priority(state: &str) -> Option<Priority> {
    match state.to_uppercase().as_str() {
        "CRITICAL" | "DOWN" => Some(Priority::Critical),
        "WARNING" | "UNKNOWN" | "UNREACHABLE" => Some(Priority::Normal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read_body(body: Value) -> Signal {
        let mut signals = read(&Message { body, ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    fn read_one(change: Value) -> Signal {
        let mut body = json!({
            "type": "PROBLEM", "host": "db1", "service": "disk /var", "state": "CRITICAL", "output": "CRIT \"99%\" full é",
            "long_output": "line two\\nC:\\\\new", "author": "", "comment": "", "phones": "18712345678", "number": "1"
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        read_body(body)
    }

    #[test]
    fn a_problem_of_a_service_is_all_that_the_script_says() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("db1/disk /var")));
        assert_eq!(
            (signal.priority, signal.summary.as_str()),
            (Some(Priority::Critical), "db1 disk /var CRITICAL: CRIT \"99%\" full é")
        );
        assert_eq!(signal.details, "line two\nC:\\new", "ends of lines come escaped, and so do backslashes");
        let label = |name: &str| signal.labels[name].as_str();
        assert_eq!((label("host"), label("service"), label("state"), signal.labels.len()), ("db1", "disk /var", "CRITICAL", 3));
        assert_eq!((signal.whom, signal.link, signal.at), (vec!["18712345678".to_owned()], None, None));
    }

    #[test]
    fn a_host_has_no_service() {
        let down = read_one(json!({ "service": "", "state": "DOWN", "output": "PING CRITICAL", "long_output": null }));
        assert_eq!((down.word, down.key.as_deref(), down.priority), (Word::Firing, Some("db1/"), Some(Priority::Critical)));
        assert_eq!((down.summary.as_str(), down.details.as_str()), ("db1 DOWN: PING CRITICAL", ""));
        assert!(!down.labels.contains_key("service"));
        let up = read_one(json!({ "type": "RECOVERY", "service": "", "state": "UP", "problem_id": 0 }));
        assert_eq!((up.word, up.key), (Word::Resolved, down.key));
    }

    #[test]
    fn what_a_notification_means_stands_in_the_beginning_of_its_type_in_any_case() {
        let word = |kind: &str| read_one(json!({ "type": kind, "author": "li na", "comment": "on it" })).word;
        let (by, note) = (Some("li na".to_owned()), Some("on it".to_owned()));
        assert_eq!([word("PROBLEM"), word("Problem (3)")], [Word::Firing, Word::Firing]);
        assert_eq!(
            [word("RECOVERY"), word("recovery")],
            [Word::Resolved, Word::Resolved],
            "also where the state is still the old one"
        );
        assert_eq!(word("ACKNOWLEDGEMENT"), Word::Acknowledged { by: by.clone(), note: note.clone() });
        assert_eq!(word("Acknowledgement (CRITICAL)"), Word::Acknowledged { by: by.clone(), note });
        for kind in [
            "FLAPPINGSTOP",
            "FLAPPINGEND",
            "FLAPPINGDISABLED",
            "DowntimeStart",
            "DOWNTIMEEND",
            "DOWNTIMECANCELLED",
            "DOWNTIMEREMOVED",
            "ALERTHANDLER (OK)",
        ] {
            assert_eq!(word(kind), Word::Noted { by: by.clone(), text: format!("{kind}: on it") });
        }
        let silent = read_one(json!({ "type": "DOWNTIMEEND", "output": "fine" }));
        assert_eq!(silent.word, Word::Noted { by: None, text: "DOWNTIMEEND: fine".to_owned() });
        assert_eq!(word("TEST"), Word::Test);
    }

    #[test]
    fn without_a_type_the_state_says_it() {
        assert_eq!(read_one(json!({ "type": "", "state": "ok" })).word, Word::Resolved);
        assert_eq!(read_one(json!({ "type": null, "state": "UP", "service": null })).word, Word::Resolved);
        assert_eq!(read_one(json!({ "type": "SOMETHING", "state": "WARNING" })).word, Word::Firing);
        assert_eq!(read_one(json!({ "type": null, "state": null })).word, Word::Firing);
    }

    #[test]
    fn each_custom_notification_is_about_another_thing_and_says_its_own_words() {
        let signal = read_one(json!({ "type": "CUSTOM", "state": "OK", "comment": "ring the provider\nnow", "long_output": "" }));
        assert_eq!((signal.word, signal.key, signal.priority), (Word::Firing, None, None));
        assert_eq!(signal.summary, "db1 disk /var OK: ring the provider");
        assert_eq!(signal.details, "ring the provider\nnow\nCRIT \"99%\" full é");
        assert_eq!(read_one(json!({ "type": "CUSTOM" })).summary, "db1 disk /var CRITICAL: CRIT \"99%\" full é");
    }

    #[test]
    fn flapping_fires_and_is_not_urgent() {
        let signal = read_one(json!({ "type": "FLAPPINGSTART" }));
        assert_eq!((signal.word, signal.priority), (Word::Firing, Some(Priority::Normal)));
        assert_eq!(
            (signal.key.as_deref(), signal.summary.starts_with("db1 disk /var FLAPPINGSTART: ")),
            (Some("db1/disk /var"), true)
        );
    }

    #[test]
    fn states_say_how_urgent_it_is() {
        let urgency = |state: &str| read_one(json!({ "state": state })).priority;
        for state in ["CRITICAL", "DOWN", "Down"] {
            assert_eq!(urgency(state), Some(Priority::Critical), "{state}");
        }
        for state in ["UNKNOWN", "UNREACHABLE", "WARNING", "warning"] {
            assert_eq!(urgency(state), Some(Priority::Normal), "{state}");
        }
        assert_eq!([urgency("OK"), urgency("UP"), urgency("violet")], [None, None, None]);
    }

    #[test]
    fn a_summary_is_one_line_of_what_icinga_says_in_several() {
        let signal = read_one(json!({ "output": "DISK CRITICAL\n/var 99 %", "long_output": null }));
        assert_eq!(
            (signal.summary.as_str(), signal.details.as_str()),
            ("db1 disk /var CRITICAL: DISK CRITICAL", "DISK CRITICAL\n/var 99 %")
        );
    }

    #[test]
    fn a_pager_has_several_numbers() {
        assert_eq!(read_one(json!({ "phones": "18712345678, 18787654321;Li Na" })).whom, ["18712345678", "18787654321", "Li Na"]);
        assert_eq!(read_one(json!({ "phones": ["18712345678", 18_787_654_321_u64] })).whom, ["18712345678", "18787654321"]);
        assert!(read_one(json!({ "phones": "$CONTACTPAGER$" })).whom.is_empty());
    }

    #[test]
    fn the_environment_of_nagios_may_come_as_it_is() {
        let service = json!({
            "HOSTNAME": "monitor", "HOST": "monitor", "PATH": "/bin", "NAGIOS_NOTIFICATIONTYPE": "ACKNOWLEDGEMENT",
            "NAGIOS_HOSTNAME": "db1", "NAGIOS_HOSTSTATE": "UP", "NAGIOS_HOSTOUTPUT": "PING OK", "NAGIOS_LONGHOSTOUTPUT": "",
            "NAGIOS_SERVICEDESC": "disk", "NAGIOS_SERVICESTATE": "WARNING", "NAGIOS_SERVICEOUTPUT": "90 %",
            "NAGIOS_LONGSERVICEOUTPUT": "more",
            "NAGIOS_NOTIFICATIONAUTHOR": "li na", "NAGIOS_NOTIFICATIONCOMMENT": "on it", "NAGIOS_CONTACTPAGER": "18712345678",
            "NAGIOS_TIMET": "1795834800"
        });
        let signal = read_body(service);
        let note = Some("on it".to_owned());
        assert_eq!(signal.word, Word::Acknowledged { by: Some("li na".to_owned()), note });
        assert_eq!((signal.key.as_deref(), signal.priority), (Some("db1/disk"), Some(Priority::Normal)));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("db1 disk WARNING: 90 %", "more"));
        assert_eq!(
            (signal.whom.as_slice(), signal.at.unwrap().timestamp()),
            (["18712345678".to_owned()].as_slice(), 1_795_834_800)
        );
        let host = read_body(json!({
            "NAGIOS_NOTIFICATIONTYPE": "PROBLEM", "NAGIOS_HOSTNAME": "db1", "NAGIOS_HOSTSTATE": "DOWN",
            "NAGIOS_HOSTOUTPUT": "no answer", "NAGIOS_LONGHOSTOUTPUT": "for an hour", "NAGIOS_SERVICEDESC": "",
            "NAGIOS_SERVICESTATE": "", "NAGIOS_SERVICEOUTPUT": ""
        }));
        assert_eq!((host.summary.as_str(), host.details.as_str()), ("db1 DOWN: no answer", "for an hour"));
    }

    #[test]
    fn the_environment_of_checkmk_may_come_as_it_is() {
        let signal = read_body(json!({
            "NOTIFY_WHAT": "SERVICE", "NOTIFY_NOTIFICATIONTYPE": "PROBLEM", "NOTIFY_HOSTNAME": "db1",
            "NOTIFY_SERVICEDESC": "CPU load", "NOTIFY_HOSTSTATE": "UP", "NOTIFY_SERVICESTATE": "UNKNOWN",
            "NOTIFY_SERVICEOUTPUT": "no agent", "NOTIFY_HOSTOUTPUT": "OK",
            "NOTIFY_CONTACTPAGER": "18712345678", "NOTIFY_NOTIFICATIONAUTHOR": "$NOTIFICATIONAUTHOR$", "NOTIFY_PARAMETER_1": "x"
        }));
        assert_eq!(
            (signal.word, signal.key.as_deref(), signal.priority),
            (Word::Firing, Some("db1/CPU load"), Some(Priority::Normal))
        );
        assert_eq!((signal.summary.as_str(), signal.whom.len()), ("db1 CPU load UNKNOWN: no agent", 1));
        for service in ["$SERVICEDESC$", "CPU load"] {
            let host = read_body(json!({
                "NOTIFY_WHAT": "HOST", "NOTIFY_NOTIFICATIONTYPE": "RECOVERY", "NOTIFY_HOSTNAME": "db1",
                "NOTIFY_SERVICEDESC": service, "NOTIFY_HOSTSTATE": "UP", "NOTIFY_SERVICESTATE": "$SERVICESTATE$",
                "NOTIFY_HOSTOUTPUT": "fine"
            }));
            assert_eq!((host.word, host.key.as_deref(), host.summary.as_str()), (Word::Resolved, Some("db1/"), "db1 UP: fine"));
        }
    }

    #[test]
    fn macros_that_do_not_apply_say_nothing() {
        let signal = read_one(json!({ "service": "$service.name$", "long_output": "$LONGSERVICEOUTPUT$", "state": "$_HOSTX$" }));
        assert_eq!((signal.key.as_deref(), signal.details.as_str(), signal.labels.len()), (Some("db1/"), "", 1));
        for text in ["$", "$$", "$5 and 6$", "US$", "$7$"] {
            assert_eq!(read_one(json!({ "service": text })).labels["service"], text);
        }
    }

    #[test]
    fn a_notification_about_nothing_is_refused_with_what_to_do() {
        let empty = json!({ "type": "", "host": "", "service": "", "state": "", "output": "" });
        for body in [empty, json!({ "type": "RECOVERY", "state": "OK" }), json!([1]), json!(null)] {
            let error = read(&Message { body, ..Message::default() }).unwrap_err();
            assert!(error.field == "host" && error.why.contains("enable_environment_macros=1"), "{error}");
        }
        let output = read_body(json!({ "output": "the cellar is wet" }));
        assert_eq!((output.word, output.key, output.summary.as_str()), (Word::Firing, None, "the cellar is wet"));
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd(each in prop::collection::vec(odd::value(&[], &[]), 10)) {
            let fields = ["type", "host", "service", "state", "output", "long_output", "author", "comment", "phones", "timet"];
            let body = fields.into_iter().zip(each.iter().cloned()).collect::<Value>();
            for body in each.iter().cloned().chain([body]) {
                let _ = read(&Message { body, ..Message::default() });
            }
        }
    }
}
