//! Requests nobody authenticated: Hello, and in interop mode everything (decisions ).

use mesh_common::address::AccountAddress;
use mesh_common::cluster::AccountRequest;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::draw;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{Code, Request, Response, Transaction};
use mesh_common::session::{BareRequest, Caller, Mode, RequestId, Via, connection_account};
use mesh_common::udf::Udf;

use super::{Arrival, Edge, Told, still_stale};
use crate::body;
use crate::respond::Reply;

impl Edge {
    /// A request nobody authenticated: Hello, or anything in interop mode. `enveloped` is answered in
    /// an envelope (decision Q-37).
    pub(super) async fn answer_bare(
        &self,
        bare: &BareRequest,
        arrival: Arrival<'_>,
        named_account: Option<&str>,
        enveloped: bool,
    ) -> Told {
        let response = match self.bare_response(bare, arrival, named_account).await {
            Ok(response) => response,
            Err(error) => return self.told_refusal(bare.transaction, error),
        };
        let outcome = response.outcome().clone();
        let reply = if enveloped {
            let envelope = Envelope::plain(json::write(&response));
            Reply::sealed(&envelope, &outcome, self.mirror_status)
        } else {
            Reply::bare(&response, self.mirror_status)
        };
        Told {
            reply,
            outcome,
            transaction: bare.transaction,
            account: None,
            context: None,
        }
    }

    async fn bare_response(
        &self,
        bare: &BareRequest,
        arrival: Arrival<'_>,
        named_account: Option<&str>,
    ) -> Result<Response, ServiceError> {
        if bare.transaction == Some(Transaction::Hello) {
            body::check_hello(&bare.text)?;
            let request = bare.request()?;
            return Ok(with_id(self.hello(arrival), &request));
        }
        if bare.transaction.is_some() && !self.interop {
            return Err(ServiceError::new(
                Code::AuthenticationRequired,
                "only Hello may come unauthenticated",
            ));
        }
        let request = bare.request()?;
        self.interop_response(request, &bare.text, arrival, named_account)
            .await
    }

    /// Interop mode: the account comes from the request or the test header, the caller is believed
    /// (decision Q-39). Only on loopback, only when switched on.
    async fn interop_response(
        &self,
        request: Request,
        text: &[u8],
        arrival: Arrival<'_>,
        named_account: Option<&str>,
    ) -> Result<Response, ServiceError> {
        let account = interop_account(&request, named_account)?;
        let caller = Caller {
            mode: Mode::Interop,
            via: Via::Bare,
            account: Some(account.clone()),
            profile_udf: None,
            key_udf: interop_key(&account),
            credential_digest: [0; 32],
            domain: None,
        };
        self.check_name(&request, &account)?;
        let (request, evidence) = self
            .evidence(request, &account, None, arrival.deadline)
            .await?;
        let call = Box::new(AccountRequest {
            account,
            caller,
            request_id: RequestId(draw(&mut *(self.entropy)())),
            request_digest: sha512(&[text]),
            received_at: arrival.now,
            deadline: arrival.deadline,
            request,
            evidence,
        });
        match self.perform(call).await {
            Ok(answer) => Ok(answer.response),
            Err(failure) => Err(failure.into_refusal().unwrap_or_else(still_stale)),
        }
    }
}

/// The account of such a request: as it names it, or as the test header does.
fn interop_account(
    request: &Request,
    header: Option<&str>,
) -> Result<AccountAddress, ServiceError> {
    if let Request::Connect(request) = request {
        return connection_account(request);
    }
    let named = request
        .account()
        .or(header)
        .ok_or_else(|| ServiceError::new(Code::Malformed, "the request names no account"))?;
    AccountAddress::parse(named)
        .map_err(|error| ServiceError::new(Code::InvalidName, error.to_string()))
}

/// A bare response echoes the request's ID as well (decision Q-38).
fn with_id(mut response: Response, request: &Request) -> Response {
    response.outcome_mut().id = request.id().map(Into::into);
    response
}

/// What the replay table knows an interop caller by: nothing of its own, so the account's address.
fn interop_key(account: &AccountAddress) -> Udf {
    Udf::present(
        &sha512(&[b"interop caller", account.canonical().as_bytes()]),
        140,
    )
}
