//! What operators keep, changed in one call: each begins a unit of work, does one thing, and commits it, as the faces do.

use autocall::engine::{Doer, Engine};
use autocall::keep::lines::gateways::{self, InboundChange, NewGateway};
use autocall::keep::lines::numbers::{self, NewLine};
use autocall::keep::refused::Refused;
use autocall::keep::windows::{self, NewWindow};
use autocall::kinds::gateways::GatewaySettings;
use autocall::store::lines::numbers::LineRow;
use autocall::store::lines::sms::GatewayRow;
use autocall::versions::Expected;

/// Changes that tests make without a face.
#[expect(async_fn_in_trait, reason = "only the engine is this")]
pub trait Kept {
    /// Makes a gateway.
    async fn add_gateway(&self, name: &str, settings: GatewaySettings, inbound: InboundChange) -> Result<GatewayRow, Refused>;
    /// Finds one.
    async fn gateway(&self, which: &str) -> Result<GatewayRow, Refused>;
    /// Removes one.
    async fn remove_gateway(&self, which: &str, expected: &Expected) -> Result<(), Refused>;
    /// Makes a public number.
    async fn add_line(&self, new: &NewLine) -> Result<LineRow, Refused>;
    /// Says all of it anew.
    async fn say_line(&self, which: &str, new: &NewLine, expected: &Expected) -> Result<LineRow, Refused>;
    /// Binds it.
    async fn bind_line(&self, which: &str, person: Option<(&str, &str)>, expected: &Expected) -> Result<(), Refused>;
    /// Hands it over.
    async fn hand_line_over(&self, which: &str, number: &str, person: Option<&str>) -> Result<(), Refused>;
    /// Removes it.
    async fn remove_line(&self, which: &str, expected: &Expected) -> Result<(), Refused>;
    /// Removes a heartbeat.
    async fn remove_heartbeat(&self, which: &str, expected: &Expected) -> Result<(), Refused>;
    /// Makes a maintenance window.
    async fn add_window(&self, new: &NewWindow) -> Result<(), Refused>;
    /// Ends one.
    async fn end_window(&self, id: &str) -> Result<(), Refused>;
}

impl Kept for Engine {
    async fn add_gateway(&self, name: &str, settings: GatewaySettings, inbound: InboundChange) -> Result<GatewayRow, Refused> {
        let mut work = self.work(Doer::Server).await?;
        let (made, _) = gateways::add(&mut work, &self.config, NewGateway { name: name.to_owned(), settings, inbound }).await?;
        work.commit().await?;
        Ok(made)
    }

    async fn gateway(&self, which: &str) -> Result<GatewayRow, Refused> {
        gateways::find(&mut self.store.read().await?.db(), which).await
    }

    async fn remove_gateway(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        gateways::remove(&mut work, &self.links, which, expected).await?;
        Ok(work.commit().await?)
    }

    async fn add_line(&self, new: &NewLine) -> Result<LineRow, Refused> {
        let mut work = self.work(Doer::Server).await?;
        let line = numbers::add(&mut work, &self.config, new).await?;
        work.commit().await?;
        Ok(line)
    }

    async fn say_line(&self, which: &str, new: &NewLine, expected: &Expected) -> Result<LineRow, Refused> {
        let mut work = self.work(Doer::Server).await?;
        let line = self.change_line(&mut work, which, new, expected).await?;
        work.commit().await?;
        Ok(line)
    }

    async fn bind_line(&self, which: &str, person: Option<(&str, &str)>, expected: &Expected) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        numbers::bind(&mut work, &self.config, which, person, expected).await?;
        Ok(work.commit().await?)
    }

    async fn hand_line_over(&self, which: &str, number: &str, person: Option<&str>) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        self.forward_line(&mut work, which, number, person, &Expected::Anything).await?;
        Ok(work.commit().await?)
    }

    async fn remove_line(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        numbers::remove(&mut work, which, expected).await?;
        Ok(work.commit().await?)
    }

    async fn remove_heartbeat(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        self.forget_heartbeat(&mut work, which, expected).await?;
        Ok(work.commit().await?)
    }

    async fn add_window(&self, new: &NewWindow) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        windows::add(&mut work, new).await?;
        Ok(work.commit().await?)
    }

    async fn end_window(&self, id: &str) -> Result<(), Refused> {
        let mut work = self.work(Doer::Server).await?;
        windows::end(&mut work, id).await?;
        Ok(work.commit().await?)
    }
}
