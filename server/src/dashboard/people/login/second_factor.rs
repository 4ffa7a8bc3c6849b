//! *Second factor*: whoever is logged in sets up an app that makes codes, gets codes for paper, and takes it away again.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qrcode::{Color, QrCode};

use super::code::code_field;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::{Reader, Visitor};
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::keep::users::second_factor::{self, Checked};
use crate::keep::users::{self, UserError};
use crate::rights::second_factor as rule;
use crate::store::access::users::UserRow;

/// The ids of the forms of this page.
const CONFIRM: &str = "confirm";
const CODES: &str = "codes";
const REMOVE: &str = "remove";
/// White around a picture, in squares: readers want that much.
const QUIET: usize = 4;

/// A picture of squares, as a page draws it.
struct Picture {
    /// Its width and height in squares, with the white around it.
    size: usize,
    /// The dark squares, in the words of SVG.
    path: String,
}

impl Picture {
    /// Of a text that a camera is to read; `None` where it is too long.
    fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text.as_bytes()).ok()?;
        let width = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let squares = dark.map(|(place, _)| format!("M{} {}h1v1h-1z", place % width + QUIET, place / width + QUIET));
        Some(Self { size: width + 2 * QUIET, path: squares.collect() })
    }
}

/// How it stands with somebody's second factor.
#[expect(clippy::large_enum_variant, reason = "one is made for a page")]
enum Standing {
    /// This server has none.
    Off,
    None,
    /// The app gets the secret, and shows a code.
    Begun {
        picture: Option<Picture>,
        secret: String,
        form: Form,
    },
    Set {
        told: String,
        codes: Form,
        remove: Form,
    },
    /// The codes for paper, once.
    Codes(Vec<String>),
}

#[derive(Template)]
#[template(path = "people/login/second_factor.html")]
struct FactorPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    standing: Standing,
    /// They do nothing else before it is set up.
    must: bool,
}

/// `GET /people/me/second-factor`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, None, done).await
}

/// `POST /people/me/second-factor`: a new secret for the app. It counts for nothing before the app has shown a code.
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let user = is_on(&app, &reader)?.user;
    match app.engine.carry_out(reader.doer(), async |work| second_factor::begin(work, user).await).await {
        Ok(()) | Err(UserError::HasSecondFactor) => Ok(go_to("/people/me/second-factor")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /people/me/second-factor/confirm`: the app has it; shows the codes for paper, once.
pub(in crate::dashboard) async fn confirm(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let session = is_on(&app, &reader)?.token_hash;
    let (user, typed) = (me(&app, &reader).await?, fields.get("code").to_owned());
    let confirm = async |work: &mut _| second_factor::confirm(work, &user, &typed, &session).await;
    match app.engine.carry_out(reader.doer(), confirm).await {
        Ok(Ok(codes)) => {
            tracing::info!(user.name = %user.name, "a second factor was set up");
            Ok(shown(&app, &reader, StatusCode::OK, Standing::Codes(codes), None))
        }
        Ok(Err(checked)) => refused(&app, &reader, CONFIRM, fields, checked).await,
        // Pressed twice, or in two windows.
        Err(UserError::HasSecondFactor | UserError::NoSecondFactor) => Ok(go_to("/people/me/second-factor")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /people/me/second-factor/codes`: other codes for paper, for a code.
pub(in crate::dashboard) async fn renew_codes(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    is_on(&app, &reader)?;
    let (user, typed) = (me(&app, &reader).await?, fields.get("code").to_owned());
    let renew = async |work: &mut _| match second_factor::check(work, user.id, &typed).await? {
        checked if checked.is_right() => second_factor::renew_codes(work, &user).await.map(Ok),
        checked => Ok::<_, UserError>(Err(checked)),
    };
    match app.engine.carry_out(reader.doer(), renew).await? {
        Ok(codes) => Ok(shown(&app, &reader, StatusCode::OK, Standing::Codes(codes), None)),
        Err(checked) => refused(&app, &reader, CODES, fields, checked).await,
    }
}

/// `POST /people/me/second-factor/remove`: for a code.
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    is_on(&app, &reader)?;
    let (user, typed) = (me(&app, &reader).await?, fields.get("code").to_owned());
    let remove = async |work: &mut _| match second_factor::check(work, user.id, &typed).await? {
        checked if checked.is_right() => second_factor::remove(work, &user).await.map(Ok),
        checked => Ok::<_, UserError>(Err(checked)),
    };
    match app.engine.carry_out(reader.doer(), remove).await? {
        Ok(()) => {
            tracing::info!(user.name = %user.name, "a second factor was taken away by its owner");
            Ok(go_to("/people/me/second-factor?done=factor_removed"))
        }
        Err(checked) => refused(&app, &reader, REMOVE, fields, checked).await,
    }
}

/// Whoever is logged in, where this server has second factors.
fn is_on<'r>(app: &App, reader: &'r Reader) -> Result<&'r Visitor, Refusal> {
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    if app.config().http.second_factor.is_on() { Ok(visitor) } else { Err(Refusal::NotFound) }
}

async fn me(app: &App, reader: &Reader) -> Result<UserRow, Refusal> {
    let name = reader.visitor.as_ref().map(|visitor| visitor.name.as_str()).ok_or(Refusal::LogIn)?;
    Ok(users::find(&mut app.engine.store.read().await?.db(), name).await?)
}

/// The page with what is wrong with a code. What was typed is not shown again.
async fn refused(app: &App, reader: &Reader, form: &str, fields: Fields, checked: Checked) -> Result<Response, Refusal> {
    let words = reader.words;
    let (status, sentence) = match checked {
        Checked::TooSoon(left) => {
            let seconds = ((left.num_milliseconds() + 999) / 1000).to_string();
            (StatusCode::TOO_MANY_REQUESTS, fill_text(&words.login_throttled, &[("s", &seconds)]))
        }
        Checked::NotAsked => return Ok(go_to("/people/me/second-factor")),
        Checked::Wrong | Checked::Right | Checked::RightOnPaper(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, words.code_wrong.clone())
        }
    };
    let sent = Sent { form: form.to_owned(), fields, wrong: Wrong::new("code", sentence) };
    page(app, reader, status, Some(sent), None).await
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let (words, visitor) = (reader.words, reader.visitor.as_ref().ok_or(Refusal::LogIn)?);
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let row = db.second_factor(visitor.user).await?;
    let form = |id: &str, address: &str, go| Form::new(reader, id, address, go).with([code_field(words)]);
    let again = |form: Form| match sent.as_ref().filter(|sent| sent.form == form.id) {
        Some(sent) => form.saying(Some(&sent.wrong)),
        None => form,
    };
    let standing = match row {
        _ if !app.config().http.second_factor.is_on() => Standing::Off,
        None => Standing::None,
        Some(row) => match row.confirmed_at {
            None => {
                let host = reader.host.rsplit_once(':').map_or(reader.host.as_str(), |(host, _)| host);
                let address = rule::address(&row.secret, &format!("autocall {host}"), &visitor.name);
                Standing::Begun {
                    picture: Picture::of(&address),
                    secret: rule::typed(&row.secret),
                    form: again(form(CONFIRM, "/people/me/second-factor/confirm", &words.factor_confirm_go)),
                }
            }
            Some(since) => {
                let left = db.recovery_codes_left(visitor.user).await?.to_string();
                let bits = [("at", Html(&at(since))), ("count", Text(&left))];
                Standing::Set {
                    told: fill(&words.factor_set, &bits),
                    codes: again(form(CODES, "/people/me/second-factor/codes", &words.factor_codes_go).looking("")),
                    remove: again(form(REMOVE, "/people/me/second-factor/remove", &words.factor_remove_go).looking("bad")),
                }
            }
        },
    };
    drop(connection);
    Ok(shown(app, reader, status, standing, done))
}

fn shown(app: &App, reader: &Reader, status: StatusCode, standing: Standing, done: Option<&'static str>) -> Response {
    let words = reader.words;
    let frame = Frame::new(reader, "second-factor", words.factor_title.as_str(), app.engine.clock.now());
    let must = reader.must_set_up && !matches!(standing, Standing::Codes(_));
    html(status, &FactorPage { frame, words, done, standing, must })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_picture_has_white_around_it_and_three_corners() {
        let picture = Picture::of("otpauth://totp/autocall:lin?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=autocall").unwrap();
        assert!(picture.path.starts_with("M4 4h1v1h-1z"), "{}", &picture.path[..20]);
        let last = picture.size - QUIET - 1;
        let dark = |x: usize, y: usize| picture.path.contains(&format!("M{x} {y}h"));
        assert!(dark(last, 4) && dark(4, last) && !dark(3, 4) && !dark(4, last + 1));
        assert!(Picture::of(&"x".repeat(5000)).is_none(), "too long for any");
    }
}
