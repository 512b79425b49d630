package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/internal/e2e"
)

// README.md marks its snippets with a comment above the fence:
//
//	<!-- run -->        shell, run in order in one shell and one directory
//	<!-- file NAME -->  the file NAME of that directory
//	<!-- append NAME -->  is added to it
//	<!-- output -->     what was printed so far holds these lines, in order
//	<!-- demo -->       lines of the demo's output, in order
//	<!-- go FILE -->    stands in FILE
type snippet struct{ kind, name, text string }

var marked = regexp.MustCompile("(?ms)^<!-- (run|file|append|output|demo|go) ?(\\S*) -->\n```[a-z]+\n(.*?)^```$")

const readme = "../../README.md"

func snippets(t *testing.T, kinds ...string) []snippet {
	t.Helper()
	return snippetsOf(t, readme, kinds...)
}

func snippetsOf(t *testing.T, path string, kinds ...string) (found []snippet) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marked.FindAllStringSubmatch(string(src), -1) {
		for _, k := range kinds {
			if m[1] == k {
				found = append(found, snippet{m[1], m[2], m[3]})
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no snippet marked %v", path, kinds)
	}
	return found
}

// missing returns the first line of want that text does not hold after the ones
// before it. A line that ends with "…" goes on.
func missing(text, want string) (string, bool) {
	for line := range strings.Lines(want) {
		line = strings.TrimSuffix(strings.TrimRight(line, " \n"), " …")
		at := strings.Index(text, line)
		if at < 0 {
			return line, true
		}
		text = text[at+len(line):]
	}
	return "", false
}

func TestReadmeDemo(t *testing.T) {
	var out, log bytes.Buffer
	if code := run(t.Context(), environment{args: []string{"demo"}, stdout: &out, stderr: &log}); code != exitFine {
		t.Fatalf("exit code %d\n%s%s", code, log.String(), out.String())
	}
	for _, s := range snippets(t, "demo") {
		if line, is := missing(out.String(), s.text); is {
			t.Errorf("the demo does not print %q where README.md shows it", line)
		}
	}
}

func TestReadmeGo(t *testing.T) {
	for _, s := range snippets(t, "go") {
		src, err := os.ReadFile(filepath.Join("../..", s.name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(src), s.text) {
			t.Errorf("%s does not hold\n%s", s.name, s.text)
		}
	}
}

// TestReadmeFiles: what README.md writes into files is valid, also where the
// programs to run it with are missing.
func TestReadmeFiles(t *testing.T) {
	var cfg *config.Config
	for _, s := range snippets(t, "file") {
		var err error
		switch filepath.Base(s.name) {
		case "minimal.yaml":
			cfg, err = config.Parse("agent.yaml", []byte(s.text))
		case "policy.yaml":
			guard := policy.Guard{Observe: true}
			_, err = policy.Compile([]byte(s.text), policy.Vocabulary{Actions: protect.Specs(), Uplinks: []string{"cloud"}, Recipients: []string{"analytics"}}, guard)
		}
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	if cfg == nil || cfg.Ingress.Broker.Listeners[0].Address != "127.0.0.1:1883" || cfg.Policy != "" {
		t.Errorf("the shortest agent.yaml is not what README.md says: %+v", cfg)
	}
}

// TestReadmeRuns follows README.md from a bridge's configuration to an opened
// message, with real programs, on other ports.
func TestReadmeRuns(t *testing.T) {
	e2e.Need(t, "mosquitto", "mosquitto_pub")
	if _, err := exec.LookPath("curl"); err != nil {
		if e2e.Full() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "../sealctl", ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	gateway, cloud, metrics := e2e.FreeAddr(t), e2e.FreeAddr(t), e2e.FreeAddr(t)
	ports := strings.NewReplacer(
		"listener 1883", "listener "+port(gateway), "127.0.0.1:1884", cloud, "127.0.0.1:9464", metrics,
		"-p 1884", "-p "+port(cloud), "mosquitto_pub", "mosquitto_pub -p "+port(gateway))
	sh := startShell(t, dir, bin)
	version := 0.0
	for _, s := range snippets(t, "run", "file", "append", "output") {
		text := ports.Replace(s.text)
		switch s.kind {
		case "file":
			writeFile(t, filepath.Join(dir, s.name), text, os.O_TRUNC)
		case "append":
			// The test may run on a tmpfs, and beside another gateway.
			text += "spool: {volatile: true}\nmetrics: {listen: \"" + metrics + "\"}\n"
			writeFile(t, filepath.Join(dir, s.name), text, os.O_APPEND)
		case "output":
			e2e.Until(t, "the output of README.md", 15*time.Second, func() bool {
				_, is := missing(sh.printed(), s.text)
				return !is
			})
			sh.forget()
		case "run":
			sh.run(t, text)
			switch {
			case strings.Contains(text, "sealgate run"):
				version = 1
			case strings.Contains(text, "kill -HUP"):
				version = 2
			}
			if version > 0 {
				e2e.Until(t, "a connected gateway with the current policy", 15*time.Second, func() bool { return current(metrics, version) })
			}
		}
	}
}

func writeFile(t *testing.T, path, text string, how int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// current asks the gateway whether it is connected and enforces a version.
func current(metrics string, version float64) bool {
	resp, err := http.Get("http://" + metrics + "/api/v1/status")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var status struct {
		Policy  struct{ Version float64 }
		Uplinks []struct{ Connected bool }
	}
	err = json.NewDecoder(resp.Body).Decode(&status)
	return err == nil && status.Policy.Version == version && len(status.Uplinks) == 1 && status.Uplinks[0].Connected
}

// A shell is one sh that stays, with what it and its children print.
type shell struct {
	in  io.Writer
	mu  sync.Mutex // guards out
	out bytes.Buffer
	n   int
}

func startShell(t *testing.T, dir, bin string) *shell {
	t.Helper()
	s := &shell{}
	cmd := exec.Command("sh", "-eu")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":/usr/sbin")
	cmd.Stdout, cmd.Stderr = s, s
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts ends with it
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.in = in
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
			t.Errorf("end the shell: %v", err)
		}
		_ = cmd.Wait() // it was ended by a signal
		if t.Failed() {
			t.Logf("shell:\n%s", s.printed())
		}
	})
	return s
}

// run gives the shell a text and waits until it is through.
func (s *shell) run(t *testing.T, text string) {
	t.Helper()
	s.n++
	mark := "snippet " + strings.Repeat("I", s.n) + " done"
	if _, err := io.WriteString(s.in, text+"\necho '"+mark+"'\n"); err != nil {
		t.Fatalf("%v: run\n%s", err, text)
	}
	e2e.Until(t, "a snippet:\n"+text, 60*time.Second, func() bool { return strings.Contains(s.printed(), mark) })
}

func (s *shell) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *shell) printed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *shell) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Reset()
}
