//! Mail in: letters of devices that can do nothing else, to a key as the name of their recipient.
//!
//! A letter is answered as taken once all that follows from it is stored. Whoever is told *later* sends it again, to all of its recipients,
//! also to those that were served; so what came before is known by its identifier, and is not taken twice.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use sha2::{Digest, Sha256};

use super::signals::{self, Options};
use crate::access::refusals::STRANGER;
use crate::access::senders::{self, NotASender, Sender};
use crate::app::App;
use crate::costly::{self, CostlyError};
use crate::http::problem::{Code, Problem};
use crate::ids::hex;
use crate::net::smtp::Mailbox;
use crate::signal::mail::letter::Letter;
use crate::signal::mail::session::{Outcome, Rules, Verdict};
use crate::signal::mail::signal;
use crate::store::StoreError;
use crate::telemetry::MailResult;

/// The longest letter, in bytes.
const LONGEST: usize = 1 << 20;
/// What its alarms come from.
const SOURCE: &str = "mail";

/// The mailbox of this server.
pub struct Mail(Arc<App>);

/// A recipient: the sender whose key it is, and the key of the alarm where the address says one.
#[derive(Clone, Debug)]
pub struct Recipient {
    sender: Sender,
    key: Option<String>,
}

impl Mail {
    /// Raises alarms here.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self(app)
    }

    /// What the server is to whoever sends.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let host = self.0.config().mail.domains.first().map_or("autocall", String::as_str);
        Rules { host: host.to_owned(), longest: LONGEST }
    }

    /// Whether a domain is ours. An address in brackets is: it led here.
    fn is_ours(&self, domain: &str) -> bool {
        let domains = &self.0.config().mail.domains;
        domains.is_empty() || domain.starts_with('[') || domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    }

    fn count(&self, result: MailResult) {
        self.0.engine.metrics.mails.inc(result);
    }

    /// Does what a letter says, for each of its recipients.
    async fn take(&self, letter: Letter, to: Vec<Recipient>) -> Outcome {
        let (mut taken, mut later, mut refused) = (false, false, None);
        for Recipient { sender, key } in &to {
            match self.take_for(&letter, sender, key.as_deref()).await {
                Ok(result) => {
                    self.count(result);
                    taken = true;
                }
                Err(problem) => {
                    let (name, reason) = (sender.name().unwrap_or_default(), problem.code());
                    tracing::warn!(sender.name = name, reason, "a letter was refused");
                    self.0.access.refusals.count(name, reason);
                    let is_later = problem.is_ours() || problem.status() == StatusCode::TOO_MANY_REQUESTS.as_u16();
                    self.count(if is_later { MailResult::Later } else { MailResult::Refused });
                    if is_later {
                        // The others are rung now all the same: many devices never send again.
                        later = true;
                    } else {
                        refused = Some(problem.sentence());
                    }
                }
            }
        }
        if later {
            return Outcome::Later;
        }
        // Who of several cannot be rung is in the log: the others were, and the letter must not come again.
        match refused {
            Some(why) if !taken => Outcome::Refused(why),
            _ => Outcome::Taken,
        }
    }

    async fn take_for(&self, letter: &Letter, sender: &Sender, key: Option<&str>) -> Result<MailResult, Problem> {
        let app = &self.0;
        let signal = signal(letter, key, &app.config().mail.over, app.engine.clock.now());
        // A device that has lost power counts its letters and its time anew: only with a date that can be is it known for the same.
        let same = letter.same.as_ref().filter(|_| signal.at.is_some()).map(|same| {
            let all = [same.as_str(), key.unwrap_or_default(), letter.text.as_str()].join("\n");
            format!("mail {}", hex(&Sha256::digest(all.as_bytes())))
        });
        let integration = sender.integration_id();
        if let Some(same) = &same
            && app.engine.store.read().await?.db().repeated_request(&integration, same).await?.is_some()
        {
            return Ok(MailResult::Again);
        }
        senders::may_raise_now(&app.access, sender)
            .map_err(|why| Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyAlarms, why.to_string()))?;
        let became = signals::take(app, sender, SOURCE, &Options::default(), signal).await?;
        tracing::info!(sender.name = sender.name(), outcome = became.told["outcome"].as_str(), "a letter was taken");
        if let Some(same) = same
            && let Err(error) = self.remember(&integration, &same).await
        {
            // What it says is stored: were it to come again, it would count as a repeat.
            tracing::warn!(%error, "that a letter came could not be written down");
        }
        Ok(MailResult::Taken)
    }

    /// Notes that a letter came; forgotten after a day, as what was answered to requests is.
    async fn remember(&self, integration: &str, same: &str) -> Result<(), StoreError> {
        let (store, now) = (&self.0.engine.store, self.0.engine.clock.now());
        let mut tx = store.begin().await?;
        tx.db().begin_request(integration, same, &[], now).await?;
        tx.commit().await
    }
}

impl Mailbox for Mail {
    type Recipient = Recipient;

    async fn recipient(&self, peer: IpAddr, address: &str) -> Verdict<Recipient> {
        let (name, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        // Some devices write addresses in capitals.
        let name = name.to_lowercase();
        let (key, own) = name.split_once('+').map_or((name.as_str(), None), |(key, own)| (key, Some(own)));
        // Whatever is wrong with it is a wrong key, and told as one.
        let key = if self.is_ours(domain) { key } else { "" };
        let why = match senders::who_mails(&self.0.access, peer, key).await {
            Ok(sender) => {
                let key = own.filter(|own| !own.is_empty()).map(str::to_owned);
                return Verdict::Known(Recipient { sender, key });
            }
            Err(why) => why,
        };
        match why {
            NotASender::Store(error) => {
                tracing::warn!(%error, "the recipient of a letter cannot be looked up");
                Verdict::Later
            }
            _ => {
                let ends = matches!(why, NotASender::TooManyWrong(_));
                let code = if ends { Code::TooManyWrongKeys } else { Code::Unauthorized };
                let reason = code.word();
                tracing::warn!(sender.name = STRANGER, %peer, reason, "a letter has a wrong recipient");
                self.0.access.refusals.count(STRANGER, reason);
                self.count(MailResult::Refused);
                Verdict::Unknown { ends }
            }
        }
    }

    async fn letter(&self, letter: Vec<u8>, to: Vec<Recipient>) -> Outcome {
        let mut each: Vec<Recipient> = Vec::new();
        for one in to {
            let is_same =
                |other: &Recipient| other.sender.integration_id() == one.sender.integration_id() && other.key == one.key;
            if !each.iter().any(is_same) {
                each.push(one);
            }
        }
        match costly::run(move |stop| Letter::read(&letter, stop)).await {
            Ok(letter) => self.take(letter, each).await,
            Err(CostlyError::Busy) => {
                self.count(MailResult::Later);
                Outcome::Later
            }
            // This computer may only have been busy: what is sent again costs less than what is lost.
            Err(error @ CostlyError::TooLong) => {
                tracing::warn!(%error, "a letter cannot be read: its sender is told to come again");
                self.count(MailResult::Later);
                Outcome::Later
            }
        }
    }
}
