#include "support/postgres/postgres_server.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "libpq-fe.h"

namespace aimem::support {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStartTimeout = absl::Seconds(60);

absl::Status ErrnoStatus(const std::string& what) {
  return absl::InternalError(absl::StrFormat("%s: %s", what, std::strerror(errno)));
}

bool HasPrograms(const std::string& folder) {
  return access((folder + "/initdb").c_str(), X_OK) == 0 &&
         access((folder + "/postgres").c_str(), X_OK) == 0;
}

// The newest of Debian's, which keeps them off the path; else those on the path.
absl::StatusOr<std::string> FindPrograms() {
  std::string newest;
  int newest_version = -1;
  glob_t found{};
  if (glob("/usr/lib/postgresql/*/bin", 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      const fs::path folder = found.gl_pathv[i];
      const int version = std::atoi(folder.parent_path().filename().c_str());
      if (version > newest_version && HasPrograms(folder)) {
        newest = folder;
        newest_version = version;
      }
    }
  }
  globfree(&found);
  if (!newest.empty()) return newest;
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string folder = rest.substr(0, colon);
    if (HasPrograms(folder)) return folder;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return absl::NotFoundError(
      "no initdb and postgres in /usr/lib/postgresql/*/bin or on the path: install postgresql");
}

// A process of ours, run as somebody else if we are root.
struct Program {
  std::vector<std::string> command;
  std::string folder;
  std::string output;
  uid_t uid = 0;
  gid_t gid = 0;
  bool dies_with_us = false;
};

// Only what is safe after fork() in a process with threads.
[[noreturn]] void Become(const Program& program, char* const* arguments, int output, pid_t parent) {
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (geteuid() == 0 &&
      (setgroups(0, nullptr) != 0 || setgid(program.gid) != 0 || setuid(program.uid) != 0)) {
    _exit(126);
  }
  // After setuid, which clears it. A parent that died before this line is noticed by the second.
  if (program.dies_with_us && (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent)) {
    _exit(126);
  }
  if (chdir(program.folder.c_str()) != 0) _exit(126);
  // A group of its own: an interrupt at the terminal is for us, and we stop the server.
  setpgid(0, 0);
  execv(arguments[0], arguments);
  _exit(127);
}

absl::StatusOr<pid_t> Spawn(Program program) {
  std::vector<char*> arguments;
  for (std::string& argument : program.command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int output = open(program.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) return ErrnoStatus(program.output);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(program, arguments.data(), output, parent);
  close(output);
  if (pid < 0) return ErrnoStatus("fork");
  return pid;
}

// The processes whose parent is `parent`.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
    std::ifstream file(entry.path() / "stat");
    // A process may end while it is read: getline then fails, where the buffer itself would throw.
    std::string stat;
    std::getline(file, stat);
    // "pid (name) state ppid ...": the name may hold anything.
    const std::size_t end = stat.rfind(')');
    if (end == std::string::npos || end + 4 > stat.size()) continue;
    if (std::atoi(stat.c_str() + end + 4) == parent) children.push_back(pid);
  }
  return children;
}

void Nap() { poll(nullptr, 0, 10); }

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::Start(
    const PostgresServerOptions& options) {
  std::unique_ptr<PostgresServer> server(new PostgresServer);
  server->options_ = options;
  AIMEM_ASSIGN_OR_RETURN(server->programs_, FindPrograms());
  AIMEM_RETURN_IF_ERROR(server->CreateCluster());
  AIMEM_ASSIGN_OR_RETURN(server->port_, ReservedPort::Any());
  AIMEM_RETURN_IF_ERROR(server->Launch());
  return server;
}

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::StartStandby(
    const std::string& name) {
  std::unique_ptr<PostgresServer> standby(new PostgresServer);
  standby->options_ = options_;
  standby->programs_ = programs_;
  AIMEM_RETURN_IF_ERROR(standby->CopyCluster(*this, name));
  AIMEM_ASSIGN_OR_RETURN(standby->port_, ReservedPort::Any());
  AIMEM_RETURN_IF_ERROR(standby->Launch());
  return standby;
}

PostgresServer::~PostgresServer() {
  if (pid_ > 0) {
    (void)Resume();
    (void)Stop(SIGINT);
  }
  std::error_code error;
  if (!directory_.empty()) fs::remove_all(directory_, error);
}

absl::Status PostgresServer::MakeDirectory() {
  uid_ = geteuid();
  gid_ = getegid();
  if (uid_ == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr) user = getpwnam("nobody");
    if (user == nullptr) return absl::NotFoundError("no user postgres or nobody to run as");
    uid_ = user->pw_uid;
    gid_ = user->pw_gid;
  }
  std::error_code error;
  std::string path = (fs::temp_directory_path(error) / "aimem-postgres-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return ErrnoStatus(path);
  directory_ = path;
  if (geteuid() == 0 && chown(directory_.c_str(), uid_, gid_) != 0) {
    return ErrnoStatus(directory_);
  }
  return absl::OkStatus();
}

absl::Status PostgresServer::CreateCluster() {
  AIMEM_RETURN_IF_ERROR(MakeDirectory());
  return Run({programs_ + "/initdb", "-D", directory_ + "/data", "-U", "postgres", "-A", "trust",
              "-E", "UTF8", "--locale=C", "--no-sync"});
}

absl::Status PostgresServer::CopyCluster(const PostgresServer& primary, const std::string& name) {
  AIMEM_RETURN_IF_ERROR(MakeDirectory());
  return Run({programs_ + "/pg_basebackup", "-D", directory_ + "/data", "-R", "--no-sync",
              "--checkpoint=fast", "-d",
              absl::StrFormat("host=127.0.0.1 port=%d user=postgres application_name=%s",
                              primary.port(), name)});
}

absl::Status PostgresServer::Run(const std::vector<std::string>& command) {
  AIMEM_ASSIGN_OR_RETURN(const pid_t pid, Spawn({.command = command,
                                                 .folder = directory_,
                                                 .output = directory_ + "/log",
                                                 .uid = uid_,
                                                 .gid = gid_}));
  int result = 0;
  while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat("%s failed: %s", command[0], LogTail()));
}

std::vector<std::string> PostgresServer::ServerCommand() const {
  std::map<std::string, std::string> settings = {
      {"autovacuum_naptime", "5s"},
      {"fsync", options_.fsync ? "on" : "off"},
      {"lc_messages", "C"},
      {"listen_addresses", "127.0.0.1"},
      {"max_connections", absl::StrFormat("%d", options_.max_connections)},
      {"port", absl::StrFormat("%d", port())},
      {"superuser_reserved_connections", "0"},
      {"unix_socket_directories", directory_},
      // A standby that was away finds what it lacks.
      {"wal_keep_size", "512MB"},
  };
  for (const auto& [name, value] : options_.settings) settings[name] = value;
  std::vector<std::string> command = {programs_ + "/postgres", "-D", directory_ + "/data"};
  for (const auto& [name, value] : settings) {
    command.insert(command.end(), {"-c", absl::StrFormat("%s=%s", name, value)});
  }
  return command;
}

absl::Status PostgresServer::Launch() {
  AIMEM_ASSIGN_OR_RETURN(pid_, Spawn({.command = ServerCommand(),
                                      .folder = directory_,
                                      .output = directory_ + "/log",
                                      .uid = uid_,
                                      .gid = gid_,
                                      .dies_with_us = true}));
  return WaitUntilReady();
}

absl::Status PostgresServer::WaitUntilReady() {
  const absl::Time deadline = absl::Now() + kStartTimeout;
  const std::string url = Url();
  while (absl::Now() < deadline) {
    if (PQping(url.c_str()) == PQPING_OK) return absl::OkStatus();
    int result = 0;
    if (waitpid(pid_, &result, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::UnavailableError(absl::StrFormat("PostgreSQL did not start: %s", LogTail()));
    }
    Nap();
  }
  return absl::UnavailableError(absl::StrFormat("PostgreSQL is not ready: %s", LogTail()));
}

std::string PostgresServer::LogTail() const {
  std::ifstream file(directory_ + "/log");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  constexpr std::size_t kTailBytes = 600;
  return text.size() > kTailBytes ? text.substr(text.size() - kTailBytes) : text;
}

std::string PostgresServer::Url(const std::string& database) const {
  return absl::StrFormat("postgresql://postgres@127.0.0.1:%d/%s", port(), database);
}

absl::Status PostgresServer::CreateDatabase(const std::string& name, const std::string& options) {
  return Execute("postgres", absl::StrFormat("CREATE DATABASE \"%s\" %s", name, options)).status();
}

absl::StatusOr<std::vector<std::string>> PostgresServer::Execute(const std::string& database,
                                                                 const std::string& sql) {
  const std::unique_ptr<PGconn, Finish> connection(PQconnectdb(Url(database).c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(PQerrorMessage(connection.get()));
  }
  PQsetNoticeReceiver(
      connection.get(), [](void*, const PGresult*) {}, nullptr);
  const std::unique_ptr<PGresult, Clear> result(PQexec(connection.get(), sql.c_str()));
  const ExecStatusType type = PQresultStatus(result.get());
  if (type != PGRES_TUPLES_OK && type != PGRES_COMMAND_OK) {
    return absl::InternalError(absl::StrFormat("%s: %s", sql, PQresultErrorMessage(result.get())));
  }
  std::vector<std::string> values;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    values.emplace_back(PQgetvalue(result.get(), row, 0));
  }
  return values;
}

absl::Status PostgresServer::KillBackends() {
  return Execute("postgres",
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
      .status();
}

absl::Status PostgresServer::StopImmediate() { return Stop(SIGQUIT); }
absl::Status PostgresServer::StopFast() { return Stop(SIGINT); }

absl::Status PostgresServer::Stop(int signal) {
  if (pid_ <= 0) return absl::FailedPreconditionError("PostgreSQL is not running");
  if (kill(pid_, signal) != 0) return ErrnoStatus("stopping PostgreSQL");
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (true) {
    int result = 0;
    const pid_t ended = waitpid(pid_, &result, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno == ECHILD)) break;
    // Its children notice by themselves that it is gone.
    if (absl::Now() > deadline) kill(pid_, SIGKILL);
    Nap();
  }
  pid_ = -1;
  return absl::OkStatus();
}

absl::Status PostgresServer::Restart() {
  if (pid_ > 0) return absl::FailedPreconditionError("PostgreSQL is running");
  return Launch();
}

absl::Status PostgresServer::Promote() {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> promoted,
                         Execute("postgres", "SELECT pg_promote(true, 60)"));
  if (promoted == std::vector<std::string>{"t"}) return absl::OkStatus();
  return absl::UnavailableError(absl::StrFormat("PostgreSQL is not promoted: %s", LogTail()));
}

absl::Status PostgresServer::Pause() { return SignalAll(SIGSTOP); }
absl::Status PostgresServer::Resume() { return SignalAll(SIGCONT); }

absl::Status PostgresServer::SignalAll(int signal) {
  if (pid_ <= 0) return absl::FailedPreconditionError("PostgreSQL is not running");
  // The parent first, so that it starts no more of them meanwhile.
  if (kill(pid_, signal) != 0) return ErrnoStatus("signalling PostgreSQL");
  for (const pid_t child : ChildrenOf(pid_)) kill(child, signal);
  return absl::OkStatus();
}

}  // namespace aimem::support
