#!/bin/sh
#
# Installs one file of configuration; what "make install" calls.
#
#   conf/install.sh FILE FOLDER MODULES
#
# An administrator's file is never overwritten: where there is one that
# differs from ours, ours is put beside it as FILE.new.  load_module gets the
# folder that the module was installed to.

set -eu

name=${1##*/}
there=$2/$name
new=$there.new

sed "s|^load_module modules/|load_module $3/|" "$1" > "$new"
chmod 0644 "$new"

if [ ! -e "$there" ] || cmp -s "$there" "$new"; then
    mv "$new" "$there"
else
    echo "kept $there; ours is $new"
fi
