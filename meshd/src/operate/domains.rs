//! `meshd domain`: what each domain uses of the service (cluster §9).

use std::fmt::Display;

use mesh_backend::desk::{DomainView, DomainsView};

use super::args::{DomainCommand, Usage};
use super::failure::Failure;
use super::link::{Ask, escaped, with_query};
use super::page::{columns, counted, facts, heads, plain, size};
use super::{Done, read};

/// Carries out one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn ask(command: &DomainCommand, link: &dyn Ask) -> Result<Done, Failure> {
    let DomainCommand::Usage(asked) = command;
    match &asked.domain {
        Some(domain) => one(domain, link),
        None => all(asked, link),
    }
}

fn one(domain: &str, link: &dyn Ask) -> Result<Done, Failure> {
    let answer = link.get(&format!("domains/{}", escaped(domain)))?;
    let view: DomainView = read(&answer)?;
    let known = [
        ("accounts", accounts(&view)),
        ("stored", stored(&view)),
        (
            "sent today",
            format!(
                "{}{}",
                counted(view.messages_today, "message"),
                of(view.messages_per_day_max)
            ),
        ),
    ];
    let text = format!("{}\n{}", plain(&view.domain), facts(&known));
    Ok(Done::new("domain usage", text, answer))
}

fn all(asked: &Usage, link: &dyn Ask) -> Result<Done, Failure> {
    let max = asked.max.to_string();
    let answer = link.get(&with_query("domains", &[("max", Some(max.as_str()))]))?;
    let view: DomainsView = read(&answer)?;
    let mut rows = vec![heads(&["DOMAIN", "ACCOUNTS", "STORED", "SENT TODAY"])];
    rows.extend(view.domains.iter().map(|one| {
        vec![
            plain(&one.domain),
            accounts(one),
            stored(one),
            format!("{}{}", one.messages_today, of(one.messages_per_day_max)),
        ]
    }));
    let mut text = columns(&rows);
    let hidden = view.total.saturating_sub(view.domains.len() as u64);
    if hidden > 0 {
        text.push_str(&format!(
            "{} that store less are not shown\ntry: meshd domain usage --max {}\n",
            counted(hidden, "domain"),
            view.total
        ));
    }
    Ok(Done::new("domain usage", text, answer))
}

/// How many accounts there are, and may be.
fn accounts(view: &DomainView) -> String {
    format!("{}{}", view.accounts, of(view.accounts_max))
}

/// How much is stored, and may be.
fn stored(view: &DomainView) -> String {
    let max = view.octets_max.map(size);
    format!("{}{}", size(view.octets), of(max))
}

/// Of how much, where there is a limit.
fn of(max: Option<impl Display>) -> String {
    max.map_or_else(String::new, |max| format!(" of {max}"))
}
