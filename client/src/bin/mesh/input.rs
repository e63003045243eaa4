//! What a command reads besides its arguments: passphrases, passwords, files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use mesh_client::ClientError;
use mesh_client::keystore::Passphrase;
use mesh_client::limits::{COPY_BYTES_MAX, INPUT_BYTES_MAX};
use mesh_common::catalog::entry::SecretText;
use zeroize::Zeroizing;

use crate::args::SecretFields;
use crate::failure::Failure;

/// The first line of `file`, or of standard input for `-`, as a passphrase.
pub(crate) fn passphrase_in(file: &Path) -> Result<Passphrase, Failure> {
    let line = if file == Path::new("-") {
        first_line(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|file| first_line(&mut BufReader::new(file)))
    };
    let line = line.map_err(|error| Failure::unreadable(file, error))?;
    if line.is_empty() {
        let place = if file == Path::new("-") {
            "standard input".to_owned()
        } else {
            file.display().to_string()
        };
        return Err(Failure::usage(format!("{place} holds no passphrase"))
            .with_advice("put the passphrase into its first line"));
    }
    Ok(Passphrase::new(line.as_str()))
}

/// A passphrase typed at the terminal; none if there is no terminal.
pub(crate) fn passphrase_asked(prompt: &str) -> Result<Option<Passphrase>, Failure> {
    Ok(asked(prompt)?.map(|text| Passphrase::new(text.as_str())))
}

/// A new passphrase, typed twice.
pub(crate) fn new_passphrase() -> Result<Passphrase, Failure> {
    let no_terminal = || {
        Failure::usage("there is no terminal to ask for a passphrase at")
            .with_advice("name a file with --passphrase-file FILE")
    };
    let one = asked("New passphrase: ")?.ok_or_else(no_terminal)?;
    let other = asked("The same again: ")?.ok_or_else(no_terminal)?;
    if one.is_empty() {
        return Err(Failure::usage("a passphrase has at least one character"));
    }
    if *one != *other {
        return Err(Failure::usage("the two passphrases are not the same")
            .with_advice("repeat the command"));
    }
    Ok(Passphrase::new(one.as_str()))
}

/// The password of an entry: from standard input, from the arguments, or typed if `ask` says so.
pub(crate) fn secret(fields: &SecretFields, ask: bool) -> Result<Option<SecretText>, Failure> {
    if fields.password_stdin {
        let line = first_line(&mut io::stdin().lock())
            .map_err(|error| Failure::unreadable(Path::new("-"), error))?;
        return Ok(Some(line.as_str().into()));
    }
    if let Some(password) = &fields.password {
        return Ok(Some(password.as_str().into()));
    }
    if !ask {
        return Ok(None);
    }
    match asked("Password: ")? {
        Some(password) => Ok(Some(password.as_str().into())),
        None => Err(Failure::usage("no password was given")
            .with_advice("add --password-stdin and pass it on standard input")),
    }
}

/// The lines of a text file that are not empty.
pub(crate) fn lines_of(path: &Path) -> Result<Vec<String>, Failure> {
    let octets = octets_of(path)?;
    Ok(String::from_utf8_lossy(&octets)
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// A copy of a secret: the octets of `file`, or what is typed for `-`.
pub(crate) fn copy_in(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut octets = Zeroizing::new(Vec::with_capacity(COPY_BYTES_MAX));
    let bound = COPY_BYTES_MAX as u64 + 1;
    let outcome = if file == Path::new("-") {
        if io::stdin().is_terminal() {
            prompt("Words or shares, then an empty line and Ctrl-D:");
        }
        io::stdin().lock().take(bound).read_to_end(&mut octets)
    } else {
        File::open(file).and_then(|file| file.take(bound).read_to_end(&mut octets))
    };
    outcome.map_err(|error| Failure::unreadable(file, error))?;
    if octets.len() > COPY_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} is too large for a copy of a key",
            file.display()
        )));
    }
    Ok(octets)
}

/// Says on standard error what is to be typed.
fn prompt(text: &str) {
    // Where that cannot be said, it can be typed all the same.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The octets of a file, `INPUT_BYTES_MAX` at most.
pub(crate) fn octets_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::unreadable(path, error);
    let mut octets = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    if octets.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} is larger than {INPUT_BYTES_MAX} octets",
            path.display()
        ))
        .with_advice("split it into smaller files"));
    }
    Ok(octets)
}

/// The first line of standard input.
pub(crate) fn line_of_stdin() -> Result<Zeroizing<String>, Failure> {
    first_line(&mut io::stdin().lock()).map_err(|error| Failure::unreadable(Path::new("-"), error))
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, octets: &[u8]) -> Result<(), Failure> {
    mesh_client::home::write_private(path, octets).map_err(|error| ClientError::from(error).into())
}

fn asked(prompt: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    rpassword::prompt_password(prompt)
        .map(|text| Some(Zeroizing::new(text)))
        .map_err(|error| Failure::unreadable(Path::new("the terminal"), error))
}

fn first_line(from: &mut dyn BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    from.read_line(&mut line)?;
    let kept = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(kept);
    Ok(line)
}
