//! Requests as texts: arrays of both dialects, their wrapper, and RPC objects, taken apart.

use serde_json::Value;

use super::reply::{Id, LONGEST_ID, Refusal};
use super::{Creator, Dialect, Flow, Params, Prefix};

/// No request is longer, in bytes.
pub const LONGEST: usize = 32 * 1024;

/// Where a request came in: that says what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// `/cti/flows/{project}/{flow}`: a create array.
    Flow {
        /// The project.
        project: &'a str,
        /// The flow.
        flow: &'a str,
    },
    /// `/cti/notify/{res_id}`: an operate array.
    Notify {
        /// The resource.
        res_id: &'a str,
    },
    /// `/cti/rpc` and sockets: anything.
    Any,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How it speaks.
    pub dialect: Dialect,
    /// Who asks, in dialect B: unit and client.
    pub caller: Option<(i64, i64)>,
    /// Its id.
    pub id: Id,
    /// What it asks.
    pub what: What,
    /// It is a JSON-RPC object, and is answered as such.
    pub jsonrpc: bool,
    /// What stood before its method; where it names none, what its dialect implies.
    pub prefix: Prefix,
}

impl Request {
    /// How events of what it creates are told.
    #[must_use]
    pub fn creator(&self) -> Creator {
        Creator { dialect: self.dialect, prefix: self.prefix }
    }
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// To create.
    Create {
        /// What.
        flow: Flow,
        /// Its arguments.
        params: Params,
    },
    /// To do something with a resource.
    Operate {
        /// Which.
        res_id: String,
        /// What: without `ivr.` and `sys.`
        method: String,
        /// Its arguments.
        params: Params,
    },
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// Events up to this number have been read: `{"op":"ack","n":N}`. Nobody answers it.
    Ack(i64),
}

/// Why a text is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its id, where one could be read.
    pub id: Option<Id>,
    /// It is a JSON-RPC object, and is answered as such.
    pub jsonrpc: bool,
    /// It is no JSON at all, or too long: HTTP answers 400. Otherwise the reply alone says what is wrong.
    pub unreadable: bool,
    /// Why.
    pub refusal: Refusal,
}

/// Reads a message. It never looks at what the arguments mean.
pub fn read(body: &[u8], address: Address<'_>) -> Result<Message, Malformed> {
    let unreadable = |why: String| Malformed { id: None, jsonrpc: false, unreadable: true, refusal: Refusal::bad(why) };
    if body.len() > LONGEST {
        return Err(unreadable(format!("the request has {} bytes, and {LONGEST} are allowed", body.len())));
    }
    let text = std::str::from_utf8(body).map_err(|_| unreadable("the request is not UTF-8".to_owned()))?;
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(wrong) => serde_json::from_str(&mended(text)).map_err(|_| unreadable(format!("the request is not JSON: {wrong}")))?,
    };
    // Neither text nor database has room for it.
    let in_address = matches!(address, Address::Notify { res_id } if res_id.contains('\0'));
    if in_address || has_nul(&value) {
        return Err(unreadable("the request holds the character U+0000, which is in no text".to_owned()));
    }
    match (value, address) {
        (Value::Array(array), address) => from_array(&array, address).map(Message::Request),
        (Value::Object(object), Address::Any) if object.contains_key("op") => from_wrapper(&object),
        (Value::Object(object), Address::Any) => from_object(&object).map(Message::Request),
        (Value::Object(object), _) => Err(wrong_shape(
            object.get("id").and_then(|id| read_id(id, true)),
            "this address takes an array: [id, …], or [[unit, client], id, …]",
        )),
        (_, _) => Err(wrong_shape(None, "a request is an array or an object")),
    }
}

/// Whether a text or a name in it holds U+0000. Its depth is bounded: so far the parser reads.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn wrong_shape(id: Option<Id>, why: impl Into<String>) -> Malformed {
    Malformed { id, jsonrpc: false, unreadable: false, refusal: Refusal::bad(why) }
}

/// The two slips of the document, and no other: a comma before a closing bracket, and none between the name of a method and its arguments.
fn mended(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + 8);
    let mut open: Vec<char> = Vec::new();
    // Where the last comma is, if nothing but blanks has followed it, and whether something can be left before it.
    let mut comma: Option<usize> = None;
    let mut last = ' ';
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                whole.push('"');
                let mut escaped = false;
                for inner in letters.by_ref() {
                    whole.push(inner);
                    match inner {
                        '"' if !escaped => break,
                        '\\' => escaped = !escaped,
                        _ => escaped = false,
                    }
                }
            }
            '{' if last == '"' && matches!(open.as_slice(), ['['] | ['{', '[']) => {
                whole.push_str(",{");
                open.push('{');
            }
            '[' | '{' => {
                whole.push(letter);
                open.push(letter);
            }
            ']' | '}' => {
                if let Some(place) = comma {
                    whole.remove(place);
                }
                whole.push(letter);
                open.pop();
            }
            _ => whole.push(letter),
        }
        if !letter.is_ascii_whitespace() {
            let closes_nothing = matches!(last, '[' | '{' | ',' | ' ');
            comma = (letter == ',' && !closes_nothing).then(|| whole.len() - 1);
            last = letter;
        }
    }
    whole
}

fn read_id(value: &Value, number: bool) -> Option<Id> {
    match value {
        Value::String(text) => (!text.is_empty() && text.chars().count() <= LONGEST_ID).then(|| Id::Text(text.clone())),
        Value::Number(value) if number => value.as_i64().map(Id::Number),
        _ => None,
    }
}

fn read_caller(value: &Value) -> Option<(i64, i64)> {
    match value.as_array().map(Vec::as_slice) {
        Some([unit, client]) => Some((unit.as_i64()?, client.as_i64()?)),
        _ => None,
    }
}

/// `[id, params]`, `[id, method, params]`, and both with `[unit, client]` before.
fn from_array(array: &[Value], address: Address<'_>) -> Result<Request, Malformed> {
    let (dialect, caller, rest) = match array {
        [first @ Value::Array(_), rest @ ..] => (Dialect::B, Some(first), rest),
        rest => (Dialect::A, None, rest),
    };
    let Some((id, rest)) = rest.split_first() else {
        return Err(wrong_shape(None, "the array is empty: it has to begin with an id, or with [unit, client] and an id"));
    };
    let Some(id) = read_id(id, false) else {
        return Err(wrong_shape(None, format!("the id has to be a text of 1 to {LONGEST_ID} letters")));
    };
    let wrong = |why: &str| wrong_shape(Some(id.clone()), why);
    let caller = match caller {
        Some(caller) => Some(read_caller(caller).ok_or_else(|| wrong("who asks has to be two whole numbers: [unit, client]"))?),
        None => None,
    };
    let (prefix, what) = match (address, rest) {
        (Address::Flow { project, flow }, [Value::Object(params)]) => {
            let flow = Flow::of(project, flow).ok_or_else(|| unknown_flow(Some(id.clone()), project, flow))?;
            (Prefix::of(dialect), What::Create { flow, params: params.clone() })
        }
        (Address::Flow { .. }, _) => {
            return Err(wrong("what creates has to be [id, {…}], or [[unit, client], id, {…}]"));
        }
        (Address::Notify { res_id }, [Value::String(method), params @ (Value::Object(_) | Value::Null)]) => {
            operate(dialect, res_id.to_owned(), method, params)
        }
        (Address::Notify { .. }, _) => {
            return Err(wrong("what operates has to be [id, \"method\", {…}], or [[unit, client], id, \"method\", {…}]"));
        }
        (Address::Any, [Value::String(method), params @ Value::Object(named)]) => {
            let Some(res_id) = named.get("res_id").and_then(Value::as_str) else {
                return Err(wrong("which resource? Here an array has to name it among its arguments, as res_id"));
            };
            operate(dialect, res_id.to_owned(), method, params)
        }
        (Address::Any, [Value::Object(_)]) => {
            return Err(wrong(
                "which flow? Here an array has to stand in {\"op\": \"create\", \"project\": …, \"flow\": …, \"args\": […]}",
            ));
        }
        (Address::Any, _) => return Err(wrong("an array is [id, \"method\", {…}], or [[unit, client], id, \"method\", {…}]")),
    };
    Ok(Request { dialect, caller, id, what, jsonrpc: false, prefix })
}

fn operate(dialect: Dialect, res_id: String, method: &str, params: &Value) -> (Prefix, What) {
    let (spoken, method) = Prefix::strip(method);
    let prefix = if spoken == Prefix::None { Prefix::of(dialect) } else { spoken };
    let params = params.as_object().cloned().unwrap_or_default();
    (prefix, What::Operate { res_id, method: method.to_owned(), params })
}

fn unknown_flow(id: Option<Id>, project: &str, flow: &str) -> Malformed {
    let refusal = Refusal::new(super::reply::NOT_FOUND, format!("there is no flow {flow:?} of a project {project:?}"));
    Malformed { id, jsonrpc: false, unreadable: false, refusal }
}

/// `{"op": "create", "project", "flow", …}` and `{"op": "operate", "res_id", …}`: with the array as `args`, or with its elements by name.
fn from_wrapper(object: &Params) -> Result<Message, Malformed> {
    let id = object.get("id").and_then(|id| read_id(id, true));
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let wrong = |why: &str| wrong_shape(id.clone(), why);
    let args = object.get("args").or_else(|| object.get("params")).and_then(Value::as_array);
    match text("op") {
        Some("ack") => match object.get("n").and_then(Value::as_i64) {
            Some(number) => Ok(Message::Ack(number)),
            None => Err(wrong("an ack has to name the number of an event: {\"op\": \"ack\", \"n\": …}")),
        },
        Some("create") => {
            let flow = text("flow").ok_or_else(|| wrong("flow has to be a text, such as \"call\""))?;
            let project = text("project").unwrap_or(if Flow::of("ext", flow).is_some() { "ext" } else { "sys" });
            if let Some(array) = args {
                return from_array(array, Address::Flow { project, flow }).map(Message::Request);
            }
            let (dialect, caller, id, params) = by_name(object)?;
            let flow = Flow::of(project, flow).ok_or_else(|| unknown_flow(Some(id.clone()), project, flow))?;
            let what = What::Create { flow, params };
            Ok(Message::Request(Request { dialect, caller, id, what, jsonrpc: false, prefix: Prefix::of(dialect) }))
        }
        Some("operate") => {
            let named = |params: &Params| params.get("res_id").and_then(Value::as_str).map(str::to_owned);
            let nameless = || wrong("res_id has to be a text: the resource that is meant");
            if let Some(array) = args {
                let inside = || array.last().and_then(Value::as_object).and_then(named);
                let res_id = text("res_id").map(str::to_owned).or_else(inside).ok_or_else(nameless)?;
                return from_array(array, Address::Notify { res_id: &res_id }).map(Message::Request);
            }
            let (dialect, caller, id, params) = by_name(object)?;
            let res_id = text("res_id").map(str::to_owned).or_else(|| named(&params)).ok_or_else(nameless)?;
            let method = text("method").ok_or_else(|| wrong("method has to be a text, such as \"sys.call.drop\""))?;
            let (prefix, what) = operate(dialect, res_id, method, &Value::Object(params));
            Ok(Message::Request(Request { dialect, caller, id, what, jsonrpc: false, prefix }))
        }
        _ => Err(wrong("op has to be \"create\", \"operate\" or \"ack\"")),
    }
}

/// What a wrapper or an object says beside its method: its dialect, who asks, its id, and the arguments.
type ByName = (Dialect, Option<(i64, i64)>, Id, Params);

fn by_name(object: &Params) -> Result<ByName, Malformed> {
    let Some(id) = object.get("id").and_then(|id| read_id(id, true)) else {
        return Err(wrong_shape(None, format!("the id has to be a text of 1 to {LONGEST_ID} letters, or a whole number")));
    };
    let params = match object.get("params") {
        None | Some(Value::Null) => Params::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(_) => return Err(wrong_shape(Some(id), "params has to be an object of named arguments")),
    };
    let caller = match object.get("caller") {
        None | Some(Value::Null) => None,
        Some(caller) => Some(
            read_caller(caller)
                .ok_or_else(|| wrong_shape(Some(id.clone()), "caller has to be two whole numbers: [unit, client]"))?,
        ),
    };
    let dialect = match object.get("dialect").and_then(Value::as_str) {
        Some("A" | "a") => Dialect::A,
        _ => Dialect::B,
    };
    Ok((dialect, caller, id, params))
}

/// `{"id", "method", "params"}`, which may be JSON-RPC.
fn from_object(object: &Params) -> Result<Request, Malformed> {
    let jsonrpc = object.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    rpc(object, jsonrpc).map_err(|malformed| Malformed { jsonrpc, ..malformed })
}

fn rpc(object: &Params, jsonrpc: bool) -> Result<Request, Malformed> {
    let (dialect, caller, id, params) = by_name(object)?;
    let wrong = |why: &str| wrong_shape(Some(id.clone()), why);
    let method = object.get("method").and_then(Value::as_str);
    let method = method.ok_or_else(|| wrong("method has to be a text, such as \"sys.call.construct\""))?;
    let (prefix, method) = Prefix::strip(method);
    let dialect = if prefix == Prefix::Ivr { Dialect::A } else { dialect };
    let what = match method.strip_suffix(".construct") {
        Some(kind) => {
            let (project, flow) = kind.split_once('.').unwrap_or(("sys", kind));
            let flow = Flow::of(project, flow).ok_or_else(|| unknown_flow(Some(id.clone()), project, flow))?;
            What::Create { flow, params }
        }
        None => {
            let res_id = params.get("res_id").and_then(Value::as_str).map(str::to_owned);
            let res_id = res_id.ok_or_else(|| wrong("params has to name the resource that is meant, as res_id"))?;
            What::Operate { res_id, method: method.to_owned(), params }
        }
    };
    Ok(Request { dialect, caller, id, what, jsonrpc, prefix })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn request(body: &str, address: Address<'_>) -> Request {
        match read(body.as_bytes(), address) {
            Ok(Message::Request(request)) => request,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn refused(body: &str, address: Address<'_>) -> Malformed {
        let malformed = read(body.as_bytes(), address).unwrap_err();
        assert!(!malformed.refusal.message.is_empty());
        malformed
    }

    const CALL: Address<'static> = Address::Flow { project: "sys", flow: "call" };

    /// As the document prints it, with the comma too many.
    #[test]
    fn the_documents_create_is_read() {
        let body = "[ \
        \"b07ee20a378111e6a2c768f7288d9a79\", \
        { \
          \"from_uri\": \"123\", \
          \"to_uri\": \"456\", \
        } \
    ]";
        let request = request(body, CALL);
        assert_eq!((request.dialect, request.caller, request.prefix), (Dialect::A, None, Prefix::Ivr));
        assert_eq!(request.id, Id::Text("b07ee20a378111e6a2c768f7288d9a79".into()));
        let params = json!({"from_uri": "123", "to_uri": "456"}).as_object().unwrap().clone();
        assert_eq!(request.what, What::Create { flow: Flow::Call, params });
    }

    /// As the document prints it, with the comma too few.
    #[test]
    fn the_documents_drop_is_read() {
        let body = "[ \
        \"52008e82378211e6ba3668f7288d9a79\", \
        \"ivr.call.drop\" \
        { \
          \"cause\": 200 \
        } \
    ]";
        let request = request(body, Address::Notify { res_id: "0-0-call-23479873432234" });
        let params = json!({"cause": 200}).as_object().unwrap().clone();
        let res_id = "0-0-call-23479873432234".to_owned();
        assert_eq!(request.what, What::Operate { res_id, method: "call.drop".into(), params });
        assert_eq!((request.dialect, request.prefix), (Dialect::A, Prefix::Ivr));
    }

    #[test]
    fn the_later_dialect_says_who_asks() {
        let created = request(r#"[[1, 2], "u", {"to_uri": "4"}]"#, Address::Flow { project: "ext", flow: "notify_call" });
        assert_eq!((created.dialect, created.caller, created.prefix), (Dialect::B, Some((1, 2)), Prefix::Sys));
        assert!(matches!(created.what, What::Create { flow: Flow::NotifyCall, .. }));
        let operated = request(r#"[[1, 2], "u", "call.play_stop", null]"#, Address::Notify { res_id: "r" });
        let What::Operate { method, params, .. } = operated.what else { panic!() };
        assert_eq!((method.as_str(), params.len(), operated.prefix), ("call.play_stop", 0, Prefix::Sys));
    }

    #[test]
    fn objects_and_wrappers_are_read() {
        let made = request(r#"{"id": "u", "method": "sys.call.construct", "params": {"to_uri": "4"}}"#, Address::Any);
        assert_eq!((made.dialect, made.prefix, made.jsonrpc), (Dialect::B, Prefix::Sys, false));
        assert!(matches!(made.what, What::Create { flow: Flow::Call, .. }));
        let made = request(r#"{"jsonrpc": "2.0", "id": 7, "method": "ext.duo_callback.construct"}"#, Address::Any);
        assert_eq!((made.id, made.jsonrpc, made.prefix), (Id::Number(7), true, Prefix::None));
        assert!(matches!(made.what, What::Create { flow: Flow::DuoCallback, .. }));
        let spoken = request(r#"{"id": "u", "method": "ivr.conf.construct", "params": null}"#, Address::Any);
        assert_eq!((spoken.dialect, spoken.prefix), (Dialect::A, Prefix::Ivr));
        let dropped = request(r#"{"id": "u", "method": "call.drop", "params": {"res_id": "r", "cause": 200}}"#, Address::Any);
        assert!(matches!(dropped.what, What::Operate { ref res_id, .. } if res_id == "r"));
        for wrapped in [
            r#"{"op": "create", "project": "sys", "flow": "call", "args": ["u", {"to_uri": "4",}]}"#,
            r#"{"op": "create", "flow": "call", "args": [[1, 2], "u", {"to_uri": "4"}]}"#,
            r#"{"op": "create", "flow": "call", "id": "u", "params": {"to_uri": "4"}}"#,
        ] {
            assert!(matches!(request(wrapped, Address::Any).what, What::Create { flow: Flow::Call, .. }), "{wrapped}");
        }
        for wrapped in [
            r#"{"op": "operate", "res_id": "r", "args": ["u", "ivr.call.drop" {"cause": 200}]}"#,
            r#"{"op": "operate", "args": ["u", "ivr.call.drop", {"res_id": "r"}]}"#,
            r#"{"op": "operate", "res_id": "r", "id": "u", "method": "sys.call.drop"}"#,
            r#"["u", "ivr.call.drop", {"res_id": "r"}]"#,
            r#"[[1, 2], "u", "sys.call.drop", {"res_id": "r"}]"#,
        ] {
            let What::Operate { res_id, method, .. } = request(wrapped, Address::Any).what else { panic!("{wrapped}") };
            assert_eq!((res_id.as_str(), method.as_str()), ("r", "call.drop"), "{wrapped}");
        }
        assert_eq!(read(br#"{"op": "ack", "n": 9}"#, Address::Any).unwrap(), Message::Ack(9));
    }

    #[test]
    fn what_is_no_json_has_no_id() {
        let deep = "[".repeat(10_000);
        let nested = format!("{}{}", "[".repeat(300), "]".repeat(300));
        let long = format!("[\"u\", {{\"a\": \"{}\"}}]", "x".repeat(LONGEST));
        for body in
            ["", "{", "[\"u\", {]", "[,]", "{,}", "[1,,]", "[\"a\" \"b\"]", "{\"a\" {}}", "[\"u\" [1]]", &deep, &nested, &long]
        {
            let malformed = refused(body, Address::Any);
            assert!(malformed.unreadable && malformed.id.is_none(), "{body:.40}");
        }
        assert!(read(b"[\"\xff\", {}]", CALL).unwrap_err().unreadable);
    }

    #[test]
    fn what_is_json_and_no_request_is_told_with_its_id() {
        let u = Some(Id::Text("u".into()));
        for (body, address, id) in [
            ("7", Address::Any, None),
            ("[]", CALL, None),
            ("[7, {}]", CALL, None),
            ("[\"\", {}]", CALL, None),
            ("[[1, 2]]", CALL, None),
            ("[\"u\"]", CALL, u.clone()),
            ("[\"u\", null]", CALL, u.clone()),
            ("[\"u\", {}, {}]", CALL, u.clone()),
            ("[[1], \"u\", {}]", CALL, u.clone()),
            ("[[1, \"2\"], \"u\", {}]", CALL, u.clone()),
            ("[\"u\", \"call.drop\"]", Address::Notify { res_id: "r" }, u.clone()),
            ("[\"u\", 7, {}]", Address::Notify { res_id: "r" }, u.clone()),
            ("[\"u\", {}]", Address::Any, u.clone()),
            ("[\"u\", \"call.drop\", {}]", Address::Any, u.clone()),
            ("{\"id\": \"u\"}", CALL, u.clone()),
            ("{\"id\": \"u\"}", Address::Any, u.clone()),
            ("{\"method\": \"call.drop\"}", Address::Any, None),
            ("{\"id\": \"u\", \"method\": \"call.drop\"}", Address::Any, u.clone()),
            ("{\"id\": \"u\", \"method\": \"call.drop\", \"params\": [1]}", Address::Any, u.clone()),
            ("{\"op\": \"dance\", \"id\": \"u\"}", Address::Any, u.clone()),
            ("{\"op\": \"create\", \"id\": \"u\"}", Address::Any, u.clone()),
            ("{\"op\": \"ack\"}", Address::Any, None),
        ] {
            let malformed = refused(body, address);
            assert_eq!((malformed.id, malformed.unreadable, malformed.refusal.code), (id, false, 400), "{body}");
        }
        let unknown = refused("[\"u\", {}]", Address::Flow { project: "sys", flow: "fax" });
        assert_eq!((unknown.refusal.code, unknown.id), (404, u.clone()));
        let unknown = refused(r#"{"jsonrpc": "2.0", "id": "u", "method": "sys.fax.construct"}"#, Address::Any);
        assert_eq!((unknown.refusal.code, unknown.jsonrpc), (404, true));
    }

    #[test]
    fn only_the_two_slips_are_mended() {
        assert_eq!(mended(r#"["a" {"b": [1, 2,], },]"#), r#"["a" ,{"b": [1, 2] }]"#);
        // Within a text nothing is changed, and deeper nothing is put in.
        for same in [r#"["a,]", "\",}"]"#, r#"[["a" {}]]"#, "[,]", "[1,,]", r#"{"a" {}}"#] {
            assert_eq!(mended(same), same);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in r#"[\[\]{},:"\\a1 é]{0,60}"#, place in 0_u8..3) {
            let address = [Address::Any, CALL, Address::Notify { res_id: "r" }][usize::from(place)];
            if let Err(malformed) = read(text.as_bytes(), address) {
                prop_assert!(!malformed.refusal.message.is_empty());
            }
        }

        /// What is JSON already is not touched by the mending, but for blanks.
        #[test]
        fn what_is_whole_stays_whole(id in "[a-z]{1,9}", text in ".{0,30}", number: i32) {
            let value = json!([id, {"a": text, "b": [number, {"c": []}]}]);
            let written = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&mended(&written)).unwrap(), value);
        }
    }
}
