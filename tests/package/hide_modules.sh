#!/bin/sh
# pkg-config of a machine where modules that match AIMEM_HIDE are not installed.
for argument in "$@"; do
  if [ -n "$AIMEM_HIDE" ] && echo "$argument" | grep -Eq "^($AIMEM_HIDE)"; then exit 1; fi
done
exec pkg-config "$@"
