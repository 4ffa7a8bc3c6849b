//! The figures themselves: what is counted, added and taken off.

use serde::{Deserialize, Serialize};

use super::times::Times;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// Makes of one list the counts, their sum and their names.
macro_rules! figures {
    ($($(#[$doc:meta])* $count:ident)+) => {
        /// Counts, and how long things took.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Figures {
            $($(#[$doc])* #[serde(skip_serializing_if = "is_zero")] pub $count: i64,)+
            /// From the beginning to the first answer: of hunts since the hunt began, of a person's calls since the call was handed out.
            #[serde(skip_serializing_if = "Times::is_empty")]
            pub to_answer: Times,
            /// The same until somebody confirmed.
            #[serde(skip_serializing_if = "Times::is_empty")]
            pub to_confirm: Times,
        }

        impl Figures {
            /// Adds others so many times.
            pub fn add(&mut self, others: &Self, times: i64) {
                $(self.$count += others.$count * times;)+
                self.to_answer.add(&others.to_answer, times);
                self.to_confirm.add(&others.to_confirm, times);
            }

            /// Nothing is counted.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                $(self.$count == 0)&&+ && self.to_answer.is_empty() && self.to_confirm.is_empty()
            }
        }
    };
}

figures! {
    /// Alarms that came, each on the day on which it was raised.
    alarms
    /// Of these, at night.
    alarms_at_night
    /// Of these, at a weekend.
    alarms_at_weekend
    /// How often these came again.
    repeats
    /// Of these, false ones.
    false_alarms
    /// Hunts: how often people were to be rung, each on the day on which it began.
    hunts
    /// Of these, answered.
    answered
    /// Of these, confirmed; of a person: how often they confirmed.
    confirmed
    /// Of these, ended without anybody being reached.
    unanswered
    /// How often somebody said no.
    declined
    /// Calls that left a handset, or of which nobody knows whether they did; each on the day on which it was handed out.
    calls
    /// Of these, at night for whoever was called.
    calls_at_night
    /// Of these, at a weekend for whoever was called.
    calls_at_weekend
    /// Of these, picked up.
    calls_answered
    /// Of these, that rang in vain, were busy or were turned away.
    calls_not_reached
    /// Calls that never left the handset, which are not among these.
    calls_failed
}
