//! What a line is: something with a SIM card, or an account, by which numbers are rung.

use std::{future::Future, time::Duration};

use crate::{
    native::{
        CannotDial, Seen, Unfinished,
        delivery::{Carried, Told},
    },
    wire::{Cause, CommandKind, InboundText, Status},
};

/// A real line. Times are the handset's own clock, see [`super::clock`].
pub trait Line: Send + Sync + 'static {
    /// Whether [`Line::hang_up`] can end a call.
    fn hangs_up(&self) -> bool;

    /// Whether a number could be rung now, as far as is known. While not, the handset asks for no alarm and no command.
    fn can_dial(&self) -> bool {
        true
    }

    /// How often to look at a call.
    fn look_every(&self) -> Duration;

    /// Completes when it is worth looking at once; never for a line that has to be asked.
    fn changed(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Says by what the line will know the call to `number` again after a restart; called right before it is dialled, and written down first.
    ///
    /// # Errors
    ///
    /// If it cannot be dialled, and why. Then nothing is written down and nobody's phone rings.
    fn prepare(&self, number: &str) -> impl Future<Output = Result<Option<String>, CannotDial>> + Send;

    /// Dials. A number is dialled at most once for each [`Line::prepare`].
    ///
    /// # Errors
    ///
    /// Only if it is certain that no phone rings.
    fn dial(&self, number: &str) -> impl Future<Output = Result<(), CannotDial>> + Send;

    /// Ends the call, where that is possible.
    fn hang_up(&self) -> impl Future<Output = ()> + Send;

    /// Looks at the call. Where nothing is known yet that is [`super::nothing_yet`]; [`Seen::NoCall`] without a row means that the dial has left
    /// no trace, and makes it fail.
    fn look(&self, now: Duration, call: &Unfinished<'_>, mark: Option<&str>) -> impl Future<Output = Seen> + Send;

    /// What the network said about why the call to a number that is over ended; `None` where it said nothing.
    fn cause(&self, number: &str) -> Option<Cause> {
        let _ = number;
        None
    }

    /// The keys that the callee of the call to a number has pressed since this was asked last.
    fn keys(&self, number: &str) -> Vec<char> {
        let _ = number;
        Vec::new()
    }

    /// How the line is.
    fn status(&self) -> impl Future<Output = Status> + Send;

    /// Sends a text message or a forwarding code. Test calls are dialled like any number.
    fn carry_out(&self, command: &CommandKind) -> impl Future<Output = Carried> + Send;

    /// What the network has said of texts since they were sent, oldest first; each until [`Line::told_taken`].
    fn told(&self) -> Vec<Told> {
        Vec::new()
    }

    /// This is written down, or about no text of this handset.
    fn told_taken(&self, told: &Told) -> impl Future<Output = ()> + Send {
        let _ = told;
        std::future::ready(())
    }

    /// Text messages that came in and are not yet with the server, oldest first.
    fn texts(&self) -> impl Future<Output = Vec<InboundText>> + Send {
        std::future::ready(Vec::new())
    }

    /// The server has this text message.
    fn text_taken(&self, text: &InboundText) -> impl Future<Output = ()> + Send {
        let _ = text;
        std::future::ready(())
    }
}
