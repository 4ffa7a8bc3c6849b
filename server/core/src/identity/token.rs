//! Whether a token that was signed is for us, from whom we asked, about this very login, and of now.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Clocks may differ by so many seconds.
pub const LEEWAY: i64 = 60;
/// What a provider calls somebody is no longer, as the standard has it.
const LONGEST_SUBJECT: usize = 255;

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// Who gave it.
    pub issuer: &'e str,
    /// Whom it was given to: us.
    pub client_id: &'e str,
    /// What we sent when this login began.
    pub nonce: &'e str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Somebody else gave it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It was given to somebody else.
    #[error("the token was given to another program")]
    Audience,
    /// It belongs to another login.
    #[error("the token belongs to another login")]
    Nonce,
    /// It is too old.
    #[error("the token has expired: are the clocks of this computer and of the provider right?")]
    Expired,
    /// It is of a time that has not come.
    #[error("the token is of a time that has not come: are the clocks of this computer and of the provider right?")]
    NotYet,
    /// It does not say whom it is about, or from when it is.
    #[error("the token does not say whom it is about, or from when until when it is good")]
    Incomplete,
}

/// Whom a token is about, where it says all that it must.
///
/// # Errors
/// The first thing that is wrong.
pub fn subject<'c>(claims: &'c Value, expected: Expected<'_>) -> Result<&'c str, Wrong> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Wrong::Issuer);
    }
    if !is_for(claims, expected.client_id) {
        return Err(Wrong::Audience);
    }
    let now = seconds(expected.now);
    let (until, from) = (time(claims, "exp").ok_or(Wrong::Incomplete)?, time(claims, "iat").ok_or(Wrong::Incomplete)?);
    if until + leeway() <= now {
        return Err(Wrong::Expired);
    }
    // Absent it may be, but not something that is no time.
    let begins = match claims.get("nbf") {
        Some(_) => time(claims, "nbf").ok_or(Wrong::Incomplete)?,
        None => from,
    };
    if from.max(begins) - leeway() > now {
        return Err(Wrong::NotYet);
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(Wrong::Nonce);
    }
    let good = |subject: &&str| !subject.is_empty() && subject.len() <= LONGEST_SUBJECT && !subject.chars().any(char::is_control);
    text("sub").filter(good).ok_or(Wrong::Incomplete)
}

/// Whether it was given to this program: it is among those named, and where there are several, or another is said to have asked, it is the
/// one that asked.
fn is_for(claims: &Value, client_id: &str) -> bool {
    let (named, several) = match claims.get("aud") {
        Some(Value::String(one)) => (one == client_id, false),
        Some(Value::Array(all)) => (all.iter().any(|one| one.as_str() == Some(client_id)), all.len() > 1),
        _ => (false, false),
    };
    let asked = match claims.get("azp") {
        Some(party) => party.as_str() == Some(client_id),
        None => !several,
    };
    named && asked
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far from where a number loses some")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp() as f64
}

#[expect(clippy::cast_precision_loss, reason = "it is a minute")]
fn leeway() -> f64 {
    LEEWAY as f64
}

fn time(claims: &Value, name: &str) -> Option<f64> {
    claims.get(name)?.as_f64().filter(|time| time.is_finite())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::json;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + second)
    }

    fn expected(second: i64) -> Expected<'static> {
        Expected { issuer: "https://id.example.org", client_id: "autocall", nonce: "n1", now: at(second) }
    }

    fn good() -> Value {
        let now = at(0).timestamp();
        json!({ "iss": "https://id.example.org", "aud": "autocall", "sub": "17", "nonce": "n1", "iat": now, "exp": now + 300 })
    }

    fn with(changes: Value) -> Value {
        let mut claims = good();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn judged(changes: Value) -> Result<String, Wrong> {
        subject(&with(changes), expected(0)).map(str::to_owned)
    }

    #[test]
    fn a_good_one_says_whom_it_is_about() {
        assert_eq!(judged(json!({})), Ok("17".to_owned()));
        assert_eq!(judged(json!({ "aud": ["autocall"] })), Ok("17".to_owned()));
        assert_eq!(judged(json!({ "aud": ["autocall", "other"], "azp": "autocall" })), Ok("17".to_owned()));
    }

    #[test]
    fn what_is_not_for_us_is_refused() {
        for other in
            [json!("https://id.example.org/"), json!("https://evil.example"), Value::Null, json!(["https://id.example.org"])]
        {
            assert_eq!(judged(json!({ "iss": other })), Err(Wrong::Issuer));
        }
        for other in
            [json!("other"), json!([]), json!(["other"]), Value::Null, json!(7), json!(["autocall", "other"]), json!("autocall ")]
        {
            assert_eq!(judged(json!({ "aud": other.clone() })), Err(Wrong::Audience), "{other}");
        }
        assert_eq!(judged(json!({ "azp": "other" })), Err(Wrong::Audience));
        assert_eq!(judged(json!({ "aud": ["autocall", "other"], "azp": "other" })), Err(Wrong::Audience));
        for other in [json!("n2"), Value::Null, json!("")] {
            assert_eq!(judged(json!({ "nonce": other })), Err(Wrong::Nonce));
        }
        for other in [Value::Null, json!(""), json!(17), json!("x".repeat(256)), json!("a\nb")] {
            assert_eq!(judged(json!({ "sub": other })), Err(Wrong::Incomplete));
        }
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let now = at(0).timestamp();
        assert_eq!(judged(json!({ "exp": now - 59 })), Ok("17".to_owned()));
        assert_eq!(judged(json!({ "exp": now - 60 })), Err(Wrong::Expired));
        assert_eq!(judged(json!({ "iat": now + 60 })), Ok("17".to_owned()));
        assert_eq!(judged(json!({ "iat": now + 61 })), Err(Wrong::NotYet));
        assert_eq!(judged(json!({ "nbf": now + 61 })), Err(Wrong::NotYet));
        for other in [Value::Null, json!("1800000000"), json!([1])] {
            assert_eq!(judged(json!({ "exp": other.clone() })), Err(Wrong::Incomplete));
            assert_eq!(judged(json!({ "iat": other })), Err(Wrong::Incomplete));
        }
        assert_eq!(judged(json!({ "nbf": "soon" })), Err(Wrong::Incomplete));
    }

    proptest! {
        #[test]
        fn it_is_good_for_exactly_its_time(from in -4000i64..4000, length in 0i64..4000, asked in -5000i64..9000) {
            let claims = with(json!({ "iat": at(from).timestamp(), "exp": at(from + length).timestamp() }));
            let good = subject(&claims, expected(asked)).is_ok();
            prop_assert_eq!(good, asked >= from - LEEWAY && asked < from + length + LEEWAY);
        }

        #[test]
        fn whatever_one_claim_holds_is_survived(name in "(iss|aud|azp|exp|iat|nbf|nonce|sub)", number in any::<f64>(), word in "\\PC{0,12}") {
            for value in [json!(number), json!(word), json!([word, number]), json!({ "x": word })] {
                let refused = subject(&with(json!({ name.as_str(): value })), expected(0)).is_err();
                // Numbers may be times, words whom it is about.
                prop_assert!(refused || matches!(name.as_str(), "exp" | "iat" | "nbf" | "sub"));
            }
        }
    }
}
