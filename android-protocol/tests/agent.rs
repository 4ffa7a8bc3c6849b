//! The driver against a real socket: an app and a native handset ring, report and stop.
#![cfg(feature = "agent")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use android_protocol::{
    agent::{Ending, Kind, Options, run_and_tell},
    app::{Build, Death},
    phone::{Behaviour, People},
    wire::{ACCEPTED_BODY, IDLE_BODY, Offer},
};

const A: &str = "18712345678";

/// A server with one alarm, one connection at a time; the request lines it saw.
fn serve(status: u16, alarm: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut open = alarm;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap();
            let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            open &= !line.contains("mid=m1") || line.contains("/progress");
            let body = if status == 204 {
                String::new()
            } else if line.starts_with("POST") {
                ACCEPTED_BODY.to_owned()
            } else if open && line.contains("/alert/phone") {
                Offer::new(&[A.to_owned()], "m1").to_body()
            } else {
                IDLE_BODY.to_owned()
            };
            noted.lock().unwrap().push(line);
            let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            write!(stream, "HTTP/1.1 {status} X\r\n{length}Connection: close\r\n\r\n{body}").unwrap();
        }
    });
    (format!("http://{address}/h/T/alert/phone"), seen)
}

fn options(kind: Kind, url: &str) -> Options {
    let mut options = Options::new(kind, url, People::default().with(A, [Behaviour::answers(2, 3)]));
    options.speed = 100.0;
    options.once = true;
    options
}

#[tokio::test]
async fn an_app_rings_and_reports() {
    let (url, seen) = serve(200, true);
    let mut lines = Vec::new();
    let ending =
        run_and_tell(options(Kind::App(Build::Head), &url), std::future::pending(), |_, line| lines.push(line.to_owned()))
            .await
            .unwrap();
    assert_eq!(ending, Ending::Once);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.last().unwrap(), &format!("POST /h/T/alert/phone?resp={A}&mid=m1 HTTP/1.1"));
    assert!(lines.iter().any(|line| line.contains(&format!("{A} picks up"))), "{lines:?}");
}

#[tokio::test]
async fn a_native_handset_rings_and_reports() {
    let (url, seen) = serve(200, true);
    let ending = run_and_tell(options(Kind::Native, &url), std::future::pending(), |_, _| {}).await.unwrap();
    assert_eq!(ending, Ending::Once);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.last().unwrap(), &format!("POST /h/T/alert/phone?mid=m1&resp={A} HTTP/1.1"));
    assert!(seen.iter().filter(|line| line.starts_with("POST /h/T/progress?mid=m1")).count() >= 3, "{seen:?}");
}

#[tokio::test]
async fn nothing_pending_ends_at_once_and_a_204_is_death() {
    for kind in [Kind::App(Build::V1_0), Kind::Native] {
        let (url, _) = serve(200, false);
        assert_eq!(run_and_tell(options(kind, &url), std::future::pending(), |_, _| {}).await.unwrap(), Ending::Once);
    }
    let (url, _) = serve(204, true);
    let mut forever = options(Kind::App(Build::Head), &url);
    forever.once = false;
    assert_eq!(run_and_tell(forever, std::future::pending(), |_, _| {}).await.unwrap(), Ending::Died(Death::NoJson));
}

#[tokio::test]
async fn shutdown_ends_it() {
    let mut forever = options(Kind::Native, "http://127.0.0.1:9/alert/phone");
    forever.once = false;
    assert_eq!(run_and_tell(forever, std::future::ready(()), |_, _| {}).await.unwrap(), Ending::Shutdown);
}

#[test]
fn the_program_names_every_kind_of_real_line() {
    for arguments in [&["--help"][..], &["--kind", "nonsense"]] {
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_handset")).args(arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        for kind in ["termux", "modem", "sip"] {
            assert!(said.contains(kind), "{kind}: {said}");
        }
    }
}
