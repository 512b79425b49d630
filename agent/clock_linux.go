package agent

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ClockSynchronized asks the kernel (adjtimex(2)), which a time service tells.
func ClockSynchronized() bool {
	state, err := unix.Adjtimex(&unix.Timex{})
	return err == nil && state != unix.TIME_ERROR
}

// bootClock is the time since the machine started, suspended time included
// (clock_gettime(2), CLOCK_BOOTTIME).
func bootClock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// bootID differs for each start of the machine (proc_sys_kernel(5)). Where it
// can't be read it is empty, and times of an earlier start are not carried on.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
