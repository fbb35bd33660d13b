// Counts what threads of some name ask of the heap, to show that a turn of a shard asks nothing.
//
// Linked into the test program, the functions of this target stand before glibc's own: every malloc
// of the process comes here first and goes on to glibc.
#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

#include <stdbool.h>
#include <stdint.h>

// Whether allocations can be counted: a sanitizer has a heap of its own.
bool allocation_counter_works(void);

// Counts from now on, starting at nothing, what threads ask whose names begin with `prefix` (at
// most 15 bytes).
void allocation_counter_start(const char *prefix);
// Stops counting.
void allocation_counter_stop(void);

// malloc, calloc, realloc, aligned_alloc, posix_memalign and memalign since the start.
uint64_t allocation_counter_allocations(void);
// free of anything but NULL since the start.
uint64_t allocation_counter_frees(void);

// Who made the first allocation that was counted: function `index`, innermost first. NULL at the
// end. Where the program has no name for it, its offset in the program, for addr2line. Stays until
// the next call.
const char *allocation_counter_caller(int index);

// Names the calling thread and calls malloc and free `count` times each: what the counter must see.
void allocation_counter_canary(const char *name, unsigned count);

#endif
