//! A hint to the processor: what is looked at soon, it may fetch from memory meanwhile.
//!
//! It changes nothing but time. With a hundred sinks none of what they rest on stays in the processor's own cache from one
//! frame to the next, and a packet's cost is a third of waiting for it.

use std::ptr;

/// Bytes that are fetched at once.
const LINE: usize = 64;

/// Fetch a value, but nothing that it points to.
#[inline]
pub fn fetch<T: ?Sized>(value: &T) {
    let start = ptr::from_ref(value).cast::<i8>();
    let size = size_of_val(value);
    let mut at = 0;
    while at < size {
        line(start.wrapping_add(at));
        at += LINE;
    }
    // It may begin anywhere in a line.
    line(start.wrapping_add(size.saturating_sub(1)));
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn line(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that can be seen and faults nowhere, and each x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line(_at: *const i8) {}
