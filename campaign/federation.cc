#include "campaign/federation.h"

#include <poll.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/open.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::campaign {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(20);
constexpr int kPollMilliseconds = 20;
constexpr int kLinesShown = 20;

bool IsSet(const std::atomic<bool>* flag) { return flag != nullptr && *flag; }

std::string CertificateFolder(const FederationOptions& options) {
  return options.folder + "/certificates";
}

// One `aimem cert …`, as a user would run it.
absl::Status RunCert(const FederationOptions& options, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cert");
  support::ChildOptions child;
  child.program = options.program;
  child.log_file = options.folder + "/cert.log";
  child.die_with_parent = true;
  AIMEM_ASSIGN_OR_RETURN(support::ChildProcess process,
                         support::ChildProcess::Spawn(arguments, child));
  const support::ProcessEnd end = process.Wait();
  if (end.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat("aimem cert %s ended with %s:\n%s", arguments[1],
                                             end.ToString(),
                                             support::TailOf(child.log_file, kLinesShown)));
}

}  // namespace

std::string Federation::Name(std::size_t member) {
  return std::string(1, static_cast<char>('a' + static_cast<char>(member)));
}

absl::Status Federation::MakeCertificates(const FederationOptions& options) {
  const std::string folder = CertificateFolder(options);
  AIMEM_RETURN_IF_ERROR(RunCert(options, {"init", folder}));
  for (std::size_t member = 0; member < kMembers; ++member) {
    AIMEM_RETURN_IF_ERROR(RunCert(options, {"issue", folder, Name(member)}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Federation>> Federation::Start(const FederationOptions& options) {
  AIMEM_RETURN_IF_ERROR(MakeCertificates(options));
  std::unique_ptr<Federation> federation(new Federation());
  AIMEM_RETURN_IF_ERROR(federation->StartAll(options));
  AIMEM_RETURN_IF_ERROR(federation->WaitUntilConnected(options.cancel));
  return federation;
}

absl::Status Federation::StartAll(const FederationOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(ports_, support::ReservePorts(static_cast<int>(2 * kMembers)));
  for (std::size_t member = 0; member < kMembers; ++member) {
    support::ServerOptions server;
    server.program = options.program;
    server.store = absl::StrFormat("%s/%s.db", options.folder, Name(member));
    server.http_port = ports_[member].number();
    server.replication_port = ports_[kMembers + member].number();
    for (std::size_t peer = 0; peer < kMembers; ++peer) {
      if (peer == member) continue;
      server.peers.push_back(absl::StrFormat("127.0.0.1:%d", ports_[kMembers + peer].number()));
    }
    server.quorum = kQuorum;
    server.quorum_timeout = absl::Seconds(2);
    server.certificates = CertificateFolder(options);
    server.name = Name(member);
    server.log = absl::StrFormat("%s/%s.log", options.folder, Name(member));
    options_.push_back(std::move(server));
  }
  for (const support::ServerOptions& server : options_) {
    AIMEM_ASSIGN_OR_RETURN(support::ServerProcess process, support::ServerProcess::Start(server));
    servers_.push_back(std::move(process));
    apis_.emplace_back(server.http_port);
  }
  return absl::OkStatus();
}

absl::Status Federation::WaitUntilConnected(const std::atomic<bool>* cancel) {
  const absl::Time deadline = absl::Now() + kConnectTimeout;
  std::size_t member = 0;
  while (member < kMembers) {
    if (IsSet(cancel)) return absl::CancelledError("interrupted");
    AIMEM_ASSIGN_OR_RETURN(const FederationView view, apis_[member].Federation());
    if (view.reachable == static_cast<int>(kMembers)) {
      ++member;
      continue;
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrFormat(
          "member %s reaches %d of %d members after %s; its log ends with\n%s", Name(member),
          view.reachable, kMembers, absl::FormatDuration(kConnectTimeout),
          support::TailOf(LogPath(member), kLinesShown)));
    }
    poll(nullptr, 0, kPollMilliseconds);
  }
  return absl::OkStatus();
}

std::vector<int> Federation::HttpPorts() const {
  std::vector<int> ports;
  for (const support::ServerOptions& server : options_) ports.push_back(server.http_port);
  return ports;
}

const std::string& Federation::StorePath(std::size_t member) const {
  return options_[member].store;
}

const std::string& Federation::LogPath(std::size_t member) const { return options_[member].log; }

absl::Status Federation::Restart(std::size_t member) {
  AIMEM_ASSIGN_OR_RETURN(servers_[member], support::ServerProcess::Start(options_[member]));
  return absl::OkStatus();
}

absl::StatusOr<support::ProcessEnd> Federation::Stop(std::size_t member) {
  absl::StatusOr<support::ProcessEnd> end = servers_[member].Terminate();
  if (end.ok()) return end;
  return Annotate(end.status(), absl::StrFormat("member %s; its log ends with\n%s", Name(member),
                                                support::TailOf(LogPath(member), kLinesShown)));
}

absl::StatusOr<std::unique_ptr<Store>> Federation::OpenFile(std::size_t member) const {
  OpenOptions options;
  options.create = false;
  options.read_only = true;
  return OpenStore(StorePath(member), options);
}

absl::StatusOr<MemberDigest> Federation::Digest(std::size_t member) const {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenFile(member));
  AIMEM_ASSIGN_OR_RETURN(const DigestResult result, store->Digest());
  MemberDigest digest;
  digest.vector = result.vector;
  digest.root = ToHex(AsBytes(result.sums.at(0).sum));
  digest.entities = result.sums.at(0).entities;
  AIMEM_RETURN_IF_ERROR(store->Close());
  return digest;
}

absl::StatusOr<std::vector<StoredRow>> Federation::Rows(std::size_t member) const {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenFile(member));
  std::vector<StoredRow> rows;
  ListRequest request;
  request.order = ListOrder::kCreated;
  request.limit = 1'000;
  do {
    AIMEM_ASSIGN_OR_RETURN(ListResult page, store->List(request));
    for (Memory& memory : page.memories) {
      rows.push_back({.namespace_ = std::move(memory.namespace_),
                      .title = std::move(memory.title),
                      .id = std::move(memory.id),
                      .content = std::move(memory.content)});
    }
    request.page_token = std::move(page.next_page_token);
  } while (!request.page_token.empty());
  AIMEM_RETURN_IF_ERROR(store->Close());
  return rows;
}

}  // namespace aimem::campaign
