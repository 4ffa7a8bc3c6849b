//! Where a server is measured: a database, a folder, and what must be there before it starts.

use std::path::PathBuf;

use autocall::ids::{HandsetId, UserId};
use autocall::keep::pairing::token_hash;
use autocall::secrets;
use autocall::store::Store;
use autocall::store::access::users::{CameFrom, NewUser, Role};
use autocall::store::watch::handsets::{IdleForm, NewHandset, Profile};
use autocall_tests::postgres::{SchemaGuard, fresh_schema};
use autocall_tests::server::{Binary, ServeOptions};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::Asked;
use crate::wire::Line;

/// A database and a folder.
pub struct Place {
    folder: TempDir,
    schema: Option<SchemaGuard>,
    program: Option<PathBuf>,
}

/// Tokens of handsets of which the number is known.
pub fn token(number: usize) -> String {
    format!("benchhandset{number}")
}

/// The clock of the machine: what a bench makes is of now.
fn now() -> DateTime<Utc> {
    autocall::clock::Clock::system().now()
}

impl Place {
    pub async fn of(asked: &Asked) -> Self {
        let schema = match &asked.database {
            Some(url) => Some(fresh_schema(url).await),
            None => None,
        };
        Self { folder: tempfile::tempdir().unwrap(), schema, program: asked.program.clone() }
    }

    /// Where its database is; `None`: embedded.
    pub fn url(&self) -> Option<&str> {
        self.schema.as_ref().map(|schema| schema.url.as_str())
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("data").join("autocall.sqlite")
    }

    async fn store(&self) -> Store {
        Store::open(self.url(), &self.folder.path().join("data")).await.unwrap()
    }

    /// Pairs so many handsets.
    pub async fn with_handsets(self, count: usize, profile: Profile) -> Self {
        let store = self.store().await;
        let mut tx = store.begin().await.unwrap();
        for number in 0..count {
            let handset = NewHandset {
                id: HandsetId::new(now()),
                name: format!("bench {number}"),
                token_hash: Some(token_hash(&token(number)).to_vec()),
                plain_key: None,
                profile,
                idle_form: IdleForm::Plain,
                country: "CN".to_owned(),
                ring_seconds: 30,
                created_at: now(),
                allowed_at: None,
                monitor: false,
            };
            assert!(tx.db().insert_handset(&handset).await.unwrap());
        }
        tx.commit().await.unwrap();
        store.close().await;
        self
    }

    /// Somebody who is logged in so many times; gives their cookies.
    pub async fn logged_in(&self, users: usize) -> Vec<String> {
        let store = self.store().await;
        let mut tx = store.begin().await.unwrap();
        let mut cookies = Vec::new();
        for number in 0..users {
            let user = NewUser {
                id: UserId::new(now()),
                name: format!("user{number}"),
                // No password is that.
                password_hash: "none".to_owned(),
                role: Role::Responder,
                person_id: None,
                created_at: now(),
            };
            assert!(tx.db().insert_user(&user).await.unwrap());
            let token = secrets::random::<32>();
            tx.db()
                .insert_session(&secrets::hash(&token), user.id, (now(), now() + TimeDelta::days(1)), &CameFrom::default(), None)
                .await
                .unwrap();
            cookies.push(format!("cookie: autocall_session={token}\r\n"));
        }
        tx.commit().await.unwrap();
        store.close().await;
        cookies
    }

    /// A server on it.
    pub async fn serve(&self, http: &str) -> Binary {
        let config = format!(
            "[http]\nalarms_per_minute = 1000000\nmax_connections = 25000\nmax_waiting = 20000\nconnections_per_address = 25000\n{http}\n[log]\nfilter = \"warn\"\n"
        );
        let mut options = ServeOptions::new().config(config).data_dir(self.folder.path().join("data"));
        if let Some(program) = &self.program {
            options = options.program(program);
        }
        if let Some(url) = self.url() {
            options = options.database(url);
        }
        Binary::spawn(options).await
    }
}

/// A connection to a server.
pub async fn line(server: &Binary) -> Line {
    Line::open(&server.addr()).await.unwrap()
}
