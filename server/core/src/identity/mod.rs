//! People whom somebody else knows: what a provider of logins says of them, whether that is for us and of now, and what they may do by it;
//! pure.
//!
//! Who somebody is, is said by two things together: the provider (its issuer, or the proxy in front) and what it calls them there, which it
//! never gives to anybody else. Names and addresses of mail may be given to others, so nobody is known by them.

pub mod claims;
pub mod token;

/// The words of the roles that can be given, from the least to the most.
pub const ROLE_WORDS: [&str; 3] = ["viewer", "responder", "admin"];

/// Reads `value = meaning`, the form in which the configuration says what a word of a provider means here. The last `=` counts: names of
/// groups hold some themselves, such as `CN=Night shift,OU=Groups`.
///
/// # Errors
/// How it should be written.
pub fn meaning(line: &str) -> Result<(String, String), String> {
    let parts = line.rsplit_once('=').map(|(value, meaning)| (value.trim(), meaning.trim()));
    match parts {
        Some((value, meaning)) if !value.is_empty() && !meaning.is_empty() => Ok((value.to_owned(), meaning.to_owned())),
        _ => Err(format!("holds {line:?}; write \"what the provider says = what it means here\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sign_divides() {
        assert_eq!(meaning(" oncall = responder "), Ok(("oncall".to_owned(), "responder".to_owned())));
        assert_eq!(meaning("CN=Ops,OU=x = admin"), Ok(("CN=Ops,OU=x".to_owned(), "admin".to_owned())));
        for wrong in ["", "oncall", "= admin", "oncall =", "="] {
            assert!(meaning(wrong).is_err(), "{wrong:?}");
        }
    }
}
