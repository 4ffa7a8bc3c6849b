//! The catalogue of problems: every reason for which the API refuses something, what it means, and what to do. `/api/problems` shows it.

use serde::Serialize;

/// Declares the kinds of problem: its name in the code, its word on the wire, its title, what it means, and what to do about it.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $kind:ident = $word:literal, $title:literal, $meaning:literal, $remedy:literal;)+) => {
        /// A kind of problem. Its word is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
        #[schema(as = ProblemCode)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(
                #[doc = $meaning]
                $kind,
            )+
        }

        impl Code {
            /// All of them, in the order of their words.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }

            /// What it is, in a few words; the same each time.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning),+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy),+ }
            }
        }
    };
}

catalogue! {
    AlarmIsOver = "alarm_is_over", "The alarm is over",
        "The alarm was resolved or called off, so nothing can be done about it any more.", "Raise it again if it burns again.";
    AlreadyDone = "already_done", "It was done already",
        "The request was done under this `Idempotency-Key`, and its answer was too long to be kept.", "Read what it made or changed.";
    BodyBrokeOff = "body_broke_off", "The body broke off",
        "The body ended early, or is not packed as its head says.", "Send the request again.";
    BodyTooLarge = "body_too_large", "The body is too large",
        "The body is larger than `http.body_limit_bytes` allows.", "Send less, or raise the limit.";
    BodyTooSlow = "body_too_slow", "The body came too slowly",
        "The body had not come to its end in time.", "Send the request again after `Retry-After`.";
    Busy = "busy", "Too much is worked on at once",
        "As many costly requests as the server works on at once are under way.", "Send the request again after `Retry-After`.";
    CalendarUnreadable = "calendar_unreadable", "The calendar cannot be read",
        "What is at the address that a schedule is to follow cannot be read as a calendar.", "Look at the address; `detail` says what was found there.";
    CallNotRunning = "call_not_running", "The call does not run",
        "The call is over, was given up, or never left its handset.", "Look at its record; raise or ring again if that is meant.";
    ChangedMeanwhile = "changed_meanwhile", "Somebody else has changed it",
        "It is not what `If-Match`, `If-None-Match` or `version` says that you have read.", "Read it again, and change what it says now.";
    DatabaseUnavailable = "database_unavailable", "The database is away",
        "The database can neither store nor read this now.", "Send the request again after `Retry-After`, with the same `Idempotency-Key`.";
    FollowedByLine = "followed_by_line", "A public number follows it",
        "A public number follows this team or schedule.", "Let the public number follow somebody else first.";
    HandsetCannot = "handset_cannot", "The handset cannot do this",
        "The handset that holds the call takes no commands while a call runs, or not this one.", "Use a handset that does, such as one over SIP.";
    IdempotencyKeyReused = "idempotency_key_reused", "The key was used for something else",
        "Another request came with this `Idempotency-Key` before.", "Use a new key for each request that differs.";
    IfMatchRequired = "if_match_required", "If-Match is missing",
        "The request replaces a whole list and does not say which one it has read.", "Give the `ETag` of what you read as `If-Match`, or `*`.";
    ImportRefused = "import_refused", "The file was refused",
        "The file cannot be read as a whole; nothing of it was kept.", "Mend the lines that are named.";
    Internal = "internal", "The server failed",
        "Something went wrong in the server; its log says what.", "Send the request again; tell whoever runs the server.";
    InvalidField = "invalid_field", "Something in the request is wrong",
        "A field, a parameter or a header holds what it cannot hold. `errors` names each of them.", "Mend what is named.";
    KeyMayNot = "key_may_not", "The key may not",
        "What is asked for needs a right that this key, or whoever comes without one, does not have; or the key is bound to other alarms.", "Use a key that has it: `detail` says which, and how to get it.";
    MalformedJson = "malformed_json", "The body is not JSON",
        "The body is not a JSON object.", "Send one JSON object in UTF-8.";
    MethodNotAllowed = "method_not_allowed", "The address does not take this method",
        "There is something at this address, but not for this method.", "Use a method that `Allow` names.";
    NameTaken = "name_taken", "The name is taken",
        "There is or was another one of this name.", "Choose another name.";
    NoFurtherStep = "no_further_step", "There is no further step",
        "The policy of this alarm has no step after the one that is being rung.", "Nothing: it is the last step.";
    NoHost = "no_host", "Host is missing",
        "A request in HTTP/1.1 has a `Host` header.", "Send it.";
    NoRoom = "no_room", "There is no room",
        "As much sound is kept as `media.most_bytes` allows.", "Remove clips, let recordings go earlier, or raise the limit.";
    NoSound = "no_sound", "It is no sound that is taken",
        "The file is no WAV file with PCM of 8 or 16 bit, A-law or µ-law, or is longer than 600 seconds.", "Convert it: `detail` says what is wrong.";
    NobodyIsRung = "nobody_is_rung", "Nobody is being rung",
        "Nobody is rung for this alarm any more.", "Ring again with `redial` if that is meant.";
    NotAdmitted = "not_admitted", "Not from there",
        "Without a key, requests from this address or page are not let in; or the key is for something else.", "Send a key: `autocall key add --name NAME` makes one.";
    NotFound = "not_found", "There is no such thing",
        "What the address or a name in it stands for is not there, or not any more.", "Look at the address and the id.";
    NotTaken = "not_taken", "Nobody has it",
        "Nobody has taken this alarm, so nobody can give it back.", "Read the alarm again; `answer` says who has it.";
    PersonIsNeeded = "person_is_needed", "Somebody needs this person now",
        "They are on duty, an open alarm may ring them, a public number is bound to them, or nobody else could log in as an admin.",
        "Do what `detail` says, then ask again.";
    SameKeyUnderWay = "same_key_under_way", "The first request is under way",
        "A request with this `Idempotency-Key` came before and has not been answered yet.", "Ask again in a few seconds.";
    StillRinging = "still_ringing", "It still rings",
        "People are being rung for this alarm now.", "Wait until that is over.";
    SwapCannotBe = "swap_cannot_be", "The swap cannot be made",
        "As the plan stands, the shift is not that person's, or the other is on duty or away then; `detail` says which.", "Look at the plan, then ask for another shift.";
    SwapIsOver = "swap_is_over", "The swap waits for no answer",
        "The request was answered or taken back, its shift has begun, or another request for the same shift waits.", "Read the swap again; nothing was changed.";
    TooCostly = "too_costly", "It costs too much",
        "Working this out takes longer than the server allows.", "Ask for less: a shorter time, a smaller file.";
    TooManyAlarms = "too_many_alarms", "Too many alarms",
        "This sender raised more alarms in a minute than `http.alarms_per_minute` allows.", "Send it again after `Retry-After`.";
    TooManyCommands = "too_many_commands", "Too many commands",
        "This call has had as many commands as a call may have.", "Let it end.";
    TooManyKeys = "too_many_keys", "Too many Idempotency-Keys",
        "More requests with an `Idempotency-Key` came within a day than are remembered.", "Send the request without one, or wait.";
    TooManyWrongKeys = "too_many_wrong_keys", "Too many wrong keys",
        "Too many wrong keys or tokens came from this address.", "Wait for `Retry-After`, and copy the key again.";
    TooMuchAtOnce = "too_much_at_once", "Too many large requests",
        "As many large bodies as there is room for are being read.", "Send the request again after `Retry-After`.";
    TookTooLong = "took_too_long", "It took too long",
        "The server did not get it done within `http.request_timeout_seconds`. It may still have been done.", "Send the request again after `Retry-After`, with the same `Idempotency-Key`.";
    TryAgain = "try_again", "Try again",
        "Others changed the same thing at the same time, again and again.", "Send the request again after `Retry-After`.";
    Unauthorized = "unauthorized", "A key is needed",
        "There is no key, or it is not known, was revoked, or has expired.", "Send a key as `Authorization: Bearer KEY`: `autocall key add --name NAME` makes one.";
    UnknownForm = "unknown_form", "A file of this kind is not taken",
        "`Content-Type` names neither CSV nor iCalendar.", "Send CSV as `text/csv`, an iCalendar file as `text/calendar`.";
    UnknownToken = "unknown_token", "Nothing has this token",
        "No heartbeat and no gateway has the token in the address.", "Copy the whole address again.";
    UnsupportedEncoding = "unsupported_encoding", "The body is written in another encoding",
        "The body is neither UTF-8 nor packed in a way that is taken.", "Send UTF-8, plain or packed with gzip.";
    WrongSignature = "wrong_signature", "The signature is wrong",
        "The report is not signed with the gateway's secret.", "Give the app the same signing secret as the gateway here.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_once_and_in_order() {
        let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert!(words.is_sorted() && words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
        for code in Code::ALL {
            assert_eq!(serde_json::json!(code), code.word(), "the same in an answer");
            assert!(code.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", code.word());
            assert!(code.meaning().ends_with('.') && code.remedy().ends_with('.'), "{}", code.word());
        }
    }
}
