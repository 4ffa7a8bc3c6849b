//! Public numbers that follow the person on duty, and each time they were handed over.

use chrono::{DateTime, Utc};

use crate::ids::{AlarmId, CommandId, GatewayId, HandOverId, HandsetId, LineId, SmsId};
use crate::line::command::AppBuild;
use crate::line::network::{ASK_SOON_AFTER, Network};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};
use crate::versions::Version;

row! {
    /// A public number as it is stored.
    #[derive(Clone, Debug)]
    pub struct LineRow {
        /// Which one.
        pub id: LineId,
        /// What people call it.
        pub name: String,
        /// The team whose person on duty it follows.
        pub team: String,
        /// What people outside dial.
        pub number: String,
        /// Where the handset that holds its SIM gets messages.
        pub sms_number: String,
        /// Whose forwarding codes it takes.
        pub carrier: String,
        /// The Android version of that handset.
        pub android: i32,
        /// The build of the app on it.
        pub app_build: AppBuild,
        /// What the message says beside the command.
        pub text: String,
        /// Through which gateway it is reached.
        pub gateway_id: GatewayId,
        /// That handset, when it also rings people for us.
        pub handset_id: Option<HandsetId>,
        /// The handset that rings the number to prove a hand-over.
        pub verify_handset_id: Option<HandsetId>,
        /// Who is always on duty.
        pub bound_name: Option<String>,
        /// Their number.
        pub bound_number: Option<String>,
        /// The number that was on duty when it was last looked at.
        pub duty_number: Option<String>,
        /// Counts its hand-overs.
        pub latest_seq: i32,
        /// When it was made.
        pub created_at: DateTime<Utc>,
    }
}

impl LineRow {
    /// The version of what operators say of it: a hand-over is no other one.
    #[must_use]
    pub fn version(&self) -> Version {
        let reached = (self.gateway_id, self.handset_id, self.verify_handset_id);
        let bound = (&self.bound_name, &self.bound_number);
        let told = (&self.carrier, self.android, self.app_build, &self.text);
        Version::of(&(self.id, &self.name, &self.team, &self.number, &self.sms_number, told, reached, bound))
    }
}

/// Why a number was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandOverWhy {
    /// Somebody else is on duty.
    Duty,
    /// A person asked for it.
    Person,
}

/// A hand-over to be made.
#[derive(Clone, Debug)]
pub struct NewHandOver {
    /// Which one.
    pub id: HandOverId,
    /// Of which line.
    pub line_id: LineId,
    /// Its place among the hand-overs of the line.
    pub seq: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// To whom.
    pub person: String,
    /// Their number.
    pub number: String,
    /// Why.
    pub why: HandOverWhy,
    /// Why no command could be made for it.
    pub refused: Option<String>,
}

row! {
    /// A hand-over with what became of its command.
    #[derive(Clone, Debug)]
    pub struct HandOverRow {
        /// Which one.
        pub id: HandOverId,
        /// Of which line.
        pub line_id: LineId,
        /// Its place among the hand-overs of the line.
        pub seq: i32,
        /// When.
        pub at: DateTime<Utc>,
        /// To whom.
        pub person: String,
        /// Their number.
        pub number: String,
        /// Why.
        pub why: HandOverWhy,
        /// Why no command could be made for it.
        pub refused: Option<String>,
        /// When people were told that it does not get through.
        pub trouble_at: Option<DateTime<Utc>>,
        /// The call to the public number that is to prove it.
        pub verify_alarm_id: Option<AlarmId>,
        /// When its command was put into the outbox, for the first time or again.
        pub said_at: Option<DateTime<Utc>>,
        /// When its command was sent.
        pub sent_at: Option<DateTime<Utc>>,
        /// When the command reached the phone.
        pub delivered_at: Option<DateTime<Utc>>,
        /// When the command was given up.
        pub gave_up_at: Option<DateTime<Utc>>,
        /// How often it was tried.
        pub attempts: Option<i32>,
        /// How often it had to be sent again after the gateway had taken it.
        pub failures: Option<i32>,
        /// What came of the last try.
        pub last_result: Option<String>,
        /// The message.
        pub message: Option<String>,
        /// When the network said where it forwards to.
        pub network_at: Option<DateTime<Utc>>,
        /// Whether it forwards calls.
        pub network_active: Option<bool>,
        /// To whom, as it writes the number.
        pub network_number: Option<String>,
        /// Why it could not be asked the last time.
        pub network_error: Option<String>,
        /// When it is asked next.
        pub ask_at: Option<DateTime<Utc>>,
        /// The command that asks it.
        pub question_id: Option<CommandId>,
        /// When people were told that it forwards elsewhere.
        pub network_trouble_at: Option<DateTime<Utc>>,
    }
}

/// What a network says of a number that it forwards.
#[derive(Clone, Copy, Debug)]
pub struct NetworkSays<'n> {
    /// Whether it forwards calls; `None`: it could not be asked.
    pub active: Option<bool>,
    /// To whom.
    pub number: Option<&'n str>,
    /// Why it could not be asked.
    pub error: Option<&'n str>,
}

impl HandOverRow {
    /// Where the network says that calls go; `None` where it has not said.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        Some(Network::of(self.network_active?, self.network_number.as_deref(), &self.number))
    }
}

statements! {
    /// A new line.
    INSERT = [
        "INSERT INTO public_lines (id, name, team, number, sms_number, carrier, android, app_build, text, gateway_id, handset_id,
                                   verify_handset_id, bound_name, bound_number, latest_seq, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, $15)"
    ];
    /// Those in use.
    LIST = ["SELECT * FROM public_lines WHERE removed_at IS NULL ORDER BY name"];
    /// One that is in use.
    GET = ["SELECT * FROM public_lines WHERE id = $1 AND removed_at IS NULL"];
    /// The same, locked first: hand-overs and changes of a line come one after the other.
    LOCK = ["SELECT * FROM public_lines WHERE id = $1 AND removed_at IS NULL" for_update];
    /// What an operator says of it.
    CHANGE = [
        "UPDATE public_lines SET name = $2, team = $3, number = $4, sms_number = $5, carrier = $6, android = $7, app_build = $8,
           text = $9, gateway_id = $10, handset_id = $11, verify_handset_id = $12 WHERE id = $1 AND removed_at IS NULL"
    ];
    /// Is handed over no more. Its name is free again.
    REMOVE = ["UPDATE public_lines SET removed_at = $2, name = $3 WHERE id = $1 AND removed_at IS NULL"];
    /// Binds it to a person, or to nobody.
    BIND = [
        "UPDATE public_lines SET bound_name = $2, bound_number = $3,
           duty_number = CASE WHEN EXISTS (SELECT 1 FROM hand_overs h WHERE h.line_id = public_lines.id
             AND h.seq = public_lines.latest_seq AND h.number <> $3) THEN NULL ELSE duty_number END
         WHERE id = $1 AND removed_at IS NULL"
    ];
    /// A team or schedule that lines follow has another name.
    RENAME_DUTY = ["UPDATE public_lines SET team = $2 WHERE team = $1 AND removed_at IS NULL"];
    /// Somebody else is on duty; nothing when another node saw it first.
    DUTY_CHANGED = [
        "UPDATE public_lines SET duty_number = $3 WHERE id = $1 AND duty_number IS NOT DISTINCT FROM $2 AND removed_at IS NULL"
    ];
    /// Counts a hand-over; nothing when another one came first.
    COUNT = ["UPDATE public_lines SET latest_seq = $2 WHERE id = $1 AND latest_seq = $2 - 1 AND removed_at IS NULL"];
    /// A new hand-over; the unique key refuses a second one in its place.
    INSERT_HAND_OVER = [
        "INSERT INTO hand_overs (id, line_id, seq, at, person, number, why, refused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT DO NOTHING"
    ];
    /// One hand-over.
    HAND_OVER = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM hand_overs h LEFT JOIN sms_outbox o ON o.hand_over_id = h.id WHERE h.id = $1"
    ];
    /// The one that a message carries out.
    OF_SMS = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM hand_overs h JOIN sms_outbox o ON o.hand_over_id = h.id WHERE o.id = $1"
    ];
    /// The latest hand-over of each line in use. CROSS JOIN has SQLite begin with the lines, which are few.
    LATEST = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM public_lines l CROSS JOIN hand_overs h LEFT JOIN sms_outbox o ON o.hand_over_id = h.id
         WHERE l.removed_at IS NULL AND h.line_id = l.id AND h.seq = l.latest_seq"
    ];
    /// The latest hand-over of each line of which it is known that it reached the phone's outbox.
    LATEST_SENT = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM public_lines l CROSS JOIN hand_overs h JOIN sms_outbox o ON o.hand_over_id = h.id
         WHERE l.removed_at IS NULL AND h.line_id = l.id AND o.sent_at IS NOT NULL AND h.seq = (
           SELECT earlier.seq FROM hand_overs earlier JOIN sms_outbox s ON s.hand_over_id = earlier.id
           WHERE earlier.line_id = l.id AND s.sent_at IS NOT NULL ORDER BY earlier.seq DESC LIMIT 1)"
    ];
    /// People are told that it does not get through; nothing when they were.
    TROUBLE = ["UPDATE hand_overs SET trouble_at = $2 WHERE id = $1 AND trouble_at IS NULL"];
    /// The call that is to prove it.
    SET_VERIFY = ["UPDATE hand_overs SET verify_alarm_id = $2 WHERE id = $1 AND verify_alarm_id IS NULL"];
    /// The one that a question to the network is about.
    OF_QUESTION = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM hand_overs h LEFT JOIN sms_outbox o ON o.hand_over_id = h.id WHERE h.question_id = $1"
    ];
    /// The one that a command carries out.
    OF_COMMAND = [
        "SELECT h.*, o.sent_at, o.delivered_at, o.gave_up_at, o.created_at AS said_at, o.attempts, o.failures, o.last_result, o.text AS message
         FROM sms_outbox o JOIN hand_overs h ON h.id = o.hand_over_id WHERE o.command_id = $1"
    ];
    /// What the network says; of a hand-over that was followed by a later one nothing is written down.
    SET_NETWORK = [
        "UPDATE hand_overs SET network_at = $2, network_active = $3, network_number = $4, network_error = NULL, ask_at = $5,
           question_id = CASE WHEN question_id = $6 THEN NULL ELSE question_id END
         WHERE id = $1 AND seq = (SELECT l.latest_seq FROM public_lines l WHERE l.id = hand_overs.line_id)"
    ];
    /// It could not be asked.
    SET_NETWORK_ERROR = [
        "UPDATE hand_overs SET network_error = $2, ask_at = $3, question_id = CASE WHEN question_id = $4 THEN NULL ELSE question_id END
         WHERE id = $1 AND seq = (SELECT l.latest_seq FROM public_lines l WHERE l.id = hand_overs.line_id)"
    ];
    /// People are told that the network forwards it elsewhere; nothing when they were, since it was last where it belongs.
    NETWORK_TROUBLE = ["UPDATE hand_overs SET network_trouble_at = $2 WHERE id = $1 AND network_trouble_at IS NULL"];
    /// It is where it belongs again.
    NETWORK_GOOD = ["UPDATE hand_overs SET network_trouble_at = NULL WHERE id = $1 AND network_trouble_at IS NOT NULL"];
    /// Locked, before its command is.
    LOCK_HAND_OVER = ["SELECT id FROM hand_overs WHERE id = $1" for_update];
    /// It is being asked; nothing when another node asks.
    ASK_NETWORK = ["UPDATE hand_overs SET question_id = $2, ask_at = $3 WHERE id = $1 AND ask_at = $4"];
    /// A handset was started anew: the networks of its lines are asked at once, or soon where they were just now.
    ASK_NETWORKS_OF = [
        "UPDATE hand_overs SET ask_at = CASE WHEN network_at > $3 THEN $4 WHEN TRUE THEN $2 ELSE ask_at END WHERE id IN (
           SELECT h.id FROM public_lines l CROSS JOIN hand_overs h
           WHERE l.handset_id = $1 AND l.removed_at IS NULL AND h.line_id = l.id AND h.seq = l.latest_seq)"
    ];
    /// Forgets hand-overs that were followed by later ones.
    FORGET = [
        "DELETE FROM hand_overs WHERE id IN (
           SELECT h.id FROM hand_overs h JOIN public_lines l ON l.id = h.line_id WHERE h.at < $1 AND h.seq < l.latest_seq - 1
           ORDER BY h.at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// Stores a line.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_line(&mut self, line: &LineRow) -> Result<()> {
        execute!(
            self,
            INSERT,
            line.id,
            line.name.as_str(),
            line.team.as_str(),
            line.number.as_str(),
            line.sms_number.as_str(),
            line.carrier.as_str(),
            line.android,
            line.app_build,
            line.text.as_str(),
            line.gateway_id,
            line.handset_id,
            line.verify_handset_id,
            line.bound_name.as_deref(),
            line.bound_number.as_deref(),
            line.created_at,
        )
        .map(|_| ())
    }

    /// The lines in use, by name.
    pub async fn lines(&mut self) -> Result<Vec<LineRow>> {
        fetch_all!(self, LIST)
    }

    /// A line in use.
    pub async fn line(&mut self, id: LineId) -> Result<Option<LineRow>> {
        fetch_optional!(self, GET, id)
    }

    /// A line in use, locked until the transaction ends.
    pub async fn lock_line(&mut self, id: LineId) -> Result<Option<LineRow>> {
        fetch_optional!(self, LOCK, id)
    }

    /// Changes what an operator says of a line.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn change_line(&mut self, line: &LineRow) -> Result<()> {
        execute!(
            self,
            CHANGE,
            line.id,
            line.name.as_str(),
            line.team.as_str(),
            line.number.as_str(),
            line.sms_number.as_str(),
            line.carrier.as_str(),
            line.android,
            line.app_build,
            line.text.as_str(),
            line.gateway_id,
            line.handset_id,
            line.verify_handset_id,
        )
        .map(|_| ())
    }

    /// Hands a line over no more.
    pub async fn remove_line(&mut self, line: &LineRow, now: DateTime<Utc>) -> Result<bool> {
        let retired = format!("{} (removed {})", line.name, now.timestamp_micros());
        changed_one!(self, REMOVE, line.id, now, retired)
    }

    /// Binds a line to a person who is always on duty, or to nobody.
    pub async fn bind_line(&mut self, id: LineId, person: Option<(&str, &str)>) -> Result<()> {
        execute!(self, BIND, id, person.map(|(name, _)| name), person.map(|(_, number)| number)).map(|_| ())
    }

    /// Lets lines go on to follow a team or schedule that is renamed.
    pub async fn rename_duty(&mut self, from: &str, to: &str) -> Result<()> {
        execute!(self, RENAME_DUTY, from, to).map(|_| ())
    }

    /// Notes that another number is on duty; false when another node noted it first.
    pub async fn duty_changed(&mut self, line: &LineRow, number: &str) -> Result<bool> {
        changed_one!(self, DUTY_CHANGED, line.id, line.duty_number.as_deref(), number)
    }

    /// Stores a hand-over; false when another one took its place meanwhile.
    pub async fn insert_hand_over(&mut self, new: &NewHandOver) -> Result<bool> {
        if execute!(self, COUNT, new.line_id, new.seq)? == 0 {
            return Ok(false);
        }
        let (person, number) = (new.person.as_str(), new.number.as_str());
        changed_one!(
            self,
            INSERT_HAND_OVER,
            new.id,
            new.line_id,
            new.seq,
            new.at,
            person,
            number,
            new.why,
            new.refused.as_deref()
        )
    }

    /// One hand-over.
    pub async fn hand_over(&mut self, id: HandOverId) -> Result<Option<HandOverRow>> {
        fetch_optional!(self, HAND_OVER, id)
    }

    /// The hand-over that a message carries out.
    pub async fn hand_over_of_sms(&mut self, sms: SmsId) -> Result<Option<HandOverRow>> {
        fetch_optional!(self, OF_SMS, sms)
    }

    /// The latest hand-over of each line in use.
    pub async fn latest_hand_overs(&mut self) -> Result<Vec<HandOverRow>> {
        fetch_all!(self, LATEST)
    }

    /// The latest hand-over of each line in use whose command was sent.
    pub async fn latest_sent_hand_overs(&mut self) -> Result<Vec<HandOverRow>> {
        fetch_all!(self, LATEST_SENT)
    }

    /// Notes that people are told of trouble with a hand-over; false when they were told before.
    pub async fn hand_over_trouble(&mut self, id: HandOverId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, TROUBLE, id, now)
    }

    /// Notes which call is to prove a hand-over.
    pub async fn set_verify_alarm(&mut self, id: HandOverId, alarm: AlarmId) -> Result<()> {
        execute!(self, SET_VERIFY, id, alarm).map(|_| ())
    }

    /// The hand-over that a command is about, because it carries it out or asks the network about it.
    pub async fn hand_over_of_command(&mut self, id: CommandId) -> Result<Option<HandOverRow>> {
        match fetch_optional!(self, OF_COMMAND, id)? {
            Some(row) => Ok(Some(row)),
            None => fetch_optional!(self, OF_QUESTION, id),
        }
    }

    /// Notes what the network says of a hand-over, and when it is asked next; nothing where a later one followed.
    pub async fn network_says(
        &mut self,
        id: HandOverId,
        command: CommandId,
        says: NetworkSays<'_>,
        now: DateTime<Utc>,
        ask_at: DateTime<Utc>,
    ) -> Result<()> {
        match says.active {
            Some(active) => execute!(self, SET_NETWORK, id, now, active, says.number, ask_at, command),
            None => execute!(self, SET_NETWORK_ERROR, id, says.error, ask_at, command),
        }
        .map(|_| ())
    }

    /// Locks a hand-over: before its commands, whoever changes both.
    pub async fn lock_hand_over(&mut self, id: HandOverId) -> Result<()> {
        let _: Option<(HandOverId,)> = fetch_optional!(self, LOCK_HAND_OVER, id)?;
        Ok(())
    }

    /// Marks a hand-over as one of which people are told that the network forwards it elsewhere; false when they were.
    pub async fn network_trouble(&mut self, id: HandOverId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, NETWORK_TROUBLE, id, now)
    }

    /// The network forwards a hand-over where it belongs: people are told when it does not any more.
    pub async fn network_good(&mut self, id: HandOverId) -> Result<()> {
        execute!(self, NETWORK_GOOD, id).map(|_| ())
    }

    /// The network is asked about a hand-over by this command, and again then; false when another node asks it.
    pub async fn ask_network(&mut self, hand_over: &HandOverRow, question: CommandId, again_at: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, ASK_NETWORK, hand_over.id, question, again_at, hand_over.ask_at)
    }

    /// A handset was started anew: the networks of its lines are asked again.
    pub async fn ask_networks_of(&mut self, handset: HandsetId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, ASK_NETWORKS_OF, handset, now, now - ASK_SOON_AFTER, now + ASK_SOON_AFTER).map(|_| ())
    }

    /// Forgets up to 500 hand-overs before then, but for the last two of each line; gives how many.
    pub async fn forget_hand_overs(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
