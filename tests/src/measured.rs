//! Server processes that are measured from outside: the executable runs itself again in another role,
//! and what that process costs is read from `/proc`. A load generator in the same process would be
//! counted with the server; so would a library that asks for its own usage.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// First word of the line by which a server says where it listens.
const READY: &str = "ready";

/// How often a server is looked at until it rests.
const RESTLESS_READS_MAX: usize = 10_000;

/// A child of this process that serves until its standard input closes.
#[derive(Debug)]
pub struct MeasuredServer {
    child: Child,
    /// Held open: when it closes, also by the death of this process, the server ends.
    _lifeline: ChildStdin,
    address: SocketAddr,
    certificate: String,
}

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads that live.
    pub cpu: Duration,
    /// Octets the process caused to be written to a disk.
    pub written: u64,
    /// How often its threads went to sleep for want of work.
    pub sleeps: u64,
}

impl Usage {
    /// What was used after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
            sleeps: self.sleeps.saturating_sub(before.sleeps),
        }
    }
}

impl MeasuredServer {
    /// Runs this executable with `arguments`, and waits for its [`announce`].
    ///
    /// # Errors
    /// The process does not start, or ends before it is ready.
    pub fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (lifeline, output) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .ok_or_else(|| io::Error::other("the server has no pipes"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (address, certificate) = read_announcement(&line).ok_or_else(|| {
            io::Error::other(format!("the server {arguments:?} is not ready: {line:?}"))
        })?;
        Ok(Self {
            child,
            _lifeline: lifeline,
            address,
            certificate,
        })
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file of the certificate authority its clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// The process is gone, or the system keeps no such account.
    pub fn usage(&self) -> io::Result<Usage> {
        let process = format!("/proc/{}", self.id());
        Ok(Usage {
            cpu: of_threads(&process, "schedstat", on_processor)?
                .iter()
                .sum(),
            sleeps: of_threads(&process, "status", sleeps)?.iter().sum(),
            written: written(&std::fs::read_to_string(format!("{process}/io"))?)?,
        })
    }
}

impl MeasuredServer {
    /// What it has used, once it rests: the system does not count the slice that a thread is in.
    ///
    /// # Errors
    /// As for [`usage`](Self::usage); the server does not come to rest.
    pub fn usage_at_rest(&self) -> io::Result<Usage> {
        let mut last = self.usage()?;
        for _ in 0..RESTLESS_READS_MAX {
            let now = self.usage()?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
        Err(io::Error::other("the server does not come to rest"))
    }
}

impl MeasuredServer {
    /// Octets of memory that are its own: what would be free if it were gone.
    ///
    /// # Errors
    /// The process is gone, or the system keeps no such account.
    pub fn memory(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()))?;
        private(&text).ok_or_else(|| io::Error::other("smaps_rollup cannot be read"))
    }
}

/// Private pages, dirty and clean, in octets.
fn private(rollup: &str) -> Option<u64> {
    let kibibytes = |name| {
        rollup
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
    };
    Some((kibibytes("Private_Clean:")? + kibibytes("Private_Dirty:")?) * 1_024)
}

impl Drop for MeasuredServer {
    fn drop(&mut self) {
        // It holds nothing that is needed after a measurement.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Says, in the server process, that it listens at `address` with a certificate of the authority in
/// the file `certificate`; then waits until the measuring process is done with it.
///
/// # Errors
/// The measuring process is gone.
pub fn announce(address: SocketAddr, certificate: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{READY} {address} {certificate}")?;
    output.flush()?;
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn read_announcement(line: &str) -> Option<(SocketAddr, String)> {
    let mut words = line.trim_end().splitn(3, ' ');
    words.next().filter(|&word| word == READY)?;
    Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
}

/// What `read` finds in the `file` of every thread. A thread that ends while they are counted is left
/// out.
fn of_threads<T>(
    process: &str,
    file: &str,
    read: impl Fn(&str) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("{process}/task"))? {
        match std::fs::read_to_string(thread?.path().join(file)) {
            Ok(text) => found.push(read(&text)?),
            Err(error) if has_ended(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// What reading of a thread that is gone gives: no such file, or (3) no such process.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3)
}

/// Nanoseconds: `stat` of the process counts in hundredths of a second, which is too coarse for
/// rounds of a second.
fn on_processor(schedstat: &str) -> io::Result<Duration> {
    let first = schedstat.split_whitespace().next();
    first
        .and_then(|text| text.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other("schedstat cannot be read"))
}

fn written(io: &str) -> io::Result<u64> {
    value(io, "write_bytes:")
}

fn sleeps(status: &str) -> io::Result<u64> {
    value(status, "voluntary_ctxt_switches:")
}

/// The number in the line that begins with `name`.
fn value(text: &str, name: &str) -> io::Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("there is no number {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_keeps_account_of_is_read() {
        assert_eq!(
            on_processor("1500 4025437 1\n").unwrap(),
            Duration::from_nanos(1_500)
        );
        assert_eq!(written("rchar: 1\nwrite_bytes: 4096\n").unwrap(), 4_096);
        let status = "Threads:\t1\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(sleeps(status).unwrap(), 7);
        let rollup = "Rss: 9 kB\nPrivate_Clean:         4 kB\nPrivate_Dirty:       100 kB\n";
        assert_eq!(private(rollup), Some(104 * 1_024));
        assert_eq!(private("Rss: 9 kB\n"), None);
        assert!(on_processor("").is_err());
        assert!(written("rchar: 1\n").is_err());
    }

    #[test]
    fn an_announcement_names_address_and_certificate() {
        let (address, certificate) = read_announcement("ready 127.0.0.1:80 /a b/ca.pem\n").unwrap();
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(certificate, "/a b/ca.pem");
        assert_eq!(read_announcement("error: no\n"), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_in_the_account() {
        let process = "/proc/self";
        let cpu = || -> Duration {
            of_threads(process, "schedstat", on_processor)
                .unwrap()
                .iter()
                .sum()
        };
        let before = cpu();
        let digest = (0..200_000_u64).fold([0; 64], |digest, round| {
            mesh_common::crypto::digest::sha512(&[&digest, &round.to_be_bytes()])
        });
        assert_ne!(digest, [0; 64]);
        assert!(cpu() > before);
    }
}
