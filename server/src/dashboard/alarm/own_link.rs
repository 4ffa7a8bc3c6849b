//! A callee's own link: every alarm of their call, "I take it", "I cannot" and "give it back", in the callee's language, without a login.
//!
//! The address is the proof: whoever has it needs no other token. Looking does nothing, because chat programs fetch addresses to
//! show what is behind them; only the buttons do something, and only about the alarms that stood on the page, as they stood there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};

use super::at_night::addresses::{Foremost, foremost, linked};
use super::now;
use crate::alarm::{AlarmState, HuntOutcome, Until, Verdict, hunt};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Language, Words, escape, fill, fill_text};
use crate::engine::{Acknowledgement, Actor, Doer, Effect, Giver, GivingBack};
use crate::ids::{AlarmId, AnswerId, HuntId};
use crate::numbers::{masked, masked_name};
use crate::store::Db;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};

/// Alarms about which something can be said at once; the others are counted, and follow when something was said about these.
const MOST_SHOWN: usize = 200;
/// What an alarm was about is shown for so long after its end.
const SHOWN_WHEN_OVER: TimeDelta = TimeDelta::days(1);
/// The same of an alarm that was never ended, from when nobody was rung for it any more.
const SHOWN_WHEN_NOBODY_IS_RUNG: TimeDelta = TimeDelta::days(7);

/// What came of a press, as the address of the page says it that is shown next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It named nothing that is theirs.
    Again,
    /// Somebody was faster, or it was pressed before: it changed nothing.
    Late,
    /// The alarms were given back.
    Back,
}

impl Came {
    const ALL: [Self; 3] = [Self::Again, Self::Late, Self::Back];

    /// What stands in the query.
    fn word(self) -> &'static str {
        match self {
            Self::Again => "again=1",
            Self::Late => "late=1",
            Self::Back => "back=1",
        }
    }

    fn read(query: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|came| query.split('&').any(|part| part == came.word()))
    }

    fn words(self, words: &'static Words) -> &'static str {
        match self {
            Self::Again => &words.own_again,
            Self::Late => &words.own_late,
            Self::Back => &words.own_given_back,
        }
    }
}

/// `GET /c/{token}`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (reader, callee, alarms) = open(&app, reader, &token).await?;
    let words = reader.words;
    // The open ones stand first.
    let (open, settled) = alarms.split_at(alarms.iter().filter(|shown| shown.is_open()).count());
    let more = open.len().saturating_sub(MOST_SHOWN);
    let shown: Vec<&Shown> = open.iter().take(MOST_SHOWN).chain(settled.iter().take(MOST_SHOWN)).collect();
    let of = |which: fn(&Shown) -> bool| {
        shown.iter().filter(|shown| which(shown)).map(|shown| shown.alarm.id.to_string()).collect::<Vec<_>>()
    };
    let mut takes = of(Shown::is_open);
    if takes.is_empty() {
        // Somebody else has them, and they may be taken over.
        takes = of(Shown::is_others);
    }
    let title = match &alarms[..] {
        [only] => only.alarm.summary.clone(),
        several => fill_text(&words.own_several, &[("count", &several.len().to_string())]),
    };
    let next = open.iter().find(|shown| shown.theirs && !shown.declined).and_then(|shown| shown.next.as_ref());
    let page = OwnLinkPage {
        frame: Frame::new(&reader, "", title.clone(), app.engine.clock.now()),
        words,
        token: &token,
        name: callee.name.clone().unwrap_or_else(|| callee.number.clone()),
        title,
        several: alarms.len() > 1,
        items: shown.iter().map(|shown| Item::of(words, shown)).collect(),
        declines: of(|shown| shown.is_open() && shown.theirs && !shown.declined),
        gives: of(|shown| !shown.over && shown.can_give_back),
        seen: shown.iter().filter_map(|shown| Some(shown.taken.as_ref()?.answer.to_string())).collect(),
        takes,
        next: next.map(|next| next.words(words)),
        more: (more > 0).then(|| fill_text(&words.own_more, &[("count", &more.to_string())])),
        came: query.as_deref().and_then(Came::read).map(|came| came.words(words)),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /c/{token}/take`
pub(in crate::dashboard) async fn take(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let callee = callee_of(&app, &token).await?.1.id;
    let named = named(body).await?;
    let by = Acknowledgement { callee: Some(callee), doer: Doer::Link, seen: named.seen, ..Acknowledgement::default() };
    let acted = app.engine.take_these(&named.alarms, &by).await?;
    done(&token, &acted.iter().map(|acted| acted.effect).collect::<Vec<_>>(), None)
}

/// `POST /c/{token}/decline`
pub(in crate::dashboard) async fn decline(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let callee = callee_of(&app, &token).await?.1.id;
    let named = named(body).await?;
    let by = Actor::nameless(Doer::Link);
    let acted = app.engine.decline_these(&named.alarms, callee, &by, named.seen.as_deref()).await?;
    done(&token, &acted.iter().map(|acted| acted.effect).collect::<Vec<_>>(), None)
}

/// `POST /c/{token}/give-back`
pub(in crate::dashboard) async fn give_back(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let callee = callee_of(&app, &token).await?.1.id;
    let named = named(body).await?;
    let giving = GivingBack { giver: Giver::Callee(callee), by: Actor::nameless(Doer::Link), seen: named.seen };
    let acted = app.engine.give_back_these(&named.alarms, &giving).await?;
    let effects: Vec<Effect> = acted.iter().map(|acted| acted.effect).collect();
    let did = effects.contains(&Effect::Done);
    // What nobody has any more was given back before, or its hunt goes on: that is said.
    let came = if did { Came::Back } else { Came::Late };
    done(&token, &effects, Some(came))
}

/// Back to the page, which shows what became of it and what else there is by now.
fn done(token: &str, effects: &[Effect], came: Option<Came>) -> Result<Response, Refusal> {
    if !effects.is_empty() && effects.iter().all(|effect| *effect == Effect::Over) {
        return Err(Refusal::Over);
    }
    let nothing = effects.iter().all(|effect| *effect == Effect::NotTheirs);
    let came = match came {
        _ if nothing => Some(Came::Again),
        _ if effects.contains(&Effect::Overtaken) => Some(Came::Late),
        came => came,
    };
    Ok(go_to(&match came {
        Some(came) => format!("/c/{token}?{}", came.word()),
        None => format!("/c/{token}"),
    }))
}

/// Whose link it is, and the hunt that rang them. Only for an alarm there is something to say.
async fn callee_of(app: &App, token: &str) -> Result<(HuntId, CalleeRow), Refusal> {
    let id = app.engine.links.read(token).ok_or(Refusal::NotFound)?;
    let mut reader = app.engine.store.read().await?;
    let (hunt, callee) = reader.db().callee(id).await?.ok_or(Refusal::NotFound)?;
    let is_alarm = reader.db().hunt(hunt).await?.is_some_and(|hunt| hunt.kind.is_alarm());
    if is_alarm { Ok((hunt, callee)) } else { Err(Refusal::NotFound) }
}

/// What a form names: the alarms that stood on the page, and who had taken them there.
struct NamedThere {
    alarms: Vec<AlarmId>,
    /// `None` on a page of before, which did not say it.
    seen: Option<Vec<AnswerId>>,
}

async fn named(body: Body) -> Result<NamedThere, Refusal> {
    let body = csrf::collect(body).await?;
    let of = |wanted: &'static str| form_urlencoded::parse(&body).filter(move |(name, _)| name == wanted).map(|(_, id)| id);
    Ok(NamedThere {
        alarms: of("alarm").filter_map(|id| id.parse().ok()).collect(),
        seen: of("seen").next().is_some().then(|| of("seen").filter_map(|id| id.parse().ok()).collect()),
    })
}

/// Who has an alarm.
#[derive(Clone)]
struct Taken {
    answer: AnswerId,
    name: String,
    at: DateTime<Utc>,
    by_them: bool,
}

/// Who is rung when somebody cannot.
#[derive(Clone)]
enum Next {
    Somebody(String),
    /// The next step of this policy begins.
    Step(String),
    Nobody,
}

impl Next {
    fn words(&self, words: &Words) -> String {
        match self {
            Self::Somebody(name) => fill(&words.own_next, &[("name", Html(&format!("<b>{}</b>", escape(name))))]),
            Self::Step(policy) => fill(&words.own_next_step, &[("policy", Text(policy))]),
            Self::Nobody => escape(&words.own_next_nobody),
        }
    }
}

/// An alarm of a link, as its callee stands to it.
struct Shown {
    alarm: AlarmRow,
    /// Nothing can be said about it any more.
    over: bool,
    /// They have a place in the hunt that it has by now.
    theirs: bool,
    /// They said no, or gave it back.
    declined: bool,
    /// Who has confirmed.
    taken: Option<Taken>,
    can_give_back: bool,
    next: Option<Next>,
}

impl Shown {
    /// Nobody has taken it yet.
    fn is_open(&self) -> bool {
        !self.over && self.taken.is_none()
    }

    /// Somebody else has it.
    fn is_others(&self) -> bool {
        !self.over && self.taken.as_ref().is_some_and(|taken| !taken.by_them)
    }
}

/// Who a link belongs to, and every alarm of their call: also those that have another hunt by now. Open ones first.
async fn open(app: &App, mut reader: Reader, token: &str) -> Result<(Reader, CalleeRow, Vec<Shown>), Refusal> {
    let (hunt, callee) = callee_of(app, token).await?;
    let now = app.engine.clock.now();
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut places: HashMap<HuntId, Place> = HashMap::new();
    let mut shown = Vec::new();
    let alarms = db.alarms_ever_in(hunt).await?;
    let any = !alarms.is_empty();
    for alarm in alarms.into_iter().filter(|alarm| !is_long_past(alarm, now)) {
        let place = match places.entry(alarm.hunt_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(place_in(&mut db, alarm.hunt_id, &callee, now).await?),
        };
        shown.push(Shown {
            over: matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved),
            theirs: place.theirs,
            declined: place.declined,
            taken: place.taken.clone(),
            can_give_back: place.can_give_back,
            next: place.next.clone(),
            alarm,
        });
    }
    if shown.is_empty() {
        return Err(if any { Refusal::Over } else { Refusal::NotFound });
    }
    shown.sort_by_key(|shown| !shown.is_open());
    if let Some(person) = callee.person_id
        && let Some(person) = db.person(person).await?
        && let Some(language) = Language::of_tag(&person.language)
    {
        reader.speak(language);
    }
    reader.again = format!("/c/{token}?");
    Ok((reader, callee, shown))
}

/// Whether an alarm ended so long ago that what it was about is for nobody who finds the address any more.
fn is_long_past(alarm: &AlarmRow, now: DateTime<Utc>) -> bool {
    let over = matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
    let shown = if over { SHOWN_WHEN_OVER } else { SHOWN_WHEN_NOBODY_IS_RUNG };
    alarm.ended_at.is_some_and(|at| now - at > shown)
}

/// How a callee stands to a hunt.
struct Place {
    theirs: bool,
    declined: bool,
    taken: Option<Taken>,
    can_give_back: bool,
    next: Option<Next>,
}

async fn place_in(db: &mut Db<'_>, hunt: HuntId, callee: &CalleeRow, now: DateTime<Utc>) -> Result<Place, Refusal> {
    let callees = db.callees(hunt).await?;
    let places: Vec<&CalleeRow> = callees.iter().filter(|other| callee.is_same_person(other)).collect();
    let given = db.answers_of(hunt).await?;
    let row = db.hunt(hunt).await?;
    let counts = answers::current(&given);
    let is_theirs = counts
        .is_some_and(|answer| places.iter().any(|place| answer.callee_id == Some(place.id)) || answer.is_from(&callee.number));
    let taken = counts.and_then(|answer| {
        let at = answer.confirmed_at?;
        Some(Taken { answer: answer.id, name: answer.name.clone(), at, by_them: is_theirs })
    });
    let refused = row.as_ref().and_then(|row| row.refused.as_ref());
    let is_passed_over = refused.is_some_and(|all| all.0.iter().any(|one| one.is(callee.person_id, &callee.number)));
    let has_declined = !places.is_empty() && places.iter().all(|place| place.verdict == Some(Verdict::Declined));
    let next = match row.as_ref().filter(|row| row.ended_at.is_none()) {
        Some(row) => Some(next_after(db, row, &callees, callee, now).await?),
        None => None,
    };
    Ok(Place {
        theirs: !places.is_empty(),
        declined: has_declined || places.is_empty() && is_passed_over,
        can_give_back: is_theirs
            && taken.is_some()
            && row.is_some_and(|row| row.outcome == Some(HuntOutcome::Answered) && row.until == Until::First),
        taken,
        next,
    })
}

/// Who is rung for an open hunt when this callee cannot: by the rule, as if they were not there.
async fn next_after(
    db: &mut Db<'_>,
    row: &HuntRow,
    callees: &[CalleeRow],
    callee: &CalleeRow,
    now: DateTime<Utc>,
) -> Result<Next, Refusal> {
    let quiet_hours = db.quiet_hours().await?;
    let others: Vec<&CalleeRow> =
        callees.iter().filter(|other| other.step == row.step && !callee.is_same_person(other)).collect();
    let rule: Vec<hunt::Callee> = others
        .iter()
        .map(|other| hunt::Callee { quiet_until: row.left_in_peace(other.person_id, &quiet_hours, now), ..other.to_rule() })
        .collect();
    let queue = hunt::queue(&rule, &[], &HashMap::new(), now);
    if let Some(next) = hunt::next(&queue)
        && let Some(next) = others.iter().find(|other| other.id == next.id)
    {
        // Whoever holds the link may not see numbers.
        return Ok(Next::Somebody(next.name.clone().map_or_else(|| masked(&next.number), |name| masked_name(&name))));
    }
    let policy = match row.policy_id {
        Some(id) => db.policy(id).await?,
        None => None,
    };
    let next_step = policy.filter(|policy| policy.definition.after(row.place()).is_some());
    Ok(next_step.map_or(Next::Nobody, |policy| Next::Step(policy.name)))
}

/// An alarm on the page.
struct Item {
    summary: String,
    /// HTML.
    details: String,
    links: Vec<Foremost>,
    /// Priority, source, when; HTML.
    meta: String,
    /// It is theirs.
    yours: bool,
    /// It is over: nothing else is shown of it.
    over: bool,
    /// HTML.
    said: Option<String>,
}

impl Item {
    fn of(words: &'static Words, shown: &Shown) -> Self {
        let alarm = &shown.alarm;
        let since = |when: Option<DateTime<Utc>>| when.map(at).unwrap_or_default();
        let said = match &shown.taken {
            _ if alarm.cancelled_at.is_some() => Some(fill(&words.own_cancelled, &[("at", Html(&since(alarm.cancelled_at)))])),
            _ if shown.over => Some(fill(&words.own_resolved, &[("at", Html(&since(alarm.resolved_at)))])),
            Some(taken) if taken.by_them => None,
            Some(taken) => {
                Some(fill(&words.own_taken_by, &[("name", Text(&masked_name(&taken.name))), ("at", Html(&at(taken.at)))]))
            }
            None if shown.declined => Some(escape(&words.own_declined)),
            None => None,
        };
        Self {
            summary: alarm.summary.clone(),
            details: linked(&alarm.details),
            links: foremost(words, &alarm.details, &alarm.labels.0),
            meta: now::meta(words, alarm),
            yours: !shown.over && shown.taken.as_ref().is_some_and(|taken| taken.by_them),
            over: shown.over,
            said,
        }
    }
}

#[derive(Template)]
#[template(path = "alarm/own_link.html")]
struct OwnLinkPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    token: &'r str,
    name: String,
    title: String,
    several: bool,
    items: Vec<Item>,
    /// The alarms that "I take it" is about.
    takes: Vec<String>,
    /// The alarms that "I cannot" is about.
    declines: Vec<String>,
    /// The alarms that "give it back" is about.
    gives: Vec<String>,
    /// Who had taken what, as it stands here.
    seen: Vec<String>,
    /// Who is rung when they cannot; HTML.
    next: Option<String>,
    more: Option<String>,
    /// What came of a press.
    came: Option<&'static str>,
}
