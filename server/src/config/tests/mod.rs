//! What holds for every key, and what is read, and refused.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::loading::{Loading, distance};
use super::secret_files::SECRETS;
use super::*;
use crate::numbers::Region;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const EXAMPLE: &str = include_str!("../../../autocall.example.toml");
const MANUAL: &str = include_str!("../../../../docs/configuration.md");

fn load_all(file: Option<&str>, env: &[(&str, &str)], overrides: Overrides) -> Result<Loaded, ConfigError> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("autocall.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let lookup = |name: &str| env.get(name).map(|value| (*value).to_owned());
    Config::load(file.map(|_| path.as_path()), lookup, overrides)
}

fn from_file(text: &str) -> Result<Config, ConfigError> {
    load_all(Some(text), &[], Overrides::default()).map(|loaded| loaded.config)
}

fn from_env(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_all(None, env, Overrides::default()).map(|loaded| loaded.config)
}

fn refused(result: Result<Config, ConfigError>) -> String {
    match result {
        Err(ConfigError::Refused(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => panic!("should have been refused: {other:?}"),
    }
}

/// The example with its key lines switched on.
fn uncommented_example() -> String {
    let is_setting = |rest: &str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_setting(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_configured_gives_the_defaults() {
    let loaded = load_all(None, &[], Overrides::default()).unwrap();
    assert_eq!(loaded, Loaded { config: Config::default(), warnings: Vec::new(), secrets_in_file: Vec::new() });
    let config = loaded.config;
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.http.open_networks.len(), 2);
    assert_eq!(config.handsets.dial_time(1, Duration::ZERO), Duration::from_mins(3));
    assert_eq!(config.handsets.dial_time(3, Duration::ZERO), Duration::from_secs(285));
    assert_eq!(config.handsets.dial_time(usize::MAX, Duration::ZERO).as_secs(), 60 + 75 * u64::from(u32::MAX));
}

#[test]
fn the_example_as_it_is_and_with_everything_switched_on_gives_the_defaults() {
    assert_eq!(from_file(EXAMPLE).unwrap(), Config::default());
    let mut written = from_file(&uncommented_example()).unwrap();
    // Whoever writes the default down says that this computer may come in.
    assert!(std::mem::take(&mut written.http.loopback_listed) && std::mem::take(&mut written.http.networks_listed));
    assert_eq!(written, Config::default());
}

#[test]
fn the_example_shows_every_key_with_its_default_and_its_variable() {
    let on = uncommented_example();
    let mut section = String::new();
    let mut shown = BTreeMap::new();
    for (line, switched_on) in EXAMPLE.lines().zip(on.lines()) {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if line != switched_on {
            let (key, value) = switched_on.split_once(" = ").unwrap();
            shown.insert(format!("{section}{key}"), value.to_owned());
        }
    }
    for key in keys() {
        let value = shown.remove(key.path).unwrap_or_else(|| panic!("{} is not in the example", key.path));
        assert_eq!(value, key.shown(&Config::default()), "{}", key.path);
        let variable = format!("({})", key.env);
        assert!(EXAMPLE.contains(&variable), "{variable} is not in the example");
    }
    for secret in &SECRETS {
        assert_eq!(shown.remove(secret.file_path).as_deref(), Some("\"\""), "{}", secret.file_path);
        assert!(EXAMPLE.contains(&format!("({})", secret.file_env)), "{} is not in the example", secret.file_env);
    }
    assert_eq!(shown, BTreeMap::new(), "keys in the example that do not exist");
}

#[test]
fn the_manual_has_the_row_of_every_key_and_no_other() {
    // Other sections of the manual have tables of their own.
    let section = MANUAL.split("\n## ").find(|part| part.starts_with("All keys")).unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = keys().map(Key::manual_row).collect();
    assert_eq!(rows, expected, "the table in docs/configuration.md should be:\n{}", expected.join("\n"));
}

#[test]
fn the_manual_lists_secrets_from_files_and_what_is_read_at_start() {
    let section = |name: &str| MANUAL.split("\n## ").find(|part| part.starts_with(name)).unwrap_or_default();
    let rows: Vec<&str> = section("Secrets from files").lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> =
        SECRETS.iter().map(|secret| format!("| `{}` | `{}` | `{}` |", secret.path, secret.file_path, secret.file_env)).collect();
    assert_eq!(rows, expected, "the table of secrets should be:\n{}", expected.join("\n"));
    let listed: Vec<&str> = section("While it runs")
        .lines()
        .filter_map(|line| line.strip_prefix("- `"))
        .flat_map(|line| line.split('`').step_by(2))
        .collect();
    assert_eq!(listed, super::live::AT_START, "the list of what is read at start");
}

#[test]
fn secrets_are_the_keys_whose_values_are_hidden() {
    let secrets: Vec<&str> = SECRETS.iter().map(|secret| secret.path).collect();
    for key in keys().filter(|key| key.kind == ValueKind::Text) {
        let mut config = Config::default();
        let text = ["postgres://u:hush@h/d", "redis://:hush@h", "https://u:hush@h/", "https://u:hu.sh@h"];
        let taken = text.into_iter().any(|text| (key.set)(&mut config, &Value::Text(text.to_owned())).is_ok());
        let hidden = taken && key.shown(&config).contains("***");
        assert_eq!(hidden, secrets.contains(&key.path), "{}", key.path);
        for secret in SECRETS.iter().filter(|secret| secret.path == key.path) {
            assert_eq!(secret.env, key.env);
        }
    }
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = put("good", b"postgres://u:hush@db/x\r\n");
    let exposed = |config: Config| config.database_url.map(|url| url.expose().to_owned());
    let wanted = Some("postgres://u:hush@db/x".to_owned());
    assert_eq!(exposed(from_file(&format!("database_url_file = '{good}'")).unwrap()), wanted);
    assert_eq!(exposed(from_env(&[("DATABASE_URL_FILE", &good)]).unwrap()), wanted);
    let loaded = load_all(Some(&format!("database_url_file = '{good}'")), &[], Overrides::default()).unwrap();
    assert_eq!(loaded.secrets_in_file, [""; 0]);
    let loaded = load_all(Some("database_url = 'postgres://u:hush@db/x'"), &[], Overrides::default()).unwrap();
    assert_eq!(loaded.secrets_in_file, ["database_url"]);
    // Later places win, whatever form they have.
    let other = [("DATABASE_URL", "postgres://other/x")];
    let won = load_all(Some(&format!("database_url_file = '{good}'")), &other, Overrides::default()).unwrap();
    assert_eq!(exposed(won.config).as_deref(), Some("postgres://other/x"));
    let won =
        load_all(Some("database_url = 'postgres://other/x'"), &[("DATABASE_URL_FILE", &good)], Overrides::default()).unwrap();
    assert_eq!(exposed(won.config), wanted);
    let ping = put("ping", b"https://up.example.org/hush");
    let config = from_file(&format!("[notify]\nping_url_file = '{ping}'")).unwrap();
    assert_eq!(config.notify.ping_url.unwrap().expose(), "https://up.example.org/hush");
    assert!(from_file("database_url_file = ''").unwrap().database_url.is_none(), "empty is absent");
    assert_eq!(unknown_variables(SECRETS.map(|secret| secret.file_env.to_owned())), [""; 0]);

    let folder_itself = folder.path().to_str().unwrap().to_owned();
    let wrong = [
        (put("empty", b"\n\n"), "which is empty"),
        (put("two", b"postgres://u:hush@db/x\npostgres://u:hush@db/y\n"), "more than one line"),
        (put("long", "hush".repeat(5_000).as_bytes()), "more than 16384 bytes"),
        (put("bytes", b"hush\xff"), "which holds no text"),
        (put("other", b"redis://:hush@cache"), "what stands in it must be a URL that begins with postgres://"),
        (folder_itself, "which is no file"),
        ("/nowhere/hush".to_owned().replace("hush", "url"), "cannot be read"),
        ("secrets/url".to_owned(), "must be the whole path of a file"),
    ];
    for (file, told) in wrong {
        let in_file = refused(from_file(&format!("\ndatabase_url_file = '{file}'")));
        assert!(in_file.starts_with("autocall.toml line 2: database_url_file ") && in_file.contains(told), "{in_file}");
        let in_env = refused(from_env(&[("DATABASE_URL_FILE", &file)]));
        assert!(in_env.starts_with("environment variable DATABASE_URL_FILE: ") && in_env.contains(told), "{in_env}");
        assert!(!in_file.contains("hush") && !in_env.contains("hush"), "{in_file} {in_env}");
    }
    let both = format!("database_url = 'postgres://db/x'\ndatabase_url_file = '{good}'");
    assert!(refused(from_file(&both)).contains("line 2: database_url and database_url_file are both given"));
    let both = refused(from_env(&[("REDIS_URL", "redis://h"), ("REDIS_URL_FILE", &put("redis", b"redis://h"))]));
    assert!(both.contains("REDIS_URL_FILE: REDIS_URL is given as well"), "{both}");
    assert!(refused(from_file("database_url_fil = 'x'")).contains("did you mean database_url_file?"));
}

#[test]
fn keys_and_variables_are_unique_and_named_alike() {
    let paths: BTreeSet<_> = keys().map(|key| key.path).collect();
    let variables: BTreeSet<_> = keys().map(|key| key.env).collect();
    assert_eq!((paths.len(), variables.len()), (keys().count(), keys().count()));
    for key in keys().filter(|key| !["database_url", "redis_url"].contains(&key.path)) {
        assert_eq!(key.env, format!("AUTOCALL_{}", key.path.replace('.', "_").to_ascii_uppercase()));
    }
}

#[test]
fn ranges_are_told_in_the_manual_and_held() {
    for key in keys() {
        let ValueKind::Integer(least, most) = key.kind else {
            continue;
        };
        assert!(key.meaning.contains(&format!("{least} to {most}")), "{} does not tell its range", key.path);
        for number in [least, most] {
            let config = from_env(&[(key.env, &number.to_string())]).unwrap();
            assert_eq!(key.shown(&config), number.to_string(), "{}", key.path);
        }
        for number in [least - 1, most + 1] {
            let told = refused(from_env(&[(key.env, &number.to_string())]));
            assert!(told.contains(key.env) && told.contains(&number.to_string()), "{told}");
        }
    }
}

#[test]
fn later_places_win() {
    let file = "listen = '127.0.0.1:1'\ndata_dir = 'file'\n[alarms]\nattempts = 3\nmax_phones = 7";
    let env = [("AUTOCALL_LISTEN", "127.0.0.1:2"), ("AUTOCALL_DATA_DIR", "env"), ("AUTOCALL_ALARMS_ATTEMPTS", "4")];
    let command_line = Overrides { listen: Some(([127, 0, 0, 1], 3).into()), data_dir: None };
    let config = load_all(Some(file), &env, command_line).unwrap().config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.data_dir, Path::new("env"));
    assert_eq!(config.alarms.attempts, 4);
    assert_eq!(config.alarms.max_phones, 7);
}

#[test]
fn every_section_can_be_written_in_full() {
    let config = from_file(
        r#"
        listen = "[::1]:9090"
        database_url = "postgresql://u:hush-hush@db/autocall"
        redis_url = "redis://:hush-hush@cache:6379/2"
        default_region = "jp"
        log = { format = "json", filter = "warn,autocall::engine=debug" }
        handsets.plain_path = "never"
        handsets.profile = "app"
        handsets.idle_form = "headless_safe"
        [http]
        hosts = ["Alerts.Example.ORG.", "intern"]
        open_networks = ["10.1.2.3/8", "192.168.7.9", "fd00::/8"]
        body_limit_bytes = 0x1_0000
        "#,
    )
    .unwrap();
    assert_eq!(config.http.hosts, ["alerts.example.org", "intern"]);
    let networks: Vec<String> = config.http.open_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.168.7.9/32", "fd00::/8"]);
    assert_eq!(config.http.body_limit_bytes, 65536);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.handsets.plain_path, PlainPath::Never);
    assert_eq!(config.handsets.profile, ProfileChoice::App);
    assert_eq!(config.handsets.idle_form, IdleForm::HeadlessSafe);
    assert_eq!(config.handsets.country.as_str(), "JP", "follows the default region");
    assert_eq!(config.database_url.as_ref().unwrap().expose(), "postgresql://u:hush-hush@db/autocall");
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    for key in keys() {
        assert!(!key.shown(&config).contains("hush"));
    }
}

#[test]
fn the_environment_writes_lists_with_commas_and_empties_them() {
    let config = from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", " 10.0.0.0/8, 192.168.1.5 ,")]).unwrap();
    assert_eq!(config.http.open_networks.len(), 2);
    let config = from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", "")]).unwrap();
    assert!(config.http.open_networks.is_empty());
    let config = from_env(&[("DATABASE_URL", ""), ("AUTOCALL_LISTEN", " "), ("AUTOCALL_ALARMS_ATTEMPTS", "")]);
    assert_eq!(config.unwrap(), Config::default());
}

#[test]
fn the_country_of_the_handsets_follows_the_region_unless_configured() {
    let country = |env: &[(&str, &str)]| from_env(env).unwrap().handsets.country.to_string();
    assert_eq!(country(&[("AUTOCALL_DEFAULT_REGION", "GB")]), "GB");
    assert_eq!(country(&[("AUTOCALL_DEFAULT_REGION", "GB"), ("AUTOCALL_HANDSETS_COUNTRY", "ie")]), "IE");
    let file = "default_region = 'US'\nhandsets.country = 'CN'";
    assert_eq!(from_file(file).unwrap().handsets.country, Region::CN);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (file, told) in [
        ("\n\nlisten = 8080", "autocall.toml line 3: listen must be a string in quotation marks; it is an integer here"),
        ("listen = \"localhost:80\"", "autocall.toml line 1: listen must be an IP address and a port"),
        ("[http]\n\nbody_limit = 5", "autocall.toml line 3: http.body_limit is not a known key"),
        ("[http]\nrequest_timeout_second = 5", "did you mean http.request_timeout_seconds?"),
        ("open_networks = []", "did you mean http.open_networks?"),
        ("[htpp]\nhosts = []", "autocall.toml line 1: htpp is not a known key"),
        ("http = 5", "http is a section; write [http]"),
        ("[listen]\nport = 5", "autocall.toml line 1: listen must be a string"),
        (
            "[handsets]\ndial_base_seconds = 120",
            "autocall.toml line 2: handsets.dial_base_seconds is no key any more: take it out; write handsets.patience_seconds = 120 instead",
        ),
        ("[handsets]\ndial_minimum_seconds = 100", "write handsets.patience_seconds = 34"),
        (
            "[handsets]\ndial_seconds_per_number = 90",
            "as long as a call rings, and with a patience of 60 s 75 s at least: see handsets.ring_seconds",
        ),
        ("[handsets]\ngrace_seconds = 60", "it is 90 s, less where handsets.patience_seconds is below 60"),
        ("[alarms]\ndry_run_ring_seconds = 5", "each number rings for 30 s"),
        ("[alarms]\nattempts = 11", "autocall.toml line 2: alarms.attempts must be from 1 to 10; it is 11"),
        ("[alarms]\nattempts = 99999999999999999999", "must be from 1 to 10"),
        ("[alarms]\nattempts = 2.0", "must be a whole number from 1 to 10; it is a float here"),
        ("[log]\nformat = \"xml\"", "log.format must be one of text, json; it is \"xml\""),
        ("[log]\nfilter = \"autocall=loud\"", "log.filter is no log filter"),
        ("[http]\nhosts = [\n'a',\n 5]", "http.hosts must be a list of strings only"),
        ("[http]\nhosts = ['http://a']", "without http:// and port"),
        ("[http]\nopen_networks = ['10.0.0.0/33']", "http.open_networks holds \"10.0.0.0/33\""),
        ("database_url = 'mysql://root:secret@db/x'", "must be a URL that begins with postgres://"),
        ("redis_url = 'redis://'", "must be a URL that begins with redis://"),
        ("redis_url = 'redis+tls://cache'", "must be a URL that begins with redis:// or rediss://"),
        ("redis_url = 'rediss://cache/#insecure'", "redis_url holds a #"),
        ("redis_url = 'redis://cache/?sslrootcert=/ca.pem'", "write rediss://"),
        ("[http]\ntls_listen = '8443'", "http.tls_listen must be an IP address and a port"),
        ("[http]\ntls_key = 'server.key'", "http.tls_key must be the whole path of a file"),
        ("default_region = 'UK'", "must be the two-letter ISO 3166 code"),
        ("listen = ", "autocall.toml line 1: this is no TOML"),
        ("log.format = 'text'\n[log]\nfilter = 'info'", "autocall.toml line 2: this is no TOML"),
        ("a = 1\na = 2", "autocall.toml line 2: this is no TOML"),
        ("\u{feff}\nlisten = 1", "autocall.toml line 2: listen must"),
    ] {
        let answer = refused(from_file(file));
        assert!(answer.contains(told), "{file:?} gave: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let file = "[http]\nzzz = 1\nmax_connections = 1\n[alarms]\nattempts = 0";
    let answer = refused(load_all(Some(file), &[("REDIS_URL", "x")], Overrides::default()).map(|it| it.config));
    let places: Vec<&str> = answer.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        ["autocall.toml line 2", "autocall.toml line 3", "autocall.toml line 5", "environment variable REDIS_URL"]
    );
}

#[test]
fn a_missing_file_is_told_by_name() {
    let error = Config::load(Some(Path::new("/nowhere/autocall.toml")), |_| None, Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/autocall.toml"), "{error}");
}

#[test]
fn open_doors_are_warned_about() {
    let env = [("AUTOCALL_HTTP_OPEN_NETWORKS", "0.0.0.0/0"), ("AUTOCALL_HTTP_TRUSTED_PROXIES", "::/0")];
    let warnings = load_all(None, &env, Overrides::default()).unwrap().warnings;
    assert_eq!(warnings.iter().filter(|warning| warning.contains("everybody")).count(), 2, "{warnings:?}");
}

#[test]
fn lines_on_which_others_may_listen_are_warned_about() {
    let warned = |env: &[(&str, &str)]| load_all(None, env, Overrides::default()).unwrap().warnings;
    let open = warned(&[("DATABASE_URL", "postgres://u:hush@db/a"), ("REDIS_URL", "redis://:hush@cache")]);
    assert!(open.len() == 2 && open[0].contains("sslmode=verify-full") && open[1].contains("rediss://"), "{open:?}");
    assert!(open.iter().all(|warning| !warning.contains("hush")), "{open:?}");
    let closed = [("DATABASE_URL", "postgres://db/a?sslmode=verify-full"), ("REDIS_URL", "rediss://cache")];
    assert_eq!(warned(&closed), [""; 0]);
    let unused = warned(&[("AUTOCALL_HTTP_TLS_CERTIFICATE", "/a.pem"), ("AUTOCALL_HTTP_TLS_KEY", "/a.key")]);
    assert!(unused.len() == 1 && unused[0].contains("http.tls_listen is not set"), "{unused:?}");
}

#[test]
fn a_path_in_front_that_is_one_of_ours_is_warned_about() {
    let load =
        |url| load_all(None, &[("AUTOCALL_HTTP_PUBLIC_URL", url), ("AUTOCALL_HTTP_OPEN_NETWORKS", "::1")], Overrides::default());
    let warned = |url| load(url).unwrap().warnings.iter().any(|warning| warning.contains("begins like one of this server's own"));
    assert!(warned("https://example.org/alarms/") && warned("http://example.org:8080/h/b"));
    assert!(!warned("https://example.org/") && !warned("http://example.org:8080/pager/") && !warned("https://example.org/a/h"));
}

#[test]
fn a_proxy_in_front_closes_this_computer_unless_it_is_listed() {
    const URL: &str = "AUTOCALL_HTTP_PUBLIC_URL";
    let behind = |env: &[(&str, &str)]| {
        let loaded = load_all(None, env, Overrides::default()).unwrap();
        (loaded.config.http.proxy_sign, loaded.config.http.open_networks.len(), loaded.warnings.len())
    };
    assert_eq!(behind(&[]), (None, 2, 0));
    assert_eq!(behind(&[("AUTOCALL_HTTP_HOSTS", "pager.example.org")]), (None, 2, 0), "a name alone says nothing");
    assert_eq!(behind(&[(URL, "http://pager.example.org:8080")]), (None, 2, 0), "our own port");
    assert_eq!(behind(&[(URL, "https://pager.example.org:8080")]), (Some(ProxySign::Https), 0, 1));
    assert_eq!(behind(&[(URL, "http://pager.example.org")]), (Some(ProxySign::Port(80)), 0, 1));
    let local = ("AUTOCALL_LISTEN", "127.0.0.1:8080");
    assert_eq!(behind(&[local, (URL, "http://pager.example.org:8080")]), (Some(ProxySign::Unreachable), 0, 1));
    assert_eq!(behind(&[local, (URL, "http://localhost:8080")]), (None, 2, 0));
    assert_eq!(behind(&[local, (URL, "http://[::1]:8080")]), (None, 2, 0));
    assert_eq!(behind(&[("AUTOCALL_HTTP_TRUSTED_PROXIES", "10.0.0.7")]), (Some(ProxySign::Trusted), 0, 1));
    let listed = ("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8,10.0.0.0/8");
    assert_eq!(behind(&[listed, (URL, "https://pager.example.org")]), (Some(ProxySign::Https), 2, 0), "it says so itself");
    let warned = load_all(None, &[(URL, "https://pager.example.org")], Overrides::default()).unwrap().warnings;
    assert!(warned[0].contains("trusted_proxies = [\"127.0.0.1\", \"::1\"]"), "{warned:?}");
}

#[test]
fn an_ipv4_network_in_ipv6_form_is_that_network() {
    let config = from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", "::ffff:10.1.0.0/112,::ffff:192.168.7.9,::ffff:0:0/96,fd00::/8")]);
    let networks: Vec<String> = config.unwrap().http.open_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.1.0.0/16", "192.168.7.9/32", "0.0.0.0/0", "fd00::/8"]);
}

#[test]
fn a_variable_that_was_given_up_is_refused() {
    let told = refused(from_env(&[("AUTOCALL_HANDSETS_DIAL_MINIMUM_SECONDS", "600")]));
    let wanted = "environment variable AUTOCALL_HANDSETS_DIAL_MINIMUM_SECONDS: is no key any more: take it out; \
                  write handsets.patience_seconds = 200";
    assert!(told.starts_with(wanted), "{told}");
    assert!(from_env(&[("AUTOCALL_HANDSETS_GRACE_SECONDS", " ")]).is_ok(), "empty is absent");
}

#[test]
fn unknown_variables_are_warned_about() {
    let names = ["PATH", "AUTOCALL_LISTEN", "AUTOCALL_LISTN", "AUTOCALL_CONFIG", "AUTOCALL_SOMETHING_ELSE"];
    let warnings = unknown_variables(names.map(str::to_owned));
    assert_eq!(
        warnings,
        [
            "environment variable AUTOCALL_LISTN is not known and has no effect; did you mean AUTOCALL_LISTEN?",
            "environment variable AUTOCALL_SOMETHING_ELSE is not known and has no effect",
        ]
    );
}

#[test]
fn passwords_are_hidden_wherever_they_stand() {
    for url in [
        "postgres://u:secret@h/d",
        "postgres://u:sec@secret@h/d",
        "postgres://u:a/secret@h/d",
        "redis://:secret@h",
        "postgres://h/d?user=u&password=secret",
        "postgres://h/d?sslpassword=secret",
        "postgres://u:a?secret@h/d",
    ] {
        let shown = SecretUrl(url.to_owned()).to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }
    assert_eq!(
        SecretUrl("postgres://u:p@h:5/d?sslmode=require".to_owned()).to_string(),
        "postgres://u:***@h:5/d?sslmode=require"
    );
}

#[test]
fn distances() {
    assert_eq!(distance("", ""), 0);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("kitten", "sitting"), 3);
    assert_eq!(distance("listen", "listn"), 1);
}

proptest! {
    #[test]
    fn no_file_panics(text in "([a-z_.]{1,12}( = |=)?[-0-9a-z\"'\\[\\],{}\n]{0,8}\n?){0,6}|\\PC{0,60}") {
        let mut loading = Loading::default();
        loading.read_file("autocall.toml", &text);
        for problem in loading.problems {
            if let Place::Line { line, .. } = problem.place {
                prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
            }
        }
    }

    #[test]
    fn no_variable_panics(text in "\\PC{0,40}") {
        let _ = from_env(&keys().map(|key| (key.env, text.as_str())).collect::<Vec<_>>());
    }
}
