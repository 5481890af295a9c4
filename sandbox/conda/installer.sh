#!/bin/sh
# A STAND-IN for the Miniforge installer, for tests where no host of conda answers. Options are those of the original.
set -eu

usage="usage: $0 [options]
Installs a STAND-IN for Miniforge.
-b         run in batch mode
-c         run 'conda init' in batch mode (accepted, does nothing)
-f, -u     no error if the prefix already exists
-h         print this help message and exit
-k         keep the package cache (accepted, does nothing)
-p PREFIX  install prefix, defaults to $HOME/miniforge3, must not contain spaces
-s         skip scripts (accepted, does nothing)
-t         run package tests (accepted, does nothing)"

prefix=$HOME/miniforge3
batch=0
force=0
while getopts bcfhkp:stu option; do
    case $option in
        b) batch=1 ;;
        f | u) force=1 ;;
        p) prefix=$OPTARG ;;
        h) echo "$usage"; exit 2 ;;
        c | k | s | t) ;;
        *) echo "ERROR: did not recognize option, please try -h" >&2; exit 1 ;;
    esac
done
if [ $batch = 0 ]; then
    echo "ERROR: the stand-in runs in batch mode only (-b)" >&2
    exit 1
fi
case $prefix in
    *\ *) echo "ERROR: Cannot install into directories with spaces" >&2; exit 1 ;;
esac
if [ $force = 0 ] && [ -e "$prefix" ]; then
    echo "ERROR: File or directory already exists: '$prefix'" >&2
    echo "If you want to update an existing installation, use the -u option." >&2
    exit 1
fi
if ! mkdir -p "$prefix"; then
    echo "ERROR: Could not create directory: '$prefix'" >&2
    exit 1
fi
prefix=$(cd "$prefix" && pwd)
echo "PREFIX=$prefix"

# Like the original it works inside the prefix: /tmp may be small or noexec.
work=$prefix/install_tmp
mkdir -p "$work"
tail -n +@LINES@ "$0" | tar -x -f - -C "$work"

python=$(command -v python3)
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
site=$prefix/lib/python$minor/site-packages
mkdir -p "$prefix/bin" "$prefix/condabin" "$prefix/conda-meta" "$prefix/envs" "$prefix/pkgs" \
    "$prefix/etc/profile.d" "$site"
for name in python python3 "python$minor"; do
    ln -sf "$python" "$prefix/bin/$name"
done
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$python")" > "$prefix/pyvenv.cfg"
"$prefix/bin/python" -m zipfile -e "$work"/py_rattler-*.whl "$site"
{ printf '#!%s/bin/python\n' "$prefix"; cat "$work/conda.py"; } > "$work/conda"
chmod 755 "$work/conda"
sed "s|@PREFIX@|$prefix|g" "$work/conda.sh" > "$prefix/etc/profile.d/conda.sh"
printf 'channels:\n  - conda-forge\n' > "$prefix/.condarc"
: > "$prefix/conda-meta/history"
mv "$work/conda" "$prefix/bin/conda"
ln -sf ../bin/conda "$prefix/condabin/conda"
rm -rf "$work"
echo "installation finished (this is a STAND-IN, not Miniforge)."
exit 0
