//! `mesh device`: connecting devices to an account, listing and removing them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use mesh_common::address::AccountAddress;
use mesh_common::message::PinUri;

/// Connect devices to your account, list them, remove one
#[derive(Debug, Args)]
#[command(after_help = "\
To connect a second device, by comparing what both show:
  new device    mesh device request alice@example.com
  first device  mesh device pending
                mesh device accept N4OW-GEOK

By a PIN, when the devices are not side by side:
  first device  mesh device pin
  new device    mesh device request alice@example.com --pin NCGD-ZOQL-JRVF-TALA-EY
  first device  mesh sync")]
pub(crate) struct Device {
    /// What is to be done with devices.
    #[command(subcommand)]
    pub(crate) command: DeviceCommand,
}

/// What is to be done with devices.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Ask that this device be connected, or go on asking
    Request(DeviceRequest),
    /// Show the devices that ask to be connected
    Pending(DevicePending),
    /// Connect a device that asks, once you have compared what both show
    Accept(DeviceAccept),
    /// Refuse a device that asks
    Reject(DeviceReject),
    /// Make a PIN that one device may connect with
    Pin(DevicePin),
    /// Devices that are sold with a code on them
    #[command(subcommand)]
    Earl(DeviceEarl),
    /// List the devices of the account
    List,
    /// Remove a device: it is refused from its next request on
    Delete(DeviceDelete),
}

impl DeviceCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Pending(_) => "pending",
            Self::Accept(_) => "accept",
            Self::Reject(_) => "reject",
            Self::Pin(_) => "pin",
            Self::Earl(DeviceEarl::Make(_)) => "earl make",
            Self::Earl(DeviceEarl::Accept(_)) => "earl accept",
            Self::List => "list",
            Self::Delete(_) => "delete",
        }
    }
}

/// Ask that this device be connected, or go on asking
///
/// Keys are made for this device and kept in the folder of --home. What you see is compared with
/// what `mesh device pending` shows on a device that administers the account: if all 28 characters
/// are the same, nobody stands in between, and you accept there. With a PIN nothing has to be
/// compared.
///
/// The command waits until it is answered. Interrupt it whenever you like: the same command goes on
/// where it was. Without an address it goes on with what this device has asked, or with what its
/// maker has prepared.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh device request alice@example.com
  mesh device request alice@example.com --pin NCGD-ZOQL-JRVF-TALA-EY
  mesh device request mcu://alice@example.com/NCGD-ZOQL-JRVF-TALA-EY
  mesh device request                          go on with what was asked")]
pub(crate) struct DeviceRequest {
    /// The account's address, or the mcu:// URI of a PIN
    #[arg(value_name = "ADDRESS")]
    pub(crate) target: Option<Target>,
    /// The PIN that the account's owner gave you, or its mcu:// URI; `-` reads it from standard input
    #[arg(long, value_name = "PIN")]
    pub(crate) pin: Option<String>,
    /// What to call this device in the list of your devices
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Where the service is; without it at mmm.DOMAIN, port 443
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// A PEM file of certificate authorities to trust besides those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Ask once whether there is an answer, and do not wait for it
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Forget what this device has asked before, and its keys, and ask anew
    #[arg(long)]
    pub(crate) again: bool,
    /// Ask for a passphrase at the terminal and seal the keys with it
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) ask_passphrase: bool,
}

/// An account, perhaps with a PIN.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// An address.
    Address(AccountAddress),
    /// The URI of a PIN.
    Pin(PinUri),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            PinUri::parse(text)
                .map(Self::Pin)
                .map_err(|error| error.to_string())
        } else {
            AccountAddress::parse(text)
                .map(Self::Address)
                .map_err(|error| error.to_string())
        }
    }
}

/// Show the devices that ask to be connected
///
/// Each request is checked first: the service's signature, the device's, and the witness, which is
/// computed anew from your own mesh.
#[derive(Debug, Args)]
pub(crate) struct DevicePending {
    /// Show the requests that were answered, too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Connect a device that asks, once you have compared what both show
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh device accept N4OW-GEOK                 the beginning of the witness is enough
  mesh device accept N4OW-GEOK --administrator")]
pub(crate) struct DeviceAccept {
    /// The witness that both devices show, or the request's id, or the beginning of either
    #[arg(value_name = "WITNESS|ID")]
    pub(crate) wanted: String,
    /// What the device is to be.
    #[command(flatten)]
    pub(crate) terms: TermsFields,
}

/// What a device is to be.
#[derive(Debug, Args)]
pub(crate) struct TermsFields {
    /// Let it administer the account: connect and remove devices
    #[arg(long)]
    pub(crate) administrator: bool,
    /// A permission, by name: Contact, Confirm, Task, Group or * (may be given several times)
    ///
    /// Without this option the device may do what any device may; with it, it may send only what is
    /// named.
    #[arg(long = "permission", value_name = "NAME")]
    pub(crate) permissions: Vec<String>,
    /// Another account of yours on this device that it is connected to as well
    #[arg(long = "with-account", value_name = "ADDRESS")]
    pub(crate) accounts: Vec<AccountAddress>,
}

/// Refuse a device that asks
#[derive(Debug, Args)]
pub(crate) struct DeviceReject {
    /// The witness, the request's id, or the beginning of either
    #[arg(value_name = "WITNESS|ID")]
    pub(crate) wanted: String,
}

/// Make a PIN that one device may connect with
///
/// Every device that administers the account learns the PIN, encrypted, and whichever synchronizes
/// first connects the device that comes with it. The service never sees it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh device pin
  mesh device pin --life 10m --administrator
  mesh device pin --png pin.png")]
pub(crate) struct DevicePin {
    /// How long it is good: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = life)]
    pub(crate) life: Duration,
    /// Let the device administer the account
    #[arg(long)]
    pub(crate) administrator: bool,
    /// A permission of the device, by name (may be given several times)
    #[arg(long = "permission", value_name = "NAME")]
    pub(crate) permissions: Vec<String>,
    /// Write the QR code into this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
}

/// Devices that are sold with a code on them.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceEarl {
    /// Prepare a device and print its code (the maker)
    Make(EarlMake),
    /// Connect the device on which this code is printed
    Accept(EarlAccept),
}

/// Prepare a device and print its code (the maker)
///
/// The account of --home is a hailing account of its service: prepared devices wait there for whoever
/// scans their code. The keys of the device are made in FOLDER, which goes with it; its request is
/// published, encrypted under the key in the code. When the device is switched on, `mesh --home FOLDER
/// device request` waits for its owner.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mesh device earl make coffee-maker-1 --name \"coffee maker\" --png label.png")]
pub(crate) struct EarlMake {
    /// The folder of the device; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// What the device calls itself
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Write the QR code into this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
}

/// Connect the device on which this code is printed
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mesh device earl accept udf://maker.example/ECQK-A6YC-XNMR-MJ5E-2ZKM-H5QS-7ACZ-HI")]
pub(crate) struct EarlAccept {
    /// The udf:// URI in the code
    #[arg(value_name = "URI")]
    pub(crate) uri: String,
    /// Where the maker publishes, if not where the URI says
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// What the device is to be.
    #[command(flatten)]
    pub(crate) terms: TermsFields,
}

/// Remove a device: it is refused from its next request on
///
/// What it holds stays on it. Change what it could read and you do not trust it with.
#[derive(Debug, Args)]
pub(crate) struct DeviceDelete {
    /// What the device is called, its UDF, or the beginning of that
    #[arg(value_name = "DEVICE")]
    pub(crate) wanted: String,
}

/// A time as it is typed: `90s`, `10m`, `24h`, `7d`.
fn life(text: &str) -> Result<Duration, String> {
    let refusal = || "a time is a number and s, m, h or d, like 10m".to_owned();
    let (number, seconds) = match text.char_indices().last().ok_or_else(refusal)? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3_600),
        (at, 'd') => (&text[..at], 86_400),
        _ => return Err(refusal()),
    };
    let number: u64 = number.parse().map_err(|_| refusal())?;
    match number.checked_mul(seconds) {
        Some(total) if total > 0 && total <= LIFE_SECONDS_MAX => Ok(Duration::from_secs(total)),
        _ => Err("a PIN is good for 1s to 30d".to_owned()),
    }
}

/// Seconds a PIN is good at most: 30 days.
const LIFE_SECONDS_MAX: u64 = 30 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_typed() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("24h", 86_400),
            ("30d", 2_592_000),
        ] {
            assert_eq!(life(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "10",
            "m",
            "-1h",
            "0s",
            "31d",
            "1w",
            "99999999999999999999d",
        ] {
            assert!(life(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_and_the_uri_of_a_pin_are_told_apart() {
        assert!(matches!(
            "alice@example.com".parse(),
            Ok(Target::Address(_))
        ));
        assert!(matches!(
            "mcu://alice@example.com/NCGD-ZOQL".parse(),
            Ok(Target::Pin(_))
        ));
        assert!("udf://example.com/NCGD-ZOQL".parse::<Target>().is_err());
        assert!("alice".parse::<Target>().is_err());
    }
}
