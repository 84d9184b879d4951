// A model for one thread that takes batches: sleeps 20 ms a call, and answers each row with the
// number that it got and the count of rows that it was asked with. The number -1 fails.
#define _GNU_SOURCE
#include "model_plugin.h"

#include <stdio.h>
#include <time.h>

MODEL_PLUGIN_TAG

static const char *describe(void) {
    return "{\"inputs\": [{\"name\": \"n\", \"type\": \"number\"}], \"threading\": \"serial\"}";
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    return failure ? (model_instance *)arguments->source : 0;
}

static model_status answer(const model_call *call, model_writer *out, size_t count) {
    char text[64];
    if (call->values[0].number == -1) {
        out->message(out, "minus one", 9);
        return MODEL_INVALID_INPUT;
    }
    int length = snprintf(text, sizeof text, "[%d,%zu]", (int)call->values[0].number, count);
    out->json(out, text, (size_t)length);
    return MODEL_OK;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)self;
    return answer(call, out, 0);
}

static void predict_batch(model_instance *self, const model_call *const *calls,
                          model_writer *const *writers, model_status *statuses, size_t count) {
    struct timespec pause = {0, 20000000};
    (void)self;
    nanosleep(&pause, 0);
    for (size_t i = 0; i < count; i++) statuses[i] = answer(calls[i], writers[i], count);
}

static void destroy(model_instance *self) { (void)self; }

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, predict_batch, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)host;
    return &plugin;
}
