//! What is given to a monitoring system so that it speaks to this server: one table of systems, and their files. Pure.
//!
//! To add one: an entry in [`SYSTEMS`], and its file in `files/` where it wants one.

pub mod fill;
pub mod masked;
pub mod told;

use fill::{Values, fill};

/// A monitoring system that is connected by copy and paste.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// Tells it from others, in addresses and forms.
    pub word: &'static str,
    /// What it calls itself.
    pub name: &'static str,
    /// What there is to read on it, below `docs`.
    pub document: &'static str,
    /// Where it sends to.
    pub path: &'static str,
    /// What it is given, in this order.
    pub given: &'static [Given],
}

/// One thing that a system is given.
#[derive(Clone, Copy, Debug)]
pub enum Given {
    /// The address; the key comes beside it.
    Address,
    /// The address with the key in it.
    Keyed,
    /// The address of this server alone, to which the system adds its own path.
    Server,
    /// The key alone.
    Key,
    /// A text to paste.
    Text(&'static str),
    /// A file to keep under this name.
    File(&'static str, &'static str),
}

impl Given {
    /// It, with address and key filled in.
    #[must_use]
    pub fn filled(&self, values: &Values<'_>) -> String {
        match self {
            Self::Address => values.address(),
            Self::Keyed => values.keyed(),
            Self::Server => values.server.to_owned(),
            Self::Key => values.key.to_owned(),
            Self::Text(text) | Self::File(_, text) => fill(text, values),
        }
    }
}

/// Stands where the key has to be as long as there is none.
pub const NO_KEY: &str = "KEY";

const fn system(
    word: &'static str,
    name: &'static str,
    document: &'static str,
    path: &'static str,
    given: &'static [Given],
) -> System {
    System { word, name, document, path, given }
}

const GENERIC: &str = "/api/v1/intake/generic";
const NAGIOS: &str = "/api/v1/intake/nagios";
const SCRIPT: Given = Given::File("autocall-notify", include_str!("files/autocall-notify"));
const OTHERS: &str = "docs/senders.md#others";
const CLOUDS: &str = "docs/senders.md#clouds";
const BY_ADDRESS: &[Given] = &[Given::Keyed];

const CURL: &str = "\
curl -sS -f -m 10 --retry 3 --retry-connrefused -H \"X-Api-Key: \"@key:shell@ @address:shell@ \\
    --data-urlencode 'summary=Disk full on db1' --data-urlencode 'priority=high' --data-urlencode 'dedup_key=db1/disk'
curl -sS -f -m 10 --retry 3 --retry-connrefused -H \"X-Api-Key: \"@key:shell@ @address:shell@ \\
    --data-urlencode 'state=resolved' --data-urlencode 'dedup_key=db1/disk'
";

const SEND: &str = "\
export AUTOCALL_URL=@server:shell@
export AUTOCALL_KEY=@key:shell@
autocall send 'Disk full on db1' --priority high --dedup-key db1/disk
autocall send --resolve --dedup-key db1/disk
autocall send --if-fails --dedup-key backup -- /usr/local/bin/backup
";

const OPSGENIE: &str = "\
receivers:
  - name: autocall
    opsgenie_configs:
      - api_url: @server:yaml@
        api_key: @key:yaml@
        send_resolved: true
";

const LIBRENMS: &str = "\
state={{ $state }}
summary={{ $hostname }}: {{ $title }}
dedup_key=librenms/{{ $uid }}
severity={{ $severity }}
";

/// All of them, in the order in which they are shown.
pub static SYSTEMS: [System; 29] = [
    system(
        "zabbix",
        "Zabbix",
        "docs/senders.md#zabbix",
        "/api/v1/intake/zabbix",
        &[Given::File("autocall-zabbix.yaml", include_str!("files/zabbix.yaml"))],
    ),
    system(
        "alertmanager",
        "Alertmanager",
        "docs/connecting-monitoring.md#prometheus-alertmanager",
        "/api/v1/intake/alertmanager",
        &[Given::File("alertmanager.yml", include_str!("files/alertmanager.yml"))],
    ),
    system(
        "prometheus",
        "Prometheus, vmalert",
        "docs/senders.md#prometheus",
        "/api/v1/intake/prometheus",
        &[Given::File("prometheus.yml", include_str!("files/prometheus.yml"))],
    ),
    system(
        "grafana",
        "Grafana",
        "docs/senders.md#connect",
        "/api/v1/intake/grafana",
        &[Given::Address, Given::Key, Given::File("autocall-grafana.yaml", include_str!("files/grafana.yaml"))],
    ),
    system("nightingale", "Nightingale 夜莺", "docs/senders.md#nightingale", "/api/v1/intake/nightingale", BY_ADDRESS),
    system(
        "nagios",
        "Nagios, Naemon",
        "docs/senders.md#nagios-icinga-checkmk",
        NAGIOS,
        &[SCRIPT, Given::File("autocall.cfg", include_str!("files/nagios.cfg"))],
    ),
    system(
        "icinga2",
        "Icinga 2",
        "docs/senders.md#nagios-icinga-checkmk",
        NAGIOS,
        &[SCRIPT, Given::File("autocall.conf", include_str!("files/icinga2.conf"))],
    ),
    system(
        "checkmk",
        "Checkmk",
        "docs/senders.md#nagios-icinga-checkmk",
        NAGIOS,
        &[Given::File("autocall", include_str!("files/checkmk"))],
    ),
    system(
        "pagerduty",
        "PagerDuty (events v2)",
        "docs/senders.md#pagerduty",
        "/v2/enqueue",
        &[Given::Address, Given::Key, Given::File("alertmanager-pagerduty.yml", include_str!("files/pagerduty.yml"))],
    ),
    system(
        "opsgenie",
        "Opsgenie (alerts v2)",
        "docs/senders.md#opsgenie",
        "/v2/alerts",
        &[Given::Server, Given::Key, Given::File("alertmanager-opsgenie.yml", OPSGENIE)],
    ),
    system("kuma", "Uptime Kuma", "docs/senders.md#uptime-kuma", "/api/v1/intake/kuma", BY_ADDRESS),
    system(
        "generic",
        "curl, webhook",
        "docs/senders.md#anything-else",
        GENERIC,
        &[Given::Address, Given::Key, Given::Keyed, Given::Text(CURL)],
    ),
    system("send", "autocall send", "docs/senders.md#anything-else", GENERIC, &[Given::Text(SEND)]),
    system(
        "netdata",
        "Netdata",
        OTHERS,
        GENERIC,
        &[Given::File("health_alarm_notify.conf", include_str!("files/health_alarm_notify.conf"))],
    ),
    system("monit", "Monit", OTHERS, GENERIC, &[Given::File("autocall-monit", include_str!("files/autocall-monit"))]),
    system("jenkins", "Jenkins", OTHERS, GENERIC, &[Given::File("Jenkinsfile", include_str!("files/Jenkinsfile"))]),
    system("gitlab", "GitLab", OTHERS, "/api/v1/intake/gitlab", BY_ADDRESS),
    system("alibaba", "Alibaba Cloud 阿里云", CLOUDS, "/api/v1/intake/alibaba", BY_ADDRESS),
    system("tencent", "Tencent Cloud 腾讯云", CLOUDS, "/api/v1/intake/tencent", BY_ADDRESS),
    system("sns", "AWS SNS, CloudWatch", CLOUDS, "/api/v1/intake/sns", BY_ADDRESS),
    system("azure", "Azure Monitor", CLOUDS, "/api/v1/intake/azure", BY_ADDRESS),
    system("google", "Google Cloud Monitoring", CLOUDS, "/api/v1/intake/google", BY_ADDRESS),
    system(
        "datadog",
        "Datadog",
        OTHERS,
        "/api/v1/intake/datadog",
        &[Given::Keyed, Given::File("datadog-webhook.json", include_str!("files/datadog.json"))],
    ),
    system("sentry", "Sentry", OTHERS, "/api/v1/intake/sentry", BY_ADDRESS),
    system("librenms", "LibreNMS", OTHERS, GENERIC, &[Given::Keyed, Given::Text(LIBRENMS)]),
    system("graylog", "Graylog", OTHERS, "/api/v1/intake/graylog", BY_ADDRESS),
    system(
        "kibana",
        "Kibana",
        OTHERS,
        GENERIC,
        &[Given::File("kibana-connector.json", include_str!("files/kibana.json")), Given::Text(KIBANA)],
    ),
    system(
        "elastalert",
        "ElastAlert2",
        OTHERS,
        GENERIC,
        &[Given::File("autocall-rule.yaml", include_str!("files/elastalert.yaml"))],
    ),
    system("healthchecks", "Healthchecks", OTHERS, GENERIC, &[Given::Keyed, Given::Text(HEALTHCHECKS)]),
];

// A check need not have a name.
const HEALTHCHECKS: &str = "\
{\"state\": \"$STATUS\", \"dedup_key\": \"healthchecks/$CODE\", \"summary\": $NAME_JSON, \"title\": \"Healthchecks $CODE\"}
";

/// The body of the action for an alert, and that of the one for its recovery.
const KIBANA: &str = "\
{\"state\": \"firing\", \"dedup_key\": \"{{rule.id}}/{{alert.id}}\", \"summary\": \"{{rule.name}}: {{alert.id}}\"}
{\"state\": \"resolved\", \"dedup_key\": \"{{rule.id}}/{{alert.id}}\"}
";

/// The system of a word.
#[must_use]
pub fn of_word(word: &str) -> Option<&'static System> {
    SYSTEMS.iter().find(|system| system.word == word)
}

impl System {
    /// The file of this name, with what is filled in.
    #[must_use]
    pub fn file(&self, wanted: &str, values: &Values<'_>) -> Option<String> {
        let given = self.given.iter().find(|given| matches!(given, Given::File(name, _) if *name == wanted))?;
        Some(given.filled(values))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::collections::BTreeSet;

    const VALUES: Values<'_> = Values { server: "https://o'brien.example/$x;", path: "/p", key: "ak_1" };

    #[test]
    fn every_system_is_there_once_and_is_given_something() {
        let words: BTreeSet<&str> = SYSTEMS.iter().map(|system| system.word).collect();
        let names: BTreeSet<&str> = SYSTEMS.iter().map(|system| system.name).collect();
        assert_eq!((words.len(), names.len()), (SYSTEMS.len(), SYSTEMS.len()));
        for system in SYSTEMS {
            assert!(!system.given.is_empty() && system.path.starts_with('/'), "{}", system.word);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            for given in system.given {
                assert!(!matches!(given, Given::File(name, _) if !name.chars().all(plain)), "{}: {given:?}", system.word);
            }
        }
    }

    #[test]
    fn every_reader_has_its_entry() {
        for reader in crate::signal::readers() {
            let path = format!("/api/v1/intake/{}", reader.name);
            assert!(SYSTEMS.iter().any(|system| system.path == path), "{path}: who sends there?");
        }
    }

    #[test]
    fn no_place_is_left_open_and_every_system_gets_its_key() {
        for system in SYSTEMS {
            let all: String = system.given.iter().map(|given| given.filled(&VALUES)).collect();
            assert!(all.contains("ak_1"), "{} does not know its key", system.word);
            for open in ["@server", "@address", "@key", "@scheme", "@host", "@folder"] {
                assert!(!all.contains(open), "{} holds {open}: {all}", system.word);
            }
            assert!(all.contains("brien.example"), "{} does not know where", system.word);
        }
    }

    #[test]
    fn files_that_are_json_stay_so_with_an_odd_address() {
        for (word, name) in [("kibana", "kibana-connector.json"), ("datadog", "datadog-webhook.json")] {
            let file = of_word(word).unwrap().file(name, &VALUES).unwrap();
            let read: serde_json::Value = serde_json::from_str(&file).unwrap();
            assert!(read.to_string().contains("o'brien.example/$x;"), "{file}");
        }
        assert_eq!(of_word("kibana").unwrap().file("passwd", &VALUES), None);
    }
}
