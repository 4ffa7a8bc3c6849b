//! Detail records of shouts: a JSON object each, with the keys of blast-api's files in their order. Times have milliseconds and a `Z`.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::CallStatus;
use super::calls::Call;
use super::course::Course;

/// What a shout's record says beside where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Shout<'s> {
    /// Its id.
    pub id: i64,
    /// What its sender calls it.
    pub title: Option<&'s str>,
    /// The name space.
    pub userdata: &'s str,
    /// Whose phone the message is spoken on.
    pub caller: &'s str,
    /// When it was taken in.
    pub created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Bdr<'s> {
    title: Option<&'s str>,
    user_data: &'s str,
    recording: Option<i64>,
    schedule: Option<String>,
    status: &'static str,
    created: String,
    caller: &'s str,
    started: Option<String>,
    finished: Option<String>,
    recording_call_status: i32,
    rec_call_status_updated_at: String,
    pk: i64,
}

/// The record of a shout that is over. Its recording is known by the id of the shout.
#[must_use]
pub fn bdr(shout: &Shout<'_>, course: &Course) -> String {
    line(&Bdr {
        title: shout.title,
        user_data: shout.userdata,
        recording: course.has_message.then_some(shout.id),
        schedule: course.schedule.map(time),
        status: course.status.as_str(),
        created: time(shout.created_at),
        caller: shout.caller,
        started: course.started_at.map(time),
        finished: course.finished_at.map(time),
        recording_call_status: course.step.number(),
        rec_call_status_updated_at: time(course.step_at),
        pk: shout.id,
    })
}

#[derive(Serialize)]
struct Cdr<'s> {
    message: i64,
    to_number: &'s str,
    sid: &'s str,
    duration: i64,
    status: &'static str,
    created: String,
    started: Option<String>,
    finished: Option<String>,
    q850: i32,
    num_retries: u32,
    pk: i64,
}

/// Of which call of a shout a record is.
#[derive(Clone, Copy, Debug)]
pub struct OfCall<'s> {
    /// The id of its shout.
    pub shout: i64,
    /// Its own.
    pub id: i64,
    /// The number as its sender wrote it.
    pub phone: &'s str,
    /// When its shout was taken in.
    pub created_at: DateTime<Utc>,
}

/// The record of a try, or of a call that ends without one.
#[must_use]
pub fn cdr(of: &OfCall<'_>, call: &Call) -> String {
    // What is tried again has failed this time.
    let status = if call.status == CallStatus::Ready { CallStatus::Failed } else { call.status };
    line(&Cdr {
        message: of.shout,
        to_number: of.phone,
        sid: "",
        duration: call.seconds,
        status: status.as_str(),
        created: time(of.created_at),
        started: call.started_at.map(time),
        finished: call.finished_at.map(time),
        q850: call.q850,
        num_retries: call.retries,
        pk: of.id,
    })
}

/// The call in which a message was spoken.
#[derive(Clone, Debug)]
pub struct Recorded<'s> {
    /// The name of the call, as far as it may be shown.
    pub sid: &'s str,
    /// How it ended.
    pub status: &'s str,
    /// How long they talked, in seconds.
    pub seconds: i64,
    /// The length of the message in seconds; 0: there is none.
    pub message_seconds: i64,
    /// The id of its shout.
    pub shout: i64,
    /// When it was over.
    pub at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Rec<'s> {
    #[serde(rename = "CallSid")]
    sid: &'s str,
    #[serde(rename = "CallStatus")]
    status: &'s str,
    #[serde(rename = "CallDuration")]
    seconds: String,
    #[serde(rename = "RecordingDuration")]
    message_seconds: String,
    #[serde(rename = "RecordingUrl")]
    url: String,
    message_id: String,
    finished: String,
}

/// The record of the call in which a message was spoken. Lengths are texts, as in the original; the address holds no secret.
#[must_use]
pub fn rec(recorded: &Recorded<'_>) -> String {
    line(&Rec {
        sid: recorded.sid,
        status: recorded.status,
        seconds: recorded.seconds.to_string(),
        message_seconds: recorded.message_seconds.to_string(),
        url: if recorded.message_seconds > 0 { format!("/shouts/{}/message", recorded.shout) } else { String::new() },
        message_id: recorded.shout.to_string(),
        finished: time(recorded.at),
    })
}

/// A time as records give it: milliseconds, none where there are none.
#[must_use]
pub fn time(at: DateTime<Utc>) -> String {
    let form = if at.timestamp_subsec_millis() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
    at.format(form).to_string()
}

fn line(record: &impl Serialize) -> String {
    // Texts and numbers under plain names can always be written.
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::shout::{RecordingStep, ShoutStatus};

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_767_225_600_000 + millis).unwrap()
    }

    #[test]
    fn a_shout_has_its_keys_in_their_order() {
        let course = Course {
            status: ShoutStatus::Finished,
            step: RecordingStep::Confirmed,
            step_at: at(1500),
            has_message: true,
            schedule: None,
            started_at: Some(at(2000)),
            finished_at: Some(at(60_250)),
        };
        let shout = Shout { id: 7, title: None, userdata: "u \"1\"", caller: "15557654321", created_at: at(0) };
        assert_eq!(
            bdr(&shout, &course),
            r#"{"title":null,"user_data":"u \"1\"","recording":7,"schedule":null,"status":"finished","created":"2026-01-01T00:00:00Z","caller":"15557654321","started":"2026-01-01T00:00:02Z","finished":"2026-01-01T00:01:00.250Z","recording_call_status":5,"rec_call_status_updated_at":"2026-01-01T00:00:01.500Z","pk":7}"#
        );
    }

    #[test]
    fn a_call_has_its_keys_in_their_order_and_a_try_that_is_repeated_has_failed() {
        let of = OfCall { shout: 7, id: 9, phone: "15551230000", created_at: at(0) };
        let call = Call { seconds: 12, started_at: Some(at(1)), finished_at: Some(at(2000)), ..Call::new(CallStatus::Completed) };
        assert_eq!(
            cdr(&of, &call),
            r#"{"message":7,"to_number":"15551230000","sid":"","duration":12,"status":"completed","created":"2026-01-01T00:00:00Z","started":"2026-01-01T00:00:00.001Z","finished":"2026-01-01T00:00:02Z","q850":0,"num_retries":0,"pk":9}"#
        );
        let call = Call { q850: 41, retries: 1, ..Call::new(CallStatus::Ready) };
        assert!(cdr(&of, &call).contains(r#""status":"failed","#));
    }

    #[test]
    fn a_recording_has_its_keys_in_their_order() {
        let recorded = Recorded { sid: "1a2b3c4d", status: "completed", seconds: 30, message_seconds: 7, shout: 7, at: at(500) };
        assert_eq!(
            rec(&recorded),
            r#"{"CallSid":"1a2b3c4d","CallStatus":"completed","CallDuration":"30","RecordingDuration":"7","RecordingUrl":"/shouts/7/message","message_id":"7","finished":"2026-01-01T00:00:00.500Z"}"#
        );
    }
}
