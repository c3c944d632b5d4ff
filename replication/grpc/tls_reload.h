// Renewing a member's certificate while it serves: the files are read again, and what is good among
// what they then hold is used for new connections.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"
#include "replication/grpc/tls_files.h"

namespace aimem::replication {

/// Files in memory, under paths that stay: gRPC's watcher of files reads these, so that it never
/// sees what was not checked, and no key is copied to a disk. They must exist for as long as it
/// watches. Not thread-safe.
class CheckedFiles {
 public:
  /// kFailedPrecondition: this process cannot have such files.
  static absl::StatusOr<std::shared_ptr<CheckedFiles>> Make(const TlsMaterial& material);
  ~CheckedFiles();
  CheckedFiles(const CheckedFiles&) = delete;
  CheckedFiles& operator=(const CheckedFiles&) = delete;

  /// Where the authorities, and where key and certificate are found.
  [[nodiscard]] std::string ca() const;
  [[nodiscard]] std::string pair() const;

  /// Whoever reads finds either pair, whole. On an error what was there stays.
  absl::Status Replace(const TlsMaterial& material);

 private:
  CheckedFiles() = default;

  int ca_ = -1;
  int pair_ = -1;
  std::time_t version_ = 0;  // of the pair, and its time of modification
};

struct TlsReloadOptions {
  absl::Duration every = absl::Seconds(60);
  Clock* clock = nullptr;  ///< By which certificates end; borrowed. Null: the system's.
  LogSink* log = nullptr;  ///< Borrowed; null: silence.
};

/// Reads the files again and again, on a thread of its own. What cannot be used leaves what is in
/// use as it is, and is said once; so is what is taken. That a certificate ends within a week, or
/// has ended, is said once a day.
class TlsReload {
 public:
  /// As CheckTlsFiles and CheckedFiles::Make.
  static absl::StatusOr<std::unique_ptr<TlsReload>> Start(const TlsFiles& files,
                                                          const TlsReloadOptions& options);
  ~TlsReload() { Stop(); }
  TlsReload(const TlsReload&) = delete;
  TlsReload& operator=(const TlsReload&) = delete;

  /// For a watcher that looks every second.
  [[nodiscard]] const std::shared_ptr<CheckedFiles>& checked() const { return checked_; }

  /// Reads and logs nothing any more. One thread at a time.
  void Stop();

 private:
  TlsReload(const TlsFiles& files, const TlsReloadOptions& options);
  void Run();
  void CheckFiles();
  void Refuse(const absl::Status& status);
  void TellEnd();
  void Log(LogLevel level, const std::string& message) const;

  const TlsFiles files_;
  const TlsReloadOptions options_;
  Clock& clock_;

  // Of the thread, once it runs.
  std::shared_ptr<CheckedFiles> checked_;
  TlsTexts in_use_;
  absl::Time ends_;
  std::string ending_;
  std::set<std::string> problems_;    // that were told since the files were good
  std::optional<LogLevel> told_end_;  // of what is in use
  absl::Time told_end_at_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace aimem::replication
