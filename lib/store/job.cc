#include "lib/store/job.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/execute/request.h"
#include "lib/model/validate.h"

namespace aimem::store {
namespace {

/// The items of a coalesced write, as whoever named `ids` named them.
std::vector<ItemResult> ItemsOf(const std::vector<std::string>& ids,
                                const std::vector<ItemResult>& all) {
  std::vector<ItemResult> items;
  for (const std::string& id : ids) {
    for (const ItemResult& item : all) {
      if (item.id != id) continue;
      items.push_back(item);
      break;
    }
  }
  return items;
}

}  // namespace

std::size_t BytesOf(const Job& job) {
  return std::visit([](const auto& any) { return any.bytes; }, job);
}

absl::Status CheckRequest(const WriteBatch& batch, const WriteOptions& options) {
  if (batch.items.empty()) return absl::InvalidArgumentError("the batch is empty");
  if (batch.items.size() > limits::kBatchChanges) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("batch of %d items exceeds the limits of a commit (%d changes, %d bytes): "
                        "use several",
                        batch.items.size(), limits::kBatchChanges, limits::kBatchBytes));
  }
  if (!options.agent_id.empty()) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(options.agent_id));
  if (options.request_id.size() > limits::kRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request_id exceeds max length of %d bytes", limits::kRequestIdBytes));
  }
  if (options.principal.size() > limits::kRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("principal exceeds max length of %d bytes", limits::kRequestIdBytes));
  }
  for (const WriteItem& item : batch.items) {
    if (execute::SelectsByFilter(item)) {
      if (batch.items.size() > 1) {
        return absl::InvalidArgumentError("a change by filter must be alone in its batch");
      }
      AIMEM_RETURN_IF_ERROR(execute::FilterOf(item).status());
    }
    if (options.lazy && !std::holds_alternative<TouchMemory>(item)) {
      return absl::InvalidArgumentError("only touches can be lazy");
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

void Deliver(const Foundation& base, Job& job) {
  if (auto* apply = std::get_if<ApplyJob>(&job)) {
    base.Call(std::exchange(apply->done, nullptr), std::move(apply->result));
    return;
  }
  auto& write = std::get<WriteJob>(job);
  for (Waiter& waiter : write.waiters) {
    WriteResult result = write.result;
    if (!waiter.ids.empty()) result.items = ItemsOf(waiter.ids, result.items);
    base.Call(std::exchange(waiter.done, nullptr), std::move(result));
  }
}

}  // namespace aimem::store
