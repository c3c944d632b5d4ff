// One call between members, alone: what a replicated put costs beside the local commit.
#pragma once

#include <memory>
#include <string>

namespace aimem::bench {

/// Sends heartbeats (Append without commits) to a member as another member would, over one
/// connection with certificates of both ends. For one thread.
class Heartbeat {
 public:
  /// `certificates` has ca.pem, NAME.pem and NAME.key.
  Heartbeat(const std::string& address, const std::string& certificates, const std::string& name);
  ~Heartbeat();

  /// Throws Failure without a reply.
  void Beat();
  /// What the last reply refused; 0: nothing.
  [[nodiscard]] int refusal() const;

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace aimem::bench
