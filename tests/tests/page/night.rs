//! At 3 a.m. and at the desk beside it: what is pressed is what was seen, who was faster is said, and somebody is called from a page.

use autocall::engine::Doer;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::json;

use crate::client::{Page, Visitor};
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    taken_at_the_desk_while_the_phone_rings,
    the_second_press_on_a_page_says_who_was_faster,
    a_press_on_a_line_takes_nothing_over_and_stays_in_its_view,
    commands_are_shown_as_the_reader_reaches_the_server,
    the_sound_has_a_word_for_not_being_heard_yet,
    whoever_took_it_gives_it_back_on_the_page,
    whoever_is_rung_says_no_on_the_page,
    when_all_say_no_on_the_page_everybody_reads_it,
    addresses_are_links_and_numbers_are_called,
    what_rings_stands_above_a_silent_spare_handset,
    somebody_is_called_after_a_look_and_once,
    what_cannot_be_called_is_said,
    a_phone_finds_what_it_puts_on_its_home_screen,
);

/// What a browser sends with a form that leads there: what it holds unseen.
fn held(page: &Page, action: &str) -> Vec<(String, String)> {
    let (_, form) = page.body.split_once(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("no {action}: {}", page.body));
    let (form, _) = form.split_once("</form>").unwrap();
    let value = |input: &str, name: &str| {
        let rest = input.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap().to_owned()
    };
    let inputs = form.split("<input ").skip(1).filter(|input| input.contains("type=\"hidden\""));
    inputs.map(|input| (value(input, "name"), value(input, "value"))).filter(|(name, _)| name != "form_token").collect()
}

async fn press(visitor: &mut Visitor, page: &Page, action: &str) -> Page {
    let fields = held(page, action);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.post(action, &fields).await
}

/// Ann has A, Bob has B.
async fn people(server: &Server) -> Vec<autocall::ids::PersonId> {
    let people = format!("name,numbers\nAnn,{A}\nBob,{B}\n");
    let people = autocall::keep::people_import::read_csv(&people, autocall::numbers::Region::CN).unwrap();
    let import = async |work: &mut autocall::store::Work| autocall::keep::people_import::import(work, &people).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, import).await.unwrap();
    let known = server.app.engine.store.read().await.unwrap().db().people().await.unwrap();
    known.into_iter().map(|(person, _)| person.id).collect()
}

async fn taken_at_the_desk_while_the_phone_rings(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let (path, take) = (format!("/alarms/{id}"), format!("/alarms/{id}/acknowledge"));
    let page = lin.get(&path).await;
    assert!(page.shows("<div class=\"bar\" id=\"bar\"><button class=\"go\">I take it</button>"), "{}", page.body);
    let taken = press(&mut lin, &page, &take).await;
    assert_eq!((taken.status, taken.location()), (303, format!("{path}?done=acknowledged").as_str()));
    server.idle(&desk).await;
    server.report(&desk, &mid, None).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("lin")));
    // Twice is once.
    assert_eq!(press(&mut lin, &page, &take).await.status, 303);
    assert_eq!(server.alarm(&id).await, alarm);
    assert!(!lin.get(&path).await.shows("class=\"bar\""), "there is nothing left to take");
}

async fn the_second_press_on_a_page_says_who_was_faster(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A, B], json!({})).await;
    let (mut lin, mut eve) =
        (Visitor::logged_in(&server, "lin", Role::Responder).await, Visitor::logged_in(&server, "eve", Role::Responder).await);
    let (path, take) = (format!("/alarms/{id}"), format!("/alarms/{id}/acknowledge"));
    for from in [path.as_str(), "/"] {
        let id = server.raise(&[A, B], json!({})).await;
        let take = format!("/alarms/{id}/acknowledge");
        let from = if from == "/" { "/".to_owned() } else { format!("/alarms/{id}") };
        let stale = eve.get(&from).await;
        let page = lin.get(&from).await;
        press(&mut lin, &page, &take).await;
        let before = server.alarm(&id).await;
        let late = press(&mut eve, &stale, &take).await;
        assert_eq!(late.status, 409);
        assert!(late.shows("Somebody was faster") && late.shows("lin has it since <time datetime=\"2026-11-20T03:00:00.000Z\""));
        assert_eq!(server.alarm(&id).await, before, "it changes nothing");
    }
    let stale = eve.get(&path).await;
    let page = lin.get(&path).await;
    press(&mut lin, &page, &take).await;
    let late = press(&mut eve, &stale, &take).await;
    server.pass(1).await;
    // Knowingly it is taken over, from that page as from its own.
    assert_eq!(press(&mut eve, &late, &take).await.status, 303);
    assert_eq!(server.alarm(&id).await["answer"]["name"], "eve");
    let page = lin.get(&path).await;
    assert!(page.shows("Take it over from eve"), "{}", page.body);
    server.pass(1).await;
    press(&mut lin, &page, &take).await;
    assert_eq!(server.alarm(&id).await["answer"]["name"], "lin");
}

async fn a_press_on_a_line_takes_nothing_over_and_stays_in_its_view(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A, B], json!({})).await;
    let (mut lin, mut eve) =
        (Visitor::logged_in(&server, "lin", Role::Responder).await, Visitor::logged_in(&server, "eve", Role::Responder).await);
    let (dense, take) = ("/?view=dense", format!("/alarms/{id}/acknowledge"));
    let stale = eve.get(dense).await;
    let page = lin.get(dense).await;
    let taken = press(&mut lin, &page, &take).await;
    assert_eq!((taken.status, taken.location()), (303, "/?view=dense&done=acknowledged"));
    let page = lin.get(taken.location()).await;
    assert!(page.shows("It is yours") && page.shows("<a href=\"/?view=dense\" aria-current=\"page\">"), "{}", page.body);
    let before = server.alarm(&id).await;
    let late = press(&mut eve, &stale, &take).await;
    assert!(late.status == 409 && late.shows("Somebody was faster") && late.shows("lin has it since"), "{}", late.body);
    // A page of before does not say what it has shown.
    let older = eve.post(&take, &[("back", "dense"), ("alarm", &id)]).await;
    assert!(older.status == 409 && older.shows("Somebody was faster"), "{}", older.body);
    assert_eq!(lin.post(&format!("/alarms/{id}/give-back"), &[]).await.status, 409, "nor what is given back");
    assert_eq!(server.alarm(&id).await, before, "it changes nothing");
}

async fn commands_are_shown_as_the_reader_reaches_the_server(home: Home) {
    let home = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").set("AUTOCALL_LISTEN", "127.0.0.1:8080");
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let host = server.base.strip_prefix("http://").unwrap().to_owned();
    for (proto, scheme) in [("http", "http"), ("https", "https")] {
        lin.headers = vec![("x-forwarded-proto", proto.to_owned()), ("x-forwarded-for", "10.3.3.3".to_owned())];
        let command = format!("curl {scheme}://{host}/api/v1/alarms");
        let page = lin.get("/").await;
        assert!(page.shows("id=\"first-steps\"") && page.shows(&command), "{scheme}: {}", page.body);
        lin.get("/senders").await;
        let name = format!("backup-{scheme}");
        let page = lin.post("/senders/add", &[("name", &name), ("phones", B), ("kind", "alarms")]).await;
        assert!(page.shows(&command), "{scheme}: {}", page.body);
    }
}

async fn the_sound_has_a_word_for_not_being_heard_yet(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for (tag, word) in [
        ("en", "on – press once to hear it"),
        ("zh", "开（按一次才能听到）"),
        ("ja", "オン（一度押すと聞こえます）"),
        ("es", "sí; pulse una vez para oírlo"),
    ] {
        lin.headers = vec![("accept-language", tag.to_owned())];
        for view in ["/", "/?view=dense"] {
            let page = lin.get(view).await;
            let (_, rest) = page.body.split_once(" data-wake=\"").unwrap_or_else(|| panic!("{tag}: {}", page.body));
            assert!(rest.split('"').next().unwrap().ends_with(word), "{tag}: {}", page.body);
        }
    }
}

async fn whoever_took_it_gives_it_back_on_the_page(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let ids = people(&server).await;
    let id = server.raise(&[], json!({ "ring": [{ "person": "Ann" }, { "person": "Bob" }] })).await;
    let mut ann = Visitor::logged_in_as(&server, "ann", Role::Responder, Some(ids[0])).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Responder).await;
    let (path, give_back) = (format!("/alarms/{id}"), format!("/alarms/{id}/give-back"));
    let page = ann.get(&path).await;
    press(&mut ann, &page, &format!("/alarms/{id}/acknowledge")).await;
    assert!(!eve.get(&path).await.shows("give-back"), "it is not hers to give back");
    assert_eq!(eve.post(&give_back, &[]).await.status, 409, "nor by a form of her own");
    assert_eq!(server.alarm(&id).await["answer"]["name"], "Ann");
    let page = ann.get(&path).await;
    let done = press(&mut ann, &page, &give_back).await;
    assert_eq!((done.status, done.location()), (303, format!("{path}?done=gave_back").as_str()));
    assert_eq!(server.dial(&desk).await.1, [B]);
    let again = press(&mut ann, &page, &give_back).await;
    assert_eq!(again.status, 409);
    assert!(again.shows("Nobody has it"), "{}", again.body);
    assert!(ann.get(&path).await.shows("<b>Ann</b> gave it back"));
}

async fn whoever_is_rung_says_no_on_the_page(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let ids = people(&server).await;
    let id = server.raise(&[], json!({ "ring": [{ "person": "Ann" }, { "person": "Bob" }] })).await;
    let mut ann = Visitor::logged_in_as(&server, "ann", Role::Responder, Some(ids[0])).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let (path, decline) = (format!("/alarms/{id}"), format!("/alarms/{id}/decline"));
    assert!(!lin.get(&path).await.shows("I cannot"), "nobody rings them");
    assert_eq!(lin.post(&decline, &[]).await.status, 404);
    let page = ann.get(&path).await;
    assert!(page.shows("I cannot"), "{}", page.body);
    assert_eq!(press(&mut ann, &page, &decline).await.status, 303);
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "declined");
    assert_eq!(server.dial(&desk).await.1, [B]);
    assert!(!ann.get(&path).await.shows("I cannot"));
}

async fn when_all_say_no_on_the_page_everybody_reads_it(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let ids = people(&server).await;
    let ring = json!({ "summary": "disk full", "ring": [{ "person": "Ann" }, { "person": "Bob" }] });
    let id = server.raise(&[], ring).await;
    let mut ann = Visitor::logged_in_as(&server, "ann", Role::Responder, Some(ids[0])).await;
    let mut bob = Visitor::logged_in_as(&server, "bob", Role::Responder, Some(ids[1])).await;
    let (path, decline) = (format!("/alarms/{id}"), format!("/alarms/{id}/decline"));
    // Ann's phone rings while she says it.
    let (mid, numbers) = server.app_dial(&desk).await;
    assert_eq!(numbers, [A]);
    let page = ann.get(&path).await;
    assert_eq!(press(&mut ann, &page, &decline).await.status, 303);
    server.report(&desk, &mid, None).await;
    assert_ne!(server.state(&id).await, "no_answer", "Bob is left");
    let page = bob.get(&path).await;
    assert_eq!(press(&mut bob, &page, &decline).await.status, 303);
    assert_eq!(server.state(&id).await, "no_answer");
    for visitor in [&mut ann, &mut bob] {
        let now = visitor.get("/").await;
        assert!(now.shows("Everybody declined: disk full") && !now.shows("Nobody heard"), "{}", now.body);
        assert!(visitor.get(&path).await.shows("everybody declined"), "who reads the alarm sees why");
    }
    server.app_idle(&desk).await;
}

async fn addresses_are_links_and_numbers_are_called(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let details = "see <b>https://grafana.example/d/1?a=1&b=2</b> or javascript:alert(1)";
    let labels = json!({ "runbook_url": "https://wiki.example/disk", "bad": "javascript:alert(2)" });
    let id = server.raise(&[A, B], json!({ "details": details, "labels": labels })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    for visitor in [&mut lin, &mut eve] {
        let page = visitor.get(&format!("/alarms/{id}")).await;
        assert!(page.shows("<a href=\"https://grafana.example/d/1?a=1&amp;b=2\" rel=\"noreferrer\">"), "{}", page.body);
        assert!(page.shows("&lt;b&gt;") && !page.shows("href=\"javascript"), "{}", page.body);
        let first = page.body.find("<li class=\"runbook\">").unwrap();
        assert!(first < page.body.find("class=\"ladder\"").unwrap(), "what to do stands above who is rung");
    }
    for path in ["/", &format!("/alarms/{id}")] {
        let (mine, theirs) = (lin.get(path).await, eve.get(path).await);
        assert!(mine.shows(&format!("<a href=\"tel:+86{A}\">+86{A}</a>")), "{}", mine.body);
        assert!(!theirs.shows("tel:") && !theirs.shows(A) && !theirs.shows(B), "{}", theirs.body);
    }
}

async fn what_rings_stands_above_a_silent_spare_handset(home: Home) {
    let server = home.start().await;
    let (desk, spare) = (server.pair("desk", Profile::List).await, server.pair("spare", Profile::List).await);
    for _ in 0..4 {
        server.idle(&desk).await;
        server.idle(&spare).await;
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
    }
    server.pass(300).await;
    server.idle(&desk).await;
    server.app.engine.watch_handsets().await.unwrap();
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let silent = "“spare” is silent";
    let quiet = lin.get("/").await;
    assert!(quiet.body.find(silent).unwrap() < quiet.body.find("First steps").unwrap(), "nothing is more important");
    server.raise(&[A], json!({ "summary": "disk full on db1" })).await;
    server.dial(&desk).await;
    let rings = lin.get("/").await;
    assert!(rings.body.find("disk full on db1").unwrap() < rings.body.find(silent).unwrap(), "{}", rings.body);
    for view in ["/?view=dense", "/?view=wall"] {
        let page = lin.get(view).await;
        let (alarm, trouble) = (page.body.find("disk full on db1").unwrap(), page.body.find(silent));
        assert!(trouble.is_some_and(|trouble| alarm < trouble), "{view} hides nothing: {}", page.body);
    }
}

async fn somebody_is_called_after_a_look_and_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    people(&server).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    assert!(!eve.get("/").await.shows("/alarms/new"));
    assert_eq!((eve.get("/alarms/new").await.status, eve.post("/alarms/new", &[]).await.status), (403, 403));
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(lin.get("/").await.shows("href=\"/alarms/new\""));
    let page = lin.get("/alarms/new").await;
    assert!(page.shows("<option value=\"person:Ann\">Ann</option>"), "{}", page.body);
    let typed = [("whom", "person:Ann"), ("summary", "the  lift\tstands"), ("details", "on floor 3"), ("priority", "critical")];
    let look = lin.post("/alarms/new", &[&typed[..], &[("act", "look")]].concat()).await;
    assert_eq!(look.status, 200);
    assert!(look.shows("These would be rung first: <b>Ann</b>"), "{}", look.body);
    server.idle(&desk).await;
    assert_eq!(server.items("/api/v1/alarms").await, json!([]), "nobody hears of a look");
    let found = held(&look, "/alarms/new");
    let mut sent: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sent.extend(typed);
    sent.push(("act", "send"));
    let first = lin.post("/alarms/new", &sent).await;
    assert_eq!(first.status, 303, "{}", first.body);
    let second = lin.post("/alarms/new", &sent).await;
    assert_eq!((second.status, second.location()), (303, first.location()), "pressed twice, it rings once");
    let alarms = server.items("/api/v1/alarms").await;
    assert_eq!(alarms.as_array().unwrap().len(), 1);
    let alarm = &alarms[0];
    assert_eq!(
        (&alarm["summary"], &alarm["priority"], &alarm["source"]),
        (&json!("the lift stands"), &json!("critical"), &json!("lin"))
    );
    assert_eq!(server.dial(&desk).await.1, [A]);
    // Changed after it was sent, it is looked at as another one.
    let mut changed = sent.clone();
    changed.retain(|(name, _)| *name != "summary");
    changed.push(("summary", "the lift burns"));
    let page = lin.post("/alarms/new", &changed).await;
    assert_eq!(page.status, 422);
    assert!(page.shows("Nobody was rung a second time") && page.shows("the lift burns"), "{}", page.body);
    assert_eq!(server.items("/api/v1/alarms").await.as_array().unwrap().len(), 1);
}

async fn what_cannot_be_called_is_said(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let made = server.post("/api/v1/schedules", &json!({ "name": "nights", "zone": "UTC", "layers": [] })).await;
    assert_eq!(made.0, 201);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.get("/alarms/new").await;
    let too_long = "x".repeat(201);
    for (whom, summary, why) in [
        ("", "s", "Choose whom to ring"),
        ("number:110", "s", "Choose whom to ring"),
        ("person:Ann", "", "Say in one line"),
        ("person:Ann", "\u{200b}", "Say in one line"),
        ("person:Ann", too_long.as_str(), "201"),
        ("person:Zoe", "s", "not there any more"),
        ("schedule:nights", "s", "Nobody would be rung"),
    ] {
        for act in ["look", "send"] {
            let page = lin.post("/alarms/new", &[("whom", whom), ("summary", summary), ("priority", "high"), ("act", act)]).await;
            assert_eq!(page.status, 422, "{whom}: {}", page.body);
            assert!(page.shows(why), "{whom}: {}", page.body);
        }
    }
    // Without a look it is looked at first.
    let page = lin.post("/alarms/new", &[("whom", "person:Ann"), ("summary", "s"), ("act", "send")]).await;
    assert!(page.status == 200 && page.shows("These would be rung first"), "{}", page.body);
    assert_eq!(server.items("/api/v1/alarms").await, json!([]));
}

async fn a_phone_finds_what_it_puts_on_its_home_screen(home: Home) {
    let server = home.start().await;
    let mut stranger = Visitor::new(&server);
    let page = stranger.get("/login").await;
    assert!(page.header("content-security-policy").contains("manifest-src 'self'"));
    for (begins, kind) in [("/assets/site.webmanifest?v=", "application/manifest+json"), ("/assets/icon.png?v=", "image/png")] {
        let (_, rest) = page.body.split_once(&format!("href=\"{begins}")).unwrap();
        let response = stranger.listen(&format!("{begins}{}", rest.split('"').next().unwrap())).await;
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, kind));
    }
}
