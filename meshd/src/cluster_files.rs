//! `meshd ca` and `meshd identity`: the files that the processes of a cluster are given
//! (architecture A-5, decisions ).
//!
//! | file | who needs it |
//! | --- | --- |
//! | `ca.pem`, `NAME.pem`, `NAME.key` | every process, each its own `NAME` |
//! | `cluster.secret` | back-end and outbound processes |
//! | `ca.key` | whoever makes certificates, no process |
//! | the copy of the identity | every process, the same |

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::cluster::ClusterSecret;
use mesh_common::time::Clock as _;
use mesh_link::ca::{self, Issued};
use mesh_link::{ClusterName, LinkRole, LinkRoles};
use zeroize::Zeroizing;

use crate::args::{CaCommand, CaInitArguments, CaNodeArguments, IdentityCommand, IdentityPlace};
use crate::config::{MeshdConfig, Role};
use crate::data_dir::{self, DataDirError};
use crate::identity;

const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const SECRET: &str = "cluster.secret";
const DAY: Duration = Duration::from_secs(86_400);

/// Why a file was not made.
#[derive(Debug, thiserror::Error)]
enum FilesError {
    /// There is one.
    #[error("{} is there already: name another folder or file, or remove it", .0.display())]
    Exists(std::path::PathBuf),
    /// There is none.
    #[error("{} is not there: name the folder that `meshd ca init` made", .0.display())]
    Missing(std::path::PathBuf),
    /// A name that is a path.
    #[error("{0:?} is no name of a file: write letters, digits, points and hyphens")]
    Name(String),
}

type Outcome = Result<(), Box<dyn Error>>;

/// Carries out `meshd ca …`; `say` is given the lines for the person who typed it.
///
/// # Errors
/// What is wrong, and what to do.
pub fn ca(command: &CaCommand, say: impl Fn(&str)) -> Outcome {
    crate::install_provider();
    match command {
        CaCommand::Init(arguments) => init(arguments, say),
        CaCommand::Node(arguments) => node(arguments, say),
    }
}

fn init(arguments: &CaInitArguments, say: impl Fn(&str)) -> Outcome {
    let cluster: ClusterName = arguments.cluster.parse()?;
    let folder = &arguments.folder;
    data_dir::make_folder(folder)?;
    for name in [AUTHORITY, AUTHORITY_KEY, SECRET] {
        refuse_existing(&folder.join(name))?;
    }
    let made = ca::authority(&cluster, SystemClock.now(), DAY * arguments.days)?;
    let secret = ClusterSecret::generate(&mut SystemEntropy);
    let line = Zeroizing::new(format!("{}\n", secret.to_text().as_str()));
    data_dir::write(&folder.join(SECRET), line.as_bytes())?;
    data_dir::write(&folder.join(AUTHORITY_KEY), made.key.as_bytes())?;
    data_dir::write(&folder.join(AUTHORITY), made.certificate.as_bytes())?;
    let folder = folder.display();
    say(&format!(
        "made a certificate authority for the cluster {cluster}\n  \
         {folder}/{AUTHORITY}          every process: cluster.tls.authority\n  \
         {folder}/{AUTHORITY_KEY}          keep it here: no process needs it\n  \
         {folder}/{SECRET}  back-end and outbound processes: cluster.secret_file\n\n\
         next, for each process:\n  \
         meshd ca node {folder} NAME --role frontend|backend|outbound{}",
        named(&arguments.cluster)
    ));
    Ok(())
}

fn node(arguments: &CaNodeArguments, say: impl Fn(&str)) -> Outcome {
    let cluster: ClusterName = arguments.cluster.parse()?;
    let (folder, name) = (&arguments.folder, &arguments.name);
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
        return Err(FilesError::Name(name.clone()).into());
    }
    let (certificate, key) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    refuse_existing(&certificate)?;
    refuse_existing(&key)?;
    let authority = Issued {
        certificate: read(&folder.join(AUTHORITY))?.to_string(),
        key: read(&folder.join(AUTHORITY_KEY))?,
    };
    let roles: LinkRoles = arguments.roles.iter().copied().map(link_role).collect();
    let life = DAY * arguments.days;
    let now = SystemClock.now();
    let issued = ca::node(&authority, &cluster, roles, &arguments.hosts, now, life)?;
    data_dir::write(&key, issued.key.as_bytes())?;
    data_dir::write(&certificate, issued.certificate.as_bytes())?;
    say(&format!(
        "made a certificate for a process of the cluster {cluster} ({roles})\n\n[cluster.tls]\n\
         authority = {:?}\ncertificate = {certificate:?}\nkey = {key:?}",
        folder.join(AUTHORITY)
    ));
    Ok(())
}

/// Carries out `meshd identity …`.
///
/// # Errors
/// What is wrong, and what to do.
pub fn identity(command: &IdentityCommand, say: impl Fn(&str)) -> Outcome {
    match command {
        IdentityCommand::Init(place) => {
            let folder = folder_of(place)?;
            data_dir::make_folder(&folder)?;
            let now = SystemClock.now();
            let made = identity::load_or_make(&folder, now, &mut SystemEntropy)?;
            say(&format!(
                "identity  {}\n  in {}",
                made.service_udf,
                folder.display()
            ));
        }
        IdentityCommand::Copy(copy) => {
            let folder = folder_of(&copy.place)?;
            identity::copy_shared(&folder, &copy.to)?;
            let to = copy.to.display();
            say(&format!(
                "copied what every process of a cluster needs to {to}: give each the whole folder, and set\n  \
                 cluster.identity = \"{to}\"\n\
                 the service's offline key stays in {}: keep it away from the processes",
                folder.display()
            ));
        }
    }
    Ok(())
}

fn folder_of(place: &IdentityPlace) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let config = MeshdConfig::load(place.config.config.as_deref())?;
    Ok(match &place.data_dir {
        Some(folder) => data_dir::identity_of(folder),
        None => config.identity_folder(),
    })
}

const fn link_role(role: Role) -> LinkRole {
    match role {
        Role::Frontend => LinkRole::Frontend,
        Role::Backend => LinkRole::Backend,
        Role::Outbound => LinkRole::Outbound,
    }
}

/// How the next line names a cluster that has not the usual name.
fn named(cluster: &str) -> String {
    match cluster {
        "mesh" => String::new(),
        other => format!(" --cluster {other}"),
    }
}

fn refuse_existing(path: &Path) -> Result<(), FilesError> {
    match path.exists() {
        true => Err(FilesError::Exists(path.to_owned())),
        false => Ok(()),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Box<dyn Error>> {
    let octets = data_dir::read(path).map_err(Box::<DataDirError>::from)?;
    let octets = octets.ok_or_else(|| FilesError::Missing(path.to_owned()))?;
    Ok(Zeroizing::new(String::from_utf8(octets)?))
}
