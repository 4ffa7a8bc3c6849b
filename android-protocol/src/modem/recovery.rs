//! A modem that does not answer: what is tried, one after the other.

use std::time::Duration;

/// What is done with a modem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Ask `AT`, and wait five seconds.
    Ask,
    /// Give up a message it may be waiting for, then ask.
    Escape,
    /// Close the port and open it again.
    Reopen,
    /// Restart it by command, and wait until it is back.
    Restart,
    /// Run the operator's command, which may cut its power.
    Command,
    /// It is stuck: say so, and begin anew after a while.
    GiveUp,
    /// It is stuck: the port is opened anew, and it is greeted, for it may have come back by itself.
    Knock,
}

impl Remedy {
    /// How long to wait afterwards before it is asked again.
    #[must_use]
    pub fn pause(self) -> Duration {
        match self {
            Self::Ask | Self::Escape => Duration::ZERO,
            Self::Reopen => Duration::from_secs(2),
            Self::Restart | Self::Command => Duration::from_secs(30),
            Self::GiveUp | Self::Knock => Duration::from_secs(5),
        }
    }
}

/// How far down the ladder it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    silent: u8,
    stuck: bool,
    /// How often it is still greeted before it is restarted again.
    knocks: u8,
}

/// How often a stuck modem is greeted in vain before everything is tried once more. Each time takes a quarter of a minute: two greetings, and
/// the pause.
const KNOCKS: u8 = 4;

/// The steps, by the number of questions in a row that had no answer.
const LADDER: [Remedy; 8] =
    [Remedy::Ask, Remedy::Ask, Remedy::Ask, Remedy::Escape, Remedy::Reopen, Remedy::Restart, Remedy::Command, Remedy::GiveUp];

impl Recovery {
    /// It did not answer. While a call may run it is asked, and the port opened anew, but it is never restarted: that would cut the call.
    ///
    /// `has_command`: whether the operator has set a command.
    pub fn silent(&mut self, call_may_run: bool, has_command: bool) -> Remedy {
        if self.knocks > 0 {
            self.knocks -= 1;
            return Remedy::Knock;
        }
        loop {
            let remedy = LADDER.get(usize::from(self.silent)).copied().unwrap_or(Remedy::GiveUp);
            self.silent = self.silent.saturating_add(1);
            match remedy {
                Remedy::Restart | Remedy::Command | Remedy::GiveUp if call_may_run => {
                    // Round and round, until it answers or the call is over.
                    self.silent = 0;
                    return Remedy::Reopen;
                }
                Remedy::Command if !has_command => {}
                Remedy::GiveUp => {
                    *self = Self { silent: 0, stuck: true, knocks: KNOCKS };
                    return Remedy::GiveUp;
                }
                remedy => return remedy,
            }
        }
    }

    /// It answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Whether everything was tried, and it has not answered since.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_by_step_and_again_from_the_beginning() {
        use Remedy as R;
        let mut recovery = Recovery::default();
        let mut steps = |times: usize| (0..times).map(|_| recovery.silent(false, true)).collect::<Vec<_>>();
        let all = [R::Ask, R::Ask, R::Ask, R::Escape, R::Reopen, R::Restart, R::Command, R::GiveUp];
        assert_eq!(steps(8), all);
        assert_eq!(steps(4), [R::Knock; 4], "to ask is safe, to restart it again waits");
        assert_eq!(steps(8), all);
        assert!(recovery.is_stuck());
        recovery.answered();
        assert!(!recovery.is_stuck());
        let without: Vec<_> = (0..7).map(|_| recovery.silent(false, false)).collect();
        assert_eq!(without, [R::Ask, R::Ask, R::Ask, R::Escape, R::Reopen, R::Restart, R::GiveUp]);
    }

    #[test]
    fn a_stuck_modem_is_asked_soon_and_restarted_late() {
        let mut recovery = Recovery::default();
        while recovery.silent(false, false) != Remedy::GiveUp {}
        let pause = Remedy::GiveUp.pause();
        assert!(pause <= Duration::from_secs(5), "it is asked after {pause:?}");
        // A port that was opened anew is greeted twice in vain.
        let greeted = Duration::from_secs(10);
        let mut passed = pause + greeted;
        loop {
            let remedy = recovery.silent(false, false);
            if remedy == Remedy::Restart {
                break;
            }
            passed += remedy.pause() + if remedy.pause().is_zero() { Duration::from_secs(5) } else { greeted };
        }
        assert!(passed >= Duration::from_mins(1), "it is restarted after {passed:?}");
    }

    #[test]
    fn nothing_cuts_a_call_that_may_run() {
        let mut recovery = Recovery::default();
        for _ in 0..50 {
            let remedy = recovery.silent(true, true);
            assert!(matches!(remedy, Remedy::Ask | Remedy::Escape | Remedy::Reopen), "{remedy:?}");
        }
        assert!(!recovery.is_stuck());
    }
}
