//! AWS SNS, and the alarms of AWS that come through it: a signed envelope around a text, which often is JSON again.
//!
//! Nothing is sent to a subscription before somebody has opened its link. Anybody may have made a message up, therefore its
//! addresses are looked at before they are shown or asked.

use chrono::TimeDelta;
use serde_json::Value;

use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word};

/// How it is read.
pub const READER: Reader = Reader { also: &["cloudwatch", "aws"], ..Reader::of("sns", read) };

/// What the members are called by which events of other services say what they are about.
const TITLES: &[&str] = &["detail-type", "title", "summary", "message"];

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let header = |name: &str| message.headers.get(name).map(|value| value.trim().to_owned());
    let kind = header("x-amz-sns-message-type").or_else(|| said.text("Type"));
    match kind.as_deref() {
        Some("SubscriptionConfirmation") => return confirmation(said).map(|signal| vec![signal]),
        Some("UnsubscribeConfirmation") => {
            let mut signal = Signal::of(Word::Ignored("a subscription of AWS SNS has ended"));
            signal.summary = match said.text("TopicArn") {
                Some(topic) => format!("AWS SNS no longer sends us what is published in {topic}"),
                None => "AWS SNS no longer sends us what is published in one of its topics".to_owned(),
            };
            return Ok(vec![signal]);
        }
        _ => {}
    }
    let raw = header("x-amz-sns-rawdelivery").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if raw || said.get("AlarmName").is_some() {
        return match published(said, bare(said), None, header("x-amz-sns-message-id")) {
            Some(signal) => Ok(vec![signal]),
            None => Err(Unreadable::new(
                "Message",
                "an empty message was published in this topic of AWS SNS: say in it what is wrong",
            )),
        };
    }
    let Some(inner) = said.get("Message") else {
        let why = "this is not a message of AWS SNS: subscribe this address to a topic (protocol HTTPS), and let the alarm \
                   notify that topic";
        return Err(Unreadable::new("Message", why));
    };
    let text = inner.as_text();
    // The document is a text inside the document.
    let document = match inner.0 {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let Some(mut signal) = published(Said(&document), text, said.text("Subject"), said.text("MessageId")) else {
        let why = "the message that was published in this topic of AWS SNS says nothing: give it a subject or a text";
        return Err(Unreadable::new("Message", why));
    };
    signal.at = signal.at.or_else(|| said.instant("Timestamp", TimeDelta::zero()));
    Ok(vec![signal])
}

/// Somebody has to agree that a topic sends to us: by its link, if it is one of AWS.
fn confirmation(said: Said<'_>) -> Result<Signal, Unreadable> {
    let link = said.text("SubscribeURL").filter(|link| path_at_sns(link).is_some());
    let Some(link) = link else {
        let why = "this is no address of AWS SNS (https://sns.<region>.amazonaws.com/…), so do not open it: \
                   let the topic ask once more (Request confirmation)";
        return Err(Unreadable::new("SubscribeURL", why));
    };
    let topic = said.text("TopicArn");
    Ok(Signal {
        summary: format!(
            "AWS SNS sends nothing of {} until somebody opens this link: do so within three days if you know the topic",
            topic.as_deref().unwrap_or("a topic")
        ),
        labels: topic.map(|topic| ("topic".to_owned(), topic)).into_iter().collect(),
        link: Some(link),
        at: said.instant("Timestamp", TimeDelta::zero()),
        ..Signal::of(Word::Ignored("a subscription of AWS SNS waits until somebody opens its link"))
    })
}

/// What was published: an alarm, or any text.
fn published(document: Said<'_>, text: Option<String>, subject: Option<String>, id: Option<String>) -> Option<Signal> {
    if let Some(alarm) = alarm(document).or_else(|| relayed(document)) {
        return Some(alarm);
    }
    let line = |text: &String| text.lines().map(crate::visible::shown).find(|line| !line.is_empty()).map(str::to_owned);
    let summary = subject.or_else(|| document.first(TITLES)).or_else(|| text.as_ref().and_then(line))?;
    Some(Signal {
        // What is delivered once more has the same number.
        key: id.map(|id| format!("sns/{id}")),
        details: text.filter(|text| *text != summary).unwrap_or_default(),
        summary,
        ..Signal::of(Word::Firing)
    })
}

/// A message without envelope as a text. One that is neither JSON nor a form comes as a form with one name and nothing else.
fn bare(said: Said<'_>) -> Option<String> {
    let members = said.0.as_object();
    match members.and_then(|members| members.iter().next().filter(|_| members.len() == 1)) {
        Some((name, value)) if Said(value).as_text().is_none() => Said(&Value::from(name.as_str())).as_text(),
        _ => said.as_text().filter(|_| members.is_none_or(|members| !members.is_empty())),
    }
}

/// An alarm, as AWS itself says it to a topic. Those that are composed of others have no trigger.
fn alarm(said: Said<'_>) -> Option<Signal> {
    let name = said.text("AlarmName")?;
    let (region, account) = (said.text("Region"), said.text("AWSAccountId"));
    let key = said.text("AlarmArn").unwrap_or_else(|| {
        let each = [account.as_deref(), region.as_deref(), Some(name.as_str())];
        each.into_iter().flatten().collect::<Vec<_>>().join("/")
    });
    let trigger = said.get("Trigger");
    let of_trigger = |member: &str| trigger.and_then(|trigger| trigger.text(member));
    let own =
        [("region", region), ("account", account), ("namespace", of_trigger("Namespace")), ("metric", of_trigger("MetricName"))];
    let dimensions = trigger.into_iter().flat_map(|trigger| trigger.list("Dimensions"));
    let dimensions = dimensions.filter_map(|each| Some((each.text("name")?, each.text("value").unwrap_or_default())));
    Some(Signal {
        key: Some(format!("sns/{key}")),
        details: lines([said.text("AlarmDescription"), said.text("NewStateReason")]),
        labels: dimensions.chain(present(own)).collect(),
        at: said.instant("StateChangeTime", TimeDelta::zero()),
        summary: name,
        ..Signal::of(state(said.text("NewStateValue")))
    })
}

/// The same alarm, where the event bus of AWS has passed it on to the topic.
fn relayed(said: Said<'_>) -> Option<Signal> {
    let detail = said.get("detail")?;
    let (name, state_now) = (detail.text("alarmName")?, detail.get("state")?);
    let arn = said.list("resources").find_map(Said::as_text);
    let description = detail.at(&["configuration", "description"]).and_then(Said::as_text);
    let labels = present([("region", said.text("region")), ("account", said.text("account"))]).collect();
    Some(Signal {
        key: Some(format!("sns/{}", arn.as_ref().unwrap_or(&name))),
        details: lines([description, state_now.text("reason")]),
        labels,
        at: state_now.instant("timestamp", TimeDelta::zero()).or_else(|| said.instant("time", TimeDelta::zero())),
        summary: name,
        ..Signal::of(state(state_now.text("value")))
    })
}

fn state(word: Option<String>) -> Word {
    match word.as_deref() {
        Some("OK") => Word::Resolved,
        Some("INSUFFICIENT_DATA") => Word::Ignored("CloudWatch has too little data to say whether something is wrong"),
        _ => Word::Firing,
    }
}

fn present<const N: usize>(each: [(&str, Option<String>); N]) -> impl Iterator<Item = (String, String)> {
    each.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// What AWS has signed of a message; `None` where it is no message of SNS. Every character counts, so nothing is trimmed.
#[must_use]
pub fn signed_text(said: &Said<'_>) -> Option<String> {
    let text = |name: &str| said.get(name)?.0.as_str();
    let names: &[&str] = match text("Type")? {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
            &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        }
        _ => return None,
    };
    let there = names.iter().filter(|name| **name != "Subject" || said.get(name).is_some());
    there.map(|name| Some(format!("{name}\n{}\n", text(name)?))).collect()
}

/// Whether AWS keeps at this address a certificate by which it signs. No other address may be asked for one.
#[must_use]
pub fn is_certificate_address(address: &str) -> bool {
    path_at_sns(address)
        .is_some_and(|path| path.rsplit_once('.').is_some_and(|(_, kind)| kind == "pem") && !path.contains(['?', '#']))
}

/// The path of an address of SNS itself. Readers of addresses differ in what they forgive, therefore nothing is forgiven here.
fn path_at_sns(address: &str) -> Option<&str> {
    let (host, path) = address.strip_prefix("https://sns.")?.split_once('/')?;
    let region = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let is_region = !region.is_empty() && region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let is_plain = path.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    (is_region && is_plain).then_some(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:db1-cpu";

    fn alarm(change: Value) -> Value {
        let mut body = json!({
            "AlarmName": "db1-cpu", "AlarmDescription": null, "AWSAccountId": "111122223333", "NewStateValue": "ALARM",
            "OldStateValue": "OK", "NewStateReason": "Threshold Crossed: 1 datapoint",
            "StateChangeTime": "2026-11-28T03:00:00.000+0000", "Region": "EU (Ireland)", "AlarmArn": ARN,
            "Trigger": { "MetricName": "CPUUtilization", "Namespace": "AWS/EC2",
                         "Dimensions": [{ "name": "InstanceId", "value": "i-1" }], "Threshold": 95.0 }
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn envelope(inner: Value, subject: Value) -> Value {
        json!({
            "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:alarms",
            "Subject": subject, "Message": inner, "Timestamp": "2026-11-28T03:00:01.000Z",
            "SignatureVersion": "1", "Signature": "c2ln",
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
        })
    }

    fn confirmation(link: &str) -> Value {
        json!({
            "Type": "SubscriptionConfirmation", "MessageId": "m-2", "Token": "t-1", "TopicArn": "arn:aws:sns:eu-west-1:1:alarms",
            "Message": "You have chosen to subscribe", "SubscribeURL": link, "Timestamp": "2026-11-28T03:00:00.000Z",
            "SignatureVersion": "1", "Signature": "c2ln", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x.pem"
        })
    }

    const LINK: &str = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1";

    fn read_with(body: Value, headers: &[(&str, &str)]) -> Result<Signal, Unreadable> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut signals = read(&Message { body, headers, ..Message::default() })?;
        assert_eq!(signals.len(), 1);
        Ok(signals.remove(0))
    }

    fn read_one(body: Value) -> Signal {
        read_with(body, &[]).unwrap()
    }

    #[test]
    fn an_alarm_is_json_in_a_text() {
        let signal = read_one(envelope(json!(alarm(json!({})).to_string()), json!("ALARM: \"db1-cpu\" in EU (Ireland)")));
        assert_eq!((signal.word, signal.key), (Word::Firing, Some(format!("sns/{ARN}"))));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("db1-cpu", "Threshold Crossed: 1 datapoint"));
        assert_eq!((signal.labels["InstanceId"].as_str(), signal.labels["region"].as_str()), ("i-1", "EU (Ireland)"));
        assert_eq!((signal.labels["metric"].as_str(), signal.labels["namespace"].as_str()), ("CPUUtilization", "AWS/EC2"));
        assert_eq!(signal.labels["account"], "111122223333");
        assert_eq!((signal.at.unwrap().timestamp(), signal.priority), (1_795_834_800, None));
    }

    #[test]
    fn what_an_alarm_is_now() {
        let word =
            |state: Value| read_one(envelope(json!(alarm(json!({ "NewStateValue": state })).to_string()), json!(null))).word;
        assert_eq!(word(json!("OK")), Word::Resolved);
        assert!(matches!(word(json!("INSUFFICIENT_DATA")), Word::Ignored(_)));
        assert_eq!((word(json!("ALARM")), word(json!(null))), (Word::Firing, Word::Firing));
    }

    #[test]
    fn an_alarm_of_other_alarms_has_no_trigger() {
        let change =
            json!({ "Trigger": null, "AlarmArn": null, "AlarmDescription": "shop is down", "AlarmRule": "ALARM(a) OR ALARM(b)" });
        let signal = read_one(envelope(json!(alarm(change).to_string()), json!(null)));
        assert_eq!(signal.key.as_deref(), Some("sns/111122223333/EU (Ireland)/db1-cpu"));
        assert_eq!(signal.details, "shop is down\nThreshold Crossed: 1 datapoint");
        assert!(!signal.labels.contains_key("metric"));
    }

    #[test]
    fn any_other_text_is_an_alarm_of_its_own() {
        let signal = read_one(envelope(json!("disk full\non db1"), json!(null)));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("sns/m-1")));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("disk full", "disk full\non db1"));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_801);
        let signal = read_one(envelope(json!("it is at 99 %"), json!("disk of db1")));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("disk of db1", "it is at 99 %"));
        let short = read_one(envelope(json!("disk full"), json!(null)));
        assert_eq!((short.summary.as_str(), short.details.as_str()), ("disk full", ""), "nothing is said twice");
    }

    #[test]
    fn a_document_of_another_service_is_called_by_its_title() {
        let event =
            json!({ "version": "0", "detail-type": "EC2 Instance State-change Notification", "detail": { "state": "stopped" } });
        let signal = read_one(envelope(json!(event.to_string()), json!(null)));
        assert_eq!((signal.word, signal.summary.as_str()), (Word::Firing, "EC2 Instance State-change Notification"));
        assert!(signal.details.contains("stopped"));
    }

    #[test]
    fn an_alarm_that_was_passed_on_by_events_ends_as_well() {
        let event = |state: &str| {
            json!({ "detail-type": "CloudWatch Alarm State Change", "account": "111122223333", "region": "eu-west-1",
                    "time": "2026-11-28T03:00:00Z", "resources": [ARN],
                    "detail": { "alarmName": "db1-cpu", "state": { "value": state, "reason": "Threshold Crossed" },
                                "configuration": { "description": "too hot" } } })
        };
        let signal = read_one(envelope(json!(event("OK").to_string()), json!(null)));
        assert_eq!((signal.word, signal.key), (Word::Resolved, Some(format!("sns/{ARN}"))));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("db1-cpu", "too hot\nThreshold Crossed"));
        assert_eq!((signal.labels["region"].as_str(), signal.at.unwrap().timestamp()), ("eu-west-1", 1_795_834_800));
        assert_eq!(read_one(envelope(json!(event("ALARM").to_string()), json!(null))).word, Word::Firing);
    }

    #[test]
    fn without_its_envelope_it_is_the_same() {
        let headers =
            [("x-amz-sns-message-type", "Notification"), ("x-amz-sns-rawdelivery", "true"), ("x-amz-sns-message-id", "m-7")];
        let signal = read_with(alarm(json!({})), &headers).unwrap();
        assert_eq!((signal.word, signal.key), (Word::Firing, Some(format!("sns/{ARN}"))));
        assert_eq!(read_one(alarm(json!({}))).summary, "db1-cpu", "also where the header was lost");
        // What is no JSON comes as a form with one name.
        let signal = read_with(json!({ "disk full": "" }), &headers).unwrap();
        assert_eq!((signal.summary.as_str(), signal.details.as_str(), signal.key.as_deref()), ("disk full", "", Some("sns/m-7")));
        let signal = read_with(json!({ "title": "disk", "Type": "SubscriptionConfirmation" }), &headers).unwrap();
        assert_eq!(
            (signal.word, signal.summary.as_str()),
            (Word::Firing, "disk"),
            "the header says what it is, not what is in it"
        );
        assert_eq!(read_with(json!({}), &headers).unwrap_err().field, "Message");
    }

    #[test]
    fn somebody_has_to_open_the_link_of_a_new_subscription() {
        let signal = read_one(confirmation(LINK));
        assert!(matches!(signal.word, Word::Ignored(why) if why.contains("open")));
        assert_eq!((signal.link.as_deref(), signal.key), (Some(LINK), None));
        assert!(
            signal.summary.contains("opens") && signal.summary.contains("arn:aws:sns:eu-west-1:1:alarms"),
            "{}",
            signal.summary
        );
        let mut body = confirmation(LINK);
        body["Type"] = json!(null);
        let by_header = read_with(body, &[("x-amz-sns-message-type", "SubscriptionConfirmation")]).unwrap();
        assert_eq!(by_header.link.as_deref(), Some(LINK));
        let china = "https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription";
        assert_eq!(read_one(confirmation(china)).link.as_deref(), Some(china));
    }

    #[test]
    fn a_link_elsewhere_is_shown_to_nobody() {
        for link in [
            "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
            "https://sns.eu-west-1.amazonaws.com.evil.example/?a",
            "https://sns.eu-west-1.amazonaws.com@evil.example/?a",
            "https://evil.example/sns.eu-west-1.amazonaws.com/",
            "https://evil.example#sns.eu-west-1.amazonaws.com/",
            "https://sns.evil.example/.amazonaws.com/",
            "https://sns.a.b.amazonaws.com/?a",
            "https://sns..amazonaws.com/?a",
            "https://sns.eu-west-1.amazonaws.com:8443/?a",
            "https://sns.eu-west-1.amazonaws.com/\\@evil.example",
            "https://sns.eu-west-1.amazonaws.com/ x",
            "https://sns.eu-west-1.amazonaws.com",
            "https://s3.eu-west-1.amazonaws.com/x",
            "https://sns.eu-west-1.amazonaws.cn/?a",
            "javascript:alert(1)",
            "",
        ] {
            let refused = read_with(confirmation(link), &[]).unwrap_err();
            assert!(refused.field == "SubscribeURL" && refused.why.contains("do not open"), "{link}: {refused}");
        }
    }

    #[test]
    fn the_end_of_a_subscription_rings_nobody() {
        let mut body = confirmation(LINK);
        body["Type"] = json!("UnsubscribeConfirmation");
        let signal = read_one(body);
        assert!(matches!(signal.word, Word::Ignored(why) if why.contains("ended")));
        assert_eq!(signal.link, None, "the link would subscribe again");
    }

    #[test]
    fn what_is_no_message_of_sns_is_refused() {
        let refused = read_with(json!({ "foo": 1 }), &[]).unwrap_err();
        assert!(refused.field == "Message" && refused.why.contains("topic"), "{refused}");
        assert_eq!(read_with(envelope(json!(" "), json!(null)), &[]).unwrap_err().field, "Message");
    }

    #[test]
    fn what_is_signed_is_every_character() {
        let body = json!({ "Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": " a\nb ", "Timestamp": "now",
                           "Subject": "s", "Signature": "x", "UnsubscribeURL": "u" });
        let with = "Message\n a\nb \nMessageId\nm\nSubject\ns\nTimestamp\nnow\nTopicArn\nt\nType\nNotification\n";
        assert_eq!(signed_text(&Said(&body)).as_deref(), Some(with));
        let (mut null, mut missing) = (body.clone(), body);
        null["Subject"] = Value::Null;
        missing.as_object_mut().unwrap().remove("Subject");
        for body in [null, missing] {
            assert_eq!(signed_text(&Said(&body)), Some(with.replace("Subject\ns\n", "")));
        }
        let text = signed_text(&Said(&confirmation(LINK))).unwrap();
        let expected = format!(
            "Message\nYou have chosen to subscribe\nMessageId\nm-2\nSubscribeURL\n{LINK}\nTimestamp\n2026-11-28T03:00:00.000Z\n\
             Token\nt-1\nTopicArn\narn:aws:sns:eu-west-1:1:alarms\nType\nSubscriptionConfirmation\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_lacks_a_signed_field_has_no_signed_text() {
        for name in ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"] {
            for other in [Value::Null, json!(7)] {
                let mut body = confirmation(LINK);
                body[name] = other;
                assert_eq!(signed_text(&Said(&body)), None, "{name}");
            }
        }
        assert_eq!(signed_text(&Said(&json!({ "Type": "Other" }))), None);
        assert_eq!(signed_text(&Said(&alarm(json!({})))), None, "raw delivery is not signed");
    }

    #[test]
    fn certificates_are_at_aws_only() {
        for address in [
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0.pem",
        ] {
            assert!(is_certificate_address(address), "{address}");
        }
        for address in [
            "http://sns.eu-west-1.amazonaws.com/x.pem",
            "https://sns.eu-west-1.amazonaws.com/x.crt",
            "https://sns.eu-west-1.amazonaws.com/?Action=Anything&x=.pem",
            "https://sns.eu-west-1.amazonaws.com/x#.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
            "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem",
            "https://bucket.s3.amazonaws.com/x.pem",
            "https://sns.x@evil.example/.amazonaws.com/x.pem",
        ] {
            assert!(!is_certificate_address(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(
            whole in spoilt(envelope(json!("text"), json!("s"))),
            inner in spoilt(alarm(json!({}))),
            question in spoilt(confirmation(LINK)),
            address in "(https://sns\\.)?\\PC{0,12}(\\.amazonaws\\.com)?/?\\PC{0,8}",
        ) {
            let _ = (signed_text(&Said(&whole)), signed_text(&Said(&question)), is_certificate_address(&address));
            for body in [whole, inner.clone(), question, envelope(json!(inner.to_string()), json!(null))] {
                sound(&READER, body)?;
            }
            let headers = [("x-amz-sns-rawdelivery".to_owned(), "true".to_owned())].into();
            let _ = read(&Message { body: inner, headers, ..Message::default() });
        }
    }
}
