//! A person's desk: one service, any number of devices in folders beside it, and what is typed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};

use mesh_tests::golden;
use mesh_tests::process::{Place, Process, mesh_program};
use serde_json::Value;
use tempfile::TempDir;

/// Lines of one command that a transcript holds; of a longer output it shows the first and the last.
const LINES_MAX: usize = 80;
const LINES_SHOWN: usize = 20;

/// A service and the folder in which people type.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) place: Place,
    settings: String,
    port: u16,
    process: Mutex<Option<Process>>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).expect("the command prints text"),
            err: String::from_utf8(output.stderr).expect("the command prints text"),
            code: output.status.code(),
        }
    }
}

impl Desk {
    /// A desk whose service has the settings `settings`, and no bound on accounts per hour.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let settings = format!("limits.rate.enabled = false\n{settings}");
        let place = Place::with_data(&folder.path().join("meshd-data"), &settings);
        Self::with(folder, place, settings)
    }

    /// A desk on which somebody typed `meshd run` and nothing else.
    pub(crate) fn with_defaults() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let place = Place::without_configuration(folder.path());
        Self::with(folder, place, String::new())
    }

    fn with(folder: TempDir, place: Place, settings: String) -> Self {
        let process = place.start();
        Self {
            folder,
            place,
            settings,
            port: process.https().port(),
            process: Mutex::new(Some(process)),
        }
    }

    /// Stops the service.
    pub(crate) fn stop(&self) {
        let process = self.service().take().expect("the service runs");
        assert!(process.stop().success());
    }

    /// Starts the service again where it was.
    pub(crate) fn start_again(&self) {
        let (port, settings) = (self.port, &self.settings);
        self.place.configure(&format!(
            "frontend.listen = [\"127.0.0.1:{port}\"]\n{settings}"
        ));
        *self.service() = Some(self.place.start());
    }

    /// The line with which the service says what to type next.
    pub(crate) fn line_to_type_next(&self) -> String {
        let process = self.service();
        process
            .as_ref()
            .expect("the service runs")
            .line_to_type_next()
    }

    fn service(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().expect("no test goes on after a panic")
    }

    /// Where the service is.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The folder in which people type.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the device `name`.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("homes").join(name)
    }

    /// Writes a file beside the desk's other ones.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).expect("a file can be written");
    }

    /// What is typed to make the account `address`.
    pub(crate) fn create_line(&self, address: &str) -> String {
        let url = self.url();
        format!("mesh account create {address} --service {url} --ca meshd-data/tls/ca.pem")
    }

    /// A device named `name` with a fresh account.
    pub(crate) fn with_account(&self, name: &str, address: &str) {
        self.done(name, &self.create_line(address));
    }

    /// Connects the device `name` to the account of `first`, by a PIN.
    pub(crate) fn connect(&self, first: &str, name: &str) {
        let made = self.result(first, "mesh device pin");
        let uri = made["uri"].as_str().expect("a PIN has a URI");
        self.done(name, &format!("{} --no-wait", self.request_line(uri, name)));
        self.done(first, "mesh sync");
        self.done(name, "mesh device request");
        self.done(first, "mesh sync");
    }

    /// What is typed on the device `name` to be connected to `target`.
    pub(crate) fn request_line(&self, target: &str, name: &str) -> String {
        let url = self.url();
        format!(
            "mesh device request {target} --name {name} --service {url} --ca meshd-data/tls/ca.pem"
        )
    }

    /// Starts what `line` says on the device `name`.
    pub(crate) fn begin(&self, name: &str, line: &str) -> Child {
        let words = words(line);
        assert_eq!(words[0], "mesh", "{line}");
        Command::new(mesh_program())
            .args(&words[1..])
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder())
            .env("MESH_HOME", self.home(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be started")
    }

    /// Types `line`, then `input` where the command reads any.
    pub(crate) fn typed(&self, name: &str, line: &str, input: &str) -> Ended {
        let mut child = self.begin(name, line);
        let mut stdin = child.stdin.take().expect("standard input is piped");
        // A command that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output();
        output.expect("a child can be waited for").into()
    }

    /// Types `line`, which is done.
    #[track_caller]
    pub(crate) fn done(&self, name: &str, line: &str) -> Ended {
        let ended = self.typed(name, line, "");
        assert_eq!(ended.code, Some(0), "{line}: {} {}", ended.out, ended.err);
        ended
    }

    /// What `line` with `--json` results in, done.
    #[track_caller]
    pub(crate) fn result(&self, name: &str, line: &str) -> Value {
        let ended = self.done(name, &format!("{line} --json"));
        let mut answer: Value = serde_json::from_str(&ended.out).expect("the answer is JSON");
        answer["result"].take()
    }

    /// The ids of what `line`, a `list`, lists.
    #[track_caller]
    pub(crate) fn listed(&self, name: &str, line: &str) -> Vec<String> {
        let result = self.result(name, line);
        let entries = result["entries"].as_array().expect("a list has entries");
        let ids = entries.iter().filter_map(|entry| entry["id"].as_str());
        ids.map(str::to_owned).collect()
    }

    /// `text` with everything masked that differs between two runs.
    fn masked(&self, text: &str) -> String {
        let folder = self.folder().display().to_string();
        let text = text.replace(&folder, "HERE");
        let text = text.replace(&format!(":{}", self.port), ":PORT");
        let text = match serde_json::from_str::<Value>(&text) {
            Ok(value) => {
                let masked = golden::masked(without_sizes(value));
                serde_json::to_string_pretty(&masked).expect("a JSON value can be written") + "\n"
            }
            Err(_) => text,
        };
        without_pictures(&text)
            .split_inclusive('\n')
            .map(masked_line)
            .collect()
    }
}

/// A transcript of one device: lines typed, what came, exit codes.
pub(crate) struct Transcript<'a> {
    desk: &'a Desk,
    device: &'a str,
    text: String,
}

impl<'a> Transcript<'a> {
    pub(crate) const fn of(desk: &'a Desk, device: &'a str) -> Self {
        Self {
            desk,
            device,
            text: String::new(),
        }
    }

    /// Goes on at another device.
    pub(crate) fn at(&mut self, device: &'a str) -> &mut Self {
        self.device = device;
        let _ = writeln!(self.text, "# at the {device}\n");
        self
    }

    /// A line about what happens meanwhile.
    pub(crate) fn remark(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.text, "# {text}\n");
        self
    }

    /// Types a line that ends with `code`.
    #[track_caller]
    pub(crate) fn ends_with(&mut self, code: i32, line: &str, input: &str) -> Ended {
        let ended = self.desk.typed(self.device, line, input);
        let said = self.desk.masked(&ended.out) + &self.desk.masked(&ended.err);
        let said = abridged(&said, line.ends_with(" --json"));
        assert_eq!(ended.code, Some(code), "{line}:\n{said}");
        let line = self.desk.masked(line);
        let _ = writeln!(self.text, "$ {line}\n{said}[{code}]\n");
        ended
    }

    /// Types a line that is done.
    #[track_caller]
    pub(crate) fn done(&mut self, line: &str) -> &mut Self {
        self.ends_with(0, line, "");
        self
    }

    /// Types a line whose answer is no.
    #[track_caller]
    pub(crate) fn refused(&mut self, line: &str) -> &mut Self {
        self.ends_with(1, line, "");
        self
    }

    /// Types a line that cannot be asked.
    #[track_caller]
    pub(crate) fn not_asked(&mut self, line: &str) -> &mut Self {
        self.ends_with(2, line, "");
        self
    }

    /// Compares everything so far with the golden file `name`.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) {
        golden::check(&format!("cli/{name}"), &self.text);
    }
}

/// The words of a line, as a shell tells them apart: by spaces, but for those between quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The text with a word in the place of every QR code: they hold what differs.
fn without_pictures(text: &str) -> String {
    let is_drawn = |line: &str| {
        let line = line.trim_end_matches('\n');
        line.chars().count() > 20 && line.chars().all(|letter| "█▀▄ ".contains(letter))
    };
    let mut kept = String::new();
    let mut was_drawn = false;
    for line in text.split_inclusive('\n') {
        let drawn = is_drawn(line);
        match (was_drawn, drawn) {
            (false, true) => kept.push_str("<QR code>\n"),
            (true, true) => {}
            (_, false) => kept.push_str(line),
        }
        was_drawn = drawn;
    }
    kept
}

/// One line with everything masked word by word. Spaces stay: but for numbers of octets, what is
/// masked has always the same length.
fn masked_line(line: &str) -> String {
    if is_words(line) {
        return "<words>\n".into();
    }
    let belongs = |letter: char| letter.is_ascii_alphanumeric() || "-_:.…".contains(letter);
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_word = belongs(first);
        let end = rest
            .find(|letter| belongs(letter) != is_word)
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        text.push_str(&if is_word {
            masked_word(piece)
        } else {
            piece.to_owned()
        });
        rest = behind;
    }
    without_octets(&text)
}

/// Whether a line holds numbered words of a key and nothing else.
fn is_words(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (pairs, rest) = words.as_chunks::<2>();
    let is_pair = |[number, word]: &[&str; 2]| {
        number.bytes().all(|octet| octet.is_ascii_digit())
            && word.bytes().all(|octet| octet.is_ascii_lowercase())
    };
    // A sheet is indented; a count is not.
    line.starts_with(' ') && !pairs.is_empty() && rest.is_empty() && pairs.iter().all(is_pair)
}

fn masked_word(word: &str) -> String {
    if let Some((udf, check)) = word.split_once(':')
        && check.len() == 4
        && golden::masked_text(udf.to_owned()) == "<UDF>"
    {
        return "<share>".into();
    }
    let core = word.trim_end_matches([':', '.', '…']);
    let end = &word[core.len()..];
    if end.starts_with('…') && core.len() == 16 {
        return format!("<digest>{end}");
    }
    golden::masked_text(core.to_owned()) + end
}

/// Long lists for people without their middle; lists for programs are short already.
fn abridged(text: &str, is_json: bool) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if is_json || lines.len() <= LINES_MAX {
        return text.to_owned();
    }
    let (first, rest) = lines.split_at(LINES_SHOWN);
    let (hidden, last) = rest.split_at(rest.len() - 1);
    format!(
        "{}<{} more lines>\n{}",
        first.concat(),
        hidden.len(),
        last.concat()
    )
}

/// How large encrypted entries are depends on the digits of their numbers.
fn without_octets(line: &str) -> String {
    match line.split_once(" octets") {
        Some((before, behind)) if before.ends_with(|letter: char| letter.is_ascii_digit()) => {
            let before = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}<n> octets  {}", behind.trim_start_matches(' '))
        }
        _ => line.to_owned(),
    }
}

/// The same for programs.
fn without_sizes(mut value: Value) -> Value {
    match &mut value {
        Value::Array(elements) => {
            for element in elements {
                *element = without_sizes(element.take());
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                *member = match name.as_str() {
                    "bytes" => Value::String("<n>".into()),
                    _ => without_sizes(member.take()),
                };
            }
        }
        _ => {}
    }
    value
}

#[test]
fn a_line_has_the_words_a_shell_finds_in_it() {
    assert_eq!(
        words("mesh contact add \"Ada Lovelace\"  --label \"\""),
        ["mesh", "contact", "add", "Ada Lovelace", "--label", ""]
    );
}

#[test]
fn a_transcript_masks_what_differs_by_nature_and_nothing_else() {
    let line = "  id NBXE-DMPA-RZTI-3QUJ-BZ5Q-SPMW, 2026-07-01T09:00:00.000Z. 5 frames  1234 octets    z4PhNX7vuL3xVChQ…\n";
    assert_eq!(
        masked_line(line),
        "  id <UDF>, <time>. 5 frames  <n> octets  <digest>…\n"
    );
    let line = "created the account alice@localhost: MESH is 16 letters…\n";
    assert_eq!(masked_line(line), line);
}
