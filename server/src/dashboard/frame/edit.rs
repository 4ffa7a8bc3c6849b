//! A page with one form on it, and below that the way to remove what it is about; and the page that shows an address once.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::field::{Field, Wrong};
use super::form::Form;
use super::page::{Frame, html};
use super::reader::Reader;
use super::words::Words;
use crate::app::App;
use crate::keep::pairing::page_url;

/// What is on such a page.
pub(in crate::dashboard) struct Edit {
    pub(in crate::dashboard) title: String,
    /// Where the form goes; so does its removal, with `/remove` at the end.
    pub(in crate::dashboard) address: String,
    /// Above the fields; may be empty.
    pub(in crate::dashboard) how: Cow<'static, str>,
    pub(in crate::dashboard) fields: Vec<Field>,
    /// What the form holds beside them.
    pub(in crate::dashboard) hidden: Vec<(&'static str, String)>,
    /// What is wrong, with one of the fields or with all of it.
    pub(in crate::dashboard) wrong: Option<Wrong>,
    /// The version that is changed or removed; empty for a new one.
    pub(in crate::dashboard) version: String,
    /// What removing it means, where it is there to be removed.
    pub(in crate::dashboard) remove_sure: Option<&'static str>,
    /// The part of the pages that it belongs to, and its page, to which one can go back.
    pub(in crate::dashboard) of: (&'static str, &'static str),
}

#[derive(Template)]
#[template(path = "frame/edit.html")]
struct EditPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
    /// Where it is removed, which version of it, and what that means.
    removal: Option<Removal>,
    /// What else is known of it; HTML.
    below: String,
}

struct Removal {
    address: String,
    version: String,
    sure: &'static str,
}

/// The page; refused when something is wrong. What none of its fields is to blame for is said above them.
pub(in crate::dashboard) fn edit_page(app: &App, reader: &Reader, edit: Edit) -> Response {
    edit_page_over(app, reader, edit, String::new())
}

/// The same with something below it, as HTML.
pub(in crate::dashboard) fn edit_page_over(app: &App, reader: &Reader, edit: Edit, below: String) -> Response {
    let status = if edit.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (current, page) = edit.of;
    let frame = Frame::new(reader, current, edit.title.as_str(), app.engine.clock.now());
    let removal =
        edit.remove_sure.map(|sure| Removal { address: format!("{}/remove", edit.address), version: edit.version.clone(), sure });
    let mut form = Form::new(reader, "", edit.address, &reader.words.person_save).explained(edit.how).back_to(page);
    if !edit.version.is_empty() {
        form = form.holding("version", edit.version);
    }
    for (name, value) in edit.hidden {
        form = form.holding(name, value);
    }
    let form = form.with(edit.fields).saying(edit.wrong.as_ref());
    html(status, &EditPage { frame, words: reader.words, form, removal, below })
}

/// An address that is shown once.
#[derive(Template)]
#[template(path = "frame/address.html")]
pub(in crate::dashboard) struct AddressPage<'r> {
    pub(in crate::dashboard) frame: Frame<'r>,
    pub(in crate::dashboard) words: &'static Words,
    /// What to do with it.
    pub(in crate::dashboard) how: Cow<'static, str>,
    pub(in crate::dashboard) address: String,
    /// Who could misuse it.
    pub(in crate::dashboard) once: &'static str,
    /// A command that shows how it is used; may be empty.
    pub(in crate::dashboard) example: String,
    /// What comes next; may be empty.
    pub(in crate::dashboard) then: &'static str,
    /// The page that it is about, and how to say that.
    pub(in crate::dashboard) back: (&'static str, &'static str),
}

/// A path of this server as the reader's browser reaches it; where that is on this very machine, as others in its network do.
pub(in crate::dashboard) fn reached(host: &str, secure: bool, listen: SocketAddr, path: &str) -> String {
    let address = host.parse().map(|address: SocketAddr| address.ip());
    let is_here = match address.or_else(|_| host.trim_matches(['[', ']']).parse::<IpAddr>()) {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.split(':').next() == Some("localhost"),
    };
    match (is_here && listen.ip().is_unspecified(), secure) {
        (true, _) => page_url(listen, path),
        (false, true) => format!("https://{host}{path}"),
        (false, false) => format!("http://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn an_address_is_one_that_others_can_use() {
        let (all, own) = ("0.0.0.0:8080".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(reached("pager.example.com", true, all, "/x"), "https://pager.example.com/x");
        assert_eq!(reached("10.0.0.5:80", false, all, "/x"), "http://10.0.0.5:80/x");
        assert_eq!(reached("127.0.0.1:9", false, own, "/x"), "http://127.0.0.1:9/x", "nobody else can reach it");
        for here in ["localhost:8080", "localhost", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]"] {
            assert_eq!(reached(here, false, all, "/x"), page_url(all, "/x"), "{here}");
        }
    }
}
