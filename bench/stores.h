// Stores to measure, filled from the corpus.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "bench/corpus.h"
#include "bench/observed_backend.h"

namespace aimem::bench {

/// A folder that is deleted with this object.
class Folder {
 public:
  /// Made inside `parent`.
  explicit Folder(const std::string& parent);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct ObservedStore {
  std::shared_ptr<Observations> seen;
  std::unique_ptr<Store> store;
};

/// Default options: every write is synced.
ObservedStore OpenSqlite(const std::string& path);
ObservedStore OpenPostgres(const std::string& url);

/// Put memories [first, first + count) in batches of 1,000. Returns their ids, in order.
std::vector<std::string> Fill(Store& store, const Corpus& corpus, std::int64_t first,
                              std::int64_t count);

struct Filled {
  std::vector<std::string> ids;
  double seconds = 0;
};
/// Make a SQLite store of memories [0, count), without syncing, and close it.
Filled MakeSqlite(const std::string& path, const Corpus& corpus, std::int64_t count);

/// The rows that a store writes for memories [first, first + count), `batch` of them a commit:
/// what rivals write too.
std::vector<WriteSet> RecordRows(const Corpus& corpus, std::int64_t first, std::int64_t count,
                                 std::int64_t batch);

/// Memories [first, first + count), each a batch of its own.
std::vector<WriteBatch> SingleBatches(const Corpus& corpus, std::int64_t first, std::int64_t count);

/// Wait until the disk has what filling left to the kernel, so that measuring does not meet it.
void SettleDisk();

/// Write and throw unless committed.
void MustWrite(Store& store, WriteBatch batch);

}  // namespace aimem::bench
