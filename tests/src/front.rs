//! A real web server in front of the tested one: nginx or Caddy.

use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::redis::reserve_port;
use crate::wait::eventually;

/// How long it may take to start on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A proxy of the kind that stands before the server, until it is dropped.
pub struct Proxy {
    _process: Process,
    /// Where it listens: an address and a port.
    pub addr: String,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// nginx with this `server { … }`, in which `PORT` stands for its port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn nginx(server: &str) -> Self {
        let (folder, port) = (tempfile::Builder::new().prefix("nginx-").tempdir().expect("a temporary folder"), reserve_port());
        let place = folder.path().display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {place}/{kind};"));
        let text = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr; events {{}} http {{ access_log off; {} {} }}",
            paths.join(" "),
            server.replace("PORT", &port.to_string())
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).expect("its configuration is written");
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&file);
        Self::up(Process::spawn("nginx", command, &folder.path().join("log")), port, folder).await
    }

    /// Caddy with this Caddyfile, in which `PORT` stands for its port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn caddy(sites: &str) -> Self {
        let (folder, port) = (tempfile::Builder::new().prefix("caddy-").tempdir().expect("a temporary folder"), reserve_port());
        let file = folder.path().join("Caddyfile");
        let text = format!("{{\n    admin off\n    auto_https off\n}}\n{}", sites.replace("PORT", &port.to_string()));
        std::fs::write(&file, text).expect("its configuration is written");
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
        Self::up(Process::spawn("caddy", command, &folder.path().join("log")), port, folder).await
    }

    async fn up(mut process: Process, port: u16, folder: tempfile::TempDir) -> Self {
        let addr = format!("127.0.0.1:{port}");
        eventually("the proxy to listen", SOON, async || {
            assert!(process.is_running(), "{}", process.log());
            tokio::net::TcpStream::connect(&addr).await.ok()
        })
        .await;
        Self { _process: process, addr, _folder: folder }
    }
}
