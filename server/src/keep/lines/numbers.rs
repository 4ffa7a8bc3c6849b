//! Public numbers as operators say them: made, changed, bound and removed, and what their phones would be told.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::gateways::{self, handset_named};
use crate::audit::{Line, Operation};
use crate::config::Config;
use crate::ids::{HandsetId, LineId};
use crate::keep::refused::{self, Faults, Refused};
use crate::kinds::gateways::GatewaySettings;
use crate::line::command::{self, AppBuild, Message};
use crate::numbers::Number;
use crate::store::edits::Edited;
use crate::store::lines::numbers::LineRow;
use crate::store::{Db, Work};
use crate::versions::Expected;

const ANDROID: std::ops::RangeInclusive<i32> = 4..=99;

/// What an operator says of a public number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLine {
    /// What people call it.
    pub name: String,
    /// The team whose person on duty it follows.
    pub team: String,
    /// What people outside dial.
    pub number: String,
    /// Where its handset gets messages; the number itself unless given.
    pub sms_number: Option<String>,
    /// Whose forwarding codes it takes.
    pub carrier: String,
    /// The Android version of its handset.
    pub android: i32,
    /// The build of the app on it.
    pub app_build: AppBuild,
    /// What the message says beside the command.
    pub text: String,
    /// The name of the gateway that reaches it.
    pub gateway: String,
    /// The name of its handset, when that also rings people for us.
    pub handset: Option<String>,
    /// The name of the handset that proves hand-overs.
    pub verify_handset: Option<String>,
}

/// What would be said for a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What the handset dials.
    pub code: String,
    /// The text message; `None` where the handset dials the code itself.
    pub message: Option<Message>,
    /// What has not been checked on this network, and what else matters.
    pub notes: Vec<&'static str>,
}

/// A line that was changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it is now.
    pub line: LineRow,
    /// Another phone is to be told, or the same one in another way.
    pub told_otherwise: bool,
}

impl LineRow {
    /// Whether it has this name or id.
    #[must_use]
    pub fn is_called(&self, which: &str) -> bool {
        self.name == which || self.id.to_string() == which
    }

    /// What was said of it anew, with all that the server has written down of the line as it was.
    #[must_use]
    pub(crate) fn keeping(self, old: &Self) -> Self {
        Self {
            id: old.id,
            bound_name: old.bound_name.clone(),
            bound_number: old.bound_number.clone(),
            duty_number: old.duty_number.clone(),
            latest_seq: old.latest_seq,
            created_at: old.created_at,
            ..self
        }
    }

    /// Whether another phone is to be told, or the same one in another way. What the message says to people counts for the next time.
    fn is_told_otherwise_than(&self, old: &Self) -> bool {
        let told = |line: &Self| {
            let phone = (line.number.clone(), line.sms_number.clone(), line.gateway_id, line.handset_id);
            (phone, line.carrier.clone(), line.android, line.app_build)
        };
        told(self) != told(old)
    }
}

/// Makes a public number. Its command is composed once for the number itself, so that what can never work is refused now.
///
/// # Errors
/// When a field is wrong, the name is taken, or the database fails.
pub async fn add(work: &mut Work, config: &Config, new: &NewLine) -> Result<LineRow, Refused> {
    let now = work.now();
    let line = named(&mut work.db(), config, new, now).await?;
    compose(&mut work.db(), config, &line, &Number::from_stored(line.number.as_str())).await?;
    work.db().insert_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
    work.note(Line::new(Operation::LineAdded).of(line.id).named(line.name.as_str()).after(told(&line)));
    Ok(line)
}

/// Changes all that an operator says of a line, which is named by its id or its name. Its phone is told by
/// `Engine::change_line`, in the same transaction.
///
/// # Errors
/// When there is no such line, a field is wrong, the name is taken, or the database fails.
pub async fn change(
    work: &mut Work,
    config: &Config,
    which: &str,
    new: &NewLine,
    expected: &Expected,
) -> Result<Changed, Refused> {
    let now = work.now();
    work.db().lock_edits(Edited::Lines).await?;
    let old = locked(work, which).await?;
    expected.check(Some(&old.version()))?;
    let line = named(&mut work.db(), config, new, now).await?.keeping(&old);
    compose(&mut work.db(), config, &line, &Number::from_stored(line.number.as_str())).await?;
    work.db().change_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
    let noted = Line::new(Operation::LineChanged).of(line.id).named(line.name.as_str());
    work.note(noted.before(told(&old)).after(told(&line)));
    Ok(Changed { told_otherwise: line.is_told_otherwise_than(&old), line })
}

/// What a line of the audit log says of one.
fn told(line: &LineRow) -> serde_json::Value {
    json!({
        "name": line.name, "team": line.team, "number": line.number, "sms_number": line.sms_number, "carrier": line.carrier,
        "gateway": line.gateway_id, "handset": line.handset_id, "verify_handset": line.verify_handset_id, "text": line.text,
    })
}

/// What an operator says of a line, with its name, as a line that was never handed over.
async fn named(db: &mut Db<'_>, config: &Config, new: &NewLine, now: DateTime<Utc>) -> Result<LineRow, Refused> {
    let mut faults = Faults::default();
    let name = faults.note(refused::name(&new.name))?;
    let said = faults.note(said(db, config, new, now).await)?;
    faults.none()?;
    // Both are there, since nothing is wrong.
    let (Some(name), Some(said)) = (name, said) else { return Err(Refused::Contended) };
    Ok(LineRow { name, ..said })
}

/// The same; its name is not looked at.
pub(crate) async fn said(db: &mut Db<'_>, config: &Config, new: &NewLine, now: DateTime<Utc>) -> Result<LineRow, Refused> {
    let mut faults = Faults::default();
    let own_number = faults.note(number("number", &new.number, config))?;
    let sms_number = match &new.sms_number {
        Some(text) => faults.note(number("sms_number", text, config))?,
        None => own_number.clone(),
    };
    let team = new.team.trim();
    let team = match team {
        "" => String::new(),
        team => {
            let roster = db.roster().await?;
            let of_team = roster.find_team(team).map(|team| team.name.clone());
            let found = of_team.or_else(|| roster.find_schedule(team).map(|schedule| schedule.name.clone()));
            let unknown = || Refused::wrong("team", format!("no team and no schedule of the roster is called {team:?}"));
            faults.note(found.ok_or_else(unknown))?.unwrap_or_default()
        }
    };
    if !ANDROID.contains(&new.android) {
        faults.note(Err::<(), _>(Refused::wrong("android", "android is the handset's main version, such as 13")))?;
    }
    let handset_id = faults.note(optional_handset(db, "handset", new.handset.as_deref()).await)?.flatten();
    let verify_handset_id = faults.note(optional_handset(db, "verify_handset", new.verify_handset.as_deref()).await)?.flatten();
    if verify_handset_id.is_some() && verify_handset_id == handset_id {
        let why = "another handset must ring the number: this one would ring itself";
        faults.note(Err::<(), _>(Refused::wrong("verify_handset", why)))?;
    }
    faults.none()?;
    let gateway = gateways::find(db, &new.gateway).await?;
    // Both are there, since nothing is wrong.
    let (Some(own_number), Some(sms_number)) = (own_number, sms_number) else { return Err(Refused::Contended) };
    Ok(LineRow {
        id: LineId::new(now),
        name: new.name.clone(),
        team,
        number: own_number.as_str().to_owned(),
        sms_number: sms_number.as_str().to_owned(),
        carrier: new.carrier.clone(),
        android: new.android,
        app_build: new.app_build,
        text: new.text.clone(),
        gateway_id: gateway.id,
        handset_id,
        verify_handset_id,
        bound_name: None,
        bound_number: None,
        duty_number: None,
        latest_seq: 0,
        created_at: now,
    })
}

/// Hands a line over no more. What was forwarded stays so.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove(work: &mut Work, which: &str, expected: &Expected) -> Result<(), Refused> {
    work.db().lock_edits(Edited::Lines).await?;
    let line = locked(work, which).await?;
    expected.check(Some(&line.version()))?;
    let now = work.now();
    work.db().supersede_sms(line.id, line.latest_seq + 1, now).await?;
    work.db().remove_line(&line, now).await?;
    work.note(Line::new(Operation::LineRemoved).of(line.id).named(line.name.as_str()).before(told(&line)));
    Ok(())
}

/// Binds a line to a person who is always on duty, or to nobody.
///
/// # Errors
/// When there is no such line, the number cannot be rung, or the database fails.
pub async fn bind(
    work: &mut Work,
    config: &Config,
    which: &str,
    person: Option<(&str, &str)>,
    expected: &Expected,
) -> Result<(), Refused> {
    let person = match person {
        Some((name, text)) => Some((refused::person_name(name)?, number("number", text, config)?)),
        None => None,
    };
    work.db().lock_edits(Edited::Lines).await?;
    let line = locked(work, which).await?;
    expected.check(Some(&line.version()))?;
    let noted = Line::new(Operation::LineBound).of(line.id).named(line.name.as_str());
    let before = json!({ "person": line.bound_name, "number": line.bound_number });
    let after = json!({ "person": person.as_ref().map(|(name, _)| name.as_str()), "number": person.as_ref().map(|(_, number)| number.as_str()) });
    work.note(noted.before(before).after(after));
    Ok(work.db().bind_line(line.id, person.as_ref().map(|(name, number)| (name.as_str(), number.as_str()))).await?)
}

/// What would be said to hand a line to a number.
///
/// # Errors
/// Why it cannot be said.
pub async fn preview(db: &mut Db<'_>, config: &Config, which: &str, to: &str) -> Result<Preview, Refused> {
    let to = number("number", to, config)?;
    let line = find(db, which).await?;
    compose(db, config, &line, &to).await
}

/// Composes the command for a number: a text message, or the bare code where the gateway is the very handset that holds the SIM.
///
/// # Errors
/// Why it cannot be composed.
pub async fn compose(db: &mut Db<'_>, config: &Config, line: &LineRow, to: &Number) -> Result<Preview, Refused> {
    let code = command::code(&line.carrier, &config.lines.carriers, to, config.handsets.country)?;
    if dials_itself(db, line).await? {
        return Ok(Preview { code: code.code.as_str().to_owned(), message: None, notes: code.notes });
    }
    let android = u32::try_from(line.android).unwrap_or(u32::MAX);
    let message = command::message(&code.code, android, line.app_build, &line.text)?;
    Ok(Preview { code: code.code.as_str().to_owned(), message: Some(message), notes: code.notes })
}

/// Whether the line's own handset is a native one that dials codes when it is told to.
async fn dials_itself(db: &mut Db<'_>, line: &LineRow) -> Result<bool, Refused> {
    let (Some(own), Some(gateway)) = (line.handset_id, db.gateway(line.gateway_id).await?) else { return Ok(false) };
    let GatewaySettings::Handset(gateway) = &gateway.settings.0 else { return Ok(false) };
    Ok(db.handset(own).await?.is_some_and(|own| own.name == gateway.handset))
}

/// A number that a field says.
///
/// # Errors
/// When it cannot be rung.
pub fn number(field: &'static str, text: &str, config: &Config) -> Result<Number, Refused> {
    let parsed = Number::parse(text, config.default_region).map_err(|error| Refused::wrong(field, error.to_string()))?;
    Ok(parsed.number)
}

/// The line of that name or id.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn find(db: &mut Db<'_>, which: &str) -> Result<LineRow, Refused> {
    let all = db.lines().await?;
    all.into_iter().find(|line| line.is_called(which)).ok_or_else(|| missing(which))
}

/// The same, for a change: nobody else changes it or hands it over until the transaction ends.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn locked(work: &mut Work, which: &str) -> Result<LineRow, Refused> {
    let id = find(&mut work.db(), which).await?.id;
    work.db().lock_line(id).await?.ok_or_else(|| missing(which))
}

/// There is no line of that name or id.
#[must_use]
pub fn missing(which: &str) -> Refused {
    Refused::Missing { what: "line", name: which.to_owned() }
}

async fn optional_handset(db: &mut Db<'_>, field: &'static str, name: Option<&str>) -> Result<Option<HandsetId>, Refused> {
    match name {
        Some(name) => handset_named(db, field, name).await.map(|handset| Some(handset.id)),
        None => Ok(None),
    }
}
