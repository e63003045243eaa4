//! Waiting until the account differs at the service from what is here: a Status that the service holds
//! back until there is news (architecture A-14, design note 0004).

use std::time::Duration;

use mesh_common::crypto::digest::sha512;
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{
    ContainerStatus, KnownState, Request, Response, StatusRequest, StatusResponse,
};

use crate::client::Client;
use crate::error::ClientError;
use crate::service::ServiceFailure;
use crate::transport::Preference;

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The account is not as it is here any more: synchronize.
    Some,
    /// The time is over, and nothing has changed.
    None,
    /// Nothing has changed, and the service did not wait: it cannot, or not now. Ask again after a
    /// pause.
    NoneYet,
}

/// The last answer that told nothing we could act on: from then on it is no news any more.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// What was here when it came.
    here: KnownState,
    /// What it said.
    state: KnownState,
    /// Digest of the profile it showed.
    profile: Option<Binary>,
}

impl Client {
    /// Waits at most `time` for something to change at the service that is not here. To be called
    /// behind a synchronization; what waits here to be uploaded does not count.
    ///
    /// ```text
    ///  loop { sync(None).await?; while wait_for_news(minute).await? == News::None {} }
    /// ```
    ///
    /// # Errors
    /// The service cannot be reached or refuses, as when this device was removed.
    pub async fn wait_for_news(&mut self, time: Duration) -> Result<News, ClientError> {
        let here = self.here()?;
        self.wait_for_other_than(here, time).await
    }

    /// [`Self::wait_for_news`], for something else than `here`.
    pub(crate) async fn wait_for_other_than(
        &mut self,
        here: KnownState,
        time: Duration,
    ) -> Result<News, ClientError> {
        let told = self.told.clone().filter(|told| told.here == here);
        let known = told.as_ref().map_or(here, |told| told.state);
        let shown = told.and_then(|told| told.profile);
        let account = self.account_name()?;
        let own = &self.device()?.state.profile_mesh;
        let profile = shown.unwrap_or_else(|| digest_of(own.payload.as_slice()));
        let request = Request::Status(StatusRequest {
            account: Some(account),
            profile_master_digest: Some(profile),
            ..StatusRequest::default()
        });
        let (response, has_waited) = self
            .call_preferring(request, Preference { time, known })
            .await?;
        let Response::Status(status) = response else {
            return Err(ServiceFailure::other_class(&response).into());
        };
        let is_here = KnownState::of(status.container_status.iter()) == here;
        let is_known = status.known_state() == known && status.enveloped_profile_master.is_none();
        self.told = Some(told_by(here, &status));
        Ok(match (is_here && is_known, has_waited) {
            (false, _) => News::Some,
            (true, true) => News::None,
            (true, false) => News::NoneYet,
        })
    }

    /// The state of the account as far as it is here.
    pub(crate) fn here(&mut self) -> Result<KnownState, ClientError> {
        let mut rows = Vec::new();
        for name in self.containers()? {
            let count = self.synced(&name);
            let apex = self.replica(&name)?.apex_at(count);
            rows.push(ContainerStatus {
                container: Some(name.canonical().to_owned()),
                index: Some(count),
                digest: apex.map(Binary::from),
            });
        }
        Ok(KnownState::of(&rows))
    }
}

fn told_by(here: KnownState, status: &StatusResponse) -> Told {
    let profile = status.enveloped_profile_master.as_ref();
    Told {
        here,
        state: status.known_state(),
        profile: profile.map(|profile| digest_of(profile.payload.as_slice())),
    }
}

fn digest_of(payload: &[u8]) -> Binary {
    Binary::from(sha512(&[payload]))
}
