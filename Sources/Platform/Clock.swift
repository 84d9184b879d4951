// Time: a monotonic clock for durations and deadlines, and the wall clock for people.

import Glibc

/// Nanoseconds since some fixed moment; never goes back. Calls `clock_gettime(CLOCK_MONOTONIC)`.
package enum MonotonicClock {
    /// The present moment.
    package static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Lets the calling thread sleep. Never called on an event loop.
    package static func sleep(nanoseconds: UInt64) {
        var left = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000),
            tv_nsec: Int(nanoseconds % 1_000_000_000)
        )
        var rest = timespec()
        while unsafe nanosleep(&left, &rest) == -1, errno == EINTR {
            left = rest
        }
    }
}

/// The wall clock for one thread that knows the monotonic time anyway: it is read ten times a
/// second at most, and what somebody has set it to counts from then on.
package struct WallClock: Sendable {
    private var offset: Int64 = 0
    private var readAt: UInt64 = 0

    package init() {}

    /// The wall clock's time at a present moment, in monotonic nanoseconds.
    package mutating func time(at moment: UInt64) -> WallTime {
        if moment &- readAt > 100_000_000 {
            readAt = moment
            offset = WallTime.now().microseconds - Int64(MonotonicClock.now() / 1000)
        }
        return WallTime(microseconds: Int64(moment / 1000) + offset)
    }
}

/// A moment in Coordinated Universal Time.
package struct WallTime: Sendable, Equatable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// The present moment. Calls `clock_gettime(CLOCK_REALTIME)`.
    package static func now() -> WallTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Whole seconds since 1970.
    package var seconds: Int64 { microseconds >= 0 ? microseconds / 1_000_000 : 0 }

    /// Year, month, day, hour, minute, second and weekday (0 is Sunday) in the Gregorian calendar.
    package var parts: CalendarParts {
        let days = seconds / 86400
        let rest = seconds % 86400
        // Days to civil date, after Howard Hinnant's `chrono`-compatible algorithm.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return CalendarParts(
            year: Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)),
            month: Int(month),
            day: Int(dayOfYear - (153 * monthIndex + 2) / 5 + 1),
            hour: Int(rest / 3600),
            minute: Int(rest % 3600 / 60),
            second: Int(rest % 60),
            weekday: Int((days + 4) % 7)
        )
    }
}

/// A moment taken apart for printing.
package struct CalendarParts: Sendable, Equatable {
    package let year, month, day, hour, minute, second, weekday: Int
}
