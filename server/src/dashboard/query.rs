//! What the address of a page asks for.

/// The value of that name, where the address has it; of several the first.
pub(in crate::dashboard) fn asked(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_as_it_was_meant() {
        let query = "who=%E5%BC%A0+wei&&empty=&who=Bo&=x";
        assert_eq!(asked(query, "who").as_deref(), Some("张 wei"));
        assert_eq!(asked(query, "empty").as_deref(), Some(""));
        assert_eq!(asked(query, "wh"), None);
        assert_eq!(asked("", "who"), None);
    }
}
