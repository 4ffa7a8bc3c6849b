//! How far something long has got, for whoever waits at a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// It is drawn anew at most so often.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
const WIDTH: usize = 30;

/// A line that fills.
pub(super) struct Bar {
    began: Instant,
    drawn: Option<Instant>,
    seen: bool,
}

impl Bar {
    /// Nothing is done yet. Where nobody looks nothing is drawn.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), drawn: None, seen: std::io::stderr().is_terminal() }
    }

    /// So much of so much is done, with so many calls; of what has no known end the whole is 0.
    pub(super) fn draw(&mut self, done: u64, all: u64, calls: u64) {
        if !self.seen || self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAWN_EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        let text = shown(done, all, calls, self.began.elapsed());
        let mut out = std::io::stderr().lock();
        // Whoever looks away has seen enough.
        let _ = write!(out, "\r{text}\u{1b}[K").and_then(|()| out.flush());
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn shown(done: u64, all: u64, calls: u64, took: Duration) -> String {
    let a_second = u128::from(calls) * 1000 / took.as_millis().max(1);
    if all == 0 {
        return format!("{calls} calls, {a_second} a second");
    }
    let percent = done.min(all) * 100 / all;
    let full = usize::try_from(percent).unwrap_or(0) * WIDTH / 100;
    format!("[{}{}] {percent:3} %  {calls} calls, {a_second} a second", "#".repeat(full), ".".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fills() {
        let second = Duration::from_secs(2);
        assert_eq!(shown(0, 100, 0, second), "[..............................]   0 %  0 calls, 0 a second");
        assert_eq!(shown(50, 100, 20, second), "[###############...............]  50 %  20 calls, 10 a second");
        assert_eq!(shown(200, 100, 20, second), "[##############################] 100 %  20 calls, 10 a second");
        assert_eq!(shown(7, 0, 7, Duration::ZERO), "7 calls, 7000 a second");
    }
}
