// What ThreadSanitizer must not report, linked into every program that it watches.
//
// Debian's Abseil is not instrumented: of the reference count of a Status, copies are seen, which
// are inlined, and drops are not. Where two threads each have a copy, the one that frees it seems
// to race with the other's copying.
extern "C" const char* __tsan_default_suppressions() { return "race:absl::*::Status::Unref\n"; }
