//! What the description of the API says of every operation alike: its name, its refusals, and the versions of what it overwrites.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ArrayItems, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

/// What is overwritten as a whole: whoever does says what they have read.
const WHOLE_LISTS: [&str; 2] = ["/api/v1/policy-rules", "/api/v1/quiet-hours"];
/// What has a version; `PUT` and `DELETE` may say which.
const VERSIONED: [&str; 10] = [
    "/api/v1/policies/{name}",
    "/api/v1/heartbeats/{id}",
    "/api/v1/lines/{id}",
    "/api/v1/lines/{id}/bound",
    "/api/v1/sms/gateways/{id}",
    "/api/v1/teams/{team}",
    "/api/v1/schedules/{schedule}",
    "/api/v1/schedules/{schedule}/calendar",
    WHOLE_LISTS[0],
    WHOLE_LISTS[1],
];

/// Completes the description that the handlers give of themselves.
pub fn complete(document: &mut OpenApi) {
    null_is_absent(document);
    if let Some(components) = &mut document.components {
        let as_written = components.schemas.clone();
        for schema in components.schemas.values_mut() {
            if let RefOr::T(Schema::AllOf(_)) = schema
                && let Some(merged) = object(&as_written, schema)
            {
                *schema = RefOr::T(Schema::Object(merged));
            }
        }
    }
    let all: Vec<String> = document.paths.paths.keys().cloned().collect();
    for (path, item) in &mut document.paths.paths {
        let is_list = item.post.is_some() || all.iter().any(|other| is_member_of(other, path));
        for (method, operation) in operations(item) {
            operation.operation_id = Some(name_of(method, path, is_list));
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && response.content.is_empty()
                    && matches!(status.as_str(), "200" | "201" | "202")
                {
                    // What is said in a word or two: an object, whose words are for people.
                    let content = Content::new(Some(ObjectBuilder::new().schema_type(Type::Object)));
                    response.content.insert("application/json".to_owned(), RefOr::T(content));
                }
            }
            operation.responses.responses.entry("default".to_owned()).or_insert_with(|| RefOr::T(problem("Any other refusal")));
            if VERSIONED.contains(&path.as_str()) {
                tell_versions(method, WHOLE_LISTS.contains(&path.as_str()), operation);
            }
        }
    }
}

/// What may be left out of a body may be null as well: see `http::parsed`.
fn null_is_absent(document: &mut OpenApi) {
    let mut open: Vec<RefOr<Schema>> = Vec::new();
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        let Some(RefOr::T(body)) = &operation.request_body else { continue };
        open.extend(body.content.values().filter_map(|content| match content {
            RefOr::T(content) => content.schema.clone(),
            RefOr::Ref(_) => None,
        }));
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

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", item.get.as_mut()),
        ("post", item.post.as_mut()),
        ("put", item.put.as_mut()),
        ("patch", item.patch.as_mut()),
        ("delete", item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
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

/// Which version is told, and which may be said.
fn tell_versions(method: &str, whole_list: bool, operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2') && method != "delete", response) {
            let mut tag = Header::new(ObjectBuilder::new().schema_type(Type::String));
            tag.description = Some("The version: give it back as If-Match to change what you have read".to_owned());
            response.headers.insert("ETag".to_owned(), RefOr::T(tag));
        }
    }
    let parameters = operation.parameters.get_or_insert_default();
    let mut refuse = |status: &str, description: &str| {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    };
    match method {
        "get" => {
            parameters.push(RefOr::T(header_parameter("If-None-Match", "The ETag that is known already", false)));
            let unchanged = ResponseBuilder::new().description("It is the version that is known already").build();
            operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
        }
        "put" | "delete" => {
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
