package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// checkSubscribe holds an existing broker against what a broker has, and
// against the entries before it: what two subscriptions match would leave twice.
func (c *Config) checkSubscribe(d *strictyaml.Document, i int) {
	s := &c.Ingress.Subscribe[i]
	path := fmt.Sprintf("ingress.subscribe.%d", i)
	checkURL(d, path+".url", s.URL, "mqtt", "mqtts")
	for n, f := range s.Topics {
		checkFilter(d, path+".topics", f)
		if slices.Contains(s.Topics[:n], f) {
			d.Errorf(path+".topics", "topics has %q twice: leave one out", f)
		}
	}
	checkClientTLS(d, path, s.URL, s.TLS)
	for n, other := range c.Ingress.Subscribe[:i] {
		if brokerOf(s.URL) == "" || brokerOf(s.URL) != brokerOf(other.URL) {
			continue
		}
		if s.ClientID == other.ClientID {
			d.Errorf(path+".url", "entries %d and %d of subscribe are the same client of the same broker: each would end the other's session; put their topics into one entry, or set another client_id", n+1, i+1)
			continue
		}
		for _, f := range s.Topics {
			if k := slices.IndexFunc(other.Topics, func(g string) bool { return overlap(f, g) }); k >= 0 {
				d.Errorf(path+".topics", "topics %q overlaps %q of entry %d at the same broker: what matches both would leave twice", f, other.Topics[k], n+1)
			}
		}
	}
}

// brokerOf is host and port of a URL, "" if it has none.
func brokerOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
