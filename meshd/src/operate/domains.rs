//! `meshd domain`: what each domain uses of the service (cluster §9).

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
        ("stored", size(view.octets)),
        ("sent today", counted(view.messages_today, "message")),
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
            size(one.octets),
            one.messages_today.to_string(),
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
    match view.accounts_max {
        Some(max) => format!("{} of {max}", view.accounts),
        None => view.accounts.to_string(),
    }
}
