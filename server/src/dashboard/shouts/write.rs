//! *New shout*: written, looked at, rung at oneself alone, and sent. Nothing goes out before somebody has seen who would be called.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::draft::{Draft, DraftFields, Way};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::{Fields, File};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::engine::shouts::OF_PAGES;
use crate::engine::shouts::taking::{Fate, ShoutRefused, ShoutRequest};
use crate::ids::{PersonId, TeamId, hex};
use crate::keep::media::clips::{self, ClipError};
use crate::keep::media::{self, NotTaken, is_name};
use crate::secrets;
use crate::shout::recipients::comparable;
use crate::versions::Expected;

/// The list of a call that rings only whoever writes, before their name: opting out there is opting out of nothing else.
const PREVIEW: &str = "preview:";
/// What tells one form from another, in hexadecimal.
const FORM_LENGTH: usize = 32;
/// So many numbers are shown of each kind that is not called.
const SHOWN: usize = 20;
/// A file of a name that is there already gets a number behind it, up to this.
const MOST_OF_A_NAME: usize = 100;

/// A box to tick.
struct Tick {
    id: String,
    name: String,
    ticked: bool,
}

/// Who would be called.
struct Found {
    called: usize,
    sentence: String,
    /// Who would not, and why.
    others: Vec<String>,
    /// Changes with those who would be called.
    seen: String,
    /// What sends it, once.
    form: String,
}

#[derive(Template)]
#[template(path = "shouts/write.html")]
struct WritePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    fields: DraftFields,
    teams: Vec<Tick>,
    people: Vec<Tick>,
    earlier: Option<i64>,
    found: Option<Found>,
    send: String,
    alert: Option<String>,
}

/// `GET /shouts/new?of=`
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let of = asked(&query.unwrap_or_default(), "of").and_then(|id| id.parse().ok());
    let draft = Draft::begun(own_number(&app, &reader).await?.unwrap_or_default(), of);
    page(&app, &reader, &draft, None, None).await
}

/// `POST /shouts/new`
pub(in crate::dashboard) async fn send(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
    Extension(file): Extension<File>,
) -> Result<Response, Refusal> {
    let mut draft = Draft::read(&fields);
    let words = reader.words;
    let others = draft.list(words).and(draft.title(words)).and(draft.schedule(words, app.engine.clock.now()));
    if let Err(wrong) = others {
        return page(&app, &reader, &draft, None, Some(wrong)).await;
    }
    if let (Way::File, Some((name, sound))) = (draft.way, file.0) {
        match keep_file(&app, &reader, &name, sound).await? {
            Ok(name) => (draft.way, draft.clip) = (Way::Clip, name),
            Err(wrong) => return page(&app, &reader, &draft, None, Some(wrong)).await,
        }
    }
    match act(&app, &reader, &draft, &fields).await? {
        Ok(Done::Sent(address)) => Ok(go_to(&address)),
        Ok(Done::Looked(found, wrong)) => page(&app, &reader, &draft, Some(found), wrong).await,
        Err(wrong) => page(&app, &reader, &draft, None, Some(wrong)).await,
    }
}

/// What came of a form.
enum Done {
    /// It went out; where it is watched.
    Sent(String),
    /// Somebody has to look at it, with what has to be said about that.
    Looked(Found, Option<Wrong>),
}

async fn act(app: &App, reader: &Reader, draft: &Draft, fields: &Fields) -> Result<Result<Done, Wrong>, Refusal> {
    let (words, act, seen) = (reader.words, fields.get("act"), fields.get("seen"));
    // Pressed twice, it is sent once.
    let form = Some(fields.get("form")).filter(|form| form.len() == FORM_LENGTH).map(str::to_owned);
    let request = match request_of(app, reader, draft) {
        Ok(request) => request,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if act == "me" {
        return to_me(app, reader, draft, request).await;
    }
    let most = app.config().shouts.most_recipients;
    let named = match named(app, draft).await? {
        named if named.iter().filter(|(_, phone)| phone.is_some()).count() > most => {
            let wrong = fill_text(&words.shout_too_many, &[("most", &most.to_string())]);
            return Ok(Err(Wrong::new("numbers", wrong)));
        }
        named => named,
    };
    let found = look(app, words, &request.userdata, &named).await?;
    if found.called == 0 {
        return Ok(Ok(Done::Looked(found, Some(Wrong::new("numbers", &words.shout_nobody)))));
    }
    if act != "send" || found.seen != seen {
        let changed = (act == "send").then(|| Wrong::new("", &words.shout_changed));
        return Ok(Ok(Done::Looked(found, changed)));
    }
    let recipients = named.into_iter().filter_map(|(_, phone)| phone).collect();
    take(app, words, ShoutRequest { recipients, form, ..request }, "shout_sent").await
}

/// The shout without its recipients.
fn request_of(app: &App, reader: &Reader, draft: &Draft) -> Result<ShoutRequest, Wrong> {
    let (words, rule, region) = (reader.words, app.config().shouts.number_rule(app.engine.region()), app.engine.region());
    let message = draft.message(words)?;
    let caller = match draft.way {
        Way::Phone if comparable(&draft.caller, rule, region).is_none() => {
            return Err(Wrong::new("caller", &words.shout_bad_caller));
        }
        Way::Phone => draft.caller.clone(),
        _ => String::new(),
    };
    Ok(ShoutRequest {
        key: OF_PAGES,
        source: reader.known_as().to_owned(),
        by: reader.doer(),
        userdata: draft.list(words)?,
        title: draft.title(words)?,
        caller,
        recipients: Vec::new(),
        schedule: draft.schedule(words, app.engine.clock.now())?,
        message,
        form: None,
    })
}

/// Rings only whoever writes it.
async fn to_me(app: &App, reader: &Reader, draft: &Draft, request: ShoutRequest) -> Result<Result<Done, Wrong>, Refusal> {
    let words = reader.words;
    if draft.way == Way::Phone {
        return Ok(Err(Wrong::new("way", &words.shout_phone_rings_you)));
    }
    let own = own_number(app, reader).await?.or_else(|| Some(draft.caller.clone()).filter(|number| !number.is_empty()));
    let Some(own) = own else { return Ok(Err(Wrong::new("caller", &words.shout_no_own_number))) };
    let (rule, region) = (app.config().shouts.number_rule(app.engine.region()), app.engine.region());
    if comparable(&own, rule, region).is_none() {
        return Ok(Err(Wrong::new("caller", &words.shout_bad_caller)));
    }
    let user = reader.visitor.as_ref().map_or("", |visitor| visitor.name.as_str());
    let preview = ShoutRequest { userdata: format!("{PREVIEW}{user}"), recipients: vec![own], schedule: None, ..request };
    take(app, words, preview, "shout_to_me").await
}

async fn take(app: &App, words: &Words, request: ShoutRequest, done: &str) -> Result<Result<Done, Wrong>, Refusal> {
    let wrong = match app.engine.take_shout(&request).await {
        Ok(shout) => return Ok(Ok(Done::Sent(format!("/shouts/{}?done={done}", shout.id)))),
        Err(ShoutRefused::Engine(error)) => return Err(error.into()),
        Err(ShoutRefused::NoSuchClip(_)) => Wrong::new("clip", &words.shout_bad_clip),
        Err(ShoutRefused::NoSuchShout(_) | ShoutRefused::NoMessage(_)) => Wrong::new("way", &words.shout_bad_earlier),
        Err(ShoutRefused::NotTaken(why)) => not_taken(words, why)?,
        Err(ShoutRefused::TooMany { most } | ShoutRefused::NeverSoMany { most }) => {
            Wrong::new("numbers", fill_text(&words.shout_too_many_lately, &[("most", &most.to_string())]))
        }
    };
    Ok(Err(wrong))
}

fn not_taken(words: &Words, why: NotTaken) -> Result<Wrong, Refusal> {
    match why {
        NotTaken::Wrong(_) => Ok(Wrong::new("file", &words.shout_bad_file)),
        NotTaken::Full => Ok(Wrong::new("file", &words.shout_no_room)),
        NotTaken::Costly(_) => Err(Refusal::Away),
        NotTaken::Store(error) => Err(error.into()),
    }
}

/// Keeps a file as a clip under its own name; gives that.
async fn keep_file(app: &App, reader: &Reader, name: &str, file: Vec<u8>) -> Result<Result<String, Wrong>, Refusal> {
    let words = reader.words;
    let sound = match media::anew(file).await {
        Ok(sound) => sound,
        Err(why) => return Ok(Err(not_taken(words, why)?)),
    };
    let stem = stem_of(name);
    for number in 1..=MOST_OF_A_NAME {
        let name = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
        let most = app.config().media.most_bytes;
        let now = app.engine.clock.now();
        match clips::set(&app.engine.store, &name, &sound, most, now, &Expected::Nothing, reader.doer()).await {
            Ok(_) => return Ok(Ok(name)),
            Err(ClipError::Sound(why)) => return Ok(Err(not_taken(words, why)?)),
            Err(ClipError::Refused(refused)) if refused.field().is_some() => break,
            // There is one of that name.
            Err(ClipError::Refused(_)) => {}
        }
    }
    Ok(Err(Wrong::new("file", &words.shout_no_room)))
}

/// The name of a file as a clip may have it.
fn stem_of(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let stem: String = stem.chars().take(40).map(plain).collect();
    let stem = stem.trim_matches('-');
    if is_name(stem) { stem.to_owned() } else { "sound".to_owned() }
}

/// The number at which whoever reads the page is rung.
async fn own_number(app: &App, reader: &Reader) -> Result<Option<String>, Refusal> {
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let Some(person) = reader.person(&mut db).await? else { return Ok(None) };
    let rule = app.config().shouts.number_rule(app.engine.region());
    Ok(db.numbers_of(person.id).await?.first().map(|number| rule.written(number)))
}

/// Everybody who was chosen, then the numbers that were typed: what they are called, and their number.
async fn named(app: &App, draft: &Draft) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let roster = app.engine.store.read().await?.db().roster().await?;
    let rule = app.config().shouts.number_rule(app.engine.region());
    let of_teams = draft.teams.iter().flat_map(|team| roster.all_of_team(*team));
    let chosen = of_teams.chain(draft.people.iter().copied()).filter_map(|id| roster.people.get(&id));
    let people = chosen.map(|person| (person.name.clone(), person.numbers.first().map(|number| rule.written(number))));
    Ok(people.chain(draft.numbers().into_iter().map(|number| (number.clone(), Some(number)))).collect())
}

async fn look(app: &App, words: &Words, list: &str, named: &[(String, Option<String>)]) -> Result<Found, Refusal> {
    let (with, without): (Vec<_>, Vec<_>) = named.iter().partition(|(_, phone)| phone.is_some());
    let phones = with.iter().filter_map(|(_, phone)| phone.clone()).collect();
    let fates = app.engine.look_at_recipients(OF_PAGES, list, phones).await?;
    let of = |wanted: Fate| -> Vec<&str> {
        with.iter().zip(&fates).filter(|(_, (_, fate))| *fate == wanted).map(|((name, _), _)| name.as_str()).collect()
    };
    let no_number: Vec<&str> = without.iter().map(|(name, _)| name.as_str()).chain(of(Fate::NoNumber)).collect();
    let others = [
        (&words.shout_found_repeats, of(Fate::Repeats)),
        (&words.shout_found_no_number, no_number),
        (&words.shout_found_forbidden, of(Fate::Forbidden)),
        (&words.shout_found_opted_out, of(Fate::OptedOut)),
    ];
    let others = others.into_iter().filter(|(_, names)| !names.is_empty());
    let others = others.map(|(sentence, names)| fill_text(sentence, &[("list", &some_of(words, &names))])).collect();
    let called: Vec<&str> = fates.iter().filter(|(_, fate)| *fate == Fate::Called).map(|(one, _)| one.phone.as_str()).collect();
    let hash = called.iter().fold(Sha256::new().chain_update(list), |hash, phone| hash.chain_update([0]).chain_update(phone));
    Ok(Found {
        called: called.len(),
        sentence: fill_text(&words.shout_found, &[("n", &called.len().to_string())]),
        others,
        seen: hex(&hash.finalize()[..8]),
        form: secrets::random::<16>(),
    })
}

/// The first names of a list, and how many more there are.
fn some_of(words: &Words, names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| (*name).to_owned()).collect();
    if names.len() > SHOWN {
        shown.push(fill_text(&words.shout_found_more, &[("n", &(names.len() - SHOWN).to_string())]));
    }
    shown.join(", ")
}

async fn page(
    app: &App,
    reader: &Reader,
    draft: &Draft,
    found: Option<Found>,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let (roster, clips) = {
        let mut connection = app.engine.store.read().await?;
        let mut db = connection.db();
        (db.roster().await?, db.clips().await?)
    };
    let clips: Vec<String> = clips.into_iter().map(|clip| clip.name).collect();
    let team = |id: TeamId, name: &str| Tick { id: id.to_string(), name: name.to_owned(), ticked: draft.teams.contains(&id) };
    let person =
        |id: PersonId, name: &str| Tick { id: id.to_string(), name: name.to_owned(), ticked: draft.people.contains(&id) };
    let mut people: Vec<Tick> = roster.people.iter().map(|(id, own)| person(*id, &own.name)).collect();
    people.sort_by(|one, other| one.name.cmp(&other.name));
    let called = found.as_ref().map_or(0, |found| found.called);
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = WritePage {
        frame: Frame::new(reader, "shouts", words.shouts_write.as_str(), app.engine.clock.now()),
        words,
        fields: draft.fields(words, &clips, wrong.as_ref()),
        teams: roster.teams.iter().map(|own| team(own.id, &own.name)).collect(),
        people,
        earlier: draft.earlier,
        send: fill_text(&words.shout_send, &[("n", &called.to_string())]),
        found: found.filter(|found| found.called > 0 || !found.others.is_empty()),
        alert: wrong.map(|wrong| if wrong.field.is_empty() { wrong.sentence } else { words.form_wrong.clone() }),
    };
    Ok(html(status, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_where_a_clip_may_have_it() {
        for (name, stem) in [
            ("storm.wav", "storm"),
            ("C:\\tmp\\storm drill.wav", "storm-drill"),
            ("../../etc/passwd", "passwd"),
            ("演习.wav", "sound"),
            ("", "sound"),
            (".wav", "sound"),
        ] {
            assert_eq!(stem_of(name), stem, "{name}");
        }
        assert_eq!(stem_of(&"x".repeat(500)).len(), 40);
    }
}
