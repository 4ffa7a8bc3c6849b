//! What a request costs does not depend on what is over: how both databases carry out every statement, with a hundred thousand alarms.
//!
//! On Postgres they are really there, and the plans are those for any parameters (`force_generic_plan`), with a price on reading a table
//! whole. SQLite plans by `sqlite_stat1`, which is filled by hand, and once without it, as on the first day.

use std::collections::BTreeSet;

use autocall::alarm::call_record::{CallOrigin, CallResult};
use autocall::alarm::{AlarmKind, AlarmState, Priority};
use autocall::audit::{Kind as AuditKind, Operation};
use autocall::ids::{AlarmId, HandsetId, KeyId, PersonId};
use autocall::rights::Bounds;
use autocall::store::Store;
use autocall::store::alarm::alarms::{self, AlarmFilter, Whose};
use autocall::store::alarm::call_records::{self, CallFilter};
use autocall::store::audit::{self, AuditFilter, AuditPlace};
use autocall::store::dialect::Dialect;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

use crate::harness::{Home, Kind};

/// Tables that grow for as long as the installation is used.
const GROWING: &[&str] = &[
    "alarms",
    "alarm_hunts",
    "alarm_texts",
    "hunts",
    "hunt_copies",
    "callees",
    "dials",
    "dial_targets",
    "answers",
    "audit",
    "audit_personal",
    "events",
    "barista_calls",
    "call_records",
    "contacts",
    "counted_alarms",
    "counted_calls",
    "counted_hunts",
    "deliveries",
    "sms_outbox",
    "sms_inbox",
    "hand_overs",
    "duty_log",
    "duty_texts",
    "duty_swaps",
    "false_alarms",
    "figure_days",
    "figure_months",
    "handset_outages",
    "handset_commands",
    "idempotency_keys",
    "inbound_calls",
    "live_commands",
    "live_events",
    "repeated_requests",
    "rpc_events",
    "rpc_files",
    "rpc_requests",
    "rpc_resources",
    "shout_calls",
    "shout_dnc",
    "shout_log",
    "shouts",
    "sought",
    "overrides",
    "temporaries",
    "vacations",
];

/// Indexes that hold only what is open at the moment, however much is over: to read one whole is to read what is open.
const OPEN_ONLY: &[&str] = &[
    "alarms_held",
    "alarms_ring_again",
    "alarms_word_until",
    "deliveries_due",
    "deliveries_waiting",
    "dial_targets_callee",
    "dial_targets_number",
    "dial_targets_phone",
    "dials_deadline",
    "dials_one_exclusive",
    "dials_one_per_handset",
    "dials_unreported_records",
    "duty_swaps_open",
    "handset_commands_open",
    "handset_outages_open",
    "hunts_due",
    "hunts_join",
    "hunts_open",
    "hunts_wake",
    "inbound_calls_open",
    "live_commands_digits",
    "live_commands_of_programs",
    "rpc_files_recorded",
    "rpc_resources_by_handset",
    "rpc_resources_due",
    "rpc_resources_open",
    "shout_calls_first",
    "shout_calls_open",
    "shout_log_unwritten",
    "sms_outbox_due",
    "sms_outbox_taken",
    "sms_outbox_waiting",
];

/// Statements that may read on in a table, with the reason.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("webhooks::LATEST", "deliveries", "the latest few, in the order of the index"),
    ("sms::LATEST_INBOUND", "sms_inbox", "the latest few, in the order of the index"),
    ("calls", "call_records", "without a filter, the newest few in the order of an index"),
    ("calls no shouts", "call_records", "the newest few, in the order of an index that holds only such"),
    ("calls replicated", "call_records", "the newest few, in the order of an index that holds only such"),
    (
        "calls own shouts",
        "call_records",
        "the newest few in the order of an index; those for shouts of other keys are passed over",
    ),
    ("call_records::COUNT_OF_PERSON", "call_records", "the latest of one person, in the order of an index, and so many at most"),
    ("list", "alarms", "without a filter, the newest few in the order of the numbers"),
    ("list cancelled", "alarms", "the newest few, in the order of an index that holds only such"),
    ("list answered", "alarms", "what most alarms are: a page of them is near"),
    ("list no_answer", "alarms", "still firing, and nobody heard of it: such alarms are looked at and ended"),
    ("list resolved", "alarms", "what most alarms are: a page of them is near"),
    ("first_steps::THERE", "alarms", "the first there is, and not even that once there was one"),
    ("first_steps::THERE", "answers", "the first there is, in the order of an index"),
    ("audit lines", "audit", "without a filter, the newest few in the order of an index"),
    ("audit lines cursor", "audit", "the newest few behind one, in the order of an index"),
    ("exceptions::VACATIONS", "vacations", "all that count are wanted"),
];

/// A person, an alarm or a handset that nothing is known of.
const NOBODY: &str = "'00000000-0000-0000-0000-000000000000'";

/// Something in a plan that grows with what is over.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    statement: String,
    table: String,
    what: String,
}

/// A statement, with a name.
struct Statement {
    name: String,
    text: String,
    /// What it is asked with, where it is planned anew for that each time; empty: for anything.
    asked_with: &'static [&'static str],
}

/// Every statement there is: those of the modules, and the list of alarms with each filter.
fn statements(dialect: Dialect) -> Vec<Statement> {
    let module = |sql: &autocall::store::dialect::Sql| sql.module.rsplit("::").next().unwrap_or_default().to_owned();
    let mut all: Vec<_> = Store::statements()
        .into_iter()
        // Has no end: what it is for is appended.
        .filter(|sql| !(["alarms", "audit", "call_records"].contains(&&*module(sql)) && sql.name == "LIST"))
        .map(|sql| Statement {
            name: format!("{}::{}", module(sql), sql.name),
            text: sql.on(dialect).to_owned(),
            asked_with: &[],
        })
        .collect();
    let none = AlarmFilter::default;
    let then = Some("2026-02-01T00:00:00Z".parse().unwrap());
    let mut list_of = |name: &str, filter: AlarmFilter, numbers: Option<&[i64]>, asked_with| {
        all.push(Statement { name: format!("list{name}"), text: alarms::list_text(dialect, &filter, numbers, 51), asked_with });
    };
    // Those that were found by words, compared with what else is asked for.
    list_of(" found", none(), Some(&[1]), &["'alarm'", "'[1769904000000]'", "51"]);
    let mixed = AlarmFilter { sources: vec!["nobody".to_owned()], priorities: vec![Priority::Critical], ..none() };
    list_of(" found source priority", mixed, Some(&[1]), &["'alarm'", "'nobody'", "3", "'[1769904000000]'", "51"]);
    let oldest = AlarmFilter { states: vec![AlarmState::Cancelled], oldest_first: true, ..none() };
    list_of(" found cancelled oldest", oldest, Some(&[1]), &["'alarm'", "'[1769904000000]'", "51"]);
    let own = |name: &str| vec![name.to_owned()];
    let bound =
        AlarmFilter { within: Some(Bounds { sources: own("nobody"), teams: own("ops"), policies: own("none") }), ..none() };
    let asked_with = &["'alarm'", "'nobody'", "'ops'", "'none'", "'[1769904000000]'", "51"];
    list_of(" found within bounds", bound, Some(&[1]), asked_with);
    let mut list = |name: &str, filter: AlarmFilter, asked_with| list_of(name, filter, None, asked_with);
    list(" of one sender", AlarmFilter { own_of: Some("nobody".to_owned()), ..none() }, &["'alarm'", "'nobody'", "51"]);
    list("", none(), &["'alarm'", "51"]);
    list(" kind", AlarmFilter { kinds: vec![AlarmKind::Test], ..none() }, &["'test'", "51"]);
    let tests = |filter| AlarmFilter { kinds: vec![AlarmKind::Test], ..filter };
    let test_source = tests(AlarmFilter { sources: vec!["test call".to_owned()], ..none() });
    list(" kind source", test_source, &["'test'", "'test call'", "51"]);
    list(" kind waiting", tests(AlarmFilter { states: vec![AlarmState::Waiting], ..none() }), &["'test'", "51"]);
    list(" source", AlarmFilter { sources: vec!["nobody".to_owned()], ..none() }, &["'alarm'", "'nobody'", "51"]);
    list(" key", AlarmFilter { dedup_keys: vec!["no disk".to_owned()], ..none() }, &["'alarm'", "'no disk'", "51"]);
    list(" priority", AlarmFilter { priorities: vec![Priority::Critical], ..none() }, &["'alarm'", "3", "51"]);
    list(" sources", AlarmFilter { sources: vec!["nobody".to_owned(); 2], ..none() }, &["'alarm'", "'nobody'", "'nobody'", "51"]);
    list(
        " keys",
        AlarmFilter { dedup_keys: vec!["no disk".to_owned(); 2], ..none() },
        &["'alarm'", "'no disk'", "'no disk'", "51"],
    );
    list(" raised_from", AlarmFilter { raised_from: then, ..none() }, &["'alarm'", "'2026-02-01'", "1769904000000", "51"]);
    list(" raised_before", AlarmFilter { raised_before: then, ..none() }, &["'alarm'", "'2026-02-01'", "1769904100000", "51"]);
    list(" cursor", AlarmFilter { below_number: Some(1), ..none() }, &["'alarm'", "1769904000000", "51"]);
    list(
        " cursor upwards",
        AlarmFilter { above_number: Some(1), oldest_first: true, ..none() },
        &["'alarm'", "1769904000000", "51"],
    );
    list(" team", AlarmFilter { teams: vec!["nobody".to_owned()], ..none() }, &["'alarm'", "'nobody'", "51"]);
    let of_team = AlarmFilter { teams: vec!["nobody".to_owned()], oldest_first: true, above_number: Some(1), ..none() };
    list(" team upwards", of_team, &["'alarm'", "'nobody'", "1769904000000", "51"]);
    let open = AlarmFilter { states: vec![AlarmState::Waiting, AlarmState::Ringing], ..none() };
    list(" open", open, &["'alarm'", "51"]);
    for state in [
        AlarmState::Waiting,
        AlarmState::Ringing,
        AlarmState::Answered,
        AlarmState::NoAnswer,
        AlarmState::Cancelled,
        AlarmState::Resolved,
    ] {
        list(&format!(" {}", state.as_str()), AlarmFilter { states: vec![state], ..none() }, &["'alarm'", "51"]);
    }
    let none = CallFilter::default;
    let nobody = uuid::Uuid::nil();
    let mut list = |name: &str, filter: CallFilter, asked_with| {
        all.push(Statement { name: format!("calls{name}"), text: call_records::list_text(dialect, &filter, 51), asked_with });
    };
    list("", none(), &["51"]);
    list(" alarm", CallFilter { alarms: vec![AlarmId(nobody)], ..none() }, &[NOBODY, NOBODY, "51"]);
    list(" person", CallFilter { people: vec![PersonId(nobody)], ..none() }, &[NOBODY, "51"]);
    list(" number", CallFilter { numbers: vec!["+1".to_owned()], ..none() }, &["'+1'", "51"]);
    list(" handset", CallFilter { handsets: vec![HandsetId(nobody)], ..none() }, &[NOBODY, "51"]);
    list(" kind", CallFilter { kinds: vec![AlarmKind::Shout], ..none() }, &["'shout'", "51"]);
    list(" outcome", CallFilter { outcomes: vec![CallResult::Failed], ..none() }, &["'failed'", "51"]);
    list(" from", CallFilter { from: then, ..none() }, &["'2026-02-01'", "51"]);
    list(" before", CallFilter { before: then, ..none() }, &["'2026-02-01'", "51"]);
    let replicated = |filter| CallFilter { origins: vec![CallOrigin::Replicated], ..filter };
    list(" replicated", replicated(none()), &["51"]);
    list(" replicated person", replicated(CallFilter { people: vec![PersonId(nobody)], ..none() }), &[NOBODY, "51"]);
    list(" replicated number", replicated(CallFilter { numbers: vec!["+1".to_owned()], ..none() }), &["'+1'", "51"]);
    list(" replicated caller", replicated(CallFilter { callers: vec!["nobody".to_owned()], ..none() }), &["'nobody'", "51"]);
    list(" replicated from", replicated(CallFilter { from: then, ..none() }), &["'2026-02-01'", "51"]);
    list(" replicated before", replicated(CallFilter { before: then, ..none() }), &["'2026-02-01'", "51"]);
    let below = then.map(|then| (then, 7));
    list(" replicated cursor", replicated(CallFilter { below, ..none() }), &["'2026-02-01'", "7", "51"]);
    list(" cursor", CallFilter { below, ..none() }, &["'2026-02-01'", "7", "51"]);
    list(" own shouts", CallFilter { shouts_of: Whose::Key(KeyId(nobody)), ..none() }, &[NOBODY, "51"]);
    list(" no shouts", CallFilter { shouts_of: Whose::Nobody, ..none() }, &["51"]);
    let none = AuditFilter::default;
    let mut list = |name: &str, filter: AuditFilter, asked_with| {
        all.push(Statement { name: format!("audit lines{name}"), text: audit::list_text(dialect, &filter, 51), asked_with });
    };
    list("", none(), &["51"]);
    list(" operation", AuditFilter { operations: vec![Operation::KeyAdded], ..none() }, &["'key_added'", "51"]);
    list(" kind", AuditFilter { kinds: vec![AuditKind::Key], ..none() }, &["'key'", "51"]);
    list(" who", AuditFilter { who: Some("nobody".to_owned()), ..none() }, &["'user 7'", "51", "'user 7'", "51", "51"]);
    list(" what", AuditFilter { what: Some("nothing".to_owned()), ..none() }, &["'nothing'", "51", "'nothing'", "51", "51"]);
    list(" person", AuditFilter { person: Some(PersonId(nobody)), ..none() }, &[NOBODY, "51", NOBODY, "51", "51"]);
    let acts = AuditFilter { who: Some("nobody".to_owned()), kinds: vec![AuditKind::Alarm], ..none() };
    list(" who kind", acts, &["'user 7'", "'alarm'", "51", "'user 7'", "'alarm'", "51", "51"]);
    list(" from", AuditFilter { from: then, ..none() }, &["'2026-02-01'", "51"]);
    list(" before", AuditFilter { before: then, ..none() }, &["'2026-02-01'", "51"]);
    let below = then.map(|at| AuditPlace { at, id: 7 });
    list(" cursor", AuditFilter { below, ..none() }, &["'2026-02-01'", "7", "51"]);
    list(" cursor upwards", AuditFilter { above: below, oldest_first: true, ..none() }, &["'2026-02-01'", "7", "51"]);
    all
}

fn judge(findings: BTreeSet<Finding>) {
    let allowed = |finding: &Finding| {
        ALLOWED.iter().any(|(statement, table, _)| *statement == finding.statement && *table == finding.table)
    };
    let bad: Vec<_> = findings.iter().filter(|finding| !allowed(finding)).collect();
    assert!(bad.is_empty(), "{} plans grow with what is over:\n{bad:#?}", bad.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_all_there_ever_was_on_postgres() {
    let home = Home::new(Kind::Shared).await;
    drop(home.quiet_node().await);
    let (url, schema) = home.schema().unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    run(&mut connection, &format!("SET search_path = {schema}")).await;
    fill(&mut connection).await;
    for index in OPEN_ONLY {
        let text = format!("SELECT reltuples::bigint FROM pg_class WHERE oid = '{index}'::regclass");
        let rows: i64 = one(&mut connection, &text).await.get(0);
        assert!(rows < 1000, "{index} holds {rows} rows of what is over");
    }
    // Reading a table whole is dear, and so is joining by it: what is chosen all the same would be chosen however large it grew.
    run(&mut connection, "SET seq_page_cost = 40; SET enable_hashjoin = off; SET enable_mergejoin = off").await;
    let mut findings = BTreeSet::new();
    for Statement { name, text, asked_with } in statements(Dialect::Postgres) {
        let begins = text.trim_start().split(' ').next().unwrap_or_default();
        if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&begins) {
            continue;
        }
        let (planned, with) = match asked_with {
            [] => ("force_generic_plan", nothing(&mut connection, &text).await),
            values => ("force_custom_plan", values.iter().map(|value| (*value).to_owned()).collect()),
        };
        run(&mut connection, &format!("SET plan_cache_mode = {planned}; PREPARE statement AS {text}")).await;
        let with = if with.is_empty() { String::new() } else { format!("({})", with.join(", ")) };
        let plan: Value = one(&mut connection, &format!("EXPLAIN (FORMAT JSON) EXECUTE statement{with}")).await.get(0);
        look_at_postgres(&name, &plan[0]["Plan"], false, &mut findings);
        run(&mut connection, "DEALLOCATE statement").await;
    }
    // All lines of one name are never put in order: an index holds them so.
    for Statement { name, text, asked_with } in statements(Dialect::Postgres) {
        if ["audit lines who", "audit lines person", "audit lines what"].contains(&&*name) {
            run(&mut connection, &format!("SET plan_cache_mode = force_custom_plan; PREPARE statement AS {text}")).await;
            let with = asked_with.join(", ");
            let plan: Value = one(&mut connection, &format!("EXPLAIN (FORMAT JSON) EXECUTE statement({with})")).await.get(0);
            assert!(!sorts_what_a_name_finds(&plan[0]["Plan"], false), "{name}: {plan:#}");
            run(&mut connection, "DEALLOCATE statement").await;
        }
    }
    connection.close().await.unwrap();
    judge(findings);
}

/// Whether lines that a name finds are put in order before there is an end of them.
fn sorts_what_a_name_finds(node: &Value, below_sort: bool) -> bool {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let index = node["Index Name"].as_str().unwrap_or_default();
    let finds =
        index.starts_with("audit_personal_by") || index.starts_with("audit_personal_about") || index == "audit_by_subject";
    let below_sort = (below_sort || kind.contains("Sort")) && kind != "Limit";
    let below = node["Plans"].as_array().into_iter().flatten();
    (finds && below_sort) || below.into_iter().any(|child| sorts_what_a_name_finds(child, below_sort))
}

/// The same on SQLite, which says so in a line of its own: one is for the few lines that were found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_one_name_are_given_in_their_order() {
    let home = Home::new(Kind::Embedded).await;
    drop(home.quiet_node().await);
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", home.database_file().display())).await.unwrap();
    for given in statements(Dialect::Sqlite).into_iter().filter(|own| own.name.starts_with("audit lines ")) {
        let plan =
            sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", given.text))).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let sorts = plan.iter().filter(|line| line.contains("FOR ORDER BY")).count();
        assert!(sorts <= 1, "{}: {plan:#?}", given.name);
    }
    connection.close().await.unwrap();
}

/// Nothing for each parameter of a statement.
async fn nothing(connection: &mut PgConnection, text: &str) -> Vec<String> {
    run(connection, &format!("PREPARE asked AS {text}")).await;
    let types = "SELECT array_to_string(parameter_types, ',') FROM pg_prepared_statements WHERE name = 'asked'";
    let types: String = one(connection, types).await.get(0);
    run(connection, "DEALLOCATE asked").await;
    types.split(',').filter(|name| !name.is_empty()).map(|name| format!("NULL::{name}")).collect()
}

fn look_at_postgres(statement: &str, node: &Value, few: bool, findings: &mut BTreeSet<Finding>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let index = node["Index Name"].as_str().unwrap_or_default();
    let table = node["Relation Name"].as_str().unwrap_or_default();
    let condition = node["Index Cond"].as_str();
    // `column IS NULL` by itself finds all the rows that have nothing there, which may be most.
    let finds =
        condition.is_some_and(|text| !text.ends_with(" IS NULL)") && !text.ends_with(" IS NOT NULL)") || text.contains(" AND "));
    let reads_on = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
            !(finds || OPEN_ONLY.contains(&index) || (few && node["Filter"].is_null()))
        }
        _ => false,
    };
    // A bitmap does not say of which table it is.
    let table = if table.is_empty() { index_table(index) } else { table };
    if reads_on && GROWING.contains(&table) {
        findings.insert(Finding { statement: statement.to_owned(), table: table.to_owned(), what: format!("{kind} {index}") });
    }
    // Below a limit, and nothing that takes all before it gives the first.
    let few = (few || kind == "Limit") && !["Sort", "Aggregate", "Hash", "HashAggregate", "Materialize"].contains(&kind);
    for child in node["Plans"].as_array().into_iter().flatten() {
        look_at_postgres(statement, child, few, findings);
    }
}

/// The table of an index, by the names we give them.
fn index_table(index: &str) -> &'static str {
    GROWING.iter().filter(|table| index.starts_with(**table)).max_by_key(|table| table.len()).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_all_there_ever_was_on_sqlite() {
    let home = Home::new(Kind::Embedded).await;
    drop(home.quiet_node().await);
    let url = format!("sqlite://{}", home.database_file().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let mut findings = BTreeSet::new();
    look_at_sqlite("without statistics", &mut connection, &mut findings).await;
    describe(&mut connection).await;
    // The statistics are read again at the next connection.
    connection.close().await.unwrap();
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    look_at_sqlite("with statistics", &mut connection, &mut findings).await;
    connection.close().await.unwrap();
    judge(findings);
}

async fn look_at_sqlite(how: &str, connection: &mut SqliteConnection, findings: &mut BTreeSet<Finding>) {
    for Statement { name: statement, text, .. } in statements(Dialect::Sqlite) {
        let plan = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"))).fetch_all(&mut *connection).await;
        let plan = plan.unwrap_or_else(|error| panic!("{statement}: {error}"));
        for line in plan.iter().map(|row| row.get::<String, _>("detail")) {
            let mut words = line.split(' ');
            let (verb, alias) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let Some(table) = table_of(alias, &text) else { continue };
            let index = line.split_once("INDEX ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
            let reads_on = match verb {
                // A table of words is found by a word or by its row, and not read through.
                "SCAN" if line.contains(" VIRTUAL TABLE INDEX ") => !index.contains(['M', '=']),
                "SCAN" => !OPEN_ONLY.contains(&index),
                // Found by a column that has nothing in it.
                "SEARCH" => line.split_once('(').is_some_and(|(_, terms)| {
                    let column = terms.split(['=', '<', '>', ')']).next().unwrap_or_default();
                    terms.starts_with(&format!("{column}=?"))
                        && finds_nothing(column, alias, &text)
                        && !OPEN_ONLY.contains(&index)
                }),
                _ => false,
            };
            if reads_on {
                findings.insert(Finding {
                    statement: statement.clone(),
                    table: table.to_owned(),
                    what: format!("{how}: {line}"),
                });
            }
        }
    }
}

/// A number that is rung every day for years has thousands of dials; which of them its text message is about is found by time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_number_was_rung_for_is_found_by_time() {
    let home = Home::new(Kind::Embedded).await;
    drop(home.quiet_node().await);
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", home.database_file().display())).await.unwrap();
    let given = statements(Dialect::Sqlite).into_iter().find(|own| own.name == "sms::GIVEN").unwrap();
    let plan =
        sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", given.text))).fetch_all(&mut connection).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
    connection.close().await.unwrap();
    for bounded in ["dial_targets_rung (phone=? AND offered_at>? AND offered_at<?)", "hand_overs_lately (number=? AND at>?)"] {
        assert!(plan.iter().any(|line| line.ends_with(bounded)), "{bounded}: {plan:#?}");
    }
}

/// The statement compares this column with nothing (`IS NULL`), and lets SQLite look for rows by that.
fn finds_nothing(column: &str, alias: &str, text: &str) -> bool {
    [format!("{column} IS NULL"), format!("{alias}.{column} IS NULL")]
        .iter()
        .any(|term| [" ", "("].iter().any(|before| text.contains(&format!("{before}{term}"))))
}

/// The growing table behind a name in a plan: the table's own, or the one that the statement gives it.
fn table_of(alias: &str, text: &str) -> Option<&'static str> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')').filter(|w| !w.is_empty()).collect();
    let named = |table: &str| {
        alias == table
            || words.windows(2).any(|pair| pair == [table, alias])
            || words.windows(3).any(|three| three == [table, "AS", alias])
    };
    GROWING.iter().find(|table| named(table)).copied()
}

async fn run(connection: &mut PgConnection, text: &str) {
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await;
    done.unwrap_or_else(|error| panic!("{error}\n{text}"));
}

async fn one(connection: &mut PgConnection, text: &str) -> sqlx::postgres::PgRow {
    let row = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).fetch_one(connection).await;
    row.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A hundred thousand alarms that are over, evenly over a year: each was raised, handed out once, and answered.
async fn fill(connection: &mut PgConnection) {
    run(connection, FILL).await;
}

/// Without the checks of foreign keys, and with the indexes made at the end: a matter of seconds.
const FILL: &str = "
SET session_replication_role = replica;
SET synchronous_commit = off;
CREATE TEMP TABLE kept AS SELECT indexname, indexdef FROM pg_indexes
  WHERE schemaname = current_schema() AND indexname NOT IN (SELECT conname FROM pg_constraint);
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT indexname FROM kept LOOP EXECUTE format('DROP INDEX %I', one.indexname); END LOOP; END $$;
CREATE TEMP TABLE past AS SELECT n,
    timestamptz '2026-01-01' + n * interval '5 minutes' AS at,
    lpad(to_hex(1767225600000 + n * 300000::bigint), 12, '0') || '70008' AS id
  FROM generate_series(1, 100000) n;
CREATE FUNCTION pg_temp.past_id(text, text, bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT ($1 || $2 || lpad(to_hex($3), 14, '0'))::uuid $$;
INSERT INTO people (id, name, language, created_at, updated_at)
  SELECT pg_temp.past_id('00000000000070008', '0', p) , 'Person ' || p, 'en', now(), now() FROM generate_series(1, 20) p;
INSERT INTO handsets (id, name, profile, idle_form, country, ring_seconds, created_at, test_alarm_id)
  SELECT pg_temp.past_id('00000000000070008', '1', n), 'Phone ' || n, 'auto', 'plain', 'CN', 75, now(), pg_temp.past_id(id, '2', n)
    FROM past WHERE n <= 5;
INSERT INTO hunts (id, priority, mode, until, dry_run, step, dials_left, created_at, due_at, begin_before, begin_window_s, begun_at,
    ended_at, outcome)
  SELECT pg_temp.past_id(id, '1', n), n % 3, 'sequential', 'first', FALSE, 0, 1, at, at, at, 3600, at, at + interval '1 minute',
    CASE n % 20 WHEN 0 THEN 'no_answer' ELSE 'answered' END FROM past;
INSERT INTO alarms (id, number, hunt_id, integration_id, source, dedup_key, dedup_open, summary, details, labels, priority, repeats,
    raised_at, last_repeat_at, resolved_at, cancelled_at, group_key)
  SELECT pg_temp.past_id(id, '2', n), (extract(epoch FROM at) * 1000)::bigint, pg_temp.past_id(id, '1', n), 'open', 'monitor ' || n % 20,
    'disk ' || n, n % 3 = 1, 'disk full', '', '{}', n % 3, 0, at, at, CASE n % 3 WHEN 0 THEN at END,
    CASE n % 3 WHEN 2 THEN at END, CASE n % 2 WHEN 0 THEN 'group ' || n END FROM past;
INSERT INTO sought (number, words)
  SELECT (extract(epoch FROM at) * 1000)::bigint, array_to_tsvector(ARRAY['disk', 'full', 'on' || n, 'of' || n % 20, 't4_' || n % 3]) FROM past;
INSERT INTO alarm_hunts (alarm_id, hunt_id, joined_at)
  SELECT pg_temp.past_id(id, '2', n), pg_temp.past_id(id, '1', n), at FROM past;
INSERT INTO callees (id, hunt_id, step, position, person_id, name, number, phone, known_to_plan, max_attempts, min_interval_s, attempts, verdict)
  SELECT pg_temp.past_id(id, '3', n), pg_temp.past_id(id, '1', n), 0, 0, pg_temp.past_id('00000000000070008', '0', n % 20 + 1), 'Person',
    '+8618712345' || lpad((n % 20)::text, 3, '0'), '+8618712345' || lpad((n % 20)::text, 3, '0'), TRUE, 2, 60, 1, 'answered' FROM past;
INSERT INTO dials (mid, hunt_id, handset_id, exclusive, phones, offered_at, deadline, serves, closed_at, outcome, resp, reported_at,
    line_free_at)
  SELECT substr(md5(n::text), 1, 24), pg_temp.past_id(id, '1', n), pg_temp.past_id('00000000000070008', '1', n % 5 + 1), TRUE, '[]', at,
    at + interval '3 minutes', 1, at + interval '1 minute', 'answered', '18712345678', at + interval '1 minute',
    CASE n % 10 WHEN 0 THEN at END FROM past;
INSERT INTO dial_targets (mid, seq, callee_id, number, phone, offered_at, attempts, holds, outcome)
  SELECT substr(md5(n::text), 1, 24), 0, pg_temp.past_id(id, '3', n), '+8618712345' || lpad((n % 20)::text, 3, '0'),
    '+8618712345' || lpad((n % 20)::text, 3, '0'), at, 1, FALSE, 'answered'
    FROM past;
INSERT INTO call_records (mid, place, origin, direction, kind, hunt_id, alarm_id, alarm_number, callee_id, person_id, name, number,
    dialled_number, passes, handset_id, handset, offered_at, outcome, heard)
  SELECT substr(md5(n::text), 1, 24), 0, 'dial', 'outgoing', 'alarm', pg_temp.past_id(id, '1', n), pg_temp.past_id(id, '2', n), n,
    pg_temp.past_id(id, '3', n), pg_temp.past_id('00000000000070008', '0', n % 20 + 1), 'Person', '+8618712345' || lpad((n % 20)::text, 3, '0'),
    '18712345' || lpad((n % 20)::text, 3, '0'), 1, pg_temp.past_id('00000000000070008', '1', n % 5 + 1), 'Phone', at, 'answered', '{}' FROM past;
INSERT INTO call_records (mid, place, origin, direction, kind, person_id, name, number, dialled_number, passes, offered_at, heard, caller,
    said_at, seconds, key_id, contact_id)
  SELECT 'r' || n, 0, 'replicated', 'outgoing', 'call', pg_temp.past_id('00000000000070008', '0', n % 20 + 1), 'Person',
    '+8618712345' || lpad((n % 20)::text, 3, '0'), '18712345' || lpad((n % 20)::text, 3, '0'), 1, at, '{}', '7222', 'then', 45,
    pg_temp.past_id('00000000000070008', '5', n % 5 + 1), n FROM past;
INSERT INTO live_commands (id, handset_id, seq, mid, place, what, made_at, made_by, sent_at, done_at)
  SELECT pg_temp.past_id(id, 'd', n), pg_temp.past_id('00000000000070008', '1', n % 5 + 1), n, substr(md5(n::text), 1, 24), 0, '{}', at, '{}', at, at
    FROM past WHERE n % 5 = 0;
INSERT INTO live_events (handset_id, seq, mid, word, heard_at)
  SELECT pg_temp.past_id('00000000000070008', '1', n % 5 + 1), n, substr(md5(n::text), 1, 24), 'key', at FROM past WHERE n % 5 = 0;
INSERT INTO inbound_calls (mid, handset_id, told_as, channel, caller, called, number, hunt_id, callee_id, alarms, at, deadline, ended_at)
  SELECT 'in' || n, pg_temp.past_id('00000000000070008', '1', n % 5 + 1), n::text, 0, '1', '2', '1', pg_temp.past_id(id, '1', n),
    pg_temp.past_id(id, '3', n), '[]', at, at, at FROM past WHERE n % 5 = 0;
INSERT INTO rpc_resources (id, key_id, kind, spoken, state, number, mid, hunt_id, handset_id, made_at, released_at)
  SELECT 'c' || n, pg_temp.past_id('00000000000070008', '5', n % 5 + 1), 'call', '{}', '{}', '1', 'p' || n, pg_temp.past_id(id, '1', n),
    pg_temp.past_id('00000000000070008', '1', n % 5 + 1), at, at FROM past WHERE n % 5 = 0;
INSERT INTO rpc_requests (key_id, caller, rpc_id, hash, reply, at)
  SELECT pg_temp.past_id('00000000000070008', '5', n % 5 + 1), 'program', n::text, '', '{}', at FROM past WHERE n % 5 = 0;
INSERT INTO rpc_events (key_id, n, body, at)
  SELECT pg_temp.past_id('00000000000070008', '5', n % 7 + 1), n, '{}', at FROM past WHERE n % 5 = 0;
INSERT INTO rpc_consumers (id, key_id, seen_at)
  SELECT 'k' || n, pg_temp.past_id('00000000000070008', '5', n % 7 + 1), at FROM past WHERE n % 5 = 0;
INSERT INTO rpc_files (key_id, name, media_id, at)
  SELECT pg_temp.past_id('00000000000070008', '5', n % 7 + 1), 'f' || n, pg_temp.past_id(id, 'e', n), at FROM past WHERE n % 5 = 0;
INSERT INTO contacts (number) SELECT n::text FROM past;
INSERT INTO shouts (alarm_id, hunt_id, key_id, userdata, caller, status, created_at, finished_at, step, step_at, recipients)
  SELECT pg_temp.past_id(id, '2', n), pg_temp.past_id(id, '1', n), pg_temp.past_id('00000000000070008', '5', n % 5 + 1), 'u' || n % 20, '1',
    'finished', at, at, 0, at, 10 FROM past WHERE n % 5 = 0;
INSERT INTO shout_calls (shout_id, place, phone, number, status, finished_at, callee_id)
  SELECT s.id, p, '1', '+1', 'completed', s.finished_at, CASE p WHEN 0 THEN s.alarm_id END FROM shouts s, generate_series(0, 9) p;
INSERT INTO shout_dnc (key_id, userdata, number, phone, shout_id, at)
  SELECT pg_temp.past_id('00000000000070008', '5', n % 5 + 1), 'u' || n % 20, n::text, '1', n, at FROM past WHERE n % 5 = 0;
INSERT INTO shout_log (kind, at, shout_id, key_id, line)
  SELECT 'cdr', at, n, pg_temp.past_id('00000000000070008', '5', n % 5 + 1), '{}' FROM past;
INSERT INTO answers (id, hunt_id, mid, callee_id, number, person_id, name, handset_id, at, via)
  SELECT pg_temp.past_id(id, '4', n), pg_temp.past_id(id, '1', n), substr(md5(n::text), 1, 24), pg_temp.past_id(id, '3', n), '+8618712345678',
    pg_temp.past_id('00000000000070008', '0', n % 20 + 1), 'Person', pg_temp.past_id('00000000000070008', '1', n % 5 + 1), at, 'handset' FROM past;
INSERT INTO events (alarm_id, hunt_id, at, kind, body)
  SELECT CASE k WHEN 0 THEN pg_temp.past_id(id, '2', n) END, pg_temp.past_id(id, '1', n), at, 'raised', '{}' FROM past, generate_series(0, 3) k;
INSERT INTO events (at, kind, body) SELECT at, 'handset_back', '{}' FROM past WHERE n % 5 = 0;
INSERT INTO events (alarm_id, hunt_id, at, kind, body)
  SELECT pg_temp.past_id(id, '2', n), pg_temp.past_id(id, '1', n), at, k, '{}' FROM past, (VALUES ('given_back'), ('noted')) AS k (k) WHERE n % 2 = 0;
INSERT INTO audit (id, at, operation, kind, subject, doer)
  SELECT n, at, 'alarm_acknowledged', 'alarm', n::text, 'user' FROM past;
INSERT INTO audit_personal (audit_id, at, person_id, doer_name, name)
  SELECT n, at, pg_temp.past_id('00000000000070008', '0', n % 20 + 1), 'user ' || n % 20, n::text FROM past;
INSERT INTO webhooks (id, name, url, shape, kinds, language, created_at)
  VALUES (pg_temp.past_id('00000000000070008', '2', 1), 'chat', 'http://chat', 'json', ',raised,', 'en', now());
INSERT INTO deliveries (id, webhook_id, kind, alarm_id, hunt_id, body, at, due_at, attempts, delivered_at)
  SELECT pg_temp.past_id(id, '5', n), pg_temp.past_id('00000000000070008', '2', 1), 'raised', pg_temp.past_id(id, '2', n),
    pg_temp.past_id(id, '1', n), '{}', at, at, 1, at FROM past;
INSERT INTO handset_commands (id, handset_id, body, created_at, done_at)
  SELECT pg_temp.past_id(id, '6', n), pg_temp.past_id('00000000000070008', '1', n % 5 + 1), '{}', at, at FROM past WHERE n % 5 = 0;
INSERT INTO sms_gateways (id, name, settings, inbound_hash, created_at)
  VALUES (pg_temp.past_id('00000000000070008', '3', 1), 'sms', '{}', '\\x00', now());
INSERT INTO public_lines (id, name, team, number, sms_number, carrier, android, app_build, text, gateway_id, latest_seq, created_at)
  VALUES (pg_temp.past_id('00000000000070008', '4', 1), 'line', 'team', '1', '1', 'c', 10, 'b', 't', pg_temp.past_id('00000000000070008', '3', 1), 20000, now());
INSERT INTO hand_overs (id, line_id, seq, at, person, number, why, verify_alarm_id)
  SELECT pg_temp.past_id(id, '7', n), pg_temp.past_id('00000000000070008', '4', 1), n / 5, at, 'Person',
    '+8618712345' || lpad((n % 20)::text, 3, '0'), 'duty', pg_temp.past_id(id, '2', n) FROM past WHERE n % 5 = 0;
INSERT INTO sms_outbox (id, gateway_id, hand_over_id, number, text, created_at, due_at, attempts, failures, command_id, sent_at)
  SELECT pg_temp.past_id(id, '8', n), pg_temp.past_id('00000000000070008', '3', 1), pg_temp.past_id(id, '7', n), '1', 't', at, at, 1, 0,
    pg_temp.past_id(id, '6', n), at FROM past WHERE n % 5 = 0;
INSERT INTO sms_inbox (id, gateway_id, fingerprint, sender, text, received_at, reply, effect)
  SELECT pg_temp.past_id(id, '9', n), pg_temp.past_id('00000000000070008', '3', 1), decode(md5(n::text), 'hex'), '1', 't', at, 'r', 'none' FROM past WHERE n % 5 = 0;
INSERT INTO handset_outages (handset_id, since, ended_at)
  SELECT pg_temp.past_id('00000000000070008', '1', n % 5 + 1), at, at FROM past WHERE n % 5 = 0;
INSERT INTO idempotency_keys (integration_id, key, request_hash, alarm_id, created_at)
  SELECT 'open', n::text, '\\x00', pg_temp.past_id(id, '2', n), at FROM past WHERE n % 5 = 0;
INSERT INTO repeated_requests (integration_id, key, request_hash, began_at, status, body)
  SELECT 'open', n::text, '\\x00', at, CASE WHEN n % 100 > 0 THEN 201 END, '{}' FROM past WHERE n % 5 = 0;
INSERT INTO schedules (id, name, zone, gaps_allowed, version, log_due_at, created_at, updated_at)
  VALUES (pg_temp.past_id('00000000000070008', '5', 1), 'schedule', 'UTC', TRUE, 1, now(), now(), now());
INSERT INTO duty_log (schedule_id, at, people) SELECT pg_temp.past_id('00000000000070008', '5', 1), at, '[]' FROM past WHERE n % 5 = 0;
INSERT INTO barista_calls (alarm_id, hostname, operator, frequency, language, head_id, foot_id, head_message, message, foot_message, addressees)
  SELECT pg_temp.past_id(id, '2', n), 'h', 'o', 1, 'ja', 1, 1, '', '', '', '[]' FROM past WHERE n % 5 = 0;
INSERT INTO temporaries (id, schedule_id, starts_at, ends_at, name, rule, created_at, created_by)
  SELECT pg_temp.past_id(id, 'b', n), pg_temp.past_id('00000000000070008', '5', 1), at, at + interval '1 hour', 't', '{}', at, 'x'
    FROM past WHERE n % 5 = 0;
INSERT INTO vacations (id, person_id, starts_at, ends_at, note, created_at, created_by)
  SELECT pg_temp.past_id(id, 'c', n), pg_temp.past_id('00000000000070008', '0', n % 20 + 1), at, at + interval '1 hour', '', at, 'x'
    FROM past WHERE n % 5 = 0;
INSERT INTO alarm_texts (alarm_id, whom, priority, sms_id, code, callee_id, hunt_id, at)
  SELECT pg_temp.past_id(id, '2', n), 'person:' || n % 20, 1, pg_temp.past_id(id, '8', n), '2A' || n % 10, pg_temp.past_id(id, '3', n),
    pg_temp.past_id(id, '1', n), at FROM past;
INSERT INTO duty_texts (kind, person_id, schedule_id, starts_at)
  SELECT 'shift', pg_temp.past_id('00000000000070008', '0', n % 20 + 1), pg_temp.past_id('00000000000070008', '5', 1), at
    FROM past WHERE n % 5 = 0;
INSERT INTO duty_swaps (id, schedule_id, person_id, starts_at, ends_at, other_id, note, said, created_at, created_by, said_at, said_by, over_at)
  SELECT pg_temp.past_id(id, 'f', n), pg_temp.past_id('00000000000070008', '5', 1), pg_temp.past_id('00000000000070008', '0', n % 20 + 1), at,
    at + interval '1 hour', pg_temp.past_id('00000000000070008', '0', (n + 1) % 20 + 1), '', 'accepted', at, 'x', at, 'x', at + interval '1 hour'
    FROM past WHERE n % 5 = 0;
INSERT INTO counted_alarms (alarm_id, counted) SELECT pg_temp.past_id(id, '2', n), '{}' FROM past;
INSERT INTO hunt_copies (hunt_id, inherited) SELECT pg_temp.past_id(id, '1', n), '{}' FROM past WHERE n % 5 = 0;
INSERT INTO counted_hunts (hunt_id, counted) SELECT pg_temp.past_id(id, '1', n), '{}' FROM past;
INSERT INTO counted_calls (record_id, counted) SELECT id, '{}' FROM call_records WHERE kind = 'alarm';
INSERT INTO false_alarms (alarm_id, reason, marked_at) SELECT pg_temp.past_id(id, '2', n), 'r', at FROM past WHERE n % 5 = 0;
INSERT INTO figure_days (dimension, day, subject, figures)
  SELECT CASE n % 3 WHEN 0 THEN 'person' WHEN 1 THEN 'team' ELSE 'all' END, date '2000-01-01' + n / 30, n % 30, '{}' FROM past;
INSERT INTO figure_months (dimension, month, subject, figures)
  SELECT 'person', date '2000-01-01' + n / 100 * 31, n % 100, '{}' FROM past;
INSERT INTO overrides (id, schedule_id, starts_at, ends_at, action, person_id, note, created_at, created_by)
  SELECT pg_temp.past_id(id, 'a', n), pg_temp.past_id('00000000000070008', '5', 1), at, at + interval '1 hour', 'add',
    pg_temp.past_id('00000000000070008', '0', n % 20 + 1), '', at, 'x' FROM past WHERE n % 5 = 0;
DO $$ DECLARE one record; BEGIN FOR one IN SELECT indexdef FROM kept LOOP EXECUTE one.indexdef; END LOOP; END $$;
SET session_replication_role = origin;
ANALYZE;
";

/// What ANALYZE would find with a hundred thousand alarms: how many rows an index has, and how many of them share its first columns.
async fn describe(connection: &mut SqliteConnection) {
    let run = async |connection: &mut SqliteConnection, text: String| {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
    };
    // Makes the table of statistics, which is empty like all others.
    run(connection, "ANALYZE; DELETE FROM sqlite_stat1".to_owned()).await;
    let tables = GROWING.iter().map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ");
    let indexes = format!("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({tables})");
    for index in sqlx::raw_sql(AssertSqlSafe(indexes)).fetch_all(&mut *connection).await.unwrap() {
        let (name, table): (String, String) = (index.get(0), index.get(1));
        let rows = if OPEN_ONLY.contains(&name.as_str()) { 20 } else { 100_000 };
        let columns = format!("SELECT name FROM pragma_index_info('{name}') ORDER BY seqno");
        let mut alike = rows;
        let mut statistics = rows.to_string();
        for column in sqlx::raw_sql(AssertSqlSafe(columns)).fetch_all(&mut *connection).await.unwrap() {
            alike = alike.min(match (table.as_str(), column.get(0)) {
                (_, "handset_id" | "schedule_id" | "line_id" | "webhook_id" | "gateway_id" | "integration_id") => 20_000,
                ("call_records", "key_id") => 20_000,
                ("call_records", "kind" | "outcome") | ("alarms", "kind") => 50_000,
                ("dial_targets" | "callees" | "call_records", "number" | "phone") | (_, "source" | "person_id") => 5_000,
                (_, "priority") => 25_000,
                ("shout_log", "kind") => 30_000,
                ("shout_log" | "shouts" | "rpc_events" | "rpc_files" | "rpc_requests" | "rpc_resources", "key_id") => 20_000,
                ("events", "hunt_id") => 4,
                _ => 1,
            });
            statistics = format!("{statistics} {alike}");
        }
        run(connection, format!("INSERT INTO sqlite_stat1 VALUES ('{table}', '{name}', '{statistics}')")).await;
    }
}
