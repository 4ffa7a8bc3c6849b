//! From where whoever is being served asks. It is said once where a request comes in, and stands in the audit lines of what it changes; the
//! operations between need not hand it on.

use std::future::Future;
use std::net::IpAddr;

tokio::task_local! {
    static ADDRESS: Option<IpAddr>;
}

/// Does something for whoever asks from there.
pub async fn asked_from<F: Future>(address: Option<IpAddr>, act: F) -> F::Output {
    ADDRESS.scope(address, act).await
}

/// From where this is asked; `None` for commands, and for what the server does by itself.
#[must_use]
pub fn address() -> Option<IpAddr> {
    ADDRESS.try_with(|address| *address).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_holds_for_what_is_done_within_and_no_longer() {
        let here: IpAddr = std::net::Ipv4Addr::LOCALHOST.into();
        assert_eq!(asked_from(Some(here), async { address() }).await, Some(here));
        assert_eq!(address(), None);
    }
}
