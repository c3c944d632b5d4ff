#include "aimem/change_feed.h"

#include <map>
#include <set>
#include <span>
#include <utility>

#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem {
namespace {

using What = FeedChange::What;

constexpr std::int64_t kRowsMax = 1'000'000;

// What a page speaks of, in its order; true: of nothing but a use.
using Spoken = std::map<EntityKey, bool>;

bool IsTold(Kind kind) {
  return kind == Kind::kMemory || kind == Kind::kLink || kind == Kind::kNamespaceStandard;
}

bool IsUse(const log::Change& change) {
  model::Parts parts;
  if (change.key.kind != Kind::kMemory || change.withheld || change.unreadable) return false;
  if (!log::DecodeState(change.body, parts).ok()) return false;
  for (const model::Part& part : parts) {
    if (part.name != model::part::kUseCount && part.name != model::part::kUseLast &&
        part.name != model::part::kUseUntil) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<Spoken> SpokenOf(const ChangePage& page) {
  Spoken spoken;
  for (const EntityState& state : page.states) {
    // The states of memories tell all of them.
    if (IsTold(state.key.kind) && state.key.kind != Kind::kMemory) spoken[state.key] = false;
  }
  for (const std::string& bytes : page.commits) {
    AIMEM_ASSIGN_OR_RETURN(const log::Commit commit, log::DecodeCommit(bytes, /*verify=*/false));
    for (const log::Change& change : commit.changes) {
      if (!IsTold(change.key.kind)) continue;
      bool& only_used = spoken.try_emplace(change.key, true).first->second;
      only_used = only_used && IsUse(change);
    }
  }
  return spoken;
}

// Tell the memories of a scan: how they stand is what it reads.
void TellStates(const ChangePage& page, std::vector<FeedChange>& changes) {
  model::Parts parts;
  for (const EntityState& state : page.states) {
    if (state.key.kind != Kind::kMemory || !log::DecodeState(state.state, parts).ok()) continue;
    const model::MemoryView view = model::ViewMemory(parts);
    FeedChange change{.kind = state.key.kind, .id = state.key.key, .what = What::kDeleted};
    const bool live = view.phase == model::Phase::kLive;
    if (live || view.phase == model::Phase::kArchived) {
      change.what = live ? What::kWritten : What::kArchived;
      change.memory = model::ToMemory(state.key.key, parts, view);
    }
    changes.push_back(std::move(change));
  }
}

// Looks up how things stand, kind by kind.
class Teller {
 public:
  Teller(Store& store, const ReadBounds& bounds, std::vector<FeedChange>& changes)
      : store_(store), bounds_(bounds), changes_(changes) {}

  absl::Status Tell(Spoken spoken) {
    AIMEM_RETURN_IF_ERROR(AddWhatStandsOnMemories(spoken));
    AIMEM_RETURN_IF_ERROR(TellMemories(spoken));
    AIMEM_RETURN_IF_ERROR(TellLinks(spoken));
    return TellStandards(spoken);
  }

 private:
  using Found = std::map<std::string, Memory, std::less<>>;

  // Links are shown while both ends are live, standards while their memory is: one that comes back
  // brings them back, and only its own row says so.
  absl::Status AddWhatStandsOnMemories(Spoken& spoken) {
    std::set<std::string, std::less<>> written;
    for (const auto& [key, only_used] : spoken) {
      if (key.kind == Kind::kMemory && !only_used) written.insert(key.key);
    }
    if (written.empty()) return absl::OkStatus();
    for (const std::string& id : written) {
      AIMEM_ASSIGN_OR_RETURN(const auto links, LinksOf(id));
      for (const auto& [key, link] : links) spoken.try_emplace({Kind::kLink, key}, false);
    }
    AIMEM_ASSIGN_OR_RETURN(const std::vector<NamespaceStandard> standards, Standards());
    for (const NamespaceStandard& standard : standards) {
      if (!written.contains(standard.memory_id)) continue;
      spoken.try_emplace({Kind::kNamespaceStandard, standard.namespace_}, false);
    }
    return absl::OkStatus();
  }

  // Those of `ids` that are there, into `found`; `ids` keeps the others, but for those that cannot
  // be read.
  absl::Status Look(bool archived, std::vector<std::string>& ids, Found& found) {
    if (ids.empty()) return absl::OkStatus();
    std::vector<absl::StatusOr<Memory>> memories =
        store_.Get(ids, {.archived = archived, .bounds = bounds_});
    std::vector<std::string> others;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      absl::Status status = memories[i].status();
      // What is not there may be the beginning of other ids.
      if (status.ok() && memories[i]->id == ids[i]) {
        found.emplace(ids[i], *std::move(memories[i]));
      } else if (status.ok() || absl::IsNotFound(status) || absl::IsInvalidArgument(status)) {
        others.push_back(std::move(ids[i]));
      } else if (!absl::IsDataLoss(status)) {
        return status;
      }
    }
    ids = std::move(others);
    return absl::OkStatus();
  }

  absl::Status TellMemories(const Spoken& spoken) {
    std::vector<std::string> ids;
    for (const auto& [key, only_used] : spoken) {
      if (key.kind == Kind::kMemory) ids.push_back(key.key);
    }
    Found live;
    Found archived;
    AIMEM_RETURN_IF_ERROR(Look(/*archived=*/false, ids, live));
    AIMEM_RETURN_IF_ERROR(Look(/*archived=*/true, ids, archived));
    const std::set<std::string, std::less<>> gone(ids.begin(), ids.end());
    for (const auto& [key, only_used] : spoken) {
      if (key.kind != Kind::kMemory) continue;
      FeedChange change{.kind = key.kind, .id = key.key};
      if (const auto there = live.find(key.key); there != live.end()) {
        change.what = only_used ? What::kUsed : What::kWritten;
        change.memory = std::move(there->second);
      } else if (const auto aside = archived.find(key.key); aside != archived.end()) {
        change.what = What::kArchived;
        change.memory = std::move(aside->second);
      } else if (gone.contains(key.key)) {
        change.what = What::kDeleted;
      } else {
        continue;  // it cannot be read
      }
      changes_.push_back(std::move(change));
    }
    return absl::OkStatus();
  }

  absl::Status TellLinks(const Spoken& spoken) {
    std::map<std::string, Link, std::less<>>
        shown;  // by key, of the memory that was asked for last
    std::string asked;
    for (const auto& [key, only_used] : spoken) {
      if (key.kind != Kind::kLink) continue;
      const std::optional<model::LinkKey> names = model::ParseLinkKey(key.key);
      if (!names) continue;
      if (asked.empty() || asked != names->source) {
        asked = names->source;
        AIMEM_ASSIGN_OR_RETURN(shown, LinksOf(asked));
      }
      FeedChange change{.kind = key.kind, .id = key.key};
      if (const auto there = shown.find(key.key); there != shown.end()) {
        change.link = there->second;
      } else {
        change.what = What::kDeleted;
        change.link = Link{.source_id = std::string(names->source),
                           .target_id = std::string(names->target),
                           .relation = std::string(names->relation)};
      }
      changes_.push_back(std::move(change));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::map<std::string, Link, std::less<>>> LinksOf(const std::string& id) {
    AIMEM_ASSIGN_OR_RETURN(
        ListResult list,
        store_.List({.kind = ListKind::kLinks, .of_id = id, .limit = kRowsMax, .bounds = bounds_}));
    std::map<std::string, Link, std::less<>> links;
    for (Link& link : list.links) {
      std::string key = model::MakeLinkKey(link.source_id, link.target_id, link.relation);
      links.emplace(std::move(key), std::move(link));
    }
    return links;
  }

  absl::Status TellStandards(const Spoken& spoken) {
    const auto first = spoken.lower_bound(EntityKey{Kind::kNamespaceStandard, {}});
    if (first == spoken.end()) return absl::OkStatus();
    AIMEM_ASSIGN_OR_RETURN(std::vector<NamespaceStandard> list, Standards());
    std::map<std::string, NamespaceStandard, std::less<>> standards;
    for (NamespaceStandard& standard : list) {
      standards.emplace(standard.namespace_, std::move(standard));
    }
    for (auto one = first; one != spoken.end(); ++one) {
      FeedChange change{.kind = one->first.kind, .id = one->first.key};
      if (const auto there = standards.find(change.id); there != standards.end()) {
        change.standard = std::move(there->second);
      } else {
        change.what = What::kDeleted;
      }
      changes_.push_back(std::move(change));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<NamespaceStandard>> Standards() {
    AIMEM_ASSIGN_OR_RETURN(
        ListResult list,
        store_.List({.kind = ListKind::kStandards, .limit = kRowsMax, .bounds = bounds_}));
    return std::move(list.standards);
  }

  Store& store_;
  const ReadBounds& bounds_;
  std::vector<FeedChange>& changes_;
};

}  // namespace

std::string_view FeedWhatName(FeedChange::What what) {
  switch (what) {
    case What::kWritten:
      return "written";
    case What::kUsed:
      return "used";
    case What::kArchived:
      return "archived";
    case What::kDeleted:
      return "deleted";
  }
  return "unknown";
}

ChangeFeed::ChangeFeed(Store& store, ChangeCursor from, const ReadChangesLimit& limit)
    : store_(store), cursor_(std::move(from)), limit_(limit) {}

absl::StatusOr<FeedPage> ChangeFeed::Next(const ReadBounds& bounds) {
  AIMEM_ASSIGN_OR_RETURN(ChangePage read, store_.ReadChanges(cursor_, limit_, bounds));
  AIMEM_ASSIGN_OR_RETURN(Spoken spoken, SpokenOf(read));
  FeedPage page;
  TellStates(read, page.changes);
  AIMEM_RETURN_IF_ERROR(Teller(store_, bounds, page.changes).Tell(std::move(spoken)));
  page.end = read.end;
  page.next = std::move(read.next);
  cursor_ = page.next;
  return page;
}

}  // namespace aimem
