//! *Shouts*: messages to many people. Their words are in `frame/words/pages/shouts.toml`.

mod calls;
pub(in crate::dashboard) mod draft;
pub(in crate::dashboard) mod list;
pub(in crate::dashboard) mod one;
pub(in crate::dashboard) mod opted_out;
pub(in crate::dashboard) mod write;

use super::frame::words::{Words, fill_text};
use crate::shout::{CallStatus, ShoutStatus};

/// What a shout is called: its title, else its number.
fn name(words: &Words, id: i64, title: Option<&str>) -> String {
    title.map_or_else(|| fill_text(&words.shout_untitled, &[("id", &id.to_string())]), str::to_owned)
}

/// How a shout stands: the class of its mark, and its word.
fn state(words: &'static Words, status: ShoutStatus) -> (&'static str, &'static str) {
    match status {
        ShoutStatus::Pending => ("waiting", &words.shout_pending),
        ShoutStatus::Ready => ("waiting", &words.shout_ready),
        ShoutStatus::Scheduled => ("waiting", &words.shout_scheduled),
        ShoutStatus::Ongoing => ("now", &words.shout_ongoing),
        ShoutStatus::Finished => ("answered", &words.shout_finished),
        ShoutStatus::TimedOut => ("bad", &words.shout_timed_out),
        ShoutStatus::Canceled => ("plain", &words.shout_canceled),
        ShoutStatus::Error => ("bad", &words.shout_error),
    }
}

/// How a call of one stands: the class of its mark, and its word.
fn call_state(words: &'static Words, status: CallStatus, by_machine: bool) -> (&'static str, &'static str) {
    match status {
        CallStatus::Pending | CallStatus::Ready => ("waiting", &words.shout_waits),
        CallStatus::Ongoing => ("now", &words.shout_under_way),
        CallStatus::Completed if by_machine => ("plain", &words.shout_machine),
        CallStatus::Completed => ("answered", &words.shout_heard),
        CallStatus::OptedOut => ("plain", &words.shout_opted_out),
        CallStatus::Busy => ("plain", &words.shout_busy),
        CallStatus::NoAnswer => ("plain", &words.shout_no_answer),
        CallStatus::Failed => ("bad", &words.shout_call_failed),
        CallStatus::AppError => ("bad", &words.shout_app_error),
        CallStatus::DoNotCall => ("plain", &words.shout_barred),
        CallStatus::TimedOut => ("plain", &words.shout_given_up),
        CallStatus::Cancelled => ("plain", &words.shout_not_called),
    }
}
