package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// compose is what compose.yaml uses of the Compose specification.
type compose struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]struct{}       `yaml:"volumes"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Build       *composeBuild     `yaml:"build"`
	Command     []string          `yaml:"command"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	Environment map[string]string `yaml:"environment"`
	NetworkMode string            `yaml:"network_mode"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string   `yaml:"restart"`
}

type composeBuild struct {
	Context    string `yaml:"context"`
	Dockerfile string `yaml:"dockerfile"`
	Target     string `yaml:"target"`
}

const composeDir = "../../configs/compose"

func readCompose(t *testing.T) *compose {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(composeDir, "compose.yaml"))
	check(t, err)
	c := &compose{}
	check(t, strictyaml.Decode("compose.yaml", src, c).Err())
	return c
}

// TestComposeFile: what compose.yaml names exists, images have a version, and
// nothing listens for the network.
func TestComposeFile(t *testing.T) {
	c := readCompose(t)
	if len(c.Services) < 6 {
		t.Fatalf("only %d services", len(c.Services))
	}
	service := func(of, name string) {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("%s names a service %s", of, name)
		}
	}
	exists := func(of, path string) {
		if _, err := os.Stat(filepath.Join(composeDir, path)); err != nil {
			t.Errorf("%s: %v", of, err)
		}
	}
	for name, s := range c.Services {
		switch b := s.Build; {
		case (b == nil) == (s.Image == ""):
			t.Errorf("%s has neither image nor build, or both", name)
		case b == nil && !regexp.MustCompile(`^docker\.io/[a-z/-]+:v?\d+\.\d+\.\d+$`).MatchString(s.Image):
			t.Errorf("%s: image %s has no version", name, s.Image)
		case b != nil:
			file := filepath.Join(b.Context, b.Dockerfile)
			exists(name, file)
			raw, err := os.ReadFile(filepath.Join(composeDir, file))
			if err != nil || b.Target != "" && !strings.Contains(string(raw), " AS "+b.Target+"\n") {
				t.Errorf("%s has no stage %q: %v", file, b.Target, err)
			}
		}
		if on, ok := strings.CutPrefix(s.NetworkMode, "service:"); ok {
			service(name, on)
		}
		for on, d := range s.DependsOn {
			service(name, on)
			if d.Condition != "service_started" && d.Condition != "service_completed_successfully" {
				t.Errorf("%s waits for %s to be %q", name, on, d.Condition)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				exists(name, from)
			} else if _, ok := c.Volumes[from]; !ok {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond loopback", name, p)
			}
		}
	}
}

// TestComposeParts runs on this machine what the containers would: the commands
// and configurations of compose.yaml, with addresses and directories put in.
func TestComposeParts(t *testing.T) {
	Need(t, "mosquitto", "mosquitto_pub")
	c, dir := readCompose(t), t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "public"), 0o700))
	door, cloud, metrics := FreeAddr(t), FreeAddr(t), FreeAddr(t)
	_, port, _ := strings.Cut(door, ":")
	_, cloudPort, _ := strings.Cut(cloud, ":")
	public := filepath.Join(dir, "public")
	places := strings.NewReplacer("go run ./cmd/sealctl", Program(t, "sealctl"), "/desk", filepath.Join(dir, "desk"), "/public", public)
	put := strings.NewReplacer("mqtt://cloud:1883", "mqtt://"+cloud, "127.0.0.1:1883", door, "127.0.0.1:9464", metrics, "keys/", public+"/",
		"listener 1883", "listener "+cloudPort+" 127.0.0.1", "mosquitto_pub ", "mosquitto_pub -p "+port+" ",
		"spool: {size: 256MiB}", "spool: {size: 64MiB, volatile: true}\nstate: "+filepath.Join(dir, "state"))
	keys := c.Services["keys"].Command
	for range 2 { // at the second start there is nothing to do
		out, err := exec.Command(keys[0], keys[1], places.Replace(keys[2])).CombinedOutput()
		if err != nil {
			t.Fatalf("keys: %v\n%s", err, out)
		}
	}
	for _, name := range []string{"agent.yaml", "mosquitto.conf"} {
		src, err := os.ReadFile(filepath.Join(composeDir, name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(put.Replace(string(src))), 0o600))
	}
	broker, err := find("mosquitto")
	check(t, err)
	Start(t, broker, "-c", filepath.Join(dir, "mosquitto.conf"))
	gateway := Start(t, Sealgate(t), "run", "--config", filepath.Join(dir, "agent.yaml"))
	site := &Site{Metrics: metrics}
	site.Ready(t, gateway)
	devices := c.Services["devices"].Command
	cmd := exec.Command("setsid", devices[0], devices[1], put.Replace(devices[2]))
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = exec.Command("kill", "--", "-"+strconv.Itoa(cmd.Process.Pid)).Run() // with the loops that it began
		_ = cmd.Wait()
	})
	Until(t, "sample traffic is protected and arrives", 30*time.Second, func() bool {
		v := site.Values(t)
		return v[`sealgate_fields_transformed_total{action="generalize"}`] > 0 && v[`sealgate_uplink_acknowledged_messages_total{uplink="cloud"}`] >= 6
	})
}
