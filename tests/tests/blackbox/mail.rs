//! E-mail by the program itself: encrypted by a certificate that this computer trusts, with a password, tried by a command.

use autocall_tests::mail::{Certificate, MailServer};
use autocall_tests::server::Binary;

use crate::world::{Engine, World, on_both};

on_both!(a_test_goes_out_encrypted_and_with_a_password, an_authority_that_is_added_is_trusted_without_a_restart);

async fn a_test_goes_out_encrypted_and_with_a_password(engine: Engine) {
    let world = World::new(engine).await;
    let certificate = Certificate::make();
    let (pem, key) = (certificate.path("mail.pem"), certificate.path("mail.key"));
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "geheim 1\n").unwrap();
    let options = world.options().env("SSL_CERT_FILE", certificate.path("ca.pem"));
    let _server = Binary::spawn(options.env("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")).await;
    for at_once in [false, true] {
        let mut args = vec!["--cert", pem.as_str(), "--key", key.as_str(), "--login", "autocall:geheim 1"];
        args.extend(at_once.then_some("--at-once"));
        let mail = MailServer::start(&args).await;
        let (name, scheme) = if at_once { ("tls", "smtps") } else { ("starttls", "smtp") };
        let url = format!("{scheme}://localhost:{}", mail.port());
        let run = async |args: &[&str]| {
            let output = world.command(args).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {said}");
            said
        };
        let mut add = vec!["webhook", "add", "--name", name, "--shape", "email", "--url", &url, "--from", "autocall@example.com"];
        add.extend(["--to", "ops@example.com", "--user", "autocall", "--secret-file", secret.path().to_str().unwrap()]);
        run(&add).await;
        let said = run(&["webhook", "test", name]).await;
        assert!(said.contains("has taken it: 250"), "{said}");
        let taken = mail.taken();
        assert_eq!((taken.len(), &taken[0]["tls"], &taken[0]["login"]), (1, &true.into(), &"autocall".into()), "{taken:?}");
        assert_eq!(taken[0]["text"].as_str().unwrap().trim_end(), "This is a test from the on-call server.");
    }
}

async fn an_authority_that_is_added_is_trusted_without_a_restart(engine: Engine) {
    let world = World::new(engine).await;
    let (other, certificate) = (Certificate::make(), Certificate::make());
    let trusted = tempfile::NamedTempFile::new().unwrap();
    let options = world.options().env("SSL_CERT_FILE", trusted.path().to_str().unwrap());
    std::fs::copy(other.path("ca.pem"), trusted.path()).unwrap();
    let _server = Binary::spawn(options.env("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")).await;
    let (pem, key) = (certificate.path("mail.pem"), certificate.path("mail.key"));
    let mut servers = Vec::new();
    let run = async |args: &[&str]| {
        let output = world.command(args).await;
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    for (name, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
        let mut args = vec!["--cert", pem.as_str(), "--key", key.as_str()];
        args.extend((scheme == "smtps").then_some("--at-once"));
        let mail = MailServer::start(&args).await;
        let url = format!("{scheme}://localhost:{}", mail.port());
        servers.push(mail);
        let add = ["webhook", "add", "--name", name, "--shape", "email", "--url", &url, "--from", "autocall@example.com"];
        run(&[&add[..], &["--to", "ops@example.com"]].concat()).await;
        let said = run(&["webhook", "test", name]).await;
        assert!(said.contains("certificate") && !said.contains("has taken it"), "{said}");
    }
    std::fs::copy(certificate.path("ca.pem"), trusted.path()).unwrap();
    for name in ["starttls", "tls"] {
        let said = run(&["webhook", "test", name]).await;
        assert!(said.contains("has taken it: 250"), "{said}");
    }
}
