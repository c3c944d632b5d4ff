// Canonical JSON. Reading is nlohmann's parser, which keeps its own stack, so that hostile depth
// costs a bit a level; the writer, and the scanner of what it wrote, are here.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

// More than any document of ours needs; it bounds the copying from level to level.
constexpr int kDepthMax = 64;

// -- Writing ------------------------------------------------------------------------------------

// The letter after the backslash for characters that have a short escape, else NUL.
char ShortEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
      return c;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return '\0';
  }
}

void AppendEscaped(std::string& out, char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('\\');
  if (const char letter = ShortEscape(c); letter != '\0') {
    out.push_back(letter);
    return;
  }
  out.append("u00");
  out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
  out.push_back(kDigits[static_cast<unsigned char>(c) & 0xf]);
}

bool MustBeEscaped(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!MustBeEscaped(text[i])) continue;
    out.append(text.substr(written, i - written));
    AppendEscaped(out, text[i]);
    written = i + 1;
  }
  out.append(text.substr(written)).push_back('"');
}

template <typename Number>
std::string NumberText(Number value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

// A whole double keeps a ".0", so that it is read as a double again: 1.0 and 1 stay apart.
std::string DoubleText(double value) {
  if (value == 0) return "0.0";
  std::string text = NumberText(value);
  if (text.find_first_of(".e") == text.npos) text.append(".0");
  return text;
}

// -- Reading ------------------------------------------------------------------------------------

// Receives the parser's events and builds the canonical text from the innermost level outwards.
// Past `depth_limit` it only counts, for the error message.
class Canonicaliser {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  explicit Canonicaliser(int depth_limit) : depth_limit_(depth_limit) {}

  bool null() { return Value("null"); }
  bool boolean(bool value) { return Value(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) { return Value(NumberText(value)); }
  bool number_unsigned(number_unsigned_t value) { return Value(NumberText(value)); }
  bool number_float(number_float_t value, const string_t& /*text*/) {
    return Value(DoubleText(value));
  }
  bool string(string_t& value) { return Value(JsonString(value)); }
  bool binary(binary_t& /*value*/) { return false; }

  bool start_object(std::size_t /*size*/) {
    if (depth_ == 0) is_object_ = true;
    return Open();
  }
  bool start_array(std::size_t /*size*/) { return Open(); }
  bool key(string_t& key) {
    if (!TooDeep()) levels_.back().key = std::move(key);
    return true;
  }
  bool end_object() { return Close(&Canonicaliser::ObjectText); }
  bool end_array() { return Close(&Canonicaliser::ArrayText); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& error) {
    // 406: a number that no double can hold. All others are errors of syntax or encoding.
    error_ = absl::StrFormat(
        "%s near byte %d",
        error.id == 406 ? "number out of range" : "syntax error, invalid UTF-8 or lone surrogate",
        position);
    return false;
  }

  bool TooDeep() const { return depth_max_ > depth_limit_; }
  int depth_max() const { return depth_max_; }
  bool is_object() const { return is_object_; }
  const std::string& error() const { return error_; }
  std::string TakeText() { return std::move(text_); }

 private:
  struct Level {
    std::string key;  // of the member being read
    std::vector<std::pair<std::string, std::string>> items;
  };

  bool Open() {
    depth_max_ = std::max(depth_max_, ++depth_);
    if (!TooDeep()) levels_.emplace_back();
    return true;
  }

  bool Close(std::string (*write)(Level&)) {
    --depth_;
    if (TooDeep()) return true;
    std::string text = write(levels_.back());
    levels_.pop_back();
    return Value(std::move(text));
  }

  bool Value(std::string text) {
    if (TooDeep()) return true;
    if (levels_.empty()) {
      text_ = std::move(text);
    } else {
      levels_.back().items.emplace_back(std::move(levels_.back().key), std::move(text));
      levels_.back().key.clear();
    }
    return true;
  }

  static std::string ArrayText(Level& level) {
    std::string text = "[";
    for (const auto& [key, value] : level.items) {
      if (text.size() > 1) text.push_back(',');
      text.append(value);
    }
    text.push_back(']');
    return text;
  }

  static std::string ObjectText(Level& level) {
    auto& items = level.items;
    std::stable_sort(items.begin(), items.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text = "{";
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i + 1 < items.size() && items[i].first == items[i + 1].first) continue;
      if (text.size() > 1) text.push_back(',');
      AppendJsonString(text, items[i].first);
      text.append(":").append(items[i].second);
    }
    text.push_back('}');
    return text;
  }

  const int depth_limit_;
  int depth_ = 0;
  int depth_max_ = 0;
  bool is_object_ = false;
  std::vector<Level> levels_;
  std::string text_;
  std::string error_;
};

// `what` is the subject of the error message.
absl::Status Read(std::string_view json, std::string_view what, Canonicaliser& canonicaliser) {
  std::string error;
  // The parser takes a NUL for the end of its input and would not look at what follows.
  if (const std::size_t nul = json.find('\0'); nul != json.npos) {
    error = absl::StrFormat("syntax error near byte %d", nul + 1);
  } else {
    try {
      if (nlohmann::json::sax_parse(json.begin(), json.end(), &canonicaliser)) {
        return absl::OkStatus();
      }
      error = canonicaliser.error();
    } catch (const std::bad_alloc&) {
      return MakeStatus(absl::StatusCode::kResourceExhausted, "no memory to read JSON");
    } catch (const std::exception&) {
      error = "unreadable";
    }
  }
  return InvalidField(what, json, absl::StrFormat("%s is not valid JSON: %s", what, error));
}

// -- Scanning canonical text --------------------------------------------------------------------
// All of these stay inside the text whatever it is, and return npos where it is not canonical.

// The end of the string literal that begins at `at`.
std::size_t StringEnd(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '"') return text.npos;
  while ((at = text.find_first_of("\"\\", at + 1)) != text.npos) {
    if (text[at] == '"') return at + 1;
    if (++at >= text.size()) return text.npos;
  }
  return text.npos;
}

// The end of the object or array that begins at `at`.
std::size_t ContainerEnd(std::string_view text, std::size_t at) {
  int depth = 0;
  while ((at = text.find_first_of("\"{}[]", at)) != text.npos) {
    if (text[at] == '"') {
      at = StringEnd(text, at);
      if (at == text.npos) return at;
      continue;
    }
    depth += text[at] == '{' || text[at] == '[' ? 1 : -1;
    ++at;
    if (depth == 0) return at;
  }
  return text.npos;
}

std::size_t ValueEnd(std::string_view text, std::size_t at) {
  if (at >= text.size()) return text.npos;
  if (text[at] == '"') return StringEnd(text, at);
  if (text[at] == '{' || text[at] == '[') return ContainerEnd(text, at);
  return text.find_first_of(",}", at);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The character of the escape at the start of `text`, and its length; length 0 if the canonical
// writer does not write such an escape.
std::pair<char, std::size_t> ReadEscape(std::string_view text) {
  for (const char c : std::string_view("\"\\\b\f\n\r\t")) {
    if (text.size() >= 2 && text[1] == ShortEscape(c)) return {c, 2};
  }
  if (text.size() < 6 || text.substr(0, 4) != "\\u00") return {'\0', 0};
  const int high = HexDigit(text[4]);
  const int low = HexDigit(text[5]);
  if ((high != 0 && high != 1) || low < 0) return {'\0', 0};
  const char c = static_cast<char>(high * 16 + low);
  if (ShortEscape(c) != '\0') return {'\0', 0};
  return {c, 6};
}

}  // namespace

absl::StatusOr<std::string> CanonicalMetadata(std::string_view json) {
  Canonicaliser canonicaliser(limits::kMetadataDepth);
  AIMEM_RETURN_IF_ERROR(Read(json, "metadata", canonicaliser));
  std::string text = canonicaliser.TakeText();
  if (!canonicaliser.is_object()) {
    return InvalidField("metadata", text, "metadata must be a JSON object");
  }
  if (text.size() > limits::kMetadataBytes) {
    return InvalidField("metadata", std::to_string(text.size()),
                        absl::StrFormat("metadata exceeds max size of %d bytes (got %d)",
                                        limits::kMetadataBytes, text.size()),
                        std::to_string(limits::kMetadataBytes));
  }
  if (canonicaliser.TooDeep()) {
    return InvalidField("metadata", std::to_string(canonicaliser.depth_max()),
                        absl::StrFormat("metadata nesting depth exceeds limit of %d (got %d)",
                                        limits::kMetadataDepth, canonicaliser.depth_max()),
                        std::to_string(limits::kMetadataDepth));
  }
  return text;
}

absl::StatusOr<std::string> CanonicalJson(std::string_view json) {
  Canonicaliser canonicaliser(kDepthMax);
  AIMEM_RETURN_IF_ERROR(Read(json, "the value", canonicaliser));
  if (canonicaliser.TooDeep()) {
    return InvalidField("value", std::to_string(canonicaliser.depth_max()),
                        absl::StrFormat("JSON nesting depth exceeds limit of %d (got %d)",
                                        kDepthMax, canonicaliser.depth_max()),
                        std::to_string(kDepthMax));
  }
  return canonicaliser.TakeText();
}

std::vector<std::pair<std::string, std::string>> MetadataMembers(std::string_view canonical) {
  std::vector<std::pair<std::string, std::string>> members;
  std::size_t at = 1;
  while (at < canonical.size() && canonical[at] == '"') {
    const std::size_t key_end = StringEnd(canonical, at);
    if (key_end >= canonical.size() || canonical[key_end] != ':') break;
    const std::size_t value_end = ValueEnd(canonical, key_end + 1);
    if (value_end == canonical.npos) break;
    std::optional<std::string> key = JsonStringValue(canonical.substr(at, key_end - at));
    if (!key) break;
    members.emplace_back(*std::move(key), canonical.substr(key_end + 1, value_end - key_end - 1));
    at = value_end + 1;
  }
  return members;
}

std::string MetadataFromMembers(
    std::span<const std::pair<std::string_view, std::string_view>> members) {
  std::string text = "{";
  for (const auto& [key, value] : members) {
    if (text.size() > 1) text.push_back(',');
    AppendJsonString(text, key);
    text.push_back(':');
    text.append(value);
  }
  text.push_back('}');
  return text;
}

std::string JsonString(std::string_view text) {
  std::string literal;
  literal.reserve(text.size() + 2);
  AppendJsonString(literal, text);
  return literal;
}

std::optional<std::string> JsonStringValue(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != '"' || literal.back() != '"') return std::nullopt;
  std::string_view rest = literal.substr(1, literal.size() - 2);
  if (!IsUtf8(rest)) return std::nullopt;
  std::string text;
  text.reserve(rest.size());
  while (!rest.empty()) {
    const auto special = std::find_if(rest.begin(), rest.end(), MustBeEscaped);
    text.append(rest.begin(), special);
    rest.remove_prefix(static_cast<std::size_t>(special - rest.begin()));
    if (rest.empty()) break;
    const auto [character, length] =
        rest.front() == '\\' ? ReadEscape(rest) : std::pair<char, std::size_t>{'\0', 0};
    if (length == 0) return std::nullopt;
    text.push_back(character);
    rest.remove_prefix(length);
  }
  return text;
}

}  // namespace aimem::model
