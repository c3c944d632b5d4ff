// Mount: what is served at a path of its own on the port of another handler.
#pragma once

#include <string_view>

#include "services/web/handler.h"

namespace aimem::web {

/// Whoever asks has been let in: by the HostRule of the port, and by its API key.
class Mount {
 public:
  virtual ~Mount() = default;

  /// "/name": this path alone, whatever the method.
  [[nodiscard]] virtual std::string_view path() const = 0;

  /// Like Handler::Handle. What it gives to `threads` may use this.
  virtual void Handle(Request request, Respond respond, Threads& threads) = 0;

  /// Like Handler::Drain.
  virtual void Drain() = 0;
};

}  // namespace aimem::web
