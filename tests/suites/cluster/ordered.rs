//! What an operator orders of a cluster of real processes by typing `meshd cluster`: that a node leaves, asked of
//! another one, and that the store is raised (cluster §15).

use std::process::Command;

use mesh_backend::store::keys;
use mesh_tests::cluster::{Cluster, Plan, Role};
use mesh_tests::{golden, process};
use serde_json::Value;

use super::crowd::events::{Deed, vain};
use super::crowd::{Manner, eventually};
use super::scene::{Scene, owned, rows, turn, wait_until_all_is_owned};

/// What came of a line that was typed.
struct Typed {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Types `meshd cluster` with `words` where `member` runs.
fn typed(cluster: &Cluster, member: usize, words: &[&str]) -> Typed {
    let output = Command::new(process::program())
        .arg("cluster")
        .args(words)
        .arg("--config")
        .arg(cluster.member(member).place().config())
        .env_clear()
        .env("USER", "ops")
        .output()
        .expect("the program can be run");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Typed {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

impl Typed {
    /// What it said; it is done.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }
}

/// The cluster as `member` shows it.
fn shown(cluster: &Cluster, member: usize) -> Value {
    let shown = typed(cluster, member, &["show", "--json"]).done();
    let mut answer: Value = serde_json::from_str(&shown).expect("it is JSON");
    answer["result"].take()
}

/// The name of the node that is `member`.
fn name_of(cluster: &Cluster, member: usize) -> String {
    let shown = shown(cluster, member);
    let name = shown["this"].as_str();
    name.expect("it has a name").to_owned()
}

/// The same text with the name of `node` and numbers replaced by what they are.
fn masked(text: &str, node: &str) -> String {
    let mut masked = String::new();
    let text = text.replace(node, "<node>").replace(&node[..8], "<node>");
    for one in text.chars() {
        match one.is_ascii_digit() {
            true if masked.ends_with("<n>") => {}
            true => masked.push_str("<n>"),
            false => masked.push(one),
        }
    }
    masked
}

#[test]
fn a_back_end_is_drained_by_order_of_another_and_no_request_fails() {
    let mut scene = Scene::begin(Plan::default());
    let [goes, stays] = scene.backends()[..] else {
        panic!("there are two back-ends");
    };
    let (of_it, all) = (scene.accounts_of(goes), scene.addresses());
    let node = name_of(&scene.cluster, goes);

    let Scene { cluster, crowd, .. } = &mut scene;
    let (ended, events) = crowd.beside(Manner::Polite, |progress| {
        progress.wait_for_more(40);
        let ended = typed(cluster, stays, &["drain", &node, "--wait"]).done();
        progress.wait_for_each("its accounts are served elsewhere", &of_it, Deed::writes);
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        ended
    });
    println!(
        "drained: {} deeds, in vain: {:?}",
        events.len(),
        vain(&events)
    );
    println!("drained: {ended}");
    // Whoever is asked to come back may be asked twice on a machine that has better things to do.
    let is_answered = |why: &String| why.starts_with("Some(");
    for event in events.iter().filter(|event| event.tries > 2) {
        assert!(event.vain.iter().all(is_answered), "{event:?}");
    }
    golden::check("ordered/drained", &masked(&ended, &node));

    // It has left and lives, and says why it should get no requests.
    assert!(eventually(|| owned(&scene.cluster, goes) == 0.0));
    wait_until_all_is_owned(&scene.cluster);
    let (status, said) = scene.cluster.member(goes).asked("/readyz");
    assert_eq!(status, 503, "{said}");
    assert!(
        said.contains("this node was told to leave the cluster"),
        "{said}"
    );
    assert_eq!(scene.cluster.member(goes).asked("/livez").0, 200);
    let view = shown(&scene.cluster, stays);
    let nodes = view["nodes"].as_array().expect("there are nodes");
    assert!(nodes.iter().all(|one| one["node"] != *node), "{nodes:?}");
    // A second order finds nobody.
    let again = typed(&scene.cluster, stays, &["drain", &node]);
    assert_ne!(again.code, Some(0), "{}", again.out);
    golden::check("ordered/drain-nobody", &masked(&again.err, &node));
    // Stopped and started again it joins anew, under another name, and is drained again by who does not wait.
    scene.cluster.member_mut(goes).restart();
    assert!(eventually(|| owned(&scene.cluster, goes) >= 2.0));
    let node = name_of(&scene.cluster, goes);
    let begun = typed(&scene.cluster, stays, &["drain", &node]).done();
    golden::check("ordered/drain", &masked(&begun, &node));
    let has_left = || {
        let view = shown(&scene.cluster, stays);
        let nodes = view["nodes"].as_array().expect("there are nodes");
        nodes.iter().all(|one| one["node"] != *node)
    };
    assert!(eventually(has_left));
    assert!(eventually(|| owned(&scene.cluster, goes) == 0.0));
    let totals = scene.end();
    println!("drained: {totals:?}");
}

#[test]
fn a_store_that_no_node_reads_a_higher_level_of_is_not_raised() {
    let _turn = turn();
    let cluster = Cluster::start(Plan {
        frontends: 0,
        backends: 2,
        outbound: 0,
        ..Plan::default()
    });
    let asked = cluster.of(Role::Backend).next().expect("there is one");
    let everybody = || rows(&cluster, keys::nodes()).len() == 2;
    assert!(eventually(everybody));
    let before = shown(&cluster, asked);
    let refused = typed(&cluster, asked, &["raise"]);
    assert_ne!(refused.code, Some(0), "{}", refused.out);
    golden::check("ordered/raise", &refused.err);
    let after = shown(&cluster, asked);
    assert_eq!(after["level"], before["level"]);
    assert_eq!(after["level_next"], Value::Null);
}
