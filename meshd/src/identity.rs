//! The service's profiles and keys: made at the first start, read at every later one
//! (service §9.1, decisions ).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_backend::ServiceSecrets;
use mesh_common::assertion::make::{HostProfileKeys, ServiceKeys};
use mesh_common::assertion::{ProfileHost, ProfileService, Signed};
use mesh_common::crypto::{PrivateParameters, SecretKey};
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::Entropy;
use mesh_common::session::HostKeys;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_frontend::identity::ServiceIdentity;

use crate::data_dir::{self, DataDirError};

const PROFILE_SERVICE: &str = "profile-service.json";
const PROFILE_HOST: &str = "profile-host.json";
const SERVICE_OFFLINE: &str = "service-offline.key";
const SERVICE_ONLINE: &str = "service-online.key";
const SERVICE_AUTHENTICATION: &str = "service-authentication.key";
/// Folder of replaced KeyAuthentication keys: they read what was encrypted to them (decision Q-53).
const RETIRED: &str = "retired";
/// What every process of a cluster needs: neither the keys of the service that are kept offline, nor
/// what the host signs with.
const SHARED: [&str; 4] = [
    PROFILE_SERVICE,
    PROFILE_HOST,
    SERVICE_ONLINE,
    SERVICE_AUTHENTICATION,
];
const HOST: &str = "host.key";
const HOST_AUTHENTICATION: &str = "host-authentication.key";

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// A file is missing while others are there.
    #[error(
        "{} is missing: restore the identity folder from your backup; a new identity would be \
         another service to everybody who knows this one", path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("{} does not hold {expected}: restore it from your backup", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Why it does not.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A process of a cluster, and no identity for it.
    #[error(
        "{} holds no identity, and a process of a cluster makes none: it would be another service than \
         the others. Make one with `meshd identity init`, give it to every process with \
         `meshd identity copy DIR`, and set cluster.identity", folder.display()
    )]
    Absent {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A place for a copy that holds something already.
    #[error("{} holds an identity already: name a folder that is new or empty", folder.display())]
    Occupied {
        /// The place.
        folder: PathBuf,
    },
    /// Key and profile are no pair.
    #[error(
        "{} is not the key that {PROFILE_SERVICE} names: restore both from the same backup",
        path.display()
    )]
    OtherKey {
        /// The key's file.
        path: PathBuf,
    },
}

/// Reads the identity in `folder`, or makes one if the folder is empty.
///
/// # Errors
/// [`IdentityError`] with what to do about it. An incomplete identity is never completed silently.
pub fn load_or_make(
    folder: &Path,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<ServiceIdentity, IdentityError> {
    if data_dir::read(&folder.join(PROFILE_SERVICE))?.is_none() && is_empty(folder)? {
        make(folder, now, entropy)?;
    }
    load(folder)
}

/// Reads the identity that the processes of a cluster share.
///
/// # Errors
/// [`IdentityError`]; [`IdentityError::Absent`] if there is none.
pub fn load_shared(folder: &Path) -> Result<ServiceIdentity, IdentityError> {
    if data_dir::read(&folder.join(PROFILE_SERVICE))?.is_none() && is_empty(folder)? {
        return Err(IdentityError::Absent {
            folder: folder.to_owned(),
        });
    }
    load(folder)
}

/// Copies what every process of a cluster needs from `folder` to `to`, and leaves behind what should
/// stay offline.
///
/// # Errors
/// [`IdentityError`]: a file is missing or cannot be written, or `to` has an identity.
pub fn copy_shared(folder: &Path, to: &Path) -> Result<(), IdentityError> {
    load_shared(folder)?;
    data_dir::make_folder(to)?;
    if data_dir::read(&to.join(PROFILE_SERVICE))?.is_some() || !is_empty(to)? {
        return Err(IdentityError::Occupied {
            folder: to.to_owned(),
        });
    }
    // The profile last: only with it is the identity there.
    for name in SHARED.iter().rev() {
        copy(&folder.join(name), &to.join(name))?;
    }
    let retired = data_dir::list(&folder.join(RETIRED), ".key")?;
    if !retired.is_empty() {
        data_dir::make_folder(&to.join(RETIRED))?;
    }
    for path in retired {
        if let Some(name) = path.file_name() {
            copy(&path, &to.join(RETIRED).join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), IdentityError> {
    let octets = data_dir::read(from)?.ok_or_else(|| IdentityError::Missing {
        path: from.to_owned(),
    })?;
    let octets = zeroize::Zeroizing::new(octets);
    Ok(data_dir::write(to, &octets)?)
}

/// UDF of the service whose identity is in `folder`; `None` if there is none yet. Makes nothing.
///
/// # Errors
/// [`IdentityError`].
pub fn udf(folder: &Path) -> Result<Option<Udf>, IdentityError> {
    let path = folder.join(PROFILE_SERVICE);
    if data_dir::read(&path)?.is_none() {
        return Ok(None);
    }
    let service = ProfileService::verify(&read_envelope(&path)?)
        .map_err(|cause| unreadable(&path, "a signed ProfileService", cause))?;
    Ok(Some(service.udf().clone()))
}

/// Whether none of the identity's files is there.
fn is_empty(folder: &Path) -> Result<bool, IdentityError> {
    for name in [
        PROFILE_HOST,
        SERVICE_OFFLINE,
        SERVICE_ONLINE,
        SERVICE_AUTHENTICATION,
        HOST,
        HOST_AUTHENTICATION,
    ] {
        if data_dir::read(&folder.join(name))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the keys and profiles. The ProfileService is written last: only with it is the identity
/// there.
fn make(folder: &Path, now: Timestamp, entropy: &mut dyn Entropy) -> Result<(), IdentityError> {
    let service = ServiceKeys::generate(entropy);
    let host = HostProfileKeys::generate(entropy);
    for (name, key) in [
        (SERVICE_OFFLINE, &service.offline),
        (SERVICE_ONLINE, &service.online),
        (SERVICE_AUTHENTICATION, &service.authentication),
        (HOST, &host.offline),
        (HOST_AUTHENTICATION, &host.authentication),
    ] {
        write_key(&folder.join(name), key)?;
    }
    let profile_host = host.profile(&service.offline);
    data_dir::write(&folder.join(PROFILE_HOST), &json::write(&profile_host))?;
    let profile_service = service.profile(now);
    data_dir::write(
        &folder.join(PROFILE_SERVICE),
        &json::write(&profile_service),
    )?;
    tracing::info!(folder = %folder.display(), "made a new service identity");
    Ok(())
}

fn load(folder: &Path) -> Result<ServiceIdentity, IdentityError> {
    let service_path = folder.join(PROFILE_SERVICE);
    let host_path = folder.join(PROFILE_HOST);
    let profile_service = read_envelope(&service_path)?;
    let profile_host = read_envelope(&host_path)?;
    let service = ProfileService::verify(&profile_service)
        .map_err(|cause| unreadable(&service_path, "a signed ProfileService", cause))?;
    ProfileHost::verify(&profile_host, &service)
        .map_err(|cause| unreadable(&host_path, "a ProfileHost of this service", cause))?;
    let authentication_path = folder.join(SERVICE_AUTHENTICATION);
    let authentication = read_key(&authentication_path)?;
    let named = service
        .key_authentication
        .as_ref()
        .and_then(|key| key.public_key().ok());
    if named.as_ref() != Some(authentication.public()) {
        return Err(IdentityError::OtherKey {
            path: authentication_path,
        });
    }
    let online = read_online(folder, &service)?;
    let service_udf = service.udf().clone();
    let host_keys = HostKeys::new(service_udf.clone(), authentication)
        .map_err(|cause| unreadable(&authentication_path, "an Ed448 key", cause))?;
    Ok(ServiceIdentity {
        service_udf,
        profile_service,
        profile_host,
        host_keys,
        online: Arc::new(online),
    })
}

/// What the back-end signs with, and what it reads contacts with: the present KeyAuthentication, then
/// those in the folder `retired`, for as long as any contact may name them (decision Q-53).
///
/// # Errors
/// [`IdentityError`]: a file does not hold a key.
pub fn secrets(folder: &Path, identity: &ServiceIdentity) -> Result<ServiceSecrets, IdentityError> {
    let mut reading = vec![Arc::new(read_key(&folder.join(SERVICE_AUTHENTICATION))?)];
    for path in data_dir::list(&folder.join(RETIRED), ".key")? {
        reading.push(Arc::new(read_key(&path)?));
    }
    Ok(ServiceSecrets {
        online: Arc::clone(&identity.online),
        reading,
    })
}

/// The key that signs what the service itself says; the profile must name it.
fn read_online(
    folder: &Path,
    service: &Signed<ProfileService>,
) -> Result<SecretKey, IdentityError> {
    let path = folder.join(SERVICE_ONLINE);
    let online = read_key(&path)?;
    if service.keys().contains(online.public()) {
        Ok(online)
    } else {
        Err(IdentityError::OtherKey { path })
    }
}

fn read_envelope(path: &Path) -> Result<Envelope, IdentityError> {
    let octets = data_dir::read(path)?.ok_or_else(|| IdentityError::Missing {
        path: path.to_owned(),
    })?;
    json::parse(&octets).map_err(|cause| unreadable(path, "an envelope", cause))
}

fn read_key(path: &Path) -> Result<SecretKey, IdentityError> {
    let octets = data_dir::read(path)?.ok_or_else(|| IdentityError::Missing {
        path: path.to_owned(),
    })?;
    let parameters: PrivateParameters =
        json::parse(&octets).map_err(|cause| unreadable(path, "a private key", cause))?;
    parameters
        .secret_key()
        .map_err(|cause| unreadable(path, "a private key", cause))
}

fn write_key(path: &Path, key: &SecretKey) -> Result<(), IdentityError> {
    let parameters = PrivateParameters::of(key)
        .map_err(|cause| unreadable(path, "a key made from a seed", cause))?;
    let octets = zeroize::Zeroizing::new(json::write(&parameters));
    Ok(data_dir::write(path, &octets)?)
}

fn unreadable(
    path: &Path,
    expected: &'static str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> IdentityError {
    IdentityError::Unreadable {
        path: path.to_owned(),
        expected,
        cause: Box::new(cause),
    }
}

#[cfg(test)]
mod tests {
    use mesh_backend::{SystemClock, SystemEntropy};
    use mesh_common::time::Clock as _;

    use super::*;

    #[test]
    fn contacts_are_read_with_the_present_and_with_retired_keys() {
        // Decision Q-53
        let folder = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let identity = load_or_make(folder.path(), now, &mut SystemEntropy).unwrap();
        let present = identity.host_keys.current().udf();
        let found = || secrets(folder.path(), &identity);
        let udfs = |secrets: ServiceSecrets| -> Vec<_> {
            secrets.reading.iter().map(|key| key.udf()).collect()
        };
        assert_eq!(udfs(found().unwrap()), std::slice::from_ref(&present));
        let retired = folder.path().join(RETIRED);
        std::fs::create_dir(&retired).unwrap();
        let old = SecretKey::generate(&mut SystemEntropy);
        write_key(&retired.join("2025.key"), &old).unwrap();
        std::fs::write(retired.join("README"), "no key").unwrap();
        assert_eq!(udfs(found().unwrap()), [present, old.udf()]);
        std::fs::write(retired.join("2026.key"), "no key").unwrap();
        assert!(matches!(found(), Err(IdentityError::Unreadable { .. })));
    }
}
