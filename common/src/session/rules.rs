//! Which transaction may be asked for how, as far as that needs no state (service §4.8, decisions
//! ), and for which account. Whether a device is an administrator or the bootstrap
//! device is for the account to say.

use super::caller::{Caller, Mode, Via};
use super::connection::connection_account;
use super::credential::Authenticated;
use crate::address::AccountAddress;
use crate::error::ServiceError;
use crate::protocol::{Code, Request, Transaction};

/// Whether a sender of this mode may ask for `transaction` in this way.
///
/// # Errors
/// 401/2 for the wrong mode, 401/109 for the wrong way; to be sent sealed.
pub fn check_mode(caller: &Caller, transaction: Transaction) -> Result<(), ServiceError> {
    let by_ticket = caller.via == Via::Ticket;
    let mode_allows = match (transaction, caller.mode) {
        (_, Mode::Interop) | (Transaction::Hello | Transaction::Post, _) => true,
        (_, Mode::Service) => false,
        (Transaction::Connect | Transaction::Complete, mode) => mode == Mode::Device,
        (_, Mode::Device | Mode::Profile) => true,
    };
    if !mode_allows {
        return Err(not_authorized(
            "this transaction cannot be asked for in this mode",
        ));
    }
    match transaction {
        // A ticket request has no credential, hence no Proof (decision Q-47).
        Transaction::CreateAccount if by_ticket => {
            return Err(wrong_way("an account is created by an exchange"));
        }
        // A stolen service key must not be enough (service §4.9).
        Transaction::DeleteAccount if caller.via == Via::Exchange => {
            return Err(wrong_way("an account is deleted by a ticket"));
        }
        _ => {}
    }
    // A CreateAccount names its account itself, and what it names is refused by that name.
    let needs_account = !matches!(
        transaction,
        Transaction::Hello | Transaction::Connect | Transaction::CreateAccount
    );
    if needs_account
        && caller.account.is_none()
        && matches!(caller.mode, Mode::Device | Mode::Profile)
    {
        return Err(not_authorized("the session is bound to no account"));
    }
    Ok(())
}

/// The account a request is for: check 7 (service §4.4). The session's and the request's must agree
/// where both are given.
///
/// # Errors
/// 401/2 if they differ (decision Q-25), 422/117 for a CreateAccount or a Connect of something that
/// is no address, 400/100 for a Connect without a message; to be sent sealed.
pub fn account_for(
    authenticated: &Authenticated,
    request: &Request,
) -> Result<Option<AccountAddress>, ServiceError> {
    let session = authenticated.caller.account.as_ref();
    let asked = asked_for(request, session)?;
    if !authenticated.account_is_readable {
        return Err(mismatch());
    }
    match (session, asked) {
        (Some(session), Some(asked)) if session != &asked => Err(mismatch()),
        // As the request writes it: that is how a new account is called.
        (Some(_), Some(asked)) => Ok(Some(asked)),
        (Some(session), None) => Ok(Some(session.clone())),
        (None, asked) => Ok(asked),
    }
}

/// The account the request names, wherever its class does that. Nearly always it is written as in
/// the `session`, and need not be read again.
fn asked_for(
    request: &Request,
    session: Option<&AccountAddress>,
) -> Result<Option<AccountAddress>, ServiceError> {
    if let Request::Connect(request) = request {
        return connection_account(request).map(Some);
    }
    let named = request.account();
    if let Some(session) = session
        && named == Some(session.as_written())
    {
        return Ok(Some(session.clone()));
    }
    let creates = request.transaction() == Transaction::CreateAccount;
    match named.map(AccountAddress::parse).transpose() {
        Ok(asked) => Ok(asked),
        Err(error) if creates => Err(ServiceError::new(Code::InvalidName, error.to_string())),
        Err(_) => Err(mismatch()),
    }
}

fn mismatch() -> ServiceError {
    not_authorized("the request is for another account than the session")
}

fn not_authorized(message: &str) -> ServiceError {
    ServiceError::new(Code::NotAuthorized, message)
}

fn wrong_way(message: &str) -> ServiceError {
    ServiceError::new(Code::TicketRequired, message)
}
