#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_notify_open(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = 0; // an abstract name
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t byte_count = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    // Connected now, because the process may not be allowed to do so later.
    if (connect(fd, (struct sockaddr *)&address, byte_count) < 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}

void clinux_notify_send(int fd, const char *state)
{
    (void)!send(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void clinux_main_send(int fd, char kind, const char *text)
{
    struct iovec parts[2] = {{&kind, 1}, {(void *)text, text ? strlen(text) : 0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    (void)!sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int clinux_main_receive(int fd)
{
    char kind;
    ssize_t count;
    do
        count = recv(fd, &kind, 1, 0);
    while (count < 0 && errno == EINTR);
    return count == 1 ? kind : 0;
}

static sigset_t set_of(const int *signals, unsigned count)
{
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < count; i++)
        sigaddset(&set, signals[i]);
    return set;
}

void clinux_signals_block(const int *signals, unsigned count)
{
    sigset_t set = set_of(signals, count);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void clinux_signals_unblock(const int *signals, unsigned count)
{
    sigset_t set = set_of(signals, count);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int clinux_signals_wait(const int *signals, unsigned count)
{
    sigset_t set = set_of(signals, count);
    int signal;
    return sigwait(&set, &signal) == 0 ? signal : 0;
}

static const int main_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGABRT, SIGCHLD};
enum { main_signal_count = sizeof(main_signals) / sizeof(main_signals[0]) };

// The main process. It holds nothing of what the server serves, so it may end while the server
// still drains.

typedef struct {
    pid_t server;
    int socket;
    int notify_fd;
    bool is_stopping;
    bool is_released;
} main_state;

// Ends as the server has ended, so that the service manager sees why.
static void end_like(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    signal(WTERMSIG(status), SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

// Relays what the server has said. False: it says nothing any more.
static bool take_messages(main_state *state)
{
    char text[4096];
    for (;;) {
        ssize_t count = recv(state->socket, text, sizeof(text) - 1, MSG_DONTWAIT);
        if (count == 0)
            return false;
        if (count < 0)
            return errno == EAGAIN || errno == EINTR;
        text[count] = 0;
        if (text[0] == CLINUX_MAIN_RELEASED)
            state->is_released = true;
        else if (text[0] == CLINUX_MAIN_NOTIFY && state->notify_fd >= 0)
            clinux_notify_send(state->notify_fd, text + 1);
    }
}

static void relay_signal(main_state *state, int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
        // A service manager may have sent it to both processes: the server counts signals, but not
        // messages.
        if (state->is_stopping)
            (void)kill(state->server, SIGTERM);
        clinux_main_send(state->socket, CLINUX_MAIN_STOP, NULL);
        state->is_stopping = true;
        break;
    case SIGCHLD: {
        int status;
        if (waitpid(state->server, &status, WNOHANG) != state->server)
            break;
        (void)take_messages(state);
        end_like(status);
        break;
    }
    case SIGABRT: // the watchdog of the service manager
        (void)kill(state->server, SIGABRT);
        _exit(128 + SIGABRT);
    default:
        (void)kill(state->server, number);
    }
}

static _Noreturn void run_main(main_state *state)
{
    sigset_t set = set_of(main_signals, main_signal_count);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd waits[2] = {{fd, POLLIN, 0}, {state->socket, POLLIN, 0}};
    for (;;) {
        (void)poll(waits, 2, -1);
        struct signalfd_siginfo info;
        while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            relay_signal(state, (int)info.ssi_signo);
        if (waits[1].revents && !take_messages(state))
            waits[1].fd = -1;
        if (state->is_stopping && state->is_released)
            _exit(0);
    }
}

int clinux_split(int *socket)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return -errno;
    // Before the child is there, so that no signal is lost or ends one of the two alone.
    sigset_t set = set_of(main_signals, main_signal_count), before;
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    pid_t child = fork();
    int error = errno;
    if (child <= 0)
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        close(sockets[0]);
        close(sockets[1]);
        return -error;
    }
    close(sockets[child == 0 ? 0 : 1]);
    *socket = sockets[child == 0 ? 1 : 0];
    return child;
}

void clinux_run_main(int server, int socket, int notify_fd)
{
    main_state state = {.server = server, .socket = socket, .notify_fd = notify_fd};
    run_main(&state);
}
