#include "tests/replication/node/cluster.h"

#include <gtest/gtest.h>

#include <utility>

#include "lib/base/mutex.h"
#include "tests/support/hooked_backend.h"

namespace aimem::replication {

namespace {

// A deadline that no test asked for must not pass on a machine that is busy with others.
ReplicationOptions Prepared(ReplicationOptions options) {
  if (options.quorum_timeout == ReplicationOptions().quorum_timeout) {
    options.quorum_timeout = absl::Seconds(60);
  }
  if (!options.quorum) options.quorum = 1;
  return options;
}

}  // namespace

Cluster::Cluster(ReplicationOptions options, int members, Random* random)
    : options_(Prepared(std::move(options))), random_(random) {
  members_.resize(static_cast<std::size_t>(members));
  for (std::size_t i = 0; i < members_.size(); ++i) Start(i);
  EXPECT_TRUE(Eventually([this] { return Connected(); }));
}

Cluster::~Cluster() {
  for (const Member& member : members_) member.gate->Open();  // a test that failed left them shut
  for (std::size_t i = 0; i < members_.size(); ++i) Stop(i);
}

void Cluster::Start(std::size_t index) {
  Member& member = members_[index];
  ReplicationOptions options = options_;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (i != index) options.peers.push_back(NameOf(i));
  }
  auto node = Node::Open(std::make_unique<testing::HookedBackend>(
                             OpenEphemeralBackend(member.disk),
                             testing::Hooks{.scan = [gate = member.gate.get()] { gate->Pass(); }}),
                         {.environment = {.random = random_}}, options);
  ASSERT_TRUE(node.ok()) << node.status();
  member.node = *std::move(node);
  member.transport = network_.Connect(NameOf(index));
  network_.Serve(NameOf(index), member.node.get());
  ASSERT_TRUE(member.node->Start(member.transport.get(), NameOf(index)).ok());
}

void Cluster::Stop(std::size_t index) {
  Member& member = members_[index];
  if (member.node == nullptr) return;
  EXPECT_TRUE(member.node->Close().ok());
  member.node.reset();
  member.transport.reset();
}

void Cluster::Wipe(std::size_t index) {
  ASSERT_EQ(members_[index].node, nullptr);
  members_[index].disk = std::make_shared<EphemeralDisk>();
}

std::shared_ptr<const EphemeralDisk::Image> Cluster::Image(std::size_t index) {
  EXPECT_EQ(members_[index].node, nullptr);
  return members_[index].disk->Snapshot();
}

void Cluster::PutBack(std::size_t index, const std::shared_ptr<const EphemeralDisk::Image>& image) {
  ASSERT_EQ(members_[index].node, nullptr);
  members_[index].disk->Restore(image);
}

void Cluster::Spoil(std::size_t member, std::uint64_t stream, std::uint64_t seq) {
  Rewrite(member, stream, seq, [](std::vector<LogRow>& rows) { rows.front().bytes.back() ^= 1; });
}

void Cluster::Lose(std::size_t member, std::uint64_t stream, std::uint64_t seq) {
  Rewrite(member, stream, seq, [](std::vector<LogRow>& rows) { rows.erase(rows.begin()); });
}

void Cluster::Rewrite(std::size_t member, std::uint64_t stream, std::uint64_t seq,
                      const std::function<void(std::vector<LogRow>&)>& change) {
  const std::unique_ptr<Backend> backend = OpenEphemeralBackend(members_[member].disk);
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok());
  auto rows = (*transaction)->ReadLog(stream, seq - 1, 1'000, 64 << 20);
  ASSERT_TRUE(rows.ok() && !rows->empty() && rows->front().seq == seq);
  change(*rows);
  WriteSet set;
  set.log_tails.emplace_back(stream, seq - 1);
  set.log = *std::move(rows);
  ASSERT_TRUE((*transaction)->Put(set).ok());
  ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
}

void Cluster::CutLog(std::size_t index) {
  const std::unique_ptr<Backend> backend = OpenEphemeralBackend(members_[index].disk);
  WriteSet set;
  for (const auto& [stream, seq] : Vector(index)) set.log_cuts.emplace_back(stream, seq);
  auto transaction = backend->BeginWrite();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE((*transaction)->Put(set).ok());
  ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
}

void Cluster::Refuse(std::size_t other, std::size_t member, bool refuse) {
  testing::ThreadedLink link;
  if (refuse) link.error = CallError::kRefused;
  network_.SetLink(NameOf(other), NameOf(member), link);
}

VersionVector Cluster::Vector(std::size_t member) {
  const auto info = node(member).Info({});
  return info.ok() ? info->vector : VersionVector();
}

Id128 Cluster::IdOf(std::size_t member) { return node(member).Info({})->member; }

bool Cluster::Connected() {
  for (const Member& member : members_) {
    if (member.node == nullptr) continue;
    const auto info = member.node->Info({});
    if (!info.ok() || info->federation->learner) return false;
    if (info->federation->reachable != static_cast<int>(members_.size())) return false;
  }
  return true;
}

bool Cluster::Equal() {
  const auto first = node(0).Digest({}, {});
  for (std::size_t i = 1; i < members_.size(); ++i) {
    const auto other = node(i).Digest({}, {});
    if (!first.ok() || !other.ok() || first->vector != other->vector ||
        first->sums[0].sum != other->sums[0].sum || node(i).Info({})->federation->learner) {
      return false;
    }
  }
  return true;
}

WriteBatch Cluster::Put(const std::string& title) {
  return PutMemory{.title = title, .content = "content of " + title, .tier = Tier::kLong};
}

WriteResult Cluster::Write(std::size_t member, const std::string& title,
                           const WriteOptions& options) {
  return node(member).Write(Put(title), options);
}

}  // namespace aimem::replication
