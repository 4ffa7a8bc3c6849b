//! Scenario: the database is there, and not as the server needs it. It says so once, in time, and with what to do; nothing is changed then.

use std::{fs, net::TcpListener, path::Path, process::Output};

use autocall_tests::{
    pgbouncer::{PoolMode, PrivatePgbouncer},
    postgres::PrivatePostgres,
    server::{Binary, ServeOptions, autocall},
};
use sqlx::{Connection, PgConnection};

use crate::client::Client;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// What `autocall serve` says instead of starting on this database, in a folder of its own.
async fn refusal(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let output = autocall(&args, &[("DATABASE_URL", url)]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

/// Brings the tables of this database up to date, by a command that ends.
async fn migrate(url: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    autocall(&["migrate"], &[("DATABASE_URL", url), ("AUTOCALL_DATA_DIR", folder.path().to_str().unwrap())]).await
}

async fn works(url: &str) {
    let output = migrate(url).await;
    assert!(output.status.success(), "{url}: {}", said(&output));
}

async fn tables(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let (count,) = sqlx::query_as(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

/// Another database of this server.
fn named(postgres: &PrivatePostgres, name: &str) -> String {
    format!("postgres://postgres@{}/{name}", postgres.addr())
}

fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[tokio::test]
async fn a_database_that_says_nothing_is_given_up_and_told_of() {
    // The system takes connections for it, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://alarms:swordfish@{}/alarms", silent.local_addr().unwrap());
    let said = refusal(&url).await;
    assert_eq!(times(&said, "the database does not answer"), 3, "a line for each try: {said}");
    assert!(said.contains(&silent.local_addr().unwrap().to_string()) && !said.contains("swordfish"), "{said}");
    let command = migrate(&url).await;
    assert!(!command.status.success() && self::said(&command).contains("does not answer"), "{}", self::said(&command));
}

#[tokio::test]
async fn nobody_there_is_told_once() {
    let nobody = autocall_tests::redis::reserve_port();
    let said = refusal(&format!("postgres://alarms:swordfish@127.0.0.1:{nobody}/alarms")).await;
    assert_eq!(times(&said, "refused"), 1, "{said}");
    assert!(said.contains(&format!("127.0.0.1:{nobody}/alarms")) && !said.contains("swordfish"), "{said}");
}

#[tokio::test]
async fn two_installations_share_a_database_by_search_path() {
    let postgres = PrivatePostgres::start().await;
    let url = |schema: &str| format!("{}?search_path={schema}", postgres.url());
    let refused = refusal(&url("ops")).await;
    assert!(refused.contains("CREATE SCHEMA") && refused.contains("ops"), "{refused}");
    assert_eq!(tables(&postgres.url()).await, 0, "something was made in another schema");
    postgres.execute("CREATE SCHEMA ops; CREATE SCHEMA \"Büro\"").await;
    let one = Binary::spawn(ServeOptions::new().database(url("ops"))).await;
    let two = Binary::spawn(ServeOptions::new().database(url("%22B%C3%BCro%22"))).await;
    Client::new(&one).alarm_is_answered("18712345678").await;
    assert!(Client::new(&two).alarms().await.is_empty(), "both use one schema");
    Client::new(&two).alarm_is_answered("18712345678").await;
    let options = format!("{}?options=-c%20search_path%3Dops", postgres.url());
    let three = Binary::spawn(ServeOptions::new().database(options)).await;
    assert_eq!(Client::new(&three).alarms().await.len(), 1);
}

#[tokio::test]
async fn a_database_is_named_by_socket_or_ipv6() {
    let postgres = PrivatePostgres::start().await;
    let (folder, port) = (postgres.socket_folder(), postgres.port());
    let folder = folder.display();
    works(&format!("postgres://postgres@/postgres?host={folder}&port={port}")).await;
    works(&format!("postgres://@/postgres?host={folder}&port={port}&user=postgres")).await;
    if TcpListener::bind("[::1]:0").is_ok() {
        works(&format!("postgres://postgres@[::1]:{port}/postgres")).await;
    } else {
        eprintln!("not run: this machine has no IPv6");
    }
}

#[tokio::test]
async fn whoever_may_make_no_tables_is_told_the_grant() {
    let postgres = PrivatePostgres::start().await;
    postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE ops LOGIN").await;
    let url = postgres.url().replace("postgres@", "ops@");
    let said = refusal(&url).await;
    let grant = "GRANT CREATE, USAGE ON SCHEMA \"public\" TO \"ops\";";
    assert_eq!(times(&said, grant), 1, "{said}");
    assert!(times(&said, "permission denied") <= 1, "{said}");
    postgres.execute(grant).await;
    works(&url).await;
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused_before_anything_is_made() {
    let postgres = PrivatePostgres::start().await;
    postgres.execute("CREATE DATABASE old ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await;
    let url = named(&postgres, "old");
    let said = refusal(&url).await;
    assert!(said.contains("LATIN1") && said.contains("ENCODING 'UTF8' TEMPLATE template0"), "{said}");
    assert_eq!(tables(&url).await, 0);
    let said = refusal(&named(&postgres, "missing")).await;
    assert!(said.contains("CREATE DATABASE") && times(&said, "does not exist") == 1, "{said}");
}

/// Certificates made with openssl: an authority, a server that it has signed, and another authority.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        let made = Self { folder };
        for name in ["ca", "other"] {
            made.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ));
        }
        made.openssl("req -newkey rsa:2048 -nodes -subj /CN=db -keyout db.key -out db.csr");
        made.openssl("x509 -req -in db.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out db.pem");
        made
    }

    fn openssl(&self, line: &str) {
        let done = std::process::Command::new("openssl").args(line.split(' ')).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A server that shows its certificate, and logs how each client came.
    async fn server(&self) -> PrivatePostgres {
        let postgres = PrivatePostgres::start().await;
        let (key, pem) = postgres.place_certificate(Path::new(&self.path("db.key")), Path::new(&self.path("db.pem")));
        for (name, value) in [("ssl_key_file", &*key), ("ssl_cert_file", &*pem), ("ssl", "on"), ("log_connections", "on")] {
            postgres.execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await;
        }
        postgres.execute("SELECT pg_reload_conf()").await;
        postgres
    }
}

/// Whether this way leads in, and encrypted.
async fn encrypted(postgres: &PrivatePostgres, more: &str) -> Result<bool, String> {
    let name = format!("try-{}", rand::random::<u32>());
    // `localhost` is in the certificate, 127.0.0.1 is not.
    let host = if more.contains("by-address") { "127.0.0.1" } else { "localhost" };
    let more = more.replace("&by-address", "");
    let url = format!("postgres://postgres@{host}:{}/postgres?application_name={name}&{more}", postgres.port());
    let output = migrate(&url).await;
    if !output.status.success() {
        return Err(said(&output));
    }
    let log = postgres.log();
    let line = log.lines().find(|line| line.contains("connection authorized") && line.contains(&name)).expect("it is logged");
    Ok(line.contains("SSL enabled"))
}

#[tokio::test]
async fn every_sslmode_does_what_it_says() {
    let certificates = Certificates::make();
    let (ca, other) = (certificates.path("ca.pem"), certificates.path("other.pem"));
    let postgres = certificates.server().await;
    let check = async |more: &str| encrypted(&postgres, more).await;
    autocall_tests::wait::eventually("certificates to be used", crate::world::SOON, async || {
        (check("sslmode=require").await == Ok(true)).then_some(())
    })
    .await;

    assert_eq!(check("sslmode=disable").await, Ok(false));
    assert_eq!(check("sslmode=allow").await, Ok(false));
    assert_eq!(check("sslmode=prefer").await, Ok(true));
    assert_eq!(check("sslmode=require").await, Ok(true));
    assert_eq!(check(&format!("sslmode=verify-ca&sslrootcert={ca}&by-address")).await, Ok(true));
    assert_eq!(check(&format!("sslmode=verify-full&sslrootcert={ca}")).await, Ok(true));
    for refused in [
        format!("sslmode=verify-ca&sslrootcert={other}"),
        "sslmode=verify-ca".to_owned(),
        format!("sslmode=verify-full&sslrootcert={ca}&by-address"),
        // As libpq: whoever names an authority wants it asked.
        format!("sslmode=require&sslrootcert={other}"),
    ] {
        let said = check(&refused).await.unwrap_err();
        assert!(said.contains("certificate") && said.contains("sslrootcert"), "{refused}: {said}");
        assert!(!said.contains("panicked"), "{refused}: {said}");
    }
    let said = check("sslmode=verify-ca&sslrootcert=/nowhere/ca.pem").await.unwrap_err();
    assert!(said.contains("/nowhere/ca.pem"), "{said}");

    // A server that takes only one of the two ways.
    postgres.let_in("hostssl all all all trust").await;
    assert_eq!(check("sslmode=allow").await, Ok(true));
    assert_eq!(check("sslmode=prefer").await, Ok(true));
    let said = check("sslmode=disable").await.unwrap_err();
    assert!(said.contains("sslmode"), "{said}");
    postgres.let_in("hostnossl all all all trust").await;
    assert_eq!(check("sslmode=prefer").await, Ok(false));
    assert_eq!(check("sslmode=allow").await, Ok(false));
    assert!(check("sslmode=require").await.is_err());
}

#[tokio::test]
async fn a_pooler_of_sessions_is_enough_and_one_of_transactions_is_refused() {
    let postgres = PrivatePostgres::start().await;
    let sessions = PrivatePgbouncer::start(&postgres, PoolMode::Session).await;
    let server = Binary::spawn(ServeOptions::new().database(format!("{}?search_path=public", sessions.url()))).await;
    let client = Client::new(&server);
    for _ in 0..3 {
        client.alarm_is_answered("18712345678").await;
    }
    // The limits hold in every session, though the pooler takes no parameters at the start.
    let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'autocall'";
    let mut look = PgConnection::connect(&postgres.url()).await.unwrap();
    let (count,): (i64,) = sqlx::query_as(held).fetch_one(&mut look).await.unwrap();
    assert!(count > 0);
    drop(server);

    for mode in [PoolMode::Transaction, PoolMode::TransactionInTurns] {
        let transactions = PrivatePgbouncer::start(&postgres, mode).await;
        let said = refusal(&transactions.url()).await;
        assert!(said.contains("pool_mode = session"), "{mode:?}: {said}");
    }
}

#[tokio::test]
async fn a_command_works_on_the_database_of_the_folders_server_or_not_at_all() {
    let postgres = PrivatePostgres::start().await;
    postgres.execute("CREATE DATABASE second ENCODING 'UTF8' TEMPLATE template0").await;
    let server = Binary::spawn(ServeOptions::new().database(postgres.url())).await;
    let folder = server.data_dir();
    let data = folder.to_str().unwrap();
    let list = async |url: Option<&str>| {
        let mut env = vec![("AUTOCALL_DATA_DIR", data)];
        env.extend(url.map(|url| ("DATABASE_URL", url)));
        autocall(&["handset", "list"], &env).await
    };
    let output = list(None).await;
    assert!(!output.status.success(), "a command worked on a database that nobody serves: {}", said(&output));
    assert!(said(&output).contains("DATABASE_URL") && said(&output).contains(&postgres.addr()), "{}", said(&output));
    assert!(!folder.join("autocall.sqlite").exists(), "a second database was made");
    let second = named(&postgres, "second");
    let output = list(Some(&second)).await;
    assert!(!output.status.success() && said(&output).contains("another"), "{}", said(&output));
    assert_eq!(tables(&second).await, 0, "tables were made in a database that nobody serves");
    // The same database by another name.
    let output = list(Some(&postgres.url().replace("127.0.0.1", "localhost"))).await;
    assert!(output.status.success(), "{}", said(&output));
    drop(server);

    // The other way round.
    let embedded = Binary::spawn(ServeOptions::new()).await;
    let data = embedded.data_dir();
    let env = [("AUTOCALL_DATA_DIR", data.to_str().unwrap()), ("DATABASE_URL", &second)];
    let output = autocall(&["handset", "list"], &env).await;
    assert!(!output.status.success() && said(&output).contains("autocall.sqlite"), "{}", said(&output));
    let note = fs::read_to_string(data.join("server.database")).unwrap();
    assert!(!note.contains("swordfish"), "{note}");
}

#[tokio::test]
async fn the_note_of_the_database_holds_no_secret_and_follows_the_server() {
    let postgres = PrivatePostgres::start().await;
    postgres.execute("CREATE ROLE alarms LOGIN SUPERUSER PASSWORD 'swordfish'").await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let url = postgres.url().replace("postgres@", "alarms:swordfish@");
    drop(Binary::spawn(ServeOptions::new().database(&url).data_dir(&data)).await);
    for entry in fs::read_dir(&data).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("swordfish"));
    }
    // The server moves to its own file: commands follow.
    let server = Binary::spawn(ServeOptions::new().data_dir(&data)).await;
    let output = autocall(&["handset", "list"], &[("AUTOCALL_DATA_DIR", data.to_str().unwrap())]).await;
    assert!(output.status.success(), "{}", said(&output));
    drop(server);
}

#[tokio::test]
async fn an_empty_file_is_no_new_installation() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("autocall.sqlite"), "").unwrap();
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["handset", "list"]] {
        let output = autocall(args, &[("AUTOCALL_DATA_DIR", data.to_str().unwrap())]).await;
        let said = said(&output);
        assert!(!output.status.success(), "taken for a new installation: {said}");
        assert!(said.contains("autocall.sqlite") && said.contains("backup"), "{said}");
        assert_eq!(fs::metadata(data.join("autocall.sqlite")).unwrap().len(), 0, "it was written to");
    }
    fs::write(
        data.join("autocall.sqlite"),
        "this is no database, only a file of that name, long enough to be looked at".repeat(80),
    )
    .unwrap();
    let output = autocall(&["handset", "list"], &[("AUTOCALL_DATA_DIR", data.to_str().unwrap())]).await;
    let said = said(&output);
    assert!(!output.status.success() && times(&said, "not a database") == 1 && said.contains("backup"), "{said}");
}
