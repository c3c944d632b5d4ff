// What a caller of this host is told of a write.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "aimem/write_batch.h"

namespace embed_federation {

inline grpc::Status StatusOf(const aimem::WriteResult& result) {
  const std::string why(result.status.message().data(), result.status.message().size());
  switch (result.outcome) {
    case aimem::WriteOutcome::kCommitted:
    case aimem::WriteOutcome::kPending:
      // Pending is no failure: it is durable here, and on its way to the others.
      return grpc::Status::OK;
    case aimem::WriteOutcome::kRejected:
      // The codes are the same ones, and say whether to try again.
      return {static_cast<grpc::StatusCode>(result.status.raw_code()), why};
    case aimem::WriteOutcome::kUnknown:
      break;
  }
  // It may be durable or not: neither OK nor a refusal. Store::GetOperation knows later.
  return {grpc::StatusCode::UNKNOWN, "operation " + result.operation.ToString() + ": " + why};
}

}  // namespace embed_federation
