//! The line from an operator's command to the running service: plain HTTP on loopback, one request a
//! connection, with the token of the data folder.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::args::Desk;
use super::failure::Failure;
use crate::admin::api::OPERATOR;
use crate::admin::token::{self, Token};
use crate::config::MeshdConfig;
use crate::data_dir;

/// How long the service may take to accept, and then to answer.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// The same, of work that takes as long as an account is large.
const WORK_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Octets of an answer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What is asked of the service.
pub trait Ask {
    /// Reads what is at `path`, which may have a query.
    ///
    /// # Errors
    /// [`Failure`]: no, or it could not be asked.
    fn get(&self, path: &str) -> Result<Value, Failure>;

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// [`Failure`]: no, or it could not be asked.
    fn post(&self, path: &str, body: &Value) -> Result<Value, Failure>;
}

/// A way to a running service.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    token: Token,
    operator: String,
    patience: Duration,
}

impl Link {
    /// Finds the service that `desk` names: its data folder says where it listens and what it wants to be shown.
    ///
    /// # Errors
    /// [`Failure`]: there is no such folder, or it may not be read.
    pub fn open(desk: &Desk) -> Result<Self, Failure> {
        let folder = data_dir::admin_of(&folder_of(desk)?);
        let here = folder.display();
        let token =
            Token::load(&folder).map_err(|error| unreadable(&folder, &error, error.remedy()))?;
        let address = token::read_address(&folder).map_err(|error| {
            unreadable(
                &folder,
                &error,
                "run this as the user that meshd runs as".to_owned(),
            )
        })?;
        let (token, address) = token.zip(address).ok_or_else(|| {
            Failure::not_asked(
                format!("no service was ever started with the folder {here}"),
                "name its data folder with --data-dir, or its configuration with --config",
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(Failure::not_asked(
                format!("{here}/address names {address}, which is not on this host"),
                "start the service again: it writes the file anew",
            ));
        }
        Ok(Self {
            address,
            token,
            operator: operator(),
            patience: ANSWER_TIME_MAX,
        })
    }

    /// The same way, for what takes as long as an account is large.
    #[must_use]
    pub fn patient(self) -> Self {
        Self {
            patience: WORK_TIME_MAX,
            ..self
        }
    }

    fn ask(&self, request: &[u8]) -> Result<Value, Failure> {
        let answer = self.exchange(request).map_err(|error| {
            Failure::not_asked(
                format!("the service does not answer at {}", self.address),
                "meshd run starts it; systemctl status meshd says whether it runs",
            )
            .caused_by(&error)
        })?;
        read(&answer)
    }

    fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_TIME_MAX)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(CONNECT_TIME_MAX))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(answer)
    }

    fn head(&self, method: &str, path: &str) -> String {
        let (address, token) = (self.address, self.token.header());
        format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: {}\r\n{OPERATOR}: {}\r\n",
            token.as_str(),
            self.operator
        )
    }
}

impl Ask for Link {
    fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(format!("{}\r\n", self.head("GET", path)).as_bytes())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let (head, body) = (self.head("POST", path), body.to_string());
        let length = body.len();
        let request = format!(
            "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.ask(request.as_bytes())
    }
}

fn unreadable(folder: &Path, error: &(dyn Error + 'static), remedy: String) -> Failure {
    let message = format!("the service of {} cannot be asked", folder.display());
    Failure::not_asked(message, remedy).caused_by(error)
}

/// The data folder of the service that `desk` names.
fn folder_of(desk: &Desk) -> Result<PathBuf, Failure> {
    if let Some(folder) = &desk.data_dir {
        return Ok(folder.clone());
    }
    let config = MeshdConfig::load(desk.config.as_deref()).map_err(|error| {
        Failure::not_asked(
            "the configuration does not say where the data folder is",
            "name the folder with --data-dir, or see meshd check-config",
        )
        .caused_by(&error)
    })?;
    Ok(config.data_dir)
}

/// Who types: the name that the login gave, and the user id, which no variable changes.
fn operator() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|letter| letter.is_ascii_graphic())
        .collect();
    let uid = rustix::process::getuid().as_raw();
    match name.as_str() {
        "" => format!("uid {uid}"),
        name => format!("{name} (uid {uid})"),
    }
}

/// The JSON value of an answer, or why there is none.
fn read(answer: &[u8]) -> Result<Value, Failure> {
    let strange = || {
        Failure::not_asked(
            "something else than meshd answers there",
            "look what listens on admin.listen, and start the service again",
        )
    };
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or_else(strange)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| strange())?;
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status: u16 = status.ok_or_else(strange)?;
    let body: Value = serde_json::from_slice(&answer[end + 4..]).map_err(|_| strange())?;
    if status == 200 {
        return Ok(body);
    }
    let said = |member: &str| body["error"][member].as_str().map(str::to_owned);
    let message = said("message").ok_or_else(strange)?;
    let advice = said("try").ok_or_else(strange)?;
    Err(match status {
        404 | 409 => Failure::refused(message, advice),
        _ => Failure::not_asked(message, advice),
    })
}

/// Text as it may stand in a path or a query.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped.push_str(&format!("%{octet:02X}"));
        }
    }
    escaped
}

/// A path with the members of a query that are there.
#[must_use]
pub fn with_query(path: &str, members: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    let present = members
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)));
    for (place, (name, value)) in present.enumerate() {
        text.push(if place == 0 { '?' } else { '&' });
        text.push_str(&format!("{name}={}", escaped(value)));
    }
    text
}

/// A structure as JSON.
///
/// # Errors
/// It holds what JSON cannot, which no structure here does.
pub fn value_of(structure: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(structure).map_err(|error| {
        Failure::not_asked("the request cannot be written", "report this").caused_by(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_value_or_what_to_do() {
        let value = read(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"items\":1}").unwrap();
        assert_eq!(value["items"], 1);
        let no = b"HTTP/1.1 404 Not Found\r\n\r\n{\"error\":{\"message\":\"m\",\"try\":\"t\"}}";
        assert_eq!(read(no).unwrap_err().to_text(), "error: m\ntry: t\n");
        assert_eq!(read(no).unwrap_err().exit_code(), 1);
        for strange in [
            &b""[..],
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
        ] {
            assert_eq!(read(strange).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn what_is_typed_cannot_leave_its_place_in_the_path() {
        assert_eq!(escaped("a/../b?c d\r\n"), "a%2F..%2Fb%3Fc%20d%0D%0A");
        assert_eq!(
            with_query("x", &[("a", None), ("b", Some("1&2")), ("c", Some("é"))]),
            "x?b=1%262&c=%C3%A9"
        );
    }
}
