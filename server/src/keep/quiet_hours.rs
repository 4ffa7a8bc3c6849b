//! Quiet hours: read, checked, stored, always all of them.

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::refused::{Faults, Refused};
use crate::alarm::Priority;
use crate::audit::{Line, Operation};
use crate::roster::quiet::{self, QuietHours};
use crate::store::edits::Edited;
use crate::store::{Announcement, Store, Work};
use crate::versions::{Expected, Version};

/// So many there are at most.
pub const MOST: usize = 1000;
const TIME: &str = "%H:%M";

/// When somebody is left in peace by alarms that can wait.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietBody {
    /// Who, by name; without it, everybody without quiet hours of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// They begin at this wall time, such as 22:00.
    #[schema(pattern = "^[0-2]?[0-9]:[0-5]?[0-9]$")]
    pub from: String,
    /// They end at this one, on the next day if it is not later.
    #[schema(pattern = "^[0-2]?[0-9]:[0-5]?[0-9]$")]
    pub to: String,
    /// Where the wall is, such as Asia/Shanghai.
    pub zone: String,
    /// Alarms of this priority and below wait: low, normal or high. Critical ones never do.
    pub up_to: Priority,
}

/// All quiet hours.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllQuiet {
    /// In no particular order.
    #[schema(max_items = 1000)]
    pub quiet_hours: Vec<QuietBody>,
}

/// All quiet hours as they are written, and their version.
///
/// # Errors
/// When the database fails.
pub async fn read(store: &Store) -> Result<(AllQuiet, Version), Refused> {
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let mut quiet_hours = Vec::new();
    let all = db.quiet_hours().await?;
    let version = version(&all);
    for one in all {
        let person = match one.person {
            Some(id) => db.person(id).await?.map(|person| person.name),
            None => None,
        };
        let (from, to) = (one.from.format(TIME).to_string(), one.to.format(TIME).to_string());
        quiet_hours.push(QuietBody { person, from, to, zone: one.zone.name().to_owned(), up_to: one.up_to });
    }
    Ok((AllQuiet { quiet_hours }, version))
}

fn version(all: &[QuietHours]) -> Version {
    Version::of(&all.iter().map(|one| (one.person, one.from, one.to, one.zone.name(), one.up_to)).collect::<Vec<_>>())
}

/// Quiet hours as they stand in a line of the audit log: people by their ids.
fn told(all: &[QuietHours]) -> Value {
    let one = |own: &QuietHours| {
        let (from, to) = (own.from.format(TIME).to_string(), own.to.format(TIME).to_string());
        json!({ "person": own.person, "from": from, "to": to, "zone": own.zone.name(), "up_to": own.up_to.as_str() })
    };
    json!({ "quiet_hours": all.iter().map(one).collect::<Vec<_>>() })
}

/// Checks and stores all quiet hours, and gives their version.
///
/// # Errors
/// The first thing that is wrong with them, or that they have changed meanwhile; nothing was changed then.
pub async fn set(work: &mut Work, body: &AllQuiet, expected: &Expected) -> Result<Version, Refused> {
    let now = work.now();
    if body.quiet_hours.len() > MOST {
        return Err(Refused::at("quiet_hours", format!("there are at most {MOST} quiet hours")));
    }
    work.db().lock_edits(Edited::QuietHours).await?;
    let before = work.db().quiet_hours().await?;
    expected.check(Some(&version(&before)))?;
    let mut all = Vec::with_capacity(body.quiet_hours.len());
    let mut faults = Faults::default();
    for (index, one) in body.quiet_hours.iter().enumerate() {
        if faults.are_enough() {
            break;
        }
        let wrong = |field: &str, why: String| Refused::at(format!("quiet_hours[{index}].{field}"), why);
        let time = |field: &str, text: &str| {
            NaiveTime::parse_from_str(text, TIME).map_err(|_| wrong(field, format!("{text:?} is no time of day: write 22:00")))
        };
        if one.up_to == Priority::Critical {
            faults.note(Err::<(), _>(wrong("up_to", "critical alarms never wait: low, normal or high".to_owned())))?;
        }
        let person = match &one.person {
            None => None,
            Some(name) => {
                let person = work.db().person_by_name(name).await?;
                let person = person.ok_or_else(|| wrong("person", format!("there is nobody named {name:?}")));
                faults.note(person)?.map(|person| person.id)
            }
        };
        let zone = one.zone.parse().map_err(|_| wrong("zone", format!("{:?} is no time zone: write Asia/Shanghai", one.zone)));
        let (zone, from, to) = (faults.note(zone)?, faults.note(time("from", &one.from))?, faults.note(time("to", &one.to))?);
        if let (Some(zone), Some(from), Some(to)) = (zone, from, to) {
            all.push(QuietHours { person, from, to, zone, up_to: one.up_to });
        }
    }
    faults.none()?;
    if let Some(index) = quiet::endless(&all, now) {
        let why =
            "these quiet hours would never end, alone or with the others: leave a gap, or leave this person out of the policy";
        return Err(Refused::at(format!("quiet_hours[{index}].to"), why));
    }
    work.db().set_quiet_hours(&all).await?;
    work.note(Line::new(Operation::QuietHoursChanged).before(told(&before)).after(told(&all)));
    work.announce(Announcement::Hunts);
    Ok(version(&all))
}
