#include "lib/transfer/import_document.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <istream>
#include <limits>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"

namespace aimem::transfer {
namespace {

// Feeds the parser up to a limit and knows the line and column that it has come to.
class CountingBuffer final : public std::streambuf {
 public:
  explicit CountingBuffer(std::istream& in) : in_(in) {}

  [[nodiscard]] bool too_large() const { return too_large_; }

  [[nodiscard]] std::string Position() const {
    std::size_t line = line_;
    std::size_t column = column_;
    Count(eback(), gptr(), line, column);
    return absl::StrFormat("line %d, column %d", line, column);
  }

 protected:
  int_type underflow() override {
    Count(eback(), gptr(), line_, column_);
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    const std::streamsize count = in_.gcount();
    total_ += static_cast<std::size_t>(count);
    if (total_ > kDocumentBytesMax) too_large_ = true;
    const std::streamsize given = too_large_ ? 0 : count;
    setg(buffer_.data(), buffer_.data(), buffer_.data() + given);
    return given == 0 ? traits_type::eof() : traits_type::to_int_type(buffer_[0]);
  }

 private:
  static void Count(const char* begin, const char* end, std::size_t& line, std::size_t& column) {
    for (const char* at = begin; at != end; ++at) {
      column = *at == '\n' ? 0 : column + 1;
      if (*at == '\n') ++line;
    }
  }

  std::istream& in_;
  std::array<char, 1u << 16> buffer_;
  std::size_t total_ = 0;
  std::size_t line_ = 1;
  std::size_t column_ = 0;
  bool too_large_ = false;
};

enum Field : unsigned {
  kId,
  kTier,
  kNamespace,
  kTitle,
  kContent,
  kTags,
  kPriority,
  kConfidence,
  kSource,
  kAccessCount,
  kCreatedAt,
  kUpdatedAt,
  kLastAccessedAt,
  kExpiresAt,
  kMetadata,
  kUnknownField
};  // in the order of kFieldNames
constexpr std::array<std::string_view, kUnknownField> kFieldNames = {
    "id",         "tier",       "namespace",        "title",      "content",
    "tags",       "priority",   "confidence",       "source",     "access_count",
    "created_at", "updated_at", "last_accessed_at", "expires_at", "metadata"};
constexpr unsigned kRequiredFields = kUpdatedAt + 1;

Field FindField(std::string_view name) {
  const auto found = std::find(kFieldNames.begin(), kFieldNames.end(), name);
  return static_cast<Field>(found - kFieldNames.begin());
}

struct Scalar {
  enum Type : std::uint8_t { kNull, kBool, kInteger, kFloat, kString } type = kNull;
  std::int64_t integer = 0;
  double number = 0;      // of an integer as well
  std::string_view text;  // of a string its value; else the JSON
};

std::string ScalarJson(const Scalar& scalar) {
  return scalar.type == Scalar::kString ? model::JsonString(scalar.text) : std::string(scalar.text);
}

// Collects the events of one value as JSON text again.
class Capture {
 public:
  void Open(char bracket) {
    AddComma();
    text_ += bracket;
    fresh_ = true;
    ++depth_;
  }
  void Key(std::string_view key) {
    AddComma();
    text_ += model::JsonString(key);
    text_ += ':';
    fresh_ = true;
  }
  void Value(std::string_view json) {
    AddComma();
    text_ += json;
  }
  /// True: the value is complete.
  bool Close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return --depth_ == 0;
  }
  [[nodiscard]] bool active() const { return depth_ > 0; }
  std::string Take() {
    fresh_ = true;
    return std::exchange(text_, {});
  }

 private:
  void AddComma() {
    if (!std::exchange(fresh_, false)) text_ += ',';
  }

  std::string text_;
  int depth_ = 0;
  bool fresh_ = true;
};

// The parser's events, by the place in the document at which they come.
class DocumentReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  DocumentReader(CountingBuffer& buffer, ImportDocument& document)
      : buffer_(buffer), document_(document) {}

  [[nodiscard]] const absl::Status& status() const { return status_; }

  absl::Status Finish() {
    if (!status_.ok()) return status_;
    if (has_memories_ || has_links_) return absl::OkStatus();
    Fail("neither \"memories\" nor \"links\" is there: this is no export of memories");
    return status_;
  }

  bool null() override { return Value({.type = Scalar::kNull, .text = "null"}); }
  bool boolean(bool value) override {
    return Value({.type = Scalar::kBool, .text = value ? "true" : "false"});
  }
  bool number_integer(number_integer_t value) override {
    const std::string text = std::to_string(value);
    return Value({.type = Scalar::kInteger,
                  .integer = value,
                  .number = static_cast<double>(value),
                  .text = text});
  }
  bool number_unsigned(number_unsigned_t value) override {
    const std::string text = std::to_string(value);
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return Value({.type = Scalar::kInteger,
                  .integer = static_cast<std::int64_t>(std::min<std::uint64_t>(value, kMax)),
                  .number = static_cast<double>(value),
                  .text = text});
  }
  bool number_float(number_float_t value, const string_t& text) override {
    return Value({.type = Scalar::kFloat, .number = value, .text = text});
  }
  bool string(string_t& value) override { return Value({.type = Scalar::kString, .text = value}); }
  bool binary(binary_t& /*value*/) override { return Fail("binary data"); }
  bool start_object(std::size_t /*size*/) override { return Open('{'); }
  bool start_array(std::size_t /*size*/) override { return Open('['); }
  bool end_object() override { return Close('}'); }
  bool end_array() override { return Close(']'); }
  bool key(string_t& name) override {
    if (skip_depth_ > 0) return true;
    if (capture_.active()) {
      capture_.Key(name);
    } else {
      key_ = name;
    }
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …; last read: '…'": what
    // was read last may be long, and any bytes.
    std::string_view text = error.what();
    text = text.substr(0, text.find("; last read"));
    const std::size_t reason = text.find(": ");
    if (reason != std::string_view::npos) text.remove_prefix(reason + 2);
    if (!IsUtf8(text)) text = "not JSON";
    return Fail(FirstCharacters(text, 200));
  }

 private:
  enum class Place { kStart, kRoot, kMemories, kMemory, kTags, kLinks, kLink };

  bool Fail(std::string_view why) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(
          absl::StrFormat("the document cannot be imported: %s: %s", buffer_.Position(), why));
    }
    return false;
  }

  bool FailInMemory(std::string_view why) {
    return Fail(absl::StrFormat("memory %d: %s", document_.memories.size(), why));
  }

  bool Value(const Scalar& scalar) {
    if (skip_depth_ > 0) return true;
    if (capture_.active()) {
      capture_.Value(ScalarJson(scalar));
      return true;
    }
    switch (place_) {
      case Place::kStart:
        return Fail("the document must be a JSON object");
      case Place::kRoot:
        return key_ != "memories" || Fail("\"memories\" must be an array");
      case Place::kMemories:
        return Fail("a memory must be an object");
      case Place::kMemory:
        return MemoryField(scalar);
      case Place::kTags:
        if (scalar.type != Scalar::kString) return FailInMemory("a tag must be a string");
        AddTag(scalar.text);
        return true;
      case Place::kLinks:
        ++document_.malformed_links;
        return true;
      case Place::kLink:
        LinkField(scalar);
        return true;
    }
    return true;
  }

  bool Open(char bracket) {
    if (++depth_ > kDocumentDepthMax) {
      return Fail(absl::StrFormat("nested deeper than %d levels", kDocumentDepthMax));
    }
    if (skip_depth_ > 0) {
      ++skip_depth_;
      return true;
    }
    if (capture_.active()) {
      capture_.Open(bracket);
      return true;
    }
    return OpenAtPlace(bracket);
  }

  bool OpenAtPlace(char bracket) {
    switch (place_) {
      case Place::kStart:
        if (bracket != '{') return Fail("the document must be a JSON object");
        place_ = Place::kRoot;
        return true;
      case Place::kRoot:
        return OpenInRoot(bracket);
      case Place::kMemories:
        if (bracket != '{') return Fail("a memory must be an object");
        document_.memories.emplace_back();
        seen_ = 0;
        place_ = Place::kMemory;
        return true;
      case Place::kMemory:
        return OpenInMemory(bracket);
      case Place::kTags:
        return FailInMemory("a tag must be a string");
      case Place::kLinks:
        if (bracket == '{') {
          document_.links.emplace_back();
          place_ = Place::kLink;
        } else {
          ++document_.malformed_links;
          skip_depth_ = 1;
        }
        return true;
      case Place::kLink:
        skip_depth_ = 1;
        return true;
    }
    return true;
  }

  bool OpenInRoot(char bracket) {
    if (key_ == "memories") {
      if (bracket != '[') return Fail("\"memories\" must be an array");
      has_memories_ = true;
      document_.memories.clear();
      place_ = Place::kMemories;
    } else if (key_ == "links" && bracket == '[') {
      has_links_ = true;
      document_.links.clear();
      place_ = Place::kLinks;
    } else {
      skip_depth_ = 1;
    }
    return true;
  }

  bool OpenInMemory(char bracket) {
    const Field field = FindField(key_);
    if (field == kMetadata) {
      capture_.Open(bracket);
    } else if (field == kTags && bracket == '[') {
      seen_ |= 1u << kTags;
      document_.memories.back().memory.tags.clear();
      place_ = Place::kTags;
    } else if (field == kUnknownField) {
      skip_depth_ = 1;
    } else {
      return WrongType();
    }
    return true;
  }

  bool Close(char bracket) {
    --depth_;
    if (skip_depth_ > 0) {
      --skip_depth_;
      return true;
    }
    if (capture_.active()) {
      if (capture_.Close(bracket)) document_.memories.back().memory.metadata = capture_.Take();
      return true;
    }
    switch (place_) {
      case Place::kMemory:
        place_ = Place::kMemories;
        return CheckComplete();
      case Place::kTags:
        place_ = Place::kMemory;
        return true;
      case Place::kLink:
        place_ = Place::kLinks;
        DropMalformedLink();
        return true;
      case Place::kMemories:
      case Place::kLinks:
        place_ = Place::kRoot;
        return true;
      case Place::kStart:
      case Place::kRoot:
        return true;
    }
    return true;
  }

  // Three bytes of a document must not take the room of a link.
  void DropMalformedLink() {
    const AddLink& link = document_.links.back().link;
    if (!link.source_id.empty() && !link.target_id.empty()) return;
    document_.links.pop_back();
    ++document_.malformed_links;
  }

  bool CheckComplete() {
    for (unsigned field = 0; field < kRequiredFields; ++field) {
      if ((seen_ & (1u << field)) == 0) {
        return FailInMemory(absl::StrFormat("field \"%s\" is missing", kFieldNames[field]));
      }
    }
    return true;
  }

  // One too many is enough for validation to refuse the memory.
  void AddTag(std::string_view tag) {
    std::vector<std::string>& tags = document_.memories.back().memory.tags;
    if (tags.size() <= limits::kTags) tags.emplace_back(tag);
  }

  bool WrongType() {
    return FailInMemory(absl::StrFormat("field \"%s\" has another type than a memory's", key_));
  }

  void Refuse(const absl::Status& status) { document_.memories.back().status.Update(status); }

  bool MemoryField(const Scalar& scalar) {
    const Field field = FindField(key_);
    if (field == kUnknownField) return true;
    seen_ |= 1u << field;
    Memory& memory = document_.memories.back().memory;
    switch (field) {
      case kMetadata:
        memory.metadata = ScalarJson(scalar);  // no object: refused with the values
        return true;
      case kTags:
        return WrongType();
      case kPriority:
      case kAccessCount:
        if (scalar.type != Scalar::kInteger) return WrongType();
        if (field == kPriority) Refuse(model::CheckPriority(scalar.integer));
        (field == kPriority ? Priority(memory, scalar) : AccessCount(memory, scalar));
        return true;
      case kConfidence:
        if (scalar.type != Scalar::kInteger && scalar.type != Scalar::kFloat) return WrongType();
        memory.confidence = scalar.number;
        return true;
      case kLastAccessedAt:
      case kExpiresAt:
        if (scalar.type == Scalar::kNull) return true;
        break;
      default:
        break;
    }
    if (scalar.type != Scalar::kString) return WrongType();
    TextField(field, scalar.text, memory);
    return true;
  }

  static void Priority(Memory& memory, const Scalar& scalar) {
    memory.priority = static_cast<std::int32_t>(std::clamp<std::int64_t>(scalar.integer, 0, 11));
  }
  static void AccessCount(Memory& memory, const Scalar& scalar) {
    memory.access_count = scalar.integer;
  }

  void TextField(Field field, std::string_view text, Memory& memory) {
    switch (field) {
      case kId:
        memory.id = text;
        return;
      case kTier:
        if (const std::optional<Tier> tier = ParseTier(text)) {
          memory.tier = *tier;
        } else {
          Refuse(absl::InvalidArgumentError(absl::StrFormat(
              "invalid tier: %s (use short, mid, long)", FirstCharacters(text, 40))));
        }
        return;
      case kNamespace:
        memory.namespace_ = text;
        return;
      case kTitle:
        memory.title = text;
        return;
      case kContent:
        memory.content = text;
        return;
      case kSource:
        memory.source = text;
        return;
      default:
        TimeField(field, text, memory);
        return;
    }
  }

  void TimeField(Field field, std::string_view text, Memory& memory) {
    const std::optional<absl::Time> time = model::ParseTime(text);
    if (!time) {
      Refuse(absl::InvalidArgumentError(absl::StrFormat(
          "%s is not valid RFC3339: '%s'", kFieldNames[field], FirstCharacters(text, 60))));
    } else if (field == kCreatedAt) {
      memory.created_at = *time;
    } else if (field == kUpdatedAt) {
      memory.updated_at = *time;
    } else if (field == kLastAccessedAt) {
      memory.last_accessed_at = time;
    } else {
      memory.expires_at = time;
    }
  }

  void LinkField(const Scalar& scalar) {
    DocumentLink& item = document_.links.back();
    std::string* text = key_ == "source_id"   ? &item.link.source_id
                        : key_ == "target_id" ? &item.link.target_id
                        : key_ == "relation"  ? &item.link.relation
                                              : nullptr;
    if (text != nullptr) *text = scalar.type == Scalar::kString ? scalar.text : "";
    if (key_ != "created_at" || scalar.type != Scalar::kString) return;
    item.link.created_at = model::ParseTime(scalar.text);
    if (!item.link.created_at) {
      item.status.Update(absl::InvalidArgumentError("created_at is not valid RFC3339"));
    }
  }

  CountingBuffer& buffer_;
  ImportDocument& document_;
  absl::Status status_;
  Place place_ = Place::kStart;
  std::string key_;
  Capture capture_;
  int depth_ = 0;
  int skip_depth_ = 0;
  unsigned seen_ = 0;  // bit per Field of the memory at hand
  bool has_memories_ = false;
  bool has_links_ = false;
};

}  // namespace

absl::StatusOr<ImportDocument> ParseImportDocument(std::istream& in) {
  ImportDocument document;
  CountingBuffer buffer(in);
  std::istream bounded(&buffer);
  DocumentReader reader(buffer, document);
  try {
    nlohmann::json::sax_parse(bounded, &reader);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the document does not fit into memory");
  } catch (const std::exception& error) {
    return MakeStatus(absl::StatusCode::kInternal, error.what());
  }
  if (in.bad()) return absl::UnavailableError("reading the document failed");
  if (buffer.too_large()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the document is larger than %d bytes: split it", kDocumentBytesMax));
  }
  AIMEM_RETURN_IF_ERROR(reader.Finish());
  return document;
}

}  // namespace aimem::transfer
