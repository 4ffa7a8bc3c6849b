//! Scenario: other people's tools read the description of the API and use the server by it: a validator, generators of clients for
//! Python and TypeScript, and a tester that makes up requests. `tests/api-tools` installs them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use autocall_tests::server::{Binary, ServeOptions};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// How long one tool may take on a busy machine before something is wrong with it.
const AT_MOST: Duration = Duration::from_mins(20);
/// What the tester makes up is the same each time.
const SEED: &str = "20261128";
/// Each operation is tried with what every part of its description allows and forbids, and with so many requests beside.
const EXAMPLES: &str = "3";
/// Beside what an answer has to look like: what the description forbids is refused, methods that are not there are 405 and told in
/// `Allow`, and a key that is wrong is not as good as none. Whether everything is taken that a schema allows is not asked: names have to
/// exist, and numbers to be dialled.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,\
                      use_after_free,ignored_auth";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document() -> PathBuf {
    root().join("docs/openapi.json")
}

struct Tools(PathBuf);

impl Tools {
    async fn installed() -> Self {
        let made = Command::new(root().join("tests/api-tools")).stderr(Stdio::inherit()).output().await.unwrap();
        assert!(made.status.success(), "tests/api-tools must be able to install its packages");
        Self(PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()))
    }

    /// Runs a tool to its end, in a folder, with Node.js in its path.
    async fn run(&self, folder: &Path, tool: &str, arguments: &[&str]) -> Output {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(self.0.join("bin").join(tool));
        command.args(arguments).current_dir(folder).env("PATH", path).env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        timeout(AT_MOST, output).await.unwrap_or_else(|_| panic!("{tool} {arguments:?} does not end")).unwrap()
    }

    /// The same, which must succeed.
    async fn runs(&self, folder: &Path, tool: &str, arguments: &[&str]) {
        let output = self.run(folder, tool, arguments).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{tool} {arguments:?}: {}\n{out}\n{err}", output.status);
    }
}

/// A server that takes as many alarms as come.
async fn server() -> Binary {
    let patient = ServeOptions::new().env("AUTOCALL_HTTP_REQUEST_TIMEOUT_SECONDS", "300");
    Binary::spawn(patient.env("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "10000")).await
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_validator_finds_nothing_wrong() {
    let (tools, folder) = (Tools::installed().await, TempDir::new().unwrap());
    tools.runs(folder.path(), "openapi-spec-validator", &[text(&document())]).await;
}

#[tokio::test]
async fn a_python_client_is_generated_and_works() {
    let (tools, folder, server) = (Tools::installed().await, TempDir::new().unwrap(), server().await);
    let (config, made) = (root().join("tests/api/openapi-python-client.yml"), folder.path().join("made"));
    let (document, config) = (document(), text(&config).to_owned());
    let generate = [
        "generate",
        "--meta",
        "none",
        "--fail-on-warning",
        "--config",
        &config,
        "--output-path",
        text(&made),
        "--path",
        text(&document),
    ];
    tools.runs(folder.path(), "openapi-python-client", &generate).await;
    let program = root().join("tests/api/use_client.py");
    tools.runs(folder.path(), "python", &[text(&program), text(folder.path()), &server.url()]).await;
}

#[tokio::test]
async fn a_typescript_client_is_generated_and_works() {
    let (tools, folder, server) = (Tools::installed().await, TempDir::new().unwrap(), server().await);
    for file in ["use.ts", "globals.d.ts", "tsconfig.json"] {
        std::fs::copy(root().join("tests/api").join(file), folder.path().join(file)).unwrap();
    }
    let modules = tools.0.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let generate =
        [text(&modules.join("openapi-typescript/bin/cli.js")), text(&document()), "--output", "made.ts"].map(str::to_owned);
    tools.runs(folder.path(), "node", &generate.each_ref().map(String::as_str)).await;
    tools.runs(folder.path(), "node", &[text(&modules.join("typescript/bin/tsc")), "--project", "tsconfig.json"]).await;
    tools.runs(folder.path(), "node", &["use.js", &server.url()]).await;
}

#[tokio::test]
async fn a_tester_finds_no_answer_that_is_not_described() {
    let (tools, folder, server) = (Tools::installed().await, TempDir::new().unwrap(), server().await);
    let address = format!("{}/api/v1/openapi.json", server.url());
    let config = root().join("tests/api/schemathesis.toml");
    let test = [
        "--config-file",
        text(&config),
        "run",
        &address,
        "--seed",
        SEED,
        "--max-examples",
        EXAMPLES,
        "--phases",
        "coverage,fuzzing",
        "--checks",
        CHECKS,
        "--continue-on-failure",
        "--request-timeout",
        "300",
        "--no-color",
        "--warnings",
        "off",
    ];
    tools.runs(folder.path(), "schemathesis", &test).await;
}
