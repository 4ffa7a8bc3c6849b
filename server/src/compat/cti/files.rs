//! Sound of a program, by name: `/cti/files/{name}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Refused, answer, key};
use crate::access::senders::Sender;
use crate::app::App;
use crate::engine::rpc::files::FileRefused;
use crate::http::sound::sound;
use crate::intake::alarm_request::read_body;
use crate::keep::media::{self, NotTaken, clips};

impl From<FileRefused> for Refused {
    fn from(error: FileRefused) -> Self {
        let text = error.to_string();
        match error {
            FileRefused::BadName | FileRefused::TooMany | FileRefused::NotTaken(NotTaken::Wrong(_)) => {
                Self::Wrong(StatusCode::BAD_REQUEST, text)
            }
            FileRefused::NotTaken(NotTaken::Full) => Self::Wrong(StatusCode::INSUFFICIENT_STORAGE, text),
            FileRefused::NotTaken(NotTaken::Costly(_)) => Self::Wrong(StatusCode::SERVICE_UNAVAILABLE, text),
            FileRefused::NotTaken(NotTaken::Store(error)) => Self::Away(error.into()),
        }
    }
}

/// The names of all.
pub(super) async fn list(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>) -> Result<Response, Refused> {
    let key = key(&sender)?;
    let files: Vec<_> = app
        .engine
        .rpc_files(key.id)
        .await?
        .into_iter()
        .map(|file| json!({ "name": file.name, "milliseconds": file.milliseconds, "bytes": file.bytes, "at": file.at.timestamp() }))
        .collect();
    Ok(answer(StatusCode::OK, json!({ "files": files }).to_string()))
}

/// Keeps a WAV file under a name.
pub(super) async fn keep(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    let key = key(&sender)?;
    if !media::is_name(&name) {
        return Err(FileRefused::BadName.into());
    }
    let file = match read_body(body, clips::largest()).await {
        Ok(file) => Vec::from(file),
        Err(problem) => return Ok(problem.into_response()),
    };
    let sound = media::anew(file).await.map_err(FileRefused::from)?;
    app.engine.keep_rpc_file(key.id, &name, &sound).await?;
    Ok(answer(StatusCode::CREATED, json!({ "name": name }).to_string()))
}

/// The sound of one.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let key = key(&sender)?;
    let file = app.engine.rpc_file(key.id, &name).await?.ok_or_else(|| missing(&name))?;
    Ok(sound(&app.engine.store, &file, &method, &headers))
}

/// Takes a name away.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let key = key(&sender)?;
    match app.engine.remove_rpc_file(key.id, &name).await? {
        true => Ok(answer(StatusCode::OK, "{}".to_owned())),
        false => Err(missing(&name)),
    }
}

fn missing(name: &str) -> Refused {
    Refused::Wrong(StatusCode::NOT_FOUND, format!("there is no file {name:?}"))
}
