//! The configuration people copy is the one that is tested: every setting is in it, with its default.

use std::path::Path;

use meshd::config::{MeshdConfig, Role, RoleSet, Shape};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config/meshd.toml");

#[test]
fn the_shipped_file_holds_every_setting_with_its_default() {
    let text = std::fs::read_to_string(SHIPPED).unwrap();
    let shipped: toml::Value = toml::from_str(&text).unwrap();
    let defaults = toml::Value::try_from(MeshdConfig::default()).unwrap();
    assert_eq!(
        shipped,
        defaults,
        "\n{}",
        toml::to_string_pretty(&defaults).unwrap()
    );
}

#[test]
fn the_shipped_file_is_usable() {
    let config = MeshdConfig::load(Some(Path::new(SHIPPED))).unwrap();
    assert_eq!(
        config.frontend.domains,
        MeshdConfig::default().frontend.domains
    );
}

/// The configurations of compose file and manifests, with the role they are run with.
const DEPLOYED: [(&str, Option<Role>); 8] = [
    ("compose/frontend.toml", Some(Role::Frontend)),
    ("compose/backend.toml", Some(Role::Backend)),
    ("compose/outbound.toml", Some(Role::Outbound)),
    ("compose/elsewhere.toml", None),
    ("kubernetes/cluster/frontend.toml", Some(Role::Frontend)),
    ("kubernetes/cluster/backend.toml", Some(Role::Backend)),
    ("kubernetes/cluster/outbound.toml", Some(Role::Outbound)),
    ("kubernetes/one-node/meshd.toml", None),
];

#[test]
fn what_compose_file_and_manifests_give_their_processes_is_usable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for (file, role) in DEPLOYED {
        let config = MeshdConfig::load_with(Some(&folder.join(file)), |config| {
            config.cluster.roles.extend(role);
            if role.is_some_and(|role| role != Role::Frontend) {
                // Compose file and manifests set it in the environment.
                config.cluster.advertise = Some("here.example:8445".to_owned());
            }
        });
        assert!(config.is_ok(), "{file}: {config:?}");
    }
}

#[test]
fn the_files_for_the_roles_of_a_cluster_are_usable_and_say_their_roles() {
    let folder = Path::new(SHIPPED).parent().unwrap();
    for (file, roles) in [
        ("frontend.toml", &[Role::Frontend][..]),
        ("backend.toml", &[Role::Backend]),
        ("outbound.toml", &[Role::Outbound]),
        ("on-one-machine/frontend.toml", &[Role::Frontend]),
        (
            "on-one-machine/node-1.toml",
            &[Role::Backend, Role::Outbound],
        ),
        ("on-one-machine/node-2.toml", &[Role::Backend]),
    ] {
        let config = MeshdConfig::load(Some(&folder.join(file))).unwrap();
        assert_eq!(config.shape(), Shape::Cluster(RoleSet::of(roles)), "{file}");
    }
}

#[test]
fn settings_without_a_default_are_explained_in_comments() {
    let text = std::fs::read_to_string(SHIPPED).unwrap();
    for setting in [
        "[tls]",
        "path =",
        "threads =",
        "otlp_endpoint =",
        "bare_json =",
        "[backend.domains.",
        "lifetime_h =",
        "accounts_max =",
        "octets_max =",
        "messages_per_day_max =",
        "cluster_file =",
        "advertise =",
        "discover =",
        "secret_file =",
        "identity =",
        "[cluster.tls]",
    ] {
        let commented = text.lines().any(|line| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.trim_start().starts_with(setting))
        });
        assert!(commented, "{setting} is not explained");
    }
}
