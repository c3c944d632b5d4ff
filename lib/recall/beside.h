// Beside: the turns beside a turn, over all layers of an index.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
            absl::FunctionRef<void(const TurnRef&)> visit);
  /// Of what is `left` of a layer in this direction, the nearest turn that may be shown, if it goes
  /// on from `turn` and is nearer than `next`: then `next` is that one. Hidden ones that come
  /// before it are taken away from `left`.
  void LookIn(std::uint32_t layer, bool forwards, const TurnRef& turn, index::OrdinalRange& left,
              std::optional<TurnRef>& next);
  [[nodiscard]] bool Shown(DocumentRef at) const;
  /// `at` may not be shown. Returns all documents beside it, and itself, of which this is known.
  index::OrdinalRange Hide(DocumentRef at);

  const index::View& view_;
  const MemoryFilter& filter_;
  absl::flat_hash_map<std::string, std::uint32_t> numbers_;  // by stream
  std::vector<TurnsByLayer> talks_;
  // Documents that may not be shown: runs that do not touch, by their first one, with their ends.
  // So a long run is walked over once, not once for each turn near it.
  std::map<DocumentRef, index::Ordinal> hidden_;
};

}  // namespace aimem::recall
