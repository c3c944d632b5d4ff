#include "lib/recall/list.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/pending.h"
#include "lib/model/validate.h"
#include "lib/recall/filter.h"
#include "lib/recall/indexed.h"
#include "lib/recall/links.h"
#include "lib/recall/memory_order.h"
#include "lib/recall/page.h"
#include "lib/recall/scan.h"

namespace aimem::recall {
namespace {

using model::MemoryView;
using model::Part;
using model::Phase;
using Parts = std::span<const Part>;

constexpr std::string_view kAgentsNamespace = "_agents";

// -- Positions: see page.h. Numbers are big-endian; those that come greatest first, inverted. --

std::string TimePosition(std::string_view id, std::int64_t time) {
  return model::EncodeTime(time).append(id);
}

std::string NewestFirstPosition(std::string_view id, std::int64_t time) {
  return Inverted(model::EncodeTime(time)).append(id);
}

std::string CountPosition(std::string_view name, std::int64_t count) {
  return Inverted(model::EncodeU64(static_cast<std::uint64_t>(count))).append(name);
}

void DropPrefix(std::vector<std::string>& positions, std::size_t bytes) {
  for (std::string& position : positions) position.erase(0, bytes);
}

// -- Lists ------------------------------------------------------------------------------------

// Call `visit` with every memory in `phase`.
absl::Status ForEachIn(
    Transaction& transaction, Phase phase,
    absl::FunctionRef<void(const std::string& id, const MemoryView&, Parts)> visit) {
  return ForEachRow(transaction, Kind::kMemory, [&](const EntityRow& row, Parts parts) {
    const MemoryView view = model::ViewMemory(parts);
    if (view.phase == phase) visit(row.key.key, view, parts);
    return absl::OkStatus();
  });
}

absl::Status ReadMemories(Transaction& transaction, std::span<const std::string> ids,
                          std::vector<Memory>& memories) {
  memories.reserve(ids.size());
  return ForEachMemory(transaction, ids,
                       [&](const std::string& id, Parts parts, const MemoryView& view) {
                         if (view.phase == Phase::kLive)
                           memories.push_back(model::ToMemory(id, parts, view));
                       });
}

// The page that was offered. False: there are memories on it that cannot be read.
absl::StatusOr<bool> ReadPage(Transaction& transaction, const MemoryOrder& order, Page page,
                              ListResult& result) {
  std::vector<std::string> ids;
  for (const std::string& position : page.Take(result.next_page_token)) {
    ids.push_back(order.IdAt(position));
  }
  AIMEM_RETURN_IF_ERROR(ReadMemories(transaction, ids, result.memories));
  return result.memories.size() == ids.size();
}

absl::Status OfferScanned(Transaction& transaction, const MemoryFilter& filter,
                          const MemoryOrder& order, Page& page) {
  return ForEachIn(transaction, Phase::kLive,
                   [&](const std::string& id, const MemoryView& view, Parts parts) {
                     if (!filter.Matches(view, parts)) return;
                     const Rank rank = order.RankOf({.priority = view.priority,
                                                     .created_at = view.created_at,
                                                     .updated_at = view.updated_at});
                     page.Offer(order.Position(rank, id));
                   });
}

absl::Status ListMemories(Transaction& transaction, const ListRequest& request,
                          const MemoryFilter& filter, Page page, const index::View* index,
                          ListResult& result) {
  const MemoryOrder order(request.order);
  if (index != nullptr) {
    Page indexed = page;
    OfferIndexed(*index, filter, order, indexed);
    AIMEM_ASSIGN_OR_RETURN(const bool whole,
                           ReadPage(transaction, order, std::move(indexed), result));
    if (whole) return absl::OkStatus();
    // A row was damaged since it was indexed: a scan has the next one in its place.
    result = ListResult();
  }
  AIMEM_RETURN_IF_ERROR(OfferScanned(transaction, filter, order, page));
  return ReadPage(transaction, order, std::move(page), result).status();
}

absl::Status ListArchived(Transaction& transaction, const MemoryFilter& filter, Page page,
                          ListResult& result) {
  AIMEM_RETURN_IF_ERROR(ForEachIn(transaction, Phase::kArchived,
                                  [&](const std::string& id, const MemoryView& view, Parts) {
                                    if (filter.InNamespace(view.namespace_)) {
                                      page.Offer(NewestFirstPosition(id, view.archived_at));
                                    }
                                  }));
  std::vector<std::string> ids = page.Take(result.next_page_token);
  DropPrefix(ids, kNumberBytes);
  return ForEachMemory(
      transaction, ids, [&](const std::string& id, Parts parts, const MemoryView& view) {
        result.archived.push_back({model::ToMemory(id, parts, view),
                                   model::FromNanoseconds(view.archived_at), view.reason});
      });
}

// Where a registration stands among the others: when it was first made.
std::int64_t RegisteredAt(const MemoryView& view, Parts parts) {
  const Part* part = model::Find(parts, model::MetaPart("registered_at"));
  if (!part || !model::MetaVisible(*part, view)) return view.created_at;
  const std::optional<std::string> text = model::JsonStringValue(part->value);
  const std::optional<absl::Time> time = text ? model::ParseTime(*text) : std::nullopt;
  return time ? model::ToNanoseconds(*time) : view.created_at;
}

// Call `visit` with every live memory of the agents' namespace, and maybe others.
absl::Status ForEachAgent(
    Transaction& transaction, absl::Time now, const index::View* index,
    absl::FunctionRef<void(const std::string& id, const MemoryView&, Parts)> visit) {
  if (index == nullptr) return ForEachIn(transaction, Phase::kLive, visit);
  AIMEM_ASSIGN_OR_RETURN(
      const MemoryFilter agents,
      MemoryFilter::Create({.namespace_ = std::string(kAgentsNamespace), .expired = true},
                           /*with_ancestors=*/false, now));
  return ForEachMemory(transaction, IndexedIds(*index, agents, {}, std::nullopt),
                       [&](const std::string& id, Parts parts, const MemoryView& view) {
                         if (view.phase == Phase::kLive) visit(id, view, parts);
                       });
}

absl::Status ListAgents(Transaction& transaction, const MemoryFilter& filter, Page page,
                        absl::Time now, const index::View* index, ListResult& result) {
  AIMEM_RETURN_IF_ERROR(ForEachAgent(
      transaction, now, index, [&](const std::string& id, const MemoryView& view, Parts parts) {
        if (view.namespace_ == kAgentsNamespace && filter.Matches(view, parts)) {
          page.Offer(TimePosition(id, RegisteredAt(view, parts)));
        }
      }));
  std::vector<std::string> ids = page.Take(result.next_page_token);
  DropPrefix(ids, kNumberBytes);
  return ReadMemories(transaction, ids, result.memories);
}

absl::StatusOr<NamespaceCounts> CountNamespaces(Transaction& transaction,
                                                const MemoryFilter& filter, std::int64_t now) {
  NamespaceCounts counts;
  AIMEM_RETURN_IF_ERROR(
      ForEachIn(transaction, Phase::kLive, [&](const std::string&, const MemoryView& view, Parts) {
        if (!view.AliveAt(now) || !filter.InNamespace(view.namespace_)) return;
        const auto found = counts.find(view.namespace_);
        if (found != counts.end()) {
          ++found->second;
        } else {
          counts.emplace(view.namespace_, 1);
        }
      }));
  return counts;
}

absl::Status ListNamespaces(Transaction& transaction, const MemoryFilter& filter, Page page,
                            absl::Time now, const index::View* index, ListResult& result) {
  NamespaceCounts counts;
  if (index != nullptr) {
    counts = CountIndexedNamespaces(*index, filter, model::ToNanoseconds(now));
  } else {
    AIMEM_ASSIGN_OR_RETURN(counts, CountNamespaces(transaction, filter, model::ToNanoseconds(now)));
  }
  for (const auto& [name, count] : counts) page.Offer(CountPosition(name, count));
  std::vector<std::string> names = page.Take(result.next_page_token);
  DropPrefix(names, kNumberBytes);
  for (const std::string& name : names) result.namespaces.push_back({name, counts[name]});
  return absl::OkStatus();
}

absl::Status ListLinks(Transaction& transaction, const std::string& of_id, Page page,
                       ListResult& result) {
  std::map<std::string, Link> links;
  const auto offer = [&](ShownLink link) {
    page.Offer(link.key);
    links.emplace(std::move(link.key), std::move(link.link));
    return !page.full();
  };
  if (of_id.empty()) {
    AIMEM_RETURN_IF_ERROR(ForEachShownLink(transaction, page.after(), offer));
  } else {
    AIMEM_ASSIGN_OR_RETURN(std::vector<ShownLink> of_one, LinksOf(transaction, of_id));
    for (ShownLink& link : of_one) offer(std::move(link));
  }
  for (const std::string& key : page.Take(result.next_page_token)) {
    result.links.push_back(std::move(links[key]));
  }
  return absl::OkStatus();
}

absl::Status ListStandards(Transaction& transaction, const MemoryFilter& filter, Page page,
                           ListResult& result) {
  std::map<std::string, NamespaceStandard> standards;
  std::vector<std::string> ids;
  AIMEM_RETURN_IF_ERROR(
      ForEachRow(transaction, Kind::kNamespaceStandard, [&](const EntityRow& row, Parts parts) {
        if (!filter.InNamespace(row.key.key)) return absl::OkStatus();
        if (auto standard = model::ViewStandard(row.key.key, parts)) {
          ids.push_back(standard->memory_id);
          standards.emplace(row.key.key, *std::move(standard));
        }
        return absl::OkStatus();
      }));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<std::string> live;  // ascending, as `ids`
  AIMEM_RETURN_IF_ERROR(
      ForEachMemory(transaction, ids, [&](const std::string& id, Parts, const MemoryView& view) {
        if (view.phase == Phase::kLive) live.push_back(id);
      }));
  for (const auto& [name, standard] : standards) {
    const bool described = std::binary_search(live.begin(), live.end(), standard.memory_id);
    if (described || !standard.policy.empty()) page.Offer(name);
  }
  for (const std::string& name : page.Take(result.next_page_token)) {
    result.standards.push_back(std::move(standards[name]));
  }
  return absl::OkStatus();
}

// An id follows from one name only, so of several memories under one name at most one has the id
// that follows from it: looking at the others finds every such name.
absl::Status ListConflicts(Transaction& transaction, const MemoryFilter& filter, Page page,
                           ListResult& result) {
  std::map<std::string, std::vector<std::string>> names;
  AIMEM_RETURN_IF_ERROR(ForEachIn(
      transaction, Phase::kLive, [&](const std::string& id, const MemoryView& view, Parts) {
        if (filter.InNamespace(view.namespace_) &&
            id != model::FirstId(view.namespace_, view.title)) {
          names[model::EncodeName(view.namespace_, view.title)].push_back(id);
        }
      }));
  std::vector<std::string> first_ids;
  for (const auto& [name, ids] : names) {
    const std::size_t nul = name.find('\0');
    first_ids.push_back(model::FirstId(std::string_view(name).substr(0, nul),
                                       std::string_view(name).substr(nul + 1)));
  }
  AIMEM_RETURN_IF_ERROR(ForEachMemory(
      transaction, first_ids, [&](const std::string& id, Parts, const MemoryView& view) {
        if (view.phase != Phase::kLive) return;
        const auto found = names.find(model::EncodeName(view.namespace_, view.title));
        if (found != names.end() && id == model::FirstId(view.namespace_, view.title)) {
          found->second.push_back(id);
        }
      }));
  for (const auto& [name, ids] : names) {
    if (ids.size() > 1) page.Offer(name);
  }
  for (const std::string& name : page.Take(result.next_page_token)) {
    const std::size_t nul = name.find('\0');
    std::vector<std::string>& ids = names[name];
    std::sort(ids.begin(), ids.end());
    result.conflicts.push_back({name.substr(0, nul), name.substr(nul + 1), std::move(ids)});
  }
  return absl::OkStatus();
}

absl::Status ListPending(Transaction& transaction, const ListRequest& request,
                         const MemoryFilter& filter, Page page, ListResult& result) {
  const auto offer = [&](const std::string& id, Parts parts) {
    const std::optional<PendingAction> action = model::ViewPending(id, parts);
    if (!action || !filter.InNamespace(action->namespace_)) return;
    if (request.status && action->status != *request.status) return;
    page.Offer(NewestFirstPosition(id, model::ToNanoseconds(action->requested_at)));
  };
  if (request.of_id.empty()) {
    AIMEM_RETURN_IF_ERROR(
        ForEachRow(transaction, Kind::kPendingAction, [&](const EntityRow& row, Parts parts) {
          offer(row.key.key, parts);
          return absl::OkStatus();
        }));
  } else {
    AIMEM_RETURN_IF_ERROR(
        ForEachOf(transaction, Kind::kPendingAction, std::span(&request.of_id, 1), offer));
  }
  std::vector<std::string> ids = page.Take(result.next_page_token);
  DropPrefix(ids, kNumberBytes);
  return ForEachOf(transaction, Kind::kPendingAction, ids, [&](const std::string& id, Parts parts) {
    if (auto action = model::ViewPending(id, parts)) {
      result.pending.push_back(*std::move(action));
    }
  });
}

absl::Status Fill(Transaction& transaction, const ListRequest& request, const MemoryFilter& filter,
                  Page page, absl::Time now, const index::View* index, ListResult& result) {
  switch (request.kind) {
    case ListKind::kMemories:
      return ListMemories(transaction, request, filter, std::move(page), index, result);
    case ListKind::kArchived:
      return ListArchived(transaction, filter, std::move(page), result);
    case ListKind::kLinks:
      return ListLinks(transaction, request.of_id, std::move(page), result);
    case ListKind::kNamespaces:
      return ListNamespaces(transaction, filter, std::move(page), now, index, result);
    case ListKind::kStandards:
      return ListStandards(transaction, filter, std::move(page), result);
    case ListKind::kAgents:
      return ListAgents(transaction, filter, std::move(page), now, index, result);
    case ListKind::kConflicts:
      return ListConflicts(transaction, filter, std::move(page), result);
    case ListKind::kPending:
      return ListPending(transaction, request, filter, std::move(page), result);
  }
  return absl::InvalidArgumentError("kind is none of ListKind");
}

}  // namespace

bool UsesIndex(const ListRequest& request) {
  return request.kind == ListKind::kMemories || request.kind == ListKind::kNamespaces ||
         request.kind == ListKind::kAgents;
}

absl::StatusOr<ListResult> List(Transaction& transaction, const ListRequest& request,
                                absl::Time now, const index::View* view) {
  AIMEM_ASSIGN_OR_RETURN(Page page, Page::Create(request));
  AIMEM_ASSIGN_OR_RETURN(const MemoryFilter filter,
                         MemoryFilter::Create(request.filter, /*with_ancestors=*/false, now));
  ListResult result;
  if (page.empty()) return result;
  AIMEM_RETURN_IF_ERROR(Fill(transaction, request, filter, std::move(page), now, view, result));
  return result;
}

}  // namespace aimem::recall
