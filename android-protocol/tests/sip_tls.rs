//! SIP over TLS, with an authority of our own: its trunk is called, and anybody else's is not.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use android_protocol::{
    sip::{
        call::{Made, Order, SOUND_WITHIN, Sounds, lines, make, new_call_id},
        config::Sip,
        peer::{Act, Manners, Peer},
        signal::stack::{RegisterError, Stack},
    },
    voice::{g711::Law, script::Script},
    wire::{CallOutcome, FailureDetail},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `NAME.pem`, an authority, and `NAME-trunk.pem` with its key, for localhost.
fn authority(folder: &Path, name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let (trunk_key, request, trunk) = (format!("{name}-trunk.key"), format!("{name}.csr"), format!("{name}-trunk.pem"));
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = ["-x509", "-days", "2", "-keyout", &key, "-out", &pem, "-subj", "/CN=authority"];
    openssl(folder, &[&new[..], &authority[..]].concat());
    openssl(folder, &[&new[..], &["-keyout", &trunk_key, "-out", &request, "-subj", "/CN=localhost"][..]].concat());
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = ["x509", "-req", "-in", &request, "-CA", &pem, "-CAkey", &key, "-CAcreateserial", "-out", &trunk, "-days", "2"];
    openssl(folder, &[&sign[..], &["-extfile", "names"][..]].concat());
}

/// A trunk that takes encrypted connections only.
fn encrypted(folder: &Path, name: &str, manners: Manners) -> (Arc<Peer>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = Arc::new(Peer::quiet(address, manners));
    let certificates =
        CertificateDer::pem_file_iter(folder.join(format!("{name}-trunk.pem"))).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}-trunk.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let (settings, weak) = (Arc::new(settings), Arc::downgrade(&peer));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(peer) = weak.upgrade() else { return };
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let connection = rustls::ServerConnection::new(Arc::clone(&settings)).unwrap();
            peer.connected(Arc::new(Mutex::new(rustls::StreamOwned::new(connection, stream))));
        }
    });
    (peer, address.port())
}

fn settings(folder: &Path, port: u16, authority: &str) -> Sip {
    let file = folder.join(format!("{authority}.pem"));
    toml::from_str(&format!("trunk = 'localhost:{port}'\nuser = '1001'\ntransport = 'tls'\nca_file = '{}'\n", file.display()))
        .unwrap()
}

async fn call(sip: &Sip) -> Made {
    let order = Order {
        address: sip.dialling().address("13900000001").unwrap(),
        call_id: new_call_id(),
        ring: Duration::from_mins(1),
        patience: Duration::from_mins(1),
        script: serde_json::from_str::<Script>(r#"{"say":"x","repeat":9,"keys":{"1":"accept"}}"#).unwrap(),
        sounds: Sounds::default(),
        ports: None,
        symmetric: false,
        silence: SOUND_WITHIN,
        outcomes: BTreeMap::new(),
    };
    let stack = Stack::start(sip).await.unwrap();
    let (news, _told, _control, mut controlled) = lines();
    tokio::time::timeout(Duration::from_secs(90), make(&stack, &order, &news, &mut controlled)).await.unwrap()
}

#[tokio::test]
async fn the_trunk_of_the_right_authority_is_called_and_no_other() {
    // The agent's HTTP client has chosen, where there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "ours");
    authority(folder.path(), "theirs");
    let manners = Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Info('9'), Act::Key('1')]);
    let (peer, port) = encrypted(folder.path(), "ours", manners);

    let sip = settings(folder.path(), port, "ours");
    let stack = Stack::start(&sip).await.unwrap();
    let mut registration = stack.registration();
    let granted = loop {
        match registration.register(&stack, 300).await {
            // On a busy machine.
            Err(RegisterError::Silent) => {}
            answer => break answer,
        }
    };
    assert_eq!(granted, Ok(Duration::from_mins(2)));
    let registrations = peer.log().count("REGISTER");
    let made = call(&sip).await;
    assert_eq!((made.judged.outcome, made.conversation.keys.as_str()), (CallOutcome::Answered, "91"), "{made:?}");
    assert!(peer.log().last["INVITE"].contains("SIP/2.0/TLS"), "{}", peer.log().last["INVITE"]);

    let calls = peer.log().calls.len();
    let wrong = settings(folder.path(), port, "theirs");
    let made = call(&wrong).await;
    assert_eq!((made.judged.outcome, made.judged.detail), (CallOutcome::Failed, Some(FailureDetail::Trunk)), "{made:?}");
    let stack = Stack::start(&wrong).await.unwrap();
    assert!(matches!(
        stack.registration().register(&stack, 300).await,
        Err(RegisterError::Unreachable(_) | RegisterError::Silent)
    ));
    assert_eq!((peer.log().calls.len(), peer.log().count("REGISTER")), (calls, registrations), "nothing was said to it");

    let missing = Sip { ca_file: "/nowhere/ca.pem".into(), ..sip };
    let why = Stack::start(&missing).await.unwrap_err().to_string();
    assert!(why.contains("/nowhere/ca.pem cannot be read; agent.sip.ca_file names the authorities"), "{why}");
}
