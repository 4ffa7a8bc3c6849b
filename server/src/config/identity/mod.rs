//! Section `identity`: who else may say who somebody is, and what their words mean here.

use axum::http::HeaderName;

use crate::config::reading::{SecretText, provider_url};
use crate::config::{HttpConfig, Key, Switch, Value, ValueKind};
use crate::identity::{ROLE_WORDS, meaning};

/// Longest word of a provider, name of a claim, or name of its own.
const LONGEST: usize = 300;

/// Headers that browsers and programs send by themselves, and so say nobody's name.
const TAKEN: [&str; 8] =
    ["host", "cookie", "authorization", "user-agent", "accept", "x-forwarded-for", "x-forwarded-proto", "origin"];

/// Section `identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// The address of the provider, as its tokens name it; `None`: there is none.
    pub issuer: Option<String>,
    /// What we are called there.
    pub client_id: Option<String>,
    /// By what it knows us; a public client has none.
    pub client_secret: Option<SecretText>,
    /// What people call it.
    pub provider_name: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that holds somebody's name.
    pub name_claim: String,
    /// The claim that holds what gives roles.
    pub roles_claim: String,
    /// Which value gives which role, by its word.
    pub roles: Vec<(String, String)>,
    /// The claim that holds what puts people into teams.
    pub teams_claim: String,
    /// Which value puts them into which.
    pub teams: Vec<(String, String)>,
    /// Whether somebody new is the person with the same verified address of mail.
    pub people_by_email: Switch,
    /// The header in which a trusted proxy says who somebody is; `None`: no proxy does.
    pub user_header: Option<HeaderName>,
    /// The header in which it says their groups.
    pub groups_header: Option<HeaderName>,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            provider_name: "single sign-on".to_owned(),
            scopes: ["openid", "profile", "email"].map(str::to_owned).into(),
            name_claim: "preferred_username".to_owned(),
            roles_claim: "groups".to_owned(),
            roles: Vec::new(),
            teams_claim: String::new(),
            teams: Vec::new(),
            people_by_email: Switch::Off,
            user_header: None,
            groups_header: None,
        }
    }
}

impl IdentityConfig {
    /// What lets nobody in, though it looks as if it should.
    pub(in crate::config) fn oddities(&self, http: &HttpConfig) -> Vec<String> {
        let (is_provider, is_proxy) = (self.issuer.is_some(), self.user_header.is_some());
        let all = [
            (
                is_provider && self.client_id.is_none(),
                "identity.issuer names a provider, but there is no identity.client_id: nobody can log in by it",
            ),
            (
                (is_provider || is_proxy) && self.roles.is_empty(),
                "identity.roles gives nobody a role: nobody can log in by a provider or a proxy; write roles = [\"oncall = responder\"] below [identity]",
            ),
            (
                is_proxy && http.trusted_proxies.is_empty(),
                "identity.user_header is believed from http.trusted_proxies alone, and there are none: nobody can log in by it",
            ),
        ];
        all.into_iter().filter(|(is_odd, _)| *is_odd).map(|(_, sentence)| sentence.to_owned()).collect()
    }
}

/// A text that people see or a provider says.
fn plain(text: &str) -> Result<String, String> {
    match text.chars().count() <= LONGEST && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(format!("must have at most {LONGEST} characters, without line breaks")),
    }
}

fn meanings(value: &Value) -> Result<Vec<(String, String)>, String> {
    value.list().iter().map(|line| meaning(&plain(line)?)).collect()
}

fn roles(value: &Value) -> Result<Vec<(String, String)>, String> {
    let roles = meanings(value)?;
    match roles.iter().find(|(_, role)| !ROLE_WORDS.contains(&role.as_str())) {
        Some((_, wrong)) => Err(format!("names the role {wrong:?}; there are {}", ROLE_WORDS.join(", "))),
        None => Ok(roles),
    }
}

fn shown(meanings: &[(String, String)]) -> Value {
    Value::List(meanings.iter().map(|(value, meaning)| format!("{value} = {meaning}")).collect())
}

fn header(value: &Value) -> Result<Option<HeaderName>, String> {
    let name = value.text().trim();
    let read = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("must be the name of a header, such as Remote-User; it is {name:?}"))?;
    match TAKEN.contains(&read.as_str()) {
        true => Err(format!("must be a header that only the proxy sets, such as Remote-User; {name} is another one")),
        false => Ok(Some(read)),
    }
}

fn scope(text: &str) -> Result<String, String> {
    // What RFC 6749 lets a scope hold.
    let good = |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    match (1..=100).contains(&text.len()) && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!("holds {text:?}, which is no scope; write openid, profile, email, groups")),
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    Key {
        path: "identity.issuer",
        env: "AUTOCALL_IDENTITY_ISSUER",
        kind: ValueKind::Text,
        meaning: "Address of a provider of logins by OpenID Connect, exactly as it names itself, such as `https://id.example.org/realms/ops`. With it and `client_id` people may log in by it, [beside passwords](identity.md).",
        set: |config, value| {
            config.identity.issuer = Some(provider_url(value.text())?);
            Ok(())
        },
        get: |config| Value::Text(config.identity.issuer.clone().unwrap_or_default()),
    },
    Key {
        path: "identity.client_id",
        env: "AUTOCALL_IDENTITY_CLIENT_ID",
        kind: ValueKind::Text,
        meaning: "What this server is called there.",
        set: |config, value| {
            config.identity.client_id = Some(plain(value.text())?);
            Ok(())
        },
        get: |config| Value::Text(config.identity.client_id.clone().unwrap_or_default()),
    },
    Key {
        path: "identity.client_secret",
        env: "AUTOCALL_IDENTITY_CLIENT_SECRET",
        kind: ValueKind::Text,
        meaning: "By what the provider knows this server. A public client has none.",
        set: |config, value| {
            config.identity.client_secret = Some(SecretText::new(&plain(value.text())?));
            Ok(())
        },
        get: |config| Value::Text(config.identity.client_secret.as_ref().map(ToString::to_string).unwrap_or_default()),
    },
    Key {
        path: "identity.provider_name",
        env: "AUTOCALL_IDENTITY_PROVIDER_NAME",
        kind: ValueKind::Text,
        meaning: "What people call it, for the button on the login page.",
        set: |config, value| {
            config.identity.provider_name = plain(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.provider_name.clone()),
    },
    Key {
        path: "identity.scopes",
        env: "AUTOCALL_IDENTITY_SCOPES",
        kind: ValueKind::List,
        meaning: "What is asked for there. `openid` is always among it; some providers tell groups only for a scope of their own.",
        set: |config, value| {
            config.identity.scopes = value.list().iter().map(|item| scope(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.identity.scopes.clone()),
    },
    Key {
        path: "identity.name_claim",
        env: "AUTOCALL_IDENTITY_NAME_CLAIM",
        kind: ValueKind::Text,
        meaning: "The claim that holds the name under which somebody new is added here. It is no more than a name: who somebody is, says `sub`.",
        set: |config, value| {
            config.identity.name_claim = plain(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.name_claim.clone()),
    },
    Key {
        path: "identity.roles_claim",
        env: "AUTOCALL_IDENTITY_ROLES_CLAIM",
        kind: ValueKind::Text,
        meaning: "The claim of the ID token that says what somebody may do: a text, or a list of them. Its name, or a path with dots such as `realm_access.roles`.",
        set: |config, value| {
            config.identity.roles_claim = plain(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.roles_claim.clone()),
    },
    Key {
        path: "identity.roles",
        env: "AUTOCALL_IDENTITY_ROLES",
        kind: ValueKind::List,
        meaning: "Which of its values, or which group of a proxy, gives which role, such as `[\"oncall = responder\", \"oncall-admins = admin\"]`; the highest counts. Whoever has none of them does not come in.",
        set: |config, value| {
            config.identity.roles = roles(value)?;
            Ok(())
        },
        get: |config| shown(&config.identity.roles),
    },
    Key {
        path: "identity.teams_claim",
        env: "AUTOCALL_IDENTITY_TEAMS_CLAIM",
        kind: ValueKind::Text,
        meaning: "The claim that says in which teams somebody is, in the same form. Without it the provider says nothing of teams.",
        set: |config, value| {
            config.identity.teams_claim = plain(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.teams_claim.clone()),
    },
    Key {
        path: "identity.teams",
        env: "AUTOCALL_IDENTITY_TEAMS",
        kind: ValueKind::List,
        meaning: "Which of its values, or which group of a proxy, is which team here, such as `[\"dba = Databases\"]`. Who logs in by the provider is in these teams as it says, and leaves them as it says.",
        set: |config, value| {
            config.identity.teams = meanings(value)?;
            Ok(())
        },
        get: |config| shown(&config.identity.teams),
    },
    choice_key!(
        "identity.people_by_email",
        "AUTOCALL_IDENTITY_PEOPLE_BY_EMAIL",
        Switch,
        identity.people_by_email,
        "Whether somebody who comes for the first time is the person of the roster with the same address of mail, where the provider says that it has verified it: `on` or `off`."
    ),
    Key {
        path: "identity.user_header",
        env: "AUTOCALL_IDENTITY_USER_HEADER",
        kind: ValueKind::Text,
        meaning: "Header in which a proxy of `http.trusted_proxies` says who is logged in there, such as `Remote-User`. From anybody else it is ignored. Without it no header lets anybody in.",
        set: |config, value| {
            config.identity.user_header = header(value)?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.user_header.as_ref().map(ToString::to_string).unwrap_or_default()),
    },
    Key {
        path: "identity.groups_header",
        env: "AUTOCALL_IDENTITY_GROUPS_HEADER",
        kind: ValueKind::Text,
        meaning: "Header in which that proxy says their groups, such as `Remote-Groups`: between commas, or between bars. They give roles and teams as above.",
        set: |config, value| {
            config.identity.groups_header = header(value)?;
            Ok(())
        },
        get: |config| Value::Text(config.identity.groups_header.as_ref().map(ToString::to_string).unwrap_or_default()),
    },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::config::{Config, keys};

    fn set(path: &str, value: Value) -> Result<Config, String> {
        let mut config = Config::default();
        (keys().find(|key| key.path == path).unwrap().set)(&mut config, &value)?;
        Ok(config)
    }

    fn text(path: &str, text: &str) -> Result<Config, String> {
        set(path, Value::Text(text.to_owned()))
    }

    #[test]
    fn a_provider_speaks_https_unless_it_is_on_this_computer() {
        for good in [
            "https://id.example.org/realms/ops",
            "https://id.example.org/",
            "http://127.0.0.1:9400",
            "http://localhost:9400",
            "http://[::1]:1",
        ] {
            assert_eq!(text("identity.issuer", good).unwrap().identity.issuer.as_deref(), Some(good), "as it is written");
        }
        for wrong in [
            "http://id.example.org",
            "id.example.org",
            "https://u:p@id.example.org",
            "https://id.example.org/?x",
            "https://id.example.org/#x",
        ] {
            assert!(text("identity.issuer", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_are_those_that_there_are() {
        let list = |items: &[&str]| Value::List(items.iter().map(|item| (*item).to_owned()).collect());
        let config = set("identity.roles", list(&["a = viewer", "CN=b,OU=c = admin"])).unwrap();
        assert_eq!(config.identity.roles[1], ("CN=b,OU=c".to_owned(), "admin".to_owned()));
        assert!(set("identity.roles", list(&["a = boss"])).unwrap_err().contains("viewer, responder, admin"));
        assert!(set("identity.roles", list(&["a"])).is_err());
    }

    #[test]
    fn what_lets_nobody_in_is_told() {
        let loaded = |env: &[(&str, &str)]| {
            let lookup = |name: &str| env.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
            Config::load(None, lookup, crate::config::Overrides::default()).unwrap().warnings
        };
        let roles = ("AUTOCALL_IDENTITY_ROLES", "oncall = responder");
        let issuer = ("AUTOCALL_IDENTITY_ISSUER", "https://id.example.org");
        assert_eq!(loaded(&[]).len(), 0);
        assert_eq!(loaded(&[issuer, ("AUTOCALL_IDENTITY_CLIENT_ID", "autocall"), roles]).len(), 0);
        let told = loaded(&[issuer, ("AUTOCALL_IDENTITY_USER_HEADER", "Remote-User")]);
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[test]
    fn what_every_program_sends_says_nobodys_name() {
        assert_eq!(text("identity.user_header", "Remote-User").unwrap().identity.user_header.unwrap().as_str(), "remote-user");
        for wrong in ["Host", "cookie", "X-Forwarded-For", "a b", "é"] {
            assert!(text("identity.user_header", wrong).is_err(), "{wrong}");
        }
    }
}
