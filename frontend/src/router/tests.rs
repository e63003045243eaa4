//! Tests of the router over nodes that are played: what each of them answers is written down beforehand,
//! and the time is that of the test, which passes while everybody waits.

mod calls;
mod nodes;
mod passing;
mod pins;
mod streams;

use mesh_common::cluster::{Evidence, Fence, Route, RoutingTable};
use mesh_common::protocol::{
    Code, Outcome, PostRequest, Request, Response, StatusRequest, UploadRequest,
};
use mesh_common::session::{Caller, Mode, RequestId, Via};
use mesh_link::LinkFailure;
use nodes::{Cluster, Reply};

use super::*;
