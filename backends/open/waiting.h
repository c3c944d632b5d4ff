// Who waits for long work.
#pragma once

#include <atomic>
#include <functional>

#include "aimem/transfer.h"

namespace aimem::open {

/// Borrows both: for the time of a call.
struct Waiting {
  const std::atomic<bool>* cancel = nullptr;
  const std::function<void(const TransferProgress&)>& progress;

  [[nodiscard]] bool stopped() const { return cancel != nullptr && cancel->load(); }
};

}  // namespace aimem::open
