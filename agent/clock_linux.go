package agent

import "golang.org/x/sys/unix"

// clockSynchronized asks the kernel (adjtimex(2)), which a time service tells.
func clockSynchronized() bool {
	state, err := unix.Adjtimex(&unix.Timex{})
	return err == nil && state != unix.TIME_ERROR
}
