//! GitLab, by the pipeline events of its webhooks: a pipeline that fails, until one of the same branch succeeds.

use chrono::{DateTime, TimeDelta, Utc};

use super::named;
use crate::signal::said::{Message, Said, instant, lines};
use crate::signal::{Reader, Signal, Unreadable, Word};

/// How it is read.
pub const READER: Reader = Reader::of("gitlab", read);

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let kind = said.first(&["object_kind", "event_type", "event_name"]);
    if kind.as_ref().is_some_and(|kind| kind != "pipeline") {
        return Ok(vec![Signal::of(Word::Ignored("of GitLab only pipelines ring"))]);
    }
    let Some(pipeline) = said.get("object_attributes").filter(|pipeline| pipeline.0.is_object()) else {
        let why = "this is not a webhook of GitLab: there add a webhook with this address, and tick \"Pipeline events\"";
        return Err(Unreadable::new("object_attributes", why));
    };
    let (word, ended) = match pipeline.text("status").as_deref() {
        Some("failed") => (Word::Firing, "has failed"),
        Some("success") => (Word::Resolved, "has succeeded"),
        _ => (Word::Ignored("the pipeline has neither failed nor succeeded"), "has neither failed nor succeeded"),
    };
    let project = said.get("project");
    let of_project = |name: &str| project.and_then(|project| project.text(name));
    let path = project.and_then(|project| project.first(&["path_with_namespace", "name", "id"]));
    let branch = pipeline.text("ref");
    let key: Vec<&str> = [path.as_deref(), branch.as_deref()].into_iter().flatten().collect();
    let page = || Some(format!("{}/-/pipelines/{}", of_project("web_url")?.trim_end_matches('/'), pipeline.text("id")?));
    let user = said.get("user").and_then(|user| user.first(&["name", "username"]));
    let own = [("project", path.clone()), ("ref", branch.clone()), ("source", pipeline.text("source")), ("user", user.clone())];
    let what =
        branch.as_ref().map_or_else(|| format!("a pipeline {ended}"), |branch| format!("the pipeline of {branch} {ended}"));
    Ok(vec![Signal {
        word,
        // Both have slashes in them; neither can have a colon.
        key: (!key.is_empty()).then(|| format!("gitlab/{}", key.join(":"))),
        priority: None,
        summary: named(path.clone(), what),
        details: lines([failed(said), commit(said), user.map(|user| format!("started by {user}"))]),
        labels: own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        link: pipeline.text("url").or_else(page),
        whom: Vec::new(),
        at: moment(pipeline, "finished_at").or_else(|| moment(pipeline, "created_at")),
        holds_until: None,
    }])
}

/// The jobs that failed, without those that may.
fn failed(said: Said<'_>) -> Option<String> {
    let builds = said.list("builds").filter(|build| {
        build.text("status").is_some_and(|status| status == "failed") && build.yes("allow_failure") != Some(true)
    });
    let names: Vec<String> = builds.filter_map(|build| build.first(&["name", "stage"])).collect();
    (!names.is_empty()).then(|| format!("failed: {}", names.join(", ")))
}

/// What was built, by the first line of its message.
fn commit(said: Said<'_>) -> Option<String> {
    let text = said.get("commit")?.first(&["title", "message"])?;
    text.lines().next().map(|line| format!("commit: {line}"))
}

/// It writes the zone as a word, `2026-11-28 03:00:00 UTC`.
fn moment(pipeline: Said<'_>, name: &str) -> Option<DateTime<Utc>> {
    let text = pipeline.text(name)?;
    instant(text.strip_suffix(" UTC").unwrap_or(&text), TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample(change: Value) -> Value {
        let mut pipeline = json!({
            "id": 31, "ref": "main", "tag": false, "source": "push", "status": "failed", "detailed_status": "failed",
            "created_at": "2026-11-28 03:00:00 UTC", "finished_at": "2026-11-28 03:10:00 UTC", "duration": 63
        });
        pipeline.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({
            "object_kind": "pipeline", "object_attributes": pipeline, "merge_request": null,
            "user": { "name": "Li Na", "username": "lina" },
            "project": { "id": 1, "name": "web", "web_url": "https://git.example/shop/web/", "path_with_namespace": "shop/web" },
            "commit": { "id": "bcbb", "message": "pay by card\n\nand more", "title": null },
            "builds": [
                { "name": "test", "stage": "test", "status": "failed", "allow_failure": false },
                { "name": "lint", "stage": "test", "status": "failed", "allow_failure": true },
                { "name": "deploy", "stage": "deploy", "status": "skipped" }
            ]
        })
    }

    fn read_whole(body: Value) -> Result<Signal, Unreadable> {
        let mut signals = read(&Message { body, ..Message::default() })?;
        assert_eq!(signals.len(), 1);
        Ok(signals.remove(0))
    }

    fn read_one(change: Value) -> Signal {
        read_whole(sample(change)).unwrap()
    }

    #[test]
    fn a_pipeline_that_fails() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("gitlab/shop/web:main")));
        assert_eq!(signal.summary, "shop/web: the pipeline of main has failed");
        assert_eq!(signal.details, "failed: test\ncommit: pay by card\nstarted by Li Na");
        assert_eq!(signal.link.as_deref(), Some("https://git.example/shop/web/-/pipelines/31"));
        let labels = ["project", "ref", "source", "user"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["shop/web", "main", "push", "Li Na"]);
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_835_400);
        let link = "https://git.example/x/-/pipelines/31";
        assert_eq!(read_one(json!({ "url": link })).link.as_deref(), Some(link));
    }

    #[test]
    fn another_one_of_the_branch_that_succeeds_ends_it() {
        let signal = read_one(json!({ "id": 32, "status": "success" }));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Resolved, Some("gitlab/shop/web:main")));
        assert_eq!(signal.summary, "shop/web: the pipeline of main has succeeded");
        assert_ne!(read_one(json!({ "ref": "other" })).key, signal.key);
        let key = |project: &str, branch: &str| {
            let mut body = sample(json!({ "ref": branch }));
            body["project"]["path_with_namespace"] = json!(project);
            read_whole(body).unwrap().key
        };
        assert_ne!(key("shop/web", "a/b"), key("shop/web/a", "b"));
    }

    #[test]
    fn on_its_way_it_rings_nobody() {
        for status in [json!("pending"), json!("running"), json!("canceled"), json!("skipped"), json!("manual"), json!(null)] {
            assert!(matches!(read_one(json!({ "status": status })).word, Word::Ignored(_)));
        }
        let mut body = sample(json!({}));
        for kind in ["push", "build", "merge_request"] {
            body["object_kind"] = json!(kind);
            assert!(matches!(read_whole(body.clone()).unwrap().word, Word::Ignored(_)), "{kind}");
        }
    }

    #[test]
    fn a_pipeline_may_say_little() {
        let signal = read_whole(json!({ "object_attributes": { "status": "failed" } })).unwrap();
        assert_eq!((signal.word, signal.summary.as_str(), signal.key), (Word::Firing, "a pipeline has failed", None));
        assert_eq!((signal.link, signal.at, signal.details.as_str()), (None, None, ""));
        let begun = read_one(json!({ "finished_at": null }));
        assert_eq!(begun.at.unwrap().timestamp(), 1_795_834_800);
        assert_eq!(read_one(json!({ "finished_at": "2026-11-28T03:10:00Z" })).at.unwrap().timestamp(), 1_795_835_400);
    }

    #[test]
    fn what_is_no_webhook_is_refused() {
        for body in [json!({ "foo": 1 }), json!({ "object_kind": "pipeline" })] {
            let refused = read_whole(body).unwrap_err();
            assert!(refused.field == "object_attributes" && refused.why.contains("Pipeline events"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({})))) {
            sound(&READER, body)?;
        }
    }
}
