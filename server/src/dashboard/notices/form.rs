//! Where notices go, as a form has it: drawn and read as the form of the service asks. What may hold a secret is never shown.

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::set_up::asked::{Drawing, YES, typed};
use crate::dashboard::frame::words::{Language, Words, fill_text};
use crate::keep::webhooks::{NewWebhook, WebhookError};
use crate::kinds::form::Typed;
use crate::kinds::guard::AddressError;
use crate::kinds::notices::{Addressed, WebhookShape, WrongSetting};
use crate::store::lines::webhooks::{NoticeKind, WebhookRow};

/// As it was typed.
#[derive(Clone, Debug)]
pub(super) struct NoticeForm {
    pub(super) name: String,
    language: String,
    /// What it is told.
    kinds: Vec<NoticeKind>,
    /// What its form asks.
    settings: Typed,
}

/// What is kept of a webhook, as its form wants it.
pub(super) fn addressed(row: &WebhookRow) -> Addressed {
    Addressed { url: row.url.clone(), secret: row.secret.clone(), settings: row.settings.0.clone() }
}

impl NoticeForm {
    /// A new one, told everything in the reader's language.
    pub(super) fn new(language: Language) -> Self {
        Self {
            name: String::new(),
            language: language.tag().to_owned(),
            kinds: NoticeKind::ALL.into(),
            settings: Typed::default(),
        }
    }

    /// One that is there already, without what may hold a secret.
    pub(super) fn of(row: &WebhookRow) -> Self {
        let shown = row.shape.shown(&addressed(row)).into_iter().map(|(field, value)| (field.to_owned(), value));
        Self {
            name: row.name.clone(),
            language: row.language.clone(),
            kinds: row.told(),
            settings: Typed { fields: shown.collect(), gone: Vec::new() },
        }
    }

    /// One that somebody has filled in.
    pub(super) fn read(fields: &Fields, shape: WebhookShape) -> Self {
        let is_told = |kind: &NoticeKind| fields.get(&told(*kind)) == YES;
        Self {
            name: fields.get("name").trim().to_owned(),
            language: fields.get("language").to_owned(),
            kinds: NoticeKind::ALL.into_iter().filter(is_told).collect(),
            settings: typed(fields, &shape.asks(None), &[]),
        }
    }

    /// What it says, with what it leaves blank as it was.
    ///
    /// # Errors
    /// What is wrong, at its field.
    pub(super) fn filled(&self, words: &Words, shape: WebhookShape, old: Option<&Addressed>) -> Result<NewWebhook, Wrong> {
        if self.kinds.is_empty() {
            return Err(Wrong::new(told(NoticeKind::ALL[0]), &words.notice_bad_kinds));
        }
        let Addressed { url, secret, settings } =
            shape.said(&self.settings, old).map_err(|wrong| at_its_field(words, shape, &wrong))?;
        Ok(NewWebhook {
            name: self.name.clone(),
            url,
            shape,
            secret,
            settings,
            kinds: self.kinds.clone(),
            language: self.language.clone(),
        })
    }

    /// The form as it is shown.
    pub(super) fn fields(
        &self,
        words: &'static Words,
        shape: WebhookShape,
        old: Option<&Addressed>,
        wrong: Option<&Wrong>,
    ) -> Vec<Field> {
        let mut fields =
            vec![Field::new("name", &words.policy_name, &words.notice_name_how, &self.name, Input::Line, wrong).required()];
        let drawing = Drawing { words, typed: &self.settings, is_new: old.is_none(), handsets: &[], wrong };
        for asked in shape.asks(old) {
            fields.extend(drawing.drawn(&asked, false));
        }
        let languages = Language::ALL.map(|own| Choice::new(own.tag(), &own.words().language_name));
        let choice = Input::Choice(languages.into());
        fields.push(Field::new("language", &words.notice_language, "", &self.language, choice, wrong));
        for kind in NoticeKind::ALL {
            let ticked = if self.kinds.contains(&kind) { YES } else { "" };
            let label = if kind == NoticeKind::ALL[0] { words.notice_kinds.as_str() } else { "" };
            fields.push(Field::new(told(kind), label, "", ticked, Input::Tick(kind_words(words, kind)), wrong));
        }
        fields
    }
}

/// The name of the box by which something is told.
fn told(kind: NoticeKind) -> String {
    format!("told_{}", kind.as_str())
}

/// What is told, in words.
pub(super) fn kind_words(words: &'static Words, kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Raised => &words.notice_raised,
        NoticeKind::Answered => &words.notice_answered,
        NoticeKind::Confirmed => &words.notice_confirmed,
        NoticeKind::Escalated => &words.notice_escalated,
        NoticeKind::NoAnswer => &words.notice_no_answer,
        NoticeKind::HandsetOffline => &words.notice_handset_offline,
        NoticeKind::HandsetStuck => &words.notice_handset_stuck,
        NoticeKind::HandsetBack => &words.notice_handset_back,
        NoticeKind::Fallback => &words.notice_fallback,
        NoticeKind::HandOverTrouble => &words.notice_hand_over_trouble,
        NoticeKind::OptedOut => &words.notice_opted_out,
        NoticeKind::Flapping => &words.notice_flapping,
        NoticeKind::GatewaySilent => &words.notice_gateway_silent,
        NoticeKind::GatewayBack => &words.notice_gateway_back,
        NoticeKind::CalendarTrouble => &words.notice_calendar_trouble,
        NoticeKind::CalendarBack => &words.notice_calendar_back,
        NoticeKind::BackupTrouble => &words.notice_backup_trouble,
        NoticeKind::BackupBack => &words.notice_backup_back,
    }
}

fn at_its_field(words: &Words, shape: WebhookShape, wrong: &WrongSetting) -> Wrong {
    let is_asked = |field: &str| shape.asks(None).iter().any(|asked| asked.name == field);
    let (field, sentence) = match wrong.setting {
        setting if wrong.again => (setting, &words.secret_elsewhere),
        "url" => ("url", &words.notice_bad_url),
        "secret" => ("secret", &words.notice_bad_secret),
        "to" => ("to", &words.notice_bad_to),
        "mention" => ("mention", &words.notice_bad_mention),
        "from" => ("from", &words.notice_bad_from),
        "user" => ("user", &words.notice_bad_user),
        "method" => ("method", &words.notice_bad_request),
        "headers" => ("headers", &words.gateway_bad_headers),
        "body" => ("body", &words.notice_bad_body),
        "statuses" => ("statuses", &words.notice_bad_statuses),
        "sign" => ("sign", &words.notice_bad_sign),
        _ => ("", &words.notice_bad_request),
    };
    Wrong::new(if is_asked(field) { field } else { "" }, sentence)
}

/// What was refused, at its field.
///
/// # Errors
/// When no field is to blame.
pub(super) fn wrong(words: &Words, shape: WebhookShape, error: WebhookError) -> Result<Wrong, Refusal> {
    Ok(match error {
        WebhookError::BadName => Wrong::new("name", &words.bad_short_name),
        WebhookError::NameTaken(name) => Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)])),
        WebhookError::NoAddress(_) | WebhookError::Address(AddressError::Bad) => Wrong::new("url", &words.notice_bad_url),
        WebhookError::Address(AddressError::Inside { allowed_by }) => {
            Wrong::new("url", fill_text(&words.source_inside, &[("key", allowed_by)]))
        }
        WebhookError::Setting(wrong) => at_its_field(words, shape, &wrong),
        WebhookError::OtherShape | WebhookError::NoSuchWebhook(_) => return Err(Refusal::NotFound),
        WebhookError::Stale(_) => return Err(Refusal::Stale),
        WebhookError::Store(error) => return Err(error.into()),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::set_up::asked::said;
    use crate::kinds::form::{AskedBy, Said};

    #[test]
    fn every_form_is_drawn_in_every_language() {
        for language in Language::ALL {
            let words = language.words();
            let holds = |own: Said| match own {
                Said::Word(key) | Said::Filled(key, _) => assert!(!words.word(key).is_empty(), "{key}"),
                Said::Nothing | Said::Plain(_) => {}
            };
            for shape in WebhookShape::ALL {
                assert!(!said(words, shape.name()).is_empty());
                let old = Addressed { secret: Some("x".to_owned()), ..Addressed::default() };
                for asked in shape.asks(None).into_iter().chain(shape.asks(Some(&old))) {
                    holds(asked.label);
                    holds(asked.how);
                    assert!(!matches!(asked.by, AskedBy::Handset));
                }
                let names: Vec<String> =
                    NoticeForm::new(language).fields(words, *shape, None, None).into_iter().map(|field| field.name).collect();
                assert!(names.len() > NoticeKind::ALL.len() + 3, "{shape:?}: {names:?}");
            }
        }
    }

    #[test]
    fn a_form_that_tells_nothing_is_wrong() {
        let words = Language::English.words();
        let form = NoticeForm::read(&Fields::of(&[("name", "room"), ("url", "https://x.example/hook")]), WebhookShape::Slack);
        assert!(form.filled(words, WebhookShape::Slack, None).unwrap_err().field.starts_with("told_"));
        let fields = [("name", "room"), ("url", "https://x.example/hook"), ("told_confirmed", "yes"), ("language", "ja")];
        let form = NoticeForm::read(&Fields::of(&fields), WebhookShape::Slack);
        let new = form.filled(words, WebhookShape::Slack, None).unwrap();
        assert_eq!((new.kinds, new.language.as_str(), new.url.as_str()), (vec![NoticeKind::Confirmed], "ja", fields[1].1));
    }
}
