// Version 1 of the fraud model, in C++: points for what is suspicious, added up.
//
// What a C++ author has to know: the two exported symbols and the functions of the table have C
// linkage; no exception may leave them, so each that can throw ends in `catch (...)`; and whatever
// is made with `new` here is deleted here, in `destroy`.
#include <array>
#include <charconv>
#include <exception>
#include <new>
#include <string_view>

#include "model_plugin.h"

MODEL_PLUGIN_TAG

using namespace std::string_view_literals;

namespace {

enum Input { amount, merchant_category, hour, is_foreign };

constexpr auto description =
    R"({"inputs": [
    {"name": "amount", "type": "number", "doc": "what is paid, 0 or more",
     "schema": {"minimum": 0, "maximum": 1.7976931348623157e308}},
    {"name": "merchant_category", "type": "string", "doc": "for example electronics"},
    {"name": "hour", "type": "number", "doc": "local hour at the merchant, 0 to 23",
     "schema": {"minimum": 0, "exclusiveMaximum": 24}},
    {"name": "is_foreign", "type": "boolean", "doc": "whether the merchant is abroad"},
    {"name": "minutes_since_last", "type": "number", "required": false,
     "doc": "since the card's last payment; version 2 looks at it"}],
    "output": {"type": "json", "classes": ["legitimate", "fraud"], "probability": "score",
     "schema": {"type": "object", "required": ["fraud", "score"], "properties": {
      "fraud": {"type": "boolean"},
      "score": {"type": "number", "minimum": 0, "maximum": 1}}}},
    "doc": "Whether a card payment looks like fraud, by points.",
    "examples": [{"transaction_id": "t-1", "customer_id": 123, "amount": 1500,
    "merchant_category": "electronics", "hour": 3, "is_foreign": true}],
    "threading": "concurrent", "execution": "inline"})";

// A sentence for the client; thrown inside, told to the host at the edge.
struct InvalidInput : std::exception {
    explicit InvalidInput(const char *sentence) : sentence(sentence) {}
    const char *what() const noexcept override { return sentence; }
    const char *sentence;
};

std::string_view text(const model_value &value) { return {value.text, value.length}; }

class PointsModel {
  public:
    // Between 0 and 1: no sum of points goes beyond either.
    double score(const model_value *values) const {
        const double paid = values[amount].number, at = values[hour].number;
        if (paid < 0) throw InvalidInput("amount is below 0");
        if (at < 0 || at >= 24) throw InvalidInput("hour is not between 0 and 23");
        double points = 0.05;
        points += 0.30 * (paid / (paid + 500));
        points += category_points(text(values[merchant_category]));
        if (at < 6) points += 0.20;
        if (values[is_foreign].number != 0) points += 0.25;
        return points;
    }

  private:
    struct Category {
        std::string_view name;
        double points;
    };
    std::array<Category, 4> categories{{
        {"gambling", 0.20}, {"jewelry", 0.15}, {"electronics", 0.10}, {"travel", 0.05}}};

    double category_points(std::string_view name) const {
        for (const Category &category : categories) {
            if (category.name == name) return category.points;
        }
        return 0;
    }
};

// std::to_chars knows no locale and writes the shortest text that reads back as the same double.
void write(model_writer *out, double score) {
    constexpr size_t capacity = 80;
    char *json = out->reserve(out, capacity);
    if (!json) throw std::bad_alloc();
    char *at = json;
    auto append = [&at](std::string_view part) { at += part.copy(at, part.size()); };
    append(R"({"fraud":)");
    append(score >= 0.5 ? "true" : "false");
    append(R"(,"score":)");
    at = std::to_chars(at, json + capacity - 1, score).ptr;
    append("}");
    out->commit(out, static_cast<size_t>(at - json));
}

void tell(model_writer *writer, std::string_view sentence) {
    writer->message(writer, sentence.data(), sentence.size());
}

}  // namespace

// The header leaves this type to the plugin.
struct model_instance {
    PointsModel model;
};

extern "C" {

static const char *describe() { return description; }

static model_instance *create(const model_create *, model_writer *failure) try {
    return new model_instance();
} catch (const std::exception &error) {
    tell(failure, error.what());
    return nullptr;
} catch (...) {
    return nullptr;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) try {
    write(out, self->model.score(call->values));
    return MODEL_OK;
} catch (const InvalidInput &error) {
    tell(out, error.what());
    return MODEL_INVALID_INPUT;
} catch (const std::exception &error) {
    tell(out, error.what());
    return MODEL_INTERNAL;
} catch (...) {
    return MODEL_INTERNAL;
}

static void destroy(model_instance *self) { delete self; }

const model_plugin *model_plugin_entry(const model_host *) {
    static const model_plugin plugin = {
        sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
        describe, create, predict, nullptr, nullptr, destroy, nullptr};
    return &plugin;
}

}  // extern "C"
