#!/bin/sh
# A launcher of the compiler that takes an object which another tree has compiled, if it has:
# take_object.sh TREE STRIP COMPILER ARGUMENT...   STRIP: what the path begins with here, not there.
# Objects are the same in static and shared libraries, so only linking is left to be done.
tree=$1
strip=$2
shift 2
object= depfile= before= source=
for argument in "$@"; do
  case $before in
    -o) object=$argument ;;
    -MF) depfile=$argument ;;
    -c) source=$argument ;;
  esac
  before=$argument
done
taken=$tree/${object#"$strip"}
# Of a unity build only what was made of the same files.
case $object in
  */Unity/*) cmp -s "$source" "${taken%.o}" || exec "$@" ;;
esac
if [ -n "$object" ] && [ -f "$taken" ]; then
  # It is taken again when it has been compiled again.
  if [ -n "$depfile" ]; then echo "$object: $taken" >"$depfile"; fi
  exec cp "$taken" "$object"
fi
exec "$@"
