//! *Send a test*: a form of one field at most below what is set up, and what came of it, as far as that was waited for.

use askama::Template;

use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::words::Words;

/// What came of a test.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Tried {
    /// It was taken.
    pub(in crate::dashboard) is_good: bool,
    /// What is known of it, as HTML.
    pub(in crate::dashboard) says: String,
}

/// The part of a page by which something is tried.
#[derive(Template)]
#[template(path = "frame/trial.html")]
pub(in crate::dashboard) struct Trial {
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) how: &'static str,
    pub(in crate::dashboard) form: Form,
    pub(in crate::dashboard) tried: Option<Tried>,
}
