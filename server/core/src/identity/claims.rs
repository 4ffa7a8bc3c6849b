//! What somebody may do by what is said of them.

use serde_json::Value;

/// So many values of one claim are looked at: whoever is in more groups than that is told so by their provider as well.
pub const MOST_VALUES: usize = 1_000;
/// A path of claims goes no deeper.
const DEEPEST: usize = 8;
/// A claim that stands for an address of mail, which counts only where it was verified.
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";

/// What the operators have said that words of a provider mean here. `R` is what a role is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meanings<R> {
    /// The claim of the roles: a name, or a path with dots.
    pub roles_claim: String,
    /// Which of its values gives which role.
    pub roles: Vec<(String, R)>,
    /// The claim of the teams; empty: none.
    pub teams_claim: String,
    /// Which of its values puts somebody into which team.
    pub teams: Vec<(String, String)>,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<R> {
    /// The highest role that they have been given.
    pub role: R,
    /// The teams that they are in, of those that the provider decides about.
    pub teams: Vec<String>,
}

/// Nothing of what is said gives a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing that the provider says of them gives a role here")]
pub struct NoRole;

impl<R: Ord + Clone> Meanings<R> {
    /// What claims give.
    ///
    /// # Errors
    /// [`NoRole`]: then nobody comes in.
    pub fn of_claims(&self, claims: &Value) -> Result<Grant<R>, NoRole> {
        self.of_values(&values(claims, &self.roles_claim), &values(claims, &self.teams_claim))
    }

    /// What words give that were said without claims, such as the groups of a proxy.
    ///
    /// # Errors
    /// [`NoRole`]: then nobody comes in.
    pub fn of_groups(&self, groups: &[&str]) -> Result<Grant<R>, NoRole> {
        let groups = &groups[..groups.len().min(MOST_VALUES)];
        let teams: &[&str] = if self.teams.is_empty() { &[] } else { groups };
        self.of_values(groups, teams)
    }

    fn of_values(&self, roles: &[&str], teams: &[&str]) -> Result<Grant<R>, NoRole> {
        let given = self.roles.iter().filter(|(value, _)| roles.contains(&value.as_str())).map(|(_, role)| role);
        let role = given.max().cloned().ok_or(NoRole)?;
        let mut grant = Grant { role, teams: Vec::new() };
        for (_, team) in self.teams.iter().filter(|(value, _)| teams.contains(&value.as_str())) {
            if !grant.teams.contains(team) {
                grant.teams.push(team.clone());
            }
        }
        Ok(grant)
    }

    /// The teams whose members the provider decides about, each once.
    #[must_use]
    pub fn decided_teams(&self) -> Vec<&str> {
        let mut teams: Vec<&str> = self.teams.iter().map(|(_, team)| team.as_str()).collect();
        teams.sort_unstable();
        teams.dedup();
        teams
    }
}

/// The claim at a path: the one of that whole name, since names may hold dots, or else the one that the parts lead to.
fn claim<'c>(claims: &'c Value, path: &str) -> Option<&'c Value> {
    if path.is_empty() {
        return None;
    }
    if let Some(whole) = claims.get(path) {
        return Some(whole);
    }
    let mut parts = path.split('.');
    let found = parts.by_ref().take(DEEPEST).try_fold(claims, |inside, part| inside.get(part));
    found.filter(|_| parts.next().is_none())
}

/// The values of the claim at a path: a text is one, of a list each text. An address of mail that was not verified is none.
fn values<'c>(claims: &'c Value, path: &str) -> Vec<&'c str> {
    if path == EMAIL {
        return verified_email(claims).into_iter().collect();
    }
    match claim(claims, path) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().take(MOST_VALUES).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The address of mail, where the provider says that it has verified it.
#[must_use]
pub fn verified_email(claims: &Value) -> Option<&str> {
    let is_verified = match claims.get(EMAIL_VERIFIED)? {
        Value::Bool(verified) => *verified,
        // Some write it as a word.
        Value::String(word) => word == "true",
        _ => false,
    };
    claims.get(EMAIL)?.as_str().filter(|address| is_verified && !address.is_empty())
}

/// The text of the claim at a path, such as a name.
#[must_use]
pub fn text<'c>(claims: &'c Value, path: &str) -> Option<&'c str> {
    claim(claims, path)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// The groups in a header of a proxy: between commas, or between bars where it has some.
#[must_use]
pub fn groups(header: &str) -> Vec<&str> {
    let between = if header.contains('|') { '|' } else { ',' };
    header.split(between).map(str::trim).filter(|group| !group.is_empty()).take(MOST_VALUES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn meanings(roles_claim: &str) -> Meanings<u8> {
        let roles = [("seers", 1), ("oncall", 2), ("chiefs", 3), ("lin@example.org", 3)];
        Meanings {
            roles_claim: roles_claim.to_owned(),
            roles: roles.map(|(value, role)| (value.to_owned(), role)).into(),
            teams_claim: "groups".to_owned(),
            teams: [("db", "Database"), ("dba", "Database"), ("web", "Web")]
                .map(|(one, two)| (one.to_owned(), two.to_owned()))
                .into(),
        }
    }

    fn role(roles_claim: &str, claims: &Value) -> Option<u8> {
        meanings(roles_claim).of_claims(claims).ok().map(|grant| grant.role)
    }

    #[test]
    fn the_highest_role_counts_wherever_the_claim_stands() {
        assert_eq!(role("roles", &json!({ "roles": ["seers", "chiefs", "oncall", 7, null] })), Some(3));
        assert_eq!(role("roles", &json!({ "roles": "oncall" })), Some(2));
        assert_eq!(role("realm_access.roles", &json!({ "realm_access": { "roles": ["seers"] } })), Some(1));
        let url = "https://example.org/roles";
        assert_eq!(role(url, &json!({ url: ["oncall"] })), Some(2), "a name may hold dots");
        for none in [
            json!({}),
            json!({ "roles": [] }),
            json!({ "roles": { "chiefs": true } }),
            json!({ "roles": "chiefs oncall" }),
            json!([]),
            json!(7),
        ] {
            assert_eq!(role("roles", &none), None, "{none}");
        }
        assert_eq!(role("", &json!({ "": "chiefs" })), None);
        assert_eq!(role("a.a.a.a.a.a.a.a.a", &json!({ "a": { "a": {} } })), None);
    }

    #[test]
    fn an_address_of_mail_counts_only_where_it_was_verified() {
        let claims = |verified: Value| json!({ "email": "lin@example.org", "email_verified": verified });
        assert_eq!(role("email", &claims(json!(true))), Some(3));
        assert_eq!(role("email", &claims(json!("true"))), Some(3));
        for not in [json!(false), json!("false"), json!(1), Value::Null] {
            assert_eq!(role("email", &claims(not)), None);
        }
        assert_eq!(role("email", &json!({ "email": "lin@example.org" })), None);
    }

    #[test]
    fn teams_are_those_that_are_said_each_once() {
        let claims = json!({ "roles": "oncall", "groups": ["dba", "db", "nobody's"] });
        assert_eq!(meanings("roles").of_claims(&claims), Ok(Grant { role: 2, teams: vec!["Database".to_owned()] }));
        assert_eq!(meanings("roles").decided_teams(), ["Database", "Web"]);
        let groups = groups("oncall, web ,,");
        assert_eq!(meanings("").of_groups(&groups), Ok(Grant { role: 2, teams: vec!["Web".to_owned()] }));
        assert_eq!(super::groups("CN=a,OU=b|oncall"), ["CN=a,OU=b", "oncall"]);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("seers".to_owned()),
            Just("oncall".to_owned()),
            Just("chiefs".to_owned()),
            Just("lin@example.org".to_owned()),
            "[a-z.@]{0,8}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let name = prop_oneof![
                Just("roles".to_owned()),
                Just("realm_access".to_owned()),
                Just("email".to_owned()),
                Just("email_verified".to_owned()),
                "[a-z.]{0,6}"
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// All texts that stand anywhere in a value.
    fn texts(value: &Value, all: &mut Vec<String>) {
        match value {
            Value::String(text) => all.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
            Value::Object(map) => map.values().for_each(|item| texts(item, all)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn nobody_gets_a_role_that_no_word_of_theirs_gives(claims in json_value(), path in "(roles|realm_access|realm_access\\.roles|email|a\\.b|)") {
            let meanings = meanings(&path);
            let mut said = Vec::new();
            texts(&claims, &mut said);
            let most = meanings.roles.iter().filter(|(value, _)| said.contains(value)).map(|(_, role)| *role).max();
            if let Ok(grant) = meanings.of_claims(&claims) {
                prop_assert!(Some(grant.role) <= most);
                prop_assert!(path != "email" || verified_email(&claims).is_some());
            }
        }

        #[test]
        fn more_words_never_take_a_role_away(some in prop::collection::vec("(seers|oncall|chiefs|x)", 0..5), more in "(seers|oncall|chiefs|x)") {
            let with = |words: &[String]| role("roles", &json!({ "roles": words }));
            let mut all = some.clone();
            all.push(more);
            prop_assert!(with(&all) >= with(&some));
        }

        #[test]
        fn groups_of_a_header_are_read_whatever_it_holds(header in "\\PC{0,60}") {
            for group in groups(&header) {
                prop_assert!(!group.is_empty() && group == group.trim());
            }
        }
    }
}
