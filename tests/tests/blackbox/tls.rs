//! Scenario: TLS of the server's own, and to its database and Redis, with curl and openssl at the other end. Certificates of every kind of
//! wrong are refused with a sentence, and while the server runs the one of before stays.

use std::{cell::Cell, fs, path::Path, process::Output, process::Stdio, time::Duration};

use autocall_tests::{
    postgres::PrivatePostgres,
    redis::{PrivateRedis, reserve_port},
    server::{Binary, ServeOptions, autocall},
    wait::eventually,
};
use chrono::TimeDelta;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{client::Client, raw::Reply, world::SOON};

/// The server looks for a lost Redis at growing intervals.
const ASKED: Duration = Duration::from_secs(90);
const ZHANG: &str = "18712345678";
/// What a server here is called.
const NAMES: &str = "DNS:localhost,DNS:pager.example.org,IP:127.0.0.1";

/// How openssl signs: whatever it is asked, and as often as it is asked.
const SIGNING: &str = "[ca]
default_ca = signing
[signing]
database = signed
new_certs_dir = new_certs
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anybody
[anybody]
commonName = supplied
";

/// Certificates and keys, made by openssl: `NAME.pem` and `NAME.key`.
struct Openssl {
    folder: TempDir,
}

impl Openssl {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, words: &[&str]) -> String {
        let done = std::process::Command::new("openssl").args(words).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn key(&self, name: &str) {
        let file = format!("{name}.key");
        self.run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file]);
    }

    /// An authority; its certificate says that its name is `called`.
    fn authority(&self, name: &str, called: &str) {
        self.key(name);
        let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={called}"));
        self.run(&["req", "-x509", "-new", "-days", "30", "-subj", &subject, "-key", &key, "-out", &pem]);
    }

    /// A certificate that an authority has signed. It begins the day before yesterday, so with -1 days it is over, and held before that.
    fn signed(&self, name: &str, by: &str, extensions: &str, days: i64) {
        self.key(name);
        let file = |kind: &str| format!("{name}.{kind}");
        let write = |name: &str, text: &str| fs::write(self.folder.path().join(name), text).unwrap();
        write(&file("ext"), extensions);
        write("signing.conf", SIGNING);
        write("signed", "");
        let new = self.folder.path().join("new_certs");
        fs::create_dir_all(new).unwrap();
        self.run(&["req", "-new", "-subj", &format!("/CN={name}"), "-key", &file("key"), "-out", &file("csr")]);
        let at = |days| (autocall::clock::Clock::system().now() + TimeDelta::days(days)).format("%Y%m%d%H%M%SZ").to_string();
        let (authority, authority_key, begin, end) = (format!("{by}.pem"), format!("{by}.key"), at(-2), at(days));
        let mut words =
            vec!["ca", "-batch", "-notext", "-config", "signing.conf", "-cert", &authority, "-keyfile", &authority_key];
        let (csr, ext, pem) = (file("csr"), file("ext"), file("pem"));
        words.extend(["-startdate", &begin, "-enddate", &end, "-in", &csr, "-extfile", &ext, "-out", &pem]);
        self.run(&words);
    }

    /// One for this computer.
    fn server(&self, name: &str, by: &str) {
        self.signed(name, by, &format!("subjectAltName={NAMES}\nbasicConstraints=CA:FALSE\n"), 30);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file as a whole, as those do who renew certificates.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// From now on `shown.pem` and `shown.key` are these.
    fn show(&self, pem: &str, key: &str) {
        self.put("shown.key", &self.text(key));
        self.put("shown.pem", &self.text(pem));
    }
}

/// A server that speaks TLS with `shown.pem` and `shown.key`.
struct Secured {
    server: Binary,
    port: u16,
}

impl Secured {
    async fn start(files: &Openssl) -> Self {
        Self::start_with(files, ServeOptions::new(), &[]).await
    }

    async fn start_with(files: &Openssl, options: ServeOptions, env: &[(&str, &str)]) -> Self {
        let port = reserve_port();
        let options = options
            .env("AUTOCALL_HTTP_TLS_LISTEN", format!("127.0.0.1:{port}"))
            .env("AUTOCALL_HTTP_TLS_CERTIFICATE", files.path("shown.pem"))
            .env("AUTOCALL_HTTP_TLS_KEY", files.path("shown.key"));
        let options =
            env.iter().fold(options, |options, (name, value)| options.env(*name, value.replace("PORT", &port.to_string())));
        Self { server: Binary::spawn(options).await, port }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The certificate that it shows, by its fingerprint, as openssl sees it.
    async fn shows(&self) -> String {
        let mut ask = tokio::process::Command::new("openssl");
        let address = format!("127.0.0.1:{}", self.port);
        ask.args(["s_client", "-connect", &address, "-servername", "localhost", "-showcerts"]).stdin(Stdio::null());
        let output = tokio::time::timeout(SOON, ask.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let begin = said.find("-----BEGIN").unwrap_or_else(|| panic!("no certificate: {said}"));
        said[begin..].split_inclusive("-----END CERTIFICATE-----").next().unwrap().to_owned()
    }

    /// Has it look at its files, and gives what it says of them.
    async fn looks(&self) -> String {
        let before = self.server.log().len();
        self.server_signal();
        eventually("the files to be looked at", SOON, async || {
            let log = self.server.log();
            let new = log.get(before..)?;
            // The last word about a signal.
            new.contains("says the same as before").then(|| new.to_owned())
        })
        .await
    }

    fn server_signal(&self) {
        let pid = self.server.process_id().to_string();
        let done = std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        assert!(done.success());
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// What curl says; `Err` with its complaint when there is no connection that it trusts.
async fn curl(authority: &str, words: &[&str]) -> Result<String, String> {
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sS", "-m", "30", "--noproxy", "*", "--cacert", authority]).args(words);
    let output = curl.kill_on_drop(true).output().await.unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(told(&output)),
    }
}

/// A certificate as it stands between its lines, whatever stands around it.
fn own(pem: &str) -> String {
    let begin = pem.find("-----BEGIN").unwrap();
    pem[begin..].split_inclusive("-----END CERTIFICATE-----").next().unwrap().to_owned()
}

#[tokio::test]
async fn everybody_comes_by_tls_as_by_plain_http() {
    let files = Openssl::new();
    files.authority("ca", "ca");
    files.server("pager", "ca");
    files.show("pager.pem", "pager.key");
    // Others reach it by itself: on an address of this computer alone there would have to be a proxy in front.
    let env = [
        ("AUTOCALL_HTTP_TLS_LISTEN", "0.0.0.0:PORT"),
        ("AUTOCALL_HTTP_PUBLIC_URL", "https://pager.example.org:PORT"),
        ("AUTOCALL_HTTP_HOSTS", "pager.example.org"),
    ];
    let here = Secured::start_with(&files, ServeOptions::new(), &env).await;
    let ca = files.path("ca.pem");
    let get = async |words: &[&str]| curl(&ca, words).await.unwrap();

    // This computer is an open network still: nobody else has to speak https for this server.
    let alarm = get(&["-d", &format!(r#"{{"summary":"disk","phones":["{ZHANG}"]}}"#), &here.url("/api/v1/alarms")]).await;
    let alarm: Value = serde_json::from_str(&alarm).unwrap();
    let id = alarm["id"].as_str().unwrap();
    let poll = eventually("the alarm to be handed out", SOON, async || {
        let offer: Value = serde_json::from_str(&get(&["-H", "model: one", &here.url("/alert/phone")]).await).unwrap();
        offer["mid"].is_string().then_some(offer)
    })
    .await;
    let report = here.url(&format!("/alert/phone?resp={ZHANG}&mid={}", poll["mid"].as_str().unwrap()));
    assert_eq!(get(&["-X", "POST", &report]).await, r#"{"code":0}"#);
    // On the plain address it is the same alarm.
    assert_eq!(Client::new(&here.server).alarm(id).await["state"], "answered");

    let head = async |words: &[&str]| {
        get(&[&["-D", "-", "-o", "/dev/null", "-H", "accept: text/html"][..], words].concat()).await.to_lowercase()
    };
    let by_name = format!("https://pager.example.org:{}/login", here.port);
    let resolve = format!("pager.example.org:{}:127.0.0.1", here.port);
    let page = head(&["--resolve", &resolve, &by_name]).await;
    assert!(page.contains("strict-transport-security: max-age=15552000\r\n"), "{page}");
    assert!(
        page.contains("set-cookie:")
            && page.lines().filter(|line| line.starts_with("set-cookie")).all(|line| line.contains("; secure")),
        "{page}"
    );
    for (private, secure) in [(here.url("/login"), true), (format!("{}/login", here.server.url()), false)] {
        let page = head(&[&private]).await;
        assert!(!page.contains("strict-transport-security"), "{private}: {page}");
        assert!(page.contains("set-cookie:") && page.contains("; secure") == secure, "{private}: {page}");
    }
    // Whoever trusts nobody does not come in, and the log says why.
    files.authority("other", "other");
    let refused = curl(&files.path("other.pem"), &[&here.url("/healthz")]).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    eventually("the log to say it", SOON, async || {
        here.server.log().contains("it does not trust the certificate that it was shown").then_some(())
    })
    .await;
    let metrics = get(&[&here.url("/metrics")]).await;
    assert!(metrics.contains(r#"autocall_tls_handshakes_total{outcome="failed"} 1"#), "{metrics}");
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_and_holds_nobody_up() {
    let files = Openssl::new();
    files.authority("ca", "ca");
    files.server("pager", "ca");
    files.show("pager.pem", "pager.key");
    let here = Secured::start(&files).await;
    let address = format!("127.0.0.1:{}", here.port);
    let mut silent = Vec::new();
    for count in 0..40 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if count % 2 == 0 {
            // The beginning of a first packet, and no more.
            stream.write_all(&[0x16, 3, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    assert!(curl(&files.path("ca.pem"), &[&here.url("/healthz")]).await.is_ok(), "others are not held up");

    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /alert/phone HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    plain.read_to_end(&mut said).await.unwrap();
    let reply = Reply::parse(&said);
    assert_eq!(reply.status, 400);
    assert!(reply.for_the_app()["msg"].as_str().unwrap().contains("https://"), "{reply:?}");
    assert!(here.server.log().contains("it does not speak TLS"), "{}", here.server.log());
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_bad_one_changes_nothing() {
    let files = Openssl::new();
    files.authority("ca", "authority");
    files.authority("old-ca", "authority");
    for name in ["first", "second", "third"] {
        files.server(name, "ca");
    }
    files.signed("over", "ca", &format!("subjectAltName={NAMES}\n"), -1);
    files.run(&["pkcs8", "-topk8", "-in", "second.key", "-passout", "pass:x", "-out", "locked.key"]);
    files.put("cut.pem", &files.text("second.pem")[..300]);
    files.put("stale.pem", &format!("{}{}", files.text("second.pem"), files.text("old-ca.pem")));
    files.put("none.pem", "\n");
    files.show("first.pem", "first.key");
    let here = Secured::start(&files).await;
    let ca = files.path("ca.pem");
    let first = own(&files.text("first.pem"));
    assert_eq!(here.shows().await, first);

    for (pem, key, why) in [
        ("second.pem", "first.key", "the key is not that of the certificate"),
        ("second.pem", "locked.key", "the key is encrypted with a password"),
        ("second.pem", "second.pem", "the file of the key holds none"),
        ("cut.pem", "second.key", "certificate number 1 in the file is broken"),
        ("none.pem", "second.key", "the file of the certificate holds none"),
        ("stale.pem", "second.key", "an old one was left there"),
        ("over.pem", "over.key", "the certificate ended on "),
    ] {
        files.show(pem, key);
        let said = here.looks().await;
        assert!(said.contains(why) && said.contains("the one of before is shown on"), "{pem}, {key}: {said}");
        assert_eq!(here.shows().await, first, "{pem}, {key}");
        assert!(curl(&ca, &[&here.url("/healthz")]).await.is_ok());
        assert_eq!(Client::new(&here.server).metric("autocall_tls_certificate_refused").await, 1.0);
    }
    fs::remove_file(files.path("shown.pem")).unwrap();
    let said = here.looks().await;
    assert!(said.contains("cannot be read") && said.contains("shown.pem"), "{said}");
    assert_eq!(here.shows().await, first);

    // A connection that is open goes on while others are shown the new one.
    files.show("second.pem", "second.key");
    let said = here.looks().await;
    assert!(said.contains("a new certificate is shown from now on"), "{said}");
    assert_eq!(here.shows().await, own(&files.text("second.pem")));
    assert_eq!(Client::new(&here.server).metric("autocall_tls_certificate_refused").await, 0.0);
    // Nobody has to say it.
    files.show("third.pem", "third.key");
    let third = own(&files.text("third.pem"));
    eventually("the third to be shown", SOON, async || (here.shows().await == third).then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_shown_ends_the_start_with_a_sentence() {
    let files = Openssl::new();
    files.authority("ca", "ca");
    files.server("pager", "ca");
    files.server("other", "ca");
    files.run(&["pkcs8", "-topk8", "-in", "pager.key", "-passout", "pass:x", "-out", "locked.key"]);
    let refusal = async |certificate: &str, key: &str, authority: &str| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let listen = format!("127.0.0.1:{}", reserve_port());
        let mut env = vec![("AUTOCALL_HTTP_TLS_LISTEN", listen.as_str())];
        let named = [
            ("AUTOCALL_HTTP_TLS_CERTIFICATE", certificate),
            ("AUTOCALL_HTTP_TLS_KEY", key),
            ("AUTOCALL_HTTP_TLS_CLIENT_AUTHORITY", authority),
        ];
        env.extend(named.into_iter().filter(|(_, path)| !path.is_empty()));
        let output = autocall(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data], &env).await;
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(!Path::new(&data).join("autocall.sqlite").exists(), "nothing is made before");
        told(&output)
    };
    let at = |name: &str| files.path(name);
    for (certificate, key, authority, why) in [
        (at("pager.pem"), at("other.key"), String::new(), "the key is not that of the certificate"),
        (at("pager.pem"), at("locked.key"), String::new(), "encrypted with a password"),
        (at("nowhere.pem"), at("pager.key"), String::new(), "nowhere.pem (http.tls_certificate) cannot be read"),
        (at("pager.pem"), String::new(), String::new(), "http.tls_key is not"),
        (String::new(), String::new(), String::new(), "autocall tls make"),
        (at("pager.pem"), at("pager.key"), at("pager.key"), "http.tls_client_authority"),
        ("pager.pem".to_owned(), at("pager.key"), String::new(), "must be the whole path of a file"),
    ] {
        let said = refusal(&certificate, &key, &authority).await;
        assert!(said.contains(why), "{certificate}, {key}: {said}");
    }

    // One that is over is shown all the same: not every client minds, and no other one is there.
    files.signed("over", "ca", &format!("subjectAltName={NAMES}\n"), -1);
    files.show("over.pem", "over.key");
    let here = Secured::start(&files).await;
    assert!(here.server.log().contains("ended on") && here.server.log().contains("clients refuse it"), "{}", here.server.log());
    assert!(curl(&files.path("ca.pem"), &[&here.url("/healthz")]).await.unwrap_err().contains("expired"));
    assert!(curl(&files.path("ca.pem"), &["-k", &here.url("/healthz")]).await.is_ok());
    let listen = here.server.addr();
    let (data, tls) = (here.server.data_dir().display().to_string(), format!("127.0.0.1:{}", here.port));
    let env = [
        ("AUTOCALL_LISTEN", listen.as_str()),
        ("AUTOCALL_DATA_DIR", &data),
        ("AUTOCALL_HTTP_TLS_LISTEN", &tls),
        ("AUTOCALL_HTTP_TLS_CERTIFICATE", &files.path("shown.pem")),
        ("AUTOCALL_HTTP_TLS_KEY", &files.path("shown.key")),
    ];
    let doctor = autocall(&["doctor", "--json"], &env).await;
    let said: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let own = said["checks"].as_array().unwrap().iter().find(|check| check["check"] == "certificates").unwrap();
    assert!(own["findings"][0]["grade"] == "bad" && own.to_string().contains("ended on"), "{own}");
    let show = autocall(&["tls", "show"], &env).await;
    assert!(!show.status.success() && told(&show).contains("ended on"), "{}", told(&show));
}

#[tokio::test]
async fn certificates_in_the_wrong_order_are_sent_in_the_right_one() {
    let files = Openssl::new();
    files.authority("root", "root");
    files.signed("middle", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n", 30);
    files.server("pager", "middle");
    let all = ["root.pem", "middle.pem", "pager.pem"].map(|name| files.text(name));
    files.put("shown.pem", &all.concat());
    files.put("shown.key", &files.text("pager.key"));
    let here = Secured::start(&files).await;
    assert!(here.server.log().contains("wrong order"), "{}", here.server.log());
    assert_eq!(here.shows().await, own(&files.text("pager.pem")));
    assert!(curl(&files.path("root.pem"), &[&here.url("/healthz")]).await.is_ok(), "the one between is sent as well");
    // Without the one between nobody finds the way from the server to whom they trust.
    files.show("pager.pem", "pager.key");
    here.looks().await;
    assert!(curl(&files.path("root.pem"), &[&here.url("/healthz")]).await.is_err());
}

#[tokio::test]
async fn an_authority_of_ones_own_stays_and_its_certificates_are_renewed() {
    let files = Openssl::new();
    let folder = files.path("tls");
    let env = [("AUTOCALL_HTTP_HOSTS", "alerts.office.lan")];
    let make = async |more: &[&str]| autocall(&[&["tls", "make", "--dir", &folder][..], more].concat(), &env).await;
    let output = make(&["--name", "pager.office.lan,10.1.2.3"]).await;
    assert!(output.status.success(), "{}", told(&output));
    let said = told(&output);
    assert!(said.contains("tls_certificate = ") && said.contains("authority.pem"), "{said}");
    let fingerprint = files.run(&["x509", "-in", "tls/authority.pem", "-noout", "-fingerprint", "-sha256"]);
    assert!(said.contains(fingerprint.trim().split_once('=').unwrap().1), "{fingerprint}: {said}");
    for (kind, name) in [
        ("-verify_hostname", "pager.office.lan"),
        ("-verify_hostname", "alerts.office.lan"),
        ("-verify_hostname", "localhost"),
        ("-verify_ip", "10.1.2.3"),
        ("-verify_ip", "127.0.0.1"),
    ] {
        files.run(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-CAfile",
            "tls/authority.pem",
            kind,
            name,
            "tls/server.pem",
        ]);
    }
    for key in ["tls/authority.key", "tls/server.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(files.path(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    let before = [files.text("tls/authority.pem"), files.text("tls/server.pem"), files.text("tls/server.key")];
    let port = reserve_port();
    let options = ServeOptions::new()
        .env("AUTOCALL_HTTP_TLS_LISTEN", format!("127.0.0.1:{port}"))
        .env("AUTOCALL_HTTP_TLS_CERTIFICATE", files.path("tls/server.pem"))
        .env("AUTOCALL_HTTP_TLS_KEY", files.path("tls/server.key"));
    let here = Secured { server: Binary::spawn(options).await, port };
    let authority = files.path("tls/authority.pem");
    assert!(curl(&authority, &[&here.url("/healthz")]).await.is_ok());

    assert!(make(&[]).await.status.success());
    assert_eq!(files.text("tls/authority.pem"), before[0], "whoever trusts it goes on");
    assert_ne!(files.text("tls/server.pem"), before[1]);
    assert_ne!(files.text("tls/server.key"), before[2]);
    let renewed = own(&files.text("tls/server.pem"));
    eventually("the renewed one to be shown", SOON, async || (here.shows().await == renewed).then_some(())).await;
    assert!(curl(&authority, &[&here.url("/healthz")]).await.is_ok());

    for wrong in ["https://pager", "a b", "päger"] {
        let output = make(&["--name", wrong]).await;
        assert!(!output.status.success() && told(&output).contains("no host name"), "{}", told(&output));
    }
    fs::rename(files.path("tls/authority.key"), files.path("kept.key")).unwrap();
    let output = make(&[]).await;
    assert!(!output.status.success() && told(&output).contains("bring the key back"), "{}", told(&output));
    assert_eq!(own(&files.text("tls/server.pem")), renewed, "nothing was written");
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_certificate_is_worth_nothing_without_it() {
    let files = Openssl::new();
    let folder = files.path("tls");
    for words in [&["make"][..], &["client", "--name", "monitoring"], &["client", "--name", "backup"]] {
        let output = autocall(&[&["tls"], words, &["--dir", &folder]].concat(), &[]).await;
        assert!(output.status.success(), "{}", told(&output));
    }
    files.authority("stranger-ca", "stranger");
    files.signed("monitoring", "stranger-ca", "basicConstraints=CA:FALSE\n", 30);
    let port = reserve_port();
    let options = ServeOptions::new()
        .env("AUTOCALL_HTTP_TLS_LISTEN", format!("127.0.0.1:{port}"))
        .env("AUTOCALL_HTTP_TLS_CERTIFICATE", files.path("tls/server.pem"))
        .env("AUTOCALL_HTTP_TLS_KEY", files.path("tls/server.key"))
        .env("AUTOCALL_HTTP_TLS_CLIENT_AUTHORITY", files.path("tls/authority.pem"));
    let here = Secured { server: Binary::spawn(options).await, port };
    let data = here.server.data_dir().display().to_string();
    let env = [("AUTOCALL_DATA_DIR", data.as_str())];
    let key = async |words: &[&str]| {
        let output = autocall(&[&["key"], words].concat(), &env).await;
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let bound = key(&["add", "--name", "prometheus", "--certificate", "monitoring"]).await;
    let free = key(&["add", "--name", "grafana"]).await;
    let list = key(&["list"]).await;
    assert!(list.contains("with the certificate of monitoring"), "{list}");

    let authority = files.path("tls/authority.pem");
    let (body, status) = (format!(r#"{{"summary":"disk","phones":["{ZHANG}"]}}"#), "\n%{http_code}");
    let send = async |key: &str, url: String, certificate: Option<&str>| {
        let bearer = format!("authorization: Bearer {key}");
        let mut words = vec!["-d", &body, "-H", &bearer, "-w", status, &url];
        let own = certificate.map(|name| (files.path(&format!("{name}.pem")), files.path(&format!("{name}.key"))));
        if let Some((certificate, key)) = &own {
            words.extend(["--cert", certificate, "--key", key]);
        }
        curl(&authority, &words).await
    };
    let tls = || here.url("/api/v1/alarms");
    let plain = || format!("{}/api/v1/alarms", here.server.url());
    let got = send(&bound, tls(), Some("tls/client-monitoring")).await.unwrap();
    assert!(got.ends_with("\n201"), "{got}");
    for (url, certificate, why) in
        [(tls(), None, "none was shown"), (plain(), None, "none was shown"), (tls(), Some("tls/client-backup"), "another one")]
    {
        let got = send(&bound, url, certificate).await.unwrap();
        assert!(got.ends_with("\n403") && got.contains("key_may_not") && got.contains(why), "{got}");
    }
    // Of another authority: there is no connection at all, whatever name it bears.
    assert!(send(&bound, tls(), Some("monitoring")).await.is_err());
    for certificate in [None, Some("tls/client-backup")] {
        let got = send(&free, tls(), certificate).await.unwrap();
        assert!(got.ends_with("\n200") || got.ends_with("\n201"), "{got}");
    }
    // By its key in the path it is the same.
    let in_path = here.url(&format!("/k/{bound}/api/v1/alarms"));
    let own = [files.path("tls/client-monitoring.pem"), files.path("tls/client-monitoring.key")];
    let got = curl(&authority, &["-d", &body, "-w", status, "--cert", &own[0], "--key", &own[1], &in_path]).await.unwrap();
    assert!(got.ends_with("\n200") || got.ends_with("\n201"), "{got}");

    // One certificate alone, and then none.
    let fingerprint = files.run(&["x509", "-in", "tls/client-backup.pem", "-noout", "-fingerprint", "-sha256"]);
    let fingerprint = format!("sha256:{}", fingerprint.trim().split_once('=').unwrap().1);
    key(&["set", "prometheus", "--certificate", &fingerprint]).await;
    eventually("the other certificate to count", SOON, async || {
        let got = send(&bound, tls(), Some("tls/client-backup")).await.unwrap();
        (got.ends_with("\n200") || got.ends_with("\n201")).then_some(())
    })
    .await;
    key(&["set", "prometheus", "--certificate", "none"]).await;
    eventually("no certificate to count", SOON, async || {
        let got = send(&bound, plain(), None).await.unwrap();
        (got.ends_with("\n200") || got.ends_with("\n201")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn redis_is_spoken_to_by_tls_or_not_at_all() {
    let files = Openssl::new();
    files.authority("ca", "ca");
    files.authority("other", "other");
    files.signed("cache", "ca", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n", 30);
    files.signed("over", "ca", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n", -1);
    files.signed("client", "ca", "basicConstraints=CA:FALSE\n", 30);
    let at = |name: &str| files.path(name);
    let locks = async |url: String, wanted: bool| {
        let server = Binary::spawn(ServeOptions::new().redis(url)).await;
        let (client, alarms) = (Client::new(&server), Cell::new(0));
        let ready = eventually("Redis to be asked", ASKED, async || {
            // Another number each time: nobody is rung twice so soon.
            alarms.set(alarms.get() + 1);
            client.alarm_is_answered(&format!("1391234{:04}", alarms.get())).await;
            let ready = client.readyz().await;
            (ready["locks"]["available"] == wanted).then_some(ready)
        })
        .await;
        (ready["locks"]["refused"] == true, server.log())
    };
    let redis = PrivateRedis::start_encrypted(&at("cache.pem"), &at("cache.key"), &at("ca.pem"), false).await;
    let url = |host: &str, port: u16, more: &str| format!("rediss://{host}:{port}/?{more}");
    let root = format!("sslrootcert={}", at("ca.pem"));
    locks(url("localhost", redis.port(), &root), true).await;
    for (host, root, why) in [
        ("localhost", format!("sslrootcert={}", at("other.pem")), "was signed by no authority that is trusted here"),
        ("localhost", String::new(), "certificate"),
        ("127.0.0.1", root.clone(), "its certificate is for localhost, and not for 127.0.0.1"),
    ] {
        let (refused, log) = locks(url(host, redis.port(), &root), false).await;
        assert!(refused && log.contains("Redis refuses") && log.contains(why), "{host} {root}: {log}");
    }
    let (_, log) = locks(format!("redis://localhost:{}/", redis.port()), false).await;
    assert!(log.contains("Redis"), "{log}");

    let over = PrivateRedis::start_encrypted(&at("over.pem"), &at("over.key"), &at("ca.pem"), false).await;
    let (_, log) = locks(url("localhost", over.port(), &root), false).await;
    assert!(log.contains("its certificate ended on "), "{log}");

    let wanting = PrivateRedis::start_encrypted(&at("cache.pem"), &at("cache.key"), &at("ca.pem"), true).await;
    let own = format!("{root}&sslcert={}&sslkey={}", at("client.pem"), at("client.key"));
    locks(url("localhost", wanting.port(), &own), true).await;
    locks(url("localhost", wanting.port(), &root), false).await;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    for (url, why) in [
        (url("localhost", redis.port(), "sslrootcert=/nowhere/ca.pem"), "/nowhere/ca.pem"),
        (format!("rediss://localhost:{}/#insecure", redis.port()), "nobody looks at"),
        (format!("redis://localhost:{}/?{root}", redis.port()), "write rediss://"),
    ] {
        let env = [("REDIS_URL", url.as_str())];
        let output = autocall(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data], &env).await;
        assert!(output.status.code() == Some(1) && told(&output).contains(why), "{url}: {}", told(&output));
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_certificate_of_postgres_is_said() {
    let files = Openssl::new();
    files.authority("ca", "ca");
    files.authority("other", "other");
    let names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
    files.signed("db", "ca", names, 30);
    files.signed("over", "ca", names, -1);
    let postgres = PrivatePostgres::start().await;
    let show = async |name: &str| {
        let (key, pem) = (files.path(&format!("{name}.key")), files.path(&format!("{name}.pem")));
        let (key, pem) = postgres.place_certificate(Path::new(&key), Path::new(&pem));
        for (name, value) in [("ssl_key_file", &*key), ("ssl_cert_file", &*pem), ("ssl", "on")] {
            postgres.execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await;
        }
        postgres.execute("SELECT pg_reload_conf()").await;
    };
    let data = tempfile::tempdir().unwrap();
    let migrate = async |host: &str, mode: &str, root: &str| {
        let root = files.path(root);
        let url = format!("postgres://postgres@{host}:{}/postgres?sslmode={mode}&sslrootcert={root}", postgres.port());
        let output =
            autocall(&["migrate"], &[("DATABASE_URL", &url), ("AUTOCALL_DATA_DIR", data.path().to_str().unwrap())]).await;
        if output.status.success() { Ok(()) } else { Err(told(&output)) }
    };
    show("db").await;
    eventually("the certificate to be shown", SOON, async || migrate("localhost", "verify-full", "ca.pem").await.ok()).await;
    let refused = migrate("localhost", "verify-full", "other.pem").await.unwrap_err();
    assert!(refused.contains("signed by no authority that is trusted here") && refused.contains("sslrootcert"), "{refused}");
    let refused = migrate("127.0.0.1", "verify-full", "ca.pem").await.unwrap_err();
    assert!(refused.contains("its certificate is for localhost, and not for 127.0.0.1"), "{refused}");
    show("over").await;
    let refused =
        eventually("the old certificate to be shown", SOON, async || migrate("localhost", "verify-full", "ca.pem").await.err())
            .await;
    assert!(refused.contains("its certificate ended on "), "{refused}");
}
