//! `mesh device request`, `pending`, `accept`, `reject`, `pin`, `earl`, `list`, `delete`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use mesh_client::Client;
use mesh_client::account::AccountFacts;
use mesh_client::connect::{
    Answered, Asked, DeviceFacts, Inbox, NewRequest, PinAnswer, PinStanding, Requested, Standing,
    Terms,
};
use mesh_client::qr::Qr;
use mesh_common::address::AccountAddress;
use mesh_common::message::{Earl, Pin, PinUri};
use serde_json::json;

use super::account::identities;
use super::{home_of, open, open_with};
use crate::args::{
    Device, DeviceCommand, DeviceDelete, DeviceEarl, DevicePending, DevicePin, DeviceRequest,
    EarlAccept, EarlMake, Global, Target, TermsFields,
};
use crate::failure::Failure;
use crate::input;
use crate::output::{Done, columns, counted, plain};

pub(super) async fn run(global: &Global, device: Device) -> Result<Done, Failure> {
    match device.command {
        DeviceCommand::Request(request) => self::request(global, request).await,
        DeviceCommand::Pending(pending) => self::pending(global, &pending).await,
        DeviceCommand::Accept(accept) => {
            let mut client = open(global)?;
            let terms = terms_of(accept.terms);
            let answered = client.accept_connection(&accept.wanted, &terms).await?;
            Ok(Done::new(answered_text(&answered), &answered))
        }
        DeviceCommand::Reject(reject) => {
            let mut client = open(global)?;
            let answered = client.reject_connection(&reject.wanted).await?;
            Ok(Done::new(answered_text(&answered), &answered))
        }
        DeviceCommand::Pin(pin) => self::pin(global, pin).await,
        DeviceCommand::Earl(DeviceEarl::Make(make)) => earl_make(global, make).await,
        DeviceCommand::Earl(DeviceEarl::Accept(accept)) => earl_accept(global, accept).await,
        DeviceCommand::List => list(global),
        DeviceCommand::Delete(delete) => self::delete(global, &delete).await,
    }
}

async fn request(global: &Global, request: DeviceRequest) -> Result<Done, Failure> {
    let mut client = if request.ask_passphrase {
        open_with(&home_of(global)?, global, Some(input::new_passphrase()?))?
    } else {
        open(global)?
    };
    if request.again {
        client.forget_request()?;
    }
    let no_wait = request.no_wait;
    let new = new_request(request)?;
    let waited_before = client.requested()?.is_some();
    let requested = client.request_connection(new.as_ref()).await?;
    let told = requested_text(&requested);
    // A request that was just made has no answer yet; one that waits may have.
    let facts = match (no_wait, waited_before) {
        (true, false) => None,
        (true, true) => client.poll_connection().await?,
        (false, _) => {
            say(&format!("{told}\nwaiting for the answer …\n"));
            Some(client.wait_for_connection().await?)
        }
    };
    match facts {
        Some(facts) => connected(client, &requested, &facts).await,
        None => {
            let text = format!("{told}\nthe same command asks for the answer\n");
            let result = json!({"connected": false, "request": requested});
            Ok(Done::new(text, &result))
        }
    }
}

/// Fetches what the account has, now that this device is one of its own.
async fn connected(
    mut client: Client,
    requested: &Requested,
    facts: &AccountFacts,
) -> Result<Done, Failure> {
    let report = client.sync(None).await?;
    let frames: u64 = report.containers.iter().map(|one| one.downloaded).sum();
    let text = format!(
        "connected to {}\n{}\ndownloaded {}\n",
        facts.address,
        identities(facts),
        counted(frames, "frame")
    );
    let result = json!({"connected": true, "request": requested, "account": facts});
    Ok(Done::new(text, &result))
}

fn new_request(request: DeviceRequest) -> Result<Option<NewRequest>, Failure> {
    let typed = request.pin.map(pin_typed).transpose()?;
    let (address, pin) = match (request.target, typed) {
        (None, None) => return Ok(None),
        (None, Some(Typed::Pin(_))) => {
            return Err(Failure::usage("a PIN alone does not say for which account")
                .with_advice("mesh device request ADDRESS --pin PIN"));
        }
        (None, Some(Typed::Uri(uri))) | (Some(Target::Pin(uri)), None) => {
            (uri.account, Some(uri.pin))
        }
        (Some(Target::Address(address)), None) => (address, None),
        (Some(Target::Address(address)), Some(Typed::Pin(pin))) => (address, Some(pin)),
        (Some(Target::Address(address)), Some(Typed::Uri(uri))) => {
            (same_account(address, &uri)?, Some(uri.pin))
        }
        (Some(Target::Pin(_)), Some(_)) => {
            return Err(Failure::usage("there are two PINs"));
        }
    };
    Ok(Some(NewRequest {
        address,
        pin,
        service_url: request.service,
        authorities: request
            .ca
            .as_deref()
            .map(input::octets_of)
            .transpose()?
            .map(|octets| String::from_utf8_lossy(&octets).into_owned()),
        device: request.name,
    }))
}

fn same_account(address: AccountAddress, uri: &PinUri) -> Result<AccountAddress, Failure> {
    if address == uri.account {
        Ok(address)
    } else {
        Err(Failure::usage(format!(
            "the PIN is for {}, not for {address}",
            uri.account
        )))
    }
}

enum Typed {
    Pin(Pin),
    Uri(PinUri),
}

/// What was given with `--pin`.
fn pin_typed(text: String) -> Result<Typed, Failure> {
    let text = if text == "-" {
        input::line_of_stdin()?
    } else {
        text.into()
    };
    if text.contains("://") {
        PinUri::parse(&text).map(Typed::Uri).map_err(Failure::of)
    } else {
        Pin::parse(&text).map(Typed::Pin).map_err(Failure::of)
    }
}

fn requested_text(requested: &Requested) -> String {
    let address = plain(&requested.address);
    let mut text = format!("this device asks to be connected to {address}\n");
    match &requested.witness {
        Some(witness) => {
            let _ = write!(
                text,
                "\n    {witness}\n\ncompare all of it with what `mesh device pending` shows on a \
                 device that\nadministers the account, and accept it there if they are the same\n"
            );
        }
        None if requested.by == "pin" => {
            text.push_str("with a PIN; it is answered when an administrator synchronizes\n");
        }
        None => text.push_str("and waits for whoever scans its code\n"),
    }
    text
}

async fn pending(global: &Global, pending: &DevicePending) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let report = client.sync(None).await?;
    let inbox = client.connection_requests()?;
    let shown: Vec<&Asked> = inbox
        .requests
        .iter()
        .filter(|asked| pending.all || asked.is_waiting())
        .collect();
    let mut text = pins_text(&report.devices);
    text.push_str(&pending_text(&shown, &inbox));
    let refused: Vec<_> = inbox
        .refused
        .iter()
        .map(|(id, reason)| json!({"id": id, "reason": reason}))
        .collect();
    let result = json!({
        "requests": shown,
        "refused": refused,
        "answered": report.devices,
    });
    Ok(Done::new(text, &result))
}

fn pending_text(shown: &[&Asked], inbox: &Inbox) -> String {
    let mut text = String::new();
    if shown.is_empty() {
        text.push_str("no device asks to be connected\n");
    }
    for asked in shown {
        let name = asked.device.as_deref().unwrap_or("a device without a name");
        let _ = writeln!(text, "{}", plain(name));
        let mut rows = vec![
            row("witness", &asked.witness),
            row("device is", &asked.device_udf),
            row("request is", &asked.id),
        ];
        if let Some(pin) = asked.pin {
            rows.push(row("made with", pin.sentence()));
        }
        match asked.standing {
            Standing::Waiting => {}
            Standing::Granted => rows.push(row("is", "accepted, but not told so yet")),
            Standing::Accepted => rows.push(row("was", "accepted")),
            Standing::Rejected => rows.push(row("was", "rejected")),
        }
        text.push_str(&columns(&rows));
        if let (None, Standing::Waiting) = (asked.pin, asked.standing) {
            let _ = writeln!(
                text,
                "  if that device shows the same witness, all of it:\n  mesh device accept {}",
                asked.witness
            );
        }
    }
    for (id, reason) in &inbox.refused {
        let _ = writeln!(
            text,
            "NOT BELIEVED: a request {}: {}",
            plain(id),
            plain(reason)
        );
    }
    text
}

/// What came of devices that asked with a PIN; nothing if there were none.
pub(super) fn pins_text(answers: &[PinAnswer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let name = answer
            .device
            .as_deref()
            .unwrap_or("a device without a name");
        let name = plain(name);
        let udf = &answer.device_udf;
        let _ = match (answer.connected, answer.pin, &answer.problem) {
            (true, ..) => writeln!(text, "connected {name} ({udf}), which knows the PIN"),
            (_, PinStanding::Used, _) => writeln!(
                text,
                "ALERT: {name} ({udf}) asks with a PIN that another device has used"
            ),
            (_, _, Some(problem)) => {
                writeln!(
                    text,
                    "{name} ({udf}) is not connected yet: {}",
                    plain(problem)
                )
            }
            (_, standing, None) => writeln!(
                text,
                "{name} ({udf}) is not connected: it asks with {}",
                standing.sentence()
            ),
        };
    }
    text
}

async fn pin(global: &Global, pin: DevicePin) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let terms = Terms {
        administrator: pin.administrator,
        permissions: pin.permissions,
        accounts: Vec::new(),
    };
    let made = client.make_pin(pin.life, &terms).await?;
    let uri = made.uri.reveal();
    let drawn = drawn(&uri, pin.png.as_deref())?;
    let text = format!(
        "{}\n\n  {}\n\n{drawn}\ngood until {} for one device, on which you type\n  mesh device request {} \
         --pin {}\nor scan the code; {} can connect it when {} next\n",
        made.uri.pin.reveal(),
        *uri,
        made.expires,
        made.uri.account,
        made.uri.pin.reveal(),
        counted(made.administrators as u64, "device"),
        if made.administrators == 1 {
            "it synchronizes"
        } else {
            "one of them synchronizes"
        },
    );
    let result = json!({
        "pin": made.uri.pin.reveal(),
        "uri": *uri,
        "expires": made.expires,
        "administrators": made.administrators,
    });
    Ok(Done::new(text, &result))
}

async fn earl_make(global: &Global, make: EarlMake) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let prepared = client.prepare_device(&make.folder, make.name).await?;
    let uri = prepared.earl.reveal();
    let drawn = drawn(&uri, make.png.as_deref())?;
    let text = format!(
        "  {}\n\n{drawn}\nprint this on the device; what it needs is in {}\n",
        *uri,
        make.folder.display()
    );
    let result = json!({
        "uri": *uri,
        "device_udf": prepared.device_udf,
        "folder": make.folder,
    });
    Ok(Done::new(text, &result))
}

async fn earl_accept(global: &Global, accept: EarlAccept) -> Result<Done, Failure> {
    let earl = Earl::parse(&accept.uri).map_err(Failure::of)?;
    let mut client = open(global)?;
    let terms = terms_of(accept.terms);
    let service = accept.service.as_deref();
    let answered = client.accept_earl(&earl, service, &terms).await?;
    Ok(Done::new(answered_text(&answered), &answered))
}

/// The QR code of `text`, drawn, and in a file if one is named.
fn drawn(text: &str, png: Option<&Path>) -> Result<String, Failure> {
    let code = Qr::of(text).map_err(Failure::of)?;
    if let Some(path) = png {
        let picture = code.to_png().map_err(Failure::of)?;
        input::write_private(path, &picture)?;
    }
    Ok(code.to_terminal())
}

fn list(global: &Global) -> Result<Done, Failure> {
    let devices = open(global)?.devices()?;
    let mut rows = vec![
        ["DEVICE", "UDF", "ADMINISTERS", "MAY", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(devices.iter().map(device_row));
    Ok(Done::new(columns(&rows), &json!({"devices": devices})))
}

fn device_row(device: &DeviceFacts) -> Vec<String> {
    let remark = match (device.verified, device.this) {
        (false, _) => "NOT SIGNED BY YOUR MESH",
        (true, true) => "this device",
        (true, false) => "",
    };
    vec![
        plain(device.device.as_deref().unwrap_or("-")),
        plain(&device.device_udf),
        if device.administrator { "yes" } else { "no" }.to_owned(),
        plain(&device.permissions.join(", ")),
        remark.to_owned(),
    ]
}

async fn delete(global: &Global, delete: &DeviceDelete) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let removed = client.remove_device(&delete.wanted).await?;
    let text = format!(
        "removed {} ({}): it is refused from its next request on\n",
        plain(removed.device.as_deref().unwrap_or("the device")),
        removed.device_udf
    );
    Ok(Done::new(text, &removed))
}

fn answered_text(answered: &Answered) -> String {
    let name = plain(answered.device.as_deref().unwrap_or("the device"));
    let udf = &answered.device_udf;
    match (answered.accepted, answered.administrator) {
        (false, _) => format!("rejected {name} ({udf})\n"),
        (true, false) => format!("connected {name} ({udf})\n"),
        (true, true) => {
            format!("connected {name} ({udf}), which administers the account as well\n")
        }
    }
}

fn terms_of(fields: TermsFields) -> Terms {
    Terms {
        administrator: fields.administrator,
        permissions: fields.permissions,
        accounts: fields.accounts,
    }
}

fn row(label: &str, text: &str) -> Vec<String> {
    vec![format!("  {label}"), plain(text)]
}

/// Says something before the command is done, where a person reads it.
fn say(text: &str) {
    // Who does not read it does not miss it.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
