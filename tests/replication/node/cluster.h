// Members of a federation in one process, over a network of threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "replication/node/node.h"
#include "support/network/threaded_network.h"
#include "tests/support/eventually.h"
#include "tests/support/gate.h"

namespace aimem::replication {

using testing::Eventually;

/// Members "A", "B", "C" …; they are started by the constructor.
class Cluster {
 public:
  /// W is 1 where `options` do not say. `random`: for their stores, in the place of the kernel's.
  explicit Cluster(ReplicationOptions options = {}, int members = 3, Random* random = nullptr);
  ~Cluster();

  void Start(std::size_t member);
  void Stop(std::size_t member);
  /// A new disk: what was on the old one is gone. Only while it is stopped.
  void Wipe(std::size_t member);
  /// What is on its disk. Only while it is stopped, like putting it back.
  std::shared_ptr<const EphemeralDisk::Image> Image(std::size_t member);
  void PutBack(std::size_t member, const std::shared_ptr<const EphemeralDisk::Image>& image);
  /// What scans all rows of a member's store waits here.
  testing::Gate& gate(std::size_t member) { return *members_[member].gate; }
  /// Flip a bit of a commit in its log, of its body. Only while it is stopped.
  void Spoil(std::size_t member, std::uint64_t stream, std::uint64_t seq);
  /// It has lost that commit, and none before or after it.
  void Lose(std::size_t member, std::uint64_t stream, std::uint64_t seq);
  /// Drop all that can be dropped from its log.
  void CutLog(std::size_t member);
  /// Nobody listens at `member`, as far as `other` can tell.
  void Refuse(std::size_t other, std::size_t member, bool refuse);

  Node& node(std::size_t member) { return *members_[member].node; }
  testing::ThreadedNetwork& network() { return network_; }
  static std::string NameOf(std::size_t member) {
    return std::string(1, static_cast<char>('A' + member));
  }
  VersionVector Vector(std::size_t member);
  Id128 IdOf(std::size_t member);
  /// Everybody hears everybody.
  bool Connected();
  /// Vectors and digests.
  bool Equal();

  static WriteBatch Put(const std::string& title);
  WriteResult Write(std::size_t member, const std::string& title, const WriteOptions& options = {});

 private:
  /// Change the rows of its log from `seq` on.
  void Rewrite(std::size_t member, std::uint64_t stream, std::uint64_t seq,
               const std::function<void(std::vector<LogRow>&)>& change);
  struct Member {
    std::shared_ptr<EphemeralDisk> disk = std::make_shared<EphemeralDisk>();
    std::unique_ptr<testing::Gate> gate = std::make_unique<testing::Gate>();
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Node> node;
  };

  const ReplicationOptions options_;
  Random* const random_;
  testing::ThreadedNetwork network_;
  std::vector<Member> members_;
};

}  // namespace aimem::replication
