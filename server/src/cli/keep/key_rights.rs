//! What `autocall key` says and reads of rights: which, bound to what, until when.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;

use crate::keep::keys::Grant;
use crate::keep::keys::rights::{Change, Narrowing};
use crate::rights::{Bounds, Right, Rights};
use crate::store::access::keys::KeyRow;

// What a key may. No doc comment: the help of the command would begin with it.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct May {
    /// What it may: raise, read, operate or admin, several with commas between; `raise` unless given. docs/rights.md says what each is for
    #[arg(long = "right", value_name = "RIGHTS", value_delimiter = ',')]
    rights: Vec<Right>,
    /// It is bound to alarms that call themselves so (`source`); may be given several times
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,
    /// It is bound to alarms for this team; may be given several times
    #[arg(long = "team", value_name = "NAME")]
    teams: Vec<String>,
    /// It is bound to alarms by this policy; may be given several times
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
}

impl May {
    /// Whether anything is said.
    pub(in crate::cli) fn is_said(&self) -> bool {
        !self.rights.is_empty() || !self.bounds().is_empty()
    }

    fn bounds(&self) -> Bounds {
        Bounds { sources: self.sources.clone(), teams: self.teams.clone(), policies: self.policies.clone() }
    }

    /// What a new key is given, beside rights that stand apart.
    pub(in crate::cli) fn grant(&self, apart: &Rights, expires: Option<End>, now: DateTime<Utc>) -> anyhow::Result<Grant> {
        let usual = [Right::Raise];
        let ordinary = if self.rights.is_empty() { &usual[..] } else { &self.rights };
        let rights = ordinary.iter().copied().chain(apart.iter()).collect();
        let expires_at = expires.map(|end| end.from(now)).transpose()?.flatten();
        Ok(Grant { rights: Some(rights), bounds: self.bounds(), expires_at })
    }

    /// What is to change of a key.
    pub(in crate::cli) fn change(&self, unbound: bool, expires: Option<End>, now: DateTime<Utc>) -> anyhow::Result<Change> {
        let bounds = self.bounds();
        Ok(Change {
            rights: (!self.rights.is_empty()).then(|| Rights::of(self.rights.iter().copied())),
            bounds: (unbound || !bounds.is_empty()).then_some(bounds),
            expires_at: expires.map(|end| end.from(now)).transpose()?,
        })
    }
}

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum End {
    /// After so long.
    After(TimeDelta),
    /// Not by itself.
    Never,
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" { Ok(Self::Never) } else { span(text).map(Self::After) }
    }
}

impl End {
    fn from(self, now: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
        match self {
            Self::Never => Ok(None),
            Self::After(span) => match now.checked_add_signed(span) {
                Some(at) => Ok(Some(at)),
                None => anyhow::bail!("that is too far ahead: a key ends within ten years"),
            },
        }
    }
}

/// Reads a length of time, such as 90d, 12h or 30m; 0 needs no unit.
pub(in crate::cli) fn span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("{text:?} is no length of time: write days, hours or minutes, such as 90d, 12h or 30m");
    if text == "0" {
        return Ok(TimeDelta::zero());
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: i64 = text.strip_suffix(unit).and_then(|count| count.parse::<u16>().ok()).ok_or_else(wrong)?.into();
    match unit {
        'd' => Ok(TimeDelta::days(count)),
        'h' => Ok(TimeDelta::hours(count)),
        'm' => Ok(TimeDelta::minutes(count)),
        _ => Err(wrong()),
    }
}

/// What a key is bound to, until when it is good, and what else whoever reads a list should know of its rights.
pub(in crate::cli) fn told(key: &KeyRow) -> String {
    let bound = key.bound_to().map(|bounds| format!("\tbound to {bounds}"));
    let expires = key.expires_at.map(|at| format!("\texpires {}", at.format("%F %H:%M UTC")));
    let old = key.old_until.map(|at| format!("\told secret good until {}", at.format("%F %H:%M UTC")));
    let from_before = key.from_before.then(|| format!("\tfrom before there were rights: autocall key narrow {:?}", key.name));
    [bound, expires, old, from_before.filter(|_| key.revoked_at.is_none())].into_iter().flatten().collect()
}

/// What becomes, or became, of a key that is narrowed.
pub(in crate::cli) fn narrowed(name: &str, narrowing: &Narrowing, done: bool) -> String {
    let Narrowing { had, used, becomes, noted_since } = narrowing;
    let used = if used.is_empty() { "nothing".to_owned() } else { used.to_string() };
    let mut lines = vec![format!("{name} has {had}, and used in 30 days: {used}")];
    if let Some(since) = noted_since {
        lines.push(format!(
            "what it uses is noted only since {}: what it does less often would be refused",
            since.format("%F %H:%M UTC")
        ));
    }
    lines.push(match (done, narrowing.takes_away()) {
        (true, _) => format!("it has {becomes} from now on"),
        (false, true) => format!("it would have {becomes}: `autocall key narrow {name:?} --yes` does it"),
        (false, false) => format!("it would keep {becomes}: `autocall key narrow {name:?} --yes` says that this is meant"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_days_hours_and_minutes() {
        assert_eq!(span("90d"), Ok(TimeDelta::days(90)));
        assert_eq!(
            (span("12h"), span("30m"), span("0")),
            (Ok(TimeDelta::hours(12)), Ok(TimeDelta::minutes(30)), Ok(TimeDelta::zero()))
        );
        for wrong in ["", "d", "-1d", "90", "1w", "9999999d", "1.5h", "１d", "7 d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert_eq!("never".parse(), Ok(End::Never));
        assert!("ever".parse::<End>().is_err());
    }
}
