//! The rules that say which alarms follow which policy: in words, and as a form.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, number, pairs, pairs_written};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, escape, fill, fill_text};
use crate::keep::policies::{self as checked, MOST_RULES, RuleBody, RulesBody};
use crate::versions::Expected;

/// A rule in words.
pub(in crate::dashboard) struct RuleLine {
    /// Which alarms; HTML.
    pub(in crate::dashboard) what: String,
    pub(in crate::dashboard) policy: String,
}

/// The rules in words, in order.
pub(in crate::dashboard) fn lines(reader: &Reader, rules: &RulesBody) -> Vec<RuleLine> {
    let words = reader.words;
    let line = |rule: &RuleBody| {
        let mut pieces: Vec<String> =
            rule.sender.iter().map(|sender| fill(&words.rule_from, &[("sender", Text(sender))])).collect();
        pieces.extend(rule.labels.iter().map(|(name, value)| format!("<code>{}={}</code>", escape(name), escape(value))));
        if pieces.is_empty() {
            pieces.push(escape(&words.rule_everything));
        }
        RuleLine { what: pieces.join(" · "), policy: rule.policy.clone() }
    };
    rules.rules.iter().map(line).collect()
}

/// One rule as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RuleForm {
    place: String,
    sender: String,
    labels: String,
    policy: String,
}

/// The rules that a form holds, in the order of their places, each with which of the form's it is. A rule without a policy is left
/// out.
fn filled(words: &Words, forms: &[RuleForm]) -> Result<Vec<(usize, RuleBody)>, Wrong> {
    let mut rules = Vec::new();
    for (index, form) in forms.iter().enumerate().filter(|(_, form)| !form.policy.is_empty()) {
        let place = number(&format!("place-{index}"), &form.place, &words.rule_bad_place)?.unwrap_or(i32::MAX);
        let wrong = |line| Wrong::new(format!("labels-{index}"), fill_text(&words.rule_bad_label, &[("text", line)]));
        let labels = pairs(&form.labels).map_err(wrong)?;
        let sender = Some(form.sender.clone()).filter(|sender| !sender.is_empty());
        rules.push((place, index, RuleBody { policy: form.policy.clone(), sender, labels }));
    }
    rules.sort_by_key(|(place, index, _)| (*place, *index));
    Ok(rules.into_iter().map(|(_, index, rule)| (index, rule)).collect())
}

/// What is wrong, in the reader's language and at the form's field, when the check names one of its own.
fn wrong(words: &Words, rules: &[(usize, RuleBody)], field: &str) -> Option<Wrong> {
    let (rule, rest) = field.strip_prefix("rules[")?.split_once("].")?;
    let (index, _) = rules.get(rule.parse::<usize>().ok()?)?;
    match rest {
        "policy" => Some(Wrong::new(format!("policy-{index}"), &words.rule_gone)),
        "sender" => Some(Wrong::new(format!("sender-{index}"), &words.rule_gone)),
        _ => Some(Wrong::new(format!("labels-{index}"), &words.rule_bad_labels)),
    }
}

/// One rule as the form shows it.
struct RuleFields {
    index: usize,
    fields: [Field; 4],
}

#[derive(Template)]
#[template(path = "policies/rules.html")]
struct RulesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    rules: Vec<RuleFields>,
    /// The version of all of them that is changed.
    version: String,
    is_wrong: bool,
}

/// `GET /policies/rules`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let (stored, version) = checked::read_rules(&app.engine.store).await?;
    let form = |rule: RuleBody| RuleForm {
        place: String::new(),
        sender: rule.sender.unwrap_or_default(),
        labels: pairs_written(&rule.labels),
        policy: rule.policy,
    };
    let mut forms: Vec<RuleForm> = stored.rules.into_iter().map(form).collect();
    for (place, form) in forms.iter_mut().enumerate() {
        form.place = (place + 1).to_string();
    }
    page(&app, &reader, StatusCode::OK, with_spare(forms), version.as_str(), None).await
}

/// `POST /policies/rules`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let forms = read(&fields);
    if fields.has("another") {
        return page(&app, &reader, StatusCode::OK, with_spare(forms), fields.get("version"), None).await;
    }
    let words = reader.words;
    let rules = match filled(words, &forms) {
        Ok(rules) => rules,
        Err(wrong) => {
            return page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, forms, fields.get("version"), Some(wrong)).await;
        }
    };
    let body = RulesBody { rules: rules.iter().map(|(_, rule)| rule.clone()).collect() };
    let expected = Expected::in_form(fields.get("version"));
    match app.engine.carry_out(reader.doer(), async |work| checked::set_rules(work, &body, &expected).await).await {
        Ok(_) => Ok(go_to("/policies?done=saved")),
        Err(refused) => match refused.field().and_then(|field| wrong(words, &rules, field)) {
            Some(wrong) => page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, forms, fields.get("version"), Some(wrong)).await,
            None => Err(refused.into()),
        },
    }
}

fn read(fields: &Fields) -> Vec<RuleForm> {
    let text = |name: &str, index: usize| fields.get(&format!("{name}-{index}")).trim().to_owned();
    let there = (0..MOST_RULES).take_while(|index| fields.has(&format!("policy-{index}")));
    let form = |index| RuleForm {
        place: text("place", index),
        sender: text("sender", index),
        labels: text("labels", index),
        policy: text("policy", index),
    };
    there.map(form).collect()
}

/// One more empty rule, as far as there may be more.
fn with_spare(mut forms: Vec<RuleForm>) -> Vec<RuleForm> {
    if forms.len() < MOST_RULES {
        forms.push(RuleForm { place: (forms.len() + 1).to_string(), ..RuleForm::default() });
    }
    forms
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    forms: Vec<RuleForm>,
    version: &str,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let policies: Vec<String> = db.policies().await?.into_iter().map(|policy| policy.name).collect();
    let keys = db.keys().await?.into_iter().filter(|key| key.revoked_at.is_none()).map(|key| key.name);
    let mut senders: Vec<String> = keys.collect();
    // A rule for a key that is no good any more stays what it is until somebody changes it.
    for form in forms.iter().filter(|form| !form.sender.is_empty()) {
        if !senders.contains(&form.sender) {
            senders.push(form.sender.clone());
        }
    }
    let wrong = wrong.as_ref();
    let fields = |(index, form): (usize, RuleForm)| {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(format!("{name}-{index}"), label, how, value, input, wrong)
        };
        RuleFields {
            index,
            fields: [
                field("place", &words.rule_place, "", &form.place, Input::Number),
                field("sender", &words.rule_sender, "", &form.sender, one_of(&words.rule_any_sender, &senders)),
                field("policy", &words.rule_policy, "", &form.policy, one_of(&words.rule_none, &policies)),
                field("labels", &words.labels, &words.rule_labels_how, &form.labels, Input::Lines(2)),
            ],
        }
    };
    let rules = forms.into_iter().enumerate().map(fields).collect();
    let frame = Frame::new(reader, "policies", words.rules.as_str(), app.engine.clock.now());
    Ok(html(status, &RulesPage { frame, words, rules, version: version.to_owned(), is_wrong: wrong.is_some() }))
}

fn one_of(none: &str, names: &[String]) -> Input {
    let names = names.iter().map(|name| Choice::new(name, name));
    Input::Choice([Choice::new("", none)].into_iter().chain(names).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::collections::BTreeMap;

    use super::*;
    use crate::dashboard::frame::words::Language;

    fn rule(place: &str, labels: &str, policy: &str) -> RuleForm {
        RuleForm { place: place.to_owned(), sender: String::new(), labels: labels.to_owned(), policy: policy.to_owned() }
    }

    #[test]
    fn rules_come_in_the_order_of_their_places() {
        let words = Language::English.words();
        let forms =
            [rule("3", "", "c"), rule("1", "severity = critical\r\nteam=a=b", "a"), rule("2", "", ""), rule("3", "", "d")];
        let got = filled(words, &forms).unwrap();
        let order: Vec<(usize, &str)> = got.iter().map(|(index, rule)| (*index, rule.policy.as_str())).collect();
        assert_eq!(order, [(1, "a"), (0, "c"), (3, "d")]);
        assert_eq!(got[0].1.labels, BTreeMap::from([("severity".into(), "critical".into()), ("team".into(), "a=b".into())]));
        assert_eq!(wrong(words, &got, "rules[1].policy").unwrap().field, "policy-0");
        assert_eq!(wrong(words, &got, "rules[0].labels.x").unwrap().field, "labels-1");
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field() {
        let words = Language::English.words();
        assert_eq!(filled(words, &[rule("first", "", "a")]).unwrap_err().field, "place-0");
        for labels in ["severity", "a=1\na=2"] {
            assert_eq!(filled(words, &[rule("1", "", "a"), rule("2", labels, "a")]).unwrap_err().field, "labels-1", "{labels}");
        }
    }
}
