// Takes what Swift tells ThreadSanitizer of inout accesses, and drops it. For `tools/dev sanitize
// thread`, by the linker's --wrap.
//
// Of `column[i] += 1` in a noncopyable struct, Swift 6.3 passes the first word of the struct as the
// address of what is written, whatever that word is: it may be a count, the same in two threads.
// The loads and stores themselves are seen without this.
void __wrap___tsan_external_write(void *address, void *caller, void *tag);

void __wrap___tsan_external_write(void *address, void *caller, void *tag)
{
    (void)address, (void)caller, (void)tag;
}
