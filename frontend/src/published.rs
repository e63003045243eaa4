//! What hailing accounts publish, for whoever knows its name: one plain GET, authenticated by nobody
//! (service §6.5 step 3, crypto §2.8).
//!
//! What is found is encrypted under the key whose digest is its name, and whoever has the key checks
//! it. The name is the digest of a key, not of the content: there is nothing more to check here.

use actix_web::http::header::IF_NONE_MATCH;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use mesh_common::account::connect::{Publication, publication_id};
use mesh_common::error::ServiceError;

use crate::edge::{Edge, nothing_published};
use crate::handlers::source_of;
use crate::respond::{self, Reply};

/// Answers a GET or a HEAD of something published, and refuses everything else at that place.
pub(crate) async fn answer(request: HttpRequest, edge: Data<Edge>) -> HttpResponse {
    let measured = edge.metrics.begin();
    match find(&request, &edge).await {
        Ok(found) => {
            let known = request.headers().get(IF_NONE_MATCH);
            let known = known.and_then(|value| value.to_str().ok());
            let response = respond::published(found, known);
            measured.end(None, response.status().as_u16(), None);
            response
        }
        Err(error) => {
            if let Some(context) = &error.context {
                tracing::info!(context, "not fetched");
            }
            let code = error.code;
            measured.end(None, code.status(), code.status_extended());
            Reply::of_fetch(&error).into_http(&edge.entropy)
        }
    }
}

async fn find(request: &HttpRequest, edge: &Edge) -> Result<Publication, ServiceError> {
    let domain = edge.rules.check_fetch(request)?;
    let _in_flight = edge.admission.enter()?;
    edge.admission.count_fetch(source_of(request))?;
    let name = request.match_info().query("name");
    let id = publication_id(name).ok_or_else(nothing_published)?;
    edge.published(domain, &id).await
}
