//! What other programs answer to our requests: read no further than anybody needs.

use reqwest::Response;

/// The answers that matter are a line of JSON.
const MOST: usize = 64 * 1024;

/// Whether an answer is a page for people, such as one to log in on: no program answers with one, whatever its status.
#[must_use]
pub fn is_page(body: &str) -> bool {
    /// What pages hold, and what a gateway that answers in XML does not.
    const SIGNS: [&str; 9] = ["<!doctype html", "<html", "<head", "<body", "<script", "<form", "<meta", "<title", "<iframe"];
    const LOOKED_AT: usize = 4 * 1024;
    let body = body.trim_start_matches('\u{feff}').trim_start();
    let begin: String = body.chars().take(LOOKED_AT).collect::<String>().to_ascii_lowercase();
    begin.starts_with('<') && SIGNS.iter().any(|sign| begin.contains(sign))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_answers() {
        let pages = [
            "<!DOCTYPE html><title>Log in</title>",
            "\u{feff}<!DOCTYPE html>",
            "<!-- 2026 --><html lang=en>",
            "<script>top.location='/login'</script>",
            "<form action=/login>",
            "<FORM>",
            "<meta http-equiv=refresh content=0>",
            "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">",
            " \n<body class=x>",
            "<center><head></head></center>",
        ];
        for page in pages {
            assert!(is_page(page), "{page}");
        }
        let answers = [
            "",
            "OK",
            "0: Accepted",
            "{\"html\": \"<html>\"}",
            "<?xml version=\"1.0\"?><response><status>0</status></response>",
            "<ok/>",
        ];
        for answer in answers {
            assert!(!is_page(answer), "{answer}");
        }
    }
}
