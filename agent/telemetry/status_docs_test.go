package telemetry

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const statusPath = "../../docs/status.md"

const statusHead = `# The status as JSON

Generated from the program by ` + "`go test ./agent/telemetry -run TestStatusDocs -update`" + `; a test holds
it current. ` + "`GET /api/v1/status`" + ` of the metrics listener and ` + "`sealgate status --json`" + ` answer with
one object of this form; the [status page](monitoring.md) shows it to people. Counters
begin at the start of the gateway. Times are RFC 3339. A member marked with * is left out
where there is nothing to say. New members may come with any version; none changes its
meaning or goes within a major version. Nothing in it comes from a payload, a topic or a
client id: names are those of the policy and the configuration.
`

// TestStatusDocs holds docs/status.md to the types that it is generated from.
func TestStatusDocs(t *testing.T) {
	said := fieldComments(t, "stats.go", "flows.go", "telemetry.go")
	var b strings.Builder
	b.WriteString(statusHead)
	seen := map[reflect.Type]bool{}
	var describe func(path string, typ reflect.Type)
	describe = func(path string, typ reflect.Type) {
		if seen[typ] {
			t.Fatalf("%s stands in two places: say which", typ)
		}
		seen[typ] = true
		fmt.Fprintf(&b, "\n## %s\n\n", path)
		if doc := said[typ.Name()]; len(seen) > 1 {
			fmt.Fprintf(&b, "%s\n\n", doc)
		}
		b.WriteString("| member | type | meaning |\n| --- | --- | --- |\n")
		type inner struct {
			path string
			typ  reflect.Type
		}
		var below []inner
		for _, f := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				t.Fatalf("%s.%s has no name in JSON", typ.Name(), f.Name)
			}
			kind, of := statusKind(f.Type)
			if of != nil {
				where := name
				if path != "The object" {
					where = strings.Trim(path, "`") + "." + name
				}
				below = append(below, inner{"`" + where + "`", of})
			}
			optional := ""
			if options != "" {
				optional = `\*`
			}
			fmt.Fprintf(&b, "| `%s`%s | %s | %s |\n", name, optional, kind, said[typ.Name()+"."+f.Name])
		}
		for _, x := range below {
			describe(x.path, x.typ)
		}
	}
	describe("The object", reflect.TypeFor[Stats]())
	got := b.String()
	if *update {
		if err := os.WriteFile(statusPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(statusPath)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the types say: run the test with -update", statusPath)
	}
}

// statusKind names the JSON type of a Go type, and the struct in it, if any.
func statusKind(t reflect.Type) (name string, of reflect.Type) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time", nil
	case t == reflect.TypeFor[time.Duration]():
		return "nanoseconds", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return statusKind(t.Elem())
	case reflect.Slice, reflect.Array:
		name, of = statusKind(t.Elem())
		return "array of " + name + "s", of
	case reflect.Map:
		name, of = statusKind(t.Elem())
		return "object of " + name + "s", of
	case reflect.Struct:
		return "object", t
	case reflect.Bool:
		return "boolean", nil
	case reflect.String:
		return "string", nil
	case reflect.Float64:
		return "number", nil
	}
	return "integer", nil
}

// fieldComments reads what stands beside the types ("T") and fields ("T.F").
func fieldComments(t *testing.T, files ...string) map[string]string {
	t.Helper()
	said := map[string]string{}
	words := strings.NewReplacer("|", `\|`, "nil:", "left out:", "zero:", "left out:")
	line := func(c *ast.CommentGroup) string { return words.Replace(strings.Join(strings.Fields(c.Text()), " ")) }
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				ts, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				said[ts.Name.Name] = line(g.Doc)
				for _, f := range st.Fields.List {
					for _, n := range f.Names {
						said[ts.Name.Name+"."+n.Name] = strings.TrimSpace(line(f.Doc) + " " + line(f.Comment))
					}
				}
			}
		}
	}
	return said
}
