//! *Sessions*: where somebody is logged in, and ending that: everybody their own, admins those of others.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::UserId;
use crate::keep::users::sessions;
use crate::store::access::users::UserRow;
use crate::versions::Expected;

/// A session on the page.
struct Item {
    id: String,
    /// What kind of browser.
    browser: String,
    /// From where.
    address: String,
    /// Since when; HTML.
    since: String,
    /// HTML.
    used: String,
    /// It is the one in which this is read.
    is_this: bool,
}

#[derive(Template)]
#[template(path = "people/login/sessions.html")]
struct SessionsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    heading: String,
    done: Option<&'static str>,
    sessions: Vec<Item>,
    /// Where one, or all others, are ended.
    end: String,
    /// What the button says that ends them.
    end_all: &'static str,
    /// There is something for that button to end.
    ends_any: bool,
    back: (&'static str, &'static str),
}

/// `GET /people/me/sessions`
pub(in crate::dashboard) async fn show_mine(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let user = reader.visitor.as_ref().map(|visitor| visitor.user).ok_or(Refusal::LogIn)?;
    let user = user_of(&app, user).await?;
    page(&app, &reader, &user, query.as_deref()).await
}

/// `POST /people/me/sessions/end`: the one that is named, or all but this one.
pub(in crate::dashboard) async fn end_mine(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    end_of(&app, &reader, &visitor.name, &fields, Some(&visitor.token_hash)).await?;
    Ok(go_to("/people/me/sessions?done=session_ended"))
}

/// `GET /users/{id}/sessions`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let user = user_of(&app, id.parse().map_err(|_| Refusal::NotFound)?).await?;
    page(&app, &reader, &user, query.as_deref()).await
}

/// `POST /users/{id}/sessions/end`: the one that is named, or all.
pub(in crate::dashboard) async fn end(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let user = user_of(&app, id.parse().map_err(|_| Refusal::NotFound)?).await?;
    // Whoever looks at their own here stays logged in.
    let own = reader.visitor.as_ref().filter(|visitor| visitor.user == user.id).map(|visitor| &visitor.token_hash[..]);
    end_of(&app, &reader, &user.name, &fields, own).await?;
    Ok(go_to(&format!("/users/{}/sessions?done=session_ended", user.id)))
}

async fn user_of(app: &App, id: UserId) -> Result<UserRow, Refusal> {
    app.engine.store.read().await?.db().user(id).await?.ok_or(Refusal::NotFound)
}

async fn end_of(app: &App, reader: &Reader, name: &str, fields: &Fields, own: Option<&[u8]>) -> Result<(), Refusal> {
    let (id, engine) = (fields.get("session"), &app.engine);
    if fields.get("all") == "yes" {
        engine.carry_out(reader.doer(), async |work| sessions::end_all(work, name, own).await).await?;
    } else {
        engine.carry_out(reader.doer(), async |work| sessions::end(work, name, id, &Expected::Anything).await).await?;
    }
    tracing::info!(user.name = %name, by = %reader.known_as(), "sessions were ended");
    Ok(())
}

async fn page(app: &App, reader: &Reader, user: &UserRow, query: Option<&str>) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    let all = sessions::of(&mut app.engine.store.read().await?.db(), user, now).await?;
    let is_mine = visitor.user == user.id;
    let item = |own: sessions::Session| Item {
        is_this: own.row.token_hash == visitor.token_hash,
        browser: own.row.browser.unwrap_or_else(|| words.session_unknown.clone()),
        address: own.row.address.unwrap_or_default(),
        since: at(own.row.created_at),
        used: at(own.row.last_used_at),
        id: own.id,
    };
    let items: Vec<Item> = all.into_iter().map(item).collect();
    let (current, heading, end, end_all, back) = if is_mine {
        let end = "/people/me/sessions/end".to_owned();
        ("sessions", words.session_title.clone(), end, &words.session_end_others, ("/people/me", words.nav_me.as_str()))
    } else {
        let heading = fill_text(&words.session_of, &[("name", &user.name)]);
        let end = format!("/users/{}/sessions/end", user.id);
        ("users", heading, end, &words.session_end_all, ("/users", words.user_back.as_str()))
    };
    let page = SessionsPage {
        frame: Frame::new(reader, current, heading.as_str(), now),
        words,
        heading,
        done: now::done_words(words, query),
        ends_any: items.iter().any(|own| !own.is_this),
        sessions: items,
        end,
        end_all,
        back,
    };
    Ok(html(StatusCode::OK, &page))
}
