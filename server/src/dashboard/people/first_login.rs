//! The very first login: whoever can read the server's terminal or its data folder may make the first admin, once.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::dashboard::Dashboard;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::session;
use crate::dashboard::frame::words::Words;
use crate::dashboard::query::asked;
use crate::keep::users::{self, Login, UserError};
use crate::secrets;
use crate::store::access::users::Role;
use crate::store::{Store, StoreError};

const FILE: &str = "first-login.txt";

/// The secret for the first admin, while there is no user.
#[derive(Debug, Default)]
pub struct FirstLogin(Mutex<Option<Invitation>>);

#[derive(Debug)]
struct Invitation {
    secret: String,
    /// Where it stands, unless a terminal shows it.
    file: Option<PathBuf>,
}

impl FirstLogin {
    /// When there is no user yet, makes a secret and leaves it where only the operator finds it: for the terminal, see
    /// [`Self::told`]; without one, in a file that only its owner can read.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::dashboard) async fn prepare(store: &Store, data_dir: &Path, address: SocketAddr) -> Result<Self, StoreError> {
        if store.read().await?.db().count_users().await? > 0 {
            return Ok(Self::default());
        }
        let secret = secrets::random::<20>();
        if std::io::stdout().is_terminal() {
            return Ok(Self::with(secret, None));
        }
        let file = data_dir.join(FILE);
        match write_private(data_dir, &file, &format!("{}\n", setup_address(address, &secret))) {
            Ok(()) => Ok(Self::with(secret, Some(file))),
            Err(error) => {
                tracing::warn!(%error, "{} cannot be written: make the first user with `autocall user add`", file.display());
                Ok(Self::default())
            }
        }
    }

    /// How the first admin gets in, as a sentence for the terminal or the journal; `None` when there is a user already, or no way
    /// but the command line.
    #[must_use]
    pub fn told(&self, address: SocketAddr) -> Option<String> {
        let invitation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        invitation.as_ref().map(|invitation| match &invitation.file {
            Some(file) => format!("open the address in {} once", file.display()),
            // To the terminal only, not through the log, which may be kept.
            None => format!("open {}", setup_address(address, &invitation.secret)),
        })
    }

    fn with(secret: String, file: Option<PathBuf>) -> Self {
        Self(Mutex::new(Some(Invitation { secret, file })))
    }

    fn knows(&self, secret: &str) -> bool {
        let invitation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        invitation.as_ref().is_some_and(|own| own.secret.as_bytes().ct_eq(secret.as_bytes()).into())
    }

    fn forget(&self) {
        let invitation = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(file) = invitation.and_then(|invitation| invitation.file) {
            // It is worth nothing any more; that it may have been removed already is fine.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn setup_address(address: SocketAddr, secret: &str) -> String {
    format!("{}?secret={secret}", crate::keep::pairing::page_url(address, "/setup"))
}

/// Writes a file that only its owner can read, and its folder where there is none.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write_private(folder: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Made anew, so that nobody who opened an older one reads this.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

#[derive(Template)]
#[template(path = "people/setup.html")]
struct SetupPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
}

/// `GET /setup?secret=`
pub(in crate::dashboard) async fn show(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let secret = asked(&query.unwrap_or_default(), "secret").unwrap_or_default();
    check(&pages, &secret).await?;
    Ok(page(app, &reader, StatusCode::OK, &secret, "", None))
}

/// `POST /setup`
pub(in crate::dashboard) async fn make(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let (secret, name) = (fields.get("secret"), fields.get("name"));
    check(&pages, secret).await?;
    let (engine, words) = (&app.engine, reader.words);
    let add = async {
        let login = Login::new(&pages.passwords, name, fields.get("password")).await?;
        engine.carry_out(reader.doer(), async |work| users::add(work, login, Role::Admin, None).await).await
    };
    let wrong = match add.await {
        Ok(user) => {
            pages.first_login.forget();
            let mut response = go_to("/");
            let from = session::came_from(reader.address, &headers);
            session::give(&mut response, &session::begin(engine, user, name.trim(), &from).await?, reader.secure);
            return Ok(response);
        }
        Err(UserError::BadName | UserError::NameTaken(_)) => Wrong::new("name", &words.setup_bad_name),
        Err(UserError::BadPassword) => Wrong::new("password", &words.setup_bad_password),
        Err(error) => return Err(error.into()),
    };
    Ok(page(app, &reader, StatusCode::UNPROCESSABLE_ENTITY, secret, name, Some(wrong)))
}

/// Only with the secret, and only while there is no user. The secret has 160 bits, so guessing needs no limit.
async fn check(pages: &Dashboard, secret: &str) -> Result<(), Refusal> {
    let first = &pages.first_login;
    if !first.knows(secret) {
        return Err(Refusal::NotFound);
    }
    if pages.app.engine.store.read().await?.db().count_users().await? > 0 {
        first.forget();
        return Err(Refusal::NotFound);
    }
    Ok(())
}

fn page(app: &App, reader: &Reader, status: StatusCode, secret: &str, name: &str, wrong: Option<Wrong>) -> Response {
    let words = reader.words;
    let frame = Frame::new(reader, "", words.setup_title.as_str(), app.engine.clock.now());
    let user = Field::plain("name", &words.login_name, Input::Name).value(name).required().completed("username").begins(true);
    let password = Field::plain("password", &words.login_password, Input::Password).how(&words.setup_bad_password);
    let form = Form::new(reader, "", "/setup", &words.setup_go).holding("secret", secret).looking("go wide");
    let form = form.with([user, password.required().completed("new-password")]).saying(wrong.as_ref());
    html(status, &SetupPage { frame, words, form })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_for_its_owner_only_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "an old one, readable by all").unwrap();
        write_private(folder.path(), &file, "secret\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = FirstLogin::with("secret".to_owned(), Some(file.clone()));
        assert!(first.knows("secret") && !first.knows("secre") && !first.knows(""));
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let told = first.told(address).unwrap();
        assert!(told.contains("first-login.txt") && !told.contains("secret"), "{told}");
        first.forget();
        assert!(!file.exists() && !first.knows("secret") && first.told(address).is_none());
        let shown = FirstLogin::with("secret".to_owned(), None).told(address).unwrap();
        assert_eq!(shown, "open http://127.0.0.1:8080/setup?secret=secret");
    }
}
