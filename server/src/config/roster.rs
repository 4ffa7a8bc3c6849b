//! Section `roster`: the duty roster.

use ipnet::IpNet;

use super::reading::network;
use super::{Key, Value, ValueKind};

/// Section `roster`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterConfig {
    /// Networks inside that calendars may be in.
    pub allow_networks: Vec<IpNet>,
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[Key {
    path: "roster.allow_networks",
    env: "AUTOCALL_ROSTER_ALLOW_NETWORKS",
    kind: ValueKind::List,
    meaning: "Networks or addresses inside in which calendars that schedules follow may be. Public addresses always may.",
    set: |config, value| {
        config.roster.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
        Ok(())
    },
    get: |config| Value::List(config.roster.allow_networks.iter().map(IpNet::to_string).collect()),
}];
