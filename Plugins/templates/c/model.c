// The price of an order. Replace it with your model; model_plugin.h is the whole contract.
#include "model_plugin.h"

MODEL_PLUGIN_TAG

enum { PRICE, QUANTITY };

static const char *describe(void) {
    return "{\"inputs\": ["
           "{\"name\": \"price\", \"type\": \"number\", \"doc\": \"price of one piece\"},"
           "{\"name\": \"quantity\", \"type\": \"number\", \"doc\": \"pieces, from 1 on\"}],"
           "\"output\": {\"type\": \"number\"}, \"doc\": \"Price of an order.\","
           "\"examples\": [{\"price\": 2.5, \"quantity\": 4}],"
           "\"threading\": \"concurrent\"}";
}

// One instance is enough: this model keeps nothing.
static model_instance *create(const model_create *arguments, model_writer *failure) {
    (void)arguments, (void)failure;
    static char instance;
    return (model_instance *)&instance;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)self;
    double price = call->values[PRICE].number, quantity = call->values[QUANTITY].number;
    if (quantity < 1) {
        static const char sentence[] = "quantity is below 1";
        out->message(out, sentence, sizeof sentence - 1);
        return MODEL_INVALID_INPUT;
    }
    return out->number(out, price * quantity) ? MODEL_OK : MODEL_INTERNAL;
}

static void destroy(model_instance *self) { (void)self; }

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, 0, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)host;
    return &plugin;
}
