// simdjson's DOM parser on the documents that JSONStage.swift has left in a folder, measured and
// printed the same way. Compiled by hand: the first lines of JSONStage.swift say how.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <simdjson.h>

/// Nanoseconds for one document: the median of 25 rounds of 10 milliseconds or more.
static double median(const simdjson::padded_string &text) {
    simdjson::dom::parser parser;
    std::vector<double> rounds;
    long count = 1;
    while (rounds.size() < 25) {
        auto start = std::chrono::steady_clock::now();
        for (long i = 0; i < count; i++) {
            if (parser.parse(text).error()) return 0;
        }
        std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - start;
        if (passed.count() < 10e6) {
            count *= 2;
        } else {
            rounds.push_back(passed.count() / double(count));
        }
    }
    std::sort(rounds.begin(), rounds.end());
    return rounds[rounds.size() / 2];
}

int main(int count, char **arguments) {
    std::string folder = count > 1 ? arguments[1] : "/tmp/switchyard-json";
    for (const char *name : {"small", "batch", "texts", "numbers", "pretty"}) {
        simdjson::padded_string text;
        if (simdjson::padded_string::load(folder + "/" + name + ".json").get(text)) return 1;
        double nanoseconds = median(text);
        printf("%-10s%9zu%13.0f%9.0f\n", name, text.size(), nanoseconds,
               double(text.size()) * 1000 / nanoseconds);
    }
}
