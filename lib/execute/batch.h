// What the items of one batch are executed with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/lifetimes.h"
#include "aimem/write_batch.h"
#include "lib/execute/rows.h"

namespace aimem::execute {

/// Ids that a change by filter selected; its item is tested again on each row.
struct Selection {
  std::vector<std::string> ids;
  bool first = true;  ///< No commit of the same request came before.
  bool last = true;   ///< No further one follows.
};

/// What a batch is executed in. Borrowed until Execute returns.
struct ExecuteContext {
  Rows& rows;
  const Lifetimes& lifetimes;
  const WriteOptions& write;
  absl::Time now;
  const Selection* selection = nullptr;  ///< For the items that select by filter.
  OperationId operation = {};            ///< What the ids of changes that are queued follow from.
};

/// What an item answers if it was not refused.
ItemResult Done(ItemEffect effect, std::string id, std::int64_t count = 1);

absl::Status NotFound(std::string_view what, std::string_view id);
/// "title '{t}' already exists in namespace '{ns}' (memory {id})"; `id` is in its detail.
absl::Status NameTaken(std::string_view namespace_, std::string_view title, std::string_view id);

/// Since the Unix epoch, and 0 before it.
std::uint64_t WallMilliseconds(absl::Time time);

/// A batch while it is executed: the context, and what its items leave to its end.
class Batch {
 public:
  explicit Batch(const ExecuteContext& context);

  [[nodiscard]] Rows& rows() const { return context_.rows; }
  [[nodiscard]] const Lifetimes& lifetimes() const { return context_.lifetimes; }
  [[nodiscard]] const WriteOptions& write() const { return context_.write; }
  [[nodiscard]] absl::Time now() const { return context_.now; }
  [[nodiscard]] std::int64_t now_ns() const { return now_ns_; }
  [[nodiscard]] const Selection* selection() const { return context_.selection; }

  /// The full id of a live memory that `text` names or begins.
  absl::StatusOr<std::string> ResolveLive(const std::string& text);

  /// kAlreadyExists if a live memory other than `id` has this name.
  absl::Status CheckName(std::string_view namespace_, std::string_view title, std::string_view id);

  /// The memory `id` takes this name. Another owner refuses the item, or where the batch stands or
  /// falls as a whole, the batch at its end: two memories may swap their names in it.
  absl::Status Rename(std::string namespace_, std::string title, std::string id);
  /// Of the names that were taken: call it after the last item.
  absl::Status CheckRenames();

  /// What is executed was approved: no policy is asked.
  [[nodiscard]] bool approved() const { return approved_; }
  /// While it lives, what is executed was approved.
  class Approval {
   public:
    explicit Approval(Batch& batch) : batch_(batch) { batch_.approved_ = true; }
    ~Approval() { batch_.approved_ = false; }
    Approval(const Approval&) = delete;
    Approval& operator=(const Approval&) = delete;

   private:
    Batch& batch_;
  };
  /// The id of the next change that this batch queues for approval.
  std::string NextPendingId();

  /// Write the part that ends the life of `key`; the batch cannot change it again.
  absl::Status End(const EntityKey& key, Rows::PartWrite end);

 private:
  struct Renamed {
    std::string namespace_, title, id;
  };

  const ExecuteContext& context_;
  const std::int64_t now_ns_;
  std::vector<Renamed> renamed_;
  std::uint64_t queued_ = 0;
  bool approved_ = false;
};

}  // namespace aimem::execute
