// Sessions: who has shaken hands over HTTP, where one connection does not stand for one client.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"
#include "services/mcp/rpc.h"
#include "services/mcp/server.h"

namespace aimem::mcp {

/// What one client has agreed on, and what it is having done. Thread-safe.
class Session {
  struct Running {
    Json id;
    std::stop_source stop;
  };

 public:
  explicit Session(Speaker speaker) : speaker_(std::move(speaker)) {}

  [[nodiscard]] const Speaker& speaker() const { return speaker_; }

  /// The request `id`, as long as it is being answered.
  class Run {
   public:
    Run(Session& session, const Json& id);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    [[nodiscard]] const std::stop_source& stop() const { return stop_; }

   private:
    Session& session_;
    std::stop_source stop_;
    std::list<Running>::iterator at_;
  };

  /// Stop the request of this id, of either type, if it is being answered.
  void Cancel(const Json& id) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Numbers its streams, from 1 on.
  std::uint64_t NextStream() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const Speaker speaker_;
  Mutex mutex_;
  std::list<Running> running_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

/// All of them, by their ids. Thread-safe.
///
/// One that nobody has used for a day ends. There are kMost at most: who opens one more ends that
/// which was not used for longest, whose client is told so, and opens another.
class Sessions {
 public:
  static constexpr std::size_t kMost = 4'096;
  static constexpr absl::Duration kIdle = absl::Hours(24);

  /// `environment` is borrowed in its parts.
  explicit Sessions(const Environment& environment);

  /// The id, which nobody can guess, of a new session, and the session.
  std::pair<std::string, std::shared_ptr<Session>> Open(Speaker speaker)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The session `id` of the agent `agent_id`; null: it has none of that id. Using it keeps it.
  std::shared_ptr<Session> Find(std::string_view id, std::string_view agent_id)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// False: as above. What is being answered ends as it would.
  bool End(std::string_view id, std::string_view agent_id) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::shared_ptr<Session> session;
    absl::Duration used;  // monotonic
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  Entries::iterator At(std::string_view id, std::string_view agent_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string NewId();

  Clock& clock_;
  Random& random_;
  Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::mcp
