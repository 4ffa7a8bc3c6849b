//! HTTP by hand over a TCP connection, for what an HTTP library hides, mends or refuses to send.

use std::io;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use crate::world::SOON;

/// A reply as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in small letters, with their values.
    pub headers: Vec<(String, String)>,
    /// What followed the head until the server closed the connection.
    pub body: String,
}

impl Reply {
    /// Takes a whole reply apart.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP reply: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }

    /// The value of a header that may stand there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands there twice: {self:?}");
        value.map(|(_, value)| value.as_str())
    }

    /// The body of a reply that the stock app survives and a cache leaves alone: a JSON object that holds `code`, of known length, no redirect.
    pub fn for_the_app(&self) -> Value {
        assert!(self.status >= 200 && !(300..400).contains(&self.status) && self.status != 204, "{self:?}");
        assert_eq!(self.header("content-length"), Some(self.body.len().to_string().as_str()), "{self:?}");
        assert_eq!(self.header("transfer-encoding"), None, "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("location"), None, "{self:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(body.is_object() && body["code"].is_i64(), "{self:?}");
        body
    }
}

/// The text of a request without a body. Lines of `headers` end with CR LF.
pub fn request(method: &str, target: &str, addr: &str, headers: &str) -> String {
    let length = if method == "GET" || method == "HEAD" { "" } else { "Content-Length: 0\r\n" };
    format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\n{length}{headers}\r\n")
}

/// Sends a request and reads until the server closes the connection, which the request must make it do.
pub async fn exchange(addr: &str, request: impl AsRef<[u8]>) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut bytes = Vec::new();
    match timeout(SOON, stream.read_to_end(&mut bytes)).await {
        Ok(read) => read.unwrap(),
        Err(late) => panic!("{late}: the connection stays open after {:?}", String::from_utf8_lossy(&bytes)),
    };
    Reply::parse(&bytes)
}

/// Sends a request that asks for the connection to be closed.
pub async fn ask(addr: &str, method: &str, target: &str) -> Reply {
    exchange(addr, request(method, target, addr, "Connection: close\r\n")).await
}

/// Sends a report and collects, in the background, whatever comes back until the connection ends.
pub async fn report_in_background(addr: &str, mid: &str, resp: &str) -> JoinHandle<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let target = format!("/alert/phone?resp={resp}&mid={mid}");
    stream.write_all(request("POST", &target, addr, "Connection: close\r\n").as_bytes()).await.unwrap();
    tokio::spawn(async move {
        let mut received = Vec::new();
        // A reset is an end like any other.
        let _end: io::Result<usize> = stream.read_to_end(&mut received).await;
        received
    })
}
