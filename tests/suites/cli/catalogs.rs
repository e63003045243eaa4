//! The seven kinds of entries, each with its five verbs, and what programs read of every command.

use crate::desk::{Desk, Transcript};

/// Lines that add an entry, change it, and find it; what of standard input each of the first two
/// reads.
struct Kind {
    word: &'static str,
    entry: &'static str,
    add: &'static str,
    other: &'static str,
    update: &'static str,
    input: [&'static str; 2],
}

const KINDS: [Kind; 7] = [
    Kind {
        word: "contact",
        entry: "\"Ada Lovelace\"",
        add: "\"Ada Lovelace\" --first Ada --last Lovelace --email ada@example.org \
              --phone +44207946000 --mesh ada@example.org --label friends --allow Confirm",
        other: "\"Charles Babbage\"",
        update: "--company \"Analytical Engines\" --email countess@example.org",
        input: ["", ""],
    },
    Kind {
        word: "password",
        entry: "mail.example.com",
        add: "mail.example.com --protocol imap --username alice --password-stdin",
        other: "shop.example.com --password hunter2",
        update: "--username alice2 --password-stdin",
        input: ["open sesame\n", "open barley\n"],
    },
    Kind {
        word: "bookmark",
        entry: "Food/Fruit/Bananas",
        add: "https://example.org/bananas --title Bananas --path Food/Fruit/Bananas",
        other: "https://example.org/apples",
        update: "--title \"Yellow bananas\"",
        input: ["", ""],
    },
    Kind {
        word: "task",
        entry: "\"Water the ferns\"",
        add: "\"Water the ferns\" --start 2026-07-01T17:00:00Z --finish 2026-07-01T18:00:00Z \
              --location Balcony --repeat RRULE:FREQ=WEEKLY --remind -PT15M --busy false",
        other: "\"Buy a fern\"",
        update: "--description \"Not too much\" --busy true",
        input: ["", ""],
    },
    Kind {
        word: "network",
        entry: "Harbour",
        add: "Harbour --username alice --password-stdin",
        other: "Office --protocol ipsec --password hunter2",
        update: "--password-stdin",
        input: ["ahoy\n", "ship ahoy\n"],
    },
    Kind {
        word: "ssh",
        entry: "work",
        add: "work --known-host \"host.example ssh-ed25519 AAAA\" \
              --authorized-key \"ssh-ed25519 BBBB alice\"",
        other: "home --known-hosts known_hosts",
        update: "--authorized-key \"ssh-ed25519 CCCC alice\"",
        input: ["", ""],
    },
    Kind {
        word: "mail",
        entry: "work",
        add: "work --address alice@example.com --inbound imaps://alice@imap.example.com \
              --outbound smtps://alice@smtp.example.com:465 --password-stdin",
        other: "home --inbound pop3s://a@pop.example.org",
        update: "--address a@example.com --address b@example.com",
        input: ["letters\n", ""],
    },
];

#[test]
fn each_verb_of_each_catalog_says_what_was_reviewed_and_reaches_the_other_device() {
    let desk = Desk::new("");
    desk.write(
        "known_hosts",
        "one.example ssh-rsa AAAA\n\ntwo.example ssh-rsa BBBB\n",
    );
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    for kind in &KINDS {
        let Kind { word, entry, .. } = kind;
        let mut told = Transcript::of(&desk, "laptop");
        told.ends_with(0, &format!("mesh {word} add {}", kind.add), kind.input[0]);
        told.done(&format!("mesh {word} add {}", kind.other));
        told.done(&format!("mesh {word} get {entry}"));
        told.done(&format!("mesh {word} get {entry} --show-secrets"));
        told.done("mesh sync");
        told.ends_with(
            0,
            &format!("mesh {word} update {entry} {}", kind.update),
            kind.input[1],
        );
        told.done(&format!("mesh {word} get {entry} --show-secrets"));
        told.done(&format!("mesh {word} list"));
        told.done("mesh sync");
        told.at("phone").done("mesh sync");
        told.done(&format!("mesh {word} list --show-secrets"));
        told.done(&format!("mesh {word} delete {entry}"));
        told.refused(&format!("mesh {word} get {entry}"));
        told.done("mesh sync");
        told.at("laptop").done("mesh sync");
        told.done(&format!("mesh {word} list"));
        told.check(word);
    }
    desk.done("laptop", "mesh verify");
    desk.done("phone", "mesh verify");
}

// Programs rely on these members: none is renamed or removed.
#[test]
fn what_programs_are_answered_has_the_shape_that_was_reviewed() {
    let desk = Desk::new("");
    desk.write(
        "ada.vcf",
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:ada\r\nFN:Ada\r\nEND:VCARD\r\n",
    );
    let mut told = Transcript::of(&desk, "laptop");
    told.done(&(desk.create_line("alice@localhost") + " --device laptop --json"));
    told.done("mesh import ada.vcf --dry-run --json");
    told.done("mesh import ada.vcf --json");
    told.done("mesh account status --json");
    told.done("mesh sync --json");
    for kind in &KINDS {
        let Kind { word, entry, .. } = kind;
        let add = format!("mesh {word} add {} --json", kind.add);
        told.ends_with(0, &add, kind.input[0]);
        told.done(&format!("mesh {word} get {entry} --json"));
        told.done(&format!("mesh {word} get {entry} --show-secrets --json"));
        let update = format!("mesh {word} update {entry} {} --json", kind.update);
        told.ends_with(0, &update, kind.input[1]);
        told.done(&format!("mesh {word} list --json"));
        told.done(&format!("mesh {word} delete {entry} --json"));
        told.refused(&format!("mesh {word} get {entry} --json"));
    }
    told.done("mesh export alice-export --json");
    told.done("mesh verify alice-export --json");
    told.done("mesh verify --json");
    told.done("mesh man pages --json");
    told.done("mesh account delete --yes --json");
    told.done("mesh account status --json");
    told.check("json");
}
