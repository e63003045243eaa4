//! A device whose keys are under a passphrase: every command asks for it, and without it the folder
//! says nothing.

use std::path::Path;

use mesh_client::Client;
use mesh_client::keystore::{Keys, Passphrase};
use mesh_common::crypto::SecretKey;
use mesh_common::encoding::base64url::{self, Binary};
use serde_json::Value;

use crate::desk::{Desk, Transcript};

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn every_command_asks_for_the_passphrase_and_refuses_another_one() {
    let desk = Desk::new("");
    desk.write("right", &format!("{PASSPHRASE}\nthis line is not read\n"));
    desk.write("wrong", "correct horse battery stable\n");
    desk.write(
        "ada.vcf",
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:ada\r\nFN:Ada\r\nEND:VCARD\r\n",
    );
    let mut told = Transcript::of(&desk, "laptop");
    told.done(&(desk.create_line("alice@localhost") + " --passphrase-file right"));
    let lines = [
        "mesh import ada.vcf",
        "mesh sync",
        "mesh contact list",
        "mesh contact get Ada",
        "mesh account status",
        "mesh export backup",
        "mesh verify",
    ];
    for line in lines {
        told.not_asked(line);
        told.not_asked(&format!("{line} --passphrase-file wrong"));
        told.done(&format!("{line} --passphrase-file right"));
    }
    told.ends_with(
        0,
        "mesh contact list --passphrase-file -",
        &format!("{PASSPHRASE}\n"),
    );
    told.ends_with(
        2,
        "mesh contact list --passphrase-file -",
        "correct horse\n",
    );
    told.remark("an export needs no keys");
    told.done("mesh verify backup");
    told.check("sealed");
}

#[test]
fn no_file_of_a_sealed_device_holds_a_seed() {
    let desk = Desk::new("");
    desk.write("right", &format!("{PASSPHRASE}\n"));
    let line = desk.create_line("alice@localhost") + " --passphrase-file right";
    desk.done("sealed", &line);
    desk.done("sealed", "mesh contact add Ada --passphrase-file right");
    desk.done("sealed", "mesh sync --passphrase-file right");
    let sealed = Client::builder(desk.home("sealed"))
        .passphrase(Some(Passphrase::new(PASSPHRASE)))
        .open()
        .expect("the passphrase is right");
    let seeds = seeds_of(&sealed.identity().expect("there is an account").keys);
    assert_eq!(holders(&desk.home("sealed"), &seeds), [""; 0]);
    // What the search rests on: it finds the seeds of a device without a passphrase.
    desk.with_account("open", "bob@localhost");
    let open = Client::open(desk.home("open")).expect("there is no passphrase");
    let seeds = seeds_of(&open.identity().expect("there is an account").keys);
    assert_eq!(holders(&desk.home("open"), &seeds), ["keys.json"]);
}

fn seeds_of(keys: &Keys) -> Vec<Vec<u8>> {
    let owner = keys.owner.as_ref().expect("the first device owns the mesh");
    let device = &keys.device;
    let (mesh, account) = (&owner.mesh, &owner.account);
    let master = keys.master.as_ref().expect("the first device made it");
    [
        &device.signature,
        &device.encryption,
        &device.authentication,
        &keys.account_encryption,
        &mesh.online,
        &account.online,
    ]
    .into_iter()
    .chain(&mesh.encryption)
    .filter_map(SecretKey::seed)
    .map(<[u8]>::to_vec)
    .chain([master.octets().to_vec()])
    .collect()
}

/// The files below `folder` that hold one of `seeds`, as octets or as text, on the outside or in the
/// content of a key file.
fn holders(folder: &Path, seeds: &[Vec<u8>]) -> Vec<String> {
    assert_eq!(seeds.len(), 8, "every key follows from a seed");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder can be read") {
        let file = file.expect("a folder can be read").path();
        if file.is_dir() {
            names.extend(holders(&file, seeds));
            continue;
        }
        let octets = std::fs::read(&file).expect("a file can be read");
        let inside = content_of(&octets).unwrap_or_default();
        let is_holder = seeds.iter().any(|seed| {
            let text = base64url::encode(seed);
            [&octets, &inside]
                .into_iter()
                .any(|place| holds(place, seed) || holds(place, text.as_bytes()))
        });
        if is_holder {
            let name = file.file_name().expect("a file has a name");
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names
}

fn content_of(octets: &[u8]) -> Option<Vec<u8>> {
    let mut file: Value = serde_json::from_slice(octets).ok()?;
    let content: Binary = serde_json::from_value(file["Content"].take()).ok()?;
    Some(content.as_slice().to_vec())
}

fn holds(place: &[u8], sought: &[u8]) -> bool {
    place.windows(sought.len()).any(|window| window == sought)
}
