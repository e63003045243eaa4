//! `meshd peer`: who the service of a domain is, and forgetting it (decision Q-52).

use mesh_common::time::Timestamp;
use serde_json::json;

use super::args::{Domain, PeerCommand};
use super::failure::Failure;
use super::link::{Ask, escaped};
use super::page::{ago, facts, plain};
use super::{Done, read};
use crate::admin::api::Named;
use crate::admin::peers::{HostView, PeerView};

/// Carries out one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn ask(command: &PeerCommand, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    match command {
        PeerCommand::Show(asked) => show(asked, link, now),
        PeerCommand::Forget(asked) => forget(asked, link),
    }
}

fn show(asked: &Domain, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let answer = link.get(&format!("peers/{}", escaped(&asked.domain)))?;
    let view: PeerView = read(&answer)?;
    let text = page(&view, now);
    let done = Done::new("peer show", text, answer);
    Ok(if view.no_answer.is_some() {
        done.refused()
    } else {
        done
    })
}

fn forget(asked: &Domain, link: &dyn Ask) -> Result<Done, Failure> {
    let id = asked.domain.clone();
    let answer = link.post("peers/forget", &json!(Named { id }))?;
    let domain = plain(&asked.domain);
    let text = format!(
        "forgotten: the next service that answers for {domain} is believed\n\
         try: meshd queue retry {domain}    so that what waits goes there now\n"
    );
    Ok(Done::new("peer forget", text, answer))
}

fn page(view: &PeerView, now: Timestamp) -> String {
    let domain = plain(&view.domain);
    let mut known = Vec::new();
    match &view.known {
        Some(service) => {
            known.push(("service", plain(&service.service)));
            known.push(("first seen", ago(now, service.since)));
            known.push(("profile", format!("of {}", service.updated)));
        }
        None => known.push(("service", "not known yet".to_owned())),
    }
    known.extend(view.hosts.iter().map(|host| ("host", place(host))));
    if let Some(why) = &view.not_found {
        known.push(("host", plain(why)));
    }
    let says = view
        .no_answer
        .as_deref()
        .map_or_else(|| "it answers".to_owned(), plain);
    known.push(("Hello", says));
    let next = if view.is_another {
        format!("try: meshd peer forget {domain}    if you know that it has another service now\n")
    } else {
        String::new()
    };
    format!("{domain}\n{}{next}", facts(&known))
}

fn place(host: &HostView) -> String {
    format!(
        "{} port {} at {}",
        plain(&host.host),
        host.port,
        plain(&host.addresses.join(", "))
    )
}
