//! Addresses of our own pages: whatever a browser says about where to go next is read into one of these, so that nobody can be sent
//! elsewhere; and the menus.

use std::fmt;

use super::words::Words;
use crate::ids::{AlarmId, GatewayId, HeartbeatId, LineId, PersonId, PolicyId, ScheduleId, UserId, WebhookId};

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
    About(PersonId),
    Calls,
    Reports,
    Users,
    SessionsOf(UserId),
    Senders,
    Sender,
    Connect,
    System,
    Audit,
    PersonalOf(PersonId),
    Password,
    SecondFactor,
    Sessions,
    Identities,
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
    Me,
    Lines,
    NewLine,
    Line(LineId),
    Watch,
    Gateways,
    NewGateway,
    Gateway(GatewayId),
    NewHeartbeat,
    Heartbeat(HeartbeatId),
    NewWindow,
    Notices,
    NewNotice,
    Notice(WebhookId),
    QuietHours,
    Login,
    LoginCode,
    Setup,
}

/// The pages that are about nothing single, and where they are.
const FIXED: [(&str, Place); 38] = [
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
    ("/audit", Place::Audit),
    ("/password", Place::Password),
    ("/people/me/second-factor", Place::SecondFactor),
    ("/people/me/sessions", Place::Sessions),
    ("/password/identities", Place::Identities),
    ("/policies", Place::Policies),
    ("/policies/new", Place::NewPolicy),
    ("/policies/rules", Place::Rules),
    ("/roster", Place::Roster),
    ("/roster/swaps", Place::Swaps),
    ("/shouts", Place::Shouts),
    ("/shouts/new", Place::NewShout),
    ("/shouts/opted-out", Place::OptedOut),
    ("/people/me", Place::Me),
    ("/numbers", Place::Lines),
    ("/numbers/new", Place::NewLine),
    ("/watch", Place::Watch),
    ("/gateways", Place::Gateways),
    ("/gateways/new", Place::NewGateway),
    ("/heartbeats/new", Place::NewHeartbeat),
    ("/maintenance/new", Place::NewWindow),
    ("/notices", Place::Notices),
    ("/notices/new", Place::NewNotice),
    ("/quiet-hours", Place::QuietHours),
    ("/login", Place::Login),
    ("/login/code", Place::LoginCode),
    ("/setup", Place::Setup),
];

/// An entry of a menu: the page, how it says that it is the one, and its word.
pub(in crate::dashboard) type Entry = (Place, &'static str, fn(&'static Words) -> &'static str);

/// For everybody who is logged in: what is looked at most, beside each other where there is room.
pub(in crate::dashboard) const MENU: &[Entry] = &[
    (Place::Now, "now", |words| &words.nav_now),
    (Place::Alarms, "alarms", |words| &words.nav_alarms),
    (Place::Roster, "roster", |words| &words.nav_roster),
    (Place::People, "people", |words| &words.nav_people),
    (Place::Handsets, "handsets", |words| &words.nav_handsets),
];
/// For everybody as well, in a menu of their own.
pub(in crate::dashboard) const MORE_MENU: &[Entry] = &[
    (Place::Policies, "policies", |words| &words.nav_policies),
    (Place::Lines, "lines", |words| &words.nav_lines),
    (Place::Watch, "watch", |words| &words.nav_watch),
    (Place::Shouts, "shouts", |words| &words.nav_shouts),
    (Place::Reports, "reports", |words| &words.nav_reports),
];
/// For who may see numbers, in the same menu.
pub(in crate::dashboard) const RESPONDER_MENU: &[Entry] = &[(Place::Calls, "calls", |words| &words.nav_calls)];
/// For admins, in the same menu: what is set up.
pub(in crate::dashboard) const ADMIN_MENU: &[Entry] = &[
    (Place::Users, "users", |words| &words.nav_users),
    (Place::Senders, "senders", |words| &words.nav_senders),
    (Place::Connect, "connect", |words| &words.nav_connect),
    (Place::Notices, "notices", |words| &words.nav_notices),
    (Place::Gateways, "gateways", |words| &words.gateways),
    (Place::QuietHours, "quiet-hours", |words| &words.nav_quiet_hours),
    (Place::Audit, "audit", |words| &words.nav_audit),
    (Place::System, "system", |words| &words.nav_system),
];
/// About whoever is logged in, in the menu of their name.
pub(in crate::dashboard) const OWN_MENU: &[Entry] = &[
    (Place::Me, "me", |words| &words.nav_me),
    (Place::Password, "password", |words| &words.my_password),
    (Place::SecondFactor, "second-factor", |words| &words.factor_title),
    (Place::Sessions, "sessions", |words| &words.session_title),
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
            "people" => match id.split_once('/') {
                Some((id, "calls")) => id.parse().ok().map(Self::CallsOf),
                Some((id, "about")) => id.parse().ok().map(Self::About),
                Some((id, "personal")) => id.parse().ok().map(Self::PersonalOf),
                Some(_) => None,
                None => id.parse().ok().map(Self::Person),
            },
            "users" => id.strip_suffix("/sessions")?.parse().ok().map(Self::SessionsOf),
            "policies" => id.parse().ok().map(Self::Policy),
            "roster" => id.parse().ok().map(Self::Schedule),
            "shouts" => id.parse().ok().map(Self::Shout),
            "numbers" => id.parse().ok().map(Self::Line),
            "gateways" => id.parse().ok().map(Self::Gateway),
            "heartbeats" => id.parse().ok().map(Self::Heartbeat),
            "notices" => id.parse().ok().map(Self::Notice),
            _ => None,
        }
    }

    /// The page to show after logging in.
    pub(in crate::dashboard) fn after_login(path: &str) -> Self {
        Self::read(path).filter(|place| !matches!(place, Self::Login | Self::LoginCode | Self::Setup)).unwrap_or(Self::Now)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarm(id) => write!(f, "/alarms/{id}"),
            Self::Person(id) => write!(f, "/people/{id}"),
            Self::CallsOf(id) => write!(f, "/people/{id}/calls"),
            Self::PersonalOf(id) => write!(f, "/people/{id}/personal"),
            Self::About(id) => write!(f, "/people/{id}/about"),
            Self::SessionsOf(id) => write!(f, "/users/{id}/sessions"),
            Self::Policy(id) => write!(f, "/policies/{id}"),
            Self::Schedule(id) => write!(f, "/roster/{id}"),
            Self::Shout(id) => write!(f, "/shouts/{id}"),
            Self::Line(id) => write!(f, "/numbers/{id}"),
            Self::Notice(id) => write!(f, "/notices/{id}"),
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
        for own in ["alarms", "people", "policies", "roster", "numbers", "gateways", "heartbeats", "notices"] {
            let address = format!("/{own}/01a1fc4e-a630-77e4-8b85-425a1123605f");
            assert_eq!(Place::after_login(&address).to_string(), address);
        }
        for of_one in ["calls", "about"].map(|what| format!("/people/01a1fc4e-a630-77e4-8b85-425a1123605f/{what}")) {
            assert_eq!(Place::after_login(&of_one).to_string(), of_one);
        }
        for own in [
            "/calls",
            "/people/me",
            "/numbers",
            "/numbers/new",
            "/watch",
            "/gateways",
            "/gateways/new",
            "/heartbeats/new",
            "/maintenance/new",
            "/notices",
            "/notices/new",
            "/quiet-hours",
        ] {
            assert_eq!(Place::after_login(own).to_string(), own);
        }
    }

    #[test]
    fn every_page_of_the_menus_is_one_to_which_its_language_can_be_changed() {
        for (place, ..) in MENU.iter().chain(MORE_MENU).chain(RESPONDER_MENU).chain(ADMIN_MENU).chain(OWN_MENU) {
            let address = place.to_string();
            assert!(address != "/" || *place == Place::Now, "{place:?} has no address");
            assert_eq!(Place::read(&address), Some(*place));
        }
        assert_eq!(Place::after_login("/senders"), Place::Senders);
    }
}
