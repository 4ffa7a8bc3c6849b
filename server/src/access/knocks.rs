//! Phones that poll without being let in: remembered, so that somebody can pair or allow them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::{Announcement, Result, Store};

/// The same phone is written down at most this often.
const WRITE_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// More than these are not remembered: it is a scan, not a phone.
const MOST_KNOCKS: i64 = 500;
const LONGEST_TEXT: usize = 80;

/// When each phone's knock was last written down, by address, model and program: the page shows the latest program.
#[derive(Debug, Default)]
pub struct Knocks(Mutex<HashMap<(IpAddr, String, String), DateTime<Utc>>>);

impl Knocks {
    /// Remembers a phone that polled from `address`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note(&self, store: &Store, address: IpAddr, model: &str, user_agent: &str, now: DateTime<Utc>) -> Result<()> {
        let (model, user_agent) = (short(model), short(user_agent));
        {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.retain(|_, at| now - *at < WRITE_AGAIN);
            let fresh = i64::try_from(written.len()).unwrap_or(i64::MAX) < MOST_KNOCKS;
            if !fresh || written.insert((address, model.clone(), user_agent.clone()), now).is_some() {
                return Ok(());
            }
        }
        let mut tx = store.begin().await?;
        if tx.db().count_knocks().await? < MOST_KNOCKS {
            tx.db().note_knock(&address.to_string(), &model, &user_agent, now).await?;
            tx.announce(Announcement::Handsets);
        }
        tx.commit().await
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}
