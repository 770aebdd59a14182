//! The demo chat of `web/`, which a server in dev mode shows at `/`. Knows no request and no socket.

/// A file of the page.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct File {
    path: &'static str,
    content_type: &'static str,
    pub(super) body: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! file {
    ($path:literal, $name:literal, $content_type:expr) => {
        File { path: $path, content_type: $content_type, body: include_str!(concat!("../../../web/", $name)) }
    };
}

static FILES: [File; 8] = [
    file!("/", "index.html", "text/html; charset=utf-8"),
    file!("/page.css", "page.css", "text/css; charset=utf-8"),
    file!("/page.js", "page.js", SCRIPT),
    file!("/longwire.js", "longwire.js", SCRIPT),
    file!("/connection.js", "connection.js", SCRIPT),
    file!("/conversation.js", "conversation.js", SCRIPT),
    file!("/outbox.js", "outbox.js", SCRIPT),
    file!("/reconnect.js", "reconnect.js", SCRIPT),
];

/// What a browser may do for the page: run its own scripts and speak to its own server, whatever others write into a message. A
/// server that was built anew is asked for its own page.
const RULES: &str = "\
Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
X-Content-Type-Options: nosniff\r\n\
Referrer-Policy: no-referrer\r\n\
Cache-Control: no-cache\r\n";

impl File {
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// The header fields that tell a browser what it is and may do.
    pub(super) fn fields(&self) -> [&'static str; 4] {
        [RULES, "Content-Type: ", self.content_type, "\r\n"]
    }
}
