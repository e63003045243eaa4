//! The master key as people handle it: on paper, in a file, shared out; and the day on which every
//! device is lost.

use crate::desk::{Desk, Transcript};
use crate::tour::typed_below;

/// The text that `line` prints with `--json`, below `member`.
fn words_of(desk: &Desk, name: &str) -> String {
    let result = desk.result(name, "mesh key export --words");
    let words = result["words"].as_array().expect("words are a list");
    let words: Vec<&str> = words.iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(words.len(), 24);
    words.join(" ") + "\n"
}

#[test]
fn a_master_key_is_written_down_taken_offline_and_brought_along() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    desk.write("pin", "open sesame\n");
    let words = words_of(&desk, "laptop");
    desk.write("paper", &words);
    let mut told = Transcript::of(&desk, "laptop");
    told.done("mesh key status");
    told.done("mesh key export --words --file master.json --copy-passphrase-file pin");
    told.not_asked("mesh key export");
    told.not_asked("mesh key export --file master.json --copy-passphrase-file pin");
    told.remark("a word is left out, and one is misspelt");
    let (_, short) = words.split_once(' ').expect("there are words");
    told.ends_with(2, "mesh key offline -", short);
    let misspelt = "abandn ".to_owned() + short;
    told.ends_with(2, "mesh key offline -", &misspelt);
    told.ends_with(0, "mesh key offline -", &words);
    told.refused("mesh key export --words");
    told.not_asked("mesh key grant phone");
    told.not_asked("mesh key grant phone --master master.json");
    told.refused("mesh key grant toaster --master paper");
    told.done("mesh key grant phone --master master.json --copy-passphrase-file pin");
    told.refused("mesh key grant phone --master paper");
    told.at("phone").done("mesh sync");
    told.done("mesh key status");
    told.at("laptop")
        .done("mesh key withdraw phone --master paper");
    told.refused("mesh key withdraw phone --master paper");
    told.done("mesh key rotate --master paper");
    told.at("phone").done("mesh sync");
    told.refused("mesh key rotate --master paper");
    told.done("mesh verify");
    told.at("laptop").done("mesh key import paper");
    told.done("mesh key status --json");
    told.check("keys/offline");
}

#[test]
fn a_quorum_brings_everything_back_when_every_device_is_lost() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    desk.done("laptop", "mesh contact add Ada --email ada@example.org");
    let shares = desk.result("laptop", "mesh key escrow --quorum 2 --shares 3 --words");
    let share = |at: usize| {
        let text = shares["shares"][at]["share"].as_str();
        text.expect("a share is text").to_owned() + "\n"
    };
    for at in 0..3 {
        desk.write(&format!("share-{}", at + 1), &share(at));
    }
    desk.write("damaged", &damaged(&share(1)));
    let url = desk.url();
    let recover = |from: &str| {
        format!(
            "mesh key recover alice@localhost {from} --service {url} --ca meshd-data/tls/ca.pem"
        )
    };
    let mut told = Transcript::of(&desk, "laptop");
    told.done("mesh key escrow --quorum 2 --shares 3 --png-dir pictures");
    told.not_asked("mesh key escrow --quorum 4 --shares 3");
    told.remark("the laptop is lost");
    told.at("new");
    told.not_asked(&recover("--from share-1"));
    told.not_asked(&recover("--from share-1 --from share-1"));
    told.not_asked(&recover("--from share-1 --from damaged"));
    told.done(&recover("--from share-1 --from share-3"));
    told.refused("mesh key export --words");
    told.done("mesh contact list");
    told.done("mesh key status");
    told.not_asked(&recover("--from share-1 --from share-2"));
    told.done("mesh verify");
    told.at("phone");
    told.done("mesh sync");
    told.done("mesh contact list");
    told.check("keys/recovery");
}

/// The share with the first letter of its second group read wrong.
fn damaged(share: &str) -> String {
    let (before, after) = share
        .split_once('-')
        .expect("a share has groups of letters");
    let wrong = if after.starts_with('A') { "B" } else { "A" };
    format!("{before}-{wrong}{}", &after[1..])
}

#[test]
fn another_persons_key_takes_nothing_over() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.with_account("mallet", "mallet@localhost");
    desk.write("paper", &words_of(&desk, "mallet"));
    let url = desk.url();
    let mut told = Transcript::of(&desk, "laptop");
    told.refused("mesh key rotate --master paper");
    told.at("new");
    told.refused(&format!(
        "mesh key recover alice@localhost --from paper --service {url} --ca meshd-data/tls/ca.pem"
    ));
    told.check("keys/other");
    assert!(!desk.home("new").join("keys.json").exists());
}

#[test]
fn the_lines_of_the_readme_about_the_master_key_work() {
    let desk = Desk::new("");
    desk.with_account("alice", "alice@localhost");
    for line in typed_below("Your master key") {
        desk.done("alice", &line);
    }
}
