//! What the page *Connect* gives: the documents show the same, and each script is one that a shell reads.

use std::process::Command;

use autocall::connect::fill::Values;
use autocall::connect::{Given, SYSTEMS, of_word};

use super::{document, root};

/// As the documents call this server.
const DOCUMENTED: &str = "https://alerts.example.com";

#[test]
fn the_documents_show_what_the_page_gives() {
    let text = document(root().join("docs/senders.md")).text;
    for word in ["zabbix", "nagios", "icinga2", "prometheus", "netdata", "monit", "librenms"] {
        let system = of_word(word).unwrap();
        let values = Values { server: DOCUMENTED, path: system.path, key: "KEY" };
        for given in system.given.iter().filter(|given| matches!(given, Given::File(..) | Given::Text(_))) {
            let file = given.filled(&values);
            assert!(text.contains(&file), "docs/senders.md does not show what {word} is given:\n{file}");
        }
    }
}

#[test]
fn every_system_has_its_chapter() {
    for system in &SYSTEMS {
        let (path, anchor) = system.document.split_once('#').unwrap();
        let anchors = document(root().join(path)).anchors();
        assert!(anchors.contains(anchor), "{}: {} leads nowhere; there are {anchors:?}", system.word, system.document);
    }
}

/// What a shell says of a script, with an address in which everything is odd.
#[test]
fn every_script_is_read_by_a_shell_whatever_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut read = 0;
    for system in &SYSTEMS {
        for given in system.given {
            let values = Values { server: "https://o'b\"`$(x).example/\\;y", path: system.path, key: "k'ey" };
            let script = given.filled(&values);
            let is_shell = match given {
                Given::File(name, _) => script.starts_with("#!/bin/sh") || *name == "health_alarm_notify.conf",
                _ => script.starts_with("curl ") || script.starts_with("export "),
            };
            if !is_shell {
                continue;
            }
            let path = folder.path().join("script");
            std::fs::write(&path, &script).unwrap();
            let output = Command::new("bash").arg("-n").arg(&path).output().unwrap();
            assert!(output.status.success(), "{}: {}\n{script}", system.word, String::from_utf8_lossy(&output.stderr));
            read += 1;
        }
    }
    assert!(read >= 6, "{read}");
}
