//! What processes do when they are told to stop, told so twice, and told to read their files again
//! (cluster §15).

use std::path::Path;

use mesh_backend::store::keys;
use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::cluster::Nudge;
use mesh_common::session::client::ClientSession;
use mesh_common::time::Clock as _;
use mesh_link::ca::{self, AUTHORITY_LIFE, Issued, NODE_LIFE};
use mesh_link::certificate;
use mesh_link::{
    ClusterName, LinkConnector, LinkFailure, LinkFiles, LinkRole, LinkSecurity, LinkTls,
    NodeLink as _,
};
use mesh_tests::cluster::{Cluster, Plan, Role};
use mesh_tests::peer::simulator::several;
use mesh_tests::peer::{Authority as PeerAuthority, Kind, Settings, Simulator};
use mesh_tests::wire::{Connection, HttpRequest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::crowd::eventually;
use super::scene::{owned, partitions, rows, turn};

/// The longest time for which a front-end goes on after it was told to stop.
const LONG_STOP: &str = "cluster.stop_delay_ms = 10000\n";

fn planned(frontends: usize, backends: usize, settings: &str) -> Plan {
    Plan {
        frontends,
        backends,
        outbound: 0,
        settings: settings.to_owned(),
        ..Plan::default()
    }
}

fn first(cluster: &Cluster, role: Role) -> usize {
    cluster.of(role).next().expect("there is one")
}

fn is_ready(cluster: &Cluster, member: usize) -> bool {
    cluster.member(member).asked("/readyz").0 == 200
}

/// Waits until the process says that it is about to stop.
fn wait_until_it_says_so(cluster: &Cluster, member: usize) {
    let says_so = || {
        let (status, said) = cluster.member(member).asked("/readyz");
        status == 503 && said.contains("the service is stopping")
    };
    assert!(eventually(says_so), "it does not say that it stops");
}

fn says_hello(connection: &mut Connection) -> bool {
    let hello = HttpRequest::post(ClientSession::bare_hello());
    let status = connection.send(&hello).status;
    (200..300).contains(&status)
}

#[test]
fn a_front_end_that_is_told_to_stop_says_so_and_goes_on_until_all_have_heard_it() {
    let _turn = turn();
    let mut cluster = Cluster::start(planned(1, 1, LONG_STOP));
    let front = first(&cluster, Role::Frontend);
    assert!(eventually(|| is_ready(&cluster, front)));
    let mut before = cluster.connect();
    assert!(says_hello(&mut before));

    cluster.member(front).tell_to_stop();
    wait_until_it_says_so(&cluster, front);
    // Whoever spreads connections has not looked yet.
    assert!(says_hello(&mut before));
    assert!(says_hello(&mut cluster.connect()));

    let status = cluster.member_mut(front).ended();
    assert!(status.success(), "{status}");
    let tls = cluster.tls();
    let door = cluster.member(front).door().address();
    let after = tls.try_connect(door, mesh_tests::service::DOMAIN);
    assert!(after.is_err(), "nobody is there any more");
    let back = first(&cluster, Role::Backend);
    assert!(is_ready(&cluster, back), "the others go on");
}

#[test]
fn a_process_that_is_told_twice_to_stop_ends_without_waiting() {
    let _turn = turn();
    let mut cluster = Cluster::start(planned(1, 1, LONG_STOP));
    let front = first(&cluster, Role::Frontend);
    cluster.member(front).tell_to_stop();
    wait_until_it_says_so(&cluster, front);
    cluster.member(front).tell_to_stop();
    let status = cluster.member_mut(front).ended();
    assert!(status.success(), "{status}");
    let log = String::from_utf8_lossy(&cluster.member(front).place().logs()).into_owned();
    assert!(log.contains("told to stop again: leaving at once"), "{log}");
    assert!(!log.contains("meshd::run: stopped"), "{log}");
}

#[test]
fn a_back_end_that_is_told_to_stop_lets_go_of_what_it_owns_and_takes_its_record_with_it() {
    let _turn = turn();
    let mut cluster = Cluster::laid(planned(0, 2, ""));
    let [stays, goes] = cluster.of(Role::Backend).collect::<Vec<_>>()[..] else {
        panic!("there are two back-ends");
    };
    cluster.member_mut(stays).start();
    assert!(eventually(|| owned(&cluster, stays) == partitions()));
    // Little is its own, so that it goes soon whatever else the machine does.
    let config = cluster.member(goes).place().config().to_owned();
    let settings = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(&config, settings + "cluster.weight = 1\n").expect("it can be written again");
    cluster.member_mut(goes).start();
    assert!(eventually(|| owned(&cluster, goes) >= 1.0));
    assert_eq!(rows(&cluster, keys::nodes()).len(), 2);

    cluster.member(goes).tell_to_stop();
    let status = cluster.member_mut(goes).ended();
    assert!(status.success(), "{status}");
    assert_eq!(rows(&cluster, keys::nodes()).len(), 1, "its record is gone");
    let all_owned = || owned(&cluster, stays) == partitions();
    assert!(eventually(all_owned), "what it let go of is taken");
}

/// That `member` measures for `dir` the time until `shown` ends (cluster §17, measure 52).
fn measures_the_end_of(shown: &CertificateDer<'_>, cluster: &Cluster, member: usize, dir: &str) {
    let end = certificate::not_after(shown).expect("a certificate ends");
    let left = || end.since(SystemClock.now()).as_secs_f64();
    let most = left();
    let measured = cluster
        .member(member)
        .measured("mesh_tls_expiry_seconds", &format!("dir=\"{dir}\""))
        .expect("it runs");
    assert!(
        (left() - 1.0..=most + 1.0).contains(&measured),
        "{dir}: {measured} of {most}"
    );
}

#[test]
fn a_front_end_that_is_told_to_read_its_files_again_shows_the_new_certificate() {
    let _turn = turn();
    let cluster = Cluster::start(planned(1, 1, ""));
    let front = first(&cluster, Role::Frontend);
    let mut before = cluster.connect();
    let shown = |connection: &Connection| {
        let session = connection.session().expect("it is secured");
        let chain = session.peer_certificates().expect("it was shown");
        chain[0].clone()
    };
    let old = shown(&before);
    assert_eq!(shown(&cluster.connect()), old);
    measures_the_end_of(&old, &cluster, front, "in");

    cluster.renew_certificate();
    assert_eq!(shown(&cluster.connect()), old, "nobody has told it");
    cluster.member(front).tell_to_read_again();
    // What was open goes on.
    let is_taken_up = || says_hello(&mut before) && shown(&cluster.connect()) != old;
    assert!(eventually(is_taken_up));
    assert!(says_hello(&mut before));

    // What cannot be used is not taken up.
    let new = shown(&cluster.connect());
    std::fs::write(cluster.folder().join("tls.pem"), "nothing").expect("it can be written");
    cluster.member(front).tell_to_read_again();
    let logged = || {
        let log = cluster.member(front).place().logs();
        String::from_utf8_lossy(&log).contains("a certificate was not read again")
    };
    assert!(eventually(logged), "it says so");
    assert_eq!(shown(&cluster.connect()), new);
}

/// Where a service of elsewhere, and the files of its authority and of another one, are named.
fn with_a_peer(simulator: &Simulator, folder: &Path) -> String {
    let path = folder.join("peers.pem");
    std::fs::write(&path, PeerAuthority::new().pem()).expect("a temporary file can be written");
    let (domain, address) = &simulator.map()[0];
    format!(
        "cluster.stop_delay_ms = 200\ndiscovery.authorities = [{path:?}]\n\
         discovery.domains.{domain:?} = \"{address}\"\n"
    )
}

/// What `meshd peer show` says at `member` of the service of `domain`.
fn peer_shown(cluster: &Cluster, member: usize, domain: &str) -> String {
    let shown = std::process::Command::new(mesh_tests::process::program())
        .args(["peer", "show", domain, "--config"])
        .arg(cluster.member(member).place().config())
        .env_clear()
        .output()
        .expect("the program can be run");
    String::from_utf8_lossy(&[shown.stdout, shown.stderr].concat()).into_owned()
}

#[test]
fn a_node_that_is_told_to_read_its_files_again_trusts_the_authorities_in_them() {
    let _turn = turn();
    let peers = several(Kind::Healthy, 1);
    let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
    let domain = &simulator.map()[0].0.clone();
    let mut cluster =
        Cluster::laid_with(planned(0, 1, ""), |folder| with_a_peer(&simulator, folder));
    cluster.start_first(1);
    let node = first(&cluster, Role::Backend);
    assert!(eventually(|| is_ready(&cluster, node)));
    let logged = |sentence: &str| {
        let log = cluster.member(node).place().logs();
        String::from_utf8_lossy(&log).contains(sentence)
    };
    let file = cluster.folder().join("peers.pem");
    let is_strange = |said: &str| said.contains("the certificate is not valid");
    let said = peer_shown(&cluster, node, domain);
    assert!(is_strange(&said), "{said}");

    // What cannot be used is not taken up, and named.
    std::fs::write(&file, "nothing").expect("it can be written");
    cluster.member(node).tell_to_read_again();
    assert!(eventually(|| logged("discovery.authorities")));
    assert!(is_strange(&peer_shown(&cluster, node, domain)));

    std::fs::write(&file, simulator.authority().pem()).expect("it can be written");
    cluster.member(node).tell_to_read_again();
    let is_known = || !is_strange(&peer_shown(&cluster, node, domain));
    assert!(
        eventually(is_known),
        "{}",
        peer_shown(&cluster, node, domain)
    );
    assert!(is_ready(&cluster, node));
}

/// Writes what `authority` issues for a process with `roles`, and whom it trusts.
fn write_link_files(
    folder: &Path,
    authority: &Issued,
    roles: &[LinkRole],
    trusted: &str,
) -> LinkFiles {
    let now = SystemClock.now();
    let roles = roles.iter().copied().collect();
    let made = ca::node(authority, &cluster_name(), roles, &[], now, NODE_LIFE)
        .expect("certificates can be made");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        path
    };
    LinkFiles {
        authorities: file("link-ca.pem", trusted),
        certificate: file("link.pem", &made.certificate),
        key: file("link.key", &made.key),
    }
}

fn cluster_name() -> ClusterName {
    "example".parse().expect("it is a name")
}

#[test]
fn a_node_that_is_told_to_read_its_files_again_is_of_another_authority() {
    let _turn = turn();
    let authority = || ca::authority(&cluster_name(), SystemClock.now(), AUTHORITY_LIFE);
    let [old, new] = [authority(), authority()].map(|made| made.expect("it can be made"));
    let mut cluster = Cluster::laid_with(planned(0, 1, ""), |folder| {
        let files = write_link_files(folder, &old, &[LinkRole::Backend], &old.certificate);
        format!(
            "cluster.name = \"example\"\ncluster.tls.authority = {:?}\n\
             cluster.tls.certificate = {:?}\ncluster.tls.key = {:?}\n",
            files.authorities, files.certificate, files.key
        )
    });
    let node = first(&cluster, Role::Backend);
    cluster.start_first(1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // It trusts nobody but the new authority, nor does anybody of the old one trust it.
    let files = write_link_files(folder.path(), &new, &[LinkRole::Frontend], &new.certificate);
    let tls = LinkTls::from_files(cluster_name(), files).expect("the files are right");
    let runtime = tokio::runtime::Runtime::new().expect("there is a runtime");
    let _inside = runtime.enter();
    let security = LinkSecurity::Mutual(tls.into());
    let clock = std::sync::Arc::new(SystemClock);
    let connector = LinkConnector::new(security, clock, None, &mut SystemEntropy);
    let link = connector.silent_link(&cluster.member(node).link().to_string());
    let nudged = || runtime.block_on(link.nudge(Nudge::default()));

    let is_refused = || matches!(nudged(), Err(LinkFailure::Refused(_)));
    assert!(eventually(is_refused), "they are strangers");
    let shown = CertificateDer::from_pem_file(cluster.folder().join("link.pem"));
    let shown = shown.expect("it was written");
    for dir in ["link", "out"] {
        measures_the_end_of(&shown, &cluster, node, dir);
    }
    let both = format!("{}{}", old.certificate, new.certificate);
    write_link_files(cluster.folder(), &new, &[LinkRole::Backend], &both);
    cluster.member(node).tell_to_read_again();
    assert!(eventually(|| nudged().is_ok()), "they are of one authority");
    assert!(eventually(|| is_ready(&cluster, node)), "it goes on");
}
