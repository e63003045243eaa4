//! Further devices of one person, connected in three ways: both screens are compared, a PIN is typed,
//! a code on the device is scanned. One of them is removed again.

use std::time::Duration;

use mesh_client::Client;
use mesh_client::changes::Decisions;
use mesh_client::connect::{NewRequest, Terms};
use mesh_client::entries::EntryKind;

use super::DemoError;
use super::checks::{agreed, check};
use super::people::{ALICE, until};
use super::stage::{Site, address_of};
use super::transcript::Transcript;

/// Who makes and sells devices. Its name is that of the domain's hailing account.
const MAKER: &str = "devices@north.test";
/// How long a PIN is good.
const PIN_LIFE: Duration = Duration::from_secs(600);

/// Alice connects a phone, a tablet and a watch, and loses the phone.
pub(super) async fn play(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    let mut phone = by_witness(site, alice, transcript).await?;
    by_pin(site, alice, transcript).await?;
    by_earl(site, alice, transcript).await?;
    remove(alice, &mut phone, transcript).await
}

/// The users compare what both screens show (service §6.2).
async fn by_witness(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    transcript.step("a phone asks to be connected, and both screens show the same witness");
    let mut phone = site.device("phone")?;
    let asked = phone
        .request_connection(Some(&request(site, "phone")?))
        .await?;
    let shown = asked.witness.unwrap_or_default();
    transcript.show("the phone", &shown);
    alice.exchange(&Decisions::default()).await?;
    let requests = alice.connection_requests()?.requests;
    let there = requests.first().map(|one| one.witness.clone());
    let there = there.unwrap_or_default();
    transcript.show("the laptop", &there);
    check(!shown.is_empty() && shown == there, || {
        "the witnesses differ".into()
    })?;
    alice.accept_connection(&there, &Terms::default()).await?;
    connected(alice, &mut phone, transcript).await?;
    Ok(phone)
}

/// Whoever types the PIN is let in, and the device knows that its answer comes from who made it
/// (service §6.4).
async fn by_pin(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("a tablet is connected with a PIN");
    let made = alice.make_pin(PIN_LIFE, &Terms::default()).await?;
    transcript.show("the PIN", made.uri.reveal().as_str());
    let mut tablet = site.device("tablet")?;
    let new = NewRequest {
        pin: Some(made.uri.pin),
        ..request(site, "tablet")?
    };
    tablet.request_connection(Some(&new)).await?;
    // Nobody is asked: the device that synchronizes finds request and PIN, and answers.
    alice.exchange(&Decisions::default()).await?;
    connected(alice, &mut tablet, transcript).await
}

/// The device was made with keys, and waits at its maker's account (service §6.5).
async fn by_earl(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("a watch is bought, and connected by the code printed on it");
    let mut maker = site.device("maker")?;
    maker
        .create_account(&site.new_account(MAKER, "the maker's desk")?)
        .await?;
    let prepared = maker
        .prepare_device(&site.folder.join("watch"), Some("watch".into()))
        .await?;
    transcript.show("printed on it", prepared.earl.reveal().as_str());
    let mut watch = site.device("watch")?;
    watch.request_connection(None).await?;
    alice
        .accept_earl(&prepared.earl, Some(&site.url()), &Terms::default())
        .await?;
    connected(alice, &mut watch, transcript).await
}

/// What was removed is refused, with whatever it holds.
async fn remove(
    alice: &mut Client,
    phone: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("the phone is lost, and removed");
    alice.remove_device("phone").await?;
    let Err(refusal) = phone.account_status().await else {
        return Err(DemoError::Wrong("a removed device is answered".into()));
    };
    transcript.show("the phone", &refusal);
    let names: Vec<String> = alice
        .devices()?
        .into_iter()
        .filter_map(|device| device.device)
        .collect();
    transcript.show("left", names.join(", "));
    check(!names.iter().any(|name| name == "phone"), || {
        "the phone is still there".into()
    })?;
    transcript.held("its ticket, good a moment ago, is refused on the very next request");
    transcript.done();
    Ok(())
}

fn request(site: &Site, device: &str) -> Result<NewRequest, DemoError> {
    Ok(NewRequest {
        service_url: Some(site.url()),
        authorities: site.authorities()?,
        device: Some(device.to_owned()),
        ..NewRequest::to(address_of(ALICE)?)
    })
}

/// A device that was accepted gets its answer, and all of the account's catalogs with its own keys.
async fn connected(
    alice: &mut Client,
    device: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    let facts = device.wait_for_connection().await?;
    transcript.show(
        "connected",
        format!("{} to {}", facts.device_udf, facts.address),
    );
    until(device, "the account's state", |device| {
        Ok(device.devices()?.iter().any(|one| one.this).then_some(()))
    })
    .await?;
    agreed(&device.account_status().await?)?;
    let mut entries = 0;
    for kind in EntryKind::ALL {
        let (here, there) = (alice.list(kind)?.entries, device.list(kind)?.entries);
        check(here == there, || {
            format!("the {} entries differ", kind.word())
        })?;
        entries += here.len();
    }
    transcript.held(format!(
        "it reads all {entries} entries with keys of its own"
    ));
    transcript.done();
    Ok(())
}
