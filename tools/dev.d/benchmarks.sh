# shellcheck shell=bash
# Benchmarks of the packet path, and measurements of the program. Part of tools/dev.

## benchmark [--update]  measure the parts of the packet path compared with Benchmarks/baseline.json
task_benchmark() {
    need_swift
    install_python
    local results
    results=$(mktemp -d)
    # shellcheck disable=SC2064 # The variable is local, so its value is wanted now.
    trap "rm -rf '$results'" EXIT
    run_benchmarks "$root" "$root/.build-benchmark" "$results/1"
    distil "$results" >"$results/now.json"
    local baseline=$root/Benchmarks/baseline.json
    [[ -f $baseline ]] || cp "$results/now.json" "$baseline"
    python3 "$benchmark_py" table "$baseline" "$results/now.json"
    if [[ ${1:-} == --update ]]; then
        cp "$results/now.json" "$baseline"
        say "Benchmarks/baseline.json is what was measured now."
    fi
}

## benchmark-compare COMMIT COMMIT  measure two commits in turn, three times each, side by side
task_benchmark_compare() {
    (($# == 2)) || fail "benchmark-compare wants two commits, for example: tools/dev benchmark-compare main HEAD"
    need_swift
    install_python
    local results commit round
    local -a commits=()
    results=$(mktemp -d)
    # shellcheck disable=SC2064 # The variable is local, so its value is wanted now.
    trap "rm -rf '$results'" EXIT
    for commit in "$@"; do
        commits+=("$(git -C "$root" rev-parse --short --verify --quiet "$commit^{commit}")") ||
            fail "benchmark-compare: no such commit: $commit"
    done
    for commit in "${commits[@]}"; do check_out "$commit"; done
    # In turn, so that what the machine does meanwhile meets both.
    for round in 1 2 3; do
        for commit in "${commits[@]}"; do
            say "Round $round, $commit"
            run_benchmarks "$root/.build-commit-$commit" "$root/.build-benchmark-$commit" \
                "$results/$commit/$round"
        done
    done
    for commit in "${commits[@]}"; do distil "$results/$commit" >"$results/$commit.json"; done
    python3 "$benchmark_py" table "$results/${commits[0]}.json" "$results/${commits[1]}.json"
    for commit in "${commits[@]}"; do
        git -C "$root" worktree remove --force "$root/.build-commit-$commit"
    done
}

benchmark_py=$root/tools/benchmark.d/benchmark.py

# Puts a commit's tree into a folder of its own; what is built of it stays for the next time.
check_out() {
    local folder=$root/.build-commit-$1
    git -C "$root" cat-file -e "$1:Benchmarks/Package.swift" 2>/dev/null ||
        fail "benchmark-compare: commit $1 has no Benchmarks"
    [[ -d $folder ]] || git -C "$root" worktree add --quiet --detach "$folder" "$1"
}

# Runs the benchmarks of the tree $1, built in $2, and writes their results into the folder $3.
run_benchmarks() {
    mkdir -p "$3"
    (cd "$1/Benchmarks" && swift package --disable-sandbox --scratch-path "$2" \
        --allow-writing-to-directory "$3" benchmark --no-progress --format jmh --path "$3") >&2
}

distil() {
    find "$1" -name '*.jmh.json' -exec python3 "$benchmark_py" distil {} +
}

install_python() {
    command -v python3 >/dev/null || task_install python3
}

## bench NAME        measure one thing against others; without a name: list them
task_bench() {
    local folder=$root/tools/bench.d name=${1:-}
    command -v python3 >/dev/null || task_install python3
    if [[ -z $name || ! -x $folder/$name ]]; then
        say "usage: tools/dev bench NAME [ROUNDS], NAME one of:"
        find "$folder" -maxdepth 1 -type f -executable -printf '    %f\n' | sort >&2
        [[ -z $name ]] || exit 64
        return
    fi
    shift
    exec python3 -B "$folder/$name" "$@"
}
