//! Reads a JSON object of any length in pieces, and holds little of it at a time: its members, and one element of its long list.
//!
//! Alertmanager writes the list of alerts in the middle of its message, and the key of the group after it. So the whole has to be
//! read, and a list of a hundred thousand alerts must not be held. What is split here is read by the ordinary parser, piece by piece.

/// Members that are longer are left out, in bytes.
const LONGEST_MEMBER: usize = 128 * 1024;
/// More members are left out.
const MOST_MEMBERS: usize = 64;
/// The rest of a longer element is left out, in bytes.
const LONGEST_ELEMENT: usize = 256 * 1024;

/// It is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoObject;

/// Splits an object.
#[derive(Debug)]
pub struct Skimmer {
    list: &'static str,
    state: State,
    depth: usize,
    string: Option<Quoted>,
    name: Vec<u8>,
    piece: Vec<u8>,
    too_long: bool,
    members: Vec<(String, String)>,
    elements: usize,
    left_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Name,
    Colon,
    Value,
    Element,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoted {
    Text,
    Escape,
}

impl Skimmer {
    /// `list` is the member that may be a long list.
    #[must_use]
    pub fn new(list: &'static str) -> Self {
        Self {
            list,
            state: State::Before,
            depth: 0,
            string: None,
            name: Vec::new(),
            piece: Vec::new(),
            too_long: false,
            members: Vec::new(),
            elements: 0,
            left_out: false,
        }
    }

    /// The object is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::After
    }

    /// How many elements the list had so far.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Something was too long to be kept.
    #[must_use]
    pub fn left_out(&self) -> bool {
        self.left_out
    }

    /// The value of a member, as JSON.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The object as it is so far, with an empty list.
    #[must_use]
    pub fn object(&self) -> String {
        let members: Vec<String> =
            self.members.iter().map(|(name, value)| format!("{}:{value}", serde_json::Value::String(name.clone()))).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Takes the next piece, and shows each element of the list that is complete.
    ///
    /// # Errors
    /// When it is no object.
    pub fn feed(&mut self, piece: &[u8], element: &mut impl FnMut(&[u8])) -> Result<(), NoObject> {
        for &byte in piece {
            match self.string {
                Some(Quoted::Escape) => {
                    self.string = Some(Quoted::Text);
                    self.keep(byte);
                }
                Some(Quoted::Text) => {
                    match byte {
                        b'\\' => self.string = Some(Quoted::Escape),
                        b'"' => self.string = None,
                        _ => {}
                    }
                    self.keep(byte);
                }
                None => self.outside(byte, element)?,
            }
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        let (into, longest) = match self.state {
            State::Name => (&mut self.name, LONGEST_MEMBER),
            State::Element => (&mut self.piece, LONGEST_ELEMENT),
            _ => (&mut self.piece, LONGEST_MEMBER),
        };
        if into.len() < longest {
            into.push(byte);
        } else {
            self.too_long = true;
        }
    }

    /// A byte that is in no string.
    fn outside(&mut self, byte: u8, element: &mut impl FnMut(&[u8])) -> Result<(), NoObject> {
        let blank = byte.is_ascii_whitespace();
        match self.state {
            State::Before | State::After if blank => {}
            State::Before if byte == b'{' => self.state = State::Name,
            State::Before | State::After => return Err(NoObject),
            State::Name => match byte {
                b'"' if self.name.is_empty() => {
                    self.string = Some(Quoted::Text);
                    self.keep(byte);
                }
                b'}' if self.name.is_empty() && self.members.is_empty() => self.state = State::After,
                b':' if !self.name.is_empty() => self.state = State::Colon,
                _ if blank => {}
                _ => return Err(NoObject),
            },
            State::Colon if blank => {}
            State::Colon if byte == b'[' && self.name.strip_prefix(b"\"").is_some_and(|name| name == self.quoted_list()) => {
                self.state = State::Element;
            }
            State::Colon => {
                self.state = State::Value;
                return self.outside(byte, element);
            }
            State::Value | State::Element => match byte {
                b',' | b'}' | b']' if self.depth == 0 => self.end(byte, element)?,
                _ => {
                    match byte {
                        b'"' => self.string = Some(Quoted::Text),
                        b'{' | b'[' => self.depth += 1,
                        b'}' | b']' => self.depth -= 1,
                        _ => {}
                    }
                    if !(blank && self.piece.is_empty()) {
                        self.keep(byte);
                    }
                }
            },
        }
        Ok(())
    }

    fn quoted_list(&self) -> Vec<u8> {
        [self.list.as_bytes(), b"\""].concat()
    }

    /// A value or an element ends.
    fn end(&mut self, byte: u8, element: &mut impl FnMut(&[u8])) -> Result<(), NoObject> {
        match (self.state, byte) {
            (State::Element, b',' | b']') => {
                if !self.piece.is_empty() {
                    self.elements += 1;
                    element(&self.piece);
                }
                if byte == b']' {
                    self.piece.clear();
                    self.piece.extend_from_slice(b"[]");
                    self.left_out |= self.too_long;
                    self.too_long = false;
                    self.state = State::Value;
                    return Ok(());
                }
            }
            (State::Value, b',' | b'}') => {
                // Whether it is JSON is for the parser to say; without a name there is none.
                let name = serde_json::from_slice::<String>(&self.name).map_err(|_| NoObject)?;
                if !self.too_long && self.members.len() < MOST_MEMBERS {
                    self.members.push((name, String::from_utf8_lossy(&self.piece).into_owned()));
                } else {
                    self.left_out = true;
                }
                self.name.clear();
                self.state = if byte == b',' { State::Name } else { State::After };
            }
            _ => return Err(NoObject),
        }
        self.left_out |= self.too_long;
        self.too_long = false;
        self.piece.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// What is left of a body: the object, and the elements of the list `l`.
    fn skimmed(body: &[u8], at: usize) -> Option<(Value, Vec<Value>)> {
        let (mut skimmer, mut elements) = (Skimmer::new("l"), Vec::new());
        for piece in body.chunks(at.max(1)) {
            skimmer.feed(piece, &mut |element| elements.push(serde_json::from_slice(element).unwrap())).ok()?;
        }
        skimmer.is_complete().then(|| (serde_json::from_str(&skimmer.object()).unwrap(), elements))
    }

    #[test]
    fn members_after_the_list_are_read_as_those_before() {
        let body = br#" { "a" : {"l":[1,{"]":"}"}]} , "l" : [ {"x":["]",{}]}, 3 ,"a,]\"" ] , "b":"}" }  "#;
        let expected = (
            json!({ "a": { "l": [1, { "]": "}" }] }, "l": [], "b": "}" }),
            vec![json!({ "x": ["]", {}] }), json!(3), json!("a,]\"")],
        );
        for at in 1..20 {
            assert_eq!(skimmed(body, at), Some(expected.clone()));
        }
        assert_eq!(skimmed(b"{}", 9), Some((json!({}), vec![])));
        assert_eq!(skimmed(br#"{"l":null,"a":1}"#, 9), Some((json!({ "l": null, "a": 1 }), vec![])));
        for wrong in ["", "[]", "{", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"l":[1}"#, "{1:2}", r#"{"l":[{]}"#] {
            assert_eq!(skimmed(wrong.as_bytes(), 3), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let long = "x".repeat(LONGEST_ELEMENT + 10);
        let body = json!({ "a": long, "l": [long, "short"], "b": 2 }).to_string();
        let (mut skimmer, mut lengths) = (Skimmer::new("l"), Vec::new());
        skimmer.feed(body.as_bytes(), &mut |element| lengths.push(element.len())).unwrap();
        assert_eq!((lengths, skimmer.elements()), (vec![LONGEST_ELEMENT, 7], 2));
        assert_eq!((skimmer.object().as_str(), skimmer.left_out()), (r#"{"b":2,"l":[]}"#, true));
    }

    proptest! {
        #[test]
        fn it_says_what_the_parser_says(list in prop::collection::vec(".{0,9}", 0..5), text in ".{0,9}", at in 1_usize..9) {
            let body = json!({ "k": text, "l": list, "m": { "l": [text] } });
            let (object, elements) = skimmed(body.to_string().as_bytes(), at).unwrap();
            prop_assert_eq!(object, json!({ "k": text, "l": [], "m": { "l": [text] } }));
            prop_assert_eq!(json!(elements), json!(list));
        }

        #[test]
        fn nothing_panics(body in r#"[\{\}\[\]",:\\l1 ]{0,60}"#) {
            let mut skimmer = Skimmer::new("l");
            let _ = skimmer.feed(body.as_bytes(), &mut |_| {});
            let _ = skimmer.object();
        }
    }
}
