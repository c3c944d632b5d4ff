#include "aimem/errors.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/status.h"

namespace aimem {
namespace {

constexpr char kPayload[] = "aimem/error_detail";

absl::Status With(const std::string& payload) {
  absl::Status status = absl::InvalidArgumentError("no");
  status.SetPayload(kPayload, absl::Cord(payload));
  return status;
}

ErrorDetail Whole() {
  return {.item = 7,
          .field = "title",
          .value = std::string("a:\0b", 4),
          .limit = "512",
          .ids = {"one", "two"},
          .stored_hash = "none",
          .request_hash = "ab"};
}

TEST(ErrorDetail, IsReadAsItWasSet) {
  for (const ErrorDetail& detail :
       {ErrorDetail(), ErrorDetail{.item = 0}, ErrorDetail{.field = "id"}, Whole()}) {
    const absl::Status status = WithDetail(absl::NotFoundError("not found: x"), detail);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(status.message(), "not found: x");
    EXPECT_EQ(DetailOf(status), detail);
    EXPECT_EQ(DetailOf(Annotate(status, "item 7")), detail);
  }
  EXPECT_EQ(DetailOf(absl::NotFoundError("not found: x")), std::nullopt);
  EXPECT_EQ(DetailOf(WithDetail(absl::OkStatus(), Whole())), std::nullopt);
}

TEST(ErrorDetail, IsBounded) {
  const std::string euro = "\xe2\x82\xac";
  ErrorDetail detail;
  while (detail.value.size() <= kErrorValueBytes) detail.value += euro;
  for (std::size_t i = 0; i < kErrorIds + 5; ++i) detail.ids.push_back("id" + std::to_string(i));
  const ErrorDetail kept = DetailOf(WithDetail(absl::NotFoundError("x"), detail)).value();
  EXPECT_EQ(kept.value.size(), kErrorValueBytes / 3 * 3) << "cut between characters";
  EXPECT_TRUE(detail.value.starts_with(kept.value));
  EXPECT_EQ(kept.ids.size(), kErrorIds);
  // What is no UTF-8 is cut too.
  detail.value = std::string(1'000, '\x80');
  const std::size_t size = DetailOf(WithDetail(absl::NotFoundError("x"), detail))->value.size();
  EXPECT_LE(size, kErrorValueBytes);
  EXPECT_GE(size, kErrorValueBytes - 4);
}

TEST(ErrorDetail, WhatIsNoneIsNoneAndWhatIsUnknownIsPassedOver) {
  for (const std::string& junk :
       {std::string("f"), std::string("f:"), std::string("f5:abc"), std::string("f-1:a"),
        std::string("f99999999999999999999999:a"), std::string("f 1:a"), std::string("i1:x"),
        std::string("i0:"), std::string("f1:ab"), std::string(1, '\0'), std::string("fx:a")}) {
    EXPECT_EQ(DetailOf(With(junk)), std::nullopt) << junk;
  }
  EXPECT_EQ(DetailOf(With("z3:newf5:title")), ErrorDetail{.field = "title"});
  EXPECT_EQ(DetailOf(With("")), ErrorDetail());
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += "m1:x";
  EXPECT_EQ(DetailOf(With(many))->ids.size(), kErrorIds);
}

TEST(ErrorDetail, EveryPartOfAPayloadIsReadOrRefused) {
  const std::string whole(*WithDetail(absl::NotFoundError("x"), Whole()).GetPayload(kPayload));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    for (const char other : {'\0', ':', '9', 'm', '\xff'}) {
      std::string bytes = whole;
      bytes[size] = other;
      (void)DetailOf(With(bytes));
      (void)DetailOf(With(whole.substr(0, size) + other));
    }
    const auto part = DetailOf(With(whole.substr(0, size)));
    EXPECT_NE(part, Whole()) << size;
  }
}

TEST(InvalidField, SaysFieldValueAndLimit) {
  const absl::Status status = InvalidField("title", "long", "title exceeds", "3");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "title exceeds");
  EXPECT_EQ(DetailOf(status), (ErrorDetail{.field = "title", .value = "long", .limit = "3"}));
}

}  // namespace
}  // namespace aimem
