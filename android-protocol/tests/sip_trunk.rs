//! The way into the telephone network, kept open: registered again in time, found again after it was away, and reached through a proxy.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use android_protocol::sip::{
    config::{Secret, Sip},
    peer::{Act, Log, Manners, Peer},
    signal::stack::{Event, RegisterError, Stack},
    signal::surroundings::Surroundings,
    signal::trunk::{Trunk, TrunkState},
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONG: Duration = Duration::from_secs(90);

fn settings(trunk: &str) -> Sip {
    let mut sip: Sip = toml::from_str(&format!("trunk = '{trunk}'\nuser = '1001'\n")).unwrap();
    sip.password = Some(Secret("geheim".into()));
    sip
}

async fn register(stack: &Stack) {
    let mut registration = stack.registration();
    loop {
        match registration.register(stack, 300).await {
            // On a busy machine.
            Err(RegisterError::Silent) => {}
            answer => return assert_eq!(answer, Ok(Duration::from_mins(2))),
        }
    }
}

async fn state(trunk: &Trunk, what: &str, is: impl Fn(&TrunkState) -> bool) -> TrunkState {
    let mut states = trunk.state.clone();
    match tokio::time::timeout(LONG, states.wait_for(is)).await {
        Ok(state) => state.unwrap().clone(),
        Err(late) => panic!("{late}: the trunk is never {what}: {:?}", trunk.state.borrow().words),
    }
}

async fn seen(peer: &Peer, what: &str, is: impl Fn(&Log) -> bool) {
    for _ in 0..4500 {
        if is(&peer.log()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the registrar never saw {what}: {:?}", peer.log().requests);
}

#[tokio::test]
async fn a_registration_is_renewed_before_it_ends() {
    let manners = Manners { challenges: Some("1001".into()), expires: 7, ..Manners::default() };
    let peer = Peer::start(LOCAL, manners).unwrap();
    let (trunk, keeping) = Trunk::keep(settings(&peer.address().to_string()));
    let ready = state(&trunk, "ready", |state| state.ready).await;
    assert!(ready.words.ends_with(": registered"), "{}", ready.words);
    // Each one asked for the password.
    seen(&peer, "a second registration", |log| log.count("REGISTER") >= 3).await;
    keeping.abort();
}

#[tokio::test]
async fn a_registrar_that_was_away_or_refused_is_asked_again() {
    let peer = Peer::start(LOCAL, Manners { deaf: true, ..Manners::default() }).unwrap();
    let (trunk, keeping) = Trunk::keep(settings(&peer.address().to_string()));
    let away = state(&trunk, "down", |state| state.words.contains("does not answer")).await;
    assert!(!away.ready && !away.refused && away.stack.is_some());
    peer.behave(Manners { expires: 300, ..Manners::default() });
    state(&trunk, "ready again", |state| state.ready).await;
    // A call that got no answer makes it ask at once, long before the registration ends.
    let before = peer.log().count("REGISTER");
    trunk.suspect();
    seen(&peer, "a question whether it is there", |log| log.count("REGISTER") > before).await;
    peer.behave(Manners { challenges: Some("1001".into()), forbids: true, ..Manners::default() });
    trunk.suspect();
    let refused = state(&trunk, "refused", |state| state.refused).await;
    assert!(refused.words.contains("403 Forbidden: check agent.sip.user"), "{}", refused.words);
    keeping.abort();
}

#[tokio::test]
async fn a_trunk_that_wants_no_registration_is_ready_at_once() {
    let peer = Peer::start(LOCAL, Manners::default()).unwrap();
    let (trunk, keeping) = Trunk::keep(Sip { register: false, ..settings(&peer.address().to_string()) });
    state(&trunk, "ready", |state| state.ready).await;
    assert_eq!(peer.log().count("REGISTER"), 0);
    keeping.abort();
}

#[tokio::test]
async fn everything_goes_to_the_proxy_and_names_the_trunk() {
    let peer = Peer::start(LOCAL, Manners::of([Act::Ring(180), Act::Refuse(486, "Busy Here", &[])])).unwrap();
    let sip = Sip { outbound_proxy: Some(peer.address().to_string()), ..settings("trunk.invalid") };
    let stack = Stack::start(&sip).await.unwrap();
    register(&stack).await;
    let mut call = stack.invite(&sip.dialling().address("139").unwrap(), "call-1", "v=0\r\n".into()).unwrap();
    let refused = async {
        loop {
            if let Event::Refused(ending) = call.next().await {
                return ending;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LONG, refused).await.unwrap().code, Some(486));
    let log = peer.log();
    assert!(log.requests.iter().any(|line| line.starts_with("REGISTER sip:trunk.invalid SIP/2.0")), "{:?}", log.requests);
    assert!(log.requests.iter().any(|line| line.starts_with("INVITE sip:139@trunk.invalid SIP/2.0")), "{:?}", log.requests);
    assert!(log.last["INVITE"].contains("From: <sip:1001@trunk.invalid>"), "{}", log.last["INVITE"]);
}

#[tokio::test]
async fn nobody_can_call_us_and_exchanges_may_ask_whether_we_are_there() {
    let peer = Peer::start(LOCAL, Manners { expires: 120, ..Manners::default() }).unwrap();
    let stack = Stack::start(&settings(&peer.address().to_string())).await.unwrap();
    register(&stack).await;
    let register = peer.log().last["REGISTER"].clone();
    let contact = register.lines().find_map(|line| line.strip_prefix("Contact: ")).unwrap();
    let address = contact.split('@').nth(1).unwrap().split(['>', ';']).next().unwrap().to_owned();
    let answers = tokio::task::spawn_blocking(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let own = socket.local_addr().unwrap();
        ["OPTIONS", "INVITE", "BYE"].map(|method| {
            let text = format!(
                "{method} sip:1001@{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method};rport\r\nMax-Forwards: 70\r\nFrom: <sip:x@{own}>;tag=1\r\n\
                 To: <sip:1001@{address}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{own}>\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(text.as_bytes(), &address).unwrap();
            let mut buffer = [0; 4096];
            loop {
                let length = socket.recv(&mut buffer).unwrap();
                let reply = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if reply.contains(&format!("CSeq: 1 {method}")) && !reply.starts_with("SIP/2.0 100") {
                    return reply.lines().next().unwrap().to_owned();
                }
            }
        })
    });
    let answers = answers.await.unwrap();
    assert_eq!(answers, ["SIP/2.0 200 OK", "SIP/2.0 480 Temporarily Unavailable", "SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

/// Time runs so many times faster.
fn faster(speed: f64, sip: Sip) -> Sip {
    Sip { surroundings: Surroundings { speed, ..Surroundings::default() }, ..sip }
}

fn header(message: &str, name: &str) -> String {
    message.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
}

#[tokio::test]
async fn a_name_that_leads_to_several_addresses_in_turn_is_still_one_trunk() {
    let manners = Manners { expires: 3600, ..Manners::default() };
    let (peer, other) = (Peer::start(LOCAL, manners.clone()).unwrap(), Peer::start(LOCAL, manners).unwrap());
    let looked_up = Arc::new(AtomicUsize::new(0));
    let (count, both) = (Arc::clone(&looked_up), [peer.address(), other.address()]);
    let names = move || {
        let mut both = both.to_vec();
        both.rotate_left(count.fetch_add(1, Ordering::SeqCst) % 2);
        both
    };
    let surroundings = Surroundings { names: Some(Arc::new(names)), speed: 40.0, ..Surroundings::default() };
    let (trunk, keeping) = Trunk::keep(Sip { surroundings, ..settings("trunk.invalid") });
    state(&trunk, "ready", |state| state.ready).await;
    let first = peer.log().last["REGISTER"].clone();
    for _ in 0..4500 {
        if looked_up.load(Ordering::SeqCst) >= 12 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(looked_up.load(Ordering::SeqCst) >= 12, "it is never looked up again");
    assert_eq!(other.log().count("REGISTER"), 0);
    let last = peer.log().last["REGISTER"].clone();
    assert_eq!(header(&last, "Call-ID: "), header(&first, "Call-ID: "), "the same registration goes on");
    keeping.abort();
}

#[tokio::test]
async fn a_registrar_that_forgot_us_is_reminded_long_before_the_registration_ends() {
    let peer = Peer::start(LOCAL, Manners { expires: 36_000, ..Manners::default() }).unwrap();
    let (trunk, keeping) = Trunk::keep(faster(20.0, settings(&peer.address().to_string())));
    state(&trunk, "ready", |state| state.ready).await;
    seen(&peer, "a third question", |log| log.count("REGISTER") >= 3).await;
    // One that is away is missed as soon, and found again.
    peer.behave(Manners { deaf: true, ..Manners::default() });
    state(&trunk, "down", |state| !state.ready).await;
    peer.behave(Manners { expires: 36_000, ..Manners::default() });
    state(&trunk, "ready again", |state| state.ready).await;
    keeping.abort();
}
