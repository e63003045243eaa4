//! The device's side of a connection: it opens its activations, derives the composite keys and
//! checks that they are the ones in the connection (crypto §7, service §6.3).

use super::make::DeviceKeys;
use super::verify::{Authority, Signed};
use super::{
    AccountEntry, Activation, ActivationAccount, ActivationDevice, Assertion, AssertionError,
    CatalogedDevice, Connection, ConnectionAccount, ConnectionDevice, ProfileAccount,
};
use crate::crypto::{KeyData, KeyError, KeyOverlay, PublicKey, SecretKey};
use crate::dare::Envelope;
use crate::udf::Udf;

/// The secret keys of a device in one mesh or account.
#[derive(Debug, Clone)]
pub struct ActivatedKeys {
    /// KeySignature of the connection.
    pub signature: SecretKey,
    /// KeyEncryption of the connection.
    pub encryption: SecretKey,
    /// KeyAuthentication of the connection.
    pub authentication: SecretKey,
    /// An online key of the mesh or account, if the device administers it.
    pub administration: Option<SecretKey>,
    /// The key that the account's entries are encrypted to, if the activation carries it.
    pub decryption: Option<SecretKey>,
}

/// The keys that `entry` gives the device with `keys` in the mesh `mesh`.
///
/// # Errors
/// The entry is for another device, is not signed by the mesh, cannot be opened, or its keys are
/// not those of the connection.
pub fn activate_device(
    keys: &DeviceKeys,
    entry: &CatalogedDevice,
    mesh: &Authority,
) -> Result<(Signed<ConnectionDevice>, ActivatedKeys), AssertionError> {
    let is_ours = entry
        .device_udf
        .as_deref()
        .is_some_and(|text| Udf::parse(text).is_ok_and(|udf| udf == keys.signature.udf()));
    if !is_ours {
        return Err(AssertionError::Mismatch {
            tag: CatalogedDevice::TAG,
            member: "DeviceUDF",
        });
    }
    let connection = ConnectionDevice::verify(
        member(
            CatalogedDevice::TAG,
            "EnvelopedConnectionDevice",
            &entry.enveloped_connection_device,
        )?,
        mesh,
    )?;
    let activation: ActivationDevice = open(
        keys,
        member(
            CatalogedDevice::TAG,
            "EnvelopedActivationDevice",
            &entry.enveloped_activation_device,
        )?,
        mesh,
    )?;
    let activated = derive(keys, &activation, &*connection, mesh.keys())?;
    Ok((connection, activated))
}

/// The keys that `entry` gives the device with `keys` in its account.
///
/// # Errors
/// As for [`activate_device`].
pub fn activate_account(
    keys: &DeviceKeys,
    entry: &AccountEntry,
    mesh: &Authority,
) -> Result<
    (
        Signed<ProfileAccount>,
        Signed<ConnectionAccount>,
        ActivatedKeys,
    ),
    AssertionError,
> {
    let tag = "AccountEntry";
    let profile = ProfileAccount::verify(
        member(
            tag,
            "EnvelopedProfileAccount",
            &entry.enveloped_profile_account,
        )?,
        Some(mesh),
    )?;
    let account = Authority::from(&profile);
    let connection = ConnectionAccount::verify(
        member(
            tag,
            "EnvelopedConnectionAccount",
            &entry.enveloped_connection_account,
        )?,
        &account,
        None,
    )?;
    let activation: ActivationAccount = open(
        keys,
        member(
            tag,
            "EnvelopedActivationAccount",
            &entry.enveloped_activation_account,
        )?,
        &account,
    )?;
    let mut activated = derive(keys, &activation, &*connection, account.keys())?;
    if let Some(group) = &activation.key_group {
        let expected = [profile.encryption_key()?];
        let refusal = |source| AssertionError::Key {
            tag: ActivationAccount::TAG,
            member: "KeyGroup",
            source,
        };
        activated.decryption = Some(group.whole_key(&expected).map_err(refusal)?);
    }
    Ok((profile, connection, activated))
}

fn member<'a>(
    tag: &'static str,
    name: &'static str,
    envelope: &'a Option<Envelope>,
) -> Result<&'a Envelope, AssertionError> {
    envelope
        .as_ref()
        .ok_or(AssertionError::Missing { tag, member: name })
}

/// Opens an activation, signed by `authority` and encrypted to the device.
fn open<T: Activation>(
    keys: &DeviceKeys,
    envelope: &Envelope,
    authority: &Authority,
) -> Result<T, AssertionError> {
    super::verify::signed_by(T::TAG, envelope, authority.keys())?;
    let plaintext =
        envelope
            .decrypt(&[&keys.encryption])
            .map_err(|source| AssertionError::Undecryptable {
                tag: T::TAG,
                source,
            })?;
    T::from_json(&plaintext)
}

/// Applies the overlays and compares the results with the connection; `authority` are the keys that
/// may sign for the mesh or account.
fn derive<A: Activation, C: Connection>(
    keys: &DeviceKeys,
    activation: &A,
    connection: &C,
    authority: &[PublicKey],
) -> Result<ActivatedKeys, AssertionError> {
    let granted = activation.key_administration();
    let administration = match granted.map(|granted| granted.whole_key(authority)) {
        // A key that the profile does not list any more gives no right, and takes none away.
        None | Some(Err(KeyError::FingerprintDiffers { .. })) => None,
        Some(key) => Some(key.map_err(|source| AssertionError::Key {
            tag: A::TAG,
            member: "KeyAdministration",
            source,
        })?),
    };
    Ok(ActivatedKeys {
        administration,
        decryption: None,
        signature: composite::<A>(
            "KeySignature",
            &keys.signature,
            activation.key_signature(),
            connection.key_signature(),
        )?,
        encryption: composite::<A>(
            "KeyEncryption",
            &keys.encryption,
            activation.key_encryption(),
            connection.key_encryption(),
        )?,
        authentication: composite::<A>(
            "KeyAuthentication",
            &keys.authentication,
            activation.key_authentication(),
            connection.key_authentication(),
        )?,
    })
}

fn composite<A: Activation>(
    member: &'static str,
    base: &SecretKey,
    overlay: Option<&KeyOverlay>,
    expected: Option<&KeyData>,
) -> Result<SecretKey, AssertionError> {
    let tag = A::TAG;
    let refusal = |source| AssertionError::Key {
        tag,
        member,
        source,
    };
    let overlay = overlay.ok_or(AssertionError::Missing { tag, member })?;
    let expected = expected
        .ok_or(AssertionError::Missing { tag, member })?
        .public_key()
        .map_err(refusal)?;
    let secret = overlay.composite_secret(base).map_err(refusal)?;
    if secret.public() == &expected {
        Ok(secret)
    } else {
        Err(AssertionError::Mismatch { tag, member })
    }
}
