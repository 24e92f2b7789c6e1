//! `zooctl decode` as its user runs it: the real binary on recorded frames and on nonsense.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};

const GOLDEN: &str = include_str!("../../jute/tests/golden/frames.jsonl");

/// Runs `zooctl decode` with those arguments and that input.
fn decode(arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let input = input.into();
    let mut child = Command::new(env!("CARGO_BIN_EXE_zooctl"))
        .arg("decode")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // On a thread: the child may fill its output before it has read all. It may also end without reading.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(bytes: &[u8]) -> Vec<Json> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// The error that a run reports as its only one, and that it ends with exit code 1.
fn only_error(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(1));
    let errors = lines(&output.stderr);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].clone()
}

#[test]
fn all_recorded_frames_in_one_run() {
    let golden: Vec<Json> = GOLDEN.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(golden.len(), 728);
    let word = |frame: &Json, key: &str| frame[key].as_str().unwrap().to_owned();
    let input: Vec<String> = golden
        .iter()
        .map(|frame| format!("{} {} {}", word(frame, "dir"), word(frame, "op"), word(frame, "hex")))
        .collect();
    let output = decode(&[], input.join("\n"));

    let malformed = |frame: &&Json| frame["note"] == "malformed";
    let wanted: Vec<String> =
        golden.iter().filter(|frame| !malformed(frame)).map(|frame| frame["fields"].to_string()).collect();
    let printed: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(wanted.len(), 725);
    for (wanted, printed) in wanted.iter().zip(&printed) {
        assert_eq!(wanted, printed);
    }
    assert_eq!(printed.len(), 725);

    let errors = lines(&output.stderr);
    let numbers: Vec<_> =
        (1..).zip(&golden).filter(|(_, frame)| malformed(frame)).map(|(at, _)| json!(at)).collect();
    assert_eq!(errors.iter().map(|error| error["frame"].clone()).collect::<Vec<_>>(), numbers);
    assert_eq!(errors.len(), 3);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn requests_handshakes_and_notifications_need_no_op() {
    let golden: Vec<Json> = GOLDEN.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let by_itself = |frame: &&Json| {
        frame.get("note").is_none()
            && (frame["dir"] == "request" || frame["op"] == "connect" || frame["op"] == "notification")
    };
    for (dir, count) in [("request", 329), ("response", 95)] {
        let frames: Vec<&Json> =
            golden.iter().filter(by_itself).filter(|frame| frame["dir"] == dir).collect();
        assert_eq!(frames.len(), count);
        let hex: Vec<&str> = frames.iter().map(|frame| frame["hex"].as_str().unwrap()).collect();
        let output = decode(&["--dir", dir], hex.join("\n"));
        let wanted: Vec<Json> = frames.iter().map(|frame| frame["fields"].clone()).collect();
        assert_eq!(lines(&output.stdout), wanted);
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn longs_are_exact() {
    let zxid = i64::MAX - 1;
    let output =
        decode(&["--dir", "response", "--op", "delete", &format!("00000001{zxid:016x}00000000")], "");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "{\"header\":{\"xid\":1,\"zxid\":9223372036854775806,\"err\":0},\"body\":null}\n");
}

#[test]
fn white_space_in_hex_does_not_matter() {
    let output = decode(&["--dir", "request", " 0000 0046\t00000009\n 00000002 2F67 "], "");
    let sync = json!({"header": {"xid": 70, "type": 9}, "body": {"path": "/g"}});
    assert_eq!(lines(&output.stdout), [sync]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn leftover_bytes_are_shown_as_trailing() {
    let output = decode(&["--dir", "request", "--op", "ping", "fffffffe0000000bBEEF"], "");
    let ping = json!({"header": {"xid": -2, "type": 11}, "body": null, "trailing": "beef"});
    assert_eq!(lines(&output.stdout), [ping]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_reply_without_op_shows_its_body_raw() {
    let output = decode(&["--dir", "response"], "00000005 0000000000000007 00000000 01020304\n");
    let reply = json!({"header": {"xid": 5, "zxid": 7, "err": 0}, "body": {"raw": "01020304"}});
    assert_eq!(lines(&output.stdout), [reply]);
}

#[test]
fn a_malformed_frame_is_reported_and_the_others_go_on() {
    let output =
        decode(&["--dir", "request"], "fffffffe0000000b\n0000004600000004000000322f72\nfffffffe0000000b\n");
    assert_eq!(lines(&output.stdout).len(), 2);
    let error = only_error(&output);
    assert_eq!(
        error,
        json!({
            "error": "GetDataRequest.path at byte 8: needs 50 bytes, 2 left",
            "record": "GetDataRequest", "field": "path", "offset": 8, "frame": 2,
        })
    );
}

#[test]
fn text_that_is_no_frame_is_reported() {
    let error = |arguments: &[&str], input: &[u8]| {
        only_error(&decode(arguments, input))["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(error(&["--dir", "request", "000"], b""), "3 hex digits: half a byte too many");
    assert_eq!(error(&["--dir", "request", "00 zz"], b""), "'z' in column 4 is not a hex digit");
    assert_eq!(error(&["--dir", "request", ""], b""), "no hex digits");
    assert_eq!(error(&["--dir", "request"], b""), "no frame given");
    assert_eq!(error(&["--dir", "request"], b"\n  \n"), "no frame given");
    assert_eq!(error(&["--dir", "request"], b"\xff\xfe\n"), "'\u{fffd}' in column 1 is not a hex digit");
    assert_eq!(
        error(&[], b"fffffffe0000000b"),
        "neither --dir nor the frame says whether it is a request or a response"
    );
    assert_eq!(
        error(&["--dir", "request"], b"getdata 00"),
        "\"getdata\" is neither hex, nor a direction, nor an operation"
    );
    assert_eq!(
        error(&["--dir", "request", "--op", "getData", "fffffffe0000000b"], b""),
        "the header asks for ping, not for getData"
    );
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let raw = decode(&["--op", "-10", "--dir", "request", "00000001fffffff600"], "");
    let session = json!({"header": {"xid": 1, "type": -10}, "body": {"raw": "00"}});
    assert_eq!(lines(&raw.stdout), [session]);
    for arguments in [["--op", "getdata"], ["--dir", "sideways"]] {
        let output = decode(&[&arguments[..], &["fffffffe0000000b"]].concat(), "");
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(arguments[1]), "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_closed_output_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zooctl"))
        .args(["decode", "--dir", "request"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Nobody reads its output, so it stops reading at the first frame, and this ends with an error.
    while stdin.write_all(b"fffffffe0000000b\n").is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn help_says_that_passwords_are_printed() {
    let output = decode(&["--help"], "");
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Passwords, tokens and auth data are printed"), "{help}");
}

/// What the README shows is what happens.
#[test]
fn the_examples_of_the_readme() {
    let readme = include_str!("../README.md");
    let block = readme.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let mut checked = 0;
    for example in block.split("$ zooctl decode ").skip(1) {
        let (command, shown) = example.split_once('\n').unwrap();
        // A quoted argument stands between every other pair of quotes.
        let arguments: Vec<&str> = command
            .split('\'')
            .enumerate()
            .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
            .collect();
        let output = decode(&arguments, "");
        assert_eq!(String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), shown);
        checked += 1;
    }
    assert_eq!(checked, 4);
}
