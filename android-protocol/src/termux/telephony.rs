//! `dumpsys telephony.registry`: what the phone's calls are doing.
//!
//! `mCallState` is 2 from the dial to the end; only the foreground call's state shows that somebody answered (measured by others on Android 14, 16
//! and the emulator). Indentation and headings differ by version and maker, so only the keys are looked for.

/// What the foreground call of a phone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Foreground {
    /// There is none, or it is over.
    Idle,
    /// Asked of the network.
    Dialling,
    /// The other side rings.
    Alerting,
    /// Connected, or on hold.
    Active,
}

/// What is going on on all SIM cards together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Whether any line is in use; `None` where that is not said.
    pub busy: Option<bool>,
    /// The foreground call that has got furthest; `None` where no such state is printed, or none that means something.
    pub foreground: Option<Foreground>,
}

/// Reads a dump; `None` if it is none, as where the permission is missing.
#[must_use]
pub fn read(dump: &str) -> Option<Calls> {
    let states: Vec<&str> = values(dump, "mCallState").collect();
    let foreground: Vec<Foreground> = values(dump, "mForegroundCallState").filter_map(foreground).collect();
    if states.is_empty() && foreground.is_empty() {
        return None;
    }
    let busy = |state: &&str| !matches!(state.to_ascii_uppercase().as_str(), "0" | "-1" | "IDLE");
    Some(Calls { busy: (!states.is_empty()).then(|| states.iter().any(busy)), foreground: foreground.into_iter().max() })
}

/// What stands behind `key=` in the text; behind `key:` on some phones.
fn values<'a>(dump: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    dump.match_indices(key).filter_map(move |(at, _)| {
        // `mCallStateX` and `xmCallState` are other keys.
        if dump[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rest = dump[at + key.len()..].trim_start_matches(' ').strip_prefix(['=', ':'])?.trim_start_matches(' ');
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        Some(&rest[..end]).filter(|value| !value.is_empty())
    })
}

/// AOSP `PreciseCallState`: 0 idle, 1 active, 2 holding, 3 dialling, 4 alerting, 5 incoming, 6 waiting, 7 disconnected, 8 disconnecting, −1 not valid.
fn foreground(value: &str) -> Option<Foreground> {
    let word = value.to_ascii_uppercase();
    match word.strip_prefix("PRECISE_CALL_STATE_").unwrap_or(&word) {
        "0" | "7" | "8" | "IDLE" | "DISCONNECTED" | "DISCONNECTING" => Some(Foreground::Idle),
        "1" | "2" | "ACTIVE" | "HOLDING" => Some(Foreground::Active),
        "3" | "DIALING" | "DIALLING" => Some(Foreground::Dialling),
        "4" | "ALERTING" => Some(Foreground::Alerting),
        // Somebody rings this phone: that says nothing about a call of ours.
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_several_versions() {
        for (dump, busy, expected) in [
            (include_str!("../../../fixtures/termux/dumpsys-10.txt"), Some(true), Some(Foreground::Alerting)),
            (include_str!("../../../fixtures/termux/dumpsys-12.txt"), Some(true), Some(Foreground::Active)),
            (include_str!("../../../fixtures/termux/dumpsys-14.txt"), Some(true), Some(Foreground::Alerting)),
            (include_str!("../../../fixtures/termux/dumpsys-16.txt"), Some(true), Some(Foreground::Active)),
            (include_str!("../../../fixtures/termux/dumpsys-idle.txt"), Some(false), Some(Foreground::Idle)),
        ] {
            assert_eq!(read(dump), Some(Calls { busy, foreground: expected }), "{dump}");
        }
    }

    #[test]
    fn numbers_and_words() {
        for (value, expected) in [
            ("-1", None),
            ("0", Some(Foreground::Idle)),
            ("2", Some(Foreground::Active)),
            ("5", None),
            ("6", None),
            ("7", Some(Foreground::Idle)),
            ("ACTIVE", Some(Foreground::Active)),
            ("Alerting", Some(Foreground::Alerting)),
            ("PRECISE_CALL_STATE_DIALING", Some(Foreground::Dialling)),
            ("SINGING", None),
        ] {
            let calls = read(&format!("mCallState=2 mForegroundCallState={value},")).unwrap();
            assert_eq!(calls, Calls { busy: Some(true), foreground: expected }, "{value}");
        }
    }

    #[test]
    fn what_is_no_dump_is_none() {
        for text in [
            "",
            "Permission Denial: can't dump telephony.registry from pid=4711, uid=10234 due to missing android.permission.DUMP permission",
            "mCallStateListener=3 xmCallState=2 mForegroundCallStates=1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("mCallState: IDLE").unwrap().busy, Some(false));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String, tail: String) {
            let _ = read(&text);
            let _ = read(&format!("{text}mForegroundCallState={tail}"));
        }
    }
}
