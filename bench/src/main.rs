//! `longwire-bench`: drives a chat server over loopback and reports its cost per delivery and its latency.
fn main() {}
