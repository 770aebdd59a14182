//! Ctrl-C and SIGTERM: the first one asks a run to end and to report what it has, the second one ends the process at once.
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

/// Exit code of an interrupted run, as shells count signals: 128 and SIGINT's number.
pub(crate) const EXIT: u8 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes the signals from here on: before the first run they end the process as they always do.
pub(crate) fn listen() {
    ASKED.get_or_init(|| {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first one only sets the flag. Both fail for signals that cannot be taken only.
            let taken = flag::register_conditional_shutdown(signal, i32::from(EXIT), Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)));
            if let Err(error) = taken {
                eprintln!("signal {signal} is not taken: {error}");
            }
        }
        asked
    });
}

/// Whether a signal has asked to end.
pub(crate) fn requested() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Relaxed))
}
