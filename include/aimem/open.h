// OpenStore: a store by its URL, whatever backend that names.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace aimem {

struct OpenOptions {
  /// False: kNotFound instead of making a new store. Default true.
  bool create = true;
  /// Nothing is ever written. Default false.
  bool read_only = false;
  /// True: an acknowledged write survives power loss. Default true.
  bool sync_writes = true;
  StoreOptions store = {};
};

/// Open what `url` names:
///
///   sqlite:///absolute/path, sqlite://./relative/path, or a path without a scheme
///   postgres://… or postgresql://…                       (?aimem_schema=NAME: default aimem)
///   memory:                                              (gone when closed)
///
/// kInvalidArgument for another scheme: the URL (password masked) and the accepted forms are
/// named. Other errors are the backend's.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view url,
                                                 const OpenOptions& options = {});

/// The backend that `url` names, for whoever puts a store of another kind over it, such as a
/// member of a federation. `options.store` is not used. Errors as OpenStore.
absl::StatusOr<std::unique_ptr<Backend>> OpenBackend(std::string_view url,
                                                     const OpenOptions& options = {});

/// `url` with its password replaced by "***", for messages and reports.
std::string MaskUrl(std::string_view url);

}  // namespace aimem
