//! Somebody with a browser: keeps cookies, fills in forms with the token of the page they saw last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use autocall::app::App;
use autocall::engine::Doer;
use autocall::ids::PersonId;
use autocall::keep::users::{self, Hashed, Passwords};
use autocall::store::access::users::Role;
use autocall::store::audit::AuditFilter;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use tokio::sync::OnceCell;

use crate::harness::Server;

pub const PASSWORD: &str = "correct horse battery";

/// What a browser gets.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    pub fn shows(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    pub fn location(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The token in the first form.
    pub fn form_token(&self) -> Option<String> {
        let (_, rest) = self.body.split_once("name=\"form_token\" value=\"")?;
        rest.split('"').next().map(str::to_owned)
    }
}

/// Forms that change nothing that anybody keeps, and say that they are done: what was said in them is the reader's own, or it is told on the
/// timeline of the call that it makes.
const LEAVES_NO_LINE: [&str; 4] = ["/people/me/language", "/people/me/ring", "/senders/ring", "/senders/test"];

/// Where a form is sent, and what is typed in it.
type Form = (String, Vec<(String, String)>);

pub struct Visitor {
    /// Weak: a browser that is still open keeps no server from stopping.
    app: Weak<App>,
    http: reqwest::Client,
    base: String,
    pub cookies: BTreeMap<String, String>,
    pub form_token: String,
    /// The forms that were done before.
    pressed: BTreeSet<Form>,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
}

impl Visitor {
    pub fn new(server: &Server) -> Self {
        let http = autocall_tests::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let app = Arc::downgrade(&server.app);
        Self {
            app,
            http,
            base: server.base.clone(),
            cookies: BTreeMap::new(),
            form_token: String::new(),
            pressed: BTreeSet::new(),
            headers: Vec::new(),
        }
    }

    /// A user who is logged in.
    pub async fn logged_in(server: &Server, name: &str, role: Role) -> Self {
        Self::logged_in_as(server, name, role, None).await
    }

    /// A user who is logged in, and is this person.
    pub async fn logged_in_as(server: &Server, name: &str, role: Role, person: Option<PersonId>) -> Self {
        add_user_as(server, name, role, person).await;
        let mut visitor = Self::new(server);
        let page = visitor.log_in(name, PASSWORD).await;
        assert_eq!(page.status, 303, "{}", page.body);
        visitor.get("/").await;
        visitor
    }

    pub async fn log_in(&mut self, name: &str, password: &str) -> Page {
        self.get("/login").await;
        self.post("/login", &[("name", name), ("password", password)]).await
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let page = self.send(self.http.get(format!("{}{path}", self.base))).await;
        if let Some(token) = page.form_token() {
            self.form_token = token;
        }
        page
    }

    /// Sends a form with the token of the page seen last.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.form_token.clone();
        let mut fields = fields.to_vec();
        fields.push(("form_token", &token));
        self.post_bare(path, &fields).await
    }

    /// Sends a form just as it is.
    pub async fn post_bare(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("{}{path}", self.base));
        let before = self.latest_line().await;
        let page = self.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)).await;
        let form =
            fields.iter().filter(|(name, _)| *name != "form_token").map(|&(name, value)| (name.to_owned(), value.to_owned()));
        self.left_a_line((path.to_owned(), form.collect()), before, &page).await;
        page
    }

    /// The number of the last line of the audit log; `None` while it cannot be read, or its server is gone.
    async fn latest_line(&self) -> Option<i64> {
        let app = self.app.upgrade()?;
        let mut reader = app.engine.store.read().await.ok()?;
        let page = reader.db().list_audit(&AuditFilter::default(), 1).await.ok()?;
        Some(page.lines.first().map_or(0, |line| line.id))
    }

    /// Whatever form any scene sends, and that says that it is done, has left a line of who did what. Pressed twice it says so twice, and has
    /// done it once.
    async fn left_a_line(&mut self, form: Form, before: Option<i64>, page: &Page) {
        let is_done = page.status == 303 && page.header("location").contains("done=");
        let path = form.0.clone();
        if !is_done || LEAVES_NO_LINE.contains(&path.as_str()) || !self.pressed.insert(form) {
            return;
        }
        if let (Some(before), Some(after)) = (before, self.latest_line().await) {
            assert!(after > before, "the form {path} says {} and leaves no line in the audit log", page.location());
        }
    }

    /// Sends a form with a file as a browser does, with the token of the page seen last. `file`: its field, its name, what is in it.
    pub async fn post_file(&mut self, path: &str, fields: &[(&str, &str)], file: (&str, &str, &[u8])) -> Page {
        let token = self.form_token.clone();
        let mut body = Vec::new();
        for (name, value) in fields.iter().chain(&[("form_token", token.as_str())]) {
            body.extend(format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes());
        }
        let (name, file_name, bytes) = file;
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n--x--\r\n"].concat());
        let request = self.http.post(format!("{}{path}", self.base));
        self.send(request.header(CONTENT_TYPE, "multipart/form-data; boundary=x").body(body)).await
    }

    /// Listens at an address.
    pub async fn listen(&self, path: &str) -> reqwest::Response {
        self.dressed(self.http.get(format!("{}{path}", self.base))).send().await.unwrap()
    }

    fn dressed(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request = request.header("accept", "text/html").header(COOKIE, cookies.join("; "));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let response = self.dressed(request).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all(SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status, headers, body: response.text().await.unwrap() }
    }
}

pub async fn add_user(server: &Server, name: &str, role: Role) {
    add_user_as(server, name, role, None).await;
}

async fn add_user_as(server: &Server, name: &str, role: Role, person: Option<PersonId>) {
    // Hashed once for all: that is slow on purpose, and hundreds log in here.
    static HASHED: OnceCell<Hashed> = OnceCell::const_new();
    let store = &server.app.engine.store;
    let hashed = HASHED.get_or_init(async || Passwords::default().hashed(PASSWORD).await.unwrap()).await;
    let login = users::Login::of(name, hashed.clone()).unwrap();
    store.carry_out(server.now(), Doer::Server, async |work| users::add(work, login, role, person).await).await.unwrap();
}
