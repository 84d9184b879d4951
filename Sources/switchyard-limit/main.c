// The limit: what any server on this machine costs at the least, to compare Switchyard with.
//
// It answers every request with one fixed text, which is to the byte Switchyard's answer to the
// README's request. One thread per core waits with epoll, level-triggered; a connection that is
// ready costs one read and one write. The main thread accepts and deals the connections out in
// turn, so every loop has the same number of them, which SO_REUSEPORT leaves to chance.
//
// Honest where it counts: a request is answered when it is complete, by its Content-Length, however
// it was cut into reads. Nothing else of it is looked at; of a large one the body is only read.
//
// usage: switchyard-limit [PORT [LOOPS]]; port 0, the default, is any free one.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUEST_BYTES_MAXIMUM = 4096, BODY_BYTES_MAXIMUM = 1 << 26, READ_BYTES = 1 << 18, EVENTS = 64,
    LOOPS_MAXIMUM = 256
};

static const char body[] =
    "{\"data\":{\"total\":48.48,\"unit\":16.16},\"requestId\":\"55b735b450d90-1\",\"split\":"
    "{\"endpointName\":\"pricing_optimizer\",\"backendName\":\"experiment\",\"experimentId\":"
    "\"foo\",\"subjectId\":\"123\",\"assignment\":\"subject\",\"deployment\":{\"branch\":\"main\","
    "\"name\":\"pricing_model_v2\",\"version\":1,\"alias\":\"latest\"},\"configRevision\":1}}";

// Head and body, written once at the start.
static char answer[1024];
static size_t answer_bytes;

// A connection: its descriptor and what has arrived of its next request.
typedef struct connection {
    int descriptor;
    size_t received;
    size_t left;  // bytes of a large body that have not been read
    char request[REQUEST_BYTES_MAXIMUM];
} connection;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

// The bytes of the request at the front of `text`; 0 when its head is not complete, and -1 when it
// is none. The field's name is searched for as the load generator writes it.
static ssize_t request_bytes(const char *text, size_t length) {
    static const char end[] = "\r\n\r\n", field[] = "\r\nContent-Length: ";
    const char *head_end = memmem(text, length, end, 4);
    if (!head_end) return length < REQUEST_BYTES_MAXIMUM ? 0 : -1;
    size_t head = (size_t)(head_end - text) + 4;
    const char *found = memmem(text, head, field, sizeof field - 1);
    size_t content = 0;
    if (found) {
        const char *digit = found + sizeof field - 1;
        for (; *digit >= '0' && *digit <= '9'; digit++) {
            content = content * 10 + (size_t)(*digit - '0');
            if (content > BODY_BYTES_MAXIMUM) return -1;
        }
    }
    return (ssize_t)(head + content);
}

static int send_answer(connection *self) {
    return send(self->descriptor, answer, answer_bytes, MSG_NOSIGNAL) == (ssize_t)answer_bytes;
}

// Reads what has come of a large body. False: the connection is over.
static int pass_over(connection *self) {
    static _Thread_local char scratch[READ_BYTES];
    size_t wanted = self->left < READ_BYTES ? self->left : READ_BYTES;
    ssize_t count = recv(self->descriptor, scratch, wanted, 0);
    if (count <= 0) return count < 0 && (errno == EAGAIN || errno == EINTR);
    self->left -= (size_t)count;
    return self->left > 0 || send_answer(self);
}

// One read, and one write for each request that is complete by then. False: the connection is over.
// An answer always finds room in the buffer of a client that waits for it; one that does not read
// is let go.
static int serve(connection *self) {
    if (self->left > 0) return pass_over(self);
    ssize_t count = recv(
        self->descriptor, self->request + self->received, sizeof self->request - self->received, 0);
    if (count <= 0) return count < 0 && (errno == EAGAIN || errno == EINTR);
    self->received += (size_t)count;
    size_t start = 0;
    for (;;) {
        ssize_t bytes = request_bytes(self->request + start, self->received - start);
        if (bytes < 0) return 0;
        if (bytes == 0) break;
        if (start + (size_t)bytes > self->received) {
            if ((size_t)bytes <= REQUEST_BYTES_MAXIMUM) break;
            self->left = (size_t)bytes - (self->received - start);
            self->received = 0;
            return 1;
        }
        if (!send_answer(self)) return 0;
        start += (size_t)bytes;
        if (start == self->received) break;  // as always, unless the client pipelines
    }
    self->received -= start;
    if (self->received > 0 && start > 0) {
        memmove(self->request, self->request + start, self->received);
    }
    return 1;
}

// One loop, for ever.
static void *run(void *argument) {
    int epoll = *(int *)argument;
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            connection *ready = events[i].data.ptr;
            if (serve(ready)) continue;
            close(ready->descriptor);
            free(ready);
        }
    }
    return NULL;
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) fail("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) fail("getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **words) {
    long loops = count > 2 ? atol(words[2]) : sysconf(_SC_NPROCESSORS_ONLN);
    if (loops < 1 || loops > LOOPS_MAXIMUM) loops = 1;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int head = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
        "Date: Sat, 21 Nov 2026 10:16:28 GMT\r\nX-Switchyard-Backend: experiment\r\n"
        "X-Switchyard-Deployment: main/pricing_model_v2/1\r\nX-Request-Id: 55b735b450d90-1\r\n"
        "\r\n%s",
        sizeof body - 1, body);
    answer_bytes = (size_t)head;

    static int epolls[LOOPS_MAXIMUM];
    for (long i = 0; i < loops; i++) {
        epolls[i] = epoll_create1(EPOLL_CLOEXEC);
        if (epolls[i] < 0) fail("epoll_create1");
        pthread_t thread;
        if ((errno = pthread_create(&thread, NULL, run, &epolls[i]))) fail("pthread_create");
    }
    int listener = listen_on(count > 1 ? atoi(words[1]) : 0);
    for (long next = 0;; next = (next + 1) % loops) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) continue;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        connection *fresh = calloc(1, sizeof *fresh);
        if (!fresh) fail("calloc");
        fresh->descriptor = descriptor;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = fresh};
        if (epoll_ctl(epolls[next], EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
    }
}
