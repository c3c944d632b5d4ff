#include "tests/sim/disk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"
#include "support/backend/forwarding_backend.h"

namespace aimem::sim {
namespace {

absl::Status Gone() { return absl::UnavailableError("the process is gone"); }

/// `state` with the stamp of its `deleted` part lost.
std::string WithoutDelete(const std::string& state) {
  absl::StatusOr<model::Parts> parts = log::DecodeState(state);
  if (!parts.ok()) return state;
  for (model::Part& part : *parts) {
    if (part.name == model::part::kDeleted) part.stamp = Stamp{};
  }
  return log::EncodeState(*parts);
}

class SimulatedTransaction final : public testing::ForwardingTransaction {
 public:
  SimulatedTransaction(std::unique_ptr<Transaction> inner, std::shared_ptr<EphemeralDisk> disk,
                       std::shared_ptr<DiskBehaviour> behaviour)
      : ForwardingTransaction(std::move(inner)),
        disk_(std::move(disk)),
        behaviour_(std::move(behaviour)) {}

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    if (behaviour_->dead) return Gone();
    return inner_->Read(set);
  }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    if (behaviour_->dead) return Gone();
    return inner_->Scan(request);
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows,
                                              std::size_t max_bytes) override {
    if (behaviour_->dead) return Gone();
    return inner_->ReadLog(stream, after, max_rows, max_bytes);
  }
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override {
    if (behaviour_->dead) return Gone();
    return inner_->ReadBlocks(segment, first, max_bytes);
  }
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override {
    if (behaviour_->dead) return Gone();
    return inner_->CountBlocks();
  }
  absl::Status Put(const WriteSet& set) override {
    if (behaviour_->dead) return Gone();
    writes_ = true;
    log_ = set.log;
    WriteSet spoiled = set;
    if (behaviour_->forgets_deletes) {
      for (EntityRow& row : spoiled.rows) row.state = WithoutDelete(row.state);
    }
    const bool draws =
        set.log.empty() && std::any_of(set.meta.begin(), set.meta.end(), [](const auto& entry) {
          return entry.first == changes::kMetaFormer;
        });
    if (behaviour_->loses_drawn_streams && draws) spoiled.meta.clear();
    return inner_->Put(spoiled);
  }

  CommitResult Commit() override {
    if (behaviour_->dead) return {CommitOutcome::kNotDone, Gone()};
    if (!writes_) return inner_->Commit();
    DiskBehaviour& behaviour = *behaviour_;
    if (behaviour.power_fails_in > 0 && --behaviour.power_fails_in == 0) {
      return PowerFails(behaviour.dice.Below(3));
    }
    if (behaviour.dice.Percent(behaviour.refuses_percent)) {
      inner_.reset();
      return {CommitOutcome::kNotDone, absl::UnavailableError("the disk is busy")};
    }
    if (behaviour.dice.Percent(behaviour.hides_percent)) {
      if (behaviour.leaves_visible && behaviour.dice.Percent(50)) {
        behaviour.undurable->any = true;
        MakeDurable();
      } else if (behaviour.dice.Percent(50)) {
        MakeDurable();
      } else {
        inner_.reset();
      }
      return {CommitOutcome::kUnknown, absl::UnavailableError("the disk failed")};
    }
    return MakeDurable();
  }

 private:
  CommitResult MakeDurable() {
    CommitResult result = inner_->Commit();
    if (result.outcome != CommitOutcome::kDurable) return result;
    Undurable& undurable = *behaviour_->undurable;
    if (undurable.any) {
      undurable.log.insert(undurable.log.end(), log_.begin(), log_.end());
      return result;
    }
    disk_->Sync();
    if (behaviour_->on_durable) behaviour_->on_durable(log_, false);
    return result;
  }

  /// Before the commit, between it and its fsync, or after that.
  CommitResult PowerFails(std::uint64_t moment) {
    if (moment == 1) {
      inner_->Commit();
    } else if (moment == 2) {
      MakeDurable();
    }
    behaviour_->dead = true;
    if (behaviour_->on_power_failure) behaviour_->on_power_failure();
    return {CommitOutcome::kUnknown, Gone()};
  }

  const std::shared_ptr<EphemeralDisk> disk_;
  const std::shared_ptr<DiskBehaviour> behaviour_;
  std::vector<LogRow> log_;
};

class SimulatedBackend final : public testing::ForwardingBackend {
 public:
  SimulatedBackend(std::shared_ptr<EphemeralDisk> disk, std::shared_ptr<DiskBehaviour> behaviour)
      : ForwardingBackend(OpenEphemeralBackend(disk)),
        disk_(std::move(disk)),
        behaviour_(std::move(behaviour)),
        found_(behaviour_->undurable->any) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Wrap(inner_->BeginRead());
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    if (behaviour_->dead) return Gone();
    if (behaviour_->dice.Percent(behaviour_->refuses_percent)) {
      return absl::UnavailableError("the disk is busy");
    }
    return Wrap(inner_->BeginWrite());
  }
  absl::Status Recover() override {
    if (behaviour_->dead) return Gone();
    AIMEM_RETURN_IF_ERROR(inner_->Recover());
    Undurable& undurable = *behaviour_->undurable;
    if (!undurable.any) return absl::OkStatus();
    if (!std::exchange(found_, false)) {
      // The disk of a process that met an error fails for a while, perhaps as long as that lives.
      if (behaviour_->dice.Percent(behaviour_->hides_percent > 0 ? 80 : 0)) {
        return absl::UnavailableError("the disk failed again");
      }
    } else if (behaviour_->trusts_what_is_found) {
      return absl::OkStatus();
    }
    disk_->Sync();
    const std::vector<LogRow> log = std::exchange(undurable, {}).log;
    if (behaviour_->on_durable) behaviour_->on_durable(log, true);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<Transaction>> Wrap(
      absl::StatusOr<std::unique_ptr<Transaction>> begun) {
    if (behaviour_->dead) return Gone();
    if (!begun.ok()) return begun.status();
    return std::make_unique<SimulatedTransaction>(*std::move(begun), disk_, behaviour_);
  }

  const std::shared_ptr<EphemeralDisk> disk_;
  const std::shared_ptr<DiskBehaviour> behaviour_;
  bool found_;  // what is not durable was there before this process
};

}  // namespace

std::unique_ptr<Backend> OpenSimulatedDisk(std::shared_ptr<EphemeralDisk> disk,
                                           std::shared_ptr<DiskBehaviour> behaviour) {
  return std::make_unique<SimulatedBackend>(std::move(disk), std::move(behaviour));
}

}  // namespace aimem::sim
