//! `meshd queue`: what waits for other services, and orders about it.

use mesh_backend::desk::{
    DestinationView, Item, Overview, Owner, Phase, Route, Scope, Selection, StandingOrder, What,
};
use mesh_common::time::Timestamp;
use serde_json::{Value, json};

use super::args::{Fail, QueueCommand, Reroute, Selected, Show, WithReason};
use super::failure::Failure;
use super::link::{Ask, escaped, value_of, with_query};
use super::page::{ago, columns, counted, facts, heads, in_time, plain, size, span, trouble};
use super::{Done, read, read_member};
use crate::admin::api::Ordered;

/// Items that are counted before they are ended.
const COUNTED_MAX: usize = 10_000;

/// Carries out one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn ask(command: &QueueCommand, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    match command {
        QueueCommand::List => list(link, now),
        QueueCommand::Show(show) => look_at(show, link, now),
        QueueCommand::Hold(order) => hold(order, link),
        QueueCommand::Resume(selected) => resume(selected, link),
        QueueCommand::Retry(selected) => retry(selected, link),
        QueueCommand::Fail(order) => fail(order, link),
        QueueCommand::Reroute(order) => reroute(order, link),
    }
}

/// What was selected on the command line.
///
/// # Errors
/// It selects nothing, or names what is no domain.
pub fn selection(selected: &Selected) -> Result<Selection, Failure> {
    let scope = Scope {
        destination: selected.destination.clone(),
        tenant: selected.tenant.clone(),
        message: selected.message.clone(),
    };
    Selection::try_from(scope).map_err(|error| {
        Failure::not_asked(
            error.to_string(),
            "meshd queue show example.net, --tenant example.com or --message ID",
        )
    })
}

/// What is selected, as one thing.
fn one(selection: &Selection) -> String {
    let text = plain(&selection.to_string());
    match text.strip_prefix("messages") {
        Some(rest) => format!("message{rest}"),
        None => text,
    }
}

/// The same selection as it is typed.
#[must_use]
pub fn typed(selection: &Selection) -> String {
    let Scope {
        destination,
        tenant,
        message,
    } = selection.scope();
    let option = |name: &str, value: &Option<String>| {
        let value = value.as_deref();
        value.map(|value| format!("{name}{value}"))
    };
    let words: Vec<String> = [
        option("", destination),
        option("--tenant ", tenant),
        option("--message ", message),
    ]
    .into_iter()
    .flatten()
    .collect();
    words.join(" ")
}

fn list(link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let answer = link.get("queue")?;
    let overview: Overview = read(&answer)?;
    Ok(Done::new(
        "queue list",
        overview_page(&overview, now),
        answer,
    ))
}

/// All destinations.
fn overview_page(overview: &Overview, now: Timestamp) -> String {
    let mut text = String::new();
    if overview.destinations.is_empty() {
        text.push_str("nothing waits for other services\n");
    } else {
        let mut rows = vec![heads(&[
            "DESTINATION",
            "WAITING",
            "OLDEST",
            "STATE",
            "LAST TROUBLE",
        ])];
        rows.extend(overview.destinations.iter().map(|one| row_of(one, now)));
        text.push_str(&columns(&rows));
        text.push_str(&sum(overview));
    }
    let partial = |order: &&StandingOrder| order.selection.whole_destination().is_none();
    let others: Vec<_> = overview.orders.iter().filter(partial).collect();
    if !others.is_empty() {
        text.push_str("\nalso in force:\n");
        for order in others {
            text.push_str(&format!("  {}\n", standing(order, now)));
        }
    }
    if overview.quarantined > 0 {
        let items = counted(overview.quarantined, "item");
        text.push_str(&format!("{items} in quarantine: meshd quarantine list\n"));
    }
    text
}

fn sum(overview: &Overview) -> String {
    let all = &overview.destinations;
    let waiting: u64 = all.iter().map(|one| one.waiting).sum();
    let octets: u64 = all.iter().map(|one| one.waiting_bytes).sum();
    format!(
        "{}, {} ({}), {} in flight\n",
        counted(all.len() as u64, "destination"),
        counted(waiting, "message"),
        size(octets),
        overview.in_flight
    )
}

fn row_of(view: &DestinationView, now: Timestamp) -> Vec<String> {
    let oldest = view.oldest_at.map(|at| span(now.since(at)));
    let last = view.state.last_trouble.as_ref();
    vec![
        view.state.domain.clone(),
        view.waiting.to_string(),
        oldest.unwrap_or_default(),
        state(view, now),
        last.map(|last| plain(&last.text)).unwrap_or_default(),
    ]
}

/// How a destination does, in a phrase.
#[must_use]
pub fn state(view: &DestinationView, now: Timestamp) -> String {
    if let Some(order) = &view.held {
        return format!("held by {}", plain(&order.by));
    }
    let flow = format!("{} of {} in flight", view.state.in_flight, view.state.limit);
    let phase = match view.state.phase {
        Phase::Idle if !view.owner.is_here() => owner(&view.owner),
        Phase::Idle if view.waiting > 0 => "to be taken up".to_owned(),
        Phase::Idle => "idle".to_owned(),
        Phase::Flowing => format!("flowing, {flow}"),
        Phase::Paused { until } => format!("asked us to wait, goes on {}", in_time(now, until)),
        Phase::Away { next_try_at } => {
            format!("away, tried again {}", in_time(now, next_try_at))
        }
        Phase::Probing => "away, being tried now".to_owned(),
    };
    match &view.routed {
        Some(StandingOrder {
            route: Some(route), ..
        }) => format!("{phase}, by way of {}", via(route)),
        _ => phase,
    }
}

/// Who works for something.
#[must_use]
pub fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Here => "this process".to_owned(),
        Owner::Nobody => "nobody at present: it is being taken over".to_owned(),
        Owner::Node { node, address } if address.is_empty() => format!("node {}", plain(node)),
        Owner::Node { node, address } => format!("node {} at {}", plain(node), plain(address)),
    }
}

fn via(route: &Route) -> String {
    format!("{}:{}", plain(&route.host), route.port)
}

/// An order in force, in a line.
#[must_use]
pub fn standing(order: &StandingOrder, now: Timestamp) -> String {
    let what = match (&order.what, &order.route) {
        (What::Route, Some(route)) => format!("by way of {}", via(route)),
        _ => "held".to_owned(),
    };
    let reason = match order.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", plain(reason)),
    };
    format!(
        "{} {what} by {}, {}{reason}",
        plain(&order.selection.to_string()),
        plain(&order.by),
        ago(now, order.since)
    )
}

fn look_at(show: &Show, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let selection = selection(&show.selected)?;
    let items_answer = link.get(&items_path(&selection, show.max))?;
    let items: Vec<Item> = read_member(&items_answer, "items")?;
    let mut result = items_answer;
    let mut text = String::new();
    if let Some(domain) = selection.whole_destination() {
        let answer = link.get(&format!("queue/destinations/{}", escaped(domain)))?;
        let view: DestinationView = read(&answer)?;
        text.push_str(&destination_page(&view, now));
        result["destination"] = answer;
        if !items.is_empty() {
            text.push('\n');
        }
    } else if items.is_empty() {
        return Err(Failure::refused(
            format!("no {} waits for another service", one(&selection)),
            "meshd explain ID says where a message is; meshd queue list, what waits",
        ));
    }
    text.push_str(&items_page(&items, now));
    if items.len() >= show.max {
        let max = show.max * 10;
        text.push_str(&format!(
            "these are the first {}; more: meshd queue show {} --max {max}\n",
            items.len(),
            typed(&selection)
        ));
    }
    Ok(Done::new("queue show", text, result))
}

fn items_path(selection: &Selection, max: usize) -> String {
    let Scope {
        destination,
        tenant,
        message,
    } = selection.scope();
    let max = max.to_string();
    let members = [
        ("destination", destination.as_deref()),
        ("tenant", tenant.as_deref()),
        ("message", message.as_deref()),
        ("max", Some(max.as_str())),
    ];
    with_query("queue/items", &members)
}

/// One destination, with what to do about it.
fn destination_page(view: &DestinationView, now: Timestamp) -> String {
    let state_of = &view.state;
    let waiting = match view.oldest_at {
        None => "nothing".to_owned(),
        Some(oldest_at) => format!(
            "{} from {}, {}, the oldest accepted {}",
            counted(view.waiting, "message"),
            counted(view.tenants, "domain"),
            size(view.waiting_bytes),
            ago(now, oldest_at)
        ),
    };
    let success = state_of.last_success_at.map(|at| ago(now, at));
    let mut known = vec![
        ("state", state(view, now)),
        ("waiting", waiting),
        ("window", window(view)),
        (
            "last success",
            success.unwrap_or_else(|| "none that is remembered".to_owned()),
        ),
    ];
    if let Some(last) = &state_of.last_trouble {
        known.push(("last trouble", trouble(now, last)));
    }
    for order in [&view.held, &view.routed].into_iter().flatten() {
        known.push(("order", standing(order, now)));
    }
    if !view.owner.is_here() {
        known.push(("owner", owner(&view.owner)));
    }
    let (domain, next) = (&state_of.domain, advice(view));
    format!("{domain}\n{}{next}", facts(&known))
}

fn window(view: &DestinationView) -> String {
    let state = &view.state;
    if !view.owner.is_here() {
        return "known to its owner alone".to_owned();
    }
    if state.limit == 0 {
        return "none yet: nothing was sent lately".to_owned();
    }
    format!("{} at once, {} in flight", state.limit, state.in_flight)
}

/// What to type next.
fn advice(view: &DestinationView) -> String {
    let domain = &view.state.domain;
    if view.held.is_some() {
        return format!("try: meshd queue resume {domain}\n");
    }
    match view.state.phase {
        Phase::Away { .. } | Phase::Paused { .. } => {
            format!("try: meshd queue retry {domain}    once you know that it is back\n")
        }
        Phase::Idle | Phase::Flowing | Phase::Probing => String::new(),
    }
}

/// Messages that wait.
fn items_page(items: &[Item], now: Timestamp) -> String {
    if items.is_empty() {
        return String::new();
    }
    let names = [
        "MESSAGE",
        "TYPE",
        "FROM",
        "TO",
        "AGE",
        "TRIES",
        "NEXT",
        "GIVEN UP",
        "LAST TROUBLE",
    ];
    let mut rows = vec![heads(&names)];
    rows.extend(items.iter().map(|item| {
        let next = item.next_try_at.map(|at| in_time(now, at));
        let next = next.unwrap_or_else(|| "held".to_owned());
        let last = item.last_trouble.as_ref();
        vec![
            plain(&item.message),
            plain(&item.message_type),
            item.sender.to_string(),
            item.recipient.to_string(),
            span(now.since(item.enqueued_at)),
            item.attempts.to_string(),
            next,
            in_time(now, item.expires_at),
            last.map(|last| plain(&last.text)).unwrap_or_default(),
        ]
    }));
    columns(&rows)
}

fn order(selection: &Selection, reason: Option<&String>) -> Ordered {
    Ordered {
        selection: selection.clone(),
        reason: reason.cloned(),
        route: None,
    }
}

fn send(link: &dyn Ask, path: &str, order: &Ordered) -> Result<Value, Failure> {
    link.post(path, &value_of(order)?)
}

fn hold(ordered: &WithReason, link: &dyn Ask) -> Result<Done, Failure> {
    let selection = selection(&ordered.selected)?;
    let answer = send(
        link,
        "queue/hold",
        &order(&selection, ordered.reason.as_ref()),
    )?;
    let text = format!(
        "{selection}: held from now on, those to come included\n\
         held messages still expire; go on with: meshd queue resume {}\n",
        typed(&selection)
    );
    Ok(Done::new("queue hold", text, answer))
}

fn resume(selected: &Selected, link: &dyn Ask) -> Result<Done, Failure> {
    let selection = selection(selected)?;
    let answer = send(link, "queue/resume", &order(&selection, None))?;
    let text = format!("{selection}: no longer held\n");
    Ok(Done::new("queue resume", text, answer))
}

fn retry(selected: &Selected, link: &dyn Ask) -> Result<Done, Failure> {
    let selection = selection(selected)?;
    let answer = send(link, "queue/retry", &order(&selection, None))?;
    let items: u64 = read_member(&answer, "items")?;
    let text = match items {
        0 => format!("no {} waits\n", one(&selection)),
        items => format!(
            "{} tried now; see what comes of it: meshd queue show {}\n",
            are(items, "message"),
            typed(&selection)
        ),
    };
    let done = Done::new("queue retry", text, answer);
    Ok(if items == 0 { done.refused() } else { done })
}

fn are(number: u64, one: &str) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(number, one))
}

fn fail(ordered: &Fail, link: &dyn Ask) -> Result<Done, Failure> {
    let selection = selection(&ordered.selected)?;
    if !ordered.yes {
        return count_to_fail(&selection, &ordered.reason, link);
    }
    let answer = send(
        link,
        "queue/fail",
        &order(&selection, Some(&ordered.reason)),
    )?;
    let items: u64 = read_member(&answer, "items")?;
    let text = match items {
        0 => format!("no {} waits\n", one(&selection)),
        items => format!("{} ended; the senders are told\n", are(items, "message")),
    };
    let done = Done::new("queue fail", text, answer);
    Ok(if items == 0 { done.refused() } else { done })
}

/// Says how many messages would be ended, and what to type to end them.
fn count_to_fail(selection: &Selection, reason: &str, link: &dyn Ask) -> Result<Done, Failure> {
    let answer = link.get(&items_path(selection, COUNTED_MAX))?;
    let items: Vec<Item> = read_member(&answer, "items")?;
    if items.is_empty() {
        let text = format!("no {} waits\n", one(selection));
        return Ok(Done::new("queue fail", text, json!({"would_fail": 0})).refused());
    }
    let more = if items.len() < COUNTED_MAX {
        ""
    } else {
        " or more"
    };
    let text = format!(
        "{}{more} would be ended as failed, and their senders told: {}\n\
         this cannot be undone; do it with: meshd queue fail {} --reason {reason:?} --yes\n",
        counted(items.len() as u64, "message"),
        plain(reason),
        typed(selection)
    );
    let result = json!({"would_fail": items.len()});
    Ok(Done::new("queue fail", text, result).refused())
}

fn reroute(ordered: &Reroute, link: &dyn Ask) -> Result<Done, Failure> {
    let selection = selection(&ordered.selected)?;
    if ordered.by_dns {
        let answer = send(link, "queue/unroute", &order(&selection, None))?;
        let text = format!("{selection}: sent where discovery says\n");
        return Ok(Done::new("queue reroute", text, answer));
    }
    let route = route(ordered.via.as_deref().unwrap_or_default())?;
    let answer = send(
        link,
        "queue/route",
        &Ordered {
            route: Some(route.clone()),
            ..order(&selection, ordered.reason.as_ref())
        },
    )?;
    let text = format!(
        "{selection}: sent by way of {} from now on\n\
         by discovery again with: meshd queue reroute {} --by-dns\n",
        via(&route),
        typed(&selection)
    );
    Ok(Done::new("queue reroute", text, answer))
}

/// `HOST:PORT`, the host perhaps an address in brackets.
fn route(text: &str) -> Result<Route, Failure> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        let is_name = !host.is_empty()
            && host
                .chars()
                .all(|letter| letter.is_alphanumeric() || "-.:".contains(letter));
        is_name.then(|| Route {
            host: host.to_owned(),
            port,
        })
    });
    parts.ok_or_else(|| {
        Failure::not_asked(
            format!("{text:?} is not a host and a port"),
            "write it as relay.example.org:443 or [2001:db8::1]:443",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_host_and_a_port() {
        let of = |text: &str| route(text).map(|route| (route.host, route.port));
        assert_eq!(of("a.example:443"), Ok(("a.example".to_owned(), 443)));
        assert_eq!(of("[::1]:8443"), Ok(("::1".to_owned(), 8443)));
        for text in ["", "a.example", "a.example:0", ":443", "a b:1", "a:x"] {
            assert_eq!(of(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_selection_is_typed_as_it_was() {
        let selected = Selected {
            destination: Some("Example.NET".to_owned()),
            tenant: Some("example.com".to_owned()),
            message: None,
        };
        let selection = selection(&selected).unwrap();
        assert_eq!(typed(&selection), "example.net --tenant example.com");
    }
}
