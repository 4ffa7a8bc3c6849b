//! What a form of notices asks of whoever sets it up, and what it is told: a page draws it and reads it here.

use reqwest::Url;

use super::{Secret, Sign, Template, WebhookSettings, WebhookShape, WrongSetting};
use crate::kinds::form::{Asked, AskedBy, Said, Typed, leads_elsewhere, pairs};

/// What there is of a webhook already, or is made of what was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressed {
    /// Where to post, or where the service is; empty: the form's own address.
    pub url: String,
    /// What the signature is made with, or a token.
    pub secret: Option<String>,
    /// What else the form needs to know.
    pub settings: WebhookSettings,
}

impl WebhookShape {
    /// What its service calls itself; in the words of the pages where it has no name.
    #[must_use]
    pub fn name(self) -> Said {
        match self {
            Self::Json => Said::Word("notice_shape_json"),
            Self::Email => Said::Word("notice_shape_email"),
            Self::Template => Said::Word("notice_shape_template"),
            Self::Slack => Said::Plain("Slack, Rocket.Chat"),
            Self::Mattermost => Said::Plain("Mattermost"),
            Self::Teams => Said::Plain("Microsoft Teams"),
            Self::Discord => Said::Plain("Discord"),
            Self::Telegram => Said::Plain("Telegram"),
            Self::Matrix => Said::Plain("Matrix"),
            Self::Line => Said::Plain("LINE"),
            Self::Wecom => Said::Plain("企业微信 (WeCom)"),
            Self::Dingtalk => Said::Plain("钉钉 (DingTalk)"),
            Self::Feishu => Said::Plain("飞书 (Feishu, Lark)"),
            Self::Ntfy => Said::Plain("ntfy"),
            Self::Gotify => Said::Plain("Gotify"),
            Self::Bark => Said::Plain("Bark"),
            Self::Pushdeer => Said::Plain("PushDeer"),
            Self::Serverchan => Said::Plain("Server酱 (ServerChan)"),
        }
    }

    /// Who in the service is told, as an example; `None` where its address says that.
    fn example(self) -> Option<&'static str> {
        self.shape().to.as_ref()?;
        Some(match self {
            Self::Telegram => "-1001234567890, @channel",
            Self::Matrix => "!abc:example.org",
            Self::Line => "U4af4980629…",
            Self::Email => "oncall@example.com, ops@example.com",
            Self::Ntfy => "ops-alarms",
            _ => "",
        })
    }

    /// Whether its address is only where the service is: then it may be shown. Else it often holds a secret.
    fn address_is_open(self) -> bool {
        let is_token = matches!(self.shape().secret, Secret::Optional | Secret::Needed(_));
        (is_token || self.is_mail()) && self != Self::Template
    }

    /// The fields of its form; `old`: what there is of it already.
    #[must_use]
    pub fn asks(self, old: Option<&Addressed>) -> Vec<Asked> {
        let shape = self.shape();
        let line = |name, label, how| Asked::new(name, Said::Word(label), how, AskedBy::Line);
        let has_home = self.home(Some("x")).is_some();
        let address_how = match () {
            () if self.is_mail() => Said::Plain("smtp://mail.example.com:587"),
            () if has_home => Said::Word("notice_url_home"),
            () => Said::Nothing,
        };
        let mut asked = vec![Asked::new("url", Said::Word("gateway_url"), address_how, AskedBy::Address)];
        if self.is_mail() {
            asked.push(line("from", "notice_from", Said::Plain("autocall@example.com")));
        }
        if let Some(example) = self.example() {
            asked.push(line("to", "notice_to", Said::Plain(example)));
        }
        if self.is_mail() {
            asked.push(line("user", "notice_user", Said::Word("notice_user_how")));
        }
        let is_set = old.is_some_and(|old| old.secret.is_some());
        let (label, how, by) = match shape.secret {
            Secret::Needed(_) => ("notice_token", "notice_token_how", AskedBy::Secret),
            Secret::Optional => ("notice_token", "notice_token_optional", AskedBy::OptionalSecret { is_set }),
            Secret::Signs if self.is_mail() => ("notice_password", "notice_password_how", AskedBy::OptionalSecret { is_set }),
            Secret::Signs => ("gateway_secret", "notice_secret_how", AskedBy::OptionalSecret { is_set }),
        };
        asked.push(Asked::new("secret", Said::Word(label), Said::Word(how), by));
        if shape.mention.is_some() {
            asked.push(line("mention", "notice_mention", Said::Word("notice_mention_how")));
        }
        if self == Self::Template {
            let methods = ["POST", "GET", "PUT", "PATCH"].map(|method| (method, Said::Plain(method)));
            asked.push(Asked::new("method", Said::Word("gateway_method"), Said::Nothing, AskedBy::Choice(methods.into())));
            let lines = |name, label, how| Asked::new(name, Said::Word(label), Said::Word(how), AskedBy::Lines(4));
            asked.push(lines("headers", "gateway_headers", if old.is_some() { "gateway_kept" } else { "gateway_headers_how" }));
            asked.push(lines("body", "gateway_body", if old.is_some() { "gateway_kept" } else { "notice_body_how" }));
            asked.push(line("statuses", "notice_statuses", Said::Word("notice_statuses_how")));
            asked.push(line("sign", "notice_sign", Said::Word("notice_sign_how")));
        }
        asked
    }

    /// What of it may be shown in its form, by the names of the fields.
    #[must_use]
    pub fn shown(self, old: &Addressed) -> Vec<(&'static str, String)> {
        let mut shown = Vec::new();
        let is_plain = |url: &Url| url.password().is_none() && (url.query().is_none() || self.is_mail());
        if self.address_is_open() && Url::parse(&old.url).is_ok_and(|url| is_plain(&url)) {
            shown.push(("url", old.url.clone()));
        }
        let settings = &old.settings;
        for (name, value) in [("to", &settings.to), ("from", &settings.from), ("user", &settings.user)] {
            shown.extend(value.iter().map(|value| (name, value.clone())));
        }
        shown.push(("mention", settings.mentions.join(", ")));
        if let Some(own) = &settings.template {
            shown.push(("method", own.method.clone()));
            shown.push(("statuses", own.statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")));
            shown.extend(own.sign.iter().map(|sign| ("sign", format!("{}={}", sign.pointer, sign.value))));
        }
        shown
    }

    /// What was typed, with what was left blank and is not shown as it was.
    ///
    /// # Errors
    /// What cannot be read, and a secret that is left blank although the address leads elsewhere.
    pub fn said(self, typed: &Typed, old: Option<&Addressed>) -> Result<Addressed, WrongSetting> {
        let shows_address = old.is_some_and(|old| self.shown(old).iter().any(|(name, _)| *name == "url"));
        let url = match old {
            Some(old) if !shows_address => typed.kept_text("url", Some(&old.url)),
            _ => typed.text("url").to_owned(),
        };
        let optional = |name: &str| Some(typed.text(name).to_owned()).filter(|text| !text.is_empty());
        let parts = typed.text("mention").split(',').map(str::trim).filter(|who| !who.is_empty());
        let template = if self == Self::Template { Some(template(typed, old)?) } else { None };
        let secret = typed.optional("secret", old.and_then(|old| old.secret.as_ref()));
        if let Some(old) = old {
            let home = || self.home(Some(secret.as_deref().unwrap_or("x"))).unwrap_or_default();
            let leads = if url.is_empty() { home() } else { url.clone() };
            let kept = leads_elsewhere(&old.url, &leads).then(|| kept(typed, old)).flatten();
            if let Some(setting) = kept {
                let why = format!("the address leads elsewhere now: give {setting} again too");
                return Err(WrongSetting { again: true, ..WrongSetting::new(setting, why) });
            }
        }
        Ok(Addressed {
            url,
            secret,
            settings: WebhookSettings {
                to: optional("to"),
                from: optional("from"),
                user: optional("user"),
                mentions: parts.map(str::to_owned).collect(),
                template,
            },
        })
    }
}

/// What may be a secret and stays as it was, because it was left blank.
fn kept(typed: &Typed, old: &Addressed) -> Option<&'static str> {
    let template = old.settings.template.as_ref();
    let there = [
        ("secret", old.secret.is_some() && !typed.takes_away("secret")),
        ("headers", template.is_some_and(|own| !own.headers.is_empty())),
        ("body", template.is_some_and(|own| !own.body.is_empty())),
    ];
    there.into_iter().find(|(name, is_there)| *is_there && typed.text(name).is_empty()).map(|(name, _)| name)
}

/// A request as it was typed.
fn template(typed: &Typed, old: Option<&Addressed>) -> Result<Template, WrongSetting> {
    let old = old.and_then(|old| old.settings.template.as_ref());
    let usual = Template::default();
    let headers = match typed.text("headers") {
        "" => old.map(|old| old.headers.clone()).unwrap_or_default(),
        lines => {
            let bad = |line: &str| WrongSetting::new("headers", format!("{line:?}: write name=value, each name once"));
            pairs(lines).map_err(bad)?
        }
    };
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let statuses = typed.text("statuses");
    let numbers: Option<Vec<u16>> = statuses.split(',').filter(|text| !text.trim().is_empty()).map(number).collect();
    let sign = match typed.text("sign") {
        "" => None,
        text => {
            let (pointer, value) = text.split_once('=').ok_or_else(|| WrongSetting::new("sign", "write POINTER=VALUE"))?;
            Some(Sign { pointer: pointer.trim().to_owned(), value: value.trim().to_owned() })
        }
    };
    Ok(Template {
        method: Some(typed.text("method").to_owned()).filter(|method| !method.is_empty()).unwrap_or(usual.method),
        headers,
        body: typed.kept("body", old.map(|old| &old.body)),
        statuses: numbers.ok_or_else(|| WrongSetting::new("statuses", "write numbers with commas between them"))?,
        sign,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Typed {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Typed { fields: fields.iter().map(field).collect(), gone: Vec::new() }
    }

    #[test]
    fn saving_a_form_as_it_is_shown_changes_nothing_and_shows_no_secret() {
        for shape in WebhookShape::ALL {
            let template = (*shape == WebhookShape::Template).then(|| Template {
                headers: [("authorization".to_owned(), "Bearer geheim".to_owned())].into(),
                body: r#"{"text": "{text}", "key": "geheim"}"#.to_owned(),
                statuses: vec![200, 202],
                sign: Some(Sign { pointer: "/code".to_owned(), value: "0".to_owned() }),
                ..Template::default()
            });
            let settings = WebhookSettings { mentions: vec!["all".to_owned(), "b".to_owned()], template, ..Default::default() };
            let secret = Some("geheim".to_owned());
            let url = if shape.is_mail() { "smtp://mail.example.com:587" } else { "https://x.example/hook/geheim?key=geheim" };
            let old = Addressed { url: url.to_owned(), secret, settings };
            let shown = shape.shown(&old);
            assert!(shown.iter().all(|(_, value)| !value.contains("geheim")), "{shape:?}: {shown:?}");
            let fields: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(shape.said(&typed(&fields), Some(&old)).unwrap(), old, "{shape:?}");
            let names: Vec<&str> = shape.asks(Some(&old)).iter().map(|asked| asked.name).collect();
            assert!(names.contains(&"url") && names.contains(&"secret"), "{shape:?}");
            let unasked: Vec<_> = shown.iter().filter(|(name, value)| !value.is_empty() && !names.contains(name)).collect();
            assert!(unasked.iter().all(|(name, _)| *name == "mention"), "{shape:?}: {unasked:?}");
        }
    }

    #[test]
    fn an_address_that_is_shown_is_what_stands_in_its_field() {
        let old = Addressed { url: "https://push.example.com/".to_owned(), secret: Some("t".to_owned()), ..Default::default() };
        assert_eq!(WebhookShape::Gotify.shown(&old)[0], ("url", old.url.clone()));
        let near = WebhookShape::Gotify.said(&typed(&[("url", " https://push.example.com/b ")]), Some(&old)).unwrap();
        assert_eq!((near.url.as_str(), near.secret.as_deref()), ("https://push.example.com/b", Some("t")));
        let elsewhere = [("url", " https://b.example ")];
        let wrong = WebhookShape::Gotify.said(&typed(&elsewhere), Some(&old)).unwrap_err();
        assert!(wrong.again && wrong.setting == "secret", "nobody learns it by sending it to themselves: {wrong:?}");
        let other = WebhookShape::Gotify.said(&typed(&[elsewhere[0], ("secret", "u")]), Some(&old)).unwrap();
        assert_eq!((other.url.as_str(), other.secret.as_deref()), ("https://b.example", Some("u")));
        let home = Addressed { secret: Some("t".to_owned()), url: "https://bot.example".to_owned(), ..Default::default() };
        let wrong = WebhookShape::Telegram.said(&typed(&[("url", ""), ("to", "@x")]), Some(&home)).unwrap_err();
        assert_eq!(wrong.setting, "secret", "its own address is elsewhere too");
        let blank = WebhookShape::Slack.said(&typed(&[("url", "")]), Some(&old)).unwrap();
        assert_eq!(blank.url, old.url, "it is not shown, and stays");
        let gone = Typed { gone: vec!["secret".to_owned()], ..typed(&[]) };
        assert_eq!(WebhookShape::Ntfy.said(&gone, Some(&old)).unwrap().secret, None);
    }

    #[test]
    fn what_a_request_of_one_s_own_holds_goes_nowhere_else() {
        let own = Template {
            headers: [("authorization".to_owned(), "Bearer geheim".to_owned())].into(),
            body: r#"{"text": "{text}", "key": "geheim"}"#.to_owned(),
            ..Template::default()
        };
        let settings = WebhookSettings { template: Some(own), ..Default::default() };
        let old = Addressed { url: "https://x.example/1".to_owned(), secret: Some("geheim".to_owned()), settings };
        let mut fields = vec![("url", "http://x.example/1")];
        for (field, text) in [("secret", "s"), ("headers", "a=b"), ("body", "{text}")] {
            let wrong = WebhookShape::Template.said(&typed(&fields), Some(&old)).unwrap_err();
            assert!(wrong.again && wrong.setting == field, "{field}: {wrong:?}");
            fields.push((field, text));
        }
        let new = WebhookShape::Template.said(&typed(&fields), Some(&old)).unwrap();
        assert!(!format!("{new:?}").contains("geheim"), "{new:?}");
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        let wrong = |field: &str, text: &str| {
            let fields = [("body", "{text}"), (field, text)];
            WebhookShape::Template.said(&typed(&fields), None).unwrap_err().setting
        };
        assert_eq!(wrong("headers", "nonsense"), "headers");
        assert_eq!(wrong("statuses", "200, many"), "statuses");
        assert_eq!(wrong("sign", "code"), "sign");
    }
}
