//! From bytes to steps.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use menagerie_jute::{ConnectRequest, Encode, ErrorCode, OpCode, RequestHeader, Writer, Xid};
use menagerie_server::core::{Allowed, Config, Fault, Like, Matcher, WORDS};

use super::bodies::{self, PATHS};
use super::world::World;
use crate::wire::framed;

const LIKES: [Like; 6] = [Like::V3_9, Like::V3_8, Like::Keeper, Like::V3_5, Like::V3_4, Like::V3_9];

/// A configuration.
pub(super) fn config(script: &mut Unstructured<'_>) -> Result<Config> {
    let [flags, sizes, seed]: [u8; 3] = script.arbitrary()?;
    let mut config = Config::default();
    config.seed = seed.into();
    config.rules.like = LIKES[usize::from(flags & 7) % LIKES.len()];
    config.rules.enforce_quota = flags & 8 != 0;
    config.rules.skip_acl = flags & 0xf0 == 0xf0;
    config.rules.reconfig_enabled = flags & 16 != 0;
    config.rules.max_never_used_millis = i64::from(flags & 32) * 100;
    config.rules.super_digest = (flags & 64 != 0).then(|| String::from("super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
    config.read_only = flags & 0xe0 == 0xe0;
    if sizes & 0xc0 == 0xc0 {
        config.words = Allowed::only(["ruok", "none"]);
    }
    config.reap_interval = Duration::from_millis(500);
    let limits = &mut config.limits;
    limits.frame_len = [0xf_ffff, 4_096, 200, 40][usize::from(sizes & 3)];
    limits.outstanding = [1_000, 3][usize::from(sizes >> 2 & 1)];
    (limits.output_mark, limits.output_max) = [(1 << 20, 8 << 20), (256, 1_024)][usize::from(sizes >> 3 & 1)];
    (limits.answer_len, limits.log) = [(64 << 20, 64), (512, 8)][usize::from(sizes >> 4 & 1)];
    limits.watched_len = [256 << 20, 1_000][usize::from(sizes >> 5 & 1)];
    limits.identities_len = limits.watched_len;
    (limits.connections_per_address, limits.connections) = [(60, 0), (2, 4)][usize::from(sizes >> 6 & 1)];
    Ok(config)
}

/// One step. An error means that the script ends within it.
pub(super) fn step(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    match script.arbitrary::<u8>()? % 32 {
        0 => world.accept(),
        1 | 2 => advance(world, script.arbitrary()?),
        3 => resume(world, script.arbitrary()?)?,
        4 => greet(world, script)?,
        5..=12 => request(world, script)?,
        13 => word(world, script.arbitrary()?),
        14 => raw(world, script)?,
        15 => frame(world, script)?,
        16 => ping(world, script.arbitrary()?),
        17 => operation(world, script.arbitrary()?, OpCode::CLOSE_SESSION),
        18 => world.cut(script.arbitrary()?),
        19 | 20 => write(world, script.arbitrary()?),
        21 | 22 => world.drain(),
        23 => world.pass(Duration::from_millis(script.arbitrary::<u16>()?.into())),
        24 => world.pass(Duration::from_millis(u64::from(script.arbitrary::<u16>()?) * 20)),
        25 => pieces(world, script)?,
        26 => flood(world, script.arbitrary()?),
        27 => wish(world, script.arbitrary()?),
        28 => plan(world, script.arbitrary()?),
        29 => operation(world, script.arbitrary()?, OpCode(i32::from(script.arbitrary::<i8>()?))),
        30 => length(world, script)?,
        _ => look(world),
    }
    Ok(())
}

/// The natural next thing: a connection, a session, and what waits for it.
fn advance(world: &mut World, at: u8) {
    if usize::from(at) >= world.peers.len() {
        world.accept();
        let last = u8::try_from(world.peers.len()).unwrap_or(1).saturating_sub(1);
        world.send(last, &greeting(&ConnectRequest::default()));
    }
    world.drain();
}

fn greeting(request: &ConnectRequest) -> Bytes {
    let request = ConnectRequest { time_out: 4_000, read_only: Some(true), ..request.clone() };
    framed(&[&request])
}

/// Another connection takes up a session, with its password or with none.
fn resume(world: &mut World, [at, of, how]: [u8; 3]) -> Result<()> {
    let Some(response) = world.peer(of).and_then(|peer| peer.response.clone()) else { return Ok(()) };
    let passwd = if how & 1 == 0 { response.passwd } else { Some(Bytes::from(vec![how; 16])) };
    let request = ConnectRequest { session_id: response.session_id, passwd, ..ConnectRequest::default() };
    world.send(at, &greeting(&request));
    Ok(())
}

/// A handshake of any kind, whole or cut.
fn greet(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [at, flags, cut]: [u8; 3] = script.arbitrary()?;
    let request = ConnectRequest {
        protocol_version: i32::from(flags & 1),
        last_zxid_seen: i64::from(flags & 2) * 1_000,
        time_out: i32::from(flags) << (flags >> 3),
        session_id: i64::from(flags & 4),
        passwd: (flags & 8 != 0).then(|| Bytes::from(vec![flags; usize::from(cut)])),
        read_only: (flags & 16 != 0).then_some(flags & 32 != 0),
    };
    let frame = framed(&[&request]);
    let kept = if cut & 128 != 0 { usize::from(cut & 127) } else { frame.len() };
    world.send(at, &frame[..kept.min(frame.len())]);
    Ok(())
}

fn request(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let at = script.arbitrary()?;
    let (op, body) = bodies::request(script)?;
    let frame = framed(&[&RequestHeader { xid: next_xid(world, at), op }, &body]);
    world.send(at, &frame);
    Ok(())
}

/// A number that changes from request to request, so that answers out of order are seen.
fn next_xid(world: &mut World, at: u8) -> Xid {
    world.peer(at).map_or(Xid(0), |peer| Xid(i32::try_from(peer.replies).unwrap_or(0) + 1))
}

fn word(world: &mut World, [at, which]: [u8; 2]) {
    let word = WORDS.get(usize::from(which) % 18).copied().unwrap_or("what");
    world.send(at, word.as_bytes());
}

fn raw(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [at, len]: [u8; 2] = script.arbitrary()?;
    let bytes = script.bytes(usize::from(len).min(script.len()))?.to_vec();
    world.send(at, &bytes);
    Ok(())
}

/// A frame of any payload, behind a header of any operation.
fn frame(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [at, op, len]: [u8; 3] = script.arbitrary()?;
    let payload = script.bytes(usize::from(len).min(script.len()))?.to_vec();
    let op = if op < 112 { OpCode(op.into()) } else { OpCode(i32::from(op) - 128) };
    let mut out = Writer::new();
    let frame = out.frame();
    RequestHeader { xid: next_xid(world, at), op }.encode(&mut out);
    out.raw(&payload);
    out.close(frame);
    world.send(at, &out.into_bytes());
    Ok(())
}

fn operation(world: &mut World, at: u8, op: OpCode) {
    let frame = framed(&[&RequestHeader { xid: next_xid(world, at), op }]);
    world.send(at, &frame);
}

fn ping(world: &mut World, at: u8) {
    world.send(at, &framed(&[&RequestHeader { xid: Xid::PING, op: OpCode::PING }]));
}

/// So many bytes of what waits leave.
fn write(world: &mut World, [at, len]: [u8; 2]) {
    let count = world.peers.len().max(1);
    world.take(usize::from(at) % count, usize::from(len));
    world.settle();
}

/// A request that comes byte by byte, and perhaps never whole.
fn pieces(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [at, kept]: [u8; 2] = script.arbitrary()?;
    let (op, body) = bodies::request(script)?;
    let frame = framed(&[&RequestHeader { xid: next_xid(world, at), op }, &body]);
    for byte in frame.iter().take(usize::from(kept).max(8)) {
        world.send(at, &[*byte]);
    }
    Ok(())
}

/// Many requests at once.
fn flood(world: &mut World, [at, how]: [u8; 2]) {
    let op = if how & 1 == 0 { OpCode::PING } else { OpCode::WHO_AM_I };
    let one = framed(&[&RequestHeader { xid: next_xid(world, at), op }]);
    world.send(at, &one.repeat(usize::from(how)));
}

/// What a test may do.
fn wish(world: &mut World, [which, at]: [u8; 2]) {
    let session = world.peer(at).and_then(|peer| peer.session());
    let now = world.now;
    match (which % 12, session) {
        (0, Some(session)) => {
            world.core.expire(session, now);
        }
        (1, Some(session)) => {
            world.core.kill(Some(session), now);
        }
        (2, _) => {
            world.core.pause(session, now);
        }
        (3, _) => {
            world.core.resume(session, now);
        }
        (4, Some(session)) => {
            world.core.move_session(session, now);
        }
        (5, _) => world.core.set_read_only(at & 1 != 0, now),
        (6, _) => {
            world.core.stop(now);
            world.core.restart(now);
        }
        (7, _) => world.core.set_zxid(world.core.zxid() + i64::from(at), now),
        (8, _) => world.core.release(now),
        (9, _) => world.core.forget_plans(),
        (10, _) => {
            world.core.kill(None, now);
        }
        _ => world.core.clear_log(),
    }
    world.settle();
}

fn plan(world: &mut World, [which, how]: [u8; 2]) {
    let matcher = match which % 4 {
        0 => Matcher::any(),
        1 => Matcher::write(),
        2 => Matcher::event(),
        _ => Matcher::op(OpCode::GET_DATA),
    };
    let path = PATHS[usize::from(which >> 2) % PATHS.len()];
    let matcher = match how % 3 {
        0 => matcher,
        1 => matcher.path(path),
        _ => matcher.below(path),
    };
    let fault = match how >> 2 & 7 {
        0 => Fault::CutBefore,
        1 => Fault::CutAfter,
        2 => Fault::Fail(ErrorCode::THROTTLED_OP),
        3 | 4 => Fault::Delay(Duration::from_millis(u64::from(which) * 16)),
        _ => Fault::Withhold,
    };
    let always = how & 32 != 0;
    let session = world.peer(which).and_then(|peer| peer.session()).filter(|_| how & 64 != 0);
    let matcher = session.map_or(matcher.clone(), |session| matcher.session(session));
    let matcher = if always { matcher.always() } else { matcher.after(u32::from(how >> 7)).times(2) };
    if world.core.planned() < 8 {
        world.core.plan(matcher, fault);
    }
}

/// A length, and nothing behind it.
fn length(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let at = script.arbitrary()?;
    let length: [u8; 4] = script.arbitrary()?;
    world.send(at, &length);
    Ok(())
}

fn look(world: &World) {
    world.assert_secrets_kept();
}
