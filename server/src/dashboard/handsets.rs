//! *Handsets*: how each is, what its test call has proven, pairing a new one, and phones that knock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use android_protocol::wire::Capability;
use android_protocol::wire::Status;
use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::alarm::health::Health;
use super::alarm::now::{self, TroublePart};
use super::alarm::read::Board;
use super::alarm::trouble;
use super::frame::answer::{Refusal, go_to};
use super::frame::csrf::Fields;
use super::frame::edit::AddressPage;
use super::frame::field::{Choice, Field, Input, Wrong};
use super::frame::form::{Form, Sent, form_page};
use super::frame::page::{Frame, Part, Sight, ago, at, html, live_page};
use super::frame::reader::Reader;
use super::frame::words::Bit::{Html, Text};
use super::frame::words::{Words, escape, fill, fill_text};
use crate::app::App;
use crate::dashboard::Dashboard;
use crate::engine::watch::test_call::Checklist;
use crate::ids::hex;
use crate::keep::pairing::{self, Pairing, PairingError};
use crate::numbers::Number;
use crate::store::Work;
use crate::store::alarm::board::TestRow;
use crate::store::watch::channels::ChannelRow;
use crate::store::watch::handsets::{HandsetRow, KnockRow, Profile};

/// What a handset said of itself is shown for so long: it says it about once a minute.
const STATUS_HOLDS: TimeDelta = TimeDelta::minutes(15);
/// So many characters of it.
const LONGEST_FACT: usize = 80;

/// `GET /handsets`
pub(super) async fn show(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let board = pages.boards.read(&pages.app, Instant::now()).await.map_err(|_| Refusal::Away)?;
    let done = now::done_words(reader.words, query.as_deref());
    let live = "/live?page=handsets".to_owned();
    Ok(live_page(&reader, "handsets", live, &reader.words.nav_handsets, sight(&reader, &board), done, board.now))
}

/// What is on the page at this moment.
pub(super) fn sight(reader: &Reader, board: &Board) -> Sight {
    let words = reader.words;
    let cards = board.handsets.iter().map(|handset| card(reader, handset, board)).collect();
    let knocks = board.knocks.iter().map(|knock| knock_card(reader, knock)).collect();
    let parts = vec![
        Part::new("trouble", &TroublePart { words, troubles: trouble::handsets(reader, board) }),
        Part::new("handsets", &HandsetsPart { reader, words, cards }),
        Part::new("knocks", &KnocksPart { reader, words, knocks }),
        Part::new("pairing", &PairingPart { reader, words, form: pair_form(reader) }),
    ];
    Sight { title: words.nav_handsets.clone(), parts }
}

#[derive(Template)]
#[template(path = "handsets/part_handsets.html")]
struct HandsetsPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    cards: Vec<Card>,
}

#[derive(Template)]
#[template(path = "handsets/part_knocks.html")]
struct KnocksPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    knocks: Vec<KnockCard>,
}

#[derive(Template)]
#[template(path = "handsets/part_pairing.html")]
struct PairingPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    /// By which one is paired.
    form: Form,
}

struct Card {
    key: String,
    name: String,
    /// The class and the word of how it is.
    state: (&'static str, &'static str),
    /// HTML.
    seen: String,
    facts: Vec<(&'static str, String)>,
    /// Which of its channels cannot be used now, and why; HTML.
    channels: Vec<String>,
    disabled: bool,
    /// Why it is handed nothing, when it is no phone that counts: it can be removed at once.
    unserved: Option<&'static String>,
    /// It has a token that can be replaced.
    paired: bool,
    /// Whether calls that come in are taken; `None` where it tells of none.
    inbound: Option<bool>,
    test: Option<TestView>,
    /// By which a test call is made.
    call: Form,
    /// By which it gets another name.
    rename: Form,
    /// By which it is allowed more calls at once, or fewer.
    channels_form: Form,
}

struct TestView {
    /// What it shows, and where its page is; HTML.
    heading: String,
    steps: Vec<TestStep>,
    passed: bool,
    ended: bool,
}

struct TestStep {
    done: bool,
    words: &'static str,
    /// What to look at when it is not done.
    hint: &'static str,
}

struct KnockCard {
    /// Differs from phone to phone, so that an open form stays with the phone it is for.
    key: String,
    address: String,
    model: String,
    user_agent: String,
    /// HTML.
    when: String,
    /// By which it is let in.
    allow: Form,
}

fn card(reader: &Reader, handset: &HandsetRow, board: &Board) -> Card {
    let (words, health) = (reader.words, board.health(handset));
    let seen = match handset.last_seen_at {
        Some(seen) => fill(&words.handset_seen, &[("since", Html(&ago(seen)))]),
        None => escape(&words.handset_never),
    };
    let dash = || "–".to_owned();
    let mut facts = vec![
        (words.handset_door.as_str(), door(words, handset).to_owned()),
        (words.handset_model.as_str(), handset.last_model.clone().filter(|model| !model.is_empty()).unwrap_or_else(dash)),
        (words.handset_address.as_str(), handset.last_address.clone().unwrap_or_else(dash)),
        (words.handset_profile.as_str(), profile(words, handset.profile).to_owned()),
    ];
    if handset.channels > 1 || handset.offered_channels() > 1 {
        facts.push((words.handset_channels.as_str(), calls_at_once(words, handset, board.calls_of(handset.id))));
    }
    if handset.inbound || handset.can(Capability::Inbound) {
        let taken = if handset.inbound { &words.inbound_taken } else { &words.inbound_not_taken };
        facts.push((words.handset_inbound.as_str(), taken.clone()));
    }
    facts.extend(said_of_itself(words, handset, board.now));
    Card {
        key: handset.id.to_string(),
        name: handset.name.clone(),
        state: state(words, health),
        unserved: match health {
            Health::Unserved => Some(&words.unserved_why),
            Health::Stray => Some(&words.stray_why),
            _ => None,
        },
        seen,
        facts,
        channels: board.channels_of(handset).iter().filter_map(|row| trouble_on(words, handset, row, board)).collect(),
        disabled: handset.disabled_at.is_some(),
        paired: handset.token_hash.is_some(),
        inbound: (handset.inbound || handset.can(Capability::Inbound)).then_some(handset.inbound),
        test: board.tests.get(&handset.id).map(|test| test_view(words, handset, test)),
        call: call_form(reader, &handset.id.to_string(), &handset.name),
        rename: rename_form(reader, &handset.id.to_string(), &handset.name),
        channels_form: channels_form(reader, &handset.id.to_string(), &handset.name, handset.channels),
    }
}

/// How many calls it holds, of how many.
fn calls_at_once(words: &Words, handset: &HandsetRow, busy: usize) -> String {
    let (busy, count, offered) = (busy.to_string(), handset.usable_channels().to_string(), handset.offered_channels());
    let sentence = if offered > handset.channels { &words.channels_offered } else { &words.channels_of };
    fill_text(sentence, &[("busy", &busy), ("count", &count), ("offered", &offered.to_string())])
}

/// Why one of several channels cannot be used now; HTML. For people, as in records of calls, they are counted from 1.
fn trouble_on(words: &Words, handset: &HandsetRow, row: &ChannelRow, board: &Board) -> Option<String> {
    if handset.usable_channels() < 2 || row.channel >= handset.usable_channels() {
        return None;
    }
    let rests_until = row.avoid_until.filter(|until| *until > board.now);
    let (sentence, when) = match (row.stuck_since, rests_until) {
        (Some(since), _) => (&words.channel_stuck, since),
        (None, Some(until)) if row.failures > 0 => (&words.channel_failing, until),
        (None, Some(until)) => (&words.channel_rests, until),
        (None, None) => return None,
    };
    Some(fill(sentence, &[("channel", Text(&(row.channel + 1).to_string())), ("at", Html(&at(when)))]))
}

/// What a native handset said of itself lately: how its network, its battery and its modem are.
fn said_of_itself(words: &'static Words, handset: &HandsetRow, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let is_fresh = handset.status_at.is_some_and(|at| now - at < STATUS_HOLDS) && !handset.polls_as_app();
    let status = handset.status.as_ref().filter(|_| is_fresh).and_then(|status| serde_json::from_value(status.0.clone()).ok());
    let Some(Status { network, signal_dbm, battery, charging, modem, credit, termux_api, .. }) = status else {
        return Vec::new();
    };
    let signal = signal_dbm.map(|dbm| format!("{dbm}\u{a0}dBm"));
    let network = network.into_iter().chain(signal).collect::<Vec<_>>().join(" · ");
    let battery = battery.map(|percent| match charging {
        Some(true) => fill_text(&words.status_charging, &[("percent", &percent.to_string())]),
        _ => format!("{percent}\u{a0}%"),
    });
    let facts = [
        (&words.status_network, Some(network).filter(|network| !network.is_empty())),
        (&words.status_battery, battery),
        (&words.status_modem, modem.map(|word| modem_word(words, word))),
        (&words.status_credit, credit),
        (&words.status_termux, termux_api.filter(|word| word != "ok").map(|_| words.status_termux_asleep.clone())),
    ];
    let short = |text: String| text.chars().take(LONGEST_FACT).collect();
    facts.into_iter().filter_map(|(name, fact)| Some((name.as_str(), short(fact?)))).collect()
}

/// How a modem is; why it cannot be used it says in its own words.
fn modem_word(words: &Words, word: String) -> String {
    match word.as_str() {
        "ready" => words.status_ready.clone(),
        "stuck" => words.status_stuck.clone(),
        _ => word,
    }
}

fn state(words: &'static Words, health: Health) -> (&'static str, &'static str) {
    match health {
        Health::Disabled => ("plain", &words.health_disabled),
        Health::Stuck => ("bad", &words.health_stuck),
        Health::Offline => ("bad", &words.health_offline),
        Health::Shared => ("bad", &words.health_shared),
        Health::Restarted => ("bad", &words.health_restarted),
        Health::Failing => ("bad", &words.health_failing),
        Health::Unserved | Health::Stray => ("waiting", &words.health_unserved),
        Health::NeverPolled => ("waiting", &words.health_never),
        Health::InDial => ("now", &words.health_busy),
        Health::Answers => ("answered", &words.health_good),
    }
}

fn door<'w>(words: &'w Words, handset: &HandsetRow) -> &'w str {
    match (handset.token_hash.is_some(), handset.next_token_hash.is_some(), handset.allowed_at.is_some()) {
        (true, true, _) => &words.door_rotating,
        (true, false, _) => &words.door_paired,
        (false, _, true) => &words.door_allowed,
        (false, _, false) => &words.door_plain,
    }
}

fn profile(words: &Words, profile: Profile) -> &str {
    match profile {
        Profile::Auto => &words.profile_auto,
        Profile::App => &words.profile_app,
        Profile::List => &words.profile_list,
        Profile::Repeat => &words.profile_repeat,
        Profile::Native => &words.profile_native,
    }
}

fn test_view(words: &'static Words, handset: &HandsetRow, test: &TestRow) -> TestView {
    let list = Checklist {
        polled: test.dials > 0 || handset.last_seen_at.is_some_and(|seen| seen >= test.raised_at),
        dialled: test.dials > 0,
        reported: test.reports > 0,
        matched: test.matches > 0,
        heard_key: handset.speaks().then_some(test.keys > 0),
        ended: test.ended_at.is_some(),
    };
    let sentence = match (list.is_complete(), list.ended) {
        (true, _) => &words.test_passed,
        (false, true) => &words.test_failed,
        (false, false) => &words.test_runs,
    };
    let mut steps = vec![
        TestStep { done: list.polled, words: &words.step_polled, hint: &words.hint_polled },
        TestStep { done: list.dialled, words: &words.step_dialled, hint: &words.hint_dialled },
        TestStep { done: list.reported, words: &words.step_reported, hint: &words.hint_reported },
        TestStep { done: list.matched, words: &words.step_matched, hint: &words.hint_matched },
    ];
    steps.extend(list.heard_key.map(|done| TestStep { done, words: &words.step_key, hint: &words.hint_key }));
    TestView {
        heading: format!(r#"<a href="/alarms/{}">{}</a>"#, test.alarm_id, fill(sentence, &[("at", Html(&at(test.raised_at)))])),
        steps,
        passed: list.is_complete(),
        ended: list.ended,
    }
}

fn knock_card(reader: &Reader, knock: &KnockRow) -> KnockCard {
    let count = knock.times.to_string();
    let key = hex(&Sha256::new().chain_update(&knock.address).chain_update([0]).chain_update(&knock.model).finalize()[..8]);
    KnockCard {
        allow: allow_form(reader, &key, &knock.address, &knock.model),
        key,
        address: knock.address.clone(),
        model: knock.model.clone(),
        user_agent: knock.user_agent.clone(),
        when: fill(&reader.words.knock_when, &[("at", Html(&at(knock.last_at))), ("count", Text(&count))]),
    }
}

/// By which a handset is paired.
fn pair_form(reader: &Reader) -> Form {
    let words = reader.words;
    let profiles = [
        Choice::new("", &words.profile_default),
        Choice::new("app", &words.profile_app),
        Choice::new("list", &words.profile_list),
        Choice::new("repeat", &words.profile_repeat),
        Choice::new("native", &words.profile_native),
    ];
    Form::new(reader, "pair", "/handsets/add", &words.add_go).with([
        Field::plain("name", &words.handset_name, Input::Line).required().hint(&words.handset_example),
        Field::plain("profile", &words.handset_profile, Input::Choice(profiles.into())),
    ])
}

/// By which a number is rung through a handset. `key` tells it from others on the page.
fn call_form(reader: &Reader, key: &str, handset: &str) -> Form {
    let number = Field::plain("number", &reader.words.number, Input::Phone).required().completed("tel");
    let form =
        Form::new(reader, format!("call-{key}"), "/handsets/test", &reader.words.test_go).explained(&reader.words.test_how);
    form.holding("handset", handset).with([number])
}

fn rename_form(reader: &Reader, key: &str, handset: &str) -> Form {
    let name = Field::plain("name", &reader.words.rename, Input::Line).value(handset).required();
    let form = Form::new(reader, format!("rename-{key}"), "/handsets/rename", &reader.words.rename_go).looking("");
    form.holding("handset", handset).with([name])
}

/// By which a handset is allowed so many calls at once.
fn channels_form(reader: &Reader, key: &str, handset: &str, channels: i32) -> Form {
    let words = reader.words;
    let number = Field::plain("channels", &words.handset_channels, Input::Number).value(channels.to_string()).required();
    let form = Form::new(reader, format!("channels-{key}"), "/handsets/channels", &words.channels_go).looking("");
    form.explained(&words.channels_how).holding("handset", handset).with([number])
}

/// By which a phone that knocked is let in.
fn allow_form(reader: &Reader, key: &str, address: &str, model: &str) -> Form {
    let name = Field::plain("name", &reader.words.handset_name, Input::Line).required();
    let form = Form::new(reader, format!("allow-{key}"), "/handsets/allow", &reader.words.allow_go);
    form.explained(&reader.words.allow_how).holding("address", address).holding("model", model).with([name])
}

/// `POST /handsets/add`: shows the address to type, once.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let mut pairing = Pairing::new(fields.get("name"), &app.config().handsets);
    let wanted = fields.get("profile");
    if let Some(profile) = Profile::ALL.into_iter().find(|profile| profile.as_str() == wanted) {
        pairing.profile = profile;
    }
    match app.engine.carry_out(reader.doer(), async |work| pairing::add(work, &pairing).await).await {
        Ok(token) => Ok(address_page(&app, &reader, &pairing.name, &token, false)),
        Err(error) => wrong_name(&app, &reader, pair_form(&reader), fields, error),
    }
}

/// `POST /handsets/rotate`: shows the new address, once.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let name = fields.get("handset");
    let token = app.engine.carry_out(reader.doer(), async |work| pairing::rotate(work, name, false).await).await?;
    Ok(address_page(&app, &reader, name, &token, true))
}

/// `POST /handsets/rename`
pub(super) async fn rename(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (name, new_name) = (fields.get("handset"), fields.get("name"));
    match app.engine.carry_out(reader.doer(), async |work| pairing::rename(work, name, new_name).await).await {
        Ok(()) => Ok(go_to("/handsets?done=renamed")),
        Err(error) => {
            let form = rename_form(&reader, "", fields.get("handset"));
            wrong_name(&app, &reader, form, fields, error)
        }
    }
}

/// `POST /handsets/channels`
pub(super) async fn channels(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let wanted = fields.get("channels").trim().parse().unwrap_or(0);
    let set = async |work: &mut Work| pairing::set_channels(work, fields.get("handset"), wanted).await;
    match app.engine.carry_out(reader.doer(), set).await {
        Ok(()) => Ok(go_to("/handsets?done=channels")),
        Err(PairingError::BadChannels) => {
            let form = channels_form(&reader, "", fields.get("handset"), 1);
            let wrong = Wrong::new("channels", &reader.words.channels_bad);
            Ok(refused(&app, &reader, &reader.words.nav_handsets, form, fields, wrong))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /handsets/inbound`
pub(super) async fn inbound(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let wanted = match fields.get("inbound") {
        "on" => true,
        "off" => false,
        _ => return Err(Refusal::Garbled),
    };
    let name = fields.get("handset");
    app.engine.carry_out(reader.doer(), async |work| pairing::set_inbound(work, name, wanted).await).await?;
    Ok(go_to("/handsets?done=inbound"))
}

/// `POST /handsets/disable`
pub(super) async fn disable(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    app.engine.carry_out(reader.doer(), async |work| pairing::set_disabled(work, fields.get("handset"), true).await).await?;
    Ok(go_to("/handsets?done=disabled"))
}

/// `POST /handsets/enable`
pub(super) async fn enable(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    app.engine.carry_out(reader.doer(), async |work| pairing::set_disabled(work, fields.get("handset"), false).await).await?;
    Ok(go_to("/handsets?done=enabled"))
}

/// `POST /handsets/remove`
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    app.engine.carry_out(reader.doer(), async |work| pairing::remove(work, fields.get("handset")).await).await?;
    Ok(go_to("/handsets?done=removed"))
}

/// `POST /handsets/allow`: lets in a phone that knocked.
pub(super) async fn allow(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let address: IpAddr = fields.get("address").parse().map_err(|_| Refusal::Garbled)?;
    let pairing = Pairing::new(fields.get("name"), &app.config().handsets);
    let allow = async |work: &mut Work| pairing::allow(work, &pairing, address.to_canonical(), fields.get("model")).await;
    match app.engine.carry_out(reader.doer(), allow).await {
        Ok(()) => Ok(go_to("/handsets?done=allowed")),
        Err(error) => {
            let form = allow_form(&reader, "", fields.get("address"), fields.get("model"));
            wrong_name(&app, &reader, form, fields, error)
        }
    }
}

/// `POST /handsets/test`: rings a number through one handset.
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let handset = pairing::find(&app.engine.store, fields.get("handset")).await?;
    let again = |wrong, fields| refused(&app, &reader, &words.test_heading, call_form(&reader, "", &handset.name), fields, wrong);
    if handset.disabled_at.is_some() {
        return Ok(again(Wrong::new("", &words.test_disabled), fields));
    }
    let Ok(number) = Number::parse(fields.get("number"), app.config().default_region) else {
        return Ok(again(Wrong::new("number", &words.bad_number), fields));
    };
    app.engine.test_call_by(&handset, number.number.as_str(), number.known_to_plan, reader.doer()).await?;
    Ok(go_to("/handsets?done=testing"))
}

fn wrong_name(app: &App, reader: &Reader, form: Form, fields: Fields, error: PairingError) -> Result<Response, Refusal> {
    let wrong = match error {
        PairingError::BadName => &reader.words.handset_bad_name,
        PairingError::NameTaken(_) => &reader.words.handset_name_taken,
        error => return Err(error.into()),
    };
    Ok(refused(app, reader, &reader.words.nav_handsets, form, fields, Wrong::new("name", wrong)))
}

/// The form alone, as it was sent: the page that it stood on shows how the handsets are, and goes on changing.
fn refused(app: &App, reader: &Reader, title: &str, form: Form, fields: Fields, wrong: Wrong) -> Response {
    let sent = Sent { form: form.id.clone(), fields, wrong };
    form_page(app, reader, "handsets", title, form.back_to("/handsets").again(Some(&sent)))
}

fn address_page(app: &App, reader: &Reader, name: &str, token: &str, rotated: bool) -> Response {
    let words = reader.words;
    // The address by which the admin's browser reaches this server surely is one of its own; in a container it may be the only one
    // that others can use.
    let typed = reader.host.parse::<SocketAddr>().ok().filter(|address| !address.ip().is_loopback());
    let address = match typed {
        // That may be a proxy's; this server answers below its path as well.
        Some(typed) => pairing::page_url(typed, &format!("{}{}", app.prefix.path(), pairing::phone_path(token))),
        None => pairing::phone_url(app.config().listen, token),
    };
    let (heading, how) = match rotated {
        false => (&words.address_paired, &words.address_how),
        true => (&words.address_rotated, &words.address_rotated_how),
    };
    let page = AddressPage {
        frame: Frame::new(reader, "handsets", fill_text(heading, &[("name", name)]), app.engine.clock.now()),
        words,
        how: how.as_str().into(),
        address,
        once: &words.address_once,
        example: String::new(),
        then: &words.address_then,
        back: ("/handsets", &words.address_back),
    };
    html(StatusCode::OK, &page)
}
