//! A disk below a server that fails by plan, and of which a test knows what a loss of power would leave. Preloaded (`LD_PRELOAD`) into
//! the server's process, it stands in for those functions of the C library by which files are written, and hands everything else on.
//! Knows files below one folder; nothing of what is in them.
//!
//! - `SHIM_ROOT`: the folder. Without it nothing is done.
//! - `SHIM_DISK`: where it keeps what is on the disk ([`disk`]), which outlives the process as a disk would.
//! - `SHIM_PLAN`: a file that says what fails ([`plan`]), read whenever something may; a test changes it as it likes.
//!
//! A sync costs no time: nothing is handed to a real disk. Calls that go past the C library, as some crates make them, are not
//! seen; what they do to names is (a folder is read when it is synced), what they write is not, and the store writes nothing so.

// What replaces functions of the C library has their signatures.
#![allow(unsafe_code, missing_docs, clippy::missing_safety_doc)]

mod disk;
mod plan;

use disk::Disk;
use libc::{c_char, c_int, c_void, iovec, mode_t, off64_t, size_t, ssize_t};
use plan::{Act, Call};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

thread_local! {
    /// What the shim does itself goes straight to the kernel.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

const DESCRIPTORS: usize = 65_536;
/// What is known of each descriptor: nothing, that it is none of ours, or that it is.
static KNOWN: [AtomicU8; DESCRIPTORS] = [const { AtomicU8::new(0) }; DESCRIPTORS];
const OTHER: u8 = 1;
const OURS: u8 = 2;

fn disk() -> Option<MutexGuard<'static, Disk>> {
    static DISK: OnceLock<Option<Mutex<Disk>>> = OnceLock::new();
    let disk = DISK.get_or_init(|| Disk::of_environment().map(Mutex::new)).as_ref()?;
    Some(disk.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Does something with the disk, unless it is the shim that asks, or the descriptor is none of ours.
fn with<T>(fd: c_int, act: impl FnOnce(&mut Disk) -> T) -> Option<T> {
    if fd < 0 || INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true) {
        return None;
    }
    let known = KNOWN.get(fd as usize);
    let done = match known.map_or(0, |known| known.load(Ordering::Relaxed)) {
        OTHER => None,
        state => disk().and_then(|mut disk| {
            let ours = state == OURS || disk.has(fd);
            if let Some(known) = known {
                known.store(if ours { OURS } else { OTHER }, Ordering::Relaxed);
            }
            ours.then(|| act(&mut disk))
        }),
    };
    INSIDE.set(false);
    done
}

fn forget(fd: c_int) {
    if let Some(known) = usize::try_from(fd).ok().and_then(|fd| KNOWN.get(fd)) {
        known.store(0, Ordering::Relaxed);
    }
}

fn fails(errno: c_int) -> c_int {
    // SAFETY: the C library's own, of this thread.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// A system call, whose error is left in `errno`.
macro_rules! kernel {
    ($number:ident, $($argument:expr),*) => {
        // SAFETY: the arguments are those the caller gave to the function of the same name.
        unsafe { libc::syscall(libc::$number, $($argument),*) }
    };
}

/// Before something is written; how much of it may be, or the error.
fn before_write(fd: c_int, at: Option<off64_t>, len: usize) -> Result<usize, c_int> {
    with(fd, |disk| match disk.plan(fd, Call::Write) {
        Some(Act::Error(errno)) => Err(errno),
        act => {
            let len = if act == Some(Act::Short) { len.div_ceil(2) } else { len };
            disk.writes(fd, at, len as u64);
            Ok(len)
        }
    })
    .unwrap_or(Ok(len))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, len: size_t) -> ssize_t {
    match before_write(fd, None, len) {
        Ok(len) => kernel!(SYS_write, fd, bytes, len) as ssize_t,
        Err(errno) => fails(errno) as ssize_t,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, len: size_t, at: off64_t) -> ssize_t {
    match before_write(fd, Some(at), len) {
        Ok(len) => kernel!(SYS_pwrite64, fd, bytes, len, at) as ssize_t,
        Err(errno) => fails(errno) as ssize_t,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, bytes: *const c_void, len: size_t, at: off64_t) -> ssize_t {
    // SAFETY: the caller's own arguments.
    unsafe { pwrite64(fd, bytes, len, at) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    let count_of = usize::try_from(count).unwrap_or(0);
    let all = || {
        // SAFETY: the caller's own array.
        let parts = unsafe { std::slice::from_raw_parts(parts, count_of) };
        parts.iter().map(|part| part.iov_len).sum()
    };
    match before_write(fd, None, if count_of == 0 { 0 } else { all() }) {
        Ok(_) => kernel!(SYS_writev, fd, parts, count) as ssize_t,
        Err(errno) => fails(errno) as ssize_t,
    }
}

fn sync(fd: c_int) -> c_int {
    with(fd, |disk| match disk.plan(fd, Call::Sync) {
        Some(Act::Error(errno)) => {
            disk.loses(fd);
            Err(errno)
        }
        Some(Act::Lie) => Ok(()),
        _ => {
            disk.syncs(fd);
            Ok(())
        }
    })
    .map_or_else(|| kernel!(SYS_fsync, fd) as c_int, |synced| synced.map_or_else(fails, |()| 0))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, len: off64_t) -> c_int {
    with(fd, |disk| disk.cuts(fd, len.unsigned_abs()));
    kernel!(SYS_ftruncate, fd, len) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, len: off64_t) -> c_int {
    // SAFETY: the caller's own arguments.
    unsafe { ftruncate64(fd, len) }
}

/// A file that is emptied as it is opened.
fn opened(fd: c_int, flags: c_int) -> c_int {
    forget(fd);
    if flags & libc::O_TRUNC != 0 {
        with(fd, |disk| disk.cuts(fd, 0));
    }
    fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opened(kernel!(SYS_openat, at, path, flags, mode) as c_int, flags)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's own arguments.
    unsafe { openat64(at, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's own arguments.
    unsafe { openat64(libc::AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's own arguments.
    unsafe { openat64(libc::AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    forget(fd);
    kernel!(SYS_close, fd) as c_int
}
