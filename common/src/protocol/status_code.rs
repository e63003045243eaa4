//! The one table of status codes: what a refusal is called, and the Mesh status, the extended
//! status and the HTTP code that it has (service §2.3 and §3, X-11 and X-15).

/// Every outcome a transaction can have.
///
/// A new code needs a caller who would act differently because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Done.
    Ok,
    /// Accepted, and not done yet: a message for an account whose home is away (decision Q-5).
    Accepted,
    /// The account moved for good: ask there.
    RedirectPermanent,
    /// The account is elsewhere for now: ask there this time.
    RedirectTemporary,
    /// Not decided yet: ask again later.
    Pending,
    /// The request cannot be read, or contradicts itself. Fix the client.
    Malformed,
    /// The envelope's encoding is not supported. Fix the client.
    Encoding,
    /// The container name is not acceptable. Fix the client.
    UnknownStore,
    /// Only Hello may come unauthenticated. Authenticate and ask again.
    AuthenticationRequired,
    /// Cipher text, signature or credential is not valid.
    AuthenticationFailed,
    /// The ticket is unknown, expired or of another service: make a new exchange.
    TicketInvalid,
    /// The host key is not ours: repeat Hello.
    HostKeyUnknown,
    /// The request's time is outside the window: correct the clock from `Date` and repeat.
    ClockSkew,
    /// The RequestID was used for another request.
    Replay,
    /// This transaction needs a ticket, or must not have one: use the other way.
    TicketRequired,
    /// Authenticated, but not permitted.
    NotAuthorized,
    /// Needs an administrator's device.
    NotAdministrator,
    /// The device's entry was deleted.
    DeviceRevoked,
    /// Policy says no.
    Refused,
    /// No such account, request or object, or none the caller may learn of.
    NotFound,
    /// HTTP only: another method than POST.
    MethodNotAllowed,
    /// The time for the transaction is over.
    Timeout,
    /// The name belongs to another profile.
    AccountRegistered,
    /// The container moved on since the caller looked: download, resolve, repeat.
    Conflict,
    /// A message id was used again with other content.
    IdReused,
    /// What was asked for has expired.
    Expired,
    /// A bound of [`crate::limits`] was met.
    TooLarge,
    /// HTTP only: the type of the body is not supported.
    UnsupportedMediaType,
    /// HTTP only: the Host is not served here.
    Misdirected,
    /// A signature or digest of the content does not verify.
    InvalidSignature,
    /// A profile of the content is not acceptable.
    InvalidProfile,
    /// The account name is not acceptable.
    InvalidName,
    /// Too often: wait as long as `Retry-After` says.
    RateLimited,
    /// HTTP only: the headers are too large.
    HeadersTooLarge,
    /// Our mistake. Report the request id.
    Internal,
    /// No such transaction here.
    UnknownOperation,
    /// Too much at once, or a part is away: try again.
    Overload,
    /// Too much waits for another service, or from this domain: wait as long as `Retry-After` says.
    QueueFull,
    /// The account's space is used up.
    QuotaExceeded,
}

/// `(Code, Status, StatusExtended, HTTP)`, the whole table.
pub const TABLE: &[(Code, u16, Option<u16>, u16)] = &[
    (Code::Ok, 201, None, 201),
    (Code::Accepted, 202, None, 202),
    (Code::RedirectPermanent, 303, Some(7), 200),
    (Code::RedirectTemporary, 307, Some(7), 200),
    (Code::Pending, 350, Some(110), 200),
    (Code::Malformed, 400, Some(100), 400),
    (Code::Encoding, 400, Some(102), 400),
    (Code::UnknownStore, 400, Some(119), 400),
    (Code::AuthenticationRequired, 401, Some(103), 401),
    (Code::AuthenticationFailed, 401, Some(104), 401),
    (Code::TicketInvalid, 401, Some(105), 401),
    (Code::HostKeyUnknown, 401, Some(106), 401),
    (Code::ClockSkew, 401, Some(107), 401),
    (Code::Replay, 401, Some(108), 401),
    (Code::TicketRequired, 401, Some(109), 401),
    (Code::NotAuthorized, 401, Some(2), 401),
    (Code::NotAdministrator, 401, Some(3), 401),
    (Code::DeviceRevoked, 401, Some(4), 401),
    (Code::Refused, 403, Some(5), 403),
    (Code::NotFound, 404, Some(6), 404),
    (Code::MethodNotAllowed, 405, None, 405),
    (Code::Timeout, 408, Some(9), 408),
    (Code::AccountRegistered, 409, Some(1), 409),
    (Code::Conflict, 409, Some(112), 409),
    (Code::IdReused, 409, Some(118), 409),
    (Code::Expired, 410, Some(111), 410),
    (Code::TooLarge, 413, Some(8), 413),
    (Code::UnsupportedMediaType, 415, None, 415),
    (Code::Misdirected, 421, None, 421),
    (Code::InvalidSignature, 422, Some(115), 422),
    (Code::InvalidProfile, 422, Some(116), 422),
    (Code::InvalidName, 422, Some(117), 422),
    (Code::RateLimited, 429, Some(114), 429),
    (Code::HeadersTooLarge, 431, None, 431),
    (Code::Internal, 500, None, 500),
    (Code::UnknownOperation, 501, Some(101), 501),
    (Code::Overload, 503, None, 503),
    (Code::QueueFull, 503, Some(120), 503),
    (Code::QuotaExceeded, 507, Some(113), 507),
];

impl Code {
    fn row(self) -> (u16, Option<u16>, u16) {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or((500, None, 500), |&(_, status, extended, http)| {
                (status, extended, http)
            })
    }

    /// `Status` in the payload, which is authoritative (P 10.2).
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// `StatusExtended` in the payload.
    #[must_use]
    pub fn status_extended(self) -> Option<u16> {
        self.row().1
    }

    /// The HTTP status code: `Status` mirrored, except 3xx.
    #[must_use]
    pub fn http(self) -> u16 {
        self.row().2
    }

    /// The code a response carries; `None` for numbers that stand in no row.
    #[must_use]
    pub fn from_status(status: u16, extended: Option<u16>) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.1 == status && row.2 == extended)
            .map(|row| row.0)
    }

    /// Whether the transaction was carried out.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.status() / 100 == 2
    }

    /// Whether the same request may succeed later without a change by its sender.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Timeout
            | Self::RateLimited
            | Self::Internal
            | Self::Overload
            | Self::QueueFull
            | Self::Pending => true,
            Self::Ok
            | Self::Accepted
            | Self::RedirectPermanent
            | Self::RedirectTemporary
            | Self::Malformed
            | Self::Encoding
            | Self::UnknownStore
            | Self::AuthenticationRequired
            | Self::AuthenticationFailed
            | Self::TicketInvalid
            | Self::HostKeyUnknown
            | Self::ClockSkew
            | Self::Replay
            | Self::TicketRequired
            | Self::NotAuthorized
            | Self::NotAdministrator
            | Self::DeviceRevoked
            | Self::Refused
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::AccountRegistered
            | Self::Conflict
            | Self::IdReused
            | Self::Expired
            | Self::TooLarge
            | Self::UnsupportedMediaType
            | Self::Misdirected
            | Self::InvalidSignature
            | Self::InvalidProfile
            | Self::InvalidName
            | Self::HeadersTooLarge
            | Self::UnknownOperation
            | Self::QuotaExceeded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_row_and_is_found_again() {
        for (position, &(code, status, extended, _)) in TABLE.iter().enumerate() {
            assert_eq!(Code::from_status(status, extended), Some(code));
            assert_eq!(TABLE.iter().position(|row| row.0 == code), Some(position));
        }
    }

    //
    #[test]
    fn http_mirrors_the_status_except_for_redirections() {
        for &(_, status, _, http) in TABLE {
            assert_eq!(http, if status / 100 == 3 { 200 } else { status });
        }
    }
}
