package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// A statement is what we say of one vulnerability in one module: vex.json.
type statement struct {
	ID     string `json:"id"`     // as in the Go vulnerability database
	Module string `json:"module"` // the module that has it
	Status string `json:"status"` // not_affected or fixed
	// Justification is one of OpenVEX's, with not_affected.
	Justification string `json:"justification,omitempty"`
	Why           string `json:"why"`
}

// How far a vulnerability reaches into our programs, as govulncheck sees it.
type reach int

const (
	required reach = iota + 1 // the module is linked, the package is not
	imported                  // the package is linked, the function is not called
	called
)

// justified says how far a vulnerability may reach for a justification to hold.
var justified = map[string]reach{
	"vulnerable_code_not_present":         required,
	"vulnerable_code_not_in_execute_path": imported,
}

func readStatements(path string) ([]statement, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var list []statement
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	seen := map[string]bool{}
	for _, s := range list {
		_, known := justified[s.Justification]
		switch {
		case s.ID == "" || s.Module == "" || s.Why == "" || seen[s.ID]:
			return nil, fmt.Errorf("statement %q: wants an id of its own, a module and a why", s.ID)
		case s.Status == "not_affected" && !known, s.Status == "fixed" && s.Justification != "":
			return nil, fmt.Errorf("statement %s: justification %q does not go with %s", s.ID, s.Justification, s.Status)
		case s.Status != "not_affected" && s.Status != "fixed":
			return nil, fmt.Errorf("statement %s: status %q; a release that is affected is not made", s.ID, s.Status)
		}
		seen[s.ID] = true
	}
	return list, nil
}

// readFindings reads govulncheck's stream of JSON (golang.org/x/vuln, protocol
// v1.0.0): how far each vulnerability reaches.
func readFindings(path string) (map[string]reach, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	defer f.Close()
	found, began := map[string]reach{}, false
	for dec := json.NewDecoder(f); ; {
		var m struct {
			Config  *struct{}
			Finding *struct {
				OSV   string
				Trace []struct{ Package, Function string }
			}
		}
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		began = began || m.Config != nil
		if m.Finding == nil || len(m.Finding.Trace) == 0 {
			continue
		}
		r := required
		if m.Finding.Trace[0].Function != "" {
			r = called
		} else if m.Finding.Trace[0].Package != "" {
			r = imported
		}
		found[m.Finding.OSV] = max(found[m.Finding.OSV], r)
	}
	if !began {
		return nil, errors.New("read findings: this is not what govulncheck writes")
	}
	return found, nil
}

// checkFindings holds the statements against what was found: each finding needs
// one, nothing that is called can be explained away, and none may be stale.
func checkFindings(path string, list []statement, out io.Writer) error {
	found, err := readFindings(path)
	if err != nil {
		return err
	}
	said := map[string]statement{}
	for _, s := range list {
		said[s.ID] = s
	}
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(found)) {
		s, r := said[id], found[id]
		switch {
		case r == called:
			problems = append(problems, fmt.Errorf("%s is in code that is called: update the module, or do without it; https://pkg.go.dev/vuln/%s", id, id))
		case s.ID == "":
			problems = append(problems, fmt.Errorf("%s is in a module that is linked: say in vex.json why it does no harm; https://pkg.go.dev/vuln/%s", id, id))
		case s.Status == "fixed" || justified[s.Justification] < r:
			problems = append(problems, fmt.Errorf("%s: vex.json says %s, and it reaches further", id, strings.TrimSpace(s.Status+" "+s.Justification)))
		}
	}
	for _, s := range list {
		if s.Status != "fixed" && found[s.ID] == 0 {
			problems = append(problems, fmt.Errorf("%s is not found any more: take it out of vex.json, or say fixed", s.ID))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Fprintf(out, "vex: %d found, each explained; %d statements\n", len(found), len(list))
	return nil
}

// writeVEX writes the statements as an OpenVEX 0.2.0 document
// (github.com/openvex/spec).
func writeVEX(w io.Writer, version string, at time.Time, list []statement) error {
	type component struct {
		ID string `json:"@id"`
	}
	type product struct {
		ID            string      `json:"@id"`
		Subcomponents []component `json:"subcomponents"`
	}
	type vulnerability struct {
		ID   string `json:"@id"`
		Name string `json:"name"`
	}
	type entry struct {
		Vulnerability vulnerability `json:"vulnerability"`
		Products      []product     `json:"products"`
		Status        string        `json:"status"`
		Justification string        `json:"justification,omitempty"`
		Impact        string        `json:"impact_statement,omitempty"`
		Notes         string        `json:"status_notes,omitempty"`
	}
	if version == "" {
		return errors.New("write VEX: -version is missing")
	}
	entries := []entry{}
	for _, s := range list {
		e := entry{
			Vulnerability: vulnerability{"https://pkg.go.dev/vuln/" + s.ID, s.ID},
			Products:      []product{{"pkg:golang/" + ourModule + "@" + version, []component{{"pkg:golang/" + s.Module}}}},
			Status:        s.Status, Justification: s.Justification,
		}
		if s.Status == "fixed" {
			e.Notes = s.Why
		} else {
			e.Impact = s.Why
		}
		entries = append(entries, e)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Context    string    `json:"@context"`
		ID         string    `json:"@id"`
		Author     string    `json:"author"`
		Timestamp  time.Time `json:"timestamp"`
		Version    int       `json:"version"`
		Statements []entry   `json:"statements"`
	}{"https://openvex.dev/ns/v0.2.0", "https://" + ourModule + "/vex/" + version, "The Sealgate authors", at.UTC(), 1, entries})
}
