//! A gateway as a form has it: drawn and read as its kind says. What may hold a secret is never shown: left blank, it stays as it is.

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::set_up::asked::{Drawing, typed};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::lines::gateways::{InboundChange, NewGateway};
use crate::keep::refused::Refused;
use crate::kinds::form::{Asked, AskedBy, Said, Typed};
use crate::kinds::gateways::{GatewayKind, GatewaySettings, WrongSetting};
use crate::store::lines::sms::Inbound;

/// A gateway as it was typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct GatewayForm {
    pub(in crate::dashboard) name: String,
    /// What its kind asks.
    settings: Typed,
    /// `None` in a form without it, which leaves it as it is.
    zone: Option<String>,
    signing_secret: String,
}

impl GatewayForm {
    /// One that is there already, without what may hold a secret.
    pub(in crate::dashboard) fn of(name: &str, settings: &GatewaySettings, inbound: &Inbound) -> Self {
        let shown = settings.shown().into_iter().map(|(field, value)| (field.to_owned(), value));
        Self {
            name: name.to_owned(),
            settings: Typed { fields: shown.collect(), gone: Vec::new() },
            zone: inbound.zone.clone(),
            signing_secret: String::new(),
        }
    }

    /// One of this kind that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields, kind: GatewayKind) -> Self {
        Self {
            name: fields.get("name").trim().to_owned(),
            settings: typed(fields, &kind.asks(None), &[SIGNING_SECRET]),
            zone: fields.has("zone").then(|| fields.get("zone").trim().to_owned()),
            // Blanks may be part of it.
            signing_secret: fields.get(SIGNING_SECRET).to_owned(),
        }
    }

    /// What it says, with these settings.
    pub(super) fn said(&self, settings: GatewaySettings) -> NewGateway {
        NewGateway { name: self.name.clone(), settings, inbound: self.inbound() }
    }

    /// How what the gateway reports is to be read.
    fn inbound(&self) -> InboundChange {
        let signing_secret = match self.signing_secret.as_str() {
            "" => self.settings.takes_away(SIGNING_SECRET).then(String::new),
            typed => Some(typed.to_owned()),
        };
        InboundChange { zone: self.zone.clone(), signing_secret }
    }

    /// What it says, with what it leaves blank as it was.
    ///
    /// # Errors
    /// What cannot be read.
    pub(in crate::dashboard) fn filled(
        &self,
        words: &Words,
        kind: GatewayKind,
        old: Option<&GatewaySettings>,
    ) -> Result<GatewaySettings, Wrong> {
        kind.settings_unseen(&self.settings, old).map_err(|wrong| match (wrong, kind) {
            (WrongSetting { field, typed: Some(text), .. }, _) => {
                Wrong::new(field, fill_text(&words.rule_bad_label, &[("text", &text)]))
            }
            (WrongSetting { field, again: true, .. }, _) => Wrong::new(field, &words.secret_elsewhere),
            (WrongSetting { field, why, .. }, kind) => match kind.blames(field) {
                Some((field, word)) => Wrong::new(field, words.word(word)),
                None if field == "sim" => Wrong::new(field, &words.gateway_bad_sim),
                None => Wrong::new(field, why),
            },
        })
    }

    /// The form as it is shown: the fields of its kind, and blank where what there is already is not shown.
    pub(in crate::dashboard) fn fields(
        &self,
        words: &'static Words,
        kind: GatewayKind,
        old: Option<(&GatewaySettings, &Inbound)>,
        handsets: &[String],
        wrong: Option<&Wrong>,
    ) -> Vec<Field> {
        let line =
            |name: &str, label: &'static str, how: &str, value: &str| Field::new(name, label, how, value, Input::Line, wrong);
        let mut fields = vec![line("name", &words.policy_name, &words.gateway_name_how, &self.name)];
        let drawing = Drawing { words, typed: &self.settings, is_new: old.is_none(), handsets, wrong };
        for asked in kind.asks(old.map(|(settings, _)| settings)) {
            fields.extend(drawing.drawn(&asked, false));
        }
        let zone = self.zone.as_deref().unwrap_or_default();
        fields.push(line("zone", &words.gateway_zone, &words.gateway_zone_how, zone));
        let signing = Asked::new(
            SIGNING_SECRET,
            Said::Word("gateway_signing"),
            Said::Word("gateway_signing_how"),
            AskedBy::OptionalSecret { is_set: old.is_some_and(|(_, inbound)| inbound.signing_secret.is_some()) },
        );
        fields.extend(drawing.drawn(&signing, !self.signing_secret.is_empty()));
        fields
    }
}

const SIGNING_SECRET: &str = "signing_secret";

/// What is wrong, in the reader's language and at the form's field.
///
/// # Errors
/// When no field is to blame.
pub(in crate::dashboard) fn wrong(words: &Words, kind: GatewayKind, refused: Refused) -> Result<Wrong, Refusal> {
    if let Some((field, word)) = refused.field().and_then(|setting| kind.blames(setting)) {
        return Ok(Wrong::new(field, words.word(word)));
    }
    match refused.first() {
        Refused::Taken { name, .. } => Ok(Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)]))),
        Refused::Wrong { field: "name", .. } => Ok(Wrong::new("name", &words.bad_short_name)),
        Refused::Wrong { field: "url", .. } => Ok(Wrong::new("url", &words.gateway_bad_url)),
        Refused::Wrong { field: "sim", .. } => Ok(Wrong::new("sim", &words.gateway_bad_sim)),
        Refused::Wrong { field: "from", .. } => Ok(Wrong::new("from", &words.gateway_from_how)),
        Refused::Wrong { field: "key", .. } => Ok(Wrong::new("secret", &words.gateway_bad_key)),
        Refused::Wrong { field: "token", .. } => Ok(Wrong::new("token", &words.gateway_bad_key)),
        Refused::Wrong { field: "zone", .. } => Ok(Wrong::new("zone", &words.gateway_bad_zone)),
        Refused::Wrong { field: "headers", .. } => Ok(Wrong::new("headers", &words.gateway_bad_headers)),
        Refused::Wrong { field: "body", .. } => Ok(Wrong::new("body", &words.gateway_bad_body)),
        Refused::Wrong { field: "gateway", .. } => Ok(Wrong::new("gateway", &words.gateway_in_use)),
        Refused::Wrong { field: "handset", .. } => Ok(Wrong::new("handset", &words.no_such_handset)),
        refused => Err(refused.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::set_up::asked::{YES, gone};
    use crate::dashboard::frame::words::Language;
    use serde_json::{Value, json};

    const URL: &str = "http://10.0.0.1:8080/message";

    fn gateway(settings: Value) -> GatewaySettings {
        serde_json::from_value(settings).unwrap()
    }

    fn forwarder(measure: &str, secret: &str) -> GatewaySettings {
        let mut settings = json!({ "kind": "smsforwarder", "url": "http://u:geheim@10.0.0.1", "secret": null, "sim": 2 });
        settings[measure] = json!(secret);
        gateway(settings)
    }

    fn all() -> [GatewaySettings; 8] {
        [
            gateway(json!({ "kind": "smsgate", "url": URL, "user": "sms", "password": "geheim", "sim": 2, "device": "d",
                "token": "geheim" })),
            gateway(json!({ "kind": "httpsms", "url": URL, "key": "geheim", "from": "+8613300002222" })),
            gateway(json!({ "kind": "textbee", "url": URL, "key": "geheim" })),
            forwarder("secret", "geheim"),
            forwarder("rsa_public_key", "geheim"),
            forwarder("sm4_key", "geheim"),
            gateway(json!({ "kind": "http", "method": "PUT", "url": "http://10.0.0.1/geheim", "secret": "geheim",
                "headers": { "authorization": "Bearer geheim" },
                "body": r#"{"to": "{number}", "text": "{text}", "key": "geheim"}"# })),
            gateway(json!({ "kind": "handset", "handset": "pixel" })),
        ]
    }

    #[test]
    fn opening_and_saving_changes_nothing_and_shows_no_secret() {
        let words = Language::English.words();
        for settings in all() {
            let inbound = Inbound { zone: Some("Asia/Tokyo".to_owned()), signing_secret: Some("geheim".to_owned()) };
            let (kind, form) = (GatewayKind::of(&settings), GatewayForm::of("phone", &settings, &inbound));
            assert_eq!(form.inbound(), InboundChange { zone: inbound.zone.clone(), signing_secret: None });
            assert_eq!(GatewayKind::read(kind.as_str()), Some(kind));
            assert_eq!(form.filled(words, kind, Some(&settings)).unwrap(), settings);
            let fields = form.fields(words, kind, Some((&settings, &inbound)), &[], None);
            for field in &fields {
                assert!(!field.value.contains("geheim"), "{field:?}");
            }
            // Sent back as it is shown.
            let sent: Vec<(&str, &str)> = fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
            let sent = GatewayForm::read(&Fields::of(&sent), kind);
            assert_eq!(sent.filled(words, kind, Some(&settings)).unwrap(), settings);
            let boxes: Vec<(String, &str)> = ["secret", "token", "signing_secret"].map(|name| (gone(name), YES)).into();
            let boxes: Vec<(&str, &str)> = boxes.iter().map(|(name, yes)| (name.as_str(), *yes)).collect();
            let taken = GatewayForm::read(&Fields::of(&boxes), kind);
            assert_eq!(taken.inbound().signing_secret.as_deref(), Some(""));
            let text = serde_json::to_string(&taken.filled(words, kind, Some(&settings)).unwrap()).unwrap();
            match kind {
                GatewayKind::Smsgate => {
                    assert!(text.contains("\"password\":\"geheim\"") && !text.contains("token\":\"geheim"), "{text}");
                }
                GatewayKind::Http => assert!(text.contains("\"secret\":null"), "{text}"),
                _ => {}
            }
        }
    }

    const FIELDS: [(&str, &str); 7] = [
        ("url", "http://10.0.0.2"),
        ("secret", " new "),
        ("sim", "1"),
        ("method", "POST"),
        ("headers", "a=b"),
        ("body", "{text}"),
        ("measure", "sign"),
    ];

    /// A form of this kind, some of whose fields say something else.
    fn filled_in(kind: GatewayKind, other: &[(&str, &str)]) -> GatewayForm {
        let fields = FIELDS.iter().filter(|(name, _)| !other.iter().any(|(own, _)| own == name));
        GatewayForm::read(&Fields::of(&fields.chain(other).copied().collect::<Vec<_>>()), kind)
    }

    #[test]
    fn what_is_typed_replaces_what_there_was() {
        let words = Language::English.words();
        for settings in all() {
            let kind = GatewayKind::of(&settings);
            let form = filled_in(kind, &[]);
            let text = serde_json::to_string(&form.filled(words, kind, Some(&settings)).unwrap()).unwrap();
            if kind != GatewayKind::Handset {
                assert!(text.contains("http://10.0.0.2") && text.contains(" new ") && !text.contains("geheim"), "{text}");
            }
            assert!(form.filled(words, kind, None).is_ok(), "a new one");
        }
        let wrong = |kind, other: &[(&str, &str)]| filled_in(kind, other).filled(words, kind, None).unwrap_err();
        let garbled = wrong(GatewayKind::Http, &[("headers", "authorization")]);
        assert!(garbled.field == "headers" && garbled.sentence.contains("authorization"), "{garbled:?}");
        assert_eq!(wrong(GatewayKind::Smsgate, &[("sim", "x")]).field, "sim");
        let old = forwarder("sm4_key", "alt");
        let now = |other: &[(&str, &str)]| {
            // Where the address leads elsewhere, nothing is kept.
            let form = filled_in(GatewayKind::Smsforwarder, &[&[("url", "http://10.0.0.1")], other].concat());
            form.filled(words, GatewayKind::Smsforwarder, Some(&old)).map_err(|wrong| wrong.field).map(|own| json!(own))
        };
        assert_eq!(now(&[("measure", "sm4"), ("secret", "")]).unwrap()["sm4_key"], "alt");
        assert_eq!(now(&[("measure", ""), ("secret", "")]).unwrap()["sm4_key"], "alt", "a form without the choice");
        let rsa = now(&[("measure", "rsa"), ("secret", " KEY\n")]).unwrap();
        assert_eq!((&rsa["rsa_public_key"], rsa.get("sm4_key")), (&json!("KEY"), None));
        let none = now(&[("measure", "none"), ("secret", "")]).unwrap();
        assert_eq!((&none["secret"], none.get("sm4_key")), (&Value::Null, None));
        assert_eq!(now(&[("measure", "rsa"), ("secret", "")]).unwrap_err(), "secret", "the other key is none of it");
        assert_eq!(now(&[("measure", "none"), ("secret", "x")]).unwrap_err(), "measure");
    }

    #[test]
    fn every_word_of_a_kind_is_in_the_catalogues() {
        for language in Language::ALL {
            let words = language.words();
            let holds = |own: Said| match own {
                Said::Word(key) => assert!(!words.word(key).is_empty(), "{key}"),
                Said::Filled(key, places) => {
                    assert!(places.iter().all(|(place, _)| words.word(key).contains(&format!("{{{place}}}"))), "{key}");
                }
                Said::Nothing | Said::Plain(_) => {}
            };
            let all = all();
            for kind in GatewayKind::ALL {
                [kind.name(), kind.how(), kind.inbound()].into_iter().for_each(holds);
                let olds = all.iter().filter(|settings| GatewayKind::of(settings) == *kind).map(Some);
                for asked in olds.chain([None]).flat_map(|old| kind.asks(old)) {
                    holds(asked.label);
                    holds(asked.how);
                    if let AskedBy::Choice(choices) = asked.by {
                        for (_, label) in choices {
                            holds(label);
                        }
                    }
                }
            }
        }
    }
}
