#include "lib/index/postings.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <string_view>

#include "absl/strings/string_view.h"
#include "lib/index/bytes.h"
#include "lib/index/document.h"

namespace aimem::index {
namespace {

constexpr std::size_t kRun = PostingsReader::kRun;
constexpr std::size_t kRunPlaceSize = sizeof(std::uint32_t) + sizeof(std::uint64_t);

constexpr std::uint32_t kUsual = 1 << 1;

std::uint32_t UseOf(const Posting& posting) { return posting.count << 1 | posting.speaker; }

Posting MakePosting(Ordinal document, std::uint64_t use) {
  return {.document = document,
          .count = static_cast<std::uint32_t>(use >> 1) & 0x7fffffff,
          .speaker = static_cast<std::uint32_t>(use) & 1};
}

bool ComesBefore(const Posting& posting, Ordinal document) { return posting.document < document; }

std::uint32_t LoadU32(const std::uint8_t* at) {
  std::uint32_t value = 0;
  for (int byte = 0; byte < 4; ++byte) value |= std::uint32_t{at[byte]} << 8 * byte;
  return value;
}

void StoreU32(std::uint32_t value, std::uint8_t* at) {
  for (int byte = 0; byte < 4; ++byte) at[byte] = static_cast<std::uint8_t>(value >> 8 * byte);
}

void PutVarint(std::uint64_t value, std::vector<std::uint8_t>& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

std::uint64_t TakeVarint(const std::uint8_t*& at) {
  std::uint64_t value = *at & 0x7f;
  for (int shift = 7; (*at++ & 0x80) != 0; shift += 7) value |= std::uint64_t{*at & 0x7fu} << shift;
  return value;
}

void PutPacked(std::span<const std::uint32_t> numbers, std::vector<std::uint8_t>& out) {
  std::uint32_t all = 0;
  for (const std::uint32_t number : numbers) all |= number;
  const auto width = static_cast<int>(std::bit_width(all));
  out.push_back(static_cast<std::uint8_t>(width));
  std::uint64_t bits = 0;
  int filled = 0;
  for (const std::uint32_t number : numbers) {
    bits |= std::uint64_t{number} << filled;
    for (filled += width; filled >= 8; filled -= 8, bits >>= 8) {
      out.push_back(static_cast<std::uint8_t>(bits));
    }
  }
  if (filled > 0) out.push_back(static_cast<std::uint8_t>(bits));
}

// Calls `use(i, number)` for i in [begin, end); returns what comes after the numbers.
template <typename Use>
const std::uint8_t* TakePacked(const std::uint8_t* at, std::size_t begin, std::size_t end,
                               Use use) {
  const unsigned width = *at++;
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  std::size_t bit = 0;
  for (std::size_t i = begin; i < end; ++i, bit += width) {
    use(i, LoadNumber(at + bit / 8) >> bit % 8 & mask);
  }
  return at + (bit + 7) / 8;
}

void PutUnusual(std::span<const std::uint32_t> uses, std::vector<std::uint8_t>& out) {
  const std::size_t begin = out.size();
  out.push_back(0);
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] == kUsual) continue;
    ++out[begin];
    out.push_back(static_cast<std::uint8_t>(i));
    PutVarint(uses[i], out);
  }
  const std::uint32_t most = *std::max_element(uses.begin(), uses.end());
  const std::size_t packed_size = 2 + (uses.size() * std::bit_width(most) + 7) / 8;
  if (packed_size >= out.size() - begin) return;
  out.resize(begin);
  out.push_back(0);
  PutPacked(uses, out);
}

void PutRun(std::span<const Posting> run, std::vector<std::uint8_t>& out) {
  std::array<std::uint32_t, kRun> numbers{};
  std::array<std::uint32_t, kRun> uses{};
  bool is_usual = true;
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (i > 0) numbers[i - 1] = run[i].document - run[i - 1].document - 1;
    uses[i] = UseOf(run[i]);
    is_usual = is_usual && uses[i] == kUsual;
  }
  PutVarint(std::uint64_t{run.front().document} << 1 | (is_usual ? 0 : 1), out);
  if (run.size() > 1) PutPacked({numbers.data(), run.size() - 1}, out);
  if (!is_usual) PutUnusual({uses.data(), run.size()}, out);
}

// The run of `size` postings at `at` into `out`; returns what comes after it.
const std::uint8_t* TakeRun(const std::uint8_t* at, std::size_t size, Posting* out) {
  const std::uint64_t first = TakeVarint(at);
  auto document = static_cast<Ordinal>(first >> 1);
  out[0] = MakePosting(document, kUsual);
  if (size > 1) {
    at = TakePacked(at, 1, size, [&](std::size_t i, std::uint64_t gap) {
      document += 1 + static_cast<Ordinal>(gap);
      out[i] = MakePosting(document, kUsual);
    });
  }
  if ((first & 1) == 0) return at;
  const int unusual = *at++;
  if (unusual == 0) {
    return TakePacked(at, 0, size, [out](std::size_t i, std::uint64_t use) {
      out[i] = MakePosting(out[i].document, use);
    });
  }
  for (int i = 0; i < unusual; ++i) {
    Posting& posting = out[*at++];
    posting = MakePosting(posting.document, TakeVarint(at));
  }
  return at;
}

std::size_t RunsOf(std::uint64_t postings) { return (postings + kRun - 1) / kRun; }

const std::uint8_t* RunPlace(const std::uint8_t* run_places, std::size_t run) {
  return run_places + (run - 1) * kRunPlaceSize;
}

// The last of [run, runs) that begins with `document` or before; `run` if none after it does.
std::size_t LastRunUpTo(const std::uint8_t* run_places, std::size_t run, std::size_t runs,
                        Ordinal document) {
  while (run + 1 < runs) {
    const std::size_t middle = run + (runs - run) / 2;
    if (LoadU32(RunPlace(run_places, middle)) <= document) {
      run = middle;
    } else {
      runs = middle;
    }
  }
  return run;
}

// -- Bytes that anybody may have written ----------------------------------------------------------

// What TakeVarint and TakePacked would pass over, if that is within `list`; else nullptr.
const std::uint8_t* PassVarint(const std::uint8_t* at, const std::uint8_t* end) {
  constexpr std::ptrdiff_t kMost = 10;
  const std::uint8_t* const last = end - at > kMost ? at + kMost : end;
  for (; at != last; ++at) {
    if ((*at & 0x80) == 0) return at + 1;
  }
  return nullptr;
}

const std::uint8_t* PassPacked(const std::uint8_t* at, const std::uint8_t* end,
                               std::size_t numbers) {
  if (at == end || *at > 32) return nullptr;
  const std::size_t size = (numbers * *at + 7) / 8;
  return static_cast<std::size_t>(end - at - 1) < size ? nullptr : at + 1 + size;
}

const std::uint8_t* PassUnusual(const std::uint8_t* at, const std::uint8_t* end,
                                std::size_t postings) {
  if (at == end) return nullptr;
  int left = *at++;
  if (left == 0) return PassPacked(at, end, postings);
  for (; left > 0; --left) {
    if (at == end || *at >= postings) return nullptr;
    at = PassVarint(at + 1, end);
    if (at == nullptr) return nullptr;
  }
  return at;
}

// Where the run of `postings` at `at` ends; nullptr: it is none that TakeRun may read.
const std::uint8_t* PassRun(const std::uint8_t* at, const std::uint8_t* end, std::size_t postings) {
  const std::uint8_t* next = PassVarint(at, end);
  if (next == nullptr) return nullptr;
  const std::uint64_t first = TakeVarint(at);
  if (postings > 1) next = PassPacked(next, end, postings - 1);
  if (next == nullptr || first >> 1 > std::numeric_limits<Ordinal>::max()) return nullptr;
  return (first & 1) == 0 ? next : PassUnusual(next, end, postings);
}

absl::Status DamagedList(std::string_view what) {
  return absl::DataLossError(absl::string_view(what.data(), what.size()));
}

}  // namespace

absl::Status PostingLists::CheckList(std::span<const std::uint8_t> list, const TermTotals& totals,
                                     std::uint64_t documents) {
  const auto postings = static_cast<std::uint64_t>(totals.used + totals.named_only);
  if (postings == 0 || postings > documents)
    return DamagedList("a term in no document, or too many");
  const std::size_t runs = RunsOf(postings);
  if (list.size() / kRunPlaceSize < runs - 1) return DamagedList("a list without its places");
  const std::uint8_t* const begin = list.data() + (runs - 1) * kRunPlaceSize;
  const std::uint8_t* const end = list.data() + list.size();
  const std::uint8_t* at = begin;
  std::array<Posting, kRun> decoded;
  std::int64_t before = -1;
  TermTotals found;
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t size = run + 1 < runs ? kRun : postings - run * kRun;
    const std::uint8_t* const next = PassRun(at, end, size);
    if (next == nullptr) return DamagedList("a run that does not end");
    TakeRun(at, size, decoded.data());
    if (run > 0) {
      const std::uint8_t* const place = RunPlace(list.data(), run);
      if (LoadU32(place) != decoded[0].document ||
          LoadNumber(place + sizeof(std::uint32_t)) != static_cast<std::uint64_t>(at - begin)) {
        return DamagedList("a run that is not at its place");
      }
    }
    for (const Posting& posting : std::span(decoded.data(), size)) {
      if (posting.document <= before || posting.document >= documents) {
        return DamagedList("documents that are not ascending, or not there");
      }
      if (posting.count > kCountMax || (posting.count == 0 && posting.speaker == 0)) {
        return DamagedList("a use that is none");
      }
      before = posting.document;
      found.Add(posting);
    }
    at = next;
  }
  if (at != end) return DamagedList("bytes after the last run");
  return found == totals ? absl::OkStatus() : DamagedList("totals that are not those of the list");
}

PostingsReader::PostingsReader(const std::uint8_t* list, std::uint64_t postings)
    : run_places_(list),
      at_(list + (RunsOf(postings) - 1) * kRunPlaceSize),
      postings_(postings),
      runs_(RunsOf(postings)) {}

std::size_t PostingsReader::SizeOf(std::size_t run) const {
  return run + 1 < runs_ ? kRun : static_cast<std::size_t>(postings_ - run * kRun);
}

std::span<const Posting> PostingsReader::NextRun() {
  while (run_ < runs_) {
    const std::size_t size = SizeOf(run_++);
    at_ = TakeRun(at_, size, decoded_.data());
    const std::span<const Posting> run(decoded_.data(), size);
    if (run.front().document >= from_) return run;
    const auto first = std::lower_bound(run.begin(), run.end(), from_, ComesBefore);
    if (first != run.end()) return {first, run.end()};
  }
  return {};
}

void PostingsReader::SkipTo(Ordinal document) {
  if (document <= from_) return;
  from_ = document;
  const std::size_t run = LastRunUpTo(run_places_, run_, runs_, document);
  if (run == run_) return;
  run_ = run;
  at_ = run_places_ + (runs_ - 1) * kRunPlaceSize +
        LoadNumber(RunPlace(run_places_, run) + sizeof(std::uint32_t));
}

void PostingLists::Add(std::span<const Posting> postings) {
  List& list = lists_.emplace_back();
  list.begin = bytes_.size();
  const std::size_t runs = RunsOf(postings.size());
  const std::size_t begin = bytes_.size() + (runs - 1) * kRunPlaceSize;
  bytes_.resize(begin);
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t first = run * kRun;
    if (run > 0) {
      std::uint8_t* const place = bytes_.data() + list.begin + (run - 1) * kRunPlaceSize;
      StoreU32(postings[first].document, place);
      StoreNumber(bytes_.size() - begin, place + sizeof(std::uint32_t));
    }
    PutRun(postings.subspan(first, std::min(kRun, postings.size() - first)), bytes_);
  }
  TermTotals totals;
  for (const Posting& posting : postings) totals.Add(posting);
  list.used = static_cast<std::uint32_t>(totals.used);
  list.named_only = static_cast<std::uint32_t>(totals.named_only);
}

void PostingLists::Finish() {
  bytes_.resize(bytes_.size() + kBytesAfter);
  bytes_.shrink_to_fit();
  lists_.shrink_to_fit();
}

TermTotals PostingLists::TotalsOf(std::size_t term) const {
  return {.used = lists_[term].used, .named_only = lists_[term].named_only};
}

TermTotals PostingLists::TotalsOf(std::size_t term, OrdinalRange range) const {
  TermTotals totals;
  if (range.empty()) return totals;
  if (lists_[term].named_only == 0) {
    totals.used = CountBefore(term, range.end) - CountBefore(term, range.begin);
    return totals;
  }
  PostingsReader reader = ReaderOf(term);
  reader.SkipTo(range.begin);
  for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
    for (const Posting& posting : run) {
      if (posting.document >= range.end) return totals;
      totals.Add(posting);
    }
  }
  return totals;
}

std::int64_t PostingLists::CountBefore(std::size_t term, Ordinal document) const {
  PostingsReader reader = ReaderOf(term);
  reader.SkipTo(document);  // so all that come before the next run count, and none after it
  const std::size_t run_number = reader.run_;
  const std::size_t size = reader.SizeOf(run_number);
  TakeRun(reader.at_, size, reader.decoded_.data());
  const auto first = reader.decoded_.begin();
  const auto end =
      std::lower_bound(first, first + static_cast<std::ptrdiff_t>(size), document, ComesBefore);
  return static_cast<std::int64_t>(run_number * kRun) + (end - first);
}

PostingsReader PostingLists::ReaderOf(std::size_t term) const {
  const List& list = lists_[term];
  return {bytes_.data() + list.begin, std::uint64_t{list.used} + list.named_only};
}

std::size_t PostingLists::ByteSize() const { return bytes_.size() + lists_.size() * sizeof(List); }

}  // namespace aimem::index
