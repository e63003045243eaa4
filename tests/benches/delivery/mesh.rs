//! Our side of the comparison: two whole services on loopback, each a process of its own, each with its
//! domain. Devices post signed messages to the one; it queues, forwards and signs what became of them;
//! the other calls back, checks and appends. Every step is durable before it is answered.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_common::dare::Envelope;
use mesh_common::limits::{OUTBOUND_OUTCOMES_TIME_MAX, OUTCOMES_TOLD_INTERVAL};
use mesh_common::protocol::Code;
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::measured::{MeasuredServer, Usage, announce};
use mesh_tests::people::Person;
use mesh_tests::wire::Tls;
use meshd::config::MeshdConfig;
use meshd::service::Service;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::mail::MAILBOXES;
use super::{Delivered, Outcome, moment};

/// First argument of a process that is one of the services.
pub(crate) const ROLE: &str = "serve-mesh";
const FROM: &str = "a.test";
const TO: &str = "b.test";
const INBOUND: &str = "mmm_Inbound";
/// The name that the devices of the tests reach every service by.
const LOCAL_NAME: &str = mesh_tests::service::DOMAIN;
/// How long messages may take to arrive.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long after the last message everything is told: outcomes wait for others to be committed with, and
/// once more for others to be told with.
const SETTLED_AFTER: Duration = OUTBOUND_OUTCOMES_TIME_MAX
    .saturating_add(OUTCOMES_TOLD_INTERVAL)
    .saturating_mul(2);
/// How often is looked whether they did.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Both services at work, with accounts at either end.
pub(crate) struct Mesh {
    from: MeasuredServer,
    to: MeasuredServer,
    senders: Vec<Sender>,
    recipients: Vec<Client>,
    addresses: Vec<String>,
    /// Messages that were sent to everybody together.
    sent: usize,
}

struct Sender {
    person: Person,
    client: Client,
}

impl Mesh {
    /// Starts both services in `folder`, with `senders` accounts at the one and [`MAILBOXES`] at the
    /// other.
    ///
    /// # Errors
    /// One does not start.
    pub(crate) fn start(folder: &Path, senders: usize) -> Outcome<Self> {
        let ports = (free_port()?, free_port()?);
        let authority = Authority::new(folder)?;
        configure(folder, &authority, (FROM, ports.0), (TO, ports.1))?;
        configure(folder, &authority, (TO, ports.1), (FROM, ports.0))?;
        let start = |domain: &str| {
            let place = folder.join(domain);
            MeasuredServer::start(&[ROLE, &place.display().to_string()])
        };
        let (from, to) = (start(FROM)?, start(TO)?);
        let tls = Tls::trusting(&authority.pem);
        let join = |name: String, domain: &str, server: &MeasuredServer| {
            let person = Person::at(&name, &format!("{name}@{domain}"));
            let connection = tls.connect(server.address(), LOCAL_NAME);
            let mut client = Client::on(connection, person.device.as_connected());
            client.create_account(&person).must_be(Code::Ok);
            let entry = vec![frames::first(), person.device.frame(1, "New")];
            let uploaded = client.ask(&frames::upload(frames::DEVICES, entry));
            uploaded.must_be(Code::Ok);
            (person, client)
        };
        let senders = (0..senders).map(|number| {
            let (person, client) = join(format!("sender{number}"), FROM, &from);
            Sender { person, client }
        });
        let senders: Vec<Sender> = senders.collect();
        let (addresses, recipients) = (0..MAILBOXES)
            .map(|number| {
                let (person, client) = join(format!("u{number:02}"), TO, &to);
                (person.address, client)
            })
            .unzip();
        let mut mesh = Self {
            from,
            to,
            senders,
            recipients,
            addresses,
            sent: 0,
        };
        // Finds the peer, gets tickets, opens connections.
        mesh.deliver(MAILBOXES, 1_024)?;
        Ok(mesh)
    }

    /// Delivers `messages` of `octets` each, every sender one after the other.
    ///
    /// # Errors
    /// Not all arrived.
    pub(crate) fn deliver(&mut self, messages: usize, octets: usize) -> Outcome<Delivered> {
        let posts = self.prepare(messages, octets);
        let before = self.usage()?;
        let began = moment();
        std::thread::scope(|scope| {
            for (sender, posts) in self.senders.iter_mut().zip(posts) {
                scope.spawn(move || {
                    for (recipient, message) in posts {
                        let post = frames::post(&[&recipient], vec![message]);
                        sender.client.ask(&post).must_be(Code::Ok);
                    }
                });
            }
        });
        self.sent += messages;
        self.wait_for_all()?;
        let elapsed = began.elapsed();
        let after = self.usage()?;
        Ok(Delivered {
            messages,
            elapsed,
            cpu: after.since(before).cpu,
        })
    }

    /// The signed messages of each sender, with their recipients: nothing that the services pay for.
    fn prepare(&self, messages: usize, octets: usize) -> Vec<Vec<(String, Envelope)>> {
        let mut posts: Vec<_> = self.senders.iter().map(|_| Vec::new()).collect();
        for number in self.sent..self.sent + messages {
            let place = number % self.senders.len();
            let person = &self.senders[place].person;
            let (id, subject) = (format!("NMESSAGE-{number}"), "x".repeat(octets));
            let body = format!("{{\"Subject\":\"{subject}\"}}");
            let message = frames::message("RequestContact", &id, &body);
            let recipient = self.addresses[number % self.addresses.len()].clone();
            posts[place].push((recipient, person.device.signed(message)));
        }
        posts
    }

    /// Asks one recipient after the other, now and then: what asking costs is measured too.
    fn wait_for_all(&mut self) -> Outcome<()> {
        let began = moment();
        let (sent, count) = (self.sent, self.recipients.len());
        for (number, recipient) in self.recipients.iter_mut().enumerate() {
            let mine = sent / count + usize::from(number < sent % count);
            loop {
                let answer = recipient.ask(&frames::status_of(INBOUND));
                // Frame 0 is the container's own.
                let frames = answer.must_be(Code::Ok).count_of(INBOUND).unwrap_or(0);
                if frames > mine as u64 {
                    break;
                }
                if began.elapsed() > PATIENCE {
                    let text = format!("{frames} of {} frames at recipient {number}", mine + 1);
                    return Err(text.into());
                }
                std::thread::park_timeout(LOOK_INTERVAL);
            }
        }
        Ok(())
    }

    /// What both services have used, once they rest: what becomes of a message is told to its sender
    /// after it has arrived, together with what becomes of others.
    fn usage(&self) -> Outcome<Usage> {
        let began = moment();
        while let Some(left) = SETTLED_AFTER.checked_sub(began.elapsed()) {
            std::thread::park_timeout(left);
        }
        let (from, to) = (self.from.usage_at_rest()?, self.to.usage_at_rest()?);
        Ok(Usage {
            cpu: from.cpu + to.cpu,
            written: from.written + to.written,
            sleeps: from.sleeps + to.sleeps,
        })
    }
}

/// Runs one of the services until its parent is done with it.
///
/// # Errors
/// It does not start.
pub(crate) fn serve(folder: &Path) -> Outcome<()> {
    meshd::install_provider();
    let config = MeshdConfig::load(Some(&folder.join("meshd.toml")))?;
    let _telemetry = config.telemetry.start()?;
    actix_rt::System::new().block_on(async move {
        let service = Service::start(&config).await?;
        let address = *service.addresses().first().ok_or("no address")?;
        actix_rt::task::spawn_blocking(move || announce(address, "ca.pem")).await??;
        service.stop().await;
        Ok(())
    })
}

fn configure(
    folder: &Path,
    authority: &Authority,
    (domain, port): (&str, u16),
    (peer, peer_port): (&str, u16),
) -> Outcome<()> {
    let place = folder.join(domain);
    fs::create_dir_all(&place)?;
    let (chain, key) = authority.certificate(domain, &place)?;
    let text = format!(
        r#"
data_dir = {data:?}
frontend.listen = ["127.0.0.1:{port}"]
frontend.domains = ["{domain}"]
frontend.host_names = ["{LOCAL_NAME}"]
tls.certificate = {chain:?}
tls.key = {key:?}
admin.listen = "127.0.0.1:0"
limits.rate.enabled = false
backend.policy.inbound.stranger_per_sender_day = 1000000
backend.policy.inbound.stranger_per_recipient_day = 1000000
backend.policy.inbound.per_recipient_day = 1000000
discovery.domains = {{ "{peer}" = "127.0.0.1:{peer_port}" }}
discovery.authorities = [{ca:?}]
"#,
        data = place.join("data"),
        ca = folder.join("ca.pem"),
    );
    Ok(fs::write(place.join("meshd.toml"), text)?)
}

/// Whose certificates both services trust.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(folder: &Path) -> Outcome<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pem = issuer.pem();
        fs::write(folder.join("ca.pem"), &pem)?;
        Ok(Self { issuer, pem })
    }

    /// The files of a certificate for `domain`.
    fn certificate(&self, domain: &str, place: &Path) -> Outcome<(PathBuf, PathBuf)> {
        let names = vec![domain.to_owned(), LOCAL_NAME.to_owned()];
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let (chain_file, key_file) = (place.join("chain.pem"), place.join("key.pem"));
        fs::write(&chain_file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;
        Ok((chain_file, key_file))
    }
}

/// A port that was free a moment ago: each service must know where the other will be.
fn free_port() -> Outcome<u16> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(TcpListener::bind(any)?.local_addr()?.port())
}
