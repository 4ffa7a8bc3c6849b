//! What follows when word of a hunt comes: a report of a handset, a cancellation, somebody who says no. Word in, consequences out: the
//! engine reads how things stand, asks here, and carries out what it is told, in that order (`engine/hunt/follow.rs`).
//!
//! A report is never too late: one that names somebody counts after the deadline, after a cancellation, and after the hunt ended without
//! an answer. But nothing that is reported makes a hunt ring again that people have ended.

pub mod seen;

use android_protocol::voice::detector;
use android_protocol::wire::{CallOutcome, FailureDetail, NativeCall};
use chrono::{DateTime, Utc};

use super::attribution::{DialledCallee, attribute};
use super::event::Event;
use super::{DialOutcome, HuntOutcome, KeyAction, TargetOutcome, Until, Verdict};
use crate::ids::{AnswerId, CalleeId};
use crate::numbers::{Number, Region};

/// Longest `resp` that is kept, in characters; the app sends a number.
const LONGEST_RESP: usize = 64;

/// What a handset says of a dial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The dial.
    pub mid: String,
    /// The number that answered, as the handset wrote it; `None` when nobody did.
    pub resp: Option<String>,
    /// What a native handset says of each number.
    pub calls: Vec<NativeCall>,
}

/// What a report was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Somebody picked up.
    Answered,
    /// Nobody did.
    Nobody,
    /// Somebody picked up, reported after the dial was closed.
    LateAnswered,
    /// Nobody did, reported after the dial was closed: a note.
    LateNobody,
    /// Said before.
    Duplicate,
    /// No such dial.
    Unknown,
}

/// A hunt, as far as what follows depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hunt {
    /// When it has reached what it wants.
    pub until: Until,
    /// How it ended; `None`: it goes on.
    pub outcome: Option<HuntOutcome>,
    /// An answer counts only once a human has confirmed it.
    pub wants_word: bool,
    /// Where a call asks for a key, nothing else in it is a human's word.
    pub wants_key: bool,
}

/// The dial that a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Which one.
    pub mid: String,
    /// When it was handed out.
    pub offered_at: DateTime<Utc>,
    /// When it was closed, and how; `None`: it is open.
    pub closed: Option<(DateTime<Utc>, DialOutcome)>,
    /// Its handset has reported.
    pub reported: bool,
    /// Whom its handset has named.
    pub resp: Option<String>,
    /// Whom it rings, in list order.
    pub rings: Vec<DialledCallee>,
    /// A handset has it; else it is a dry run.
    pub by_handset: bool,
    /// Whoever picks up is asked for a key.
    pub asks_key: bool,
    /// What was said in it with a key, the first word of each callee: it stands before the call is over.
    pub said: Vec<(CalleeId, KeyAction)>,
}

impl Dial {
    /// What a callee has said in it with a key.
    fn word_of(&self, callee: CalleeId) -> Option<KeyAction> {
        self.said.iter().find(|(own, _)| *own == callee).map(|(_, word)| *word)
    }

    fn said_no(&self, callee: CalleeId) -> bool {
        matches!(self.word_of(callee), Some(KeyAction::Decline | KeyAction::StopCalling))
    }

    /// Somebody has taken it with a key.
    fn taken_by(&self) -> Option<&DialledCallee> {
        self.rings.iter().find(|target| self.word_of(target.callee) == Some(KeyAction::Accept))
    }

    /// How it ends when its deadline passes: as what was said in it, where something was.
    #[must_use]
    pub fn ends_unreported(&self) -> DialOutcome {
        match (self.taken_by(), self.said.is_empty()) {
            (Some(_), _) => DialOutcome::Answered,
            (None, false) => DialOutcome::Nobody,
            (None, true) => DialOutcome::Expired,
        }
    }
}

/// Somebody in the hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Who.
    pub id: CalleeId,
    /// What became of them, once that is settled.
    pub verdict: Option<Verdict>,
}

/// An answer that was given in the hunt, the earlier first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which one.
    pub id: AnswerId,
    /// The dial that brought it.
    pub mid: Option<String>,
    /// Whose it is.
    pub callee: Option<CalleeId>,
    /// When a human confirmed it.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// It was taken back, or nobody confirmed it in time.
    pub lapsed: bool,
    /// It was confirmed with a key, in the call that brought it.
    pub by_key: bool,
}

/// How things stand in a locked hunt.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'s> {
    /// The hunt.
    pub hunt: Hunt,
    /// Everybody in it.
    pub callees: &'s [Callee],
    /// The answers that it has had.
    pub answers: &'s [Answer],
}

/// An answer to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose; `None`: of a number that was not dialled.
    pub callee: Option<CalleeId>,
    /// The number as the handset wrote it.
    pub resp: String,
    /// It is known at which call to them that was.
    pub knows_attempt: bool,
    /// They pressed a key.
    pub confirmed: bool,
    /// They had said no meanwhile: it is kept, and counts for nothing.
    pub declined: bool,
    /// They were asked for a key and pressed none: it is kept, and counts only once they confirm.
    pub lapses: bool,
    /// It came after the dial was closed.
    pub late: bool,
    /// What the handset takes them for.
    pub machine: Option<detector::Verdict>,
}

/// Something that the engine has to do with the hunt, whatever word came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// What became of a callee.
    Settled {
        /// Of whom.
        callee: CalleeId,
        /// What.
        verdict: Verdict,
    },
    /// An answer does not count any more.
    Lapse {
        /// Which one.
        answer: AnswerId,
    },
    /// The hunt ends.
    End {
        /// How.
        outcome: HuntOutcome,
        /// How its open dials do.
        dials_as: DialOutcome,
    },
    /// The hunt had ended without an answer, so it seemed; it has one.
    AnsweredAfterAll,
    /// Open dials in which nobody is wanted any more are closed.
    CloseUnwantedDials,
    /// The rule is asked what the hunt does now.
    Settle,
}

/// What follows from a report, for its dial and the hunt.
#[derive(Clone, Debug, PartialEq)]
pub enum OfReport {
    /// The dial is closed by its report.
    Close {
        /// How it ended.
        outcome: DialOutcome,
        /// Whom the handset names.
        resp: Option<String>,
    },
    /// The dial is closed already; its handset names somebody after all.
    NamedLate {
        /// Whom.
        resp: String,
    },
    /// The dial is closed already; its handset has nobody to name.
    NobodyLate,
    /// The first word that a callee has said in the call with a key. It goes on, whatever becomes of the hunt, and keeps no other waiting.
    Said {
        /// Who.
        callee: CalleeId,
        /// What.
        action: KeyAction,
    },
    /// The dial is closed already, and somebody takes it in its call, which goes on.
    TakenLate {
        /// Whose number.
        resp: String,
    },
    /// An answer that was kept is confirmed with a key.
    Confirm {
        /// Which one.
        answer: AnswerId,
    },
    /// Alarms that joined the hunt after the dial was handed out leave it: what was said in the call was not about them.
    PartFromLateJoiners,
    /// What became of a number of the dial.
    Became {
        /// Whose.
        callee: CalleeId,
        /// What.
        outcome: TargetOutcome,
    },
    /// Somebody said no in the call, and the timeline says so.
    TellDeclined {
        /// Who.
        callee: CalleeId,
        /// Their number.
        number: String,
    },
    /// The number was not rung: its attempts are given back.
    GiveBack {
        /// Whose.
        callee: CalleeId,
        /// How many.
        attempts: i32,
        /// The call never left the phone: others go first now.
        failed: bool,
    },
    /// The phone knows how its calls ended: its line does not ring any more.
    LineIsFree,
    /// Calls leave the handset.
    HandsetWorks,
    /// Its account or its trunk does not take calls: no channel of the handset can, and another one is preferred.
    HandsetFails,
    /// No call leaves the channel: another one is preferred.
    ChannelFails,
    /// Somebody else was using the line, so that nothing was dialled: that was no hand-out, and the line is left alone for a moment.
    LineBusy,
    /// An answer is kept, and told.
    Record(Recorded),
    /// A line of the timeline.
    Tell(Event),
    /// The answer also counts for hunts that were begun since for the same alarms, if these had joined by then.
    ReachLaterHunts {
        /// When the call was over.
        over_at: DateTime<Utc>,
    },
    /// Alarms that joined after the call was over were not what it was about: they are rung for, if it has ended the hunt.
    RingForLateJoiners {
        /// When the call was over.
        over_at: DateTime<Utc>,
    },
    /// Whatever word came.
    Then(Consequence),
}

/// What follows when somebody comes off a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfRefusal {
    /// Alarms that share the hunt and were not meant leave it, and are rung for on their own.
    PartFromOthers {
        /// They are rung for from the beginning, because whoever comes off had picked up: that was no word about what they had not seen.
        afresh: bool,
    },
    /// The timeline says it.
    TellOff,
    /// The hunt had ended, and goes on.
    Reopen,
    /// Whatever word came.
    Then(Consequence),
}

/// How somebody comes off a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// They said no.
    Declined,
    /// Somebody else took them off.
    Skipped,
}

impl Off {
    fn verdict(self) -> Verdict {
        match self {
            Self::Declined => Verdict::Declined,
            Self::Skipped => Verdict::Skipped,
        }
    }
}

/// What a key was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// A word.
    Word,
    /// They had said so in this call before, or something else.
    Already,
    /// Nobody whom the dial rings.
    Stranger,
}

/// What came of a word for an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was done.
    Done,
    /// The same person had said the same before.
    Already,
    /// The alarm is over, or there is none.
    Over,
    /// They are not rung for it.
    NotTheirs,
    /// Somebody has taken it, or taken it again, since the page was drawn on which the button was pressed: nothing was changed.
    Overtaken,
}

impl Report {
    /// The number that it says picked up. Whoever picked up and said that somebody else should take it is not named.
    #[must_use]
    pub fn named(&self) -> Option<String> {
        let bare = |number: &str| number.trim_start_matches('+').trim().to_owned();
        let said_no = |resp: &str| self.calls.iter().any(|call| call.declined && bare(&call.number) == bare(resp));
        let resp = match &self.resp {
            Some(resp) if said_no(resp) => None,
            Some(resp) => Some(resp.as_str()),
            None => {
                let answered = |call: &&NativeCall| call.outcome == Some(CallOutcome::Answered) && !call.declined;
                self.calls.iter().find(answered).map(|call| call.number.as_str())
            }
        };
        resp.map(written)
    }
}

/// A number as a handset wrote it, as far as that is kept.
fn written(number: &str) -> String {
    number.chars().filter(|c| !c.is_control()).take(LONGEST_RESP).collect()
}

/// What follows from a handset's report. `region`: the country whose national form it writes numbers in.
#[must_use]
pub fn report(
    standing: &Standing<'_>,
    dial: &Dial,
    report: &Report,
    region: Region,
    now: DateTime<Utc>,
) -> (Reported, Vec<OfReport>) {
    let named = report.named().filter(|resp| {
        let found = attribute(&dial.rings, |number| Number::from_stored(number).matches(resp, region));
        !found.callee.is_some_and(|callee| dial.said_no(callee))
    });
    match (named, dial.taken_by()) {
        (Some(resp), _) => answered(standing, dial, resp, &report.calls, region, now),
        // Whatever it says now: somebody took it in this call.
        (None, Some(target)) => told_by_key(dial, target.callee, target.number.clone()),
        (None, None) => nobody(standing, dial, &report.calls, region),
    }
}

/// What follows when a callee presses a key that means something. It counts at once: the call goes on, and its report adds what only that
/// knows. In a call that was given up it counts as a late report does. `number`: as the handset wrote it.
#[must_use]
pub fn key(
    standing: &Standing<'_>,
    dial: &Dial,
    number: &str,
    action: KeyAction,
    region: Region,
    now: DateTime<Utc>,
) -> (Pressed, Vec<OfReport>) {
    let number = written(number);
    // A handset that speaks knows whom it rings: another number is not theirs, also where only one is rung.
    let rung = |target: &&DialledCallee| Number::from_stored(target.number.as_str()).matches(&number, region);
    let Some(target) = dial.rings.iter().find(rung) else {
        return (Pressed::Stranger, Vec::new());
    };
    let callee = target.callee;
    // The first word of a person stands.
    if dial.word_of(callee).is_some() {
        return (Pressed::Already, Vec::new());
    }
    let mut follows = vec![OfReport::Said { callee, action }];
    let given = standing.answers.iter().find(|answer| answer.mid.as_ref() == Some(&dial.mid) && answer.callee == Some(callee));
    match (action, given) {
        (KeyAction::Accept, Some(answer)) if answer.confirmed_at.is_none() => {
            // Its report was faster, and knew of no key.
            follows.push(OfReport::Confirm { answer: answer.id });
            follows.push(OfReport::Then(Consequence::Settled { callee, verdict: Verdict::Answered }));
            follows.push(OfReport::PartFromLateJoiners);
            follows.extend(reached(standing.hunt, true).map(OfReport::Then));
        }
        (KeyAction::Decline | KeyAction::StopCalling, Some(answer))
            if answer.confirmed_at.is_none() && standing.hunt.outcome.is_none() =>
        {
            // Its report was faster, and what it told still waited for a word: this is the word.
            follows.push(OfReport::Then(Consequence::Lapse { answer: answer.id }));
            said_no(standing, dial, target, &mut follows);
        }
        // Its report was faster, and told the same.
        (_, Some(_)) => return (Pressed::Already, Vec::new()),
        (KeyAction::Accept, None) => {
            let late = dial.closed.is_some();
            if late {
                follows.push(OfReport::TakenLate { resp: number.clone() });
            }
            let recorded = Recorded {
                callee: Some(callee),
                resp: number.clone(),
                knows_attempt: target.attempts == 1,
                confirmed: true,
                declined: false,
                lapses: false,
                late,
                machine: None,
            };
            picked_up(standing, dial, recorded, &[], now, &mut follows);
        }
        (KeyAction::Decline | KeyAction::StopCalling, None) => said_no(standing, dial, target, &mut follows),
    }
    (Pressed::Word, follows)
}

/// Somebody says in a call that another should take it.
fn said_no(standing: &Standing<'_>, dial: &Dial, target: &DialledCallee, follows: &mut Vec<OfReport>) {
    let callee = target.callee;
    let settled = standing.callees.iter().find(|own| own.id == callee).is_none_or(|own| own.verdict.is_some());
    follows.push(OfReport::Became { callee, outcome: TargetOutcome::Declined });
    if dial.closed.is_some() && settled {
        // They had their word, or somebody else had it, since the call was given up.
        return;
    }
    follows.push(OfReport::PartFromLateJoiners);
    follows.push(OfReport::Then(Consequence::Settled { callee, verdict: Verdict::Declined }));
    follows.push(OfReport::TellDeclined { callee, number: target.number.clone() });
    if standing.hunt.outcome.is_none() {
        if dial.closed.is_some() {
            // Another call to them may be under way.
            follows.push(OfReport::Then(Consequence::CloseUnwantedDials));
        }
        follows.push(OfReport::Then(Consequence::Settle));
    }
}

/// The report of a call in which somebody took it with a key: everything followed from that.
fn told_by_key(dial: &Dial, callee: CalleeId, resp: String) -> (Reported, Vec<OfReport>) {
    match (dial.reported, dial.closed) {
        (true, _) => (Reported::Duplicate, Vec::new()),
        (false, Some(_)) => (Reported::LateAnswered, vec![OfReport::NamedLate { resp }]),
        (false, None) => {
            let mut follows = vec![OfReport::Close { outcome: DialOutcome::Answered, resp: Some(resp) }];
            if dial.by_handset {
                follows.push(OfReport::HandsetWorks);
            }
            let found =
                attribute(&dial.rings, |number| dial.rings.iter().any(|own| own.callee == callee && own.number == number));
            give_back(dial, &found.not_rung, &mut follows);
            (Reported::Answered, follows)
        }
    }
}

/// Gives the attempts of those back whom the handset had no reason to ring any more.
fn give_back(dial: &Dial, not_rung: &[CalleeId], follows: &mut Vec<OfReport>) {
    for target in dial.rings.iter().filter(|target| not_rung.contains(&target.callee)) {
        let (callee, attempts) = (target.callee, target.attempts);
        follows.push(OfReport::GiveBack { callee, attempts, failed: false });
        follows.push(OfReport::Became { callee, outcome: TargetOutcome::Call(CallOutcome::NotDialled) });
    }
}

fn nobody(standing: &Standing<'_>, dial: &Dial, calls: &[NativeCall], region: Region) -> (Reported, Vec<OfReport>) {
    match dial.closed {
        // Whoever said no with a key is not told of again.
        None if !dial.said.is_empty() => {
            let mut follows = vec![OfReport::Close { outcome: DialOutcome::Nobody, resp: None }];
            of_each_number(dial, calls, region, &mut follows);
            follows.push(OfReport::Then(Consequence::Settle));
            (Reported::Nobody, follows)
        }
        None => {
            let mut follows = vec![OfReport::Close { outcome: DialOutcome::Nobody, resp: None }];
            if calls.iter().any(|call| call.declined) {
                follows.push(OfReport::PartFromLateJoiners);
            }
            of_each_number(dial, calls, region, &mut follows);
            follows.push(OfReport::Tell(Event::Nobody { mid: dial.mid.clone() }));
            follows.push(OfReport::Then(Consequence::Settle));
            (Reported::Nobody, follows)
        }
        Some((_, outcome)) if !dial.reported => {
            let mut follows = vec![OfReport::NobodyLate];
            for target in dial.rings.iter().filter(|target| dial.word_of(target.callee).is_none()) {
                let number = Number::from_stored(target.number.as_str());
                if calls.iter().any(|call| call.declined && number.matches(&call.number, region)) {
                    said_no(standing, dial, target, &mut follows);
                }
            }
            if follows.len() == 1 && dial.said.is_empty() {
                follows.push(OfReport::Tell(Event::LateNobody { mid: dial.mid.clone(), dial_was: Some(outcome) }));
            }
            (Reported::LateNobody, follows)
        }
        Some(_) => (Reported::Duplicate, Vec::new()),
    }
}

/// What a native handset says of each number that nobody answered. The stock app says nothing: its numbers rang.
fn of_each_number(dial: &Dial, calls: &[NativeCall], region: Region, follows: &mut Vec<OfReport>) {
    let (mut failed, mut not_dialled, mut no_trunk) = (0, 0, false);
    for target in dial.rings.iter().filter(|target| dial.word_of(target.callee).is_none()) {
        let number = Number::from_stored(target.number.as_str());
        let call = calls.iter().find(|call| number.matches(&call.number, region));
        let (callee, attempts) = (target.callee, target.attempts);
        if call.is_some_and(|call| call.declined) {
            follows.push(OfReport::Became { callee, outcome: TargetOutcome::Declined });
            follows.push(OfReport::Then(Consequence::Settled { callee, verdict: Verdict::Declined }));
            follows.push(OfReport::TellDeclined { callee, number: target.number.clone() });
            continue;
        }
        let outcome = call.and_then(|call| call.outcome).unwrap_or(CallOutcome::NoAnswer);
        let detail = call.and_then(|call| call.detail);
        follows.push(OfReport::Became { callee, outcome: TargetOutcome::Call(outcome) });
        let told = Event::NotRung { mid: dial.mid.clone(), callee, outcome, detail };
        match (outcome, detail) {
            // Neither is the fault of the handset, and another call would end alike.
            (CallOutcome::Failed, Some(FailureDetail::Unreachable)) => {}
            (CallOutcome::Failed, Some(FailureDetail::BadNumber)) => {
                follows.push(OfReport::Then(Consequence::Settled { callee, verdict: Verdict::BadNumber }));
                follows.push(OfReport::Tell(told));
            }
            (CallOutcome::Failed, detail) => {
                follows.push(OfReport::GiveBack { callee, attempts, failed: true });
                follows.push(OfReport::Tell(told));
                // Sound that could not be had is no fault of the line: the next call does without.
                failed += usize::from(detail != Some(FailureDetail::Media));
                no_trunk |= matches!(detail, Some(FailureDetail::Auth | FailureDetail::Trunk));
            }
            (CallOutcome::NotDialled, _) => {
                follows.push(OfReport::GiveBack { callee, attempts, failed: false });
                follows.push(OfReport::Tell(told));
                not_dialled += 1;
            }
            (CallOutcome::Answered | CallOutcome::NoAnswer | CallOutcome::Busy | CallOutcome::Rejected, _) => {}
        }
    }
    if !calls.is_empty() {
        follows.push(OfReport::LineIsFree);
    }
    if !dial.by_handset || dial.rings.is_empty() {
        return;
    }
    follows.push(if no_trunk {
        OfReport::HandsetFails
    } else if failed == dial.rings.len() {
        OfReport::ChannelFails
    } else if not_dialled == dial.rings.len() {
        OfReport::LineBusy
    } else {
        OfReport::HandsetWorks
    });
}

fn answered(
    standing: &Standing<'_>,
    dial: &Dial,
    resp: String,
    calls: &[NativeCall],
    region: Region,
    now: DateTime<Utc>,
) -> (Reported, Vec<OfReport>) {
    let found = attribute(&dial.rings, |number| Number::from_stored(number).matches(&resp, region));
    let same = |answer: &&Answer| {
        answer.mid.as_ref() == Some(&dial.mid)
            && (found.callee.is_some() || dial.resp.as_ref() == Some(&resp))
            && answer.callee == found.callee
    };
    if let Some(answer) = standing.answers.iter().find(same) {
        return match answer.callee.filter(|callee| dial.word_of(*callee) == Some(KeyAction::Accept)) {
            Some(callee) => told_by_key(dial, callee, resp),
            None => (Reported::Duplicate, Vec::new()),
        };
    }
    let late = dial.closed.is_some();
    let of_them = |call: &&NativeCall| call.outcome == Some(CallOutcome::Answered) && !call.declined;
    let confirmed = calls.iter().filter(of_them).any(|call| call.confirmed == Some(true));
    let lapses = !confirmed && dial.asks_key && standing.hunt.wants_key;
    let machine = calls.iter().find(of_them).and_then(|call| call.machine);
    // The phone reports when the call is over: whoever picked up may have said no since, by their link or a text message.
    let callee = standing.callees.iter().find(|callee| Some(callee.id) == found.callee);
    let declined = !confirmed && callee.is_some_and(|callee| callee.verdict == Some(Verdict::Declined));
    let mut follows = vec![match late {
        false => OfReport::Close { outcome: DialOutcome::Answered, resp: Some(resp.clone()) },
        true => OfReport::NamedLate { resp: resp.clone() },
    }];
    // In a copied sequence nobody knows at which pass it was.
    let copied = dial.rings.iter().any(|target| Some(target.callee) == found.callee && target.attempts > 1);
    let recorded = Recorded { callee: found.callee, resp, knows_attempt: !copied, confirmed, declined, lapses, late, machine };
    picked_up(standing, dial, recorded, &found.not_rung, now, &mut follows);
    (if late { Reported::LateAnswered } else { Reported::Answered }, follows)
}

/// Somebody picked up, or took it in the call. `not_rung`: whom the handset had no reason to ring any more.
fn picked_up(
    standing: &Standing<'_>,
    dial: &Dial,
    recorded: Recorded,
    not_rung: &[CalleeId],
    now: DateTime<Utc>,
    follows: &mut Vec<OfReport>,
) {
    let Recorded { confirmed, declined, lapses, late, .. } = recorded;
    if dial.by_handset {
        follows.push(OfReport::HandsetWorks);
    }
    if let Some(callee) = recorded.callee {
        follows.push(OfReport::Became { callee, outcome: TargetOutcome::Call(CallOutcome::Answered) });
        if !declined && !lapses {
            follows.push(OfReport::Then(Consequence::Settled { callee, verdict: Verdict::Answered }));
        }
    }
    if !late {
        give_back(dial, not_rung, follows);
    }
    follows.push(OfReport::Record(recorded));
    if declined || lapses {
        if standing.hunt.outcome.is_none() {
            follows.push(OfReport::Then(Consequence::Settle));
        }
        return;
    }
    if confirmed {
        // A key that was pressed is an answer to what was said in the call, and that was what it was handed out for.
        follows.push(OfReport::PartFromLateJoiners);
    }
    follows.extend(reached(standing.hunt, confirmed).map(OfReport::Then));
    let over_at = match (confirmed, dial.closed) {
        (true, _) => dial.offered_at,
        // An alarm may have joined while a report in time waited for the database.
        (false, None) => now,
        (false, Some((closed_at, _))) => closed_at,
    };
    if late {
        follows.push(OfReport::ReachLaterHunts { over_at });
    }
    follows.push(OfReport::RingForLateJoiners { over_at });
}

/// What follows for a hunt in which somebody was reached: one for the first answer ends, also one that had ended without. Where a
/// confirmation is wanted, it waits for that. What people have ended stays as it is.
#[must_use]
pub fn reached(hunt: Hunt, confirmed: bool) -> Option<Consequence> {
    let counts = confirmed || !hunt.wants_word;
    match (hunt.outcome, hunt.until) {
        (None, Until::First) if counts => {
            Some(Consequence::End { outcome: HuntOutcome::Answered, dials_as: DialOutcome::Superseded })
        }
        (None, _) => Some(Consequence::Settle),
        (Some(HuntOutcome::NoAnswer), _) if counts => Some(Consequence::AnsweredAfterAll),
        (Some(HuntOutcome::NoAnswer | HuntOutcome::Answered | HuntOutcome::Cancelled | HuntOutcome::Resolved), _) => None,
    }
}

/// What follows for a hunt when one of its alarms is over: it ends when it serves no other. `firing`: how many of its alarms still do.
#[must_use]
pub fn over(hunt: Hunt, outcome: HuntOutcome, firing: i64) -> Option<Consequence> {
    if hunt.outcome.is_some() || firing > 0 {
        return None;
    }
    let dials_as = match outcome {
        HuntOutcome::Cancelled => DialOutcome::Cancelled,
        HuntOutcome::Answered | HuntOutcome::NoAnswer | HuntOutcome::Resolved => DialOutcome::Superseded,
    };
    Some(Consequence::End { outcome, dials_as })
}

/// The one answer that counts: the latest confirmed one, else the first that has not lapsed. Whoever presses a key after somebody else had
/// taken it is told so, and takes nothing over.
#[must_use]
pub fn current(answers: &[Answer]) -> Option<&Answer> {
    let mut confirmed: Vec<&Answer> = answers.iter().filter(|answer| answer.confirmed_at.is_some()).collect();
    confirmed.sort_by_key(|answer| answer.confirmed_at);
    let counts = confirmed.into_iter().reduce(|before, after| if after.by_key { before } else { after });
    counts.or_else(|| answers.iter().find(|answer| !answer.lapsed))
}

/// What follows when somebody comes off a hunt, in all their `places`; `others`: alarms that were not meant fire in it too. Whoever had
/// picked up hands it on, as long as nobody has confirmed.
#[must_use]
pub fn take_off(hunt: Hunt, places: &[Callee], answers: &[Answer], off: Off, others: bool) -> (Effect, Vec<OfRefusal>) {
    let verdict = off.verdict();
    if places.is_empty() {
        return (Effect::NotTheirs, Vec::new());
    }
    if places.iter().all(|place| place.verdict == Some(verdict)) {
        return (Effect::Already, Vec::new());
    }
    let is_place = |callee: CalleeId| places.iter().any(|place| place.id == callee);
    let is_theirs = |answer: &Answer| answer.callee.is_some_and(is_place);
    let counts = current(answers);
    let confirmed = counts.is_some_and(|answer| answer.confirmed_at.is_some());
    let was_theirs = counts.is_some_and(is_theirs);
    let mut follows = Vec::new();
    if others {
        follows.push(OfRefusal::PartFromOthers { afresh: was_theirs && !confirmed });
    }
    follows.extend(places.iter().map(|place| OfRefusal::Then(Consequence::Settled { callee: place.id, verdict })));
    follows.push(OfRefusal::TellOff);
    if confirmed {
        return (Effect::Done, follows);
    }
    let theirs = answers.iter().filter(|answer| is_theirs(answer));
    follows.extend(theirs.map(|answer| OfRefusal::Then(Consequence::Lapse { answer: answer.id })));
    if hunt.outcome == Some(HuntOutcome::Answered) && was_theirs {
        follows.push(OfRefusal::Reopen);
    }
    follows.push(OfRefusal::Then(Consequence::CloseUnwantedDials));
    follows.push(OfRefusal::Then(Consequence::Settle));
    (Effect::Done, follows)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;
    use proptest::sample::Index;
    use uuid::Uuid;

    use super::*;

    const PEOPLE: usize = 3;

    /// A hunt with two dials, and everything that consequences change, changed in the plainest way.
    #[derive(Clone, Debug, PartialEq)]
    struct World {
        hunt: Hunt,
        /// With the attempts that are left to be given back.
        callees: Vec<(Callee, i32)>,
        dials: Vec<Dial>,
        answers: Vec<Answer>,
    }

    #[derive(Clone, Debug)]
    enum Word {
        Report { dial: usize, report: Report },
        Key { dial: usize, of: usize, action: KeyAction },
        Decline(CalleeId),
        Cancel,
        Expire(usize),
    }

    fn id(number: usize) -> CalleeId {
        CalleeId(Uuid::from_u128(number as u128 + 1))
    }

    fn number(of: usize) -> String {
        format!("+861871234567{of}")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    impl World {
        fn new(until: Until, wants_word: bool, attempts: i32) -> Self {
            let target = |number_of| DialledCallee { callee: id(number_of), number: number(number_of), attempts };
            let dial = |mid: &str, rings: Vec<usize>| Dial {
                mid: mid.to_owned(),
                offered_at: at(0),
                closed: None,
                reported: false,
                resp: None,
                rings: rings.into_iter().map(target).collect(),
                by_handset: true,
                asks_key: true,
                said: Vec::new(),
            };
            let dials = vec![dial("a", vec![0, 1]), dial("b", vec![2])];
            let callees = (0..PEOPLE).map(|number| (Callee { id: id(number), verdict: None }, attempts)).collect();
            Self { hunt: Hunt { until, outcome: None, wants_word, wants_key: wants_word }, callees, dials, answers: Vec::new() }
        }

        fn people(&self) -> Vec<Callee> {
            self.callees.iter().map(|(callee, _)| *callee).collect()
        }

        fn hear(&mut self, word: &Word, now: DateTime<Utc>) -> Option<Reported> {
            let callees = self.people();
            let answers = self.answers.clone();
            let standing = Standing { hunt: self.hunt, callees: &callees, answers: &answers };
            match word {
                Word::Report { dial, report: said } => {
                    let (reported, follows) = report(&standing, &self.dials[*dial], said, Region::CN, now);
                    for one in follows {
                        self.after_report(*dial, one, now);
                    }
                    return Some(reported);
                }
                Word::Key { dial, of, action } => {
                    for one in key(&standing, &self.dials[*dial], &number(*of), *action, Region::CN, now).1 {
                        self.after_report(*dial, one, now);
                    }
                }
                Word::Decline(callee) => {
                    let own: Vec<Callee> = callees.iter().filter(|own| own.id == *callee).copied().collect();
                    for one in take_off(self.hunt, &own, &answers, Off::Declined, false).1 {
                        match one {
                            OfRefusal::Reopen => self.hunt.outcome = None,
                            OfRefusal::Then(one) => self.follow(one, now),
                            OfRefusal::PartFromOthers { .. } | OfRefusal::TellOff => {}
                        }
                    }
                }
                Word::Cancel => {
                    if let Some(one) = over(self.hunt, HuntOutcome::Cancelled, 0) {
                        self.follow(one, now);
                    }
                }
                Word::Expire(dial) => {
                    let outcome = self.dials[*dial].ends_unreported();
                    self.close(*dial, outcome, now);
                }
            }
            None
        }

        fn close(&mut self, dial: usize, outcome: DialOutcome, now: DateTime<Utc>) {
            let dial = &mut self.dials[dial];
            dial.closed = dial.closed.or(Some((now, outcome)));
        }

        fn after_report(&mut self, place: usize, one: OfReport, now: DateTime<Utc>) {
            match one {
                OfReport::Close { outcome, resp } => {
                    assert!(self.dials[place].closed.is_none(), "a dial is closed once");
                    self.close(place, outcome, now);
                    self.dials[place].reported = true;
                    self.dials[place].resp = resp;
                }
                OfReport::NamedLate { resp } => {
                    let dial = &mut self.dials[place];
                    dial.closed = dial.closed.map(|(at, _)| (at, DialOutcome::Answered));
                    dial.reported = true;
                    dial.resp = Some(resp);
                }
                OfReport::NobodyLate => self.dials[place].reported = true,
                OfReport::Said { callee, action } => self.dials[place].said.push((callee, action)),
                OfReport::TakenLate { resp } => {
                    let dial = &mut self.dials[place];
                    dial.closed = dial.closed.map(|(at, _)| (at, DialOutcome::Answered));
                    dial.resp = Some(resp);
                }
                OfReport::Confirm { answer } => {
                    let own = self.answers.iter_mut().find(|own| own.id == answer).unwrap();
                    (own.confirmed_at, own.by_key) = (Some(now), true);
                }
                OfReport::GiveBack { callee, attempts, .. } => {
                    let own = self.callees.iter_mut().find(|(own, _)| own.id == callee).unwrap();
                    own.1 -= attempts;
                    assert!(own.1 >= 0, "more attempts are given back than were reserved");
                }
                OfReport::Record(recorded) => {
                    let mid = Some(self.dials[place].mid.clone());
                    self.answers.push(Answer {
                        id: AnswerId(Uuid::from_u128(self.answers.len() as u128)),
                        mid,
                        callee: recorded.callee,
                        confirmed_at: recorded.confirmed.then_some(now),
                        lapsed: recorded.declined || recorded.lapses,
                        by_key: recorded.confirmed,
                    });
                }
                OfReport::Then(one) => self.follow(one, now),
                OfReport::PartFromLateJoiners
                | OfReport::Became { .. }
                | OfReport::TellDeclined { .. }
                | OfReport::LineIsFree
                | OfReport::HandsetWorks
                | OfReport::HandsetFails
                | OfReport::ChannelFails
                | OfReport::LineBusy
                | OfReport::Tell(_)
                | OfReport::ReachLaterHunts { .. }
                | OfReport::RingForLateJoiners { .. } => {}
            }
        }

        fn follow(&mut self, one: Consequence, now: DateTime<Utc>) {
            match one {
                Consequence::Settled { callee, verdict } => {
                    self.callees.iter_mut().find(|(own, _)| own.id == callee).unwrap().0.verdict = Some(verdict);
                }
                Consequence::Lapse { answer } => {
                    let own = self.answers.iter_mut().find(|own| own.id == answer).unwrap();
                    own.lapsed |= own.confirmed_at.is_none();
                }
                Consequence::End { outcome, dials_as } => {
                    assert_eq!(self.hunt.outcome, None, "a hunt ends once");
                    self.hunt.outcome = Some(outcome);
                    (0..self.dials.len())
                        .filter(|dial| self.dials[*dial].said.is_empty())
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|dial| self.close(dial, dials_as, now));
                }
                Consequence::AnsweredAfterAll => {
                    assert_eq!(self.hunt.outcome, Some(HuntOutcome::NoAnswer));
                    self.hunt.outcome = Some(HuntOutcome::Answered);
                }
                // The rule is asked: here it ends a hunt in which every dial is closed and nobody has answered.
                Consequence::Settle => {
                    let open = self.dials.iter().any(|dial| dial.closed.is_none() && dial.said.is_empty());
                    if self.hunt.outcome.is_none() && !open && !self.answers.iter().any(|answer| !answer.lapsed) {
                        self.hunt.outcome = Some(HuntOutcome::NoAnswer);
                    }
                }
                Consequence::CloseUnwantedDials => {
                    for dial in (0..self.dials.len()).filter(|dial| self.dials[*dial].said.is_empty()).collect::<Vec<_>>() {
                        let rings = self.dials[dial].rings.clone();
                        let wanted = |target: &DialledCallee| {
                            self.callees.iter().any(|(own, _)| own.id == target.callee && own.verdict.is_none())
                        };
                        if !rings.iter().any(wanted) {
                            self.close(dial, DialOutcome::Superseded, now);
                        }
                    }
                }
            }
        }

        /// Who is on record as having picked up, whether it counts, and who has said no.
        fn record(&self) -> Vec<(Option<CalleeId>, bool)> {
            let mut all: Vec<_> = self.answers.iter().map(|answer| (answer.callee, answer.lapsed)).collect();
            all.sort();
            all
        }
    }

    fn report_of(mid: &str) -> impl Strategy<Value = Report> + use<> {
        let mid = mid.to_owned();
        let outcome = prop::option::of(prop::sample::select(vec![
            CallOutcome::Answered,
            CallOutcome::NoAnswer,
            CallOutcome::Busy,
            CallOutcome::Rejected,
            CallOutcome::Failed,
            CallOutcome::NotDialled,
        ]));
        let call = (0..PEOPLE, outcome, any::<bool>(), any::<bool>()).prop_map(|(of, outcome, confirmed, declined)| NativeCall {
            number: number(of),
            outcome,
            confirmed: Some(confirmed),
            declined,
            ..NativeCall::default()
        });
        (prop::option::of(0..=PEOPLE), prop::collection::vec(call, 0..3)).prop_map(move |(resp, calls)| Report {
            mid: mid.clone(),
            resp: resp.map(number),
            calls,
        })
    }

    /// A key of somebody whom the dial rings.
    fn any_key() -> impl Strategy<Value = Word> {
        let action = prop::sample::select(KeyAction::ALL);
        (0..PEOPLE, action).prop_map(|(of, action)| Word::Key { dial: usize::from(of == 2), of, action })
    }

    fn any_word() -> impl Strategy<Value = Word> {
        prop_oneof![
            4 => report_of("a").prop_map(|report| Word::Report { dial: 0, report }),
            3 => report_of("b").prop_map(|report| Word::Report { dial: 1, report }),
            2 => any_key(),
            1 => (0..PEOPLE).prop_map(|of| Word::Decline(id(of))),
            1 => Just(Word::Cancel),
            2 => (0..2_usize).prop_map(Word::Expire),
        ]
    }

    fn any_world() -> impl Strategy<Value = World> {
        (prop::sample::select(vec![Until::First, Until::Everyone]), any::<bool>(), 1..3)
            .prop_map(|(until, wants_word, attempts)| World::new(until, wants_word, attempts))
    }

    proptest! {
        /// Nothing that is reported, or said, makes a hunt ring again that people have ended.
        #[test]
        fn no_order_of_words_revives_a_cancelled_hunt(
            world in any_world(),
            words in prop::collection::vec(any_word(), 0..8),
            more in prop::collection::vec(any_word(), 1..8),
        ) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            world.hear(&Word::Cancel, at(50));
            let ended = world.hunt.outcome;
            prop_assert!(ended.is_some());
            for (now, word) in (100..).zip(&more) {
                // Whoever had ended it by picking up may take that back; a cancellation stands.
                world.hear(word, at(now));
                if ended == Some(HuntOutcome::Cancelled) {
                    prop_assert_eq!(world.hunt.outcome, ended);
                    prop_assert!(world.dials.iter().all(|dial| dial.closed.is_some() || !dial.said.is_empty()));
                }
            }
        }

        /// However often, and in whatever order: of each dial each callee has picked up once.
        #[test]
        fn an_answer_is_attributed_once(world in any_world(), words in prop::collection::vec(any_word(), 1..12), twice in any::<Index>()) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            world.hear(twice.get(&words), at(100));
            for answer in &world.answers {
                let same = |other: &&Answer| other.mid == answer.mid && other.callee == answer.callee;
                prop_assert!(answer.callee.is_none() || world.answers.iter().filter(same).count() == 1, "{:?}", world.answers);
            }
        }

        /// A key counts once, however often it is told, and whether its report comes before, after, or twice.
        #[test]
        fn a_key_counts_once(world in any_world(), words in prop::collection::vec(any_word(), 0..6), pressed in any_key(), said in report_of("a")) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            world.hear(&pressed, at(50));
            let before = world.clone();
            world.hear(&pressed, at(51));
            prop_assert_eq!(&world, &before);
            world.hear(&Word::Report { dial: 0, report: said }, at(52));
            let before = world.clone();
            world.hear(&pressed, at(53));
            prop_assert_eq!(world, before);
        }

        /// The call in which somebody presses a key goes on until its report or its deadline, and ends as what was said in it.
        #[test]
        fn a_call_with_a_word_in_it_goes_on(world in any_world(), words in prop::collection::vec(any_word(), 0..6), of in 0..2_usize, action in prop::sample::select(KeyAction::ALL), expires in any::<bool>()) {
            let mut world = world;
            world.hear(&Word::Key { dial: 0, of, action }, at(1));
            let quiet = |word: &&Word| !matches!(word, Word::Report { dial: 0, .. } | Word::Key { dial: 0, .. } | Word::Expire(0));
            for (now, word) in (2..).zip(words.iter().filter(quiet)) {
                world.hear(word, at(now));
                prop_assert!(world.dials[0].closed.is_none(), "{:?}", word);
            }
            let declined = action != KeyAction::Accept;
            let call = NativeCall { number: number(of), outcome: Some(CallOutcome::Answered), declined, ..NativeCall::default() };
            let report = Report { mid: "a".to_owned(), resp: None, calls: vec![call] };
            let answers = world.answers.len();
            world.hear(&if expires { Word::Expire(0) } else { Word::Report { dial: 0, report } }, at(60));
            let ended = if declined { DialOutcome::Nobody } else { DialOutcome::Answered };
            prop_assert_eq!(world.dials[0].closed, Some((at(60), ended)));
            prop_assert_eq!(world.answers.len(), answers, "it told nothing new");
        }

        /// The world itself looks that no more is given back than was reserved.
        #[test]
        fn attempts_never_go_below_zero(world in any_world(), words in prop::collection::vec(any_word(), 0..16)) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            prop_assert!(world.callees.iter().all(|(_, reserved)| *reserved >= 0));
        }

        /// A report whose answer was lost comes again: that changes nothing, whatever happened between.
        #[test]
        fn a_doubled_report_changes_nothing(world in any_world(), words in prop::collection::vec(any_word(), 0..6), said in report_of("a")) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            let word = Word::Report { dial: 0, report: said };
            world.hear(&word, at(50));
            let before = world.clone();
            prop_assert_eq!(world.hear(&word, at(60)), Some(Reported::Duplicate));
            prop_assert_eq!(world, before);
        }

        /// Somebody picks up and says no by text message; which of the two comes first does not matter.
        #[test]
        fn a_decline_and_a_report_in_either_order_say_the_same(
            world in any_world(),
            words in prop::collection::vec(any_word(), 0..4),
            of in 0..2_usize,
        ) {
            let mut world = world;
            for (now, word) in (1..).zip(&words) {
                world.hear(word, at(now));
            }
            // Whoever has confirmed stands by it.
            prop_assume!(world.answers.iter().all(|answer| answer.confirmed_at.is_none()));
            let picked_up = Word::Report { dial: 0, report: Report { mid: "a".to_owned(), resp: Some(number(of)), calls: Vec::new() } };
            let declines = Word::Decline(id(of));
            let (mut one, mut other) = (world.clone(), world);
            one.hear(&picked_up, at(50));
            one.hear(&declines, at(60));
            other.hear(&declines, at(50));
            other.hear(&picked_up, at(60));
            prop_assert_eq!(one.record(), other.record());
            prop_assert_eq!(one.people(), other.people());
        }
    }

    #[test]
    fn a_hunt_that_serves_another_alarm_goes_on() {
        let hunt = Hunt { until: Until::First, outcome: None, wants_word: false, wants_key: false };
        assert_eq!(over(hunt, HuntOutcome::Cancelled, 1), None);
        let end = |outcome, dials_as| Some(Consequence::End { outcome, dials_as });
        assert_eq!(over(hunt, HuntOutcome::Cancelled, 0), end(HuntOutcome::Cancelled, DialOutcome::Cancelled));
        assert_eq!(over(hunt, HuntOutcome::Resolved, 0), end(HuntOutcome::Resolved, DialOutcome::Superseded));
    }
}
