// Threads of the library, in a host that is not ours.
#pragma once

#include <thread>

#include "absl/functional/any_invocable.h"

namespace aimem {

/// Start a thread that runs `body`.
///
/// `name` is what debuggers and `ps -L` show of it: at most 15 bytes, beginning with "aimem-". All
/// signals are blocked in it but those that a fault of its own raises and that of profilers: a
/// signal sent to the process is taken by a thread of the host, which knows what to do with it.
///
/// Throws std::system_error if no thread could be started. `body` must not throw.
std::thread StartThread(const char* name, absl::AnyInvocable<void() &&> body);

}  // namespace aimem
