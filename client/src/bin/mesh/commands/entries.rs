//! `add`, `get`, `list`, `update`, `delete`, the same for all seven kinds of entries.

use mesh_client::Client;
use mesh_client::catalogs::{EntryPlace, Listed};
use mesh_client::entries::{Secrets, Summary, to_json};
use serde_json::{Value, json};

use super::open;
use crate::args::{Add, Global, List, Select, Update, Verb};
use crate::failure::Failure;
use crate::fields::Members;
use crate::input;
use crate::output::{Done, columns, counted, plain};

pub(super) fn run<F: Members>(global: &Global, verb: Verb<F>) -> Result<Done, Failure> {
    match verb {
        Verb::Add(add) => self::add(global, &add),
        Verb::Get(select) => get::<F>(global, &select),
        Verb::List(list) => self::list::<F>(global, &list),
        Verb::Update(update) => self::update(global, &update),
        Verb::Delete(select) => delete::<F>(global, &select),
    }
}

fn add<F: Members>(global: &Global, add: &Add<F>) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let secret = add
        .fields
        .secret()
        .map(|fields| input::secret(fields, F::ASKS_FOR_SECRET))
        .transpose()?
        .flatten();
    let mut entry = F::fresh(client.new_key());
    add.fields
        .apply(Some(&add.subject), secret.as_ref(), &mut entry)?;
    let place = client.add(&entry)?;
    changed::<F>(&mut client, "added", &place)
}

fn get<F: Members>(global: &Global, select: &Select) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let listed = client.find(F::KIND, &select.entry)?;
    let secrets = secrets(select.show_secrets);
    let summary = listed.summary(secrets);
    let mut rows = vec![vec!["  id".to_owned(), plain(&listed.id)]];
    rows.extend(
        summary
            .details
            .iter()
            .map(|(label, text)| vec![format!("  {label}"), plain(text)]),
    );
    if let Some(original) = listed.entry.original() {
        rows.push(vec!["  imported from".to_owned(), plain(&original.source)]);
    }
    let text = format!("{}\n{}", plain(&summary.title), columns(&rows));
    Ok(Done::new(text, &shown(&listed, &summary, secrets)))
}

fn list<F: Members>(global: &Global, list: &List) -> Result<Done, Failure> {
    list_in::<F>(&mut open(global)?, list)
}

/// Lists the entries of a device that is open.
pub(super) fn list_in<F: Members>(client: &mut Client, list: &List) -> Result<Done, Failure> {
    let secrets = secrets(list.show_secrets);
    let listing = client.list(F::KIND)?;
    let mut found: Vec<(Listed, Summary)> = listing
        .entries
        .into_iter()
        .map(|listed| {
            let summary = listed.summary(secrets);
            (listed, summary)
        })
        .filter(|(listed, summary)| {
            list.find.as_deref().is_none_or(|text| {
                summary.mentions(text) || listed.id.to_lowercase().contains(&text.to_lowercase())
            })
        })
        .collect();
    // By title, as a person looks for them; ids are chance for some kinds.
    found.sort_by_cached_key(|(listed, summary)| (summary.title.to_lowercase(), listed.id.clone()));
    let mut rows = vec![vec![
        "TITLE".to_owned(),
        "ID".to_owned(),
        "DETAILS".to_owned(),
    ]];
    rows.extend(found.iter().map(|(listed, summary)| {
        let details: Vec<_> = summary
            .details
            .iter()
            .map(|(label, text)| format!("{label} {}", plain(text)))
            .collect();
        vec![plain(&summary.title), plain(&listed.id), details.join(", ")]
    }));
    let mut text = if found.is_empty() {
        String::new()
    } else {
        columns(&rows)
    };
    text.push_str(&format!(
        "{}\n",
        counted(found.len() as u64, F::KIND.word())
    ));
    for (id, reason) in &listing.unreadable {
        text.push_str(&format!("cannot be read: {} ({reason})\n", plain(id)));
    }
    let entries: Vec<Value> = found
        .iter()
        .map(|(listed, summary)| shown(listed, summary, secrets))
        .collect();
    let unreadable: Vec<Value> = listing
        .unreadable
        .iter()
        .map(|(id, reason)| json!({"id": id, "reason": reason}))
        .collect();
    Ok(Done::new(
        text,
        &json!({"entries": entries, "unreadable": unreadable}),
    ))
}

fn update<F: Members>(global: &Global, update: &Update<F>) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let Listed { id, mut entry, .. } = client.find(F::KIND, &update.entry)?;
    let secret = update
        .fields
        .secret()
        .map(|fields| input::secret(fields, false))
        .transpose()?
        .flatten();
    let before = entry.clone();
    update
        .fields
        .apply(update.subject.as_deref(), secret.as_ref(), &mut entry)?;
    if entry == before {
        return Err(Failure::usage("nothing was named that would change")
            .with_advice(format!("mesh {} update --help", F::KIND)));
    }
    let place = client.replace(&id, &entry)?;
    changed::<F>(&mut client, "updated", &place)
}

fn delete<F: Members>(global: &Global, select: &Select) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let place = client.delete(F::KIND, &select.entry)?;
    changed::<F>(&mut client, "deleted", &place)
}

/// Says what was changed, and that it waits.
fn changed<F: Members>(
    client: &mut Client,
    verb: &str,
    place: &EntryPlace,
) -> Result<Done, Failure> {
    let mut waiting = 0;
    for name in client.containers()? {
        waiting += client.waiting(&name)?;
    }
    let text = format!(
        "{verb} {} {}\n  id {}\n\n{} for `mesh sync`\n",
        F::KIND,
        plain(&place.title),
        plain(&place.id),
        match waiting {
            1 => "1 change waits".to_owned(),
            number => format!("{number} changes wait"),
        }
    );
    Ok(Done::new(
        text,
        &json!({"entry": place, "changes_waiting": waiting}),
    ))
}

/// An entry for programs.
fn shown(listed: &Listed, summary: &Summary, secrets: Secrets) -> Value {
    json!({
        "id": listed.id,
        "title": summary.title,
        "index": listed.index,
        "waiting": listed.waits,
        "type": listed.entry.tag(),
        "entry": to_json(&listed.entry, secrets),
    })
}

const fn secrets(show: bool) -> Secrets {
    if show { Secrets::Show } else { Secrets::Hide }
}
