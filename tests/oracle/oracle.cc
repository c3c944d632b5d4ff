#include "tests/oracle/oracle.h"

#include <string>

namespace aimem::oracle {

World Oracle::Fold() const {
  World world;
  for (const Applied& each : applied_) {
    std::vector<ItemResult> results;
    world.Run(each.request.batch, each.request.options, each.now, each.answer, results)
        .IgnoreError();
  }
  return world;
}

ExpectedAnswer Oracle::Apply(const Request& request, absl::Time now,
                             const std::vector<ItemResult>& given) {
  const WriteOptions& options = request.options;
  if (!options.request_id.empty()) {
    for (const Applied& each : applied_) {
      if (each.request.options.request_id == options.request_id &&
          each.request.options.principal == options.principal) {
        return {.status = {}, .items = each.answer, .replayed = true};
      }
    }
  }
  World world = Fold();
  ExpectedAnswer expected;
  expected.status = world.Run(request.batch, options, now, given, expected.items);
  if (expected.status.ok()) applied_.push_back({request, now, expected.items});
  return expected;
}

}  // namespace aimem::oracle
