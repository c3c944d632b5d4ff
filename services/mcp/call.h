// Call: one call of a tool, and what its handler may use.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/environment.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "aimem/write_batch.h"
#include "services/mcp/revision.h"
#include "services/mcp/rpc.h"
#include "services/mcp/tool.h"
#include "services/wire/toon.h"

namespace aimem::mcp {

/// How the call came.
struct CallOrigin {
  Revision revision = Revision::k2024_11;
  std::string caller;      ///< The agent id of who asks, unless an argument names another.
  std::string request_id;  ///< Idempotency key of its write; empty: none.
  std::stop_token stop;    ///< It was cancelled.
};

/// One thread. What it writes is written once: a call makes one batch at most.
class Call {
 public:
  /// `arguments` are as CheckArguments returned them. All are borrowed.
  Call(Store& store, const Environment& environment, const CallOrigin& origin,
       const Json& arguments);

  // -- Arguments ----------------------------------------------------------------------------------
  [[nodiscard]] bool Has(const char* name) const { return arguments_.contains(name); }
  /// Of one that is required or has a default.
  [[nodiscard]] std::string Text(const char* name) const;
  [[nodiscard]] std::int64_t Integer(const char* name) const;
  [[nodiscard]] bool Flag(const char* name) const;
  /// Of an optional one.
  [[nodiscard]] std::optional<std::string> MaybeText(const char* name) const;
  [[nodiscard]] std::optional<std::int64_t> MaybeInteger(const char* name) const;
  [[nodiscard]] std::optional<double> MaybeNumber(const char* name) const;
  [[nodiscard]] std::optional<std::vector<std::string>> MaybeTexts(const char* name) const;
  /// The argument `tier`. kInvalidArgument: there is no such tier.
  [[nodiscard]] absl::StatusOr<std::optional<Tier>> MaybeTier() const;
  /// A limit from 0 on, cut to `max`. kInvalidArgument: below 0.
  [[nodiscard]] absl::StatusOr<std::int64_t> Limit(std::int64_t max) const;
  [[nodiscard]] const Json& arguments() const { return arguments_; }

  // -- Who asks -----------------------------------------------------------------------------------
  [[nodiscard]] Revision revision() const { return origin_.revision; }
  /// `argument`, if the call has it, else the agent that asks. kInvalidArgument: it is no agent id.
  [[nodiscard]] absl::StatusOr<std::string> Caller(const char* argument = "agent_id") const;

  // -- The store ----------------------------------------------------------------------------------
  [[nodiscard]] Store& store() const { return store_; }
  [[nodiscard]] absl::Time Now() const;
  /// Of what it writes: that of its request id, or a new one.
  [[nodiscard]] const OperationId& operation() const { return operation_; }
  [[nodiscard]] ReadBounds Bounds() const { return {.stop = origin_.stop}; }
  /// Write `batch` as `agent_id`: its result, if it is committed and no item was refused. The error
  /// of one that is not says what is known of it, and what to do.
  absl::StatusOr<WriteResult> Write(WriteBatch batch, std::string agent_id, bool dry_run = false);
  /// All of a list, up to `limit`.
  [[nodiscard]] absl::StatusOr<ListResult> List(ListRequest request) const;

  // -- Answering ----------------------------------------------------------------------------------
  /// `value`, and what became of the write: the operation, the outcome in words. Not in 2024-11-05,
  /// whose answers have no more members than those of v0.6.0.
  [[nodiscard]] Answer Written(Json value, const WriteResult& result) const;
  /// What is answered if the change of `result` waits for approval; nullopt: it does not.
  [[nodiscard]] std::optional<Answer> Waiting(const WriteResult& result) const;
  /// `value`, shown as itself or, by the `format` that the call asks for, as `toon`.
  [[nodiscard]] Answer Listed(Json value, const wire::ToonDocument& toon) const;

 private:
  Store& store_;
  const Environment& environment_;
  const CallOrigin& origin_;
  const Json& arguments_;
  const OperationId operation_;
};

/// The object that `json`, written by this library, is.
Json Parsed(std::string_view json);

Json MemoryJson(const Memory& memory);

/// `status` as a tool says it: what is wrong and what to change, without codes.
std::string ErrorMessage(const absl::Status& status);

}  // namespace aimem::mcp
