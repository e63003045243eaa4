//! The way to the API: open once there is something behind it.
//!
//! A process of a cluster answers operators before it has reached the store, and a front-end alone never
//! has one. Until the door is opened, whoever shows the token is told why it is shut.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, web};

use super::api::{Api, refusal};
use super::token::Token;

/// The door. Opened at most once.
pub struct Door {
    token: Token,
    shut: (&'static str, &'static str),
    api: OnceLock<Arc<Api>>,
}

impl Door {
    /// A door that `token` leads to; as long as it is shut, operators read `why` and what to do.
    #[must_use]
    pub const fn shut(token: Token, why: &'static str, advice: &'static str) -> Self {
        Self {
            token,
            shut: (why, advice),
            api: OnceLock::new(),
        }
    }

    /// A door that is open from the start.
    #[must_use]
    pub fn opened(api: Api) -> Self {
        let door = Self::shut(api.token.clone(), "", "");
        door.open(api);
        door
    }

    /// Opens it. What was opened before stays.
    pub fn open(&self, api: Api) {
        self.api.get_or_init(|| Arc::new(api));
    }

    /// The secret of operators.
    pub(super) const fn token(&self) -> &Token {
        &self.token
    }
}

/// The API, for one request.
pub(super) struct Open(Arc<Api>);

impl Deref for Open {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

impl FromRequest for Open {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let door = request.app_data::<web::Data<Door>>();
        let Some(door) = door else {
            return ready(Err(InternalError::new(
                "the API has no door",
                StatusCode::INTERNAL_SERVER_ERROR,
            )
            .into()));
        };
        let (why, advice) = door.shut;
        ready(door.api.get().cloned().map(Self).ok_or_else(|| {
            let response = refusal(StatusCode::SERVICE_UNAVAILABLE, why, advice);
            InternalError::from_response(why, response).into()
        }))
    }
}
