//! Bytes to a record and back, for every record there is.

use std::fmt::Debug;

use bytes::Bytes;
use menagerie_jute::*;

use crate::wire::{assert_canonical, assert_places, encoded, spliced, walk};

/// A record by itself.
type Check = fn(&Bytes, usize);

/// Lists the records and what to do with the bytes of each.
macro_rules! records {
    ($($record:ident)*) => {
        /// All records. New ones go to the end: kept inputs name them by their place.
        const RECORDS: &[(&str, Check)] = &[$((stringify!($record), check::<$record>)),*];
    };
}

records! {
    ConnectRequest ConnectResponse RequestHeader ReplyHeader MultiHeader ErrorResponse Stat CreateRequest CreateTtlRequest
    CreateResponse Create2Response DeleteRequest ExistsRequest ExistsResponse GetDataRequest GetDataResponse
    SetDataRequest SetDataResponse CheckVersionRequest GetChildrenRequest GetChildrenResponse GetChildren2Request
    GetChildren2Response GetAllChildrenNumberRequest GetAllChildrenNumberResponse GetEphemeralsRequest
    GetEphemeralsResponse Id Acl GetAclRequest GetAclResponse SetAclRequest SetAclResponse WatcherEvent AddWatchRequest
    CheckWatchesRequest RemoveWatchesRequest SetWatches SetWatches2 AuthPacket GetSaslRequest SetSaslResponse SyncRequest
    SyncResponse ClientInfo WhoAmIResponse ReconfigRequest MultiRequest MultiResponse
}

/// The first byte says which record, the second how its encoding is spliced and read.
pub fn record(data: &[u8]) {
    let Some((&[which, spill], bytes)) = data.split_first_chunk() else { return };
    if let Some((_, check)) = RECORDS.get(usize::from(which)) {
        check(&Bytes::copy_from_slice(bytes), spill.into());
    }
    made(Bytes::copy_from_slice(bytes), which.into());
}

/// What the constructors make of a record's parts is the record, where its headers are those that peers really send.
fn made(bytes: Bytes, which: usize) {
    let Some((name, _)) = RECORDS.get(which) else { return };
    let mut reader = Reader::new(bytes);
    match *name {
        "Acl" => {
            let Ok(acl) = reader.record::<Acl>() else { return };
            assert_eq!(acl, Acl::new(acl.perms, acl.id.scheme.clone(), acl.id.id.clone()));
            assert!((acl.perms | Perms::ADMIN).contains(acl.perms));
            assert_eq!(acl.perms.contains(Perms::ALL), acl.perms | Perms::ALL == acl.perms);
        }
        "MultiRequest" => {
            let Ok(multi) = reader.record::<MultiRequest>() else { return };
            let usual = multi.ops.iter().all(|op| op.header() == MultiHeader::request(op.op.op()));
            let made = MultiRequest::new(multi.ops.iter().map(|op| op.op.clone()));
            assert_eq!(made == multi, usual && multi.end == MultiHeader::END);
        }
        "MultiResponse" => {
            let Ok(multi) = reader.record::<MultiResponse>() else { return };
            let usual = multi.results.iter().all(|each| match &each.result {
                OpResult::Error(error) => each.err == error.err,
                _ => each.err == ErrorCode::OK,
            });
            let made = MultiResponse::new(multi.results.iter().map(|each| each.result.clone()));
            assert_eq!(made == multi, usual && multi.end == MultiHeader::END);
        }
        _ => {}
    }
}

fn check<R: Decode + Encode + Fields + PartialEq + Clone + Debug>(bytes: &Bytes, spill: usize) {
    let mut reader = Reader::new(bytes.clone());
    let strict = R::decode_exact(bytes.clone());
    let record: R = match reader.record() {
        Ok(record) => record,
        Err(error) => {
            assert_places(&error, bytes.len());
            assert_eq!(strict, Err(error), "strict decoding is not of the same mind");
            return;
        }
    };
    assert_eq!(reader.offset() + reader.remaining(), bytes.len());
    match strict {
        Ok(strict) => assert!(reader.remaining() == 0 && strict == record),
        Err(error) => {
            assert_places(&error, bytes.len());
            assert_eq!(error.kind, DecodeErrorKind::Trailing(reader.remaining()), "{error}");
        }
    }
    let again = encoded(&record);
    assert_canonical(&bytes[..reader.offset()], &again);
    assert_eq!(spliced(&record, spill % 16, spill / 16), again, "spliced values make a difference");
    assert_eq!(R::decode_exact(again).as_ref(), Ok(&record), "decodes to something else");
    assert_cut(&record);
    assert!(walk(&record) > 0 && !format!("{record:?}").is_empty());
}

/// Without its last byte no record decodes to the same.
fn assert_cut<R: Decode + Encode + PartialEq + Debug>(record: &R) {
    let whole = encoded(record);
    let Some(cut) = whole.len().checked_sub(1) else { return };
    match R::decode_exact(whole.slice(..cut)) {
        Ok(shorter) => assert_ne!(shorter, *record),
        Err(error) => assert_places(&error, cut),
    }
}

#[cfg(test)]
mod tests {
    use super::RECORDS;

    /// The records of the sources are the records fuzzed here.
    #[test]
    fn no_record_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../jute/src/proto");
        let mut declared: Vec<String> = vec!["MultiRequest".into(), "MultiResponse".into()];
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            declared.extend(source.split("record! {").skip(1).map(|block| {
                let (_, rest) = block.split_once("struct ").unwrap();
                rest.chars().take_while(char::is_ascii_alphanumeric).collect()
            }));
        }
        declared.sort();
        declared.dedup(); // `Id` stands there once more, as a planted fault.
        let mut fuzzed: Vec<_> = RECORDS.iter().map(|(name, _)| (*name).to_owned()).collect();
        fuzzed.sort();
        assert_eq!(declared, fuzzed);
    }
}
