// The tag that says which contract this plugin was built for. A C plugin that is not built with
// SwiftPM writes MODEL_PLUGIN_TAG once in one of its own files instead of linking this target.
#include "model_plugin.h"
#include "model_tag.h"

MODEL_PLUGIN_TAG
