#include "lib/changes/retention.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/changes/read.h"
#include "lib/model/parts.h"

namespace aimem::changes {
namespace {

constexpr char kMarksVersion = 1;
constexpr absl::Duration kDefaultRetention = absl::Hours(24 * 7);
/// However much there is: requests are remembered for so long.
constexpr absl::Duration kLeast = absl::Hours(24);
/// More than the retention needs, where somebody holds the log back; the oldest are then merged.
constexpr std::size_t kMarksMax = kRetentionSteps + 8;
/// One more than it takes, so that one step that no time stood behind cuts nothing early.
constexpr std::uint32_t kOldSteps = kRetentionSteps + 1;
constexpr std::size_t kMeasureRows = 1'000;
constexpr std::size_t kMeasureBytes = 4u << 20;

std::string Milliseconds(absl::Time time) {
  return model::EncodeU64(static_cast<std::uint64_t>(absl::ToUnixMillis(time)));
}

std::string EncodeMark(const LogMark& mark) {
  std::string bytes = Milliseconds(mark.at);
  bytes += model::EncodeU64(mark.steps);
  bytes += model::EncodeU64(mark.moved.size());
  for (const auto& [stream, seq] : mark.moved) {
    bytes += model::EncodeU64(stream);
    bytes += model::EncodeU64(seq);
  }
  return bytes;
}

/// Reads what EncodeLogMarks wrote.
struct MarksReader {
  std::string_view rest;
  bool sound = true;

  std::uint64_t U64() {
    const std::optional<std::uint64_t> value = model::DecodeU64(rest.substr(0, 8));
    sound = sound && value.has_value();
    rest.remove_prefix(std::min<std::size_t>(8, rest.size()));
    return value.value_or(0);
  }
  absl::Time Time() { return absl::FromUnixMillis(static_cast<std::int64_t>(U64())); }
};

/// Where the streams ended at mark number `count` - 1, as far as the marks tell.
VersionVector EndsAt(const LogMarks& marks, std::size_t count) {
  VersionVector ends;
  for (std::size_t i = 0; i < count; ++i) {
    for (const auto& [stream, seq] : marks.marks[i].moved) ends[stream] = seq;
  }
  return ends;
}

/// How many marks are at least `steps` old.
std::size_t CountOlder(const LogMarks& marks, std::uint64_t steps) {
  std::uint64_t age = 0;
  for (std::size_t i = marks.marks.size(); i > 0; --i) {
    if (age >= steps) return i;
    age += marks.marks[i - 1].steps;
  }
  return 0;
}

LogMark NextMark(const LogMarks& marks, const VersionVector& heads, std::uint32_t steps) {
  LogMark next{.at = marks.counted_from, .steps = steps, .moved = {}};
  const VersionVector known = EndsAt(marks, marks.marks.size());
  for (const auto& [stream, seq] : heads) {
    const auto found = known.find(stream);
    if (found == known.end() || found->second != seq) next.moved.emplace(stream, seq);
  }
  return next;
}

/// The first `count` marks are done with; of the rest not too many are kept.
void DropMarks(LogMarks& marks, std::size_t count) {
  marks.marks.erase(marks.marks.begin(), marks.marks.begin() + static_cast<std::ptrdiff_t>(count));
  while (marks.marks.size() > kMarksMax) {
    // What the oldest stands for is taken to be as young as the next.
    VersionVector older = std::move(marks.marks.front().moved);
    marks.marks.erase(marks.marks.begin());
    marks.marks.front().moved.merge(older);
  }
}

/// As WriteSet::log_cuts takes it. The last commit of a stream always stays.
std::vector<std::pair<std::uint64_t, std::uint64_t>> Cuts(const VersionVector& ends,
                                                          const VersionVector& heads) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> cuts;
  for (const auto& [stream, seq] : ends) {
    const auto head = heads.find(stream);
    if (head == heads.end()) continue;
    const std::uint64_t keep = std::min(seq + 1, head->second);
    if (keep > 1) cuts.emplace_back(stream, keep);
  }
  return cuts;
}

/// Bytes of the commits of `stream` after `after`, up to `to`.
absl::StatusOr<std::int64_t> BytesOf(Transaction& transaction, std::uint64_t stream,
                                     std::uint64_t after, std::uint64_t to) {
  std::int64_t bytes = 0;
  while (after < to) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                           transaction.ReadLog(stream, after, kMeasureRows, kMeasureBytes));
    if (rows.empty()) break;
    for (const LogRow& row : rows) {
      if (row.seq <= to) bytes += static_cast<std::int64_t>(row.bytes.size());
    }
    after = rows.back().seq;
  }
  return bytes;
}

}  // namespace

std::string EncodeLogMarks(const LogMarks& marks) {
  std::string bytes(1, kMarksVersion);
  bytes += Milliseconds(marks.counted_from);
  for (const LogMark& mark : marks.marks) bytes += EncodeMark(mark);
  return bytes;
}

std::optional<LogMarks> LogMarksOf(const Meta& meta) {
  const auto found = meta.find(kMetaLogMarks);
  if (found == meta.end() || !found->second.starts_with(kMarksVersion)) return std::nullopt;
  MarksReader reader{std::string_view(found->second).substr(1)};
  LogMarks marks;
  marks.counted_from = reader.Time();
  while (reader.sound && !reader.rest.empty()) {
    LogMark& mark = marks.marks.emplace_back();
    mark.at = reader.Time();
    mark.steps = static_cast<std::uint32_t>(std::min<std::uint64_t>(reader.U64(), kOldSteps));
    for (std::uint64_t left = reader.U64(); left > 0 && reader.sound; --left) {
      const std::uint64_t stream = reader.U64();
      mark.moved[stream] = reader.U64();
    }
  }
  return reader.sound ? std::optional(std::move(marks)) : std::nullopt;
}

Retention::Retention(const StoreOptions& options)
    : retention_(options.log_retention),
      step_((retention_ == absl::InfiniteDuration() ? kDefaultRetention : retention_) /
            kRetentionSteps),
      max_bytes_(options.log_max_bytes) {}

Retention::Due Retention::FindDue(const std::optional<LogMarks>& marks, absl::Time now,
                                  absl::Duration monotonic) {
  if (!marks) {
    counted_from_ = now;
    counted_at_ = monotonic;
    return {.steps = 1, .left = step_};
  }
  if (counted_from_ != marks->counted_from) {
    // By another process, or by this one before it was restarted.
    const absl::Duration passed = now - marks->counted_from;
    const bool back = passed < absl::ZeroDuration();
    counted_from_ = back ? now : marks->counted_from;
    counted_at_ = monotonic - (back ? absl::ZeroDuration() : std::min(passed, step_));
    if (back) return {.steps = 0, .left = step_, .count_anew = true};
  }
  absl::Duration rest;
  const std::int64_t passed = absl::IDivDuration(monotonic - counted_at_, step_, &rest);
  if (passed < 1) return {.steps = 0, .left = step_ - rest};
  counted_from_ = now;
  counted_at_ = monotonic - rest;
  return {.steps = static_cast<std::uint32_t>(std::min<std::int64_t>(passed, kOldSteps)),
          .left = step_ - rest};
}

absl::StatusOr<RetentionPlan> Retention::MakePlan(Transaction& transaction, const ReadResult& found,
                                                  const std::optional<VersionVector>& held,
                                                  absl::Time now, absl::Duration monotonic) {
  now = absl::FromUnixMillis(absl::ToUnixMillis(now));  // as it is kept
  const VersionVector heads = VectorOf(found.heads);
  const std::optional<LogMarks> kept = LogMarksOf(found.meta);
  const Due due = FindDue(kept, now, monotonic);
  RetentionPlan plan;
  plan.look_again = due.left;
  if (due.steps == 0 && !due.count_anew) return plan;
  if (const auto from = found.meta.find(kMetaLogMarks); from != found.meta.end()) {
    plan.from = from->second;
  }
  LogMarks marks = kept.value_or(LogMarks());
  marks.counted_from = now;
  if (due.steps > 0) marks.marks.push_back(NextMark(marks, heads, due.steps));
  const std::size_t old = retention_ == absl::InfiniteDuration() ? 0 : CountOlder(marks, kOldSteps);
  VersionVector ends = EndsAt(marks, old);
  std::size_t done = old;
  if (held) {
    while (done > 0 && !Covers(*held, EndsAt(marks, done))) --done;
    std::erase_if(ends, [&](const auto& end) { return !held->contains(end.first); });
    for (auto& [stream, seq] : ends) seq = std::min(seq, held->at(stream));
  }
  if (max_bytes_ > 0) {
    AIMEM_ASSIGN_OR_RETURN(const std::size_t over, CutByBytes(transaction, marks, plan));
    for (const auto& [stream, seq] : EndsAt(marks, over)) {
      ends[stream] = std::max(ends[stream], seq);
    }
    done = std::max(done, over);
  }
  plan.set.log_cuts = Cuts(ends, heads);
  DropMarks(marks, done);
  plan.set.meta.emplace_back(kMetaLogMarks, EncodeLogMarks(marks));
  return plan;
}

absl::StatusOr<std::vector<std::int64_t>> Retention::Measure(Transaction& transaction,
                                                             const LogMarks& marks) {
  std::vector<std::int64_t> sizes;
  std::map<std::string, std::int64_t> measured;
  VersionVector before;
  for (const LogMark& mark : marks.marks) {
    const std::string key = EncodeMark(mark);
    const auto known = measured_.find(key);
    std::int64_t bytes = known == measured_.end() ? 0 : known->second;
    for (const auto& [stream, seq] : mark.moved) {
      if (known == measured_.end()) {
        AIMEM_ASSIGN_OR_RETURN(const std::int64_t more,
                               BytesOf(transaction, stream, before[stream], seq));
        bytes += more;
      }
      before[stream] = seq;
    }
    sizes.push_back(bytes);
    measured.emplace(key, bytes);
  }
  measured_ = std::move(measured);
  return sizes;
}

absl::StatusOr<std::size_t> Retention::CutByBytes(Transaction& transaction, const LogMarks& marks,
                                                  RetentionPlan& plan) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::int64_t> sizes, Measure(transaction, marks));
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) total += size;
  const auto least = static_cast<std::uint64_t>(absl::Ceil(kLeast, step_) / step_) + 1;
  const std::size_t old = CountOlder(marks, least);
  std::int64_t left = total;
  std::size_t over = 0;
  while (left > max_bytes_ && over < old) left -= sizes[over++];
  if (total > max_bytes_) {
    plan.warning = absl::StrFormat(
        "the log takes %d bytes and may take %d: %d bytes go, whoever lacks them is given states; "
        "what is younger than a day stays (%d bytes)",
        total, max_bytes_, total - left, left);
  } else if (total > max_bytes_ / 10 * 7) {
    plan.warning = absl::StrFormat(
        "the log takes %d bytes and may take %d: beyond that members that are away are no longer "
        "waited for",
        total, max_bytes_);
  }
  return over;
}

absl::StatusOr<RetentionPart> NextPart(const RetentionPlan& plan, const VersionVector& heads,
                                       Transaction& transaction) {
  RetentionPart part;
  std::uint64_t left = kCutAtOnce;
  for (const auto& [stream, planned] : plan.set.log_cuts) {
    // The end of a stream stays, also of one that has become shorter since.
    const auto head = heads.find(stream);
    if (head == heads.end()) continue;
    const std::uint64_t keep = std::min(planned, head->second);
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first, transaction.ReadLog(stream, 0, 1, 1));
    if (first.empty() || first.front().seq >= keep) continue;
    if (left == 0) return part;
    const std::uint64_t to = std::min(keep, first.front().seq + left);
    part.set.log_cuts.emplace_back(stream, to);
    left -= to - first.front().seq;
    if (to < keep) return part;
  }
  part.set.meta = plan.set.meta;
  part.last = true;
  return part;
}

absl::StatusOr<VersionVector> FindLogFrom(Transaction& transaction, absl::Time from) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true, .meta = true}));
  const LogMarks marks = LogMarksOf(read.meta).value_or(LogMarks());
  // In the order in which they were made: after one that a clock ahead made, none is believed.
  std::size_t count = 0;
  while (count < marks.marks.size() && marks.marks[count].at <= from) ++count;
  const VersionVector ends = EndsAt(marks, count);
  VersionVector vector;
  for (const LogRow& head : read.heads) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first,
                           transaction.ReadLog(head.stream, 0, 1, 1));
    const auto end = ends.find(head.stream);
    const std::uint64_t marked = end == ends.end() ? 0 : end->second;
    const std::uint64_t oldest = first.empty() ? head.seq : first.front().seq;
    vector[head.stream] = std::clamp(marked, std::min(oldest, head.seq), head.seq);
  }
  return vector;
}

}  // namespace aimem::changes
