#include "lib/recall/scan.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/log/grammar.h"

namespace aimem::recall {
namespace {

constexpr std::size_t kRowsTogether = 256;

}  // namespace

absl::Status ForEachStored(Transaction& transaction, ScanRequest request,
                           absl::FunctionRef<absl::Status(const EntityRow&)> visit) {
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, transaction.Scan(request));
    std::size_t bytes = 0;
    for (const EntityRow& row : rows) {
      bytes += row.state.size();
      AIMEM_RETURN_IF_ERROR(visit(row));
    }
    if (rows.empty() || (rows.size() < request.max_rows && bytes < request.max_bytes)) {
      return absl::OkStatus();
    }
    request.after = std::move(rows.back().key);
  }
}

absl::Status DecodeRow(const EntityRow& row, model::Parts& parts) {
  absl::Status status = log::DecodeState(row.state, parts);
  if (status.ok()) return status;
  return WithTrouble(
      Annotate(status, absl::StrFormat("the row of kind %d, key '%s', cannot be read, see doctor",
                                       static_cast<int>(row.key.kind),
                                       absl::CHexEscape(ToAbsl(row.key.key)))),
      Trouble::kRowUnreadable);
}

absl::Status ForEachRow(
    Transaction& transaction, std::optional<Kind> kind,
    absl::FunctionRef<absl::Status(const EntityRow&, std::span<const model::Part>)> visit) {
  model::Parts parts;
  ScanRequest request;
  request.kind = kind;
  return ForEachStored(transaction, std::move(request), [&](const EntityRow& row) -> absl::Status {
    if (!DecodeRow(row, parts).ok()) return absl::OkStatus();
    return visit(row, parts);
  });
}

absl::Status ForEachOf(
    Transaction& transaction, Kind kind, std::span<const std::string> ids,
    absl::FunctionRef<void(const std::string& id, std::span<const model::Part>)> visit) {
  model::Parts parts;
  for (std::size_t begin = 0; begin < ids.size(); begin += kRowsTogether) {
    const auto some = ids.subspan(begin, std::min(kRowsTogether, ids.size() - begin));
    ReadSet set;
    for (const std::string& id : some) set.keys.push_back({kind, id});
    AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read(set));
    for (const std::optional<EntityRow>& row : read.rows) {
      if (!row || !DecodeRow(*row, parts).ok()) continue;
      visit(row->key.key, parts);
    }
  }
  return absl::OkStatus();
}

absl::Status ForEachMemory(
    Transaction& transaction, std::span<const std::string> ids,
    absl::FunctionRef<void(const std::string& id, std::span<const model::Part>,
                           const model::MemoryView&)>
        visit) {
  return ForEachOf(transaction, Kind::kMemory, ids,
                   [&](const std::string& id, std::span<const model::Part> parts) {
                     visit(id, parts, model::ViewMemory(parts));
                   });
}

}  // namespace aimem::recall
