//! One sender: how what it sends is read, and whether it has to be signed.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::answer::{Refusal, go_to};
use super::frame::csrf::Fields;
use super::frame::edit::{AddressPage, Edit, edit_page};
use super::frame::field::{Choice, Field, Input, Wrong, pairs, pairs_written};
use super::frame::page::{Frame, html};
use super::frame::reader::Reader;
use super::frame::words::{Words, fill_text};
use crate::app::App;
use crate::ids::KeyId;
use crate::keep::keys::{self, KeyError, Trust};
use crate::kinds::signing::Scheme;
use crate::signal::generic::{PLACED, Places, WrongPlace};
use crate::store::access::keys::KeyRow;
use crate::versions::Expected;

/// The choice of a key that is enough by itself.
const UNSIGNED: &str = "none";

/// `GET /senders/{id}`
pub(super) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let key = key(&app, &id).await?;
    Ok(form_page(&app, &reader, &key, &TrustForm::of(&key), key.version().as_str(), None))
}

/// `POST /senders/{id}`: shows a secret once, where one was made.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (key, words) = (key(&app, &id).await?, reader.words);
    let form = TrustForm::read(&fields);
    let wrong = match form.filled(words) {
        Err(wrong) => wrong,
        Ok(new) => {
            let changed = async {
                let mut work = app.engine.work(reader.doer()).await?;
                let made = keys::trust(&mut work, &key.name, &new, &Expected::in_form(fields.get("version"))).await?;
                work.commit().await?;
                Ok::<_, KeyError>(made)
            };
            match changed.await {
                Ok(None) => return Ok(go_to("/senders?done=saved")),
                Ok(Some(secret)) => return Ok(secret_page(&app, &reader, &key, secret)),
                Err(error) => wrong(words, error)?,
            }
        }
    };
    Ok(form_page(&app, &reader, &key, &form, fields.get("version"), Some(wrong)))
}

/// A key that is good, and raises alarms.
async fn key(app: &App, id: &str) -> Result<KeyRow, Refusal> {
    let id: KeyId = id.parse().map_err(|_| Refusal::NotFound)?;
    let key = app.engine.store.read().await?.db().key(id).await?;
    key.filter(|key| key.revoked_at.is_none() && key.sends_signals()).ok_or(Refusal::NotFound)
}

/// What is said of a sender, as it was typed.
#[derive(Clone, Debug)]
struct TrustForm {
    places: String,
    resolved: String,
    scheme: String,
    /// It is never sent back.
    secret: String,
    /// There is one already.
    is_set: bool,
}

impl TrustForm {
    fn of(key: &KeyRow) -> Self {
        let places = key.places.as_ref().map(|places| places.0.clone()).unwrap_or_default();
        Self {
            places: pairs_written(&places.pointers),
            resolved: places.resolved.join(", "),
            scheme: key.signing.as_ref().map_or(UNSIGNED, |signing| signing.scheme.as_str()).to_owned(),
            secret: String::new(),
            is_set: key.signing.is_some(),
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self { places: text("places"), resolved: text("resolved"), scheme: text("scheme"), secret: text("secret"), is_set: false }
    }

    /// What it says.
    ///
    /// # Errors
    /// What cannot be read, at its field.
    fn filled(&self, words: &Words) -> Result<Trust, Wrong> {
        let lines = pairs(&self.places);
        let lines = lines.map_err(|line| Wrong::new("places", fill_text(&words.sender_bad_line, &[("text", line)])))?;
        let mut places = Places::default();
        for (field, pointer) in &lines {
            places.place(field, pointer).map_err(|wrong| misplaced(words, &wrong))?;
        }
        let resolved: Vec<String> = self.resolved.split(',').map(str::to_owned).collect();
        places.say_resolved(&resolved).and_then(|()| places.check()).map_err(|wrong| misplaced(words, &wrong))?;
        Ok(Trust {
            places,
            scheme: Scheme::read(&self.scheme),
            secret: Some(self.secret.clone()).filter(|secret| !secret.is_empty()),
        })
    }

    fn fields(&self, words: &'static Words, wrong: Option<&Wrong>) -> Vec<Field> {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(name, label, how, value, input, wrong)
        };
        let named = |scheme: &Scheme| match scheme {
            Scheme::Autocall => "AutoCall",
            Scheme::Grafana => "Grafana",
            Scheme::Sentry => "Sentry",
            Scheme::Github => "GitHub",
            Scheme::Gitlab => "GitLab",
        };
        let unsigned = Choice::new(UNSIGNED, &words.sender_unsigned);
        let schemes = Scheme::ALL.iter().map(|scheme| Choice::new(scheme.as_str(), named(scheme)));
        let schemes = std::iter::once(unsigned).chain(schemes).collect();
        let places_how = fill_text(&words.sender_places_how, &[("fields", &PLACED.join(", "))]);
        let secret_how = if self.is_set { &words.sender_secret_set } else { &words.sender_secret_how };
        vec![
            field("places", &words.sender_places, &places_how, &self.places, Input::Lines(6)),
            field("resolved", &words.sender_resolved, &words.sender_resolved_how, &self.resolved, Input::Line),
            field("scheme", &words.sender_signs, &words.sender_signs_how, &self.scheme, Input::Choice(schemes)),
            field("secret", &words.sender_secret, secret_how, "", Input::Secret),
        ]
    }
}

/// What is wrong with a place, in the reader's language.
fn misplaced(words: &Words, wrong: &WrongPlace) -> Wrong {
    match wrong {
        WrongPlace::NoField(name) => {
            Wrong::new("places", fill_text(&words.sender_no_field, &[("name", name), ("fields", &PLACED.join(", "))]))
        }
        WrongPlace::NoPointer { pointer, .. } => Wrong::new("places", fill_text(&words.sender_no_pointer, &[("text", pointer)])),
        WrongPlace::TooLong(name) => Wrong::new("places", fill_text(&words.sender_long_pointer, &[("name", name)])),
        WrongPlace::Words => Wrong::new("resolved", &words.sender_bad_words),
        WrongPlace::NoState => Wrong::new("resolved", &words.sender_no_state),
    }
}

/// What was refused, at its field.
///
/// # Errors
/// When no field is to blame.
fn wrong(words: &Words, error: KeyError) -> Result<Wrong, Refusal> {
    match error {
        KeyError::Place(wrong) => Ok(misplaced(words, &wrong)),
        KeyError::Secret(_) => Ok(Wrong::new("secret", &words.sender_bad_secret)),
        KeyError::SecretIsSentrys => Ok(Wrong::new("secret", &words.sender_sentry_secret)),
        KeyError::Stale(_) => Err(Refusal::Stale),
        KeyError::Store(error) => Err(error.into()),
        _ => Err(Refusal::NotFound),
    }
}

fn form_page(app: &App, reader: &Reader, key: &KeyRow, form: &TrustForm, version: &str, wrong: Option<Wrong>) -> Response {
    let words = reader.words;
    let form = TrustForm { is_set: key.signing.is_some(), ..form.clone() };
    let edit = Edit {
        title: key.name.clone(),
        address: format!("/senders/{}", key.id),
        how: words.sender_how.as_str().into(),
        fields: form.fields(words, wrong.as_ref()),
        hidden: Vec::new(),
        version: version.to_owned(),
        wrong,
        remove_sure: None,
        of: ("senders", "/senders"),
    };
    edit_page(app, reader, edit)
}

fn secret_page(app: &App, reader: &Reader, key: &KeyRow, secret: String) -> Response {
    let words = reader.words;
    let page = AddressPage {
        frame: Frame::new(reader, "senders", key.name.as_str(), app.engine.clock.now()),
        words,
        how: words.sender_secret_made.as_str().into(),
        address: secret,
        once: &words.sender_secret_once,
        then: "",
        example: String::new(),
        back: ("/senders", &words.nav_senders),
    };
    html(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;

    fn form(places: &str, resolved: &str) -> TrustForm {
        let own = |text: &str| text.to_owned();
        TrustForm { places: own(places), resolved: own(resolved), scheme: own("grafana"), secret: String::new(), is_set: false }
    }

    #[test]
    fn a_form_says_what_is_kept() {
        let words = Language::English.words();
        let filled = form("title=/alert/title\n\nstate = /s", "Gone, over").filled(words).unwrap();
        assert_eq!((filled.scheme, filled.secret), (Some(Scheme::Grafana), None));
        assert_eq!(pairs_written(&filled.places.pointers), "state=/s\nsummary=/alert/title");
        assert_eq!(filled.places.resolved, ["gone", "over"]);
        assert!(form("", "").filled(words).unwrap().places.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field_in_every_language() {
        for language in Language::ALL {
            let words = language.words();
            let wrong = |places: &str, resolved: &str| form(places, resolved).filled(words).unwrap_err();
            for (places, quoted) in [("nonsense", "nonsense"), ("colour=/a", "colour"), ("summary=a.b", "a.b")] {
                let wrong = wrong(places, "");
                assert!(wrong.field == "places" && wrong.sentence.contains(quoted), "{wrong:?}");
            }
            assert_eq!(wrong("summary=/a", "gone").field, "resolved");
            assert_eq!(wrong("state=/a", &"x,".repeat(30)).field, "resolved");
        }
    }
}
