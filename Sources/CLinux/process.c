#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The C library hands them to constructors as it does to main.
static int argument_count;
static char **argument_values;

__attribute__((constructor)) static void keep_arguments(int count, char **values)
{
    argument_count = count;
    argument_values = values;
}

char **clinux_arguments(int *count)
{
    *count = argument_count;
    return argument_values;
}

static void *pass_gate(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static bool has_room_for_stack(void)
{
    size_t byte_count = 8 << 20;
    pthread_attr_t attributes;
    if (pthread_getattr_default_np(&attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &byte_count);
        (void)pthread_attr_destroy(&attributes);
    }
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, kind, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    munmap(memory, byte_count);
    return true;
}

int clinux_try_threads(unsigned count)
{
    pthread_t *threads = calloc(count, sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    unsigned started = 0;
    int error = 0;
    while (started < count && (error = pthread_create(&threads[started], NULL, pass_gate, &gate)) == 0)
        started++;
    // The C library says EAGAIN where a stack finds no memory, too.
    if (error == EAGAIN && !has_room_for_stack())
        error = ENOMEM;
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    return -error;
}

bool clinux_is_append_only(int directory)
{
    struct statx status;
    return statx(directory, "", AT_EMPTY_PATH, STATX_MODE, &status) == 0
           && status.stx_attributes & STATX_ATTR_APPEND;
}

bool clinux_is_walled(int directory)
{
    // Landlock is asked by open(2) alone, permissions by both calls.
    const int flags = AT_EACCESS | AT_EMPTY_PATH;
    if (syscall(SYS_faccessat2, directory, "", R_OK | X_OK, flags) < 0)
        return false;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES;
    close(fd);
    return false;
}
