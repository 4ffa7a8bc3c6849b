//! Addresses of our own pages: whatever a browser says about where to go next is read into one of these, so that nobody can be sent
//! elsewhere; and the menus.

use std::fmt;

use super::words::Words;
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
    CallsOf(PersonId),
    Calls,
    Reports,
    Users,
    Senders,
    Sender,
    Connect,
    System,
    Password,
    Policies,
    NewPolicy,
    Policy(PolicyId),
    Rules,
    Roster,
    Swaps,
    Schedule(ScheduleId),
    Shouts,
    NewShout,
    OptedOut,
    Shout(i64),
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

/// The pages that are about nothing single, and where they are.
const FIXED: [(&str, Place); 26] = [
    ("/", Place::Now),
    ("/alarms", Place::Alarms),
    ("/handsets", Place::Handsets),
    ("/people", Place::People),
    ("/calls", Place::Calls),
    ("/reports", Place::Reports),
    ("/users", Place::Users),
    ("/senders", Place::Senders),
    ("/senders/one", Place::Sender),
    ("/connect", Place::Connect),
    ("/system", Place::System),
    ("/password", Place::Password),
    ("/policies", Place::Policies),
    ("/policies/new", Place::NewPolicy),
    ("/policies/rules", Place::Rules),
    ("/roster", Place::Roster),
    ("/roster/swaps", Place::Swaps),
    ("/shouts", Place::Shouts),
    ("/shouts/new", Place::NewShout),
    ("/shouts/opted-out", Place::OptedOut),
    ("/lines", Place::Lines),
    ("/lines/new", Place::NewLine),
    ("/gateways/new", Place::NewGateway),
    ("/heartbeats/new", Place::NewHeartbeat),
    ("/maintenance/new", Place::NewWindow),
    ("/login", Place::Login),
    ("/setup", Place::Setup),
];

/// An entry of a menu: the page, how it says that it is the one, and its word.
pub(in crate::dashboard) type Entry = (Place, &'static str, fn(&'static Words) -> &'static str);

/// For everybody who is logged in.
pub(in crate::dashboard) const MENU: &[Entry] = &[
    (Place::Now, "now", |words| &words.nav_now),
    (Place::Alarms, "alarms", |words| &words.nav_alarms),
    (Place::Roster, "roster", |words| &words.nav_roster),
    (Place::Handsets, "handsets", |words| &words.nav_handsets),
    (Place::People, "people", |words| &words.nav_people),
    (Place::Policies, "policies", |words| &words.nav_policies),
    (Place::Lines, "lines", |words| &words.nav_lines),
    (Place::Shouts, "shouts", |words| &words.nav_shouts),
    (Place::Reports, "reports", |words| &words.nav_reports),
];
/// For who may see numbers, in the menu of their name.
pub(in crate::dashboard) const RESPONDER_MENU: &[Entry] = &[(Place::Calls, "calls", |words| &words.nav_calls)];
/// For admins, in the same menu.
pub(in crate::dashboard) const ADMIN_MENU: &[Entry] = &[
    (Place::Users, "users", |words| &words.nav_users),
    (Place::Senders, "senders", |words| &words.nav_senders),
    (Place::Connect, "connect", |words| &words.nav_connect),
    (Place::System, "system", |words| &words.nav_system),
];

impl Place {
    /// The page with this address, if it is one.
    pub(in crate::dashboard) fn read(path: &str) -> Option<Self> {
        if let Some((_, place)) = FIXED.iter().find(|(address, _)| *address == path) {
            return Some(*place);
        }
        let (kind, id) = path.strip_prefix('/')?.split_once('/')?;
        match kind {
            "alarms" => id.parse().ok().map(Self::Alarm),
            "people" => match id.strip_suffix("/calls") {
                Some(id) => id.parse().ok().map(Self::CallsOf),
                None => id.parse().ok().map(Self::Person),
            },
            "policies" => id.parse().ok().map(Self::Policy),
            "roster" => id.parse().ok().map(Self::Schedule),
            "shouts" => id.parse().ok().map(Self::Shout),
            "lines" => id.parse().ok().map(Self::Line),
            "gateways" => id.parse().ok().map(Self::Gateway),
            "heartbeats" => id.parse().ok().map(Self::Heartbeat),
            _ => None,
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
            Self::Alarm(id) => write!(f, "/alarms/{id}"),
            Self::Person(id) => write!(f, "/people/{id}"),
            Self::CallsOf(id) => write!(f, "/people/{id}/calls"),
            Self::Policy(id) => write!(f, "/policies/{id}"),
            Self::Schedule(id) => write!(f, "/roster/{id}"),
            Self::Shout(id) => write!(f, "/shouts/{id}"),
            Self::Line(id) => write!(f, "/lines/{id}"),
            Self::Gateway(id) => write!(f, "/gateways/{id}"),
            Self::Heartbeat(id) => write!(f, "/heartbeats/{id}"),
            fixed => f.write_str(FIXED.iter().find(|(_, place)| place == fixed).map_or("/", |(address, _)| address)),
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
        let of_one = "/people/01a1fc4e-a630-77e4-8b85-425a1123605f/calls";
        assert_eq!(Place::after_login(of_one).to_string(), of_one);
        for own in ["/calls", "/lines", "/lines/new", "/gateways/new", "/heartbeats/new", "/maintenance/new"] {
            assert_eq!(Place::after_login(own).to_string(), own);
        }
    }

    #[test]
    fn every_page_of_the_menus_is_one_to_which_its_language_can_be_changed() {
        for (place, ..) in MENU.iter().chain(RESPONDER_MENU).chain(ADMIN_MENU) {
            let address = place.to_string();
            assert!(address != "/" || *place == Place::Now, "{place:?} has no address");
            assert_eq!(Place::read(&address), Some(*place));
        }
        assert_eq!(Place::after_login("/senders"), Place::Senders);
    }
}
