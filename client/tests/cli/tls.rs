//! TLS by a private authority, from client and agent to the orchestrator, also through a proxy.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};
use crate::program::{Home, text};

/// An authority of our own, with a certificate for this machine.
struct Authority {
    ca: String,
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap().pem();
        Self { ca, cert, key: key.serialize_pem() }
    }

    /// Its certificate and key become the orchestrator's.
    fn write(&self, home: &Home) -> [PathBuf; 2] {
        [home.file("cert.pem", &self.cert), home.file("key.pem", &self.key)]
    }
}

/// An orchestrator with TLS, and a token for one who operates.
fn farm(home: &Home, authority: &Authority) -> (Farm, String) {
    let [cert, key] = authority.write(home);
    let flags = ["--tls-cert", text(&cert), "--tls-key", text(&key)];
    let mut farm = Farm::not_started(flags.map(str::to_owned).into());
    let token = farm.token_before(&["create", "--name", "otto", "--role", "operate"]);
    farm.start_orchestrator();
    (farm, token)
}

/// A proxy that joins what is asked for by CONNECT, and counts it.
fn proxy() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let joined = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&joined);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || join(client, &count));
        }
    });
    (url, joined)
}

fn join(client: TcpStream, count: &AtomicU32) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    let server = TcpStream::connect(target.replace("localhost", "127.0.0.1")).ok()?;
    let mut answering = client.try_clone().ok()?;
    answering.write_all(b"HTTP/1.1 200 joined\r\n\r\n").ok()?;
    count.fetch_add(1, Ordering::Relaxed);
    let (mut from, mut to) = (server.try_clone().ok()?, client);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut server = server;
    let _ = std::io::copy(&mut reader, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok()
}

#[test]
fn a_job_is_done_over_tls_and_through_a_proxy() {
    let (home, authority) = (Home::new(), Authority::new());
    let (farm, token) = farm(&home, &authority);
    let (ca, token) = (home.file("ca.pem", &authority.ca), home.file("token", token));
    let enrolment = home.file("enrolment", farm.token_before(&["create", "--name", "rack", "--role", "enrol"]));
    let ((agents_proxy, agents), (ours, clients)) = (proxy(), proxy());
    let blender = blenders::path(Kind::Program);
    let flags = ["--ca", text(&ca), "--token-file", text(&enrolment)];
    let _agent = farm.agent_at(&farm.sealed_url(), "barn", &blender, &flags, &[("HTTPS_PROXY", &agents_proxy)]);
    let scene = blenders::scenes(Kind::Program).join("near/textured.blend");
    let out = home.path("out");
    let output = home
        .command(&farm.sealed_url(), &["submit", text(&scene), "-f", "1-2", "--watch", "--out", text(&out)])
        .args(["--ca", text(&ca), "--token-file", text(&token), "--blender", text(&blender)])
        .env("HTTPS_PROXY", ours)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(out).unwrap().filter(|entry| is_picture(&entry.as_ref().unwrap().path())).count(), 2);
    assert!(agents.load(Ordering::Relaxed) > 0 && clients.load(Ordering::Relaxed) > 0);
}

fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "png")
}

#[test]
fn another_authority_is_not_believed() {
    let (home, authority) = (Home::new(), Authority::new());
    let (farm, token) = farm(&home, &authority);
    let (ca, other) = (home.file("ca.pem", &authority.ca), home.file("other.pem", Authority::new().ca));
    let token = home.file("token", token);
    let jobs = |url: &str, flags: &[&str]| home.run(url, &[&["jobs", "--token-file", text(&token)], flags].concat());
    jobs(&farm.sealed_url(), &["--ca", text(&ca)]).ends_with(0);
    for flags in [&["--ca", text(&other)][..], &[]] {
        let ran = jobs(&farm.sealed_url(), flags).ends_with(5);
        assert!(ran.err.to_lowercase().contains("certificate"), "{ran:#?}");
    }
    // Nor the right one under another name, nor no TLS at all.
    let ran = jobs(&farm.sealed_url().replace("localhost", "127.0.0.1"), &["--ca", text(&ca)]).ends_with(5);
    assert!(ran.err.to_lowercase().contains("certificate"), "{ran:#?}");
    jobs(&farm.url(), &[]).ends_with(5);
}

#[test]
fn a_new_certificate_is_taken_while_the_orchestrator_runs() {
    let (home, [old, new]) = (Home::new(), [Authority::new(), Authority::new()]);
    let (farm, token) = farm(&home, &old);
    let token = home.file("token", token);
    let [old_ca, new_ca] = [home.file("old.pem", &old.ca), home.file("new.pem", &new.ca)];
    let jobs = |ca: &Path| home.run(&farm.sealed_url(), &["jobs", "--token-file", text(&token), "--ca", text(ca)]).code;
    assert_eq!((jobs(&old_ca), jobs(&new_ca)), (Some(0), Some(5)));
    new.write(&home);
    wait("the new certificate", || (jobs(&new_ca) == Some(0)).then_some(()));
    assert_eq!(jobs(&old_ca), Some(5));
}
