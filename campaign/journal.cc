#include "campaign/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::campaign {
namespace {

constexpr std::pair<Verb, std::string_view> kVerbs[] = {
    {Verb::kPut, "put"}, {Verb::kDelete, "delete"}, {Verb::kTouch, "touch"}, {Verb::kLink, "link"}};

std::string_view VerbName(Verb verb) {
  for (const auto& [value, name] : kVerbs) {
    if (value == verb) return name;
  }
  return "unknown";
}

std::string_view OrDash(std::string_view text) { return text.empty() ? "-" : text; }

absl::Status ErrnoStatus(const std::string& path) {
  return absl::InternalError(absl::StrFormat("journal %s: %s", path, std::strerror(errno)));
}

std::vector<std::string_view> Split(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
    fields.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  fields.push_back(line);
  return fields;
}

// Takes the fields of a line one after the other and remembers whether all were well formed.
class Fields {
 public:
  explicit Fields(std::string_view line) : fields_(Split(line)) {}

  std::string_view Word() {
    if (next_ == fields_.size()) {
      good_ = false;
      return {};
    }
    return fields_[next_++];
  }
  std::string Text() {
    const std::string_view text = Word();
    return text == "-" ? std::string() : std::string(text);
  }
  template <typename Number>
  Number Integer() {
    const std::string_view text = Word();
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) good_ = false;
    return value;
  }
  Verb VerbField() {
    const std::string_view text = Word();
    for (const auto& [value, name] : kVerbs) {
      if (name == text) return value;
    }
    good_ = false;
    return Verb::kPut;
  }
  [[nodiscard]] bool good() const { return good_ && next_ == fields_.size(); }

 private:
  std::vector<std::string_view> fields_;
  std::size_t next_ = 0;
  bool good_ = true;
};

std::optional<Intent> ParseIntent(Fields& fields) {
  Intent intent;
  intent.number = fields.Integer<std::int64_t>();
  intent.verb = fields.VerbField();
  intent.namespace_ = fields.Text();
  intent.title = fields.Text();
  intent.content_hash = fields.Text();
  intent.at = fields.Integer<std::int64_t>();
  if (!fields.good()) return std::nullopt;
  return intent;
}

std::optional<Ack> ParseAck(Fields& fields) {
  Ack ack;
  ack.number = fields.Integer<std::int64_t>();
  ack.id = fields.Text();
  ack.content_hash = fields.Text();
  ack.stream = fields.Integer<std::uint64_t>();
  ack.seq = fields.Integer<std::uint64_t>();
  ack.latency = fields.Integer<std::int64_t>();
  ack.replayed = fields.Integer<int>() != 0;
  ack.at = fields.Integer<std::int64_t>();
  if (!fields.good()) return std::nullopt;
  return ack;
}

}  // namespace

absl::StatusOr<Journal> ParseJournal(std::string name, std::string_view text) {
  Journal journal;
  journal.name = std::move(name);
  std::set<std::int64_t> announced;
  int line_number = 0;
  const auto damaged = [&](const char* why) {
    return absl::DataLossError(
        absl::StrFormat("journal %s, line %d: %s", journal.name, line_number, why));
  };
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    ++line_number;
    Fields fields(text.substr(0, end));
    text.remove_prefix(end + 1);
    const std::string_view what = fields.Word();
    if (what == "intent") {
      std::optional<Intent> intent = ParseIntent(fields);
      if (!intent) return damaged("not an intent");
      if (!announced.insert(intent->number).second) return damaged("an intent that was there");
      journal.intents.push_back(*std::move(intent));
    } else if (what == "ack") {
      std::optional<Ack> ack = ParseAck(fields);
      if (!ack) return damaged("not an acknowledgement");
      if (!announced.contains(ack->number)) return damaged("acknowledges what was not sent");
      journal.acks.push_back(*std::move(ack));
    } else {
      return damaged("neither an intent nor an acknowledgement");
    }
  }
  return journal;
}

absl::StatusOr<Journal> ReadJournal(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return ParseJournal(path.substr(path.rfind('/') + 1), text);
}

std::vector<Intent> Unacknowledged(const Journal& journal) {
  std::set<std::int64_t> acknowledged;
  for (const Ack& ack : journal.acks) acknowledged.insert(ack.number);
  std::vector<Intent> open;
  for (const Intent& intent : journal.intents) {
    if (!acknowledged.contains(intent.number)) open.push_back(intent);
  }
  return open;
}

absl::StatusOr<JournalWriter> JournalWriter::Open(const std::string& path, bool sync) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(path);
  JournalWriter writer(fd, sync);
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoStatus(path);
  off_t size = info.st_size;
  char last = '\n';
  while (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n') --size;
  if (size != info.st_size && ftruncate(fd, size) != 0) return ErrnoStatus(path);
  return writer;
}

JournalWriter::~JournalWriter() {
  if (fd_ >= 0) close(fd_);
}

JournalWriter::JournalWriter(JournalWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), sync_(other.sync_) {}

absl::Status JournalWriter::Append(const Intent& intent) {
  return AppendLine(absl::StrFormat("intent\t%d\t%s\t%s\t%s\t%s\t%d\n", intent.number,
                                    VerbName(intent.verb), OrDash(intent.namespace_),
                                    OrDash(intent.title), OrDash(intent.content_hash), intent.at));
}

absl::Status JournalWriter::Append(const Ack& ack) {
  return AppendLine(absl::StrFormat("ack\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", ack.number,
                                    OrDash(ack.id), OrDash(ack.content_hash), ack.stream, ack.seq,
                                    ack.latency, ack.replayed ? 1 : 0, ack.at));
}

absl::Status JournalWriter::AppendLine(const std::string& line) {
  const ssize_t written = write(fd_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) return ErrnoStatus("write");
  if (sync_ && fdatasync(fd_) != 0) return ErrnoStatus("fdatasync");
  return absl::OkStatus();
}

std::string HashContent(std::string_view content) { return ToHex(AsBytes(Cut(Sha256({content})))); }

std::int64_t MonotonicMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

}  // namespace aimem::campaign
