//! Escalation on the pages: where a hunt stands, what responders do about it, and what admins say about policies.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::{Page, Visitor};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::sights::{HOSTILE, assert_harmless, name_people};

on_both!(
    the_page_says_which_step_and_which_is_next,
    an_answer_is_waited_for_and_lapses,
    who_picked_up_and_never_confirmed_is_named_at_the_end,
    somebody_is_taken_off_by_the_button_on_the_rung,
    the_next_step_begins_on_demand,
    an_alarm_is_put_off_and_woken,
    an_alarm_is_taken_for_some_hours,
    a_note_and_another_policy,
    a_policy_is_made_changed_and_removed,
    wrong_policies_say_what_is_wrong_at_the_field,
    rules_are_made_moved_and_removed,
    forbidden_numbers_come_and_go,
    only_admins_change_policies,
    a_responder_acts_and_a_viewer_does_not,
    hostile_words_of_policies_are_only_text,
);

async fn policy(server: &Server, name: &str, body: Value) {
    let (status, stored) = server.put(&format!("/api/v1/policies/{name}"), &body).await;
    assert!(matches!(status, 200 | 201), "{stored}");
}

fn step(number: &str) -> Value {
    json!({ "ring": [{ "number": number }], "attempts": 1 })
}

/// The addresses of forms on a page that end like this.
fn forms(page: &Page, end: &str) -> Vec<String> {
    let actions = page.body.split("action=\"").skip(1).filter_map(|rest| rest.split('"').next());
    actions.filter(|action| action.ends_with(end)).map(str::to_owned).collect()
}

/// The address of the page of the only policy.
fn edit_address(page: &Page) -> String {
    let (_, rest) = page.body.split_once("class=\"change\" href=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn the_page_says_which_step_and_which_is_next(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let first = json!({ "ring": [{ "number": A }], "attempts": 1, "wait_seconds": 300 });
    policy(&server, "ops", json!({ "steps": [first, step(B)], "rounds": 2 })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    for path in ["/", &format!("/alarms/{id}")] {
        let page = eve.get(path).await;
        assert!(
            page.shows("Step 1 of 2, “ops” · round 1 of 2 · next step <time datetime=\"2026-11-20T03:05:00.000Z\""),
            "{}",
            page.body
        );
        assert!(!page.shows("class=\"step\""), "one step needs no heading");
    }
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let page = eve.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("Step 2 of 2, “ops” · round 1 of 2 · the next step follows when all of these"), "{}", page.body);
    let (earlier, current) = page.body.split_once("<h4 class=\"step\">Step 2</h4>").unwrap();
    assert!(earlier.contains("<h4 class=\"step\">Step 1</h4>") && earlier.contains("no answer · calls: 1 of 1"), "{earlier}");
    assert!(current.contains("<b>Li Na</b>") && current.contains("next"));
    let now = eve.get("/").await;
    assert!(now.shows("Earlier steps: 1") && !now.shows("no answer · 1 of 1"), "{}", now.body);
    for _ in 0..2 {
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, None).await;
        server.pass(60).await;
    }
    let page = eve.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("Step 2 of 2, “ops” · round 2 of 2 · the last step"), "{}", page.body);
    assert!(page.shows("<h4 class=\"step\">Step 2, round 2</h4>"));
}

async fn an_answer_is_waited_for_and_lapses(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "confirm_within_seconds": 120, "attempts": 1 })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    for path in ["/", &format!("/alarms/{id}")] {
        let page = lin.get(path).await;
        let until = "<time datetime=\"2026-11-20T03:02:00.000Z\" data-t=\"until\">03:02:00 UTC</time>";
        assert!(page.shows("<b>张伟</b> picked up. Unless somebody takes it, ringing goes on in"), "{}", page.body);
        assert_eq!(page.body.matches(until).count(), 2, "in the sentence and on the rung");
        assert!(page.shows("I take it"));
    }
    assert!(lin.get(&format!("/alarms/{id}")).await.shows("<span class=\"tag answered\">answered, not confirmed</span>"));
    server.pass(120).await;
    for path in ["/", &format!("/alarms/{id}")] {
        let page = lin.get(path).await;
        assert!(page.shows("<li class=\"lapsed\"><b>张伟</b>") && page.shows("picked up, never confirmed"), "{}", page.body);
        assert!(!page.shows("data-t=\"until\""));
    }
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    lin.post(&format!("/alarms/{id}/acknowledge"), &[]).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("on the page") && page.shows("<b>lin</b> took it <small>on the page, as “lin”</small>"), "{}", page.body);
}

async fn who_picked_up_and_never_confirmed_is_named_at_the_end(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "confirm_within_seconds": 30, "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(30).await;
    assert_eq!(server.state(&id).await, "no_answer");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/", "/alarms", &format!("/alarms/{id}")] {
        let page = lin.get(path).await;
        assert!(page.shows("<b>nobody</b>") && page.shows("<bdi>张伟</bdi> picked up, never confirmed"), "{path}: {}", page.body);
    }
    // Whoever picked up and then declined did say something.
    let id = server.raise(&[B], json!({ "attempts": 1, "confirm_within_seconds": 30 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    let callee = server.alarm(&id).await["callees"][0]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/alarms/{id}/callees/{callee}/decline"), &json!({})).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("everybody declined") && !page.shows("never confirmed"), "{}", page.body);
    assert!(page.shows("<li class=\"off\"><b>Li Na</b>"));
}

async fn somebody_is_taken_off_by_the_button_on_the_rung(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let rack = server.pair("rack", Profile::App).await;
    let id = server.raise(&[A, B], json!({})).await;
    server.app_dial(&desk).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(forms(&lin.get("/").await, "/skip").is_empty(), "the overview stays calm");
    let page = lin.get(&format!("/alarms/{id}")).await;
    let skips = forms(&page, "/skip");
    assert_eq!(skips.len(), 2);
    let done = lin.post(&skips[0], &[]).await;
    assert_eq!((done.status, done.location()), (303, format!("/alarms/{id}?done=skipped").as_str()));
    assert_eq!(server.app_dial(&rack).await.1, [B], "their call is not waited for");
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("<li class=\"off\"><b>张伟</b>") && page.shows("taken off"), "{}", page.body);
    assert_eq!(forms(&page, "/skip").len(), 1);
    assert_eq!(lin.post(&format!("/alarms/{id}/callees/nonsense/skip"), &[]).await.status, 404);
    let foreign = "/callees/01a1fc4e-a630-77e4-8b85-425a1123605f/skip";
    assert_eq!(lin.post(&format!("/alarms/{id}{foreign}"), &[]).await.status, 404);
}

async fn the_next_step_begins_on_demand(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    policy(&server, "ops", json!({ "steps": [step(A), step(B)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let path = format!("/alarms/{id}/escalate");
    assert_eq!(forms(&lin.get(&format!("/alarms/{id}")).await, "/escalate"), std::slice::from_ref(&path));
    assert_eq!(lin.post(&path, &[]).await.location(), format!("/alarms/{id}?done=escalated"));
    assert_eq!(server.dial(&desk).await.1, [B]);
    assert!(forms(&lin.get(&format!("/alarms/{id}")).await, "/escalate").is_empty(), "there is no further step");
    let late = lin.post(&path, &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.shows("There is no further step"));
}

async fn an_alarm_is_put_off_and_woken(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let (page_of, path) = (format!("/alarms/{id}"), format!("/alarms/{id}/snooze"));
    let wrong = [
        &[("minutes", "-5")][..],
        &[("minutes", "99999999")],
        &[("until", "2026-11-20T02:59")],
        &[("until", "2027-03-01T00:00")],
        &[("until", "soon")],
        &[],
    ];
    for fields in wrong {
        let page = lin.post(&path, fields).await;
        assert_eq!(page.status, 422, "{fields:?}");
        assert!(page.shows("That time makes no sense"));
    }
    assert_eq!(server.alarm(&id).await["snoozed_until"], Value::Null, "nothing was changed");
    assert_eq!(lin.post(&path, &[("minutes", "15")]).await.location(), format!("{page_of}?done=snoozed"));
    let snoozed = "Put off: nobody is rung before <time datetime=\"2026-11-20T03:15:00.000Z\"";
    for path in ["/", &page_of] {
        let page = lin.get(path).await;
        assert!(page.shows(snoozed) && !page.shows("Waiting for a handset"), "{}", page.body);
    }
    assert!(lin.get(&page_of).await.shows("<span class=\"tag waiting\">put off</span>"));
    server.idle(&desk).await;
    // Without script what was typed is UTC; with it, the instant counts that the script has written.
    lin.post(&path, &[("until", "2026-11-20T06:30"), ("instant", "")]).await;
    assert_eq!(server.alarm(&id).await["snoozed_until"], "2026-11-20T06:30:00Z");
    lin.post(&path, &[("until", "2026-11-20T14:45"), ("instant", "2026-11-20T06:45:00.000Z")]).await;
    assert_eq!(server.alarm(&id).await["snoozed_until"], "2026-11-20T06:45:00Z");
    assert!(lin.get(&page_of).await.shows("Ring now"));
    assert_eq!(lin.post(&format!("{page_of}/redial"), &[]).await.status, 303);
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn an_alarm_is_taken_for_some_hours(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let path = format!("/alarms/{id}/acknowledge");
    assert_eq!(lin.post(&path, &[("hours", "900")]).await.status, 422);
    assert_eq!(server.state(&id).await, "waiting");
    assert_eq!(lin.post(&path, &[("hours", "4")]).await.status, 303);
    let again = "rings again <time datetime=\"2026-11-20T07:00:00.000Z\"";
    for path in ["/", "/alarms", &format!("/alarms/{id}")] {
        let page = lin.get(path).await;
        assert!(page.shows(again), "{path}: {}", page.body);
    }
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert!(!lin.get(&format!("/alarms/{id}")).await.shows("rings again"));
}

async fn a_note_and_another_policy(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    policy(&server, "others", json!({ "steps": [step(B)] })).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page_of = format!("/alarms/{id}");
    for text in ["", "  \r\n ", &"x".repeat(2001)] {
        assert!(matches!(lin.post(&format!("{page_of}/notes"), &[("text", text)]).await.status, 413 | 422));
    }
    lin.post(&format!("{page_of}/notes"), &[("text", "spare part\r\nis ordered")]).await;
    assert_eq!(lin.post(&format!("{page_of}/policy"), &[("policy", "nowhere")]).await.status, 422);
    assert_eq!(
        lin.post(&format!("{page_of}/policy"), &[("policy", "others")]).await.location(),
        format!("{page_of}?done=policy_set")
    );
    let page = lin.get(&page_of).await;
    assert!(page.shows("<b>lin</b> wrote <small>on the page, as “lin”</small><q>spare part\nis ordered</q>"), "{}", page.body);
    assert!(page.shows("“others” begins with the next step"));
    // A program need not say for whom it acts.
    server.post(&format!("/api/v1/alarms/{id}/notes"), &json!({ "text": "measured" })).await;
    assert!(
        lin.get(&page_of)
            .await
            .shows("<span>Note <small>through the API, without a key, from 127.0.0.1</small><q>measured</q></span>")
    );
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [B]);
    let page = lin.get(&page_of).await;
    assert!(page.shows("Named by the alarm</h4>") && page.shows("Step 1 of 1, “others” · the last step"), "{}", page.body);
}

async fn a_policy_is_made_changed_and_removed(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    assert!(mia.get("/policies").await.shows("No policy yet"));
    let form = [
        ("name", " database "),
        ("whom-0", "张伟\r\n"),
        ("mode-0", "sequential"),
        ("attempts-0", "2"),
        ("wait-0", "180"),
        ("whom-1", "Li Na\r\n189-1234-5678"),
        ("mode-1", "parallel"),
        ("whom-2", ""),
        ("rounds", "2"),
        ("confirm", "120"),
    ];
    let mut more = form.to_vec();
    more.push(("another", "step"));
    let page = mia.post("/policies/new", &more).await;
    assert_eq!(page.status, 200, "one more step is asked for without saving");
    assert!(page.shows("name=\"whom-3\"") && page.shows("value=\"180\"") && page.shows("189-1234-5678"), "{}", page.body);
    assert_eq!(server.get("/api/v1/policies").await["policies"], json!([]));

    assert_eq!(mia.post("/policies/new", &form).await.location(), "/policies?done=saved");
    let stored = server.get("/api/v1/policies/database").await;
    assert_eq!(
        stored["steps"],
        json!([
            { "ring": [{ "person": "张伟" }], "mode": "sequential", "attempts": 2, "wait_seconds": 180 },
            { "ring": [{ "person": "Li Na" }, { "number": format!("+86{C}") }], "mode": "parallel" },
        ])
    );
    assert_eq!((&stored["rounds"], &stored["confirm_within_seconds"]), (&json!(2), &json!(120)));
    let list = mia.get("/policies").await;
    for words in [
        "<b>张伟</b> <small>calls to each: 2 · next step after 3 min</small>",
        "all at once",
        "An answer must be confirmed within 2 min · all of it 2 times",
    ] {
        assert!(list.shows(words), "{words}\n{}", list.body);
    }
    // The same name again would change what is there.
    let taken = mia.post("/policies/new", &form).await;
    assert_eq!(taken.status, 422);
    assert!(taken.shows("There is a policy of that name"));

    let path = edit_address(&list);
    let page = mia.get(&path).await;
    assert!(page.shows("name=\"whom-2\"") && !page.shows("name=\"name\""), "a spare step, and the name stays");
    let changed = [("whom-0", ""), ("whom-1", "Li Na"), ("rounds", "1")];
    assert_eq!(mia.post(&path, &changed).await.location(), "/policies?done=saved");
    let stored = server.get("/api/v1/policies/database").await;
    assert_eq!(stored["steps"], json!([{ "ring": [{ "person": "Li Na" }], "mode": "sequential" }]));
    assert_eq!(stored["confirm_within_seconds"], Value::Null);
    assert_eq!(mia.post(&format!("{path}/remove"), &[]).await.location(), "/policies?done=removed");
    assert_eq!(mia.get(&path).await.status, 404);
    assert_eq!(mia.post(&path, &changed).await.status, 404, "what was removed does not come back");
    assert_eq!(mia.post(&format!("{path}/remove"), &[]).await.status, 404);
    assert_eq!(server.get("/api/v1/policies").await["policies"], json!([]));
}

async fn wrong_policies_say_what_is_wrong_at_the_field(home: Home) {
    let server = home.start().await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    let right = [("name", "ops"), ("whom-0", A), ("rounds", "1")];
    let many = vec![A; 51].join("\n");
    for (name, value, field, sentence) in [
        ("name", "", "name", "A name has 1 to 200 characters"),
        ("whom-0", "", "whom-0", "Name at least one person or number"),
        ("whom-0", "Nobody Known", "whom-0", "“Nobody Known” is neither somebody"),
        ("whom-0", "110", "whom-0", "“110” is neither somebody"),
        ("whom-0", many.as_str(), "whom-0", "A step rings 1 to 50"),
        ("attempts-0", "11", "attempts-0", "Write 1 to 10, or leave it empty"),
        ("attempts-0", "two", "attempts-0", "Write 1 to 10, or leave it empty"),
        ("interval-0", "-1", "interval-0", "Write 0 to 86400 seconds"),
        ("wait-0", "0", "wait-0", "Write 1 to 86400 seconds"),
        ("rounds", "11", "rounds", "Write 1 to 10."),
        ("confirm", "9999999999", "confirm", "Write 1 to 86400 seconds"),
    ] {
        let mut fields: Vec<_> = right.into_iter().filter(|(own, _)| *own != name).collect();
        fields.push((name, value));
        let page = mia.post("/policies/new", &fields).await;
        assert_eq!(page.status, 422, "{name}={value}");
        let marked = page.body.split_once("class=\"wrong\"").map(|(before, after)| (before.to_owned(), after.to_owned()));
        let (before, after) = marked.unwrap_or_else(|| panic!("{name}={value} is not marked:\n{}", page.body));
        assert!(
            before.ends_with(&format!("id=\"{field}-how\" ")) || after.starts_with(&format!(" id=\"{field}-how\"")),
            "{name}"
        );
        assert!(after.contains(sentence), "{sentence}\n{after}");
        assert_eq!(page.body.matches("aria-invalid").count(), 1);
    }
    mia.headers = vec![("accept-language", "zh-CN".to_owned())];
    let page = mia.post("/policies/new", &[("name", "ops"), ("whom-0", "110")]).await;
    assert!(page.shows("“110”既不是人员页上的姓名"), "{}", page.body);
    assert_eq!(server.get("/api/v1/policies").await["policies"], json!([]), "nothing was stored");
}

async fn rules_are_made_moved_and_removed(home: Home) {
    let server = home.start().await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    policy(&server, "urgent", json!({ "steps": [step(A)] })).await;
    policy(&server, "usual", json!({ "steps": [step(B)] })).await;
    let form = [
        ("place-0", "2"),
        ("sender-0", ""),
        ("labels-0", ""),
        ("policy-0", "usual"),
        ("place-1", "1"),
        ("sender-1", ""),
        ("labels-1", "severity = critical\r\nteam=db"),
        ("policy-1", "urgent"),
        ("place-2", "3"),
        ("policy-2", ""),
    ];
    assert!(mia.get("/policies/rules").await.shows("name=\"policy-0\""));
    let mut more = form.to_vec();
    more.push(("another", "rule"));
    let page = mia.post("/policies/rules", &more).await;
    assert!(page.status == 200 && page.shows("name=\"policy-3\"") && page.shows("severity = critical"), "{}", page.body);
    assert_eq!(mia.post("/policies/rules", &form).await.location(), "/policies?done=saved");
    let rules =
        json!({ "rules": [{ "policy": "urgent", "labels": { "severity": "critical", "team": "db" } }, { "policy": "usual" }] });
    assert_eq!(server.get("/api/v1/policy-rules").await, rules);
    let list = mia.get("/policies").await;
    assert!(
        list.shows("<code>severity=critical</code> · <code>team=db</code>") && list.shows("everything else"),
        "{}",
        list.body
    );
    for (name, value, sentence) in [
        ("labels-1", "severity", "“severity”: write name=value"),
        ("labels-1", "=x", "a name has 1 to 200 characters"),
        ("place-1", "first", "Write a number"),
        ("sender-1", "a key that was never made", "It has been removed: choose another"),
        ("policy-1", "gone", "It has been removed: choose another"),
    ] {
        let mut fields: Vec<_> = form.into_iter().filter(|(own, _)| *own != name).collect();
        fields.push((name, value));
        let page = mia.post("/policies/rules", &fields).await;
        assert_eq!(page.status, 422, "{name}={value}");
        assert!(page.shows(sentence) && page.shows("class=\"wrong\""), "{sentence}\n{}", page.body);
    }
    assert_eq!(server.get("/api/v1/policy-rules").await, rules, "what is wrong changes nothing");
    assert_eq!(mia.post("/policies/rules", &[("place-0", "1"), ("policy-0", "")]).await.status, 303);
    assert_eq!(server.get("/api/v1/policy-rules").await, json!({ "rules": [] }));
}

async fn forbidden_numbers_come_and_go(home: Home) {
    let server = home.start().await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    assert_eq!(
        mia.post("/do-not-call/add", &[("number", A), ("reason", "left the company")]).await.location(),
        "/policies?done=saved"
    );
    let page = mia.get("/policies").await;
    assert!(page.shows(&format!("<b>+86{A}</b>")) && page.shows("left the company"), "{}", page.body);
    let wrong = mia.post("/do-not-call/add", &[("number", "12"), ("reason", "typed <in> vain")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.shows("This number cannot be dialled") && wrong.shows("typed &#60;in&#62; vain"), "{}", wrong.body);
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [B]);
    let alarm = mia.get(&format!("/alarms/{id}")).await;
    assert!(alarm.shows("<li class=\"off\">") && alarm.shows("must not be called"), "{}", alarm.body);
    assert_eq!(mia.post("/do-not-call/remove", &[("number", &format!("+86{A}"))]).await.location(), "/policies?done=removed");
    assert_eq!(mia.post("/do-not-call/remove", &[("number", &format!("+86{A}"))]).await.status, 404);
    assert!(mia.get("/policies").await.shows("No numbers yet"));
}

async fn only_admins_change_policies(home: Home) {
    let server = home.start().await;
    policy(&server, "ops", json!({ "steps": [step(A)] })).await;
    server.put("/api/v1/policy-rules", &json!({ "rules": [{ "policy": "ops" }] })).await;
    server.post("/api/v1/do-not-call", &json!({ "number": B, "reason": "asked for it" })).await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    let path = edit_address(&mia.get("/policies").await);
    let before =
        (server.get("/api/v1/policies").await, server.get("/api/v1/policy-rules").await, server.get("/api/v1/do-not-call").await);
    for (name, role) in [("eve", Role::Viewer), ("lin", Role::Responder)] {
        let mut reader = Visitor::logged_in(&server, name, role).await;
        let list = reader.get("/policies").await;
        assert!(list.shows("ops") && list.shows("everything else") && list.shows("asked for it"), "{}", list.body);
        assert_eq!(list.shows(A), role == Role::Responder, "only those who act see whole numbers");
        assert_eq!(list.shows(B), role == Role::Responder);
        assert!(!list.shows("action=\"/policies") && !list.shows("action=\"/do-not-call") && !list.shows("/policies/new"));
        for path in ["/policies/new", "/policies/rules", path.as_str()] {
            assert_eq!(reader.get(path).await.status, 403, "{name} {path}");
        }
        let fields = [("name", "x"), ("whom-0", C), ("rounds", "1"), ("number", C), ("policy-0", "")];
        let remove = format!("{path}/remove");
        for path in
            ["/policies/new", "/policies/rules", path.as_str(), remove.as_str(), "/do-not-call/add", "/do-not-call/remove"]
        {
            assert_eq!(reader.post(path, &fields).await.status, 403, "{name} {path}");
        }
    }
    for path in ["/policies/new", "/policies/rules", "/do-not-call/add"] {
        assert_eq!(mia.post_bare(path, &[("name", "x")]).await.status, 403, "{path} needs its token");
    }
    let after =
        (server.get("/api/v1/policies").await, server.get("/api/v1/policy-rules").await, server.get("/api/v1/do-not-call").await);
    assert_eq!(before, after);
}

async fn a_responder_acts_and_a_viewer_does_not(home: Home) {
    let server = home.start().await;
    policy(&server, "ops", json!({ "steps": [step(A), step(B)] })).await;
    policy(&server, "others", json!({ "steps": [step(C)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let before = server.alarm(&id).await;
    let callee = before["callees"][0]["id"].as_str().unwrap().to_owned();
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    assert!(!eve.get(&format!("/alarms/{id}")).await.shows("action=\"/alarms/"));
    let fields = [("minutes", "15"), ("text", "x"), ("policy", "ops"), ("hours", "1")];
    let skip = format!("callees/{callee}/skip");
    for action in ["escalate", "snooze", "notes", "policy", "acknowledge", skip.as_str()] {
        assert_eq!(eve.post(&format!("/alarms/{id}/{action}"), &fields).await.status, 403, "{action}");
        let mut lin = Visitor::new(&server);
        lin.get("/login").await;
        assert!(lin.post(&format!("/alarms/{id}/{action}"), &fields).await.status != 200, "{action}");
    }
    assert_eq!(server.alarm(&id).await, before, "nothing was changed");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    for end in ["/escalate", "/snooze", "/notes", "/policy", "/skip", "/acknowledge", "/false"] {
        for action in forms(&page, end) {
            assert_eq!(lin.post_bare(&action, &fields).await.status, 403, "{action} needs its token");
        }
        assert!(!forms(&page, end).is_empty(), "{end}");
    }
}

async fn hostile_words_of_policies_are_only_text(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    let mut paths = vec!["/policies".to_owned(), "/policies/rules".to_owned(), "/".to_owned()];
    for (place, hostile) in HOSTILE.into_iter().enumerate() {
        mia.post("/people/add", &[("name", hostile), ("numbers", &format!("1871234560{place}"))]).await;
        let form =
            [("name", hostile), ("whom-0", hostile), ("attempts-0", "1"), ("whom-1", B), ("rounds", "1"), ("confirm", "60")];
        let page = mia.post("/policies/new", &form).await;
        assert_eq!(page.status, 303, "{}", page.body);
        mia.post("/do-not-call/add", &[("number", &format!("1871234561{place}")), ("reason", hostile)]).await;
        let id = server.raise(&[], json!({ "policy": hostile })).await;
        let (mid, phones) = server.dial(&desk).await;
        server.report(&desk, &mid, Some(&phones[0])).await;
        mia.post(&format!("/alarms/{id}/notes"), &[("text", hostile)]).await;
        paths.push(format!("/alarms/{id}"));
        // What was typed comes back with the sentence that says what is wrong.
        let wrong = [("name", hostile), ("whom-0", &format!("x{hostile}")), ("attempts-0", hostile), ("confirm", hostile)];
        let page = mia.post("/policies/new", &wrong).await;
        assert_eq!(page.status, 422);
        assert_harmless("/policies/new", &Page { status: 200, ..page });
        let wrong = [("policy-0", hostile), ("sender-0", hostile), ("labels-0", hostile), ("place-0", hostile)];
        let page = mia.post("/policies/rules", &wrong).await;
        assert_eq!(page.status, 422);
        assert_harmless("/policies/rules", &Page { status: 200, ..page });
        let page = mia.post("/do-not-call/add", &[("number", hostile), ("reason", hostile)]).await;
        assert_harmless("/do-not-call/add", &Page { status: 200, ..page });
    }
    let list = mia.get("/policies").await;
    paths.extend(list.body.split("class=\"change\" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    assert!(paths.len() > 2 * HOSTILE.len());
    for path in &paths {
        assert_harmless(path, &mia.get(path).await);
    }
}
