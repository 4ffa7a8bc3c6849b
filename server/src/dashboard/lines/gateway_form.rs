//! A gateway as a form has it, and as it is stored; pure. What may hold a secret is never shown: left blank, it stays as it is.

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, pairs};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::engine::lines::gateways::InboundChange;
use crate::keep::refused::Refused;
use crate::store::lines::sms::{GatewaySettings, Inbound};

/// How a gateway is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Kind {
    Smsgate,
    Smsforwarder,
    Httpsms,
    Textbee,
    Http,
    Handset,
}

impl Kind {
    pub(in crate::dashboard) const ALL: [Self; 6] =
        [Self::Smsgate, Self::Smsforwarder, Self::Httpsms, Self::Textbee, Self::Http, Self::Handset];

    /// Its word in addresses and forms.
    pub(in crate::dashboard) fn as_str(self) -> &'static str {
        match self {
            Self::Smsgate => "smsgate",
            Self::Smsforwarder => "smsforwarder",
            Self::Httpsms => "httpsms",
            Self::Textbee => "textbee",
            Self::Http => "http",
            Self::Handset => "handset",
        }
    }

    pub(in crate::dashboard) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub(in crate::dashboard) fn of(settings: &GatewaySettings) -> Self {
        match settings {
            GatewaySettings::Smsgate { .. } => Self::Smsgate,
            GatewaySettings::Smsforwarder { .. } => Self::Smsforwarder,
            GatewaySettings::Httpsms { .. } => Self::Httpsms,
            GatewaySettings::Textbee { .. } => Self::Textbee,
            GatewaySettings::Http { .. } => Self::Http,
            GatewaySettings::Handset { .. } => Self::Handset,
        }
    }

    /// Its name for people, and what it is.
    pub(in crate::dashboard) fn words(self, words: &'static Words) -> (&'static str, &'static str) {
        match self {
            Self::Smsgate => (&words.gateway_smsgate, &words.gateway_smsgate_how),
            Self::Smsforwarder => (&words.gateway_smsforwarder, &words.gateway_smsforwarder_how),
            Self::Httpsms => (&words.gateway_httpsms, &words.gateway_httpsms_how),
            Self::Textbee => (&words.gateway_textbee, &words.gateway_textbee_how),
            Self::Http => (&words.gateway_http, &words.gateway_http_how),
            Self::Handset => (&words.gateway_handset, &words.gateway_handset_how),
        }
    }

    /// Where the address for received messages is put.
    pub(in crate::dashboard) fn inbound_words(self, words: &'static Words) -> &'static str {
        match self {
            Self::Smsgate => &words.inbound_smsgate,
            Self::Smsforwarder => &words.inbound_smsforwarder,
            Self::Httpsms => &words.inbound_httpsms,
            Self::Textbee => &words.inbound_textbee,
            Self::Http => &words.inbound_http,
            Self::Handset => &words.inbound_handset,
        }
    }
}

/// A gateway as it was typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct GatewayForm {
    pub(in crate::dashboard) name: String,
    url: String,
    user: String,
    from: String,
    secret: String,
    sim: String,
    method: String,
    headers: String,
    body: String,
    handset: String,
    /// `None` in a form without it, which leaves it as it is.
    device: Option<String>,
    token: String,
    measure: String,
    /// Likewise.
    zone: Option<String>,
    signing_secret: String,
    /// What is to be taken away, by the names of its fields.
    gone: Vec<String>,
}

/// What `SmsForwarder` calls its safety measures, in addresses and forms.
const MEASURES: [&str; 4] = ["none", "sign", "rsa", "sm4"];

/// The safety measure of a gateway, and its secret or key.
fn measure(settings: &GatewaySettings) -> (&'static str, Option<&String>) {
    match settings {
        GatewaySettings::Smsforwarder { secret: own @ Some(_), .. } => ("sign", own.as_ref()),
        GatewaySettings::Smsforwarder { rsa_public_key: own @ Some(_), .. } => ("rsa", own.as_ref()),
        GatewaySettings::Smsforwarder { sm4_key: own @ Some(_), .. } => ("sm4", own.as_ref()),
        _ => ("none", None),
    }
}

impl GatewayForm {
    /// One that is there already, without what may hold a secret.
    pub(in crate::dashboard) fn of(name: &str, settings: &GatewaySettings, inbound: &Inbound) -> Self {
        let form = Self { name: name.to_owned(), zone: inbound.zone.clone(), ..Self::default() };
        match settings.clone() {
            GatewaySettings::Smsgate { url, user, sim, device, .. } => {
                let sim = sim.map(|sim| sim.to_string()).unwrap_or_default();
                Self { url: shown(url), user, sim, device, ..form }
            }
            GatewaySettings::Smsforwarder { url, sim, .. } => {
                Self { url: shown(url), sim: sim.to_string(), measure: measure(settings).0.to_owned(), ..form }
            }
            GatewaySettings::Httpsms { url, from, .. } => Self { url: shown(url), from, ..form },
            GatewaySettings::Textbee { url, .. } => Self { url: shown(url), ..form },
            GatewaySettings::Http { method, .. } => Self { method, ..form },
            GatewaySettings::Handset { handset } => Self { handset, ..form },
        }
    }

    /// One that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self {
            name: text("name"),
            url: text("url"),
            user: text("user"),
            from: text("from"),
            // Blanks may be part of it.
            secret: fields.get("secret").to_owned(),
            sim: text("sim"),
            method: text("method"),
            headers: text("headers"),
            body: text("body"),
            handset: text("handset"),
            device: fields.has("device").then(|| text("device")),
            token: text("token"),
            measure: text("measure"),
            zone: fields.has("zone").then(|| text("zone")),
            signing_secret: fields.get("signing_secret").to_owned(),
            gone: ["secret", "token", "signing_secret"]
                .into_iter()
                .filter(|name| fields.get(&gone(name)) == YES)
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Whether what this field holds is to be taken away.
    fn takes_away(&self, field: &str) -> bool {
        self.gone.iter().any(|gone| gone == field)
    }

    /// How what the gateway reports is to be read.
    pub(super) fn inbound(&self) -> InboundChange {
        let signing_secret = match self.signing_secret.as_str() {
            "" => self.takes_away("signing_secret").then(String::new),
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
        kind: Kind,
        old: Option<&GatewaySettings>,
    ) -> Result<GatewaySettings, Wrong> {
        let sim = || match self.sim.as_str() {
            "" => Ok(None),
            sim => sim.parse::<u8>().map(Some).map_err(|_| Wrong::new("sim", &words.gateway_bad_sim)),
        };
        let or = |typed: &str, old: Option<&String>| match (typed, old) {
            ("", Some(old)) => old.clone(),
            (typed, _) => typed.to_owned(),
        };
        let optional = |field: &str, typed: &str, old: Option<&String>| {
            let old = old.filter(|_| !self.takes_away(field));
            Some(or(typed, old)).filter(|text| !text.is_empty())
        };
        let secret = |old: Option<&String>| optional("secret", &self.secret, old);
        Ok(match kind {
            Kind::Smsgate => {
                let (url, password, token, device) = match old {
                    Some(GatewaySettings::Smsgate { url, password, token, device, .. }) => {
                        (Some(url), Some(password), token.as_ref(), device.clone())
                    }
                    _ => (None, None, None, None),
                };
                // A password that is typed replaces it.
                let token = token.filter(|_| self.secret.is_empty());
                GatewaySettings::Smsgate {
                    url: or(&self.url, url),
                    user: self.user.clone(),
                    password: or(&self.secret, password),
                    sim: sim()?,
                    device: self.device.clone().or(device).filter(|device| !device.is_empty()),
                    token: optional("token", &self.token, token),
                }
            }
            Kind::Smsforwarder => {
                let (url, (old_measure, old_secret)) = match old {
                    Some(own @ GatewaySettings::Smsforwarder { url, .. }) => (Some(url), measure(own)),
                    _ => (None, ("none", None)),
                };
                let chosen = MEASURES.into_iter().find(|one| *one == self.measure).unwrap_or(old_measure);
                let secret = match (chosen, self.secret.trim()) {
                    ("none", "") => None,
                    ("none", _) => return Err(Wrong::new("measure", &words.gateway_bad_measure)),
                    (_, "") if chosen == old_measure => old_secret.cloned(),
                    (_, "") => return Err(Wrong::new("secret", &words.gateway_needs_secret)),
                    // A secret is taken as it was typed; blanks around a key come from copying it.
                    ("sign", _) => Some(self.secret.clone()),
                    (_, key) => Some(key.to_owned()),
                };
                let of = |measure: &str| secret.clone().filter(|_| measure == chosen);
                GatewaySettings::Smsforwarder {
                    url: or(&self.url, url),
                    secret: of("sign"),
                    rsa_public_key: of("rsa"),
                    sm4_key: of("sm4"),
                    sim: sim()?.unwrap_or(1),
                }
            }
            Kind::Httpsms => {
                let (url, key) = match old {
                    Some(GatewaySettings::Httpsms { url, key, .. }) => (Some(url), Some(key)),
                    _ => (None, None),
                };
                GatewaySettings::Httpsms { url: or(&self.url, url), key: or(&self.secret, key), from: self.from.clone() }
            }
            Kind::Textbee => {
                let (url, key) = match old {
                    Some(GatewaySettings::Textbee { url, key }) => (Some(url), Some(key)),
                    _ => (None, None),
                };
                GatewaySettings::Textbee { url: or(&self.url, url), key: or(&self.secret, key) }
            }
            Kind::Http => {
                let wrong = |line| Wrong::new("headers", fill_text(&words.rule_bad_label, &[("text", line)]));
                let headers = pairs(&self.headers).map_err(wrong)?;
                let (url, old_headers, body, old_secret) = match old {
                    Some(GatewaySettings::Http { url, headers, body, secret, .. }) => {
                        (Some(url), Some(headers), Some(body), secret.as_ref())
                    }
                    _ => (None, None, None, None),
                };
                GatewaySettings::Http {
                    method: self.method.clone(),
                    url: or(&self.url, url),
                    headers: match old_headers {
                        Some(old) if headers.is_empty() => old.clone(),
                        _ => headers,
                    },
                    body: or(&self.body, body),
                    secret: secret(old_secret),
                }
            }
            // Another handset would be another gateway.
            Kind::Handset => match old {
                Some(old) => old.clone(),
                None => GatewaySettings::Handset { handset: self.handset.clone() },
            },
        })
    }

    /// The form as it is shown: the fields of its kind, and blank where what there is already is not shown.
    pub(in crate::dashboard) fn fields(
        &self,
        words: &'static Words,
        kind: Kind,
        old: Option<(&GatewaySettings, &Inbound)>,
        handsets: &[String],
        wrong: Option<&Wrong>,
    ) -> Vec<Field> {
        let is_new = old.is_none();
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(name, label, how, value, input, wrong)
        };
        let kept = |how: &'static str| if is_new { how } else { words.gateway_kept.as_str() };
        let choice = |values: &[&str], none: Option<&str>| {
            let values = values.iter().map(|value| Choice::new(*value, *value));
            Input::Choice(none.map(|none| Choice::new("", none)).into_iter().chain(values).collect())
        };
        let url = |how: &'static str| {
            let is_shown = is_new || !self.url.is_empty();
            field("url", &words.gateway_url, if is_shown { how } else { &words.gateway_kept }, &self.url, Input::Line)
        };
        let secret = |label: &'static str, how: &'static str| field("secret", label, kept(how), "", Input::Secret);
        // What may be left out can be taken away as well.
        let optional = |name: &str, label: &'static str, how: &'static str, is_set: bool| {
            let how = if is_set { words.gateway_set.as_str() } else { how };
            let mut fields = vec![field(name, label, how, "", Input::Secret)];
            if is_set {
                let ticked = if self.takes_away(name) { YES } else { "" };
                fields.push(field(&gone(name), label, "", ticked, Input::Tick(&words.gateway_take_away)));
            }
            fields
        };
        let sim = |input| field("sim", &words.gateway_sim, "", &self.sim, input);
        let mut fields = vec![field("name", &words.policy_name, &words.gateway_name_how, &self.name, Input::Line)];
        match kind {
            Kind::Smsgate => {
                fields.extend([
                    url(&words.gateway_smsgate_url),
                    field("user", &words.gateway_user, "", &self.user, Input::Line),
                    secret(&words.login_password, ""),
                ]);
                let device = self.device.as_deref().unwrap_or_default();
                let is_set = matches!(old, Some((GatewaySettings::Smsgate { token: Some(_), .. }, _)));
                fields.extend(optional("token", &words.gateway_token, &words.gateway_token_how, is_set));
                fields.extend([
                    field("device", &words.gateway_device, &words.gateway_device_how, device, Input::Line),
                    sim(choice(&["1", "2", "3"], Some(&words.gateway_any_sim))),
                ]);
            }
            Kind::Smsforwarder => {
                let names = [words.gateway_measure_none.as_str(), words.gateway_measure_sign.as_str(), "RSA", "SM4"];
                let measures = MEASURES.into_iter().zip(names).map(|(measure, name)| Choice::new(measure, name)).collect();
                let is_set = old.is_some_and(|(settings, _)| measure(settings).1.is_some());
                let how = if is_set { words.gateway_set.as_str() } else { words.gateway_measure_secret.as_str() };
                fields.extend([
                    url(&words.gateway_smsforwarder_url),
                    field("measure", &words.gateway_measure, &words.gateway_measure_how, &self.measure, Input::Choice(measures)),
                    field("secret", &words.gateway_secret, how, "", Input::Secret),
                    sim(choice(&["1", "2"], None)),
                ]);
            }
            Kind::Httpsms => fields.extend([
                url(&words.gateway_httpsms_url),
                field("from", &words.gateway_from, &words.gateway_from_how, &self.from, Input::Line),
                secret(&words.gateway_key, ""),
            ]),
            Kind::Textbee => fields.extend([url(&words.gateway_textbee_url), secret(&words.gateway_key, "")]),
            Kind::Http => {
                fields.extend([
                    field("method", &words.gateway_method, "", &self.method, choice(&["POST", "PUT", "PATCH", "GET"], None)),
                    url(&words.gateway_http_url),
                ]);
                let is_set = matches!(old, Some((GatewaySettings::Http { secret: Some(_), .. }, _)));
                fields.extend(optional("secret", &words.gateway_secret, &words.gateway_secret_how, is_set));
                fields.extend([
                    field("headers", &words.gateway_headers, kept(&words.gateway_headers_how), &self.headers, Input::Lines(3)),
                    field("body", &words.gateway_body, kept(&words.gateway_body_how), &self.body, Input::Lines(4)),
                ]);
            }
            Kind::Handset if is_new => {
                let names: Vec<&str> = handsets.iter().map(String::as_str).collect();
                let input = choice(&names, Some(&words.line_choose));
                fields.push(field("handset", &words.gateway_handset, "", &self.handset, input));
            }
            Kind::Handset => {}
        }
        let zone = self.zone.as_deref().unwrap_or_default();
        fields.push(field("zone", &words.gateway_zone, &words.gateway_zone_how, zone, Input::Line));
        let is_signed = old.is_some_and(|(_, inbound)| inbound.signing_secret.is_some());
        fields.extend(optional("signing_secret", &words.gateway_signing, &words.gateway_signing_how, is_signed));
        fields
    }
}

/// What a box that is ticked says.
const YES: &str = "yes";

/// The name of the box by which what a field holds is taken away.
fn gone(field: &str) -> String {
    format!("{field}_gone")
}

/// An address that holds nothing but where the phone is.
fn shown(url: String) -> String {
    if url.contains(['@', '?', '#']) { String::new() } else { url }
}

/// What is wrong, in the reader's language and at the form's field.
///
/// # Errors
/// When no field is to blame.
pub(in crate::dashboard) fn wrong(words: &Words, refused: Refused) -> Result<Wrong, Refusal> {
    match refused {
        Refused::Taken { name, .. } => Ok(Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)]))),
        Refused::Wrong { field: "name", .. } => Ok(Wrong::new("name", &words.bad_short_name)),
        Refused::Wrong { field: "url", .. } => Ok(Wrong::new("url", &words.gateway_bad_url)),
        Refused::Wrong { field: "sim", .. } => Ok(Wrong::new("sim", &words.gateway_bad_sim)),
        Refused::Wrong { field: "from", .. } => Ok(Wrong::new("from", &words.gateway_from_how)),
        Refused::Wrong { field: "key", .. } => Ok(Wrong::new("secret", &words.gateway_bad_key)),
        Refused::Wrong { field: "token", .. } => Ok(Wrong::new("token", &words.gateway_bad_key)),
        Refused::Wrong { field: "rsa_public_key", .. } => Ok(Wrong::new("secret", &words.gateway_bad_rsa)),
        Refused::Wrong { field: "sm4_key", .. } => Ok(Wrong::new("secret", &words.gateway_bad_sm4)),
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
    use crate::dashboard::frame::words::Language;

    fn forwarder(secret: Option<String>, rsa_public_key: Option<String>, sm4_key: Option<String>) -> GatewaySettings {
        GatewaySettings::Smsforwarder { url: "http://u:geheim@10.0.0.1".to_owned(), secret, rsa_public_key, sm4_key, sim: 2 }
    }

    fn all() -> [GatewaySettings; 8] {
        let secret = || Some("geheim".to_owned());
        let url = || "http://10.0.0.1:8080/message".to_owned();
        let headers = [("authorization".to_owned(), "Bearer geheim".to_owned())].into();
        let body = r#"{"to": "{number}", "text": "{text}", "key": "geheim"}"#.to_owned();
        [
            GatewaySettings::Smsgate {
                url: url(),
                user: "sms".to_owned(),
                password: "geheim".to_owned(),
                sim: Some(2),
                device: Some("d".to_owned()),
                token: secret(),
            },
            GatewaySettings::Httpsms { url: url(), key: "geheim".to_owned(), from: "+8613300002222".to_owned() },
            GatewaySettings::Textbee { url: url(), key: "geheim".to_owned() },
            forwarder(secret(), None, None),
            forwarder(None, secret(), None),
            forwarder(None, None, secret()),
            GatewaySettings::Http {
                method: "PUT".to_owned(),
                url: "http://10.0.0.1/geheim".to_owned(),
                headers,
                body,
                secret: secret(),
            },
            GatewaySettings::Handset { handset: "pixel".to_owned() },
        ]
    }

    #[test]
    fn opening_and_saving_changes_nothing_and_shows_no_secret() {
        let words = Language::English.words();
        for settings in all() {
            let inbound = Inbound { zone: Some("Asia/Tokyo".to_owned()), signing_secret: Some("geheim".to_owned()) };
            let (kind, form) = (Kind::of(&settings), GatewayForm::of("phone", &settings, &inbound));
            assert_eq!(form.inbound(), InboundChange { zone: inbound.zone.clone(), signing_secret: None });
            assert_eq!(Kind::read(kind.as_str()), Some(kind));
            assert_eq!(form.filled(words, kind, Some(&settings)).unwrap(), settings);
            for field in form.fields(words, kind, Some((&settings, &inbound)), &[], None) {
                assert!(!field.value.contains("geheim"), "{field:?}");
            }
            let boxes: Vec<(String, &str)> = ["secret", "token", "signing_secret"].map(|name| (gone(name), YES)).into();
            let boxes: Vec<(&str, &str)> = boxes.iter().map(|(name, yes)| (name.as_str(), *yes)).collect();
            let gone = GatewayForm { gone: GatewayForm::read(&Fields::of(&boxes)).gone, ..form };
            assert_eq!(gone.inbound().signing_secret.as_deref(), Some(""));
            let text = serde_json::to_string(&gone.filled(words, kind, Some(&settings)).unwrap()).unwrap();
            match kind {
                Kind::Smsgate => {
                    assert!(text.contains("\"password\":\"geheim\"") && !text.contains("token\":\"geheim"), "{text}")
                }
                Kind::Http => assert!(text.contains("\"secret\":null"), "{text}"),
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_typed_replaces_what_there_was() {
        let words = Language::English.words();
        let fields = [
            ("url", "http://10.0.0.2"),
            ("secret", " new "),
            ("sim", "1"),
            ("method", "POST"),
            ("headers", "a=b"),
            ("body", "{text}"),
            ("measure", "sign"),
        ];
        let form = GatewayForm::read(&Fields::of(&fields));
        for settings in all() {
            let kind = Kind::of(&settings);
            let text = serde_json::to_string(&form.filled(words, kind, Some(&settings)).unwrap()).unwrap();
            if kind != Kind::Handset {
                assert!(text.contains("http://10.0.0.2") && text.contains(" new ") && !text.contains("geheim"), "{text}");
            }
            assert!(form.filled(words, kind, None).is_ok(), "a new one");
        }
        let garbled = GatewayForm::read(&Fields::of(&[("headers", "authorization")]));
        assert_eq!(garbled.filled(words, Kind::Http, None).unwrap_err().field, "headers");
        let other =
            |measure: &str, secret: &str| GatewayForm { measure: measure.to_owned(), secret: secret.to_owned(), ..form.clone() };
        let old = forwarder(None, None, Some("alt".to_owned()));
        let filled = |form: GatewayForm| form.filled(words, Kind::Smsforwarder, Some(&old)).map_err(|wrong| wrong.field);
        let now = |settings: Result<GatewaySettings, String>| {
            settings.map(|own| {
                let (measure, secret) = measure(&own);
                (measure, secret.cloned().unwrap_or_default())
            })
        };
        assert_eq!(now(filled(other("sm4", ""))), Ok(("sm4", "alt".to_owned())));
        assert_eq!(now(filled(other("", ""))), Ok(("sm4", "alt".to_owned())), "a form without the choice");
        assert_eq!(now(filled(other("rsa", " KEY\n"))), Ok(("rsa", "KEY".to_owned())));
        assert_eq!(now(filled(other("none", ""))), Ok(("none", String::new())));
        assert_eq!(now(filled(other("rsa", ""))), Err("secret".to_owned()), "the other key is none of it");
        assert_eq!(now(filled(other("none", "x"))), Err("measure".to_owned()));
        assert_eq!(GatewayForm { sim: "x".to_owned(), ..form }.filled(words, Kind::Smsgate, None).unwrap_err().field, "sim");
    }
}
