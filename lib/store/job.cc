#include "lib/store/job.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/execute/request.h"
#include "lib/model/validate.h"

namespace aimem::store {
namespace {

/// The items of a coalesced write, as `waiter` named them.
std::vector<ItemResult> ItemsOf(const Waiter& waiter, const std::vector<ItemResult>& all) {
  std::vector<ItemResult> items;
  for (const std::string& id : waiter.ids) {
    for (const ItemResult& item : all) {
      if (item.id != id) continue;
      items.push_back(item);
      if (!waiter.memories) items.back().memory.reset();
      break;
    }
  }
  return items;
}

absl::Status CheckLength(std::string_view field, const std::string& text) {
  if (text.size() <= limits::kRequestIdBytes) return absl::OkStatus();
  return InvalidField(
      field, text,
      absl::StrFormat("%s exceeds max length of %d bytes", field, limits::kRequestIdBytes),
      std::to_string(limits::kRequestIdBytes));
}

}  // namespace

std::size_t BytesOf(const Job& job) {
  return std::visit([](const auto& any) { return any.bytes; }, job);
}

absl::Status CheckRequest(const WriteBatch& batch, const WriteOptions& options) {
  if (batch.items.empty()) return InvalidField("items", "0", "the batch is empty");
  if (batch.items.size() > limits::kBatchChanges) {
    return InvalidField(
        "items", std::to_string(batch.items.size()),
        absl::StrFormat("batch of %d items exceeds the limits of a commit (%d changes, %d bytes): "
                        "use several",
                        batch.items.size(), limits::kBatchChanges, limits::kBatchBytes),
        std::to_string(limits::kBatchChanges));
  }
  if (!options.agent_id.empty()) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(options.agent_id));
  AIMEM_RETURN_IF_ERROR(CheckLength("request_id", options.request_id));
  AIMEM_RETURN_IF_ERROR(CheckLength("principal", options.principal));
  for (const WriteItem& item : batch.items) {
    if (execute::SelectsByFilter(item)) {
      if (batch.items.size() > 1) {
        return InvalidField("items", std::to_string(batch.items.size()),
                            "a change by filter must be alone in its batch", "1");
      }
      AIMEM_RETURN_IF_ERROR(execute::FilterOf(item).status());
    }
    if (options.dry_run && !execute::SelectsByFilter(item)) {
      return InvalidField("dry_run", "", "only changes by filter can be a dry run");
    }
    if (options.lazy && !std::holds_alternative<TouchMemory>(item)) {
      return InvalidField("lazy", "", "only touches can be lazy");
    }
  }
  return absl::OkStatus();
}

WriteResult Refused(absl::Status status) {
  WriteResult result;
  result.outcome = WriteOutcome::kRejected;
  result.status = std::move(status);
  return result;
}

void Reject(WriteJob& job, absl::Status status) {
  job.result = Refused(std::move(status));
  job.result.operation = job.operation;
  job.state = JobState::kRefused;
}

void Reject(Job& job, absl::Status status) {
  if (auto* write = std::get_if<WriteJob>(&job)) {
    Reject(*write, std::move(status));
  } else {
    std::get<ApplyJob>(job).result.status = std::move(status);
  }
}

void DropMemories(WriteJob& job) {
  for (ItemResult& item : job.result.items) item.memory.reset();
}

void Deliver(const Foundation& base, Job& job) {
  if (auto* apply = std::get_if<ApplyJob>(&job)) {
    base.Call(std::exchange(apply->done, nullptr), std::move(apply->result));
    return;
  }
  auto& write = std::get<WriteJob>(job);
  for (Waiter& waiter : write.waiters) {
    WriteResult result = write.result;
    if (!waiter.ids.empty()) result.items = ItemsOf(waiter, result.items);
    base.Call(std::exchange(waiter.done, nullptr), std::move(result));
  }
}

}  // namespace aimem::store
