//! Public numbers as operators say them: made, changed, removed, bound, looked at, and what their phones would be told.

use std::collections::HashMap;

use super::gateways::{gateway_named, handset_named};
use super::hand_over::{Known, OnDuty, known, on_duty, test_call};
use crate::engine::{Engine, EngineError};
use crate::ids::{HandsetId, LineId};
use crate::keep::refused::{self, Refused};
use crate::line::command::{self, AppBuild, Message};
use crate::numbers::Number;
use crate::store::edits::Edited;
use crate::store::lines::numbers::{HandOverRow, HandOverWhy, LineRow};
use crate::store::lines::sms::{GatewayRow, GatewaySettings};
use crate::store::{Announcement, Db, Tx};
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

/// What would be said for a line that is being written, and to whom it would lead now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What would be said.
    pub preview: Preview,
    /// Who is on duty for it; `None`: nobody, and the preview is for the number itself.
    pub duty: Option<OnDuty>,
}

/// A public number with what is known of it.
#[derive(Clone, Debug)]
pub struct LineStatus {
    /// The line.
    pub line: LineRow,
    /// The same as an operator says it: gateway and handsets by name.
    pub said: NewLine,
    /// Its latest hand-over, and how it is known what became of it.
    pub latest: Option<(HandOverRow, Known)>,
    /// The one before it, where the number leads as long as the latest was not sent.
    pub still: Option<HandOverRow>,
}

/// What gateways and handsets are called.
struct Names {
    gateways: Vec<GatewayRow>,
    handsets: HashMap<HandsetId, String>,
}

impl Names {
    fn said(&self, line: &LineRow) -> NewLine {
        let gateway = self.gateways.iter().find(|gateway| gateway.id == line.gateway_id);
        let handset = |id: Option<HandsetId>| id.and_then(|id| self.handsets.get(&id).cloned());
        NewLine {
            name: line.name.clone(),
            team: line.team.clone(),
            number: line.number.clone(),
            sms_number: Some(line.sms_number.clone()).filter(|number| *number != line.number),
            carrier: line.carrier.clone(),
            android: line.android,
            app_build: line.app_build,
            text: line.text.clone(),
            gateway: gateway.map(|gateway| gateway.name.clone()).unwrap_or_default(),
            handset: handset(line.handset_id),
            verify_handset: handset(line.verify_handset_id),
        }
    }
}

impl LineRow {
    fn is_called(&self, which: &str) -> bool {
        self.name == which || self.id.to_string() == which
    }

    /// What was said of it anew, with all that the server has written down of the line as it was.
    fn keeping(self, old: &Self) -> Self {
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

impl Engine {
    /// Makes a public number. Its command is composed once for the number itself, so that what can never work is refused now.
    ///
    /// # Errors
    /// When a field is wrong, the name is taken, or the database fails.
    pub async fn add_line(&self, new: &NewLine) -> Result<LineRow, Refused> {
        let name = refused::name(&new.name)?;
        let mut tx = self.store.begin().await?;
        let line = LineRow { name, ..self.said(&mut tx.db(), new).await? };
        self.compose(&mut tx.db(), &line, &Number::from_stored(line.number.as_str())).await?;
        tx.db().insert_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
        tx.commit().await?;
        Ok(line)
    }

    /// Changes all that an operator says of a line. Where the phone must be told otherwise than before, it is told again, also when
    /// the number was handed over by hand. The line is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such line, a field is wrong, the name is taken, or the database fails. Nothing was changed then.
    pub async fn change_line(&self, which: &str, new: &NewLine, expected: &Expected) -> Result<LineRow, Refused> {
        let name = refused::name(&new.name)?;
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Lines).await?;
        let old = locked_line(&mut tx, which).await?;
        expected.check(Some(&old.version()))?;
        let line = LineRow { name, ..self.said(&mut tx.db(), new).await?.keeping(&old) };
        self.compose(&mut tx.db(), &line, &Number::from_stored(line.number.as_str())).await?;
        tx.db().change_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
        let latest = tx.db().latest_hand_overs().await?.into_iter().find(|hand_over| hand_over.line_id == line.id);
        if let Some(latest) = latest.filter(|latest| latest.refused.is_some() || line.is_told_otherwise_than(&old)) {
            let target = OnDuty { name: latest.person, number: latest.number };
            self.hand_over(&mut tx, &line, &target, latest.why, self.clock.now()).await?.ok_or(EngineError::Contended)?;
            tx.announce(Announcement::Handsets);
        }
        tx.commit().await?;
        Ok(line)
    }

    /// What would be sent if a line were as it is written here: for whoever is on duty for it now. Nothing is stored. `which` is the
    /// line that is being changed, if it is not a new one.
    ///
    /// # Errors
    /// When there is no such line, a field but the name is wrong, or the database fails.
    pub async fn draft_line(&self, which: Option<&str>, new: &NewLine) -> Result<Draft, Refused> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let mut line = self.said(&mut db, new).await?;
        if let Some(which) = which {
            line = line.keeping(&line_named(&mut db, which).await?);
        }
        let duty = on_duty(&line, &db.roster().await?, self.clock.now());
        let number = duty.as_ref().map_or(line.number.as_str(), |duty| duty.number.as_str());
        let preview = self.compose(&mut db, &line, &Number::from_stored(number)).await?;
        Ok(Draft { preview, duty })
    }

    /// What an operator says of a line, as a line that was never handed over. Its name is not looked at.
    async fn said(&self, db: &mut Db<'_>, new: &NewLine) -> Result<LineRow, Refused> {
        let now = self.clock.now();
        let number = self.number("number", &new.number)?;
        let sms_number = match &new.sms_number {
            Some(text) => self.number("sms_number", text)?,
            None => number.clone(),
        };
        let team = new.team.trim();
        let team = match team {
            "" => String::new(),
            team => {
                let roster = db.roster().await?;
                let of_team = roster.find_team(team).map(|team| team.name.clone());
                let found = of_team.or_else(|| roster.find_schedule(team).map(|schedule| schedule.name.clone()));
                let unknown = || Refused::wrong("team", format!("no team and no schedule of the roster is called {team:?}"));
                found.ok_or_else(unknown)?
            }
        };
        if !ANDROID.contains(&new.android) {
            return Err(Refused::wrong("android", "android is the handset's main version, such as 13"));
        }
        let gateway = gateway_named(db, &new.gateway).await?;
        let handset_id = optional_handset(db, "handset", new.handset.as_deref()).await?;
        let verify_handset_id = optional_handset(db, "verify_handset", new.verify_handset.as_deref()).await?;
        if verify_handset_id.is_some() && verify_handset_id == handset_id {
            return Err(Refused::wrong("verify_handset", "another handset must ring the number: this one would ring itself"));
        }
        Ok(LineRow {
            id: LineId::new(now),
            name: new.name.clone(),
            team,
            number: number.as_str().to_owned(),
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
    pub async fn remove_line(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Lines).await?;
        let line = locked_line(&mut tx, which).await?;
        expected.check(Some(&line.version()))?;
        let now = self.clock.now();
        tx.db().supersede_sms(line.id, line.latest_seq + 1, now).await?;
        tx.db().remove_line(&line, now).await?;
        Ok(tx.commit().await?)
    }

    /// Binds a line to a person who is always on duty, or to nobody.
    ///
    /// # Errors
    /// When there is no such line, the number cannot be rung, or the database fails.
    pub async fn bind_line(&self, which: &str, person: Option<(&str, &str)>, expected: &Expected) -> Result<(), Refused> {
        let person = match person {
            Some((name, number)) => Some((refused::person_name(name)?, self.number("number", number)?)),
            None => None,
        };
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Lines).await?;
        let line = locked_line(&mut tx, which).await?;
        expected.check(Some(&line.version()))?;
        tx.db().bind_line(line.id, person.as_ref().map(|(name, number)| (name.as_str(), number.as_str()))).await?;
        Ok(tx.commit().await?)
    }

    /// What would be said to hand a line to a number.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub async fn preview_line(&self, which: &str, number: &str) -> Result<Preview, Refused> {
        let number = self.number("number", number)?;
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let line = line_named(&mut db, which).await?;
        self.compose(&mut db, &line, &number).await
    }

    /// A person hands a line to a number, until somebody else is on duty.
    ///
    /// # Errors
    /// When there is no such line, the command cannot be composed, or the database fails. Nothing was changed then.
    pub async fn forward_line(
        &self,
        which: &str,
        number: &str,
        person: Option<&str>,
        expected: &Expected,
    ) -> Result<HandOverRow, Refused> {
        let number = self.number("number", number)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let line = locked_line(&mut tx, which).await?;
        expected.check(Some(&line.version()))?;
        self.compose(&mut tx.db(), &line, &number).await?;
        let known = tx.db().person_with_number(number.as_str()).await?.map(|person| person.name);
        let name = person.map(str::to_owned).or(known).unwrap_or_else(|| number.as_str().to_owned());
        let target = OnDuty { name: refused::person_name(&name)?, number: number.as_str().to_owned() };
        let id = self.hand_over(&mut tx, &line, &target, HandOverWhy::Person, now).await?.ok_or(EngineError::Contended)?;
        let hand_over = tx.db().hand_over(id).await?.ok_or(EngineError::Contended)?;
        tx.commit().await?;
        Ok(hand_over)
    }

    /// Composes the command for a number: a text message, or the bare code where the gateway is the very handset that holds the SIM.
    pub(in crate::engine) async fn compose(&self, db: &mut Db<'_>, line: &LineRow, number: &Number) -> Result<Preview, Refused> {
        let code = command::code(&line.carrier, &self.config.lines.carriers, number, self.config.handsets.country)?;
        if self.dials_itself(db, line).await? {
            return Ok(Preview { code: code.code.as_str().to_owned(), message: None, notes: code.notes });
        }
        let android = u32::try_from(line.android).unwrap_or(u32::MAX);
        let message = command::message(&code.code, android, line.app_build, &line.text)?;
        Ok(Preview { code: code.code.as_str().to_owned(), message: Some(message), notes: code.notes })
    }

    /// Whether the line's own handset is a native one that dials codes when it is told to.
    async fn dials_itself(&self, db: &mut Db<'_>, line: &LineRow) -> Result<bool, Refused> {
        let (Some(own), Some(gateway)) = (line.handset_id, db.gateway(line.gateway_id).await?) else { return Ok(false) };
        let GatewaySettings::Handset { handset } = &gateway.settings.0 else { return Ok(false) };
        Ok(db.handset(own).await?.is_some_and(|own| own.name == *handset))
    }

    /// All public numbers with what is known of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn line_statuses(&self) -> Result<Vec<LineStatus>, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let (latest, sent) = (db.latest_hand_overs().await?, db.latest_sent_hand_overs().await?);
        let names = Names { gateways: db.gateways().await?, handsets: db.handset_names().await? };
        let mut statuses = Vec::new();
        for line in db.lines().await? {
            let latest = match latest.iter().find(|hand_over| hand_over.line_id == line.id) {
                Some(hand_over) => {
                    let alarm = match hand_over.verify_alarm_id {
                        Some(alarm) => db.alarm(alarm).await?,
                        None => None,
                    };
                    let shown = match alarm {
                        Some(alarm) => Some(test_call(&alarm, &db.answers_of(alarm.hunt_id).await?)),
                        None => None,
                    };
                    Some((hand_over.clone(), known(hand_over, shown)))
                }
                None => None,
            };
            let still = sent.iter().find(|hand_over| hand_over.line_id == line.id);
            let still = still.filter(|still| latest.as_ref().is_some_and(|(latest, _)| latest.id != still.id)).cloned();
            statuses.push(LineStatus { said: names.said(&line), line, latest, still });
        }
        Ok(statuses)
    }

    /// One of them. The line is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such line, or the database fails.
    pub async fn line_status(&self, which: &str) -> Result<LineStatus, Refused> {
        let found = self.line_statuses().await?.into_iter().find(|status| status.line.is_called(which));
        found.ok_or_else(|| missing_line(which))
    }

    fn number(&self, field: &'static str, text: &str) -> Result<Number, Refused> {
        Number::parse(text, self.region()).map(|parsed| parsed.number).map_err(|error| Refused::wrong(field, error.to_string()))
    }
}

async fn line_named(db: &mut Db<'_>, which: &str) -> Result<LineRow, Refused> {
    let all = db.lines().await?;
    all.into_iter().find(|line| line.is_called(which)).ok_or_else(|| missing_line(which))
}

/// The same, for a change: nobody else changes it or hands it over until the transaction ends.
async fn locked_line(tx: &mut Tx, which: &str) -> Result<LineRow, Refused> {
    let id = line_named(&mut tx.db(), which).await?.id;
    tx.db().lock_line(id).await?.ok_or_else(|| missing_line(which))
}

fn missing_line(which: &str) -> Refused {
    Refused::Missing { what: "line", name: which.to_owned() }
}

async fn optional_handset(db: &mut Db<'_>, field: &'static str, name: Option<&str>) -> Result<Option<HandsetId>, Refused> {
    match name {
        Some(name) => handset_named(db, field, name).await.map(|handset| Some(handset.id)),
        None => Ok(None),
    }
}
