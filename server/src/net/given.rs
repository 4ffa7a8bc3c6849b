//! Sockets that whoever started this process has opened for it, as systemd does (`LISTEN_FDS`).
//!
//! Such a socket is open before this process and after it: who connects while one process ends and the next begins waits in the system's
//! queue for a moment, and is refused by nobody.

use std::io;

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// The sockets that were given and not taken yet.
pub struct Given {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Given {
    /// Those of this process.
    #[must_use]
    pub fn to_this_process() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self { sockets: ListenFd::from_env(), names: names.split(':').map(str::to_owned).collect() }
    }

    /// The one on which requests are taken, if one was given.
    ///
    /// # Errors
    /// When it is no socket that listens for TCP.
    pub fn for_requests(&mut self) -> io::Result<Option<TcpListener>> {
        let Some(place) = place_of_requests(self.sockets.len(), &self.names) else { return Ok(None) };
        let Some(socket) = self.sockets.take_tcp_listener(place)? else { return Ok(None) };
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket).map(Some)
    }
}

/// The one called `http`, else the first whose name says nothing of another use: systemd calls those without a name by their unit.
fn place_of_requests(count: usize, names: &[String]) -> Option<usize> {
    let name = |place: usize| names.get(place).map_or("", String::as_str);
    let other_use = |place: &usize| matches!(name(*place), "mail" | "https");
    (0..count).find(|place| name(*place) == "http").or_else(|| (0..count).find(|place| !other_use(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_on_the_socket_that_is_meant() {
        let place =
            |count, names: &[&str]| place_of_requests(count, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(place(0, &[]), None);
        assert_eq!(place(1, &[]), Some(0));
        assert_eq!(place(1, &["autocall.socket"]), Some(0));
        assert_eq!(place(2, &["mail", "autocall.socket"]), Some(1));
        assert_eq!(place(3, &["https", "autocall.socket", "http"]), Some(2));
        assert_eq!(place(1, &["mail"]), None);
    }
}
