//! Scenario: the handset path on the wire. Whatever is asked, the reply is one that the stock app survives, and nothing is lost or taken by it.

use serde_json::{Value, json};

use crate::{
    client::{Client, Offer},
    raw::{self, Reply},
    world::{Engine, World, assert_keeps_numbers_secret, on_both},
};

const ZHANG: &str = "18712345678";
const LI: &str = "18812345678";
const TOKYO: &str = "+819012345678";

on_both!(
    replies_suit_the_stock_app,
    a_trailing_slash_changes_nothing,
    asking_in_other_ways_takes_nothing,
    strange_reports_change_nothing,
    a_report_counts_in_every_form,
    an_unencoded_plus_names_the_callee,
);

async fn replies_suit_the_stock_app(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    for agent in ["okhttp/3.10.0", "Dalvik/2.1.0 (Linux; U; Android 9; MI 8 Build/PKQ1.180729.001)"] {
        // What the app sends, and no wish to close the connection.
        let headers = format!("model: MI 8\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\nUser-Agent: {agent}\r\n");
        let ask = async |method: &str, target: &str| {
            let reply = raw::exchange(&addr, raw::request(method, target, &addr, &headers)).await;
            assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
            assert_eq!(reply.header("content-encoding"), None, "{reply:?}");
            reply
        };
        assert_eq!(ask("GET", "/alert/phone").await.for_the_app(), json!({ "code": 1, "msg": "无告警" }));
        let id = client.raise_for(&[ZHANG, LI]).await;
        let offer = ask("GET", "/alert/phone").await;
        let mid = offer.for_the_app()["mid"].as_str().unwrap().to_owned();
        assert_eq!(offer.body, format!(r#"{{"phone":["{ZHANG}"],"code":0,"mid":"{mid}"}}"#), "one number for the app");
        assert_eq!(ask("GET", "/alert/phone").await.body, offer.body);
        assert_eq!(ask("POST", &format!("/alert/phone?resp={ZHANG}&mid={mid}")).await.for_the_app(), json!({ "code": 0 }));
        assert_eq!(client.alarm(&id).await["state"], "answered");
        for target in ["/alert/other", "/h/xyz", "/h/xyz/alert/phone"] {
            ask_and_close(&addr, &headers, target).await.for_the_app();
        }
    }
    assert_keeps_numbers_secret(&server.log(), &[ZHANG, LI]);
}

/// At an address that is none, the connection is the library's business.
async fn ask_and_close(addr: &str, headers: &str, target: &str) -> Reply {
    let headers = headers.replace("Connection: Keep-Alive", "Connection: close");
    raw::exchange(addr, raw::request("GET", target, addr, &headers)).await
}

async fn a_trailing_slash_changes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let id = client.raise_for(&[ZHANG]).await;
    let with = raw::ask(&addr, "GET", "/alert/phone/").await;
    assert_eq!(with.for_the_app()["phone"], json!([ZHANG]));
    assert_eq!(raw::ask(&addr, "GET", "/alert/phone").await.body, with.body);
    let offer = Offer::read(with.body).unwrap();
    let target = format!("/alert/phone/?mid={}&resp={ZHANG}", offer.mid);
    assert_eq!(raw::ask(&addr, "POST", &target).await.for_the_app(), json!({ "code": 0 }));
    assert_eq!(client.alarm(&id).await["state"], "answered");
}

async fn asking_in_other_ways_takes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let id = client.raise_for(&[ZHANG]).await;
    let before = client.alarm(&id).await;
    let everywhere = ["/alert/phone", "/alert/phone/", "/h/xyz/alert/phone"];

    for target in everywhere {
        let reply = raw::ask(&addr, "HEAD", target).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
            let code = raw::ask(&addr, method, target).await.for_the_app()["code"].clone();
            assert_ne!(code, 0, "{method} {target}");
        }
    }
    // Below /alert only a phone can be meant: it may ask there, and nothing else.
    let typed = [
        "/alert/other",
        "/alert",
        "/alert/phone/more",
        "/alert//phone",
        "/ALERT/PHONE",
        "/alert/phon%65x",
        "/alert/phone%00",
        "/alert/phone%20",
        "/alert/phone.",
    ];
    for target in typed {
        for method in ["POST", "PUT", "HEAD"] {
            let reply = raw::ask(&addr, method, target).await;
            assert!(!reply.body.contains(ZHANG), "{method} {target}");
        }
    }
    let nowhere = [
        "/",
        "/?resp=x",
        "/h",
        "/h/",
        "/h//",
        "/h/xyz",
        "/h/xyz/",
        "/h/xyz/alert",
        "/h/xyz/alert/other",
        "/h/xyz/alert/phone",
        "/h/xyz/alert/phone/",
        "/h//alert/phone",
        "/h/%ff/alert/phone",
        "/h/%00/alert/phone",
        "/h/%2e%2e/alert/phone",
        "/h/../alert/phone",
        "/%ff",
        "/%00",
        "/alert/phone?token=xyz",
        "/alert/phone?token=%ff",
        "/favicon.ico",
        "/handsets",
        "/handsets/add",
        "/alarms",
        "/alarms/xyz",
        "/people",
        "/people/add",
        "/login",
        "/logout",
        "/setup?secret=xyz",
        "/live?page=now",
        "/assets",
    ];
    for target in nowhere {
        for method in ["GET", "POST", "PUT"] {
            let code = raw::ask(&addr, method, target).await.for_the_app()["code"].clone();
            assert_ne!(code, 0, "{method} {target}");
        }
    }
    let long = format!("/h/{}/alert/phone", "x".repeat(4_000));
    raw::ask(&addr, "GET", &long).await.for_the_app();

    assert_eq!(client.alarm(&id).await, before, "still waiting");
    assert_eq!(client.poll().await.unwrap().phones, [ZHANG]);
    for target in typed {
        let reply = raw::ask(&addr, "GET", target).await;
        assert_eq!((reply.status, &reply.for_the_app()["code"]), (200, &1.into()), "another phone has nothing to do: {target}");
    }
}

async fn strange_reports_change_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let id = client.raise_for(&[ZHANG, LI]).await;
    let offer = client.take().await;
    let mid = &offer.mid;
    let before = client.alarm(&id).await;
    assert_eq!(before["state"], "ringing");

    let long = "a".repeat(20_000);
    let shouted = mid.to_ascii_uppercase();
    let queries = [
        String::new(),
        "?".to_owned(),
        "?mid=".to_owned(),
        "?mid".to_owned(),
        format!("?resp={ZHANG}"),
        format!("?MID={mid}"),
        format!("?mid={long}"),
        format!("?mid={mid}{long}"),
        format!("?mid={mid}%00"),
        "?mid=%00".to_owned(),
        "?mid=%ff".to_owned(),
        "?mid=%ff%fe%00%01".to_owned(),
        format!("?mid=%ff{mid}"),
        format!("?mid=%20{mid}"),
        format!("?mid={mid}'--"),
        "?mid=%27%20OR%201=1%20--".to_owned(),
        "?mid=a&mid=b".to_owned(),
        format!("?mid={mid}&mid=b"),
        format!("?mid=b&mid={mid}&resp={ZHANG}"),
        format!("?mid={mid}&resp={ZHANG}&resp={LI}"),
        "?mid=60d536885fa2a8643fa4d3a0".to_owned(),
        format!("?mid=60d536885fa2a8643fa4d3a0&resp={ZHANG}"),
        "?mid=idle".to_owned(),
        format!("?token=xyz&resp={ZHANG}"),
        format!("?{}", "&".repeat(5_000)),
        format!("?{}", "x=1&".repeat(5_000)),
    ];
    for query in &queries {
        for path in ["/alert/phone", "/h/xyz/alert/phone"] {
            let reply = raw::ask(&addr, "POST", &format!("{path}{query}")).await;
            reply.for_the_app();
            assert!(reply.status < 500, "{query}: {reply:?}");
        }
    }
    // An unknown mid may have been ours once; the phone must be able to forget it.
    let unknown = raw::ask(&addr, "POST", "/alert/phone?mid=60d536885fa2a8643fa4d3a0").await;
    assert_eq!((unknown.status, unknown.for_the_app()), (200, json!({ "code": 0 })));
    // A mid is compared as it is: in other letters it is another one.
    if shouted != *mid {
        raw::ask(&addr, "POST", &format!("/alert/phone?mid={shouted}")).await.for_the_app();
    }
    // A body is read only for its form; a huge one is not.
    let form = |body: &str| {
        let head = raw::request(
            "POST",
            "/alert/phone",
            &addr,
            "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        );
        head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len())) + body
    };
    raw::exchange(&addr, form("resp=1&mid=%ff")).await.for_the_app();
    raw::exchange(&addr, form("mid=a&mid=b")).await.for_the_app();

    assert_eq!(client.alarm(&id).await, before, "nothing was stored");
    client.report(mid, Some(ZHANG)).await;
    assert_eq!(client.alarm(&id).await["state"], "answered");
    assert_keeps_numbers_secret(&server.log(), &[ZHANG, LI]);
}

async fn a_report_counts_in_every_form(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    // Also under a token that is not known: the mid says which dial is meant.
    let answered = [
        "/alert/phone?mid=M&resp=N",
        "/alert/phone?resp=N&mid=M",
        "/alert/phone/?resp=N&mid=M",
        "/alert/phone?token=T?resp=N&mid=M",
        "/alert/phone?token=T&resp=N&mid=M",
        "/alert/phone?mid=M&mid=M&resp=N&resp=N",
        "/alert/phone?mid=M&resp=+86N",
        "/alert/phone?mid=M&resp=%2B86N",
        "/alert/phone?&&mid=M&resp=N&model=%ff",
        "/h/revoked/alert/phone?resp=N&mid=M",
        "/h/revoked/alert/phone/?resp=N&mid=M",
        "/h/%ff/alert/phone?resp=N&mid=M",
    ];
    for form in answered {
        let alarm = end_by(&addr, &client, form).await;
        assert_eq!(alarm["state"], "answered", "{form}");
        assert_eq!(alarm["answer"]["number"], "+8618812345678", "{form}");
    }
    let nobody = ["/alert/phone?mid=M", "/alert/phone?mid=M&resp=", "/alert/phone?token=T?mid=M", "/h/revoked/alert/phone?mid=M"];
    for form in nobody {
        let alarm = end_by(&addr, &client, form).await;
        assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("attempts_used")), "{form}");
        assert_eq!(alarm["answer"], Value::Null, "{form}");
    }
    assert_keeps_numbers_secret(&server.log(), &[ZHANG, LI]);
}

/// Raises an alarm for two and ends it with a report of this form: M stands for the mid, N for the second number.
async fn end_by(addr: &str, client: &Client, form: &str) -> Value {
    let id = client.raise_for(&[ZHANG, LI]).await;
    let offer = client.take().await;
    let target = form.replace("=M", &format!("={}", offer.mid)).replace('N', LI);
    assert_eq!(raw::ask(addr, "POST", &target).await.for_the_app(), json!({ "code": 0 }), "{form}");
    assert_eq!(client.poll().await, None, "{form}: its mid is never served again");
    client.alarm(&id).await
}

async fn an_unencoded_plus_names_the_callee(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    for written in [TOKYO, "%2B819012345678", "819012345678"] {
        let id = client.raise_for(&[ZHANG, TOKYO]).await;
        let offer = client.take().await;
        assert_eq!(offer.phones, [ZHANG, TOKYO, ZHANG, TOKYO], "abroad with country code, at home without");
        let target = format!("/alert/phone?resp={written}&mid={}", offer.mid);
        assert_eq!(raw::ask(&addr, "POST", &target).await.for_the_app(), json!({ "code": 0 }));
        let alarm = client.alarm(&id).await;
        assert_eq!(alarm["state"], "answered");
        assert_eq!(alarm["answer"]["number"], TOKYO, "{written}");
        assert_eq!(alarm["answer"]["callee_id"], alarm["callees"][1]["id"], "{written}");
    }
    assert_keeps_numbers_secret(&server.log(), &[ZHANG, TOKYO]);
}
