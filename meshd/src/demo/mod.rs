//! `meshd demo`: the main job on real files, in one process, as a transcript a person can read.
//!
//! A service starts on a port of the system's choice; a device makes an account, fills its catalogs
//! from files as other programs export them, and everything is uploaded, verified, synchronized,
//! read back and exported. A second person comes: they exchange contacts and confirm something. Further
//! devices are connected in three ways, one is removed. A second service starts at another address, found by
//! DNS: a third person writes from there and is written to, also while it is away; what is for a service
//! that does not exist is given up. One person blocks another. Every step checks
//! what it shows; the first that is not as it should be ends the demo with a non-zero exit.
//!
//! | module | holds |
//! | --- | --- |
//! | `story` | the acts, in order |
//! | `main_job`, `people`, `devices`, `elsewhere` | the acts |
//! | `stage` | the services, their name server, and the folders of the devices |
//! | `checks`, `transcript` | what every step shows and checks |

mod checks;
mod devices;
mod elsewhere;
mod main_job;
mod people;
mod stage;
mod story;
mod transcript;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::DemoArguments;
use stage::Stage;
use transcript::Transcript;

/// A step that was not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something that must hold does not.
    #[error("{0}")]
    Wrong(String),
    /// The service did not start.
    #[error(transparent)]
    Start(#[from] crate::service::StartError),
    /// The device could not do what it was asked.
    #[error(transparent)]
    Client(#[from] mesh_client::ClientError),
    /// A file cannot be read or written.
    #[error("a file of the demo cannot be used")]
    File(#[from] std::io::Error),
}

/// Runs the demo; `print` is given the transcript line by line.
#[must_use]
pub fn main(arguments: &DemoArguments, print: fn(&str)) -> ExitCode {
    crate::install_provider();
    let mut transcript = Transcript::new(print);
    match actix_rt::System::new().block_on(tell(arguments, &mut transcript)) {
        Ok(()) => {
            transcript.end();
            ExitCode::SUCCESS
        }
        Err(error) => {
            transcript.failed(&error);
            ExitCode::FAILURE
        }
    }
}

async fn tell(arguments: &DemoArguments, transcript: &mut Transcript) -> Result<(), DemoError> {
    // Removed when it goes out of scope, unless the person wants to keep it.
    let temporary = tempfile::tempdir()?;
    let folder: PathBuf = arguments
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    let mut stage = Stage::new(&folder)?;
    story::tell(&mut stage, transcript).await
}
