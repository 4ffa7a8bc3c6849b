//! *Duty*: who is on duty now, what a change does before it is saved, and swaps between two people.

use autocall::engine::Doer;
use autocall::ids::PersonId;
use autocall::keep::roster::forms::{LayerForm, ScheduleForm, TeamForm};
use autocall::keep::roster::{schedules, teams};
use autocall::store::access::users::Role;
use serde_json::Value;

use crate::client::{Page, Visitor};
use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    who_is_on_duty_now_heads_the_page,
    what_a_change_does_is_shown_before_it_is_saved,
    what_has_changed_since_is_told_and_shown_again,
    two_people_swap_a_weekend_and_both_see_it,
    nobody_gives_away_what_is_another_s,
    shifts_are_whole_and_bars_are_links,
    the_page_of_a_person_says_whom_their_removal_puts_on_duty,
);

/// Ann until Monday, then Bob, week by week; Carl in a team without a schedule. The path of the schedule.
async fn start(home: Home) -> (Server, String) {
    let server = home.start().await;
    let csv = format!("name,numbers\nAnn,{A}\nBob,{B}\nCarl,{C}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    let engine = &server.app.engine;
    engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
    let layer = LayerForm {
        name: "weekly".to_owned(),
        people: vec!["Ann".to_owned(), "Bob".to_owned()],
        every: "1 week".to_owned(),
        start: "2026-11-16T09:00".to_owned(),
        ..LayerForm::default()
    };
    let form =
        ScheduleForm { name: "ops".to_owned(), zone: "Europe/Berlin".to_owned(), layers: vec![layer], ..ScheduleForm::default() };
    let id = engine.carry_out(Doer::Server, async |work| schedules::add(work, &form).await).await.unwrap();
    let team = TeamForm { name: "night watch".to_owned(), members: vec!["Carl".to_owned()], version: None };
    engine.carry_out(Doer::Server, async |work| teams::add(work, &team).await).await.unwrap();
    (server, format!("/roster/{id}"))
}

async fn id_of(server: &Server, name: &str) -> PersonId {
    server.app.engine.store.read().await.unwrap().db().person_by_name(name).await.unwrap().unwrap().id
}

async fn on_duty(server: &Server, at: &str) -> Value {
    server.get(&format!("/api/v1/schedules/ops/on-duty?on_duty_at={at}")).await["on_duty"][0]["person"]["name"].clone()
}

/// What the first form at this address holds unseen.
fn held(page: &Page, action: &str) -> Vec<(String, String)> {
    let form = page.body.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")));
    let form = form.unwrap_or_else(|| panic!("no form for {action}: {}", page.body)).split("</form>").next().unwrap();
    let fields = form.split("<input type=\"hidden\" name=\"").skip(1);
    let pair = |field: &str| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split('"').next().unwrap().to_owned())
    };
    fields.map(pair).filter(|(name, _)| name != "form_token").collect()
}

/// Presses the button of a form that holds all it sends.
async fn press(visitor: &mut Visitor, page: &Page, action: &str) -> Page {
    let fields = held(page, action);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.post(action, &fields).await
}

async fn who_is_on_duty_now_heads_the_page(home: Home) {
    let (server, _) = start(home).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let page = eve.get("/roster").await;
    assert!(page.shows("On duty now"), "{}", page.body);
    assert!(page.shows("<p class=\"duty\">Ann · weekly · until Mon 2026-11-23 09:00 Europe/Berlin</p>"), "{}", page.body);
    assert!(page.shows("from Mon 2026-11-23 09:00: Bob"), "who is next: {}", page.body);
    assert!(page.shows("<p class=\"duty\">Carl</p>") && page.shows("The whole team"), "a team without a schedule: {}", page.body);
    let (now, asking) = (page.body.find("On duty now").unwrap(), page.body.find("class=\"ask").unwrap());
    assert!(now < asking, "it heads the page");
    let then = eve.get("/roster?at=2026-12-01T12:00&zone=Europe/Berlin").await;
    assert!(then.shows("On duty at this instant") && !then.shows("On duty now"));
}

const OVERRIDE: [(&str, &str); 5] =
    [("from", "2026-11-20T03:00"), ("to", "2026-11-20T20:00"), ("action", "replace"), ("person", "Bob"), ("note", "ill")];

async fn what_a_change_does_is_shown_before_it_is_saved(home: Home) {
    let (server, path) = start(home).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = lin.get(&path).await;
    assert!(held(&form, &format!("{path}/override")).contains(&("look".to_owned(), "yes".to_owned())), "the form looks first");
    let fields = [&OVERRIDE[..], &[("look", "yes")]].concat();
    let page = lin.post(&format!("{path}/override"), &fields).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for sentence in ["Nothing is saved yet.", "Comes on duty now: Bob", "Duty ends now: Ann", "Bob instead of Ann"] {
        assert!(page.shows(sentence), "{sentence}: {}", page.body);
    }
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Ann", "nothing is saved yet");
    let saved = press(&mut lin, &page, &format!("{path}/override")).await;
    assert_eq!(saved.location(), format!("{path}?done=saved&day=2026-11-20"), "{}", saved.body);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Bob");
    // Taking it back as well.
    let page = lin.get(&path).await;
    let remove = page.body.split("action=\"").find(|rest| rest.contains("/override/")).unwrap().split('"').next().unwrap();
    let looked = press(&mut lin, &page, remove).await;
    assert!(looked.shows("Comes on duty now: Ann") && looked.shows("Duty ends now: Bob"), "{}", looked.body);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Bob");
    assert_eq!(press(&mut lin, &looked, remove).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Ann");
    // A rotation, a vacation, and what is wrong.
    let start = ("start", "2026-11-16T09:00");
    let rotation = [("name", "first"), ("people", "Carl"), ("every", "1 week"), start, ("version", "3"), ("look", "yes")];
    let page = lin.post(&format!("{path}/rotation"), &rotation).await;
    assert!(page.shows("Comes on duty now: Carl") && page.shows("Duty ends now: Ann"), "{}", page.body);
    let away = [("person", "Ann"), ("from", "2026-11-20T03:00"), ("to", "2026-11-22T00:00"), ("zone", "UTC"), ("look", "yes")];
    let page = lin.post("/roster/vacations", &away).await;
    assert!(page.shows("Comes on duty now: Bob"), "{}", page.body);
    let later = [("person", "Carl"), ("from", "2027-11-20T03:00"), ("to", "2027-11-22T00:00"), ("zone", "UTC"), ("look", "yes")];
    assert!(lin.post("/roster/vacations", &later).await.shows("Nobody else is on duty by this until"));
    let wrong = [("person", "Eve"), ("from", "2026-11-20T03:00"), ("to", "2026-11-22T00:00"), ("zone", "UTC"), ("look", "yes")];
    assert!(lin.post("/roster/vacations", &wrong).await.shows("There is no Eve"));
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Ann");
}

async fn what_has_changed_since_is_told_and_shown_again(home: Home) {
    let (server, path) = start(home).await;
    let (mut lin, mut ann) =
        (Visitor::logged_in(&server, "lin", Role::Admin).await, Visitor::logged_in(&server, "ann", Role::Admin).await);
    let looked = lin.post(&format!("{path}/override"), &[&OVERRIDE[..], &[("look", "yes")]].concat()).await;
    let other = [("from", "2026-11-20T03:00"), ("to", "2026-11-20T20:00"), ("action", "replace"), ("person", "Carl")];
    assert_eq!(ann.post(&format!("{path}/override"), &other).await.status, 303);
    let again = press(&mut lin, &looked, &format!("{path}/override")).await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert!(again.shows("Something in the plan has changed since you looked."), "{}", again.body);
    assert!(again.shows("Duty ends now: Carl") && !again.shows("Duty ends now: Ann"), "what it does by now: {}", again.body);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Carl", "nothing was saved");
    // A vacation counts too: whoever covers may be another.
    let away = [("person", "Bob"), ("from", "2026-11-25T00:00"), ("to", "2026-11-26T00:00"), ("zone", "UTC")];
    assert_eq!(ann.post("/roster/vacations", &away).await.status, 303);
    let third = press(&mut lin, &again, &format!("{path}/override")).await;
    assert!(third.shows("has changed since you looked"), "{}", third.body);
    assert_eq!(press(&mut lin, &third, &format!("{path}/override")).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Bob");
}

async fn two_people_swap_a_weekend_and_both_see_it(home: Home) {
    let (server, path) = start(home).await;
    let (ann_id, bob_id) = (id_of(&server, "Ann").await, id_of(&server, "Bob").await);
    let mut ann = Visitor::logged_in_as(&server, "ann", Role::Viewer, Some(ann_id)).await;
    let mut bob = Visitor::logged_in_as(&server, "bob", Role::Viewer, Some(bob_id)).await;
    // From the shift in the list to the form.
    let page = bob.get(&format!("{path}?day=2026-11-24")).await;
    assert!(page.shows("Ask somebody to take it") && page.shows("/roster/swaps?schedule=ops"), "{}", page.body);
    let form = [
        ("schedule", "ops"),
        ("person", "Bob"),
        ("from", "2026-11-28T00:00"),
        ("to", "2026-11-30T00:00"),
        ("other", "Ann"),
        ("back_from", "2026-12-05T00:00"),
        ("back_to", "2026-12-07T00:00"),
        ("note", "wedding"),
    ];
    let asked = bob.post("/roster/swaps", &form).await;
    assert_eq!(asked.location(), "/roster/swaps?done=saved", "{}", asked.body);
    let says = "Bob asks Ann to take a shift: ops, Sat 2026-11-28 00:00 – Mon 2026-11-30 00:00, Europe/Berlin";
    let own = bob.get("/roster/swaps").await;
    assert!(own.shows("Asked by you") && own.shows(says) && own.shows("waits for an answer"), "{}", own.body);
    assert!(ann.get("/roster").await.shows("Swaps that wait for your answer: 1"));
    let theirs = ann.get("/roster/swaps").await;
    assert!(
        theirs.shows("Asked of you") && theirs.shows(says) && theirs.shows("In exchange for: Sat 2026-12-05"),
        "{}",
        theirs.body
    );
    let accept = theirs.body.split("action=\"").find(|rest| rest.contains("/accept\"")).unwrap().split('"').next().unwrap();
    assert_eq!(bob.post(accept, &[]).await.status, 422, "who asks cannot answer");
    let looked = press(&mut ann, &theirs, accept).await;
    assert!(looked.shows("Ann instead of Bob") && looked.shows("Bob instead of Ann"), "{}", looked.body);
    assert_eq!(on_duty(&server, "2026-11-28T12:00").await, "Bob", "nothing yet");
    let done = press(&mut ann, &looked, accept).await;
    assert_eq!(done.location(), "/roster/swaps?done=saved", "{}", done.body);
    assert_eq!(
        (on_duty(&server, "2026-11-28T12:00").await, on_duty(&server, "2026-12-05T12:00").await),
        ("Ann".into(), "Bob".into())
    );
    for visitor in [&mut ann, &mut bob] {
        let page = visitor.get("/roster/swaps").await;
        assert!(page.shows("accepted: Ann") && page.shows("No swap waits for an answer."), "{}", page.body);
    }
    // A second press says so and changes nothing.
    let twice = press(&mut ann, &looked, accept).await;
    assert_eq!(twice.status, 422);
    assert!(twice.shows("the swap was accepted already"), "{}", twice.body);
}

async fn nobody_gives_away_what_is_another_s(home: Home) {
    let (server, _) = start(home).await;
    let (ann_id, carl_id) = (id_of(&server, "Ann").await, id_of(&server, "Carl").await);
    let mut ann = Visitor::logged_in_as(&server, "ann", Role::Viewer, Some(ann_id)).await;
    let mut carl = Visitor::logged_in_as(&server, "carl", Role::Viewer, Some(carl_id)).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let form = [("schedule", "ops"), ("person", "Bob"), ("from", "2026-11-24T10:00"), ("to", "2026-11-24T12:00")];
    let refused = ann.post("/roster/swaps", &form).await;
    assert!(refused.status == 422 && refused.shows("This is for somebody else to say."), "{}", refused.body);
    assert_eq!(eve.post("/roster/swaps", &form).await.status, 403, "who is nobody who could be on duty");
    assert!(!eve.get("/roster/swaps").await.shows("<form method=\"post\" action=\"/roster"));
    assert_eq!(lin.post("/roster/swaps", &form).await.status, 303, "whoever may change the plan may ask for all");
    let page = lin.get("/roster/swaps").await;
    let accept = page.body.split("action=\"").find(|rest| rest.contains("/accept\"")).unwrap().split('"').next().unwrap();
    let refused = carl.post(accept, &[]).await;
    assert!(refused.status == 422 && refused.shows("This is for somebody else to say."), "not of the team: {}", refused.body);
    for (what, visitor) in [("decline", &mut ann), ("take-back", &mut carl)] {
        let path = accept.replace("/accept", &format!("/{what}"));
        assert_eq!(visitor.post(&path, &[]).await.status, 422, "{what}");
    }
    assert_eq!(on_duty(&server, "2026-11-24T11:00").await, "Bob");
    // Ann is one of the team.
    assert_eq!(ann.post(accept, &[]).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-24T11:00").await, "Ann");
}

async fn shifts_are_whole_and_bars_are_links(home: Home) {
    let (server, path) = start(home).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get(&format!("{path}?day=2026-11-20")).await;
    assert!(page.shows("from=2026-11-16T09:00") && page.shows("to=2026-11-23T09:00"), "not cut at midnight: {}", page.body);
    assert!(page.shows("aria-label=\"Change who is on duty: Ann, 2026-11-16 09:00 to 2026-11-23 09:00\""), "{}", page.body);
    assert!(
        !page.shows("role=\"img\"") && page.shows("class=\"day is-today\"") && page.shows("class=\"legend\""),
        "{}",
        page.body
    );
    assert!(page.shows("<details class=\"fold\">"), "the only layer says the same: {}", page.body);
    let form = [("from", "2026-11-18T00:00"), ("to", "2026-11-19T00:00"), ("action", "replace"), ("person", "Carl")];
    assert_eq!(lin.post(&format!("{path}/override"), &form).await.status, 303);
    let page = lin.get(&format!("{path}?day=2026-11-20")).await;
    assert!(page.shows("<details class=\"fold\" open>"), "{}", page.body);
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let page = eve.get(&format!("{path}?day=2026-11-20")).await;
    assert!(page.shows("Carl") && !page.shows("#override\""), "who may change nothing is led nowhere: {}", page.body);
}

async fn the_page_of_a_person_says_whom_their_removal_puts_on_duty(home: Home) {
    let (server, _) = start(home).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let ann = id_of(&server, "Ann").await;
    let page = lin.get(&format!("/people/{ann}")).await;
    assert!(page.shows("Comes on duty now: Bob") && page.shows("Duty ends now: Ann"), "{}", page.body);
    assert_eq!(on_duty(&server, "2026-11-20T12:00").await, "Ann");
    let carl = id_of(&server, "Carl").await;
    let page = lin.get(&format!("/people/{carl}")).await;
    assert!(page.shows("night watch"), "the team has nobody then: {}", page.body);
}
