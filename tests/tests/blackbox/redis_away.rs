//! Scenario: Redis is not there, comes, dies and comes back. The server says so, and goes on ringing people all the time.

use std::{cell::Cell, time::Duration};

use autocall_tests::{redis::PrivateRedis, server::Binary, wait::eventually};

use crate::{
    client::Client,
    world::{Engine, SOON, World, assert_keeps_numbers_secret, on_both},
};

/// The server looks for a lost Redis at growing intervals.
const NOTICED: Duration = Duration::from_secs(90);

on_both!(redis_comes_and_goes, a_frozen_redis_holds_nobody_up, a_redis_that_refuses_is_not_called_away);

async fn redis_comes_and_goes(engine: Engine) {
    let world = World::new(engine).await;
    let mut redis = PrivateRedis::start().await;
    redis.kill();
    let server = Binary::spawn(world.options().redis(redis.url())).await;
    let phone = Phone::new(&server);

    phone.alarm_is_answered().await;
    phone.finds_locks(false).await;
    assert!(server.log().contains("Redis is away"), "{}", server.log());

    redis.start_again().await;
    phone.finds_locks(true).await;
    assert!(server.log().contains("Redis is back"), "{}", server.log());

    redis.kill();
    phone.alarm_is_answered().await;
    phone.finds_locks(false).await;

    redis.start_again().await;
    phone.finds_locks(true).await;
    phone.alarm_is_answered().await;
    assert_keeps_numbers_secret(&server.log(), &[]);
}

async fn a_frozen_redis_holds_nobody_up(engine: Engine) {
    let world = World::new(engine).await;
    let mut redis = PrivateRedis::start().await;
    let server = Binary::spawn(world.options().redis(redis.url())).await;
    let phone = Phone::new(&server);
    phone.alarm_is_answered().await;

    redis.freeze();
    phone.alarm_is_answered().await;
    phone.finds_locks(false).await;
    redis.thaw();
    phone.finds_locks(true).await;
}

/// A wrong password is mended in the configuration, not by starting Redis again.
async fn a_redis_that_refuses_is_not_called_away(engine: Engine) {
    let world = World::new(engine).await;
    let redis = PrivateRedis::start().await;
    redis.demand_password("swordfish").await;
    let server = Binary::spawn(world.options().redis(redis.url())).await;
    let phone = Phone::new(&server);
    phone.finds_locks(false).await;
    let ready = phone.client.readyz().await;
    assert_eq!(ready["locks"]["refused"], true, "{ready}");
    let log = server.log();
    assert!(log.contains("Redis refuses") && !log.contains("Redis is away"), "{log}");
    assert!(log.contains("NOAUTH") || log.contains("password"), "{log}");
    drop(server);

    let wrong = redis.url().replace("redis://", "redis://:haddock@");
    let server = Binary::spawn(world.options().redis(wrong)).await;
    Phone::new(&server).finds_locks(false).await;
    let log = server.log();
    assert!(log.contains("Redis refuses") && !log.contains("haddock"), "{log}");
}

/// A client that rings another number for each alarm.
struct Phone {
    client: Client,
    alarms: Cell<u32>,
}

impl Phone {
    fn new(server: &Binary) -> Self {
        Self { client: Client::new(server), alarms: Cell::new(0) }
    }

    async fn alarm_is_answered(&self) {
        self.alarms.set(self.alarms.get() + 1);
        self.client.alarm_is_answered(&format!("1391234{:04}", self.alarms.get())).await;
    }

    /// Raises alarms, each of which must be answered, until the server says that Redis is there, or away.
    async fn finds_locks(&self, available: bool) {
        let what = if available { "Redis to be there" } else { "Redis to be away" };
        eventually(what, NOTICED, async || {
            self.alarm_is_answered().await;
            (self.client.readyz().await["locks"]["available"] == available).then_some(())
        })
        .await;
        let ready = self.client.readyz().await;
        assert_eq!((&ready["status"], &ready["locks"]["kind"]), (&"ready".into(), &"redis".into()), "{ready}");
        let unavailable = if available { 0.0 } else { 1.0 };
        eventually("the metric to say the same", SOON, async || {
            (self.client.metric("autocall_lock_unavailable").await == unavailable).then_some(())
        })
        .await;
    }
}
