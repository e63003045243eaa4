//! `docs/conformance.md`: every row of the two drafts that touches a service names the tests that
//! show it, or says which later work will, perhaps with the tests that show a part so far. These
//! tests keep the table honest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the last column begins with where there is no test yet.
const LATER: &str = "later: ";
/// Which later work there is.
const LATER_WORK: [&str; 3] = ["devices and messages", "delivery", "cluster"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A row of the table: its id, and what its last column says.
struct Row {
    id: String,
    columns: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ID "))
        .filter(|line| !line.starts_with("| ---"))
        .map(|line| {
            let columns: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            Row {
                id: columns[0].clone(),
                columns,
            }
        })
        .collect()
}

/// The ids that the checklist has.
fn checklist() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/conformance-ids.txt");
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Every test of the workspace, as `path::name`, with the ids in the comment above it.
fn tests_with_ids() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for member in ["common", "frontend", "backend", "client", "meshd", "tests"] {
        for path in sources(&root().join(member)) {
            let place = path.strip_prefix(root()).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            for (name, ids) in tests_of(&text) {
                found.insert(format!("{place}::{name}"), ids);
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// Functions under a `#[test]`, and the words of the comments above them.
fn tests_of(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (position, line) in lines.iter().enumerate() {
        let Some(name) = line
            .trim_start_matches("async ")
            .strip_prefix("fn ")
            .and_then(|rest| rest.split('(').next())
        else {
            continue;
        };
        let above = lines[..position]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let above: Vec<&str> = above.copied().collect();
        if above
            .iter()
            .any(|line| line.starts_with("#[") && line.contains("test"))
        {
            let ids = above
                .iter()
                .filter(|line| line.starts_with("//"))
                .flat_map(|line| line.trim_start_matches('/').split([',', ' ', ':']))
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect();
            found.push((name.to_owned(), ids));
        }
    }
    found
}

#[test]
fn the_table_has_every_row_of_the_checklist_once() {
    let mut missing = checklist();
    for row in rows() {
        assert!(
            missing.remove(&row.id),
            "{} is no row of the checklist, or there twice",
            row.id
        );
        assert_eq!(row.columns.len(), 5, "{}", row.id);
        let words = row.columns[3].split_whitespace().count();
        assert!(words <= 20, "{} quotes {words} words", row.id);
    }
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn every_test_that_a_row_names_exists_and_names_the_row() {
    let tests = tests_with_ids();
    for row in rows() {
        let shown = &row.columns[4];
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if let Some(later) = shown.strip_prefix(LATER) {
            let work = later.split(", so far").next().unwrap_or_default();
            assert!(
                LATER_WORK.contains(&work),
                "{}: {work:?} is no later work",
                row.id
            );
        } else {
            assert!(
                !named.is_empty(),
                "{} names neither tests nor later work",
                row.id
            );
        }
        for test in named {
            let ids = tests
                .get(test)
                .unwrap_or_else(|| panic!("{}: there is no test {test}", row.id));
            assert!(ids.contains(&row.id), "{test} does not name {}", row.id);
        }
    }
}

#[test]
fn every_test_of_these_suites_that_names_a_row_stands_in_it() {
    let checklist = checklist();
    let shown: BTreeMap<String, String> = rows()
        .into_iter()
        .map(|row| (row.id, row.columns[4].clone()))
        .collect();
    let suites = ["tests/suites/service/", "tests/suites/wire/"];
    let tests = tests_with_ids();
    let ours = tests
        .iter()
        .filter(|(test, _)| suites.iter().any(|suite| test.starts_with(suite)));
    for (test, ids) in ours {
        for id in ids.intersection(&checklist) {
            let cell = shown.get(id).map_or("", String::as_str);
            let literal = format!("`{test}`");
            assert!(
                cell.contains(&literal),
                "{test} names {id}, whose row does not name it"
            );
        }
    }
}
