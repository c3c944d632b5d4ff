# Prints each function that is longer than `limit` lines. The source is formatted by clang-format: a
# function ends where a line is `}` and nothing else, at the margin or, in a class, two spaces in,
# and begins with the last line before it that starts there with a name.
FNR == 1 { split("", start) }
/^[A-Za-z_~]/ { start[0] = FNR; text[0] = $0 }
/^  [A-Za-z_~]/ { start[2] = FNR; text[2] = $0 }
/^}$/ { measure(0) }
/^  }$/ { measure(2) }
function measure(indent) {
  lines = FNR - start[indent] + 1
  if (start[indent] > 0 && lines > limit) {
    print FILENAME ":" start[indent] ": " lines " lines: " text[indent]
  }
  start[indent] = 0
}
