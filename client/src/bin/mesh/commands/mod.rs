//! From what was typed to what is done: opens the device, calls the library, says what happened.

mod account;
mod device;
mod entries;
mod everyday;
mod key;
mod manual;
mod messages;
mod people;
mod resolve;
mod sync;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use indicatif::{ProgressBar, ProgressStyle};
use mesh_client::client::Watch;
use mesh_client::keystore::Passphrase;
use mesh_client::{Client, ClientError, Progress};

use crate::args::{Cli, Command, Global};
use crate::failure::Failure;
use crate::input;
use crate::output::Done;

/// Work of fewer steps than this needs no bar.
const BAR_STEPS_MIN: u64 = 50;

/// Does what was typed.
pub(crate) async fn run(cli: Cli) -> Result<Done, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Account(account) => account::run(global, account).await,
        Command::Sync(sync) => sync::sync(global, &sync).await,
        Command::Device(device) => device::run(global, device).await,
        Command::Import(import) => everyday::import(global, &import),
        Command::Export(export) => everyday::export(global, &export),
        Command::Verify(verify) => everyday::verify(global, &verify),
        Command::Contact(command) => people::contact(global, command).await,
        Command::Message(messages) => messages::run(global, messages),
        Command::Confirm(confirm) => people::confirm(global, confirm).await,
        Command::Password(verb) => entries::run(global, verb),
        Command::Bookmark(verb) => entries::run(global, verb),
        Command::Task(command) => people::task(global, command).await,
        Command::Network(verb) => entries::run(global, verb),
        Command::Ssh(verb) => entries::run(global, verb),
        Command::Mail(verb) => entries::run(global, verb),
        Command::Key(key) => key::run(global, key).await,
        Command::Completions(completions) => Ok(manual::completions(&completions)),
        Command::Man(man) => manual::pages(&man),
    }
}

/// The folder of the device.
fn home_of(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(home) = &global.home {
        return Ok(home.clone());
    }
    let named = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let data = if cfg!(windows) {
        named("APPDATA")
    } else if cfg!(target_os = "macos") {
        named("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")))
    };
    data.map(|data| data.join("mesh")).ok_or_else(|| {
        Failure::usage("there is no place for the data of programs")
            .with_advice("name a folder with --home DIR")
    })
}

/// Opens the device. A passphrase that is needed and was not given is asked for at the terminal.
fn open(global: &Global) -> Result<Client, Failure> {
    open_remembering(global).map(|(client, _)| client)
}

/// Opens the device, and gives the passphrase that opened it, to open it again without asking.
fn open_remembering(global: &Global) -> Result<(Client, Option<Passphrase>), Failure> {
    let given = global
        .passphrase_file
        .as_deref()
        .map(input::passphrase_in)
        .transpose()?;
    let home = home_of(global)?;
    match open_with(&home, global, given.clone()) {
        Err(ClientError::Keystore(error)) if given.is_none() && error.is_about_passphrase() => {
            match input::passphrase_asked("Passphrase: ")? {
                Some(typed) => {
                    let client = open_with(&home, global, Some(typed.clone()))?;
                    Ok((client, Some(typed)))
                }
                None => Err(ClientError::Keystore(error).into()),
            }
        }
        Ok(client) => Ok((client, given)),
        Err(error) => Err(error.into()),
    }
}

fn open_with(
    home: &Path,
    global: &Global,
    passphrase: Option<Passphrase>,
) -> Result<Client, ClientError> {
    let mut builder = Client::builder(home).passphrase(passphrase);
    if std::io::stderr().is_terminal() && !global.json {
        builder = builder.watch(bar());
    }
    builder.open()
}

/// A bar on standard error, for work of many steps.
fn bar() -> Watch {
    let style = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let shown: Mutex<Option<(&'static str, ProgressBar)>> = Mutex::new(None);
    Arc::new(move |progress: Progress| {
        let Ok(mut shown) = shown.lock() else {
            return;
        };
        if progress.total < BAR_STEPS_MIN {
            return;
        }
        let is_other = shown
            .as_ref()
            .is_none_or(|(what, _)| *what != progress.what);
        if is_other {
            let bar = ProgressBar::new(progress.total).with_style(style.clone());
            bar.set_message(progress.what);
            *shown = Some((progress.what, bar));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            if progress.done >= progress.total {
                bar.finish_and_clear();
            }
        }
    })
}
