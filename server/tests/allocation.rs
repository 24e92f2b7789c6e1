//! What peers that want to do harm can make the server hold, by the allocator's word. Prints the figures.
//!
//! A binary of its own with one test, so that nothing else allocates while it measures.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use menagerie_server::core::{Config, ConnectionId, Core, Limits, Transmit};
use menagerie_server::jute::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a front end reads at once.
const BATCH_LEN: usize = 64 << 10;
const PEERS: u16 = 10;

fn frame(op: OpCode, body: &impl Encode) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    RequestHeader { xid: Xid(1), op }.encode(&mut out);
    body.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}

fn greeting() -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    ConnectRequest { time_out: 40_000, ..ConnectRequest::default() }.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}

fn connected(core: &mut Core, port: u16, now: Instant) -> ConnectionId {
    let id = core.accept(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), now);
    core.handle_input(id, &greeting(), now);
    let Transmit::Write(out) = core.poll_transmit(id) else { panic!("no session") };
    core.handle_written(id, out.len(), now);
    id
}

fn fed(core: &mut Core, id: ConnectionId, input: &[u8], now: Instant) {
    for batch in input.chunks(BATCH_LEN) {
        if !core.wants_input(id) {
            return;
        }
        core.handle_input(id, batch, now);
        while core.has_work(id) {
            core.handle_input(id, &[], now);
        }
    }
}

#[test]
fn nobody_makes_the_server_hold_more_than_is_stated() {
    // Nothing becomes due: the clock does not move.
    let now = tokio::time::Instant::now().into_std();
    let mut limits = Limits::default();
    (limits.connections_per_address, limits.log) = (0, 0);
    (limits.output_max, limits.watched_len) = (1 << 20, 1 << 20);
    limits.answer_len = 4 << 20;
    let mut config = Config::default();
    config.limits = limits.clone();
    let mut core = Core::new(config, now, 0);
    let mut ports = 1..;
    let mut check = |what: &str, core: &mut Core, most: usize, act: &dyn Fn(&mut Core, ConnectionId)| {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        for port in ports.by_ref().take(usize::from(PEERS)) {
            let id = connected(core, port, now);
            act(core, id);
        }
        let each = ALLOCATOR.peak_usage().saturating_sub(before) / usize::from(PEERS);
        println!("{what}: {each} bytes a connection, at most {most}");
        assert!(each <= most, "{what}: {each} bytes");
    };
    let one = 4 << 10;

    check("a session at rest", &mut core, one, &|_, _| {});
    check("a frame that never ends", &mut core, 2 * limits.frame_len + BATCH_LEN + one, &|core, id| {
        let mut input = vec![0, 0x0f, 0xff, 0xff];
        input.resize(limits.frame_len, 7);
        fed(core, id, &input, now);
    });
    check("a length", &mut core, one, &|core, id| fed(core, id, &[0, 0x0f, 0xff, 0xff], now));
    let answers = 2 * limits.output_mark + BATCH_LEN * 4 + one;
    check("answers that nobody takes", &mut core, answers, &|core, id| {
        let pings = frame(OpCode::PING, &()).repeat(BATCH_LEN / 12);
        (0..20).for_each(|_| fed(core, id, &pings, now));
    });
    check("watches without end", &mut core, 2 * limits.watched_len, &|core, id| {
        // As many as are allowed: with one more the connection is gone, and its memory.
        for at in 0..limits.watched_len / 210 {
            let path = format!("/{id}-{at}");
            fed(core, id, &frame(OpCode::EXISTS, &ExistsRequest { path: &*path, watch: true }), now);
            if let Transmit::Write(out) = core.poll_transmit(id) {
                core.handle_written(id, out.len(), now);
            }
        }
    });
    let events = 2 * limits.output_max + one;
    check("events that nobody takes", &mut core, events, &|core, id| {
        let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
        fed(core, id, &frame(OpCode::ADD_WATCH, &watch), now);
        let writer = connected(core, 60_000, now);
        let set = SetDataRequest { path: "/", data: None, version: -1 };
        for _ in 0..limits.output_max / 70 {
            fed(core, writer, &frame(OpCode::SET_DATA, &set), now);
            if let Transmit::Write(out) = core.poll_transmit(writer) {
                core.handle_written(writer, out.len(), now);
            }
        }
        core.handle_closed(writer, now);
    });

    check("credentials without end", &mut core, 4 * limits.identities_len + 4 * one, &|core, id| {
        for at in 0..100_000 {
            let auth = Some(Bytes::from(format!("user-{at}:{id}")));
            let packet = AuthPacket { auth_type: 0, scheme: "digest".into(), auth };
            fed(core, id, &frame(OpCode::AUTH, &packet), now);
            if let Transmit::Write(out) = core.poll_transmit(id) {
                core.handle_written(id, out.len(), now);
            }
        }
    });
    let writer = connected(&mut core, 60_001, now);
    let data = Some(Bytes::from(vec![7; 15_000]));
    fed(&mut core, writer, &frame(OpCode::SET_DATA, &SetDataRequest { path: "/", data, version: -1 }), now);
    check("an answer that multiplies", &mut core, 2 * limits.answer_len, &|core, id| {
        let read = || Op::GetData(GetDataRequest { path: Ustring::from_static("/"), watch: false });
        let multi = MultiRequest::new(std::iter::repeat_with(read).take(40_000));
        fed(core, id, &frame(OpCode::MULTI_READ, &multi), now);
    });
    check("sessions left behind", &mut core, one, &|core, id| core.handle_closed(id, now));

    let before = ALLOCATOR.current_usage();
    for port in 0..5_000 {
        let id = core.accept(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), now);
        fed(&mut core, id, if port % 2 == 0 { b"ruok" } else { b"\xff\xff\xff\xff" }, now);
        while let Transmit::Write(out) = core.poll_transmit(id) {
            core.handle_written(id, out.len(), now);
        }
    }
    while core.poll_ready().is_some() {}
    let left = ALLOCATOR.current_usage().saturating_sub(before);
    println!("5000 connections that asked a word or nothing: {left} bytes are left");
    assert!(left < 2 << 20, "{left} bytes");
}
