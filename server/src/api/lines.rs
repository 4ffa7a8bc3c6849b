//! Public numbers, and the gateways that reach their handsets, over the API.

use std::sync::Arc;

use android_protocol::sms::Encoding;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::requests::merge::Patch;
use crate::access::senders::Sender;
use crate::app::App;
use crate::engine::lines::gateways::is_silent;
use crate::engine::lines::hand_over::Known;
use crate::engine::lines::numbers::LineStatus;
use crate::http::json;
use crate::http::listing::{Listed, Paged, Paging, located};
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::ids::{AlarmId, GatewayId, LineId, SmsId};
use crate::intake::alarm_request;
use crate::keep::lines::gateways::{self, InboundChange, NewGateway, inbound_path};
use crate::keep::lines::numbers::{self, NewLine, Preview};
use crate::keep::refused::Refused;
use crate::kinds::gateways::{GatewayKind, GatewaySettings, host};
use crate::line::command::AppBuild;
use crate::store::lines::numbers::{HandOverRow, HandOverWhy};
use crate::store::lines::sms::GatewayRow;
use crate::versions::Expected;

/// The JSON body of `POST /api/v1/sms/gateways` and `PUT /api/v1/sms/gateways/{id}`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// How it is reached.
    settings: GatewaySettings,
    /// The IANA zone of times that it tells without one; `sms.zone` unless given. Left out, it stays as it is; empty, it is taken away.
    zone: Option<String>,
    /// What it signs its reports with; then a report without a good signature is refused. Left out, it stays as it is; empty, it is
    /// taken away.
    signing_secret: Option<String>,
}

/// A gateway as the API shows it: without its secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GatewayJson {
    id: GatewayId,
    name: String,
    kind: &'static str,
    /// The host of its address, or the handset.
    host: String,
    /// The zone of times that it tells without one, when it has one of its own.
    zone: Option<String>,
    /// Its reports must be signed.
    signed: bool,
    /// When it last reported anything.
    heard_at: Option<DateTime<Utc>>,
    /// It said regularly that it lives, and does not any more.
    silent: bool,
    /// Where it reports received messages; shown once, when it is made.
    inbound_path: Option<String>,
}

impl GatewayJson {
    fn new(row: &GatewayRow, token: Option<&str>, now: DateTime<Utc>) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            kind: GatewayKind::of(&row.settings).as_str(),
            host: host(&row.settings),
            zone: row.inbound.zone.clone(),
            signed: row.inbound.signing_secret.is_some(),
            heard_at: row.heard_at.max(row.ping_at),
            silent: is_silent(row, now),
            inbound_path: token.map(inbound_path),
        }
    }
}

/// What is wrong with a gateway, at its place in the body: what is no field of its own is one of its settings.
fn wrong_gateway(refused: Refused) -> Problem {
    let placed = |one: Refused| match one.field().map(str::to_owned) {
        None => Problem::from(one),
        Some(field) if matches!(field.as_str(), "name" | "zone" | "signing_secret") => one.into(),
        // `field` says what it always said.
        Some(field) => Problem::from(one.within("settings")).of_field(&field),
    };
    match refused {
        Refused::Several(all) => match Problem::several(all.into_iter().map(placed).collect()) {
            Some(problem) => problem,
            None => Problem::invalid("", "something is wrong with it"),
        },
        one => placed(one),
    }
}

/// The JSON body of `POST /api/v1/lines` and `PUT /api/v1/lines/{id}`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// The team whose person on duty it follows.
    #[serde(default)]
    team: String,
    /// What people outside dial.
    #[serde(alias = "number")]
    phone_number: String,
    /// Where its handset gets messages; the number itself unless given.
    sms_number: Option<String>,
    /// Whose forwarding codes it takes, such as `china-telecom`.
    carrier: String,
    /// The Android version of its handset; text messages work up to 13.
    #[schema(minimum = 4, maximum = 99)]
    android: i32,
    /// The build of the app on it: `first` for v1.0, else `later`.
    app_build: Option<AppBuild>,
    /// What the message says beside the command, in the team's language.
    #[serde(default)]
    text: String,
    /// The name of the gateway that reaches it.
    gateway: String,
    /// The name of its handset, when that also rings people for us: it is then told nothing while it rings somebody.
    handset: Option<String>,
    /// The name of another handset that rings the number after each hand-over, to prove it.
    verify_handset: Option<String>,
}

/// The JSON body of `POST /api/v1/lines/{id}/forward` and `/preview`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetBody {
    /// To which number.
    #[serde(alias = "number")]
    phone_number: String,
    /// Whose it is; else the person with that number.
    person: Option<String>,
}

/// The JSON body of `PUT /api/v1/lines/{id}/bound`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundBody {
    /// Who is always on duty; null: nobody.
    person: Option<PersonBody>,
}

/// A person and a number.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonBody {
    name: String,
    #[serde(alias = "number")]
    phone_number: String,
}

/// A public number as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LineJson {
    id: LineId,
    name: String,
    /// The team whose person on duty it follows; null when it follows none.
    team: Option<String>,
    phone_number: String,
    sms_number: String,
    carrier: String,
    android: i32,
    app_build: AppBuild,
    text: String,
    gateway: String,
    handset: Option<String>,
    verify_handset: Option<String>,
    bound_name: Option<String>,
    bound_number: Option<String>,
    /// Its latest hand-over.
    forwarded: Option<HandOverJson>,
    /// How that is known.
    known: Option<Known>,
    /// The hand-over before it, as long as the latest was not sent.
    still: Option<HandOverJson>,
}

/// A hand-over as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HandOverJson {
    /// Who is rung from then on, as they were called at that time.
    name: String,
    phone_number: String,
    why: HandOverWhy,
    /// When it came to be so.
    began_at: DateTime<Utc>,
    refused: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    attempts: i32,
    last_result: Option<String>,
    verify_alarm_id: Option<AlarmId>,
    /// What the network itself says, where a modem holds the SIM and asks it.
    network: Option<NetworkJson>,
}

/// What a network says of a number that it forwards.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LineNetwork)]
pub struct NetworkJson {
    /// Whether it forwards calls; null where it was asked in vain.
    active: Option<bool>,
    /// To whom, as it writes the number.
    phone_number: Option<String>,
    /// When it said so.
    said_at: Option<DateTime<Utc>>,
    /// Why it could not be asked the last time.
    error: Option<String>,
}

impl From<HandOverRow> for HandOverJson {
    fn from(row: HandOverRow) -> Self {
        let network = (row.network_at.is_some() || row.network_error.is_some()).then_some(NetworkJson {
            active: row.network_active,
            phone_number: row.network_number,
            said_at: row.network_at,
            error: row.network_error,
        });
        Self {
            network,
            name: row.person,
            phone_number: row.number,
            why: row.why,
            began_at: row.at,
            refused: row.refused,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            attempts: row.attempts.unwrap_or(0),
            last_result: row.last_result,
            verify_alarm_id: row.verify_alarm_id,
        }
    }
}

impl From<LineStatus> for LineJson {
    fn from(status: LineStatus) -> Self {
        let (line, said) = (status.line, status.said);
        let (forwarded, known) = status.latest.unzip();
        Self {
            id: line.id,
            name: line.name,
            team: Some(line.team).filter(|team| !team.is_empty()),
            phone_number: line.number,
            sms_number: line.sms_number,
            carrier: line.carrier,
            android: line.android,
            app_build: line.app_build,
            text: line.text,
            gateway: said.gateway,
            handset: said.handset,
            verify_handset: said.verify_handset,
            bound_name: line.bound_name,
            bound_number: line.bound_number,
            forwarded: forwarded.map(HandOverJson::from),
            known,
            still: status.still.map(HandOverJson::from),
        }
    }
}

/// What would be said for a hand-over.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PreviewJson {
    /// What the handset dials.
    code: String,
    /// The text message; null where the handset dials the code itself.
    message: Option<String>,
    /// How it is packed: gsm7 or ucs2.
    encoding: Option<&'static str>,
    /// What it needs of the one part.
    used: Option<usize>,
    /// What one part holds.
    limit: Option<usize>,
    /// What has not been checked on this network, and what else matters.
    notes: Vec<&'static str>,
}

impl From<Preview> for PreviewJson {
    fn from(preview: Preview) -> Self {
        let encoding = preview.message.as_ref().map(|message| message.encoding);
        Self {
            code: preview.code,
            encoding: encoding.map(|encoding| if matches!(encoding, Encoding::Gsm7 { .. }) { "gsm7" } else { "ucs2" }),
            used: encoding.map(Encoding::used),
            limit: encoding.map(Encoding::limit),
            message: preview.message.map(|message| message.text),
            notes: preview.notes,
        }
    }
}

/// Makes a gateway: a phone or a service that sends text messages.
#[utoipa::path(post, path = "/api/v1/sms/gateways", tag = "sms", request_body = GatewayBody,
    responses((status = 201, description = "Made; `inbound_path` is shown only now", body = GatewayJson),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add_gateway(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let GatewayBody { name, settings, zone, signing_secret } = alarm_request::read_json(&body)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let (gateway, token) =
        gateways::add(&mut work, app.config(), NewGateway { name, settings, inbound: InboundChange { zone, signing_secret } })
            .await
            .map_err(wrong_gateway)?;
    work.commit().await?;
    let shown = GatewayJson::new(&gateway, Some(&token), app.engine.clock.now());
    let made = versioned(&HeaderMap::new(), StatusCode::CREATED, &gateway.version(&app.engine.links), &shown);
    Ok(located(&format!("/api/v1/sms/gateways/{}", gateway.id), made))
}

/// All gateways by name, without their secrets.
#[utoipa::path(get, path = "/api/v1/sms/gateways", tag = "sms", params(Paged),
    responses((status = 200, description = "By name", body = Listed<GatewayJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list_gateways(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (paging, now) = (Paging::read(query.as_deref())?, app.engine.clock.now());
    let gateways = app.engine.store.read().await?.db().gateways().await?;
    let gateways = gateways.iter().map(|gateway| (gateway.name.clone(), GatewayJson::new(gateway, None, now))).collect();
    Ok(paging.page(gateways).answer())
}

/// One gateway, without its secrets.
#[utoipa::path(get, path = "/api/v1/sms/gateways/{id}", tag = "sms",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The gateway", body = GatewayJson),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show_gateway(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let gateway = gateways::find(&mut app.engine.store.read().await?.db(), &id).await?;
    Ok(versioned(
        &headers,
        StatusCode::OK,
        &gateway.version(&app.engine.links),
        &GatewayJson::new(&gateway, None, app.engine.clock.now()),
    ))
}

/// Changes what a gateway is called and how it is reached, its secrets too; its kind stays.
#[utoipa::path(put, path = "/api/v1/sms/gateways/{id}", tag = "sms", request_body = GatewayBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = GatewayJson),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change_gateway(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let GatewayBody { name, settings, zone, signing_secret } = alarm_request::read_json(&body)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let gateway = gateways::change(
        &mut work,
        app.config(),
        &app.engine.links,
        &id,
        NewGateway { name, settings, inbound: InboundChange { zone, signing_secret } },
        &Expected::of(&headers),
    )
    .await
    .map_err(wrong_gateway)?;
    work.commit().await?;
    let shown = GatewayJson::new(&gateway, None, app.engine.clock.now());
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &gateway.version(&app.engine.links), &shown))
}

/// Changes what is named and leaves the rest, its secrets too; its kind stays.
#[utoipa::path(patch, path = "/api/v1/sms/gateways/{id}", tag = "sms", request_body = GatewayBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = GatewayJson),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch_gateway(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?.emptying(&["zone", "signing_secret"]);
    let gateway = gateways::find(&mut app.engine.store.read().await?.db(), &id).await?;
    let expected = patch.of(gateway.version(&app.engine.links))?;
    // What is left out of these two stays as it is, whoever changes it.
    let said = GatewayBody { name: gateway.name, settings: gateway.settings.0, zone: None, signing_secret: None };
    let GatewayBody { name, settings, zone, signing_secret } = patch.on(&said)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let gateway = gateways::change(
        &mut work,
        app.config(),
        &app.engine.links,
        &id,
        NewGateway { name, settings, inbound: InboundChange { zone, signing_secret } },
        &expected,
    )
    .await
    .map_err(wrong_gateway)?;
    work.commit().await?;
    let shown = GatewayJson::new(&gateway, None, app.engine.clock.now());
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &gateway.version(&app.engine.links), &shown))
}

/// The JSON body of `POST /api/v1/sms/gateways/{id}/test`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestBody {
    /// Whose phone is to get it.
    #[serde(alias = "number")]
    phone_number: String,
}

/// What has become of a test message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TestJson {
    id: SmsId,
    /// waiting, sent (its gateway took it), delivered, failed (it is tried again), or `given_up`.
    state: &'static str,
    /// What came of the last try.
    last_result: Option<String>,
}

/// Sends a test message through a gateway, and waits up to 20 seconds for what comes of it.
#[utoipa::path(post, path = "/api/v1/sms/gateways/{id}/test", tag = "sms", request_body = TestBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "What came of it; nobody has read it yet", body = TestJson),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn test_gateway(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let TestBody { phone_number } = alarm_request::read_json(&body)?;
    let id = app.engine.send_test_text(&id, &phone_number, sender.doer()).await?;
    let state = gateways::tried(&app.engine.store, id).await?;
    let shown = TestJson { id, state: gateways::state_of(&state), last_result: state.last_result };
    Ok(json(StatusCode::OK, json!(shown).to_string()))
}

/// Uses a gateway no more.
#[utoipa::path(delete, path = "/api/v1/sms/gateways/{id}", tag = "sms",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A line needs it", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_gateway(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let mut work = app.engine.work(sender.doer()).await?;
    gateways::remove(&mut work, &app.engine.links, &id, &Expected::of(&headers)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a public number that follows the person on duty.
#[utoipa::path(post, path = "/api/v1/lines", tag = "lines", request_body = LineBody,
    responses((status = 201, description = "Made", body = LineJson),
        (status = 404, description = "There is no such gateway", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named; also when its handset could never do it", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let new = said(&app, body).await?;
    let mut work = app.engine.work(sender.doer()).await?;
    let line = numbers::add(&mut work, app.config(), &new).await?;
    work.commit().await?;
    let status = app.engine.line_status(&line.id.to_string()).await?;
    let made = versioned(&HeaderMap::new(), StatusCode::CREATED, &line.version(), &LineJson::from(status));
    Ok(located(&format!("/api/v1/lines/{}", line.id), made))
}

/// One public number: to whom it is forwarded, since when, and how that is known.
#[utoipa::path(get, path = "/api/v1/lines/{id}", tag = "lines",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The public number", body = LineJson),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let status = app.engine.line_status(&id).await?;
    let version = status.line.version();
    Ok(versioned(&headers, StatusCode::OK, &version, &LineJson::from(status)))
}

/// Replaces all that is said of a public number: what is not given becomes what it would be for a new one. Where its phone must be told otherwise than before, it is told again.
#[utoipa::path(put, path = "/api/v1/lines/{id}", tag = "lines", request_body = LineBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = LineJson),
        (status = 404, description = "There is no such line or gateway", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named; also when its handset could never do it", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let new = said(&app, body).await?;
    let mut work = app.engine.work(sender.doer()).await?;
    let line = app.engine.change_line(&mut work, &id, &new, &Expected::of(&headers)).await?;
    work.commit().await?;
    let status = app.engine.line_status(&line.id.to_string()).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &line.version(), &LineJson::from(status)))
}

/// What a body says of a line.
async fn said(app: &App, body: Body) -> Result<NewLine, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    alarm_request::read_json(&body).map(LineBody::into)
}

impl From<LineBody> for NewLine {
    fn from(wanted: LineBody) -> Self {
        Self {
            name: wanted.name,
            team: wanted.team,
            number: wanted.phone_number,
            sms_number: wanted.sms_number,
            carrier: wanted.carrier,
            android: wanted.android,
            app_build: wanted.app_build.unwrap_or(AppBuild::Later),
            text: wanted.text,
            gateway: wanted.gateway,
            handset: wanted.handset,
            verify_handset: wanted.verify_handset,
        }
    }
}

impl LineBody {
    /// What was said of a line.
    fn of(status: LineStatus) -> Self {
        let (line, said) = (status.line, status.said);
        Self {
            name: line.name,
            team: line.team,
            phone_number: line.number,
            sms_number: Some(line.sms_number),
            carrier: line.carrier,
            android: line.android,
            app_build: Some(line.app_build),
            text: line.text,
            gateway: said.gateway,
            handset: said.handset,
            verify_handset: said.verify_handset,
        }
    }
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/lines/{id}", tag = "lines", request_body = LineBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = LineJson),
        (status = 404, description = "There is no such line or gateway", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?.renaming(&[("number", "phone_number")])?;
    let status = app.engine.line_status(&id).await?;
    let expected = patch.of(status.line.version())?;
    let wanted = patch.on(&LineBody::of(status))?;
    let mut work = app.engine.work(sender.doer()).await?;
    let line = app.engine.change_line(&mut work, &id, &wanted.into(), &expected).await?;
    work.commit().await?;
    let status = app.engine.line_status(&line.id.to_string()).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &line.version(), &LineJson::from(status)))
}

/// All public numbers: to whom each is forwarded, since when, and how that is known.
#[utoipa::path(get, path = "/api/v1/lines", tag = "lines", params(Paged),
    responses((status = 200, description = "By name", body = Listed<LineJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let lines = app.engine.line_statuses().await?.into_iter();
    let lines = lines.map(|status| (status.line.name.clone(), LineJson::from(status))).collect();
    Ok(paging.page(lines).answer())
}

/// Hands a public number over no more. What was forwarded stays so.
#[utoipa::path(delete, path = "/api/v1/lines/{id}", tag = "lines",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let mut work = app.engine.work(sender.doer()).await?;
    numbers::remove(&mut work, &id, &Expected::of(&headers)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What would be sent to hand a public number to somebody. Nothing is sent.
#[utoipa::path(post, path = "/api/v1/lines/{id}/preview", tag = "lines", request_body = TargetBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The message, and what it needs of the one part", body = PreviewJson),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Why it cannot be sent", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn preview(State(app): State<Arc<App>>, Path(id): Path<String>, body: Body) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let target: TargetBody = alarm_request::read_json(&body)?;
    let preview = numbers::preview(&mut app.engine.store.read().await?.db(), app.config(), &id, &target.phone_number).await?;
    Ok(json(StatusCode::OK, json!(PreviewJson::from(preview)).to_string()))
}

/// Hands a public number to somebody, until somebody else is on duty.
#[utoipa::path(post, path = "/api/v1/lines/{id}/forward", tag = "lines", request_body = TargetBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 202, description = "The command is in the outbox", body = HandOverJson),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Why it cannot be sent", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn forward(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let target: TargetBody = alarm_request::read_json(&body)?;
    let expected = Expected::of(&headers);
    let mut work = app.engine.work(sender.doer()).await?;
    let hand_over = app.engine.forward_line(&mut work, &id, &target.phone_number, target.person.as_deref(), &expected).await?;
    work.commit().await?;
    Ok(json(StatusCode::ACCEPTED, json!(HandOverJson::from(hand_over)).to_string()))
}

/// Binds a public number to a person who is always on duty, or to nobody.
#[utoipa::path(put, path = "/api/v1/lines/{id}/bound", tag = "lines", request_body = BoundBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Done; the hand-over follows within a second", body = LineJson),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn bind(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let bound: BoundBody = alarm_request::read_json(&body)?;
    let person = bound.person.as_ref().map(|person| (person.name.as_str(), person.phone_number.as_str()));
    let mut work = app.engine.work(sender.doer()).await?;
    numbers::bind(&mut work, app.config(), &id, person, &Expected::of(&headers)).await?;
    work.commit().await?;
    let status = app.engine.line_status(&id).await?;
    let version = status.line.version();
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &LineJson::from(status)))
}
