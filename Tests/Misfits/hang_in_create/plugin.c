// Never comes back from create.
#include "../misfit_frame.h"
#include <unistd.h>
MODEL_PLUGIN_TAG
static model_instance *hang(const model_create *arguments, model_writer *failure) {
    for (;;) sleep(1);
    return create(arguments, failure);
}
TABLE(sizeof(model_plugin), hang, predict)
