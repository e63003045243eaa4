//! A small authoritative name server on loopback, for the demonstration and for tests: it says what it is
//! told to say of each name, and fails as it is told to (service §9.2, delivery §11).
//!
//! UDP only; no zone transfers, no DNSSEC. It is authoritative for every name there is: what it has not been
//! told of does not exist.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mesh_common::discovery::{fallback_host, service_name};

/// Time for which answers may be remembered, in seconds.
const TTL: u32 = 60;
/// Aliases that are followed in one answer.
const ALIASES_MAX: usize = 8;
/// Octets of the largest question.
const QUESTION_BYTES_MAX: usize = 4_096;

/// What a name server says at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// SRV: the service is at this host and port. The host "." says that there is none.
    Service {
        /// Lower ones are tried first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        host: String,
    },
    /// TXT: strings, `key=value` each.
    Text(Vec<String>),
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
}

/// As a zone file has it, behind name and class.
impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service {
                priority,
                weight,
                port,
                host,
            } => write!(
                formatter,
                "SRV {priority} {weight} {port} {}.",
                canonical(host)
            ),
            Self::Text(strings) => {
                formatter.write_str("TXT")?;
                strings
                    .iter()
                    .try_for_each(|string| write!(formatter, " {string:?}"))
            }
            Self::Address(IpAddr::V4(address)) => write!(formatter, "A {address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "AAAA {address}"),
            Self::Alias(target) => write!(formatter, "CNAME {}.", canonical(target)),
        }
    }
}

/// How a name server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No answer ever comes.
    Silence,
    /// SERVFAIL.
    Failure,
    /// REFUSED.
    Refusal,
    /// A referral to another server, in place of an answer.
    Lame,
    /// NXDOMAIN, without the zone's word for it.
    Unfounded,
}

/// A running name server. It stops when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Zone>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Zone {
    said: Mutex<BTreeMap<String, Vec<Said>>>,
    /// Names at and below which it fails.
    troubles: Mutex<HashMap<String, Trouble>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl NameServer {
    /// Listens on a port of this host that the system chooses.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let zone = Arc::<Zone>::default();
        let stopping = Arc::<AtomicBool>::default();
        let thread = {
            let (zone, stopping) = (Arc::clone(&zone), Arc::clone(&stopping));
            std::thread::Builder::new()
                .name("name server".into())
                .spawn(move || serve(&socket, &zone, &stopping))?
        };
        Ok(Self {
            address,
            zone,
            stopping,
            thread: Some(thread),
        })
    }

    /// Where it listens: what `discovery.resolver` is set to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says one thing more at `name`.
    pub fn say(&self, name: &str, said: Said) {
        locked(&self.zone.said)
            .entry(canonical(name))
            .or_default()
            .push(said);
    }

    /// Says nothing any more at `name`.
    pub fn unsay(&self, name: &str) {
        locked(&self.zone.said).remove(&canonical(name));
    }

    /// Says that the service of `domain` is at `place`: an SRV record to `mmm.<domain>`, and its address.
    pub fn publish(&self, domain: &str, place: SocketAddr) {
        let host = fallback_host(domain);
        self.say(
            &service_name(domain),
            Said::Service {
                priority: 0,
                weight: 0,
                port: place.port(),
                host: host.clone(),
            },
        );
        self.say(&host, Said::Address(place.ip()));
    }

    /// Fails at `name` and at every name below it.
    pub fn fail(&self, name: &str, trouble: Trouble) {
        locked(&self.zone.troubles).insert(canonical(name), trouble);
    }

    /// Fails no longer at `name`.
    pub fn recover(&self, name: &str) {
        locked(&self.zone.troubles).remove(&canonical(name));
    }

    /// How often it was asked about `name`, of whatever kind.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        let asked = locked(&self.zone.asked);
        asked.get(&canonical(name)).copied().unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // An empty datagram wakes the thread. Where none can be sent, it ends with the process.
        let woken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|socket| socket.send_to(&[], self.address));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            drop(thread.join());
        }
    }
}

fn serve(socket: &UdpSocket, zone: &Zone, stopping: &AtomicBool) {
    let mut octets = [0; QUESTION_BYTES_MAX];
    loop {
        let received = socket.recv_from(&mut octets);
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok((length, asker)) = received else {
            continue;
        };
        let answer = Message::from_vec(&octets[..length])
            .ok()
            .and_then(|question| zone.answer(&question));
        if let Some(octets) = answer.and_then(|answer| answer.to_vec().ok()) {
            // An answer that is lost is asked for again.
            drop(socket.send_to(&octets, asker));
        }
    }
}

impl Zone {
    /// What is answered; `None` if nothing is.
    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let name = text_of(query.name());
        *locked(&self.asked).entry(name.clone()).or_default() += 1;
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        match self.trouble_at(&name) {
            Some(Trouble::Silence) => return None,
            Some(Trouble::Failure) => answer.metadata.response_code = ResponseCode::ServFail,
            Some(Trouble::Refusal) => answer.metadata.response_code = ResponseCode::Refused,
            Some(Trouble::Unfounded) => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(Trouble::Lame) => {
                answer.metadata.authoritative = false;
                let elsewhere = name_of("ns.elsewhere.example")?;
                let referral = RData::NS(NS(elsewhere));
                answer.add_authority(Record::from_rdata(query.name().clone(), TTL, referral));
            }
            None => self.tell(query, &mut answer),
        }
        Some(answer)
    }

    /// Adds the records that are asked for, or the zone's word that there are none.
    fn tell(&self, query: &Query, answer: &mut Message) {
        let said = locked(&self.said);
        let mut name = text_of(query.name());
        for _ in 0..ALIASES_MAX {
            let here = said.get(&name).map_or(&[][..], Vec::as_slice);
            let records = here.iter().filter_map(|said| record(&name, said));
            answer.add_answers(records.filter(|record| record.record_type() == query.query_type()));
            let alias = here.iter().find_map(|said| match said {
                Said::Alias(target) => Some(target),
                _ => None,
            });
            match alias.filter(|_| query.query_type() != RecordType::CNAME) {
                Some(target) => {
                    answer.add_answers(record(&name, &Said::Alias(target.clone())));
                    name = canonical(target);
                }
                None => break,
            }
        }
        let exists = said.keys().any(|known| is_at_or_below(known, &name));
        if !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        if answer.answers.is_empty() || !exists {
            answer.add_authorities(start_of_authority(&name));
        }
    }

    fn trouble_at(&self, name: &str) -> Option<Trouble> {
        let troubles = locked(&self.troubles);
        let at = troubles.iter().find(|(at, _)| is_at_or_below(name, at));
        at.map(|(_, trouble)| *trouble)
    }
}

fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn record(name: &str, said: &Said) -> Option<Record> {
    let data = match said {
        Said::Service {
            priority,
            weight,
            port,
            host,
        } => RData::SRV(SRV::new(*priority, *weight, *port, name_of(host)?)),
        Said::Text(strings) => RData::TXT(TXT::new(strings.clone())),
        Said::Address(IpAddr::V4(address)) => RData::A(A(*address)),
        Said::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
        Said::Alias(target) => RData::CNAME(CNAME(name_of(target)?)),
    };
    Some(Record::from_rdata(name_of(name)?, TTL, data))
}

/// The SOA record of the zone above `name`.
fn start_of_authority(name: &str) -> Option<Record> {
    let zone = name.split_once('.').map_or("", |(_, zone)| zone);
    let data = SOA::new(
        name_of("ns.test")?,
        name_of("hostmaster.test")?,
        1,
        3_600,
        600,
        86_400,
        TTL,
    );
    Some(Record::from_rdata(name_of(zone)?, TTL, RData::SOA(data)))
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn text_of(name: &Name) -> String {
    canonical(&name.to_ascii())
}

fn name_of(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{}.", canonical(text))).ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(zone: &Zone, name: &str, kind: RecordType) -> Option<Message> {
        let mut question = Message::query();
        question.add_query(Query::query(name_of(name).unwrap(), kind));
        zone.answer(&question)
    }

    fn zone() -> Zone {
        let zone = Zone::default();
        let mut said = locked(&zone.said);
        let address = Said::Address(Ipv4Addr::LOCALHOST.into());
        said.insert("mmm.a.test".into(), vec![address]);
        said.insert("b.test".into(), vec![Said::Alias("mmm.a.test".into())]);
        said.insert("c.test".into(), vec![Said::Alias("c.test".into())]);
        drop(said);
        zone
    }

    #[test]
    fn names_answer_exist_or_do_not() {
        let zone = zone();
        let code = |name, kind| {
            let answer = asked(&zone, name, kind).unwrap();
            (answer.metadata.response_code, answer.answers.len())
        };
        assert_eq!(
            code("MMM.a.test", RecordType::A),
            (ResponseCode::NoError, 1)
        );
        assert_eq!(
            code("mmm.a.test", RecordType::AAAA),
            (ResponseCode::NoError, 0)
        );
        // Nothing is said there, but below it.
        assert_eq!(code("a.test", RecordType::SOA), (ResponseCode::NoError, 0));
        assert_eq!(code("x.test", RecordType::A), (ResponseCode::NXDomain, 0));
        assert_eq!(code("b.test", RecordType::A), (ResponseCode::NoError, 2));
        assert_eq!(code("c.test", RecordType::A).0, ResponseCode::NoError);
    }

    #[test]
    fn trouble_holds_at_a_name_and_below_it() {
        let zone = zone();
        locked(&zone.troubles).insert("a.test".into(), Trouble::Silence);
        assert!(asked(&zone, "mmm.a.test", RecordType::A).is_none());
        assert!(asked(&zone, "a.test", RecordType::A).is_none());
        assert!(asked(&zone, "b.test", RecordType::A).is_some());
        assert!(asked(&zone, "ba.test", RecordType::A).is_some());
    }
}
