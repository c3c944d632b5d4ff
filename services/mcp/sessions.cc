#include "services/mcp/sessions.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/hash.h"

namespace aimem::mcp {

// -- One ------------------------------------------------------------------------------------------

Session::Run::Run(Session& session, const Json& id) : session_(session) {
  const MutexLock lock(session_.mutex_);
  at_ = session_.running_.insert(session_.running_.end(), {id, stop_});
}

Session::Run::~Run() {
  const MutexLock lock(session_.mutex_);
  session_.running_.erase(at_);
}

void Session::Cancel(const Json& id) {
  std::list<std::stop_source> stops;  // stopped without the lock: that calls back
  {
    const MutexLock lock(mutex_);
    for (const Running& one : running_) {
      if (one.id == id && one.id.type() == id.type()) stops.push_back(one.stop);
    }
  }
  for (std::stop_source& stop : stops) stop.request_stop();
}

std::uint64_t Session::NextStream() {
  const MutexLock lock(mutex_);
  return ++streams_;
}

// -- All ------------------------------------------------------------------------------------------

Sessions::Sessions(const Environment& environment)
    : clock_(environment.clock != nullptr ? *environment.clock : SystemClock()),
      random_(environment.random != nullptr ? *environment.random : SystemRandom()) {}

std::string Sessions::NewId() {
  std::array<std::uint8_t, 16> bytes{};
  random_.Fill(bytes);
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::pair<std::string, std::shared_ptr<Session>> Sessions::Open(Speaker speaker) {
  auto session = std::make_shared<Session>(std::move(speaker));
  std::string id = NewId();
  const MutexLock lock(mutex_);
  MakeRoom();
  entries_.insert_or_assign(id, Entry{session, clock_.Monotonic()});
  return {std::move(id), std::move(session)};
}

void Sessions::MakeRoom() {
  const absl::Duration now = clock_.Monotonic();
  std::erase_if(entries_, [&](const auto& one) { return now - one.second.used > kIdle; });
  if (entries_.size() < kMost) return;
  entries_.erase(
      std::min_element(entries_.begin(), entries_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

Sessions::Entries::iterator Sessions::At(std::string_view id, std::string_view agent_id) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.session->speaker().agent_id != agent_id) {
    return entries_.end();
  }
  if (clock_.Monotonic() - found->second.used <= kIdle) return found;
  entries_.erase(found);
  return entries_.end();
}

std::shared_ptr<Session> Sessions::Find(std::string_view id, std::string_view agent_id) {
  const MutexLock lock(mutex_);
  const auto found = At(id, agent_id);
  if (found == entries_.end()) return nullptr;
  found->second.used = clock_.Monotonic();
  return found->second.session;
}

bool Sessions::End(std::string_view id, std::string_view agent_id) {
  const MutexLock lock(mutex_);
  const auto found = At(id, agent_id);
  if (found == entries_.end()) return false;
  entries_.erase(found);
  return true;
}

}  // namespace aimem::mcp
