//! A report with a known mid counts at any path that is none of ours: the app trims its address for GET, not for POST.

use autocall::engine::Doer;
use autocall::keep::pairing::{self, Pairing};
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, APP, Home, Server, on_both};

on_both!(
    whatever_stands_behind_the_address,
    a_poll_takes_the_same_reading,
    without_a_token_that_is_known,
    what_exists_keeps_its_meaning,
    a_request_of_our_own_protocol_is_never_read_so,
    an_unknown_mid_is_accepted_and_none_is_not,
);

/// Behind the path of a handset, as an installer's thumb leaves it.
const BEHIND: [&str; 9] = ["%20", "%0A", ".", "%E3%80%82", "%20/", "/", "//", "%09%20", "/x"];

async fn post(server: &Server, path: &str, native: bool) -> (u16, Value) {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut request = http.post(format!("{}{path}", server.base)).header("user-agent", APP);
    if native {
        request = request.header("Autocall-Protocol", "1");
    }
    let response = request.sent().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn whatever_stands_behind_the_address(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut paths: Vec<String> =
        BEHIND.iter().flat_map(|behind| [format!("{desk}{behind}"), format!("/alert/phone{behind}")]).collect();
    for path in [
        "/h/desk%20/alert/phone",
        "/h/desk/%20progress",
        "/h/desk/progress%20",
        "/h/desk/Status",
        "//h/desk/progress",
        "/k/x/alert/phone",
        "/k/x/h/desk/alert/phone",
        "/k/x/",
        "/h/desk/alert/phon",
        "/h/desk",
        "/h/desk/",
        "//h/desk/alert/phone",
        "/alert",
        "/alert/",
        "/phone",
        "/alert/phones",
        "/。",
        "/",
    ] {
        paths.push(path.to_owned());
    }
    for path in paths {
        let id = server.raise(&[A], json!({})).await;
        let (mid, _) = server.app_dial(&desk).await;
        assert_eq!(post(&server, &format!("{path}?resp={A}&mid={mid}"), false).await, (200, json!({ "code": 0 })), "{path}");
        assert_eq!(server.state(&id).await, "answered", "{path}");
        server.pass(1).await;
    }
}

async fn a_poll_takes_the_same_reading(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut paths: Vec<String> =
        BEHIND.iter().flat_map(|behind| [format!("{desk}{behind}"), format!("/alert/phone{behind}")]).collect();
    for path in ["/h/desk%20/alert/phone", "/h/desk/alert/phon", "/h/desk", "//h//desk/alert/phone"] {
        paths.push(path.to_owned());
    }
    for path in paths {
        server.raise(&[A], json!({})).await;
        let (mid, _) = server.app_dial(&path).await;
        server.report(&desk, &mid, Some(A)).await;
        server.pass(1).await;
    }
    // Only what leads to a handset: a stranger's look around takes nothing.
    server.raise(&[A], json!({})).await;
    for path in ["/foo", "/favicon.ico", "/phone", "/h/wrong/alert/phone%20"] {
        server.app_idle(path).await;
    }
    server.app_dial(&desk).await;
}

async fn without_a_token_that_is_known(home: Home) {
    let server = home.start().await;
    let store = &server.app.engine.store;
    let pairing = Pairing::new("desk", &server.home.config().handsets);
    let token = store.carry_out(server.now(), Doer::Server, async |work| pairing::add(work, &pairing).await).await.unwrap();
    let desk = format!("/h/{token}/alert/phone");
    for path in ["/h/wrong/alert/phone%20", "/h/wrong/x", "/h/wrong", "/h/%FF/alert/phone."] {
        let id = server.raise(&[A], json!({})).await;
        let (mid, _) = server.app_dial(&desk).await;
        assert_eq!(post(&server, &format!("{path}?resp={A}&mid={mid}"), false).await.0, 200, "{path}");
        assert_eq!(server.state(&id).await, "answered", "{path}");
    }
    // Revoked meanwhile.
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    store.carry_out(server.now(), Doer::Server, async |work| pairing::rotate(work, "desk", true).await).await.unwrap();
    assert_eq!(post(&server, &format!("{desk}%20?resp={A}&mid={mid}"), false).await, (200, json!({ "code": 0 })));
    assert_eq!(server.state(&id).await, "answered");
}

async fn what_exists_keeps_its_meaning(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    let query = format!("?resp={A}&mid={mid}");
    for path in [
        "/h/desk/progress",
        "/h/desk/status",
        "/h/desk/inbound",
        "/k/x/api/v1/alarms",
        "/h/desk/outbox/x",
        "/h/desk/media/x",
        "/api/v1/alarms",
        "/api/v1/nothing",
        "/api",
        "/login",
        "/handsets",
    ] {
        let (status, _) = post(&server, &format!("{path}{query}"), false).await;
        assert_ne!(status, 200, "{path}");
    }
    assert_eq!(server.outcomes(&id).await, ["open"]);
    // What a body says counts on the right path alone.
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let form = |path: &str| {
        let request = http.post(format!("{}{path}", server.base)).header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("resp={A}&mid={mid}")).sent()
    };
    assert_eq!(form(&format!("{desk}%20")).await.unwrap().status(), 404);
    assert_eq!(server.outcomes(&id).await, ["open"]);
    assert_eq!(form(&desk).await.unwrap().status(), 200);
    assert_eq!(server.outcomes(&id).await, ["answered"]);
}

async fn a_request_of_our_own_protocol_is_never_read_so(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    for path in [format!("{desk}%20"), "/h/desk/hook".to_owned(), "/alert/x".to_owned(), "/x".to_owned()] {
        let (status, body) = post(&server, &format!("{path}?resp={A}&mid={mid}"), true).await;
        assert_eq!((status, &body["code"]), (404, &json!(1)), "{path}");
    }
    assert_eq!(server.outcomes(&id).await, ["open"]);
}

async fn an_unknown_mid_is_accepted_and_none_is_not(home: Home) {
    let server = home.start().await;
    server.pair("desk", Profile::App).await;
    for path in ["/h/desk/alert/phone%20", "/h/wrong/alert/phone%20", "/alert/phone.", "/x"] {
        let known = post(&server, &format!("{path}?mid=60d536885fa2a8643fa4d3a0"), false).await;
        assert_eq!(known, (200, json!({ "code": 0 })), "{path}");
        for query in ["", "?resp=187", "?mid=", "?mid=a%20b"] {
            let (status, body) = post(&server, &format!("{path}{query}"), false).await;
            assert_eq!((status, &body["code"]), (404, &json!(1)), "{path}{query}");
        }
    }
}
