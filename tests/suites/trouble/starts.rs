//! Starts that cannot succeed: settings, ports, folders, keys, certificates.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mesh_tests::process::Place;

use super::{SETTINGS, check, without_privileges};

/// A place in which a service has run before.
fn used_place() -> Place {
    let place = Place::new(SETTINGS);
    assert!(place.start().stop().success());
    place
}

fn failing(place: &Place) -> mesh_tests::process::Failed {
    place.try_start().expect_err("this cannot start")
}

#[test]
fn an_unknown_setting_is_named_with_the_nearest_known_one() {
    let place = Place::new("frontend.worker = 2\n");
    check("unknown-setting", &place, &failing(&place), &[]);
}

#[test]
fn a_setting_that_cannot_be_is_named() {
    let place = Place::new("admin.listen = \"192.0.2.1:0\"\n");
    check("exposed-admin", &place, &failing(&place), &[]);
    place.configure("frontend.domains = []\n");
    check("no-domain", &place, &failing(&place), &[]);
    place.configure("telemetry.filter = \"a=b=c\"\n");
    check("unreadable-filter", &place, &failing(&place), &[]);
}

#[test]
fn a_configuration_that_is_not_there_is_a_sentence() {
    let place = Place::new("");
    fs::remove_file(place.config()).unwrap();
    check("no-configuration", &place, &failing(&place), &[]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let masked = [(address.as_str(), "ADDRESS")];
    let place = Place::new(&format!("{SETTINGS}frontend.listen = [{address:?}]\n"));
    check("port-in-use", &place, &failing(&place), &masked);
    place.configure(&format!("{SETTINGS}admin.listen = {address:?}\n"));
    check("admin-port-in-use", &place, &failing(&place), &masked);
    drop(taken);
    place.configure(SETTINGS);
    assert!(place.start().stop().success());
}

#[test]
fn a_folder_in_use_is_named() {
    let place = Place::new(SETTINGS);
    let running = place.start();
    check("folder-in-use", &place, &failing(&place), &[]);
    assert!(running.stop().success());
}

#[test]
fn a_file_where_the_data_folder_should_be_is_a_sentence() {
    let place = Place::new(SETTINGS);
    fs::write(place.data(), "").unwrap();
    check("data-is-a-file", &place, &failing(&place), &[]);
}

#[test]
fn a_folder_that_cannot_be_written_is_a_sentence() {
    let place = Place::new(SETTINGS).under(&without_privileges());
    fs::create_dir(place.data()).unwrap();
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(place.data(), 0o500);
    check("unwritable-folder", &place, &failing(&place), &[]);
    allow(place.data(), 0o700);
    assert!(place.start().stop().success());
    let store = place.data().join("store");
    allow(&store.join("acknowledged"), 0o400);
    check("unwritable-store-file", &place, &failing(&place), &[]);
    allow(&store.join("acknowledged"), 0o600);
    let key = place.data().join("identity/service-authentication.key");
    allow(&key, 0o000);
    check("unreadable-key", &place, &failing(&place), &[]);
    allow(&key, 0o600);
    assert!(place.start().stop().success());
}

#[test]
fn a_key_of_another_service_is_a_sentence() {
    let (place, other) = (used_place(), used_place());
    let key = "identity/service-authentication.key";
    fs::copy(other.data().join(key), place.data().join(key)).unwrap();
    check("key-of-another-service", &place, &failing(&place), &[]);
    fs::write(place.data().join(key), "{\"PrivateKeyECDH\":").unwrap();
    check("key-that-is-none", &place, &failing(&place), &[]);
}

#[test]
fn an_online_key_that_the_profile_does_not_name_is_a_sentence() {
    let (place, other) = (used_place(), used_place());
    let key = "identity/service-online.key";
    fs::copy(other.data().join(key), place.data().join(key)).unwrap();
    check(
        "online-key-of-another-service",
        &place,
        &failing(&place),
        &[],
    );
}

#[test]
fn an_identity_that_is_not_whole_is_never_completed() {
    for name in [
        "profile-service.json",
        "profile-host.json",
        "service-authentication.key",
        "service-online.key",
    ] {
        let place = used_place();
        let path = place.data().join("identity").join(name);
        fs::remove_file(&path).unwrap();
        let golden = format!("missing-{}", name.replace('.', "-"));
        check(&golden, &place, &failing(&place), &[]);
        assert!(!path.exists(), "{name} was made anew");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let (place, other) = (used_place(), used_place());
    let tls = |certificate: &Path, key: &Path| {
        format!("{SETTINGS}tls.certificate = {certificate:?}\ntls.key = {key:?}\n")
    };
    let certificate = place.data().join("tls/development.pem");
    let key = place.data().join("tls/development.key");
    let absent = place.data().join("absent.pem");
    place.configure(&tls(&absent, &key));
    check("no-certificate-file", &place, &failing(&place), &[]);
    place.configure(&tls(place.config(), &key));
    check("certificate-that-is-none", &place, &failing(&place), &[]);
    place.configure(&tls(
        &certificate,
        &other.data().join("tls/development.key"),
    ));
    check("certificate-and-other-key", &place, &failing(&place), &[]);
    place.configure(&tls(&certificate, &key));
    assert!(place.start().stop().success());
}
