// StoreDecorator: a store over another one, which overrides what it changes.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/store.h"

namespace aimem {

/// Passes every call on to the store below. `Interface` is Store, or what extends it.
///
/// Write is not passed on: it waits for WriteAsync of the decorator, so that one that overrides
/// WriteAsync changes both. The decorator closes nothing when it is destroyed.
template <typename Interface>
class StoreDecoratorOf : public Interface {
 public:
  using Store::WriteAsync;
  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override {
    below().WriteAsync(std::move(batch), options, std::move(done));
  }
  using Store::Apply;
  void Apply(ChangePage page, ApplyCallback done) override {
    below().Apply(std::move(page), std::move(done));
  }
  using Store::Get;
  std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                          const ReadOptions& options) override {
    return below().Get(ids, options);
  }
  absl::StatusOr<ListResult> List(const ListRequest& request) override {
    return below().List(request);
  }
  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override {
    return below().Search(request);
  }
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation, absl::Duration wait) override {
    return below().GetOperation(operation, wait);
  }
  absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor, const ReadChangesLimit& limit,
                                         const ReadBounds& bounds) override {
    return below().ReadChanges(cursor, limit, bounds);
  }
  absl::StatusOr<DigestResult> Digest(std::span<const DigestRange> ranges,
                                      const ReadBounds& bounds) override {
    return below().Digest(ranges, bounds);
  }
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override {
    return below().Info(options);
  }
  absl::StatusOr<CheckReport> Check(const CheckOptions& options) override {
    return below().Check(options);
  }
  absl::StatusOr<IndexInfo> Reindex(const ReindexOptions& options) override {
    return below().Reindex(options);
  }
  absl::Status Close() override { return below().Close(); }

 private:
  /// The store below: the same one from the first call on, which outlives the last.
  virtual Store& below() = 0;
};

using StoreDecorator = StoreDecoratorOf<Store>;

}  // namespace aimem
