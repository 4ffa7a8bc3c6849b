//! What resources want done, what they hear, and what they know of each other: the words between the state machines and whoever runs them.

use android_protocol::wire::{CallOutcome, EndedBy, FailureDetail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::State;
use super::content::Part;
use super::reply::Event;
use super::request::CallParams;
use crate::needs::Words;

/// Names an order among those of one resource: what becomes of it is told with it ([`Heard::Word`]).
pub type Token = u32;

/// Something that a resource wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// For the handset that has the call `through`, in that call. What becomes of it is told to the resource that wanted it.
    Order {
        /// The id of the call; of a conference's orders, one that is in it.
        through: String,
        /// By which what becomes of it is told.
        token: Token,
        /// What.
        order: Order,
    },
    /// To be told to whoever created the resource.
    Event(Event),
    /// The handset is told that the call is not wanted any more: its next progress is answered `code:2`. Until it reports, or its deadline
    /// has passed, the resource is there.
    CancelDial,
    /// The call is over: nobody is to be rung for it, and its alarm ends. Once for each call, with its release.
    EndHunt,
    /// For another resource, by [`Heard::Told`].
    Tell {
        /// Its id.
        to: String,
        /// What.
        told: Told,
    },
    /// Another call is to be made for this resource: [`super::call::Call::leg`], with a `Birth` of this id and this resource's creator.
    Raise {
        /// The id of the call.
        res_id: String,
        /// Whom, and for how long.
        call: Box<CallParams>,
    },
}

/// What a handset is to do in a call; in place of media it has the names of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Play these, one after the other.
    Play {
        /// At most 30.
        parts: Vec<Part>,
        /// So many times more.
        repeat: u32,
        /// The keys that end it.
        finish: String,
    },
    /// Stop playing, sending keys, collecting them, or recording.
    Stop,
    /// Send these keys.
    SendDtmf {
        /// In order.
        keys: String,
    },
    /// Tell the keys that are pressed.
    Collect {
        /// So many at most.
        max: u32,
        /// Seconds to wait for the first.
        first: u64,
        /// Seconds to wait for each other.
        between: u64,
        /// The keys that count.
        valid: String,
        /// The keys that end it.
        finish: String,
    },
    /// Record the call under this name.
    Record {
        /// The name of the file, which the handset does not know.
        file: String,
        /// For so long at most.
        seconds: u64,
        /// The keys that end it.
        finish: String,
        /// With a tone first.
        beep: bool,
    },
    /// Join a room; where it is in that room already, change how.
    Join {
        /// Its name.
        room: String,
        /// The others do not hear it.
        mute: bool,
        /// It does not hear the others.
        deaf: bool,
    },
    /// Leave the room.
    Leave,
    /// Play to all in the room.
    RoomPlay {
        /// Its name.
        room: String,
        /// At most 30.
        parts: Vec<Part>,
        /// Over and over.
        looped: bool,
    },
    /// Play nothing more to the room.
    RoomStop {
        /// Its name.
        room: String,
    },
    /// Record all in the room under this name.
    RoomRecord {
        /// Its name.
        room: String,
        /// The name of the file, which the handset does not know.
        file: String,
        /// For so long at most.
        seconds: u64,
    },
    /// Record the room no longer.
    RoomEndRecording {
        /// Its name.
        room: String,
    },
    /// Hang up.
    Drop,
    /// Take a call that comes in.
    Answer,
    /// Reject it.
    Reject {
        /// With this status of SIP.
        cause: u16,
    },
    /// Send it elsewhere.
    Redirect {
        /// To this number: the user part of the URI.
        to: String,
    },
}

/// What a resource hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heard {
    /// A handset was given the call.
    HandedOut(HandedOut),
    /// The handset has asked the network for the call.
    Dialling {
        /// When.
        at: DateTime<Utc>,
    },
    /// The other phone rings.
    Alerting {
        /// When.
        at: DateTime<Utc>,
    },
    /// The line is connected; of a call that came in: it has been answered.
    Connected {
        /// When.
        at: DateTime<Utc>,
    },
    /// The handset has reported how the call ended.
    Ended(Ended),
    /// A key was pressed outside of an order.
    Key(char),
    /// What became of an order.
    Word {
        /// Of which.
        token: Token,
        /// What.
        word: Word,
    },
    /// No handset has a free channel for the call.
    NoChannel,
    /// The number is in another call of ours.
    NumberBusy,
    /// The number may not be called: it is on a list.
    Barred,
    /// The deadline of the dial has passed without a report.
    NoReport,
    /// The handset was started again: its calls and rooms are gone.
    Restarted,
    /// Another resource says so.
    Told(Told),
}

/// Who has a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOut {
    /// Its name, by which people and errors know it.
    pub handset: String,
    /// On which of its channels.
    pub channel: i32,
    /// What it can do, as its last status says.
    pub can: Words,
}

/// How a call ended, with what is known of its times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How, in the handset's word.
    pub outcome: Option<CallOutcome>,
    /// The final response of SIP.
    pub sip: Option<u16>,
    /// Which kind of failure.
    pub detail: Option<FailureDetail>,
    /// Who ended it.
    pub by: Option<EndedBy>,
    /// When the other phone rang.
    pub alerting_at: Option<DateTime<Utc>>,
    /// When the line was connected.
    pub connected_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What became of an order, in the handset's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// It plays.
    Playing,
    /// It was played, or sent, to its end.
    Played,
    /// It was stopped.
    Stopped,
    /// This key ends it: its last word follows.
    Key(String),
    /// These keys were collected.
    Collected(String),
    /// It was recorded: the handset's name of it.
    Recording(String),
    /// It is in the room.
    Joined,
    /// It is in the room no more.
    Left,
    /// It could not be done, or was not fetched in time.
    Error(String),
}

/// What resources say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// To a call: another call is made for it.
    ChildDials {
        /// Which.
        child: String,
        /// What it hears meanwhile.
        file: Option<String>,
        /// From when till when: 0-3.
        mode: u8,
    },
    /// To a call: the phone of the other call rings.
    ChildRings {
        /// Which.
        child: String,
    },
    /// To a call: the other call was answered, or not.
    ChildDone {
        /// Which.
        child: String,
    },
    /// To a call: another one is connected with it.
    Linked {
        /// Which.
        by: String,
        /// In which room.
        room: String,
    },
    /// To a call: it is connected no more.
    Unlinked {
        /// With which.
        by: String,
    },
    /// To the first of two connected calls: the other is gone, or could not be connected.
    PeerGone {
        /// Which.
        peer: String,
        /// Why it could not.
        error: Option<String>,
    },
    /// To a call: its conference wants it no more.
    Kicked {
        /// Which.
        conf: String,
    },
    /// To a call: it is heard, and hears, in another way.
    VoiceMode {
        /// In which conference.
        conf: String,
        /// 1-4.
        mode: u8,
    },
    /// To a conference: a call is in it.
    Entered {
        /// Which.
        call: String,
        /// 1-4.
        mode: u8,
        /// What its creator says of it.
        user_data: Option<String>,
        /// Its handset.
        handset: String,
        /// What the others hear when it comes.
        play_file: Option<String>,
    },
    /// To a conference: a call is in it no more.
    Exited {
        /// Which.
        call: String,
    },
    /// To a call, by the resource that it is made for: connect with the other.
    Connect {
        /// Which.
        with: String,
        /// For so long at most.
        seconds: u32,
        /// Recorded under this name.
        file: Option<String>,
    },
    /// To a call, by the resource that it is made for: play this.
    Say {
        /// At most 30.
        parts: Vec<Part>,
        /// So many times more.
        repeat: u32,
    },
    /// To a call, by the resource that it is made for: end.
    End,
    /// To the resource that a call is made for: it was answered, or not.
    LegDialled {
        /// Which.
        leg: String,
        /// Why not.
        error: Option<String>,
        /// When it began.
        begin: DateTime<Utc>,
        /// When it was answered.
        answered: Option<DateTime<Utc>>,
        /// When it was over.
        end: DateTime<Utc>,
    },
    /// To the resource that two calls are made for: they are connected no more.
    LegsParted {
        /// The first of them.
        leg: String,
        /// Why.
        error: Option<String>,
    },
    /// To the resource that a call is made for: what it was to play was played, or was not.
    LegSaid {
        /// Which.
        leg: String,
        /// Why not.
        error: Option<String>,
    },
    /// To the resource that a call is made for: it is over.
    LegReleased {
        /// Which.
        leg: String,
        /// When.
        end: DateTime<Utc>,
        /// Who ended it, as events say it.
        dropped_by: Option<String>,
        /// What went wrong, as its release would tell it.
        error: Option<String>,
    },
}

/// What a request has to know of the other resource that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// `None`: there is no such resource of this key, or the request names none.
    pub other: Option<View>,
}

impl Around {
    /// The other resource is there, and not over.
    #[must_use]
    pub fn exists(&self) -> bool {
        match &self.other {
            None => false,
            Some(View::Call { state, .. }) => *state != State::Released,
            Some(View::Conf { released, .. } | View::Other { released }) => !released,
        }
    }
}

/// What others have to know of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// A call.
    Call {
        /// Its id.
        res_id: String,
        /// Where it stands.
        state: State,
        /// It is in a conference.
        in_conf: bool,
        /// Who has it.
        handset: Option<String>,
    },
    /// A conference.
    Conf {
        /// Its id.
        res_id: String,
        /// It is over.
        released: bool,
        /// Who has it; `None`: its first part decides.
        handset: Option<String>,
    },
    /// Something else.
    Other {
        /// It is over.
        released: bool,
    },
}
