//! A gateway is tried: a message to a number, and what came of it.

use askama::Template;

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::trial::{Trial, Tried};
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::fill;
use crate::ids::GatewayId;
use crate::keep::lines::gateways::state_of;
use crate::keep::refused::Refused;
use crate::store::lines::sms::SmsStateRow;

/// What stands below the form of a gateway.
#[derive(Default)]
pub(super) struct Below {
    /// To whom, as it was typed.
    pub(super) number: String,
    pub(super) tried: Option<Tried>,
    pub(super) wrong: Option<Wrong>,
}

/// The part of its page by which a gateway is tried.
pub(super) fn section(reader: &Reader, gateway: GatewayId, below: Below) -> Result<String, Refusal> {
    let words = reader.words;
    let number = Field::plain("number", &words.trial_number, Input::Phone).value(below.number).required();
    let form = Form::new(reader, "trial", format!("/gateways/{gateway}/test"), &words.trial_go).looking("").with([number]);
    let trial = Trial { words, how: &words.trial_gateway_how, form: form.saying(below.wrong.as_ref()), tried: below.tried };
    trial.render().map_err(|_| Refusal::Failed)
}

/// What is known of a test message when nobody waits for it any longer.
pub(super) fn tried(reader: &Reader, state: &SmsStateRow) -> Tried {
    let words = reader.words;
    let (is_good, sentence) = match state_of(state) {
        "delivered" => (true, &words.trial_delivered),
        "sent" => (true, &words.trial_sent),
        "given_up" => (false, &words.trial_given_up),
        "failed" => (false, &words.trial_failed),
        _ => (false, &words.trial_waiting),
    };
    let said = state.last_result.as_deref().unwrap_or("–");
    Tried { is_good, says: fill(sentence, &[("said", Text(said))]) }
}

/// Why no message was sent.
///
/// # Errors
/// When the number is not to blame.
pub(super) fn wrong(reader: &Reader, refused: Refused) -> Result<Wrong, Refusal> {
    match refused {
        Refused::Wrong { field: "number", .. } => Ok(Wrong::new("number", &reader.words.bad_number)),
        refused => Err(refused.into()),
    }
}
