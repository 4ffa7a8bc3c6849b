//! Addresses of our own pages: whatever a browser says about where to go next is read into one of these, so that nobody can be sent
//! elsewhere.

use std::fmt;

use crate::ids::{AlarmId, GatewayId, HeartbeatId, LineId, PersonId, PolicyId, ScheduleId};

/// One of our pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Place {
    Now,
    Alarms,
    Alarm(AlarmId),
    Handsets,
    People,
    Person(PersonId),
    Users,
    Password,
    Policies,
    NewPolicy,
    Policy(PolicyId),
    Rules,
    Roster,
    Schedule(ScheduleId),
    Lines,
    NewLine,
    Line(LineId),
    NewGateway,
    Gateway(GatewayId),
    NewHeartbeat,
    Heartbeat(HeartbeatId),
    NewWindow,
    Login,
    Setup,
}

impl Place {
    /// The page with this address, if it is one.
    pub(in crate::dashboard) fn read(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Now),
            "/alarms" => Some(Self::Alarms),
            "/handsets" => Some(Self::Handsets),
            "/people" => Some(Self::People),
            "/users" => Some(Self::Users),
            "/password" => Some(Self::Password),
            "/policies" => Some(Self::Policies),
            "/policies/new" => Some(Self::NewPolicy),
            "/policies/rules" => Some(Self::Rules),
            "/roster" => Some(Self::Roster),
            "/lines" => Some(Self::Lines),
            "/lines/new" => Some(Self::NewLine),
            "/gateways/new" => Some(Self::NewGateway),
            "/heartbeats/new" => Some(Self::NewHeartbeat),
            "/maintenance/new" => Some(Self::NewWindow),
            "/login" => Some(Self::Login),
            "/setup" => Some(Self::Setup),
            other => {
                let (kind, id) = other.strip_prefix('/')?.split_once('/')?;
                match kind {
                    "alarms" => id.parse().ok().map(Self::Alarm),
                    "people" => id.parse().ok().map(Self::Person),
                    "policies" => id.parse().ok().map(Self::Policy),
                    "roster" => id.parse().ok().map(Self::Schedule),
                    "lines" => id.parse().ok().map(Self::Line),
                    "gateways" => id.parse().ok().map(Self::Gateway),
                    "heartbeats" => id.parse().ok().map(Self::Heartbeat),
                    _ => None,
                }
            }
        }
    }

    /// The page to show after logging in.
    pub(in crate::dashboard) fn after_login(path: &str) -> Self {
        Self::read(path).filter(|place| !matches!(place, Self::Login | Self::Setup)).unwrap_or(Self::Now)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("/"),
            Self::Alarms => f.write_str("/alarms"),
            Self::Alarm(id) => write!(f, "/alarms/{id}"),
            Self::Handsets => f.write_str("/handsets"),
            Self::People => f.write_str("/people"),
            Self::Person(id) => write!(f, "/people/{id}"),
            Self::Users => f.write_str("/users"),
            Self::Password => f.write_str("/password"),
            Self::Policies => f.write_str("/policies"),
            Self::NewPolicy => f.write_str("/policies/new"),
            Self::Policy(id) => write!(f, "/policies/{id}"),
            Self::Rules => f.write_str("/policies/rules"),
            Self::Roster => f.write_str("/roster"),
            Self::Schedule(id) => write!(f, "/roster/{id}"),
            Self::Lines => f.write_str("/lines"),
            Self::NewLine => f.write_str("/lines/new"),
            Self::Line(id) => write!(f, "/lines/{id}"),
            Self::NewGateway => f.write_str("/gateways/new"),
            Self::Gateway(id) => write!(f, "/gateways/{id}"),
            Self::NewHeartbeat => f.write_str("/heartbeats/new"),
            Self::Heartbeat(id) => write!(f, "/heartbeats/{id}"),
            Self::NewWindow => f.write_str("/maintenance/new"),
            Self::Login => f.write_str("/login"),
            Self::Setup => f.write_str("/setup"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for foreign in
            ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/alarms/../x", "/login", ""]
        {
            assert_eq!(Place::after_login(foreign), Place::Now, "{foreign}");
        }
        assert_eq!(Place::after_login("/handsets"), Place::Handsets);
        for own in ["alarms", "people", "policies", "roster", "lines", "gateways", "heartbeats"] {
            let address = format!("/{own}/01a1fc4e-a630-77e4-8b85-425a1123605f");
            assert_eq!(Place::after_login(&address).to_string(), address);
        }
        for own in ["/lines", "/lines/new", "/gateways/new", "/heartbeats/new", "/maintenance/new"] {
            assert_eq!(Place::after_login(own).to_string(), own);
        }
    }
}
