#include "lib/transfer/scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/pending.h"
#include "lib/model/view.h"

namespace aimem::transfer {

absl::Status Decode(const EntityState& state, model::Parts& parts) {
  absl::Status status = log::DecodeState(state.state, parts);
  if (status.ok()) return status;
  return Annotate(status, absl::StrFormat("entity of kind %d, key \"%s\"",
                                          static_cast<int>(state.key.kind), state.key.key));
}

absl::Status NamespaceFilter::AskStore(Store& store, const std::vector<std::string>& ids) {
  const std::vector<absl::StatusOr<Memory>> found = store.Get(ids, {.archived = true});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const absl::StatusCode code = found[i].status().code();
    if (code == absl::StatusCode::kOk) {
      // Get also resolves prefixes: an id that is not there may be the beginning of another.
      if (found[i]->id == ids[i]) inside_[ids[i]] = found[i]->namespace_ == namespace_;
    } else if (code != absl::StatusCode::kNotFound && code != absl::StatusCode::kInvalidArgument) {
      return found[i].status();
    }
  }
  return absl::OkStatus();
}

absl::Status NamespaceFilter::Ask(const std::set<std::string>& ids) {
  inside_.clear();
  std::vector<std::string> open(ids.begin(), ids.end());
  for (Store* store : {&store_, &other_}) {
    if (open.empty()) break;
    AIMEM_RETURN_IF_ERROR(AskStore(*store, open));
    std::erase_if(open, [&](const std::string& id) { return inside_.contains(id); });
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<bool>> NamespaceFilter::Decide(const EntityState& state,
                                                            std::set<std::string>& ask) {
  if (state.key.kind == Kind::kNamespaceStandard) return state.key.key == namespace_;
  if (state.key.kind == Kind::kLink) {
    const auto link = model::ParseLinkKey(state.key.key);
    if (!link) return false;
    ask.emplace(link->source);
    ask.emplace(link->target);
    return std::nullopt;
  }
  const bool waits = state.key.kind == Kind::kPendingAction;
  if (state.key.kind != Kind::kMemory && !waits) return false;
  model::Parts parts;
  AIMEM_RETURN_IF_ERROR(Decode(state, parts));
  if (waits) {
    const std::optional<PendingAction> action = model::ViewPending(state.key.key, parts);
    return action && action->namespace_ == namespace_;
  }
  const model::MemoryView view = model::ViewMemory(parts);
  if (view.phase == model::Phase::kLive || view.phase == model::Phase::kArchived) {
    return view.namespace_ == namespace_;
  }
  ask.insert(state.key.key);
  return std::nullopt;
}

bool NamespaceFilter::Belongs(const EntityState& state) const {
  const auto inside = [&](std::string_view id) {
    const auto found = inside_.find(id);
    return found != inside_.end() && found->second;
  };
  if (state.key.kind == Kind::kMemory) return inside(state.key.key);
  const auto link = model::ParseLinkKey(state.key.key);
  return link && inside(link->source) && inside(link->target);
}

absl::Status NamespaceFilter::Keep(std::vector<EntityState>& states) {
  std::set<std::string> ask;
  std::vector<std::optional<bool>> decided;
  decided.reserve(states.size());
  for (const EntityState& state : states) {
    AIMEM_ASSIGN_OR_RETURN(decided.emplace_back(), Decide(state, ask));
  }
  AIMEM_RETURN_IF_ERROR(Ask(ask));
  std::vector<EntityState> kept;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (decided[i] ? *decided[i] : Belongs(states[i])) kept.push_back(std::move(states[i]));
  }
  states = std::move(kept);
  return absl::OkStatus();
}

absl::Status StateReader::ReadPage() {
  AIMEM_ASSIGN_OR_RETURN(ChangePage page, store_.ReadChanges(cursor_, limit_, bounds_));
  ++pages_;
  states_ = std::move(page.states);
  next_ = 0;
  over_ = page.adopt.has_value() || !page.next.scanning;
  cursor_ = std::move(page.next);
  if (filter_ == nullptr) return absl::OkStatus();
  return filter_->Keep(states_);
}

absl::StatusOr<const EntityState*> StateReader::Next() {
  while (next_ == states_.size()) {
    if (over_) return nullptr;
    AIMEM_RETURN_IF_ERROR(ReadPage());
  }
  return &states_[next_++];
}

absl::StatusOr<Differences> Compare(
    StateReader& from, StateReader& to,
    absl::FunctionRef<absl::Status(const EntityState&, const model::Parts&)> seen) {
  Differences differences;
  model::Parts source;
  model::Parts destination;
  AIMEM_ASSIGN_OR_RETURN(const EntityState* theirs, to.Next());
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(const EntityState* ours, from.Next());
    if (ours != nullptr) {
      AIMEM_RETURN_IF_ERROR(Decode(*ours, source));
      AIMEM_RETURN_IF_ERROR(seen(*ours, source));
    }
    while (theirs != nullptr && (ours == nullptr || theirs->key < ours->key)) {
      ++differences.extra;
      AIMEM_ASSIGN_OR_RETURN(theirs, to.Next());
    }
    if (ours == nullptr) return differences;
    if (theirs == nullptr || ours->key < theirs->key) {
      ++differences.missing;
      continue;
    }
    AIMEM_RETURN_IF_ERROR(Decode(*theirs, destination));
    if (!merge::Absorbs(destination, source)) ++differences.different;
    AIMEM_ASSIGN_OR_RETURN(theirs, to.Next());
  }
}

}  // namespace aimem::transfer
