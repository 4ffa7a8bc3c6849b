//! One line, one process: while a handset runs, a check of the same handset dials nobody.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/fake_phone.rs"]
#[expect(dead_code, reason = "the whole phone is for other tests")]
mod fake_phone;
#[path = "support/rig.rs"]
#[expect(dead_code, reason = "the whole rig is for other tests")]
mod rig;
mod support;

use android_protocol::wire::{ACCEPTED_BODY, IDLE_BODY};
use rig::{A, Kind, Rig};
use support::{Desk, eventually};

/// A server with nothing to do.
fn idle() -> Desk {
    Desk::open(|request| {
        let polls = request.path.starts_with("/alert") || request.path.starts_with("/outbox?");
        (200, if polls { IDLE_BODY } else { ACCEPTED_BODY }.to_owned())
    })
}

fn a_check_beside_a_running_handset_dials_nobody(kind: Kind) {
    let (desk, rig) = (idle(), Rig::new(kind));
    let agent = rig.start(&desk.url);
    eventually("the handset", || desk.bodies("/alert/phone?wait").first().cloned());
    let checked = rig.check(&["--number", A]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success(), "{kind:?}: {said}");
    assert!(said.contains("belongs to a handset that is running already"), "{kind:?}: {said}");
    assert_eq!(rig.dials(), 0, "{kind:?}");
    drop(agent);
}

#[test]
fn over_sip() {
    a_check_beside_a_running_handset_dials_nobody(Kind::Sip);
}

#[test]
fn with_a_modem() {
    a_check_beside_a_running_handset_dials_nobody(Kind::Modem);
}

#[test]
fn on_a_phone() {
    a_check_beside_a_running_handset_dials_nobody(Kind::Termux);
}
