//! A pooler in front of a private Postgres.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    postgres::{PrivatePostgres, postgres_user},
    process::{Process, Signal},
    redis::reserve_port,
    wait::eventually,
};

/// For how long a client keeps the session that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// As long as it is connected.
    Session,
    /// For one transaction.
    Transaction,
    /// The same, from several sessions in turns.
    TransactionInTurns,
}

/// pgbouncer with the settings it comes with. Dropping it ends it.
#[derive(Debug)]
pub struct PrivatePgbouncer {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl PrivatePgbouncer {
    /// Starts a pooler in front of this server.
    ///
    /// # Panics
    ///
    /// When pgbouncer is not installed, or does not start.
    pub async fn start(postgres: &PrivatePostgres, mode: PoolMode) -> Self {
        for _ in 0..20 {
            let folder = tempfile::Builder::new().prefix("pgbouncer-").tempdir().expect("a temporary folder can be made");
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))
                .expect("the mode of an own folder can be changed");
            let port = reserve_port();
            let mode = match mode {
                PoolMode::Session => "session",
                PoolMode::Transaction => "transaction",
                PoolMode::TransactionInTurns => "transaction\nserver_round_robin = 1\nmin_pool_size = 4",
            };
            let (host, server_port) = ("127.0.0.1", postgres.port());
            let config = format!(
                "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = any\nauth_file =\npool_mode = {mode}\ndefault_pool_size = 40\nmax_client_conn = 100\n"
            );
            // With `any` everybody is this user.
            let config = config.replace("* = host", "* = user=postgres host");
            let file = folder.path().join("pgbouncer.ini");
            fs::write(&file, config).expect("an own folder can be written");
            let mut command = Command::new("pgbouncer");
            command.arg(&file);
            if let Some((uid, gid)) = postgres_user() {
                command.uid(uid).gid(gid);
            }
            let mut process = Process::spawn("pgbouncer", command, &folder.path().join("log")).with_farewell(Signal::Interrupt);
            let up = eventually("pgbouncer to be ready", Duration::from_secs(30), async || {
                if !process.is_running() {
                    return Some(false);
                }
                process.log().contains("process up").then_some(true)
            })
            .await;
            if up {
                return Self { _process: process, port, _folder: folder };
            }
            assert!(process.log().contains("in use"), "pgbouncer does not start:\n{}", process.log());
        }
        panic!("pgbouncer finds no free port");
    }

    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}
