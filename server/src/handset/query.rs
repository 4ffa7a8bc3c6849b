//! The query of a handset's request, read as phones really write it.
//!
//! The app appends `?resp=…&mid=…` to whatever address it was given, also to one that has a query already
//! (`…?token=T?resp=A&mid=m`), and it does not encode the `+` of a number.

/// What a handset's query says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandsetQuery {
    /// A token given in the query.
    pub token: Option<String>,
    /// The dial that is reported.
    pub mid: Option<String>,
    /// The number that answered; `None` when there is none or it is empty.
    pub resp: Option<String>,
    /// `mid` or `resp` stood there more than once with different values.
    pub contradictory: bool,
}

impl HandsetQuery {
    /// Reads a query string, or a form body of the same shape.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for part in text.split('?') {
            for (name, value) in form_urlencoded::parse(part.as_bytes()) {
                let place = match &*name {
                    "token" => &mut query.token,
                    "mid" => &mut query.mid,
                    "resp" => &mut query.resp,
                    _ => continue,
                };
                match place {
                    None => *place = Some(value.into_owned()),
                    Some(earlier) if *earlier == value => {}
                    Some(_) => query.contradictory = true,
                }
            }
        }
        query.resp = query.resp.filter(|resp| !resp.trim().is_empty());
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(token: Option<&str>, mid: Option<&str>, resp: Option<&str>) -> HandsetQuery {
        HandsetQuery {
            token: token.map(str::to_owned),
            mid: mid.map(str::to_owned),
            resp: resp.map(str::to_owned),
            contradictory: false,
        }
    }

    #[test]
    fn documented_forms() {
        assert_eq!(HandsetQuery::parse("mid=60d5"), query(None, Some("60d5"), None));
        assert_eq!(HandsetQuery::parse("mid=60d5&resp=18712345678"), query(None, Some("60d5"), Some("18712345678")));
        assert_eq!(HandsetQuery::parse(""), query(None, None, None));
    }

    #[test]
    fn a_second_question_mark_begins_the_report() {
        assert_eq!(HandsetQuery::parse("token=T?resp=187&mid=m"), query(Some("T"), Some("m"), Some("187")));
        assert_eq!(HandsetQuery::parse("token=T?mid=m"), query(Some("T"), Some("m"), None));
    }

    #[test]
    fn an_unencoded_plus_is_a_blank_and_left_for_the_numbers_to_mend() {
        assert_eq!(HandsetQuery::parse("mid=m&resp=+86187").resp.as_deref(), Some(" 86187"));
    }

    #[test]
    fn an_empty_resp_is_none() {
        assert_eq!(HandsetQuery::parse("mid=m&resp="), query(None, Some("m"), None));
        assert_eq!(HandsetQuery::parse("mid=m&resp=+"), query(None, Some("m"), None));
    }

    #[test]
    fn the_same_twice_is_fine_and_two_different_ones_are_not() {
        assert!(!HandsetQuery::parse("mid=m&mid=m").contradictory);
        assert!(HandsetQuery::parse("mid=m&mid=n").contradictory);
        assert!(HandsetQuery::parse("mid=m&resp=1&resp=2").contradictory);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,300}") {
            let _ = HandsetQuery::parse(&text);
        }
    }
}
