# shellcheck shell=bash
# What a shard's turn must not call. Part of tools/dev.

## check-turn        check in the release binary that a shard's turn allocates and retains nothing
task_check_turn() {
    local binary listing
    install_quietly binutils
    task_build_strict --product bootstorm >&2
    binary=$(task_build_strict --show-bin-path)/bootstorm
    listing=$(mktemp)
    # shellcheck disable=SC2064 # The variable is local, so its value is wanted now.
    trap "rm -f '$listing'" EXIT
    objdump --disassemble --no-show-raw-insn "$binary" >"$listing"
    # The same search must find something where allocating is allowed, or it would find nothing
    # anywhere.
    [[ -n $(forbidden_calls '^[$]s10TFTPServer' "$listing") ]] ||
        fail "check-turn: the search finds no allocation in TFTPServer either, so it proves nothing"
    local functions
    functions=$(grep -cE "^[0-9a-f]+ <$turn_functions" "$listing")
    ((functions > 100)) || fail "check-turn: only $functions functions of the turn found in $binary"
    local found
    found=$(forbidden_calls "^$turn_functions" "$listing")
    if [[ -n $found ]]; then
        say "$found"
        fail "check-turn: the calls above allocate, retain or check exclusivity in a turn"
    fi
    say "check-turn: $functions functions, no allocation, no retain, no exclusivity check"
}

# Mangled names of everything a turn runs through; of a client's shard, which also begins and ends
# transfers there, what a packet runs through.
turn_functions='[$]s(11TFTPReactor(5ShardV|11ClientShardV(4keep|4look|4send|6handle|8batchMax|8handOver|8position|9sendBatch|10sendBlocks|12awaitContent|12showProgress|14performEffects)|12BlockHeadersV|12DatagramPortV|6OutboxV|12ContentTableV|11UploadSlotsV|13IdentityCacheV|11BlockGatherV|8RunQueueV|8FreeListV|7MailboxV)|11TFTPServing(14TransferServerV|14TransferClientV|19ClientTransferStateV|11BlocksAheadV|9KeepOrderV|11EffectQueueV|17ClientEffectQueueV|12PacketMemoryV|12ContentTableV|11UploadTableV|12PendingTableV|16ReservationTableV|10LimitTableV|13UnprovenTableV|11ReplyBudgetV|13RequestLimitsV|10RateWindowV|11PolicyTableV|15PolicyReference)|8TFTPCore(13TransferTableV|11TimingWheelV|9PeerIndexV)|5Uring(4RingV|10BufferRingV)|8TFTPWire)'
# Of these, what only texts of a configuration need, what begins, ends or seals a client's transfer,
# and accessors that optimized code does not call.
not_in_turn='14TransferClientV(3end|4fail|4part|4seal|5doubt|5start|6cancel|6cutOff|6refuse|6settle|7release|10stepAnswer|10stepSealed|10takeResult|11blockSealer|11stepTimeout|13sendSealedACK|13stepSealedACK|14stalledSource|14stepSealedData|14stepSendFailed|15noteUnreachable|15sendSealedError|15stepUnreachable|16sendPlainRequest|17sendSealedRequest|19releaseNextDallying)|14ClientPoliciesV(8override|3set|5table)|14ClientPoliciesV.*ci[sM]|V10TFTPServerE|17ClientPolicyErrorO|11PolicyTableV4Rule|(vr|cir)$'

# Prints "FUNCTION calls CALLEE" for the functions that match $1. Initialisers and deinitialisers
# run once, and metadata accessors and value witnesses never in a turn.
forbidden_calls() {
    awk -v functions="$1" -v others="$not_in_turn" '
        /^[0-9a-f]+ <.*>:$/ {
            name = substr($2, 2, length($2) - 3)
            wanted = name ~ functions && name !~ others && name !~ /tcf[cC]|(f[cCdD]|vpfi|M[a-z]|w[a-zA-Z][a-zA-Z]|W[a-zA-Z]+)(T[a-z0-9_]+)*$/
            next
        }
        # Also a read or modify coroutine of another type: called across modules, it allocates.
        wanted && /(call|jmp)/ && /<([$]s[^+>]*(vr|cir|vM|ciM)>|swift_(retain|release|alloc|slowAlloc|bridgeObject|beginAccess|isUniquely)|malloc|calloc|realloc|posix_memalign)/ {
            print name, "calls", $NF
        }' "$2"
}

install_quietly() {
    command -v objdump >/dev/null || task_install "$@"
}
