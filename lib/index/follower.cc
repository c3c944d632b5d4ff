#include "lib/index/follower.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "lib/base/status.h"
#include "lib/index/changed.h"
#include "lib/index/layers.h"

namespace aimem::index {
namespace {

/// So many views are kept: of snapshots that began one after the other, the older ones may ask
/// later.
constexpr std::size_t kViewsKept = 8;

FollowerOptions Checked(FollowerOptions options) {
  options.fan_in = std::max<std::size_t>(options.fan_in, 2);
  return options;
}

}  // namespace

Follower::Follower(const FollowerOptions& options) : options_(Checked(options)) {}

std::shared_ptr<const View> Follower::newest() const {
  const MutexLock lock(mutex_);
  return views_.empty() ? nullptr : views_.back();
}

// -- Following ------------------------------------------------------------------------------------

absl::StatusOr<Follower::Covered> Follower::Cover(Transaction& transaction,
                                                  const Position& position) {
  constexpr std::size_t kShare = 8;  // a change costs some times what a row of a scan does
  const Base base = FindBase(position);
  if (!base.view) return Covered{.outrun = base.outrun};
  const std::size_t share = static_cast<std::size_t>(base.view->documents()) / kShare;
  LogReach reach = options_.reach;
  reach.changes = std::min(reach.changes, std::max(share, options_.reach_min));
  return Lead(base, transaction, position, reach);
}

absl::StatusOr<Follower::Covered> Follower::CatchUp(Transaction& transaction,
                                                    const Position& position) {
  constexpr std::size_t kBytesADocument = 4'096;  // of the log, against a row to read
  const Base base = FindBase(position);
  if (!base.view) return Covered{.outrun = base.outrun};
  const std::size_t documents =
      std::max(static_cast<std::size_t>(base.view->documents()), options_.reach_min);
  return Lead(
      base, transaction, position,
      {.changes = documents, .bytes = std::max(documents * kBytesADocument, options_.reach.bytes)});
}

absl::StatusOr<Follower::Covered> Follower::Lead(const Base& base, Transaction& transaction,
                                                 const Position& position, const LogReach& reach) {
  if (base.view->position == position) return Covered{.view = base.view};
  AIMEM_ASSIGN_OR_RETURN(const std::optional<std::vector<std::string>> changed,
                         ReadChanged(transaction, base.view->position, position, reach));
  if (!changed) return Covered();
  AIMEM_ASSIGN_OR_RETURN(std::shared_ptr<const View> view,
                         Advance(base, transaction, position, *changed));
  Publish(base, view, *changed);
  return Covered{.view = std::move(view)};
}

Follower::Base Follower::FindBase(const Position& position) const {
  const MutexLock lock(mutex_);
  Base base{.shape = shape_, .merging = merging_};
  for (auto view = views_.rbegin(); view != views_.rend(); ++view) {
    const Order order = OrderOf((*view)->position, position);
    if (order == Order::kSame || order == Order::kBefore) {
      base.view = *view;
      break;
    }
    if (view == views_.rbegin()) base.outrun = order == Order::kAfter;
  }
  return base;
}

absl::StatusOr<std::shared_ptr<const View>> Follower::Advance(
    const Base& base, Transaction& transaction, const Position& position,
    const std::vector<std::string>& changed) const {
  auto view = std::make_shared<View>();
  view->position = position;
  view->layers = base.view->layers;
  if (changed.empty()) return view;
  LayerBuilder added;
  AIMEM_RETURN_IF_ERROR(ReadDocuments(transaction, changed,
                                      [&](Document document) { added.Add(std::move(document)); }));
  Remove(changed, view->layers);
  for (Layer& layer : added.Take()) view->layers.push_back(std::move(layer));
  for (;;) {
    const std::vector<std::size_t> places = PickMerge(
        view->layers, options_.fan_in,
        [&](const Layer& layer) { return !base.merging.contains(layer.segment.get()); },
        [&](std::size_t live) { return live <= options_.merged_in_place; });
    if (places.empty()) return view;
    MergeInPlace(places, view->layers);
  }
}

void Follower::Publish(const Base& base, std::shared_ptr<const View> view,
                       const std::vector<std::string>& changed) {
  std::shared_ptr<const View> oldest;  // ends when the mutex is free
  const MutexLock lock(mutex_);
  if (base.shape != shape_ || OrderOf(views_.back()->position, view->position) != Order::kBefore) {
    return;
  }
  if (!merging_.empty()) changed_meanwhile_.insert(changed.begin(), changed.end());
  views_.push_back(std::move(view));
  if (views_.size() <= kViewsKept) return;
  oldest = std::move(views_.front());
  views_.pop_front();
}

Follower::Views Follower::Replace(std::shared_ptr<const View> view) {
  Views one;
  one.push_back(std::move(view));
  ++shape_;
  return std::exchange(views_, std::move(one));
}

// -- In the background ----------------------------------------------------------------------------

void Follower::AdoptFirst(std::shared_ptr<const View> view) {
  const MutexLock lock(mutex_);
  if (views_.empty()) Replace(std::move(view)).clear();
}

void Follower::Adopt(std::shared_ptr<const View> view) {
  Views before;
  const MutexLock lock(mutex_);
  before = Replace(std::move(view));
}

absl::Status Follower::Build(Transaction& transaction, const Position& position,
                             absl::FunctionRef<void(std::int64_t)> next_page) {
  LayerBuilder builder;
  AIMEM_RETURN_IF_ERROR(ScanDocuments(
      transaction, [&](Document document) { builder.Add(std::move(document)); }, next_page));
  auto view = std::make_shared<View>();
  view->position = position;
  view->layers = builder.Take();
  if (view->layers.size() > 1) view->layers = {MergeLayers(std::exchange(view->layers, {}))};
  Adopt(std::move(view));
  return absl::OkStatus();
}

std::vector<std::size_t> Follower::PickLargeMerge(std::span<const Layer> layers) const {
  return PickMerge(
      layers, options_.fan_in, [](const Layer&) { return true; },
      [&](std::size_t live) { return live > options_.merged_in_place; });
}

bool Follower::WantsMerge() const {
  const MutexLock lock(mutex_);
  return !views_.empty() && merging_.empty() && !PickLargeMerge(views_.back()->layers).empty();
}

bool Follower::Merge() {
  return MergePicked([this](std::span<const Layer> layers) { return PickLargeMerge(layers); });
}

void Follower::Compact() {
  const std::shared_ptr<const View> view = newest();
  if (!view) return;
  for (const Layer& worn : view->layers) {
    if (!worn.deleted) continue;
    // Others may have merged it meanwhile.
    MergePicked([&worn](std::span<const Layer> layers) {
      std::vector<std::size_t> place;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        if (layers[i].segment == worn.segment) place.push_back(i);
      }
      return place;
    });
  }
}

bool Follower::MergePicked(
    absl::FunctionRef<std::vector<std::size_t>(std::span<const Layer>)> pick) {
  std::vector<Layer> sources;
  Views before;
  const absl::Cleanup end = [this] { EndMerge(); };
  {
    const MutexLock lock(mutex_);
    if (views_.empty()) return false;
    for (const std::size_t place : pick(views_.back()->layers)) {
      sources.push_back(views_.back()->layers[place]);
      merging_.insert(sources.back().segment.get());
    }
    if (sources.empty()) return false;
    // From here on views are made over those that are being merged, and leave them alone.
    before = Replace(views_.back());
  }
  PublishMerged(MergeLayers(sources));
  return true;
}

void Follower::EndMerge() {
  const MutexLock lock(mutex_);
  merging_.clear();
  changed_meanwhile_.clear();
}

void Follower::PublishMerged(Layer merged) {
  std::set<std::string> changed;
  std::vector<Layer> one{std::move(merged)};
  const auto remove = [&one](const std::set<std::string>& ids) {
    Remove(std::vector<std::string>(ids.begin(), ids.end()), one);
  };
  {
    const MutexLock lock(mutex_);
    changed.swap(changed_meanwhile_);
  }
  remove(changed);
  Views before;
  const MutexLock lock(mutex_);
  // What came since: little.
  remove(changed_meanwhile_);
  auto view = std::make_shared<View>(*views_.back());
  std::erase_if(view->layers, [&sources = std::as_const(merging_)](const Layer& layer) {
    return sources.contains(layer.segment.get());
  });
  view->layers.insert(view->layers.begin(), one.begin(), one.end());
  before = Replace(std::move(view));
}

}  // namespace aimem::index
