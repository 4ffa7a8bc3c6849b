//! Text messages that came in go to the server, one after the other; what it does not take stays on the phone.

use std::{sync::Arc, time::Duration};

use super::{line::Line, server::Server};
use crate::wire::PollReply;

/// How often the line is asked for new messages.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// How long to wait after the server did not take one.
const REFUSED_FOR: Duration = Duration::from_mins(1);

/// Passes messages on, for ever.
pub(super) async fn pass_on<L: Line>(line: Arc<L>, server: Server) {
    let mut said = false;
    loop {
        let mut pause = ASK_EVERY;
        for text in line.texts().await {
            let reply = server.ask(server.post("/inbound", text.to_body())).await;
            let taken = reply.as_ref().is_some_and(|reply| {
                reply.status == 200 && matches!(PollReply::parse(&reply.body), Ok(PollReply::Idle { code: 0, .. }))
            });
            if taken {
                line.text_taken(&text).await;
                said = false;
                continue;
            }
            if let Some(404) = reply.map(|reply| reply.status)
                && !std::mem::replace(&mut said, true)
            {
                tracing::warn!(
                    "the server takes no text messages from this handset, and they stay on the phone: make it a gateway with `autocall gateway add --kind handset`"
                );
            }
            // The order is kept: the next one waits for this one.
            pause = REFUSED_FOR;
            break;
        }
        tokio::time::sleep(pause).await;
    }
}
