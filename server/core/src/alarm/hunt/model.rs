//! The rule "who is rung next", checked against a slow and obvious model in simulated worlds, and against decision 1 of
//! `DESIGN.md` sentence by sentence.
//!
//! A [`Script`] is drawn at random: people, handsets, what happens to each call, which numbers are in other calls. A [`World`]
//! lives through it with a clock that is moved by hand, and does what the engine does around [`decide`]. The [`Story`] that
//! comes out holds every question with its answer, and each property below reads whole stories.
//!
//! Nothing here may call into `hunt.rs` but through its public functions: a model that shares code shares mistakes.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::alarm::attribution::{DialledCallee, attribute};
use crate::alarm::hunt::{
    Callee, Decision, DialPlan, Hunt, ListForm, OpenDial, Target, WaitReason, begin_before, decide, hand_out_limit,
};
use crate::alarm::{EndReason, HuntOutcome, Mode, Priority, Until, Verdict};
use crate::ids::CalleeId;

// ---------------------------------------------------------------------------------------------------------------------------
// What a world is made of
// ---------------------------------------------------------------------------------------------------------------------------

/// How often the engine looks at a hunt that waits for a call to end.
const LOOK_AGAIN: i64 = 5;
/// A deadline is noticed at most this much too late.
const EXPIRY_LAG: i64 = 5;

#[derive(Clone, Debug)]
struct Script {
    priority: Priority,
    mode: Mode,
    until: Until,
    /// Seconds in which a handset must come, or the hunt ends.
    window: i64,
    people: Vec<Person>,
    /// The handsets poll in turn; one with an open dial is silent.
    handsets: Vec<ListForm>,
    elsewhere: Vec<Elsewhere>,
    /// What becomes of the dials, in order of hand-out, from the start again when they are used up.
    calls: Vec<Call>,
    /// Seconds from one poll to the next, from the start again when they are used up.
    gaps: Vec<i64>,
    /// Somebody says no, without or before being called: seconds from the beginning, and who.
    declines: Vec<(i64, Index)>,
    /// A dial of an earlier escalation step that is open at the beginning: seconds to its deadline.
    earlier_step: Option<i64>,
    /// Ask at every poll, instead of only when the hunt is due. An answer must not depend on having been asked before.
    asks_early: bool,
}

#[derive(Clone, Debug)]
struct Person {
    position: i32,
    phone: String,
    max_attempts: i32,
    min_interval: i64,
}

/// A phone that is in a call of another hunt.
#[derive(Clone, Debug)]
struct Elsewhere {
    phone: String,
    from: i64,
    /// Seconds from there to the deadline of that dial.
    allowed: i64,
    /// Seconds it really lasts: shorter because it was reported, or longer because expiry was late.
    lasts: i64,
}

#[derive(Clone, Debug)]
struct Call {
    ending: Ending,
    /// Seconds from hand-out to report, cut at the deadline.
    after: i64,
}

#[derive(Clone, Debug)]
enum Ending {
    /// One of the list picks up.
    Answered(Index),
    /// The reported number is none of the list.
    Stranger,
    Nobody,
    /// No report: the deadline passes.
    Silent,
    /// The deadline passes, and then the report comes that one of the list had picked up.
    Late(Index, i64),
    /// The handset says that it rang none of them.
    Failed,
}

fn own_number(person: usize) -> String {
    format!("+49301{person}")
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High), Just(Priority::Critical)]
}

fn form() -> impl Strategy<Value = ListForm> {
    prop_oneof![Just(ListForm::One), Just(ListForm::Distinct), Just(ListForm::Repeated)]
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    // Positions are unique within a hunt, but neither gapless nor in the order of the rows.
    let positions = Just(vec![-4, 0, 1, 2, 5, 100]).prop_shuffle();
    // Several people may share a phone: then they take that of one of the first.
    let shared = prop_oneof![2 => Just(None), 1 => (0_usize..3).prop_map(Some)];
    let interval = prop_oneof![1 => Just(0_i64), 2 => 1..=300_i64];
    let each = (shared, 1..=4_i32, interval);
    (positions, prop::collection::vec(each, 1..=6)).prop_map(|(positions, people)| {
        let each = people.into_iter().zip(positions).enumerate();
        each.map(|(index, ((shared, max_attempts, min_interval), position))| Person {
            position,
            phone: own_number(shared.unwrap_or(index)),
            max_attempts,
            min_interval,
        })
        .collect()
    })
}

fn elsewhere() -> impl Strategy<Value = Elsewhere> {
    (0_usize..6, 0..900_i64, 1..600_i64, 1..=600 + EXPIRY_LAG).prop_map(|(person, from, allowed, lasts)| Elsewhere {
        phone: own_number(person),
        from,
        allowed,
        lasts: lasts.min(allowed + EXPIRY_LAG),
    })
}

fn call() -> impl Strategy<Value = Call> {
    let ending = prop_oneof![
        2 => any::<Index>().prop_map(Ending::Answered),
        1 => Just(Ending::Stranger),
        6 => Just(Ending::Nobody),
        3 => Just(Ending::Silent),
        1 => (any::<Index>(), 0..600_i64).prop_map(|(who, after)| Ending::Late(who, after)),
        2 => Just(Ending::Failed),
    ];
    (ending, 1..400_i64).prop_map(|(ending, after)| Call { ending, after })
}

fn scripts() -> impl Strategy<Value = Script> {
    // Once in a while no handset comes for hours.
    let gap = prop_oneof![30 => 1..30_i64, 8 => 30..120_i64, 1 => 600..7200_i64];
    let hunt = (
        priority(),
        prop_oneof![3 => Just(Mode::Sequential), 2 => Just(Mode::Parallel)],
        prop_oneof![Just(Until::First), Just(Until::Everyone)],
        60..3600_i64,
        people(),
    );
    let around = (
        prop::collection::vec(form(), 1..=4),
        prop::collection::vec(elsewhere(), 0..8),
        prop::collection::vec(call(), 1..10),
        prop::collection::vec(gap, 1..30),
        prop::collection::vec((0..1200_i64, any::<Index>()), 0..3),
        prop::option::weighted(0.2, 1..400_i64),
        any::<bool>(),
    );
    (hunt, around).prop_map(|((priority, mode, until, window, people), around)| {
        let (handsets, elsewhere, calls, gaps, declines, earlier_step, asks_early) = around;
        Script { priority, mode, until, window, people, handsets, elsewhere, calls, gaps, declines, earlier_step, asks_early }
    })
}

impl Script {
    /// Longer than this no hunt can take: each hand-out may wait for a dial, an interval and a poll; calls elsewhere end.
    fn longest(&self) -> TimeDelta {
        let hand_outs: i64 = self.people.iter().map(|person| 2 * i64::from(person.max_attempts)).sum();
        let dials: i64 = self.people.iter().map(|person| i64::from(person.max_attempts)).sum();
        let polls = 2 + i64::try_from(self.handsets.len()).unwrap_or(i64::MAX);
        let slowest_poll = polls * self.gaps.iter().max().unwrap_or(&0);
        let each = dial_seconds(dials) + EXPIRY_LAG + LOOK_AGAIN + 300 + slowest_poll;
        let others: i64 = self.elsewhere.iter().map(|call| call.from + call.allowed + EXPIRY_LAG).max().unwrap_or(0);
        TimeDelta::seconds((hand_outs + 2) * each + others + self.earlier_step.unwrap_or(0))
    }
}

fn dial_seconds(numbers: i64) -> i64 {
    (60 + 75 * numbers).max(180)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn id(person: usize) -> CalleeId {
    CalleeId(Uuid::from_u128(person as u128))
}

// ---------------------------------------------------------------------------------------------------------------------------
// A world that lives through a script
// ---------------------------------------------------------------------------------------------------------------------------

/// One question to the rule, with its answer.
#[derive(Clone, Debug)]
struct Asked {
    hunt: Hunt,
    callees: Vec<Callee>,
    open: Vec<OpenDial>,
    busy: HashMap<String, DateTime<Utc>>,
    form: ListForm,
    now: DateTime<Utc>,
    decision: Decision,
}

impl Asked {
    fn again(&self) -> Decision {
        decide(&self.hunt, &self.callees, &self.open, &self.busy, self.form, self.now)
    }

    /// The same question at another time, with nothing changed.
    fn later(&self, now: DateTime<Utc>) -> Self {
        Self { now, ..self.clone() }
    }

    /// The same question at another time, with the calls of other hunts closed at their deadlines.
    fn later_with_others_closed(&self, now: DateTime<Utc>) -> Self {
        let mut later = self.later(now);
        let own: Vec<String> = self.open.iter().flat_map(|dial| self.numbers(&dial.callees)).collect();
        later.busy.retain(|number, deadline| *deadline > now || own.contains(number));
        later
    }

    /// The same question at another time, with every call closed at its deadline.
    fn later_with_all_closed(&self, now: DateTime<Utc>) -> Self {
        let mut later = self.later(now);
        later.open.retain(|dial| dial.deadline > now);
        later.busy.retain(|_, deadline| *deadline > now);
        later
    }

    fn callee(&self, id: CalleeId) -> &Callee {
        self.callees.iter().find(|callee| callee.id == id).unwrap()
    }

    fn numbers(&self, ids: &[CalleeId]) -> Vec<String> {
        self.callees.iter().filter(|callee| ids.contains(&callee.id)).map(|callee| callee.phone.clone()).collect()
    }

    fn answered(&self) -> bool {
        self.callees.iter().any(|callee| callee.verdict == Some(Verdict::Answered))
    }
}

#[derive(Clone, Debug)]
struct HandOut {
    asked: Asked,
    plan: DialPlan,
    /// Whose attempts came back, because they were not rung.
    given_back: Vec<CalleeId>,
    /// Other calls that hold a number of the list at this moment, by what the script says.
    held: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Decided(HuntOutcome, Option<EndReason>),
    /// Somebody answered who is no callee: the engine ends a hunt for the first answer by itself.
    Stranger,
}

#[derive(Clone, Debug, Default)]
struct Story {
    asked: Vec<Asked>,
    hand_outs: Vec<HandOut>,
    /// `None` when the hunt was still open after longer than it can take.
    end: Option<(DateTime<Utc>, End)>,
}

impl Story {
    fn of(script: &Script) -> Self {
        World::new(script).run()
    }

    fn dials(&self) -> impl Iterator<Item = (&Asked, &DialPlan)> {
        self.asked.iter().filter_map(|asked| match &asked.decision {
            Decision::Dial(plan) => Some((asked, plan)),
            _ => None,
        })
    }
}

struct Dial {
    open: OpenDial,
    /// Whose it is and which hand-out; `None` for a dial of an earlier step.
    own: Option<(usize, usize)>,
    targets: Vec<Target>,
    closes_at: DateTime<Utc>,
    ending: Ending,
}

struct World<'a> {
    script: &'a Script,
    now: DateTime<Utc>,
    hunt: Hunt,
    callees: Vec<Callee>,
    dials: Vec<Dial>,
    verdicts_to_come: Vec<(DateTime<Utc>, CalleeId, Verdict)>,
    due: DateTime<Utc>,
    story: Story,
}

impl<'a> World<'a> {
    fn new(script: &'a Script) -> Self {
        let callees: Vec<Callee> = script
            .people
            .iter()
            .enumerate()
            .map(|(index, person)| Callee {
                id: id(index),
                position: person.position,
                person: None,
                phone: person.phone.clone(),
                max_attempts: person.max_attempts,
                attempts: 0,
                failed: 0,
                min_interval: TimeDelta::seconds(person.min_interval),
                last_offered_at: None,
                quiet_until: None,
                after: TimeDelta::zero(),
                asked_at: None,
                verdict: None,
            })
            .collect();
        let earlier = script.earlier_step.map(|deadline| Dial {
            open: OpenDial { deadline: at(deadline), callees: vec![id(1000)] },
            own: None,
            targets: Vec::new(),
            closes_at: at(deadline),
            ending: Ending::Silent,
        });
        let declined = |(when, who): &(i64, Index)| (at(*when), id(who.index(callees.len())), Verdict::Declined);
        Self {
            script,
            now: at(0),
            hunt: Hunt {
                priority: script.priority,
                mode: script.mode,
                until: script.until,
                dials_left: hand_out_limit(script.people.iter().map(|person| person.max_attempts)),
                begin_before: at(script.window),
            },
            verdicts_to_come: script.declines.iter().map(declined).collect(),
            callees,
            dials: earlier.into_iter().collect(),
            due: at(0),
            story: Story::default(),
        }
    }

    fn run(mut self) -> Story {
        let give_up = self.now + self.script.longest();
        let polls = self.script.gaps.iter().cycle().zip((0..self.script.handsets.len()).cycle());
        for (gap, handset) in polls {
            let poll_at = self.now + TimeDelta::seconds(*gap);
            while let Some(event_at) = self.next_event().filter(|event_at| *event_at <= poll_at) {
                self.now = self.now.max(event_at);
                self.happen();
                if self.story.end.is_some() {
                    return self.story;
                }
            }
            self.now = poll_at;
            self.poll(handset);
            if self.story.end.is_some() || self.now > give_up {
                break;
            }
        }
        self.story
    }

    fn next_event(&self) -> Option<DateTime<Utc>> {
        let closings = self.dials.iter().map(|dial| dial.closes_at);
        closings.chain(self.verdicts_to_come.iter().map(|(when, ..)| *when)).min()
    }

    fn happen(&mut self) {
        if let Some(index) = self.dials.iter().position(|dial| dial.closes_at <= self.now) {
            let dial = self.dials.remove(index);
            self.close(&dial);
        } else if let Some(index) = self.verdicts_to_come.iter().position(|(when, ..)| *when <= self.now) {
            let (_, callee, verdict) = self.verdicts_to_come.remove(index);
            self.set_verdict(callee, verdict);
        }
        if self.story.end.is_none() {
            self.settle();
        }
    }

    fn close(&mut self, dial: &Dial) {
        let Some((_, hand_out)) = dial.own else { return };
        let dialled: Vec<DialledCallee> = dial
            .targets
            .iter()
            .map(|target| DialledCallee {
                callee: target.callee,
                number: self.callees.iter().find(|callee| callee.id == target.callee).unwrap().phone.clone(),
                attempts: target.attempts,
            })
            .collect();
        match &dial.ending {
            Ending::Nobody | Ending::Silent => {}
            Ending::Failed => self.give_back_failed(hand_out, &dial.targets),
            Ending::Late(who, after) => {
                let callee = dial.targets[who.index(dial.targets.len())].callee;
                self.verdicts_to_come.push((self.now + TimeDelta::seconds(*after), callee, Verdict::Answered));
            }
            Ending::Answered(who) => {
                let number = dialled[who.index(dialled.len())].number.clone();
                self.answered(hand_out, dial, &dialled, &number);
            }
            Ending::Stranger => self.answered(hand_out, dial, &dialled, "none of these"),
        }
    }

    fn answered(&mut self, hand_out: usize, dial: &Dial, dialled: &[DialledCallee], reported: &str) {
        let attribution = attribute(dialled, |number| number == reported);
        match attribution.callee {
            Some(callee) => self.set_verdict(callee, Verdict::Answered),
            None if self.hunt.until == Until::First => self.story.end = Some((self.now, End::Stranger)),
            None => {}
        }
        let mut not_rung = dial.targets.clone();
        not_rung.retain(|target| attribution.not_rung.contains(&target.callee));
        self.give_back(hand_out, &not_rung);
    }

    fn set_verdict(&mut self, callee: CalleeId, verdict: Verdict) {
        let callee = self.callees.iter_mut().find(|other| other.id == callee).unwrap();
        if callee.verdict != Some(Verdict::Answered) {
            callee.verdict = Some(verdict);
        }
    }

    /// As the store does: what was not rung did not begin an interval either.
    fn give_back(&mut self, hand_out: usize, targets: &[Target]) {
        for target in targets {
            let callee = self.callees.iter_mut().find(|callee| callee.id == target.callee).unwrap();
            callee.attempts -= target.attempts;
            callee.last_offered_at = None;
            self.story.hand_outs[hand_out].given_back.push(target.callee);
        }
    }

    /// As the store does: a call that never left the phone costs no attempt, but a turn.
    fn give_back_failed(&mut self, hand_out: usize, targets: &[Target]) {
        for target in targets {
            let callee = self.callees.iter_mut().find(|callee| callee.id == target.callee).unwrap();
            callee.attempts -= target.attempts;
            callee.failed += 1;
            callee.last_offered_at = None;
            self.story.hand_outs[hand_out].given_back.push(target.callee);
        }
    }

    /// Without being asked by a handset: the hunt ends, or is due again.
    fn settle(&mut self) {
        let asked = self.ask(HashMap::new(), ListForm::One);
        self.due = match asked.decision {
            Decision::Finished { outcome, reason } => {
                self.story.end = Some((self.now, End::Decided(outcome, reason)));
                return;
            }
            Decision::Wait { until, .. } => until.max(self.now),
            Decision::Dial(_) => self.now,
        };
        self.hunt.begin_before = self.begin_before(self.due);
    }

    fn poll(&mut self, handset: usize) {
        let is_calling = self.dials.iter().any(|dial| dial.own.is_some_and(|(whose, _)| whose == handset));
        let is_early = self.due > self.now && !self.script.asks_early;
        // A hunt that no handset could ring in time is also given up without being asked for.
        let is_stalled = self.dials.is_empty() && self.now >= self.hunt.begin_before;
        if (is_calling || is_early) && !is_stalled {
            return;
        }
        let asked = self.ask(self.busy(), self.script.handsets[handset]);
        match asked.decision.clone() {
            Decision::Finished { outcome, reason } => {
                self.story.end = Some((self.now, End::Decided(outcome, reason)));
            }
            Decision::Wait { until, why } => {
                let until = match why {
                    WaitReason::Interval => until,
                    WaitReason::Dialling | WaitReason::NumberBusy => until.min(self.now + TimeDelta::seconds(LOOK_AGAIN)),
                    WaitReason::QuietHours | WaitReason::Later | WaitReason::Confirming | WaitReason::Snoozed => {
                        panic!("nothing here has that")
                    }
                };
                self.due = until.max(self.now + TimeDelta::seconds(1));
                if !self.story.hand_outs.is_empty() {
                    self.hunt.begin_before = self.begin_before(self.due);
                }
            }
            Decision::Dial(plan) => self.hand_out(handset, asked, plan),
        }
    }

    fn hand_out(&mut self, handset: usize, asked: Asked, plan: DialPlan) {
        let call = &self.script.calls[self.story.hand_outs.len() % self.script.calls.len()];
        let allowed = dial_seconds(i64::try_from(plan.sequence.len()).unwrap());
        let deadline = self.now + TimeDelta::seconds(allowed);
        let closes_after = match call.ending {
            Ending::Silent | Ending::Late(..) => allowed + call.after % (EXPIRY_LAG + 1),
            Ending::Answered(_) | Ending::Stranger | Ending::Nobody | Ending::Failed => call.after.min(allowed - 1),
        };
        let ids: Vec<CalleeId> = plan.targets.iter().map(|target| target.callee).collect();
        let numbers = asked.numbers(&ids);
        let in_a_call = self.held_elsewhere().into_iter().map(|call| call.phone.clone());
        let held = in_a_call.filter(|number| numbers.contains(number)).collect();
        for target in &plan.targets {
            let callee = self.callees.iter_mut().find(|callee| callee.id == target.callee).unwrap();
            callee.attempts += target.attempts;
            callee.last_offered_at = Some(self.now);
        }
        self.hunt.dials_left -= 1;
        self.hunt.begin_before = self.begin_before(deadline);
        self.due = if plan.exclusive { deadline } else { self.now };
        self.dials.push(Dial {
            open: OpenDial { deadline, callees: ids },
            own: Some((handset, self.story.hand_outs.len())),
            targets: plan.targets.clone(),
            closes_at: self.now + TimeDelta::seconds(closes_after),
            ending: call.ending.clone(),
        });
        self.story.hand_outs.push(HandOut { asked, plan, given_back: Vec::new(), held });
    }

    fn ask(&mut self, busy: HashMap<String, DateTime<Utc>>, form: ListForm) -> Asked {
        let open: Vec<OpenDial> = self.dials.iter().map(|dial| dial.open.clone()).collect();
        let decision = decide(&self.hunt, &self.callees, &open, &busy, form, self.now);
        let asked = Asked { hunt: self.hunt.clone(), callees: self.callees.clone(), open, busy, form, now: self.now, decision };
        self.story.asked.push(asked.clone());
        asked
    }

    /// The numbers of this hunt that are in some open dial, its own included, as the store gives them.
    fn busy(&self) -> HashMap<String, DateTime<Utc>> {
        let mut busy = HashMap::new();
        for call in self.held_elsewhere() {
            busy.insert(call.phone.clone(), at(call.from + call.allowed));
        }
        for dial in &self.dials {
            for callee in self.callees.iter().filter(|callee| dial.open.callees.contains(&callee.id)) {
                busy.insert(callee.phone.clone(), dial.open.deadline);
            }
        }
        busy
    }

    fn held_elsewhere(&self) -> Vec<&Elsewhere> {
        let is_on = |call: &&Elsewhere| at(call.from) <= self.now && self.now < at(call.from + call.lasts);
        self.script.elsewhere.iter().filter(is_on).collect()
    }

    fn begin_before(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        begin_before(self.hunt.begin_before, due, TimeDelta::seconds(self.script.window))
    }
}

// ---------------------------------------------------------------------------------------------------------------------------
// The slow model
// ---------------------------------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slow {
    Ring(Vec<CalleeId>),
    Wait,
    Over(HuntOutcome, Option<EndReason>),
}

fn slow_may_still_be_rung(callee: &Callee) -> bool {
    match callee.verdict {
        Some(Verdict::Answered | Verdict::Declined | Verdict::Skipped | Verdict::DoNotCall | Verdict::BadNumber) => false,
        None => callee.max_attempts > callee.attempts,
    }
}

fn slow_is_in_a_dial_of_this_hunt(asked: &Asked, callee: &Callee) -> bool {
    for dial in &asked.open {
        for other in &dial.callees {
            if *other == callee.id {
                return true;
            }
        }
    }
    false
}

fn slow_is_resting(asked: &Asked, callee: &Callee) -> bool {
    match callee.last_offered_at {
        Some(last) => asked.now - last < callee.min_interval,
        None => false,
    }
}

/// How often it was somebody's turn, whether or not the call left the phone.
fn turns(callee: &Callee) -> i32 {
    callee.attempts + callee.failed
}

/// Everybody who may be rung at this moment if only the number is free, in order.
fn slow_queue(asked: &Asked) -> Vec<Callee> {
    let mut queue = Vec::new();
    for callee in &asked.callees {
        if !slow_may_still_be_rung(callee) || slow_is_in_a_dial_of_this_hunt(asked, callee) || slow_is_resting(asked, callee) {
            continue;
        }
        queue.push(callee.clone());
    }
    for _ in 0..queue.len() {
        for right in 1..queue.len() {
            let left = right - 1;
            let (had, other) = (turns(&queue[right]), turns(&queue[left]));
            let fewer_attempts = had < other;
            let lower_position = had == other && queue[right].position < queue[left].position;
            if fewer_attempts || lower_position {
                queue.swap(left, right);
            }
        }
    }
    queue
}

/// Whom the list would hold.
fn slow_list(asked: &Asked) -> Vec<CalleeId> {
    let overtakes = asked.hunt.priority == Priority::Critical || asked.hunt.mode == Mode::Parallel;
    let mut list: Vec<Callee> = Vec::new();
    for callee in slow_queue(asked) {
        if asked.busy.contains_key(&callee.phone) {
            if overtakes {
                continue;
            }
            break;
        }
        let mut repeats = false;
        for earlier in &list {
            if earlier.phone == callee.phone {
                repeats = true;
            }
        }
        if repeats {
            break;
        }
        list.push(callee);
    }
    if asked.hunt.mode == Mode::Parallel || asked.form == ListForm::One {
        list.truncate(1);
    }
    list.into_iter().map(|callee| callee.id).collect()
}

fn slow_decision(asked: &Asked) -> Slow {
    let mut answered = 0;
    let mut declined = 0;
    let mut wanted = 0;
    for callee in &asked.callees {
        if callee.verdict == Some(Verdict::Answered) {
            answered += 1;
        }
        if callee.verdict == Some(Verdict::Declined) {
            declined += 1;
        }
        if slow_may_still_be_rung(callee) {
            wanted += 1;
        }
    }
    let over = |reason| match answered {
        0 => Slow::Over(HuntOutcome::NoAnswer, Some(reason)),
        _ => Slow::Over(HuntOutcome::Answered, None),
    };
    if answered > 0 && asked.hunt.until == Until::First {
        return Slow::Over(HuntOutcome::Answered, None);
    }
    if asked.open.is_empty() {
        if wanted == 0 && declined == asked.callees.len() {
            return over(EndReason::AllDeclined);
        }
        if wanted == 0 {
            return over(EndReason::AttemptsUsed);
        }
        if asked.hunt.dials_left == 0 {
            return over(EndReason::HandOutLimit);
        }
        if asked.now >= asked.hunt.begin_before {
            return over(EndReason::NoHandset);
        }
    } else if asked.hunt.dials_left == 0 || asked.hunt.mode == Mode::Sequential {
        return Slow::Wait;
    }
    match slow_list(asked) {
        list if list.is_empty() => Slow::Wait,
        list => Slow::Ring(list),
    }
}

/// The sequence written down pass by pass, then without equal neighbours.
fn slow_sequence(attempts: &[i32]) -> Vec<usize> {
    let mut sequence = Vec::new();
    for pass in 1..=4 {
        for (index, attempts) in attempts.iter().enumerate() {
            if *attempts >= pass {
                sequence.push(index);
            }
        }
    }
    sequence.dedup();
    sequence
}

// ---------------------------------------------------------------------------------------------------------------------------
// Properties
// ---------------------------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn every_hunt_ends(script in scripts()) {
        let story = Story::of(&script);
        prop_assert!(story.end.is_some(), "still open after {} and {} hand-outs", script.longest(), story.hand_outs.len());
    }

    #[test]
    fn a_hunt_does_not_end_while_a_dial_is_open_unless_the_first_answer_was_wanted(script in scripts()) {
        for asked in Story::of(&script).asked {
            if let Decision::Finished { .. } = asked.decision {
                let is_reached = asked.hunt.until == Until::First && asked.answered();
                prop_assert!(asked.open.is_empty() || is_reached, "{asked:?}");
            }
        }
    }

    #[test]
    fn every_answer_is_what_the_slow_model_says(script in scripts()) {
        for asked in Story::of(&script).asked {
            let decided = match &asked.decision {
                Decision::Dial(plan) => Slow::Ring(plan.targets.iter().map(|target| target.callee).collect()),
                Decision::Wait { .. } => Slow::Wait,
                Decision::Finished { outcome, reason } => Slow::Over(*outcome, *reason),
            };
            prop_assert_eq!(decided, slow_decision(&asked), "{:?}", asked);
        }
    }

    #[test]
    fn the_first_callee_has_the_fewest_attempts_then_the_lowest_position(script in scripts()) {
        let story = Story::of(&script);
        for (asked, plan) in story.dials() {
            let first = asked.callee(plan.targets[0].callee);
            for other in slow_queue(asked) {
                let goes_before = (turns(&other), other.position) < (turns(first), first.position);
                prop_assert!(!goes_before || asked.busy.contains_key(&other.phone), "{other:?} before {first:?} in {asked:?}");
            }
        }
    }

    #[test]
    fn nobody_is_rung_again_within_their_own_interval(script in scripts()) {
        let story = Story::of(&script);
        for (index, hand_out) in story.hand_outs.iter().enumerate() {
            for target in &hand_out.plan.targets {
                let callee = hand_out.asked.callee(target.callee);
                for earlier in &story.hand_outs[..index] {
                    let was_rung = earlier.plan.targets.iter().any(|other| other.callee == target.callee)
                        && !earlier.given_back.contains(&target.callee);
                    let rested = hand_out.asked.now - earlier.asked.now;
                    prop_assert!(!was_rung || rested >= callee.min_interval, "after {rested}: {hand_out:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_is_rung_more_often_than_allowed_or_after_a_verdict(script in scripts()) {
        let story = Story::of(&script);
        for (asked, plan) in story.dials() {
            for target in &plan.targets {
                let callee = asked.callee(target.callee);
                prop_assert!(target.attempts >= 1 && callee.attempts + target.attempts <= callee.max_attempts, "{asked:?}");
                prop_assert_eq!(callee.verdict, None, "{:?}", asked);
            }
        }
        for (index, person) in script.people.iter().enumerate() {
            let rung: i32 = story
                .hand_outs
                .iter()
                .filter(|hand_out| !hand_out.given_back.contains(&id(index)))
                .flat_map(|hand_out| &hand_out.plan.targets)
                .filter(|target| target.callee == id(index))
                .map(|target| target.attempts)
                .sum();
            prop_assert!(rung <= person.max_attempts, "person {index} was rung {rung} times: {story:?}");
        }
    }

    #[test]
    fn a_sequential_hunt_has_one_open_dial(script in scripts()) {
        let story = Story::of(&Script { mode: Mode::Sequential, ..script });
        for (asked, plan) in story.dials() {
            prop_assert!(asked.open.is_empty(), "beside an open dial: {asked:?}");
            prop_assert!(plan.exclusive, "{plan:?}");
        }
    }

    #[test]
    fn a_parallel_hunt_has_one_callee_in_each_dial_and_one_dial_for_each_callee(script in scripts()) {
        let story = Story::of(&Script { mode: Mode::Parallel, ..script });
        for (asked, plan) in story.dials() {
            prop_assert_eq!(plan.targets.len(), 1, "{:?}", plan);
            prop_assert_eq!(plan.targets[0].attempts, 1, "{:?}", plan);
            prop_assert_eq!(&plan.sequence, &vec![0]);
            prop_assert!(!plan.exclusive, "{plan:?}");
            let is_ringing = asked.open.iter().any(|dial| dial.callees.contains(&plan.targets[0].callee));
            prop_assert!(!is_ringing, "twice at once: {asked:?}");
        }
    }

    #[test]
    fn a_list_is_in_order_and_repeats_no_number(script in scripts()) {
        let story = Story::of(&script);
        for (asked, plan) in story.dials() {
            let callees: Vec<_> = plan.targets.iter().map(|target| asked.callee(target.callee)).collect();
            prop_assert!(!callees.is_empty());
            for (index, callee) in callees.iter().enumerate() {
                for earlier in &callees[..index] {
                    prop_assert_ne!(&earlier.phone, &callee.phone, "{:?}", asked);
                    let earlier = (turns(earlier), earlier.position);
                    prop_assert!(earlier < (turns(callee), callee.position), "{asked:?}");
                }
            }
            if asked.form == ListForm::One {
                prop_assert_eq!(callees.len(), 1);
            }
            if asked.form != ListForm::Repeated {
                prop_assert!(plan.targets.iter().all(|target| target.attempts == 1), "{plan:?}");
                prop_assert_eq!(&plan.sequence, &(0..callees.len()).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_copied_sequence_holds_every_pass_without_equal_neighbours(script in scripts()) {
        let story = Story::of(&Script { mode: Mode::Sequential, handsets: vec![ListForm::Repeated], ..script });
        for hand_out in &story.hand_outs {
            let plan = &hand_out.plan;
            let left = |target: &Target| {
                let callee = hand_out.asked.callee(target.callee);
                callee.max_attempts - callee.attempts
            };
            let left: Vec<i32> = plan.targets.iter().map(left).collect();
            prop_assert_eq!(&plan.sequence, &slow_sequence(&left), "{:?}", plan);
            prop_assert!(plan.sequence.windows(2).all(|pair| pair[0] != pair[1]), "{plan:?}");
            for (index, target) in plan.targets.iter().enumerate() {
                let dialled = i32::try_from(plan.sequence.iter().filter(|other| **other == index).count()).unwrap();
                prop_assert_eq!(dialled, target.attempts, "what is dialled is what is reserved: {:?}", plan);
            }
        }
    }

    #[test]
    fn a_number_in_another_call_is_never_handed_out(script in scripts()) {
        for hand_out in Story::of(&script).hand_outs {
            prop_assert!(hand_out.held.is_empty(), "{hand_out:?}");
            for target in &hand_out.plan.targets {
                let number = &hand_out.asked.callee(target.callee).phone;
                prop_assert!(!hand_out.asked.busy.contains_key(number), "{hand_out:?}");
            }
        }
    }

    #[test]
    fn only_a_critical_or_parallel_hunt_overtakes_a_busy_number(script in scripts()) {
        for asked in Story::of(&script).asked {
            let patient = asked.hunt.mode == Mode::Sequential && asked.hunt.priority != Priority::Critical;
            let queue = slow_queue(&asked);
            match &asked.decision {
                Decision::Dial(plan) if patient => {
                    // Whoever is in front of somebody in the list is in the list.
                    for (index, target) in plan.targets.iter().enumerate() {
                        prop_assert_eq!(target.callee, queue[index].id, "overtakes: {:?}", asked);
                    }
                }
                Decision::Wait { why: WaitReason::NumberBusy, .. } if patient => {
                    prop_assert!(queue.iter().take(1).all(|head| asked.busy.contains_key(&head.phone)), "{asked:?}");
                }
                Decision::Wait { .. } if !patient && asked.hunt.dials_left > 0 => {
                    let is_held = |callee: &Callee| asked.busy.contains_key(&callee.phone);
                    let may_not = asked.hunt.mode == Mode::Sequential && !asked.open.is_empty();
                    prop_assert!(may_not || queue.iter().all(is_held), "did not pass on: {asked:?}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_wait_names_its_true_reason(script in scripts()) {
        for asked in Story::of(&script).asked {
            let Decision::Wait { until, why } = asked.decision else { continue };
            let earliest_close = asked.open.iter().map(|dial| dial.deadline).min();
            let mut waiting = asked.callees.iter().filter(|callee| slow_may_still_be_rung(callee));
            match why {
                WaitReason::QuietHours | WaitReason::Later | WaitReason::Confirming | WaitReason::Snoozed => {
                    prop_assert!(false, "nothing here has that");
                }
                WaitReason::Dialling => prop_assert_eq!(Some(until), earliest_close, "{:?}", asked),
                WaitReason::Interval => {
                    prop_assert!(until > asked.now, "{asked:?}");
                    let rests_until = |callee: &Callee| callee.last_offered_at.map(|last| last + callee.min_interval);
                    prop_assert!(waiting.any(|callee| rests_until(callee) == Some(until)), "{asked:?}");
                }
                WaitReason::NumberBusy => {
                    let mut rested = waiting.filter(|callee| !slow_is_resting(&asked, callee));
                    prop_assert!(rested.any(|callee| asked.busy.get(&callee.phone) == Some(&until)), "{asked:?}");
                }
            }
            if asked.hunt.mode == Mode::Sequential && earliest_close.is_some() {
                prop_assert_eq!(why, WaitReason::Dialling);
            }
        }
    }

    #[test]
    fn a_wait_is_not_too_long(script in scripts()) {
        for asked in Story::of(&script).asked {
            let Decision::Wait { until, .. } = asked.decision else { continue };
            // Nobody can be rung before, as long as no dial of this hunt closes: that is when it is looked at anyway.
            let rests = asked.callees.iter().filter_map(|callee| Some(callee.last_offered_at? + callee.min_interval));
            let instants = rests.chain(asked.busy.values().copied()).chain([asked.now + (until - asked.now) / 2]);
            for instant in instants.filter(|instant| asked.now < *instant && *instant < until) {
                let early = asked.later_with_others_closed(instant);
                let decided = slow_decision(&early);
                prop_assert!(!matches!(decided, Slow::Ring(_)), "{decided:?} at {instant}: {asked:?}");
            }
        }
    }

    #[test]
    fn a_wait_is_not_in_vain(script in scripts()) {
        for asked in Story::of(&script).asked {
            let Decision::Wait { until, why } = asked.decision else { continue };
            if why == WaitReason::Interval {
                prop_assert_ne!(asked.later(until).again(), asked.decision.clone(), "nothing changed: {:?}", asked);
            }
            // A dial whose deadline has passed holds its number until it is noticed, so that one can lie in the past.
            let then = until.max(asked.now);
            prop_assert_ne!(asked.later_with_all_closed(then).again(), asked.decision.clone(), "calls closed: {:?}", asked);
        }
    }

    #[test]
    fn hand_outs_are_limited_to_twice_the_attempts(script in scripts(), always_fails in any::<bool>()) {
        let calls = if always_fails { vec![Call { ending: Ending::Failed, after: 7 }] } else { script.calls.clone() };
        let script = Script { calls, ..script };
        let limit: i32 = script.people.iter().map(|person| person.max_attempts * 2).sum();
        prop_assert_eq!(hand_out_limit(script.people.iter().map(|person| person.max_attempts)), limit);
        let story = Story::of(&script);
        let hand_outs = i32::try_from(story.hand_outs.len()).unwrap();
        prop_assert!(hand_outs <= limit, "{hand_outs} hand-outs");
        let is_limited = matches!(story.end, Some((_, End::Decided(_, Some(EndReason::HandOutLimit)))));
        prop_assert!(!is_limited || hand_outs == limit, "limited after {hand_outs} of {limit} hand-outs");
        for (asked, _) in story.dials() {
            prop_assert!(asked.hunt.dials_left > 0, "{asked:?}");
        }
    }

    #[test]
    fn a_hunt_that_no_handset_came_for_ends_and_rings_nobody(script in scripts()) {
        for asked in Story::of(&script).asked {
            let is_too_late = asked.now >= asked.hunt.begin_before && asked.open.is_empty();
            match asked.decision {
                Decision::Finished { reason: Some(EndReason::NoHandset), .. } => prop_assert!(is_too_late, "{asked:?}"),
                Decision::Dial(_) | Decision::Wait { .. } => prop_assert!(!is_too_late, "{asked:?}"),
                Decision::Finished { .. } => {}
            }
        }
    }

    #[test]
    fn a_hunt_for_everyone_goes_on_after_an_answer(script in scripts()) {
        let story = Story::of(&Script { until: Until::Everyone, ..script });
        for asked in story.asked {
            let Decision::Finished { outcome, reason } = asked.decision else { continue };
            let expected = if asked.answered() { HuntOutcome::Answered } else { HuntOutcome::NoAnswer };
            prop_assert_eq!(outcome, expected, "{:?}", asked);
            prop_assert_eq!(reason.is_none(), asked.answered(), "{:?}", asked);
            let is_settled = asked.callees.iter().all(|callee| !slow_may_still_be_rung(callee));
            let is_cut_short = asked.hunt.dials_left == 0 || asked.now >= asked.hunt.begin_before;
            prop_assert!(is_settled || is_cut_short, "{asked:?}");
        }
    }

    #[test]
    fn a_hunt_for_the_first_answer_rings_nobody_after_it(script in scripts()) {
        let story = Story::of(&Script { until: Until::First, ..script });
        for asked in story.asked.iter().filter(|asked| asked.answered()) {
            let reached = Decision::Finished { outcome: HuntOutcome::Answered, reason: None };
            prop_assert_eq!(&asked.decision, &reached, "{:?}", asked);
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(script in scripts(), seed in any::<Index>()) {
        for asked in Story::of(&script).asked {
            let mut turned = asked.clone();
            turned.callees.rotate_left(seed.index(asked.callees.len()));
            turned.open.reverse();
            prop_assert_eq!(turned.again(), asked.decision);
        }
    }
}

proptest! {
    // Seven polls in every second of a hunt take their time.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_dry_run_is_a_run_in_which_nobody_answers(script in scripts(), ring in 1..120_i64) {
        let mut people = script.people.clone();
        if script.mode == Mode::Parallel {
            // A dry run holds no numbers, so it rings two callees with one number side by side; a real one cannot.
            for (index, person) in people.iter_mut().enumerate() {
                person.phone = own_number(index);
            }
        }
        let real = Script {
            people,
            window: 3600,
            handsets: vec![ListForm::One; 7],
            elsewhere: Vec::new(),
            calls: vec![Call { ending: Ending::Nobody, after: ring }],
            // One handset for each callee polls every second, from the first instant; the seventh only with the others after it.
            gaps: vec![0, 0, 0, 0, 0, 0, 1],
            declines: Vec::new(),
            earlier_step: None,
            asks_early: true,
            ..script
        };
        let story = Story::of(&real);
        let rung = |hand_out: &HandOut| (hand_out.asked.now, hand_out.plan.targets.clone());
        let (dialled, end) = dry_run(&real, ring);
        prop_assert_eq!(dialled, story.hand_outs.iter().map(rung).collect::<Vec<_>>());
        prop_assert_eq!(end, story.end);
    }
}

/// When it rang whom.
type Rung = (DateTime<Utc>, Vec<Target>);

/// What the engine does for a dry run: no handset, no number is held, and it looks again only when the hunt is due.
fn dry_run(script: &Script, ring: i64) -> (Vec<Rung>, Option<(DateTime<Utc>, End)>) {
    let World { mut hunt, mut callees, .. } = World::new(script);
    let mut open: Vec<OpenDial> = Vec::new();
    let mut dialled = Vec::new();
    let mut now = at(0);
    let mut due = now;
    while now < at(0) + script.longest() {
        let before = open.len();
        open.retain(|dial| dial.deadline > now);
        if open.len() < before {
            due = now;
        }
        while due <= now {
            if hunt.dials_left < 0 {
                return (dialled, None);
            }
            match decide(&hunt, &callees, &open, &HashMap::new(), ListForm::One, now) {
                Decision::Finished { outcome, reason } => return (dialled, Some((now, End::Decided(outcome, reason)))),
                Decision::Wait { until, .. } => due = until.max(now + TimeDelta::seconds(1)),
                Decision::Dial(plan) => {
                    for callee in &mut callees {
                        if plan.targets.iter().any(|target| target.callee == callee.id) {
                            callee.attempts += 1;
                            callee.last_offered_at = Some(now);
                        }
                    }
                    hunt.dials_left -= 1;
                    let deadline = now + TimeDelta::seconds(ring);
                    due = if plan.exclusive { deadline } else { now };
                    open.push(OpenDial { deadline, callees: plan.targets.iter().map(|target| target.callee).collect() });
                    dialled.push((now, plan.targets));
                }
            }
            hunt.begin_before = begin_before(hunt.begin_before, due, TimeDelta::seconds(script.window));
        }
        // The next instant at which anything can happen.
        now = open.iter().map(|dial| dial.deadline).chain([due]).min().unwrap_or(due);
    }
    (dialled, None)
}

/// The properties say nothing about what never happens, so everything must happen.
#[test]
fn the_worlds_are_varied() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..600 {
        let script = scripts().new_tree(&mut runner).unwrap().current();
        let story = Story::of(&script);
        for asked in &story.asked {
            let urgent = if asked.hunt.priority == Priority::Critical { "critical" } else { "patient" };
            match &asked.decision {
                Decision::Finished { outcome, reason } => seen.insert(format!("{outcome:?} {reason:?} {:?}", asked.hunt.until)),
                Decision::Wait { why, .. } => seen.insert(format!("{why:?} {:?} {urgent}", asked.hunt.mode)),
                Decision::Dial(plan) => {
                    let head = slow_queue(asked)[0].id;
                    let overtakes = if plan.targets[0].callee == head { "" } else { " overtakes" };
                    let several = if plan.targets.len() > 1 { "list" } else { "single" };
                    seen.insert(format!("{several} {:?} {:?} {urgent}{overtakes}", asked.form, asked.hunt.mode))
                }
            };
        }
        if story.hand_outs.iter().any(|hand_out| !hand_out.given_back.is_empty()) {
            seen.insert("given back".to_owned());
        }
        if story.end.as_ref().is_some_and(|(_, end)| *end == End::Stranger) {
            seen.insert("stranger".to_owned());
        }
    }
    let mut wanted: Vec<String> = Vec::new();
    for until in ["First", "Everyone"] {
        wanted.push(format!("Answered None {until}"));
        for reason in ["AttemptsUsed", "HandOutLimit", "NoHandset", "AllDeclined"] {
            wanted.push(format!("NoAnswer Some({reason}) {until}"));
        }
    }
    for urgent in ["patient", "critical"] {
        for mode in ["Sequential", "Parallel"] {
            for why in ["Dialling", "NumberBusy", "Interval"] {
                wanted.push(format!("{why} {mode} {urgent}"));
            }
            for form in ["One", "Distinct", "Repeated"] {
                wanted.push(format!("single {form} {mode} {urgent}"));
            }
        }
        wanted.push(format!("list Distinct Sequential {urgent}"));
        wanted.push(format!("list Repeated Sequential {urgent}"));
        wanted.push(format!("single One Parallel {urgent} overtakes"));
    }
    wanted.extend(["single One Sequential critical overtakes", "given back", "stranger"].map(str::to_owned));
    let missing: Vec<_> = wanted.iter().filter(|what| !seen.contains(*what)).collect();
    assert!(missing.is_empty(), "never happens: {missing:?}");
}

// ---------------------------------------------------------------------------------------------------------------------------
// Decision 1, sentence by sentence
// ---------------------------------------------------------------------------------------------------------------------------

/// One question at second 1000, from which an example changes what it is about.
struct Example {
    hunt: Hunt,
    callees: Vec<Callee>,
    open: Vec<OpenDial>,
    busy: HashMap<String, DateTime<Utc>>,
    form: ListForm,
    now: DateTime<Utc>,
}

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// So many callees in order, each with its own number, two attempts, and no interval.
fn hunt_for(people: usize) -> Example {
    let callee = |index| Callee {
        id: id(index),
        position: i32::try_from(index).unwrap(),
        person: None,
        phone: own_number(index),
        max_attempts: 2,
        attempts: 0,
        failed: 0,
        min_interval: TimeDelta::zero(),
        last_offered_at: None,
        quiet_until: None,
        after: TimeDelta::zero(),
        asked_at: None,
        verdict: None,
    };
    Example {
        hunt: Hunt {
            priority: Priority::Normal,
            mode: Mode::Sequential,
            until: Until::First,
            dials_left: 100,
            begin_before: at(1_000_000),
        },
        callees: (0..people).map(callee).collect(),
        open: Vec::new(),
        busy: HashMap::new(),
        form: ListForm::One,
        now: at(1000),
    }
}

impl Example {
    fn decide(&self) -> Decision {
        decide(&self.hunt, &self.callees, &self.open, &self.busy, self.form, self.now)
    }

    fn plan(&self) -> DialPlan {
        match self.decide() {
            Decision::Dial(plan) => plan,
            other => panic!("nobody is rung: {other:?}"),
        }
    }

    /// Whom it rings, in list order.
    fn rings(&self) -> Vec<usize> {
        self.plan().targets.iter().map(|target| (0..self.callees.len()).find(|who| id(*who) == target.callee).unwrap()).collect()
    }

    /// What the sequence dials.
    fn dials(&self) -> Vec<usize> {
        let rings = self.rings();
        self.plan().sequence.into_iter().map(|index| rings[index]).collect()
    }

    fn was_rung(&mut self, who: usize, seconds: i64) {
        self.callees[who].attempts += 1;
        self.callees[who].last_offered_at = Some(at(seconds));
    }

    fn is_busy_until(&mut self, who: usize, seconds: i64) {
        self.busy.insert(self.callees[who].phone.clone(), at(seconds));
    }

    fn has_open_dial(&mut self, who: &[usize], deadline: i64) {
        self.open.push(OpenDial { deadline: at(deadline), callees: who.iter().map(|who| id(*who)).collect() });
        for who in who.iter().filter(|who| **who < self.callees.len()) {
            self.busy.insert(self.callees[*who].phone.clone(), at(deadline));
        }
    }
}

fn waits(seconds: i64, why: WaitReason) -> Decision {
    Decision::Wait { until: at(seconds), why }
}

fn ends(reason: EndReason) -> Decision {
    Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(reason) }
}

const REACHED: Decision = Decision::Finished { outcome: HuntOutcome::Answered, reason: None };

#[test]
fn order_is_the_smallest_attempts_then_position() {
    let mut world = hunt_for(3);
    world.callees.reverse();
    assert_eq!(world.plan().targets, vec![Target { callee: id(A), attempts: 1 }]);
    let mut world = hunt_for(3);
    world.was_rung(A, 0);
    assert_eq!(world.rings(), vec![B]);
    world.was_rung(B, 100);
    assert_eq!(world.rings(), vec![C]);
    world.was_rung(C, 200);
    assert_eq!(world.rings(), vec![A], "the second pass begins at the front again");
}

#[test]
fn attempts_are_per_callee() {
    let mut world = hunt_for(2);
    world.callees[A].max_attempts = 1;
    world.callees[B].max_attempts = 3;
    world.was_rung(A, 0);
    for pass in 0..3 {
        assert_eq!(world.rings(), vec![B], "pass {pass}: only B has attempts left");
        world.was_rung(B, 100);
    }
    assert_eq!(world.decide(), ends(EndReason::AttemptsUsed));
}

#[test]
fn the_interval_is_per_callee_and_counted_from_hand_out() {
    let mut world = hunt_for(2);
    world.callees[A].min_interval = TimeDelta::seconds(300);
    world.callees[B].min_interval = TimeDelta::seconds(120);
    world.was_rung(A, 800);
    world.was_rung(B, 900);
    assert_eq!(world.decide(), waits(1020, WaitReason::Interval));
    world.now = at(1019);
    assert_eq!(world.decide(), waits(1020, WaitReason::Interval));
    world.now = at(1020);
    assert_eq!(world.rings(), vec![B]);
    world.now = at(1100);
    assert_eq!(world.rings(), vec![A]);
}

#[test]
fn a_callee_inside_the_interval_is_passed_over() {
    let mut world = hunt_for(2);
    world.callees[A].min_interval = TimeDelta::seconds(300);
    // It was handed out, and its attempt stands: B has more attempts, yet goes first.
    world.was_rung(A, 900);
    world.callees[B].attempts = 1;
    assert_eq!(world.rings(), vec![B]);
    world.form = ListForm::Distinct;
    assert_eq!(world.rings(), vec![B], "also in a list");
}

#[test]
fn attempts_are_reserved_at_hand_out_and_given_back_when_the_number_was_not_rung() {
    let mut world = hunt_for(3);
    world.hunt.until = Until::Everyone;
    world.form = ListForm::Distinct;
    for callee in &mut world.callees {
        callee.max_attempts = 1;
        callee.min_interval = TimeDelta::seconds(300);
    }
    let plan = world.plan();
    assert!(plan.targets.iter().all(|target| target.attempts == 1), "{plan:?}");
    let dialled: Vec<_> = plan
        .targets
        .iter()
        .zip(&world.callees)
        .map(|(target, callee)| DialledCallee { callee: target.callee, number: callee.phone.clone(), attempts: target.attempts })
        .collect();
    for who in [A, B, C] {
        world.was_rung(who, 1000);
    }
    world.now = at(1090);
    assert_eq!(world.decide(), ends(EndReason::AttemptsUsed), "all are reserved");

    // B picked up, so C was not rung.
    let report = attribute(&dialled, |number| number == own_number(B));
    assert_eq!((report.callee, report.not_rung), (Some(id(B)), vec![id(C)]));
    world.callees[B].verdict = Some(Verdict::Answered);
    world.callees[C].attempts -= 1;
    world.callees[C].last_offered_at = None;
    assert_eq!(world.rings(), vec![C], "at once, and A not again");
}

#[test]
fn a_number_in_another_dial_is_waited_for_until_that_deadline() {
    let mut world = hunt_for(2);
    world.is_busy_until(A, 1130);
    assert_eq!(world.decide(), waits(1130, WaitReason::NumberBusy), "B is free, but does not overtake A");
    world.form = ListForm::Distinct;
    assert_eq!(world.decide(), waits(1130, WaitReason::NumberBusy));
    world.busy.clear();
    assert_eq!(world.rings(), vec![A, B]);
    world.is_busy_until(B, 1130);
    assert_eq!(world.rings(), vec![A], "A is not kept waiting for B");
}

#[test]
fn a_wait_ends_with_whichever_comes_first() {
    let mut world = hunt_for(2);
    world.callees[A].min_interval = TimeDelta::seconds(300);
    world.was_rung(A, 900);
    world.was_rung(B, 900);
    world.is_busy_until(B, 1500);
    assert_eq!(world.decide(), waits(1200, WaitReason::Interval), "A is rested before B's number is free");
    world.is_busy_until(B, 1100);
    assert_eq!(world.decide(), waits(1100, WaitReason::NumberBusy));
    world.callees[B].attempts = 0;
    world.is_busy_until(B, 1500);
    assert_eq!(world.decide(), waits(1500, WaitReason::NumberBusy), "now B goes first, and a rested A would not overtake it");
}

#[test]
fn critical_passes_on_to_the_next_callee() {
    let mut world = hunt_for(3);
    world.is_busy_until(A, 1130);
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        world.hunt.priority = priority;
        assert_eq!(world.decide(), waits(1130, WaitReason::NumberBusy), "{priority:?}");
    }
    world.hunt.priority = Priority::Critical;
    assert_eq!(world.rings(), vec![B]);
    world.form = ListForm::Distinct;
    assert_eq!(world.rings(), vec![B, C]);
    world.is_busy_until(B, 1120);
    world.is_busy_until(C, 1140);
    assert_eq!(world.decide(), waits(1120, WaitReason::NumberBusy), "until the first of them is free");
}

#[test]
fn parallel_rings_each_on_a_handset_of_its_own() {
    let mut world = hunt_for(3);
    world.hunt.mode = Mode::Parallel;
    world.form = ListForm::Repeated;
    world.is_busy_until(A, 1130);
    assert_eq!(
        world.plan(),
        DialPlan { exclusive: false, targets: vec![Target { callee: id(B), attempts: 1 }], sequence: vec![0] }
    );
    world.was_rung(B, 1000);
    world.has_open_dial(&[B], 1180);
    assert_eq!(world.rings(), vec![C]);
    world.was_rung(C, 1000);
    world.has_open_dial(&[C], 1180);
    assert_eq!(world.decide(), waits(1130, WaitReason::NumberBusy));
    world.busy.remove(&own_number(A));
    assert_eq!(world.rings(), vec![A]);
    world.was_rung(A, 1000);
    world.has_open_dial(&[A], 1185);
    assert_eq!(world.decide(), waits(1180, WaitReason::Dialling));
}

#[test]
fn parallel_rings_a_shared_number_once_at_a_time() {
    let mut world = hunt_for(2);
    world.hunt.mode = Mode::Parallel;
    world.callees[B].phone = own_number(A);
    world.was_rung(A, 1000);
    world.has_open_dial(&[A], 1180);
    assert_eq!(world.decide(), waits(1180, WaitReason::NumberBusy));
}

#[test]
fn a_list_ends_where_a_number_would_repeat_and_the_rest_comes_under_the_next_mid() {
    let mut world = hunt_for(4);
    world.form = ListForm::Distinct;
    world.callees[C].phone = own_number(A);
    assert_eq!(world.rings(), vec![A, B], "the fourth does not overtake the third");
    assert_eq!(world.dials(), vec![A, B]);
    world.was_rung(A, 1000);
    world.was_rung(B, 1000);
    assert_eq!(world.rings(), vec![C, 3], "A's second attempt would repeat C's number");
}

#[test]
fn a_second_pass_of_a_list_is_a_new_dial() {
    let mut world = hunt_for(2);
    world.form = ListForm::Distinct;
    assert_eq!(world.dials(), vec![A, B]);
    world.was_rung(A, 900);
    world.was_rung(B, 900);
    assert_eq!(world.dials(), vec![A, B]);
    world.was_rung(A, 950);
    world.was_rung(B, 950);
    assert_eq!(world.decide(), ends(EndReason::AttemptsUsed));
}

/// A number that no handset can dial must not silence the hunt.
#[test]
fn calls_that_never_leave_the_phone_do_not_keep_the_others_waiting() {
    let mut world = hunt_for(3);
    let mut order = Vec::new();
    for _ in 0..6 {
        let who = world.rings()[0];
        order.push(who);
        if who == A {
            world.callees[A].failed += 1;
        } else {
            world.was_rung(who, -100_000);
        }
    }
    assert_eq!(order, vec![A, B, C, A, B, C]);
}

#[test]
fn a_copied_sequence_of_one_is_one_call_and_costs_one_attempt() {
    let mut world = hunt_for(1);
    world.form = ListForm::Repeated;
    assert_eq!(world.dials(), vec![A]);
    assert_eq!(world.plan().targets, vec![Target { callee: id(A), attempts: 1 }]);
}

#[test]
fn a_copied_sequence_is_as_the_document_shows() {
    let mut world = hunt_for(2);
    world.form = ListForm::Repeated;
    assert_eq!(world.dials(), vec![A, B, A, B]);
    assert!(world.plan().targets.iter().all(|target| target.attempts == 2));
    world.callees[B].max_attempts = 1;
    assert_eq!(world.dials(), vec![A, B, A]);
    world.callees[A].max_attempts = 4;
    assert_eq!(world.dials(), vec![A, B, A], "no equal neighbours");
    world.callees[A].max_attempts = 1;
    world.callees[B].max_attempts = 2;
    assert_eq!(world.dials(), vec![A, B], "no equal neighbours");
    world.callees.truncate(1);
    world.callees[A].max_attempts = 4;
    assert_eq!(world.dials(), vec![A], "a single one stands once");
}

#[test]
fn hand_outs_are_limited_to_twice_the_sum_of_attempts() {
    assert_eq!(hand_out_limit([2, 1, 4]), 14);
    assert_eq!(hand_out_limit([]), 0);
    assert_eq!(hand_out_limit([i32::MAX, 1]), i32::MAX);
    let mut world = hunt_for(2);
    world.hunt.dials_left = 1;
    assert_eq!(world.rings(), vec![A]);
    world.hunt.dials_left = 0;
    world.has_open_dial(&[A], 1180);
    assert_eq!(world.decide(), waits(1180, WaitReason::Dialling), "the last one may still answer");
    world.open.clear();
    assert_eq!(world.decide(), ends(EndReason::HandOutLimit));
    for callee in &mut world.callees {
        callee.attempts = callee.max_attempts;
    }
    assert_eq!(world.decide(), ends(EndReason::AttemptsUsed), "the limit cost nobody a call");
}

#[test]
fn a_step_change_cancels_no_dial() {
    const EARLIER_STEP: usize = 1000;
    let mut world = hunt_for(2);
    world.has_open_dial(&[EARLIER_STEP], 1060);
    assert_eq!(world.decide(), waits(1060, WaitReason::Dialling), "a sequential step waits for it");
    world.hunt.priority = Priority::Critical;
    assert_eq!(world.decide(), waits(1060, WaitReason::Dialling), "however urgent");
    world.hunt.mode = Mode::Parallel;
    assert_eq!(world.rings(), vec![A], "a parallel one starts beside it");
}

#[test]
fn a_sequential_dial_stands_alone() {
    let mut world = hunt_for(2);
    assert!(world.plan().exclusive);
    world.was_rung(A, 1000);
    world.has_open_dial(&[A], 1180);
    assert_eq!(world.decide(), waits(1180, WaitReason::Dialling));
}

#[test]
fn without_a_handset_in_time_it_ends_instead_of_waking_people_in_the_morning() {
    let mut world = hunt_for(2);
    world.hunt.begin_before = at(1001);
    assert_eq!(world.rings(), vec![A]);
    world.hunt.begin_before = at(1000);
    assert_eq!(world.decide(), ends(EndReason::NoHandset));
    world.has_open_dial(&[A], 1180);
    assert_eq!(world.decide(), waits(1180, WaitReason::Dialling), "a handset is at it");

    let window = TimeDelta::minutes(60);
    assert_eq!(begin_before(at(3600), at(180), window), at(3780), "the window begins again");
    assert_eq!(begin_before(at(9000), at(180), window), at(9000), "and never shrinks");
}

#[test]
fn the_first_answer_ends_a_hunt_and_its_other_dials_unless_everyone_is_wanted() {
    let mut world = hunt_for(3);
    world.hunt.mode = Mode::Parallel;
    world.was_rung(A, 950);
    world.was_rung(B, 950);
    world.has_open_dial(&[B], 1130);
    world.callees[A].verdict = Some(Verdict::Answered);
    assert_eq!(world.decide(), REACHED);
    world.hunt.until = Until::Everyone;
    assert_eq!(world.rings(), vec![C]);
    for who in [B, C] {
        world.callees[who].attempts = 2;
    }
    assert_eq!(world.decide(), waits(1130, WaitReason::Dialling));
    world.open.clear();
    assert_eq!(world.decide(), REACHED, "one answer is an answer");
}

#[test]
fn who_declined_is_not_rung_again() {
    let mut world = hunt_for(2);
    world.callees[A].verdict = Some(Verdict::Declined);
    assert_eq!(world.rings(), vec![B]);
    world.callees[B].verdict = Some(Verdict::Declined);
    assert_eq!(world.decide(), ends(EndReason::AllDeclined));
    world.callees[B].verdict = None;
    world.callees[B].attempts = 2;
    assert_eq!(world.decide(), ends(EndReason::AttemptsUsed), "B never said no");
}
