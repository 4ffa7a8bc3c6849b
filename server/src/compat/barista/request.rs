//! What a Barista client asks for: its parameters, and the checks that turn them into an alarm.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use sqlx::types::Json;

use super::refused::CallRefused;
use crate::access::senders::Sender;
use crate::alarm::{Mode, Priority, Until};
use crate::config::{BaristaConfig, Config};
use crate::engine::{NamedBy, NewCallee, RaiseRequest};
use crate::intake::alarm_request;
use crate::numbers::Number;
use crate::store::alarm::barista::{Addressee, BaristaCall};

/// The parameters that must be there, in the order in which they are missed.
const SCALARS: [&str; 9] =
    ["testflg", "hostname", "operator", "calltype", "frequency", "language", "message", "headid", "footid"];
const ADDRESSEE: &str = "addressee";
const LANGUAGES: [&str; 4] = ["en", "ja-jp", "zh-cn", "es"];
const MOST_CALLS: i64 = 10;
const LARGEST_ORDER: i64 = 100;
const LONGEST_SLEEP: i64 = 1800;
/// Barista knows no limit. Here a request is one transaction, which must stay short.
const MOST_ADDRESSEES: usize = 1000;
/// A longer message is cut in the lists of pages, and stands whole in the details and in the history.
const LONGEST_SUMMARY: usize = 1000;
const LONGEST_LABEL: usize = 2000;

/// The parameters of a request, from its query and its body.
#[derive(Debug, Default)]
pub struct Parameters {
    scalars: HashMap<String, String>,
    addressees: Vec<String>,
}

impl Parameters {
    /// Reads what stands in a query or a form.
    pub fn read_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.add(&name, &value);
        }
    }

    /// Reads a body by its content type; one of any other type holds no parameters.
    ///
    /// # Errors
    /// When a multipart body is none.
    pub async fn read_body(&mut self, headers: &HeaderMap, body: Bytes) -> Result<(), CallRefused> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_ascii_lowercase();
        if content_type.starts_with("application/x-www-form-urlencoded") {
            self.read_form(&body);
        } else if content_type.starts_with("multipart/form-data") {
            let mut request = Request::new(Body::from(body));
            request.headers_mut().clone_from(headers);
            let mut parts = Multipart::from_request(request, &()).await.map_err(|_| CallRefused::Body)?;
            while let Some(part) = parts.next_field().await.map_err(|_| CallRefused::Body)? {
                // A file is no parameter.
                if let (Some(name), None) = (part.name().map(str::to_owned), part.file_name()) {
                    let value = part.bytes().await.map_err(|_| CallRefused::Body)?;
                    self.add(&name, &String::from_utf8_lossy(&value));
                }
            }
        }
        Ok(())
    }

    /// An empty value counts as absent. Of several the last one wins, but every addressee counts.
    fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let value: String =
            value.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
        if name == ADDRESSEE {
            self.addressees.push(value);
        } else {
            self.scalars.insert(name.to_owned(), value.trim().to_owned());
        }
    }

    /// The alarm whose history is asked for; `None` when no alarm has such a number.
    ///
    /// # Errors
    /// When there is none, or it is no number.
    pub fn event_id(&self) -> Result<Option<i64>, CallRefused> {
        let text = self.scalars.get("eventid").ok_or(CallRefused::Missing("eventid"))?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CallRefused::Value("eventid"));
        }
        Ok(text.parse().ok())
    }

    fn scalar(&self, name: &'static str) -> Result<&str, CallRefused> {
        self.scalars.get(name).map(String::as_str).ok_or(CallRefused::Missing(name))
    }

    fn text(&self, name: &'static str) -> Result<String, CallRefused> {
        let text = self.scalar(name)?;
        if text.is_empty() { Err(CallRefused::Value(name)) } else { Ok(text.to_owned()) }
    }

    fn one_of<T: Copy>(&self, name: &'static str, values: &[(&str, T)]) -> Result<T, CallRefused> {
        let text = self.scalar(name)?;
        values.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or(CallRefused::Value(name))
    }
}

/// Checks the parameters of a call.
///
/// # Errors
/// The first thing that is wrong: what is missing comes before what is wrong.
pub fn raise_request(parameters: &Parameters, sender: &Sender, config: &Config) -> Result<RaiseRequest, CallRefused> {
    for name in SCALARS {
        parameters.scalar(name)?;
    }
    if parameters.addressees.is_empty() {
        return Err(CallRefused::Missing(ADDRESSEE));
    }
    let dry_run = parameters.one_of("testflg", &[("0", false), ("1", true)])?;
    let hostname = parameters.text("hostname")?;
    let operator = parameters.text("operator")?;
    let (mode, until) =
        parameters.one_of("calltype", &[("1", (Mode::Sequential, Until::First)), ("2", (Mode::Parallel, Until::Everyone))])?;
    let frequency = integer(parameters.scalar("frequency")?, MOST_CALLS).ok_or(CallRefused::Value("frequency"))?;
    let language = parameters.one_of("language", &LANGUAGES.map(|language| (language, language)))?;
    let message = parameters.text("message")?;
    let head_id = parameters.one_of("headid", &[("1", 1), ("2", 2)])?;
    let foot_id = parameters.one_of("footid", &[("1", 1), ("2", 2)])?;
    if parameters.addressees.len() > MOST_ADDRESSEES {
        return Err(CallRefused::Value(ADDRESSEE));
    }
    let read = parameters.addressees.iter().map(|text| Asked::read(text).ok_or(CallRefused::Value(ADDRESSEE)));
    let mut asked = read.collect::<Result<Vec<_>, _>>()?;
    // Stable: those of one order stay as they were given.
    asked.sort_by_key(|addressee| addressee.order);

    let mut details = if message.chars().count() > LONGEST_SUMMARY { vec![message.clone()] } else { Vec::new() };
    let mut callees = Vec::with_capacity(asked.len());
    for addressee in &asked {
        let (callee, problem) = addressee.callee(frequency, config);
        details.extend(problem);
        callees.push(callee);
    }
    let labels = [("host", &hostname), ("operator", &operator)];
    let addressees = asked.into_iter().map(|one| Addressee { order: one.order, number: one.number }).collect();
    Ok(RaiseRequest {
        integration_id: sender.integration_id(),
        source: sender.name().unwrap_or("barista").to_owned(),
        by: sender.doer(),
        summary: message.chars().take(LONGEST_SUMMARY).collect(),
        details: details.join("\n"),
        labels: labels.map(|(name, text)| (name.to_owned(), text.chars().take(LONGEST_LABEL).collect())).into(),
        priority: Priority::Normal,
        mode,
        until,
        dry_run,
        begin_window_s: alarm_request::begin_window(config),
        named_by: NamedBy::Alarm,
        callees,
        barista: Some(BaristaCall {
            head_message: BaristaConfig::phrase(&config.barista.heads, head_id, &hostname),
            foot_message: BaristaConfig::phrase(&config.barista.feet, foot_id, &hostname),
            hostname,
            operator,
            frequency,
            language: language.to_owned(),
            head_id,
            message,
            foot_id,
            addressees: Json(addressees),
        }),
        bounds: sender.bounds().cloned(),
        ..RaiseRequest::default()
    })
}

/// An addressee as it was asked for: `order:userid:tel:name:sleep`.
#[derive(Debug)]
struct Asked {
    order: i64,
    user: String,
    number: String,
    name: String,
    sleep: i64,
}

impl Asked {
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let [order, user, number, name, sleep] = fields.try_into().ok()?;
        if user.is_empty() || number.is_empty() || name.is_empty() {
            return None;
        }
        // An unencoded `+` arrives as a blank.
        let number = number.strip_prefix(' ').map_or_else(|| number.to_owned(), |rest| format!("+{rest}"));
        Some(Self {
            order: integer(order, LARGEST_ORDER)?,
            user: user.to_owned(),
            number,
            name: name.to_owned(),
            sleep: integer(sleep, LONGEST_SLEEP)?,
        })
    }

    /// Whom to ring, and a line for people when that is impossible: such a callee is never rung, and keeps nobody else waiting.
    fn callee(&self, frequency: i64, config: &Config) -> (NewCallee, Option<String>) {
        let attempts = i32::try_from(frequency.clamp(0, MOST_CALLS)).unwrap_or(0);
        let (number, known_to_plan, max_attempts, problem) = match Number::parse(&self.number, config.default_region) {
            Ok(parsed) => (parsed.number.as_str().to_owned(), parsed.known_to_plan, attempts, None),
            Err(error) => {
                (self.number.clone(), false, 0, Some(format!("not dialable: {} ({}): {error}", self.name, self.number)))
            }
        };
        let callee = NewCallee {
            number,
            known_to_plan,
            name: Some(self.name.clone()),
            reference: Some(self.user.clone()),
            max_attempts,
            min_interval_s: i32::try_from(self.sleep.clamp(0, LONGEST_SLEEP)).unwrap_or(0),
        };
        (callee, problem)
    }
}

/// A whole number that is not larger than that. Barista accepts any smaller one.
fn integer(text: &str, largest: i64) -> Option<i64> {
    text.trim().parse().ok().filter(|number| *number <= largest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "testflg=0&hostname=db1&operator=ichiro&calltype=1&frequency=3&language=en&message=Disk+full&headid=2\
                        &footid=1&addressee=1:tarou:810000000000:Tarou:120";

    fn read(form: &str) -> Result<RaiseRequest, CallRefused> {
        let mut parameters = Parameters::default();
        parameters.read_form(form.as_bytes());
        raise_request(&parameters, &Sender::new(None, std::net::Ipv4Addr::LOCALHOST.into()), &Config::default())
    }

    /// `GOOD` with another value for one parameter.
    fn with(name: &str, value: &str) -> String {
        let others = GOOD.split('&').map(str::trim).filter(|pair| pair.split('=').next() != Some(name));
        others.chain([format!("{name}={value}").as_str()]).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn what_is_missing_comes_first_and_in_order() {
        let mut form = String::new();
        for name in SCALARS {
            assert_eq!(read(&form).unwrap_err(), CallRefused::Missing(name), "{form}");
            form += &format!("&{name}=%20");
        }
        assert_eq!(read(&form).unwrap_err(), CallRefused::Missing("addressee"));
        form += "&addressee=";
        assert_eq!(read(&form).unwrap_err(), CallRefused::Missing("addressee"), "empty is absent");
        form += "&addressee=x";
        assert_eq!(read(&form).unwrap_err(), CallRefused::Value("testflg"), "blank is there, and wrong");
    }

    #[test]
    fn values_that_are_refused() {
        for (name, values) in [
            ("testflg", &["2", "00", "true"][..]),
            ("calltype", &["0", "3"]),
            ("frequency", &["11", "x", "1.5", "%E4%B8%80", "9999999999999999999999"]),
            ("language", &["EN", "ja", "fr"]),
            ("headid", &["0", "3"]),
            ("footid", &["0", "3"]),
            ("hostname", &["%20"]),
            ("operator", &["%00"]),
            ("message", &["%0A"]),
            (
                "addressee",
                &[
                    "x",
                    "1:a:1:b",
                    "1:a:1:b:1:c",
                    "101:a:1:b:1",
                    "x:a:1:b:1",
                    ":a:1:b:1",
                    "1::1:b:1",
                    "1:a::b:1",
                    "1:a:1::1",
                    "1:a:1:b:",
                    "1:a:1:b:1801",
                ],
            ),
        ] {
            for value in values {
                assert_eq!(read(&with(name, value)).unwrap_err(), CallRefused::Value(name), "{name}={value}");
            }
        }
    }

    #[test]
    fn values_that_barista_takes_are_taken() {
        for (name, values) in [
            ("frequency", &["0", "-5", "%2B3", "+10", "010"][..]),
            ("language", &["en", "ja-jp", "zh-cn", "es"]),
            ("message", &["it%27s+%22down%22", "%20padded%20"]),
            ("addressee", &["0:a:1:b:-1", "-3:a:x:b:0", "02:a:0:b:1800"]),
        ] {
            for value in values {
                assert!(read(&with(name, value)).is_ok(), "{name}={value}");
            }
        }
        assert_eq!(read(&with("message", "%20%07padded%00x%20")).unwrap().summary, "padded x");
        let last_wins = format!("message=first&{GOOD}&message=second&message=");
        assert_eq!(read(&last_wins).unwrap().summary, "second");
    }

    #[test]
    fn addressees_are_people_in_order_and_their_numbers_stay_as_given() {
        let more = "&addressee=-1:kouji:+8618712345678:K:0&addressee=1:again:810000000000:A:5000000".replace("5000000", "50");
        let request = read(&format!("{GOOD}{more}")).unwrap();
        let callees: Vec<_> =
            request.callees.iter().map(|one| (one.reference.as_deref().unwrap(), one.number.as_str())).collect();
        assert_eq!(callees, [("kouji", "+8618712345678"), ("tarou", "810000000000"), ("again", "810000000000")]);
        let call = request.barista.unwrap();
        let given: Vec<_> = call.addressees.iter().map(|one| (one.order, one.number.as_str())).collect();
        assert_eq!(given, [(-1, "+8618712345678"), (1, "810000000000"), (1, "810000000000")]);
        assert_eq!(call.head_message, "障害を検知しました。サーバー名は、db1。");
    }

    #[test]
    fn what_cannot_be_dialled_is_kept_and_never_rung() {
        for number in ["110", "+81119", "x", "%20", "12", "*100%23"] {
            let request = read(&format!("{GOOD}&addressee=2:x:{number}:X:0")).unwrap();
            assert_eq!(request.callees.iter().map(|one| one.max_attempts).collect::<Vec<_>>(), [3, 0], "{number}");
            assert!(request.details.starts_with("not dialable: X ("), "{}", request.details);
        }
        let none = read(&with("frequency", "-1")).unwrap();
        assert_eq!((none.callees[0].max_attempts, none.barista.unwrap().frequency), (0, -1));
    }

    proptest! {
        #[test]
        fn no_form_panics(form in "([a-z]{0,8}[=&:%]?|testflg=1&|addressee=[-0-9:a%]{0,20}&|%[0-9a-f]{2}){0,30}") {
            let _ = read(&form);
            let _ = read(&format!("{GOOD}&{form}"));
        }
    }
}
