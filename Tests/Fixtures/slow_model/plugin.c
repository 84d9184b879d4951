// A slow model: computes, or sleeps, for as many milliseconds as the request says, and answers how
// many it took. It gives up when nobody waits any more.
#define _GNU_SOURCE
#include "model_plugin.h"

#include <time.h>

MODEL_PLUGIN_TAG

static const model_host *host;

static const char *describe(void) {
    return "{\"inputs\": [{\"name\": \"ms\", \"type\": \"number\"},"
           " {\"name\": \"sleep\", \"type\": \"boolean\", \"required\": false}],"
           " \"threading\": \"concurrent\"}";
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    return failure ? (model_instance *)arguments->source : 0;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    double start = now(), end = start + call->values[0].number;
    while (now() < end) {
        if (call->cancelled(call)) {
            host->log(self, MODEL_LOG_INFO, "gave up", 7);
            return MODEL_CANCELLED;
        }
        if (call->values[1].number != 0) {
            struct timespec pause = {0, 500000};
            nanosleep(&pause, 0);
        }
    }
    out->number(out, (double)(long)(now() - start));
    return MODEL_OK;
}

static void destroy(model_instance *self) { (void)self; }

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, 0, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *given) {
    host = given;
    return &plugin;
}
