//! The native handset as a handset of the matrix: the only module that knows its protocol.
//!
//! It works with a server that knows the native protocol, and with one that knows only the documented part of it.

use std::time::Duration;

use android_protocol::http::{HttpReply, Request};
use android_protocol::native::{NativeSettings, Phase};
use android_protocol::phone::{People, Phone};
use android_protocol::sim::{Happening, NativeWorld};
use android_protocol::wire::{ACCEPTED_BODY, Outbox};
use autocall::store::watch::handsets::IdleForm;

use crate::bench::{Handset, Make};
use crate::line::Client;

/// Our own handset.
pub struct Native;

impl Make for Native {
    fn interval(&self) -> u64 {
        2
    }

    fn idle_form(&self) -> IdleForm {
        IdleForm::Plain
    }

    fn believes_the_last_row(&self) -> bool {
        false
    }

    fn connect(&self, url: &str, people: People, client: Client) -> Box<dyn Handset> {
        // A poll that the server holds would last in real time, while the clock of the test stands still.
        // Its address is read from a code, and not typed.
        let settings = NativeSettings { wait: Duration::ZERO, ..NativeSettings::new(url.trim()) };
        let mut send = client.closure();
        let server = move |request: &Request, now: Duration| send(request, now).map(|reply| understood(request, reply));
        Box::new(NativeWorld::new(settings, Phone::new(people), server))
    }
}

/// Without the parts that are ours alone the handset would ask for them again and again, and never poll: they are answered here.
fn understood(request: &Request, reply: HttpReply) -> HttpReply {
    let ours_alone = !request.url.contains("/alert/phone");
    match reply.status {
        404 if ours_alone && request.url.contains("/outbox") => HttpReply::ok(Outbox::new(Vec::new()).to_body()),
        404 if ours_alone => HttpReply::ok(ACCEPTED_BODY),
        _ => reply,
    }
}

impl<S: FnMut(&Request, Duration) -> Option<HttpReply>> Handset for NativeWorld<S> {
    fn run_until(&mut self, at: Duration) {
        NativeWorld::run_until(self, at);
    }

    fn phone(&self) -> &Phone {
        &self.phone
    }

    fn phone_mut(&mut self) -> &mut Phone {
        &mut self.phone
    }

    fn trace(&self) -> &[(Duration, Happening)] {
        NativeWorld::trace(self)
    }

    fn restart(&mut self) {
        NativeWorld::restart(self);
    }

    fn complaints(&self, _outages: &[(Duration, Duration)]) -> Vec<String> {
        match self.handset.phase() {
            Phase::Idle => Vec::new(),
            phase => vec![format!("is {phase:?} in the end")],
        }
    }
}
