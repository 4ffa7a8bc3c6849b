//! Whether the ports can be had.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use futures_util::future::BoxFuture;

use super::{Answer, Finding, Seen};
use crate::store::StoreError;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let config = seen.config();
        // What a running server holds is not free, and need not be.
        if matches!(seen.answer, Answer::Said(_)) {
            return Ok(vec![Finding::good("the running server has its ports")]);
        }
        let wanted =
            [("listen", Some(config.listen)), ("mail.listen", config.mail.listen), ("http.tls_listen", config.http.tls.listen)];
        Ok(wanted.into_iter().filter_map(|(key, at)| Some(free(key, at?))).collect())
    })
}

fn free(key: &str, at: SocketAddr) -> Finding {
    match TcpListener::bind(at) {
        Ok(_) => Finding::good(format!("{at} ({key}) is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::bad(
            format!("another program listens on {at} ({key})"),
            format!("stop it (ss -ltnp shows it), or choose another {key}"),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::warn(
            format!("whoever runs this may not listen on {at} ({key})"),
            "ports below 1024 need the right CAP_NET_BIND_SERVICE: see docs/installing.md",
        ),
        Err(error) => Finding::bad(
            format!("{at} ({key}) cannot be had: {error}"),
            format!("correct {key}: is the address this computer's?"),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn a_port_in_use_is_said() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(free("listen", taken.local_addr().unwrap()).grade, Grade::Bad);
        assert_eq!(free("listen", "127.0.0.1:0".parse().unwrap()).grade, Grade::Good);
    }
}
