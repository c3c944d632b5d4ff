// A backup beside writers: how long it takes beside a copy of the file, and what they notice of it.
#include "aimem/backup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "bench/sections.h"
#include "bench/stores.h"

namespace aimem::bench {
namespace {

constexpr int kWords = 25;
constexpr int kWriters = 8;

template <typename Call>
double Seconds(const Call& call) {
  const double begin = MonotonicSeconds();
  call();
  return MonotonicSeconds() - begin;
}

/// What a person would do who knows no better; then it is brought to the disk, as a backup is.
void CopyFile(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to);
  const int descriptor = open(to.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && fsync(descriptor) == 0;
  close(descriptor);
  if (!synced) throw Failure("the copy was not synced");
}

class Beside {
 public:
  Beside(const Folder& folder, const Corpus& corpus, std::int64_t size)
      : folder_(folder), corpus_(corpus), db_(folder.File("source.db")), next_(size) {
    MakeSqlite(db_, corpus, size);
    SettleDisk();
    store_ = OpenSqlite(db_).store;
  }

  /// Calls of eight writers, and `work` again and again meanwhile: how long each took.
  Run Write(std::int64_t calls, const std::function<void()>& work, std::vector<double>* took) {
    const std::vector<WriteBatch> batches = SingleBatches(corpus_, next_, calls);
    next_ += calls;
    std::atomic<bool> written{false};
    std::thread worker([&] {
      // Of the priority that a command has beside a server.
      const sched_param ordinary{};
      pthread_setschedparam(pthread_self(), SCHED_OTHER, &ordinary);
      while (work && !written.load()) took->push_back(Seconds(work));
    });
    Run run = MeasureCalls(kWriters, calls, [&](std::int64_t call) {
      MustWrite(*store_, batches[static_cast<std::size_t>(call)]);
    });
    written.store(true);
    worker.join();
    return run;
  }

  void Copy() {
    const std::string to = folder_.File("copy.db");
    CopyFile(db_, to);
    std::filesystem::remove(to);
  }

  void MakeBackup() {
    const std::string to = folder_.File("backups");
    Must(Backup(db_, absl::Now(), {.folder = to}));
    std::filesystem::remove_all(to);
  }

 private:
  const Folder& folder_;
  const Corpus& corpus_;
  const std::string db_;
  std::int64_t next_;
  std::unique_ptr<Store> store_;
};

}  // namespace

Section MeasureBackup(const Settings& settings) {
  const auto size = settings.Pick<std::int64_t>(100'000, 20'000);
  const auto calls = settings.Pick<std::int64_t>(20'000, 4'000);
  const int rounds = settings.Pick(5, 2);
  const Folder folder(settings.directory);
  const Corpus corpus(kWords);
  Beside beside(folder, corpus, size);
  std::vector<Run> quiet, disturbed, copied;
  std::vector<double> backups, copies;
  for (int round = 0; round < rounds; ++round) {
    quiet.push_back(beside.Write(calls, nullptr, nullptr));
    disturbed.push_back(beside.Write(
        calls, [&] { beside.MakeBackup(); }, &backups));
    copied.push_back(beside.Write(
        calls, [&] { beside.Copy(); }, &copies));
  }
  Section section;
  section.name = "backup";
  section.systems = {Summarize("8 writers alone", quiet),
                     Summarize("8 writers beside backups", disturbed),
                     Summarize("8 writers beside copies of the file", copied)};
  section.figures = {{"duration against cp and fsync, beside 8 writers",
                      Median(backups) / Median(copies), "x", Goal::AtMost(3)},
                     {"writers' p99 against writers alone", MedianRatio(disturbed, quiet, P99Of),
                      "x", Goal::AtMost(2)},
                     {"a backup", Median(backups) * 1e3, "ms", {}}};
  section.notes.push_back(absl::StrFormat(
      "%d memories of %d words; backups and copies one after the other while 8 threads put, every "
      "put synced; medians of %d rounds",
      size, kWords, rounds));
  return section;
}

}  // namespace aimem::bench
