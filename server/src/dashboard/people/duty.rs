//! The duty of one person, as their pages say it: what they have now, and what comes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::app::App;
use crate::costly;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::at;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, isolated};
use crate::ids::PersonId;
use crate::roster::Roster;
use crate::roster::changes::own::{self, OwnShift};

/// So far ahead their shifts are looked for.
const AHEAD: TimeDelta = TimeDelta::days(60);
/// So many of them are shown.
const MOST_SHIFTS: usize = 12;

/// What somebody has to do with duty.
#[derive(Default)]
pub(super) struct Duty {
    /// It could not be worked out in time: what is said instead.
    pub(super) not_now: Option<&'static str>,
    /// By which schedules they are on duty, and until when; HTML.
    pub(super) now: Vec<String>,
    /// The shifts to come: where the schedule is, and a sentence as HTML.
    pub(super) next: Vec<String>,
}

/// The duty of somebody.
pub(super) async fn of(app: &App, words: &'static Words, person: PersonId, now: DateTime<Utc>) -> Result<Duty, Refusal> {
    let roster = app.engine.store.read().await?.db().roster().await?;
    let worked_out = costly::run(move |_| {
        let shifts = own::shifts(&roster, person, now, now + AHEAD, MOST_SHIFTS);
        (roster, shifts)
    });
    let Ok((roster, shifts)) = worked_out.await else {
        return Ok(Duty { not_now: Some(&words.look_not_now), ..Duty::default() });
    };
    let (has, comes): (Vec<OwnShift>, Vec<OwnShift>) = shifts.into_iter().partition(|shift| shift.from <= now);
    Ok(Duty {
        not_now: None,
        now: has.iter().map(|shift| sentence(&roster, shift, &words.own_now_until, &words.own_now)).collect(),
        next: comes.iter().map(|shift| sentence(&roster, shift, &words.own_shift, &words.own_shift_open)).collect(),
    })
}

fn sentence(roster: &Roster, shift: &OwnShift, closed: &str, open: &str) -> String {
    let name = roster.schedule(shift.schedule).map(|schedule| schedule.name.clone()).unwrap_or_default();
    let link = format!(r#"<a href="/roster/{}">{}</a>"#, shift.schedule, isolated(&name));
    let from = at(shift.from);
    match shift.to {
        Some(to) => fill(closed, &[("schedule", Html(&link)), ("from", Html(&from)), ("to", Html(&at(to)))]),
        None => fill(open, &[("schedule", Html(&link)), ("from", Html(&from)), ("days", Text(&AHEAD.num_days().to_string()))]),
    }
}
