//! The configuration people copy is the one that is tested: every setting is in it, with its default.

use std::path::Path;

use meshd::config::MeshdConfig;

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
