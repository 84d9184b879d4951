// A model that answers the number that it is given, and goes wrong in the way that a request asks
// for: {"number": 7, "how": "null"}. While the file of the setting "crashCreate" is there, it
// crashes in create().
#define _GNU_SOURCE
#include "model_plugin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

MODEL_PLUGIN_TAG

static const model_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *describe(void) {
    return "{\"inputs\": [{\"name\": \"number\", \"type\": \"number\"},"
           " {\"name\": \"how\", \"type\": \"string\", \"required\": false},"
           " {\"name\": \"ms\", \"type\": \"number\", \"required\": false}],"
           " \"threading\": \"concurrent\"}";
}

static void pause_for(double milliseconds) {
    struct timespec time = {
        (time_t)(milliseconds / 1e3), (long)((long long)(milliseconds * 1e6) % 1000000000)
    };
    nanosleep(&time, 0);
}

static volatile int *volatile nowhere = 0;

__attribute__((noinline)) static int use_up_the_stack(volatile char *before) {
    volatile char some[4096];
    some[0] = before ? before[0] : 1;
    return some[0] + use_up_the_stack(some) + some[4095];
}

// Writes 16 bytes behind a block, where the C library keeps the size of the next one, which it then
// finds to be none.
static void spoil_the_heap(void) {
    char *volatile block = malloc(5000), *volatile next = malloc(5000);
    memset(block + 5000, 0x5a, 16);
    free(next);
    free(block);
    abort();
}

static void *fault_aside(void *unused) {
    *nowhere = 1;
    return unused;
}

// Closes what the host's worker hears its supervisor by: the line, or each loop's channel.
static void close_what_is_not_ours(int from, int to) {
    for (int number = from; number < to; number++) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET) {
            close(number);
        }
    }
}

static void go_wrong(const char *how, size_t length) {
#define IS(word) (length == sizeof(word) - 1 && memcmp(how, word, length) == 0)
    if (IS("null")) *nowhere = 1;
    if (IS("stack")) use_up_the_stack(0);
    if (IS("abort")) abort();
    if (IS("exit")) exit(0);
    if (IS("heap")) spoil_the_heap();
    if (IS("end")) _exit(3);
    if (IS("line")) close_what_is_not_ours(3, 4);
    if (IS("channels")) close_what_is_not_ours(4, 1024);
    if (IS("loop")) for (volatile unsigned i = 0;; i++) {}
    if (IS("sleep")) for (;;) sleep(1000);
    if (IS("deadlock")) {
        pthread_mutex_lock(&lock);
        pthread_mutex_lock(&lock);
    }
    if (IS("aside")) {
        pthread_t thread;
        pthread_create(&thread, 0, fault_aside, 0);
        for (;;) sleep(1000);
    }
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    const char *place = strstr(arguments->settings, "crashCreate");
    if (place && (place = strchr(place + 12, '"'))) {
        char path[512];
        size_t length = strcspn(place + 1, "\"");
        if (length < sizeof path) {
            memcpy(path, place + 1, length);
            path[length] = 0;
            if (access(path, F_OK) == 0) *nowhere = 1;
        }
    }
    return failure ? (model_instance *)arguments->source : 0;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    if (call->value_count > 2 && call->values[2].kind == MODEL_NUMBER) {
        pause_for(call->values[2].number);
    }
    if (call->value_count > 1 && call->values[1].length > 0) {
        host->log(self, MODEL_LOG_INFO, "going wrong", 11);
        go_wrong(call->values[1].text, call->values[1].length);
    }
    out->number(out, call->values[0].number);
    return MODEL_OK;
}

static void destroy(model_instance *self) { (void)self; }

static const model_plugin table = {
    .size = sizeof table,
    .major = MODEL_ABI_MAJOR,
    .minor = MODEL_ABI_MINOR,
    .describe = describe,
    .create = create,
    .predict = predict,
    .destroy = destroy,
};

MODEL_EXPORT const model_plugin *model_plugin_entry(const model_host *given) {
    host = given;
    return &table;
}
