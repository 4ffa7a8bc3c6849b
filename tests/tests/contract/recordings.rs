//! What callees say in calls: told of by a report, sent afterwards, kept for some time, and heard by whoever may.

use android_protocol::voice::{tone, wav};
use android_protocol::wire::PROTOCOL_HEADER;
use autocall::engine::Doer;
use autocall::keep::keys::rights;
use autocall::keep::{keys, people};
use autocall::store::watch::handsets::Profile;
use autocall::versions::Expected;
use autocall_tests::described::Held as _;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{A, B, Home, Server, on_both};
use crate::native::{poll, report, send};

on_both!(
    a_recording_is_kept_and_heard,
    whoever_may_not_send_it_is_refused_before_it_is_read,
    a_recording_that_nobody_wants_is_thrown_away,
    what_is_no_sound_is_not_kept,
    a_recording_comes_in_any_pieces_and_not_by_half,
    only_so_much_is_kept_of_a_call_and_in_all,
    it_is_heard_in_parts_and_by_nobody_later,
    whoever_raised_the_alarm_hears_it,
    a_link_ends_with_what_let_somebody_hear,
    recordings_are_let_go_in_time,
    a_person_s_words_go_with_them,
    what_is_being_said_goes_with_the_person_too,
    what_was_said_in_a_call_that_was_given_up_goes_with_the_person_too,
    recordings_keep_no_alarm_waiting,
    nothing_is_recorded_unless_somebody_asks_for_it,
    a_callee_may_leave_a_message,
    what_comes_twice_at_once_takes_up_room_once,
    whoever_calls_back_may_leave_a_message,
    what_nobody_asked_for_in_a_call_that_came_in_is_not_kept,
    a_caller_s_words_go_with_them,
);

const A_NUMBER: &str = "+8618712345678";

/// Calls are recorded, and not announced as such.
pub fn recorded(home: Home) -> Home {
    home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").set("AUTOCALL_MEDIA_SAY_RECORDED", "off")
}

/// Pairs a handset that speaks and records, and gives the path it polls.
pub async fn recorder(server: &Server, name: &str) -> String {
    let path = server.pair(name, Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record"], "backend": "sip", "channels": 1 });
    assert_eq!(send(server, "POST", &format!("/h/{name}/status"), Some(can)).await, json!({ "code": 0 }));
    path
}

/// Two seconds of a voice, as a handset sends it.
pub fn voice() -> Vec<u8> {
    wav::write_ulaw(&tone::sine(&[700.0], 2000, 9000.0))
}

/// An alarm whose call was recorded under these names: its id, and the mid.
pub async fn called(server: &Server, path: &str, names: &[&str]) -> (String, String) {
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(server, path).await;
    let mid = offer["mid"].as_str().unwrap_or_else(|| panic!("{offer}")).to_owned();
    tell(server, path, &mid, names).await;
    (id, mid)
}

/// Reports an answered call with recordings of these names.
async fn tell(server: &Server, path: &str, mid: &str, names: &[&str]) {
    let told: Vec<Value> = names.iter().map(|name| json!({ "id": name, "seconds": 2, "bytes": 16_058 })).collect();
    let call = json!([{ "number": A, "outcome": "answered", "confirmed": true, "recordings": told }]);
    report(server, path, &mid.into(), &format!("&resp={A}"), call).await;
}

/// Sends a recording, and gives the status and what a phone reads.
pub async fn put(server: &Server, handset: &str, name: &str, mid: &str, file: &[u8]) -> (u16, Value) {
    let request = server.http.put(format!("{}/h/{handset}/recording/{name}?mid={mid}", server.base));
    let request = request.header(PROTOCOL_HEADER, "1").header("content-type", "audio/wav").body(file.to_vec());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The same bytes over a bare connection: its whole answer.
async fn bare(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The recordings of an alarm's first dial.
async fn recordings(server: &Server, alarm: &str) -> Value {
    server.alarm(alarm).await["dials"][0]["recordings"].take()
}

/// Where a recording is heard.
pub async fn url(server: &Server, id: &Value) -> Option<String> {
    let told = server.get(&format!("/api/v1/recordings/{}", id.as_str().unwrap())).await;
    assert_eq!(told["url"].is_null(), told["url_ends_at"].is_null(), "{told}");
    told["url"].as_str().map(str::to_owned)
}

pub async fn hear(server: &Server, url: &str) -> reqwest::Response {
    server.http.get(format!("{}{url}", server.base)).send().await.unwrap()
}

/// How often somebody listened, by the alarm's timeline.
async fn heard(server: &Server, alarm: &str) -> usize {
    let alarm = server.alarm(alarm).await;
    alarm["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == "recording_heard").count()
}

async fn total(server: &Server) -> i64 {
    server.app.engine.store.read().await.unwrap().db().media_total().await.unwrap()
}

async fn a_recording_is_kept_and_heard(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["calls"][0]["script"]["record"], json!({ "from": "answer" }), "{offer}");
    let mid = offer["mid"].as_str().unwrap();
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 404, "no report has told of it yet: it is kept");
    tell(&server, &trunk, mid, &["r1"]).await;
    let [awaited] = recordings(&server, &id).await.as_array().unwrap().clone().try_into().unwrap();
    let known = json!({ "id": awaited["id"], "phone_number": A_NUMBER, "seconds": 2, "bytes": 16_058, "available": false });
    assert_eq!(awaited, known);
    assert_eq!(url(&server, &awaited["id"]).await, None);
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await, (200, json!({ "code": 0 })));
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await, (200, json!({ "code": 0 })), "the answer was lost");
    let other = wav::write_ulaw(&tone::sine(&[900.0], 2000, 9000.0));
    assert_eq!(put(&server, "trunk", "r1", mid, &other).await.0, 409);
    let kept = &recordings(&server, &id).await[0];
    assert_eq!((&kept["available"], &kept["seconds"], &kept["bytes"]), (&json!(true), &json!(2), &json!(voice().len())));
    let url = url(&server, &awaited["id"]).await.unwrap();
    assert_eq!(heard(&server, &id).await, 0, "an address is not yet a hearing");
    for _ in 0..2 {
        let response = hear(&server, &url).await;
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), header("content-type")), (200, "audio/wav".to_owned()));
        assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store".to_owned(), "nosniff".to_owned()));
        assert!(header("content-security-policy").contains("default-src 'none'"), "{response:?}");
        assert!(header("content-disposition").starts_with("attachment"), "{response:?}");
        assert_eq!(response.bytes().await.unwrap(), voice(), "what came through a telephone loses nothing");
    }
    assert_eq!(heard(&server, &id).await, 1, "a player asks several times");
    server.home.clock.advance(TimeDelta::minutes(11));
    hear(&server, &url).await;
    let alarm = server.alarm(&id).await;
    let last = alarm["timeline"].as_array().unwrap().iter().rfind(|event| event["kind"] == "recording_heard").unwrap();
    assert_eq!(last["body"]["done_by"], json!({ "kind": "open_network", "address": "127.0.0.1" }), "{last}");
    assert_eq!(last["body"]["mid"], mid[..8], "no more of a mid is shown");
    assert_eq!(heard(&server, &id).await, 2);
}

async fn whoever_may_not_send_it_is_refused_before_it_is_read(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    recorder(&server, "other").await;
    let (_, mid) = called(&server, &trunk, &["r1"]).await;
    // Nothing follows the head: whoever waits for the body gets no answer.
    let ask = async |path: &str, length: usize| {
        let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
        let head = format!("PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAutocall-Protocol: 1\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let five = 5 << 20;
    assert_eq!(ask(&format!("/h/other/recording/r1?mid={mid}"), five).await, "404", "another handset's call");
    assert_eq!(ask(&format!("/h/nobody/recording/r1?mid={mid}"), five).await, "404", "no handset's token");
    assert_eq!(ask(&format!("/h/trunk/recording/r2?mid={mid}"), five).await, "404", "nobody told of it");
    assert_eq!(ask(&format!("/h/trunk/recording/r1?mid={mid}"), five + 1).await, "413");
    assert_eq!(ask("/h/trunk/recording/r1?mid=0123456789abcdef01234567", five).await, "410", "a call that is forgotten");
    for nonsense in ["recording/r1", "recording/r1?mid=", "recording/r1?mid=a%2Fb", "recording/?mid=m", "recording/a/b?mid=m"] {
        assert_eq!(ask(&format!("/h/trunk/{nonsense}"), five).await, "400", "{nonsense}");
    }
    for trick in ["..", ".", "%2e%2e", "r1%2F..%2Fr1", "r1%00", &"x".repeat(65)] {
        assert_eq!(ask(&format!("/h/trunk/recording/{trick}?mid={mid}"), five).await, "400", "{trick}");
    }
    assert_eq!(total(&server).await, 0);
    let (status, _) = put(&server, "other", "r1", &mid, &vec![0; 1 << 20]).await;
    assert_eq!(status, 404, "it is heard also by who sends a lot");
    let get = server.http.get(format!("{}/h/trunk/recording/r1?mid={mid}", server.base)).header(PROTOCOL_HEADER, "1");
    assert_eq!(get.send().await.unwrap().status(), 405);
}

async fn a_recording_that_nobody_wants_is_thrown_away(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (id, mid) = called(&server, &trunk, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    let id_of = recordings(&server, &id).await[0]["id"].clone();
    let url = url(&server, &id_of).await.unwrap();
    server.home.clock.advance(TimeDelta::days(401));
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 410, "its alarm is forgotten");
    assert_eq!(total(&server).await, 0, "and its sound with it");
    assert_eq!(hear(&server, &url).await.status(), 410);
    // A handset that records what nobody asked for is told so; a later version might.
    let home = server.stop().await.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "off");
    let server = home.start().await;
    let (_, mid) = called(&server, &trunk, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 410);
}

/// A file of this form: format, channels, samples a second, bits, and what its head says that its data are long.
fn file((format, channels, rate, bits): (u16, u16, u32, u16), claimed: u32, bytes: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend([0; 6]);
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(claimed.to_le_bytes());
    file.extend(bytes);
    file
}

async fn what_is_no_sound_is_not_kept(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (id, mid) = called(&server, &trunk, &["r1", "r2", "r3"]).await;
    let silence = [0; 8000];
    for (what, other) in [
        ("nothing", Vec::new()),
        ("an mp3", b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64".to_vec()),
        ("cut off in its head", wav::write(&silence)[..40].to_vec()),
        ("ADPCM", file((0x11, 1, 8000, 4), 0, &silence.map(|_| 0))),
        ("floating point", file((3, 1, 8000, 32), 0, &[0; 64])),
        ("five channels", file((1, 5, 8000, 16), 0, &[0; 640])),
        ("a rate of none", file((1, 1, 0, 16), 0, &[0; 640])),
        ("no samples", wav::write(&[])),
        ("longer than ten minutes", file((7, 1, 4000, 8), 0, &vec![0xff; 2_400_001])),
    ] {
        let (status, said) = put(&server, "trunk", "r1", &mid, &other).await;
        assert_eq!((status, said["code"].as_i64()), (400, Some(1)), "{what}: {said}");
        assert!(said["msg"].as_str().unwrap().len() > 10, "{what}: {said}");
    }
    assert_eq!(total(&server).await, 0);
    assert_eq!(put(&server, "trunk", "r1", &mid, &wav::write(&silence)).await.0, 200, "silence is a recording");
    // What its head says is long, as of a file of 115 MB; what is there is short.
    let bomb = file((1, 2, 48_000, 16), 115_200_000, &vec![0; 192_000]);
    assert_eq!(put(&server, "trunk", "r2", &mid, &bomb).await.0, 200);
    let lies = file((1, 1, 8000, 16), 4, &vec![0; 16_000]);
    assert_eq!(put(&server, "trunk", "r3", &mid, &lies).await.0, 200);
    let seconds: Vec<Value> =
        recordings(&server, &id).await.as_array().unwrap().iter().map(|own| own["seconds"].clone()).collect();
    assert_eq!(seconds, [1, 1, 0], "the length is that of what is there");
}

async fn a_recording_comes_in_any_pieces_and_not_by_half(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (id, mid) = called(&server, &trunk, &["r1"]).await;
    let head = |more: &str| {
        format!(
            "PUT /h/trunk/recording/r1?mid={mid} HTTP/1.1\r\nHost: 127.0.0.1\r\nAutocall-Protocol: 1\r\nConnection: close\r\n{more}\r\n\r\n"
        )
    };
    let file = voice();
    // The connection breaks in the middle.
    let half = [head(&format!("Content-Length: {}", file.len())).as_bytes(), &file[..9000]].concat();
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(&half).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end like any other.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(recordings(&server, &id).await[0]["available"], false);
    // More than there may be, and nobody has said how much.
    let mut endless = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..6 {
        endless.extend(format!("{:x}\r\n", 1 << 20).into_bytes());
        endless.extend(vec![0; 1 << 20]);
        endless.extend(b"\r\n");
    }
    endless.extend(b"0\r\n\r\n");
    assert!(bare(&server, &endless).await.starts_with("HTTP/1.1 413"));
    let mut pieces = head("Transfer-Encoding: chunked").into_bytes();
    for piece in file.chunks(1000) {
        pieces.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        pieces.extend(piece);
        pieces.extend(b"\r\n");
    }
    pieces.extend(b"0\r\n\r\n");
    let answer = bare(&server, &pieces).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"code\":0}"), "{answer}");
    let kept = &recordings(&server, &id).await[0];
    assert_eq!(hear(&server, &url(&server, &kept["id"]).await.unwrap()).await.bytes().await.unwrap(), file);
}

async fn only_so_much_is_kept_of_a_call_and_in_all(home: Home) {
    let server = recorded(home).set("AUTOCALL_MEDIA_MOST_BYTES", "5000000").start().await;
    let trunk = recorder(&server, "trunk").await;
    let (id, mid) = called(&server, &trunk, &["r1", "r2", "r3", "r4", "r5", "../r6"]).await;
    assert_eq!(put(&server, "trunk", "r5", &mid, &voice()).await.0, 410, "a fifth of one call");
    // Ten minutes, the longest there is; and more than there is room for with the next.
    let longest = file((7, 1, 8000, 8), 0, &vec![0xff; 4_800_000]);
    assert_eq!(put(&server, "trunk", "r1", &mid, &longest).await.0, 200);
    assert_eq!(put(&server, "trunk", "r2", &mid, &longest).await.0, 507, "there is no room");
    assert_eq!(recordings(&server, &id).await[0]["seconds"], 600);
    assert_eq!(put(&server, "trunk", "r2", &mid, &file((7, 1, 8000, 8), 0, &vec![0xff; 199_884])).await.0, 200);
    assert_eq!(total(&server).await, 5_000_000);
    assert_eq!(put(&server, "trunk", "r3", &mid, &voice()).await.0, 507);
    // The call goes on, and is not recorded.
    server.raise(&[B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!((&offer["phone"], &offer["calls"][0]["script"]["record"]), (&json!([B]), &Value::Null), "{offer}");
    // What is let go makes room, and what was refused is still awaited.
    server.home.clock.advance(TimeDelta::days(4));
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(put(&server, "trunk", "r3", &mid, &voice()).await.0, 200);
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 410);
}

async fn it_is_heard_in_parts_and_by_nobody_later(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (id, mid) = called(&server, &trunk, &["r1"]).await;
    // Two pieces and a bit, as the database holds it.
    let long = wav::write_ulaw(&tone::sine(&[700.0], 17_000, 9000.0));
    assert_eq!(put(&server, "trunk", "r1", &mid, &long).await.0, 200);
    let id_of = recordings(&server, &id).await[0]["id"].clone();
    let address = url(&server, &id_of).await.unwrap();
    let part = async |method: reqwest::Method, range: &str| {
        let request = server.http.request(method, format!("{}{address}", server.base)).header("range", range);
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, of, length) = (response.status().as_u16(), header("content-range"), header("content-length"));
        (status, of, length, response.bytes().await.unwrap())
    };
    let all = long.len();
    for (from, to) in [(0, 0), (0, all - 1), (65_535, 65_536), (65_536, 131_071), (100_000, all - 1)] {
        let (status, of, length, bytes) = part(reqwest::Method::GET, &format!("bytes={from}-{to}")).await;
        assert_eq!((status, of), (206, Some(format!("bytes {from}-{to}/{all}"))));
        assert_eq!(length, Some((to - from + 1).to_string()));
        assert_eq!(bytes, long[from..=to], "{from}-{to}");
    }
    assert_eq!(part(reqwest::Method::GET, "bytes=-7").await.3, long[all - 7..]);
    let (status, of, ..) = part(reqwest::Method::GET, &format!("bytes={all}-")).await;
    assert_eq!((status, of), (416, Some(format!("bytes */{all}"))));
    for nonsense in ["bytes=9-3", "lines=1-2", "bytes=1-2,5-6", "bytes=x-", "-"] {
        let (status, _, length, bytes) = part(reqwest::Method::GET, nonsense).await;
        assert_eq!((status, length, bytes.len()), (200, Some(all.to_string()), all), "{nonsense}");
    }
    let (status, _, length, bytes) = part(reqwest::Method::HEAD, "bytes=0-9").await;
    assert_eq!((status, length, bytes.len()), (200, Some(all.to_string()), 0));
    assert_eq!(heard(&server, &id).await, 1);
    // Nobody bends an address, and it does not last.
    let mut bent = address.clone();
    let last = bent.pop().unwrap();
    bent.push(if last == 'A' { 'B' } else { 'A' });
    for other in [bent.as_str(), "/media/", "/media/x", "/media/..%2f..%2fetc%2fpasswd"] {
        assert_eq!(hear(&server, other).await.status(), 404, "{other}");
    }
    server.home.clock.advance(TimeDelta::seconds(3599));
    assert_eq!(hear(&server, &address).await.status(), 200);
    server.home.clock.advance(TimeDelta::seconds(1));
    let over = hear(&server, &address).await;
    assert_eq!((over.status().as_u16(), over.headers()["cache-control"].to_str().unwrap()), (410, "no-store"));
    assert_ne!(url(&server, &id_of).await.unwrap(), address, "another one each time");
}

/// A key that has ended, may less, or was bound hears nothing more, also where it was given an address before.
async fn a_link_ends_with_what_let_somebody_hear(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let mine = crate::senders::key_that_may(&server, "mine", &[], "raise,read").await;
    let raise = server.http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&mine);
    let raised: Value = raise.json(&json!({ "summary": "disk full", "phones": [A] })).sent().await.unwrap().json().await.unwrap();
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    tell(&server, &trunk, mid, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 200);
    let id_of = recordings(&server, raised["id"].as_str().unwrap()).await[0]["id"].clone();
    let request = server.http.get(format!("{}/api/v1/recordings/{}", server.base, id_of.as_str().unwrap())).bearer_auth(&mine);
    let told: Value = request.sent().await.unwrap().json().await.unwrap();
    let url = told["url"].as_str().unwrap().to_owned();
    assert_eq!(hear(&server, &url).await.status(), 200);
    let line = server.get("/api/v1/audit?operation=recording_listened").await["items"][0].clone();
    assert_eq!(line["address"], "127.0.0.1", "{line}");
    let changed = async |change: rights::Change| {
        let change = async |work: &mut autocall::store::Work| rights::change(work, "mine", change.clone()).await;
        server.app.engine.store.carry_out(server.now(), Doer::Server, change).await.unwrap();
    };
    let may = |words: &str| rights::Change { rights: Some(autocall::rights::Rights::read(words)), ..rights::Change::default() };
    let to = |source: &str| {
        let bounds = autocall::rights::Bounds { sources: vec![source.to_owned()], ..autocall::rights::Bounds::default() };
        rights::Change { bounds: Some(bounds), ..rights::Change::default() }
    };
    changed(to("elsewhere")).await;
    assert_eq!(hear(&server, &url).await.status(), 410, "it is bound to something else");
    let free = rights::Change { bounds: Some(autocall::rights::Bounds::default()), ..rights::Change::default() };
    changed(free).await;
    assert_eq!(hear(&server, &url).await.status(), 200);
    changed(may("raise")).await;
    assert_eq!(hear(&server, &url).await.status(), 200, "its own");
    let ends = rights::Change { expires_at: Some(Some(server.now() + TimeDelta::minutes(5))), ..rights::Change::default() };
    changed(ends).await;
    assert_eq!(hear(&server, &url).await.status(), 200);
    server.home.clock.advance(TimeDelta::minutes(5));
    assert_eq!(hear(&server, &url).await.status(), 410, "the key has ended");
}

async fn whoever_raised_the_alarm_hears_it(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let store = &server.app.engine.store;
    let region = server.home.config().default_region;
    let mine =
        store.carry_out(server.now(), Doer::Server, async |work| keys::add(work, "mine", &[], region).await).await.unwrap();
    let other = crate::senders::key_that_may(&server, "other", &[], "read").await;
    let stranger = crate::senders::key(&server, "stranger", &[]).await;
    let raise = server.http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&mine);
    let raised: Value = raise.json(&json!({ "summary": "disk full", "phones": [A] })).sent().await.unwrap().json().await.unwrap();
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    tell(&server, &trunk, mid, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 200);
    let alarm = raised["id"].as_str().unwrap();
    let id_of = recordings(&server, alarm).await[0]["id"].clone();
    let told = async |key: &str| {
        let request = server.http.get(format!("{}/api/v1/recordings/{}", server.base, id_of.as_str().unwrap()));
        let told: Value = request.bearer_auth(key).sent().await.unwrap().json().await.unwrap();
        told
    };
    assert_eq!((told(&other).await["url"].clone(), told(&other).await["available"].clone()), (Value::Null, json!(true)));
    assert_eq!(url(&server, &id_of).await, None, "nor does who sends without a key");
    assert_eq!(told(&stranger).await["code"], "not_found", "for whoever only raises alarms there is no such recording");
    let url = told(&mine).await["url"].as_str().unwrap().to_owned();
    assert_eq!(hear(&server, &url).await.status(), 200);
    let timeline = server.alarm(alarm).await["timeline"].take();
    let heard = timeline.as_array().unwrap().iter().find(|event| event["kind"] == "recording_heard").unwrap();
    assert_eq!(heard["body"]["done_by"], json!({ "kind": "key", "name": "mine" }));
    store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "mine").await).await.unwrap();
    assert_eq!(hear(&server, &url).await.status(), 410, "it ends with the key");
}

async fn recordings_are_let_go_in_time(home: Home) {
    let home = recorded(home).set("AUTOCALL_MEDIA_KEEP_DAYS", "2").set("AUTOCALL_MEDIA_DEBUG_KEEP_DAYS", "1");
    let server = home.start().await;
    let trunk = recorder(&server, "trunk").await;
    let (debug, mid) = called(&server, &trunk, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    let home = server.stop().await.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "off").set("AUTOCALL_MEDIA_MESSAGE_KEY", "3");
    let server = home.start().await;
    let (message, mid) = called(&server, &trunk, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    let available = async |alarm: &str| recordings(&server, alarm).await[0]["available"].clone();
    for (hours, left) in [(23, (true, true)), (2, (false, true)), (22, (false, true)), (2, (false, false))] {
        server.home.clock.advance(TimeDelta::hours(hours));
        server.app.engine.forget_old().await.unwrap();
        assert_eq!((available(&debug).await, available(&message).await), (json!(left.0), json!(left.1)), "{hours}");
        let files = [left.0, left.1].into_iter().filter(|left| *left).count();
        assert_eq!(total(&server).await, i64::try_from(files * voice().len()).unwrap());
    }
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 410, "it does not come back");
}

async fn a_person_s_words_go_with_them(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    crate::roster::people(&server).await;
    let person = server.get("/api/v1/people/Ann").await;
    let alarm = server.raise(&[], json!({ "ring": [{ "person": "Ann" }] })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    tell(&server, &trunk, mid, &["r1", "r2"]).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 200);
    let id_of = recordings(&server, &alarm).await[0]["id"].clone();
    let url = url(&server, &id_of).await.unwrap();
    let id = person["id"].as_str().unwrap().parse().unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| people::remove(work, id, &Expected::Anything).await)
        .await
        .unwrap();
    assert_eq!(hear(&server, &url).await.status(), 410);
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 410);
    assert_eq!(put(&server, "trunk", "r2", mid, &voice()).await.0, 410, "also what was still to come");
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(total(&server).await, 0);
}

async fn what_is_being_said_goes_with_the_person_too(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    crate::roster::people(&server).await;
    server.raise(&[], json!({ "ring": [{ "person": "Ann" }] })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    assert_eq!(server.delete("/api/v1/people/Ann").await, 204);
    tell(&server, &trunk, mid, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 410);
    assert_eq!(total(&server).await, 0);
}

/// The handset was away while its call was given up, and tells of it later.
async fn what_was_said_in_a_call_that_was_given_up_goes_with_the_person_too(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    crate::roster::people(&server).await;
    server.raise(&[], json!({ "ring": [{ "person": "Ann" }], "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    server.pass(300).await;
    assert_eq!(server.delete("/api/v1/people/Ann").await, 204);
    tell(&server, &trunk, mid, &["r1"]).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 410);
    assert_eq!(total(&server).await, 0);
}

/// A handset whose token leaked begins many uploads and sends nothing.
async fn recordings_keep_no_alarm_waiting(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (_, mid) = called(&server, &trunk, &["r1"]).await;
    let mut open = Vec::new();
    for _ in 0..14 {
        let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "PUT /h/trunk/recording/r1?mid={mid} HTTP/1.1\r\nHost: x\r\nautocall-protocol: 1\r\ncontent-length: 5000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    // There is room for three of that length: the others are told so at once, whichever they are.
    let mut answers = JoinSet::new();
    for mut stream in open {
        answers.spawn(async move {
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.map(|_| (answer, stream))
        });
    }
    let mut answered = Vec::new();
    for _ in 0..11 {
        let (answer, stream) = answers.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 503");
        answered.push(stream);
    }
    let alarm = json!({ "summary": "s", "phones": [A] });
    assert_eq!(server.post("/api/v1/alarms", &alarm).await.0, 201);
    assert_eq!(answers.len(), 3, "these may go on");
}

async fn nothing_is_recorded_unless_somebody_asks_for_it(home: Home) {
    let server = home.start().await;
    let trunk = recorder(&server, "trunk").await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"]["say"].is_string() && offer["calls"][0]["script"]["record"].is_null(), "{offer}");
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    // By default the callee hears of it first, and is not recorded before.
    let server = server.stop().await.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").start().await;
    server.raise(&[B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert_eq!(script["record"], json!({ "from": "said" }), "{offer}");
    assert_eq!(script["say"], "This call is recorded. disk full. Press 1 to take it. Press 2 if you cannot.");
    // What it was told in a call stays so, whatever is set by then.
    let server = server.stop().await.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "off").set("AUTOCALL_MEDIA_MESSAGE_KEY", "3");
    let server = server.start().await;
    assert_eq!(poll(&server, &trunk).await["calls"], offer["calls"]);
    // One that cannot record is not asked to.
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts"] });
    send(&server, "POST", "/h/trunk/status", Some(can)).await;
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"]["record"].is_null() && offer["calls"][0]["script"]["say"].is_string(), "{offer}");
}

async fn a_callee_may_leave_a_message(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_MESSAGE_KEY", "3").start().await;
    let trunk = recorder(&server, "trunk").await;
    let alarm = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    let rule = json!({ "key": "3", "max_seconds": 60, "silence_ms": 3000, "beep": true });
    assert_eq!(script["record"], rule, "{offer}");
    assert!(script["say"].as_str().unwrap().ends_with("Press 3 to leave a message. It is recorded."), "{offer}");
    // Progress may tell of it, before any report.
    let mid = offer["mid"].as_str().unwrap();
    let told = json!({ "number": A, "state": "connected", "event": "recording", "value": "m1" });
    let path = format!("/h/trunk/progress?mid={mid}");
    assert_eq!(send(&server, "POST", &path, Some(told)).await, json!({ "code": 0 }));
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 200);
    tell(&server, &trunk, mid, &["m1"]).await;
    let kept = recordings(&server, &alarm).await;
    assert_eq!((kept.as_array().unwrap().len(), &kept[0]["available"]), (1, &json!(true)), "told of twice, it is one");
}

async fn what_comes_twice_at_once_takes_up_room_once(home: Home) {
    let server = recorded(home).start().await;
    let trunk = recorder(&server, "trunk").await;
    let (_, mid) = called(&server, &trunk, &["r1", "r2"]).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    let one = total(&server).await;
    let sound = voice();
    let again = || put(&server, "trunk", "r2", &mid, &sound);
    let (first, second, third) = tokio::join!(again(), again(), again());
    assert_eq!((first.0, second.0, third.0), (200, 200, 200));
    assert_eq!(total(&server).await, 2 * one);
}

/// A call that came in from A, on a handset that records: what it was told, and its alarm.
async fn called_back(server: &Server) -> (Value, String) {
    let path = crate::calling_back::trunk(server).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "record", "inbound"], "backend": "sip", "channels": 2 });
    assert_eq!(send(server, "POST", "/h/trunk/status", Some(can)).await, json!({ "code": 0 }));
    let id = server.raise(&[A, B], json!({})).await;
    let offer = poll(server, &path).await;
    report(server, &path, &offer["mid"], "", json!([{ "number": A, "outcome": "no_answer" }])).await;
    let told = crate::calling_back::calls(server, "c1", 1, A).await;
    assert_eq!(told["code"], 0, "{told}");
    (told, id)
}

async fn whoever_calls_back_may_leave_a_message(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_MESSAGE_KEY", "3").start().await;
    let (told, id) = called_back(&server).await;
    let mid = told["mid"].as_str().unwrap();
    let rule = json!({ "key": "3", "max_seconds": 60, "silence_ms": 3000, "beep": true });
    assert_eq!(told["script"]["record"], rule, "{told}");
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 404, "nobody has told of it");
    let event = json!([{ "seq": 1, "mid": mid, "event": "recording", "value": "m1" }]);
    assert_eq!(send(&server, "POST", "/h/trunk/live", Some(json!({ "events": event }))).await, json!({ "code": 0 }));
    let progress = json!({ "number": A, "state": "connected", "event": "recording", "value": "m2" });
    send(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(progress)).await;
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 200);
    let named: Vec<Value> = ["m1", "m2", "m3"].iter().map(|name| json!({ "id": name, "seconds": 2 })).collect();
    let calls = json!([{ "number": A, "outcome": "answered", "confirmed": false, "recordings": named }]);
    report(&server, "/h/trunk/alert/phone", &told["mid"], "", calls).await;
    assert_eq!(put(&server, "trunk", "m3", mid, &voice()).await.0, 200, "after its report");
    let kept = server.alarm(&id).await["caller_recordings"].take();
    let available: Vec<&Value> = kept.as_array().unwrap().iter().map(|own| &own["available"]).collect();
    assert_eq!(available, [&json!(true), &json!(false), &json!(true)], "{kept}");
    assert_eq!(kept[0]["phone_number"], A_NUMBER);
    let url = url(&server, &kept[0]["id"]).await.unwrap();
    assert_eq!(hear(&server, &url).await.status(), 200);
    assert_eq!(heard(&server, &id).await, 1, "who listens is written down");
    // It goes with its alarm.
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    server.pass(86_400 * 2).await;
    let before = server.now() - TimeDelta::days(1);
    autocall::engine::watch::retention::prune(&server.app.engine.store, before).await.unwrap();
    assert_eq!(crate::keeping::count(&server.home, "recordings").await, 0);
}

async fn what_nobody_asked_for_in_a_call_that_came_in_is_not_kept(home: Home) {
    let server = home.start().await;
    let (told, _) = called_back(&server).await;
    assert_eq!(told["script"].get("record"), None, "{told}");
    let mid = told["mid"].as_str().unwrap();
    let event = json!([{ "seq": 1, "mid": mid, "event": "recording", "value": "m1" }]);
    send(&server, "POST", "/h/trunk/live", Some(json!({ "events": event }))).await;
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 410);
}

async fn a_caller_s_words_go_with_them(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_MESSAGE_KEY", "3").start().await;
    assert_eq!(server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await.0, 201);
    let path = crate::calling_back::trunk(&server).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "record", "inbound"], "backend": "sip", "channels": 2 });
    send(&server, "POST", "/h/trunk/status", Some(can)).await;
    server.raise(&[], json!({ "ring": [{ "person": "Ann" }], "attempts": 2 })).await;
    let offer = poll(&server, &path).await;
    report(&server, &path, &offer["mid"], "", json!([{ "number": A, "outcome": "no_answer" }])).await;
    let told = crate::calling_back::calls(&server, "c1", 1, A).await;
    let mid = told["mid"].as_str().unwrap();
    let event = |seq: i64, name: &str| json!({ "events": [{ "seq": seq, "mid": mid, "event": "recording", "value": name }] });
    send(&server, "POST", "/h/trunk/live", Some(event(1, "m1"))).await;
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 200);
    assert_eq!(server.delete("/api/v1/people/Ann").await, 204);
    assert_eq!(put(&server, "trunk", "m1", mid, &voice()).await.0, 410);
    send(&server, "POST", "/h/trunk/live", Some(event(2, "m2"))).await;
    assert_eq!(put(&server, "trunk", "m2", mid, &voice()).await.0, 410, "nor what is being said");
}
