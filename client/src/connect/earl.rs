//! Devices that wait at a hailing account for whoever scans what is printed on them (service §6.5,
//! X-44, decision Q-49).
//!
//! ```text
//!  maker                    hailing account         device           administrator
//!  prepare ──publication──▶ mmm_Publication                          ◀──scans─ udf://maker/EA…
//!    └───────────keys, request─────────────────────▶ Connect  GET ◀── fetch, open, check
//!                           pending ◀───────────────────┘            entry, own Device catalog
//!                           Local ◀──────────RespondConnection────── Post
//!                             └──────Complete──────▶ activation
//! ```

use std::path::Path;

use mesh_common::assertion::make::DeviceKeys;
use mesh_common::dare::{ContainerName, Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::message::{
    ConnectionAnswer, ConnectionRequest, Earl, Nonce, Proved, response_id_2020,
};
use mesh_common::protocol::{PostRequest, Request};
use mesh_common::udf;

use super::answer::outrun;
use super::kept::{Kept, Proof};
use super::{Answered, ConnectError, Terms};
use crate::catalogs::name_of;
use crate::changes::{Change, Decisions};
use crate::client::Client;
use crate::error::ClientError;
use crate::limits::REBASES_MAX;

/// Where publications are fetched from, followed by their content identifier.
const WELL_KNOWN_UDF: &str = "/.well-known/mmm-udf/";

/// A device that was prepared: what is to be printed on it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The EARL.
    pub earl: Earl,
    /// UDF of the device.
    pub device_udf: String,
}

impl Client {
    /// Prepares the device whose folder is `folder`, which is not set up yet: draws its keys, publishes
    /// its request from this account, which is a hailing account, and gives what to print on it.
    ///
    /// # Errors
    /// [`ClientError::AccountExists`] if the device has one; [`ConnectError::OtherAsked`] if it was
    /// prepared before; what keeps the service from publishing.
    pub async fn prepare_device(
        &mut self,
        folder: &Path,
        description: Option<String>,
    ) -> Result<Prepared, ClientError> {
        let mut product = Self::builder(folder)
            .passphrase(self.passphrase.clone())
            .cost(self.cost)
            .open()?;
        if let Some(state) = product.state() {
            return Err(ClientError::AccountExists {
                address: state.address.clone(),
            });
        }
        if let Some(kept) = &product.request {
            return Err(ConnectError::OtherAsked {
                address: kept.address.clone(),
            }
            .into());
        }
        let (earl, kept) = self.product(description)?;
        let device_udf = kept.keys.signature.udf().to_string();
        let publication = earl.seal(&kept.request, self.entropy.as_mut());
        let change = Change {
            unique_id: earl.content_id().to_string(),
            content: Some(Envelope::signed(
                json::write(&publication),
                Header::default(),
                &[&self.device()?.identity.in_account.signature],
            )),
        };
        // The device first: a publication whose device was lost is of no use to anybody.
        product.keep_request(kept)?;
        let publications = name_of(ContainerName::PUBLICATION);
        // A container of no kind is known by having been noted, not by its file.
        let synced = self.synced(&publications);
        self.set_synced(&publications, synced)?;
        self.save_state()?;
        self.change(&publications, vec![change])?;
        Box::pin(self.synchronize(&Decisions::default())).await?;
        Ok(Prepared { earl, device_udf })
    }

    /// The keys of a new device and its request to this account.
    fn product(&mut self, description: Option<String>) -> Result<(Earl, Kept), ClientError> {
        let entropy = self.entropy.as_mut();
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let state = &device.state;
        let earl = Earl::draw(state.address.domain(), entropy);
        let keys = DeviceKeys::generate(entropy);
        let profile_device = keys.profile(description);
        let nonce = Nonce::draw(entropy);
        let signer = keys.signature.public();
        let proof = earl
            .pin()
            .request_udf(&state.address, nonce.as_slice(), signer);
        let request = ConnectionRequest::make(
            &state.address,
            &profile_device,
            &keys.authentication,
            &udf::nonce(entropy),
            &nonce,
            Some(proof),
        );
        let kept = Kept {
            address: state.address.clone(),
            service_url: state.service_url.clone(),
            authorities: state.authorities.clone(),
            service: state.service.clone().ok_or(ClientError::NoAccount)?,
            keys,
            profile_device,
            request,
            proof: Proof::Earl(earl.clone()),
            acknowledged: None,
        };
        Ok((earl, kept))
    }

    /// Takes the device on which `earl` is printed into this account: fetches its request, checks that
    /// it was made by who printed the EARL, uploads its entry, and sends the answer to the hailing
    /// account. `service_url` is where its domain publishes, if not where its name says.
    ///
    /// # Errors
    /// [`ConnectError::NotAdministrator`], [`ConnectError::NotPublished`], [`ConnectError::Earl`],
    /// [`ConnectError::Published`], [`ConnectError::PublishedByOther`]; what keeps either service from
    /// doing its part.
    pub async fn accept_earl(
        &mut self,
        earl: &Earl,
        service_url: Option<&str>,
        terms: &Terms,
    ) -> Result<Answered, ClientError> {
        self.check_administrator()?;
        let envelope = self.fetch_publication(earl, service_url).await?;
        let request =
            ConnectionRequest::verify(&envelope, false).map_err(ConnectError::Published)?;
        let pin = earl.pin();
        let proved = Proved::published(&request);
        let proof = request.request.pin_udf.as_deref();
        if !proof.is_some_and(|proof| proved.is_asked_with(&pin, proof)) {
            return Err(ConnectError::PublishedByOther.into());
        }
        self.place_published(&request, terms).await?;
        self.answer_published(&request, earl, terms).await
    }

    async fn fetch_publication(
        &mut self,
        earl: &Earl,
        service_url: Option<&str>,
    ) -> Result<Envelope, ClientError> {
        let state = self.state().ok_or(ClientError::NoAccount)?;
        let url = match service_url {
            Some(url) => url.to_owned(),
            None if state.address.domain() == earl.domain() => state.service_url.clone(),
            None => format!("https://{}", earl.domain()),
        };
        let path = format!("{WELL_KNOWN_UDF}{}", earl.content_id());
        let reply = self.way()?.get(&url, &path).await?;
        let refusal = || ConnectError::NotPublished {
            domain: earl.domain().to_owned(),
            http_status: reply.http_status,
        };
        if !(200..300).contains(&reply.http_status) {
            return Err(refusal().into());
        }
        let publication: Envelope = json::parse(&reply.body).map_err(|_| refusal())?;
        Ok(earl.open(&publication).map_err(ConnectError::Earl)?)
    }

    /// The device's entry in this account, if it is not there yet.
    async fn place_published(
        &mut self,
        request: &ConnectionRequest,
        terms: &Terms,
    ) -> Result<(), ClientError> {
        let device_udf = request.profile.udf().to_string();
        let enveloped = request.request.enveloped_profile_device.clone();
        let enveloped = enveloped.ok_or(ConnectError::Incomplete { what: "profile" })?;
        for _ in 0..=REBASES_MAX {
            Box::pin(self.synchronize(&Decisions::default())).await?;
            if self.device_is_live(&device_udf)? {
                return Ok(());
            }
            let entry = self.entry_for(&request.profile, &enveloped, terms)?;
            if self
                .place_entry(&device_udf, &entry, terms, Vec::new())
                .await?
            {
                return Ok(());
            }
        }
        Err(outrun())
    }

    /// The answer, to the hailing account.
    async fn answer_published(
        &mut self,
        request: &ConnectionRequest,
        earl: &Earl,
        terms: &Terms,
    ) -> Result<Answered, ClientError> {
        let device_udf = request.profile.udf().to_string();
        let entry = self.entry_of(&device_udf)?;
        let entry = self.with_mesh(entry.ok_or(ConnectError::Incomplete { what: "entry" })?)?;
        let owner = self.owner()?;
        let device = self.device()?;
        let published = request.request.message_id.as_deref();
        let published = published.ok_or(ConnectError::Incomplete { what: "identifier" })?;
        let response_id = response_id_2020(published);
        let witness = Proved::published(request).witness(&earl.pin(), &device.identity.mesh);
        let parties = (&device.state.address, &request.account);
        let mut answer = ConnectionAnswer::make(
            response_id.as_str(),
            Some(entry),
            Some(witness),
            Some(parties),
            &owner.mesh.online,
        );
        self.sign_accredited(&mut answer)?;
        let post = PostRequest {
            accounts: vec![request.account.canonical().to_owned()],
            messages: vec![answer],
            ..PostRequest::default()
        };
        self.call(Request::Post(post)).await?;
        Ok(Answered {
            id: published.to_owned(),
            device_udf,
            device: request.profile.description.clone(),
            accepted: true,
            administrator: terms.administrator,
            witness: None,
        })
    }
}
