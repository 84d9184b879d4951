#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <locale.h>
#include <malloc.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(CLINUX_READABLE == EPOLLIN && CLINUX_WRITABLE == EPOLLOUT, "epoll bits");
_Static_assert(CLINUX_ERROR == EPOLLERR && CLINUX_HANGUP == EPOLLHUP, "epoll bits");
_Static_assert(CLINUX_PEER_CLOSED == EPOLLRDHUP, "epoll bits");

int clinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int descriptor, uint32_t bits, uint64_t data) {
    struct epoll_event event = {.events = bits, .data.u64 = data};
    return epoll_ctl(epoll, operation, descriptor, &event);
}

int clinux_epoll_add(int epoll, int descriptor, uint32_t bits, uint64_t data) {
    return control(epoll, EPOLL_CTL_ADD, descriptor, bits, data);
}

int clinux_epoll_modify(int epoll, int descriptor, uint32_t bits, uint64_t data) {
    return control(epoll, EPOLL_CTL_MOD, descriptor, bits, data);
}

int clinux_epoll_remove(int epoll, int descriptor) {
    return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0);
}

#define EVENTS_MAXIMUM 256

int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int milliseconds) {
    struct epoll_event raw[EVENTS_MAXIMUM];
    if (capacity > EVENTS_MAXIMUM) capacity = EVENTS_MAXIMUM;
    int count = epoll_wait(epoll, raw, capacity, milliseconds);
    for (int i = 0; i < count; i++) {
        events[i].bits = raw[i].events;
        events[i].data = raw[i].data.u64;
    }
    return count;
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int clinux_accept(int descriptor) {
    return accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int clinux_punch_hole(int descriptor, long offset, long length) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return (int)sysconf(_SC_NPROCESSORS_ONLN);
    return CPU_COUNT(&set);
}

int clinux_reap_other(const int *known, int count) {
    siginfo_t info = {0};
    // Looked at first: the ends of our own are read elsewhere.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return 0;
    for (int i = 0; i < count; i++) {
        if (known[i] == info.si_pid) return 0;
    }
    return waitpid(info.si_pid, NULL, WNOHANG);
}

bool clinux_is_stopped(int process) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return false;
    text[length] = 0;
    char *end = strrchr(text, ')');
    return end && (end[2] == 'T' || end[2] == 't');
}

int clinux_thread_number(void) { return gettid(); }

int clinux_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

long clinux_try_write(int descriptor, const void *bytes, size_t count) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return -1;
    if (S_ISSOCK(status.st_mode)) {
        return send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    // The descriptor is shared with other processes, so it must not be made non-blocking.
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    if (S_ISFIFO(status.st_mode)) return pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT);
    errno = EOPNOTSUPP;
    return -1;
}

int clinux_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    int failure = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_signal_next(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    return count == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

// Unlike pthread_setname_np, this cuts a name that is too long.
void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

void clinux_trim_heap(void) { malloc_trim(0); }

// The kernel's struct sched_attr, as far as it is needed; the C library does not have it.
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

int clinux_schedule(int steps, uint64_t slice) {
    pid_t thread = gettid();
    int nice = getpriority(PRIO_PROCESS, (id_t)thread) + steps;
    struct attributes wanted = {.size = sizeof wanted, .nice = nice, .runtime = slice};
    if (syscall(SYS_sched_setattr, 0, &wanted, 0) == 0) return 0;
    return setpriority(PRIO_PROCESS, (id_t)thread, nice);
}

int clinux_open_schedule(void) {
    return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

uint64_t clinux_schedule_delay(int descriptor) {
    char text[96];
    ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, 0, 10) : 0;
}

static int tcp_snapshot(int descriptor, struct tcp_info *info) {
    socklen_t length = sizeof *info;
    memset(info, 0, sizeof *info);
    return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &length);
}

int clinux_tcp_counters(int descriptor, uint64_t *consumed, uint64_t *written) {
    for (int attempt = 0; attempt < 1000; attempt++) {
        struct tcp_info before, after;
        int unread = 0, unacknowledged = 0;
        if (tcp_snapshot(descriptor, &before) != 0) return -1;
        if (ioctl(descriptor, SIOCINQ, &unread) != 0) return -1;
        if (ioctl(descriptor, SIOCOUTQ, &unacknowledged) != 0) return -1;
        if (tcp_snapshot(descriptor, &after) != 0) return -1;
        if (before.tcpi_bytes_received != after.tcpi_bytes_received) continue;
        if (before.tcpi_bytes_acked != after.tcpi_bytes_acked) continue;
        if (before.tcpi_state != after.tcpi_state) continue;
        // TCP_CLOSE_WAIT is 8, TCP_ESTABLISHED is 1; in every other state our own FIN or a reset
        // takes part in the sums.
        if (after.tcpi_state != 1 && after.tcpi_state != 8) {
            errno = ENOTCONN;
            return -1;
        }
        uint64_t fin = after.tcpi_state == 8 ? 1 : 0;
        *consumed = after.tcpi_bytes_received - (uint64_t)unread - fin;
        *written = after.tcpi_bytes_acked + (uint64_t)unacknowledged;
        return 0;
    }
    errno = EAGAIN;
    return -1;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

bool clinux_parse_double(const char *text, size_t length, double *number) {
    char small[1001];
    char *copy = small;
    if (length == 0) return false;
    if (length >= sizeof small && !(copy = malloc(length + 1))) return false;
    pthread_once(&c_locale_once, make_c_locale);
    memcpy(copy, text, length);
    copy[length] = 0;
    char *end = NULL;
    *number = strtod_l(copy, &end, c_locale);
    bool whole = end == copy + length;
    if (copy != small) free(copy);
    return whole;
}

double clinux_log(double x) { return log(x); }

int64_t clinux_peer_user(int socket) {
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    return peer.uid;
}

void clinux_map_large_blocks(void) { mallopt(M_MMAP_THRESHOLD, 1 << 20); }
