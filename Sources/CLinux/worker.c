// Notes, faults, lifelines and messages of workers. See CLinuxWorker.h.
#define _GNU_SOURCE
#include "CLinux.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

_Static_assert(sizeof(clinux_note) == 1024, "a note is 1 KiB");

// What the handler needs; set once, before there is a thread that runs models' code.
static clinux_fault *the_fault;
static clinux_note *the_notes;
static const uint64_t *the_notes_used;
static pid_t the_process;

static __thread clinux_note *own_note;

clinux_note *clinux_note_take(clinux_note *notes, uint32_t count) {
    if (own_note) return own_note;
    int32_t thread = gettid();
    for (uint32_t i = 0; i < count; i++) {
        int32_t nobody = 0;
        if (__atomic_compare_exchange_n(
                &notes[i].thread, &nobody, thread, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED
            )) {
            return own_note = &notes[i];
        }
    }
    return NULL;
}

void clinux_note_give(void) {
    if (!own_note) return;
    clinux_note_end(own_note);
    __atomic_store_n(&own_note->thread, 0, __ATOMIC_RELEASE);
    own_note = NULL;
}

// MARK: Faults

static uint64_t monotonic_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument) {
    clinux_fault *fault = argument;
    uint64_t place = (uint64_t)_Unwind_GetIP(context);
    if (place == 0 || fault->frame_count >= CLINUX_FAULT_FRAMES) return _URC_END_OF_STACK;
    fault->frames[fault->frame_count++] = place;
    return _URC_NO_REASON;
}

static void copy_maps(clinux_fault *fault) {
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    while (fault->maps_length < CLINUX_FAULT_MAPS) {
        ssize_t count =
            read(file, fault->maps + fault->maps_length, CLINUX_FAULT_MAPS - fault->maps_length);
        if (count <= 0) break;
        fault->maps_length += (uint64_t)count;
    }
    close(file);
}

#define STOP_SIGNAL (SIGRTMAX - 1)

static void stop_here(int number) {
    (void)number;
    for (;;) pause();
}

// Keeps the other threads from answering with what may be spoilt; they end with the process.
static void stop_others(void) {
    uint64_t used = __atomic_load_n(the_notes_used, __ATOMIC_RELAXED);
    pid_t self = gettid();
    for (uint64_t i = 0; i < used && i < 4096; i++) {
        int32_t thread = __atomic_load_n(&the_notes[i].thread, __ATOMIC_RELAXED);
        if (thread > 0 && thread != self) syscall(SYS_tgkill, the_process, thread, STOP_SIGNAL);
    }
}

// Writes the facts down, unless another thread was first: then it waits for the end here.
static clinux_fault *begin_fault(uint32_t kind) {
    clinux_fault *fault = the_fault;
    if (!fault || getpid() != the_process) return NULL;
    uint32_t nothing = 0;
    if (!__atomic_compare_exchange_n(
            &fault->stage, &nothing, 1u, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED
        )) {
        for (;;) pause();
    }
    stop_others();
    fault->kind = kind;
    fault->thread = gettid();
    fault->moment = monotonic_now();
    if (own_note && own_note->activity) fault->note = (uint32_t)(own_note - the_notes) + 1;
    return fault;
}

// The facts count from here on; the stack is walked afterwards, since that may fail.
static void complete_fault(clinux_fault *fault) {
    __atomic_store_n(&fault->stage, 2u, __ATOMIC_RELEASE);
    _Unwind_Backtrace(add_frame, fault);
    copy_maps(fault);
    __atomic_store_n(&fault->stage, 3u, __ATOMIC_RELEASE);
}

static void on_signal(int number, siginfo_t *info, void *opaque) {
    clinux_fault *fault = begin_fault(CLINUX_FAULT_SIGNAL);
    if (fault) {
        fault->signal = number;
        fault->code = info->si_code;
        // Of a signal that somebody sent the address is no address.
        if (info->si_code > 0) fault->address = (uint64_t)(uintptr_t)info->si_addr;
        ucontext_t *context = opaque;
#if defined(__x86_64__)
        fault->instruction = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        fault->instruction = context->uc_mcontext.pc;
#else
        (void)context;
#endif
        complete_fault(fault);
    }
    // The signal is blocked in its handler: it ends the process once the handler is done.
    signal(number, SIG_DFL);
    syscall(SYS_tgkill, getpid(), gettid(), number);
}

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

static _Unwind_Reason_Code ignore_frame(struct _Unwind_Context *context, void *argument) {
    (void)context, (void)argument;
    return _URC_NO_REASON;
}

void clinux_catch_faults(clinux_fault *fault, clinux_note *notes, const uint64_t *used) {
    the_notes = notes;
    the_notes_used = used;
    the_process = getpid();
    the_fault = fault;
    // The first walk may allocate; it is done where that is allowed.
    _Unwind_Backtrace(ignore_frame, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    struct sigaction stop = {.sa_handler = stop_here, .sa_flags = SA_ONSTACK};
    sigemptyset(&stop.sa_mask);
    sigaction(STOP_SIGNAL, &stop, NULL);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
        sigaction(fatal_signals[i], &action, NULL);
    }
}

// A program's own exit() comes before the C library's, for plugins too. One that is called inside
// a model's call would run the end of everything while other threads still answer: it is a fault
// of that call.
__attribute__((noreturn, visibility("default"))) void exit(int status) {
    if (the_fault && own_note && own_note->activity) {
        clinux_fault *fault = begin_fault(CLINUX_FAULT_EXIT);
        if (fault) {
            fault->status = status;
            complete_fault(fault);
            _exit(status);
        }
    }
    void (*next)(int) = (void (*)(int))dlsym(RTLD_NEXT, "exit");
    if (next) next(status);
    _exit(status);
}

#define SIGNAL_STACK_BYTES ((size_t)64 << 10)

void *clinux_open_signal_stack(void) {
    if (!the_fault) return NULL;
    void *memory = mmap(
        NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    );
    if (memory == MAP_FAILED) return NULL;
    stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_BYTES};
    if (sigaltstack(&stack, NULL) == 0) return memory;
    munmap(memory, SIGNAL_STACK_BYTES);
    return NULL;
}

void clinux_close_signal_stack(void *memory) {
    if (!memory) return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    munmap(memory, SIGNAL_STACK_BYTES);
}

// MARK: Lifelines

size_t clinux_lifeline_size(void) { return sizeof(pthread_mutex_t); }

int clinux_lifeline_make(void *place) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int failure = pthread_mutex_init(place, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return failure;
}

int clinux_lifeline_hold(void *place) { return pthread_mutex_lock(place); }

void clinux_lifeline_await(void *place) {
    int end = pthread_mutex_lock(place);
    if (end == EOWNERDEAD) pthread_mutex_consistent(place);
    if (end == 0 || end == EOWNERDEAD) pthread_mutex_unlock(place);
}

// MARK: Processes

int clinux_open_process(int process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int clinux_start_worker(
    const char *path, char *const *arguments, char *const *environment, int control,
    uint64_t memory
) {
    // Between fork and exec only what may be called there; the caller has one thread that matters.
    pid_t process = fork();
    if (process != 0) return process;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    if (memory > 0) {
        struct rlimit limit = {.rlim_cur = memory, .rlim_max = memory};
        // What is written to, reserved stacks included; not what is mapped to be read.
        setrlimit(RLIMIT_DATA, &limit);
    }
    if (control == 3) {
        fcntl(3, F_SETFD, 0);
    } else if (dup2(control, 3) < 0) {
        _exit(127);
    }
    execve(path, arguments, environment);
    _exit(127);
}

int clinux_reap(int process, int *status) {
    return waitpid(process, status, WNOHANG) == process ? 0 : -1;
}

// MARK: Messages

int clinux_message_pair(int numbers[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, numbers);
}

#define DESCRIPTORS_MAXIMUM 253

int clinux_send_message(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t count
) {
    char control[CMSG_SPACE(DESCRIPTORS_MAXIMUM * sizeof(int))];
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > DESCRIPTORS_MAXIMUM) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        memset(control, 0, message.msg_controllen);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    for (;;) {
        ssize_t sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) return 0;
        if (errno != EINTR) return -1;
    }
}

long clinux_receive_message(
    int socket, void *bytes, size_t capacity, int *descriptors, size_t *count
) {
    char control[CMSG_SPACE(DESCRIPTORS_MAXIMUM * sizeof(int))];
    struct iovec piece = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    size_t room = *count;
    *count = 0;
    ssize_t length;
    do {
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < 0) return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < found; i++) {
            int number;
            memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
            if (*count < room) descriptors[(*count)++] = number;
            else close(number);
        }
    }
    if (message.msg_flags & MSG_CTRUNC) {
        for (size_t i = 0; i < *count; i++) close(descriptors[i]);
        *count = 0;
    }
    return length;
}

// MARK: Memory

static int forget_code_of(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        uintptr_t start = object->dlpi_addr + segment->p_vaddr, page = 4095;
        uintptr_t first = (start + page) & ~page, end = (start + segment->p_filesz) & ~page;
        // Nobody has written there, so the file has all of it.
        if (end > first) madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return 0;
}

void clinux_forget_code(void) { dl_iterate_phdr(forget_code_of, NULL); }

// MARK: Core dumps

void clinux_leave_out_of_dumps(void *address, size_t length) {
    madvise(address, length, MADV_DONTDUMP);
}

void clinux_allow_core_dumps(bool allowed) {
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = allowed ? limit.rlim_max : 0;
    setrlimit(RLIMIT_CORE, &limit);
}
