# cmake -DINPUT=file -DOUTPUT=file.cc -P embed.cmake: the bytes of a file as an array of C++.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)"
                     "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"apps/demo/memories.h\"

#include <array>

namespace aimem::demo {
namespace {
constexpr std::array<unsigned char, ${size}> kBytes = {
${bytes}};
}  // namespace

std::string MemoriesJson() { return {kBytes.begin(), kBytes.end()}; }

}  // namespace aimem::demo
")
