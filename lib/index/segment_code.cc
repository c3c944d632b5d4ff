#include "lib/index/segment_code.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/index/bytes.h"
#include "lib/log/grammar.h"

namespace aimem::index {
namespace {

constexpr std::uint8_t kSegmentVersion = 1;

/// In the order of their bytes.
enum Section : std::uint8_t {
  kIds,
  kIdMarks,
  kIdText,
  kRowLayout,
  kRows,
  kLengths,
  kNamespaces,
  kTalks,
  kTermSizes,
  kTermText,
  kLists,
  kPostings,
  kSections
};
constexpr std::array<const char*, kSections> kNames = {
    "ids",        "marks of ids", "text of ids", "layout of rows", "rows",  "lengths",
    "namespaces", "talks",        "term sizes",  "terms",          "lists", "postings"};

constexpr std::size_t kHeaderSize = 1 + sizeof(std::uint64_t) * (1 + kSections);
constexpr std::size_t kHashSize = sizeof(Hash256);

using Sizes = std::array<std::uint64_t, kSections>;

struct Header {
  std::uint64_t documents = 0;
  Sizes sizes{};
};

std::string EncodeHeader(const Header& header) {
  std::string bytes(1, static_cast<char>(kSegmentVersion));
  const auto add = [&bytes](std::uint64_t number) {
    std::array<std::uint8_t, sizeof number> stored{};
    StoreNumber(number, stored.data());
    bytes.append(stored.begin(), stored.end());
  };
  add(header.documents);
  for (const std::uint64_t size : header.sizes) add(size);
  return bytes;
}

absl::StatusOr<Header> DecodeHeader(std::string_view bytes, std::uint64_t total) {
  if (static_cast<std::uint8_t>(bytes[0]) != kSegmentVersion) {
    return absl::DataLossError("a segment of another version");
  }
  const auto number = [&bytes](std::size_t i) {
    std::array<std::uint8_t, sizeof(std::uint64_t)> stored{};
    const std::string_view at = bytes.substr(1 + i * stored.size(), stored.size());
    std::copy(at.begin(), at.end(), stored.begin());
    return LoadNumber(stored.data());
  };
  Header header{.documents = number(0)};
  std::uint64_t left = total - kHeaderSize - kHashSize;
  for (std::size_t i = 0; i < kSections; ++i) {
    header.sizes[i] = number(1 + i);
    if (header.sizes[i] > left) return absl::DataLossError("sections larger than the segment");
    left -= header.sizes[i];
  }
  if (left > 0) return absl::DataLossError("sections smaller than the segment");
  if (header.documents > std::numeric_limits<Ordinal>::max() ||
      header.sizes[kIds] != header.documents * sizeof(Id128)) {
    return absl::DataLossError("as many ids as there are no documents");
  }
  return header;
}

template <typename Bytes>
std::string_view CharsOf(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Bytes>
std::span<char> Room(Bytes& bytes, std::uint64_t size) {
  bytes.resize(size);
  return {reinterpret_cast<char*>(bytes.data()), size};
}

std::optional<std::uint32_t> ReadU32(log::Reader& reader) {
  const std::uint64_t value = reader.Varint();
  if (value > std::numeric_limits<std::uint32_t>::max()) reader.Fail("a number over 32 bits");
  return reader.ok() ? std::optional(static_cast<std::uint32_t>(value)) : std::nullopt;
}

absl::Status Ended(const log::Reader& reader) {
  if (!reader.ok()) return reader.status();
  return reader.AtEnd() ? absl::OkStatus() : absl::DataLossError("more than there should be");
}

}  // namespace

/// Knows the arrays of a segment as bytes, both ways.
class SegmentCode {
 public:
  /// The small sections, encoded.
  using Small = std::array<std::string, kSections>;

  static Small EncodeSmall(const Segment& segment) {
    Small small;
    small[kIdMarks] = EncodeMarks(segment.ids_.is_text_);
    small[kRowLayout] = EncodeLayout(segment.rows_);
    for (const std::uint32_t length : segment.lengths_) log::AppendVarint(length, small[kLengths]);
    for (const NamespacePart& part : segment.namespaces_) {
      log::AppendBytes(part.name, small[kNamespaces]);
      log::AppendVarint(part.documents.end - part.documents.begin, small[kNamespaces]);
    }
    Ordinal next = 0;
    for (std::size_t i = 0; i < segment.turns_.size(); ++i) {
      const OrdinalRange turns = segment.turns_[i];
      log::AppendBytes(segment.talks_[i], small[kTalks]);
      log::AppendVarint(turns.begin - next, small[kTalks]);
      log::AppendVarint(turns.end - turns.begin, small[kTalks]);
      next = turns.end;
    }
    for (std::size_t i = 0; i < segment.terms_.size(); ++i) {
      log::AppendVarint(segment.terms_[i].size(), small[kTermSizes]);
    }
    EncodeLists(segment.postings_, small[kLists]);
    return small;
  }

  /// All sections of `segment`, of which `small` has those that EncodeSmall made.
  static std::array<std::string_view, kSections> Sections(const Segment& segment,
                                                          const Small& small) {
    std::array<std::string_view, kSections> sections;
    for (std::size_t i = 0; i < kSections; ++i) sections[i] = small[i];
    sections[kIds] = {reinterpret_cast<const char*>(segment.ids_.slots_.data()),
                      segment.ids_.slots_.size() * sizeof(Id128)};
    sections[kIdText] = segment.ids_.text_;
    sections[kRows] = CharsOf(segment.rows_.bytes_).substr(0, segment.rows_.filled_);
    sections[kTermText] = segment.terms_.text_;
    const std::string_view postings = CharsOf(segment.postings_.bytes_);
    sections[kPostings] = postings.substr(0, postings.size() - kBytesAfter);
    return sections;
  }

  /// Where the bytes of each section are to go: into `segment`, or into `small`.
  static std::array<std::span<char>, kSections> Rooms(const Header& header, Segment& segment,
                                                      Small& small) {
    std::array<std::span<char>, kSections> rooms;
    segment.ids_.slots_.resize(header.documents);
    rooms[kIds] = {reinterpret_cast<char*>(segment.ids_.slots_.data()), header.sizes[kIds]};
    rooms[kIdText] = Room(segment.ids_.text_, header.sizes[kIdText]);
    rooms[kRows] =
        Room(segment.rows_.bytes_, header.sizes[kRows] + kBytesAfter).first(header.sizes[kRows]);
    rooms[kTermText] = Room(segment.terms_.text_, header.sizes[kTermText]);
    rooms[kPostings] = Room(segment.postings_.bytes_, header.sizes[kPostings] + kBytesAfter)
                           .first(header.sizes[kPostings]);
    for (const Section section :
         {kIdMarks, kRowLayout, kLengths, kNamespaces, kTalks, kTermSizes, kLists}) {
      rooms[section] = Room(small[section], header.sizes[section]);
    }
    return rooms;
  }

  /// What is missing of `segment` once its rooms are filled; or which section is damaged.
  static absl::Status Complete(const Small& small, Segment& segment) {
    using Decode = absl::Status (*)(const std::string&, Segment&);
    constexpr std::array<std::pair<Section, Decode>, 7> kDecoders = {{
        {kIdMarks, DecodeIds},
        {kLengths, DecodeLengths},
        {kRowLayout, DecodeRows},
        {kNamespaces, DecodeNamespaces},
        {kTalks, DecodeTalks},
        {kTermSizes, DecodeTerms},
        {kLists, DecodeLists},
    }};
    for (const auto& [section, decode] : kDecoders) {
      AIMEM_RETURN_IF_ERROR(Annotate(decode(small[section], segment), kNames[section]));
    }
    return IsInOrder(segment) ? absl::OkStatus() : absl::DataLossError("documents out of order");
  }

  static std::shared_ptr<Segment> New() { return std::shared_ptr<Segment>(new Segment()); }

 private:
  // One bit an id, from the lowest of the first byte on; none at all if no id is a text.
  static std::string EncodeMarks(const std::vector<bool>& marks) {
    std::string bytes((marks.size() + 7) / 8, '\0');
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (marks[i]) bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
    }
    return bytes;
  }

  static absl::Status DecodeIds(const std::string& bytes, Segment& segment) {
    IdTable& ids = segment.ids_;
    const std::size_t count = ids.slots_.size();
    if (bytes.empty() && !ids.text_.empty()) return absl::DataLossError("a text of no id");
    if (!bytes.empty() && bytes.size() != (count + 7) / 8) {
      return absl::DataLossError("marks of more ids, or fewer");
    }
    if (!bytes.empty()) ids.is_text_.resize(count);
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < ids.is_text_.size(); ++i) {
      if ((bytes[i / 8] >> i % 8 & 1) == 0) continue;
      ids.is_text_[i] = true;
      const std::uint8_t* const slot = ids.slots_[i].bytes.data();
      const std::uint64_t size = LoadNumber(slot + sizeof(std::uint64_t));
      if (LoadNumber(slot) != next || size > ids.text_.size() - next) {
        return absl::DataLossError("an id that lies elsewhere than behind the one before");
      }
      next += size;
      if (IdTable::IsUuid(ids.TextAt(static_cast<Ordinal>(i)))) {
        return absl::DataLossError("a UUID as a text");
      }
    }
    if (next != ids.text_.size()) return absl::DataLossError("text behind the last id");
    if (EncodeMarks(ids.is_text_) != bytes) return absl::DataLossError("a mark of no id");
    return ids.Finish() ? absl::OkStatus() : absl::DataLossError("an id that is there twice");
  }

  static absl::Status DecodeLengths(const std::string& bytes, Segment& segment) {
    log::Reader reader(bytes);
    const std::size_t count = segment.ids_.size();
    segment.lengths_.reserve(count);
    while (segment.lengths_.size() < count) {
      const std::optional<std::uint32_t> length = ReadU32(reader);
      if (!length) return reader.status();
      segment.lengths_.push_back(*length);
      segment.total_length_ += *length;
    }
    return Ended(reader);
  }

  static std::string EncodeLayout(const DocumentRows& rows) {
    std::string bytes;
    for (std::size_t column = 0; column < DocumentRows::kColumns; ++column) {
      bytes.push_back(static_cast<char>(std::bit_width(rows.masks_[column]) / 8));
      log::AppendU64(rows.least_[column], bytes);
    }
    for (const std::uint64_t confidence : rows.confidences_) log::AppendU64(confidence, bytes);
    return bytes;
  }

  static absl::Status DecodeRows(const std::string& bytes, Segment& segment) {
    DocumentRows& rows = segment.rows_;
    log::Reader reader(bytes);
    for (std::size_t column = 0; column < DocumentRows::kColumns; ++column) {
      const std::size_t width = reader.Byte();
      if (width > sizeof(std::uint64_t)) reader.Fail("a column wider than a number");
      if (!reader.ok()) return reader.status();
      rows.offsets_[column] = static_cast<std::uint8_t>(rows.row_size_);
      rows.masks_[column] = width == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * width) - 1;
      rows.least_[column] = reader.U64();
      rows.row_size_ += width;
    }
    while (reader.ok() && !reader.AtEnd()) {
      rows.confidences_.push_back(reader.U64());
      const double confidence = std::bit_cast<double>(rows.confidences_.back());
      // Scores that are no numbers have no order, and sorting relies on one.
      if (!(confidence >= 0 && confidence <= 1)) reader.Fail("a confidence that is none");
    }
    AIMEM_RETURN_IF_ERROR(Ended(reader));
    rows.filled_ = rows.row_size_ * segment.ids_.size();
    if (rows.filled_ + kBytesAfter != rows.bytes_.size()) {
      return absl::DataLossError("rows of more documents, or fewer");
    }
    for (Ordinal i = 0; i < segment.ids_.size(); ++i) {
      if (!rows.IsSound(i)) {
        return absl::DataLossError(absl::StrCat("row ", i, " says what no document is"));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status DecodeNamespaces(const std::string& bytes, Segment& segment) {
    log::Reader reader(bytes);
    Ordinal next = 0;
    const Ordinal end = segment.size();
    while (reader.ok() && !reader.AtEnd()) {
      NamespacePart part;
      part.name = reader.Bytes(bytes.size());
      const std::uint32_t documents = ReadU32(reader).value_or(0);
      if (documents == 0 || documents > end - next ||
          (!segment.namespaces_.empty() && part.name <= segment.namespaces_.back().name)) {
        reader.Fail("a namespace out of order, or without documents");
        break;
      }
      part.documents = {next, next + documents};
      for (; next < part.documents.end; ++next) part.total_length += segment.lengths_[next];
      segment.namespaces_.push_back(std::move(part));
    }
    AIMEM_RETURN_IF_ERROR(Ended(reader));
    return next == end ? absl::OkStatus() : absl::DataLossError("documents of no namespace");
  }

  static absl::Status DecodeTalks(const std::string& bytes, Segment& segment) {
    log::Reader reader(bytes);
    const Ordinal end = segment.size();
    Ordinal next = 0;
    while (reader.ok() && !reader.AtEnd()) {
      const std::string_view stream = reader.Bytes(bytes.size());
      const std::uint32_t gap = ReadU32(reader).value_or(0);
      const std::uint32_t turns = ReadU32(reader).value_or(0);
      if (stream.empty() || turns == 0 || gap > end - next || turns > end - next - gap) {
        reader.Fail("turns that are not there");
        break;
      }
      const Ordinal begin = next + gap;
      next = begin + turns;
      segment.talks_.Add(stream);
      segment.turns_.push_back({begin, next});
    }
    AIMEM_RETURN_IF_ERROR(Ended(reader));
    segment.talks_.Finish();
    segment.SortTalks();
    return TalksAreInOrder(segment) ? absl::OkStatus() : absl::DataLossError("talks out of order");
  }

  // Those of a namespace come one after the other, the last documents of it; no two are the same.
  static bool TalksAreInOrder(const Segment& segment) {
    const std::vector<OrdinalRange>& turns = segment.turns_;
    for (std::size_t i = 0; i < turns.size(); ++i) {
      const OrdinalRange all = segment.namespaces_[segment.NamespaceOf(turns[i].begin)].documents;
      if (turns[i].end == all.end) continue;
      if (turns[i].end > all.end || i + 1 == turns.size() || turns[i + 1].begin != turns[i].end ||
          segment.talks_[i] >= segment.talks_[i + 1]) {
        return false;
      }
    }
    const std::vector<std::uint32_t>& by_name = segment.talks_by_name_;
    return std::adjacent_find(by_name.begin(), by_name.end(),
                              [&segment](std::uint32_t a, std::uint32_t b) {
                                return segment.talks_[a] == segment.talks_[b];
                              }) == by_name.end();
  }

  // Documents of one namespace and talk are ascending by (created at, id): who sorts turns of
  // several segments takes the order within each from their numbers.
  static bool IsInOrder(const Segment& segment) {
    auto part = segment.namespaces_.begin();
    auto turns = segment.turns_.begin();
    for (Ordinal i = 0; i < segment.size(); ++i) {
      const bool is_first_of_part = part != segment.namespaces_.end() && part->documents.begin == i;
      const bool is_first_turn = turns != segment.turns_.end() && turns->begin == i;
      if (is_first_of_part) ++part;
      if (is_first_turn) ++turns;
      if (is_first_of_part || is_first_turn) continue;
      const auto order = segment.CreatedAt(i - 1) <=> segment.CreatedAt(i);
      if (order > 0 || (order == 0 && segment.CompareIds(i - 1, segment, i) >= 0)) return false;
    }
    return true;
  }

  static absl::Status DecodeTerms(const std::string& bytes, Segment& segment) {
    StringList& terms = segment.terms_;
    log::Reader reader(bytes);
    std::uint64_t end = 0;
    while (reader.ok() && !reader.AtEnd()) {
      const std::uint64_t size = reader.Varint();
      if (size > terms.text_.size() - end) reader.Fail("a term that is not there");
      if (!reader.ok()) break;
      end += size;
      terms.ends_.push_back(end);
      const std::size_t count = terms.size();
      if (count > 1 && terms[count - 2] >= terms[count - 1]) reader.Fail("terms out of order");
    }
    AIMEM_RETURN_IF_ERROR(Ended(reader));
    terms.ends_.shrink_to_fit();
    return end == terms.text_.size() ? absl::OkStatus() : absl::DataLossError("text of no term");
  }

  static void EncodeLists(const PostingLists& postings, std::string& bytes) {
    const std::vector<PostingLists::List>& lists = postings.lists_;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      const std::uint64_t end =
          i + 1 < lists.size() ? lists[i + 1].begin : postings.bytes_.size() - kBytesAfter;
      log::AppendVarint(lists[i].used, bytes);
      log::AppendVarint(lists[i].named_only, bytes);
      log::AppendVarint(end - lists[i].begin, bytes);
    }
  }

  static absl::Status DecodeLists(const std::string& bytes, Segment& segment) {
    PostingLists& postings = segment.postings_;
    const std::span<const std::uint8_t> all(postings.bytes_.data(),
                                            postings.bytes_.size() - kBytesAfter);
    log::Reader reader(bytes);
    std::uint64_t begin = 0;
    postings.lists_.reserve(segment.terms());
    while (postings.lists_.size() < segment.terms()) {
      PostingLists::List list{.begin = begin};
      list.used = ReadU32(reader).value_or(0);
      list.named_only = ReadU32(reader).value_or(0);
      const std::uint64_t size = reader.Varint();
      if (!reader.ok()) return reader.status();
      if (size > all.size() - begin) return absl::DataLossError("a list that is not there");
      AIMEM_RETURN_IF_ERROR(PostingLists::CheckList(
          all.subspan(begin, size), {.used = list.used, .named_only = list.named_only},
          segment.size()));
      begin += size;
      postings.lists_.push_back(list);
    }
    AIMEM_RETURN_IF_ERROR(Ended(reader));
    return begin == all.size() ? absl::OkStatus() : absl::DataLossError("postings of no term");
  }
};

// -- SegmentEncoder -------------------------------------------------------------------------------

class SegmentEncoder::State {
 public:
  explicit State(std::shared_ptr<const Segment> segment)
      : segment_(std::move(segment)), small_(SegmentCode::EncodeSmall(*segment_)) {
    const auto sections = SegmentCode::Sections(*segment_, small_);
    Header header{.documents = segment_->size()};
    size_ = kHeaderSize + kHashSize;
    for (std::size_t i = 0; i < kSections; ++i) {
      header.sizes[i] = sections[i].size();
      size_ += sections[i].size();
    }
    header_ = EncodeHeader(header);
    pieces_[0] = header_;
    std::copy(sections.begin(), sections.end(), pieces_.begin() + 1);
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }

  std::string Next(std::size_t max) {
    std::string bytes;
    while (bytes.size() < max && piece_ < pieces_.size()) {
      std::string_view& piece = pieces_[piece_];
      const std::string_view taken = piece.substr(0, max - bytes.size());
      if (piece_ < kHash) hash_.Add(taken);
      bytes += taken;
      piece.remove_prefix(taken.size());
      if (!piece.empty()) continue;
      if (++piece_ != kHash) continue;
      digest_ = hash_.Take();
      pieces_[kHash] = AsBytes(digest_);
    }
    return bytes;
  }

 private:
  static constexpr std::size_t kHash = 1 + kSections;  // the last piece

  const std::shared_ptr<const Segment> segment_;
  const SegmentCode::Small small_;
  std::string header_;
  std::array<std::string_view, kHash + 1> pieces_;  // what is left of each
  std::size_t piece_ = 0;
  std::uint64_t size_ = 0;
  Sha256Stream hash_;
  Hash256 digest_{};
};

SegmentEncoder::SegmentEncoder(std::shared_ptr<const Segment> segment)
    : state_(std::make_unique<State>(std::move(segment))) {}
SegmentEncoder::~SegmentEncoder() = default;
std::uint64_t SegmentEncoder::size() const { return state_->size(); }
std::string SegmentEncoder::Next(std::size_t max) { return state_->Next(max); }

// -- SegmentDecoder -------------------------------------------------------------------------------

class SegmentDecoder::State {
 public:
  explicit State(std::uint64_t size) : size_(size) {
    if (size < kHeaderSize + kHashSize) status_ = absl::DataLossError("fewer bytes than a header");
    rooms_[0] = header_;
    rooms_[kHash] = {reinterpret_cast<char*>(expected_.data()), expected_.size()};
  }

  absl::Status Add(std::string_view bytes) {
    while (status_.ok() && !bytes.empty()) {
      if (room_ == rooms_.size()) {
        status_ = absl::DataLossError("bytes after the segment");
        break;
      }
      std::span<char>& room = rooms_[room_];
      const std::string_view taken = bytes.substr(0, room.size());
      std::copy(taken.begin(), taken.end(), room.begin());
      if (room_ < kHash) hash_.Add(taken);
      bytes.remove_prefix(taken.size());
      room = room.subspan(taken.size());
      PassFullRooms();
    }
    return Annotate(status_, "segment of the index");
  }

  absl::StatusOr<std::shared_ptr<const Segment>> Take() {
    if (status_.ok() && room_ < rooms_.size()) status_ = absl::DataLossError("it is cut");
    if (status_.ok() && hash_.Take() != expected_) {
      status_ = absl::DataLossError("it is not what was written");
    }
    if (status_.ok()) status_ = SegmentCode::Complete(small_, *segment_);
    if (!status_.ok()) return Annotate(status_, "segment of the index");
    return std::move(segment_);
  }

 private:
  static constexpr std::size_t kHash = 1 + kSections;

  void PassFullRooms() {
    while (status_.ok() && room_ < rooms_.size() && rooms_[room_].empty()) {
      if (room_++ == 0) MakeRooms();
    }
  }

  void MakeRooms() {
    const absl::StatusOr<Header> header = DecodeHeader({header_.data(), header_.size()}, size_);
    status_ = header.status();
    if (!header.ok()) return;
    const auto rooms = SegmentCode::Rooms(*header, *segment_, small_);
    std::copy(rooms.begin(), rooms.end(), rooms_.begin() + 1);
  }

  const std::uint64_t size_;
  absl::Status status_;
  std::array<char, kHeaderSize> header_{};
  std::shared_ptr<Segment> segment_ = SegmentCode::New();
  SegmentCode::Small small_;
  std::array<std::span<char>, kHash + 1> rooms_;  // what is left of each
  std::size_t room_ = 0;
  Sha256Stream hash_;
  Hash256 expected_{};
};

SegmentDecoder::SegmentDecoder(std::uint64_t size) : state_(std::make_unique<State>(size)) {}
SegmentDecoder::~SegmentDecoder() = default;
absl::Status SegmentDecoder::Add(std::string_view bytes) { return state_->Add(bytes); }
absl::StatusOr<std::shared_ptr<const Segment>> SegmentDecoder::Take() { return state_->Take(); }

}  // namespace aimem::index
