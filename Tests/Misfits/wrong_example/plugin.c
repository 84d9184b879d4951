// Has an example that is not what it declares.
#define MISFIT_DESCRIPTION                                                              \
    "{\"threading\": \"concurrent\", \"inputs\": [{\"name\": \"x\", \"type\": \"number\"}]," \
    " \"examples\": [{\"x\": \"no number\"}]}"
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
TABLE(sizeof(model_plugin), create, predict)
