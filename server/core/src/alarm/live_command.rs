//! **What became of a command in a call**: told from what is known of it and of its call, so that nobody has to write down that time passed.

use android_protocol::live::{COMMAND_LIVES_SECONDS, LiveOrder, LiveWord};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// Why a command came to nothing: it was not carried out in time, or its call was over.
pub const TOO_LATE: &str = "too_late";
/// The handset says that it could not, and not why.
pub const FAILED: &str = "error";
/// So many characters of a handset's words.
const LONGEST_WHY: usize = 200;

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// Its handset has not fetched it yet.
    Waiting,
    /// Its handset has it.
    Sent,
    /// It was carried out.
    Done,
    /// It was not, and will not be.
    Failed,
}

/// What is known of a command and its call.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Its handset has fetched it.
    pub sent: bool,
    /// Its handset has said what became of it: nothing, or why it could not.
    pub done: Option<Result<(), &'k str>>,
    /// It is to hang up.
    pub drops: bool,
    /// Its call is over.
    pub call_over: bool,
}

/// Before then a command is of no use any more.
#[must_use]
pub fn too_old(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::seconds(COMMAND_LIVES_SECONDS)
}

/// Where a command stands at this moment, and why it came to nothing.
#[must_use]
pub fn stands<'k>(known: &Known<'k>, now: DateTime<Utc>) -> (CommandState, Option<&'k str>) {
    match known.done {
        Some(Ok(())) => (CommandState::Done, None),
        Some(Err(why)) => (CommandState::Failed, Some(why)),
        // Whoever was told to hang up, and has: that is what was wanted.
        None if known.sent && known.drops && known.call_over => (CommandState::Done, None),
        None if known.call_over => (CommandState::Failed, Some(TOO_LATE)),
        None if known.sent => (CommandState::Sent, None),
        None if known.made_at <= too_old(now) => (CommandState::Failed, Some(TOO_LATE)),
        None => (CommandState::Waiting, None),
    }
}

/// When a command came to its end: when its handset said so, and else when its call was over, or when it was too late to fetch it.
#[must_use]
pub fn ended_at(known: &Known<'_>, done_at: Option<DateTime<Utc>>, call_over_at: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let too_late = known.made_at + TimeDelta::seconds(COMMAND_LIVES_SECONDS);
    let with_call = call_over_at.map(|at| at.max(known.made_at));
    match (done_at, with_call) {
        (Some(at), _) => at,
        (None, Some(at)) if known.sent => at,
        (None, Some(at)) => at.min(too_late),
        (None, None) => too_late,
    }
}

/// What a handset's word says of the command that it names: nothing yet, that it was carried out, or why it could not be.
#[must_use]
pub fn outcome(word: LiveWord, value: Option<&str>) -> Option<Result<(), String>> {
    match word {
        // It goes on.
        LiveWord::Playing => None,
        LiveWord::Error => {
            let why: String = value.unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST_WHY).collect();
            Some(Err(if why.is_empty() { FAILED.to_owned() } else { why }))
        }
        LiveWord::Played
        | LiveWord::Stopped
        | LiveWord::Key
        | LiveWord::Collected
        | LiveWord::Recording
        | LiveWord::Joined
        | LiveWord::Left
        | LiveWord::Ended => Some(Ok(())),
    }
}

/// Whether a command is to hang up.
#[must_use]
pub fn drops(order: &LiveOrder) -> bool {
    matches!(order, LiveOrder::Drop { .. })
}

/// The word of a command, as it goes over the wire.
#[must_use]
pub fn word(order: &LiveOrder) -> &'static str {
    match order {
        LiveOrder::Play { .. } => "play",
        LiveOrder::Stop => "stop",
        LiveOrder::SendDtmf { .. } => "send_dtmf",
        LiveOrder::Collect { .. } => "collect",
        LiveOrder::Record { .. } => "record",
        LiveOrder::Join { .. } => "join",
        LiveOrder::Leave => "leave",
        LiveOrder::RoomPlay { .. } => "room_play",
        LiveOrder::RoomStop { .. } => "room_stop",
        LiveOrder::RoomRecord { .. } => "room_record",
        LiveOrder::RoomEndRecording { .. } => "room_end_recording",
        LiveOrder::Drop { .. } => "drop",
        LiveOrder::Answer => "answer",
        LiveOrder::Reject { .. } => "reject",
        LiveOrder::Redirect { .. } => "redirect",
        LiveOrder::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn time_and_the_end_of_the_call_tell_what_nobody_wrote_down() {
        let fresh = Known { made_at: at(0), sent: false, done: None, drops: false, call_over: false };
        assert_eq!(stands(&fresh, at(29)), (CommandState::Waiting, None));
        assert_eq!(stands(&fresh, at(30)), (CommandState::Failed, Some(TOO_LATE)));
        assert_eq!(stands(&Known { call_over: true, ..fresh }, at(1)), (CommandState::Failed, Some(TOO_LATE)));
        let sent = Known { sent: true, ..fresh };
        assert_eq!(stands(&sent, at(500)), (CommandState::Sent, None));
        assert_eq!(stands(&Known { call_over: true, ..sent }, at(1)), (CommandState::Failed, Some(TOO_LATE)));
        assert_eq!(stands(&Known { call_over: true, drops: true, ..sent }, at(1)), (CommandState::Done, None));
        assert_eq!(stands(&Known { call_over: true, drops: true, ..fresh }, at(1)), (CommandState::Failed, Some(TOO_LATE)));
    }

    #[test]
    fn it_ends_when_that_is_said_or_else_with_its_call_or_its_time() {
        let waits = Known { made_at: at(10), sent: false, done: None, drops: false, call_over: false };
        let sent = Known { sent: true, ..waits };
        assert_eq!(ended_at(&sent, Some(at(12)), Some(at(99))), at(12));
        assert_eq!(ended_at(&sent, None, Some(at(99))), at(99));
        assert_eq!(ended_at(&waits, None, Some(at(15))), at(15));
        assert_eq!(ended_at(&waits, None, Some(at(99))), at(40));
        assert_eq!(ended_at(&waits, None, Some(at(1))), at(10), "never before it was made");
        assert_eq!(ended_at(&waits, None, None), at(40));
    }

    #[test]
    fn a_handsets_word_tells_what_became_of_it() {
        assert_eq!(outcome(LiveWord::Playing, None), None);
        assert_eq!(outcome(LiveWord::Played, None), Some(Ok(())));
        assert_eq!(outcome(LiveWord::Error, Some("no\u{7}_call")), Some(Err("no_call".to_owned())));
        assert_eq!(outcome(LiveWord::Error, Some("")), Some(Err("error".to_owned())));
    }

    proptest! {
        /// What a handset has said stays so, whatever else is known and however late it is.
        #[test]
        fn what_was_said_stays(sent: bool, drops: bool, call_over: bool, failed: bool, later in 0_i64..100_000) {
            let done = Some(if failed { Err("media") } else { Ok(()) });
            let (state, why) = stands(&Known { made_at: at(0), sent, done, drops, call_over }, at(later));
            prop_assert_eq!(state == CommandState::Failed, failed);
            prop_assert_eq!(why.is_some(), failed);
        }
    }
}
