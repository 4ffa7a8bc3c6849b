//! Section `barista`: the Barista API.

use crate::config::reading::phrase;
use crate::config::{Key, Value, ValueKind};

/// Section `barista`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaristaConfig {
    /// The form of the history.
    pub history: HistoryForm,
    /// The opening phrases that `headid` chooses from; `{hostname}` stands for the host.
    pub heads: [String; 2],
    /// The closing phrases that `footid` chooses from.
    pub feet: [String; 2],
}

impl BaristaConfig {
    /// The phrase with this number (1 or 2), for this host.
    #[must_use]
    pub fn phrase(phrases: &[String; 2], id: i32, hostname: &str) -> String {
        phrases[usize::from(id == 2)].replace("{hostname}", hostname)
    }
}

impl Default for BaristaConfig {
    fn default() -> Self {
        Self {
            history: HistoryForm::Documented,
            heads: [
                "緊急のお知らせです。{hostname}に異常があります。".to_owned(),
                "障害を検知しました。サーバー名は、{hostname}。".to_owned(),
            ],
            feet: [
                "対応できる場合は1を、できない場合は2を押してください。".to_owned(),
                "至急、状況を確認してください。".to_owned(),
            ],
        }
    }
}

choice! {
    /// The history that Barista clients read.
    HistoryForm {
        /// As Barista's document shows it.
        Documented = "documented",
        /// As Barista itself answered.
        Original = "original",
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    choice_key!(
        "barista.history",
        "AUTOCALL_BARISTA_HISTORY",
        HistoryForm,
        barista.history,
        "Form of the history that Barista clients read: `documented` as Barista's document shows it, `original` as Barista answered."
    ),
    phrase_key!(
        "barista.head_one",
        "AUTOCALL_BARISTA_HEAD_ONE",
        heads[0],
        "Opening phrase of `headid=1`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.head_two",
        "AUTOCALL_BARISTA_HEAD_TWO",
        heads[1],
        "Opening phrase of `headid=2`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.foot_one",
        "AUTOCALL_BARISTA_FOOT_ONE",
        feet[0],
        "Closing phrase of `footid=1`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.foot_two",
        "AUTOCALL_BARISTA_FOOT_TWO",
        feet[1],
        "Closing phrase of `footid=2`; `{hostname}` stands for the host."
    ),
];
