//! `peer --client NAME --runtime ct|mt --workload W1|W2 --ops N --connect ADDRESS`: one client, one line of
//! JSON. Its allocator is the system's, uncounted, since counting costs those who allocate most.

fn main() -> anyhow::Result<()> {
    peers::drive::main(false)
}
