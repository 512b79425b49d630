package manpage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func program() *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "does things", Long: "tool does things.\n.dotted line\n'quoted line, with a \\ and a - b"}
	sub := &cobra.Command{Use: "run FILE", Short: "runs it", Example: "  tool run x.json", RunE: func(*cobra.Command, []string) error { return nil }}
	sub.Flags().StringP("config", "c", "", "read `FILE`")
	secret := &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}}
	root.AddCommand(sub, secret)
	return root
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	if err := Write(program(), dir); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "tool-run.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".SH NAME\ntool\\-run \\- runs it\n", "\\fB\\-c, \\-\\-config\\fP \\fIFILE\\fP", ".BR \"tool\" (1)"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
	if again := Page(program()); again != Page(program()) {
		t.Error("two pages of one program differ")
	}
}

// TestRendered has groff set the page: nothing is lost, nothing is a command that
// was meant as text, and there is no warning.
func TestRendered(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		if os.Getenv("SEALGATE_CI") != "" {
			t.Fatal("groff is missing: apt install groff")
		}
		t.Skip("groff is missing: apt install groff")
	}
	cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", "-P-c")
	cmd.Stdin = strings.NewReader(Page(program()))
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("%v: %s", err, warnings.String())
	}
	for _, want := range []string{".dotted line", "'quoted line, with a \\ and a - b", "tool - does things"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
