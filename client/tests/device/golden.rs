//! Golden files: texts that a person sees. `GOLDEN=write` rewrites them; the difference is reviewed.

use std::fs;
use std::path::{Path, PathBuf};

/// Compares `text` with the golden file `name`.
pub(crate) fn compare(name: &str, text: &str) {
    let path = folder().join(name);
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{name} differs; GOLDEN=write rewrites it\n\
         ---- expected ----\n{expected}\n---- got ----\n{text}\n----"
    );
}

/// The names of the golden files below `name`.
pub(crate) fn names(name: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder().join(name))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device/golden")
}
