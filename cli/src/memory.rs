//! Where the process gets its memory from, and gives it back to. Knows two allocators: jemalloc on Linux with glibc, and
//! whatever the system has elsewhere.
//!
//! docs/decisions/015 says why: what a fleet at rest needs lies between the garbage of the commit that brought it, and
//! glibc keeps every page of which one byte is in use.

/// The allocator of the whole binary, of the libraries in C too.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Returns free pages to the system, wherever they lie.
///
/// By itself the allocator does so some seconds after they became free, but only while something else is allocated.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "the only way to it: a fleet at rest allocates nothing, so nothing comes back by itself"
)]
pub(crate) fn give_back() {
    // 4096 stands for all arenas (jemalloc(3), "arena.<i>.purge": `MALLCTL_ARENAS_ALL`).
    const PURGE: &std::ffi::CStr = c"arena.4096.purge";
    let none = std::ptr::null_mut();
    // SAFETY: the name ends with a zero byte; this control reads and writes nothing through the other pointers, may be
    // called from any thread, and touches no memory that is in use.
    let _ = unsafe {
        tikv_jemalloc_sys::mallctl(
            PURGE.as_ptr(),
            none,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    };
}

/// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}
