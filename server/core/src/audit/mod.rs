//! Who changed what: the operations that leave a line in the audit log, and what a line says; pure.
//!
//! The timeline of an alarm tells what machines did as well. A line here is an act of somebody: a person, a program with a key, whoever runs
//! commands. What stands in it of before and after is small, and never a secret.

pub mod forget;
pub mod kept;

use serde_json::Value;

use crate::ids::PersonId;

/// What somebody did with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Made it.
    Added,
    /// Changed it.
    Changed,
    /// Removed it.
    Removed,
    /// Gave it another name.
    Renamed,
    /// Let it work again.
    Enabled,
    /// Let it work no more.
    Disabled,
    /// Gave it another secret.
    Rotated,
    /// Tried it out.
    Tested,
    /// Read it from a file.
    Imported,
    /// Took all of it out.
    Exported,
    /// Forgot all that is personal.
    Erased,
    /// Asked for it.
    Asked,
    /// Took what was asked for.
    Accepted,
    /// Said no.
    Declined,
    /// Took back what they had said.
    TakenBack,
    /// Raised it by hand.
    Raised,
    /// Took it.
    Acknowledged,
    /// Gave it back.
    GivenBack,
    /// Went on to the next step.
    Escalated,
    /// Put it off.
    Snoozed,
    /// Had everybody rung again.
    RungAgain,
    /// Left somebody out.
    Skipped,
    /// Wrote a remark.
    Remarked,
    /// Called it off.
    CalledOff,
    /// Said that it is over.
    Ended,
    /// Said that it was no alarm.
    MarkedFalse,
    /// Said that it was one after all.
    NotFalse,
    /// Said what is to be done in a call.
    Commanded,
    /// Heard it.
    Heard,
    /// Came in.
    LoggedIn,
    /// Was not let in.
    Refused,
    /// Left.
    LoggedOut,
}

/// What something was done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An alarm, a test, or a call.
    Alarm,
    /// A call that runs.
    Call,
    /// What was recorded.
    Recording,
    /// A message to many people.
    Shout,
    /// A number that wants no more messages.
    OptedOut,
    /// An escalation policy.
    Policy,
    /// Which alarms follow which policy.
    Rules,
    /// A number that must not be called.
    DoNotCall,
    /// When people are left in peace.
    QuietHours,
    /// Somebody in the roster.
    Person,
    /// How somebody wants to be told.
    Told,
    /// People who answer together.
    Team,
    /// Who is on duty when.
    Schedule,
    /// A layer of a schedule.
    Layer,
    /// A calendar that a schedule follows.
    Calendar,
    /// A change for some time.
    Override,
    /// Another plan for some time.
    Temporary,
    /// When somebody is away.
    Vacation,
    /// A swap of shifts.
    Swap,
    /// A calendar address.
    Feed,
    /// Whom notices are sent to.
    Webhook,
    /// A sender that is to be heard.
    Heartbeat,
    /// Who may log in.
    User,
    /// What somebody logs in with beside their password.
    SecondFactor,
    /// Where somebody is logged in.
    Session,
    /// The key of a sender.
    Key,
    /// A time of maintenance.
    Maintenance,
    /// A public number.
    Line,
    /// What sends text messages.
    Gateway,
    /// A phone.
    Handset,
    /// A sound that operators keep.
    Clip,
    /// Calls that another system lists.
    PhoneCalls,
    /// The file of everything.
    Everything,
    /// What is forgotten by its age.
    Retention,
}

macro_rules! words {
    ($name:ident { $($choice:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$choice),+];

            /// Its word, on the wire and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$choice => $word),+
                }
            }
        }
    };
}

words! { Verb {
    Added = "added", Changed = "changed", Removed = "removed", Renamed = "renamed", Enabled = "enabled", Disabled = "disabled",
    Rotated = "rotated", Tested = "tested", Imported = "imported", Exported = "exported", Erased = "erased", Asked = "asked",
    Accepted = "accepted", Declined = "declined", TakenBack = "taken_back", Raised = "raised", Acknowledged = "acknowledged",
    GivenBack = "handed_back", Escalated = "escalated", Snoozed = "snoozed", RungAgain = "rung_again", Skipped = "skipped",
    Remarked = "remarked", CalledOff = "called_off", Ended = "ended", MarkedFalse = "said_false", NotFalse = "said_true",
    Commanded = "commanded", Heard = "heard", LoggedIn = "logged_in", Refused = "refused", LoggedOut = "logged_out",
} }

words! { Kind {
    Alarm = "alarm", Call = "call", Recording = "recording", Shout = "shout", OptedOut = "opted_out", Policy = "policy",
    Rules = "rules", DoNotCall = "do_not_call", QuietHours = "quiet_hours", Person = "person", Told = "told", Team = "team",
    Schedule = "schedule", Layer = "layer", Calendar = "calendar", Override = "override", Temporary = "temporary",
    Vacation = "vacation", Swap = "swap", Feed = "feed", Webhook = "webhook", Heartbeat = "heartbeat", User = "user",
    SecondFactor = "second_factor", Session = "session", Key = "key",
    Maintenance = "maintenance", Line = "line", Gateway = "gateway", Handset = "handset", Clip = "clip",
    PhoneCalls = "phone_calls", Everything = "everything", Retention = "retention",
} }

macro_rules! operations {
    ($($name:ident = $kind:ident $verb:ident $word:literal),+ $(,)?) => {
        /// What was done. There are no others: whatever changes something or acts says one of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the words say it")]
        pub enum Operation { $($name),+ }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its word, on the wire and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }

            /// With what it was done.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind),+
                }
            }

            /// What was done with it.
            #[must_use]
            pub const fn verb(self) -> Verb {
                match self {
                    $(Self::$name => Verb::$verb),+
                }
            }
        }
    };
}

operations! {
    AlarmRaised = Alarm Raised "alarm_raised",
    AlarmAcknowledged = Alarm Acknowledged "alarm_acknowledged",
    AlarmDeclined = Alarm Declined "alarm_declined",
    AlarmGivenBack = Alarm GivenBack "alarm_given_back",
    AlarmEscalated = Alarm Escalated "alarm_escalated",
    AlarmPolicySet = Alarm Changed "alarm_policy_set",
    AlarmSnoozed = Alarm Snoozed "alarm_snoozed",
    AlarmRungAgain = Alarm RungAgain "alarm_rung_again",
    AlarmCalleeSkipped = Alarm Skipped "alarm_callee_skipped",
    AlarmRemarked = Alarm Remarked "alarm_remarked",
    AlarmCancelled = Alarm CalledOff "alarm_cancelled",
    AlarmResolved = Alarm Ended "alarm_resolved",
    AlarmMarkedFalse = Alarm MarkedFalse "alarm_said_false",
    AlarmNotFalse = Alarm NotFalse "alarm_said_true",
    CallCommanded = Call Commanded "call_ordered",
    RecordingHeard = Recording Heard "recording_listened",
    ShoutSent = Shout Added "shout_sent",
    ShoutCancelled = Shout CalledOff "shout_cancelled",
    OptedOutAdded = OptedOut Added "opted_out_added",
    OptedOutRemoved = OptedOut Removed "opted_out_removed",
    PolicyAdded = Policy Added "policy_added",
    PolicyChanged = Policy Changed "policy_changed",
    PolicyRemoved = Policy Removed "policy_removed",
    RulesChanged = Rules Changed "rules_changed",
    NumberForbidden = DoNotCall Added "number_forbidden",
    NumberAllowed = DoNotCall Removed "number_allowed",
    QuietHoursChanged = QuietHours Changed "quiet_hours_changed",
    PersonAdded = Person Added "person_added",
    PersonChanged = Person Changed "person_changed",
    PersonRemoved = Person Removed "person_removed",
    PersonExported = Person Exported "person_exported",
    PersonErased = Person Erased "person_erased",
    PeopleImported = Person Imported "people_imported",
    ToldChanged = Told Changed "told_changed",
    TeamAdded = Team Added "team_added",
    TeamChanged = Team Changed "team_changed",
    TeamRemoved = Team Removed "team_removed",
    ScheduleAdded = Schedule Added "schedule_added",
    ScheduleChanged = Schedule Changed "schedule_changed",
    ScheduleRemoved = Schedule Removed "schedule_removed",
    LayerChanged = Layer Changed "layer_changed",
    LayerRemoved = Layer Removed "layer_removed",
    ShiftsImported = Layer Imported "shifts_imported",
    CalendarSet = Calendar Changed "calendar_set",
    CalendarAsked = Calendar Asked "calendar_asked",
    CalendarRemoved = Calendar Removed "calendar_removed",
    OverrideAdded = Override Added "override_added",
    OverrideRemoved = Override Removed "override_removed",
    TemporaryAdded = Temporary Added "temporary_added",
    TemporaryRemoved = Temporary Removed "temporary_removed",
    VacationAdded = Vacation Added "vacation_added",
    VacationRemoved = Vacation Removed "vacation_removed",
    SwapAsked = Swap Asked "swap_asked",
    SwapAccepted = Swap Accepted "swap_accepted",
    SwapDeclined = Swap Declined "swap_declined",
    SwapTakenBack = Swap TakenBack "swap_taken_back",
    FeedAdded = Feed Added "feed_added",
    FeedRevoked = Feed Removed "feed_revoked",
    WebhookAdded = Webhook Added "webhook_added",
    WebhookChanged = Webhook Changed "webhook_changed",
    WebhookRemoved = Webhook Removed "webhook_removed",
    WebhookTested = Webhook Tested "webhook_tested",
    HeartbeatAdded = Heartbeat Added "heartbeat_added",
    HeartbeatChanged = Heartbeat Changed "heartbeat_changed",
    HeartbeatRemoved = Heartbeat Removed "heartbeat_removed",
    UserAdded = User Added "user_added",
    UserRoleSet = User Changed "user_role_set",
    UserTeamRoleSet = User Changed "user_team_role_set",
    UserSecondFactorSet = SecondFactor Added "user_second_factor_set",
    UserSecondFactorReset = SecondFactor Removed "user_second_factor_reset",
    UserRecoveryCodesMade = SecondFactor Rotated "user_recovery_codes_made",
    UserSessionEnded = Session Ended "user_session_ended",
    UserSessionsEnded = Session Ended "user_sessions_ended",
    UserPasswordSet = User Rotated "user_password_set",
    UserDisabled = User Disabled "user_disabled",
    UserEnabled = User Enabled "user_enabled",
    UserConnected = User Changed "user_connected",
    UserDisconnected = User Changed "user_disconnected",
    UserLoggedIn = User LoggedIn "user_logged_in",
    UserRefused = User Refused "user_refused",
    UserLoggedOut = User LoggedOut "user_logged_out",
    KeyAdded = Key Added "key_added",
    KeyChanged = Key Changed "key_changed",
    KeyRevoked = Key Removed "key_revoked",
    MaintenanceAdded = Maintenance Added "maintenance_added",
    MaintenanceEnded = Maintenance Ended "maintenance_ended",
    LineAdded = Line Added "line_added",
    LineChanged = Line Changed "line_changed",
    LineBound = Line Commanded "line_bound",
    LineForwarded = Line Rotated "line_forwarded",
    LineRemoved = Line Removed "line_removed",
    GatewayAdded = Gateway Added "gateway_added",
    GatewayChanged = Gateway Changed "gateway_changed",
    GatewayRemoved = Gateway Removed "gateway_removed",
    GatewayTested = Gateway Tested "gateway_tested",
    HandsetAdded = Handset Added "handset_added",
    HandsetChanged = Handset Changed "handset_changed",
    HandsetRenamed = Handset Renamed "handset_renamed",
    HandsetRotated = Handset Rotated "handset_rotated",
    HandsetDisabled = Handset Disabled "handset_disabled",
    HandsetEnabled = Handset Enabled "handset_enabled",
    HandsetRemoved = Handset Removed "handset_removed",
    HandsetTested = Handset Tested "handset_tested",
    ClipSet = Clip Changed "clip_set",
    ClipRemoved = Clip Removed "clip_removed",
    PhoneCallsImported = PhoneCalls Imported "phone_calls_imported",
    EverythingApplied = Everything Imported "everything_applied",
    Pruned = Retention Erased "pruned",
}

impl Operation {
    /// The operation of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.as_str() == word)
    }
}

impl Kind {
    /// The kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// What somebody did, as whoever did it for them says: who that was stands with the unit of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What was done.
    pub operation: Operation,
    /// With which thing: its id, where it has one.
    pub id: Option<String>,
    /// What that is called.
    pub name: Option<String>,
    /// The person whom it is about.
    pub about: Option<PersonId>,
    /// The person who did it, where that is known beside who was let in: a callee by their link.
    pub own: Option<PersonId>,
    /// As whom it was done, by the word of whoever did it.
    pub said: Option<String>,
    /// What was so before.
    pub before: Option<Value>,
    /// What is so since.
    pub after: Option<Value>,
}

impl Line {
    /// An operation on nothing in particular.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        Self { operation, id: None, name: None, about: None, own: None, said: None, before: None, after: None }
    }

    /// On the thing with this id.
    #[must_use]
    pub fn of(mut self, id: impl ToString) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// It is called so.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// On this person.
    #[must_use]
    pub fn about(mut self, person: Option<PersonId>) -> Self {
        self.about = person;
        self
    }

    /// By this person.
    #[must_use]
    pub fn by_person(mut self, person: Option<PersonId>) -> Self {
        self.own = person;
        self
    }

    /// In this name.
    #[must_use]
    pub fn in_name_of(mut self, name: Option<&str>) -> Self {
        self.said = name.map(|name| kept::cut(name, kept::LONGEST_NAME));
        self
    }

    /// What was so before.
    #[must_use]
    pub fn before(mut self, before: Value) -> Self {
        self.before = Some(before);
        self
    }

    /// What is so since.
    #[must_use]
    pub fn after(mut self, after: Value) -> Self {
        self.after = Some(after);
        self
    }

    /// As it is kept: small, and without secrets.
    #[must_use]
    pub fn as_kept(mut self) -> Self {
        let (before, after) = kept::change(self.before.take(), self.after.take());
        self.before = before;
        self.after = after;
        self.name = self.name.map(|name| kept::cut(&name, kept::LONGEST_NAME));
        self.id = self.id.map(|id| kept::cut(&id, kept::LONGEST_NAME));
        self
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_operation_has_one_word_and_is_found_by_it() {
        let words: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
        assert_eq!(words.len(), Operation::ALL.len());
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.as_str()), Some(*operation));
            assert_eq!(Kind::parse(operation.kind().as_str()), Some(operation.kind()));
        }
        assert_eq!(Operation::parse("nonsense"), None);
    }

    #[test]
    fn every_kind_and_every_verb_is_in_use() {
        for kind in Kind::ALL {
            assert!(Operation::ALL.iter().any(|operation| operation.kind() == *kind), "{}", kind.as_str());
        }
        for verb in Verb::ALL {
            assert!(Operation::ALL.iter().any(|operation| operation.verb() == *verb), "{}", verb.as_str());
        }
    }

    #[test]
    fn a_line_is_kept_without_what_stayed_the_same() {
        let line = Line::new(Operation::PersonChanged)
            .named("张伟")
            .before(serde_json::json!({ "name": "张伟", "language": "zh-CN" }))
            .after(serde_json::json!({ "name": "张伟", "language": "en" }))
            .as_kept();
        assert_eq!(line.before.unwrap(), serde_json::json!({ "language": "zh-CN" }));
        assert_eq!(line.after.unwrap(), serde_json::json!({ "language": "en" }));
    }
}
