//! What the server costs with much of everything, each figure beside its reference from the same run.
//!
//! `cargo bench -p autocall-tests --bench scale -- [WHAT]… [--program FILE] [--database URL] [--NAME NUMBER]…`
//!
//! WHAT is some of `idle`, `phones`, `waiting`, `storm`, `dashboards`, `rest`, `growth`; nothing means all but `growth`. Without a URL the
//! database is embedded. Method and results are in docs/performance.md. Nothing is asserted: whoever reads it judges.

#![expect(clippy::cast_precision_loss, reason = "counts of a measurement are small")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may stop at the first surprise")]

mod bare;
mod dashboards;
mod growth;
mod idle;
mod machine;
mod phones;
mod place;
mod rest;
mod storm;
mod wire;

use std::collections::HashMap;
use std::path::PathBuf;

/// What is to be measured, and how much of it.
pub struct Asked {
    program: Option<PathBuf>,
    database: Option<String>,
    numbers: HashMap<String, usize>,
}

impl Asked {
    /// The number that was given under this name.
    fn number(&self, name: &str, otherwise: usize) -> usize {
        self.numbers.get(name).copied().unwrap_or(otherwise)
    }
}

const ALL: [&str; 7] = ["idle", "phones", "waiting", "storm", "dashboards", "rest", "growth"];

fn main() {
    // `cargo bench` adds one of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut what = Vec::new();
    let mut asked = Asked { program: None, database: None, numbers: HashMap::new() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind each option");
        match argument.strip_prefix("--") {
            None if argument == "bare" => return bare::serve(),
            None => what.push(argument),
            Some("program") => asked.program = Some(value().into()),
            Some("database") => asked.database = Some(value()),
            Some(name) => {
                let number = value().parse().expect("a number behind each other option");
                asked.numbers.insert(name.to_owned(), number);
            }
        }
    }
    if what.is_empty() {
        what = ALL.iter().filter(|one| **one != "growth").map(|one| (*one).to_owned()).collect();
    }
    // Each phone is a connection, here and there.
    let room = autocall::net::files::make_room(30_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = if asked.database.is_some() { "PostgreSQL" } else { "embedded database" };
        println!("{}; {database}; room for {room} connections of ours", machine::described());
        for one in &what {
            println!("\n{one}");
            match one.as_str() {
                "idle" => idle::measure(&asked).await,
                "phones" => phones::measure(&asked, phones::Way::EveryTenSeconds).await,
                "waiting" => phones::measure(&asked, phones::Way::LongPolls).await,
                "storm" => storm::measure(&asked).await,
                "dashboards" => dashboards::measure(&asked).await,
                "rest" => rest::measure(&asked).await,
                "growth" => growth::measure(&asked).await,
                other => panic!("{other:?} is none of {ALL:?}"),
            }
        }
    });
}
