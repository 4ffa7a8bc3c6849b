//! Acts on alarms as lines of the audit log. What machines do stands on the timeline alone: an alarm that a sender raises or ends, a call that is
//! handed out and reported.

use crate::alarm::doer::{Actor, Doer};
use crate::audit::{Line, Operation};
use crate::store::alarm::alarms::AlarmRow;

/// A line about one alarm, done by somebody in the name they say.
pub(in crate::engine) fn line(operation: Operation, alarm: &AlarmRow, by: &Actor) -> Line {
    Line::new(operation).of(alarm.id).named(alarm.number.to_string()).in_name_of(by.name.as_deref())
}

/// Whether whoever raises or ends an alarm does so by hand. A key and an open network are a sender's, whose alarms are what it is for.
pub(in crate::engine) fn by_hand(doer: &Doer) -> bool {
    match doer {
        Doer::User { .. } | Doer::CommandLine | Doer::Link | Doer::TextMessage => true,
        Doer::Key { .. } | Doer::OpenNetwork { .. } | Doer::Handset { .. } | Doer::Server => false,
    }
}
