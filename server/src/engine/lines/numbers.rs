//! Public numbers with what is known of them; and their phones told, when operators change what is said of a number.

use std::collections::HashMap;

use super::hand_over::{Known, OnDuty, known, on_duty, test_call};
use crate::audit::{Line, Operation};
use crate::engine::{Engine, EngineError};
use crate::ids::HandsetId;
use crate::keep::lines::numbers::{self, NewLine, Preview};
use crate::keep::refused::{self, Refused};
use crate::numbers::Number;
use crate::store::lines::numbers::{HandOverRow, HandOverWhy, LineRow};
use crate::store::lines::sms::GatewayRow;
use crate::store::{Announcement, Work};
use crate::versions::Expected;

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

impl Engine {
    /// Changes all that an operator says of a line. Where the phone must be told otherwise than before, it is told again, also when
    /// the number was handed over by hand. The line is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such line, a field is wrong, the name is taken, or the database fails. Nothing was changed then.
    pub async fn change_line(
        &self,
        work: &mut Work,
        which: &str,
        new: &NewLine,
        expected: &Expected,
    ) -> Result<LineRow, Refused> {
        let changed = numbers::change(work, &self.config, which, new, expected).await?;
        let line = changed.line;
        let latest = work.db().latest_hand_overs().await?.into_iter().find(|hand_over| hand_over.line_id == line.id);
        if let Some(latest) = latest.filter(|latest| latest.refused.is_some() || changed.told_otherwise) {
            let target = OnDuty { name: latest.person, number: latest.number };
            self.hand_over(work, &line, &target, latest.why).await?.ok_or(EngineError::Contended)?;
            work.announce(Announcement::Handsets);
        }
        Ok(line)
    }

    /// What would be sent if a line were as it is written here: for whoever is on duty for it now. Nothing is stored. `which` is the
    /// line that is being changed, if it is not a new one.
    ///
    /// # Errors
    /// When there is no such line, a field but the name is wrong, or the database fails.
    pub async fn draft_line(&self, which: Option<&str>, new: &NewLine) -> Result<Draft, Refused> {
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let mut line = numbers::said(&mut db, &self.config, new, now).await?;
        if let Some(which) = which {
            line = line.keeping(&numbers::find(&mut db, which).await?);
        }
        let duty = on_duty(&line, &db.roster().await?, now);
        let number = duty.as_ref().map_or(line.number.as_str(), |duty| duty.number.as_str());
        let preview = numbers::compose(&mut db, &self.config, &line, &Number::from_stored(number)).await?;
        Ok(Draft { preview, duty })
    }

    /// A person hands a line to a number, until somebody else is on duty.
    ///
    /// # Errors
    /// When there is no such line, the command cannot be composed, or the database fails. Nothing was changed then.
    pub async fn forward_line(
        &self,
        work: &mut Work,
        which: &str,
        number: &str,
        person: Option<&str>,
        expected: &Expected,
    ) -> Result<HandOverRow, Refused> {
        let number = numbers::number("number", number, &self.config)?;
        let line = numbers::locked(work, which).await?;
        expected.check(Some(&line.version()))?;
        numbers::compose(&mut work.db(), &self.config, &line, &number).await?;
        let known = work.db().person_with_number(number.as_str()).await?.map(|person| person.name);
        let name = person.map(str::to_owned).or(known).unwrap_or_else(|| number.as_str().to_owned());
        let target = OnDuty { name: refused::person_name(&name)?, number: number.as_str().to_owned() };
        let id = self.hand_over(work, &line, &target, HandOverWhy::Person).await?.ok_or(EngineError::Contended)?;
        let after = serde_json::json!({ "person": target.name, "number": target.number });
        work.note(Line::new(Operation::LineForwarded).of(line.id).named(line.name.as_str()).after(after));
        Ok(work.db().hand_over(id).await?.ok_or(EngineError::Contended)?)
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
        found.ok_or_else(|| numbers::missing(which))
    }
}
