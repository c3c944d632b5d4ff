// Random histories of several members, and what must hold of them.
//
// tests/merge/model/merge_model.py is the same as an executable specification. Members with
// skewed clocks write to memories and links and pass on some of their commits; then the commits
// meet in other orders, groupings and repetitions, and the outcome is compared with an oracle that
// knows only what was done at which stamp. The code under test is model:: and merge::; the join is
// a parameter, so that a wrong one shows that the checks find it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/parts.h"
#include "lib/model/view.h"
#include "tests/log/random_states.h"

namespace aimem::testing {

using JoinFunction = model::Parts (*)(std::span<const model::Part>, std::span<const model::Part>);

inline constexpr std::size_t kStreams = 3;
inline constexpr std::size_t kMaxEntities = 64;
inline constexpr std::size_t kMaxCommits = 40;
/// Titles that memories get; the last one is only ever the title of a summary.
inline constexpr std::size_t kNames = 4;

/// An entity, as an index into World::entities.
using Entity = std::uint8_t;
/// Parts that live as long as the history; null where nothing is known.
using Row = const model::Parts*;

struct EntityInfo {
  std::string id{};  // of a memory
  bool is_link = false;
  Entity source = 0, target = 0;  // of a link
};

struct State {
  std::array<Row, kMaxEntities> rows{};
};

enum class Op : std::uint8_t {
  kPut,
  kPatch,
  kMeta,
  kRename,
  kSwap,
  kDelete,
  kForget,
  kRestore,
  kArchivePurge,
  kErase,
  kConsolidate,
  kExpire,
  kTouch,
  kPromote,
  kMid,
  kTtl,
  kLink,
  kUnlink,
  kImport,
};
std::string_view OpName(Op op);

enum class Did : std::uint8_t {
  kPut,
  kWroteExpiry,
  kRaisedTier,
  kForgot,
  kDeleted,
  kErased,
  kExpired,
  kConsolidated,
  kTouched,
  kLinked,
  kUnlinked,
  kSawName,
};

/// What a commit did, for the oracle alone.
struct Fact {
  Did did = Did::kPut;
  Entity entity = 0;
  std::uint8_t name = 0;     // kSawName
  Tier tier = Tier::kShort;  // kRaisedTier; kWroteExpiry: the tier that it was written with
  Stamp life{};              // the put that kRaisedTier and kTouched saw
  Stamp clock{};             // the expiry (kConsolidated: the content) that was judged
  std::int64_t count = 0;    // kTouched
  std::int64_t until = 0;    // nanoseconds: the end that was written, 0 for none; kExpired:
                             // the time judged
};

struct Change {
  Entity entity = 0;
  Row parts = nullptr;
};

struct Commit {
  Stamp stamp;
  std::uint8_t seq = 0;
  Op op = Op::kPut;
  std::vector<Change> changes;
  std::vector<Fact> facts;
};

/// What all members of one history share.
struct World {
  World(std::uint64_t seed, JoinFunction join_function) : random(seed), join(join_function) {}

  SplitMix random;
  JoinFunction join;
  std::pmr::monotonic_buffer_resource bytes{8'192};
  std::deque<model::Parts> rows;
  std::deque<Commit> commits;
  std::vector<EntityInfo> entities;
  std::string failure;  // the first; empty while all is well

  [[nodiscard]] bool ok() const { return failure.empty(); }
  bool Check(bool holds, std::string_view what) {
    if (!holds && failure.empty()) failure = what;
    return holds;
  }
  std::string_view Keep(std::string_view value);
  Row Keep(model::Parts parts) { return &rows.emplace_back(std::move(parts)); }
  Entity Memory(std::string_view id);
  Entity Link(Entity source, Entity target);
  Entity Add(EntityInfo info);
  /// The memory of this id, or kMaxEntities.
  [[nodiscard]] std::size_t Find(std::string_view id) const;

  Row Join(Row a, Row b);
  void Fold(State& state, const Commit& commit);
};

/// The parts of an entity, none if nothing is known.
std::span<const model::Part> PartsOf(const State& state, Entity entity);
bool SameRow(Row a, Row b);
bool SameState(const State& a, const State& b);
/// Whether the link is shown, as a reader of `state` sees it.
bool Shown(const World& world, const State& state, Entity link);

/// The encoded name, and the id that follows from it.
std::string_view EncodedName(std::size_t name);
std::string_view TitleId(std::size_t name);
/// The index of a title; kNames if there is none.
std::size_t NameOf(const model::MemoryView& view);

/// One member: a stream of its own, the commits that it has, and the state they make.
class Member {
 public:
  Member(World& world, std::uint64_t stream, std::int64_t skew_ms)
      : world_(world), stream_(stream), skew_ms_(skew_ms) {}

  /// Out of order and more than once is welcome: what has a gap before it waits.
  void Receive(const Commit& commit);
  /// Do something, or nothing if it does not apply here. True if there is a new commit.
  bool Act(std::size_t names, std::int64_t now_ms);
  /// Store `name` again: the rows that share it must become one.
  void Heal(std::size_t name, std::int64_t now_ms);

  [[nodiscard]] const State& state() const { return state_; }
  void Adopt(const State& state, std::uint64_t hlc) { state_ = state, hlc_ = hlc; }
  [[nodiscard]] const std::array<std::uint8_t, kStreams>& vector() const { return vector_; }
  [[nodiscard]] const std::vector<const Commit*>& log() const { return log_; }
  std::vector<Entity> Owners(std::size_t name);

 private:
  void Tick(std::int64_t now_ms);
  void RefreshViews();
  void FoldChecked(const Commit& commit);
  bool Finish(Commit commit);
  Commit Begin(Op op) const;
  std::string_view Value(Entity entity, std::string_view part) const;
  std::string_view FreshText() const;
  std::string_view FreshField(std::string_view part) const;
  std::string_view Wall() const;
  Entity Target(std::size_t name);
  Entity Any(const std::vector<Entity>& of) { return of[world_.random.Below(of.size())]; }
  void Change1(Commit& commit, Entity entity, std::initializer_list<model::Part> parts) const;
  void Put(Commit& commit, Entity entity, Tier tier, std::size_t name, bool archive) const;
  void CopyRow(Entity entity, model::Parts& out) const;
  void Consolidate(Commit& commit, Entity source) const;
  void WroteExpiry(Commit& commit, Entity entity, Tier tier, std::int64_t end) const;
  void SawName(Commit& commit, std::size_t name) const;

  bool Store(std::size_t names);
  bool Import(std::size_t names);
  bool Restore();
  bool Unlink();
  bool Patch(Entity entity);
  bool Meta(Entity entity);
  bool Delete(Op op, Entity entity);
  bool Forget(Entity entity);
  bool Erase(Entity entity);
  bool Rename(Entity entity, std::size_t names);
  bool Swap(Entity entity);
  bool Summarise(Entity entity, std::size_t names);
  bool Expire(Entity entity);
  bool Touch(Entity entity);
  bool Promote(Entity entity);
  bool Mid(Entity entity);
  bool Ttl(Entity entity);
  bool LinkTo(Entity entity);

  World& world_;
  std::uint64_t stream_;
  std::int64_t skew_ms_;
  std::uint64_t hlc_ = 0;
  State state_;
  std::array<std::uint8_t, kStreams> vector_{};
  std::array<std::uint64_t, kStreams> received_{};  // bit s: sequence s + 1
  std::array<std::array<const Commit*, kMaxCommits>, kStreams> waiting_{};
  std::vector<const Commit*> log_;
  // Of the commit that is being made.
  Stamp next_;
  std::int64_t wall_ms_ = 0;
  std::vector<model::MemoryView> views_;
  std::vector<Entity> live_, archived_;
};

/// What a run of histories has met, so that a test can tell that its generator still bites.
struct Tally {
  std::uint64_t histories = 0, commits = 0, permuted = 0, two_rows = 0, healed = 0, purged = 0,
                gone = 0, revived = 0, links_shown = 0, links_hidden = 0, late_touches = 0;
  std::array<std::uint64_t, 4> archived{};  // by ArchiveReason
  std::array<std::uint64_t, 3> tiers{};
};

/// Make the history of `seed` and check it. Empty if all holds, else what does not, with the
/// seed and the commits.
std::string RunHistory(std::uint64_t seed, JoinFunction join, Tally& tally);

}  // namespace aimem::testing
