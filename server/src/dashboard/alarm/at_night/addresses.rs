//! Web addresses in what senders write, as links; and numbers that a phone can call.

use std::collections::BTreeMap;

use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, escape};
use crate::visible::web_addresses::{self, Of, Piece};

/// A link that stands above everything else that is said about an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Foremost {
    /// What it leads to; may be empty.
    pub(in crate::dashboard) label: String,
    pub(in crate::dashboard) address: String,
    /// It says what to do.
    pub(in crate::dashboard) is_runbook: bool,
}

/// A text as HTML in which web addresses are links. The page that is left is told to none of them: a callee's own link is a secret.
pub(in crate::dashboard) fn linked(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    for piece in web_addresses::pieces(text) {
        match piece {
            Piece::Text(text) => html.push_str(&escape(text)),
            Piece::Address(address) => {
                let address = escape(address);
                html.push_str(&format!(r#"<a href="{address}" rel="noreferrer">{address}</a>"#));
            }
        }
    }
    html
}

/// The addresses that somebody who was just woken wants first.
pub(in crate::dashboard) fn foremost(words: &Words, details: &str, labels: &BTreeMap<String, String>) -> Vec<Foremost> {
    let links = web_addresses::foremost(details, labels).into_iter();
    links
        .map(|link| Foremost {
            label: match link.of {
                Of::Runbook => words.link_runbook.clone(),
                Of::Label(name) => name.to_owned(),
                Of::Details => String::new(),
            },
            address: link.address.to_owned(),
            is_runbook: link.of == Of::Runbook,
        })
        .collect()
}

/// The address by which a phone calls a number; none for whoever may not see it.
pub(in crate::dashboard) fn callable(reader: &Reader, number: &str) -> Option<String> {
    let dialled: String = number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    (reader.responds() && dialled.chars().any(|c| c.is_ascii_digit())).then(|| format!("tel:{dialled}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_address_becomes_markup() {
        let html = linked("<b>see</b> https://wiki.example/?a=1&b='x' & javascript:alert(1)");
        assert_eq!(
            html,
            "&lt;b&gt;see&lt;/b&gt; <a href=\"https://wiki.example/?a=1&amp;b=&#39;x\" rel=\"noreferrer\">https://wiki.example/?a=1&amp;b=&#39;x</a>&#39; \
             &amp; javascript:alert(1)"
        );
    }
}
