//! What the network's final word means: one table from codes to outcomes.
//!
//! Gateways differ: some answer 480 to everything, some play an announcement under 183 and never say 180. The cause of the telephone network (Q.850),
//! where a response carries it, is more exact than the code; what the operator configured is more exact than both.

use std::collections::BTreeMap;

use crate::wire::{CallOutcome, FailureDetail};

/// How an INVITE ended that nobody answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// The final response; `None` if none came.
    pub code: Option<u16>,
    /// The phrase beside it, or what went wrong.
    pub phrase: String,
    /// The cause of the telephone network, from a `Reason` header.
    pub q850: Option<u8>,
    /// After how many seconds the trunk wants to be asked again.
    pub retry_after: Option<u64>,
}

/// What was seen before the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Any response at all, 100 included.
    pub any: bool,
    /// A response that says that the callee's phone rings, or that the network plays something (180 to 189).
    pub alerting: bool,
    /// We called it off, because it had rung long enough or was not wanted any more.
    pub called_off: bool,
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// For the report.
    pub outcome: CallOutcome,
    /// Which kind of failure.
    pub detail: Option<FailureDetail>,
}

const fn plain(outcome: CallOutcome) -> Judged {
    Judged { outcome, detail: None }
}

const fn failed(detail: FailureDetail) -> Judged {
    Judged { outcome: CallOutcome::Failed, detail: Some(detail) }
}

const UNREACHABLE: Judged = Judged { outcome: CallOutcome::NoAnswer, detail: Some(FailureDetail::Unreachable) };

/// What an ending means. `configured` gives codes the outcome that the operator knows them to mean on this trunk.
#[must_use]
pub fn judge(ending: &Ending, seen: Seen, configured: &BTreeMap<u16, CallOutcome>) -> Judged {
    if let Some(outcome) = ending.code.and_then(|code| configured.get(&code)) {
        let detail = (*outcome == CallOutcome::Failed).then_some(FailureDetail::Trunk);
        return Judged { outcome: *outcome, detail };
    }
    // Nobody at the other end: a call that was called off for that reason is the trunk's fault, not the callee's.
    if !seen.any && matches!(ending.code, None | Some(408 | 487)) {
        return failed(FailureDetail::Trunk);
    }
    if seen.called_off && matches!(ending.code, None | Some(408 | 480 | 487)) {
        return plain(CallOutcome::NoAnswer);
    }
    if let Some(judged) = ending.q850.and_then(by_cause) {
        return judged;
    }
    let Some(code) = ending.code else { return failed(FailureDetail::Trunk) };
    match code {
        486 | 600 => plain(CallOutcome::Busy),
        603 | 607 | 608 => plain(CallOutcome::Rejected),
        403 if seen.alerting => plain(CallOutcome::Rejected),
        408 | 480 | 487 if seen.alerting => plain(CallOutcome::NoAnswer),
        // What gateways with SIM cards say about a phone that is switched off.
        408 | 480 => UNREACHABLE,
        487 => plain(CallOutcome::NoAnswer),
        404 | 410 | 484 | 485 | 604 => failed(FailureDetail::BadNumber),
        401 | 403 | 407 => failed(FailureDetail::Auth),
        _ => failed(FailureDetail::Trunk),
    }
}

/// By the cause of the telephone network; `None` for causes that say nothing about this.
fn by_cause(cause: u8) -> Option<Judged> {
    Some(match cause {
        17 => plain(CallOutcome::Busy),
        18 | 19 => plain(CallOutcome::NoAnswer),
        21 => plain(CallOutcome::Rejected),
        1 | 28 => failed(FailureDetail::BadNumber),
        20 | 27 => UNREACHABLE,
        34 | 38 | 41 | 42 | 44 => failed(FailureDetail::Trunk),
        _ => return None,
    })
}

/// The cause in a `Reason` header (RFC 3326): `Q.850;cause=17;text="User busy"`.
#[must_use]
pub fn cause_in(reason: &str) -> Option<u8> {
    reason.split(',').find_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let protocol = parts.next()?;
        protocol.eq_ignore_ascii_case("Q.850").then_some(())?;
        parts.find_map(|part| part.strip_prefix("cause=")?.trim().parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use CallOutcome::{Busy, Failed, NoAnswer, Rejected};
    use FailureDetail::{Auth, BadNumber, Trunk, Unreachable};
    use proptest::prelude::*;

    use super::*;

    const RANG: Seen = Seen { any: true, alerting: true, called_off: false };
    const TRYING: Seen = Seen { any: true, alerting: false, called_off: false };

    fn judged(code: u16, seen: Seen, q850: Option<u8>) -> (CallOutcome, Option<FailureDetail>) {
        let judged = judge(&Ending { code: Some(code), q850, ..Ending::default() }, seen, &BTreeMap::new());
        (judged.outcome, judged.detail)
    }

    #[test]
    fn the_table() {
        for (code, seen, outcome, detail) in [
            (486, TRYING, Busy, None),
            (600, RANG, Busy, None),
            (603, RANG, Rejected, None),
            (607, TRYING, Rejected, None),
            (608, TRYING, Rejected, None),
            (403, RANG, Rejected, None),
            (403, TRYING, Failed, Some(Auth)),
            (408, RANG, NoAnswer, None),
            (480, RANG, NoAnswer, None),
            (480, TRYING, NoAnswer, Some(Unreachable)),
            (408, TRYING, NoAnswer, Some(Unreachable)),
            (487, Seen { called_off: true, ..RANG }, NoAnswer, None),
            (487, Seen { called_off: true, ..TRYING }, NoAnswer, None),
            (404, TRYING, Failed, Some(BadNumber)),
            (484, TRYING, Failed, Some(BadNumber)),
            (410, RANG, Failed, Some(BadNumber)),
            (604, TRYING, Failed, Some(BadNumber)),
            (401, TRYING, Failed, Some(Auth)),
            (407, TRYING, Failed, Some(Auth)),
            (503, TRYING, Failed, Some(Trunk)),
            (500, RANG, Failed, Some(Trunk)),
            (488, TRYING, Failed, Some(Trunk)),
            // The stack's own word when nobody answered at all.
            (408, Seen::default(), Failed, Some(Trunk)),
        ] {
            assert_eq!(judged(code, seen, None), (outcome, detail), "{code} {seen:?}");
        }
        let silent = Seen { called_off: true, ..Seen::default() };
        assert_eq!(judge(&Ending::default(), silent, &BTreeMap::new()), failed(Trunk));
        assert_eq!(judge(&Ending::default(), Seen { called_off: true, ..RANG }, &BTreeMap::new()), plain(NoAnswer));
    }

    #[test]
    fn the_cause_of_the_telephone_network_goes_before_the_code() {
        for (cause, outcome, detail) in [
            (17, Busy, None),
            (19, NoAnswer, None),
            (21, Rejected, None),
            (1, Failed, Some(BadNumber)),
            (28, Failed, Some(BadNumber)),
            (20, NoAnswer, Some(Unreachable)),
            (27, NoAnswer, Some(Unreachable)),
            (34, Failed, Some(Trunk)),
            (42, Failed, Some(Trunk)),
        ] {
            assert_eq!(judged(480, RANG, Some(cause)), (outcome, detail), "{cause}");
        }
        assert_eq!(judged(486, RANG, Some(16)), (Busy, None), "a cause that says nothing");
    }

    #[test]
    fn the_operators_word_goes_before_both() {
        let configured = BTreeMap::from([(480, Rejected), (500, Failed)]);
        let ending = |code| Ending { code: Some(code), q850: Some(17), ..Ending::default() };
        assert_eq!(judge(&ending(480), RANG, &configured), plain(Rejected));
        assert_eq!(judge(&ending(500), RANG, &configured), failed(Trunk));
        assert_eq!(judge(&ending(486), RANG, &configured), plain(Busy));
    }

    #[test]
    fn causes_are_read_from_the_header() {
        assert_eq!(cause_in(r#"Q.850;cause=17;text="User busy""#), Some(17));
        assert_eq!(cause_in(r#"SIP;cause=200;text="elsewhere", Q.850 ; cause=21"#), Some(21));
        assert_eq!(cause_in("q.850;text=x;cause=1"), Some(1));
        for other in ["", "SIP;cause=486", "Q.850", "Q.850;cause=", "Q.850;cause=999"] {
            assert_eq!(cause_in(other), None, "{other}");
        }
    }

    proptest! {
        /// A detail stands beside a failure, or says that a phone is out of reach; and whoever was rung long enough is nobody's failure.
        #[test]
        fn every_ending_has_one_meaning(code: Option<u16>, q850: Option<u8>, any: bool, alerting: bool, called_off: bool, reason: String) {
            let judged = judge(&Ending { code, q850, ..Ending::default() }, Seen { any, alerting, called_off }, &BTreeMap::new());
            prop_assert_eq!(judged.outcome == Failed, judged.detail.is_some_and(|detail| detail != Unreachable));
            prop_assert!(judged.outcome != CallOutcome::Answered && judged.outcome != CallOutcome::NotDialled);
            let _ = cause_in(&reason);
        }
    }
}
