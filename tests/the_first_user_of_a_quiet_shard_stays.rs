//! A shard that slept for longer than two heartbeats knows what time it is when its first user arrives by mail.

mod common;

use common::TestServer;
use longwire::metrics::Gauge;
use std::time::Duration;

#[test]
fn the_first_user_of_a_quiet_shard_stays() {
    let server = TestServer::chat(2, &[("client.ping_interval", "50ms")]);
    let user = server.user_on(1, 0);
    // Either shard may accept; with ten tries the other one almost surely does at least once.
    for _ in 0..10 {
        server.wait_until("nobody is left", |server| server.level(Gauge::Connections) == 0);
        // Silence itself is what is tested here: more than two heartbeats of it.
        std::thread::park_timeout(Duration::from_millis(150));
        server.sign_in(&user).expect_nothing();
    }
}
