#include "lib/execute/request.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_replace.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/execute/fields.h"
#include "lib/execute/kinds.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"

namespace aimem {

OperationId ChooseOperation(const WriteOptions& options, Random& random, absl::Time now) {
  return options.request_id.empty()
             ? execute::FreshOperation(random, now)
             : execute::KeyedOperation(options.principal, options.request_id);
}

namespace execute {
namespace {

// In the place of the number of a kind: what is asked for of the batch as a whole.
constexpr std::uint8_t kOfTheBatch = 0;
constexpr std::uint8_t kAllowPartial = 1;
constexpr std::uint8_t kAuthor = 2;

constexpr std::uint8_t kAnswerVersion = 1;
// What a commit can hold: earlier versions did not bound messages.
constexpr std::size_t kMaxText = log::kMaxCommitBytes;

bool Decides(const WriteBatch& batch) {
  return std::any_of(batch.items.begin(), batch.items.end(), [](const WriteItem& item) {
    return std::holds_alternative<DecidePending>(item);
  });
}

}  // namespace

std::string EncodeRequest(const WriteBatch& batch, bool allow_partial, std::string_view author) {
  std::string out;
  std::string fields;
  const auto append = [&](std::uint8_t number) {
    log::AppendVarint(number, out);
    log::AppendBytes(fields, out);
    fields.clear();
  };
  AppendField(kAllowPartial, allow_partial, false, fields);
  if (Decides(batch)) AppendField(kAuthor, std::string(author), std::string(), fields);
  if (!fields.empty()) append(kOfTheBatch);
  for (const WriteItem& item : batch.items) {
    std::visit(
        [&]<typename Item>(const Item& one) {
          AppendFields(one, Home<Item>::kFields, fields);
          append(Home<Item>::kNumber);
        },
        item);
  }
  return out;
}

Hash256 RequestHash(const WriteBatch& batch, bool allow_partial, std::string_view author) {
  return Sha256({EncodeRequest(batch, allow_partial, author)});
}

std::size_t ApproximateBytes(const WriteBatch& batch) {
  std::size_t bytes = batch.items.size() * sizeof(WriteItem);
  for (const WriteItem& item : batch.items) {
    bytes += std::visit(
        []<typename Item>(const Item& one) { return SumHeldBytes(one, Home<Item>::kFields); },
        item);
  }
  return bytes;
}

OperationId KeyedOperation(std::string_view principal, std::string_view request_id) {
  return Cut(Sha256({principal, std::string_view("\0", 1), request_id}));
}

OperationId DerivedOperation(const OperationId& operation, std::uint64_t k) {
  if (k == 0) return operation;
  std::string number;
  log::AppendU64(k, number);
  return Cut(Sha256({AsBytes(operation), number}));
}

OperationId FreshOperation(Random& random, absl::Time now) {
  OperationId id;
  random.Fill(id.bytes);
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(now)));
  for (int i = 0; i < 6; ++i) {
    id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  }
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));
  return id;
}

absl::Status BoundedMessage(absl::Status status) {
  constexpr std::string_view kCut = " [...]";
  const std::string_view message = ToStd(status.message());
  if (message.size() <= limits::kMessageBytes) return status;
  std::size_t end = limits::kMessageBytes - kCut.size();
  // Not inside a character of UTF-8.
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
  return WithPayloadsOf(
      status, MakeStatus(status.code(), std::string(message.substr(0, end)).append(kCut)));
}

namespace {

/// A commit keeps its answer for ever, under its hash: so that of a memory that is erased nothing
/// is left, the title that another memory has already is not kept.
std::string KeptMessage(const absl::Status& status) {
  const std::optional<ErrorDetail> detail = DetailOf(status);
  const bool named = detail && detail->field == "title" && !detail->value.empty();
  if (!named) return std::string(ToStd(status.message()));
  return absl::StrReplaceAll(status.message(), {{ToAbsl(detail->value), "…"}});
}

}  // namespace

std::string EncodeAnswer(const Answer& answer) {
  std::string out;
  out.push_back(static_cast<char>(kAnswerVersion));
  out.push_back(answer.last ? '\x01' : '\x00');
  log::AppendVarint(answer.items.size(), out);
  for (const ItemResult& item : answer.items) {
    log::AppendVarint(static_cast<std::uint64_t>(item.status.code()), out);
    log::AppendBytes(KeptMessage(item.status), out);
    out.push_back(static_cast<char>(item.effect));
    log::AppendBytes(item.id, out);
    log::AppendVarint(static_cast<std::uint64_t>(item.count), out);
  }
  return out;
}

absl::StatusOr<Answer> DecodeAnswer(std::string_view bytes) {
  log::Reader reader(bytes);
  Answer answer;
  if (reader.Byte() != kAnswerVersion) reader.Fail("unknown version of an answer");
  answer.last = reader.Byte() != 0;
  const std::uint64_t count = reader.Varint();
  if (count > 100'000) reader.Fail("too many results in an answer");
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    ItemResult item;
    const std::uint64_t code = reader.Varint();
    const std::string_view message = reader.Bytes(kMaxText);
    if (code > 16) reader.Fail("unknown status code in an answer");
    if (code != 0) item.status = MakeStatus(static_cast<absl::StatusCode>(code), message);
    item.effect = static_cast<ItemEffect>(reader.Byte());
    item.id = std::string(reader.Bytes(kMaxText));
    item.count = static_cast<std::int64_t>(reader.Varint());
    answer.items.push_back(std::move(item));
  }
  AIMEM_RETURN_IF_ERROR(reader.status());
  if (!reader.AtEnd()) return absl::DataLossError("bytes after the end of an answer");
  return answer;
}

}  // namespace execute
}  // namespace aimem
