//! HTTP/1.1 by hand: what is sent is up to the mutation, what comes back is read within a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes this long unless the service hangs: its own bound on a transaction is 5 s, and
/// the machine may be busy.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(25);
const HEAD_BYTES_MAX: usize = 64 * 1_024;

/// One request, octet by octet.
#[derive(Debug)]
pub(crate) struct Request {
    /// Head and body.
    pub(crate) octets: Vec<u8>,
    /// Whether the head is sound, so that the connection can be used again.
    pub(crate) is_sound: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An HTTP response.
    Http {
        /// Its status.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// The service closed the connection without a word.
    Closed,
}

/// A client's end of a connection that is made anew when need be.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// The service hangs, cannot be reached, or answers with something that is not HTTP.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer, String> {
        if !request.is_sound {
            return self.send_once(request);
        }
        // A connection that was used before may have been closed meanwhile.
        let was_used = self.stream.is_some();
        match self.exchange(&request.octets) {
            Ok(Answer::Closed) if was_used => self.exchange(&request.octets),
            other => other,
        }
    }

    /// On a connection of its own, whose sending end is closed behind the request: a head that
    /// announces more than follows is not waited for.
    fn send_once(&self, request: &Request) -> Result<Answer, String> {
        let mut stream = self.connect()?;
        // The service may have refused and closed before all of it was sent.
        let _ = stream.write_all(&request.octets);
        let _ = stream.shutdown(Shutdown::Write);
        read_answer(&mut stream).map(|(answer, _)| answer)
    }

    fn exchange(&mut self, octets: &[u8]) -> Result<Answer, String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let sent = stream.write_all(octets);
        let (answer, stays_open) = match read_answer(&mut stream) {
            Ok(read) => read,
            Err(problem) if sent.is_err() && problem.contains("reset") => (Answer::Closed, false),
            Err(problem) => return Err(problem),
        };
        if stays_open {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect_timeout(&self.address, ANSWER_TIME_MAX)
            .map_err(|error| format!("no connection: {error}"))?;
        let set = stream
            .set_read_timeout(Some(ANSWER_TIME_MAX))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_TIME_MAX)))
            .and_then(|()| stream.set_nodelay(true));
        set.map_err(|error| format!("no deadline: {error}"))?;
        Ok(stream)
    }
}

/// Reads one response; true if the connection can be used again.
fn read_answer(stream: &mut TcpStream) -> Result<(Answer, bool), String> {
    let mut octets = Vec::new();
    let head_end = loop {
        if let Some(end) = end_of_head(&octets) {
            break end;
        }
        if octets.len() > HEAD_BYTES_MAX {
            return Err("the head of the answer does not end".to_owned());
        }
        if !read_more(stream, &mut octets)? {
            return match octets.is_empty() {
                true => Ok((Answer::Closed, false)),
                false => Err(format!("half an answer: {octets:?}")),
            };
        }
    };
    let head = String::from_utf8_lossy(&octets[..head_end]).to_ascii_lowercase();
    let status = head
        .strip_prefix("http/1.1 ")
        .or_else(|| head.strip_prefix("http/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| format!("not HTTP: {head}"))?;
    let value = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let length: usize = value("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let closes = value("connection") == Some("close");
    while octets.len() < head_end + length {
        if !read_more(stream, &mut octets)? {
            // To a HEAD the length is that of a body that does not follow.
            return Ok((
                Answer::Http {
                    status,
                    body: Vec::new(),
                },
                false,
            ));
        }
    }
    let body = octets.split_off(head_end);
    Ok((Answer::Http { status, body }, !closes && status != 413))
}

fn end_of_head(octets: &[u8]) -> Option<usize> {
    let place = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(place + 4)
}

/// False at the end of the stream.
fn read_more(stream: &mut TcpStream, octets: &mut Vec<u8>) -> Result<bool, String> {
    let mut part = [0; 16 * 1_024];
    match stream.read(&mut part) {
        Ok(0) => Ok(false),
        Ok(length) => {
            octets.extend_from_slice(&part[..length]);
            Ok(true)
        }
        // Unread octets of ours make the system reset a connection that the service has closed.
        Err(error) if error.kind() == ErrorKind::ConnectionReset && octets.is_empty() => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(format!("no answer within {ANSWER_TIME_MAX:?}: a hang"))
        }
        Err(error) => Err(format!("the connection was reset in the midst: {error}")),
    }
}
