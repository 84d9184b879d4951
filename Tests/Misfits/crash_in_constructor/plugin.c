// Crashes while it is opened.
#include "../misfit_frame.h"
#include <stdlib.h>
MODEL_PLUGIN_TAG
__attribute__((constructor)) static void crash(void) { abort(); }
TABLE(sizeof(model_plugin), create, predict)
