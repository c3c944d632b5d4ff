// A writer: a process that writes to a store, keeps a journal, and can be killed at any time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "demo/journal.h"

namespace aimem::demo {

struct WriterOptions {
  int writer = 1;       ///< Its name is "writer-1", its namespace "demo/writer-1".
  std::string store;    ///< URL.
  std::string journal;  ///< Path.
  std::int64_t writes = 500;
  /// Threads, each with one write on its way. Memories belong to one thread each.
  int threads = 1;
};

std::string WriterNamespace(int writer);

struct PlannedWrite {
  Verb verb = Verb::kPut;
  std::string title;
  std::string content;  ///< Of a put.
};

/// What a writer writes, in order: new memories, a tenth updates of earlier ones, now and then a
/// delete. Write n is that of thread n % threads, and touches memories of that thread alone.
/// A pure function: a writer that is started again makes the same plan.
std::vector<PlannedWrite> PlanWrites(int writer, std::int64_t writes, int threads);

/// Carry out what of the plan the journal does not show as acknowledged. A write that the journal
/// announces is sent again under the same idempotency key, so that it has one effect.
/// An answer other than committed is an error.
absl::Status RunWriter(const WriterOptions& options);

}  // namespace aimem::demo
