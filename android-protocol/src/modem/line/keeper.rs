//! Who keeps a modem going: finds its port, brings it up, and brings it back.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    Order, broken,
    config::Modem,
    port::{Place, Port, words},
    session::Session,
    shared::Shared,
    talk::{Talk, Trouble},
    write_private,
};
use crate::{
    modem::{
        exchange::Command,
        recovery::{Recovery, Remedy},
        start::{Next, NotReady, Pin, Start},
    },
    wire::OutboxResult,
};

/// How often the port is looked for while it is not there.
const LOOK_FOR_PORT_EVERY: Duration = Duration::from_secs(2);

/// How long a modem that says why it is not ready is left alone.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How long a call is believed in while the modem is away.
const AWAY_FOR: Duration = Duration::from_mins(1);

/// Runs until it is dropped.
pub(super) async fn run(settings: Modem, place: Place, state_dir: PathBuf, shared: Arc<Shared>, orders: mpsc::Receiver<Order>) {
    let mut keeper = Keeper { settings, place, state_dir, shared, orders, recovery: Recovery::default(), away_since: None };
    loop {
        let pause = keeper.once().await;
        keeper.refuse_orders_for(pause).await;
        if keeper.orders.is_closed() && keeper.orders.is_empty() {
            return;
        }
    }
}

/// Who keeps a modem going.
pub(super) struct Keeper {
    pub(super) settings: Modem,
    place: Place,
    state_dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::Receiver<Order>,
    recovery: Recovery,
    /// Since when nothing is known about a call.
    away_since: Option<Duration>,
}

impl Keeper {
    /// Opens the port and uses the modem as long as that goes well; then, how long to wait.
    async fn once(&mut self) -> Duration {
        let opened = self.place.find().and_then(|path| {
            let port = Port::open(&path, self.settings.baud).map_err(|why| words(&path, &why))?;
            Ok((path, port))
        });
        let (path, port) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                self.shared.not_ready(&why, false);
                return LOOK_FOR_PORT_EVERY;
            }
        };
        let mut talk = Talk::new(port, self.shared.pace);
        let ended = match self.bring_up(&mut talk).await {
            Ok(Ok(())) => {
                self.away_since = None;
                let mut session = Session::new(self, talk, path.to_string_lossy().into_owned());
                let ended = session.serve().await;
                talk = session.talk;
                ended
            }
            Ok(Err(why)) => {
                self.shared.not_ready(&why.to_string(), false);
                return ASK_AGAIN_AFTER;
            }
            Err(trouble) => trouble,
        };
        match ended {
            Trouble::Gone(why) => {
                self.shared.not_ready(&words(&path, &why), false);
                LOOK_FOR_PORT_EVERY
            }
            Trouble::Silent => self.remedy(&mut talk).await,
        }
    }

    /// Tries to bring a silent modem back; then, how long to wait before the port is opened anew.
    async fn remedy(&mut self, talk: &mut Talk) -> Duration {
        loop {
            let remedy = self.recovery.silent(self.shared.call_may_run(), !self.settings.reset_command.is_empty());
            tracing::warn!(?remedy, "the modem is silent");
            self.shared.not_ready("it does not answer", remedy == Remedy::GiveUp);
            let asked = match remedy {
                Remedy::Ask => talk.ask(Command::new("AT")).await,
                Remedy::Escape => match talk.escape().await {
                    Ok(()) => talk.ask(Command::new("AT")).await,
                    Err(why) => Err(why),
                },
                Remedy::Restart => {
                    let _ = talk.shout("AT+CFUN=1,1").await;
                    return remedy.pause();
                }
                Remedy::Command => {
                    self.run_reset_command().await;
                    return remedy.pause();
                }
                Remedy::Reopen | Remedy::GiveUp | Remedy::Knock => return remedy.pause(),
            };
            match asked {
                // It is there again: the port is opened anew all the same, for nobody knows what it has forgotten.
                Ok(_) => return Duration::ZERO,
                Err(Trouble::Silent) => {}
                Err(Trouble::Gone(_)) => return LOOK_FOR_PORT_EVERY,
            }
        }
    }

    async fn run_reset_command(&self) {
        let Some((program, arguments)) = self.settings.reset_command.split_first() else { return };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).kill_on_drop(true);
        match tokio::time::timeout(Duration::from_mins(1), command.status()).await {
            Ok(Ok(status)) if status.success() => tracing::info!("the reset command has run"),
            Ok(Ok(status)) => tracing::warn!(%status, "the reset command failed"),
            Ok(Err(why)) => tracing::warn!(error = %why, "the reset command cannot be run"),
            Err(_) => tracing::warn!("the reset command did not end within a minute"),
        }
    }

    /// The first talk.
    async fn bring_up(&mut self, talk: &mut Talk) -> Result<Result<(), NotReady>, Trouble> {
        let tried = self.state_dir.join("modem-pin-tried");
        let pin = self.settings.pin.clone().map(|code| {
            // Another PIN is another try.
            let known = std::fs::read_to_string(&tried).unwrap_or_default();
            Pin { tried: known.trim() == code, code }
        });
        let mut start = Start::new(pin);
        let (mut silent, mut answered) = (0, false);
        loop {
            match start.step() {
                Next::Ask(command) => {
                    let greets = command.text == "AT";
                    match talk.ask(command).await {
                        Ok(answer) => {
                            (silent, answered) = (0, true);
                            self.recovery.answered();
                            start.answered(Some(&answer));
                        }
                        Err(Trouble::Silent) => {
                            silent += 1;
                            if silent >= 3 || (greets && silent >= 2) {
                                // What answers in another language is no modem that could be stuck: nothing is tried with it.
                                let is_modem = answered || !talk.is_garbled();
                                return if is_modem { Err(Trouble::Silent) } else { Ok(Err(NotReady::NoModem)) };
                            }
                            start.answered(None);
                        }
                        Err(gone) => return Err(gone),
                    }
                }
                Next::NotePin => {
                    let pin = self.settings.pin.clone().unwrap_or_default();
                    // A PIN that cannot be written down is not tried: a restart would try it again.
                    if let Err(why) = write_private(&tried, &pin) {
                        tracing::error!(error = %why, "the PIN is not tried: {} cannot be written", tried.display());
                        return Ok(Err(NotReady::PinWanted));
                    }
                }
                Next::Wait(time) => self.shared.pace.sleep(time).await,
                Next::Ready => {
                    let _ = std::fs::remove_file(&tried);
                    let identity = start.identity();
                    tracing::info!(
                        modem = %format!("{} {}", identity.manufacturer, identity.model), dialect = identity.dialect().name(),
                        refused = ?start.refused(), "the modem is ready"
                    );
                    self.shared.ready(identity);
                    return Ok(Ok(()));
                }
                Next::Failed(why) => return Ok(Err(why)),
            }
        }
    }

    /// Says no to whatever is asked, while the modem is away.
    async fn refuse_orders_for(&mut self, pause: Duration) {
        let until = self.shared.pace.deadline(pause);
        loop {
            let now = self.shared.pace.now();
            let away = *self.away_since.get_or_insert(now);
            if now >= away + AWAY_FOR && self.shared.call_may_run() {
                // A call does not outlive its modem for long; whoever was rung is not rung again for it.
                tracing::warn!("the modem has been away for so long that its call is taken for ended");
                self.shared.lost_call();
            }
            let order = tokio::select! {
                order = self.orders.recv() => order,
                () = tokio::time::sleep_until(until) => return,
            };
            let why = self.shared.trouble().unwrap_or_else(|| "the modem is being started".to_owned());
            match order {
                Some(Order::Prepare(reply)) => drop(reply.send(Err(broken(why)))),
                Some(Order::Dial(_, reply)) => drop(reply.send(Err(broken(why)))),
                Some(Order::CarryOut(_, reply)) => {
                    drop(reply.send(OutboxResult { detail: Some(why), ..OutboxResult::default() }.into()));
                }
                Some(Order::Find(number)) => self.shared.search_later(&number),
                // What still lies on the SIM is found there again.
                Some(Order::Delete(slots)) => self.shared.forget_told(&slots),
                Some(Order::HangUp) => {}
                None => return,
            }
        }
    }
}
