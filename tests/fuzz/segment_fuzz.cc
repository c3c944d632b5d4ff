// Any bytes, with the hash that they have: the decoder refuses them, or they are a segment that can
// be asked everything. The same bytes as a manifest: refused, or the one encoding of one.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/hash.h"
#include "lib/index/manifest.h"
#include "lib/index/segment_code.h"
#include "tests/index/ask_everything.h"

namespace aimem {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "segment_fuzz: %s\n", what);
  std::abort();
}

void AsSegment(std::string_view bytes) {
  std::string whole(bytes);
  whole += AsBytes(Sha256({bytes}));
  index::SegmentDecoder decoder(whole.size());
  if (!decoder.Add(whole).ok()) return;
  const auto segment = decoder.Take();
  if (!segment.ok()) return;
  index::AskEverything(**segment);
  index::SegmentEncoder encoder(*segment);
  Require(encoder.Next(whole.size() + 1) == whole, "not the one encoding");
}

void AsManifest(std::string_view bytes) {
  const auto manifest = index::DecodeManifest(bytes);
  if (manifest.ok()) Require(index::EncodeManifest(*manifest) == bytes, "not the one encoding");
  const auto place = index::DecodeManifestPlace(bytes);
  if (place.ok()) Require(index::EncodeManifestPlace(*place) == bytes, "not the one encoding");
}

}  // namespace
}  // namespace aimem

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  aimem::AsSegment(bytes);
  aimem::AsManifest(bytes);
  return 0;
}
