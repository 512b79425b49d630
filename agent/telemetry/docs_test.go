package telemetry

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const docsPath = "../../docs/metrics.md"

// TestDocs holds docs/metrics.md to the registry it is generated from.
func TestDocs(t *testing.T) {
	m := New(Build{Version: "1", SupportEnd: time.Unix(1, 0)}, sampleStats)
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(docsHead)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), namespace+"_") {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), docsLabels(f), strings.ReplaceAll(f.GetHelp(), "|", `\|`))
	}
	got := b.String()
	if *update {
		if err := os.WriteFile(docsPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the registry says: run the test with -update", docsPath)
	}
}

const docsHead = `# Metrics

Generated from the registry by ` + "`go test ./agent/telemetry -run TestDocs -update`" + `; a test holds
it current. Served at ` + "`/metrics`" + `, beside the Go runtime's and the process's own.
Every series exists from the start; labels are closed sets, of the program (their values
are listed), of the policy or of the configuration. Histograms are native, with classic
buckets for servers that don't ask for them. Times are Unix seconds, never ages.

| Name | Type | Labels | Meaning |
| --- | --- | --- | --- |
`

// docsLabels lists the labels and, where the program closes the set, the values.
func docsLabels(f *dto.MetricFamily) string {
	values := map[string][]string{}
	var names []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
			if !slices.Contains(values[l.GetName()], l.GetValue()) {
				values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			}
		}
	}
	var out []string
	for _, n := range names {
		v := values[n]
		slices.Sort(v)
		switch n {
		case "uplink", "broker", "version", "revision", "goversion", "hash", "source", "mode":
			out = append(out, "`"+n+"`")
		case "purpose":
			out = append(out, "`purpose`: kem, signing, spool")
		default:
			out = append(out, "`"+n+"`: "+strings.Join(v, ", "))
		}
	}
	return strings.Join(out, "; ")
}

// TestLabelsClosed: no label is one that a device could fill.
func TestLabelsClosed(t *testing.T) {
	src, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields("result grade outcome would_be class action stage le version revision goversion mode hash source purpose op uplink reason kind broker")
	found := regexp.MustCompile(`[{,]([a-z_]+)="`).FindAllStringSubmatch(string(src), -1)
	if len(found) < 100 {
		t.Fatalf("only %d labels found", len(found))
	}
	for _, l := range found {
		if !slices.Contains(allowed, l[1]) {
			t.Errorf("label %s", l[1])
		}
	}
}
