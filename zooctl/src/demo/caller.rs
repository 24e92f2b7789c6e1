//! The consumer: calls one discovered instance after the other, and remembers who answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use menagerie::registry::{Balance, Services};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::account::Account;
use super::clock;

/// How long a call may take.
const CALL: Duration = Duration::from_secs(2);

/// Replies received, by address.
#[derive(Debug, Clone, Default)]
pub(super) struct Replies(Arc<Mutex<BTreeMap<String, u64>>>);

/// A caller at work, until it is dropped.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) replies: Replies,
    task: AbortHandle,
}

impl Replies {
    /// How many each has given so far.
    pub(super) fn so_far(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, address: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(address.to_owned()).or_default() += 1;
    }
}

impl Caller {
    pub(super) fn start(account: Account, services: Services, pace: Duration) -> Self {
        let replies = Replies::default();
        let task = tokio::spawn(call(account, services, pace, replies.clone()));
        Self { replies, task: task.abort_handle() }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn call(account: Account, services: Services, pace: Duration, replies: Replies) {
    let services = services.balanced(Balance::RoundRobin);
    loop {
        tokio::time::sleep(pace).await;
        let Some(instance) = services.pick() else { continue };
        let address = instance.address.to_string();
        match timeout(CALL, clock::ask(&address)).await {
            Ok(Ok(time)) => {
                services.report_success(&instance);
                replies.count(&address);
                account.say(format_args!("consumer: {address} says it is {time}"));
            }
            Ok(Err(error)) => {
                services.report_failure(&instance);
                account.say(format_args!("consumer: {address} failed: {error}"));
            }
            Err(_) => {
                services.report_failure(&instance);
                account.say(format_args!("consumer: {address} did not answer in time"));
            }
        }
    }
}
