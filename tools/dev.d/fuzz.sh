# shellcheck shell=bash
# Fuzzing and sanitizers. Part of tools/dev.

## fuzz MINUTES [TARGET]...  run each fuzz target with libFuzzer, then its canary until it is found
task_fuzz() {
    local minutes=${1:-} library
    [[ $minutes =~ ^[0-9]+$ ]] || fail "fuzz wants the minutes for each target, for example: tools/dev fuzz 10"
    shift
    need_swift
    library=$(fuzzer_library)
    if [[ -z $library ]]; then
        say "This Swift has no libFuzzer: inputs are made by seed, without looking at what they reach."
        BOOTSTORM_FUZZ_SECONDS=$((60 * minutes)) task_test --filter FuzzTests
        return
    fi
    # The counters go into all Swift code. The library comes by itself: with it the compiler would
    # want to be the program's main function.
    local -a flags=(--package-path "$root/Fuzz" --scratch-path "$root/.build-fuzz"
        -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer -Xlinker "$library" -Xlinker -lstdc++ -Xlinker -lm)
    swift build "${flags[@]}" >&2
    local program target status=0
    local -a known by_seed=()
    program=$(swift build "${flags[@]}" --show-bin-path)/BootstormFuzz
    mapfile -t known < <("$program" list)
    (($# > 0)) || set -- "${known[@]}" "${targets_of_program[@]}"
    for target in "$@"; do
        if [[ " ${known[*]} " == *" $target "* ]]; then
            fuzz_one "$program" "$target" "$((60 * minutes))" || status=1
        else
            by_seed+=("$target")
        fi
    done
    if ((${#by_seed[@]} > 0)); then
        say "fuzz: inputs made by seed: ${by_seed[*]}"
        BOOTSTORM_FUZZ_SECONDS=$((60 * minutes)) BOOTSTORM_FUZZ_TARGETS=$(IFS=, && echo "${by_seed[*]}") \
            task_test --filter FuzzTests || status=1
    fi
    return "$status"
}

# Targets of code that is in no library of its own, or waits in threads: libFuzzer has none of
# these.
targets_of_program=(http-answer node-text configuration)

# Fuzzes target $2 of program $1 for $3 seconds. The corpus stays in .build-fuzz for the next time.
fuzz_one() {
    local program=$1 target=$2 seconds=$3 folder=$root/.build-fuzz/corpus/$2 log status=0
    mkdir -p "$folder"
    log=$folder.log
    "$program" corpus "$target" "$folder"
    local -a arguments=(-dict="$folder.words" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1)
    "$program" run "$target" "${arguments[@]}" -max_total_time="$seconds" -artifact_prefix="$folder-found-" \
        "$folder" >"$log" 2>&1 || status=$?
    if ((status != 0)); then
        grep -aE 'PROBLEM|ERROR|Fatal error|Test unit written' "$log" >&2 || tail -n 5 "$log" >&2
        say "fuzz: $target FAILED; all of it is in $log"
    else
        say "fuzz: $target: $(grep -a executed_units "$log" | grep -oE '[0-9]+') inputs in $seconds s, nothing found"
    fi
    # A copy of the corpus: what the canary finds new is of no use.
    local canary
    canary=$(mktemp -d)
    "$program" corpus "$target" "$canary"
    if "$program" run "$target-canary" "${arguments[@]}" -max_total_time=120 -artifact_prefix="$canary/found-" \
        "$canary" >"$log-canary" 2>&1 || ! grep -qa PROBLEM "$log-canary"; then
        say "fuzz: $target: its canary was NOT found, so it proves nothing"
        status=1
    fi
    rm -rf "$canary" "$canary.words"
    return "$status"
}

# libFuzzer without a main function; nothing where this toolchain has none.
fuzzer_library() {
    local usr
    usr=$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")
    find "$usr/lib" -name "libclang_rt.fuzzer_no_main*.a" -path "*linux*" 2>/dev/null |
        grep -E "$(uname -m)|linux-gnu" | head -n 1 || true
}

## sanitize WHICH [FLAGS]  run tests (default: C and threads) under address or thread sanitizer
task_sanitize() {
    local which=${1:-} program
    [[ $which == address || $which == thread ]] ||
        fail "sanitize wants address or thread, for example: tools/dev sanitize address"
    shift
    need_swift
    local -a flags=("${build_flags[@]}" --scratch-path "$root/.build-$which" --sanitize="$which")
    local clang
    clang=$(dirname "$(readlink -f "$(command -v swiftc)")")/clang
    if [[ $which == thread ]]; then
        # The verifier rejects ("Invalid bitcast") an address that is an integer, which Swift 6.3
        # passes for inout accesses; tsan-inout.c drops those.
        local inout=$root/.build-thread/tsan-inout.o
        mkdir -p "$root/.build-thread"
        "$clang" -c -fPIC -O1 -o "$inout" "$root/tools/dev.d/tsan-inout.c" || return
        flags+=(-Xswiftc -Xfrontend -Xswiftc -disable-llvm-verify
            -Xlinker --wrap=__tsan_external_write -Xlinker "$inout")
    fi
    swift build --build-tests --disable-xctest "${flags[@]}" || return
    program=$(swift build "${flags[@]}" --show-bin-path)/bootstormPackageTests.xctest
    (($# > 0)) || set -- --filter "$sanitized_tests"
    # Leaks are not looked for: the runtime keeps what it makes once.
    local -a environment=(ASAN_OPTIONS=detect_leaks=0)
    if [[ $which == thread ]]; then
        local mutex=$root/.build-thread/tsan-mutex.so
        "$clang" -shared -fPIC -O1 -o "$mutex" "$root/tools/dev.d/tsan-mutex.c"
        environment=(LD_PRELOAD="$mutex")
    fi
    # One test after the other: with a sanitizer all are slow, and servers have to answer in time.
    in_own_network env "${environment[@]}" \
        "$program" --testing-library swift-testing --no-parallel "$@"
}

sanitized_tests='UringTests|TFTPReactorTests|TFTPServerTests|TFTPClientTests|TFTPStoreTests|TFTPServingTests|TFTPWireTests'
