//! From bytes to text: by a mark at the beginning, else strict UTF-8, else the encoding that programs of a region write. The last is a
//! guess, and said aloud.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1250, WINDOWS_1251,
    WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

use crate::numbers::Region;

/// A text, and what is to be said about how it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Without a mark at its beginning.
    pub text: String,
    /// How it was guessed.
    pub note: Option<String>,
}

/// Reads a file. `wanted` is the name of an encoding that somebody chose, such as `GBK`.
///
/// # Errors
/// When it cannot be read, with what to do.
pub fn decode(bytes: &[u8], wanted: Option<&str>, region: Region) -> Result<Decoded, String> {
    if bytes.len() > super::LARGEST {
        return Err(format!("the file has more than {} MiB", super::LARGEST >> 20));
    }
    if let Some(name) = wanted {
        let encoding = Encoding::for_label(name.trim().as_bytes())
            .ok_or_else(|| format!("{name:?} is no encoding: write such as UTF-8, GBK, Shift_JIS or windows-1252"))?;
        return strictly(bytes, encoding)
            .map(|text| Decoded { text, note: None })
            .ok_or_else(|| format!("the file is not in {}", encoding.name()));
    }
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return strictly(bytes, encoding)
            .map(|text| Decoded { text, note: None })
            .ok_or_else(|| format!("the file says that it is in {}, and is not: save it as UTF-8", encoding.name()));
    }
    // Windows writes UTF-16 without a mark at times; no other text has a zero in every second byte.
    if let Some(encoding) = utf_16(bytes) {
        return strictly(bytes, encoding)
            .map(|text| Decoded { text, note: Some(format!("the file was read as {}", encoding.name())) })
            .ok_or_else(|| "the file is neither UTF-8 nor UTF-16: save it as UTF-8".to_owned());
    }
    if bytes.contains(&0) {
        return Err("this is no text file: save it as CSV, in UTF-8".to_owned());
    }
    if let Some(text) = strictly(bytes, UTF_8) {
        let note = also(bytes, &text, region);
        return Ok(Decoded { text, note });
    }
    for encoding in of_region(region) {
        if let Some(text) = strictly(bytes, encoding) {
            let sample = sample(&text);
            let note = format!(
                "the file is not in UTF-8; it was read as {}, as programs in {region} write it, with words such as {sample:?}. Is that \
                 wrong, name the encoding with --encoding, or save the file as UTF-8",
                encoding.name()
            );
            return Ok(Decoded { text, note: Some(note) });
        }
    }
    let tried: Vec<&str> = of_region(region).iter().map(|own| own.name()).collect();
    Err(format!(
        "the file is neither in UTF-8 nor in {}, which programs in {region} write: name its encoding with --encoding, or save it as UTF-8",
        tried.join(" or ")
    ))
}

/// What is said of the few short texts that are UTF-8 by chance: two Chinese characters may be two of Armenian or Cyrillic ones.
fn also(bytes: &[u8], text: &str, region: Region) -> Option<String> {
    let is_ideograph = |c: char| matches!(c, '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let chars = || text.chars().filter(|c| !c.is_ascii());
    // Latin letters with accents are what they seem; so is everything that begins behind the two-byte characters.
    if !text.chars().any(|c| c >= '\u{370}') || chars().any(|c| c >= '\u{800}') {
        return None;
    }
    let encoding = of_region(region).into_iter().find(|own| !own.is_single_byte())?;
    let other = strictly(bytes, encoding).filter(|other| other.chars().filter(|c| !c.is_ascii()).all(is_ideograph))?;
    Some(format!(
        "the file was read as UTF-8, with words such as {:?}; as {}, it would have {:?}: if that is meant, add --encoding {}",
        sample(text),
        encoding.name(),
        sample(&other),
        encoding.name()
    ))
}

fn strictly(bytes: &[u8], encoding: &'static Encoding) -> Option<String> {
    let (rest, own) = match Encoding::for_bom(bytes) {
        Some((by_mark, length)) if by_mark == encoding => (&bytes[length..], by_mark),
        _ => (bytes, encoding),
    };
    own.decode_without_bom_handling_and_without_replacement(rest).map(std::borrow::Cow::into_owned)
}

/// UTF-16 without a mark: half of its bytes are zero as long as it is about Latin letters, digits and separators.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let zeros = |which: usize| pairs.iter().filter(|pair| pair[which] == 0).count();
    let most = |count: usize| !pairs.is_empty() && rest.is_empty() && count * 4 >= pairs.len();
    match (zeros(0), zeros(1)) {
        (0, low) if most(low) => Some(UTF_16LE),
        (high, 0) if most(high) => Some(UTF_16BE),
        _ => None,
    }
}

/// The first word that is not ASCII: by it people see whether the guess was right.
fn sample(text: &str) -> String {
    let word = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"')).find(|word| !word.is_ascii());
    word.unwrap_or_default().chars().take(20).collect()
}

/// What programs of a region write when they do not write UTF-8.
fn of_region(region: Region) -> Vec<&'static Encoding> {
    match region.as_str() {
        "CN" | "SG" => vec![GB18030],
        "TW" | "HK" | "MO" => vec![BIG5],
        "JP" => vec![SHIFT_JIS, EUC_JP],
        "KR" | "KP" => vec![EUC_KR],
        "TH" => vec![WINDOWS_874],
        "VN" => vec![WINDOWS_1258],
        "RU" | "BY" | "UA" | "BG" | "MK" | "KZ" | "KG" | "TJ" | "MN" => vec![WINDOWS_1251],
        "GR" | "CY" => vec![WINDOWS_1253],
        "TR" | "AZ" => vec![WINDOWS_1254],
        "IL" => vec![WINDOWS_1255],
        "AE" | "BH" | "DZ" | "EG" | "IQ" | "IR" | "JO" | "KW" | "LB" | "LY" | "MA" | "OM" | "PK" | "QA" | "SA" | "SD" | "SY"
        | "TN" | "YE" => vec![WINDOWS_1256],
        "EE" | "LV" | "LT" => vec![WINDOWS_1257],
        "PL" | "CZ" | "SK" | "HU" | "RO" | "SI" | "HR" | "BA" | "RS" | "ME" | "AL" => vec![WINDOWS_1250],
        _ => vec![WINDOWS_1252],
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn read(bytes: &[u8], region: &str) -> Decoded {
        decode(bytes, None, region.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_encoding_that_spreadsheets_write_is_read() {
        assert_eq!(read("\u{feff}张伟".as_bytes(), "CN"), Decoded { text: "张伟".to_owned(), note: None });
        assert_eq!(read("张伟".as_bytes(), "US").note, None);
        for (encoding, region, text) in [
            (GB18030, "CN", "name\n赵六"),
            (SHIFT_JIS, "JP", "name\n花子"),
            (EUC_KR, "KR", "name\n김철수"),
            (BIG5, "TW", "name\n陳大文"),
            (WINDOWS_1252, "DE", "name\nMüller"),
            (WINDOWS_1251, "RU", "name\nИванов"),
        ] {
            let read = read(&encoding.encode(text).0, region);
            assert_eq!(read.text, text);
            assert!(read.note.unwrap().contains(encoding.name()));
        }
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(read(&utf_16("\u{feff}name\n张伟"), "US").text, "name\n张伟");
        assert_eq!(read(&utf_16("name,numbers\n张伟,1"), "US").text, "name,numbers\n张伟,1");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_advice() {
        for (bytes, region) in [(&b"na\xffme"[..], "JP"), (b"PK\x03\x04\0\0\0", "CN"), (b"\xff\xfea", "CN")] {
            assert!(decode(bytes, None, region.parse().unwrap()).unwrap_err().contains("UTF-8"), "{bytes:?}");
        }
        assert_eq!(decode(b"\xd4\xac\xd2\xb0", Some("gbk"), Region::CN).unwrap().text, "袁野");
        assert!(decode(b"", Some("klingon"), Region::CN).is_err());
        // UTF-8 by chance.
        let chance = decode(b"name\n\xd4\xac\xd2\xb0", None, Region::CN).unwrap();
        assert!(chance.note.unwrap().contains("袁野"));
        for text in ["José", "Иван Петров", "张伟"] {
            assert_eq!(decode(text.as_bytes(), None, "DE".parse().unwrap()).unwrap().note, None);
        }
        assert_eq!(decode("José".as_bytes(), None, Region::CN).unwrap().note, None);
    }
}
