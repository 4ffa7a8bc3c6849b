//! What the phone shows about our call, put together: the state while it can be seen, the call log as judge.

use std::time::Duration;

use super::{
    call_log::Row,
    telephony::{Calls, Foreground},
};
use crate::{
    native::Seen,
    phone::{CallState, EndCause},
    wire::AnswerDetection,
};

/// How long the call log may take to write the row of a call that is over.
const ROW_WITHIN: Duration = Duration::from_secs(10);

/// How long the phone may take from the command to a line in use, where that can be seen.
const BUSY_WITHIN: Duration = Duration::from_secs(15);

/// How long a dial may leave no row where nothing else can be seen: by then it has never happened.
const ROW_OR_NEVER: Duration = Duration::from_mins(2);

/// Beyond its ring time, for the same.
const BEYOND_RINGING: Duration = Duration::from_mins(1);

/// A call that is over sooner, and never rang, did not get into the network: not even a busy line is told so fast.
const NO_NETWORK: Duration = Duration::from_secs(2);

/// What can be seen of the phone at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What its calls do; `None` without the permission.
    pub calls: Option<Calls>,
    /// The call log was readable; the row of our call, if it is there.
    pub row: Option<Option<Row>>,
}

/// One call, followed.
#[derive(Debug, Clone)]
pub struct Follow {
    started: Duration,
    ring: Duration,
    /// Since when this process looks at it.
    watched: Option<Duration>,
    reached: Option<Foreground>,
    connected_at: Option<Duration>,
    /// When it was first seen to be over.
    over_at: Option<Duration>,
    /// The line was seen in use.
    was_busy: bool,
}

impl Follow {
    /// A call that was dialled at `started` and may ring for `ring`.
    #[must_use]
    pub fn new(started: Duration, ring: Duration) -> Self {
        Self { started, ring, watched: None, reached: None, connected_at: None, over_at: None, was_busy: false }
    }

    /// How this call shows that somebody answered: `duration` where the line was in use and the foreground state never said what it does.
    #[must_use]
    pub fn shows_states(&self) -> Option<bool> {
        match (self.reached, self.was_busy) {
            (Some(_), _) => Some(true),
            // Only a call that is over had its chance.
            (None, true) if self.over_at.is_some() => Some(false),
            (None, _) => None,
        }
    }

    /// Whether the call log is to be read before [`Follow::judge`]: while the call can be seen to go on there is no row.
    #[must_use]
    pub fn wants_row(calls: Option<Calls>) -> bool {
        calls.and_then(|calls| calls.foreground).is_none_or(|state| state == Foreground::Idle)
    }

    /// What that says about the call.
    pub fn judge(&mut self, now: Duration, sight: &Sight) -> Seen {
        let watched = *self.watched.get_or_insert(now);
        let foreground = sight.calls.and_then(|calls| calls.foreground);
        if let Some(state) = foreground.filter(|state| *state != Foreground::Idle) {
            self.over_at = None;
            self.reached = self.reached.max(Some(state));
            if state == Foreground::Active && self.connected_at.is_none() {
                self.connected_at = Some(now);
            }
        }
        let busy = sight.calls.and_then(|calls| calls.busy);
        self.was_busy |= busy == Some(true);
        let is_over = match (busy, foreground) {
            (Some(false), _) => self.was_busy || self.reached.is_some(),
            (None, Some(Foreground::Idle)) => self.reached.is_some(),
            // A stranger may have called meanwhile; our own call is over when the foreground says so and the log has it.
            _ => false,
        };
        if is_over {
            self.over_at.get_or_insert(now);
        }
        if let Some(Some(row)) = &sight.row {
            self.over_at.get_or_insert(now);
            return self.by_row(row);
        }
        if let Some(over) = self.over_at {
            // Without a log to wait for, what was seen is all there is.
            return if sight.row.is_none() || now >= over + ROW_WITHIN { self.by_states(over) } else { self.going_on() };
        }
        if self.reached.is_some() || busy == Some(true) {
            return self.going_on();
        }
        let dial_leaves_trace_until = match (busy, sight.row.is_some()) {
            (Some(_), _) => self.started.max(watched) + BUSY_WITHIN,
            (None, true) => (self.started + ROW_OR_NEVER.max(self.ring + BEYOND_RINGING)).max(watched + BUSY_WITHIN),
            // Nothing can be seen at all: it rings its time, and nobody knows.
            (None, false) => {
                let rang = (self.started + self.ring).max(watched);
                return if now >= rang { ended(EndCause::Normal, None) } else { self.going_on() };
            }
        };
        if now >= dial_leaves_trace_until { ended(EndCause::Failed, None) } else { self.going_on() }
    }

    fn going_on(&self) -> Seen {
        Seen::Call(match self.reached {
            None | Some(Foreground::Idle | Foreground::Dialling) => CallState::Dialling,
            Some(Foreground::Alerting) => CallState::Alerting,
            Some(Foreground::Active) => CallState::Connected { held: false },
        })
    }

    fn by_row(&self, row: &Row) -> Seen {
        match (row.seconds, self.connected_at) {
            (0, None) => ended(self.unanswered(), None),
            // Less than a second, but the phone said that it was connected.
            (seconds, _) => ended(EndCause::Normal, Some(Duration::from_secs(seconds))),
        }
    }

    fn by_states(&self, over: Duration) -> Seen {
        match (self.connected_at, self.reached) {
            (Some(connected), _) => ended(EndCause::Normal, Some(over.saturating_sub(connected))),
            (None, _) => ended(self.unanswered(), None),
        }
    }

    /// Why nobody answered, as far as that can be told: busy and declined look like any other call that ends.
    fn unanswered(&self) -> EndCause {
        let at_once = self.over_at.is_some_and(|over| over < self.started + NO_NETWORK);
        if self.reached == Some(Foreground::Dialling) && at_once { EndCause::Failed } else { EndCause::Normal }
    }
}

fn ended(cause: EndCause, talked: Option<Duration>) -> Seen {
    Seen::Call(CallState::Ended { cause, talked })
}

/// How answers are known on this phone.
#[must_use]
pub fn answer_detection(sees_calls: bool, states_proved_missing: bool, reads_log: bool) -> AnswerDetection {
    match (sees_calls && !states_proved_missing, reads_log) {
        (true, _) => AnswerDetection::Exact,
        (false, true) => AnswerDetection::Duration,
        (false, false) => AnswerDetection::None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unnecessary_wraps, clippy::option_option, reason = "what is seen is written as `Sight` has it")]
    use super::*;

    const IDLE: Option<Calls> = Some(Calls { busy: Some(false), foreground: Some(Foreground::Idle) });

    fn on(state: Foreground) -> Option<Calls> {
        Some(Calls { busy: Some(true), foreground: Some(state) })
    }

    fn row(seconds: u64) -> Option<Option<Row>> {
        Some(Some(Row { number: "13900000001".into(), date: "x".into(), seconds }))
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Looks once a second from the dial at 100 on; when and how it ended.
    fn run(ring: u64, sight: impl Fn(u64) -> Sight) -> (u64, Seen) {
        let mut follow = Follow::new(s(100), s(ring));
        for second in 0..1000 {
            let seen = follow.judge(s(100 + second), &sight(second));
            if matches!(seen, Seen::Call(CallState::Ended { .. })) {
                return (second, seen);
            }
        }
        (1000, follow.going_on())
    }

    #[test]
    fn with_the_states_an_answer_is_known_at_once() {
        let mut follow = Follow::new(s(0), s(45));
        let mut told = Vec::new();
        for (second, calls) in
            [IDLE, on(Foreground::Dialling), on(Foreground::Alerting), on(Foreground::Active), on(Foreground::Active)]
                .into_iter()
                .enumerate()
        {
            told.push(follow.judge(s(u64::try_from(second).unwrap_or_default()), &Sight { calls, row: Some(None) }));
        }
        let connected = Seen::Call(CallState::Connected { held: false });
        assert_eq!(
            told,
            [
                Seen::Call(CallState::Dialling),
                Seen::Call(CallState::Dialling),
                Seen::Call(CallState::Alerting),
                connected.clone(),
                connected.clone()
            ]
        );
        assert_eq!(follow.judge(s(20), &Sight { calls: IDLE, row: Some(None) }), connected, "the row is waited for");
        assert_eq!(follow.judge(s(21), &Sight { calls: IDLE, row: row(17) }), ended(EndCause::Normal, Some(s(17))));
        assert_eq!(follow.shows_states(), Some(true));
    }

    #[test]
    fn without_a_row_the_states_are_what_counts() {
        let states = |reached: Foreground, until: u64| {
            move |second| Sight { calls: if second < until { on(reached) } else { IDLE }, row: Some(None) }
        };
        assert_eq!(run(45, states(Foreground::Active, 9)), (19, ended(EndCause::Normal, Some(s(9)))));
        assert_eq!(run(45, states(Foreground::Alerting, 9)), (19, ended(EndCause::Normal, None)));
        assert_eq!(run(45, states(Foreground::Dialling, 9)), (19, ended(EndCause::Normal, None)));
        assert_eq!(
            run(45, states(Foreground::Dialling, 1)),
            (11, ended(EndCause::Failed, None)),
            "it never got into the network"
        );
        assert_eq!(run(45, |_| Sight { calls: IDLE, row: Some(None) }), (15, ended(EndCause::Failed, None)), "never dialled");
    }

    #[test]
    fn a_phone_that_shows_no_foreground_state_is_judged_by_its_log() {
        let offhook = Some(Calls { busy: Some(true), foreground: Some(Foreground::Idle) });
        let mut follow = Follow::new(s(100), s(45));
        for second in 0..300 {
            let seen = follow.judge(s(100 + second), &Sight { calls: offhook, row: Some(None) });
            assert_eq!(seen, Seen::Call(CallState::Dialling), "a long call is not a dial that failed");
        }
        assert_eq!(follow.judge(s(401), &Sight { calls: IDLE, row: row(280) }), ended(EndCause::Normal, Some(s(280))));
        assert_eq!(follow.shows_states(), Some(false));
    }

    #[test]
    fn without_the_permission_only_the_log_counts() {
        let log =
            |at: u64, seconds: u64| move |second| Sight { calls: None, row: if second < at { Some(None) } else { row(seconds) } };
        assert_eq!(run(45, log(60, 14)), (60, ended(EndCause::Normal, Some(s(14)))));
        assert_eq!(run(45, log(60, 0)), (60, ended(EndCause::Normal, None)));
        assert_eq!(run(45, log(999, 0)), (120, ended(EndCause::Failed, None)));
        assert_eq!(run(90, log(999, 0)), (150, ended(EndCause::Failed, None)));
    }

    #[test]
    fn where_nothing_can_be_seen_it_rings_its_time() {
        assert_eq!(run(45, |_| Sight { calls: None, row: None }), (45, ended(EndCause::Normal, None)));
    }

    #[test]
    fn after_a_restart_the_log_gets_its_time_again() {
        let mut follow = Follow::new(s(0), s(45));
        assert_eq!(follow.judge(s(5000), &Sight { calls: None, row: Some(None) }), Seen::Call(CallState::Dialling));
        assert_eq!(follow.judge(s(5015), &Sight { calls: None, row: Some(None) }), ended(EndCause::Failed, None));
        let mut follow = Follow::new(s(0), s(45));
        assert_eq!(
            follow.judge(s(5000), &Sight { calls: on(Foreground::Active), row: Some(None) }),
            Seen::Call(CallState::Connected { held: false })
        );
        let mut follow = Follow::new(s(0), s(45));
        assert_eq!(follow.judge(s(5000), &Sight { calls: IDLE, row: row(9) }), ended(EndCause::Normal, Some(s(9))));
    }

    #[test]
    fn what_is_said_about_answers_is_what_is_known() {
        assert_eq!(answer_detection(true, false, true), AnswerDetection::Exact);
        assert_eq!(answer_detection(true, false, false), AnswerDetection::Exact);
        assert_eq!(answer_detection(true, true, true), AnswerDetection::Duration);
        assert_eq!(answer_detection(false, false, true), AnswerDetection::Duration);
        assert_eq!(answer_detection(false, false, false), AnswerDetection::None);
    }
}
