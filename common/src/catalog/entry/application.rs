//! Settings of applications: SSH, mail, networks, groups. Schema draft §5.1 and §7.4.10 to
//! §7.4.15. Keys of single devices are not here but in the activations of those devices.

use serde::{Deserialize, Serialize};

use super::{Members, Original, SecretText};

/// An application of no particular kind. Its unique id is [`key`](Self::key).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedApplication {
    /// The name of the entry in the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A group of accounts; it has no members of its own.
pub type CatalogedGroup = CatalogedApplication;

/// A network application; it has no members of its own.
pub type CatalogedApplicationNetwork = CatalogedApplication;

/// An SSH profile: one for each purpose a person uses SSH for.
// Draft: §7.4.13 says "[No fields]", §5.1.2 says that the profile holds what stands in the
// known_hosts and authorized_keys files. We write those as two lists of lines.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedApplicationSSH {
    /// The name of the entry in the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Lines of the known_hosts file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<String>,
    /// Lines of the authorized_keys file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_keys: Vec<String>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A mail account.
// Draft: §7.4.14 says "[No fields]", §5.1.3 says that entries specify "the email account
// address(es), the inbound and outbound server configuration and the cryptographic keys". We
// write those as four lists.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedApplicationMail {
    /// The name of the entry in the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The addresses of the account, `user@domain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Servers that mail is read from, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inbound: Vec<MailServer>,
    /// Servers that mail is handed to, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbound: Vec<MailServer>,
    /// Keys for encrypting mail to the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encryption_keys: Vec<MailKey>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A server of a mail account.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MailServer {
    /// `imap`, `pop3`, `jmap` or `smtp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The name of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `tls`, `starttls` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
    /// The name to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A public key for encrypting mail.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MailKey {
    /// `OpenPGP` or `S/MIME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The key or certificate in its armoured text form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}
