//! A client that costs little: one request after the other on a connection, written down before and only read as far as it must be.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection.
pub struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub closes: bool,
    pub head: String,
    pub body: Vec<u8>,
}

impl Line {
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends a request, and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let head_ends = loop {
            if let Some(at) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.read[..head_ends]).to_ascii_lowercase();
        let status = head.get(9..12).and_then(|text| text.parse().ok()).unwrap_or_default();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()).unwrap_or(0);
        let closes = head.contains("\r\nconnection: close");
        while self.read.len() < head_ends + length {
            self.more().await?;
        }
        let body = self.read[head_ends..head_ends + length].to_vec();
        self.read.drain(..head_ends + length);
        Ok(Answer { status, closes, head, body })
    }

    /// Sends a request whose answer does not end, and reads on until this is dropped; gives the bytes that came to `heard`.
    pub async fn listen(mut self, request: &[u8], mut heard: impl FnMut(&[u8])) -> Result<()> {
        self.stream.write_all(request).await?;
        loop {
            self.read.clear();
            self.more().await?;
            heard(&self.read);
        }
    }

    async fn more(&mut self) -> Result<()> {
        // A poll that waits is not to hold a buffer of its own for it.
        self.stream.readable().await?;
        let mut piece = [0_u8; 4096];
        match self.stream.read(&mut piece).await? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            length => {
                self.read.extend_from_slice(&piece[..length]);
                Ok(())
            }
        }
    }
}

/// A request without a body.
pub fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{more}\r\n").into_bytes()
}

/// One with a body of JSON.
pub fn post(path: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n{body}").into_bytes()
}
