//! Every route of the server: a plain list.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, MatchedPath, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use tower::ServiceExt;
use tower::util::MapRequest;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{doors, received, refusals, senders, signed, whence};
use crate::api;
use crate::app::App;
use crate::compat::{barista, blast, cti, nimbox, opsgenie, pagerduty};
use crate::dashboard::{self, Dashboard};
use crate::handset;
use crate::http::aging::{self, Aging};
use crate::http::document::{all_is_answered, complete};
use crate::http::listing::{self, Known, tell_items};
use crate::http::phone::nothing_for_phones;
use crate::http::prefix::Prefix;
use crate::http::problem::{CATALOGUE, Code, Problem, no_look};
use crate::http::rights;
use crate::http::versions::{looked_at, tagged};
use crate::http::{bodies, charset, json};
use crate::intake;
use crate::lock::LockKind;
use crate::net::seats::Seat;
use crate::telemetry::{Ended, Face, Metrics};

/// Every route of the server.
pub fn router(app: Arc<App>, pages: Arc<Dashboard>) -> Router {
    let timeout = app.config().http.request_timeout;
    let measures = Arc::clone(&app.engine.metrics);
    // The handset path has no layers of its own: whatever answers there answers with a body that holds `code`.
    let handsets = Router::new()
        .route("/alert/phone", any(handset::face::plain))
        .route("/alert/phone/", any(handset::face::plain))
        .route("/h/{*rest}", any(handset::face::paired))
        // Nobody else posts to the page: a phone was given the address without its path.
        .route("/", post(nothing_here))
        .layer(middleware::from_fn(refusals::phones_with_host))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), whence::noted));
    let (api, _) = documented_api().split_for_parts();
    let (by_token, _) = documented_by_token().split_for_parts();
    let (known, aging) = (Arc::clone(&DESCRIBED.known), Arc::clone(&DESCRIBED.aging));
    let api = api
        .merge(blast::routes())
        .merge(opsgenie::routes())
        .route("/api/{*rest}", any(no_such_endpoint))
        // It may only be able to fetch an address.
        .route("/api/v1/intake/kuma", any(intake::signals::receive_from_kuma))
        .route("/api/v1/intake/uptime-kuma", any(intake::signals::receive_from_kuma))
        .route("/api/v2/alerts", post(intake::signals::receive_alerts))
        .route("/api/v1/intake/grafana", post(intake::grafana::receive).put(intake::grafana::receive))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), api::requests::repeats::once))
        // What is the same twice over is no part of a version.
        .route_layer(middleware::from_fn(async |request: Request, next: Next| match request.uri().path() {
            barista::PATH => next.run(request).await,
            path if blast::is_ours(path) => next.run(request).await,
            _ => tagged(request, next).await,
        }))
        .route_layer(middleware::from_fn_with_state((aging, app.config().http.body_limit_bytes), api::requests::old_names::known))
        .route_layer(middleware::from_fn(received::copied))
        // Whoever looks at a body sees what is in it, however it was packed and written.
        .route_layer(middleware::from_fn(charset::in_utf8))
        .route_layer(RequestDecompressionLayer::new())
        // What is signed is what was sent.
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app.access), signed::signed_only))
        // Doors before bodies: who may not come in is not read.
        .route_layer(middleware::from_fn_with_state(app.bodies.clone(), bodies::received))
        .route_layer(middleware::from_fn_with_state(known, listing::known_only))
        .route_layer(middleware::from_fn(async |request: Request, next: Next| match request.uri().path() {
            // Its words are Barista's, its head too.
            barista::PATH => next.run(request).await,
            path if blast::is_ours(path) => next.run(request).await,
            _ => looked_at(request, next).await,
        }))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app.access), senders::senders_only))
        .merge(
            by_token
                .method_not_allowed_fallback(not_by_token)
                .route_layer(middleware::from_fn(charset::in_utf8))
                .route_layer(RequestDecompressionLayer::new())
                .route_layer(middleware::from_fn_with_state(app.bodies.clone(), bodies::received)),
        )
        .merge(
            // Its bodies have a room of their own: they are read before anybody is let in.
            pagerduty::routes().route_layer(middleware::from_fn(received::copied)).route_layer(RequestDecompressionLayer::new()),
        )
        .merge(
            nimbox::routes()
                .route_layer(RequestDecompressionLayer::new())
                .route_layer(middleware::from_fn_with_state(app.bodies.clone(), bodies::received)),
        )
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the server failed; its log says why").into_response()
        }))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), refusals::counted))
        .layer(middleware::from_fn(barista::in_its_words))
        .layer(middleware::from_fn(blast::in_its_words))
        .layer(middleware::from_fn(nimbox::in_its_words))
        .layer(middleware::from_fn(opsgenie::in_its_words))
        // Kept as they are answered.
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), received::kept))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), whence::noted))
        // Before it is packed.
        .layer(middleware::map_response_with_state(app.prefix.clone(), put_below))
        .layer(packed());
    // It is written once: it takes as long as thousands of other answers.
    let prefix = app.prefix.path().to_owned();
    let description = Arc::new(LazyLock::new(move || {
        let mut document = DESCRIBED.document.clone();
        if !prefix.is_empty() {
            document.servers = Some(vec![utoipa::openapi::Server::new(prefix)]);
        }
        Bytes::from(openapi_json(&document))
    }));
    let described = Router::new()
        .route("/api/v1/openapi.json", get(async move || json(StatusCode::OK, LazyLock::force(&description).clone())))
        .route("/api", get(async |RawQuery(query): RawQuery, headers: HeaderMap| PAGE.answer(query.as_deref(), &headers)))
        .route(
            CATALOGUE,
            get(async |RawQuery(query): RawQuery, headers: HeaderMap| api::page::problems(query.as_deref(), &headers)),
        )
        // Where blast-api has its own.
        .route("/docs", get(async || Redirect::permanent("/api")))
        .route("/docs/", get(async || Redirect::permanent("/api")))
        .layer(middleware::from_fn(tagged))
        .layer(middleware::from_fn(looked_at))
        .layer(middleware::from_fn(refusals::with_host))
        // Before it is packed.
        .layer(middleware::map_response_with_state(app.prefix.clone(), put_below))
        .layer(packed());
    let watch = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        // The address is the proof.
        .route(
            "/media/{token}",
            get(api::media::listen::listen)
                .layer(middleware::from_fn(refusals::with_host))
                .layer(middleware::from_fn_with_state(Arc::clone(&app.access), whence::noted)),
        )
        // Calendars know a secret and nothing else.
        .route("/calendar/{file}", get(api::roster::calendars::read).layer(middleware::from_fn(refusals::with_host)))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .layer(middleware::map_response(refusals::with_time_to_try_again));
    // Sockets and waits last longer than other requests.
    let calls = cti::routes()
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app.access), signed::signed_only))
        .route_layer(middleware::from_fn_with_state(app.bodies.clone(), bodies::received))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app.access), senders::senders_only))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the server failed; its log says why").into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), refusals::counted))
        .layer(middleware::from_fn(cti::in_its_words))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), whence::noted));
    let pages = dashboard::router(pages)
        .layer(middleware::from_fn_with_state(Arc::clone(&app.access), whence::noted))
        .layer(middleware::from_fn(refusals::with_host))
        .layer(middleware::map_response(refusals::with_time_to_try_again));
    let all = handsets.merge(api).merge(calls).merge(described).merge(watch).fallback(nothing_here).with_state(app).merge(pages);
    // Senders that can only be given an address carry their key in it: the same routes, once the key is taken out.
    let keyed = all.clone();
    let with_path_key = any(async move |request: Request| {
        // What is no such path leads nowhere: a phone may have been given a wrong address.
        let (Ok(request) | Err(request)) = senders::without_path_key(request);
        match keyed.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    });
    let routes = Router::new()
        .route("/k/{key}/{*rest}", with_path_key)
        .merge(all)
        .layer(middleware::from_fn_with_state(measures, measured));
    // Senders write a slash at the end of an address as easily as none.
    Router::new().fallback_service(MapRequest::new(routes, without_last_slash))
}

/// Which face a request is for.
fn face_of(method: &Method, path: &str) -> Face {
    // The key in an address says nothing of it.
    let path = path.strip_prefix("/k/").map_or(path, |rest| rest.find('/').map_or("", |at| &rest[at..]));
    let mut parts = path.split('/').skip(1);
    let mut next = || parts.next().unwrap_or_default();
    match next() {
        "alert" => Face::Handsets,
        "h" => {
            let (_token, what) = (next(), next());
            match what {
                "media" | "recording" | "live" | "incoming" | "inbound" => Face::Voice,
                _ => Face::Handsets,
            }
        }
        "api" => match (next(), next(), next()) {
            ("v1", "alarms", "") if method == Method::POST => Face::Intake,
            ("v1", "intake" | "heartbeat", _) | ("v1", "alarms", "resolve") | ("v1", "sms", "inbound") | ("v2", ..) => {
                Face::Intake
            }
            ("v1", "call" | "calls" | "shouts" | "dnc", _) => Face::Compat,
            _ => Face::Api,
        },
        "v2" | "generic" | "jsm" | "cti" | "direct" => Face::Compat,
        "healthz" | "readyz" | "metrics" => Face::Probes,
        _ => Face::Pages,
    }
}

/// A request that is being answered: told as unanswered when nobody waits for it any more.
struct Measuring {
    metrics: Arc<Metrics>,
    face: Face,
    ended: Ended,
    began: Instant,
    /// Its place, and for how long that had waited before.
    waits: Option<(Seat, Duration)>,
}

impl Drop for Measuring {
    fn drop(&mut self) {
        let waited = self.waits.as_ref().map_or(Duration::ZERO, |(seat, before)| seat.waited().saturating_sub(*before));
        self.metrics.requests.ended(self.face, self.ended, self.began.elapsed().saturating_sub(waited));
    }
}

/// Counts a request, and how long it took.
async fn measured(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let face = face_of(request.method(), request.uri().path());
    let waits = request.extensions().get::<Seat>().map(|seat| (seat.clone(), seat.waited()));
    let mut measuring = Measuring { metrics, face, ended: Ended::Unanswered, began: Instant::now(), waits };
    let response = next.run(request).await;
    measuring.ended = Ended::of(response.status().as_u16());
    response
}

/// The description of the API as a page.
static PAGE: LazyLock<api::page::Written> = LazyLock::new(|| api::page::Written::of(&DESCRIBED.document));

/// The description of the API, and what is made of it: the same for every server of a process.
static DESCRIBED: LazyLock<Described> = LazyLock::new(|| {
    let mut document = openapi();
    let (known, aging) = (Arc::new(Known::of(&mut document)), Arc::new(Aging::of(&document)));
    Described { document, known, aging }
});

/// Makes the description ahead: it takes longer than all else that routes are made of.
pub fn warm_up() {
    LazyLock::force(&DESCRIBED);
}

struct Described {
    document: utoipa::openapi::OpenApi,
    known: Arc<Known>,
    aging: Arc<Aging>,
}

/// An answer with what leads back here put below the path in front.
async fn put_below(State(prefix): State<Prefix>, response: Response) -> Response {
    prefix.put_on(response).await
}

/// Packs what is long for whoever can unpack it: quickly, since others wait meanwhile. The description, the longest answer of all, takes
/// 2 ms so instead of 8, and is 64 KB long instead of 39.
fn packed() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(1024))
}

/// The path of the API without a slash at its end.
fn without_last_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    // Clients of blast-api know that there is nothing there.
    let is_blast = path.find("/api/").is_some_and(|at| blast::is_ours(&path[at..]));
    let ours =
        ["/api/", "/cti/", "/direct/", "/generic/", "/jsm/", "/k/", "/v2/"].iter().any(|beginning| path.starts_with(beginning));
    if is_blast || !ours || !path.ends_with('/') {
        return request;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("{}{query}", path.trim_end_matches('/')).parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// The API's routes and their description, which so cannot say different things.
fn documented_api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .merge(roster_routes())
        .routes(routes!(api::alarms::raise, api::alarms::list))
        .routes(routes!(api::alarms::show))
        .routes(routes!(api::alarms::cancel))
        .routes(routes!(api::alarms::resolve_by_key))
        .routes(routes!(api::alarms::resolve))
        .routes(routes!(api::alarms::acknowledge))
        .routes(routes!(api::alarms::redial))
        .routes(routes!(api::actions::skip))
        .routes(routes!(api::actions::decline))
        .routes(routes!(api::actions::give_back))
        .routes(routes!(api::actions::escalate))
        .routes(routes!(api::actions::set_policy))
        .routes(routes!(api::actions::snooze))
        .routes(routes!(api::actions::note))
        .routes(routes!(api::reports::mark_false))
        .routes(routes!(api::reports::mark_not_false))
        .routes(routes!(api::reports::show))
        .routes(routes!(api::reports::table))
        .routes(routes!(api::policies::list))
        .routes(routes!(api::policies::show, api::policies::put, api::policies::patch, api::policies::remove))
        .routes(routes!(api::policies::rules, api::policies::put_rules))
        .routes(routes!(api::people::list, api::people::add))
        .routes(routes!(api::people::show, api::people::change, api::people::patch, api::people::remove))
        .routes(routes!(api::personal::person::export))
        .routes(routes!(api::personal::person::erase))
        .routes(routes!(api::personal::audit::list))
        .routes(routes!(api::personal::audit::table))
        .routes(routes!(api::roster::told::show, api::roster::told::put, api::roster::told::patch))
        .routes(routes!(api::users::list))
        .routes(routes!(api::users::show, api::users::patch))
        .routes(routes!(api::users::reset_second_factor))
        .routes(routes!(api::users::sessions))
        .routes(routes!(api::users::end_sessions))
        .routes(routes!(api::users::session, api::users::end_session))
        .routes(routes!(api::shouts::records::list))
        .routes(routes!(api::call_records::list))
        .routes(routes!(api::call_records::show))
        .routes(routes!(api::call_commands::make))
        .routes(routes!(api::call_commands::show))
        .routes(routes!(api::media::clips::list))
        .routes(routes!(api::media::clips::show, api::media::clips::put, api::media::clips::remove))
        .routes(routes!(api::media::recordings::show))
        .routes(routes!(api::do_not_call::list, api::do_not_call::add))
        .routes(routes!(api::do_not_call::show, api::do_not_call::remove))
        .routes(routes!(api::quiet_hours::list, api::quiet_hours::put))
        .routes(routes!(intake::alertmanager::receive))
        .routes(routes!(intake::signals::receive))
        .routes(routes!(intake::places::show, intake::places::put))
        .routes(routes!(barista::call, barista::show))
        .routes(routes!(api::heartbeats::add, api::heartbeats::list))
        .routes(routes!(api::heartbeats::show, api::heartbeats::change, api::heartbeats::patch, api::heartbeats::remove))
        .routes(routes!(api::alarm::monitor::show))
        .routes(routes!(api::maintenance::add, api::maintenance::list))
        .routes(routes!(api::maintenance::show, api::maintenance::end))
        .routes(routes!(api::lines::add_gateway, api::lines::list_gateways))
        .routes(routes!(
            api::lines::show_gateway,
            api::lines::change_gateway,
            api::lines::patch_gateway,
            api::lines::remove_gateway
        ))
        .routes(routes!(api::lines::test_gateway))
        .routes(routes!(intake::sms_inbound::inbox))
        .routes(routes!(api::lines::add, api::lines::list))
        .routes(routes!(api::lines::show, api::lines::change, api::lines::patch, api::lines::remove))
        .routes(routes!(api::lines::preview))
        .routes(routes!(api::lines::forward))
        .routes(routes!(api::lines::bind))
}

/// The part of the API that is about who is on duty.
fn roster_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(api::roster::teams::list, api::roster::teams::add))
        .routes(routes!(
            api::roster::teams::show,
            api::roster::teams::change,
            api::roster::teams::patch,
            api::roster::teams::remove
        ))
        .routes(routes!(api::roster::on_duty::of_team))
        .routes(routes!(api::roster::schedules::list, api::roster::schedules::add))
        .routes(routes!(
            api::roster::schedules::show,
            api::roster::schedules::change,
            api::roster::schedules::patch,
            api::roster::schedules::remove
        ))
        .routes(routes!(api::roster::schedules::rehearse))
        .routes(routes!(api::roster::schedules::import))
        .routes(routes!(api::roster::source::show, api::roster::source::set, api::roster::source::remove))
        .routes(routes!(api::roster::source::refresh))
        .routes(routes!(api::roster::source::rehearse))
        .routes(routes!(api::roster::exceptions::add_override))
        .routes(routes!(api::roster::exceptions::show_override, api::roster::exceptions::remove_override))
        .routes(routes!(api::roster::exceptions::add_temporary))
        .routes(routes!(api::roster::exceptions::add_holidays))
        .routes(routes!(api::roster::exceptions::show_temporary, api::roster::exceptions::remove_temporary))
        .routes(routes!(api::roster::on_duty::of_schedule))
        .routes(routes!(api::roster::on_duty::shifts))
        .routes(routes!(api::roster::on_duty::log))
        .routes(routes!(api::roster::exceptions::vacations, api::roster::exceptions::add_vacation))
        .routes(routes!(api::roster::exceptions::show_vacation, api::roster::exceptions::remove_vacation))
        .routes(routes!(api::roster::swaps::list, api::roster::swaps::ask))
        .routes(routes!(api::roster::swaps::show))
        .routes(routes!(api::roster::swaps::accept))
        .routes(routes!(api::roster::swaps::rehearse))
        .routes(routes!(api::roster::swaps::decline))
        .routes(routes!(api::roster::swaps::take_back))
        .routes(routes!(api::roster::on_duty::all))
        .routes(routes!(api::roster::on_duty::check))
        .routes(routes!(api::roster::calendars::list, api::roster::calendars::add))
        .routes(routes!(api::roster::calendars::show, api::roster::calendars::revoke))
}

/// Routes whose token stands in the path and is all that is asked for.
fn documented_by_token() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(api::heartbeats::ping)).routes(routes!(intake::sms_inbound::receive))
}

/// What is the same for the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "autocall",
        description = "Raise alarms, follow them, and read who answered. A key goes into `Authorization: Bearer`, `X-Api-Key`, basic \
                   authentication, `?key=`, or the path `/k/KEY/api/…`.\n\n\
                   Whatever is refused is said as `application/problem+json`; `/api/problems` shows what there is.\n\n\
                   Within v1, fields, parameters and operations are added and never taken away, so read past what you do not know; \
                   `docs/api-design.md` says more.\n\n\
                   What has changed in v1 all the same, as faults. Since 0.1.0: one code `not_found` stands for `no_such_alarm`, \
                   `no_such_callee`, `no_such_policy`, `no_such_team`, `no_such_schedule`, `no_such_entry`, `no_such_endpoint` and \
                   `not_forbidden`; `type` is the place of a problem on that page instead of `urn:autocall:problem:CODE`. The lists of \
                   heartbeats, maintenance windows, lines, gateways and of the inbox were bare arrays and have `items` like all others. \
                   `DELETE` of a heartbeat, window, line or gateway is answered with 204, and the binding of a line with the line. \
                   `POST /api/v1/do-not-call` is answered with 201 and the number, and a `PUT` that makes a policy with 201. \
                   Parameters that an operation does not know are refused, but for where alarms come in. What is not there is null \
                   instead of left out, and so are the `team` of a line and the `language` of a person instead of an empty text. The \
                   duty log comes in pages of at most 1000."
    ),
    components(schemas(api::shouts::records::DetailKind, api::alarms::AlarmOrder))
)]
struct ApiDocument;

/// The description of the API (OpenAPI 3.1), generated from the code.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (mut document, by_token) = (documented_api().split_for_parts().1, documented_by_token().split_for_parts().1);
    document.merge(by_token);
    document.merge(blast::described::document());
    tell_items(&mut document);
    complete(&mut document);
    blast::described::tell_words(&mut document);
    aging::tell(&mut document);
    rights::tell(&mut document);
    all_is_answered(&mut document);
    document
}

/// The same as JSON.
#[must_use]
pub fn openapi_json(document: &utoipa::openapi::OpenApi) -> String {
    // It was made of plain values, so writing it cannot fail; an empty document would be noticed by the test that reads it.
    document.to_pretty_json().unwrap_or_default()
}

/// The same where a look is refused as well, which comes with GET everywhere else.
async fn not_by_token(path: MatchedPath) -> Response {
    let allow = if path.as_str().starts_with("/api/v1/heartbeat/") { "GET, POST" } else { "GET, POST, PUT" };
    no_look(allow, "this address does not take that method")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, "this address does not take that method")
}

async fn no_such_endpoint() -> Problem {
    Problem::not_found("there is nothing at this address of the API")
}

/// A browser gets a page; a phone may have been given a wrong address.
async fn nothing_here(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Response {
    if !doors::names_one_host(request.headers()) {
        return refusals::no_host_for_phones();
    }
    let page = dashboard::nothing_here(&app, peer.0, request.method(), request.headers(), request.uri().path());
    if let Some(page) = page {
        return page;
    }
    handset::face::anywhere(&app, request).await.unwrap_or_else(|_| nothing_for_phones())
}

async fn healthz() -> Response {
    json(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// Ready when alarms can be stored and the periodic work goes on. Redis is reported and not required: without it the server goes on.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let wrong = app.engine.what_is_wrong().await;
    let locks = app.engine.locks.health();
    let body = serde_json::json!({
        "status": wrong.first().map_or("ready", |wrong| wrong.sentence()),
        "wrong": wrong.iter().map(|wrong| wrong.code()).collect::<Vec<_>>(),
        "database": !wrong.iter().any(|wrong| wrong.is_of_database()),
        "locks": { "kind": match locks.kind { LockKind::Local => "in-process", LockKind::Redis => "redis" }, "available": locks.away_for.is_none(), "refused": locks.refused },
        "clock_sure": app.engine.clock.is_sure(),
    });
    json(if wrong.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let engine = &app.engine;
    engine.metrics.observe_locks(&engine.locks);
    engine.metrics.observe_store(&engine.store);
    let mut response = engine.metrics.render().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(Metrics::CONTENT_TYPE));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_of_a_face() {
        for (method, path, face) in [
            (Method::GET, "/alert/phone", Face::Handsets),
            (Method::GET, "/h/abc/alert/phone", Face::Handsets),
            (Method::PUT, "/h/abc/recording/x", Face::Voice),
            (Method::GET, "/h/abc/live", Face::Voice),
            (Method::POST, "/api/v1/alarms", Face::Intake),
            (Method::POST, "/k/api/api/v1/alarms", Face::Intake),
            (Method::GET, "/api/v1/alarms", Face::Api),
            (Method::POST, "/api/v1/alarms/7/cancel", Face::Api),
            (Method::POST, "/api/v1/alarms/resolve", Face::Intake),
            (Method::POST, "/api/v1/intake/zabbix", Face::Intake),
            (Method::POST, "/api/v2/alerts", Face::Intake),
            (Method::GET, "/api/v1/heartbeats", Face::Api),
            (Method::POST, "/api/v1/sms/inbound/abc", Face::Intake),
            (Method::POST, "/api/v1/call", Face::Compat),
            (Method::POST, "/k/KEY/v2/enqueue", Face::Compat),
            (Method::GET, "/cti/ws", Face::Compat),
            (Method::GET, "/", Face::Pages),
            (Method::GET, "/k/KEY", Face::Pages),
            (Method::GET, "/metrics", Face::Probes),
            (Method::GET, "", Face::Pages),
        ] {
            assert_eq!(face_of(&method, path), face, "{method} {path}");
        }
    }
}
