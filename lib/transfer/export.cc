#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/model/parts.h"
#include "lib/model/validate.h"
#include "lib/model/view.h"
#include "lib/transfer/json_text.h"
#include "lib/transfer/scan.h"

namespace aimem {
namespace transfer {
namespace {

constexpr std::size_t kMemoriesAtOnce = 200;
constexpr std::int64_t kLinksAtOnce = 100'000;

struct Listed {
  std::int64_t created_at;
  std::string id;

  friend auto operator<=>(const Listed&, const Listed&) = default;
};

class Exporter {
 public:
  Exporter(Store& from, absl::Time now, std::ostream& out, const ExportOptions& options)
      : from_(from), now_(now), out_(out), options_(options) {}

  absl::Status Run() {
    AIMEM_RETURN_IF_ERROR(ListAlive());
    out_ << "{\n  \"exported_at\": " << model::JsonString(model::FormatTime(now_))
         << ",\n  \"memories\": [";
    AIMEM_RETURN_IF_ERROR(WriteMemories());
    out_ << (exported_.empty() ? "],\n  \"links\": [" : "\n  ],\n  \"links\": [");
    AIMEM_RETURN_IF_ERROR(WriteLinks());
    // The count comes last: only now it is known what was still there to be written.
    out_ << "],\n  \"count\": " << exported_.size() << "\n}\n";
    out_.flush();
    return CheckOutput();
  }

 private:
  // One pass in key order; only ids and times stay in memory.
  absl::Status ListAlive() {
    StateReader reader(from_, {.bytes = 4u << 20, .items = 10'000}, nullptr, options_.bounds);
    model::Parts parts;
    const std::int64_t now = model::ToNanoseconds(now_);
    while (true) {
      AIMEM_ASSIGN_OR_RETURN(const EntityState* state, reader.Next());
      if (state == nullptr || state->key.kind > Kind::kMemory) break;
      AIMEM_RETURN_IF_ERROR(Decode(*state, parts));
      const model::MemoryView view = model::ViewMemory(parts);
      if (view.AliveAt(now)) alive_.push_back({view.created_at, state->key.key});
    }
    std::sort(alive_.begin(), alive_.end());
    return absl::OkStatus();
  }

  absl::Status WriteMemories() {
    std::vector<std::string> ids;
    for (std::size_t first = 0; first < alive_.size(); first += kMemoriesAtOnce) {
      ids.clear();
      for (std::size_t i = first; i < std::min(first + kMemoriesAtOnce, alive_.size()); ++i) {
        ids.push_back(alive_[i].id);
      }
      for (const absl::StatusOr<Memory>& memory : from_.Get(ids, {.bounds = options_.bounds})) {
        // Deleted since it was listed: the document is one without it.
        if (absl::IsNotFound(memory.status())) continue;
        AIMEM_RETURN_IF_ERROR(memory.status());
        WriteMemory(*memory);
      }
      AIMEM_RETURN_IF_ERROR(CheckOutput());
      if (options_.progress) {
        options_.progress({.done = static_cast<std::int64_t>(first + ids.size()),
                           .total = static_cast<std::int64_t>(alive_.size())});
      }
    }
    return absl::OkStatus();
  }

  void WriteMemory(const Memory& memory) {
    if (memory.expires_at && *memory.expires_at <= now_) return;
    if (!exported_.insert(memory.id).second) return;
    out_ << (exported_.size() > 1 ? ",\n    " : "\n    ")
         << PrettyJson(MemoryObject(memory).Build(), 4);
  }

  absl::Status WriteLinks() {
    ListRequest request;
    request.kind = ListKind::kLinks;
    request.limit = kLinksAtOnce;
    request.bounds = options_.bounds;
    bool any = false;
    do {
      AIMEM_ASSIGN_OR_RETURN(ListResult page, from_.List(request));
      for (const Link& link : page.links) {
        if (!exported_.contains(link.source_id) || !exported_.contains(link.target_id)) continue;
        out_ << (std::exchange(any, true) ? ",\n    " : "\n    ") << PrettyJson(LinkJson(link), 4);
      }
      AIMEM_RETURN_IF_ERROR(CheckOutput());
      request.page_token = std::move(page.next_page_token);
    } while (!request.page_token.empty());
    if (any) out_ << "\n  ";
    return absl::OkStatus();
  }

  absl::Status CheckOutput() const {
    if (out_.good()) return absl::OkStatus();
    return absl::UnavailableError("writing the export failed: the document is not complete");
  }

  Store& from_;
  absl::Time now_;
  std::ostream& out_;
  const ExportOptions& options_;
  std::vector<Listed> alive_;
  absl::flat_hash_set<std::string> exported_;
};

}  // namespace
}  // namespace transfer

absl::Status ExportJson(Store& from, absl::Time now, std::ostream& out,
                        const ExportOptions& options) {
  return transfer::Exporter(from, now, out, options).Run();
}

}  // namespace aimem
