//! The proxy between a client and a server that send frames without meaning.

use super::*;
use std::{
    io::{ErrorKind, Read, Write},
    sync::mpsc,
};

const BUDGET: Duration = Duration::from_secs(20);
/// Long enough to notice what must not come. It decides nothing when the proxy is right.
const QUIET: Duration = Duration::from_millis(100);

fn frame(xid: i32, kind: i32, tail: &[u8]) -> Vec<u8> {
    let body = [&xid.to_be_bytes(), &kind.to_be_bytes(), tail].concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), &body[..]].concat()
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut body)?;
    Ok([&length[..], &body].concat())
}

/// Sends every frame back; before one with an even xid, a notification.
struct Echo {
    address: SocketAddr,
    seen: mpsc::Receiver<Vec<u8>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || Self::serve(stream.unwrap(), &sender));
            }
        });
        Echo { address, seen }
    }

    fn serve(mut stream: TcpStream, sender: &mpsc::Sender<Vec<u8>>) {
        let mut handshake = true;
        while let Ok(frame) = read_frame(&mut stream) {
            let _ = sender.send(frame.clone());
            if !handshake && frame[7] % 2 == 0 {
                stream.write_all(&notification()).unwrap();
            }
            handshake = false;
            if stream.write_all(&frame).is_err() {
                return;
            }
        }
    }
}

fn notification() -> Vec<u8> {
    frame(-1, -1, b"changed")
}

/// A client that has shaken hands.
fn connect(proxy: &Proxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    stream.set_read_timeout(Some(BUDGET)).unwrap();
    let handshake = frame(0, 0, &[0; 37]);
    stream.write_all(&handshake).unwrap();
    assert_eq!(read_frame(&mut stream).unwrap(), handshake);
    stream
}

fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let silence = stream.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence:?}");
    stream.set_read_timeout(Some(BUDGET)).unwrap();
}

#[test]
fn frames_pass_unchanged_and_are_counted() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    let (odd, even, big) = (frame(1, 4, b"x"), frame(2, 4, b"yyy"), frame(3, 101, &vec![9; 300_000]));
    client.write_all(&[&odd[..], &even, &big].concat()).unwrap();
    for expected in [&odd, &notification(), &even, &big] {
        assert_eq!(&read_frame(&mut client).unwrap(), expected);
    }
    let counts = proxy.counts();
    assert_eq!((counts.accepted, counts.handshakes, counts.replies, counts.notifications), (1, 1, 3, 1));
    assert_eq!(counts.requests[&4], Requests { frames: 2, bytes: 20, longest: 11 });
    assert_eq!(counts.requests[&101], Requests { frames: 1, bytes: 300_008, longest: 300_008 });
    assert_eq!((counts.frames(101), counts.frames(1), counts.opaque), (1, 0, 0));
    assert_eq!(proxy.reset_counts(), counts);
    assert_eq!(proxy.counts(), Counts::default());
}

#[test]
fn notifications_are_withheld_and_nothing_else_is() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    proxy.withhold_notifications(true);
    for xid in [2, 4] {
        let sent = frame(xid, 1, b"");
        client.write_all(&sent).unwrap();
        assert_eq!(read_frame(&mut client).unwrap(), sent);
    }
    assert_eq!((proxy.counts().withheld, proxy.counts().notifications), (2, 0));
    proxy.withhold_notifications(false);
    client.write_all(&frame(6, 1, b"")).unwrap();
    assert_eq!(read_frame(&mut client).unwrap(), notification());
}

#[test]
fn a_held_direction_is_silent_until_resumed_and_the_other_is_not() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(echo.seen.recv_timeout(BUDGET).unwrap().len(), 49);

    proxy.hold(Direction::ToClient);
    let sent = frame(1, 1, b"held");
    client.write_all(&sent).unwrap();
    assert_eq!(echo.seen.recv_timeout(BUDGET).unwrap(), sent);
    assert_silent(&mut client);
    proxy.resume(Direction::ToClient);
    assert_eq!(read_frame(&mut client).unwrap(), sent);

    proxy.hold(Direction::ToServer);
    client.write_all(&sent).unwrap();
    assert!(echo.seen.recv_timeout(QUIET).is_err());
    proxy.resume(Direction::ToServer);
    assert_eq!(read_frame(&mut client).unwrap(), sent);
}

#[test]
fn cut_ends_both_sides_also_while_held_and_new_connections_work() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut clients = [connect(&proxy), connect(&proxy)];
    proxy.hold(Direction::ToServer);
    clients[0].write_all(&frame(1, 1, b"never arrives")).unwrap();
    assert_eq!(proxy.cut(), 2);
    for client in &mut clients {
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    }
    proxy.resume(Direction::ToServer);
    connect(&proxy);
    let seen: Vec<_> = echo.seen.try_iter().collect();
    assert!(seen.iter().all(|frame| frame.len() == 49), "{seen:?}");
    assert_eq!(proxy.counts().accepted, 3);
}

#[test]
fn refuse_refuses_and_accept_accepts_on_the_same_port() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    proxy.refuse().unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    let refused = TcpStream::connect(proxy.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.accept().unwrap();
    connect(&proxy);
    assert_eq!(proxy.counts().accepted, 2);
}

#[test]
fn a_delay_is_waited_in_the_named_direction() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(echo.seen.recv_timeout(BUDGET).unwrap().len(), 49);
    proxy.delay(Direction::ToClient, Duration::from_secs(3600));
    client.write_all(&frame(1, 1, b"")).unwrap();
    echo.seen.recv_timeout(BUDGET).unwrap();
    assert_silent(&mut client);
    proxy.delay(Direction::ToClient, Duration::ZERO);
    assert_eq!(read_frame(&mut client).unwrap(), frame(1, 1, b""));
}

#[test]
fn a_connection_is_cut_at_a_byte_and_only_one() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    for bytes in 0..12 {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let (mut client, mut other) = (connect(&proxy), connect(&proxy));
            proxy.cut_after(direction, bytes);
            client.write_all(&frame(1, 1, b"x")).unwrap();
            let mut arrived = Vec::new();
            // Bytes that were unread at the closing end cost the rest what was on the way.
            let _ = client.read_to_end(&mut arrived);
            let passed = if direction == Direction::ToClient { usize::try_from(bytes).unwrap() } else { 0 };
            assert!(arrived.len() <= passed, "{arrived:?} of {bytes} {direction:?}");
            other.write_all(&frame(3, 1, b"y")).unwrap();
            assert_eq!(read_frame(&mut other).unwrap(), frame(3, 1, b"y"));
        }
    }
}

#[test]
fn a_byte_is_corrupted_and_bytes_come_one_by_one() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    proxy.split(Direction::ToServer, true);
    proxy.split(Direction::ToClient, true);
    proxy.corrupt(Direction::ToClient, 7, 0x10);
    for (xid, arrives) in [(1, 0x11), (3, 3)] {
        client.write_all(&frame(xid, 1, b"whole")).unwrap();
        assert_eq!(read_frame(&mut client).unwrap(), frame(arrives, 1, b"whole"));
    }
}

#[test]
fn an_upstream_that_is_away_closes_the_client_and_may_come_later() {
    let port = Port::claim().unwrap();
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let proxy = Proxy::start(upstream).unwrap();
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    let listener = TcpListener::bind(upstream).unwrap();
    let client = TcpStream::connect(proxy.addr()).unwrap();
    let (server, _) = listener.accept().unwrap();
    drop(server);
    drop(client);
}

#[test]
fn a_word_of_four_letters_passes() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
    let answering = thread::spawn(move || {
        let (mut server, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        server.read_exact(&mut word).unwrap();
        server.write_all(b"imok").unwrap();
        word
    });
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    client.write_all(b"ruok").unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).unwrap();
    assert_eq!((reply.as_str(), &answering.join().unwrap()), ("imok", b"ruok"));
    assert_eq!(proxy.counts().opaque, 2);
}

#[test]
fn dropping_the_proxy_closes_its_connections_and_its_port() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    let address = proxy.addr();
    drop(proxy);
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
