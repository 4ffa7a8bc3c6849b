//! The idle poll beside a bare handler that answers with the same bytes: processor time for each, and requests a second.

use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;

use crate::Asked;
use crate::bare::Bare;
use crate::machine::{Figures, Since};
use crate::place::{Place, line, token};
use crate::wire::{Line, get};

/// Who answers, and to what.
struct Side {
    name: &'static str,
    address: String,
    process: u32,
    request: Vec<u8>,
    rates: Figures,
    costs: Figures,
}

pub async fn measure(asked: &Asked) {
    let (rounds, seconds, lines) = (asked.number("rounds", 7), asked.number("seconds", 3), asked.number("connections", 32));
    let place = Place::of(asked).await.with_handsets(1, Profile::List).await;
    let server = place.serve("open_networks = [\"127.0.0.0/8\"]\n[handsets]\nplain_path = \"always\"").await;
    let by_token = get(&format!("/h/{}/alert/phone", token(0)), "model: bench\r\n");
    let plain = get("/alert/phone", "model: bench\r\n");
    let answer = line(&server).await.ask(&by_token).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let bare = Bare::start(&answer);
    let side = |name, address: String, process, request: &[u8]| Side {
        name,
        address,
        process,
        request: request.to_vec(),
        rates: Figures::default(),
        costs: Figures::default(),
    };
    let mut sides = [
        side("bare axum", bare.address.clone(), bare.process(), &by_token),
        side("by token", server.addr(), server.process_id(), &by_token),
        side("plain path", server.addr(), server.process_id(), &plain),
    ];
    for _ in 0..rounds {
        for side in &mut sides {
            side.round(lines, Duration::from_secs(seconds as u64)).await;
        }
    }
    let [reference, others @ ..] = &sides;
    println!("  {}: {} requests/s, {} µs each", reference.name, reference.rates.told(0), reference.costs.told(1));
    for side in others {
        println!("  {}: {} requests/s, {} µs each", side.name, side.rates.told(0), side.costs.told(1));
        println!(
            "    processor time to bare axum: {}; requests/s to bare axum: {}",
            side.costs.to(&reference.costs).told(2),
            side.rates.to(&reference.rates).told(2)
        );
    }
}

impl Side {
    async fn round(&mut self, lines: usize, length: Duration) {
        let used = Since::now(self.process);
        let ends = Instant::now() + length;
        let asking: Vec<_> = (0..lines)
            .map(|_| {
                let (address, request) = (self.address.clone(), self.request.clone());
                tokio::spawn(async move {
                    let mut line = Line::open(&address).await.unwrap();
                    let mut count = 0_u32;
                    while Instant::now() < ends {
                        let answer = line.ask(&request).await.unwrap();
                        assert_eq!(answer.status, 200);
                        count += 1;
                        if answer.closes {
                            line = Line::open(&address).await.unwrap();
                        }
                    }
                    count
                })
            })
            .collect();
        let mut count = 0.0;
        for one in asking {
            count += f64::from(one.await.unwrap());
        }
        self.rates.add(count / used.seconds());
        self.costs.add(used.own() * 1_000_000.0 / count);
    }
}
