//! What an admin says of a sender on its page: at which places its fields stand, and how it signs.

use autocall::engine::Doer;
use autocall::keep::keys;
use autocall::store::access::keys::KeyRow;
use autocall::store::access::users::Role;

use crate::client::Visitor;
use crate::harness::{Home, Server, on_both};

on_both!(
    a_sender_is_told_how_it_is_read_and_signs,
    what_is_wrong_with_a_sender_is_said_at_its_field,
    a_key_from_before_is_marked_and_narrowed,
    a_key_is_made_with_the_rights_that_are_chosen,
);

async fn key(server: &Server, name: &str) -> KeyRow {
    let region = server.home.config().default_region;
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::add(work, name, &[], region).await).await.unwrap();
    kept(server, name).await
}

async fn kept(server: &Server, name: &str) -> KeyRow {
    let rows = server.app.engine.store.read().await.unwrap().db().keys().await.unwrap();
    rows.into_iter().find(|row| row.name == name).unwrap()
}

async fn a_sender_is_told_how_it_is_read_and_signs(home: Home) {
    let server = home.start().await;
    let address = format!("/senders/{}", key(&server, "scada <b>").await.id);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    assert!(lin.get("/senders").await.shows(&format!("href=\"{address}\"")));
    let page = lin.get(&address).await;
    assert!(page.shows("scada &#60;b&#62;") && page.shows("dedup_key"), "{}", page.body);
    let version = kept(&server, "scada <b>").await.version();
    let form = [
        ("version", version.as_str()),
        ("places", "summary=/alert/title\nstate=/alert/phase"),
        ("resolved", "gone, over"),
        ("scheme", "github"),
        ("secret", ""),
    ];
    let made = lin.post(&address, &form).await;
    assert!(made.status == 200 && made.shows("ss_") && made.shows("only once"), "{}", made.body);
    let row = kept(&server, "scada <b>").await;
    let secret = row.signing.as_ref().unwrap().secret.clone();
    assert!(made.shows(&secret));
    assert_eq!(row.places.as_ref().unwrap().pointers["summary"], "/alert/title");
    // It is shown once; what is saved again without one stays.
    let page = lin.get(&address).await;
    assert!(
        page.shows("state=/alert/phase\nsummary=/alert/title") && page.shows("gone, over") && !page.shows(&secret),
        "{}",
        page.body
    );
    assert!(lin.get("/senders").await.shows("signed"));
    let stale = lin.post(&address, &form).await;
    assert_eq!(stale.status, 409, "somebody else has changed it");
    let version = row.version();
    let again = [("version", version.as_str()), ("places", ""), ("resolved", ""), ("scheme", "github"), ("secret", "")];
    assert_eq!(lin.post(&address, &again).await.location(), "/senders?done=saved");
    let row = kept(&server, "scada <b>").await;
    assert_eq!((row.signing.as_ref().unwrap().secret.as_str(), row.places.is_none()), (secret.as_str(), true));
    // What signed in one way may have been shown where another one shows it.
    let version = row.version();
    let other = [("version", version.as_str()), ("places", ""), ("resolved", ""), ("scheme", "gitlab"), ("secret", "")];
    let made = lin.post(&address, &other).await;
    let row = kept(&server, "scada <b>").await;
    let fresh = row.signing.as_ref().unwrap().secret.clone();
    assert!(fresh != secret && made.shows(&fresh), "{}", made.body);
    let version = row.version();
    let none = [("version", version.as_str()), ("places", ""), ("resolved", ""), ("scheme", "none"), ("secret", "")];
    assert_eq!(lin.post(&address, &none).await.location(), "/senders?done=saved");
    assert!(kept(&server, "scada <b>").await.signing.is_none());
    let mut vic = Visitor::logged_in(&server, "vic", Role::Responder).await;
    assert_eq!((vic.get(&address).await.status, vic.post(&address, &none).await.status), (403, 403));
}

async fn what_is_wrong_with_a_sender_is_said_at_its_field(home: Home) {
    let server = home.start().await;
    let address = format!("/senders/{}", key(&server, "scada").await.id);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.get(&address).await;
    for (places, resolved, scheme, secret, said) in [
        ("summary=alert.title", "", "none", "", "JSON Pointer"),
        ("colour=/a", "", "none", "", "colour"),
        ("nonsense", "", "none", "", "nonsense"),
        ("summary=/a", "gone", "none", "", "where the state stands"),
        ("", "", "github", "short", "12 to 200"),
        ("", "", "sentry", "", "Sentry"),
    ] {
        let form = [("version", ""), ("places", places), ("resolved", resolved), ("scheme", scheme), ("secret", secret)];
        let page = lin.post(&address, &form).await;
        assert!(page.status == 422 && page.shows(said), "{said}: {} {}", page.status, page.body);
    }
    let row = kept(&server, "scada").await;
    assert!(row.places.is_none() && row.signing.is_none());
    assert_eq!(lin.get("/senders/0196a0e8-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(lin.get("/senders/nonsense").await.status, 404);
}

async fn a_key_from_before_is_marked_and_narrowed(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_RIGHTS", "").start().await;
    let id = key(&server, "old <b>").await.id;
    server
        .run_sql(vec![
            "UPDATE api_keys SET rights = 'admin,shouts', from_before = TRUE".to_owned(),
            "UPDATE rights_begin SET open = 'admin'".to_owned(),
        ])
        .await;
    let server = server.restart().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/senders").await;
    assert!(page.shows("from before there were rights") && page.shows("It may: change everything that is set up; send shouts"));
    assert!(page.shows("autocall key narrow &#34;old &#60;b&#62;&#34;") && page.shows("noted only since"), "{}", page.body);
    assert!(page.shows("http.open_rights = [&#34;raise&#34;, &#34;read&#34;]"), "{}", page.body);
    let path = format!("/senders/{id}/narrow");
    assert_eq!(lin.post(&path, &[("version", "0123456789abcdef01234567")]).await.status, 409);
    let version = kept(&server, "old <b>").await.version();
    assert_eq!(lin.post(&path, &[("version", version.as_str())]).await.location(), "/senders?done=narrowed");
    let row = kept(&server, "old <b>").await;
    assert_eq!((row.rights.to_string().as_str(), row.from_before), ("raise", false));
    let page = lin.get("/senders?done=narrowed").await;
    assert!(page.shows("and no more") && !page.shows(&path), "{}", page.body);
    let mut rob = Visitor::logged_in(&server, "rob", Role::Responder).await;
    rob.get("/").await;
    assert_eq!(rob.post(&path, &[("version", row.version().as_str())]).await.status, 403);
}

async fn a_key_is_made_with_the_rights_that_are_chosen(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.get("/senders").await;
    for (kind, rights) in [
        ("alarms", "raise"),
        ("raise_read", "raise,read"),
        ("read", "read"),
        ("operate", "operate"),
        ("admin", "admin"),
        ("mail", "mail"),
        ("nonsense", "raise"),
    ] {
        let made = lin.post("/senders/add", &[("name", kind), ("phones", ""), ("kind", kind)]).await;
        assert!(made.status == 200 && made.shows("ak_"), "{kind}: {}", made.body);
        assert_eq!(kept(&server, kind).await.rights.to_string(), rights, "{kind}");
        assert_eq!(made.shows("curl"), ["raise", "raise,read", "admin"].contains(&rights), "{kind}: {}", made.body);
    }
    assert!(lin.get("/senders").await.shows("It may: read everything"));
}
