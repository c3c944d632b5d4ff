// The writers and readers of a storm.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "campaign/journal.h"
#include "lib/base/status.h"
#include "tests/process/storm.h"
#include "tests/process/worker.h"

namespace aimem::process {
namespace {

using campaign::Verb;

constexpr std::size_t kBoardBytes = 4'096;
constexpr std::string_view kVersion = "version ";

// The parent closes our input when it is time to stop.
bool ToldToStop() {
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return poll(&input, 1, 0) > 0;
}

// The parent kills us at one of these.
void Tick() {
  if (write(STDOUT_FILENO, ".", 1) < 0) _exit(1);
}

absl::StatusOr<std::map<std::string, std::string>> IdsByTitle(Store& store,
                                                              const std::string& namespace_) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<Memory> memories, ReadAll(store, namespace_));
  std::map<std::string, std::string> ids;
  for (const Memory& memory : memories) ids[memory.title] = memory.id;
  return ids;
}

std::string VersionTitle(int writer) { return absl::StrFormat("writer %d", writer); }

struct StormWrite {
  Verb verb = Verb::kPut;
  std::string namespace_;
  std::string title;
  std::string hash;  // As in the journal; of a link "add" or "remove".
  WriteBatch batch;
};

class StormWriter {
 public:
  StormWriter(int writer, Store& store, campaign::JournalWriter& out, Board& board)
      : writer_(writer), store_(store), out_(out), board_(board) {}

  absl::Status Run(const campaign::Journal& journal) {
    AIMEM_ASSIGN_OR_RETURN(const auto versions, IdsByTitle(store_, kVersions));
    AIMEM_ASSIGN_OR_RETURN(const auto counter, IdsByTitle(store_, kCounter));
    version_id_ = versions.at(VersionTitle(writer_));
    counter_id_ = counter.begin()->second;
    Learn(journal);
    auto next = static_cast<std::int64_t>(journal.intents.size());
    // One write is on its way at a time, so only the last can be without an answer.
    if (!campaign::Unacknowledged(journal).empty()) AIMEM_RETURN_IF_ERROR(Send(next - 1));
    for (; !ToldToStop(); ++next) {
      AIMEM_RETURN_IF_ERROR(Announce(next));
      Tick();
      AIMEM_RETURN_IF_ERROR(Send(next));
      Tick();
    }
    return absl::OkStatus();
  }

 private:
  void Learn(const campaign::Journal& journal) {
    std::map<std::int64_t, const campaign::Intent*> intents;
    for (const campaign::Intent& intent : journal.intents) intents[intent.number] = &intent;
    for (const campaign::Ack& ack : journal.acks) {
      const campaign::Intent& intent = *intents.at(ack.number);
      if (intent.namespace_ == kOwn && intent.verb == Verb::kPut) ids_[intent.title] = ack.id;
    }
  }

  [[nodiscard]] std::string OwnTitle(std::int64_t k) const {
    return absl::StrFormat("writer %d, note %d", writer_, k % kOwnTitles);
  }

  static StormWrite Put(const std::string& namespace_, const std::string& title,
                        const std::string& content) {
    return {Verb::kPut, namespace_, title, campaign::HashContent(content),
            PutBatch(namespace_, title, content)};
  }

  StormWrite Plan(std::int64_t number) const {
    const std::int64_t round = number / 8;
    const std::string text = absl::StrFormat("write %d of writer %d", number, writer_);
    const std::string version = absl::StrFormat("%s%d", kVersion, number);
    switch (number % 8) {
      case 3:
        return Put(kVersions, VersionTitle(writer_), version);
      case 4: {
        StormWrite write = Put(kVersions, VersionTitle(writer_), version);
        write.batch.items = {PatchMemory{.id = version_id_, .content = version}};
        return write;
      }
      case 5:
        return Put(kShared, absl::StrFormat("shared %d", round % kSharedTitles), text);
      case 6:
        return {Verb::kTouch, kCounter, "counter", "", {{TouchMemory{.id = counter_id_}}}};
      case 7:
        return Link(round * 3 + 2);
      default:
        return Put(kOwn, OwnTitle(round * 3 + number % 8), text);
    }
  }

  // Every other time that a title comes around its link is removed, so that each changes something.
  StormWrite Link(std::int64_t k) const {
    const bool add = k / kOwnTitles % 2 == 0;
    StormWrite write = {Verb::kLink, kOwn, OwnTitle(k), add ? "add" : "remove", {}};
    const std::string& source = ids_.at(write.title);
    if (add) {
      write.batch.items.emplace_back(AddLink{.source_id = source, .target_id = counter_id_});
    } else {
      write.batch.items.emplace_back(RemoveLink{.source_id = source, .target_id = counter_id_});
    }
    return write;
  }

  absl::Status Announce(std::int64_t number) {
    const StormWrite write = Plan(number);
    return out_.Append(campaign::Intent{.number = number,
                                        .verb = write.verb,
                                        .namespace_ = write.namespace_,
                                        .title = write.title,
                                        .content_hash = write.hash,
                                        .at = campaign::MonotonicMicroseconds()});
  }

  absl::Status Send(std::int64_t number) {
    StormWrite write = Plan(number);
    const std::int64_t sent = campaign::MonotonicMicroseconds();
    const WriteResult result = store_.Write(
        std::move(write.batch), {.request_id = absl::StrFormat("storm/%d/%d", writer_, number)});
    const std::int64_t answered = campaign::MonotonicMicroseconds();
    if (result.outcome != WriteOutcome::kCommitted) {
      return Annotate(result.status,
                      absl::StrFormat("write %d: %s", number, WriteOutcomeName(result.outcome)));
    }
    if (write.namespace_ == kVersions) board_.Version(writer_) = number;
    if (write.namespace_ == kOwn && write.verb == Verb::kPut) {
      ids_[write.title] = result.items[0].id;
    }
    return out_.Append(campaign::Ack{.number = number,
                                     .id = result.items[0].id,
                                     .content_hash = write.hash,
                                     .stream = result.stream,
                                     .seq = result.seq,
                                     .latency = answered - sent,
                                     .replayed = result.replayed,
                                     .at = answered});
  }

  const int writer_;
  Store& store_;
  campaign::JournalWriter& out_;
  Board& board_;
  std::string version_id_;
  std::string counter_id_;
  std::map<std::string, std::string> ids_;  // of kOwn, by title
};

// What a reader saw once it must see ever after.
class StormReader {
 public:
  StormReader(Store& store, Board& board, std::uint64_t seed)
      : store_(store), board_(board), random_(seed) {}

  absl::StatusOr<std::int64_t> Run() {
    AIMEM_ASSIGN_OR_RETURN(versions_, IdsByTitle(store_, kVersions));
    AIMEM_ASSIGN_OR_RETURN(const auto counter, IdsByTitle(store_, kCounter));
    counter_id_ = counter.begin()->second;
    std::int64_t loops = 0;
    while (!ToldToStop()) {
      AIMEM_RETURN_IF_ERROR(ReadVersions());
      AIMEM_RETURN_IF_ERROR(ReadCounter());
      AIMEM_RETURN_IF_ERROR(ReadKnown());
      if (loops % 16 == 0) AIMEM_RETURN_IF_ERROR(ReadPage());
      if (loops % 64 == 0) AIMEM_RETURN_IF_ERROR(Search());
      ++loops;
    }
    return loops;
  }

 private:
  absl::Status ReadVersions() {
    for (int writer = 0; writer < kStormWriters; ++writer) {
      const std::int64_t acknowledged = board_.Version(writer);
      AIMEM_ASSIGN_OR_RETURN(const Memory memory, store_.Get(versions_.at(VersionTitle(writer))));
      const std::string_view content = memory.content;
      std::int64_t version = -1;
      if (content.starts_with(kVersion)) {
        std::from_chars(content.data() + kVersion.size(), content.data() + content.size(), version);
      }
      if (version < acknowledged || version < seen_[writer]) {
        return absl::DataLossError(absl::StrFormat(
            "writer %d: read '%s', though version %d had been acknowledged and %d been read",
            writer, content, acknowledged, seen_[writer]));
      }
      seen_[writer] = version;
    }
    return absl::OkStatus();
  }

  absl::Status ReadCounter() {
    AIMEM_ASSIGN_OR_RETURN(const Memory memory, store_.Get(counter_id_));
    if (memory.access_count < touches_) {
      return absl::DataLossError(
          absl::StrFormat("the counter went from %d back to %d", touches_, memory.access_count));
    }
    touches_ = memory.access_count;
    return absl::OkStatus();
  }

  // Some of the memories that a list has shown.
  absl::Status ReadKnown() {
    if (known_.empty()) return absl::OkStatus();
    std::vector<std::string> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(known_[random_() % known_.size()]);
    for (const absl::StatusOr<Memory>& memory : store_.Get(ids)) {
      if (!memory.ok()) return Annotate(memory.status(), "a memory that was listed");
    }
    return absl::OkStatus();
  }

  // The next page of a pass through all. A pass must show whatever was known when it began.
  absl::Status ReadPage() {
    ListRequest request;
    request.filter.namespace_ = kOwn;
    request.order = ListOrder::kCreated;
    request.limit = 500;
    request.page_token = page_token_;
    AIMEM_ASSIGN_OR_RETURN(const ListResult page, store_.List(request));
    for (const Memory& memory : page.memories) {
      if (!in_pass_.insert(memory.id).second) {
        return absl::DataLossError("one pass listed " + memory.title + " twice");
      }
      if (known_set_.insert(memory.id).second) known_.push_back(memory.id);
    }
    page_token_ = page.next_page_token;
    if (!page_token_.empty()) return absl::OkStatus();
    for (std::size_t i = 0; i < known_at_start_; ++i) {
      if (!in_pass_.contains(known_[i])) {
        return absl::DataLossError("a pass did not list " + known_[i]);
      }
    }
    in_pass_.clear();
    known_at_start_ = known_.size();
    return absl::OkStatus();
  }

  absl::Status Search() {
    SearchRequest request;
    request.query = "writer note";
    request.filter.namespace_ = kOwn;
    request.limit = 5;
    AIMEM_ASSIGN_OR_RETURN(const SearchResult result, store_.Search(request));
    if (result.hits.size() >= std::min<std::size_t>(5, known_.size())) return absl::OkStatus();
    return absl::DataLossError("a search for what was listed found less");
  }

  Store& store_;
  Board& board_;
  std::mt19937_64 random_;
  std::map<std::string, std::string> versions_;
  std::string counter_id_;
  std::int64_t seen_[kStormWriters] = {};
  std::int64_t touches_ = 0;
  std::vector<std::string> known_;
  std::set<std::string> known_set_;
  std::string page_token_;
  std::set<std::string> in_pass_;
  std::size_t known_at_start_ = 0;
};

}  // namespace

absl::StatusOr<Board> Board::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || ftruncate(fd, kBoardBytes) != 0) return absl::InternalError("cannot make " + path);
  void* mapped = mmap(nullptr, kBoardBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return absl::InternalError("cannot map " + path);
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
  return Board(static_cast<std::atomic<std::int64_t>*>(mapped));
}

Board::~Board() {
  if (versions_ != nullptr) munmap(versions_, kBoardBytes);
}

Board::Board(Board&& other) noexcept : versions_(std::exchange(other.versions_, nullptr)) {}

// URL INDEX BOARD JOURNAL
absl::Status RunStormWriter(const std::vector<std::string>& arguments) {
  const std::string& path = arguments[3];
  AIMEM_ASSIGN_OR_RETURN(Board board, Board::Open(arguments[2]));
  // The page cache outlives a killed process: nothing needs to be forced to disk.
  AIMEM_ASSIGN_OR_RETURN(campaign::JournalWriter out, campaign::JournalWriter::Open(path, false));
  AIMEM_ASSIGN_OR_RETURN(const campaign::Journal journal, campaign::ReadJournal(path));
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(arguments[0]));
  absl::Status status =
      StormWriter(std::atoi(arguments[1].c_str()), *store, out, board).Run(journal);
  status.Update(store->Close());
  return status;
}

// URL INDEX BOARD SEED
absl::Status RunStormReader(const std::vector<std::string>& arguments) {
  AIMEM_ASSIGN_OR_RETURN(Board board, Board::Open(arguments[2]));
  OpenOptions options;
  options.read_only = arguments[1] == "0";
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(arguments[0], options));
  absl::StatusOr<std::int64_t> loops =
      StormReader(*store, board, std::strtoull(arguments[3].c_str(), nullptr, 10)).Run();
  absl::Status status = loops.status();
  status.Update(store->Close());
  if (status.ok()) std::printf("%lld\n", static_cast<long long>(*loops));
  return status;
}

}  // namespace aimem::process
