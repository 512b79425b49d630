package telemetry

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// markup is HTML under way. Everything that is not a constant of this file goes
// through text, which escapes it; no value stands in a URL, a script or a style.
// A template engine would keep every exported method of the program alive: it
// looks methods up by name, and the linker can't know which (2.4 MB for one page).
type markup struct{ strings.Builder }

// html adds markup. Verbs are for numbers and for words of this file only.
func (m *markup) html(format string, args ...any) { fmt.Fprintf(m, format, args...) }

// text adds text, escaped.
func (m *markup) text(s string) { m.WriteString(html.EscapeString(s)) }

// element adds text in an element with a class, which may be empty.
func (m *markup) element(name, class, text string) {
	if class == "" {
		m.html("<%s>", name)
	} else {
		m.html(`<%s class="%s">`, name, class)
	}
	m.text(text)
	m.html("</%s>", name)
}

// row adds a line of a list of words and what they say.
func (m *markup) row(word, class, says string) {
	m.element("dt", "", word)
	m.element("dd", class, says)
}

func renderPage(s *Stats, now time.Time) []byte {
	m := &markup{}
	m.html(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
`)
	m.element("title", "", s.Gateway+" · Sealgate")
	m.html("\n<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>\n<style>")
	m.WriteString(pageCSS)
	m.html("</style>\n</head>\n<body>\n<main>\n")
	m.head(s, now)
	m.alarms(s)
	m.flows(s, now)
	m.plots(s)
	m.html("<div class=\"grid\">\n")
	m.uplinks(s)
	m.spool(s, now)
	m.rules(s, now)
	m.keys(s, now)
	m.devices(s)
	m.html("</div>\n</main>\n<script>")
	m.WriteString(pageJS)
	m.html("</script>\n</body>\n</html>\n")
	return []byte(m.String())
}

func (m *markup) head(s *Stats, now time.Time) {
	m.html("<header>\n")
	m.element("h1", "", s.Gateway)
	switch {
	case !s.Ready:
		m.element("span", "bad strong", "not ready: "+s.Why)
	case s.Remote != nil && s.Remote.Lockdown:
		m.element("span", "bad strong", "locked down: nothing leaves")
	case s.Mode == "observe":
		m.element("span", "clear strong", "observes: messages leave unprotected")
	default:
		m.element("span", "good strong", "enforces")
	}
	m.html(`<span class="soft">%s UTC · <span id="live">as of then</span></span>`, now.UTC().Format(time.DateTime))
	m.html("\n</header>\n")
}

func (m *markup) alarms(s *Stats) {
	for _, a := range s.Alarms {
		m.html(`<section class="alarm">`)
		m.element("h2", "", a.Text)
		m.html(`<p><span class="strong">First:</span> `)
		m.text(a.Do)
		m.html(".</p></section>\n")
	}
	if len(s.Alarms) == 0 {
		m.html("<section><span class=\"good strong\">No alarms.</span></section>\n")
	}
}

func (m *markup) flows(s *Stats, now time.Time) {
	m.html("<section>\n<h2>What leaves this gateway</h2>\n")
	applied := ago(now, s.Policy.Applied)
	if len(s.Flows) == 0 {
		m.element("p", "soft", "Nothing yet, since the policy was applied "+applied+".")
		m.html("\n</section>\n")
		return
	}
	several := len(s.Uplinks) > 1
	m.html(`<div class="wide"><table>
<thead><tr><th>Route</th><th>Grade</th><th>Outcome</th><th class="n">Messages</th><th class="n">Last</th><th>Found</th>`)
	if several {
		m.html("<th>Uplink</th>")
	}
	m.html("</tr></thead>\n<tbody>")
	for _, f := range s.Flows {
		m.html("<tr>")
		m.element("td", "", f.Route)
		m.element("td", "", f.Grade)
		m.element("td", tone(f.Outcome, f.Grade), f.Outcome)
		m.element("td", "n", number(f.Messages))
		m.element("td", "n", ago(now, f.Last))
		m.element("td", "soft classes", strings.Join(f.Classes, " "))
		if several {
			m.element("td", "", f.Uplink)
		}
		m.html("</tr>\n")
	}
	m.html("</tbody>\n</table></div>\n")
	m.element("p", "soft", "By policy route, since the policy was applied "+applied+". L1 is public, L5 the most sensitive; “passed” left as it came; “found” is what any of the messages held.")
	m.html("\n</section>\n")
}

func (m *markup) plots(s *Stats) {
	m.html("<section>\n<h2>The last hour, by minute</h2>\n<div class=\"grid\">\n")
	for _, p := range []plot{
		newPlot("Protected", "good", s.Hour, func(m Minute) uint64 { return m.Protected }),
		newPlot("Passed unchanged", "clear", s.Hour, func(m Minute) uint64 { return m.Passed }),
		newPlot("Blocked", "stop", s.Hour, func(m Minute) uint64 { return m.Blocked }),
	} {
		m.html("<figure><figcaption><span>%s</span>", p.Title)
		m.element("span", "soft", number(p.Total)+" · peak "+number(p.Max))
		m.html("</figcaption>\n<svg class=\"%s\" viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s: %d in the last hour\">", p.Tone, p.Title, p.Total)
		m.html(`<rect class="bg" x="0" y="59" width="600" height="1"/>`)
		for _, b := range p.Bars {
			m.html(`<rect x="%d" y="%d" width="8" height="%d"/>`, b.X, b.Y, b.H)
		}
		m.html("</svg></figure>\n")
	}
	m.html("</div>\n</section>\n")
}

func (m *markup) uplinks(s *Stats) {
	m.html("<section>\n<h2>Uplinks</h2>\n")
	for _, u := range s.Uplinks {
		m.html("<dl>\n")
		m.element("dt", "", u.Name)
		if u.Connected {
			m.html("<dd><span class=\"good strong\">connected</span></dd>\n")
		} else {
			m.html("<dd><span class=\"bad strong\">not connected</span></dd>\n")
		}
		m.row("Acknowledged", "", number(u.Acknowledged)+" messages, "+size(u.Bytes))
		flight := number(uint64(max(u.InFlight, 0)))
		if u.Resent > 0 {
			flight += "; " + number(u.Resent) + " sent again"
		}
		m.row("In flight", "", flight)
		m.row("Round trip", "", u.RoundTrip.Round(100*time.Microsecond).String())
		if p := u.Subjects; p.All > 0 {
			m.html("<dt>People this year</dt><dd>about %s", number(p.All))
			if p.Limit > 0 {
				class := ""
				if p.Share >= 0.8 {
					class = "bad strong"
				}
				m.html("; ")
				m.element("span", class, fmt.Sprintf("%.0f %% of %s", p.Percent(), number(p.Limit)))
			}
			m.html("</dd>\n")
		}
		if u.Quarantined > 0 {
			m.row("Quarantined", "bad", number(u.Quarantined))
		}
		m.html("</dl>\n")
	}
	if len(s.Uplinks) == 0 {
		m.html("<p class=\"soft\">None yet.</p>\n")
	}
	m.html("</section>\n")
}

func (m *markup) spool(s *Stats, now time.Time) {
	sp := &s.Spool
	m.html("<section>\n<h2>Spool</h2>\n")
	m.html(`<meter min="0" max="%d" high="%d" value="%d">%d of %d bytes</meter>`, sp.Limit, sp.Limit*7/10, sp.Bytes, sp.Bytes, sp.Limit)
	m.html("\n<dl>\n")
	m.row("Waiting", "", fmt.Sprintf("%d messages; %s of %s in use", sp.Records, size(uint64(max(sp.Bytes, 0))), size(uint64(max(sp.Limit, 0)))))
	if !sp.Oldest.IsZero() {
		m.row("Oldest", "", ago(now, sp.Oldest))
	}
	written := size(sp.WrittenDay) + " in a day"
	if sp.Mode == "spill" {
		written += "; " + size(uint64(max(sp.Memory, 0))) + " wait in memory, " + size(sp.Spared) + " were never written"
	}
	m.row("Written", "", written)
	lost, class := sp.Damaged+sp.QuarantineFull+sp.Evicted, ""
	if lost > 0 {
		class = "bad"
	}
	m.row("Lost", class, number(lost))
	m.html("</dl>\n</section>\n")
}

func (m *markup) rules(s *Stats, now time.Time) {
	m.html("<section>\n<h2>Policy</h2>\n<dl>\n")
	m.row("Version", "", fmt.Sprintf("%d (%s)", s.Policy.Version, s.Policy.Source))
	m.row("Hash", "", s.Policy.Hash)
	m.row("Applied", "", ago(now, s.Policy.Applied))
	if r := s.Remote; r != nil {
		if r.Version > 0 {
			m.row("Sent as", "", fmt.Sprintf("version %d, until %s", r.Version, r.NotAfter.UTC().Format(time.DateOnly)))
		}
		if r.Probation {
			m.row("Change", "clear", "on probation")
		}
		m.row("Trust root", "", fmt.Sprintf("version %d", r.RootVersion))
	}
	m.html("</dl>\n</section>\n")
}

func (m *markup) keys(s *Stats, now time.Time) {
	m.html("<section>\n<h2>Keys</h2>\n<dl>\n")
	if s.Recipients.Version > 0 {
		m.row("Recipients", "", fmt.Sprintf("version %d, until %s", s.Recipients.Version, s.Recipients.NotAfter.UTC().Format(time.DateOnly)))
	} else {
		m.html("<dt>Recipients</dt><dd><span class=\"bad strong\">none</span></dd>\n")
	}
	if c := s.Custody; c.Kind != "" {
		custody, class := "by "+c.Kind, ""
		if c.Sealed {
			custody, class = custody+": they can't be opened", "bad strong"
		}
		m.row("Kept", class, custody)
	}
	for _, k := range s.Keys {
		m.row(k.Purpose, "", "made "+ago(now, k.Created))
	}
	m.html("</dl>\n</section>\n")
}

func (m *markup) devices(s *Stats) {
	m.html("<section>\n<h2>Devices</h2>\n<dl>\n")
	m.row("Connected", "", number(uint64(max(s.Ingress.Connected, 0))))
	for _, b := range s.Ingress.Brokers {
		state, class := "read", "good strong"
		if !b.Connected {
			state, class = "not read", "bad strong"
		}
		m.row("Broker "+b.Broker, class, state)
	}
	m.row("Acknowledged", "", number(s.Ingress.Acknowledged)+" of "+number(s.Ingress.Received)+" messages")
	if s.Held > 0 {
		m.row("Held", "bad", number(s.Held)+" wait for a key")
	}
	if s.Unmapped > 0 {
		m.row("Stay here", "", number(s.Unmapped)+" on topics that no uplink takes")
	}
	if s.ClockSynchronized {
		m.row("Clock", "", "synchronized")
	} else {
		m.row("Clock", "clear", "not synchronized")
	}
	m.html("</dl>\n</section>\n")
}
