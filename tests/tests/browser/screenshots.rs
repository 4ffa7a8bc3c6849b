//! Takes the pictures of the page that the documents show. `tests/screenshots` runs this; it is no test.
//!
//! The server is the real one, over HTTP; only its clock is moved, so that a night fits into a minute and the pictures are the same
//! whenever they are taken.

use std::path::Path;

use autocall::engine::Doer;
use autocall::keep::users::{self, Passwords};
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::harness::{Home, Kind, Server};

const PASSWORD: &str = "correct horse battery";
const ROSTER: &str = "name,numbers\n张伟 Zhang Wei,18712345678\n李娜 Li Na,18812345678\n王芳 Wang Fang,18912345678\n木村太郎 Kimura Tarō,+819012345678\n中村梅雀 Nakamura Baijaku,+819012345679\n";
const ZHANG: &str = "18712345678";
const LI: &str = "18812345678";
const WANG: &str = "18912345678";
const KIMURA: &str = "+819012345678";
const NAKAMURA: &str = "+819012345679";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// The file, and the size of the window.
const PICTURES: [(&str, u32, u32); 2] = [("now.png", 1280, 1060), ("now-phone.png", 360, 800)];

/// The server on whose page the pictures are taken, and its phones.
struct Night {
    server: Server,
    desk: String,
    rack: String,
}

impl Night {
    /// An afternoon in Shanghai, with two phones and five people.
    async fn begin() -> Self {
        let server = Home::new(Kind::Embedded).await.set("AUTOCALL_ALARMS_ATTEMPTS", "2").start().await;
        let store = &server.app.engine.store;
        let people = autocall::keep::people_import::read_csv(ROSTER, server.app.engine.region()).unwrap();
        store
            .carry_out(server.home.clock.now(), Doer::Server, async |work| {
                autocall::keep::people_import::import(work, &people).await
            })
            .await
            .unwrap();
        let login = users::Login::new(&Passwords::default(), "lin", PASSWORD).await.unwrap();
        let add = async |work: &mut autocall::store::Work| users::add(work, login, Role::Responder, None).await;
        store.carry_out(server.now(), Doer::Server, add).await.unwrap();
        let desk = server.pair("desk", Profile::List).await;
        let rack = server.pair("rack", Profile::App).await;
        Self { server, desk, rack }
    }

    /// Lets time go by while the phones poll.
    async fn pass(&self, seconds: i64) {
        for _ in 0..seconds / 10 {
            self.server.pass(10).await;
        }
        self.server.pass(seconds % 10).await;
        self.server.get(&self.desk).await;
        self.server.app_idle(&self.rack).await;
    }

    async fn raise(&self, summary: &str, source: &str, priority: &str, phones: &[&str]) -> String {
        let more = json!({ "summary": summary, "source": source, "priority": priority, "attempts": 1 });
        self.server.raise(phones, more).await
    }

    /// A phone takes the next list, lets it ring for so long, and says who picked up.
    async fn ring(&self, phone: &str, seconds: i64, answers: Option<&str>) {
        let (mid, _) = self.server.dial(phone).await;
        self.server.pass(seconds).await;
        self.server.report(phone, &mid, answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes docs/images: run tests/screenshots"]
async fn take() {
    let night = Night::begin().await;
    let server = &night.server;
    // 11:00 to 23:40, Shanghai.
    night.pass(12 * HOUR + 40 * MINUTE).await;
    night.raise("Backup of crm failed", "Zabbix", "normal", &[WANG, LI, ZHANG]).await;
    night.ring(&night.desk, 190, None).await;
    night.pass(90 * MINUTE).await;
    night.raise("Certificate of shop.example.com expires in 24 h", "Prometheus", "high", &[ZHANG, LI, WANG]).await;
    night.ring(&night.desk, 125, Some(WANG)).await;
    night.pass(93 * MINUTE).await;
    let lag = night.raise("Replication lag 400 s on db2", "Prometheus", "high", &[ZHANG, LI]).await;
    night.ring(&night.desk, 38, Some(ZHANG)).await;
    let (status, _) = server.post(&format!("/api/v1/alarms/{lag}/acknowledge"), &json!({ "number": ZHANG })).await;
    assert_eq!(status, 200);
    night.pass(27 * MINUTE).await;

    let native = server.pair("pixel", Profile::Native).await;
    night.raise("Disk 95 % full on db1, db2, db3", "Prometheus", "critical", &[ZHANG, LI, WANG]).await;
    let offer: Value = server.get(&native).await;
    server.pass(51).await;
    server.report(&native, offer["mid"].as_str().unwrap(), None).await;
    server.get(&native).await;
    server.pass(16).await;
    night.raise("Payment gateway: 5xx above 2 %", "Zabbix", "high", &[KIMURA, NAKAMURA]).await;
    server.app_dial(&night.rack).await;
    server.get(&night.desk).await;
    server.pass(7).await;
    // When they polled is otherwise written down every five seconds of real time.
    server.app.engine.watch_handsets().await.unwrap();

    let browser = Chromium::start_in("Asia/Shanghai").await;
    browser.log_in(&server.base, "lin", PASSWORD).await;
    browser.sees("Disk 95 % full").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    browser.run("document.documentElement.style.scrollbarWidth = 'none'").await;
    for (file, width, height) in PICTURES {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
        std::fs::write(folder.join(file), browser.client.screenshot().await.unwrap()).unwrap();
    }
}
