//! Names of before: what programs of v1 rely on is still answered beside the names of now, and still read, until it goes.
//!
//! The description says so, and nothing else does: a property of an answer that is the same as another one (`x-same-as`) is copied from
//! it on the way out. A form that reads names of before lists them (`x-old-names`); its type has them as aliases. Forms that are read
//! and written back as they are keep their names, since of a form that holds both nobody could say which one was meant.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Deprecated, OpenApi, RefOr};

use super::document::{operations, tell_header};

/// When the names of before were taken out of the description of what is to be used: 2026-11-28.
const DEPRECATION: HeaderValue = HeaderValue::from_static("@1795824000");
/// They are not there for longer than this; more than a year later.
const SUNSET: HeaderValue = HeaderValue::from_static("Wed, 01 Dec 2027 00:00:00 GMT");
/// Where they are named.
const ABOUT: HeaderValue = HeaderValue::from_static("</api>; rel=\"deprecation\"; type=\"text/html\"");
const DEPRECATION_HEADER: HeaderName = HeaderName::from_static("deprecation");
const SUNSET_HEADER: HeaderName = HeaderName::from_static("sunset");

/// Says of a property or form which it is the same as.
const SAME_AS: &str = "x-same-as";
/// Says of a form under which names it reads what is called otherwise now.
const OLD_NAMES: &str = "x-old-names";

/// What was called otherwise in answers: the schema, the name of before, and where the same stands now.
const ANSWERED: [(&str, &str, &str); 48] = [
    ("AlarmDetailJson", "held_until", "hold_ends_at"),
    ("AlarmDetailJson", "number", "alarm_number"),
    ("AlarmDetailJson", "snoozed_until", "snooze_ends_at"),
    ("AlarmJson", "held_until", "hold_ends_at"),
    ("AlarmJson", "number", "alarm_number"),
    ("AnswerJson", "at", "answered_at"),
    ("AnswerJson", "handset", "dialled_by/name"),
    ("AnswerJson", "number", "phone_number"),
    ("AnswerJson", "person_id", "person/id"),
    ("CalendarTroubleJson", "since", "began_at"),
    ("CalleeJson", "number", "phone_number"),
    ("CalleeJson", "person_id", "person/id"),
    ("CheckAnswer", "from", "starts_at"),
    ("CheckAnswer", "to", "ends_at"),
    ("DialJson", "deadline", "deadline_at"),
    ("DialJson", "handset", "dialled_by/name"),
    ("DutyHandOverJson", "at", "handed_over_at"),
    ("EventJson", "at", "happened_at"),
    ("FindingJson", "from", "starts_at"),
    ("FindingJson", "to", "ends_at"),
    ("Forbidden", "number", "phone_number"),
    ("HandOverJson", "number", "phone_number"),
    ("HandOverJson", "person", "name"),
    ("HandOverJson", "since", "began_at"),
    ("HeartbeatJson", "missed_since", "missed_at"),
    ("LineJson", "number", "phone_number"),
    ("Listed_AlarmJson", "alarms", "items"),
    ("Listed_DutyHandOverJson", "hand_overs", "items"),
    ("Listed_FeedJson", "feeds", "items"),
    ("Listed_Forbidden", "numbers", "items"),
    ("Listed_NamedPolicy", "policies", "items"),
    ("Listed_ScheduleJson", "schedules", "items"),
    ("Listed_TeamJson", "teams", "items"),
    ("Listed_VacationJson", "vacations", "items"),
    ("NextJson", "at", "starts_at"),
    ("OnDutyAnswer", "at", "on_duty_at"),
    ("OnDutyJson", "until", "ends_at"),
    ("OverrideJson", "from", "starts_at"),
    ("OverrideJson", "to", "ends_at"),
    ("ProgressJson", "number", "phone_number"),
    ("ShiftJson", "from", "starts_at"),
    ("ShiftJson", "to", "ends_at"),
    ("ShiftsAnswer", "from", "starts_at"),
    ("ShiftsAnswer", "to", "ends_at"),
    ("TemporaryJson", "from", "starts_at"),
    ("TemporaryJson", "to", "ends_at"),
    ("VacationJson", "from", "starts_at"),
    ("VacationJson", "to", "ends_at"),
];

/// What was called otherwise in forms: the schema, the name of before, and that of now. The types read both.
const READ: [(&str, &str, &str); 15] = [
    ("AcknowledgeBody", "number", "phone_number"),
    ("ForbidBody", "number", "phone_number"),
    ("LayerForm", "from", "changes_at"),
    ("LineBody", "number", "phone_number"),
    ("LineBodyPatch", "number", "phone_number"),
    ("OverrideForm", "from", "starts_at"),
    ("OverrideForm", "to", "ends_at"),
    ("PersonBody", "number", "phone_number"),
    ("SnoozeBody", "until", "snooze_ends_at"),
    ("TargetBody", "number", "phone_number"),
    ("TemporaryForm", "from", "starts_at"),
    ("TemporaryForm", "to", "ends_at"),
    ("TestBody", "number", "phone_number"),
    ("VacationForm", "from", "starts_at"),
    ("VacationForm", "to", "ends_at"),
];

/// Parameters of queries that were called otherwise: the path, the name of before, and that of now.
const ASKED: [(&str, &str, &str); 9] = [
    ("/api/v1/alarms", "raised_before", "ends_at"),
    ("/api/v1/alarms", "raised_from", "starts_at"),
    ("/api/v1/on-duty", "at", "on_duty_at"),
    ("/api/v1/schedules/{schedule}/log", "from", "starts_at"),
    ("/api/v1/schedules/{schedule}/log", "to", "ends_at"),
    ("/api/v1/schedules/{schedule}/on-duty", "at", "on_duty_at"),
    ("/api/v1/schedules/{schedule}/shifts", "from", "starts_at"),
    ("/api/v1/schedules/{schedule}/shifts", "to", "ends_at"),
    ("/api/v1/teams/{team}/on-duty", "at", "on_duty_at"),
];

/// What answers still hold that is no copy of anything.
const STILL_ANSWERED: [(&str, &str); 1] = [("DutyHandOverJson", "people")];

/// All that was called otherwise in answers, then in forms: the schema, the name of before, and that of now.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str, bool)> {
    let answered = ANSWERED.into_iter().map(|(of, old, new)| (of, old, new, true));
    answered.chain(READ.into_iter().map(|(of, old, new)| (of, old, new, false)))
}

/// What a field of a form was called before.
pub fn once_read_as(name: &str) -> impl Iterator<Item = &'static str> {
    READ.iter().filter(move |(_, _, new)| *new == name).map(|(_, old, _)| *old)
}

/// What a parameter was called before.
pub fn once_called(name: &str) -> impl Iterator<Item = &'static str> {
    ASKED.iter().filter(move |(_, _, new)| *new == name).map(|(_, old, _)| *old)
}

/// Describes all names of before, and which operations say that they know some.
pub fn tell(document: &mut OpenApi) {
    if let Some(components) = &mut document.components {
        for (of, old, new) in ANSWERED {
            let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(of) else { continue };
            let copy = match new.split_once('/') {
                None => object.properties.get(new).cloned(),
                Some(_) => Some(ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])).into()),
            };
            let Some(mut copy) = copy else { continue };
            deprecate(&mut copy, Some(new));
            object.properties.insert(old.to_owned(), copy);
        }
        for (of, name) in STILL_ANSWERED {
            let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(of) else { continue };
            object.properties.entry(name.to_owned()).and_modify(|property| deprecate(property, None));
        }
        for (of, old, new) in READ {
            let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(of) else { continue };
            let all = object.extensions.get_or_insert_default().entry(OLD_NAMES.to_owned()).or_insert_with(|| json!({}));
            all[old] = json!(new);
        }
    }
    for (path, old, new) in ASKED {
        let Some(operation) = document.paths.paths.get_mut(path).and_then(|item| item.get.as_mut()) else { continue };
        let all = operation.parameters.get_or_insert_default();
        let of_now = |parameter: &&RefOr<Parameter>| matches!(parameter, RefOr::T(own) if own.parameter_in == ParameterIn::Query && own.name == new);
        let Some(RefOr::T(now)) = all.iter().find(of_now).cloned() else { continue };
        let mut before = now;
        before.name = old.to_owned();
        before.deprecated = Some(Deprecated::True);
        before.description = Some(format!("The same as `{new}`."));
        all.push(RefOr::T(before));
    }
    let aging = Aging::of(document);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if !aging.0.contains_key(&(method.to_uppercase(), path.clone())) {
                continue;
            }
            let good = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with('2'));
            for (_, response) in good {
                let header = |name, what| (name, Type::String, what);
                tell_header(response, header("Deprecation", "Since when some names here are those of before (RFC 9745)"), true);
                tell_header(response, header("Sunset", "Until when they are there at least (RFC 8594)"), true);
                tell_header(response, header("Link", "Where they are named"), true);
            }
        }
    }
}

/// Marks a property as one that is to go.
fn deprecate(property: &mut RefOr<Schema>, same_as: Option<&str>) {
    let description = same_as.map(|new| format!("The same as `{}`.", new.replace('/', ".")));
    let extensions: Option<Extensions> =
        same_as.map(|new| [(SAME_AS.to_owned(), Value::from(new))].into_iter().collect::<Extensions>());
    match property {
        RefOr::T(Schema::Object(own)) => {
            own.deprecated = Some(Deprecated::True);
            own.description = description.or(own.description.take());
            own.extensions = extensions.or(own.extensions.take());
        }
        RefOr::T(Schema::Array(own)) => {
            own.deprecated = Some(Deprecated::True);
            own.description = description.or(own.description.take());
            own.extensions = extensions.or(own.extensions.take());
        }
        _ => {}
    }
}

/// What the answer of an operation has to be completed with.
#[derive(Debug, Default)]
struct Plan {
    /// A name of before, and the way to what stands there too.
    copies: Vec<(String, Vec<String>)>,
    members: Vec<(String, Plan)>,
    items: Option<Box<Plan>>,
}

/// Nothing that is described is deeper.
const DEEPEST: usize = 12;

impl Plan {
    fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.members.is_empty() && self.items.is_none()
    }

    fn of(document: &Value, schema: &Value, deepest: usize) -> Self {
        let mut plan = Self::default();
        let (schema, Some(deeper)) = (resolved(document, schema), deepest.checked_sub(1)) else { return plan };
        for part in ["oneOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten() {
            let Self { copies, members, items } = Self::of(document, part, deeper);
            plan.copies.extend(copies);
            plan.members.extend(members);
            plan.items = plan.items.or(items);
        }
        if schema["items"].is_object() {
            let items = Self::of(document, &schema["items"], deeper);
            plan.items = plan.items.or((!items.is_empty()).then(|| Box::new(items)));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(same) = property[SAME_AS].as_str() {
                plan.copies.push((name.clone(), same.split('/').map(str::to_owned).collect()));
                continue;
            }
            let own = Self::of(document, property, deeper);
            if !own.is_empty() {
                plan.members.push((name.clone(), own));
            }
        }
        plan
    }

    fn complete(&self, value: &mut Value) {
        match value {
            Value::Array(all) => {
                if let Some(items) = &self.items {
                    for one in all {
                        items.complete(one);
                    }
                }
            }
            Value::Object(object) => {
                for (name, plan) in &self.members {
                    if let Some(member) = object.get_mut(name) {
                        plan.complete(member);
                    }
                }
                for (old, way) in &self.copies {
                    if let Some(copy) = at(object, way) {
                        object.insert(old.clone(), copy);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What stands at a way through objects; null where one of them is.
fn at(object: &Map<String, Value>, way: &[String]) -> Option<Value> {
    let (first, rest) = way.split_first()?;
    let found = object.get(first)?;
    match (found, rest.is_empty()) {
        (found, true) => Some(found.clone()),
        (Value::Object(inner), false) => at(inner, rest),
        _ => Some(Value::Null),
    }
}

fn resolved<'v>(document: &'v Value, schema: &'v Value) -> &'v Value {
    match schema["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    }
}

/// The names of before that a form, or a part of it, reads; and those of now.
fn old_names_of(document: &Value, schema: &Value, deepest: usize, names: &mut Vec<(String, String)>) {
    let (schema, Some(deeper)) = (resolved(document, schema), deepest.checked_sub(1)) else { return };
    let own = schema[OLD_NAMES].as_object().into_iter().flatten();
    names.extend(own.filter_map(|(old, new)| Some((old.clone(), new.as_str()?.to_owned()))));
    let alternatives = ["oneOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
    let parts = alternatives.chain(Some(&schema["items"]).filter(|items| items.is_object()));
    for part in parts.chain(schema["properties"].as_object().into_iter().flat_map(Map::values)) {
        old_names_of(document, part, deeper, names);
    }
}

/// What an operation knows by names of before.
#[derive(Debug, Default)]
pub struct Known {
    plan: Plan,
    /// Names of before in its form or query, and those of now.
    read: Vec<(String, String)>,
    /// It takes a form with some.
    has_form: bool,
}

impl Known {
    /// Whether its form may hold names of before.
    #[must_use]
    pub fn reads_forms(&self) -> bool {
        self.has_form
    }

    /// A refusal in the names that its request used: a field is called what it is called where it stands. Nothing when these are those of
    /// now.
    #[must_use]
    pub fn as_asked(&self, problem: &[u8], query: &str, form: &Value) -> Option<String> {
        let mut problem = serde_json::from_slice::<Value>(problem).ok()?;
        let mut all = problem.get_mut("errors")?.as_array_mut()?.iter_mut();
        let first = self.call(all.next()?, query, form);
        let others = all.filter_map(|fault| self.call(fault, query, form)).count();
        if let (Some((old, new)), Some(field)) = (first, problem["field"].as_str())
            && let Some(of) = field.strip_suffix(new.as_str())
        {
            problem["field"] = format!("{of}{old}").into();
        }
        (others > 0 || first.is_some()).then(|| problem.to_string())
    }

    /// Calls a field at fault what its request does, where that is a name of before; and gives that name with that of now.
    fn call(&self, fault: &mut Value, query: &str, form: &Value) -> Option<&(String, String)> {
        if let Some(pointer) = fault["pointer"].as_str() {
            let (object, name) = pointer.rsplit_once('/')?;
            let members = form.pointer(object)?.as_object()?;
            let names = self.read.iter().find(|(old, new)| new == name && members.contains_key(old))?;
            fault["pointer"] = format!("{object}/{}", names.0).into();
            return Some(names);
        }
        let name = fault["parameter"].as_str()?;
        let asked = |old: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == old);
        let names = self.read.iter().find(|(old, new)| new == name && asked(old))?;
        fault["parameter"] = names.0.clone().into();
        Some(names)
    }

    /// Puts the names of before beside those of now; nothing when there are none.
    #[must_use]
    pub fn completed(&self, said: &[u8]) -> Option<String> {
        if self.plan.is_empty() {
            return None;
        }
        let mut value = serde_json::from_slice::<Value>(said).ok()?;
        self.plan.complete(&mut value);
        Some(value.to_string())
    }
}

/// Says since when and until when names of before are known.
pub fn tell_until_when(headers: &mut HeaderMap) {
    for (name, value) in [(DEPRECATION_HEADER, DEPRECATION), (SUNSET_HEADER, SUNSET), (header::LINK, ABOUT)] {
        headers.insert(name, value);
    }
}

/// The operations that know names of before, by method and path.
#[derive(Debug)]
pub struct Aging(HashMap<(String, String), Known>);

impl Aging {
    /// As the description says.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let mut all = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let responses = operation["responses"].as_object().into_iter().flatten();
                let good = responses.filter(|(status, _)| status.starts_with('2'));
                let schemas = good.map(|(_, response)| &response["content"]["application/json"]["schema"]);
                let plan = schemas.map(|schema| Plan::of(&document, schema, DEEPEST)).find(|plan| !plan.is_empty());
                let mut read = Vec::new();
                for (_, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                    old_names_of(&document, &content["schema"], DEEPEST, &mut read);
                }
                let has_form = !read.is_empty();
                let asked = ASKED.iter().filter(|(of, ..)| of == path && method == "get");
                read.extend(asked.map(|(_, old, new)| ((*old).to_owned(), (*new).to_owned())));
                if plan.is_some() || !read.is_empty() {
                    all.insert((method.to_uppercase(), path.clone()), Known { plan: plan.unwrap_or_default(), read, has_form });
                }
            }
        }
        Self(all)
    }

    /// What an operation knows by names of before.
    #[must_use]
    pub fn known(&self, method: &str, path: &str) -> Option<&Known> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.0.get(&(method.to_owned(), path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_names_that_were_used() {
        let read = [("number", "phone_number"), ("from", "starts_at")].map(|(old, new)| (old.to_owned(), new.to_owned()));
        let known = Known { read: read.to_vec(), has_form: true, ..Known::default() };
        let form =
            json!({ "person": { "number": 1, "phone_number": 1 }, "people": [{ "phone_number": 1, "from": 1 }], "starts_at": 1 });
        let problem = json!({ "field": "person.phone_number", "errors": [{ "pointer": "/person/phone_number" }, { "parameter": "starts_at" },
            { "pointer": "/people/0/phone_number" }, { "pointer": "/people/0/starts_at" }, { "pointer": "/starts_at" }] });
        let told = known.as_asked(problem.to_string().as_bytes(), "a=1&from=2", &form).unwrap_or_default();
        let expected = json!({ "field": "person.number", "errors": [{ "pointer": "/person/number" }, { "parameter": "from" },
            { "pointer": "/people/0/phone_number" }, { "pointer": "/people/0/from" }, { "pointer": "/starts_at" }] });
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap_or_default(), expected);
        let now = json!({ "field": "starts_at", "errors": [{ "pointer": "/starts_at" }] });
        assert_eq!(known.as_asked(now.to_string().as_bytes(), "", &form), None);
    }

    #[test]
    fn names_of_before_are_copies_however_deep_they_stand() {
        let document = json!({ "components": { "schemas": {
            "Person": { "type": "object", "properties": { "id": {}, "name": {} } },
            "One": { "type": "object", "properties": {
                "starts_at": {}, "from": { "x-same-as": "starts_at" }, "person": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Person" }] },
                "person_id": { "x-same-as": "person/id" } } },
            "All": { "type": "object", "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/One" } }, "ones": { "x-same-as": "items" } } }
        } } });
        let plan = Plan::of(&document, &json!({ "$ref": "#/components/schemas/All" }), DEEPEST);
        let mut said =
            json!({ "items": [{ "starts_at": 1, "person": { "id": "p", "name": "n" } }, { "starts_at": 2, "person": null }] });
        plan.complete(&mut said);
        let items = json!([
            { "starts_at": 1, "from": 1, "person": { "id": "p", "name": "n" }, "person_id": "p" },
            { "starts_at": 2, "from": 2, "person": null, "person_id": null }
        ]);
        assert_eq!(said, json!({ "items": items, "ones": items }));
    }
}
