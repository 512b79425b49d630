package classify

import "bytes"

// Secrets in configurations that have a form of their own.

// findBasicAuth finds base64 of user and password under "auth", as registries
// of container images keep it. A longer one comes decoded.
func findBasicAuth(c *candidate) (match, bool) {
	if !userAndPassword(c.run()) && !(c.wrapped && isUserAndPassword(c.run())) {
		return match{}, false
	}
	return c.found(90, WhyKey|WhyShape)
}

// findWiFiCode finds the passphrase in the text of a Wi-Fi code (WPA3
// specification, section 7): WIFI:T:WPA;S:name;P:passphrase;;
func findWiFiCode(c *candidate) (match, bool) {
	t := c.text[c.start:min(len(c.text), c.start+256)]
	for i := len("WIFI:"); i+2 < len(t) && t[i] != '\n'; i++ {
		if t[i] != 'P' || t[i+1] != ':' || t[i-1] != ';' && t[i-1] != ':' {
			continue
		}
		j := i + 2
		for j < len(t) && t[j] > ' ' && (t[j] != ';' || t[j-1] == '\\') {
			j++
		}
		if j-i-2 < 8 {
			return match{}, false
		}
		return match{start: c.start + i + 2, end: c.start + j, confidence: 95, why: WhyPrefix | WhyShape}, true
	}
	return match{}, false
}

// modemCommands are commands of modems and Wi-Fi chips (Espressif's and
// Quectel's) that carry a password or the PIN of a SIM card (3GPP TS 27.007,
// 8.3), and which of their strings it is.
var modemCommands = []struct {
	name string
	at   int
}{
	{"AT+CPIN", 1}, {"AT+CWJAP", 2}, {"AT+CWSAP", 2}, {"AT+CWJEAP", 4}, {"AT+MQTTUSERCFG", 3}, {"AT+QMTCONN", 3}, {"AT+CMQTTCONNECT", 4}, {"AT+QICSGP", 3}, {"AT+SAPBR", 3},
}

// findModemCommand finds the password in AT+CWJAP="network","password".
func findModemCommand(c *candidate) (match, bool) {
	t := c.text[c.start:min(len(c.text), c.start+300)]
	for i := range modemCommands {
		cmd := &modemCommands[i]
		if !bytes.HasPrefix(t, []byte(cmd.name)) {
			continue
		}
		strings, from := 0, -1
		for j := len(cmd.name); j < len(t) && t[j] != '\n'; j++ {
			switch {
			case t[j] != '"' || t[j-1] == '\\':
			case from < 0:
				from = j + 1
			default:
				if strings++; strings == cmd.at {
					if pin := t[from:j]; cmd.name == "AT+CPIN" && (len(pin) < 4 || len(pin) > 8 || !digitsOnly(pin)) ||
						cmd.name != "AT+CPIN" && weakPassword(pin) {
						return match{}, false
					}
					return match{start: c.start + from, end: c.start + j, confidence: 90, why: WhyContext}, true
				}
				from = -1
			}
		}
	}
	return match{}, false
}

// findClusterSecret finds the values of a Kubernetes Secret in YAML: from the
// first to the last of the block under "data:" or "stringData:", which may
// stand before or behind "kind: Secret".
func findClusterSecret(c *candidate) (match, bool) {
	const around = 4096
	t := c.text
	low, high := max(0, c.start-around), min(len(t), c.end+around)
	c.charge(high - low)
	if i := bytes.LastIndex(t[low:c.start], []byte("\n---")); i >= 0 {
		low += i + 4
	}
	if i := bytes.Index(t[c.end:high], []byte("\n---")); i >= 0 {
		high = c.end + i
	}
	line := blockUnder(t, low, high, "data:")
	if line < 0 {
		line = blockUnder(t, low, high, "stringData:")
	}
	if line < 0 {
		return match{}, false
	}
	from, to := -1, -1
	for line < high {
		end := line
		for end < high && t[end] != '\n' {
			end++
		}
		if end == line || t[line] != ' ' && t[line] != '\t' {
			break
		}
		v := bytes.LastIndexByte(t[line:end], ' ')
		if w := t[line+v+1 : end]; len(w) >= 10 && !masked(w) && !placeholder(w) && runOf(w, csStd) == min(len(w), 512) {
			if from < 0 {
				from = line + v + 1
			}
			to = end
		}
		line = end + 1
	}
	if from < 0 {
		return match{}, false
	}
	return match{start: from, end: to, confidence: 85, why: WhyContext | WhyShape}, true
}

// blockUnder returns where the line after a line that is key alone begins in
// t[low:high], or -1.
func blockUnder(t []byte, low, high int, key string) int {
	for i := low; i < high; {
		end := i
		for end < high && t[end] != '\n' {
			end++
		}
		if string(bytes.TrimSpace(t[i:end])) == key {
			return min(end+1, high)
		}
		i = end + 1
	}
	return -1
}
