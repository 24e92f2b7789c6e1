//! What a registration says in the log: each change of where it stands once, and of a step its name only, for payloads are
//! nobody else's business.

use tracing::{debug, info, warn};

use crate::registry::reconcile::Step;
use crate::registry::registered::RegistrationState;

/// A registration stands elsewhere than before.
pub(super) fn turned(path: &str, before: RegistrationState, now: RegistrationState) {
    if before == now {
        return;
    }
    match now {
        RegistrationState::Registered => {
            info!(target: "menagerie::registration", path, "registered");
        }
        RegistrationState::Conflict(conflict) => {
            let (kind, owner) = (conflict.kind, format!("0x{:x}", conflict.owner));
            warn!(target: "menagerie::registration", path, ?kind, owner, "somebody else's znode is in a registration's place");
        }
        RegistrationState::Withdrawn => {
            info!(target: "menagerie::registration", path, "nothing is registered, as wished");
        }
        RegistrationState::Ended(end) => {
            warn!(target: "menagerie::registration", path, %end, "a registration ends with its client");
        }
        RegistrationState::Pending => {
            debug!(target: "menagerie::registration", path, "a registration is not as wished");
        }
    }
}

/// What is being done for a registration.
pub(super) fn step(path: &str, step: &Step) {
    if planted!("registry_log_payload") {
        debug!(target: "menagerie::registration", path, ?step, "a step of a registration");
    }
    let step = match step {
        Step::Nothing => "nothing",
        Step::AwaitSession => "await a session",
        Step::ReadBack { .. } => "read back",
        Step::Create { .. } => "create",
        Step::TakeOver { .. } => "take over",
        Step::ReplacePersistent { .. } => {
            warn!(target: "menagerie::registration", path, "a persistent registration of this instance is replaced by an ephemeral one");
            "replace"
        }
        Step::SetData { .. } => "set data",
        Step::Delete { .. } => "delete",
        Step::WatchAndWait(_) => "watch and wait",
        Step::Wait(_) => "wait",
    };
    debug!(target: "menagerie::registration", path, step, "a step of a registration");
}
