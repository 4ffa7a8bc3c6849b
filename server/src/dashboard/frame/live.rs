//! Live updates: one stream of server-sent events for each open page. What is announced makes it look again; only parts that changed
//! are sent. A page that connects again gets what it missed, because it is compared by version.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::answer::Refusal;
use super::page::{Sight, instant};
use super::reader::{Reader, Visitor};
use super::session;
use crate::dashboard::Dashboard;
use crate::dashboard::alarm::overview::views::{self, View};
use crate::dashboard::alarm::{now, one};
use crate::dashboard::{handsets, reach, shouts};
use crate::engine::Engine;
use crate::ids::AlarmId;
use crate::net::seats::{Seat, Wait};
use crate::store::{Announcement, StoreError};

/// No page is sent more often than this.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// With more pages than this each is sent less often, so that all together cost no more.
const PAGES_AT_FULL_PACE: usize = 200;
/// What counts thousands of calls is not counted more often.
const PAUSE_OF_SHOUTS: Duration = Duration::from_secs(1);
/// Looked again after this even if nothing was announced: handsets that poll, Redis that went away.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Something is sent at least this often, so that both ends notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Now(View),
    Handsets,
    Alarm(AlarmId),
    Shout(i64),
}

fn subject(query: &str) -> Option<Subject> {
    let fields: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    match &**fields.get("page")? {
        "now" => Some(Subject::Now(fields.get("view").map(|word| View::read(word)).unwrap_or_default())),
        "handsets" => Some(Subject::Handsets),
        "shout" => fields.get("id")?.parse().ok().map(Subject::Shout),
        "alarm" => fields.get("id")?.parse().ok().map(Subject::Alarm),
        _ => None,
    }
}

/// Who keeps pages open, and how many: each keeps a connection, and no user is to take them all.
pub(in crate::dashboard) struct Watching {
    most: usize,
    per_user: usize,
    by_user: Mutex<HashMap<String, usize>>,
    /// Sessions, as they were last read.
    sessions: Mutex<HashMap<[u8; 32], Arc<Known>>>,
}

/// Who has a session, and when that was read; `None` where it was over.
type Known = tokio::sync::Mutex<Option<(Instant, Option<Visitor>)>>;

/// One of them, as long as it is kept.
struct Watch {
    watching: Arc<Watching>,
    user: String,
}

impl Watching {
    pub(in crate::dashboard) fn new(most: usize, per_user: usize) -> Self {
        Self { most, per_user, by_user: Mutex::default(), sessions: Mutex::default() }
    }

    /// How long a page waits at least between two looks.
    fn pause(&self) -> Duration {
        let all: usize = self.by_user.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        pause_of(all)
    }

    /// Who looks at a page, if their session is still good: as it was at `not_before` or later, so that nothing that happened after it ended is
    /// shown in it. Many pages of one session that look at the same time read it together.
    async fn visitor(&self, engine: &Engine, token_hash: [u8; 32], not_before: Instant) -> Result<Option<Visitor>, StoreError> {
        let mut known = self.session(token_hash).lock_owned().await;
        if let Some((at, visitor)) = &*known
            && *at >= not_before
        {
            return Ok(visitor.clone());
        }
        let read_at = Instant::now();
        let visitor = session::resume_hashed(engine, token_hash, None).await?;
        *known = Some((read_at, visitor.clone()));
        Ok(visitor)
    }

    fn session(&self, token_hash: [u8; 32]) -> Arc<Known> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() > self.most {
            // Those that nobody reads just now.
            sessions.retain(|_, known| Arc::strong_count(known) > 1);
        }
        Arc::clone(sessions.entry(token_hash).or_default())
    }

    /// Leave for one more page of this user.
    fn one_more(self: &Arc<Self>, user: &str) -> Option<Watch> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_user.values().sum();
        let own = by_user.get(user).copied().unwrap_or_default();
        if all >= self.most || own >= self.per_user {
            return None;
        }
        by_user.insert(user.to_owned(), own + 1);
        Some(Watch { watching: Arc::clone(self), user: user.to_owned() })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_user = self.watching.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        match by_user.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(by_user.remove(&self.user)),
        }
    }
}

fn pause_of(pages: usize) -> Duration {
    let times = u32::try_from(pages.div_ceil(PAGES_AT_FULL_PACE)).unwrap_or(u32::MAX).max(1);
    SHORTEST_PAUSE.saturating_mul(times).min(LOOK_AGAIN)
}

/// One open page.
struct Watcher {
    pages: Arc<Dashboard>,
    reader: Reader,
    subject: Subject,
    announcements: Receiver<Announcement>,
    /// The version of each part as it was sent, and the title.
    sent: HashMap<&'static str, String>,
    title: String,
    last_look: Option<Instant>,
    last_event: Instant,
    _watch: Watch,
    /// Leave to keep its connection; none where there are no connections, as in tests.
    place: Option<Wait>,
}

/// `GET /live`
pub(in crate::dashboard) async fn watch(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    seat: Option<Extension<Seat>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let Some(visitor) = reader.visitor.as_ref().filter(|_| !reader.must_set_up) else {
        // The page loads itself again when it hears this, and is sent to the login.
        return Ok(events(stream::iter([Ok(Event::default().event("end").data("logged out"))])));
    };
    let subject = subject(&query.unwrap_or_default()).ok_or(Refusal::NotFound)?;
    let too_many = || (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open").into_response();
    let Some(watch) = pages.watching.one_more(&visitor.name) else { return Ok(too_many()) };
    let place = seat.map(|seat| seat.wait());
    if place.as_ref().is_some_and(Option::is_none) {
        return Ok(too_many());
    }
    let watcher = Watcher {
        // Before the first look: whatever is announced from now on is looked at.
        announcements: pages.app.engine.store.subscribe(),
        pages,
        reader,
        subject,
        sent: HashMap::new(),
        title: String::new(),
        last_look: None,
        last_event: Instant::now(),
        _watch: watch,
        place: place.flatten(),
    };
    Ok(events(stream::unfold(Some(watcher), next)))
}

fn events(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(stream).into_response();
    // Proxies that collect answers before they pass them on would hold these back.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// The next event, and the watcher for the one after it; `None` ends the stream.
async fn next(watcher: Option<Watcher>) -> Option<(Result<Event, Infallible>, Option<Watcher>)> {
    let mut watcher = watcher?;
    let stopping = watcher.pages.app.stopping.clone();
    // The browser comes back in two seconds.
    let place = watcher.place.take();
    let hurried = async {
        match &place {
            Some(place) => place.hurried().await,
            None => std::future::pending().await,
        }
    };
    let event = tokio::select! {
        () = stopping.cancelled() => return None,
        () = hurried => return None,
        event = watcher.next_event() => event,
    };
    watcher.place = place;
    match event {
        Some(event) => Some((Ok(event), Some(watcher))),
        None => Some((Ok(Event::default().event("end").data("logged out")), None)),
    }
}

impl Watcher {
    /// Waits for something to tell; `None` when the session is over.
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            self.wait().await;
            let looked = Instant::now();
            self.last_look = Some(looked);
            // Without the database nobody can say whether the session is still good; the page says that it is away.
            match self.pages.watching.visitor(&self.pages.app.engine, self.reader.visitor.as_ref()?.token_hash, looked).await {
                Ok(None) => return None,
                Ok(Some(visitor)) if visitor.must_set_up(self.pages.app.config().http.second_factor) => return None,
                Ok(visitor) => self.reader.visitor = visitor,
                Err(error) => tracing::debug!(%error, "a session could not be looked up"),
            }
            let sight = self.sight(looked).await?;
            if let Some(event) = self.event(sight) {
                self.last_event = Instant::now();
                return Some(event);
            }
        }
    }

    async fn wait(&mut self) {
        let Some(last) = self.last_look else { return };
        let hear = async {
            loop {
                match self.announcements.recv().await {
                    // Whatever is seen of it is announced as well.
                    Ok(Announcement::Live) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // At the latest for the next heartbeat.
        let patience = LOOK_AGAIN.min(HEARTBEAT.saturating_sub(self.last_event.elapsed()));
        let _ = tokio::time::timeout(patience, hear).await;
        let least = if matches!(self.subject, Subject::Shout(_)) { PAUSE_OF_SHOUTS } else { SHORTEST_PAUSE };
        let pause = self.pages.watching.pause().max(least);
        tokio::time::sleep(pause.saturating_sub(last.elapsed())).await;
        // Whatever was announced during the pause is covered by the look that follows.
        self.announcements = self.announcements.resubscribe();
    }

    async fn sight(&self, not_before: Instant) -> Option<Sight> {
        let (app, reader) = (&self.pages.app, &self.reader);
        let board = async || self.pages.boards.read(app, not_before).await.map_err(|_| Refusal::Away);
        let sight = match self.subject {
            Subject::Alarm(id) => match reach::on_alarm(app, reader.clone(), id).await {
                Ok(reader) => one::sight(app, &reader, id).await,
                Err(refusal) => Err(refusal),
            },
            Subject::Shout(id) => shouts::one::sight(app, reader, id).await,
            Subject::Handsets => board().await.map(|board| handsets::sight(reader, &board)),
            Subject::Now(view) => board().await.map(|board| views::sight(reader, &board, view)),
        };
        match sight {
            Ok(sight) => Some(sight),
            Err(Refusal::NotFound) => None,
            Err(_) => Some(now::sight_away(reader)),
        }
    }

    /// What has changed since the last event; `None` when nothing has and no heartbeat is due.
    fn event(&mut self, sight: Sight) -> Option<Event> {
        let changed: Vec<_> = sight.parts.into_iter().filter(|part| self.sent.get(part.id) != Some(&part.version)).collect();
        let beat = self.last_event.elapsed() >= HEARTBEAT.saturating_sub(SHORTEST_PAUSE);
        if changed.is_empty() && self.title == sight.title && !beat {
            return None;
        }
        let prefix = &self.pages.app.prefix;
        let parts: Vec<_> = changed
            .iter()
            .map(|part| json!({ "id": part.id, "version": part.version, "html": prefix.in_markup(&part.html) }))
            .collect();
        let body = json!({ "now": instant(self.pages.app.engine.clock.now()), "title": sight.title, "parts": parts });
        self.sent.extend(changed.into_iter().map(|part| (part.id, part.version)));
        self.title = sight.title;
        Some(Event::default().event("sight").retry(Duration::from_secs(2)).data(body.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pages_are_sent_less_often_and_never_seldom() {
        assert_eq!(pause_of(0), SHORTEST_PAUSE);
        assert_eq!(pause_of(200), SHORTEST_PAUSE);
        assert_eq!(pause_of(1_000), SHORTEST_PAUSE * 5);
        assert_eq!(pause_of(100_000), LOOK_AGAIN);
    }
}
