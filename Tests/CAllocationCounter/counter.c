#define _GNU_SOURCE
#include "CAllocationCounter.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEAP_IS_TAKEN
#endif
#endif

static _Atomic bool is_counting;
static _Atomic uint64_t allocations, frees;
// Starts are numbered, so that a thread that was renamed since the last one is looked at again.
static _Atomic unsigned round_number;
// What the names of counted threads begin with; written only while nothing is counted.
static char name_prefix[16];

enum { CALLERS_MAX = 32 };
static void *first_caller[CALLERS_MAX];
static _Atomic int first_caller_count;

// What a thread knows of itself. initial-exec: reading it allocates nothing.
struct self {
    unsigned round;
    unsigned looks;
    bool is_counted;
};
static _Thread_local struct self self __attribute__((tls_model("initial-exec")));

// A thread has its maker's name until it sets its own, right at its beginning. This number of
// allocations may come before that. Afterwards its name is not checked again.
enum { LOOKS_MAX = 64 };

static bool is_counted(void)
{
    unsigned round = atomic_load_explicit(&round_number, memory_order_relaxed);
    if (self.round != round)
        self = (struct self){.round = round};
    if (self.is_counted || self.looks == LOOKS_MAX)
        return self.is_counted;
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name);
    self.looks++;
    self.is_counted = strncmp(name, name_prefix, strlen(name_prefix)) == 0;
    return self.is_counted;
}

static void keep_caller(void)
{
    // Counted once; what backtrace itself allocates is counted too, but then it is too late anyway.
    int none = 0;
    if (atomic_compare_exchange_strong(&first_caller_count, &none, -1))
        atomic_store(&first_caller_count, backtrace(first_caller, CALLERS_MAX));
}

static void count(_Atomic uint64_t *counter)
{
    if (!atomic_load_explicit(&is_counting, memory_order_relaxed) || !is_counted())
        return;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    if (counter == &allocations)
        keep_caller();
}

void allocation_counter_start(const char *prefix)
{
    snprintf(name_prefix, sizeof(name_prefix), "%s", prefix);
    // Loads what backtrace needs, which allocates the first time.
    void *here[2];
    (void)backtrace(here, 2);
    atomic_fetch_add(&round_number, 1);
    atomic_store(&allocations, 0);
    atomic_store(&frees, 0);
    atomic_store(&first_caller_count, 0);
    atomic_store(&is_counting, true);
}

void allocation_counter_stop(void) { atomic_store(&is_counting, false); }

uint64_t allocation_counter_allocations(void) { return atomic_load(&allocations); }

uint64_t allocation_counter_frees(void) { return atomic_load(&frees); }

const char *allocation_counter_caller(int index)
{
    Dl_info info;
    if (index < 0 || index >= atomic_load(&first_caller_count))
        return NULL;
    if (!dladdr(first_caller[index], &info))
        return "?";
    if (info.dli_sname)
        return info.dli_sname;
    static char text[32];
    const char *base = info.dli_fbase;
    snprintf(text, sizeof(text), "+%#lx", (unsigned long)((const char *)first_caller[index] - base));
    return text;
}

void allocation_counter_canary(const char *name, unsigned count)
{
    char before[16] = "";
    (void)prctl(PR_GET_NAME, before);
    (void)pthread_setname_np(pthread_self(), name);
    for (unsigned i = 0; i < count; i++) {
        // Volatile, or the compiler takes the pair away.
        void *volatile memory = malloc(16 + i);
        free(memory);
    }
    // What the thread frees as it ends must not count for the next measurement.
    (void)pthread_setname_np(pthread_self(), before);
}

#ifdef HEAP_IS_TAKEN

bool allocation_counter_works(void) { return false; }

#else

bool allocation_counter_works(void) { return true; }

// What glibc calls its own functions by, so that others may stand before them.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t byte_count)
{
    count(&allocations);
    return __libc_malloc(byte_count);
}

void *calloc(size_t item_count, size_t byte_count)
{
    count(&allocations);
    return __libc_calloc(item_count, byte_count);
}

void *realloc(void *memory, size_t byte_count)
{
    count(&allocations);
    return __libc_realloc(memory, byte_count);
}

void *memalign(size_t alignment, size_t byte_count)
{
    count(&allocations);
    return __libc_memalign(alignment, byte_count);
}

void *aligned_alloc(size_t alignment, size_t byte_count)
{
    count(&allocations);
    return __libc_memalign(alignment, byte_count);
}

int posix_memalign(void **out, size_t alignment, size_t byte_count)
{
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;
    count(&allocations);
    void *memory = __libc_memalign(alignment, byte_count);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

void free(void *memory)
{
    if (memory)
        count(&frees);
    __libc_free(memory);
}

#endif
