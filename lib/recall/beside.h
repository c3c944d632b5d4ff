// Beside: the turns beside a turn, over all layers of an index.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "lib/index/view.h"
#include "lib/recall/asked.h"
#include "lib/recall/filter.h"

namespace aimem::recall {

/// A document that is a turn of a talk.
struct TurnRef {
  DocumentRef at;
  std::uint32_t talk = 0;  ///< A number for each.
  std::int64_t created_at = 0;
};

/// The talks of a view, as the asker of a filter sees them; both must outlive it.
class Talks {
 public:
  Talks(const index::View& view, const MemoryFilter& filter) : view_(view), filter_(filter) {}

  /// Call `visit` with the turn that `document` is, then with those beside it that Turns would call
  /// so (turns.h). Nothing, if it is none.
  void ForEachAround(DocumentRef document, absl::FunctionRef<void(const TurnRef&)> visit);

  /// The order in which turns were said: by talk, created_at, id.
  [[nodiscard]] bool Before(const TurnRef& a, const TurnRef& b) const;

 private:
  /// All turns of a talk, by layer.
  using TurnsByLayer = std::vector<index::OrdinalRange>;

  [[nodiscard]] TurnRef RefOf(DocumentRef at, std::uint32_t talk) const;
  /// Which part of `turns` comes before `turn`; without itself.
  [[nodiscard]] index::Ordinal PlaceOf(const TurnRef& turn, std::uint32_t layer,
                                       index::OrdinalRange turns) const;
  void Walk(TurnRef turn, bool forwards, TurnsByLayer left,
            absl::FunctionRef<void(const TurnRef&)> visit) const;
  /// Of a layer, the nearest turn of what is left in this direction that may be shown; what comes
  /// before it is taken away. False: there is none.
  bool Nearest(std::uint32_t layer, bool forwards, index::OrdinalRange& left,
               TurnRef& nearest) const;
  [[nodiscard]] bool Shown(DocumentRef at) const;

  const index::View& view_;
  const MemoryFilter& filter_;
  absl::flat_hash_map<std::string, std::uint32_t> numbers_;  // by stream
  std::vector<TurnsByLayer> talks_;
};

}  // namespace aimem::recall
