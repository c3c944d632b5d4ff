// What a commit remembers of the request behind it: its operation id, the hash of the request,
// and the answer that was given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/types.h"
#include "aimem/write_batch.h"

namespace aimem::execute {

/// What is asked for, as bytes: two different requests never share them, and a field that has its
/// default is not in them (docs/formats/request.md).
/// `author` is a part of what decides on a change that waits, where two who decide alike are two.
std::string EncodeRequest(const WriteBatch& batch, bool allow_partial,
                          std::string_view author = {});
/// SHA-256 of these bytes.
Hash256 RequestHash(const WriteBatch& batch, bool allow_partial, std::string_view author = {});

/// Bytes that a batch takes in memory, for the bounds of the queue.
std::size_t ApproximateBytes(const WriteBatch& batch);

/// The operation of a request with an idempotency key: SHA-256(principal, key), cut.
OperationId KeyedOperation(std::string_view principal, std::string_view request_id);
/// The operation of commit `k` of a request that needs several; `operation` itself for 0.
OperationId DerivedOperation(const OperationId& operation, std::uint64_t k);
/// A fresh one: a version 7 UUID (RFC 9562), so that the log's index grows at one end.
OperationId FreshOperation(Random& random, absl::Time now);

/// `status` with its message cut to limits::kMessageBytes: what was refused may be part of it, and
/// the log keeps it, to be read again. Payloads, which the log does not keep, stay.
absl::Status BoundedMessage(absl::Status status);

/// The answer, as the log keeps it: of what was refused code and message, without the title that is
/// another memory's, and no memories.
struct Answer {
  std::vector<ItemResult> items;
  /// False: further commits of the same request follow.
  bool last = true;
};
std::string EncodeAnswer(const Answer& answer);
absl::StatusOr<Answer> DecodeAnswer(std::string_view bytes);

}  // namespace aimem::execute
