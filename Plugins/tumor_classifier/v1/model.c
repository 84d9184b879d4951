// Version 1 of the tumor classifier: a logistic regression over 30 measurements of cell nuclei.
// It keeps no state of its own; the weights are the arrays in weights.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model_plugin.h"
#include "weights.h"

MODEL_PLUGIN_TAG

// Ten measurements, each as the mean, the standard error and the worst of a sample's nuclei.
#define INPUT(name) \
    "{\"name\": \"" name "\", \"type\": \"number\", \"required\": true, " \
    "\"schema\": {\"minimum\": 0, \"maximum\": 1000000}}"
#define TEN_INPUTS(before, after)                                       \
    INPUT(before "radius" after) ", "                                   \
    INPUT(before "texture" after) ", "                                  \
    INPUT(before "perimeter" after) ", "                                \
    INPUT(before "area" after) ", "                                     \
    INPUT(before "smoothness" after) ", "                               \
    INPUT(before "compactness" after) ", "                              \
    INPUT(before "concavity" after) ", "                                \
    INPUT(before "concave_points" after) ", "                           \
    INPUT(before "symmetry" after) ", "                                 \
    INPUT(before "fractal_dimension" after)

static const char *describe(void) {
    return "{\"inputs\": [" TEN_INPUTS("mean_", "") ", " TEN_INPUTS("", "_error") ", "
           TEN_INPUTS("worst_", "") "],"
           "\"output\": {\"type\": \"json\", \"classes\": [\"benign\", \"malignant\"],"
           " \"probability\": \"probability\", \"schema\": {\"type\": \"object\","
           " \"required\": [\"diagnosis\", \"probability\"], \"properties\": {"
           " \"diagnosis\": {\"enum\": [\"benign\", \"malignant\"]},"
           " \"probability\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}}}},"
           "\"doc\": \"Malignant or benign, with the probability of malignancy:"
           " a logistic regression.\","
           "\"examples\": [{\"patient_id\": 842302,"
           "\"mean_radius\": 17.99, \"mean_texture\": 10.38, \"mean_perimeter\": 122.8,"
           "\"mean_area\": 1001.0, \"mean_smoothness\": 0.1184, \"mean_compactness\": 0.2776,"
           "\"mean_concavity\": 0.3001, \"mean_concave_points\": 0.1471,"
           "\"mean_symmetry\": 0.2419, \"mean_fractal_dimension\": 0.07871,"
           "\"radius_error\": 1.095, \"texture_error\": 0.9053, \"perimeter_error\": 8.589,"
           "\"area_error\": 153.4, \"smoothness_error\": 0.006399, \"compactness_error\": 0.04904,"
           "\"concavity_error\": 0.05373, \"concave_points_error\": 0.01587,"
           "\"symmetry_error\": 0.03003, \"fractal_dimension_error\": 0.006193,"
           "\"worst_radius\": 25.38, \"worst_texture\": 17.33, \"worst_perimeter\": 184.6,"
           "\"worst_area\": 2019.0, \"worst_smoothness\": 0.1622, \"worst_compactness\": 0.6656,"
           "\"worst_concavity\": 0.7119, \"worst_concave_points\": 0.2654,"
           "\"worst_symmetry\": 0.4601, \"worst_fractal_dimension\": 0.1189}],"
           "\"threading\": \"concurrent\", \"execution\": \"inline\"}";
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    (void)arguments, (void)failure;
    static char instance;  // there has to be one; nothing is kept in it
    return (model_instance *)&instance;
}

static void destroy(model_instance *self) { (void)self; }

// Writes a probability as JSON with the 17 digits that tell it from its neighbours; at most 32
// bytes.
//
// snprintf writes the decimal point of a locale that any plugin may have set: behind the first
// digit, whatever it is, up to the next one. JSON has a point.
static size_t write_probability(char *output, double probability) {
    char text[48];
    snprintf(text, sizeof text, "%.17g", probability);
    const char *rest = text + 1;
    size_t length = 0;
    output[length++] = text[0];
    if (*rest != 0 && *rest != 'e') {
        output[length++] = '.';
        rest += strcspn(rest, "0123456789");
    }
    memcpy(output + length, rest, strlen(rest));
    return length + strlen(rest);
}

static size_t write_text(char *output, const char *text) {
    memcpy(output, text, strlen(text));
    return strlen(text);
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)self;
    double score = intercept;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        if (call->values[i].number < 0 || call->values[i].number > 1000000) {
            static const char reason[] = "a measurement is not between 0 and 1000000";
            out->message(out, reason, sizeof reason - 1);
            return MODEL_INVALID_INPUT;
        }
        score += coefficient[i] * (call->values[i].number - feature_mean[i]) / feature_scale[i];
    }
    double probability = 1 / (1 + exp(-score));

    char *json = out->reserve(out, 96);
    if (!json) return MODEL_INTERNAL;
    size_t length = write_text(json, "{\"diagnosis\":\"");
    length += write_text(json + length, probability >= 0.5 ? "malignant" : "benign");
    length += write_text(json + length, "\",\"probability\":");
    length += write_probability(json + length, probability);
    length += write_text(json + length, "}");
    out->commit(out, length);
    return MODEL_OK;
}

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, 0, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)host;
    return &plugin;
}
