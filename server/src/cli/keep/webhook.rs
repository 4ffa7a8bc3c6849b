//! `autocall webhook`: add, list, remove, test, log.

use clap::Subcommand;

use crate::cli::{agreed_clock, one_of, open};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::webhooks::{self, NewWebhook};
use crate::kinds::guard::GuardedResolver;
use crate::kinds::notices::WebhookShape;
use crate::store::lines::webhooks::NoticeKind;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WebhookCommand {
    /// Tell a chat room or a program what happens
    Add {
        /// What people call it, such as ops-room
        #[arg(long)]
        name: String,
        /// Where to post
        #[arg(long)]
        url: String,
        /// The form that the other side wants
        #[arg(long, value_parser = one_of(WebhookShape::ALL, WebhookShape::as_str))]
        shape: WebhookShape,
        /// What the signature is made with
        #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true)]
        secret: Option<String>,
        /// What it is told [default: everything]
        #[arg(long, value_parser = one_of(&NoticeKind::ALL, NoticeKind::as_str), value_delimiter = ',')]
        events: Vec<NoticeKind>,
        /// In which language: en, zh, ja or es
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Print all webhooks
    List,
    /// Tell a webhook nothing more
    Remove {
        /// Its name
        name: String,
    },
    /// Send a test notice; the running server delivers it
    Test {
        /// The webhook's name
        name: String,
    },
    /// Print what became of the latest notices
    Log {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: i64,
    },
}

pub(in crate::cli) async fn run(command: WebhookCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    match command {
        WebhookCommand::Add { name, url, shape, secret, events, language } => {
            let new = NewWebhook { name, url, shape, secret, kinds: events, language };
            let guard = GuardedResolver::new(&config.notify.allow_networks);
            store.carry_out(now, Doer::CommandLine, async |work| webhooks::add(work, &new, &guard).await).await?;
            println!("{} is told from now on; try it: autocall webhook test {}", new.name.trim(), new.name.trim());
        }
        WebhookCommand::List => {
            for webhook in store.read().await?.db().webhooks().await? {
                // The address often holds a secret behind the host.
                let host = reqwest::Url::parse(&webhook.url).ok().and_then(|url| url.host_str().map(str::to_owned));
                let kinds = webhook.kinds.trim_matches(',');
                let shape = webhook.shape.as_str();
                println!("{}\t{shape}\t{}\t{kinds}\t{}", webhook.name, host.unwrap_or_default(), webhook.language);
            }
        }
        WebhookCommand::Remove { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| webhooks::remove(work, &name).await).await?;
            println!("{name} is told nothing more");
        }
        WebhookCommand::Test { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| webhooks::test(work, &name).await).await?;
            println!("a test notice for {name} is in the outbox; `autocall webhook log` shows what became of it");
        }
        WebhookCommand::Log { limit } => log(&store, limit).await?,
    }
    store.close().await;
    Ok(())
}

async fn log(store: &crate::store::Store, limit: i64) -> anyhow::Result<()> {
    let mut reader = store.read().await?;
    for delivery in reader.db().latest_deliveries(limit.clamp(1, 1000)).await? {
        let webhook = reader.db().webhook(delivery.webhook_id).await?.map_or_else(String::new, |webhook| webhook.name);
        let state = match (delivery.delivered_at, delivery.gave_up_at) {
            (Some(_), _) => "taken",
            (None, Some(_)) => "given up",
            (None, None) => "waiting",
        };
        let result = delivery.last_result.unwrap_or_default();
        let at = delivery.at.format("%F %T");
        println!("{at}\t{webhook}\t{}\t{state}\t{} tries\t{result}", delivery.kind.as_str(), delivery.attempts);
    }
    Ok(())
}
