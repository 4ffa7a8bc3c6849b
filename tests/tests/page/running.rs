//! Calls that run, on the page of their alarm: they are hung up there, something is said in them, and what became of it is told.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(whoever_answers_alarms_hangs_up_and_says_something);

async fn native(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    request.header("autocall-protocol", "1").json(&body).send().await.unwrap().json().await.unwrap()
}

async fn whoever_answers_alarms_hangs_up_and_says_something(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let id = server.raise(&[A], json!({})).await;
    let page = format!("/alarms/{id}");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(!lin.get(&page).await.shows("Hang up"), "nothing runs");
    let offer = native(&server, "GET", &path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap();
    native(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), json!({ "number": A, "state": "connected" })).await;
    let shown = lin.get(&page).await;
    assert!(shown.shows("Hang up") && shown.shows("What to say in the call"), "{}", shown.body);
    let record = server.get("/api/v1/call-records").await["items"][0]["id"].as_i64().unwrap();
    let said = lin.post(&format!("{page}/calls/{record}/say"), &[("text", "the <fan> is burning")]).await;
    assert_eq!((said.status, said.location()), (303, format!("{page}?done=said").as_str()));
    assert_eq!(lin.post(&format!("{page}/calls/{record}/say"), &[("text", "  ")]).await.status, 422);
    let hung_up = lin.post(&format!("{page}/calls/{record}/hang-up"), &[]).await;
    assert_eq!(hung_up.location(), format!("{page}?done=hung_up"));
    let told = native(&server, "GET", "/h/trunk/live", Value::Null).await;
    let orders: Vec<_> = told["commands"].as_array().unwrap().iter().map(|own| (&own["do"], &own["text"])).collect();
    assert_eq!(orders, [(&json!("play"), &json!("the <fan> is burning")), (&json!("drop"), &json!(null))]);
    let after = lin.get(&page).await;
    assert!(after.shows("The handset has it") && after.shows("the &lt;fan&gt; is burning"), "{}", after.body);
    assert!(after.shows("was ended from here") && after.shows("lin"), "the timeline tells it: {}", after.body);
    for (language, word) in [("zh", "挂断"), ("ja", "切断"), ("es", "Colgar")] {
        assert!(lin.get(&format!("{page}?lang={language}")).await.shows(word), "{language}");
    }
    // Of another alarm's call this page knows nothing.
    let other = server.raise(&[B], json!({})).await;
    let foreign = format!("/alarms/{other}/calls/{record}/hang-up");
    assert_eq!(lin.post(&foreign, &[]).await.status, 404);
    // A viewer sees neither buttons nor what was said.
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let seen = guest.get(&page).await;
    assert!(!seen.shows("Hang up") && !seen.shows("What to say"), "{}", seen.body);
    let refused = guest.post(&format!("{page}/calls/{record}/hang-up"), &[]).await;
    assert_eq!(refused.status, 403);
    native(&server, "POST", &format!("{path}?mid={mid}&resp={A}"), json!({ "calls": [{ "number": A, "outcome": "answered" }] }))
        .await;
    let over = lin.get(&page).await;
    assert!(!over.shows("What to say in the call"), "{}", over.body);
    assert_eq!(lin.post(&format!("{page}/calls/{record}/hang-up"), &[]).await.status, 409);
}
