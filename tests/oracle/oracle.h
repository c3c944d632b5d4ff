// Oracle: what a store should answer. A list of the batches that were applied, folded anew for
// every question.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/write_batch.h"
#include "tests/oracle/world.h"

namespace aimem::oracle {

/// One request of a client.
struct Request {
  WriteBatch batch;
  WriteOptions options;
};

struct ExpectedAnswer {
  absl::Status status;
  std::vector<ItemResult> items;
  bool replayed = false;
};

class Oracle {
 public:
  /// Take `request` as of `now`. Of `given`, the store's answer, only the ids of new memories that
  /// do not follow from their names are looked at.
  ExpectedAnswer Apply(const Request& request, absl::Time now,
                       const std::vector<ItemResult>& given);

  /// The world after all that was applied.
  [[nodiscard]] World Fold() const;

 private:
  struct Applied {
    Request request;
    absl::Time now;
    std::vector<ItemResult> answer;
  };

  std::vector<Applied> applied_;
};

}  // namespace aimem::oracle
