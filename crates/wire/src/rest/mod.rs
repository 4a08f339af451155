//! The compatible JSON.
//!
//! One shape, one file. Keys and their order are the contract's, and are pinned by a snapshot beside each
//! shape; what the contract lacks stands in an additional object `quell` at the end, or under `/api/quell`.
//! Keys are never left out: what is unknown is null.

mod context;
mod text;

mod copy;
mod determination;
mod ending;
mod file;
mod file_action;
mod file_machine_action;
mod hold;
mod inspection;
mod list;
mod machine;
mod machine_action;
mod operator_key;
mod order;
mod origin;
mod policy;
mod status;

mod body;
mod error;
mod token;

pub use body::{Body, BodyError};
pub use context::{Collection, Entity, Root, Set};
pub use copy::Copy;
pub use determination::{Judgement, Judgements};
pub use error::Envelope;
pub use file::{File, FileExtras, InspectionWord};
pub use file_action::{ActionType, FileAction};
pub use file_machine_action::{FileInstance, FileMachineAction};
pub use hold::{EndedHold, Hold};
pub use inspection::{
    ElfFacts, FileCertificate, FileSection, FileSignature, FileSpan, InspectedFile, InspectionFacts,
};
pub use list::{List, ListProblem};
pub use machine::{Machine, MachineExtras, MachineFilesystem, MachineGuard};
pub use machine_action::{MachineAction, RelatedFileInfo};
pub use operator_key::{KeyFollows, OperatorKey};
pub use order::{Cancellation, Inverse, Late, Order, OrderCopy};
pub use origin::{FileOrigin, PackageOrigin};
pub use policy::{Policies, Policy};
pub use status::Status;
pub use text::Stamp;
pub use token::{Jwk, Jwks, OpenIdConfiguration, TokenError, TokenV1, TokenV2};
