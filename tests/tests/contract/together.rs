//! Alarms that come at the same moment: on the embedded database they share a transaction, and none of them notices.

use std::sync::Arc;
use std::time::Duration;

use autocall::engine::{Doer, EngineError, NewCallee, RaiseRequest, Raised};
use autocall::ids::HandsetId;
use autocall::store::watch::handsets::{IdleForm, NewHandset, Profile};
use autocall::store::{Haste, Store, StoreError, Work};
use autocall_tests::wait::eventually;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{A, Home, Server, on_both};
use crate::store::beside;

on_both!(
    an_alarm_that_fails_takes_nobody_with_it,
    who_leaves_in_the_middle_leaves_nothing_and_holds_nobody_up,
    what_fails_at_the_end_fails_for_all_and_leaves_nothing,
    alarms_of_one_moment_come_in_together,
    the_same_request_twice_at_once_is_one_alarm,
    a_report_does_not_wait_for_a_storm_of_alarms,
);

/// So many at once: a group has 64 at most.
const MANY: usize = 40;
const SOON: Duration = Duration::from_secs(20);

fn request(source: &str, number: usize) -> RaiseRequest {
    let callee = NewCallee {
        number: format!("+8618712{number:06}"),
        known_to_plan: true,
        name: None,
        reference: None,
        max_attempts: 1,
        min_interval_s: 0,
    };
    RaiseRequest {
        integration_id: "storm".to_owned(),
        source: source.to_owned(),
        summary: format!("{source} {number}"),
        callees: vec![callee],
        ..RaiseRequest::default()
    }
}

/// Raises all of these at the same moment, while somebody else has the writer, and gives what became of each.
async fn at_once(server: &Server, requests: Vec<RaiseRequest>) -> Vec<Result<Raised, EngineError>> {
    let holder = server.app.engine.store.begin().await.unwrap();
    let mut raising = JoinSet::new();
    for (place, request) in requests.into_iter().enumerate() {
        let engine = Arc::clone(&server.app.engine);
        raising.spawn(async move { (place, engine.raise(&request).await) });
    }
    // They are on their way; whoever comes later is committed later, which is as good.
    tokio::task::yield_now().await;
    drop(holder);
    let mut done = raising.join_all().await;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, raised)| raised).collect()
}

async fn summaries(server: &Server) -> Vec<String> {
    let alarms = server.items("/api/v1/alarms?limit=100").await;
    let mut all: Vec<String> =
        alarms.as_array().unwrap().iter().map(|alarm| alarm["summary"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

fn handset(name: &str, now: DateTime<Utc>) -> NewHandset {
    NewHandset {
        id: HandsetId::new(now),
        name: name.to_owned(),
        token_hash: None,
        plain_key: Some(name.to_owned()),
        profile: Profile::App,
        idle_form: IdleForm::Plain,
        country: "CN".to_owned(),
        ring_seconds: 30,
        created_at: now,
        allowed_at: None,
        monitor: false,
    }
}

async fn together(store: &Store, now: DateTime<Utc>) -> Result<Work, StoreError> {
    store.work_together(now, Doer::Server, None, Haste::Alarm).await
}

async fn handsets(store: &Store) -> Vec<String> {
    let mut names: Vec<_> =
        store.read().await.unwrap().db().handsets().await.unwrap().into_iter().map(|handset| handset.name).collect();
    names.sort();
    names
}

async fn an_alarm_that_fails_takes_nobody_with_it(home: Home) {
    let server = home.start().await;
    beside(
        &server.home,
        "CREATE TRIGGER poison BEFORE INSERT ON callees WHEN NEW.number = '+8618712000013' BEGIN SELECT RAISE(ABORT, 'poison'); END",
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$;
         CREATE TRIGGER poison BEFORE INSERT ON callees FOR EACH ROW WHEN (NEW.number = '+8618712000013') EXECUTE FUNCTION poison()",
    )
    .await;
    let done = at_once(&server, (0..MANY).map(|number| request("disk", number)).collect()).await;
    for (number, raised) in done.iter().enumerate() {
        match number {
            13 => assert!(matches!(raised, Err(EngineError::Store(StoreError::Statement { .. }))), "{raised:?}"),
            _ => assert_eq!(raised.as_ref().unwrap().alarm.summary, format!("disk {number}")),
        }
    }
    // It had written its alarm and its hunt before it failed.
    let mut expected: Vec<_> = (0..MANY).filter(|number| *number != 13).map(|number| format!("disk {number}")).collect();
    expected.sort();
    assert_eq!(summaries(&server).await, expected);
    let open = server.app.engine.store.read().await.unwrap().db().count_open_hunts().await.unwrap();
    assert_eq!(usize::try_from(open).unwrap(), MANY - 1, "no hunt is left of it");
    // Its figures are not looked for either: that would fail.
    server.pass(6).await;
    server.app.engine.keep_figures(server.now()).await.unwrap();
}

async fn who_leaves_in_the_middle_leaves_nothing_and_holds_nobody_up(home: Home) {
    let server = home.start().await;
    let (store, now) = (&server.app.engine.store, server.now());
    let mut first = together(store, now).await.unwrap();
    assert!(first.db().insert_handset(&handset("first", now)).await.unwrap());
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            let mut work = together(&store, now).await.unwrap();
            assert!(work.db().insert_handset(&handset("second", now)).await.unwrap());
            // Its client is gone.
            drop(work);
        }
    });
    let third = tokio::spawn({
        let store = store.clone();
        async move {
            let mut work = together(&store, now).await.unwrap();
            assert!(work.db().insert_handset(&handset("third", now)).await.unwrap());
            work.commit().await
        }
    });
    let waits = tokio::spawn({
        let store = store.clone();
        async move { together(&store, now).await.map(drop) }
    });
    tokio::task::yield_now().await;
    // This one leaves while it still waits.
    waits.abort();
    first.commit().await.unwrap();
    second.await.unwrap();
    third.await.unwrap().unwrap();
    assert_eq!(handsets(store).await, ["first", "third"]);
    // The first of all leaves: nobody is in yet.
    let mut alone = together(store, now).await.unwrap();
    assert!(alone.db().insert_handset(&handset("alone", now)).await.unwrap());
    drop(alone);
    together(store, now).await.unwrap().commit().await.unwrap();
    assert_eq!(handsets(store).await, ["first", "third"]);
}

/// The embedded database ends a transaction by itself on a full disk: then all who were in it are told that nothing was stored.
async fn what_fails_at_the_end_fails_for_all_and_leaves_nothing(home: Home) {
    let server = home.start().await;
    beside(
        &server.home,
        "CREATE TRIGGER poison BEFORE INSERT ON callees WHEN NEW.number = '+8618712000013' BEGIN SELECT RAISE(ROLLBACK, 'poison'); END",
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$;
         CREATE TRIGGER poison BEFORE INSERT ON callees FOR EACH ROW WHEN (NEW.number = '+8618712000013') EXECUTE FUNCTION poison()",
    )
    .await;
    let done = at_once(&server, (0..MANY).map(|number| request("disk", number)).collect()).await;
    assert!(done[13].is_err());
    let mut told: Vec<_> = done.into_iter().flatten().map(|raised| raised.alarm.summary).collect();
    told.sort();
    assert_eq!(summaries(&server).await, told, "what was acknowledged is stored, and nothing else");
    beside(&server.home, "DROP TRIGGER poison", "DROP TRIGGER poison ON callees").await;
    let again = at_once(&server, (0..MANY).map(|number| request("again", number)).collect()).await;
    assert!(again.iter().all(Result::is_ok), "it goes on afterwards");
}

async fn alarms_of_one_moment_come_in_together(home: Home) {
    let shared = home.is_shared();
    let server = home.start().await;
    let before = server.app.engine.store.counters().written();
    let done = at_once(&server, (0..MANY).map(|number| request("disk", number)).collect()).await;
    assert!(done.iter().all(Result::is_ok));
    let transactions = usize::try_from(server.app.engine.store.counters().written() - before).unwrap();
    if !shared {
        assert!(transactions < MANY, "{transactions} transactions for {MANY} alarms");
    }
    // Each has its own number, and its own line of what happened.
    let mut numbers: Vec<_> = done.iter().map(|raised| raised.as_ref().unwrap().alarm.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), MANY);
    for raised in done.into_iter().flatten() {
        let alarm = server.alarm(&raised.alarm.id.to_string()).await;
        assert_eq!(alarm["timeline"][0]["kind"], "raised", "{alarm}");
    }
}

async fn the_same_request_twice_at_once_is_one_alarm(home: Home) {
    let server = home.start().await;
    let once = RaiseRequest { idempotency: Some(("key".to_owned(), vec![1])), ..request("disk", 1) };
    let done = at_once(&server, vec![once; 8]).await;
    let ids: std::collections::BTreeSet<_> = done.into_iter().map(|raised| raised.unwrap().alarm.id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(summaries(&server).await.len(), 1);
}

async fn a_report_does_not_wait_for_a_storm_of_alarms(home: Home) {
    let server = home.start().await;
    let path = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&path).await;
    // Alarms come without an end, from more senders than a group holds.
    let storm: Vec<_> = (0..100_usize)
        .map(|sender| {
            let engine = Arc::clone(&server.app.engine);
            tokio::spawn(async move {
                for number in 0..1000 {
                    // Some may not get the writer in time: their senders come again.
                    let _ = engine.raise(&request(&format!("sender {sender}"), number)).await;
                }
            })
        })
        .collect();
    server.report(&path, &mid, Some(A)).await;
    let ended = storm.iter().filter(|sender| sender.is_finished()).count();
    assert_eq!(ended, 0, "the storm goes on while the report is stored");
    storm.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("the answer", SOON, async || (server.state(&id).await == "answered").then_some(())).await;
}
