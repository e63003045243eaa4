//! `mesh completions` and `mesh man`: both are made from the same structures as the help.

use std::fs;

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, Completions, Man};
use crate::failure::Failure;
use crate::output::{Done, counted};

pub(super) fn completions(completions: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "mesh", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let result = json!({"shell": completions.shell.to_string(), "script": script});
    Done::new(script, &result)
}

pub(super) fn pages(man: &Man) -> Result<Done, Failure> {
    fs::create_dir_all(&man.dir).map_err(|error| Failure::unwritable(&man.dir, error))?;
    clap_mangen::generate_to(Cli::command(), &man.dir)
        .map_err(|error| Failure::unwritable(&man.dir, error))?;
    let mut pages: Vec<String> = fs::read_dir(&man.dir)
        .map_err(|error| Failure::unreadable(&man.dir, error))?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("mesh"))
        .collect();
    pages.sort();
    let text = format!(
        "wrote {} into {}\n",
        counted(pages.len() as u64, "page"),
        man.dir.display()
    );
    Ok(Done::new(text, &json!({"folder": man.dir, "pages": pages})))
}
