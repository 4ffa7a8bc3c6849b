//! The harness itself: a fault test is worth nothing when the fault does not happen.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::time::Duration;

use autocall_tests::{
    markdown::{Example, examples},
    postgres::{PrivatePostgres, fresh_schema, shared_postgres_url},
    proxy::TcpProxy,
    redis::{PrivateRedis, shared_redis_url},
    wait::eventually,
};
use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);
/// Long enough to see that something does not happen.
const A_WHILE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn schemas_do_not_see_each_other_and_go_away() {
    let server = shared_postgres_url();
    let one = fresh_schema(&server).await;
    let other = fresh_schema(&server).await;

    let pool = PgPoolOptions::new().max_connections(3).connect(&one.url).await.unwrap();
    sqlx::query("CREATE TABLE things (id INT)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO things VALUES (1)").execute(&pool).await.unwrap();
    let mut connection = PgConnection::connect(&other.url).await.unwrap();
    sqlx::query("SELECT * FROM things").execute(&mut connection).await.unwrap_err();
    sqlx::query("CREATE TABLE things (id INT)").execute(&mut connection).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 0);

    let name = one.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_private_postgres_stops_crashes_and_comes_back_with_its_data() {
    let mut postgres = PrivatePostgres::start().await;
    let url = postgres.url();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE things AS SELECT 7 AS id").execute(&mut connection).await.unwrap();

    postgres.kill_connections().await;
    connection.ping().await.unwrap_err();

    let mut connection = PgConnection::connect(&url).await.unwrap();
    postgres.stop().await;
    connection.ping().await.unwrap_err();
    PgConnection::connect(&url).await.unwrap_err();
    postgres.start_again().await;
    PgConnection::connect(&url).await.unwrap();
    postgres.crash().await;
    PgConnection::connect(&url).await.unwrap_err();
    postgres.start_again().await;

    let mut connection = PgConnection::connect(&url).await.unwrap();
    let id: i32 = sqlx::query_scalar("SELECT id FROM things").fetch_one(&mut connection).await.unwrap();
    assert_eq!(id, 7);

    drop(postgres);
    PgConnection::connect(&url).await.unwrap_err();
}

#[tokio::test]
async fn the_shared_redis_answers() {
    assert_eq!(get(&shared_redis_url(), "harness:nothing").await, Ok(None));
}

#[tokio::test]
async fn a_private_redis_dies_pauses_and_comes_back_empty() {
    let mut redis = PrivateRedis::start().await;
    let url = redis.url();
    set(&url, "key", "value").await;
    assert_eq!(get(&url, "key").await, Ok(Some("value".to_owned())));

    redis.kill();
    get(&url, "key").await.unwrap_err();
    redis.start_again().await;
    assert_eq!(get(&url, "key").await, Ok(None));

    set(&url, "key", "value").await;
    redis.flush().await;
    assert_eq!(get(&url, "key").await, Ok(None));

    redis.freeze();
    timeout(A_WHILE, get(&url, "key")).await.unwrap_err();
    redis.thaw();
    assert_eq!(get(&url, "key").await, Ok(None));

    redis.pause(Duration::from_secs(1)).await;
    timeout(A_WHILE, get(&url, "key")).await.unwrap_err();
    eventually("Redis to go on", SOON, async || get(&url, "key").await.ok()).await;
}

#[tokio::test]
async fn a_proxy_cuts() {
    let (proxy, _) = proxy_to_echo().await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "hello").await.unwrap(), "hello");
    assert_eq!(proxy.connections(), 1);

    proxy.cut_all().await;
    assert_eq!(proxy.connections(), 0);
    let error = echo(&mut client, "hello").await.unwrap_err();
    assert!([std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn a_proxy_refuses_only_new_connections() {
    let (proxy, _) = proxy_to_echo().await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "old").await.unwrap(), "old");

    proxy.refuse(true).await;
    let error = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(echo(&mut client, "old").await.unwrap(), "old");

    proxy.refuse(false).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "new").await.unwrap(), "new");
}

#[tokio::test]
async fn a_proxy_holds_and_releases() {
    let (proxy, received) = proxy_to_echo().await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "before").await.unwrap(), "before");

    proxy.hold(true);
    client.write_all(b"during").await.unwrap();
    let mut answer = [0; 6];
    timeout(A_WHILE, client.read_exact(&mut answer)).await.unwrap_err();
    assert_eq!(received.borrow().as_str(), "before");
    proxy.hold(false);
    timeout(SOON, client.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"during");
}

#[tokio::test]
async fn a_proxy_delays_both_ways() {
    let (proxy, _) = proxy_to_echo().await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.delay(A_WHILE);
    let start = tokio::time::Instant::now();
    assert_eq!(echo(&mut client, "slow").await.unwrap(), "slow");
    assert!(start.elapsed() >= 2 * A_WHILE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_proxy_loses_answers_after_the_request_arrived() {
    let (proxy, received) = proxy_to_echo().await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.drop_replies(true);
    echo(&mut client, "one,").await.unwrap_err();
    assert_eq!(received.borrow().as_str(), "one,");

    proxy.drop_replies(false);
    proxy.lose_answer_to("three");
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "two,").await.unwrap(), "two,");
    assert!(proxy.is_waiting_for_request());
    echo(&mut client, "three,").await.unwrap_err();
    assert!(!proxy.is_waiting_for_request());
    assert_eq!(received.borrow().as_str(), "one,two,three,");
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut client, "three").await.unwrap(), "three");
}

#[tokio::test]
async fn a_proxy_loses_the_answer_to_a_commit_but_not_the_commit() {
    let schema = fresh_schema(&shared_postgres_url()).await;
    let upstream = schema.url.split(['@', '/']).nth(3).unwrap();
    let proxy = TcpProxy::start(upstream).await;
    let mut direct = PgConnection::connect(&schema.url).await.unwrap();
    sqlx::query("CREATE TABLE things (id INT)").execute(&mut direct).await.unwrap();

    let mut proxied = PgConnection::connect(&proxy.url(&schema.url)).await.unwrap();
    let mut transaction = proxied.begin().await.unwrap();
    sqlx::query("INSERT INTO things VALUES (1)").execute(&mut *transaction).await.unwrap();
    proxy.lose_answer_to("COMMIT");
    transaction.commit().await.unwrap_err();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut direct).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
#[should_panic(expected = "waited 100ms for godot, in vain")]
async fn waiting_ends() {
    let never = async || std::future::pending::<Option<()>>().await;
    eventually("godot", Duration::from_millis(100), never).await;
}

#[tokio::test]
async fn marked_examples_are_found_and_run() {
    let found = examples(
        "# Title\n\n<!-- tested: start -->\n\n```bash\necho \"$WHO\"\n\ntrue\n```\n\n```\nunmarked\n```\n\
         1. Step\n   <!-- tested: nested -->\n   ~~~~ json title\n   {\n     \"a\": 1 }\n   ~~~\n   ~~~~\n\
         ```md\n<!-- tested: inside -->\n```\n<!-- another comment -->\n",
    );
    let expected = [("start", "bash", "echo \"$WHO\"\n\ntrue\n", 5), ("nested", "json", "{\n  \"a\": 1 }\n~~~\n", 16)].map(
        |(name, language, code, line)| Example {
            name: name.to_owned(),
            language: language.to_owned(),
            code: code.to_owned(),
            line,
        },
    );
    assert_eq!(found, expected);

    let here = std::env::current_dir().unwrap();
    let output = found[0].run(&here, &[("WHO", "world")], SOON).await;
    assert!(output.status.success());
    assert_eq!(output.stdout, b"world\n");
}

#[test]
#[should_panic(expected = "line 1: no code block follows the mark of gone")]
fn a_mark_without_code_is_an_error() {
    _ = examples("<!-- tested: gone -->\n\nWords.\n\n```\ncode\n```\n");
}

async fn get(url: &str, key: &str) -> Result<Option<String>, String> {
    let client = redis::Client::open(url).unwrap();
    let work = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("GET").arg(key).query_async(&mut connection).await
    };
    work.await.map_err(|error: redis::RedisError| error.to_string())
}

async fn set(url: &str, key: &str, value: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg(key).arg(value).exec_async(&mut connection).await.unwrap();
}

/// A proxy in front of a server that says back what it hears, and all that the server has heard.
async fn proxy_to_echo() -> (TcpProxy, tokio::sync::watch::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let (heard, received) = tokio::sync::watch::channel(String::new());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    heard.send_modify(|heard| heard.push_str(&text));
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (TcpProxy::start(upstream).await, received)
}

async fn echo(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap()?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
