#include "lib/recall/links.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/status.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"
#include "lib/recall/scan.h"

namespace aimem::recall {
namespace {

// Both ends of all of them are read together.
constexpr std::size_t kLinksTogether = 250;

struct StoredLink {
  std::string key;
  model::LinkView view;
};

// What decides whether a link to or from a memory is shown; of a memory that is not here, all
// zeros and gone.
using Ends = std::map<std::string, model::MemoryView, std::less<>>;

absl::StatusOr<Ends> ReadEnds(Transaction& transaction, std::span<const StoredLink> links) {
  std::set<std::string_view> distinct;
  for (const StoredLink& link : links) {
    const std::optional<model::LinkKey> key = model::ParseLinkKey(link.key);
    distinct.insert({key->source, key->target});
  }
  const std::vector<std::string> ids(distinct.begin(), distinct.end());
  Ends ends;
  AIMEM_RETURN_IF_ERROR(ForEachMemory(
      transaction, ids,
      [&](const std::string& id, std::span<const model::Part>, const model::MemoryView& view) {
        model::MemoryView& end = ends[id];  // without the texts, which end with the row
        end.phase = view.phase;
        end.deleted = view.deleted;
      }));
  return ends;
}

absl::StatusOr<std::vector<ShownLink>> Shown(Transaction& transaction,
                                             std::span<const StoredLink> links) {
  AIMEM_ASSIGN_OR_RETURN(const Ends ends, ReadEnds(transaction, links));
  std::vector<ShownLink> shown;
  for (const StoredLink& link : links) {
    const std::optional<model::LinkKey> key = model::ParseLinkKey(link.key);
    const auto source = ends.find(key->source);
    const auto target = ends.find(key->target);
    if (source == ends.end() || target == ends.end()) continue;
    if (!model::LinkShown(link.view, source->second, target->second)) continue;
    shown.push_back({link.key, Link{.source_id = std::string(key->source),
                                    .target_id = std::string(key->target),
                                    .relation = std::string(key->relation),
                                    .created_at = model::FromNanoseconds(link.view.created_at)}});
  }
  return shown;
}

// Add `row` to `links` if it is a link that is there. What is none, or cannot be read, is Check's
// to report.
void Collect(const EntityRow& row, std::vector<StoredLink>& links) {
  model::Parts parts;
  if (!DecodeRow(row, parts).ok()) return;
  const std::optional<model::LinkView> view = model::ViewLink(parts);
  if (view && model::ParseLinkKey(row.key.key)) links.push_back({row.key.key, *view});
}

}  // namespace

absl::Status ForEachShownLink(Transaction& transaction, const std::string& after,
                              absl::FunctionRef<bool(ShownLink)> visit) {
  ScanRequest request;
  request.kind = Kind::kLink;
  request.max_rows = kLinksTogether;
  if (!after.empty()) request.after = EntityKey{Kind::kLink, after};
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, transaction.Scan(request));
    if (rows.empty()) return absl::OkStatus();
    std::vector<StoredLink> links;
    for (const EntityRow& row : rows) Collect(row, links);
    AIMEM_ASSIGN_OR_RETURN(std::vector<ShownLink> shown, Shown(transaction, links));
    for (ShownLink& link : shown) {
      if (!visit(std::move(link))) return absl::OkStatus();
    }
    request.after = std::move(rows.back().key);
  }
}

absl::StatusOr<std::vector<ShownLink>> LinksOf(Transaction& transaction, const std::string& id) {
  std::vector<StoredLink> links;
  ScanRequest request;
  request.kind = Kind::kLink;
  request.prefix = id;
  request.prefix.push_back('\0');
  AIMEM_RETURN_IF_ERROR(ForEachStored(transaction, std::move(request), [&](const EntityRow& row) {
    Collect(row, links);
    return absl::OkStatus();
  }));
  ReadSet incoming;
  incoming.names.push_back(model::LinkTargetHash(id));
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read(incoming));
  for (const EntityRow& row : read.named) {
    if (row.key.kind != Kind::kLink) continue;
    const std::optional<model::LinkKey> key = model::ParseLinkKey(row.key.key);
    if (!key || key->target != id || key->source == id) continue;
    Collect(row, links);
  }
  std::sort(links.begin(), links.end(),
            [](const StoredLink& a, const StoredLink& b) { return a.key < b.key; });
  return Shown(transaction, links);
}

}  // namespace aimem::recall
