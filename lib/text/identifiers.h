// Identifiers: what is written without spaces and means one thing, and yet has several words.
//
// An ASCII run of letters and digits that single signs join (`foo_bar`, `utils.py`, `v1.2.3`,
// `bob@example.com`, `PROJ-123`) is one whole, if it has `_`, `@` or `.` in it, or `-` and a digit:
// `well-known` is two words and nothing else, and so is `e.g`. A word in camelCase has parts:
// fooBar has foo and Bar, HTTPServer has HTTP and Server; URLs, iPhone's i and `x` in xRay are no
// parts (a part has two letters).
#pragma once

#include <string_view>

#include "absl/functional/function_ref.h"

namespace aimem::text {

/// Call `sink` with every whole in `text`, as it is written.
void ForEachIdentifier(std::string_view text, absl::FunctionRef<void(std::string_view)> sink);

/// Call `sink` with the parts of every word of `text` that is in camelCase, as they are written.
void ForEachCamelPart(std::string_view text, absl::FunctionRef<void(std::string_view)> sink);

}  // namespace aimem::text
