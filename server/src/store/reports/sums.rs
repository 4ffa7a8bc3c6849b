//! Sums of figures per day and per month. Only whoever counts writes them, and the removal of a person takes that person's away.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::json;

use crate::ids::{PersonId, ScheduleId, TeamId};
use crate::reports::Dimension;
use crate::reports::counted::{Change, month};
use crate::reports::figures::Figures;
use crate::reports::report::Sums;
use crate::store::dialect::{fragment, statements};
use crate::store::edits::Edited;
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

row! {
    /// A schedule, also one that is used no more.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ScheduleOfTeam {
        /// Which one.
        pub id: ScheduleId,
        /// Whose it is.
        pub team_id: Option<TeamId>,
    }
}

statements! {
    /// Which of these people there are.
    PEOPLE = ["SELECT id FROM people WHERE id" in_list];
    /// A day so far.
    DAY = ["SELECT figures FROM figure_days WHERE dimension = $1 AND day = $2 AND subject = $3"];
    /// From now on.
    SET_DAY = [
        "INSERT INTO figure_days (dimension, day, subject, figures) VALUES ($1, $2, $3, $4)
         ON CONFLICT (dimension, day, subject) DO UPDATE SET figures = excluded.figures"
    ];
    /// A month so far.
    MONTH = ["SELECT figures FROM figure_months WHERE dimension = $1 AND month = $2 AND subject = $3"];
    /// From now on.
    SET_MONTH = [
        "INSERT INTO figure_months (dimension, month, subject, figures) VALUES ($1, $2, $3, $4)
         ON CONFLICT (dimension, month, subject) DO UPDATE SET figures = excluded.figures"
    ];
    /// The days of a time.
    DAYS_BETWEEN = [
        "SELECT subject, day, figures FROM figure_days WHERE dimension = $1 AND day >= $2 AND day < $3 LIMIT 200000"
    ];
    /// The months of a time.
    MONTHS_BETWEEN = [
        "SELECT subject, month AS day, figures FROM figure_months WHERE dimension = $1 AND month >= $2 AND month < $3 LIMIT 200000"
    ];
    /// The first day of which anything is known.
    FIRST_DAY = ["SELECT day FROM figure_days WHERE dimension = 'all' ORDER BY day LIMIT 1"];
    /// Somebody is removed: their days.
    FORGET_DAYS = ["DELETE FROM figure_days WHERE subject = $1 AND dimension = 'person'"];
    /// And their months.
    FORGET_MONTHS = ["DELETE FROM figure_months WHERE subject = $1 AND dimension = 'person'"];
    /// All schedules, also those that are used no more: the duty log has their hand-overs.
    SCHEDULES = ["SELECT id, team_id FROM schedules ORDER BY created_at, id LIMIT 2000"];
}

impl Db<'_> {
    /// Adds a change to the sums; whoever does holds the lock on figures.
    ///
    /// # Errors
    /// When the database fails, or a sum cannot be read.
    pub(in crate::store) async fn add_figures(&mut self, mut change: Change) -> Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        // Whoever was removed meanwhile left no figures.
        let known = self.people_among(&change.people()).await?;
        change.keep_people(&known);
        let mut months: BTreeMap<(Dimension, String, NaiveDate), Figures> = BTreeMap::new();
        for (dimension, subject, day, figures) in change.entries() {
            let before: Option<(String,)> = fetch_optional!(self, DAY, dimension.as_str(), day, subject)?;
            let text = sum(before, figures)?;
            execute!(self, SET_DAY, dimension.as_str(), day, subject, text)?;
            months.entry((dimension, subject.to_owned(), month(day))).or_default().add(figures, 1);
        }
        for ((dimension, subject, month), figures) in &months {
            let before: Option<(String,)> = fetch_optional!(self, MONTH, dimension.as_str(), *month, subject.as_str())?;
            let text = sum(before, figures)?;
            execute!(self, SET_MONTH, dimension.as_str(), *month, subject.as_str(), text)?;
        }
        Ok(())
    }

    /// Waits until nobody else counts, and keeps others from it until the transaction ends.
    pub async fn lock_figures(&mut self) -> Result<()> {
        self.lock_edits(Edited::Figures).await
    }

    async fn people_among(&mut self, people: &BTreeSet<PersonId>) -> Result<BTreeSet<PersonId>> {
        if people.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows: Vec<(PersonId,)> = fetch_all!(self, PEOPLE, json!(people).to_string())?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The figures of the days from one to before another.
    ///
    /// # Errors
    /// When the database fails, or a sum cannot be read.
    pub async fn figures_of_days(&mut self, dimension: Dimension, from: NaiveDate, to: NaiveDate) -> Result<Sums> {
        let rows: Vec<(String, NaiveDate, String)> = fetch_all!(self, DAYS_BETWEEN, dimension.as_str(), from, to)?;
        sums(rows)
    }

    /// The figures of the months from one to before another, each named by its first day.
    ///
    /// # Errors
    /// When the database fails, or a sum cannot be read.
    pub async fn figures_of_months(&mut self, dimension: Dimension, from: NaiveDate, to: NaiveDate) -> Result<Sums> {
        let rows: Vec<(String, NaiveDate, String)> = fetch_all!(self, MONTHS_BETWEEN, dimension.as_str(), from, to)?;
        sums(rows)
    }

    /// The first day of which figures are known.
    pub async fn first_day_of_figures(&mut self) -> Result<Option<NaiveDate>> {
        let row: Option<(NaiveDate,)> = fetch_optional!(self, FIRST_DAY)?;
        Ok(row.map(|(day,)| day))
    }

    /// Forgets the figures of somebody who is removed; whoever does holds the lock on figures: what is added at this moment is forgotten too,
    /// and what is added later is not theirs any more. What their calls count for teams stays.
    pub(in crate::store) async fn figures_know_no_longer(&mut self, person: PersonId) -> Result<()> {
        execute!(self, FORGET_DAYS, person.to_string())?;
        execute!(self, FORGET_MONTHS, person.to_string()).map(|_| ())
    }

    /// All schedules, also those that are used no more, and whose they are.
    pub async fn schedules_of_teams(&mut self) -> Result<Vec<ScheduleOfTeam>> {
        fetch_all!(self, SCHEDULES)
    }
}

fn sums(rows: Vec<(String, NaiveDate, String)>) -> Result<Sums> {
    let mut sums = Sums::new();
    for (subject, day, text) in rows {
        sums.entry((subject, day)).or_default().add(&read_figures(&text)?, 1);
    }
    sums.retain(|_, figures| !figures.is_empty());
    Ok(sums)
}

fn sum(before: Option<(String,)>, more: &Figures) -> Result<String> {
    let mut sum = before.map(|(text,)| read_figures(&text)).transpose()?.unwrap_or_default();
    sum.add(more, 1);
    serde_json::to_string(&sum).map_err(|error| StoreError::Inconsistent(format!("figures have no JSON: {error}")))
}

fn read_figures(text: &str) -> Result<Figures> {
    serde_json::from_str(text).map_err(|error| StoreError::Inconsistent(format!("figures cannot be read: {error}")))
}
