// A model that tells of its life: with the settings {"diary": "FILE", "burnMilliseconds": 2000,
// "ill": "FILE"} it appends a line to the diary when it is made and when it is destroyed, computes
// so long in create(), is ill while the second file is there, and fails when it is asked after its
// end. It answers the number of its version; with a resource `data`, which it maps, the sum of its
// bytes. While the files of "hangCreate", "hangPredict" and "hangDestroy" are there, it hangs there.
#define _GNU_SOURCE
#include "model_plugin.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

MODEL_PLUGIN_TAG

struct model_instance {
    unsigned version;
    int is_destroyed;
    char diary[512], ill[512], hang_predict[512], hang_destroy[512];
    const unsigned char *data;
    size_t size;
};

static const char *describe(void) {
    return "{\"inputs\": [{\"name\": \"user_id\", \"type\": \"json\", \"required\": false}],"
           " \"threading\": \"concurrent\"}";
}

// Copies the text behind `"name": "` up to the next quote: settings of tests hold no escapes.
static void setting(const char *settings, const char *name, char *text, size_t size) {
    const char *found = strstr(settings, name);
    text[0] = 0;
    if (!found || !(found = strchr(found + strlen(name) + 1, '"'))) return;
    size_t length = strcspn(found + 1, "\"");
    if (length < size) {
        memcpy(text, found + 1, length);
        text[length] = 0;
    }
}

static void tell(const model_instance *self, const char *what) {
    if (!self->diary[0]) return;
    int file = open(self->diary, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[64];
    int length = snprintf(line, sizeof line, "%s %u\n", what, self->version);
    if (file >= 0 && write(file, line, (size_t)length) < 0) abort();
    if (file >= 0) close(file);
}

static void map(model_instance *self, const char *resources) {
    char path[1024];
    struct stat facts;
    snprintf(path, sizeof path, "%s/data", resources);
    int file = resources[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    if (fstat(file, &facts) == 0 && facts.st_size > 0) {
        void *place = mmap(0, (size_t)facts.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (place != MAP_FAILED) {
            self->data = place;
            self->size = (size_t)facts.st_size;
        }
    }
    close(file);
}

// Tells that it begins, and waits until a file is gone.
static void hang(const model_instance *self, const char *file, const char *what) {
    if (!file[0] || access(file, F_OK) != 0) return;
    tell(self, what);
    while (access(file, F_OK) == 0) usleep(5000);
}

static void burn(double milliseconds) {
    struct timespec time;
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    while ((double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6 < milliseconds);
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    (void)failure;
    model_instance *self = calloc(1, sizeof *self);
    self->version = arguments->version;
    setting(arguments->settings, "\"diary\"", self->diary, sizeof self->diary);
    setting(arguments->settings, "\"ill\"", self->ill, sizeof self->ill);
    setting(arguments->settings, "\"hangPredict\"", self->hang_predict, 512);
    setting(arguments->settings, "\"hangDestroy\"", self->hang_destroy, 512);
    char hang_create[512];
    setting(arguments->settings, "\"hangCreate\"", hang_create, sizeof hang_create);
    hang(self, hang_create, "hangs in create");
    const char *wanted = strstr(arguments->settings, "\"burnMilliseconds\"");
    if (wanted) burn(atof(strchr(wanted, ':') + 1));
    map(self, arguments->resources);
    tell(self, "create");
    return self;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)call;
    if (self->is_destroyed) {
        out->message(out, "asked after its end", 19);
        return MODEL_INTERNAL;
    }
    hang(self, self->hang_predict, "hangs in predict");
    if (self->is_destroyed) tell(self, "destroyed in predict");
    unsigned answer = self->version;
    if (self->data) answer = 0;
    for (size_t place = 0; place < self->size; place++) answer += self->data[place];
    char text[16];
    out->json(out, text, (size_t)snprintf(text, sizeof text, "%u", answer));
    return MODEL_OK;
}

static model_status health(model_instance *self, model_writer *failure) {
    if (!self->ill[0] || access(self->ill, F_OK) != 0) return MODEL_OK;
    failure->message(failure, "it has a cold", 13);
    return MODEL_INTERNAL;
}

// What is dead stays where it is, so that a call after its end is seen and not undefined.
static void destroy(model_instance *self) {
    self->is_destroyed = 1;
    hang(self, self->hang_destroy, "hangs in destroy");
    tell(self, "destroy");
}

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, 0, health, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)host;
    return &plugin;
}
