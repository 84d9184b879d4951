// Crashes while it is opened.
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
__attribute__((constructor)) static void crash(void) { *(volatile int *)8 = 1; }
TABLE(sizeof(model_plugin), create, predict)
