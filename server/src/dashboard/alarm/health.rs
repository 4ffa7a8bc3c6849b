//! How a handset is, as the pages say it: one word, the worst that is true of it; pure.

use chrono::{DateTime, Utc};

use crate::engine::watch::handsets::is_served;
use crate::engine::watch::outages::counts;
use crate::store::watch::channels::ChannelRow;
use crate::store::watch::handsets::HandsetRow;

/// How a handset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Health {
    Disabled,
    Stuck,
    Offline,
    Shared,
    Restarted,
    Failing,
    /// It cannot be handed anything: it has no token, and nothing is handed out without one.
    Unserved,
    /// It polled without a token, and was not heard again.
    Stray,
    NeverPolled,
    InDial,
    Answers,
}

impl Health {
    pub(in crate::dashboard) fn of(
        handset: &HandsetRow,
        channels: &[ChannelRow],
        busy: bool,
        plain_path_open: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let fails = |channel: i32| channels.iter().any(|row| row.channel == channel && row.failures > 0);
        if handset.disabled_at.is_some() {
            Self::Disabled
        } else if !busy && !is_served(handset, plain_path_open) {
            // Whoever holds a call was served, and is one of the phones until it is over.
            Self::Unserved
        } else if !busy && handset.last_seen_at.is_some() && !counts(handset, now) {
            Self::Stray
        } else if handset.stuck_since.is_some() {
            Self::Stuck
        } else if handset.offline_since.is_some() {
            Self::Offline
        } else if handset.shared_since.is_some() {
            Self::Shared
        } else if handset.restarted_since.is_some() {
            Self::Restarted
        } else if handset.failures > 0 || (0..handset.usable_channels()).all(fails) {
            Self::Failing
        } else if handset.last_seen_at.is_none() {
            Self::NeverPolled
        } else if busy {
            Self::InDial
        } else {
            Self::Answers
        }
    }

    /// It takes alarms.
    pub(in crate::dashboard) fn serves(self) -> bool {
        matches!(self, Self::Answers | Self::InDial | Self::Shared | Self::Restarted)
    }

    /// It is one of the phones that are to ring people.
    pub(in crate::dashboard) fn counts(self) -> bool {
        !matches!(self, Self::Disabled | Self::Unserved | Self::Stray)
    }
}
