// Tells ThreadSanitizer what Swift's Mutex orders. For `tools/dev sanitize thread`, by LD_PRELOAD.
//
// The fast way through a Mutex is compiled into the program, so the sanitizer sees it. Where
// threads contend, the lock is taken and given back within libswiftSynchronization, which was built
// without the sanitizer: everything that such a Mutex protects would count as a race.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SELF __attribute__((swift_context)) void *self
#define METHOD __attribute__((swiftcall)) void
// Synchronization._MutexHandle._lockSlow(UInt32) and ._unlockSlow()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void __tsan_acquire(void *address);
void __tsan_release(void *address);

METHOD lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
METHOD unlock_slow(SELF) __asm__(UNLOCK_SLOW);

METHOD lock_slow(uint32_t thread, SELF)
{
    typedef METHOD original(uint32_t, SELF);
    ((original *)dlsym(RTLD_NEXT, LOCK_SLOW))(thread, self);
    __tsan_acquire(self);
}

METHOD unlock_slow(SELF)
{
    typedef METHOD original(SELF);
    __tsan_release(self);
    ((original *)dlsym(RTLD_NEXT, UNLOCK_SLOW))(self);
}
