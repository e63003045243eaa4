//! The secret that tells an operator from other users of this host: a file that only the user of the
//! service reads. Whoever can read it could also read the store.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mesh_common::encoding::base64url;
use mesh_common::entropy::{self, Entropy};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::data_dir::{self, DataDirError};

/// Octets of a token before they are written as text.
const TOKEN_BYTES: usize = 32;
/// The file with the token, in the folder of operators.
const TOKEN: &str = "token";
/// The file that says where the admin listener is.
const ADDRESS: &str = "address";

/// A bearer token. Never printed; compared in constant time.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// Other users can read it.
    #[error("{} can be read by other users", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{} holds no token", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

impl TokenError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::File(_) => "run this as the user that meshd runs as".to_owned(),
            Self::Exposed { path } => format!(
                "chmod 600 {}, and if somebody may have read it delete it: the next start makes a new one",
                path.display()
            ),
            Self::Unusable { path } => {
                format!("rm {}: the next start makes a new one", path.display())
            }
        }
    }
}

impl Token {
    /// The token of the folder, made if there is none.
    ///
    /// # Errors
    /// [`TokenError`], with what to do.
    pub fn load_or_make(folder: &Path, entropy: &mut dyn Entropy) -> Result<Self, TokenError> {
        if let Some(token) = Self::load(folder)? {
            return Ok(token);
        }
        let octets = Zeroizing::new(entropy::draw::<TOKEN_BYTES>(entropy));
        let token = Self(Zeroizing::new(base64url::encode(octets.as_slice())));
        let line = Zeroizing::new(format!("{}\n", token.0.as_str()));
        data_dir::write(&folder.join(TOKEN), line.as_bytes())?;
        Ok(token)
    }

    /// The token of the folder, if there is one.
    ///
    /// # Errors
    /// [`TokenError`], with what to do.
    pub fn load(folder: &Path) -> Result<Option<Self>, TokenError> {
        let path = folder.join(TOKEN);
        let Some(octets) = data_dir::read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        if is_exposed(&path) {
            return Err(TokenError::Exposed { path });
        }
        let text = std::str::from_utf8(&octets).unwrap_or_default().trim();
        let is_token =
            base64url::decode(text).is_ok_and(|octets| Zeroizing::new(octets).len() == TOKEN_BYTES);
        if !is_token {
            return Err(TokenError::Unusable { path });
        }
        Ok(Some(Self(Zeroizing::new(text.to_owned()))))
    }

    /// Whether `presented` is this token. Takes as long whatever differs.
    #[must_use]
    pub fn admits(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// As it stands in an `Authorization` header.
    #[must_use]
    pub fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0.as_str()))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> bool {
    false
}

/// Says where the admin listener is, for commands on this host.
///
/// # Errors
/// It cannot be written.
pub fn write_address(folder: &Path, address: SocketAddr) -> Result<(), DataDirError> {
    data_dir::write(&folder.join(ADDRESS), format!("{address}\n").as_bytes())
}

/// Where the admin listener of this folder's service was last.
///
/// # Errors
/// It is there but cannot be read.
pub fn read_address(folder: &Path) -> Result<Option<SocketAddr>, DataDirError> {
    let octets = data_dir::read(&folder.join(ADDRESS))?;
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use mesh_backend::SystemEntropy;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::load_or_make(folder.path(), &mut SystemEntropy).unwrap();
        let again = Token::load_or_make(folder.path(), &mut SystemEntropy).unwrap();
        let presented = token.header().strip_prefix("Bearer ").unwrap().to_owned();
        assert!(again.admits(&presented));
        assert!(!again.admits(&presented[1..]));
        assert!(!again.admits(&presented.to_ascii_uppercase()));
        assert!(!again.admits(""));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_can_read_is_refused_with_what_to_do() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Token::load_or_make(folder.path(), &mut SystemEntropy).unwrap();
        let path = folder.path().join(TOKEN);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Token::load(folder.path()).unwrap_err();
        assert!(matches!(error, TokenError::Exposed { .. }));
        assert!(error.remedy().starts_with("chmod 600 "));
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        data_dir::write(&folder.path().join(TOKEN), b"hunter2\n").unwrap();
        let refused = Token::load_or_make(folder.path(), &mut SystemEntropy);
        assert!(matches!(refused, Err(TokenError::Unusable { .. })));
    }
}
