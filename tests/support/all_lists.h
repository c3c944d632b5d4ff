// Lists that an index may answer, as text, to be compared with those that a scan of the rows makes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "aimem/requests.h"
#include "gtest/gtest.h"

namespace aimem::testing {

using AskList = absl::FunctionRef<absl::StatusOr<ListResult>(const ListRequest&)>;

/// A line for each row of the first pages, and for each token.
inline std::vector<std::string> PagesOf(ListRequest request, AskList ask) {
  constexpr int kPages = 3;
  std::vector<std::string> lines;
  for (int page = 0; page < kPages; ++page) {
    const absl::StatusOr<ListResult> result = ask(request);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) break;
    for (const Memory& memory : result->memories) {
      lines.push_back(absl::StrCat(memory.id, " ", memory.namespace_, " ", memory.title, " ",
                                   memory.content, " ", memory.access_count));
    }
    for (const NamespaceCount& one : result->namespaces) {
      lines.push_back(absl::StrCat(one.namespace_, " has ", one.count));
    }
    request.page_token = result->next_page_token;
    if (request.page_token.empty()) break;
    lines.push_back(absl::StrCat("token ", request.page_token));
  }
  return lines;
}

/// The same of lists in every order and with every condition, of what the tests write.
inline std::vector<std::string> AllLists(AskList ask) {
  std::vector<Filter> filters(7);
  filters[1].expired = true;
  filters[2].namespace_ = "a";
  filters[3].tags = {"red"};
  filters[4].tier = Tier::kLong;
  filters[5].min_priority = 6;
  filters[6].as_agent = "a/b/c";
  std::vector<ListRequest> requests = {{.kind = ListKind::kNamespaces, .limit = 2},
                                       {.kind = ListKind::kAgents, .limit = 2}};
  for (const Filter& filter : filters) {
    requests.push_back({.filter = filter});
    requests.push_back({.filter = filter, .order = ListOrder::kCreated, .limit = 3, .offset = 2});
    requests.push_back({.filter = filter, .order = ListOrder::kNewest, .limit = 7});
  }
  std::vector<std::string> lines;
  for (const ListRequest& request : requests) {
    lines.push_back("list");
    for (std::string& line : PagesOf(request, ask)) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace aimem::testing
