//! What a registration says in the log: each change of where it stands once, and of a step its name only, for payloads are
//! nobody else's business.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info, warn};

use crate::registry::Instance;
use crate::registry::reconcile::{Batch, Conflict, Step};
use crate::registry::registered::{RegistrationState, RegistrationStatus};

/// Who says it, and what was said.
pub(super) struct Telling {
    service: String,
    id: String,
    /// The places whose conflict was told.
    conflicts: BTreeSet<String>,
}

impl Telling {
    pub(super) fn about(instance: &Instance) -> Self {
        Self { service: instance.service.clone(), id: instance.id.clone(), conflicts: BTreeSet::new() }
    }

    /// It stands elsewhere than before. Conflicts are told by their places.
    pub(super) fn turned(&self, before: RegistrationStatus, now: RegistrationStatus) {
        let Self { service, id, .. } = self;
        if let Some(loss) = now.last_loss.filter(|_| now.losses > before.losses) {
            warn!(target: "menagerie::registration", service, id, ?loss, "a registration was lost, and is made again");
        }
        if before.state == now.state {
            return;
        }
        match now.state {
            RegistrationState::Registered => {
                info!(target: "menagerie::registration", service, id, "registered")
            }
            RegistrationState::Withdrawn => {
                info!(target: "menagerie::registration", service, id, "nothing is registered, as wished");
            }
            RegistrationState::Ended(end) => {
                warn!(target: "menagerie::registration", service, id, %end, "a registration ends with its client");
            }
            RegistrationState::Pending => {
                debug!(target: "menagerie::registration", service, id, "a registration is not as wished");
            }
            RegistrationState::Conflict(_) => {}
        }
    }

    /// Which places are somebody else's, each once.
    pub(super) fn conflicts<'a>(&mut self, conflicts: impl Iterator<Item = (&'a str, Conflict)>) {
        let conflicts: BTreeMap<_, _> =
            conflicts.map(|(path, conflict)| (path.to_owned(), conflict)).collect();
        for (path, conflict) in conflicts.iter().filter(|(path, _)| !self.conflicts.contains(*path)) {
            let (kind, owner) = (conflict.kind, format!("0x{:x}", conflict.owner));
            warn!(target: "menagerie::registration", path, ?kind, owner, "somebody else's znode is in a registration's place");
        }
        self.conflicts = conflicts.into_keys().collect();
    }
}

/// What is being written.
pub(super) fn batch(batch: &Batch) {
    for write in &batch.writes {
        let (path, together) = (&write.path, batch.writes.len());
        if let Step::ReplacePersistent { .. } = write.step {
            warn!(target: "menagerie::registration", path, "a persistent registration of this instance is replaced by an ephemeral one");
        }
        let step = name(&write.step);
        debug!(target: "menagerie::registration", path, step, together, "a write of a registration");
        if planted!("registry_log_payload") {
            debug!(target: "menagerie::registration", path, step = ?write.step, together, "a write of a registration");
        }
    }
}

/// A step without its data.
fn name(step: &Step) -> &'static str {
    match step {
        Step::Nothing => "nothing",
        Step::AwaitSession => "await a session",
        Step::ReadBack { .. } => "read back",
        Step::Create { .. } => "create",
        Step::TakeOver { .. } => "take over",
        Step::ReplacePersistent { .. } => "replace",
        Step::SetData { .. } => "set data",
        Step::Delete { .. } => "delete",
        Step::WatchAndWait(_) => "watch and wait",
        Step::Wait(_) => "wait",
    }
}
