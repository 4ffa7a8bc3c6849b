//! Scenario: Redis is killed, emptied, slow, silent and cut off, and comes back.

use std::time::Duration;

use autocall_tests::{postgres::fresh_schema, postgres::shared_postgres_url, proxy::TcpProxy, redis::PrivateRedis};

use crate::{
    drill::{ALL_KINDS, Drill, Group, Nodes},
    installation::Installation,
    phones::Habits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_forgets_and_dawdles() {
    let schema = fresh_schema(&shared_postgres_url()).await;
    let mut redis = PrivateRedis::start().await;
    let proxy = TcpProxy::start(redis.addr()).await;
    let mut drill = Drill::begin(Installation::on(Some(schema.url.clone()), Some(redis.url()))).await;
    // One node sees a Redis that the other one does not.
    let nodes = Nodes::start(2, |index| match index {
        0 => drill.installation.options().redis(proxy.url(&redis.url())),
        _ => drill.installation.options(),
    })
    .await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    drill.alarms(160, Duration::from_millis(60), servers);
    drill.is_under_load().await;

    for _ in 0..5 {
        redis.flush().await;
        drill.a_while(20..200).await;
    }
    redis.pause(Duration::from_millis(400)).await;
    drill.goes_on(3).await;
    proxy.delay(Duration::from_millis(60));
    drill.goes_on(6).await;
    proxy.delay(Duration::from_millis(250));
    drill.goes_on(6).await;
    proxy.delay(Duration::ZERO);
    proxy.drop_replies(true);
    drill.goes_on(3).await;
    proxy.drop_replies(false);
    redis.freeze();
    drill.goes_on(6).await;
    redis.thaw();
    drill.goes_on(3).await;
    redis.kill();
    drill.goes_on(10).await;
    redis.start_again().await;
    proxy.cut_all().await;
    drill.goes_on(3).await;
    drill.finish(&nodes.0[0]).await;
    drop(nodes);
}
