//! `mesh account create`, `status`, `delete`.

use std::fmt::Write as _;

use mesh_client::account::{AccountFacts, AccountStatus, NewAccount};
use mesh_client::state::Stage;
use serde_json::json;

use super::{open, open_with};
use crate::args::{Account, AccountCommand, AddAccount, Create, Delete, Global};
use crate::failure::Failure;
use crate::input;
use crate::output::{Done, columns, plain};

pub(super) async fn run(global: &Global, account: Account) -> Result<Done, Failure> {
    match account.command {
        AccountCommand::Create(create) => self::create(global, create).await,
        AccountCommand::Add(add) => self::add(global, add).await,
        AccountCommand::List => list(global),
        AccountCommand::Status => status(global).await,
        AccountCommand::Delete(delete) => self::delete(global, &delete).await,
    }
}

async fn create(global: &Global, create: Create) -> Result<Done, Failure> {
    let authorities = create
        .ca
        .as_deref()
        .map(input::octets_of)
        .transpose()?
        .map(|octets| String::from_utf8_lossy(&octets).into_owned());
    let mut client = if create.ask_passphrase {
        let home = super::home_of(global)?;
        open_with(&home, global, Some(input::new_passphrase()?))?
    } else {
        open(global)?
    };
    let goes_on = client.state().is_some();
    let new = NewAccount {
        address: create.address,
        service_url: create.service,
        authorities,
        device: create.device,
    };
    client.create_account(&new).await?;
    let facts = client.account_facts()?;
    let mut text = format!(
        "{} the account {}\n",
        if goes_on { "finished" } else { "created" },
        facts.address
    );
    text.push_str(&identities(&facts));
    let _ = writeln!(
        text,
        "\nthe keys are in {}; keep a copy",
        client.folder().display()
    );
    Ok(Done::new(text, &facts))
}

async fn add(global: &Global, add: AddAccount) -> Result<Done, Failure> {
    let authorities = add
        .ca
        .as_deref()
        .map(input::octets_of)
        .transpose()?
        .map(|octets| String::from_utf8_lossy(&octets).into_owned());
    let mut client = open(global)?;
    let new = NewAccount {
        service_url: add.service,
        authorities,
        ..NewAccount::at(add.address)
    };
    let further = client.create_further_account(&new).await?;
    let facts = further.account_facts()?;
    let text = format!(
        "created the account {}\n{}\nwork on it with --home {}\n",
        facts.address,
        identities(&facts),
        further.folder().display()
    );
    Ok(Done::new(text, &facts))
}

fn list(global: &Global) -> Result<Done, Failure> {
    let accounts = open(global)?.accounts()?;
    let mut rows = vec![["ACCOUNT", "FOLDER"].map(str::to_owned).to_vec()];
    rows.extend(accounts.iter().map(|(address, folder)| {
        let folder = plain(&folder.display().to_string());
        vec![plain(address.as_written()), folder]
    }));
    let accounts: Vec<_> = accounts
        .iter()
        .map(|(address, folder)| json!({"address": address.as_written(), "folder": folder}))
        .collect();
    Ok(Done::new(columns(&rows), &json!({"accounts": accounts})))
}

async fn status(global: &Global) -> Result<Done, Failure> {
    let mut client = open(global)?;
    if client
        .state()
        .is_some_and(|state| state.stage == Stage::Deleted)
    {
        let facts = client.account_facts()?;
        let text = format!("the account {} was deleted at its service\n", facts.address);
        return Ok(Done::new(text, &facts));
    }
    let status = client.account_status().await?;
    Ok(Done::new(status_text(&status), &status))
}

async fn delete(global: &Global, delete: &Delete) -> Result<Done, Failure> {
    if !delete.yes {
        return Err(Failure::usage("deleting the account needs --yes")
            .with_advice("mesh account delete --yes"));
    }
    let mut client = open(global)?;
    let facts = client.delete_account().await?;
    let text = format!(
        "deleted the account {} at its service\n\nwhat is on this device stays in {}\n",
        facts.address,
        client.folder().display()
    );
    Ok(Done::new(text, &json!(facts)))
}

pub(super) fn identities(facts: &AccountFacts) -> String {
    let row = |label: &str, text: &str| vec![format!("  {label}"), plain(text)];
    let mut rows = vec![
        row("service", &facts.service),
        row(
            "service is",
            facts.service_udf.as_deref().unwrap_or("not known yet"),
        ),
        row("your mesh is", &facts.mesh_udf),
        row("the account is", &facts.account_udf),
        row("this device is", &facts.device_udf),
    ];
    if let Some(device) = &facts.device {
        rows.push(row("and is called", device));
    }
    columns(&rows)
}

fn status_text(status: &AccountStatus) -> String {
    let facts = &status.facts;
    let mut text = format!("{}\n{}\n", facts.address, identities(facts));
    let mut rows = vec![
        ["CONTAINER", "HERE", "WAITING", "AT SERVICE", "AGREES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(status.containers.iter().map(|container| {
        vec![
            plain(&container.container),
            container.here.to_string(),
            container.waiting.to_string(),
            container.there.to_string(),
            match container.agrees {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            }
            .to_owned(),
        ]
    }));
    text.push_str(&columns(&rows));
    match &facts.synced_at {
        Some(time) => {
            let _ = writeln!(text, "\nlast synchronized {time}");
        }
        None => text.push_str("\nnever synchronized\n"),
    }
    text
}
