//! The stock app, build by build, as a handset of the matrix.

use std::time::Duration;

use android_protocol::app::{Build, Death, Health, Settings, Start};
use android_protocol::phone::{People, Phone};
use android_protocol::sim::{Happening, World};
use autocall::store::watch::handsets::IdleForm;

use crate::bench::{Handset, Make};
use crate::line::Client;

/// What Android takes to start a dead process again; the app asks for it, and nobody opens its screen.
const RESTART_AFTER: Duration = Duration::from_secs(40);

/// One build, set up as the contract asks: settings saved, a call log that is not empty, and an interval that the build survives.
pub struct Stock(pub Build);

impl Make for Stock {
    fn interval(&self) -> u64 {
        // The older builds must find the call ended when they look, or they call themselves until the stack is full.
        if self.believes_the_last_row() { 10 } else { 70 }
    }

    fn idle_form(&self) -> IdleForm {
        match self.0 {
            Build::HeadHeadless => IdleForm::HeadlessSafe,
            _ => IdleForm::Plain,
        }
    }

    fn believes_the_last_row(&self) -> bool {
        matches!(self.0, Build::Head | Build::HeadHeadless)
    }

    fn connect(&self, url: &str, people: People, client: Client) -> Box<dyn Handset> {
        let mut world = World::new(self.0, Settings::new(url).every(self.interval()), Phone::new(people), client.closure());
        if self.0 == Build::HeadHeadless {
            world.restart_after = Some(RESTART_AFTER);
        }
        Box::new(world)
    }
}

impl<S: FnMut(&android_protocol::http::Request, Duration) -> Option<android_protocol::http::HttpReply>> Handset for World<S> {
    fn run_until(&mut self, at: Duration) {
        World::run_until(self, at);
    }

    fn phone(&self) -> &Phone {
        &self.phone
    }

    fn phone_mut(&mut self) -> &mut Phone {
        &mut self.phone
    }

    fn trace(&self) -> &[(Duration, Happening)] {
        World::trace(self)
    }

    fn restart(&mut self) {
        // Nobody opens the screen of a phone that is kept without one.
        let start = if self.app.build() == Build::HeadHeadless { Start::ByAndroid } else { Start::ByUser };
        World::restart(self, start);
    }

    fn complaints(&self, outages: &[(Duration, Duration)]) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.app.health() != Health::Running {
            complaints.push(format!("is {:?} in the end", self.app.health()));
        }
        for (at, happening) in World::trace(self) {
            let Happening::Died(why) = happening else { continue };
            // Without a screen any failed poll kills it; then nothing but a server that answers could have helped.
            let nobody_there = outages.iter().any(|(from, to)| from <= at && at <= to);
            let helpless = self.app.build() == Build::HeadHeadless && *why == Death::NoScreen && nobody_there;
            if !helpless {
                complaints.push(format!("died at {} s: {why:?}", at.as_secs()));
            }
        }
        complaints
    }
}
