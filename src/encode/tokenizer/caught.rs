//! Panics of the tokenizers crate as errors.
//!
//! The crate trusts its files: a `tokenizer.json` that contradicts itself panics while it is read, or
//! only at the first text that meets the fault. The audit refuses what we know of; this is for the
//! rest. The hook that prints a panic is one for the whole process: ours stands before the one that
//! was there, and is silent only on threads that are inside [`caught`].

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What `f` returns; what it fails or panics with as text.
pub(super) fn caught<T, E: std::fmt::Display>(
    f: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                before(info);
            }
        }));
    });
    let outer = INSIDE.replace(true);
    // The crate's own caches are behind locks, which a panic poisons and which it then passes by.
    let result = catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(outer);
    match result {
        Ok(result) => result.map_err(crate::error::foreign),
        Err(panic) => Err(format!("a panic in the tokenizers library: {}", text(&*panic))),
    }
}

/// A panic's message, on one line.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_on_every_thread_and_the_next_call_works() {
        let index = std::hint::black_box(7);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let e = caught::<u8, String>(|| Ok([1, 2][index])).unwrap_err();
                        assert!(e.contains("library: index out of bounds"), "{e}");
                        assert_eq!(caught::<u8, String>(|| Ok(3)), Ok(3));
                    }
                });
            }
        });
        assert_eq!(caught::<u8, &str>(|| Err("no")), Err("no".to_owned()));
        assert!(!INSIDE.get());
    }
}
