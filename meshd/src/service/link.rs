//! The internal link of this process: how it is secured, and how it nudges others.

use std::sync::Arc;

use mesh_backend::cluster::Neighbours;
use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{AccountRequest, Answer, Nudge, PassFailure, Verified, Watch};
use mesh_link::trace::Traces;
use mesh_link::{
    ClusterName, LinkConnector, LinkFailure, LinkFiles, LinkSecurity, LinkTls, LinkTlsError, Nudges,
};

use super::error::StartError;
use crate::config::MeshdConfig;
use crate::propagation;

/// What both ends are secured by, and links to others.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) security: LinkSecurity,
    pub(super) connector: LinkConnector,
    pub(super) traces: Traces,
}

impl Link {
    /// Reads the certificates. To be called inside a tokio runtime.
    pub(super) fn prepare(config: &MeshdConfig) -> Result<Self, StartError> {
        let settings = &config.cluster;
        let security = match &settings.tls {
            None => LinkSecurity::PlainOnLoopback,
            Some(files) => {
                let files = LinkFiles {
                    authorities: files.authority.clone(),
                    certificate: files.certificate.clone(),
                    key: files.key.clone(),
                };
                let name: ClusterName = settings.name.parse()?;
                LinkSecurity::Mutual(Arc::new(LinkTls::from_files(name, files)?))
            }
        };
        let traces = propagation::traces(&config.telemetry);
        let connector = LinkConnector::new(
            security.clone(),
            Arc::new(SystemClock),
            traces.clone(),
            &mut SystemEntropy,
        );
        Ok(Self {
            security,
            connector,
            traces,
        })
    }

    /// Reads the certificates again. On an error the present ones stay in use.
    pub(super) fn reload(&self) -> Result<(), LinkTlsError> {
        match &self.security {
            LinkSecurity::Mutual(tls) => tls.reload(),
            LinkSecurity::PlainOnLoopback => Ok(()),
        }
    }

    /// The way by which this node reaches others.
    pub(super) fn neighbours(&self) -> Arc<dyn Neighbours> {
        Arc::new(OverLinks(Nudges::new(self.connector.clone())))
    }
}

/// Nudges, and what is passed on or watched for front-ends, over links.
struct OverLinks(Nudges);

impl Neighbours for OverLinks {
    fn nudge(&self, address: &str, nudge: Nudge) {
        self.0.nudge(address, nudge);
    }

    fn pass_on<'a>(
        &'a self,
        address: &'a str,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>> {
        Box::pin(async move {
            let answer = self.0.pass_on(address, request).await;
            answer.map_err(LinkFailure::into_pass_failure)
        })
    }

    fn watch<'a>(
        &'a self,
        address: &'a str,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.0.watch(address, account))
    }
}
