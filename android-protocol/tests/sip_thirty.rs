//! Thirty calls at once by one handset: no frame of any of them is missing or doubled.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/speaking.rs"]
#[expect(dead_code, reason = "what a call leaves in files is looked at where packets get lost")]
mod speaking;
#[expect(dead_code, reason = "the whole desk is for other tests")]
mod support;

use std::{collections::BTreeSet, net::Ipv4Addr};

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::g711::Law,
    wire::CallOutcome,
};
use speaking::{Handset, number, once};
use support::eventually;

const CALLS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_calls_at_once_lose_and_double_no_frame() {
    let acts = [Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(30), Act::Released, Act::Key('1')];
    let peer = Peer::start(Ipv4Addr::LOCALHOST.into(), Manners::of(acts)).unwrap();
    let handset = Handset::start(peer.address(), u8::try_from(CALLS).unwrap(), "");
    for n in 0..CALLS {
        handset.calls(&format!("m{n}"), &number(n), &once());
    }
    // Nobody has pressed a key yet: all of them talk.
    eventually("thirty calls that talk", || {
        let log = peer.log();
        (log.sequences.values().filter(|numbers| numbers.len() > 60).count() == CALLS).then_some(())
    });
    eventually("thirty reports", || {
        peer.release();
        (0..CALLS).all(|n| handset.reported(&format!("m{n}")).is_some()).then_some(())
    });
    for n in 0..CALLS {
        let (call, number) = (handset.report(&format!("m{n}")), number(n));
        assert_eq!((call.number.as_str(), call.outcome), (number.as_str(), Some(CallOutcome::Answered)));
        assert_eq!((call.keys.as_deref(), call.action.as_deref()), (Some("1"), Some("accept")), "{number}");
    }
    let log = peer.log();
    let called: BTreeSet<&String> = log.calls.iter().map(|(_, who)| who).collect();
    assert_eq!((log.calls.len(), called.len(), log.sequences.len()), (CALLS, CALLS, CALLS));
    for (id, who) in &log.calls {
        let steps = log.sequences[id].windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).filter(|step| *step != 1);
        assert_eq!(steps.count(), 0, "numbers of {who}: {:?}", log.sequences[id]);
        let steps = log.stamps[id].windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).filter(|step| *step != 160);
        assert_eq!(steps.count(), 0, "times of {who}: {:?}", log.stamps[id]);
    }
}
