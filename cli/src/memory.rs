//! Where the process gets its memory from, and gives it back to. Knows two allocators on Linux with glibc, and whatever the
//! system has elsewhere.
//!
//! docs/decisions/015 says why there are two: what a fleet at rest needs lies between the garbage of the commit that brought
//! it, and glibc keeps every page of which one byte is in use; a command that ends at once is smaller with glibc.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "allocators are unsafe by their nature; 10,000 apps at rest take 100 MiB less, a build of 1,000 objects 3 MiB less"
)]
mod chosen {
    use std::alloc::{GlobalAlloc, Layout};
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::sync::atomic::{AtomicBool, Ordering};

    use tikv_jemallocator::Jemalloc;

    /// Commands that keep a fleet in memory for as long as they run.
    const LONG_LIVED: [&CStr; 3] = [c"up", c"run", c"demo"];

    /// True when jemalloc serves. Never changed after the first allocation: what one allocator gave the other must not take.
    static IS_LONG_LIVED: AtomicBool = AtomicBool::new(false);

    /// Runs before `main`, and so before anything is allocated: the C library hands the arguments of `main` to each function
    /// of this section, in the order of their numbers (those of Rust's own library begin at 99).
    #[used]
    #[unsafe(link_section = ".init_array.00098")]
    static CHOOSE: unsafe extern "C" fn(c_int, *const *const c_char) = choose;

    unsafe extern "C" fn choose(count: c_int, arguments: *const *const c_char) {
        let count = usize::try_from(count).unwrap_or(0);
        let mut all = (1..count).map(|at| {
            // SAFETY: `main` is given `count` pointers to texts that end with a zero byte and live as long as the process.
            unsafe { CStr::from_ptr(*arguments.add(at)) }
        });
        let is_long_lived = is_long_lived(&mut all);
        IS_LONG_LIVED.store(is_long_lived, Ordering::Relaxed);
        if !is_long_lived && is_small_machine() {
            // SAFETY: nothing is allocated yet; both are parameters of mallopt(3), which takes any number for them.
            unsafe {
                mallopt(M_ARENA_MAX, 1);
                mallopt(M_TOP_PAD, GROWTH);
            }
        }
    }

    // malloc.h.
    const M_TOP_PAD: c_int = -2;
    const M_ARENA_MAX: c_int = -8;

    /// Bytes by which the heap grows. A thread's own arena grows page by page, each with a call of the kernel.
    const GROWTH: c_int = 1 << 20;

    /// Whether so few threads work that they rarely wait for each other's memory.
    fn is_small_machine() -> bool {
        // A bit for each core that this process may use, as many as the C library's own set has (sched.h, CPU_SETSIZE).
        let mut cores = [0_u64; 16];
        // SAFETY: it writes at most as many bytes as it is told that there are.
        let result = unsafe { sched_getaffinity(0, size_of_val(&cores), cores.as_mut_ptr()) };
        result == 0 && cores.iter().map(|part| part.count_ones()).sum::<u32>() <= 4
    }

    /// Allocates nothing. A word that is no command but looks like one costs some MiB.
    pub(super) fn is_long_lived<'a>(arguments: &mut impl Iterator<Item = &'a CStr>) -> bool {
        arguments.any(|word| LONG_LIVED.contains(&word))
    }

    // jemalloc has the names of the C library's functions, so that libgit2 and zstd use it; these are the C library's own.
    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
        fn __libc_free(memory: *mut c_void);
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
        fn sched_getaffinity(process: c_int, size: usize, cores: *mut u64) -> c_int;
    }

    /// What malloc(3) aligns everything to.
    const ALIGNED: usize = 2 * size_of::<usize>();

    /// The C library's allocator.
    struct Glibc;

    // SAFETY: what is returned has the wanted size and alignment or is null, and is freed by the function that belongs to it.
    unsafe impl GlobalAlloc for Glibc {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let memory = match layout.align() <= ALIGNED {
                true => unsafe { __libc_malloc(layout.size()) },
                false => unsafe { __libc_memalign(layout.align(), layout.size()) },
            };
            memory.cast()
        }

        unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
            unsafe { __libc_free(memory.cast()) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if layout.align() <= ALIGNED {
                return unsafe { __libc_calloc(1, layout.size()) }.cast();
            }
            let memory = unsafe { self.alloc(layout) };
            if !memory.is_null() {
                unsafe { memory.write_bytes(0, layout.size()) };
            }
            memory
        }

        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if layout.align() <= ALIGNED {
                return unsafe { __libc_realloc(memory.cast(), size) }.cast();
            }
            // SAFETY: the caller promises that the size fits the alignment.
            let moved =
                unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
            if !moved.is_null() {
                let kept = layout.size().min(size);
                unsafe { moved.copy_from_nonoverlapping(memory, kept) };
                unsafe { self.dealloc(memory, layout) };
            }
            moved
        }
    }

    struct Chosen;

    #[global_allocator]
    static ALLOCATOR: Chosen = Chosen;

    fn is_jemalloc() -> bool {
        IS_LONG_LIVED.load(Ordering::Relaxed)
    }

    // SAFETY: each call goes on to one of two allocators as it came, and always to the same one.
    unsafe impl GlobalAlloc for Chosen {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match is_jemalloc() {
                true => unsafe { Jemalloc.alloc(layout) },
                false => unsafe { Glibc.alloc(layout) },
            }
        }

        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            match is_jemalloc() {
                true => unsafe { Jemalloc.dealloc(memory, layout) },
                false => unsafe { Glibc.dealloc(memory, layout) },
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            match is_jemalloc() {
                true => unsafe { Jemalloc.alloc_zeroed(layout) },
                false => unsafe { Glibc.alloc_zeroed(layout) },
            }
        }

        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            match is_jemalloc() {
                true => unsafe { Jemalloc.realloc(memory, layout, size) },
                false => unsafe { Glibc.realloc(memory, layout, size) },
            }
        }
    }

    /// Returns free pages to the system, wherever they lie.
    ///
    /// By itself jemalloc does so some seconds after they became free, but only while something else is allocated.
    pub(crate) fn give_back() {
        // 4096 stands for all arenas (jemalloc(3), "arena.<i>.purge": `MALLCTL_ARENAS_ALL`).
        const PURGE: &CStr = c"arena.4096.purge";
        let none = std::ptr::null_mut();
        // SAFETY: the name ends with a zero byte; this control reads and writes nothing through the other pointers, may be
        // called from any thread, and touches no memory that is in use.
        let _ = unsafe {
            tikv_jemalloc_sys::mallctl(PURGE.as_ptr(), none, std::ptr::null_mut(), none, 0)
        };
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_what_stays_is_long_lived() {
            let is_long = |words: &[&'static CStr]| is_long_lived(&mut words.iter().copied());
            assert!(is_long(&[c"up"]) && is_long(&[c"-v", c"run", c"--kubeconfig", c"f"]));
            assert!(!is_long(&[]) && !is_long(&[c"build", c"upper.ord"]));
        }

        #[test]
        fn memory_of_the_c_library_is_aligned_zeroed_and_kept() {
            for align in [1, 16, 64, 4096] {
                let layout = Layout::from_size_align(100, align).expect("a layout");
                // SAFETY: what is allocated here is written within its size and freed once.
                unsafe {
                    let memory = Glibc.alloc_zeroed(layout);
                    assert!(!memory.is_null() && memory.addr().is_multiple_of(align));
                    assert!((0..100).all(|at| *memory.add(at) == 0));
                    memory.write_bytes(7, 100);
                    let grown = Glibc.realloc(memory, layout, 9_000);
                    assert!(!grown.is_null() && grown.addr().is_multiple_of(align));
                    assert!((0..100).all(|at| *grown.add(at) == 7));
                    let layout = Layout::from_size_align(9_000, align).expect("a layout");
                    Glibc.dealloc(grown, layout);
                }
            }
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) use chosen::give_back;

/// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}
