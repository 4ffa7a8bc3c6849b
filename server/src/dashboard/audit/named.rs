//! What kinds of things, what was done, and ways in are called on the page.

use crate::audit::{Kind, Verb};
use crate::dashboard::frame::words::Words;

/// With what something was done.
pub(super) fn kind(words: &'static Words, kind: Kind) -> &'static str {
    match kind {
        Kind::Alarm => &words.audit_of_alarm,
        Kind::Call => &words.audit_of_call,
        Kind::Recording => &words.audit_of_recording,
        Kind::Shout => &words.audit_of_shout,
        Kind::OptedOut => &words.audit_of_opted_out,
        Kind::Policy => &words.audit_of_policy,
        Kind::Rules => &words.audit_of_rules,
        Kind::DoNotCall => &words.audit_of_do_not_call,
        Kind::QuietHours => &words.audit_of_quiet_hours,
        Kind::Person => &words.audit_of_person,
        Kind::Told => &words.audit_of_told,
        Kind::Team => &words.audit_of_team,
        Kind::Schedule => &words.audit_of_schedule,
        Kind::Layer => &words.audit_of_layer,
        Kind::Calendar => &words.audit_of_calendar,
        Kind::Override => &words.audit_of_override,
        Kind::Temporary => &words.audit_of_temporary,
        Kind::Vacation => &words.audit_of_vacation,
        Kind::Swap => &words.audit_of_swap,
        Kind::Feed => &words.audit_of_feed,
        Kind::Webhook => &words.audit_of_webhook,
        Kind::Heartbeat => &words.audit_of_heartbeat,
        Kind::User => &words.audit_of_user,
        Kind::SecondFactor => &words.audit_of_second_factor,
        Kind::Session => &words.audit_of_session,
        Kind::Key => &words.audit_of_key,
        Kind::Maintenance => &words.audit_of_maintenance,
        Kind::Line => &words.audit_of_line,
        Kind::Gateway => &words.audit_of_gateway,
        Kind::Handset => &words.audit_of_handset,
        Kind::Clip => &words.audit_of_clip,
        Kind::PhoneCalls => &words.audit_of_phone_calls,
        Kind::Everything => &words.audit_of_everything,
        Kind::Retention => &words.audit_of_retention,
    }
}

/// What was done.
pub(super) fn verb(words: &'static Words, verb: Verb) -> &'static str {
    match verb {
        Verb::Added => &words.audit_was_added,
        Verb::Changed => &words.audit_was_changed,
        Verb::Removed => &words.audit_was_removed,
        Verb::Renamed => &words.audit_was_renamed,
        Verb::Enabled => &words.audit_was_enabled,
        Verb::Disabled => &words.audit_was_disabled,
        Verb::Rotated => &words.audit_was_rotated,
        Verb::Tested => &words.audit_was_tested,
        Verb::Imported => &words.audit_was_imported,
        Verb::Exported => &words.audit_was_exported,
        Verb::Erased => &words.audit_was_erased,
        Verb::Asked => &words.audit_was_asked,
        Verb::Accepted => &words.audit_was_accepted,
        Verb::Declined => &words.audit_was_declined,
        Verb::TakenBack => &words.audit_was_taken_back,
        Verb::Raised => &words.audit_was_raised,
        Verb::Acknowledged => &words.audit_was_acknowledged,
        Verb::GivenBack => &words.audit_was_given_back,
        Verb::Escalated => &words.audit_was_escalated,
        Verb::Snoozed => &words.audit_was_snoozed,
        Verb::RungAgain => &words.audit_was_rung_again,
        Verb::Skipped => &words.audit_was_skipped,
        Verb::Remarked => &words.audit_was_remarked,
        Verb::CalledOff => &words.audit_was_called_off,
        Verb::Ended => &words.audit_was_ended,
        Verb::MarkedFalse => &words.audit_was_marked_false,
        Verb::NotFalse => &words.audit_was_not_false,
        Verb::Commanded => &words.audit_was_commanded,
        Verb::Heard => &words.audit_was_heard,
        Verb::LoggedIn => &words.audit_was_logged_in,
        Verb::Refused => &words.audit_was_refused,
        Verb::LoggedOut => &words.audit_was_logged_out,
    }
}

/// By what whoever did it came in.
pub(super) fn way(words: &'static Words, doer: &str) -> &'static str {
    match doer {
        "user" => &words.audit_by_user,
        "key" => &words.audit_by_key,
        "open_network" => &words.audit_by_open_network,
        "handset" => &words.audit_by_handset,
        "link" => &words.audit_by_link,
        "text_message" => &words.audit_by_text_message,
        "command_line" => &words.audit_by_command_line,
        _ => &words.audit_by_server,
    }
}
