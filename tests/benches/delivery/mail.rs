//! The other side of the comparison: two mail hosts as a provider runs them. Postfix takes a message
//! from its client, signs it (DKIM), sends it over TLS to the Postfix of another host, which checks
//! the signature and hands it to Dovecot, which writes it into a Maildir. Every step makes durable
//! what it has taken, as it is shipped.
//!
//! Everything lives in one folder and on loopback; ports are the system's choice. Needs the programs
//! of Debian's packages postfix, dovecot-lmtpd and opendkim, and root, since a mail server changes its
//! user.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Delivered, Outcome, moment};
use crate::usage::Tree;

/// Mailboxes that messages go to, in turn.
pub(crate) const MAILBOXES: usize = 100;
/// How long a mail server may take to start, and messages to arrive.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often is looked whether something came about.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Both hosts at work.
pub(crate) struct Mail {
    folder: PathBuf,
    submission: SocketAddr,
    // In the order in which they end.
    servers: Vec<Server>,
    delivered: usize,
}

/// A process with its descendants.
struct Server {
    child: Child,
    /// What ends it, where a signal would leave its descendants behind.
    stop: Option<Command>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let mut kill = Command::new("kill");
        kill.arg(&id);
        let stop = self.stop.as_mut().unwrap_or(&mut kill);
        drop(stop.stdout(Stdio::null()).stderr(Stdio::null()).status());
        drop(self.child.wait());
    }
}

impl Mail {
    /// Starts both hosts in `folder`.
    ///
    /// # Errors
    /// A program is missing or does not start; it says so in a log in `folder`.
    pub(crate) fn start(folder: &Path) -> Outcome<Self> {
        // Every server looks for its files as a user of its own.
        open_to_all(folder)?;
        let (from, to) = (free_port()?, free_port()?);
        certificate(folder)?;
        let keys = signing_keys(folder)?;
        let mut servers = Vec::new();
        for mode in ["s", "v"] {
            let file = write_opendkim(folder, mode, &keys)?;
            servers.push(run("opendkim", &["-f", "-x", &file], folder)?);
        }
        for mode in ["s", "v"] {
            wait_for(|| folder.join(format!("dkim-{mode}.sock")).exists())?;
        }
        let file = write_dovecot(folder)?;
        servers.push(run("dovecot", &["-F", "-c", &file], folder)?);
        wait_for(|| folder.join("lmtp").exists())?;
        for (name, port, rest) in [
            ("to", to, receiving(folder)),
            ("from", from, sending(folder, to)),
        ] {
            let conf = write_postfix(folder, name, port, &rest)?;
            let mut server = run("postfix", &["-c", &conf, "start-fg"], folder)?;
            let mut stop = Command::new("postfix");
            stop.args(["-c", &conf, "stop"]);
            server.stop = Some(stop);
            servers.push(server);
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            wait_for(|| TcpStream::connect(address).is_ok())?;
        }
        servers.reverse();
        let mut mail = Self {
            folder: folder.to_owned(),
            submission: SocketAddr::from(([127, 0, 0, 1], from)),
            servers,
            delivered: 0,
        };
        // Makes the mailboxes and starts what is started on demand.
        mail.deliver(MAILBOXES, 10, 1_024)?;
        mail.check_signatures()?;
        Ok(mail)
    }

    /// Delivers `messages` of `octets` each over `sessions` sessions at a time.
    ///
    /// # Errors
    /// Not all arrived.
    pub(crate) fn deliver(
        &mut self,
        messages: usize,
        sessions: usize,
        octets: usize,
    ) -> Outcome<Delivered> {
        let before = self.cpu()?;
        let began = moment();
        let sent = Command::new("smtp-source")
            .args(["-N", "-f", "s@a.test", "-t", "user@b.test"])
            .args(["-m", &messages.to_string(), "-s", &sessions.to_string()])
            .args(["-l", &octets.to_string(), &self.submission.to_string()])
            .stdout(Stdio::null())
            .status()?;
        if !sent.success() {
            return Err("smtp-source could not hand over its messages".into());
        }
        self.delivered += messages;
        wait_for(|| self.arrived() >= self.delivered)?;
        let elapsed = began.elapsed();
        // What ends after the last message belongs to it as well.
        wait_for(|| self.is_idle())?;
        Ok(Delivered {
            messages,
            elapsed,
            cpu: self.cpu()?.saturating_sub(before),
        })
    }

    /// The receiving host checks what the sending one signed: without it the comparison is none.
    fn check_signatures(&self) -> Outcome<()> {
        for message in self.mailboxes().flatten().flatten() {
            if !fs::read_to_string(message.path())?.contains("dkim=pass") {
                return Err("a message arrived without a signature that was checked".into());
            }
        }
        Ok(())
    }

    /// Messages in all mailboxes.
    fn arrived(&self) -> usize {
        self.mailboxes().map(Iterator::count).sum()
    }

    fn mailboxes(&self) -> impl Iterator<Item = fs::ReadDir> {
        let homes = fs::read_dir(self.folder.join("homes"))
            .into_iter()
            .flatten();
        homes
            .flatten()
            .filter_map(|home| fs::read_dir(home.path().join("Maildir/new")).ok())
    }

    fn is_idle(&self) -> bool {
        ["from", "to"].iter().all(|host| {
            ["incoming", "active", "deferred", "maildrop"]
                .iter()
                .all(|queue| is_empty(&self.folder.join(host).join("queue").join(queue)))
        })
    }

    fn cpu(&self) -> Outcome<Duration> {
        let mut cpu = Duration::ZERO;
        for server in &self.servers {
            cpu += Tree::of(server.child.id())?.cpu();
        }
        Ok(cpu)
    }
}

/// Whether neither the folder nor those in it hold a file.
fn is_empty(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().all(|entry| {
        let path = entry.path();
        path.is_dir() && is_empty(&path)
    })
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Outcome<Server> {
    let log = fs::File::create(folder.join(format!("{program}.out")))?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    Ok(Server { child, stop: None })
}

fn wait_for(mut is_so: impl FnMut() -> bool) -> Outcome<()> {
    let began = moment();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err("a mail server did not do what it was waited for".into());
        }
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    Ok(())
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
}

fn certificate(folder: &Path) -> Outcome<()> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

/// The ids of a user of this system.
fn user(name: &str) -> Outcome<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
        .ok_or_else(|| format!("there is no user {name}: is its package installed?"))?;
    match fields.as_slice() {
        [_, _, user, group, ..] => Ok((user.parse()?, group.parse()?)),
        _ => Err("the users of this system cannot be read".into()),
    }
}

/// A 2,048-bit RSA key for DKIM, and the file that stands for the DNS its public half is found in.
fn signing_keys(folder: &Path) -> Outcome<(PathBuf, PathBuf)> {
    let made = Command::new("opendkim-genkey")
        .args(["-b", "2048", "-d", "a.test", "-s", "s", "-D"])
        .arg(folder)
        .status();
    let is_made = made.is_ok_and(|status| status.success());
    if !is_made {
        return Err("opendkim-genkey makes no key: is opendkim-tools installed?".into());
    }
    let private = folder.join("s.private");
    let (id, group) = user("opendkim")?;
    chown(&private, Some(id), Some(group))?;
    let record: String = fs::read_to_string(folder.join("s.txt"))?
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let zone = folder.join("dns");
    fs::write(&zone, format!("s._domainkey.a.test {}\n", record.trim()))?;
    Ok((private, zone))
}

fn write_opendkim(folder: &Path, mode: &str, keys: &(PathBuf, PathBuf)) -> Outcome<String> {
    let text = format!(
        "Syslog no\nUserID opendkim\nMode {mode}\nSocket local:{socket}\nUMask 000\nDomain a.test\n\
         Selector s\nKeyFile {key}\nCanonicalization relaxed/simple\nBackground no\n\
         RequireSafeKeys no\nTestDNSData {dns}\nAlwaysAddARHeader yes\nInternalHosts {internal}\n",
        // A verifier takes mail from hosts of its own as it comes.
        internal = if mode == "s" {
            "127.0.0.1"
        } else {
            "192.0.2.1"
        },
        socket = folder.join(format!("dkim-{mode}.sock")).display(),
        key = keys.0.display(),
        dns = keys.1.display(),
    );
    write(folder.join(format!("dkim-{mode}.conf")), &text)
}

fn write_dovecot(folder: &Path) -> Outcome<String> {
    let homes = folder.join("homes");
    fs::create_dir_all(&homes)?;
    let (id, group) = user("nobody")?;
    chown(&homes, Some(id), Some(group))?;
    let text = format!(
        "base_dir = {run}\nstate_dir = {run}\nprotocols = lmtp\nlisten = 127.0.0.1\nssl = no\n\
         log_path = {log}\nmail_location = maildir:~/Maildir\nmail_fsync = optimized\n\
         mail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nauth_username_format = %n\n\
         passdb {{\n  driver = static\n  args = nopassword=y\n}}\n\
         userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={homes}/%n allow_all_users=yes\n}}\n\
         service lmtp {{\n  unix_listener {lmtp} {{\n    mode = 0666\n  }}\n}}\n",
        run = folder.join("dovecot").display(),
        log = folder.join("dovecot.log").display(),
        homes = homes.display(),
        lmtp = folder.join("lmtp").display(),
    );
    write(folder.join("dovecot.conf"), &text)
}

/// The host that hands messages to Dovecot. `smtp-source -N` numbers its recipients; the numbers
/// become as many mailboxes as there are.
fn receiving(folder: &Path) -> String {
    let aliases = folder.join("aliases");
    let folder = folder.display();
    drop(fs::write(
        &aliases,
        "/^[0-9]*([0-9][0-9])user@b\\.test$/ u${1}@b.test\n",
    ));
    format!(
        "smtpd_tls_security_level = encrypt\nvirtual_mailbox_domains = b.test\n\
         virtual_alias_maps = regexp:{aliases}\nvirtual_transport = lmtp:unix:{folder}/lmtp\n\
         lmtp_destination_concurrency_limit = 50\nlmtp_destination_recipient_limit = 1\n\
         smtpd_milters = unix:{folder}/dkim-v.sock\n",
        aliases = aliases.display(),
    )
}

/// The host that clients hand messages to. Connections to the other one are used again: the better
/// half of what is measured in practice.
fn sending(folder: &Path, to: u16) -> String {
    let folder = folder.display();
    format!(
        "relayhost = [127.0.0.1]:{to}\nsmtp_tls_security_level = encrypt\n\
         smtp_tls_connection_reuse = yes\ndefault_destination_concurrency_limit = 50\n\
         smtpd_tls_security_level = none\nsmtpd_milters = unix:{folder}/dkim-s.sock\n"
    )
}

fn write_postfix(folder: &Path, name: &str, port: u16, rest: &str) -> Outcome<String> {
    let host = folder.join(name);
    for part in ["conf", "queue", "data"] {
        fs::create_dir_all(host.join(part))?;
    }
    let (id, group) = user("postfix")?;
    chown(host.join("data"), Some(id), Some(group))?;
    let (host_text, folder) = (host.display(), folder.display());
    let mut main = format!(
        "compatibility_level = 3.6\nqueue_directory = {host_text}/queue\n\
         data_directory = {host_text}/data\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
         myhostname = {name}.test\nmydestination =\nalias_maps =\nalias_database =\n\
         local_recipient_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
         maillog_file = {folder}/{name}.log\nmaillog_file_prefixes = {folder}\n\
         smtpd_tls_cert_file = {folder}/cert.pem\nsmtpd_tls_key_file = {folder}/key.pem\n\
         smtp_tls_session_cache_database = btree:{host_text}/data/smtp_scache\n\
         smtp_dns_support_level = disabled\n"
    );
    main.push_str(rest);
    fs::write(host.join("conf/main.cf"), main)?;
    fs::write(host.join("conf/master.cf"), services(port)?)?;
    Ok(host.join("conf").display().to_string())
}

/// The services as they are shipped, outside a chroot, listening at `port` only.
fn services(port: u16) -> Outcome<String> {
    let shipped = fs::read_to_string("/usr/share/postfix/master.cf.dist")?;
    let mut services = String::new();
    for line in shipped.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [first, ..] if first.starts_with('#') || *first == "smtp" && line.contains("inet") => {}
            [name, kind, private, unprivileged, _, rest @ ..] if !line.starts_with([' ', '\t']) => {
                let rest = rest.join(" ");
                writeln!(services, "{name} {kind} {private} {unprivileged} n {rest}")?;
            }
            _ => writeln!(services, "{line}")?,
        }
    }
    writeln!(services, "127.0.0.1:{port} inet n - n - - smtpd")?;
    writeln!(services, "tlsproxy unix - - n - 0 tlsproxy")?;
    Ok(services)
}

fn write(file: PathBuf, text: &str) -> Outcome<String> {
    fs::write(&file, text)?;
    Ok(file.display().to_string())
}
