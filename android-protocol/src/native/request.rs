//! What goes to the server, in which order, and what its replies mean.

use std::time::Duration;

use super::{
    JournalEntry, NativeHandset, POLL_SPACING, REST_WHEN_BUSY, RETRY_AFTER, STATUS_EVERY, TIMEOUT, call::millis, job::Job,
    restart::HandOut,
};
use crate::{
    http::{HttpReply, Method, Request},
    wire::{CallOutcome, Outbox, OutboxResult, PROTOCOL_HEADER, PROTOCOL_VERSION, PollReply},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Poll,
    Progress,
    Report,
    Status,
    Outbox,
    Result,
    /// What became of the text of this command.
    Delivery(String),
}

/// `text` as it may stand in a query.
fn query_value(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl NativeHandset {
    fn request(&self, method: Method, path: &str, body: String, wait: Duration) -> Request {
        let mut headers = vec![(PROTOCOL_HEADER.to_owned(), PROTOCOL_VERSION.to_owned())];
        if method == Method::Post {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Request { method, url: format!("{}{path}", self.settings.base), headers, body, timeout: wait + TIMEOUT }
    }

    pub(super) fn next_request(&mut self, now: Duration) -> Option<(Purpose, Request)> {
        let none = Duration::ZERO;
        if let Some(job) = self.job.as_ref().filter(|job| job.test.is_none()) {
            if let Some(progress) = self.progress.pop_front() {
                let path = format!("/progress?mid={}", query_value(&job.offer.mid));
                return Some((Purpose::Progress, self.request(Method::Post, &path, progress.to_body(), none)));
            }
        } else {
            self.progress.clear();
        }
        if self.calling.is_some() || now < self.quiet_until {
            return None;
        }
        if let Some(job) = self.job.as_ref().filter(|job| job.is_over()) {
            if let Some(id) = job.test.clone() {
                let call = job.results.first().cloned();
                self.job = None;
                self.carried_out(id, OutboxResult { ok: call.is_some(), call: call.map(Box::new), ..OutboxResult::default() });
            } else {
                let path = format!(
                    "/alert/phone?mid={}{}",
                    query_value(&job.offer.mid),
                    job.answered().map(|n| format!("&resp={}", query_value(n))).unwrap_or_default()
                );
                let body = job.report().to_body();
                return Some((Purpose::Report, self.request(Method::Post, &path, body, none)));
            }
        }
        if let Some((id, result)) = self.results.front() {
            let path = format!("/outbox/{}", query_value(id));
            return Some((Purpose::Result, self.request(Method::Post, &path, result.to_body(), none)));
        }
        if let Some((id, result)) = self.past.untold() {
            let path = format!("/outbox/{}", query_value(&id));
            return Some((Purpose::Delivery(id), self.request(Method::Post, &path, result.to_body(), none)));
        }
        if self.job.is_some() || self.working_on.is_some() {
            return None;
        }
        if now >= self.status_due {
            self.status_due = now + STATUS_EVERY;
            let body = self.settings.status.to_body();
            return Some((Purpose::Status, self.request(Method::Post, "/status", body, none)));
        }
        if !self.can_dial {
            return None;
        }
        if self.outbox_due {
            return Some((Purpose::Outbox, self.request(Method::Get, "/outbox?wait=0", String::new(), none)));
        }
        let path = format!("/alert/phone?wait={}", self.settings.wait.as_secs());
        Some((Purpose::Poll, self.request(Method::Get, &path, String::new(), self.settings.wait)))
    }

    /// The reply to the last [`NativeAction::Http`](super::NativeAction::Http).
    pub fn http_reply(&mut self, now: Duration, reply: &HttpReply) {
        let Some((purpose, sent)) = self.in_flight.take() else { return };
        let understood = PollReply::parse(&reply.body);
        let good = (200..300).contains(&reply.status) && understood.is_ok();
        match purpose {
            // Lost progress is not worth repeating; being called off is worth hearing at any status.
            Purpose::Progress => {
                if let (Ok(PollReply::Unwanted), Some(job)) = (understood, &mut self.job) {
                    job.unwanted = true;
                }
            }
            // What it will never take is not sent for ever: meanwhile nobody would be rung.
            Purpose::Report if matches!(reply.status, 400 | 410 | 413 | 422) => self.close_job(now),
            Purpose::Result if matches!(reply.status, 400 | 404 | 410 | 413 | 422) => self.close_command(),
            Purpose::Delivery(id) if good || matches!(reply.status, 400 | 404 | 410 | 413 | 422) => {
                self.to_journal.push_back(JournalEntry::Told { id });
            }
            // A server that does not know these has alarms all the same.
            Purpose::Status if !good && reply.status < 500 => {}
            Purpose::Outbox if !good && reply.status < 500 => self.outbox_due = false,
            purpose if !good => self.again_later(now, &purpose),
            Purpose::Poll => {
                self.polled = true;
                match understood {
                    Ok(PollReply::Offer(offer)) => {
                        // What was dialled under this name is reported again, and never dialled again.
                        let known = self.past.hand_out(&offer.mid).map(HandOut::known_calls);
                        let unwanted = known.is_some();
                        if unwanted {
                            // A server that hands it out over and over is not asked as fast as it answers.
                            self.quiet_until = now + RETRY_AFTER;
                        } else {
                            self.to_journal.push_back(JournalEntry::Leased { offer: offer.clone(), at_ms: millis(now) });
                        }
                        self.job = Some(Job { results: known.unwrap_or_default(), unwanted, ..Job::new(offer, now) });
                    }
                    _ => {
                        self.outbox_due = true;
                        self.quiet_until = now.max(sent + POLL_SPACING);
                    }
                }
            }
            Purpose::Report => {
                self.reported += 1;
                self.close_job(now);
            }
            Purpose::Status => {}
            Purpose::Outbox => {
                self.outbox_due = false;
                self.commands.extend(Outbox::parse(&reply.body).unwrap_or_default().commands);
            }
            Purpose::Result => self.close_command(),
            Purpose::Delivery(_) => {}
        }
    }

    fn close_job(&mut self, now: Duration) {
        let Some(job) = self.job.take() else { return };
        if job.results.first().is_some_and(|call| call.outcome == Some(CallOutcome::NotDialled)) {
            self.quiet_until = now + REST_WHEN_BUSY;
        }
        self.to_journal.push_back(JournalEntry::Reported { mid: job.offer.mid });
    }

    /// The last [`NativeAction::Http`](super::NativeAction::Http) brought no reply.
    pub fn http_error(&mut self, now: Duration) {
        if let Some((purpose, _)) = self.in_flight.take()
            && purpose != Purpose::Progress
        {
            self.again_later(now, &purpose);
        }
    }

    fn again_later(&mut self, now: Duration, purpose: &Purpose) {
        self.quiet_until = now + RETRY_AFTER;
        if *purpose == Purpose::Status {
            self.status_due = now;
        }
    }
}
