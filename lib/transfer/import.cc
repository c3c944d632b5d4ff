#include <algorithm>
#include <chrono>
#include <istream>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "lib/transfer/import_document.h"

namespace aimem {
namespace transfer {
namespace {

constexpr std::size_t kBatchItems = 500;
constexpr std::size_t kBatchBytes = 4u << 20;
constexpr int kAttempts = 6;
constexpr auto kFirstPause = std::chrono::milliseconds(50);

// What one memory takes in a batch, roughly.
std::size_t Cost(const Memory& memory) {
  std::size_t bytes = 512 + memory.title.size() + memory.content.size() + memory.metadata.size();
  for (const std::string& tag : memory.tags) bytes += tag.size();
  return bytes;
}

std::string Label(std::string_view id) {
  return std::string(FirstCharacters(id, limits::kIdBytes));
}

class Import {
 public:
  Import(Store& to, const ImportOptions& options, ImportReport& report)
      : to_(to), options_(options), report_(report) {}

  absl::Status Run(ImportDocument document) {
    progress_.total = static_cast<std::int64_t>(document.memories.size() + document.links.size());
    for (DocumentMemory& item : document.memories) {
      AIMEM_RETURN_IF_ERROR(AddMemory(item));
      item.memory = {};  // the document shrinks as it is written
    }
    AIMEM_RETURN_IF_ERROR(Flush(&ImportReport::imported));
    if (document.malformed_links > 0) {
      report_.errors.push_back(
          absl::StrFormat("links: %d entries are not links", document.malformed_links));
    }
    for (const DocumentLink& item : document.links) AIMEM_RETURN_IF_ERROR(Add(item));
    return Flush(&ImportReport::links);
  }

 private:
  absl::Status AddMemory(DocumentMemory& item) {
    std::string label = Label(item.memory.id);
    bool restamped = false;
    const absl::Status status = item.status.ok() ? Prepare(item.memory, restamped) : item.status;
    if (!status.ok()) {
      Refuse(label, status);
      return absl::OkStatus();
    }
    bytes_ += Cost(item.memory);
    restamped_.push_back(restamped);
    batch_.items.emplace_back(ImportMemory{std::move(item.memory), std::nullopt});
    labels_.push_back(std::move(label));
    return Full() ? Flush(&ImportReport::imported) : absl::OkStatus();
  }

  absl::Status Add(const DocumentLink& item) {
    std::string label =
        absl::StrFormat("link %s -> %s", Label(item.link.source_id), Label(item.link.target_id));
    if (!item.status.ok()) {
      Refuse(label, item.status);
      return absl::OkStatus();
    }
    restamped_.push_back(false);
    batch_.items.emplace_back(item.link);
    labels_.push_back(std::move(label));
    return Full() ? Flush(&ImportReport::links) : absl::OkStatus();
  }

  [[nodiscard]] bool Full() const {
    return batch_.items.size() >= kBatchItems || bytes_ >= kBatchBytes;
  }

  void Refuse(std::string_view label, const absl::Status& status) {
    report_.errors.push_back(absl::StrFormat("%s: %s", label, ToStd(status.message())));
    ++progress_.done;
  }

  // Who stored it first is a claim of the document: without trust the importer signs.
  absl::Status Prepare(Memory& memory, bool& restamped) {
    if (memory.expires_at && !model::CheckTime(*memory.expires_at, "expires_at").ok()) {
      report_.warnings.push_back(absl::StrFormat(
          "%s: expires_at is outside the years 1678 to 2261: imported without an expiry",
          Label(memory.id)));
      memory.expires_at.reset();
    }
    if (options_.trust_source) return absl::OkStatus();
    AIMEM_ASSIGN_OR_RETURN(const std::string canonical, model::CanonicalMetadata(memory.metadata));
    std::map<std::string, std::string> members;
    for (auto& [key, value] : model::MetadataMembers(canonical)) members[key] = std::move(value);
    const std::string agent_id = model::JsonString(options_.write.agent_id);
    const auto original = members.find("agent_id");
    if (original != members.end() && original->second != agent_id) {
      members["imported_from_agent_id"] = original->second;
      restamped = true;
    }
    if (options_.write.agent_id.empty()) {
      members.erase("agent_id");
    } else {
      members["agent_id"] = agent_id;
    }
    const std::vector<std::pair<std::string_view, std::string_view>> views(members.begin(),
                                                                           members.end());
    memory.metadata = model::MetadataFromMembers(views);
    return absl::OkStatus();
  }

  // Write what has been collected. Ids are the document's, so that running a broken import
  // again has the same effect, whatever part of it was written.
  absl::Status Flush(std::int64_t ImportReport::*counter) {
    if (batch_.items.empty()) return absl::OkStatus();
    if (options_.cancel != nullptr && options_.cancel->load()) {
      return absl::CancelledError(
          absl::StrFormat("stopped after %d of %d items: run the import again to complete it",
                          progress_.done, progress_.total));
    }
    const WriteResult result = WritePatiently();
    AIMEM_RETURN_IF_ERROR(Take(result, counter));
    progress_.done += static_cast<std::int64_t>(labels_.size());
    if (options_.progress) options_.progress(progress_);
    batch_.items.clear();
    labels_.clear();
    restamped_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  WriteResult WritePatiently() {
    WriteOptions options = options_.write;
    options.allow_partial = true;
    options.lazy = false;
    if (!options.request_id.empty()) options.request_id += absl::StrFormat("/%d", ++batches_);
    auto pause = kFirstPause;
    for (int attempt = 1;; ++attempt) {
      WriteResult result = to_.Write(batch_, options);
      // What is in doubt is told: who runs the import again asks for it.
      if (!IsRetryable(result) || result.in_doubt() || attempt == kAttempts) return result;
      std::this_thread::sleep_for(pause);
      pause *= 2;
    }
  }

  absl::Status Take(const WriteResult& result, std::int64_t ImportReport::*counter) {
    if (result.outcome == WriteOutcome::kUnknown) {
      return Annotate(
          result.status,
          absl::StrFormat("the outcome of operation %s is unknown: run the import again",
                          result.operation.ToString()));
    }
    const bool rejected = result.outcome == WriteOutcome::kRejected;
    const bool all_refused = result.items.size() == labels_.size() &&
                             std::none_of(result.items.begin(), result.items.end(),
                                          [](const ItemResult& item) { return item.status.ok(); });
    if (result.items.size() != labels_.size() || (rejected && !all_refused)) {
      return result.status.ok() ? absl::InternalError("the store answered for other items")
                                : result.status;
    }
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (!result.items[i].status.ok()) {
        report_.errors.push_back(
            absl::StrFormat("%s: %s", labels_[i], ToStd(result.items[i].status.message())));
        continue;
      }
      ++(report_.*counter);
      if (restamped_[i]) ++report_.restamped;
    }
    return absl::OkStatus();
  }

  Store& to_;
  const ImportOptions& options_;
  ImportReport& report_;
  TransferProgress progress_;
  WriteBatch batch_;
  std::vector<std::string> labels_;
  std::vector<bool> restamped_;
  std::size_t bytes_ = 0;
  int batches_ = 0;
};

}  // namespace
}  // namespace transfer

absl::Status ImportJson(std::istream& in, Store& to, const ImportOptions& options,
                        ImportReport& report) {
  report = {};
  AIMEM_ASSIGN_OR_RETURN(transfer::ImportDocument document, transfer::ParseImportDocument(in));
  return transfer::Import(to, options, report).Run(std::move(document));
}

}  // namespace aimem
