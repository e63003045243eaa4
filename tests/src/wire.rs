//! HTTP/1.1 over TLS or plain TCP, octet by octet: a test decides every one of them, and no library
//! repairs what it gets wrong on purpose. Reads have a deadline, so nothing hangs.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::service::DOMAIN;

/// The path every service answers.
pub const PATH: &str = "/.well-known/mmm";

/// How long a test waits for octets before it fails.
const READ_TIME_MAX: Duration = Duration::from_secs(40);

/// A request as it will be written.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers in their order, without those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How the body is delimited.
    pub framing: Framing,
}

/// How a body is delimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// By the Content-Length of the body.
    Length,
    /// By a Content-Length that announces something else.
    Announce(u64),
    /// In chunks of at most so many octets.
    Chunked(usize),
    /// Not at all.
    None,
}

impl HttpRequest {
    /// What a well-behaved client sends.
    #[must_use]
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".into(),
            target: PATH.into(),
            headers: vec![
                ("Host".into(), DOMAIN.into()),
                ("Content-Type".into(), "application/json".into()),
            ],
            body: body.into(),
            framing: Framing::Length,
        }
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    /// To another path.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    /// With a header, in place of one of the same name.
    #[must_use]
    pub fn header(self, name: &str, value: impl Into<String>) -> Self {
        let mut without = self.without(name);
        without.headers.push((name.to_owned(), value.into()));
        without
    }

    /// With one more header.
    #[must_use]
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// With another framing.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The octets before the body.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.framing {
            Framing::Length => {
                text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
            }
            Framing::Announce(length) => text.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked(_) => text.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::None => {}
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// All octets.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = self.head();
        match self.framing {
            Framing::Chunked(size) => {
                for part in self.body.chunks(size.max(1)) {
                    octets.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                    octets.extend_from_slice(part);
                    octets.extend_from_slice(b"\r\n");
                }
                octets.extend_from_slice(b"0\r\n\r\n");
            }
            Framing::Length | Framing::Announce(_) | Framing::None => {
                octets.extend_from_slice(&self.body);
            }
        }
        octets
    }
}

/// A response as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// Headers in their order.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How connections are secured.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// TLS 1.3, trusting one authority.
    ///
    /// # Panics
    /// If `authority` is no PEM text with a certificate.
    #[must_use]
    pub fn trusting(authority: &str) -> Self {
        Self::adjusted(authority, |config| config)
    }

    /// The same, with a configuration that `adjust` changes.
    ///
    /// # Panics
    /// As [`Self::trusting`].
    #[must_use]
    pub fn adjusted(authority: &str, adjust: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            let certificate = certificate.expect("the authority is PEM");
            roots
                .add(certificate)
                .expect("the authority is a certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(adjust(config)))
    }

    /// Connects to `address`, where `name` is expected.
    ///
    /// # Panics
    /// If nobody listens, or the handshake fails.
    #[must_use]
    pub fn connect(&self, address: SocketAddr, name: &str) -> Connection {
        self.try_connect(address, name)
            .unwrap_or_else(|error| panic!("no connection to {name} at {address}: {error}"))
    }

    /// As [`Self::connect`], for tests of handshakes that fail.
    ///
    /// # Errors
    /// What the network or TLS says.
    ///
    /// # Panics
    /// If `name` is no name.
    pub fn try_connect(&self, address: SocketAddr, name: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).expect("tests use names of servers");
        let mut tcp = tcp(address)?;
        let mut session =
            ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut tcp)?;
        }
        Ok(Connection {
            stream: Stream::Secure(Box::new(StreamOwned::new(session, tcp))),
            unread: Vec::new(),
        })
    }
}

/// A socket whose reads end.
///
/// # Errors
/// What the network says.
pub fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(READ_TIME_MAX))?;
    tcp.set_write_timeout(Some(READ_TIME_MAX))?;
    Ok(tcp)
}

enum Stream {
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
    Plain(TcpStream),
}

/// An open connection.
pub struct Connection {
    stream: Stream,
    unread: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection without TLS.
    ///
    /// # Panics
    /// If nobody listens.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            stream: Stream::Plain(tcp(address).expect("somebody listens there")),
            unread: Vec::new(),
        }
    }

    /// The TLS session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&ClientConnection> {
        match &self.stream {
            Stream::Secure(stream) => Some(&stream.conn),
            Stream::Plain(_) => None,
        }
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// If no whole response comes back.
    pub fn send(&mut self, request: &HttpRequest) -> HttpReply {
        // A service that refuses may close before it has read everything: its answer is what counts.
        drop(self.write(&request.octets()));
        self.reply(request.method == "HEAD")
    }

    /// Writes octets.
    ///
    /// # Errors
    /// The peer has closed.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Secure(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Stream::Plain(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
        }
    }

    /// Closes the sending half: nothing more will come.
    ///
    /// # Panics
    /// If the connection is closed already.
    pub fn close_sending(&mut self) {
        let tcp = match &mut self.stream {
            Stream::Secure(stream) => {
                stream.conn.send_close_notify();
                stream.flush().expect("the peer takes what is sent");
                &stream.sock
            }
            Stream::Plain(stream) => &*stream,
        };
        tcp.shutdown(std::net::Shutdown::Write)
            .expect("the connection is open");
    }

    /// Reads one response. `is_head` says that there is no body whatever the headers say.
    ///
    /// # Panics
    /// If no whole response comes.
    pub fn reply(&mut self, is_head: bool) -> HttpReply {
        self.try_reply(is_head)
            .unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// As [`Self::reply`], where the connection may just end.
    ///
    /// # Errors
    /// The connection ended, or nothing came in time.
    pub fn try_reply(&mut self, is_head: bool) -> io::Result<HttpReply> {
        let head = self.until(b"\r\n\r\n")?;
        let (status, headers) = parse_head(&head)?;
        let mut reply = HttpReply {
            status,
            headers,
            body: Vec::new(),
        };
        if is_head || status / 100 == 1 {
            return Ok(reply);
        }
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            reply.body = self.exactly(length)?;
        } else if reply.header("transfer-encoding").is_some() {
            reply.body = self.chunks()?;
        }
        Ok(reply)
    }

    /// Whether the peer closes without another octet.
    pub fn is_closed_by_peer(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.fill(), Ok(0) | Err(_)) && self.unread.is_empty()
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let text = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(text.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.exactly(length)?);
            self.exactly(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self.unread.windows(end.len()).position(|part| part == end);
            if let Some(position) = found {
                return Ok(self.unread.drain(..position + end.len()).collect());
            }
            self.fill_some()?;
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.fill_some()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn fill_some(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut octets = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Secure(stream) => stream.read(&mut octets)?,
            Stream::Plain(stream) => stream.read(&mut octets)?,
        };
        self.unread.extend_from_slice(&octets[..read]);
        Ok(read)
    }
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Vec<(String, String)>)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no status line in {text:?}")))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok((status, headers))
}
