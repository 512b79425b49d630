package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sealgate/sealgate/internal/e2e"
)

// A terminal is a pseudo-terminal with a program on its other side (pts(4)).
type terminal struct {
	*os.File
	mu   sync.Mutex // guards text
	text strings.Builder
	read int // what expect has seen
}

func openTerminal(t *testing.T) (_ *terminal, program *os.File) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{File: m}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := m.Read(buf)
			x.mu.Lock()
			x.text.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x, program
}

func (x *terminal) all() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// answer waits for a prompt behind the last one, and types a line.
func (x *terminal) answer(t *testing.T, prompt, line string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if at := strings.Index(x.all()[x.read:], prompt); at >= 0 {
			x.read += at + len(prompt)
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in what is new in:\n%s", prompt, x.all())
		}
	}
	if _, err := x.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

func TestSetup(t *testing.T) {
	bin := e2e.Program(t, "sealgate")
	t.Cleanup(func() { _ = e2e.Clean() })
	t.Run("by hand", func(t *testing.T) { setupByHand(t, bin) })
	t.Run("stopped", func(t *testing.T) { setupIsStopped(t, bin) })
}

// setupByHand answers the five questions at a terminal, with two slips that
// are noticed at once, and then a message gets to the cloud.
func setupByHand(t *testing.T, bin string) {
	e2e.Need(t, "mosquitto", "mosquitto_pub", "mosquitto_passwd")
	dir, door := t.TempDir(), e2e.FreeAddr(t)
	users := filepath.Join(dir, "cloud-users")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", users, "gw-7", "right horse").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cloud := e2e.StartMosquitto(t, "password_file "+users, "user root") // who may read the file

	x, program := openTerminal(t)
	cmd := exec.Command(bin, "setup", "--out", filepath.Join(dir, "gw"), "--volatile", "--gateway", "gw-7")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = program.Close()
	x.answer(t, "devices [", door)
	x.answer(t, "uplink: ", "mqtt://"+door)
	x.answer(t, "round in circles", "mqtt://"+cloud.Addr)
	x.answer(t, "kind of broker [mosquitto]: ", "")
	x.answer(t, "Look now whether it answers? (y/n) [y]: ", "")
	x.answer(t, "login [none]: ", "p")
	x.answer(t, "user name: ", "gw-7")
	x.answer(t, "password (not shown): ", "wrong horse")
	x.answer(t, "what now [change]: ", "")
	x.answer(t, "uplink: ", "mqtt://"+cloud.Addr)
	x.answer(t, "kind of broker [mosquitto]: ", "mos")
	x.answer(t, "(y/n) [y]: ", "y")
	x.answer(t, "login [none]: ", "password")
	x.answer(t, "user name: ", "gw-7")
	x.answer(t, "password (not shown): ", "right horse")
	x.answer(t, "profile [generic]: ", "eu")
	x.answer(t, "begin with [observe]: ", "")
	x.answer(t, "keys [", "file")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, x.all())
	}
	if strings.Contains(x.all(), "horse") || !strings.Contains(x.all(), "it can be reached") || !strings.Contains(x.all(), "the broker accepts this gateway") {
		t.Errorf("a password is shown, or a look is not:\n%s", x.all())
	}
	path := filepath.Join(dir, "gw", "agent.yaml")
	writeFile(t, path, "metrics: {listen: \"off\"}\n", os.O_APPEND)
	if out, err := exec.Command(bin, "check", "--config", path).CombinedOutput(); err != nil {
		t.Fatalf("check: %v\n%s", err, out)
	}

	got := e2e.Record(t, cloud.Addr, "site/gw-7/#")
	e2e.Start(t, bin, "run", "--config", path)
	_, hello, _ := strings.Cut(x.all(), "mosquitto_pub")
	hello, _, _ = strings.Cut(hello, "\r\n")
	e2e.Until(t, "the first message, as setup says it", 20*time.Second, func() bool {
		return exec.Command("sh", "-c", "mosquitto_pub"+hello).Run() == nil && len(got.On("site/gw-7/test/hello")) > 0
	})
}

// setupIsStopped: an interrupt at a hidden answer leaves nothing behind, and
// a terminal that shows what is typed.
func setupIsStopped(t *testing.T, bin string) {
	dir := filepath.Join(t.TempDir(), "gw")
	x, program := openTerminal(t)
	defer program.Close()
	cmd := exec.Command(bin, "setup", "--out", dir, "--volatile", "--devices", "127.0.0.1:1893", "--uplink", "mqtt://127.0.0.1:1", "--login", "password", "--username", "u")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.answer(t, "kind of broker", "")
	x.answer(t, "Look now", "n")
	x.answer(t, "password (not shown): ", "")
	echoes := func() bool {
		mode, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		return err == nil && mode.Lflag&unix.ECHO != 0
	}
	e2e.Until(t, "a terminal that hides", 10*time.Second, func() bool { return strings.Contains(x.all(), "an answer is needed") && !echoes() })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ends as if all were well")
	}
	if !echoes() {
		t.Error("the terminal does not echo any more")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
}
