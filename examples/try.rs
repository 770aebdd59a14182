use longwire::{settings::Settings, shard::*};
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let settings =
        Settings::with([("websocket.message_size_limit", "64MiB"), ("client.queue_max_size", "128MiB")])
            .unwrap();
    let cores: Vec<usize> = a[2].split(',').map(|c| c.parse().unwrap()).collect();
    let server = launch(Plan {
        listen: a[1].parse().unwrap(),
        cores,
        connections: 100000,
        settings: Arc::new(settings),
        verifier: None,
        app: AppKind::Echo,
    })
    .unwrap();
    println!("listening on ws://{}/ {}", server.local_addr(), server.capacity());
    server.join().unwrap();
}
