#include "bench/stores.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <utility>

#include "aimem/backends/ephemeral.h"
#include "aimem/backends/postgres.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "bench/measure.h"

namespace aimem::bench {
namespace {

constexpr std::int64_t kFillBatch = 1'000;
/// Batches under way while filling: the next is made while the last is written.
constexpr std::size_t kFillAhead = 3;

WriteOptions Author() {
  WriteOptions options;
  options.agent_id = "bench";
  return options;
}

}  // namespace

Folder::Folder(const std::string& parent) {
  std::string name = parent + "/aimem_bench.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw Failure("cannot make a folder in '" + parent + "'");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ObservedStore OpenSqlite(const std::string& path) {
  ObservedStore opened{.seen = std::make_shared<Observations>(), .store = nullptr};
  opened.store = Must(OpenLocalStore(Observe(Must(OpenSqliteBackend(path)), opened.seen)));
  return opened;
}

ObservedStore OpenPostgres(const std::string& url) {
  ObservedStore opened{.seen = std::make_shared<Observations>(), .store = nullptr};
  opened.store = Must(OpenLocalStore(Observe(Must(OpenPostgresBackend(url)), opened.seen)));
  return opened;
}

void MustWrite(Store& store, WriteBatch batch) {
  const WriteResult result = store.Write(std::move(batch), Author());
  if (result.outcome != WriteOutcome::kCommitted) Must(result.status);
  if (result.outcome != WriteOutcome::kCommitted) throw Failure("a write was not committed");
}

void SettleDisk() { sync(); }

std::vector<std::string> Fill(Store& store, const Corpus& corpus, std::int64_t first,
                              std::int64_t count) {
  std::vector<std::string> ids;
  ids.reserve(static_cast<std::size_t>(count));
  std::vector<std::future<WriteResult>> under_way;
  const auto take = [&] {
    WriteResult result = under_way.front().get();
    under_way.erase(under_way.begin());
    Must(result.status);
    for (ItemResult& item : result.items) ids.push_back(std::move(item.id));
  };
  for (std::int64_t done = 0; done < count; done += kFillBatch) {
    WriteBatch batch = corpus.Batch(first + done, std::min(kFillBatch, count - done));
    auto answer = std::make_shared<std::promise<WriteResult>>();
    under_way.push_back(answer->get_future());
    store.WriteAsync(std::move(batch), Author(),
                     [answer](WriteResult result) { answer->set_value(std::move(result)); });
    if (under_way.size() > kFillAhead) take();
  }
  while (!under_way.empty()) take();
  return ids;
}

Filled MakeSqlite(const std::string& path, const Corpus& corpus, std::int64_t count) {
  SqliteOptions options;
  options.sync_writes = false;
  options.checkpoint_pages = 50'000;
  const std::unique_ptr<Store> store = Must(OpenSqliteStore(path, options));
  Filled filled;
  const double begin = MonotonicSeconds();
  filled.ids = Fill(*store, corpus, 0, count);
  filled.seconds = MonotonicSeconds() - begin;
  Must(store->Close());
  return filled;
}

std::vector<WriteSet> RecordRows(const Corpus& corpus, std::int64_t first, std::int64_t count,
                                 std::int64_t batch) {
  const auto seen = std::make_shared<Observations>();
  seen->record = true;
  const std::unique_ptr<Store> store = Must(OpenLocalStore(Observe(OpenEphemeralBackend(), seen)));
  for (std::int64_t done = 0; done < count; done += batch) {
    MustWrite(*store, corpus.Batch(first + done, std::min(batch, count - done)));
  }
  Must(store->Close());
  return std::move(seen->sets);
}

std::vector<WriteBatch> SingleBatches(const Corpus& corpus, std::int64_t first,
                                      std::int64_t count) {
  std::vector<WriteBatch> batches;
  batches.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) batches.push_back(corpus.Batch(first + i, 1));
  return batches;
}

}  // namespace aimem::bench
