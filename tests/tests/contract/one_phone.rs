//! A phone with two numbers is one phone: whichever of them an alarm names, it is not rung twice at once, and whoever has it is one person.
//!
//! Mobile phones of Argentina are reached with a 9 after the country code and without it; those of Mexico were once reached with a 1.

use autocall::engine::Doer;
use autocall::ids::PersonId;
use autocall::keep::people_import as people;
use autocall::store::watch::handsets::Profile;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::{A, C, Home, on_both};

on_both!(
    two_alarms_for_both_numbers_ring_the_phone_one_after_the_other,
    a_critical_alarm_passes_a_phone_that_rings_under_its_other_number,
    a_line_that_may_still_ring_is_left_in_peace_under_both_numbers,
    a_list_does_not_repeat_a_phone,
    alarms_for_both_numbers_are_for_the_same_people,
    a_number_that_may_be_called_again_is_meant_under_both,
    a_phone_belongs_to_one_person,
    an_upgrade_in_the_middle_of_two_calls_to_one_phone,
    a_phone_of_mexico_stays_barred_under_its_old_number,
);

/// One phone in Buenos Aires, as it is dialled from abroad in two ways.
const MOBILE: &str = "+5491123456789";
const BARE: &str = "+541123456789";

async fn two_alarms_for_both_numbers_ring_the_phone_one_after_the_other(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let first = server.raise(&[MOBILE], json!({})).await;
    let second = server.raise(&[BARE, A], json!({})).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [MOBILE]);
    server.app_idle(&rack).await;
    server.pass(6).await;
    server.app_idle(&rack).await;
    assert_eq!(server.state(&second).await, "waiting");
    server.report(&desk, &mid, Some("5491123456789")).await;
    server.pass(6).await;
    assert_eq!(server.app_dial(&rack).await.1, [BARE], "each alarm keeps the number that it named");
    assert_eq!(server.state(&first).await, "answered");
}

async fn a_critical_alarm_passes_a_phone_that_rings_under_its_other_number(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    server.raise(&[BARE], json!({})).await;
    server.app_dial(&desk).await;
    server.raise(&[MOBILE, A], json!({ "priority": "critical" })).await;
    assert_eq!(server.app_dial(&rack).await.1, [A]);
}

/// The dial is closed, and the phone may still ring: that holds for the other number too.
async fn a_line_that_may_still_ring_is_left_in_peace_under_both_numbers(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[MOBILE], json!({})).await;
    server.app_dial(&desk).await;
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    server.raise(&[BARE], json!({})).await;
    server.pass(6).await;
    server.app_idle(&rack).await;
    server.pass(75).await;
    assert_eq!(server.app_dial(&rack).await.1, [BARE]);
}

/// Two people who share a phone, as an earlier release could store them.
async fn a_list_does_not_repeat_a_phone(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    for (name, number) in [("Ana", MOBILE), ("Luz", BARE)] {
        let id = tx.db().upsert_person(PersonId::new(server.now()), name, "es", server.now()).await.unwrap();
        tx.db().set_numbers(id, &[number.to_owned()]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let step = json!({ "ring": [{ "person": "Ana" }, { "person": "Luz" }], "attempts": 1 });
    assert_eq!(server.put("/api/v1/policies/ops", &json!({ "steps": [step] })).await.0, 201);
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [MOBILE]);
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [BARE], "the rest comes under the next mid");
    server.report(&desk, &mid, Some("1123456789")).await;
    assert_eq!(server.alarm(&id).await["answer"]["name"], "Luz");
}

async fn alarms_for_both_numbers_are_for_the_same_people(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let first = server.raise(&[MOBILE, A], json!({})).await;
    let second = server.raise(&[BARE, A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some("5491123456789")).await;
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "answered".to_owned()));
}

async fn a_number_that_may_be_called_again_is_meant_under_both(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    assert_eq!(server.post("/api/v1/do-not-call", &json!({ "number": MOBILE })).await.0, 201);
    assert_eq!(server.delete(&format!("/api/v1/do-not-call/{BARE}")).await, 204);
    assert_eq!(server.delete(&format!("/api/v1/do-not-call/{MOBILE}")).await, 404);
    server.raise(&[BARE], json!({})).await;
    assert_eq!(server.app_dial(&desk).await.1, [BARE]);
}

async fn a_phone_belongs_to_one_person(home: Home) {
    let server = home.start().await;
    let file = format!("name,numbers\nAna,{MOBILE}\nLuz,{BARE}\n");
    let error = people::read_csv(&file, server.home.config().default_region).unwrap_err().to_string();
    assert!(error.contains("also belongs to Ana"), "{error}");
    // Under both its numbers it is one of hers.
    let file = format!("name,numbers\nAna,{MOBILE};{BARE}\n");
    let read = people::read_csv(&file, server.home.config().default_region).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| people::import(work, &read).await)
        .await
        .unwrap();
    let mut reader = server.app.engine.store.read().await.unwrap();
    let ana = reader.db().person_with_number(BARE).await.unwrap().unwrap();
    assert_eq!(reader.db().numbers_of(ana.id).await.unwrap(), [MOBILE]);
}

/// Before the upgrade nothing kept two handsets from ringing both numbers. Both calls go on and are heard; the phone is free when the one
/// that holds it is over, and nothing keeps the server from starting.
async fn an_upgrade_in_the_middle_of_two_calls_to_one_phone(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let first = server.raise(&[BARE], json!({})).await;
    let second = server.raise(&[C], json!({})).await;
    let waits = server.raise(&[MOBILE], json!({})).await;
    let (of_first, _) = server.app_dial(&desk).await;
    let (of_second, phones) = server.app_dial(&rack).await;
    assert_eq!(phones, [C]);
    let home = server.stop().await;
    // As the release before left it: C is the phone's other number, and no row knows its phone.
    beside(
        &home,
        &[
            "DROP INDEX dial_targets_phone",
            "DROP INDEX dial_targets_rung",
            "ALTER TABLE dial_targets DROP COLUMN phone",
            "ALTER TABLE dial_targets DROP COLUMN offered_at",
            "ALTER TABLE callees DROP COLUMN phone",
            "DROP INDEX hand_overs_lately",
            "DROP INDEX handset_commands_created",
            "CREATE INDEX dial_targets_by_number ON dial_targets (number)",
            "CREATE INDEX hand_overs_by_number ON hand_overs (number, verify_alarm_id) WHERE verify_alarm_id IS NOT NULL",
            "UPDATE dial_targets SET number = '+5491123456789' WHERE number = '+8618912345678'",
            "UPDATE callees SET number = '+5491123456789' WHERE number = '+8618912345678'",
            "DELETE FROM _sqlx_migrations WHERE version = 23",
        ],
    )
    .await;
    let server = home.start().await;
    let shed = server.pair("shed", Profile::App).await;
    server.pass(6).await;
    server.app_idle(&shed).await;
    assert_eq!(server.app_dial(&rack).await.0, of_second, "an open call is served");
    server.report(&rack, &of_second, Some("5491123456789")).await;
    assert_eq!(server.state(&second).await, "answered");
    server.pass(6).await;
    server.app_idle(&shed).await;
    server.report(&desk, &of_first, Some("541123456789")).await;
    assert_eq!(server.state(&first).await, "answered");
    server.pass(6).await;
    assert_eq!(server.app_dial(&shed).await.1, [MOBILE]);
    assert_eq!(server.state(&waits).await, "ringing");
}

/// Statements that go past the server, which does not run.
pub async fn beside(home: &Home, statements: &[&str]) {
    match home.schema() {
        None => {
            let file = format!("sqlite://{}", home.database_file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            for statement in statements {
                connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
            }
            connection.close().await.unwrap();
        }
        Some((url, schema)) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(format!("SET search_path = {schema}"))).await.unwrap();
            for statement in statements {
                connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
            }
            connection.close().await.unwrap();
        }
    }
}

/// The plan of today has no 1 after Mexico's code; what was stored with it, as in a policy of long ago, is the same phone.
async fn a_phone_of_mexico_stays_barred_under_its_old_number(home: Home) {
    let server = home.start().await;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    tx.db().forbid_number("+525512345678", "asked for", server.now()).await.unwrap();
    assert!(tx.db().forbidden("+5215512345678").await.unwrap().is_some(), "by its old number");
    assert!(tx.db().forbidden("+5215512345679").await.unwrap().is_none(), "another phone");
    assert!(tx.db().allow_number("+5215512345678").await.unwrap());
    assert!(tx.db().forbidden("+525512345678").await.unwrap().is_none());
    tx.commit().await.unwrap();
}
