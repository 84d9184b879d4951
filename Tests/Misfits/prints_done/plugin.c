// Prints what the probe's child would report, and ends the process as if all were well.
#include "../misfit_frame.h"
#include <stdio.h>
#include <stdlib.h>
MODEL_PLUGIN_TAG
__attribute__((constructor)) static void pretend(void) {
    printf("\nopening\ncreating\ndescription {}\npredicting\ndestroying\ndone\n");
    fflush(stdout);
    _Exit(0);
}
TABLE(sizeof(model_plugin), create, predict)
