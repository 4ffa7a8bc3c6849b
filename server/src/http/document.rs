//! What the description of the API says of every operation alike: its name, its refusals, and the versions of what it overwrites.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Content, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, SecurityRequirement, Server};

/// What is overwritten as a whole: whoever does says what they have read.
const WHOLE_LISTS: [&str; 2] = ["/api/v1/policy-rules", "/api/v1/quiet-hours"];
/// What operators say and overwrite; `PUT` and `DELETE` may say which version they have read.
const VERSIONED: [&str; 15] = [
    "/api/v1/intake/generic/places",
    "/api/v1/media/{name}",
    "/api/v1/people/{person}",
    "/api/v1/people/{person}/told",
    "/api/v1/policies/{name}",
    "/api/v1/heartbeats/{id}",
    "/api/v1/lines/{id}",
    "/api/v1/lines/{id}/bound",
    "/api/v1/sms/gateways/{id}",
    "/api/v1/teams/{team}",
    "/api/v1/schedules/{schedule}",
    "/api/v1/schedules/{schedule}/calendar",
    "/api/v1/users/{user}",
    WHOLE_LISTS[0],
    WHOLE_LISTS[1],
];

/// Other requests that may say which version was read: of the entry that they remove, or of what they change a part of.
const HONOURED: [(&str, &str); 16] = [
    ("post", "/api/v1/do-not-call"),
    ("delete", "/api/v1/do-not-call/{number}"),
    ("delete", "/api/v1/maintenance/{id}"),
    ("delete", "/api/v1/calendar-feeds/{id}"),
    ("delete", "/api/v1/vacations/{id}"),
    ("delete", "/api/v1/schedules/{schedule}/overrides/{id}"),
    ("delete", "/api/v1/schedules/{schedule}/temporaries/{id}"),
    ("post", "/api/v1/schedules/{schedule}/overrides"),
    ("post", "/api/v1/schedules/{schedule}/temporaries"),
    ("post", "/api/v1/schedules/{schedule}/holidays"),
    ("post", "/api/v1/schedules/{schedule}/import"),
    ("post", "/api/v1/lines/{id}/forward"),
    ("post", "/api/v1/people/{person}/erase"),
    ("delete", "/api/v1/users/{user}/second-factor"),
    ("delete", "/api/v1/users/{user}/sessions/{session}"),
    ("post", "/api/v1/users/{user}/sessions/end"),
];

/// What of these takes away, and adds nothing.
const TAKES_AWAY: [&str; 2] = ["/api/v1/people/{person}/erase", "/api/v1/users/{user}/sessions/end"];

/// What is read again at once is told as it is then.
const CALENDAR_REFRESHED: &str = "/api/v1/schedules/{schedule}/calendar/refresh";

/// What the parts of the API are about, in the order in which they are read.
const TAGS: [(&str, &str); 18] = [
    ("alarms", "Raising alarms, following them, and what people do about them."),
    ("senders", "Webhooks of monitoring systems."),
    ("heartbeats", "Senders that are missed when they fall silent."),
    ("policies", "Whom alarms ring, step by step, and which alarms."),
    ("people", "Who can be rung, and under which numbers."),
    ("users", "Who may log in to the pages, what they may do there, and where they are logged in."),
    ("roster", "Who is on duty: teams, schedules, exceptions, calendars."),
    ("call records", "What is known of each call to a number."),
    ("do not call", "Numbers that must not be called."),
    ("maintenance", "Windows in which matching alarms are held."),
    ("lines", "Public numbers that follow the person on duty."),
    ("sms", "Gateways for text messages, and what they receive."),
    ("media", "What was said in calls, and sound that calls play."),
    ("audit", "Who changed what."),
    ("reports", "Figures of what happened, per month: alarms, calls, answers and time on duty."),
    ("shouts", "One message to many people: the API of blast-api in its own words, and its detail records."),
    ("barista", "The API of Barista, in its own words."),
    ("problems", "What the API refuses."),
];
/// What is sent a piece at a time, and has neither a length nor a version beforehand.
const IN_PIECES: [&str; 2] = ["/api/v1/audit.csv", "/api/v1/people/{person}/export"];
/// Where the token in the path is all that is asked for.
const BY_TOKEN: [&str; 2] = ["/api/v1/heartbeat/{token}", "/api/v1/sms/inbound/{token}"];
/// What only a change says: where something is made, its form is described without it.
const ONLY_CHANGED: [(&str, &str, &str, &str); 2] = [
    ("/api/v1/teams", "TeamForm", "NewTeamForm", "version"),
    ("/api/v1/schedules", "ScheduleForm", "NewScheduleForm", "version"),
];
/// Another API's path: what is refused there is said in its words.
const BARISTA: &str = "/api/v1/call";
/// Those of one more. None of its answers has a version or a place.
const BLAST: [&str; 3] = ["/api/v1/calls", "/api/v1/dnc/", "/api/v1/shouts"];

/// Whether a path is that of another API.
fn is_of_others(path: &str) -> bool {
    let below = |own: &&str| path == *own || path.starts_with(own) && (own.ends_with('/') || path[own.len()..].starts_with('/'));
    path == BARISTA || BLAST.iter().any(below)
}

/// What people do about an alarm may be said without a word.
const WITHOUT_A_WORD: [&str; 4] = ["alarms_acknowledge", "alarms_cancel", "alarms_callees_skip", "alarms_escalate"];

/// Completes the description that the handlers give of themselves.
pub fn complete(document: &mut OpenApi) {
    null_is_absent(document);
    tell_doors(document);
    document.servers = Some(vec![Server::new("/")]);
    let tags = TAGS.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
    document.tags = Some(tags.into_iter().collect());
    if let Some(components) = &mut document.components {
        let as_written = components.schemas.clone();
        for schema in components.schemas.values_mut() {
            if let RefOr::T(Schema::AllOf(_)) = schema
                && let Some(merged) = object(&as_written, schema)
            {
                *schema = RefOr::T(Schema::Object(merged));
            }
        }
        name_shapes(&mut components.schemas);
    }
    tell_barista(document);
    tell_patches(document);
    for (path, form, new, field) in ONLY_CHANGED {
        tell_new_form(document, path, (form, new), field);
    }
    let all: Vec<String> = document.paths.paths.keys().cloned().collect();
    for (path, item) in &mut document.paths.paths {
        let is_list = item.post.is_some() || all.iter().any(|other| is_member_of(other, path));
        for (method, operation) in operations(item) {
            let own = operation.operation_id.take().filter(|_| path.ends_with(";cancel"));
            operation.operation_id = Some(own.unwrap_or_else(|| name_of(method, path, is_list)));
            if method == "get" && !is_of_others(path) {
                // Filters may be left out, those that may stand there several times too.
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(own) = parameter
                        && own.parameter_in == ParameterIn::Query
                    {
                        own.required = Required::False;
                    }
                }
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && response.content.is_empty()
                    && matches!(status.as_str(), "200" | "201" | "202")
                    && !is_of_others(path)
                {
                    // What is said in a word or two: an object, whose words are for people.
                    let content = Content::new(Some(ObjectBuilder::new().schema_type(Type::Object)));
                    response.content.insert("application/json".to_owned(), RefOr::T(content));
                }
            }
            let may_be_empty = operation.operation_id.as_deref().is_some_and(|name| WITHOUT_A_WORD.contains(&name));
            if let (true, Some(RefOr::T(body))) = (may_be_empty, &mut operation.request_body) {
                body.required = Some(Required::False);
            }
            tell_refusals(path, operation);
            tell_repeats(method, path, operation);
            tell_versions(method, path, operation);
            if !is_of_others(path) {
                tell_places(operation);
            }
        }
    }
}

/// What may be left out of a body may be null as well: see `http::parsed`.
fn null_is_absent(document: &mut OpenApi) {
    let mut open: Vec<RefOr<Schema>> = Vec::new();
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        let Some(RefOr::T(body)) = &operation.request_body else { continue };
        open.extend(body.content.values().filter_map(schema_of));
    }
    let Some(components) = &mut document.components else { return };
    let mut seen = BTreeSet::new();
    while let Some(schema) = open.pop() {
        match schema {
            RefOr::Ref(to) => {
                let Some(name) = to.ref_location.rsplit('/').next().map(str::to_owned) else { continue };
                if let (true, Some(own)) = (seen.insert(name.clone()), components.schemas.get_mut(&name)) {
                    optional_may_be_null(own, &mut open);
                }
            }
            RefOr::T(mut inline) => parts_of(&mut inline, &mut |part| open.push(part.clone())),
        }
    }
}

/// What answers do not always hold: refusals say what they know, and a rule that was asked for without something is shown without it.
const NOT_ALWAYS_ANSWERED: [&str; 5] = ["Problem", "Fault", "LayerJson", "NamedPolicy", "TemporaryJson"];

/// Whatever can be in an answer is in it, null where there is none: readers need not tell what is missing from what is empty.
pub fn all_is_answered(document: &mut OpenApi) {
    let (mut read, mut said) = (Vec::new(), Vec::new());
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        if let Some(RefOr::T(body)) = &operation.request_body {
            read.extend(body.content.values().filter_map(schema_of));
        }
        for response in operation.responses.responses.values() {
            if let RefOr::T(response) = response {
                said.extend(response.content.values().filter_map(schema_of));
            }
        }
    }
    let Some(components) = &mut document.components else { return };
    let (read, said) = (named_in(&components.schemas, read), named_in(&components.schemas, said));
    for name in said.difference(&read).filter(|name| !NOT_ALWAYS_ANSWERED.contains(&name.as_str())) {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            object.required = object.properties.keys().cloned().collect();
        }
    }
}

fn schema_of(content: &RefOr<Content>) -> Option<RefOr<Schema>> {
    match content {
        RefOr::T(content) => content.schema.clone(),
        RefOr::Ref(_) => None,
    }
}

/// The names of all schemas that these are made of.
fn named_in(all: &BTreeMap<String, RefOr<Schema>>, mut open: Vec<RefOr<Schema>>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while let Some(schema) = open.pop() {
        match schema {
            RefOr::Ref(to) => {
                let name = to.ref_location.rsplit('/').next().unwrap_or_default();
                if names.insert(name.to_owned()) {
                    open.extend(all.get(name).cloned());
                }
            }
            RefOr::T(mut schema) => {
                if let Schema::Object(object) = &schema {
                    open.extend(object.properties.values().cloned());
                }
                parts_of(&mut schema, &mut |part| open.push(part.clone()));
            }
        }
    }
    names
}

/// Lets the optional properties of a schema be null, and notes what it is made of.
fn optional_may_be_null(schema: &mut RefOr<Schema>, made_of: &mut Vec<RefOr<Schema>>) {
    let RefOr::T(schema) = schema else {
        made_of.push(schema.clone());
        return;
    };
    if let Schema::Object(object) = schema {
        for (name, property) in &mut object.properties {
            made_of.push(property.clone());
            if !object.required.contains(name) {
                or_null(property);
            }
            // Of names and texts, a text may be left out as well.
            if let RefOr::T(Schema::Object(names)) = property
                && let Some(AdditionalProperties::RefOr(member)) = names.additional_properties.as_deref_mut()
            {
                or_null(member);
            }
        }
    }
    parts_of(schema, &mut |part| optional_may_be_null(part, made_of));
}

/// Goes through the schemas of which one is made, but for the properties of an object.
fn parts_of(schema: &mut Schema, look: &mut dyn FnMut(&mut RefOr<Schema>)) {
    match schema {
        Schema::OneOf(own) => own.items.iter_mut().for_each(look),
        Schema::AllOf(own) => own.items.iter_mut().for_each(look),
        Schema::AnyOf(own) => own.items.iter_mut().for_each(look),
        Schema::Array(own) => {
            if let ArrayItems::RefOrSchema(items) = &mut own.items {
                look(items);
            }
        }
        _ => {}
    }
}

/// The same schema, or null.
fn or_null(property: &mut RefOr<Schema>) {
    let widened = |own: &SchemaType| match own {
        SchemaType::Type(one) if *one != Type::Null => SchemaType::Array(vec![one.clone(), Type::Null]),
        other => other.clone(),
    };
    match property {
        RefOr::T(Schema::Object(own)) => own.schema_type = widened(&own.schema_type),
        RefOr::T(Schema::Array(own)) => own.schema_type = widened(&own.schema_type),
        RefOr::T(Schema::OneOf(own)) if own.items.iter().any(is_null) => {}
        RefOr::Ref(_) | RefOr::T(_) => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            *property = RefOr::T(Schema::OneOf(OneOfBuilder::new().item(property.clone()).item(null).build()));
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(own)) if own.schema_type == SchemaType::Type(Type::Null))
}

/// The operations at one path, each with its method.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", item.get.as_mut()),
        ("post", item.post.as_mut()),
        ("put", item.put.as_mut()),
        ("patch", item.patch.as_mut()),
        ("delete", item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// The ways in which a key may be shown; and none, from an open network.
fn tell_doors(document: &mut OpenApi) {
    let http = |scheme: HttpAuthScheme, what: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(what)).build())
    };
    let doors = [
        ("bearer", http(HttpAuthScheme::Bearer, "A key of `autocall key add`.")),
        ("basic", http(HttpAuthScheme::Basic, "The same as user or as password.")),
        ("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", "The same.")))),
        ("query", SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description("key", "The same.")))),
    ];
    let mut ways: Vec<SecurityRequirement> = doors.iter().map(|(name, _)| SecurityRequirement::new(*name, [""; 0])).collect();
    // Networks of `http.open_networks` need none.
    ways.push(SecurityRequirement::default());
    document.security = Some(ways);
    let components = document.components.get_or_insert_default();
    components.security_schemes.extend(doors.into_iter().map(|(name, door)| (name.to_owned(), RefOr::T(door))));
}

/// Describes the form of what is made at a path without a field that it has only where it is changed.
fn tell_new_form(document: &mut OpenApi, path: &str, (form, new): (&str, &str), field: &str) {
    let Some(components) = &mut document.components else { return };
    let Some(RefOr::T(Schema::Object(mut object))) = components.schemas.get(form).cloned() else { return };
    object.properties.remove(field);
    components.schemas.insert(new.to_owned(), RefOr::T(Schema::Object(object)));
    let made = document.paths.paths.get_mut(path).and_then(|item| item.post.as_mut());
    let Some(RefOr::T(body)) = made.and_then(|operation| operation.request_body.as_mut()) else { return };
    let content = Content::new(Some(Ref::from_schema_name(new)));
    body.content.insert("application/json".to_owned(), RefOr::T(content));
}

/// Gives each shape of a type that has several a name of its own, as generators of clients need.
fn name_shapes(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let mut named = Vec::new();
    for (of, schema) in schemas.iter_mut() {
        let RefOr::T(Schema::OneOf(shapes)) = schema else { continue };
        for shape in &mut shapes.items {
            let RefOr::T(Schema::Object(object)) = shape else { continue };
            let Some(word) = word_of(object) else { continue };
            let name = format!("{of}{}{}", word[..1].to_uppercase(), &word[1..]);
            let object = std::mem::replace(shape, Ref::from_schema_name(&name).into());
            named.push((name, object));
        }
    }
    schemas.extend(named);
}

/// What tells a shape from the others: the only value of `kind`, or the only field.
fn word_of(object: &Object) -> Option<String> {
    let word = match object.properties.get("kind") {
        Some(RefOr::T(Schema::Object(kind))) => kind.enum_values.as_ref()?.first()?.as_str()?.to_owned(),
        _ => object.required.first()?.clone(),
    };
    word.is_ascii().then_some(word).filter(|word| !word.is_empty())
}

/// Describes what a merge patch may say of each form: any part of it, and null for what is taken away.
fn tell_patches(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let is_word = |schema: &RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(own)) if own.enum_values.is_some());
    let words: BTreeSet<String> =
        components.schemas.iter().filter(|(_, schema)| is_word(schema)).map(|(name, _)| name.clone()).collect();
    let patches = document.paths.paths.values_mut().filter_map(|item| item.patch.as_mut());
    for body in patches.filter_map(|operation| operation.request_body.as_mut()) {
        let RefOr::T(body) = body else { continue };
        let Some(RefOr::T(Content { schema: Some(RefOr::Ref(to)), .. })) = body.content.remove("application/json") else {
            continue;
        };
        let form = to.ref_location.rsplit('/').next().unwrap_or_default().to_owned();
        let Some(RefOr::T(Schema::Object(mut object))) = components.schemas.get(&form).cloned() else { continue };
        object.required.clear();
        object.properties.values_mut().for_each(|property| or_taken_away(property, &words));
        let name = format!("{form}Patch");
        let content = Content::new(Some(Ref::from_schema_name(&name)));
        components.schemas.insert(name, RefOr::T(Schema::Object(object)));
        body.content.insert("application/merge-patch+json".to_owned(), RefOr::T(content));
    }
}

/// Lets null stand for a value. `words` are the schemas that are one of a few fixed words.
fn or_taken_away(schema: &mut RefOr<Schema>, words: &BTreeSet<String>) {
    let with_null = |kind: &mut SchemaType| {
        if let SchemaType::Type(own) = kind {
            *kind = SchemaType::Array(vec![own.clone(), Type::Null]);
        }
    };
    match schema {
        RefOr::T(Schema::Object(object)) => {
            with_null(&mut object.schema_type);
            if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                or_taken_away(values, words);
            }
        }
        RefOr::T(Schema::Array(array)) => with_null(&mut array.schema_type),
        // These have null among their shapes already.
        RefOr::T(_) => {}
        // A word that has to be said is another one, and is not taken away.
        RefOr::Ref(to) if words.contains(to.ref_location.rsplit('/').next().unwrap_or_default()) => {}
        // Of an object that has to be said, any part.
        RefOr::Ref(to) => {
            let what = format!("Any part of {}", to.ref_location.rsplit('/').next().unwrap_or_default());
            *schema = ObjectBuilder::new().schema_type(Type::Object).description(Some(what)).into();
        }
    }
}

/// Barista's refusals of single values come with 200.
fn tell_barista(document: &mut OpenApi) {
    let Some(item) = document.paths.paths.get_mut(BARISTA) else { return };
    for (_, operation) in operations(item) {
        let Some(RefOr::T(taken)) = operation.responses.responses.get_mut("200") else { continue };
        let Some(RefOr::T(content)) = taken.content.get_mut("application/json") else { continue };
        if let Some(schema) = content.schema.take() {
            let either = OneOfBuilder::new().item(schema).item(Ref::from_schema_name("BaristaFailed"));
            content.schema = Some(either.into());
        }
    }
}

/// What any request may be refused for, whatever it is about, with the headers that go with it.
fn tell_refusals(path: &str, operation: &mut Operation) {
    if BY_TOKEN.contains(&path) {
        operation.security = Some(Vec::new());
    }
    let is = |place: ParameterIn| {
        let all = operation.parameters.iter().flatten();
        all.filter(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place)).count() > 0
    };
    let (names_one, has_body) = (is(ParameterIn::Path) && !BY_TOKEN.contains(&path), operation.request_body.is_some());
    let all = [
        ("400", "The request is malformed", true),
        ("403", "Without a key, requests from there are not let in", !BY_TOKEN.contains(&path)),
        ("404", "There is no such thing", names_one),
        ("413", "The body is too large", has_body),
        ("415", "The body is written or packed in a way that is not taken", has_body),
        ("422", "What is wrong is named", true),
        ("429", "Too many wrong keys, or too many alarms", true),
        ("503", "It cannot be done now", true),
        ("default", "Any other refusal", true),
    ];
    let told = &mut operation.responses.responses;
    for (status, description, _) in all.into_iter().filter(|(_, _, may)| *may) {
        told.entry(status.to_owned())
            .or_insert_with(|| RefOr::T(if path == BARISTA { in_barista_s_words(description) } else { problem(description) }));
    }
    for (status, response) in told {
        let header = match status.as_str() {
            "401" => ("WWW-Authenticate", Type::String, "How to show a key"),
            "415" => ("Accept-Encoding", Type::String, "How bodies may be packed"),
            "429" | "503" => ("Retry-After", Type::Integer, "Send it again after so many seconds"),
            _ => continue,
        };
        tell_header(response, header, status != "415");
    }
}

pub(super) fn tell_header(response: &mut RefOr<Response>, (name, kind, description): (&str, Type, &str), always: bool) {
    let RefOr::T(response) = response else { return };
    let mut header = Header::new(ObjectBuilder::new().schema_type(kind));
    header.description = Some(description.to_owned());
    // The library has no word for it.
    header.extensions = Some([("required", always)].into_iter().collect());
    response.headers.insert(name.to_owned(), RefOr::T(header));
}

fn in_barista_s_words(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("BaristaFailed")));
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

/// Whether a path is that of one entry of the list at another.
fn is_member_of(path: &str, list: &str) -> bool {
    path.strip_prefix(list)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|rest| rest.starts_with('{') && !rest.contains('/'))
}

/// The name of an operation: what it is about, and what it does. As a method and a path are never those of two operations, nor is this.
fn name_of(method: &str, path: &str, is_list: bool) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !matches!(*segment, "" | "api" | "v1")).collect();
    let of_one = segments.last().is_some_and(|last| last.starts_with('{'));
    let mut words: Vec<String> =
        segments.iter().filter(|segment| !segment.starts_with('{')).map(|word| word.replace('-', "_")).collect();
    let verb = match (method, of_one) {
        ("get", true) => Some("show"),
        ("get", false) if is_list => Some("list"),
        ("get", false) => Some("read"),
        ("post", false) if is_list && !segments.iter().any(|segment| segment.starts_with('{')) => Some("add"),
        ("post", _) => None,
        ("put", _) => Some("put"),
        ("patch", _) => Some("patch"),
        _ => Some("remove"),
    };
    words.extend(verb.map(str::to_owned));
    words.join("_")
}

/// One object with the properties of all parts of a schema, since parts that each allow no other properties allow none together.
fn object(all: &BTreeMap<String, RefOr<Schema>>, schema: &RefOr<Schema>) -> Option<Object> {
    match schema {
        RefOr::Ref(to) => object(all, all.get(to.ref_location.rsplit('/').next()?)?),
        RefOr::T(Schema::Object(own)) => Some(own.clone()),
        RefOr::T(Schema::AllOf(parts)) => {
            let mut merged = ObjectBuilder::new().schema_type(Type::Object).description(parts.description.clone()).build();
            for part in &parts.items {
                let part = object(all, part)?;
                merged.properties.extend(part.properties);
                merged.required.extend(part.required);
            }
            Some(merged)
        }
        RefOr::T(_) => None,
    }
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

fn header_parameter(name: &str, description: &str, required: bool) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

const ETAG: (&str, Type, &str) = ("ETag", Type::String, "The version: give it back as If-Match to change what you have read");

/// Paths where alarms come in have keys of their own, or none.
const OTHERWISE: [&str; 4] = ["/api/v1/alarms", BARISTA, "/api/v1/intake/alertmanager", "/api/v1/intake/{sender}"];
const REPLAYED: (&str, Type, &str) =
    ("Idempotent-Replayed", Type::String, "`true`: this is the answer to an earlier request with the same key");

/// Any other POST may have a key, under which it is done once.
fn tell_repeats(method: &str, path: &str, operation: &mut Operation) {
    if method != "post" || OTHERWISE.contains(&path) || BY_TOKEN.contains(&path) {
        return;
    }
    let what = "Makes a repeated request safe: the same again within a day is answered as the first, and done once";
    let parameter = RefOr::T(header_parameter("Idempotency-Key", what, false));
    operation.parameters.get_or_insert_default().push(parameter);
    let told = &mut operation.responses.responses;
    for (status, description) in
        [("409", "Not in this state; or a request with this key is under way"), ("422", "What is wrong is named")]
    {
        told.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
    for (_, response) in told.iter_mut().filter(|(status, _)| status.starts_with('2')) {
        tell_header(response, REPLAYED, false);
    }
}

/// Whatever was made says where it is.
fn tell_places(operation: &mut Operation) {
    let made = operation.responses.responses.contains_key("201");
    let is_alarm = operation.operation_id.as_deref() == Some("alarms_add");
    for (status, response) in &mut operation.responses.responses {
        if status == "201" || (made && is_alarm && status == "200") {
            tell_header(response, ("Location", Type::String, "Where it is"), true);
        }
        if is_alarm && status.starts_with('2') {
            tell_header(response, REPLAYED, false);
        }
    }
}

/// Which version is told, and which may be said. What has no version of its own has that of its text.
fn tell_versions(method: &str, path: &str, operation: &mut Operation) {
    let (edited, whole_list) = (VERSIONED.contains(&path), WHOLE_LISTS.contains(&path));
    // Where something is made that has a version, that is told at once.
    let of_edited = VERSIONED.iter().any(|one| is_member_of(one, path));
    for (status, response) in &mut operation.responses.responses {
        let is_tagged = match method {
            "get" => status == "200" && !BY_TOKEN.contains(&path) && !is_of_others(path) && !IN_PIECES.contains(&path),
            "post" => (status == "201" && of_edited) || (status == "202" && path == CALENDAR_REFRESHED),
            "put" | "patch" => status.starts_with('2') && edited,
            _ => false,
        };
        if is_tagged {
            tell_header(response, ETAG, true);
        }
    }
    let honours = HONOURED.contains(&(method, path)) || (method == "post" && path == CALENDAR_REFRESHED);
    if honours {
        let adds = method == "post" && !TAKES_AWAY.contains(&path);
        let what = if adds { "The ETag of what was read and is added to, or *" } else { "The ETag of what was read, or *" };
        operation.parameters.get_or_insert_default().push(RefOr::T(header_parameter("If-Match", what, false)));
        let stale = problem("Somebody else has changed it since it was read");
        operation.responses.responses.entry("412".to_owned()).or_insert_with(|| RefOr::T(stale));
    }
    if !edited && (method != "get" || BY_TOKEN.contains(&path) || is_of_others(path) || IN_PIECES.contains(&path)) {
        return;
    }
    let parameters = operation.parameters.get_or_insert_default();
    let mut refuse = |status: &str, description: &str| {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    };
    match method {
        "get" => {
            parameters.push(RefOr::T(header_parameter("If-None-Match", "The ETag that is known already", false)));
            let mut unchanged = RefOr::T(ResponseBuilder::new().description("It is the version that is known already").build());
            tell_header(&mut unchanged, ETAG, true);
            operation.responses.responses.insert("304".to_owned(), unchanged);
        }
        "put" | "patch" | "delete" => {
            let what = if whole_list { "The ETag of the list that was read, or *" } else { "The ETag of what was read, or *" };
            parameters.push(RefOr::T(header_parameter("If-Match", what, whole_list && method == "put")));
            refuse("412", "Somebody else has changed it since it was read");
            if whole_list && method == "put" {
                refuse("428", "If-Match is missing");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_after_what_it_does() {
        for (method, path, is_list, name) in [
            ("get", "/api/v1/alarms", true, "alarms_list"),
            ("post", "/api/v1/alarms", true, "alarms_add"),
            ("get", "/api/v1/alarms/{id}", false, "alarms_show"),
            ("post", "/api/v1/alarms/{id}/cancel", true, "alarms_cancel"),
            ("put", "/api/v1/policy-rules", false, "policy_rules_put"),
            ("get", "/api/v1/policy-rules", false, "policy_rules_read"),
            ("delete", "/api/v1/teams/{team}", false, "teams_remove"),
            ("get", "/api/v1/heartbeat/{token}", false, "heartbeat_show"),
            ("post", "/api/v1/heartbeat/{token}", true, "heartbeat"),
        ] {
            assert_eq!(name_of(method, path, is_list), name);
        }
    }
}
