// Package e2e has what end-to-end proofs need: real brokers (Debian's
// mosquitto), the real sealgate program, devices and consumers that speak MQTT
// byte by byte, a network that can be cut, and a checker that knows what may
// arrive twice and what never may.
//
// The proofs themselves are this package's tests. They run small by default
// and in full with SEALGATE_CI=1, where a missing mosquitto fails them instead
// of skipping them. SEALGATE_SEED=n repeats the random choices of a run, as far
// as the scheduling of several processes lets anything be repeated.
// SEALGATE_SOAK=n makes the long runs as long as n messages.
//
// Nothing here is imported by a program of ours, except the benchmark that
// compares the gateway with a plain bridge.
package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// T is the part of testing.TB that the helpers need, so that a program can use
// them too.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(f func())
	TempDir() string
}

// Full says that the proofs run in full size: in CI.
func Full() bool { return os.Getenv("SEALGATE_CI") == "1" }

// Size picks the size of a proof.
func Size[N any](small, full N) N {
	if Full() {
		return full
	}
	return small
}

// Need skips the test where programs are missing; in CI it fails.
func Need(t interface {
	T
	Skipf(format string, args ...any)
}, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := find(p); err == nil {
			continue
		}
		const how = "%s is not installed: apt-get install mosquitto mosquitto-clients strace e2fsprogs mount"
		if Full() {
			t.Fatalf(how, p)
		}
		t.Skipf(how, p)
	}
}

// find looks for a program on the path and where Debian puts daemons.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + program)
}

// Random returns the run's source of choices and logs its seed.
func Random(t T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("SEALGATE_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d: SEALGATE_SEED=%d repeats it", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// FreeAddr returns a loopback address that nobody listens on now, for a program
// that has to come back at the same address. The port is below those that the
// system gives to connections (32768 to 60999 on Linux): one of them may be
// taken before the program listens.
func FreeAddr(t T) string {
	t.Helper()
	var err error
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatalf("find a free port: %v", err)
	return ""
}

// Until waits for something to become true.
func Until(t T, what string, timeout time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(timeout); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, timeout)
		}
	}
}
