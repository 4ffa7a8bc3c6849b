//! Why a request of this server brought no answer, in words for whoever reads the log or a page.

use std::error::Error;

/// The innermost cause, which is what can be done something about: the library's own words say only that sending failed. Without the
/// address, which may hold a secret.
#[must_use]
pub fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
