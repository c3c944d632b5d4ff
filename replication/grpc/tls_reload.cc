#include "replication/grpc/tls_reload.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"

namespace aimem::replication {
namespace {

constexpr absl::Duration kWarnBefore = absl::Hours(24 * 7);
constexpr absl::Duration kTellEvery = absl::Hours(24);

absl::Status MemoryError(const char* what) {
  const int error = errno;
  return absl::FailedPreconditionError(
      absl::StrFormat("cannot keep a certificate in memory: %s: %s", what, std::strerror(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int number() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

absl::StatusOr<Descriptor> FileInMemory(const std::string& text, std::time_t modified) {
  // A kernel may insist on a word about execution, an older one does not know it.
  constexpr unsigned kNoExecution = 0x8;  // MFD_NOEXEC_SEAL
  int number = memfd_create("aimem-tls", MFD_CLOEXEC | kNoExecution);
  if (number < 0 && errno == EINVAL) number = memfd_create("aimem-tls", MFD_CLOEXEC);
  if (number < 0) return MemoryError("memfd_create");
  Descriptor file(number);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(number, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return MemoryError("write");
    written += static_cast<std::size_t>(count);
  }
  const timespec times[2] = {{.tv_sec = modified, .tv_nsec = 0},
                             {.tv_sec = modified, .tv_nsec = 0}};
  // gRPC opens it anew, perhaps as another user than this one: the process alone has a path to it.
  constexpr mode_t kReadable = S_IRUSR | S_IRGRP | S_IROTH;
  if (fchmod(number, kReadable) != 0 || futimens(number, times) != 0) {
    return MemoryError("futimens");
  }
  return file;
}

// In one step: whoever opens the path of `number` has what stood there, or `file`.
absl::Status Exchange(const Descriptor& file, int number) {
  while (dup3(file.number(), number, O_CLOEXEC) < 0) {
    if (errno != EINTR && errno != EBUSY) return MemoryError("dup3");
  }
  return absl::OkStatus();
}

std::string PathOf(int number) { return absl::StrFormat("/proc/self/fd/%d", number); }

std::string Rfc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace

// -- What gRPC reads ------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<CheckedFiles>> CheckedFiles::Make(const TlsMaterial& material) {
  std::shared_ptr<CheckedFiles> files(new CheckedFiles());
  files->version_ = 1;
  AIMEM_ASSIGN_OR_RETURN(Descriptor ca, FileInMemory(material.ca, files->version_));
  AIMEM_ASSIGN_OR_RETURN(Descriptor pair, FileInMemory(material.pair, files->version_));
  for (const Descriptor* file : {&ca, &pair}) {
    const Descriptor again(open(PathOf(file->number()).c_str(), O_RDONLY | O_CLOEXEC));
    if (again.number() < 0) return MemoryError("opening it under /proc/self/fd");
  }
  files->ca_ = ca.Release();
  files->pair_ = pair.Release();
  return files;
}

CheckedFiles::~CheckedFiles() {
  for (const int number : {ca_, pair_}) {
    if (number >= 0) close(number);
  }
}

std::string CheckedFiles::ca() const { return PathOf(ca_); }
std::string CheckedFiles::pair() const { return PathOf(pair_); }

// gRPC reads the authorities, and then the pair: key and certificate from one path, between two
// looks at its time of modification, in whole seconds, which must be the same. So each pair has a
// second of its own. For one round of the watcher new authorities may stand beside the old pair,
// or the other way round: peers that have not been given theirs yet are no different.
absl::Status CheckedFiles::Replace(const TlsMaterial& material) {
  AIMEM_ASSIGN_OR_RETURN(const Descriptor ca, FileInMemory(material.ca, version_ + 1));
  AIMEM_ASSIGN_OR_RETURN(const Descriptor pair, FileInMemory(material.pair, version_ + 1));
  AIMEM_RETURN_IF_ERROR(Exchange(ca, ca_));
  AIMEM_RETURN_IF_ERROR(Exchange(pair, pair_));
  ++version_;
  return absl::OkStatus();
}

// -- Reading again --------------------------------------------------------------------------------

TlsReload::TlsReload(const TlsFiles& files, const TlsReloadOptions& options)
    : files_(files),
      options_(options),
      clock_(options.clock != nullptr ? *options.clock : SystemClock()) {}

absl::StatusOr<std::unique_ptr<TlsReload>> TlsReload::Start(const TlsFiles& files,
                                                            const TlsReloadOptions& options) {
  std::unique_ptr<TlsReload> reload(new TlsReload(files, options));
  AIMEM_ASSIGN_OR_RETURN(reload->in_use_, ReadTlsFiles(files));
  AIMEM_ASSIGN_OR_RETURN(TlsMaterial material, CheckTlsTexts(files, reload->in_use_));
  AIMEM_ASSIGN_OR_RETURN(reload->checked_, CheckedFiles::Make(material));
  reload->ends_ = material.ends;
  reload->ending_ = std::move(material.ending);
  reload->thread_ = StartThread("aimem-tls", [raw = reload.get()] { raw->Run(); });
  return reload;
}

void TlsReload::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void TlsReload::Run() {
  while (true) {
    // What is thrown waits for the next time.
    static_cast<void>(Contain([this] { TellEnd(); }));
    {
      MutexLock lock(mutex_);
      if (!stopping_) changed_.WaitFor(mutex_, options_.every);
      if (stopping_) return;
    }
    if (const absl::Status thrown = Contain([this] { CheckFiles(); }); !thrown.ok()) {
      Log(LogLevel::kWarning, absl::StrCat("reading the certificate again: ", thrown.message()));
    }
  }
}

void TlsReload::CheckFiles() {
  absl::StatusOr<TlsTexts> texts = ReadTlsFiles(files_);
  if (!texts.ok()) return Refuse(texts.status());
  if (*texts == in_use_) {
    if (!problems_.empty()) {
      Log(LogLevel::kInfo,
          absl::StrFormat("the files of the certificate '%s' are again those in use",
                          files_.certificate));
    }
    problems_.clear();
    return;
  }
  absl::StatusOr<TlsMaterial> material = CheckTlsTexts(files_, *texts);
  if (!material.ok()) return Refuse(material.status());
  if (const absl::Status status = checked_->Replace(*material); !status.ok()) {
    return Refuse(status);
  }
  in_use_ = *std::move(texts);
  ends_ = material->ends;
  ending_ = std::move(material->ending);
  problems_.clear();
  told_end_.reset();
  Log(LogLevel::kInfo,
      absl::StrFormat("the files of the certificate '%s' were renewed: new connections use them, "
                      "until %s",
                      files_.certificate, Rfc(ends_)));
}

void TlsReload::Refuse(const absl::Status& status) {
  if (!problems_.emplace(ToStd(status.message())).second) return;
  Log(LogLevel::kWarning,
      absl::StrFormat("%s: the certificate that was read before stays in use, until %s",
                      status.message(), Rfc(ends_)));
}

void TlsReload::TellEnd() {
  const absl::Time now = clock_.Now();
  if (now < ends_ - kWarnBefore) return;
  const LogLevel level = now < ends_ ? LogLevel::kWarning : LogLevel::kError;
  const absl::Duration since = now - told_end_at_;
  if (told_end_ == level && since >= absl::ZeroDuration() && since < kTellEvery) return;
  told_end_ = level;
  told_end_at_ = now;
  Log(level, absl::StrFormat(
                 "%s %s %s: %s; put a new one in its place, it is taken within %s", ending_,
                 now < ends_ ? "ends at" : "has expired at", Rfc(ends_),
                 now < ends_ ? "peers will then refuse this member" : "peers refuse this member",
                 absl::FormatDuration(options_.every)));
}

void TlsReload::Log(LogLevel level, const std::string& message) const {
  if (options_.log == nullptr) return;
  static_cast<void>(Contain([&] { options_.log->Log(level, message); }));
}

}  // namespace aimem::replication
