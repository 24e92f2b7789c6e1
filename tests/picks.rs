//! A pick allocates nothing, whichever strategy picks; only a change of the set does.
//!
//! A binary of its own with one thread, so that nothing else allocates while it measures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use menagerie::registry::{Balance, Discovery, Instance, Memory, Picker, Registered, Registration};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const PICKS: u16 = 10_000;

/// What is done once in a measured loop.
type Act = fn(&mut Picker, u16);

fn main() {
    let balances = [
        Balance::Random,
        Balance::RoundRobin,
        Balance::Weighted,
        Balance::LeastLoaded,
        Balance::ConsistentHash,
        Balance::Sticky,
    ];
    let acts: [(&str, Act); 4] = [
        ("pick", |picker, _| assert!(picker.pick().is_some())),
        ("pick_for", |picker, key| assert!(picker.pick_for(key.to_le_bytes()).is_some())),
        ("attempt", |picker, _| picker.attempt().unwrap().succeeded()),
        ("attempt_for", |picker, key| picker.attempt_for(key.to_le_bytes()).unwrap().succeeded()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for balance in balances {
            for (name, act) in acts {
                measure(balance, name, act).await;
            }
        }
    });
}

async fn measure(balance: Balance, name: &str, act: Act) {
    let what = format!("{name} with {balance:?}");
    let (registry, mut all) = (Memory::new(), Vec::new());
    for port in 1..100 {
        all.push(register(&registry, port).await);
    }
    let services = registry.discover("s").await.unwrap().balanced(balance);
    let mut picker = services.picker();
    // Takes the set over, and lets sticky keys choose.
    (0..PICKS).for_each(|key| act(&mut picker, key));
    assert_eq!(allocated(|| (0..PICKS).for_each(|key| act(&mut picker, key))), 0, "{what}");
    drop(all.pop());
    assert!(allocated(|| act(&mut picker, 0)) > 0, "a changed set is taken over: {what}");
    all.push(register(&registry, 200).await);
    (0..PICKS).for_each(|key| act(&mut picker, key));
    assert_eq!(allocated(|| (0..PICKS).for_each(|key| act(&mut picker, key))), 0, "{what}, again");
    println!("{what}: no allocation");
}

async fn register(registry: &Memory, port: u16) -> Registered {
    let weight = u32::from(1 + port % 5);
    registry.register(Instance::builder("s").host("10.0.0.1").port(port).weight(weight)).await.unwrap()
}

/// By how much memory in use rises above what it was, while `act` runs.
fn allocated(act: impl FnOnce()) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    act();
    ALLOCATOR.peak_usage().saturating_sub(before)
}
