// Scans: every way that this room reads rows, page by page.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "aimem/backends/backend.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::recall {

/// Call `visit` with every row of the range of `request`, in key order, whatever is in it.
absl::Status ForEachStored(Transaction& transaction, ScanRequest request,
                           absl::FunctionRef<absl::Status(const EntityRow&)> visit);

/// Decode the state of `row` into `parts`, which borrow from it. kDataLoss names its key.
absl::Status DecodeRow(const EntityRow& row, model::Parts& parts);

/// Call `visit` with every entity of `kind` (all kinds if absent), in key order, with its row and
/// decoded parts; both live during the call only. Stops at the first error. A row that does not
/// decode is left out: Count counts it, Check names it.
absl::Status ForEachRow(
    Transaction& transaction, std::optional<Kind> kind,
    absl::FunctionRef<absl::Status(const EntityRow&, std::span<const model::Part>)> visit);

/// Call `visit` with every entity of `kind` and `ids` that has a row, in the order of `ids`; a few
/// hundred are read together. A row that does not decode is left out, as by ForEachRow.
absl::Status ForEachOf(
    Transaction& transaction, Kind kind, std::span<const std::string> ids,
    absl::FunctionRef<void(const std::string& id, std::span<const model::Part>)> visit);

/// The same of memories, with their views.
absl::Status ForEachMemory(
    Transaction& transaction, std::span<const std::string> ids,
    absl::FunctionRef<void(const std::string& id, std::span<const model::Part>,
                           const model::MemoryView&)>
        visit);

}  // namespace aimem::recall
