//! Creates with their parents, while others take the parents away.

use menagerie::jute::{Create2Response, ErrorCode, OpCode, Ustring};

use crate::support::{Server, connected, stat};

async fn made(server: &mut Server, path: &str) {
    server.expect(OpCode::CREATE2, path).await;
    server.reply(&Create2Response { path: Ustring::from(path), stat: stat() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_reaped_before_the_znode_is_there_is_made_again() {
    let (client, mut server) = connected().await;
    let (created, ()) = tokio::join!(client.create("/a/b").parents(), async {
        for _ in 0..3 {
            server.expect(OpCode::CREATE2, "/a/b").await;
            server.refuse(ErrorCode::NO_NODE).await;
            made(&mut server, "/a").await;
        }
        made(&mut server, "/a/b").await;
    });
    assert_eq!(created.unwrap().path, "/a/b");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_goes_on_taking_parents_away_wins_in_the_end() {
    let (client, mut server) = connected().await;
    let rounds = menagerie::limits::PARENT_ROUNDS;
    let (created, ()) = tokio::join!(client.create("/a/b").parents(), async {
        for round in 0..=rounds {
            server.expect(OpCode::CREATE2, "/a/b").await;
            server.refuse(ErrorCode::NO_NODE).await;
            if round < rounds {
                made(&mut server, "/a").await;
            }
        }
    });
    assert_eq!(created.unwrap_err().code(), Some(ErrorCode::NO_NODE));
}
