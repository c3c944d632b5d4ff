#include "tests/merge/history.h"

#include <algorithm>
#include <optional>

#include "lib/log/grammar.h"
#include "lib/merge/join.h"

namespace aimem::testing {
namespace {

using model::MemoryView;
using model::Part;
using model::Parts;
using model::Phase;

namespace part = model::part;

bool SameView(const MemoryView& a, const MemoryView& b) {
  return a.phase == b.phase && a.tier == b.tier && a.namespace_ == b.namespace_ &&
         a.title == b.title && a.content == b.content && a.tags == b.tags &&
         a.priority == b.priority && a.confidence == b.confidence && a.source == b.source &&
         a.agent_id == b.agent_id && a.created_at == b.created_at && a.updated_at == b.updated_at &&
         a.access_count == b.access_count && a.last_accessed_at == b.last_accessed_at &&
         a.expires_at == b.expires_at && a.archived_at == b.archived_at && a.reason == b.reason &&
         a.put == b.put && a.deleted == b.deleted && a.content_stamp == b.content_stamp &&
         a.expiry_stamp == b.expiry_stamp && a.name_stamp == b.name_stamp && a.purged == b.purged;
}

template <typename T>
void Shuffle(SplitMix& random, std::vector<T>& items) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[random.Below(i)]);
  }
}

class History {
 public:
  History(std::uint64_t seed, JoinFunction join, Tally& tally)
      : world_(seed, join), random_(world_.random), tally_(tally) {}

  std::string Run(std::uint64_t seed) {
    Grow();
    if (world_.ok()) Settle();
    if (world_.ok()) CheckOrders();
    if (world_.ok()) CheckGroupings();
    if (world_.ok()) CheckEncoding();
    if (world_.ok()) CheckMemories();
    if (world_.ok()) CheckLinks();
    if (world_.ok()) CheckNames();
    ++tally_.histories;
    tally_.commits += world_.commits.size();
    return world_.ok() ? "" : Describe(seed);
  }

 private:
  // -- Making the history --------------------------------------------------------------------
  void Grow() {
    constexpr std::int64_t kStartMs = 1'000;
    const std::size_t names = 1 + random_.Below(3);
    for (std::uint64_t stream = 1; stream <= kStreams; ++stream) {
      members_.emplace_back(world_, stream, static_cast<std::int64_t>(random_.Below(12)));
    }
    const std::uint64_t steps = 3 + random_.Below(kMaxCommits - 3);
    for (std::uint64_t now = 0; now < steps && world_.ok(); ++now) {
      members_[random_.Below(kStreams)].Act(names, kStartMs + static_cast<std::int64_t>(now));
      if (random_.Chance(40)) Exchange();
    }
    for (const Commit& commit : world_.commits) commits_.push_back(&commit);
  }

  void Exchange() {
    const std::size_t from = random_.Below(kStreams);
    const std::size_t to = (from + 1 + random_.Below(kStreams - 1)) % kStreams;
    std::vector<const Commit*> some = members_[from].log();
    Shuffle(random_, some);
    some.resize(some.size() * 4 / 5);
    for (const Commit* commit : some) members_[to].Receive(*commit);
    CheckVector(members_[from]);
    CheckVector(members_[to]);
  }

  // Equal vectors mean equal states.
  void CheckVector(const Member& member) {
    for (const auto& [vector, state] : by_vector_) {
      if (vector != member.vector()) continue;
      world_.Check(SameState(state, member.state()), "equal vectors, another state");
      return;
    }
    by_vector_.emplace_back(member.vector(), member.state());
  }

  // Everyone gets everything, twice, in an order of its own.
  void Settle() {
    for (Member& member : members_) {
      std::vector<const Commit*> all = commits_;
      all.insert(all.end(), commits_.begin(), commits_.end());
      Shuffle(random_, all);
      for (const Commit* commit : all) member.Receive(*commit);
      world_.Check(member.log().size() == commits_.size(), "a commit did not arrive");
      CheckVector(member);
    }
    end_ = members_[0].state();
    for (const Commit* commit : commits_) {
      for (const Fact& fact : commit->facts) facts_.emplace_back(commit->stamp, fact);
    }
  }

  // -- One set of commits, one state ------------------------------------------------------------
  State FoldAll(const std::vector<const Commit*>& commits) {
    State state;
    for (const Commit* commit : commits) world_.Fold(state, *commit);
    return state;
  }

  void CheckOrders() {
    constexpr std::size_t kAllOrders = 5;
    if (commits_.size() <= kAllOrders) {
      ++tally_.permuted;
      Permute(State(), 0);
      return;
    }
    for (int i = 0; i < 6; ++i) {
      std::vector<const Commit*> order = commits_;
      Shuffle(random_, order);
      const State state = FoldAll(order);
      world_.Check(SameState(state, end_), "another order, another state");
      if (i == 0) CheckViews(state);
    }
  }

  // All orders, each prefix folded once.
  void Permute(const State& prefix, std::uint32_t used) {
    if (used == (1u << commits_.size()) - 1) {
      world_.Check(SameState(prefix, end_), "another order, another state");
      return;
    }
    for (std::size_t i = 0; i < commits_.size() && world_.ok(); ++i) {
      if ((used >> i & 1) != 0) continue;
      State next = prefix;
      world_.Fold(next, *commits_[i]);
      Permute(next, used | 1u << i);
    }
  }

  void CheckViews(const State& state) {
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      const auto entity = static_cast<Entity>(i);
      if (world_.entities[i].is_link) {
        world_.Check(Shown(world_, state, entity) == Shown(world_, end_, entity),
                     "another order, another view of a link");
      } else {
        world_.Check(SameView(model::ViewMemory(PartsOf(state, entity)),
                              model::ViewMemory(PartsOf(end_, entity))),
                     "another order, another view of a memory");
      }
    }
  }

  State Merge(const State& a, const State& b) {
    State merged;
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      if (a.rows[i] == nullptr && b.rows[i] == nullptr) continue;
      merged.rows[i] = world_.Join(a.rows[i], b.rows[i]);
    }
    return merged;
  }

  // States of random subsets meet pair by pair until one is left.
  void CheckGroupings() {
    std::vector<State> heaps;
    for (int i = 0; i < 4; ++i) {
      std::vector<const Commit*> some = commits_;
      Shuffle(random_, some);
      some.resize(random_.Below(some.size() + 1));
      heaps.push_back(FoldAll(some));
    }
    CheckPartial(heaps[0]);
    heaps.push_back(end_);
    while (heaps.size() > 1) {
      Shuffle(random_, heaps);
      const State merged = Merge(heaps[heaps.size() - 2], heaps.back());
      heaps.resize(heaps.size() - 2);
      heaps.push_back(merged);
    }
    world_.Check(SameState(heaps[0], end_), "another grouping, another state");
    world_.Check(SameState(Merge(end_, end_), end_), "the join is not idempotent");
  }

  // Any subset of the commits has a view, and is absorbed by the whole.
  void CheckPartial(const State& some) {
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      const std::span<const Part> parts = PartsOf(some, static_cast<Entity>(i));
      const std::span<const Part> whole = PartsOf(end_, static_cast<Entity>(i));
      model::ViewMemory(parts);
      world_.Check(merge::Absorbs(whole, parts), "the whole does not absorb a part of it");
      world_.Check(merge::Absorbs(parts, whole) == SameRow(some.rows[i], end_.rows[i]),
                   "a part of the history absorbs the whole");
    }
  }

  void CheckEncoding() {
    Parts decoded;
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      if (end_.rows[i] == nullptr) continue;
      const std::string bytes = log::EncodeState(*end_.rows[i]);
      world_.Check(log::DecodeState(bytes, decoded).ok() && decoded == *end_.rows[i],
                   "a row does not survive its encoding");
    }
  }

  // -- What the history says of the outcome ------------------------------------------------------
  // The greatest stamp at which this was done to the entity; zero if never.
  [[nodiscard]] Stamp Last(Did did, Entity entity) const {
    Stamp last;
    for (const auto& [stamp, fact] : facts_) {
      if (fact.did == did && fact.entity == entity) last = std::max(last, stamp);
    }
    return last;
  }

  void CheckMemories() {
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      if (world_.entities[i].is_link || end_.rows[i] == nullptr) continue;
      CheckMemory(static_cast<Entity>(i), *end_.rows[i]);
    }
  }

  void CheckMemory(Entity entity, std::span<const Part> parts) {
    const MemoryView view = model::ViewMemory(parts);
    const Stamp put = Last(Did::kPut, entity);
    const Stamp deleted = Last(Did::kDeleted, entity);
    const bool erased = Last(Did::kErased, entity) != Stamp();
    world_.Check((view.phase == Phase::kPurged) == erased, "erased is not for ever");
    world_.Check(erased || (view.phase == Phase::kGone) == (deleted > put), "revived, or lost");
    tally_.purged += erased ? 1 : 0;
    tally_.gone += view.phase == Phase::kGone ? 1 : 0;
    if (view.phase != Phase::kLive && view.phase != Phase::kArchived) return;
    tally_.revived += deleted != Stamp() ? 1 : 0;
    ++tally_.tiers[static_cast<std::size_t>(view.tier)];
    const Stamp edit = Last(Did::kWroteExpiry, entity);
    world_.Check(view.put == put && view.expiry_stamp == edit && edit >= put, "put and expiry");
    CheckArchive(entity, view);
    CheckExpiry(entity, view, edit);
    CheckTouches(entity, view, edit);
    CheckTier(entity, parts, view, deleted);
    for (const Part& part : parts) {
      const bool field = part.name == part::kName || part.name == part::kContent ||
                         part.name == part::kTags || part.name == part::kPriority;
      world_.Check(!(field || model::IsMetadata(part.name)) || part.stamp >= put,
                   "a part older than the put is there");
    }
  }

  // In the archive by a judgement that saw the part that counts, and by no other.
  void CheckArchive(Entity entity, const MemoryView& view) {
    const bool forgotten = Last(Did::kForgot, entity) >= view.put;
    bool expired = false;
    bool consolidated = false;
    for (const auto& [stamp, fact] : facts_) {
      if (fact.entity != entity) continue;
      expired = expired || (fact.did == Did::kExpired && fact.clock == view.expiry_stamp &&
                            view.expires_at && *view.expires_at <= fact.until);
      consolidated =
          consolidated || (fact.did == Did::kConsolidated && fact.clock == view.content_stamp);
    }
    const bool archived = forgotten || expired || consolidated;
    world_.Check((view.phase == Phase::kArchived) == archived, "archive, from the history");
    if (!archived) return;
    world_.Check(view.reason == (forgotten ? ArchiveReason::kForget
                                 : expired ? ArchiveReason::kTtlExpired
                                           : ArchiveReason::kConsolidated),
                 "archive reason, from the history");
    ++tally_.archived[static_cast<std::size_t>(view.reason)];
  }

  // The expiry last written, and what touches that had seen just that one made of it.
  void CheckExpiry(Entity entity, const MemoryView& view, Stamp edit) {
    Fact written;
    std::int64_t end = 0;
    for (const auto& [stamp, fact] : facts_) {
      if (fact.entity != entity) continue;
      if (fact.did == Did::kWroteExpiry && stamp == edit) written = fact;
      if (fact.did == Did::kTouched && fact.clock == edit) end = std::max(end, fact.until);
    }
    end = std::max(end, written.until);
    const bool never =
        written.until == 0 || (view.tier == Tier::kLong && written.tier != Tier::kLong);
    world_.Check(never ? !view.expires_at : view.expires_at == end, "expiry, from the history");
  }

  void CheckTouches(Entity entity, const MemoryView& view, Stamp edit) {
    for (const auto& [stamp, fact] : facts_) {
      if (fact.did != Did::kTouched || fact.entity != entity) continue;
      tally_.late_touches += fact.life != view.put ? 1 : 0;
      world_.Check(fact.life != view.put || view.access_count >= fact.count,
                   "touch without effect: count");
      world_.Check(fact.clock != edit || !view.expires_at || *view.expires_at >= fact.until,
                   "touch without effect: expiry");
    }
  }

  void CheckTier(Entity entity, std::span<const Part> parts, const MemoryView& view,
                 Stamp deleted) {
    Tier raised = Tier::kShort;
    for (const auto& [stamp, fact] : facts_) {
      if (fact.did == Did::kRaisedTier && fact.entity == entity && stamp > deleted) {
        raised = std::max(raised, fact.tier);
      }
    }
    // A promotion that had not seen a delete may carry over into the next life.
    const bool carried = view.tier == model::MarkedTier(parts) && view.tier > Tier::kShort &&
                         model::Find(parts, part::kDeleted) != nullptr;
    world_.Check(view.tier == raised || carried, "tier, from the history");
  }

  void CheckLinks() {
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      const EntityInfo& info = world_.entities[i];
      if (!info.is_link) continue;
      const auto link = static_cast<Entity>(i);
      const Stamp linked = Last(Did::kLinked, link);
      bool expected = linked > Last(Did::kUnlinked, link);
      for (const Entity end : {info.source, info.target}) {
        expected = expected && linked > Last(Did::kDeleted, end) &&
                   model::ViewMemory(PartsOf(end_, end)).phase == Phase::kLive;
      }
      world_.Check(Shown(world_, end_, link) == expected, "link");
      ++(expected ? tally_.links_shown : tally_.links_hidden);
    }
  }

  void CheckNames() {
    std::array<std::size_t, kNames + 1> rows{};
    for (std::size_t i = 0; i < world_.entities.size(); ++i) {
      if (world_.entities[i].is_link) continue;
      const MemoryView view = model::ViewMemory(PartsOf(end_, static_cast<Entity>(i)));
      if (view.phase == Phase::kLive) ++rows[NameOf(view)];
    }
    world_.Check(rows[kNames] == 0, "a name from nowhere");
    for (std::size_t name = 0; name < kNames; ++name) {
      if (rows[name] <= 1) continue;
      const bool excused = std::any_of(facts_.begin(), facts_.end(), [&](const auto& entry) {
        return entry.second.did == Did::kSawName && entry.second.name == name;
      });
      world_.Check(excused, "two live rows under a plain name");
      ++tally_.two_rows;
      if (world_.ok()) Heal(name);
    }
  }

  void Heal(std::size_t name) {
    constexpr std::uint64_t kAnotherStream = 7;
    constexpr std::int64_t kLaterMs = 2'000;
    Member healer(world_, kAnotherStream, 0);
    std::uint64_t hlc = 0;
    for (const Commit* commit : commits_) hlc = std::max(hlc, commit->stamp.hlc);
    healer.Adopt(end_, hlc);
    healer.Heal(name, kLaterMs);
    ++tally_.healed;
  }

  [[nodiscard]] std::string Describe(std::uint64_t seed) const {
    std::string text = "seed " + std::to_string(seed) + ": " + world_.failure;
    for (const Commit& commit : world_.commits) {
      text += "\n  stream " + std::to_string(commit.stamp.stream) + " hlc " +
              std::to_string(commit.stamp.hlc >> 16) + "." +
              std::to_string(commit.stamp.hlc & 0xffff) + " ";
      text += OpName(commit.op);
      for (const Change& change : commit.changes) {
        text += " entity " + std::to_string(change.entity);
      }
    }
    return text;
  }

  World world_;
  SplitMix& random_;
  Tally& tally_;
  std::vector<Member> members_;
  std::vector<const Commit*> commits_;
  std::vector<std::pair<Stamp, Fact>> facts_;
  std::vector<std::pair<std::array<std::uint8_t, kStreams>, State>> by_vector_;
  State end_;
};

}  // namespace

std::string RunHistory(std::uint64_t seed, JoinFunction join, Tally& tally) {
  return History(seed, join, tally).Run(seed);
}

}  // namespace aimem::testing
