//! Who may speak with whom (decision Q-61).

use std::path::Path;

use mesh_common::cluster::PartitionId;
use tempfile::TempDir;

use super::passing::route;
use super::*;
use crate::ca::{self, AUTHORITY_LIFE, Issued, NODE_LIFE};
use crate::{ClusterName, LinkFailure, LinkFiles, LinkRole, LinkTls, LinkTlsError, NodeLink};

const DAY: Duration = Duration::from_secs(86_400);

/// Certificates are compared with the system's time.
fn today() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

/// An authority, and the folder for what it issues.
pub(super) struct Authority {
    folder: TempDir,
    cluster: ClusterName,
    issued: Issued,
}

impl Authority {
    pub(super) fn new(cluster: &str) -> Self {
        let cluster: ClusterName = cluster.parse().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            issued: ca::authority(&cluster, today(), AUTHORITY_LIFE).unwrap(),
            cluster,
        }
    }

    fn files(&self, name: &str, roles: &[LinkRole], now: Timestamp, life: Duration) -> LinkFiles {
        let roles = roles.iter().copied().collect();
        let node = ca::node(&self.issued, &self.cluster, roles, &[], now, life).unwrap();
        let file = |ending: &str, text: &str| {
            let path = self.folder.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        LinkFiles {
            authorities: file("ca", &self.issued.certificate),
            certificate: file("crt", &node.certificate),
            key: file("key", &node.key),
        }
    }

    pub(super) fn tls(&self, roles: &[LinkRole]) -> Arc<LinkTls> {
        let name = roles.iter().map(|role| role.as_str()).collect::<String>();
        let files = self.files(&name, roles, today(), NODE_LIFE);
        Arc::new(LinkTls::from_files(self.cluster.clone(), files).unwrap())
    }
}

pub(super) fn secure_node(tls: Arc<LinkTls>) -> (Arc<SimpleNode>, LinkServer) {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::Mutual(tls), Standing::at(NOW)).unwrap();
    (node, server)
}

pub(super) fn link_from(tls: Arc<LinkTls>, server: &LinkServer) -> LinkClient {
    let connector = connector(LinkSecurity::Mutual(tls), Standing::at(NOW), 5);
    connector.listening_link(&server.address().to_string())
}

pub(super) fn assert_refused<T: std::fmt::Debug>(ended: Result<T, LinkFailure>, node: &SimpleNode) {
    assert!(matches!(ended, Err(LinkFailure::Refused(_))), "{ended:?}");
    assert_eq!(node.asked(), 0);
}

#[tokio::test]
async fn a_front_end_is_answered_and_hears() {
    let authority = Authority::new("example");
    let (_node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let link = link_from(authority.tls(&[LinkRole::Frontend]), &server);
    assert!(link.perform(&request()).await.is_ok());
    assert!(link.perform(&large_request(300_000)).await.is_ok());
    let mut told = link.heard();
    assert_eq!(
        heard(&mut told, |heard| heard.told.revision == 1)
            .await
            .opened,
        1
    );
    server.stop().await;
}

//
#[tokio::test]
async fn a_node_may_nudge_but_send_nothing_that_was_verified() {
    let authority = Authority::new("example");
    let (node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let link = link_from(
        authority.tls(&[LinkRole::Backend, LinkRole::Outbound]),
        &server,
    );
    assert_refused(link.perform(&request()).await, &node);
    assert_refused(link.receive(&request()).await, &node);
    assert_refused(link.signing_keys(&alice(), NOW + PATIENCE).await, &node);
    assert_eq!(link.watch_on(route(), &alice()).await.map(drop), None);
    let nudge = Nudge {
        intakes: vec![PartitionId(1)],
        ..Nudge::default()
    };
    assert_eq!(link.nudge(nudge).await, Ok(()));
    assert!(node.passed_on.lock().unwrap().is_empty());
    server.stop().await;
}

//
#[tokio::test]
async fn a_front_end_says_who_was_heard_and_nothing_of_queues() {
    let authority = Authority::new("example");
    let (node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let link = link_from(authority.tls(&[LinkRole::Frontend]), &server);
    let heard = Nudge {
        heard: vec!["peer.example".into()],
        ..Nudge::default()
    };
    assert_eq!(link.nudge(heard.clone()).await, Ok(()));
    let intake = Nudge {
        intakes: vec![PartitionId(1)],
        ..heard.clone()
    };
    assert_refused(link.nudge(intake).await, &node);
    assert_eq!(*node.nudges.borrow(), [heard]);
    server.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_on_both_ends() {
    let ours = Authority::new("example");
    // Another authority; and one of ours that issues for another cluster.
    let theirs = Authority::new("example");
    let mut elsewhere = Authority::new("elsewhere");
    elsewhere.issued = ca::authority(&elsewhere.cluster, today(), AUTHORITY_LIFE).unwrap();
    for strangers in [theirs, elsewhere] {
        let (node, server) = secure_node(ours.tls(&[LinkRole::Backend]));
        let link = link_from(strangers.tls(&[LinkRole::Frontend]), &server);
        assert_refused(link.perform(&request()).await, &node);
        server.stop().await;
    }
}

#[tokio::test]
async fn of_one_authority_only_the_own_cluster_counts() {
    let authority = Authority::new("example");
    // Both ends trust both authorities; what differs is the cluster their certificates name.
    let other = Authority::new("elsewhere");
    let both = format!(
        "{}{}",
        authority.issued.certificate, other.issued.certificate
    );
    let trusting = |of: &Authority, role| {
        let files = of.files("trusting", &[role], today(), NODE_LIFE);
        std::fs::write(&files.authorities, &both).unwrap();
        Arc::new(LinkTls::from_files(of.cluster.clone(), files).unwrap())
    };
    let (node, server) = secure_node(trusting(&authority, LinkRole::Backend));
    let link = link_from(trusting(&other, LinkRole::Frontend), &server);
    assert_refused(link.perform(&request()).await, &node);
    // The node does not believe a front-end of another cluster either.
    let (node, server_elsewhere) = secure_node(trusting(&other, LinkRole::Backend));
    let link = link_from(trusting(&authority, LinkRole::Frontend), &server_elsewhere);
    assert_refused(link.perform(&request()).await, &node);
    server.stop().await;
    server_elsewhere.stop().await;
}

#[tokio::test]
async fn a_front_end_is_no_node_to_be_asked() {
    let authority = Authority::new("example");
    let (node, server) = secure_node(authority.tls(&[LinkRole::Frontend]));
    let link = link_from(authority.tls(&[LinkRole::Frontend]), &server);
    assert_refused(link.perform(&request()).await, &node);
    server.stop().await;
}

#[tokio::test]
async fn expired_certificates_are_refused_on_both_ends() {
    let authority = Authority::new("example");
    let expired = |role: LinkRole| {
        let files = authority.files("expired", &[role], today() - 60 * DAY, DAY);
        Arc::new(LinkTls::from_files(authority.cluster.clone(), files).unwrap())
    };
    let (node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let link = link_from(expired(LinkRole::Frontend), &server);
    assert_refused(link.perform(&request()).await, &node);
    server.stop().await;
    let (node, server) = secure_node(expired(LinkRole::Backend));
    let link = link_from(authority.tls(&[LinkRole::Frontend]), &server);
    assert_refused(link.perform(&request()).await, &node);
    server.stop().await;
}

#[tokio::test]
async fn new_certificates_are_taken_up_without_a_restart() {
    let (old, new) = (Authority::new("example"), Authority::new("example"));
    let node_files = old.files("node", &[LinkRole::Backend], today(), NODE_LIFE);
    let front_files = old.files("front", &[LinkRole::Frontend], today(), NODE_LIFE);
    let tls = |files: &LinkFiles| {
        Arc::new(LinkTls::from_files(old.cluster.clone(), files.clone()).unwrap())
    };
    let (node_tls, front_tls) = (tls(&node_files), tls(&front_files));
    let (_node, server) = secure_node(Arc::clone(&node_tls));
    let link = link_from(Arc::clone(&front_tls), &server);
    let mut told = link.heard();
    heard(&mut told, |heard| heard.opened == 1 && heard.is_open).await;
    assert!(link.perform(&request()).await.is_ok());
    // Both ends of the new authority: what was open is closed, and opened again.
    let copy = |from: &LinkFiles, to: &LinkFiles| {
        let pairs: [(&Path, &Path); 3] = [
            (&from.authorities, &to.authorities),
            (&from.certificate, &to.certificate),
            (&from.key, &to.key),
        ];
        for (from, to) in pairs {
            std::fs::copy(from, to).unwrap();
        }
    };
    copy(
        &new.files("node", &[LinkRole::Backend], today(), NODE_LIFE),
        &node_files,
    );
    copy(
        &new.files("front", &[LinkRole::Frontend], today(), NODE_LIFE),
        &front_files,
    );
    node_tls.reload().unwrap();
    heard(&mut told, |heard| !heard.is_open).await;
    let refused = async {
        // A connection may still be there when the stream has ended.
        while !matches!(link.perform(&request()).await, Err(LinkFailure::Refused(_))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    front_tls.reload().unwrap();
    assert!(link.perform(&request()).await.is_ok());
    heard(&mut told, |heard| heard.opened == 2 && heard.is_open).await;
    // What cannot be used is not taken up.
    std::fs::write(&front_files.certificate, "nothing").unwrap();
    let failed = front_tls.reload();
    assert!(
        matches!(failed, Err(LinkTlsError::NoCertificate { .. })),
        "{failed:?}"
    );
    assert!(link.perform(&request()).await.is_ok());
    server.stop().await;
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let authority = Authority::new("example");
    let files = authority.files("node", &[LinkRole::Backend], today(), NODE_LIFE);
    let open = |files: &LinkFiles, cluster: &str| {
        LinkTls::from_files(cluster.parse().unwrap(), files.clone()).map(|tls| tls.roles())
    };
    assert_eq!(open(&files, "example").unwrap().to_string(), "backend");
    let said = |outcome: Result<_, LinkTlsError>| {
        let text = outcome
            .map(|_: crate::LinkRoles| ())
            .unwrap_err()
            .to_string();
        text.replace(&authority.folder.path().display().to_string(), "…")
    };
    let missing = LinkFiles {
        key: "no/such/file".into(),
        ..files.clone()
    };
    let mixed = LinkFiles {
        key: authority
            .files("other", &[LinkRole::Backend], today(), NODE_LIFE)
            .key,
        ..files.clone()
    };
    assert_eq!(
        [
            said(open(&files, "elsewhere")),
            said(open(&missing, "example")),
            said(open(&mixed, "example")),
        ],
        [
            "the certificate in …/node.crt names no role in the cluster elsewhere: issue one with `meshd ca node`",
            "cannot read no/such/file: check the path and that this user may read it",
            "the certificate in …/node.crt and its key cannot be used together",
        ]
    );
}

#[tokio::test]
async fn without_certificates_only_loopback_is_spoken_on() {
    let node = SimpleNode::new();
    let link = LinkService {
        service: node,
        security: LinkSecurity::PlainOnLoopback,
        clock: Standing::at(NOW),
        traces: None,
    };
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let started = LinkServer::start(everywhere, 1, link, &mut SeededEntropy::new(1));
    assert!(matches!(started, Err(LinkStartError::Plain { .. })));
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 6);
    let link = connector.silent_link("192.0.2.1:7");
    let ended = link.perform(&request()).await;
    assert!(matches!(ended, Err(LinkFailure::NotSent(_))), "{ended:?}");
}
