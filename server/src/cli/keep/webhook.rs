//! `autocall webhook`: add, list, remove, test, log.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::cli::{agreed_clock, labels, one_of, open};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::webhooks::{self, NewWebhook};
use crate::kinds::guard::GuardedResolver;
use crate::kinds::notices::{Sign, Template, WebhookSettings, WebhookShape};
use crate::store::lines::webhooks::NoticeKind;

// What an operator writes of a request. No doc comment: the help of the command would begin with it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Written {
    /// Of a template: GET, POST, PUT or PATCH [default: POST]
    #[arg(long)]
    method: Option<String>,
    /// Of a template: a header, NAME=VALUE; may be given several times
    #[arg(long = "header", value_parser = labels::pair)]
    headers: Vec<(String, String)>,
    /// Of a template: the body, with {text}, {title}, {summary}, {priority}, {source}, {event}, {at}, {id} and {secret}
    #[arg(long)]
    body: Option<String>,
    /// Of a template: the statuses that say that it was taken [default: 200 to 299]
    #[arg(long, value_delimiter = ',')]
    taken_status: Vec<u16>,
    /// Of a template: what the answer holds then, POINTER=VALUE, such as /code=0
    #[arg(long, value_parser = labels::pair)]
    taken_sign: Option<(String, String)>,
}

impl Written {
    fn is_nothing(&self) -> bool {
        let Self { method, headers, body, taken_status, taken_sign } = self;
        method.is_none() && headers.is_empty() && body.is_none() && taken_status.is_empty() && taken_sign.is_none()
    }

    fn template(self) -> Template {
        let usual = Template::default();
        Template {
            method: self.method.unwrap_or(usual.method),
            headers: self.headers.into_iter().collect(),
            body: self.body.unwrap_or_default(),
            statuses: self.taken_status,
            sign: self.taken_sign.map(|(pointer, value)| Sign { pointer, value }),
        }
    }
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, once")]
pub(in crate::cli) enum WebhookCommand {
    /// Tell a chat room or a program what happens
    Add {
        /// What people call it, such as ops-room
        #[arg(long)]
        name: String,
        /// Where to post, or where the service is [default: its own address, where it has one]
        #[arg(long)]
        url: Option<String>,
        /// The form that the other side wants
        #[arg(long, value_parser = shapes())]
        shape: WebhookShape,
        /// What the signature is made with, or the token or key that the service has given out
        #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true)]
        secret: Option<String>,
        /// The same, as the first line of a file
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Of e-mail: from whom, such as autocall@example.com
        #[arg(long)]
        from: Option<String>,
        /// Of e-mail: whose the password is, where the server wants one
        #[arg(long)]
        user: Option<String>,
        /// Who in the service is told: a chat, a user, a topic, a room, addresses of e-mail
        #[arg(long, allow_negative_numbers = true)]
        to: Option<String>,
        /// Of a chat: who is called by each notice, in the way of the service; may be given several times
        #[arg(long = "mention", value_name = "WHO", value_delimiter = ',', allow_hyphen_values = true)]
        mentions: Vec<String>,
        #[command(flatten)]
        written: Box<Written>,
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
    /// Send a test notice, and say what came of it; the running server delivers it
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

/// Which forms there are, and what each is.
fn shapes() -> impl TypedValueParser<Value = WebhookShape> {
    let words = WebhookShape::ALL.iter().map(|shape| PossibleValue::new(shape.as_str()).help(shape.options()));
    PossibleValuesParser::new(words).try_map(|word| WebhookShape::read(&word).ok_or("there is no such form"))
}

pub(in crate::cli) async fn run(command: WebhookCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    match command {
        WebhookCommand::Add { name, url, shape, secret, secret_file, from, user, to, mentions, written, events, language } => {
            let secret = match secret_file {
                Some(file) => {
                    let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
                    Some(text.lines().next().unwrap_or_default().to_owned())
                }
                None => secret,
            };
            // Whatever is given to another form is refused below.
            let template = (shape == WebhookShape::Template || !written.is_nothing()).then(|| written.template());
            let settings = WebhookSettings { to, from, user, mentions, template };
            let new = NewWebhook { name, url: url.unwrap_or_default(), shape, secret, settings, kinds: events, language };
            let guard = GuardedResolver::new(&config.notify.allow_networks);
            store.carry_out(now, Doer::CommandLine, async |work| webhooks::add(work, &new, &guard).await.map(|_| ())).await?;
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
            let test = store.carry_out(now, Doer::CommandLine, async |work| webhooks::test(work, &name).await).await?;
            let tried = webhooks::tried(&store, test).await?;
            match (tried.delivered_at, tried.gave_up_at, tried.last_result.clone()) {
                (Some(_), _, said) => println!("{name} has taken it: {}", said.unwrap_or_default()),
                (None, Some(_), why) => {
                    anyhow::bail!("{name} refused it for good, and it is not tried again: {}", why.unwrap_or_default())
                }
                (None, None, Some(why)) => anyhow::bail!("{name} did not take it, and it is tried again later: {why}"),
                (None, None, None) => anyhow::bail!("{name}: {}", webhooks::why_untold(&store, &tried).await?),
            }
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
