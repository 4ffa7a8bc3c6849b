//! A server of a few lines, on a real socket, and the patience to wait for what it sees.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Below the handset's address: `/status`, `/alert/phone?wait=20`.
    pub path: String,
    pub body: String,
}

type Answer = dyn Fn(&Received) -> (u16, String) + Send + Sync;

/// The server, and what it was asked.
#[derive(Clone)]
pub struct Desk {
    pub url: String,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Desk {
    /// Serves until the test ends: each connection in a thread, one request each.
    pub fn open(answer: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/h/T", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Received>>>::default();
        let (noted, answer) = (Arc::clone(&seen), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &noted, &answer));
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> MutexGuard<'_, Vec<Received>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bodies of the requests whose path begins so.
    pub fn bodies(&self, path: &str) -> Vec<String> {
        self.seen().iter().filter(|request| request.path.starts_with(path)).map(|request| request.body.clone()).collect()
    }
}

/// A client that left is none of the server's business.
fn serve(stream: TcpStream, noted: &Mutex<Vec<Received>>, answer: &Arc<Answer>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let path = words.nth(1)?.strip_prefix("/h/T")?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = Received { path, body: String::from_utf8_lossy(&body).into_owned() };
    let (status, body) = answer(&request);
    noted.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).ok()
}

/// Waits until something is there. It does not measure anything: a machine that is busy may take its time.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_mins(2);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
