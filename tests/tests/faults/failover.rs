//! Scenario: the database has a standby that is always as far as it. The primary freezes and the standby is promoted, the frozen one goes on,
//! dies, and comes back as if it still were the primary: nothing accepted is lost, and nobody is taken for somebody else.

use std::time::Duration;

use autocall_tests::{
    postgres::{PrivatePostgres, several},
    redis::PrivateRedis,
    wait::eventually,
};

use crate::{
    drill::{ALL_KINDS, Drill, Group, LONG, Nodes},
    installation::Installation,
    phones::Habits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_promoted_while_alarms_ring() {
    let mut first = PrivatePostgres::start().await;
    let mut second = PrivatePostgres::standby_of(&first).await;
    first.wait_for_standby().await;
    // Of its own, because the names of locks follow from the schema, and the schema of every private Postgres is called the same.
    let redis = PrivateRedis::start().await;
    let url = several(&[&first, &second]);
    let mut drill = Drill::begin(Installation::on(Some(url), Some(redis.url()))).await;
    let mut nodes = Nodes::start(2, |_| drill.installation.options()).await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    drill.alarms(140, Duration::from_millis(80), servers.clone());
    drill.is_under_load().await;

    // Its machine hangs: connections are taken, and nothing is answered.
    first.freeze();
    drill.a_while(200..2_500).await;
    second.promote().await;
    drill.goes_on(5).await;
    // One node may be served by the new one before another has left the old one: each finds out for itself.
    eventually("every node to have left the old primary", LONG, async || {
        nodes.0.iter().all(|node| node.log().contains("another host is the primary now")).then_some(())
    })
    .await;
    // It goes on where it was, with whatever it had been sent.
    first.thaw();
    drill.a_while(500..2_000).await;
    drill.goes_on(3).await;
    // Now it takes changes from anybody who gives it some.
    first.execute("ALTER SYSTEM SET synchronous_standby_names = ''").await;
    first.crash().await;
    drill.a_while(100..500).await;
    first.start_again().await;
    drill.alarms(60, Duration::from_millis(60), servers.clone());
    drill.goes_on(3).await;
    eventually("the old primary to be told of", LONG, async || {
        nodes.0.iter().all(|node| node.log().contains("a standby was promoted since")).then_some(())
    })
    .await;
    // A node that starts now is not taken in by it, and neither is one whose new primary is away for a moment.
    nodes.0[0].restart().await;
    drill.goes_on(3).await;
    second.stop().await;
    drill.a_while(500..3_000).await;
    second.start_again().await;
    drill.goes_on(3).await;
    second.crash().await;
    second.start_again().await;
    drill.goes_on(3).await;
    first.stop().await;
    drill.finish(&nodes.0[1]).await;
    drop(nodes);
}
