//! *System* says until when the certificate holds, and that it ends soon, or that a newer one cannot be used.

use std::fs;

use autocall::net::authority::{Authority, CERTIFICATE_DAYS, Holder, new_authority};
use autocall::store::access::users::Role;
use chrono::TimeDelta;

use crate::client::Visitor;
use crate::harness::{Home, on_both};

on_both!(the_end_of_the_certificate_is_shown_in_time);

async fn the_end_of_the_certificate_is_shown_in_time(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let (now, file) = (home.clock.now(), |name: &str| folder.path().join(name));
    let write = |days_ago: i64| {
        let day = (now - TimeDelta::days(days_ago)).date_naive();
        let made = new_authority("test", day).unwrap();
        let authority = Authority::read(&made.certificate, &made.key, now).unwrap();
        let signed = authority.sign(Holder::Server, &["pager.office.lan".to_owned()], day).unwrap();
        fs::write(file("key"), signed.key).unwrap();
        fs::write(file("pem"), signed.certificate).unwrap();
        (day + TimeDelta::days(CERTIFICATE_DAYS)).to_string()
    };
    let until = write(CERTIFICATE_DAYS - 15);
    let server = home
        .set("AUTOCALL_HTTP_TLS_LISTEN", "127.0.0.1:0")
        .set("AUTOCALL_HTTP_TLS_CERTIFICATE", file("pem").to_str().unwrap())
        .set("AUTOCALL_HTTP_TLS_KEY", file("key").to_str().unwrap())
        .start()
        .await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/system").await;
    assert!(page.shows(&format!("until {until}, for pager.office.lan")) && page.shows("Nothing is wrong"), "{}", page.body);
    server.home.clock.advance(TimeDelta::days(2));
    // A session does not last so long.
    let mut lin = Visitor::logged_in(&server, "ann", Role::Admin).await;
    let page = lin.get("/system").await;
    assert!(page.shows("The certificate ends soon") && page.shows(&format!("It holds until {until}")), "{}", page.body);
    for (language, word) in
        [("zh", "证书即将到期"), ("ja", "証明書の有効期限が近づいています"), ("es", "El certificado caduca pronto")]
    {
        assert!(lin.get(&format!("/system?lang={language}")).await.shows(word), "{language}");
    }

    // A renewal that went wrong is told, and what is shown stays.
    fs::write(file("key"), "<half>").unwrap();
    let secured = server.app.secured.as_ref().unwrap();
    secured.look_again(true);
    let page = lin.get("/system?lang=en").await;
    assert!(page.shows("The new certificate cannot be used") && page.shows("the file of the key holds none"), "{}", page.body);
    assert!(page.shows(&format!("until {until}")) && !page.body.contains("<half>"), "{}", page.body);
    let renewed = write(0);
    secured.look_again(false);
    let page = lin.get("/system").await;
    assert!(page.shows(&format!("until {renewed}")) && page.shows("Nothing is wrong"), "{}", page.body);
}
