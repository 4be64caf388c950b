#!/usr/bin/env bash
# Make .venv with pixelcluster in it, or bring it up to date:
#
#     bash tools/setup.sh           what the commands need
#     bash tools/setup.sh test      and what the tests need
#     bash tools/setup.sh dev       and ruff and mypy
#
# PYTHON=python3.12 chooses the interpreter of a new .venv; pip's own variables (PIP_INDEX_URL, ...) work as usual.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    echo "error: $1" >&2
    exit 1
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))'
}

make_venv() {
    local base=${PYTHON:-python3} way_out="name another one: PYTHON=python3.12 bash tools/setup.sh"
    command -v "$base" >/dev/null || fail "$base was not found, Python 3.10 or newer is wanted; $way_out"
    is_recent "$base" || fail "$base is $("$base" --version 2>&1), 3.10 or newer is wanted; $way_out"
    "$base" -m venv --clear .venv || fail "$base makes no virtual environment; on Debian: apt install python3-venv"
}

version_of() {
    "$python" -m pip list --format=freeze | sed -n "s/^$1==//p"
}

cv2_loads() {
    "$python" -c 'import cv2' 2>/dev/null
}

# albumentations asks for opencv-python-headless, pixelcluster for opencv-python. Both own the folder cv2/, so
# removing or updating one breaks the other: one may stay, the full one unless it cannot be loaded (no libGL).
keep_one_opencv() {
    local full headless
    full=$(version_of opencv-python)
    headless=$(version_of opencv-python-headless)
    if [[ -n $headless ]] || ! cv2_loads; then
        "$python" -m pip uninstall --quiet --yes opencv-python opencv-python-headless
        "$python" -m pip install --quiet --no-deps "opencv-python==${full:-$headless}"
    fi
    if cv2_loads; then
        echo "OpenCV: opencv-python $(version_of opencv-python)"
        return
    fi
    "$python" -m pip uninstall --quiet --yes opencv-python
    "$python" -m pip install --quiet --no-deps "opencv-python-headless==${headless:-$full}"
    cv2_loads || fail "neither opencv-python nor opencv-python-headless can be loaded; try $python -c 'import cv2'"
    echo "OpenCV: opencv-python-headless $(version_of opencv-python-headless), as opencv-python cannot be loaded here"
}

extras=("" "[test]" "[dev]")
case ${1:-} in
    "") level=0 ;;
    test) level=1 ;;
    dev) level=2 ;;
    *) fail "no extra is called '$1'; wanted test, dev or nothing" ;;
esac

python=.venv/bin/python
stamp=.venv/pixelcluster-setup
wanted="$(cksum <pyproject.toml) $PWD" # a checkout that was moved is installed again
known_level=-1 known=""
if [[ -f $stamp ]]; then
    { read -r known_level && read -r known; } <"$stamp" || true
fi
if [[ $known == "$wanted" && $known_level -ge $level ]] && cv2_loads; then
    echo ".venv is up to date"
    exit
fi
if ! "$python" -m pip --version >/dev/null 2>&1 || ! is_recent "$python"; then
    make_venv
    known_level=-1
fi
[[ $known_level -gt $level ]] && level=$known_level
rm -f "$stamp"
echo "installing into .venv; torch is large, so the first time takes some minutes"
"$python" -m pip install --editable ".${extras[$level]}"
keep_one_opencv
printf '%s\n' "$level" "$wanted" >"$stamp"
