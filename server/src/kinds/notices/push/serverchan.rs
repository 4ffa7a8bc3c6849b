//! `ServerChan` (Server酱), Turbo and version 3: <https://sct.ftqq.com/sendkey>, <https://doc.sc3.ft07.com>.

use crate::kinds::notices::{BASE, Envelope, Length, Secret, Shape, below, code_in, json};

/// Longer titles are refused.
const LONGEST_TITLE: usize = 32;

pub(in crate::kinds::notices) const SHAPE: Shape = Shape {
    options: "ServerChan (Server酱): --secret (the SendKey)",
    home,
    secret: Secret::Needed("the SendKey"),
    // 32 KB.
    length: Length::json(30_000),
    envelope: |target, notice| {
        let address = below(target.url, &[&format!("{}.send", target.token())]);
        Envelope::post(address, &json!({ "title": notice.title(LONGEST_TITLE), "desp": notice.paragraphs() }))
    },
    accepted: |answer, _| code_in("code", answer),
    ..BASE
};

/// Keys of version 3 name their account, whose host it is: `sctp123t…`.
fn home(key: &str) -> Option<String> {
    let Some(own) = key.strip_prefix("sctp") else { return Some("https://sctapi.ftqq.com".to_owned()) };
    let (account, _) = own.split_once('t')?;
    let is_number = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("https://{account}.push.ft07.com/send"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked};

    #[test]
    fn the_key_is_in_the_address_and_chooses_the_host() {
        let asked = |key: &str| {
            let home = WebhookShape::Serverchan.home(Some(key)).unwrap_or_default();
            asked(WebhookShape::Serverchan, &home, Some(key), None, "disk full\nLi Na: x")
        };
        let turbo = asked("SCT123TabC");
        assert_eq!((turbo.method.as_str(), turbo.url.as_str()), ("POST", "https://sctapi.ftqq.com/SCT123TabC.send"));
        assert_eq!(turbo.body, json!({ "title": "Disk full on db1", "desp": "disk full\n\nLi Na: x" }));
        assert_eq!(asked("sctp77tabc").url, "https://77.push.ft07.com/send/sctp77tabc.send");
        assert_eq!((home("sctptabc"), home("sctp.evil.example/t1")), (None, None));
    }

    #[test]
    fn its_code_is_what_counts() {
        let answered = |status, body| answered(WebhookShape::Serverchan, status, body);
        assert_eq!(answered(200, r#"{"code":0,"message":"","data":{"pushid":"1","error":"SUCCESS","errno":0}}"#), Ok(()));
        let full = r#"{"code":40001,"message":"[AUTH]超过当天的发送次数限制"}"#;
        assert_eq!(answered(200, full), Err("refused with code 40001: [AUTH]超过当天的发送次数限制".to_owned()));
        assert!(answered(400, full).is_err());
    }
}
