#!/bin/sh
# The commands of this repository: `./doorward.sh run`, `./doorward.sh test` and `./doorward.sh home-assistant`.
# Plain sh, because a machine with nothing but Rust and git has no make yet.
# Not here: what has to be installed; see .ci/setup.
set -eu

usage() {
    cat <<'TEXT'
usage: ./doorward.sh run [FLAGS]       build and run the appliance; FLAGS such as --config FILE go to it
       ./doorward.sh test [ARGS]       run all tests; ARGS go to cargo test
       ./doorward.sh home-assistant [ARGS]
                                       test with a real Home Assistant, the newest that a Python here can run;
                                       DOORWARD_HA_VERSION=2024.12.5 takes that one; ARGS go to pytest
       ./doorward.sh setup run|test|home-assistant
                                       only install what that command needs
All commands first install what is missing (through apt, else they say what to install).
TEXT
}

cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}
# A fresh rustup is not on PATH until the next login, and Debian keeps mosquitto where only root looks.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/sbin:/usr/sbin
export PATH

case ${1-} in
run)
    shift
    .ci/setup run
    [ -x "$target/release/doorward" ] ||
        echo "Building Doorward. The first time takes about ten minutes on two cores; later starts take seconds." >&2
    cargo build --release --locked --bin doorward
    exec "$target/release/doorward" run "$@"
    ;;
test)
    shift
    .ci/setup test
    [ -d "$target/debug/deps" ] ||
        echo "Building the tests. The first time takes about ten minutes on two cores." >&2
    DOORWARD_PYTHON=$(cd "$target/venv" && pwd)/bin/python
    export DOORWARD_PYTHON
    exec cargo test --locked "$@"
    ;;
home-assistant)
    shift
    .ci/setup home-assistant
    if [ -z "${DOORWARD_BIN-}" ]; then
        cargo build --locked --bin doorward
        DOORWARD_BIN=$(cd "$target/debug" && pwd)/doorward
        export DOORWARD_BIN
    fi
    exec .ci/home-assistant "$@"
    ;;
setup)
    exec .ci/setup "${2-run}"
    ;;
help | --help | -h)
    usage
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
