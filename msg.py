import sys,re,os
M={
'path at grant':'''The path's MTU is asked when a request is granted

Motivation: the shard asked the kernel for the path's MTU, in three calls, before the request was
judged, so that each refused request cost it as well: a flood of refusals bought system calls.

Change: the driver tells the path by `notePath` before something is granted, from a name found at
once or an answer of the store; for a sealed request with the question, since its limits are settled
before the handler answers. Whether a block fits one segment is told by the same number.

Result: a refused request makes no call for the path. PathTests has what is granted.
''',
'root once a turn':'''The root is looked at once a turn

Motivation: each request cost a stat of the root's path, 8 % of a transfer of one block.

Change: what was seen counts to the end of the turn, in which all events have the same time. A
request after the root has gone is in a later turn, so the tests about roots hold unchanged.

Result: with the effects and requests of the next two commits the CPU time of a transfer of one
block falls from 1.30 to 1.14 of 8160ad5 (10 interleaved rounds of 60,000 transfers on one shard,
loopback, schedstat of all threads, busy machine, 2026-11-30).
''',
'effects':'''An effect fits registers, and a start makes no record

Motivation: an effect had the flow of its packet in it, and was copied through memory by
`takeFirst` right after it was written, which waits for the store. And each transfer's start made a
record of 440 bytes that only `reportsStarts` reads.

Change: packets lie in a column beside the records, and an effect has their number; a start is an
effect with its waiting time. A test bounds the size.
''',
'requests in place':'''A request is written once and read where it lies

Motivation: a request with its name has more than 1 KiB, and went by value from the judgement to
the look, to the start and to the refusal.

Change: `accept` writes it to the current place of `PendingTable`, and all that follows gets the
place. `FileName.replace` writes as many bytes as the name has. What names may be is a file of its
own. Answers about paths have 4096 places, so that the clients of a hall do not displace each
other.
''',
'histogram':'''A duration finds its bucket by decade

Motivation: the binary search raised 10 to a power five times, twice a transfer.

Change: the decades are tried from below, because most durations are short.
''',
'no coroutines, no copies':'''Entries of ContentTable are reached by address

Motivation: the `_read` coroutine of the table's subscript allocates its frame when another module
calls it, and copied the entry of 456 bytes into it: five times for each batch of blocks. check-turn
left such accessors out, in the belief that optimized code calls none.

Change: addressors, as in `Column`; check-turn reports calls of read and modify coroutines, and
found 23. Policies and the look at a name take spans instead of a name of 1 KiB; a record is
described field by field; a path is asked about only when a blksize is asked for; the reporter
looks at the bytes of a name for its level, and makes no text.

Result: CPU time compared with 8160ad5, 10 and 6 interleaved rounds, median of the ratios (one
shard, loopback, schedstat of all threads, machine with other builds, 2026-11-30): one block 1.30
before these commits, 1.07 now (1.14 without this one); distinct files 1.30 to 1.06; lockstep 512
1.03 to 1.00; windows of 16 x 1468 1.03 to 1.02. check-turn is clean.
''',
'tests, docs':'''The server's page has places, paths and small effects

Motivation: the page told of the request by value and of the MTU by datagram.

Change: `notePath` among the steps, the request's place, and a test of an effect's size.
'''}
s=open(sys.argv[1]).read()
for k,v in M.items():
    if s.startswith('wip: '+k): open(sys.argv[1],'w').write(v); break
