//! Calls over SIP against a simulated trunk: every outcome, keys by every way, hang-up by either side, and what is said is what is heard.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

#[expect(dead_code, reason = "other tests have a server")]
mod support;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use android_protocol::{
    sip::{
        call::{ANY_ANSWER_WITHIN, Control, Made, News, Order, SOUND_WITHIN, Sounds, lines, make, new_call_id, pcm},
        config::{Secret, Sip, Transport},
        peer::{Act, Manners, Peer},
        signal::stack::{RegisterError, Stack},
    },
    voice::{
        g711::Law,
        script::{Script, Utterance},
        tone,
    },
    wire::{CallOutcome, EndedBy, FailureDetail},
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longer than anything here takes, on a busy machine.
const LONG: Duration = Duration::from_mins(1);

fn peer(manners: Manners) -> Peer {
    Peer::start(LOCAL, manners).unwrap()
}

fn settings(peer: &Peer) -> Sip {
    toml::from_str(&format!("trunk = '{}'\nuser = '1001'\n", peer.address())).unwrap()
}

/// A message of 700 Hz, thanks of 1100 Hz.
fn order(address: &str) -> Order {
    let script = r#"{"say":"Alarm","repeat":3,"pause_ms":1000,"keys":{"1":"accept","2":"decline"},"key_wait_seconds":20,"thanks":{"accept":"Thanks"}}"#;
    let sound = |frequency: f64, milliseconds| pcm(tone::sine(&[frequency], milliseconds, 9000.0));
    let ready = BTreeMap::from([
        (Utterance::Text("Alarm".into()), sound(700.0, 1000)),
        (Utterance::Text("Thanks".into()), sound(1100.0, 400)),
        (Utterance::Text("Taken".into()), sound(400.0, 400)),
    ]);
    Order {
        address: address.to_owned(),
        call_id: new_call_id(),
        ring: LONG,
        patience: LONG,
        script: serde_json::from_str::<Script>(script).unwrap(),
        sounds: Sounds { ready, instead: None },
        ports: None,
        symmetric: false,
        silence: SOUND_WITHIN,
        outcomes: BTreeMap::new(),
    }
}

fn address(peer: &Peer, number: &str) -> String {
    format!("sip:{number}@{}", peer.address())
}

/// Makes one call and waits for its end.
async fn call(peer: &Peer, change: impl FnOnce(&mut Sip, &mut Order)) -> (Made, Vec<News>) {
    let (mut sip, mut order) = (settings(peer), order(&address(peer, "13900000001")));
    change(&mut sip, &mut order);
    let stack = Stack::start(&sip).await.unwrap();
    let (news, mut told, control, mut controlled) = lines();
    let made = tokio::time::timeout(LONG, make(&stack, &order, &news, &mut controlled)).await.unwrap();
    drop((news, control));
    let mut all = Vec::new();
    while let Some(one) = told.recv().await {
        all.push(one);
    }
    (made, all)
}

async fn plain(acts: impl Into<Vec<Act>>) -> (Peer, Made, Vec<News>) {
    let peer = peer(Manners::of(acts));
    let (made, news) = call(&peer, |_, _| {}).await;
    (peer, made, news)
}

fn result(made: &Made) -> (CallOutcome, Option<FailureDetail>) {
    (made.judged.outcome, made.judged.detail)
}

fn key(key: char, action: Option<&str>) -> News {
    News::Key { key, ack: 0, action: action.map(str::to_owned) }
}

/// Waits until the trunk has seen it.
async fn seen(peer: &Peer, what: impl Fn(&android_protocol::sip::peer::Log) -> bool) {
    for _ in 0..4500 {
        if what(&peer.log()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the trunk never saw it: {:?}", peer.log().requests);
}

/// From the first to the last sample that is no silence.
fn said(heard: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.abs() > 300;
    let (first, last) = (heard.iter().position(loud).unwrap(), heard.iter().rposition(loud).unwrap());
    &heard[first..=last]
}

/// The accepted call, whichever way the key comes.
fn assert_accepted(peer: &Peer, made: &Made, news: &[News]) {
    assert_eq!(result(made), (CallOutcome::Answered, None), "{:?}", made.ending);
    assert_eq!((made.conversation.action.as_deref(), made.ended_by), (Some("accept"), EndedBy::Us));
    assert_eq!(news.last(), Some(&key('1', Some("accept"))), "{news:?}");
    assert_eq!((peer.log().count("INVITE"), peer.log().count("BYE")), (1, 1), "{:?}", peer.log().requests);
}

#[tokio::test]
async fn it_rings_speaks_hears_a_key_thanks_and_hangs_up() {
    let (peer, made, news) = plain([Act::Ring(180), Act::Wait(300), Act::Answer(Law::Pcma), Act::Hear(60), Act::Key('1')]).await;
    assert_accepted(&peer, &made, &news);
    assert_eq!(news, [News::Alerting, News::Connected, key('1', Some("accept"))]);
    let (alerting, connected) = (made.alerting.unwrap(), made.connected.unwrap());
    assert!(alerting <= connected && connected < made.ended, "{made:?}");
    let log = peer.log();
    // The message, then the thanks; nothing twice, and everything in order.
    let heard = log.sound();
    let loud = said(&heard);
    assert!(tone::share(&loud[..8000], 700.0) > 0.6 && tone::share(&loud[loud.len() - 1500..], 1100.0) > 0.6);
    let numbers = log.sequences.values().next().unwrap();
    assert!(numbers.windows(2).all(|pair| (1..1000).contains(&pair[1].wrapping_sub(pair[0]))), "{numbers:?}");
    assert!(log.descriptions[0].contains("telephone-event") && !log.descriptions[0].contains("G729"));
}

#[tokio::test]
async fn what_is_said_is_what_is_heard() {
    let (peer, _, _) = plain([Act::Answer(Law::Pcmu), Act::Hear(50), Act::Wait(400), Act::Key('2')]).await;
    let heard = peer.log().sound();
    let source = tone::sine(&[700.0], 1000, 9000.0);
    let begin = heard.iter().position(|s| s.abs() > 300).unwrap();
    // The first samples of the sine are quiet: look for the best place around.
    let correlation = |at: usize| {
        let piece = &heard[at..at + source.len()];
        let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
        for (a, b) in piece.iter().zip(&source) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            both += a * b;
            one += a * a;
            other += b * b;
        }
        both / (one * other).sqrt()
    };
    let best = (begin.saturating_sub(4)..begin + 4).map(correlation).fold(0.0, f64::max);
    assert!(best > 0.69, "{best}");
}

#[tokio::test]
async fn a_key_comes_by_info_by_tones_and_in_early_media() {
    let (peer, made, news) = plain([Act::Ring(180), Act::Answer(Law::Pcmu), Act::Hear(5), Act::Info('1')]).await;
    assert_accepted(&peer, &made, &news);
    assert_eq!(peer.log().replies, [("INFO".to_owned(), 200)]);

    let without = peer_without_events();
    let (made, news) = call(&without, |_, _| {}).await;
    assert_accepted(&without, &made, &news);

    let (peer, made, news) = plain([Act::Early(183), Act::Wait(200), Act::Answer(Law::Pcma), Act::Key('9'), Act::Key('1')]).await;
    assert_accepted(&peer, &made, &news);
    assert_eq!(news[..3], [News::Alerting, News::Connected, key('9', None)]);
    assert_eq!(made.conversation.keys, "91");
}

fn peer_without_events() -> Peer {
    let mut acts = vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(5)];
    // Pressed again and again, as people do: on a busy machine some of the sound is lost.
    for _ in 0..50 {
        acts.extend([Act::Tones('1'), Act::Wait(300)]);
    }
    peer(Manners { no_events: true, ..Manners::of(acts) })
}

#[tokio::test]
async fn refusals_are_told_apart() {
    use CallOutcome::{Busy, Failed, NoAnswer, Rejected};
    use FailureDetail::{Auth, BadNumber, Trunk, Unreachable};
    let refuse = |code, phrase| vec![Act::Refuse(code, phrase, &[])];
    let rings = |code, phrase| vec![Act::Ring(180), Act::Refuse(code, phrase, &[])];
    let q850 = vec![Act::Ring(183), Act::Refuse(480, "Unavailable", &[("Reason", "Q.850;cause=21;text=\"Call rejected\"")])];
    for (acts, outcome, detail) in [
        (refuse(486, "Busy Here"), Busy, None),
        (refuse(600, "Busy Everywhere"), Busy, None),
        (refuse(603, "Decline"), Rejected, None),
        (rings(403, "Forbidden"), Rejected, None),
        (refuse(403, "Forbidden"), Failed, Some(Auth)),
        (rings(480, "Temporarily Unavailable"), NoAnswer, None),
        (refuse(480, "Temporarily Unavailable"), NoAnswer, Some(Unreachable)),
        (refuse(404, "Not Found"), Failed, Some(BadNumber)),
        (refuse(488, "Not Acceptable Here"), Failed, Some(Trunk)),
        (q850, Rejected, None),
    ] {
        let (peer, made, _) = plain(acts.clone()).await;
        assert_eq!(result(&made), (outcome, detail), "{acts:?} {:?}", made.ending);
        assert_eq!((peer.log().count("INVITE"), made.connected), (1, None));
        seen(&peer, |log| log.count("ACK") == 1).await;
    }
    let (_, made, _) = plain([Act::Refuse(503, "Service Unavailable", &[("Retry-After", "17")])]).await;
    assert_eq!((result(&made), made.ending.retry_after, made.ending.code), ((Failed, Some(Trunk)), Some(17), Some(503)));
}

#[tokio::test]
async fn whoever_does_not_pick_up_is_called_off() {
    let peer = peer(Manners::of([Act::Ring(180), Act::Stay]));
    let (made, news) = call(&peer, |_, order| order.ring = Duration::from_secs(15)).await;
    assert_eq!((result(&made), made.ended_by, news), ((CallOutcome::NoAnswer, None), EndedBy::Us, vec![News::Alerting]));
    assert_eq!((peer.log().count("CANCEL"), peer.log().count("BYE")), (1, 0));
    seen(&peer, |log| log.count("ACK") == 1).await;
}

#[tokio::test]
async fn a_call_that_is_answered_while_it_is_called_off_is_no_answer() {
    let peer = peer(Manners { crosses: true, ..Manners::of([Act::Ring(180), Act::Stay]) });
    let (made, _) = call(&peer, |_, order| order.ring = Duration::from_secs(15)).await;
    assert_eq!((result(&made), made.connected), ((CallOutcome::NoAnswer, None), None));
    // Whoever picked up is not left in a silent call.
    seen(&peer, |log| log.count("ACK") == 1 && log.count("BYE") == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_called_off_in_the_moment_of_its_answer_is_over() {
    let peer = peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Stay]));
    let stack = Stack::start(&settings(&peer)).await.unwrap();
    let stays = Script { stay: true, max_seconds: Some(600), ..Script::default() };
    let order = Order { script: stays, ..order(&address(&peer, "13900000001")) };
    // Which of the two is seen first is chance.
    for dial in 0..10 {
        let (news, mut told, control, mut controlled) = lines();
        let unwanted = async {
            assert_eq!(told.recv().await, Some(News::Alerting));
            // Nobody looks at the call before the answer is here.
            support::eventually("the answer", || (peer.log().count("ACK") > dial).then_some(()));
            control.send(Control::HangUp).await.unwrap();
        };
        let order = Order { call_id: new_call_id(), ..order.clone() };
        let both = async { tokio::join!(make(&stack, &order, &news, &mut controlled), unwanted).0 };
        let made = tokio::time::timeout(LONG, both).await.unwrap();
        assert_eq!(made.ended_by, EndedBy::Us, "{:?}", made.ending);
    }
    // Whoever picked up is not left in a silent call.
    seen(&peer, |log| log.count("BYE") == 10).await;
}

#[tokio::test]
async fn a_dial_that_is_not_wanted_any_more_ends_in_every_state() {
    for (acts, method, outcome) in [
        (vec![Act::Ring(180), Act::Stay], "CANCEL", CallOutcome::NoAnswer),
        (vec![Act::Answer(Law::Pcma), Act::Stay], "BYE", CallOutcome::Answered),
    ] {
        let peer = peer(Manners::of(acts));
        let stack = Stack::start(&settings(&peer)).await.unwrap();
        let order = order(&address(&peer, "13900000001"));
        let (news, mut told, control, mut controlled) = lines();
        let unwanted = async {
            told.recv().await.unwrap();
            control.send(Control::HangUp).await.unwrap();
        };
        let both = async { tokio::join!(make(&stack, &order, &news, &mut controlled), unwanted).0 };
        let made = tokio::time::timeout(LONG, both).await.unwrap();
        assert_eq!((made.judged.outcome, made.ended_by), (outcome, EndedBy::Us));
        seen(&peer, |log| log.count(method) == 1).await;
    }
}

#[tokio::test]
async fn the_servers_sentence_is_said_in_place_of_thanks() {
    let peer = peer(Manners::of([Act::Answer(Law::Pcma), Act::Hear(5), Act::Key('1')]));
    let stack = Stack::start(&settings(&peer)).await.unwrap();
    let order = order(&address(&peer, "13900000001"));
    let (news, mut told, control, mut controlled) = lines();
    let says = async {
        while !matches!(told.recv().await.unwrap(), News::Key { .. }) {}
        let sound = pcm(tone::sine(&[400.0], 800, 9000.0));
        control.send(Control::Say("Li Na has taken it already".into(), sound)).await.unwrap();
    };
    let both = async { tokio::join!(make(&stack, &order, &news, &mut controlled), says).0 };
    tokio::time::timeout(LONG, both).await.unwrap();
    let heard = peer.log().sound();
    let loud = said(&heard);
    assert!(tone::share(&loud[loud.len() - 4000..], 400.0) > 0.6);
}

#[tokio::test]
async fn the_callee_hangs_up() {
    let (peer, made, _) = plain([Act::Answer(Law::Pcma), Act::Hear(10), Act::HangUp]).await;
    assert_eq!((made.judged.outcome, made.ended_by), (CallOutcome::Answered, EndedBy::Callee));
    assert_eq!((made.conversation.action.clone(), made.conversation.confirmed()), (None, Some(false)));
    assert!(made.conversation.heard > Duration::ZERO, "{made:?}");
    seen(&peer, |log| log.replies == [("BYE".to_owned(), 200)]).await;
}

#[tokio::test]
async fn a_callee_that_falls_silent_for_good_is_given_up() {
    let peer = peer(Manners::of([Act::Answer(Law::Pcma), Act::Hear(5), Act::Mute, Act::Stay]));
    let (made, _) = call(&peer, |_, order| order.silence = Duration::from_millis(1500)).await;
    assert_eq!((made.judged.outcome, made.ended_by), (CallOutcome::Answered, EndedBy::Network));
    seen(&peer, |log| log.count("BYE") == 1).await;
}

#[tokio::test]
async fn a_callee_who_says_that_no_sound_will_come_may_be_silent_for_long() {
    let held =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 101\r\na=inactive\r\n";
    let peer = peer(Manners::of([Act::AnswerWith(held), Act::Mute, Act::Wait(1500), Act::Info('1')]));
    let (made, news) = call(&peer, |_, order| order.silence = Duration::from_millis(500)).await;
    assert_accepted(&peer, &made, &news);
}

/// Garbage at the ports of a running call, for signalling and for sound, by whoever knows them.
#[tokio::test]
async fn malformed_messages_leave_a_call_as_it_is() {
    let peer = peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(10), Act::Released, Act::Key('1')]));
    let throwing = async {
        seen(&peer, |log| log.calls.len() == 1 && !log.heard.is_empty()).await;
        let log = peer.log();
        let via = log.last["INVITE"].lines().find_map(|line| line.strip_prefix("Via: SIP/2.0/UDP ")).unwrap_or_default();
        let signalling = via.split(';').next().unwrap_or_default().to_owned();
        let port = |line: &str| line.strip_prefix("m=audio ").and_then(|rest| rest.split(' ').next().map(str::to_owned));
        let sound = log.descriptions[0].lines().find_map(port).unwrap();
        let socket = std::net::UdpSocket::bind((LOCAL, 0)).unwrap();
        let garbage: [&[u8]; 8] = [
            b"",
            b"\0\0\0\0",
            b"hello",
            b"SIP/2.0 200 OK\r\n\r\n",
            b"INVITE sip:x@y SIP/2.0\r\nVia: nonsense\r\nCSeq: -1 NOTHING\r\nContent-Length: 99999999999\r\n\r\n",
            b"BYE sip:x SIP/2.0\r\nCall-ID: \xff\xfe\r\nFrom: <<<>>>;tag=\r\n\r\n",
            b"\r\n\r\n",
            &[0xff; 1400],
        ];
        for bytes in garbage {
            assert!(!signalling.is_empty(), "{}", log.last["INVITE"]);
            socket.send_to(bytes, &signalling).unwrap();
            socket.send_to(bytes, format!("{LOCAL}:{sound}")).unwrap();
        }
        peer.release();
    };
    let ((made, news), ()) = tokio::join!(call(&peer, |_, _| {}), throwing);
    assert_accepted(&peer, &made, &news);
}

#[tokio::test]
async fn the_peers_timer_and_a_bad_offer_leave_the_call_as_it_is() {
    let acts = [Act::Answer(Law::Pcma), Act::Reinvite, Act::Update, Act::ReinviteBad, Act::Hear(10), Act::Key('1')];
    let (peer, made, news) = plain(acts).await;
    assert_accepted_after_reinvites(&made, &news);
    let log = peer.log();
    assert_eq!(log.replies, [("INVITE".to_owned(), 200), ("UPDATE".to_owned(), 200), ("INVITE".to_owned(), 488)]);
    let answer = &log.descriptions[1];
    assert!(answer.contains("m=audio") && answer.contains("sendrecv"), "{answer}");
}

fn assert_accepted_after_reinvites(made: &Made, news: &[News]) {
    assert_eq!((made.judged.outcome, made.conversation.action.as_deref()), (CallOutcome::Answered, Some("accept")), "{made:?}");
    assert_eq!(news.last(), Some(&key('1', Some("accept"))));
}

#[tokio::test]
async fn an_answer_without_a_law_we_speak_is_told_as_such() {
    for description in [
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
        // No sound at all, sound that is declined, and a picture only.
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 96\r\n",
        "",
        "hello",
    ] {
        let (peer, made, news) = plain([Act::Ring(180), Act::AnswerWith(description), Act::Stay]).await;
        assert_eq!(result(&made), (CallOutcome::Failed, Some(FailureDetail::Media)), "{description}");
        assert_eq!(news, [News::Alerting]);
        seen(&peer, |log| log.count("BYE") == 1).await;
    }
}

#[tokio::test]
async fn a_trunk_that_asks_for_the_password_gets_it_and_may_refuse_it() {
    let password = |sip: &mut Sip| sip.password = Some(Secret("geheim".into()));
    let manners = || Manners { challenges: Some("1001".into()), ..Manners::of([Act::Answer(Law::Pcma), Act::Key('1')]) };
    let good = peer(manners());
    let (made, _) = call(&good, |sip, _| password(sip)).await;
    assert_eq!(made.conversation.action.as_deref(), Some("accept"));
    let log = good.log();
    assert_eq!((log.count("INVITE"), log.calls.len()), (2, 1), "{:?}", log.requests);
    assert!(!log.last["INVITE"].contains("geheim"));

    let bad = peer(Manners { forbids: true, ..manners() });
    let (made, _) = call(&bad, |sip, _| password(sip)).await;
    assert_eq!(result(&made), (CallOutcome::Failed, Some(FailureDetail::Auth)));
    let (made, _) = call(&peer(manners()), |_, _| {}).await;
    assert_eq!(result(&made), (CallOutcome::Failed, Some(FailureDetail::Auth)), "no password at all");
    // Another user than the trunk knows: it asks again and again, and is answered once.
    let other = peer(Manners { challenges: Some("somebody".into()), ..manners() });
    let (made, _) = call(&other, |sip, _| password(sip)).await;
    assert_eq!((result(&made), other.log().count("INVITE")), ((CallOutcome::Failed, Some(FailureDetail::Auth)), 2));
}

#[tokio::test]
async fn a_registration_is_granted_or_refused_in_words() {
    let manners = || Manners { challenges: Some("1001".into()), expires: 77, ..Manners::default() };
    let register = async |peer: &Peer| {
        let mut sip = settings(peer);
        sip.password = Some(Secret("geheim".into()));
        let stack = Stack::start(&sip).await.unwrap();
        let mut registration = stack.registration();
        loop {
            match registration.register(&stack, 300).await {
                // On a busy machine; whoever is asked here always answers.
                Err(RegisterError::Silent) => {}
                answer => return answer,
            }
        }
    };
    let good = peer(manners());
    assert_eq!(register(&good).await, Ok(Duration::from_secs(77)));
    assert_eq!(good.log().count("REGISTER"), 2);
    let bad = register(&peer(Manners { forbids: true, ..manners() })).await.unwrap_err();
    assert_eq!(bad, RegisterError::Refused { code: 403, phrase: "Forbidden".into() });
    assert_eq!(bad.to_string(), "the registrar answers 403 Forbidden: check agent.sip.user, auth_user and password");
    // A trunk that asks for nothing.
    assert_eq!(register(&peer(Manners { expires: 60, ..Manners::default() })).await, Ok(Duration::from_mins(1)));
}

#[tokio::test]
async fn a_trunk_that_is_not_there_is_a_failed_dial_after_five_seconds() {
    let peer = peer(Manners { deaf: true, ..Manners::default() });
    let (made, news) = call(&peer, |_, order| order.patience = ANY_ANSWER_WITHIN).await;
    assert_eq!((result(&made), news), ((CallOutcome::Failed, Some(FailureDetail::Trunk)), vec![]));
    assert!(made.lingering.is_some(), "the line is busy until the INVITE is given up");
    let refused = Peer::quiet("127.0.0.1:9".parse().unwrap(), Manners::default());
    let (made, _) = call(&refused, |sip, _| sip.transport = Transport::Tcp).await;
    assert_eq!(result(&made), (CallOutcome::Failed, Some(FailureDetail::Trunk)), "nobody takes the connection");
}

#[tokio::test]
async fn over_a_connection_it_is_the_same() {
    let peer = peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Info('9'), Act::Key('1')]));
    let (made, news) = call(&peer, |sip, _| sip.transport = Transport::Tcp).await;
    assert_accepted(&peer, &made, &news);
    assert!(peer.log().last["INVITE"].contains("SIP/2.0/TCP"));
    let peer2 = self::peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::HangUp]));
    let (made, _) = call(&peer2, |sip, _| sip.transport = Transport::Tcp).await;
    assert_eq!(made.ended_by, EndedBy::Callee);
}

#[tokio::test]
async fn several_calls_at_once_do_not_hear_each_other() {
    let mut manners = Manners::default();
    for n in 0..4_u8 {
        let keys = [Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(40), Act::Key(char::from(b'5' + n)), Act::Key('1')];
        manners = manners.with(&format!("1390000000{n}"), keys);
    }
    let peer = peer(manners);
    let stack = Stack::start(&settings(&peer)).await.unwrap();
    let one = async |n: u8| {
        let mut order = order(&address(&peer, &format!("1390000000{n}")));
        let sound = pcm(tone::sine(&[400.0 + 200.0 * f64::from(n)], 1000, 9000.0));
        order.sounds.ready.insert(Utterance::Text("Alarm".into()), sound);
        let (news, _told, _control, mut controlled) = lines();
        make(&stack, &order, &news, &mut controlled).await
    };
    let all = async { tokio::join!(one(0), one(1), one(2), one(3)) };
    let made = tokio::time::timeout(LONG, all).await.unwrap();
    for (n, made) in (0_u8..).zip([made.0, made.1, made.2, made.3]) {
        assert_eq!(made.conversation.keys, format!("{}1", char::from(b'5' + n)), "{made:?}");
    }
    let log = peer.log();
    for (call_id, number) in &log.calls {
        let n = f64::from(number.bytes().last().unwrap() - b'0');
        let loud = &said(&log.heard[call_id])[..4000];
        assert!(tone::share(loud, 400.0 + 200.0 * n) > 0.6, "{number}");
        assert!(log.sequences[call_id].windows(2).all(|pair| (1..1000).contains(&pair[1].wrapping_sub(pair[0]))));
    }
}
