//! What other programs answer to our requests: read no further than anybody needs.

use reqwest::Response;

/// The answers that matter are a line of JSON.
const MOST: usize = 64 * 1024;

/// The body of an answer as text, or its first 64 KiB; empty when it breaks off.
pub async fn read(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        let room = MOST - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == MOST {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}
