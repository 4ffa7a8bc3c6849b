//! One drill: an installation under load, until everything that was begun has come to its end and is judged.

use std::{sync::Arc, time::Duration};

use autocall_tests::{proxy::TcpProxy, server::Binary, wait::eventually};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    apps,
    installation::Installation,
    ledger::Ledger,
    own::{Own, Program},
    phones::{Habits, Kind, Phone},
    senders::{self, Sorts},
    verdict,
};

/// How long something may take that normally takes a few seconds, on a busy machine.
pub const LONG: Duration = Duration::from_secs(150);

/// How long the lines of our own handsets ring at most: their callees decide sooner, but for their programs, which are killed meanwhile.
const OWN_RING_SECONDS: i32 = 10;

/// The simulated builds, and whether each runs without its screen.
const APPS: [(&str, bool); 4] = [("app-head", false), ("app-14558f3", false), ("app-head-headless", true), ("native", false)];

/// An installation under load.
pub struct Drill {
    pub installation: Installation,
    pub ledger: Arc<Ledger>,
    pub random: StdRng,
    began: Instant,
    phones: JoinSet<()>,
    senders: JoinSet<()>,
    quit: CancellationToken,
}

/// A group of phones of one drill.
pub struct Group {
    /// The names begin with this.
    pub name: &'static str,
    /// How many.
    pub count: usize,
    /// What they are, in turns.
    pub kinds: &'static [Kind],
    /// The servers they know, first the one they begin with; every other phone begins with the last.
    pub servers: Vec<String>,
    /// How they live.
    pub habits: Habits,
}

/// All kinds of phones.
pub const ALL_KINDS: &[Kind] = &[Kind::App, Kind::List, Kind::Native, Kind::Repeat];

impl Drill {
    /// Begins with a database that holds people, and prints the seed that decides everything random.
    pub async fn begin(installation: Installation) -> Self {
        let seed: u64 = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        println!("TEST_SEED={seed}");
        installation.prepare().await;
        Self {
            installation,
            ledger: Arc::default(),
            random: StdRng::seed_from_u64(seed),
            began: Instant::now(),
            phones: JoinSet::new(),
            senders: JoinSet::new(),
            quit: CancellationToken::new(),
        }
    }

    /// Adds phones, and gives their names.
    pub async fn phones(&mut self, group: Group) -> Vec<String> {
        let handsets: Vec<_> = (0..group.count)
            .map(|index| (format!("{}-{index}", group.name), group.kinds[index % group.kinds.len()], false))
            .collect();
        let paired = self.installation.pair(&handsets).await;
        let mut names = Vec::new();
        for (index, (paired, (_, kind, _))) in paired.into_iter().zip(handsets).enumerate() {
            let mut servers = group.servers.clone();
            if index % 2 == 1 {
                servers.reverse();
            }
            names.push(paired.name.clone());
            let phone = Phone {
                name: paired.name,
                kind,
                token: paired.token,
                servers,
                habits: group.habits.clone(),
                ledger: Arc::clone(&self.ledger),
                seed: self.random.random(),
            };
            self.phones.spawn(phone.live(self.quit.clone()));
        }
        names
    }

    /// Adds the simulated builds of the app and our own agent, which know one server each.
    pub async fn apps(&mut self, servers: &[String]) {
        let handsets: Vec<_> = APPS
            .iter()
            .map(|(build, headless)| {
                let kind = if *build == "native" { Kind::Native } else { Kind::App };
                (format!("simulated-{build}"), kind, *headless)
            })
            .collect();
        let paired = self.installation.pair(&handsets).await;
        for (index, (paired, (build, _))) in paired.into_iter().zip(APPS).enumerate() {
            let url = format!("{}/h/{}/alert/phone", servers[index % servers.len()], paired.token);
            self.phones.spawn(apps::live(build, url, Arc::clone(&self.ledger), self.quit.clone()));
        }
    }

    /// Adds the programs of our own handsets, each with callees of its own. The lines between them and the servers, for whoever wants to cut
    /// them.
    pub async fn own(&mut self, servers: &[String]) -> Vec<TcpProxy> {
        let handsets = Program::ALL.map(|program| (program.name().to_owned(), Kind::Native, false));
        let paired = self.installation.pair_ringing(&handsets, OWN_RING_SECONDS).await;
        let mut lines = Vec::new();
        for (paired, program) in paired.into_iter().zip(Program::ALL) {
            let own = Own::new(program, paired, servers.to_vec(), Arc::clone(&self.ledger), self.random.random()).await;
            let line = TcpProxy::start(own.address()).await;
            self.phones.spawn(own.live(line.addr().to_string(), self.quit.clone()));
            lines.push(line);
        }
        eventually("our own handsets to ask", LONG, async || {
            (self.ledger.open().asked.len() == Program::ALL.len()).then_some(())
        })
        .await;
        lines
    }

    /// Begins to raise alarms, about so far apart.
    pub fn alarms(&mut self, count: usize, each: Duration, servers: Vec<String>) {
        let seed = self.random.random();
        let sorts = if self.installation.joins { Sorts::Alike } else { Sorts::All };
        self.senders.spawn(senders::raise(Arc::clone(&self.ledger), servers, sorts, count, each, seed));
    }

    /// Goes on with the load for a random time, so that the next fault comes at any instant.
    pub async fn a_while(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(milliseconds))).await;
    }

    /// Waits until the load has really begun: alarms were accepted and reports acknowledged.
    pub async fn is_under_load(&self) {
        eventually("the load to begin", LONG, async || {
            (self.ledger.accepted() >= 10 && self.ledger.acknowledged() >= 5).then_some(())
        })
        .await;
    }

    /// Waits until so many more reports were acknowledged: the server does its work.
    pub async fn goes_on(&mut self, more: usize) {
        let before = self.ledger.acknowledged();
        let Self { ledger, senders, .. } = self;
        eventually("reports to be acknowledged again", LONG, async || {
            while let Some(sender) = senders.try_join_next() {
                sender.expect("every alarm is accepted in the end");
            }
            // At the end of the load there may be less left to report.
            (ledger.acknowledged() >= before + more || senders.is_empty()).then_some(())
        })
        .await;
    }

    /// Everything works again: waits until every alarm has ended and every phone has delivered what it holds, and judges.
    pub async fn finish(mut self, node: &Binary) {
        while let Some(sender) = self.senders.join_next().await {
            sender.expect("every alarm is accepted in the end");
        }
        verdict::everything_ends(&node.url()).await;
        self.quit.cancel();
        let phones = async {
            while let Some(phone) = self.phones.join_next().await {
                phone.expect("a phone lives on");
            }
        };
        timeout(2 * LONG, phones).await.expect("every phone delivers what it holds");
        // A late answer may have come meanwhile, but nothing new was begun.
        verdict::everything_ends(&node.url()).await;
        println!("judged after {:?}", self.began.elapsed());
        verdict::judge(&node.url(), &self.installation, &self.ledger).await;
    }
}

/// Shows the end of the nodes' logs when the test fails.
pub struct Nodes(pub Vec<Binary>);

impl Nodes {
    /// Starts so many nodes, one after the other.
    pub async fn start(count: usize, mut options: impl FnMut(usize) -> autocall_tests::server::ServeOptions) -> Self {
        let mut nodes = Vec::new();
        for index in 0..count {
            nodes.push(Binary::spawn(options(index)).await);
        }
        Self(nodes)
    }

    /// Where they serve.
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(Binary::url).collect()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (index, node) in self.0.iter().enumerate() {
                let log = node.log();
                let lines: Vec<_> = log.lines().filter(|line| !line.contains(" INFO ") && !line.contains("INFO")).collect();
                let last = lines[lines.len().saturating_sub(40)..].join("\n");
                eprintln!("--- node {index}, the last warnings and errors ---\n{last}");
            }
        }
    }
}
