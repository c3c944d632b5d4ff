#include "services/mcp/watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"
#include "services/mcp/resources.h"

namespace aimem::mcp {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr std::size_t kUrisMax = 1'000;  // of one subscription
constexpr std::size_t kListensMax = 16;
constexpr std::int64_t kAll = 1'000'000;
constexpr char kSubscriptionKey[] = "io.modelcontextprotocol/subscriptionId";

absl::Status CheckUri(const std::string& uri) {
  if (IsResourceUri(uri)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("no resource has the URI '", uri, "'"));
}

absl::Status TooMany(std::size_t most, const char* what) {
  return absl::ResourceExhaustedError(absl::StrCat("at most ", most, " ", what));
}

// A notification of a subscription; `id` as in ResourceWatch::subscriptions_.
std::string Told(const std::string& id, const char* method, Json params) {
  if (!id.empty()) params["_meta"] = {{kSubscriptionKey, Json::parse(id)}};
  return NotificationText(method, params);
}

}  // namespace

ResourceWatch::~ResourceWatch() {
  {
    const MutexLock lock(mutex_);
    ending_ = true;
    woken_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

// -- Subscribing ----------------------------------------------------------------------------------

absl::Status ResourceWatch::Subscribe(const std::string& uri) {
  AIMEM_RETURN_IF_ERROR(CheckUri(uri));
  AIMEM_RETURN_IF_ERROR(Start());
  const MutexLock lock(mutex_);
  Subscription& own = subscriptions_[""];
  if (own.uris.size() >= kUrisMax && !own.uris.contains(uri)) {
    return TooMany(kUrisMax, "resources can be subscribed");
  }
  own.uris.insert(uri);
  return absl::OkStatus();
}

void ResourceWatch::Unsubscribe(const std::string& uri) {
  const MutexLock lock(mutex_);
  const auto own = subscriptions_.find("");
  if (own != subscriptions_.end()) own->second.uris.erase(uri);
}

absl::Status ResourceWatch::WatchList() {
  AIMEM_RETURN_IF_ERROR(Start());
  const MutexLock lock(mutex_);
  subscriptions_[""].list = true;
  return absl::OkStatus();
}

absl::Status ResourceWatch::Listen(const Json& id, const Json& params) {
  const Json wanted = params.value("notifications", Json());
  if (!wanted.is_object()) return absl::InvalidArgumentError("notifications must be an object");
  const Json list = wanted.value("resourcesListChanged", Json(false));
  const Json uris = wanted.value("resourceSubscriptions", Json::array());
  if (!list.is_boolean() || !uris.is_array() || uris.size() > kUrisMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("resourcesListChanged must be true or false, and resourceSubscriptions an "
                     "array of at most ",
                     kUrisMax, " URIs"));
  }
  Subscription subscription{.list = list.get<bool>()};
  for (const Json& uri : uris) {
    if (!uri.is_string()) return absl::InvalidArgumentError("a URI must be a string");
    if (IsResourceUri(uri.get<std::string>())) subscription.uris.insert(uri.get<std::string>());
  }
  Json honoured = Json::object();
  if (subscription.list) honoured["resourcesListChanged"] = true;
  if (!subscription.uris.empty()) honoured["resourceSubscriptions"] = subscription.uris;
  const std::string key = Compact(id);
  const bool follows = subscription.list || !subscription.uris.empty();
  subscription.acknowledgement = Told(key, "notifications/subscriptions/acknowledged",
                                      {{"notifications", std::move(honoured)}});
  if (!follows) {
    // There will be nothing to tell: it is acknowledged, and ends.
    send_(subscription.acknowledgement);
    send_(ResultText(id, {{"resultType", "complete"}, {"_meta", {{kSubscriptionKey, id}}}}));
    return absl::OkStatus();
  }
  AIMEM_RETURN_IF_ERROR(Start());
  const MutexLock lock(mutex_);
  if (subscriptions_.size() >= kListensMax)
    return TooMany(kListensMax, "subscriptions can be open");
  subscriptions_[key] = std::move(subscription);
  wake_ = true;
  woken_.NotifyAll();
  return absl::OkStatus();
}

void ResourceWatch::Cancel(const Json& id) {
  const MutexLock lock(mutex_);
  subscriptions_.erase(Compact(id));
}

// -- Looking --------------------------------------------------------------------------------------

absl::Status ResourceWatch::Start() {
  if (thread_.joinable()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, store_.Info());
  seen_ = info.vector;
  cursor_ = ChangeCursor::After(info.vector);
  AIMEM_ASSIGN_OR_RETURN(namespaces_, Namespaces());
  return Contain([this] { thread_ = StartThread("aimem-watch", [this] { Run(); }); });
}

bool ResourceWatch::AwaitLook() {
  MutexLock lock(mutex_);
  if (!ending_ && !wake_) woken_.WaitFor(mutex_, kLookEvery);
  wake_ = false;
  return !ending_;
}

void ResourceWatch::Run() {
  while (AwaitLook()) {
    Acknowledge();
    absl::StatusOr<Changes> changes = Changes();
    const absl::Status thrown = Contain([&] { changes = Look(); });
    // What could not be read is read at the next look: the cursor stands where it stood.
    if (thrown.ok() && changes.ok()) Tell(*changes);
  }
}

void ResourceWatch::Acknowledge() {
  std::vector<std::string> messages;
  {
    const MutexLock lock(mutex_);
    for (auto& [id, subscription] : subscriptions_) {
      if (subscription.acknowledgement.empty()) continue;
      messages.push_back(std::exchange(subscription.acknowledgement, {}));
    }
  }
  for (std::string& message : messages) send_(std::move(message));
}

absl::StatusOr<ResourceWatch::Changes> ResourceWatch::Look() {
  Changes changes;
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, store_.Info());
  if (info.vector == seen_) return changes;
  ChangeFeed feed(store_, cursor_);
  for (bool end = false; !end;) {
    AIMEM_ASSIGN_OR_RETURN(const FeedPage page, feed.Next());
    end = page.end;
    for (const FeedChange& change : page.changes) {
      if (change.kind != Kind::kMemory) continue;
      changes.uris.insert(MemoryUri(change.id));
      if (change.memory) changes.uris.insert(NamespaceUri(change.memory->namespace_));
      // Where one that is gone was, nothing says.
      if (change.what == FeedChange::What::kDeleted) {
        for (const std::string& name : namespaces_) changes.uris.insert(NamespaceUri(name));
      }
    }
  }
  AIMEM_ASSIGN_OR_RETURN(std::set<std::string> namespaces, Namespaces());
  changes.list = namespaces != namespaces_;
  for (const std::string& name : namespaces_) {
    if (!namespaces.contains(name)) changes.uris.insert(NamespaceUri(name));
  }
  namespaces_ = std::move(namespaces);
  cursor_ = feed.cursor();
  seen_ = info.vector;
  return changes;
}

void ResourceWatch::Tell(const Changes& changes) {
  std::vector<std::string> messages;
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, subscription] : subscriptions_) {
      if (!subscription.acknowledgement.empty()) continue;  // it begins after this look
      if (subscription.list && changes.list) {
        messages.push_back(Told(id, "notifications/resources/list_changed", Json::object()));
      }
      for (const std::string& uri : subscription.uris) {
        if (!changes.uris.contains(uri)) continue;
        messages.push_back(Told(id, "notifications/resources/updated", {{"uri", uri}}));
      }
    }
  }
  for (std::string& message : messages) send_(std::move(message));
}

absl::StatusOr<std::set<std::string>> ResourceWatch::Namespaces() {
  AIMEM_ASSIGN_OR_RETURN(const ListResult found,
                         store_.List({.kind = ListKind::kNamespaces, .limit = kAll}));
  std::set<std::string> names;
  for (const NamespaceCount& one : found.namespaces) names.insert(one.namespace_);
  return names;
}

}  // namespace aimem::mcp
