// Answers as its argument says: "two", "none", "invalid", "infinite", "error", "silent_error",
// "unknown_status", "log", "crash", "hang", or a number of bytes to answer with.
#include "../misfit_frame.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

MODEL_PLUGIN_TAG

static const model_host *the_host;
static const void *the_source;

static bool is(const model_value *value, const char *word) {
    size_t length = strlen(word);
    return value->length == length + 2 && memcmp(value->text + 1, word, length) == 0;
}

static model_status answer_bytes(const model_value *value, model_writer *writer) {
    char digits[24] = {0};  // the text is not terminated
    memcpy(digits, value->text, value->length < 23 ? value->length : 23);
    size_t count = (size_t)strtoul(digits, NULL, 10);
    char *space = writer->reserve(writer, count + 2);
    if (!space) return MODEL_INTERNAL;
    memset(space, 'x', count + 2);
    space[0] = space[count + 1] = '"';
    writer->commit(writer, count + 2);
    return MODEL_OK;
}

static model_status misbehave(
    model_instance *instance, const model_call *call, model_writer *writer) {
    (void)instance;
    const model_value *value = &call->values[0];
    if (is(value, "two")) {
        writer->number(writer, 1);
        writer->number(writer, 2);
    } else if (is(value, "none")) {
        return MODEL_OK;
    } else if (is(value, "invalid")) {
        writer->json(writer, "{\"a\": }", 7);
    } else if (is(value, "infinite")) {
        writer->number(writer, INFINITY);
    } else if (is(value, "error")) {
        writer->message(writer, "no such customer", 16);
        return MODEL_INVALID_INPUT;
    } else if (is(value, "silent_error")) {
        return MODEL_INTERNAL;
    } else if (is(value, "unknown_status")) {
        return (model_status)77;
    } else if (is(value, "crash")) {
        abort();
    } else if (is(value, "hang")) {
        for (;;) sleep(1);
    } else if (is(value, "log")) {
        the_host->log(the_source, MODEL_LOG_WARNING, "a line", 6);
        writer->number(writer, 1);
    } else {
        return answer_bytes(value, writer);
    }
    return MODEL_OK;
}

static model_instance *create_with_source(const model_create *arguments, model_writer *failure) {
    the_source = arguments->source;
    return create(arguments, failure);
}

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0, describe, create_with_source,
    misbehave, 0, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)predict;
    the_host = host;
    return &plugin;
}
