//! The contract's rate limits, which are on unless somebody turns them off.

use crate::http::{Answer, Connection, Request};
use crate::world::{UNSEEN, World};

/// A minute's worth of calls.
const A_MINUTE: usize = 100;

fn calls(world: &World, path: &str, count: usize) -> Vec<Answer> {
    let request = world.request("GET", path);
    let mut connection = Connection::open(&world.address);
    (0..count).map(|_| connection.ask(&request)).collect()
}

fn wait_of(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("Retry-After").parse().expect("whole seconds")
}

#[test]
fn the_101st_call_of_a_minute_is_refused_for_that_api_alone() {
    let Some(world) = World::limited("default") else { return };
    let path = format!("/api/files/{UNSEEN}");
    // Who is not let in pays nothing.
    for _ in 0..10 {
        Request::new("GET", &path).bearer("garbage").send(&world.address).refuses(401, "Unauthorized");
    }
    for answer in calls(&world, &path, A_MINUTE) {
        answer.refuses(404, "ResourceNotFound");
    }
    let refused = world.get(&path);
    let message = refused.refuses(429, "TooManyRequests");
    assert_eq!(message, "API calls quota exceeded! maximum allowed 100 per 00:01:00");
    let first = wait_of(&refused);
    assert!((1..=60).contains(&first), "{first}");
    // Both roots and every spelling pay from the same budget; refused calls lengthen nothing.
    let others = [format!("/testwdatppreview/files/{UNSEEN}"), format!("/API/v1.0/Files/{UNSEEN}/")];
    for path in others.iter().chain([&path; 50]) {
        let refused = world.get(path);
        refused.refuses(429, "TooManyRequests");
        assert!(wait_of(&refused) <= first);
    }

    // Every other API goes on.
    assert_eq!(world.get("/api/machines").status, 200);
    assert_eq!(world.get(&format!("/api/files/{UNSEEN}/machines")).status, 200);
    let block = world.post(&format!("/api/files/{UNSEEN}/block"), r#"{"Comment":"c"}"#);
    assert_eq!(block.status, 201);
    // Ours and the token endpoint have budgets of their own.
    for answer in calls(&world, "/api/quell/orders", A_MINUTE + 20) {
        assert_eq!(answer.status, 200);
    }
    for _ in 0..A_MINUTE + 20 {
        world.asks_token("POST", "oauth2/v2.0/token", &world.form("scope=x"), &[]).is(200);
    }
    world.up.stop();
}

#[test]
fn limits_are_as_they_were_set() {
    let Some(world) = World::limited("50/min,3/h") else { return };
    for _ in 0..3 {
        assert_eq!(world.get("/api/machines").status, 200);
    }
    let refused = world.get("/api/machines");
    let message = refused.refuses(429, "TooManyRequests");
    assert_eq!(message, "API calls quota exceeded! maximum allowed 3 per 01:00:00");
    assert!((3500..=3600).contains(&wait_of(&refused)));
    world.up.stop();
}
