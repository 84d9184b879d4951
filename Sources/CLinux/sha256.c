// SHA-256 with the processor's own instructions (x86-64: "SHA extensions"), for `Digest`.
#include "CLinux.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

bool clinux_sha256_is_available(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

static const uint32_t constants[16][4] = {
    {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5},
    {0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5},
    {0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3},
    {0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174},
    {0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc},
    {0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da},
    {0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7},
    {0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967},
    {0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13},
    {0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85},
    {0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3},
    {0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070},
    {0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5},
    {0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3},
    {0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208},
    {0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2},
};

__attribute__((target("sha,sse4.1"))) clinux_sha256_state clinux_sha256_compress(
    clinux_sha256_state state, clinux_words w0, clinux_words w4, clinux_words w8, clinux_words w12
) {
    // The instructions want the state as (f, e, b, a) and (h, g, d, c), lowest first.
    const __m128i dcba = (__m128i)state.abcd, hgfe = (__m128i)state.efgh;
    const __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1), efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    const __m128i abef_before = _mm_alignr_epi8(cdab, efgh, 8);
    const __m128i cdgh_before = _mm_blend_epi16(efgh, cdab, 0xF0);
    __m128i abef = abef_before, cdgh = cdgh_before;
    __m128i words[4] = {(__m128i)w0, (__m128i)w4, (__m128i)w8, (__m128i)w12};
    // Four rounds at a time; meanwhile the words of sixteen rounds later take the used ones' place.
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        __m128i now = words[i % 4], next = words[(i + 1) % 4];
        __m128i late = words[(i + 2) % 4], last = words[(i + 3) % 4];
        __m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)constants[i]));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
        now = _mm_add_epi32(_mm_sha256msg1_epu32(now, next), _mm_alignr_epi8(last, late, 4));
        words[i % 4] = _mm_sha256msg2_epu32(now, last);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    state.abcd = (clinux_words)_mm_blend_epi16(feba, dchg, 0xF0);
    state.efgh = (clinux_words)_mm_alignr_epi8(dchg, feba, 8);
    return state;
}

#else

bool clinux_sha256_is_available(void) { return false; }

clinux_sha256_state clinux_sha256_compress(
    clinux_sha256_state state, clinux_words w0, clinux_words w4, clinux_words w8, clinux_words w12
) {
    (void)state, (void)w0, (void)w4, (void)w8, (void)w12;
    __builtin_trap();
}

#endif
