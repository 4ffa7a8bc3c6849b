//! People as tables and address books have them: our own columns, contacts as Google and Outlook export them, and cards (vCard).

use super::cells;
use super::content_line::{self, Component, Property};
use super::table::{self, Table};

/// Somebody, as a file has them; nothing is checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Where they stand in the file, for whoever is to correct it.
    pub place: String,
    /// Their name.
    pub name: String,
    /// Their numbers, the preferred one first.
    pub numbers: Vec<String>,
    /// The language to address them in; `None` when the file says nothing of it.
    pub language: Option<String>,
    /// Their e-mail addresses; `None` when the file says nothing of them.
    pub emails: Option<Vec<String>>,
}

/// What a file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    /// In the order of the file.
    pub people: Vec<Contact>,
    /// Contacts of an address book that have no number: it is full of these, so they are passed over.
    pub skipped: Vec<String>,
    /// What cannot be read.
    pub problems: Vec<String>,
}

/// Reads people from a table, whoever has written it.
///
/// # Errors
/// When its columns are none that are known.
pub fn of_table(text: &str) -> Result<Contacts, String> {
    let table = table::read(text)?;
    let mut contacts = Contacts::default();
    let read = if table.column("name").is_some() && table.column("numbers").is_some() {
        own_columns(&table)?
    } else if table.columns.iter().any(|name| google_phone(name)) {
        google
    } else if table.columns.iter().any(|name| outlook_phone(name)) {
        outlook
    } else {
        return Err(format!(
            "its first line must name the columns name and numbers and, if wanted, language and email (or be that of contacts exported \
             from Google or Outlook); it has {}",
            table.columns.join(", ")
        ));
    };
    contacts.problems = table.problems.iter().map(|(line, why)| format!("line {line}: {why}")).collect();
    let is_own = table.column("numbers").is_some();
    for row in &table.rows {
        let contact = Contact { place: format!("line {}", row.line), ..read(&table, &row.fields) };
        keep(&mut contacts, contact, is_own);
    }
    Ok(contacts)
}

/// What of a file becomes a person: contacts of an address book only with a number.
fn keep(contacts: &mut Contacts, contact: Contact, is_own: bool) {
    if is_own || !contact.numbers.is_empty() {
        contacts.people.push(contact);
    } else if !contact.name.is_empty() {
        contacts.skipped.push(format!("{}: {} has no number", contact.place, contact.name));
    }
}

type Read = fn(&Table, &[String]) -> Contact;

/// Our own columns, and no other: a misspelt one would lose what it holds.
fn own_columns(table: &Table) -> Result<Read, String> {
    const KNOWN: [&str; 5] = ["name", "numbers", "language", "email", "emails"];
    match table.columns.iter().find(|name| !KNOWN.contains(&name.as_str()) && !name.is_empty()) {
        Some(other) => Err(format!("there is no column {other:?}: there are name, numbers, language and email")),
        None => Ok(own),
    }
}

fn own(table: &Table, fields: &[String]) -> Contact {
    let field = |name: &str| table.column(name).and_then(|place| fields.get(place)).map(String::as_str);
    Contact {
        name: field("name").unwrap_or_default().to_owned(),
        numbers: several(field("numbers").unwrap_or_default(), &[";", ",", "|"]),
        language: field("language").map(str::to_owned),
        emails: field("email").or_else(|| field("emails")).map(|text| several(text, &[";", ",", "|", " "])),
        ..Contact::default()
    }
}

fn google_phone(column: &str) -> bool {
    column.starts_with("phone ") && column.ends_with(" - value")
}

/// `Phone 1 - Type` (`- Label` in newer files), `Phone 1 - Value`; several numbers of one kind stand in one field.
fn google(table: &Table, fields: &[String]) -> Contact {
    let field = |name: &str| table.column(name).and_then(|place| fields.get(place)).map_or("", String::as_str);
    let parts = ["first name", "middle name", "last name"].map(field);
    let older = ["given name", "additional name", "family name"].map(field);
    let mut numbers: Vec<(u8, String)> = Vec::new();
    let mut emails = Vec::new();
    for (place, name) in table.columns.iter().enumerate() {
        let value = fields.get(place).map_or("", String::as_str);
        let kind = |what: &str| field(&name.replace(" - value", what)).to_lowercase();
        if google_phone(name) {
            let kind = [kind(" - type"), kind(" - label")].concat();
            numbers
                .extend(several(value, &[":::"]).into_iter().filter(|_| !is_no_phone(&kind)).map(|number| (rank(&kind), number)));
        } else if name.starts_with("e-mail ") && name.ends_with(" - value") {
            emails.extend(several(value, &[":::"]));
        }
    }
    let name = [field("name").to_owned(), joined(&parts), joined(&older)].into_iter().find(|name| !name.is_empty());
    Contact { name: name.unwrap_or_default(), numbers: in_order(numbers), emails: Some(emails), ..Contact::default() }
}

fn outlook_phone(column: &str) -> bool {
    let own = column.trim_end_matches([' ', '2']);
    own.ends_with(" phone") && !is_no_phone(own)
}

/// `First Name`, `Last Name`, `Mobile Phone`, `Business Phone 2`, `E-mail Address`.
fn outlook(table: &Table, fields: &[String]) -> Contact {
    let field = |name: &str| table.column(name).and_then(|place| fields.get(place)).map_or("", String::as_str);
    let name = joined(&["first name", "middle name", "last name"].map(field));
    let value = |place: usize| fields.get(place).filter(|own| !own.is_empty());
    let columns = || table.columns.iter().enumerate();
    let numbers = columns().filter(|(_, name)| outlook_phone(name));
    let numbers = numbers.filter_map(|(place, name)| value(place).map(|number| (rank(name), cells::number(number))));
    let emails = columns().filter(|(_, name)| name.starts_with("e-mail") && name.ends_with("address"));
    Contact {
        name: if name.is_empty() { field("display name").to_owned() } else { name },
        numbers: in_order(numbers.collect()),
        emails: Some(emails.filter_map(|(place, _)| value(place).cloned()).collect()),
        ..Contact::default()
    }
}

/// Reads people from cards: vCard 3 and 4, and what Android writes of version 2.1.
///
/// # Errors
/// When there is no card, or one does not end.
pub fn of_cards(text: &str) -> Result<Contacts, String> {
    // Version 2.1 breaks quoted-printable values in its own way.
    let text = text.replace("=\r\n", "").replace("=\n", "");
    let cards = content_line::read(&text).map_err(|why| format!("these are no address cards: {why}"))?;
    let mut contacts = Contacts::default();
    for (number, card) in (1..).zip(cards.iter().filter(|own| own.name == "VCARD")) {
        let contact = Contact { place: format!("card {number}"), ..of_card(card) };
        keep(&mut contacts, contact, false);
    }
    if contacts.people.is_empty() && contacts.skipped.is_empty() {
        return Err("these are no address cards: there is no BEGIN:VCARD".to_owned());
    }
    Ok(contacts)
}

fn of_card(card: &Component) -> Contact {
    let formatted = card.property("FN").map(text_of).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let structured = || {
        // Family name; given name; others.
        let parts: Vec<String> = card.property("N").map(|own| split_text(&own.value)).unwrap_or_default();
        let part = |place: usize| parts.get(place).map_or("", String::as_str).trim();
        joined(&[part(1), part(2), part(0)])
    };
    let mut numbers: Vec<(u8, String)> = Vec::new();
    for line in card.all("TEL") {
        let mut kinds: String =
            line.parameters.iter().filter(|(name, _)| name == "TYPE").map(|(_, own)| own.to_lowercase() + ",").collect();
        let label =
            card.properties.iter().find(|own| own.name == "X-ABLABEL" && !own.group.is_empty() && own.group == line.group);
        kinds.extend(label.map(|own| own.value.to_lowercase()));
        if is_no_phone(&kinds) {
            continue;
        }
        let is_preferred = kinds.split(',').any(|own| own == "pref") || line.parameter("PREF") == Some("1");
        // A URI may say more: tel:+86-187;phone-context=…
        let value = text_of(line);
        numbers.push((if is_preferred { 0 } else { rank(&kinds) }, cells::number(&value)));
    }
    let emails = card.all("EMAIL").map(text_of).map(|own| own.trim().trim_start_matches("mailto:").to_owned());
    Contact {
        name: formatted.unwrap_or_else(structured),
        numbers: in_order(numbers),
        emails: Some(emails.filter(|own| !own.is_empty()).collect()),
        ..Contact::default()
    }
}

/// The text of a line of a card, also where it is written in quoted-printable.
fn text_of(line: &Property) -> String {
    let is_quoted = line
        .parameters
        .iter()
        .any(|(name, value)| (name == "ENCODING" || name == "TYPE") && value.eq_ignore_ascii_case("QUOTED-PRINTABLE"));
    if !is_quoted {
        return line.text();
    }
    let mut bytes = Vec::with_capacity(line.value.len());
    let mut rest = line.value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|own| std::str::from_utf8(own).ok());
        match digits.filter(|_| *first == b'=').and_then(|own| u8::from_str_radix(own, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The parts of a structured text.
fn split_text(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in value.chars() {
        match c {
            ';' if !escaped => parts.push(String::new()),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
        escaped = false;
    }
    parts
}

/// Lines that no call goes to.
fn is_no_phone(kind: &str) -> bool {
    ["fax", "pager", "telex", "tty", "isdn"].iter().any(|own| kind.contains(own))
}

/// Which number is rung first.
fn rank(kind: &str) -> u8 {
    let is = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    match () {
        () if is(&["primary", "pref"]) => 0,
        () if is(&["mobile", "cell", "iphone", "handy", "móvil", "手机", "携帯"]) => 1,
        () => 2,
    }
}

fn in_order(mut numbers: Vec<(u8, String)>) -> Vec<String> {
    numbers.retain(|(_, number)| !number.is_empty());
    numbers.sort_by_key(|(rank, _)| *rank);
    let mut once: Vec<String> = Vec::new();
    for (_, number) in numbers {
        if !once.contains(&number) {
            once.push(number);
        }
    }
    once
}

fn joined(parts: &[&str]) -> String {
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn several(text: &str, marks: &[&str]) -> Vec<String> {
    let one = marks.iter().fold(text.to_owned(), |text, mark| text.replace(mark, "\n"));
    one.lines().map(cells::number).filter(|own| !own.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn shown(contacts: &Contacts) -> Vec<String> {
        contacts.people.iter().map(|own| format!("{}: {} {}", own.place, own.name, own.numbers.join("/"))).collect()
    }

    #[test]
    fn our_own_columns() {
        let contacts = of_table("Name;Numbers;Language;E-Mail\n").unwrap_err();
        assert!(contacts.contains("e-mail"), "{contacts}");
        let contacts = of_table("Name,Numbers,Email\n\"Doe, Jane\",tel:1870;'1880,jane@example.com\n").unwrap();
        assert_eq!(shown(&contacts), ["line 2: Doe, Jane 1870/1880"]);
        assert_eq!((contacts.people[0].emails.as_ref().unwrap().len(), &contacts.people[0].language), (1, &None));
        assert!(of_table("name,phone\nA,1\n").is_err());
    }

    #[test]
    fn contacts_of_google_and_outlook() {
        let older = "Name,Given Name,Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value,E-mail 1 - Value\nA B,A,Work,1234 ::: 1235,Mobile,1870,a@example.com\nC,C,,,Work Fax,99,\n";
        let contacts = of_table(older).unwrap();
        assert_eq!(shown(&contacts), ["line 2: A B 1870/1234/1235"]);
        assert_eq!(contacts.skipped, ["line 3: C has no number"]);
        let newer = "First Name,Last Name,Phone 1 - Label,Phone 1 - Value\nA,B,Mobile,1870\n";
        assert_eq!(shown(&of_table(newer).unwrap()), ["line 2: A B 1870"]);
        let outlook = "First Name,Last Name,Business Fax,Business Phone,Business Phone 2,Mobile Phone,E-mail Address\nA,B,1,2000,2001,1870,a@example.com\n";
        assert_eq!(shown(&of_table(outlook).unwrap()), ["line 2: A B 1870/2000/2001"]);
    }

    #[test]
    fn cards_of_every_version() {
        let cards = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Jane Doe\r\nTEL;TYPE=WORK:2000\r\nTEL;TYPE=CELL:1870\r\nTEL;TYPE=FAX:9\r\nEMAIL:jane@example.com\r\nEND:VCARD\r\n\
            BEGIN:VCARD\r\nVERSION:4.0\r\nN:Doe;John;;;\r\nTEL;VALUE=uri;PREF=1:tel:+86-188\r\nTEL:2000\r\nEND:VCARD\r\n\
            BEGIN:VCARD\r\nVERSION:2.1\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E5=BC=A0=\r\n=E4=BC=9F\r\nTEL;CELL:189\r\nEND:VCARD\r\n\
            BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Office\r\nEND:VCARD\r\n";
        let contacts = of_cards(cards).unwrap();
        assert_eq!(shown(&contacts), ["card 1: Jane Doe 1870/2000", "card 2: John Doe +86-188/2000", "card 3: 张伟 189"]);
        assert_eq!(contacts.skipped, ["card 4: Office has no number"]);
        assert!(of_cards("hello").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = (of_table(&text), of_table(&format!("name,numbers\n{text}")), of_cards(&format!("BEGIN:VCARD\n{text}\nEND:VCARD")));
        }
    }
}
