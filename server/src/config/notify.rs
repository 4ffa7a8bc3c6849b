//! Section `notify`: what is told to others.

use ipnet::IpNet;

use super::reading::{network, optional, secret_url};
use super::{Key, SecretUrl, Value, ValueKind};

/// What is told to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Networks inside that webhooks may be in.
    pub allow_networks: Vec<IpNet>,
    /// Called every minute while the server is alive.
    pub ping_url: Option<SecretUrl>,
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "notify.allow_networks",
        env: "AUTOCALL_NOTIFY_ALLOW_NETWORKS",
        kind: ValueKind::List,
        meaning: "Networks or addresses inside that webhooks and the ping may go to. Public addresses always may.",
        set: |config, value| {
            config.notify.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.notify.allow_networks.iter().map(IpNet::to_string).collect()),
    },
    Key {
        path: "notify.ping_url",
        env: "AUTOCALL_NOTIFY_PING_URL",
        kind: ValueKind::Text,
        meaning: "Called every minute while the server and its database are alive, so that a dead man's switch elsewhere notices \
                  when it is not.",
        set: |config, value| {
            config.notify.ping_url = Some(secret_url(value.text(), &["https://", "http://"])?);
            Ok(())
        },
        get: |config| optional(config.notify.ping_url.as_ref()),
    },
];
