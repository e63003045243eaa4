//! `mesh key`: status, export, offline, import, grant, withdraw, rotate, escrow, recover.

use std::fmt::Write as _;
use std::path::Path;

use mesh_client::Client;
use mesh_client::account::NewAccount;
use mesh_client::administration::copies::{sheet_of, write_new};
use mesh_client::administration::{
    AdministrationError, DeviceStanding, KeyStatus, MasterKey, RecoveryReport, Share,
};
use mesh_client::keystore::Cost;
use mesh_client::qr::Qr;
use serde_json::{Value, json};

use super::{open, open_with};
use crate::args::{
    Brought, Global, Key, KeyCommand, KeyCopy, KeyEscrow, KeyExport, KeyOf, KeyRecover,
};
use crate::failure::Failure;
use crate::input;
use crate::output::{Done, columns, counted, plain};

pub(super) async fn run(global: &Global, key: Key) -> Result<Done, Failure> {
    match key.command {
        KeyCommand::Status => status(global),
        KeyCommand::Export(export) => self::export(global, &export),
        KeyCommand::Offline(copy) => offline(global, &copy),
        KeyCommand::Import(copy) => import(global, &copy),
        KeyCommand::Grant(of) => grant(global, &of).await,
        KeyCommand::Withdraw(of) => withdraw(global, &of).await,
        KeyCommand::Rotate(rotate) => self::rotate(global, &rotate.brought).await,
        KeyCommand::Escrow(escrow) => self::escrow(global, &escrow).await,
        KeyCommand::Recover(recover) => self::recover(global, recover).await,
    }
}

fn status(global: &Global) -> Result<Done, Failure> {
    let status = open(global)?.key_status()?;
    Ok(Done::new(status_text(&status), &status))
}

fn export(global: &Global, export: &KeyExport) -> Result<Done, Failure> {
    let master = open(global)?.master_key()?;
    let mesh = master.mesh_key().udf();
    let mut text = String::new();
    let mut result = json!({"mesh_udf": mesh});
    if export.words {
        let _ = writeln!(text, "# The master key of the mesh {mesh}");
        text.push_str(&sheet_of(&master.to_words()));
        result["words"] = master.to_words().iter().collect::<Value>();
    }
    if export.qr {
        let udf = master.to_udf();
        let _ = writeln!(text, "{}{udf}", qr(udf.as_str())?.to_terminal());
        result["udf"] = json!(udf);
    }
    if let Some(path) = &export.png {
        picture(master.to_udf().as_str(), path)?;
        let _ = writeln!(text, "drew the master key into {}", path.display());
        result["png"] = json!(path);
    }
    if let Some(path) = &export.file {
        let passphrase = match &export.copy_passphrase_file {
            Some(file) => input::passphrase_in(file)?,
            None => input::new_passphrase()?,
        };
        let entropy = &mut mesh_client::ambient::SystemEntropy;
        let octets = master.to_file(&passphrase, Cost::default(), entropy);
        write(path, &octets)?;
        let _ = writeln!(text, "wrote the master key into {}", path.display());
        result["file"] = json!(path);
    }
    text.push_str("\nwhoever has this copy owns the mesh; keep it where nobody else finds it\n");
    Ok(Done::new(text, &result))
}

fn offline(global: &Global, copy: &KeyCopy) -> Result<Done, Failure> {
    let mut client = open(global)?;
    // There is nothing to be typed for a key that is not here.
    client.master_key()?;
    let master = read(&[&copy.copy], copy.copy_passphrase_file.as_deref())?;
    client.take_master_offline(&master)?;
    let status = client.key_status()?;
    let text = format!(
        "took the master key off this device; the copy you gave is good\n\n\
         backups of {} may still hold it\n",
        client.folder().display()
    );
    Ok(Done::new(text, &status))
}

fn import(global: &Global, copy: &KeyCopy) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let master = read(&[&copy.copy], copy.copy_passphrase_file.as_deref())?;
    client.put_master_back(&master)?;
    let status = client.key_status()?;
    Ok(Done::new(
        "put the master key back on this device\n",
        &status,
    ))
}

async fn grant(global: &Global, of: &KeyOf) -> Result<Done, Failure> {
    let (mut client, master) = with_master(global, &of.brought)?;
    let status = client.grant_key(&of.device, master.as_ref()).await?;
    let text = format!(
        "granted a key to {}; it administers after its next synchronization\n\n{}",
        plain(&of.device),
        status_text(&status)
    );
    Ok(Done::new(text, &status))
}

async fn withdraw(global: &Global, of: &KeyOf) -> Result<Done, Failure> {
    let (mut client, master) = with_master(global, &of.brought)?;
    let status = client.withdraw_key(&of.device, master.as_ref()).await?;
    let text = format!(
        "withdrew the key of {}; it stays connected\n\n{}",
        plain(&of.device),
        status_text(&status)
    );
    Ok(Done::new(text, &status))
}

async fn rotate(global: &Global, brought: &Brought) -> Result<Done, Failure> {
    let (mut client, master) = with_master(global, brought)?;
    let status = client.rotate_keys(master.as_ref()).await?;
    let text = format!(
        "replaced the keys that this device administers with\n\n{}",
        status_text(&status)
    );
    Ok(Done::new(text, &status))
}

async fn escrow(global: &Global, escrow: &KeyEscrow) -> Result<Done, Failure> {
    let (mut client, master) = with_master(global, &escrow.brought)?;
    let shares = client
        .escrow(escrow.quorum, escrow.shares, master.as_ref())
        .await?;
    let mesh = client.key_status()?.mesh_udf;
    let mut text = String::new();
    let mut told = Vec::new();
    for share in &shares {
        let _ = writeln!(
            text,
            "# share {} of {}, any {} give the master key of the mesh {mesh}",
            share.number(),
            shares.len(),
            share.quorum()
        );
        told.push(share_told(share, escrow, &mut text)?);
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "escrowed the keys of your entries; give each share to somebody else"
    );
    let result = json!({"mesh_udf": mesh, "quorum": escrow.quorum, "shares": told});
    Ok(Done::new(text, &result))
}

fn share_told(share: &Share, escrow: &KeyEscrow, text: &mut String) -> Result<Value, Failure> {
    let line = share.to_text();
    let _ = writeln!(text, "{}", *line);
    let mut told = json!({"number": share.number(), "share": *line});
    if escrow.words {
        let _ = write!(text, "# or:\n{}", *sheet_of(&share.to_words()));
        told["words"] = share.to_words().iter().collect::<Value>();
    }
    if escrow.qr {
        text.push_str(&qr(&line)?.to_terminal());
    }
    if let Some(folder) = &escrow.png_dir {
        std::fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, error))?;
        let path = folder.join(format!("share-{}.png", share.number()));
        picture(&line, &path)?;
        let _ = writeln!(text, "# drawn into {}", path.display());
        told["png"] = json!(path);
    }
    Ok(told)
}

async fn recover(global: &Global, recover: KeyRecover) -> Result<Done, Failure> {
    let from: Vec<&Path> = recover.from.iter().map(AsRef::as_ref).collect();
    let master = read(&from, recover.copy_passphrase_file.as_deref())?;
    let authorities = recover
        .ca
        .as_deref()
        .map(input::octets_of)
        .transpose()?
        .map(|octets| String::from_utf8_lossy(&octets).into_owned());
    let mut client = if recover.ask_passphrase {
        let home = super::home_of(global)?;
        open_with(&home, global, Some(input::new_passphrase()?))?
    } else {
        open(global)?
    };
    let account = NewAccount {
        address: recover.address,
        service_url: recover.service,
        authorities,
        device: recover.device,
    };
    let report = client
        .recover(&account, &master, recover.without_entries)
        .await?;
    Ok(Done::new(recovery_text(&report), &report))
}

/// The device, and the master key if one was brought.
fn with_master(global: &Global, brought: &Brought) -> Result<(Client, Option<MasterKey>), Failure> {
    let client = open(global)?;
    let master = match &brought.master {
        Some(path) => Some(read(&[path], brought.copy_passphrase_file.as_deref())?),
        None => None,
    };
    Ok((client, master))
}

/// The master key that the copies in `paths` give together.
fn read(paths: &[&Path], passphrase_file: Option<&Path>) -> Result<MasterKey, Failure> {
    let mut copy = zeroize::Zeroizing::new(Vec::new());
    for path in paths {
        copy.extend_from_slice(&input::copy_in(path)?);
        // Pieces of two files are two pieces.
        if paths.len() > 1 {
            copy.extend_from_slice(b"\n\n");
        }
    }
    let mut passphrase = passphrase_file.map(input::passphrase_in).transpose()?;
    loop {
        match MasterKey::from_copy(&copy, passphrase.as_ref()) {
            Err(error) if passphrase.is_none() && error.is_about_passphrase() => {
                passphrase = input::passphrase_asked("Passphrase of the copy: ")?;
                if passphrase.is_none() {
                    return Err(failed(error));
                }
            }
            outcome => return outcome.map_err(failed),
        }
    }
}

fn failed(error: mesh_client::administration::CopyError) -> Failure {
    mesh_client::ClientError::from(AdministrationError::from(error)).into()
}

fn qr(text: &str) -> Result<Qr, Failure> {
    Qr::of(text).map_err(|error| Failure::usage(error.to_string()))
}

fn picture(text: &str, path: &Path) -> Result<(), Failure> {
    let octets = qr(text)?.to_png();
    write(
        path,
        &octets.map_err(|error| Failure::usage(error.to_string()))?,
    )
}

fn write(path: &Path, octets: &[u8]) -> Result<(), Failure> {
    write_new(path, octets).map_err(|error| Failure::unwritable(path, error))
}

fn status_text(status: &KeyStatus) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let row = |label: &str, text: String| vec![format!("  {label}"), text];
    let mut rows = vec![
        row("your mesh is", plain(&status.mesh_udf)),
        row("the account is", plain(&status.account_udf)),
        row(
            "profile of",
            status.updated.clone().unwrap_or_else(|| "-".into()),
        ),
        row("master key here", yes(status.master_here)),
        row("this device administers", yes(status.administers)),
        row("keys escrowed", yes(!status.escrow_keys.is_empty())),
    ];
    if status.waiting {
        rows.push(row("waiting", "changes for the next mesh sync".into()));
    }
    let mut text = columns(&rows);
    text.push('\n');
    let mut rows = vec![["ONLINE KEY", "OF"].map(str::to_owned).to_vec()];
    rows.extend(status.online_keys.iter().map(|key| {
        let of = |device: &&DeviceStanding| Some(&device.device_udf) == key.device_udf.as_ref();
        let device = status.devices.iter().find(of).map(called);
        let of = match (key.here, device) {
            (true, _) => "this device".into(),
            (false, Some(device)) => device,
            (false, None) => "the device that made the mesh, or was handed it".into(),
        };
        vec![plain(&key.udf), of]
    }));
    text.push_str(&columns(&rows));
    text.push('\n');
    text.push_str(&devices_text(&status.devices));
    text
}

fn devices_text(devices: &[DeviceStanding]) -> String {
    let head = ["DEVICE", "CALLED", "ADMINISTERS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(devices.iter().map(|device| {
        let this = if device.this { " (this one)" } else { "" };
        let rights = if device.administrator { "yes" } else { "no" };
        let description = device.description.as_deref().unwrap_or("-");
        vec![
            plain(&device.device_udf),
            plain(description) + this,
            rights.to_owned(),
        ]
    }));
    columns(&rows)
}

fn called(device: &DeviceStanding) -> String {
    let description = device.description.as_deref();
    plain(description.unwrap_or(&device.device_udf))
}

fn recovery_text(report: &RecoveryReport) -> String {
    let facts = &report.facts;
    let mut text = match (report.was_there, report.readable) {
        (false, _) => format!(
            "there was no account {}: it is a new one, of your mesh\n",
            facts.address
        ),
        (true, true) => format!(
            "recovered the account {}: {} can be read\n",
            facts.address,
            counted(report.entries, "entry")
        ),
        (true, false) => format!(
            "recovered the account {}; what it held cannot be read\n",
            facts.address
        ),
    };
    if !report.other_devices.is_empty() {
        text.push_str("\nthese devices stay connected; remove those that are lost:\n");
        text.push_str(&devices_text(&report.other_devices));
    }
    text.push_str("\nthe master key was not kept on this device\n");
    text
}
