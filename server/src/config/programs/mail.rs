//! Section `mail`: devices that can only mail.

use std::net::SocketAddr;

use crate::config::reading::{host, reply_words};
use crate::config::{Key, Value, ValueKind};
use crate::signal::mail::OVER;

/// Section `mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailConfig {
    /// Where letters are taken by SMTP; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The domains of its recipients; none: any.
    pub domains: Vec<String>,
    /// Words by which something is over, where known senders put them in a subject.
    pub over: Vec<String>,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Of these, most from one address.
    pub connections_per_address: usize,
}

impl Default for MailConfig {
    fn default() -> Self {
        let over = OVER.iter().map(|word| (*word).to_owned()).collect();
        Self { listen: None, domains: Vec::new(), over, max_connections: 50, connections_per_address: 10 }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    Key {
        path: "mail.listen",
        env: "AUTOCALL_MAIL_LISTEN",
        kind: ValueKind::Text,
        meaning: "IP address and port on which letters are taken by SMTP from devices that can only mail, such as `0.0.0.0:25`. Without it there is no such port.",
        set: |config, value| {
            let wrong = |_| "must be an IP address and a port, such as 0.0.0.0:25 or [::]:2525".to_owned();
            config.mail.listen = Some(value.text().parse().map_err(wrong)?);
            Ok(())
        },
        get: |config| Value::Text(config.mail.listen.map(|listen| listen.to_string()).unwrap_or_default()),
    },
    Key {
        path: "mail.domains",
        env: "AUTOCALL_MAIL_DOMAINS",
        kind: ValueKind::List,
        meaning: "What may stand behind the `@` of a recipient, beside an address in brackets. An empty list: anything, since the key alone decides.",
        set: |config, value| {
            config.mail.domains = value.list().iter().map(|item| host(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.mail.domains.clone()),
    },
    Key {
        path: "mail.resolve_words",
        env: "AUTOCALL_MAIL_RESOLVE_WORDS",
        kind: ValueKind::List,
        meaning: "A letter says that something is over where one of these words stands in its subject as monitoring systems put it, such as `[RESOLVED] disk`, `OK: disk` or `disk: resolved`.",
        set: |config, value| {
            config.mail.over = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.mail.over.clone()),
    },
    count_key!(
        "mail.max_connections",
        "AUTOCALL_MAIL_MAX_CONNECTIONS",
        (1, 1000),
        mail.max_connections,
        "Most connections by SMTP at a time, 1 to 1000."
    ),
    count_key!(
        "mail.connections_per_address",
        "AUTOCALL_MAIL_CONNECTIONS_PER_ADDRESS",
        (1, 1000),
        mail.connections_per_address,
        "Of these, most from one address, 1 to 1000."
    ),
];
