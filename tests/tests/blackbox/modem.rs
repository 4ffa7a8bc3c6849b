//! Scenario: an alarm rings by a GSM modem: the real server, the real `handset`, and a modem that is simulated behind a pseudo-terminal.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, Stdio},
};

use android_protocol::modem::{
    dialect::Dialect,
    simulator::{FakeModem, Manner},
};
use autocall_tests::{provided_by_run, wait::eventually};
use tempfile::TempDir;

use crate::{
    client::{Client, status_and_json},
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(
    an_alarm_rings_by_the_modem_and_the_api_shows_who_answered,
    killed_while_the_modem_rings_nobody_is_rung_twice,
    a_public_number_is_forwarded_and_the_network_asked
);

/// A running handset; dropped, it is gone as a killed process is.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A modem, and the files of the handset that uses it.
struct Desk {
    folder: TempDir,
    modem: FakeModem,
}

impl Desk {
    fn new(dialect: Dialect) -> Self {
        let folder = tempfile::Builder::new().prefix("modem-").tempdir().unwrap();
        let modem = FakeModem::plug_in(folder.path(), Manner::of(dialect)).unwrap();
        Self { folder, modem }
    }

    fn start(&self, address: &str) -> Agent {
        let at = |name: &str| self.folder.path().join(name);
        let config = format!(
            "[agent]\nkind = \"modem\"\nserver = {address:?}\nstate_dir = \"{}\"\n\n[agent.modem]\nport = \"{}\"\n",
            at("state").display(),
            self.modem.path().display()
        );
        std::fs::write(at("handset.toml"), config).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(at("handset.log")).unwrap();
        let mut command = Command::new(Path::new(&provided_by_run("HANDSET_BIN")));
        command.arg("--config").arg(at("handset.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Agent(command.spawn().unwrap())
    }

    async fn rings(&self) {
        eventually("the dial", SOON, async || self.modem.calls()).await;
    }
}

/// The address that the server prints for a new handset.
async fn paired(world: &World) -> String {
    let added = world.command(&["handset", "add", "--name", "desk"]).await;
    let said = String::from_utf8(added.stdout).unwrap();
    let path = &said[said.find("/h/").unwrap()..];
    path.split("/alert").next().unwrap().to_owned()
}

async fn answered(client: &Client, id: &str) {
    eventually("the answer", SOON, async || (client.alarm(id).await["state"] == "answered").then_some(())).await;
    let alarm = client.alarm(id).await;
    let answer = &alarm["answer"];
    assert!(answer["number"].as_str().is_some_and(|number| number.ends_with(ZHANG)), "{alarm}");
    assert_eq!(answer["handset"], "desk", "{alarm}");
}

async fn an_alarm_rings_by_the_modem_and_the_api_shows_who_answered(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (client, desk) = (Client::new(&server), Desk::new(Dialect::Sim7600));
    let _agent = desk.start(&format!("{}{}", server.url(), paired(&world).await));
    let id = client.raise_for(&[ZHANG]).await;
    desk.rings().await;
    desk.modem.pick_up();
    eventually("the answer", SOON, async || desk.modem.talks().then_some(())).await;
    desk.modem.hang_up();
    answered(&client, &id).await;
    assert_eq!((desk.modem.dials_to(ZHANG), desk.modem.faults()), (1, Vec::new()));
}

async fn killed_while_the_modem_rings_nobody_is_rung_twice(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (client, desk) = (Client::new(&server), Desk::new(Dialect::Quectel));
    let address = format!("{}{}", server.url(), paired(&world).await);
    let agent = desk.start(&address);
    let id = client.raise_for(&[ZHANG]).await;
    desk.rings().await;
    drop(agent);
    let starts = || desk.modem.commands().iter().filter(|text| *text == "AT+CGMI").count();
    let before = starts();
    let _agent = desk.start(&address);
    eventually("the second start", SOON, async || (starts() > before).then_some(())).await;
    desk.modem.pick_up();
    eventually("the answer", SOON, async || desk.modem.talks().then_some(())).await;
    let commands = desk.modem.commands();
    let since = commands.iter().rposition(|text| text == "AT+CGMI").unwrap();
    // The list of calls is all that the second process asks about them.
    eventually("a look at it", SOON, async || desk.modem.commands()[since..].iter().any(|text| text == "AT+CLCC").then_some(()))
        .await;
    let seen = desk.modem.commands()[since..].iter().filter(|text| *text == "AT+CLCC").count();
    let looks = || desk.modem.commands()[since..].iter().filter(|text| *text == "AT+CLCC").count();
    // Two more, so that it has seen the call answered.
    eventually("two more looks", SOON, async || (looks() >= seen + 2).then_some(())).await;
    desk.modem.hang_up();
    answered(&client, &id).await;
    assert_eq!((desk.modem.dials_to(ZHANG), desk.modem.faults()), (1, Vec::new()));
}

async fn a_public_number_is_forwarded_and_the_network_asked(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (client, desk) = (Client::new(&server), Desk::new(Dialect::Sim800));
    let _agent = desk.start(&format!("{}{}", server.url(), paired(&world).await));
    let command = async |words: &[&str]| {
        let done = world.command(words).await;
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    command(&["gateway", "add", "--name", "phone", "--kind", "handset", "--handset", "desk"]).await;
    let line = ["line", "add", "--name", "ops", "--number", "4001234567", "--carrier", "china-mobile", "--android", "15"];
    command(&[&line[..], &["--gateway", "phone", "--handset", "desk"]].concat()).await;
    command(&["line", "forward-to", "ops", ZHANG]).await;
    eventually("the forwarding", SOON, async || desk.modem.forwards_to().filter(|number| number.ends_with(ZHANG))).await;
    let sent = async || {
        let response = client.request(reqwest::Method::GET, "/api/v1/lines").send().await.ok()?;
        let (_, lines) = status_and_json(response).await;
        (lines["items"][0]["known"] == "by_network").then_some(())
    };
    eventually("what the server knows", SOON, sent).await;
    let commands = desk.modem.commands();
    let set = commands.iter().position(|text| text.starts_with("AT+CCFC=0,3")).unwrap();
    assert!(commands[set..].iter().any(|text| text == "AT+CCFC=0,2"), "{commands:?}");
}
