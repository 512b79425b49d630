package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sealgate/sealgate/internal/testcert"
)

// TestWebConfig runs a gateway whose metrics listener is open to the network,
// behind TLS and a password, and lets those ask it who will: a real Prometheus,
// curl, and sealgate status, with and without the password.
func TestWebConfig(t *testing.T) {
	needPrometheus(t)
	site := NewSite(t, FreeAddr(t)) // no cloud is needed
	const password = "of-the-monitoring"
	secret := webConfig(t, site.Dir, password)
	_, port, err := net.SplitHostPort(site.Metrics)
	check(t, err)
	path := site.Config(t)
	raw, err := os.ReadFile(path)
	check(t, err)
	open := strings.Replace(string(raw), fmt.Sprintf("{listen: %q}", site.Metrics), fmt.Sprintf("{listen: \":%s\", web_config: web.yml}", port), 1)
	check(t, os.WriteFile(path, []byte(open), 0o600))
	gateway := Start(t, Sealgate(t), "run", "--config", path)

	ca, url := filepath.Join(site.Dir, "gw.pem"), "https://"+site.Metrics
	run := func(program string, args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return string(out), err
	}
	curl := func(args ...string) string {
		out, err := run("curl", append([]string{"-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"}, args...)...)
		if err != nil {
			return err.Error() + ": " + out
		}
		return out
	}
	Until(t, "gateway is ready", 20*time.Second, func() bool {
		if gateway.Ended() {
			t.Fatalf("gateway ended: %s", gateway.Log())
		}
		return curl("--cacert", ca, "-u", "prometheus:"+password, url+"/-/ready") == "200 2"
	})
	for want, args := range map[string][]string{
		"200 2":                    {"--cacert", ca, "-u", "prometheus:" + password, url + "/metrics"},
		"401 2":                    {"--cacert", ca, url + "/metrics"},
		"401 1.1":                  {"--cacert", ca, "--http1.1", "-u", "prometheus:wrong", url + "/api/v1/status"},
		"SSL certificate problem":  {"-u", "prometheus:" + password, url + "/metrics"},
		"400 1":                    {"-u", "prometheus:" + password, "http://" + site.Metrics + "/metrics"},
		"tlsv1 alert protocol ver": {"--cacert", ca, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url + "/metrics"},
	} {
		if got := curl(args...); !strings.Contains(got, want) {
			t.Errorf("curl %v: %q, want %q", args, got, want)
		}
	}

	for name, c := range map[string]struct{ args, want string }{
		"socket":      {"status --config " + path, "gw-1  ready"},
		"flags":       {"status --url " + url + " --ca " + ca + " --user prometheus --password-file " + secret, "gw-1  ready"},
		"no password": {"status --url " + url + " --ca " + ca, "wants a name and a password"},
		"no ca":       {"status --url " + url, "certificate signed by unknown authority"},
		"in clear":    {"status --url http://gw.example.com --user prometheus --password-file " + secret, "https:// only"},
		"no url":      {"status --user prometheus --config " + path, "--user goes with --url"},
	} {
		if out, _ := run(Sealgate(t), strings.Fields(c.args)...); !strings.Contains(out, c.want) || strings.Contains(out, password) {
			t.Errorf("%s: sealgate %s prints\n%s", name, c.args, out)
		}
	}
	if out, err := run(Sealgate(t), "check", "--config", path); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}

	prom := startPrometheusWith(t, fmt.Sprintf("scheme: https\ntls_config: {ca_file: %q}\nbasic_auth: {username: prometheus, password_file: %q}\nstatic_configs: [{targets: [%q]}]", ca, secret, site.Metrics))
	Until(t, "a scrape over TLS", 30*time.Second, func() bool {
		return query(t, prom, `up{job="sealgate"} == 1 and on (instance) sealgate_ready == 1`) == 1
	})

	// The password is changed: Prometheus is locked out until it hears of it.
	webConfig(t, site.Dir, "another")
	Until(t, "the old password is refused", 30*time.Second, func() bool { return query(t, prom, `up{job="sealgate"} == 0`) == 1 })
	check(t, gateway.Stop(20*time.Second))
	if strings.Contains(gateway.Log(), password) || strings.Contains(gateway.Log(), "$2a$") {
		t.Error("the log has the password or its hash")
	}

	// Beyond loopback the listener does not open without them.
	for with, want := range map[string]string{
		"":                      "metrics.listen must be on loopback",
		", web_config: tls.yml": "needs tls_server_config, and basic_auth_users",
	} {
		check(t, os.WriteFile(filepath.Join(site.Dir, "tls.yml"), []byte("tls_server_config: {cert_file: gw.pem, key_file: gw.key}\n"), 0o600))
		check(t, os.WriteFile(path, []byte(strings.Replace(open, ", web_config: web.yml", with, 1)), 0o600))
		for _, command := range []string{"run", "check"} {
			if out, err := run(Sealgate(t), command, "--config", path); err == nil || !strings.Contains(out, want) {
				t.Errorf("%s with %q: %v\n%s", command, with, err, out)
			}
		}
	}
}

// webConfig writes web.yml with a user prometheus, its certificate where there
// is none yet, and returns the path of a file with the password.
func webConfig(t *testing.T, dir, password string) string {
	t.Helper()
	cert, secret := filepath.Join(dir, "gw.pem"), filepath.Join(dir, "password")
	if _, err := os.Stat(cert); err != nil {
		_, _, err := testcert.Write(filepath.Join(dir, "gw"), "gw-1", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		check(t, err)
		check(t, os.WriteFile(secret, []byte(password+"\n"), 0o600))
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "web.yml"), fmt.Appendf(nil, "tls_server_config: {cert_file: gw.pem, key_file: gw.key}\nbasic_auth_users: {prometheus: %q}\n", hash), 0o600))
	return secret
}
