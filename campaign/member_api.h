// What a run asks of one member over HTTP, in values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "campaign/check.h"
#include "clients/http/http_client.h"

namespace aimem::campaign {

struct Recalled {
  std::string title;
  std::string namespace_;
  std::string content;
  double score = 0;
};

/// A member's view of the federation, as far as a run looks at it.
struct FederationView {
  int needed = 0;
  int voters = 0;
  int reachable = 0;
  std::int64_t stragglers_finished = 0;
  std::int64_t stragglers_failed = 0;
};

/// Not thread-safe; movable. Errors: those of HttpClient; kUnavailable with the answer's status and
/// body if that is not 200; kDataLoss for a body of another shape.
class MemberApi {
 public:
  explicit MemberApi(int port) : http_("127.0.0.1", port) {}

  /// All live memories, read in pages: one snapshot only if nothing is written meanwhile.
  absl::StatusOr<std::vector<StoredRow>> ListAll();

  /// The best `limit` for `question`; `namespace_` empty: of all namespaces.
  absl::StatusOr<std::vector<Recalled>> Recall(std::string_view question,
                                               std::string_view namespace_, int limit);

  absl::StatusOr<FederationView> Federation();

 private:
  clients::HttpClient http_;
};

/// The rows of one page of GET /api/v1/memories. kDataLoss.
absl::StatusOr<std::vector<StoredRow>> ParseRows(const std::string& body);
/// The answer of GET /api/v1/federation. kDataLoss.
absl::StatusOr<FederationView> ParseFederation(const std::string& body);

}  // namespace aimem::campaign
