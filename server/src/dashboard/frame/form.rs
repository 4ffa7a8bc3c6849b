//! A form as a page shows it: where it goes, what it holds unseen, its fields, and what is wrong with them. A page that holds several shows
//! the one that was refused as it was filled in.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::csrf::Fields;
use super::field::{Field, Wrong};
use super::page::{Frame, html};
use super::reader::Reader;
use super::words::Words;
use crate::app::App;

/// A form.
#[derive(Clone, Debug, Template)]
#[template(path = "frame/form.html")]
pub(in crate::dashboard) struct Form {
    /// Tells it from others on its page: its element has it, and so do its fields, before their names. Empty for the only one.
    pub(in crate::dashboard) id: String,
    address: String,
    token: String,
    words: &'static Words,
    held: Vec<(&'static str, String)>,
    /// Whose password is changed, for password managers: it is not sent.
    user: Option<String>,
    /// Above the fields.
    how: Cow<'static, str>,
    pub(in crate::dashboard) fields: Vec<Field>,
    /// Below the fields; HTML of ours.
    below: String,
    /// What none of its fields is to blame for.
    alert: Option<String>,
    go: &'static str,
    look: &'static str,
    /// Whom or what it is about, for those who hear the button and do not see where it stands.
    about: String,
    /// Fields stand beside each other, and there is a way back.
    back: Option<&'static str>,
}

impl Form {
    pub(in crate::dashboard) fn new(
        reader: &Reader,
        id: impl Into<String>,
        address: impl Into<String>,
        go: &'static str,
    ) -> Self {
        Self {
            id: id.into(),
            address: address.into(),
            token: reader.form_token.clone(),
            words: reader.words,
            held: Vec::new(),
            user: None,
            how: "".into(),
            fields: Vec::new(),
            below: String::new(),
            alert: None,
            go,
            look: "go",
            about: String::new(),
            back: None,
        }
    }

    /// With something that is sent along unseen.
    pub(in crate::dashboard) fn holding(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.held.push((name, value.into()));
        self
    }

    /// With the name of whoever changes a password, for password managers.
    pub(in crate::dashboard) fn of_user(mut self, name: Option<&str>) -> Self {
        self.user = name.map(str::to_owned);
        self
    }

    pub(in crate::dashboard) fn explained(mut self, how: impl Into<Cow<'static, str>>) -> Self {
        self.how = how.into();
        self
    }

    pub(in crate::dashboard) fn with(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        let id = self.id.clone();
        self.fields.extend(fields.into_iter().map(|field| field.of_form(&id)));
        self
    }

    /// With something of ours below its fields.
    pub(in crate::dashboard) fn below(mut self, html: String) -> Self {
        self.below = html;
        self
    }

    pub(in crate::dashboard) fn about(mut self, what: impl Into<String>) -> Self {
        self.about = what.into();
        self
    }

    /// With a class for its button.
    pub(in crate::dashboard) fn looking(mut self, look: &'static str) -> Self {
        self.look = look;
        self
    }

    pub(in crate::dashboard) fn back_to(mut self, page: &'static str) -> Self {
        self.back = Some(page);
        self
    }

    /// Says what is wrong: at the field that is to blame, else above them.
    pub(in crate::dashboard) fn saying(mut self, wrong: Option<&Wrong>) -> Self {
        let Some(wrong) = wrong else { return self };
        match self.fields.iter_mut().find(|field| field.name == wrong.field) {
            Some(field) => {
                field.wrong = Some(wrong.sentence.clone());
                self.alert = Some(self.words.form_wrong.clone());
            }
            None => self.alert = Some(wrong.sentence.clone()),
        }
        self
    }

    /// As somebody has filled it in, with what is wrong, if this is the one.
    pub(in crate::dashboard) fn again(mut self, sent: Option<&Sent>) -> Self {
        let Some(sent) = sent.filter(|sent| sent.form == self.id) else { return self };
        for field in &mut self.fields {
            field.fill(&sent.fields);
        }
        // What was typed belongs to the version, and to the thing, that it was typed for.
        for (name, value) in &mut self.held {
            if sent.fields.has(name) {
                sent.fields.get(name).clone_into(value);
            }
        }
        self.saying(Some(&sent.wrong))
    }

    /// Something in it has to be corrected.
    pub(in crate::dashboard) fn is_wrong(&self) -> bool {
        self.alert.is_some()
    }
}

/// A form that was refused, as it was sent.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Sent {
    /// Which one.
    pub(in crate::dashboard) form: String,
    pub(in crate::dashboard) fields: Fields,
    pub(in crate::dashboard) wrong: Wrong,
}

#[derive(Template)]
#[template(path = "frame/form_page.html")]
struct FormPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
}

/// A page with nothing but one form that was refused: for those that stand on pages which show what happens.
pub(in crate::dashboard) fn form_page(app: &App, reader: &Reader, current: &'static str, title: &str, form: Form) -> Response {
    let frame = Frame::new(reader, current, title, app.engine.clock.now());
    html(StatusCode::UNPROCESSABLE_ENTITY, &FormPage { frame, words: reader.words, form })
}
