//! What kind of browser somebody uses, in words that they know it by, from what it says of itself. That is no proof of anything: people tell
//! their own sessions apart by it.

/// The longest that is looked at: browsers say much less.
const LONGEST: usize = 1000;

/// What a browser says of itself, and what it is. The first that fits counts: many say that they are others as well.
const BROWSERS: [(&str, &str); 10] = [
    ("edg", "Edge"),
    ("opr/", "Opera"),
    ("samsungbrowser", "Samsung Internet"),
    ("micromessenger", "WeChat"),
    ("fxios", "Firefox"),
    ("firefox", "Firefox"),
    ("crios", "Chrome"),
    ("chrome", "Chrome"),
    ("safari", "Safari"),
    ("curl", "curl"),
];

/// The same of what it runs on.
const SYSTEMS: [(&str, &str); 9] = [
    ("android", "Android"),
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("harmony", "HarmonyOS"),
    ("windows", "Windows"),
    ("cros ", "ChromeOS"),
    ("mac os x", "macOS"),
    ("macintosh", "macOS"),
    ("linux", "Linux"),
];

/// The kind of browser by what it says of itself, such as *Firefox, Android*; `None` when it says nothing that is known.
#[must_use]
pub(in crate::dashboard) fn kind_of(agent: &str) -> Option<String> {
    let agent: String = agent.chars().take(LONGEST).map(|c| c.to_ascii_lowercase()).collect();
    let first = |known: &[(&str, &'static str)]| known.iter().find(|(says, _)| agent.contains(says)).map(|(_, name)| *name);
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser}, {system}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_by_what_they_say() {
        for (agent, kind) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
            ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox, Android"),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
                "Chrome, Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari, iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari, macOS",
            ),
            ("curl/8.5.0", "curl"),
            ("a phone on Linux", "Linux"),
        ] {
            assert_eq!(kind_of(agent).as_deref(), Some(kind), "{agent}");
        }
        for none in ["", "-", "我", &"x".repeat(100_000)] {
            assert_eq!(kind_of(none), None);
        }
    }
}
