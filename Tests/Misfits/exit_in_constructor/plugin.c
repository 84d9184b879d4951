// Ends the process while it is opened, with a status that looks like success.
#include "../misfit_frame.h"
#include <stdlib.h>
MODEL_PLUGIN_TAG
__attribute__((constructor)) static void leave(void) { exit(0); }
TABLE(sizeof(model_plugin), create, predict)
