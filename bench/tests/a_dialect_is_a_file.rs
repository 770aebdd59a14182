//! A chat server with messages of its own is driven by a file that says what they are; a file that says too little is refused.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
mod common;

use common::{Fault, Kind, bench, serve};
use std::path::PathBuf;

/// A file that is gone when the test is.
struct Text(PathBuf);

impl Text {
    fn new(text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("dialect-{}-{:x}.toml", std::process::id(), fastrand::u64(..)));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn option(&self) -> String {
        format!("--dialect={}", self.0.display())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Keys in another order than the built-in ones have, a number before the payload, sign-in answered.
const OWN: &str = r#"
sign_in = '{"username":"{user}","type":"auth"}'
join = '{"group":"{group}","type":"joinGroup"}'
to_user = '{{id}"message":"{payload}","to":"{user}","type":"message"}'
to_group = '{{id}"message":"{payload}","group":"{group}","type":"message"}'
id = '"id":"{id}",'
[answers]
authenticated = ['{"type":"auth']
joined = ['{"type":"jo']
ack = ['{"type":"a']
"#;

#[test]
fn a_file_drives_pairs_and_groups_with_acks() {
    let file = Text::new(OWN);
    let dialect = file.option();
    for scenario in [["pairs", "--users=4"], ["group", "--members=4"]] {
        let url = serve(Kind::Longwire, Fault::None);
        let options =
            ["--in-flight=1", "--ids", "--core=any", "--warmup=20ms", "--duration=500ms", "--url", &url];
        let (code, report, said) = bench(&[&scenario as &[&str], &options, &[&dialect]].concat());
        assert_eq!(code, 0, "{said} {report}");
        assert!(report["acks"].as_u64().unwrap() > 0, "{report}");
    }
}

#[test]
fn a_file_that_cannot_work_is_refused_before_anything_runs() {
    let without_payload = Text::new("to_user = 'hello {user}'");
    let (code, _, said) = bench(&["pairs", "--url=ws://127.0.0.1:9/", &without_payload.option()]);
    assert!(code == 2 && said.contains("to_user"), "{code}: {said}");
    let (code, _, said) = bench(&["pairs", "--url=ws://127.0.0.1:9/", "--dialect=esperanto"]);
    assert!(code == 2 && said.contains("socketio"), "{code}: {said}");
    let (code, _, said) = bench(&["pairs", "--url=ws://127.0.0.1:9/", "--dialect=tutorial", "--ids"]);
    assert!(code == 1 && said.contains("--ids"), "{code}: {said}");
}
