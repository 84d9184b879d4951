// The one function of mathematics that nearly every classifier ends with. The standard library has
// no `exp`; the C library's is the one that scikit-learn uses, so the last digits agree.

import Glibc

/// The logistic function.
public enum Logistic {
    /// The probability whose log odds are given: `1 / (1 + exp(-logOdds))`.
    public static func probability(logOdds: Double) -> Double { 1 / (1 + exp(-logOdds)) }
}
