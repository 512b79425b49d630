package classify

import "github.com/sealgate/sealgate/classify/payload"

// Positions: latitude beside longitude, pairs in arrays and strings, NMEA 0183
// sentences, geohashes, time zones. A position is precise with more than two
// decimals of a degree (about a kilometre), else coarse.

func locationDetectors() []detector {
	return []detector{
		{name: "coordinates", class: ClassLocationPrecise, on: onGroup, senses: []sense{senseLat, senseLon, sensePosition, senseCoordinates, senseGeo}, group: findCoordinates},
		{name: "coordinate-text", class: ClassLocationPrecise, on: onKey, strings: true, senses: []sense{sensePosition, senseCoordinates, senseGeo, senseLat, senseLon}, find: findPositionText},
		{name: "nmea", class: ClassLocationPrecise, on: onLiteral, literals: []string{"$GP", "$GN", "$GL", "$GA", "$BD", "$GB"}, find: findNMEA},
		{name: "geo-uri", class: ClassLocationPrecise, on: onLiteral, literals: []string{"geo:"}, find: findGeoURI},
		{name: "geohash", class: ClassLocationPrecise, on: onKey, strings: true, senses: []sense{senseGeohash}, find: findGeohash},
		{name: "time-zone", class: ClassLocationCoarse, on: onKey, senses: []sense{senseTimezone}, find: findTimezone},
	}
}

// preciseDecimals is how many decimals of a degree make a position precise.
const preciseDecimals = 3

// degrees reads a coordinate; limit is 90 or 180. Whole numbers beyond it are
// micro-degrees or degrees times 1e7, as trackers and map services send them.
func degrees(t []byte, limit float64) (d decimal, ok bool) {
	if d, ok = parseDecimal(t); !ok {
		return d, false
	}
	v := max(d.value, -d.value)
	if v > limit && d.whole && v >= 100_000 {
		for _, scale := range []float64{1e6, 1e7} {
			if v/scale <= limit {
				d.value, d.decimals = d.value/scale, 6
				return d, true
			}
		}
	}
	return d, v <= limit
}

// window is how many latitudes wait for their longitude at a time.
const window = 8

// findCoordinates pairs latitudes with the longitudes beside them, and looks at
// arrays that keys call positions.
func findCoordinates(g *group) {
	d := g.doc()
	var open [window]int32 // latitudes and longitudes without the other half
	n := 0
	for _, i := range g.s.grouped {
		f := &d.Fields[i]
		switch f.Kind {
		case payload.KindNumber, payload.KindString, payload.KindText:
		case payload.KindArray:
			g.coordinateArray(i)
			continue
		default:
			continue
		}
		k := g.key(i)
		lat, lon := k.has(senseLat), k.has(senseLon)
		if !lat && !lon {
			continue
		}
		other := senseLat
		if lat {
			other = senseLon
		}
		paired := false
		for j := n - 1; j >= 0; j-- {
			if g.key(open[j]).has(other) && g.place(open[j]) == g.place(i) {
				if lat {
					paired = g.pair(i, open[j])
				} else {
					paired = g.pair(open[j], i)
				}
				copy(open[j:], open[j+1:n])
				n--
				break
			}
		}
		if paired {
			continue
		}
		if n == window {
			g.single(open[0])
			copy(open[:], open[1:])
			n--
		}
		open[n] = i
		n++
	}
	for j := 0; j < n; j++ {
		g.single(open[j])
	}
}

// place is the container that field i belongs to, past keys that say nothing of
// their own: {"latitude": {"value": …}}.
func (g *group) place(i int32) int32 {
	d := g.doc()
	p := d.Fields[i].Parent
	if p >= 0 && d.Fields[i].Key.Len() > 0 && (g.path(i).transparent || g.s.label[p] == g.s.paths[i] && g.s.labels) {
		p = d.Fields[p].Parent
	}
	return p
}

// pair reports a latitude and a longitude.
func (g *group) pair(lat, lon int32) bool {
	d := g.doc()
	a, okA := degrees(d.Text(lat), 90)
	b, okB := degrees(d.Text(lon), 180)
	if !okA || !okB {
		return false
	}
	if a.value == 0 && b.value == 0 {
		return true // no fix
	}
	g.position(lat, lon, a.decimals >= preciseDecimals || b.decimals >= preciseDecimals, 95)
	return true
}

func (g *group) position(a, b int32, precise bool, confidence uint8) {
	m := match{class: ClassLocationCoarse, confidence: confidence, why: WhyKey | WhyShape | WhyPair}
	if precise {
		m.class = ClassLocationPrecise
		if len(g.s.pairs) < maxPlaces {
			g.s.pairs = append(g.s.pairs, [2]int32{a, b})
		}
	}
	g.report(a, m)
	g.report(b, m)
}

// single reports a latitude or longitude alone, as scalar topics send them, if
// its decimals leave no doubt.
func (g *group) single(i int32) {
	d := g.doc()
	limit := 90.0
	if g.key(i).has(senseLon) {
		limit = 180
	}
	x, ok := degrees(d.Text(i), limit)
	if !ok || x.decimals < preciseDecimals {
		return
	}
	g.report(i, match{confidence: 65, why: WhyKey | WhyShape})
}

// coordinateArray looks at [lon, lat] or [lat, lon], with a height or without.
func (g *group) coordinateArray(i int32) {
	k := g.key(i)
	geo := k.has(senseGeo)
	if !geo && !k.has(sensePosition) && !k.has(senseCoordinates) {
		return
	}
	d := g.doc()
	var v [3]decimal
	n := int32(0)
	for j := i + 1; int(j) < len(d.Fields) && d.Fields[j].Parent == i; j++ {
		if n == 3 || d.Fields[j].Kind != payload.KindNumber {
			return
		}
		x, ok := parseDecimal(d.Text(j))
		if !ok {
			return
		}
		v[n] = x
		n++
	}
	if n < 2 {
		return
	}
	a, b := max(v[0].value, -v[0].value), max(v[1].value, -v[1].value)
	if a > 180 || b > 180 || a > 90 && b > 90 || a == 0 && b == 0 {
		return
	}
	geo = geo || g.path(i).up.has(senseGeo) || g.path(i).above.has(senseGeo)
	decimals := min(v[0].decimals, v[1].decimals)
	switch {
	case decimals >= 5, k.has(senseCoordinates) && decimals >= 4, geo && decimals >= preciseDecimals:
		g.position(i+1, i+2, true, 80)
	case geo && decimals >= 1:
		g.position(i+1, i+2, max(v[0].decimals, v[1].decimals) >= preciseDecimals, 65)
	}
}

// findPositionText handles "48.1372,11.5755" where a key calls it a position,
// and in texts "lat=48.1372".
func findPositionText(c *candidate) (match, bool) {
	t := c.run()
	if c.keyIs(senseLat) || c.keyIs(senseLon) {
		if !c.assigned {
			return match{}, false // pairs are the group's
		}
		limit := 90.0
		if c.keyIs(senseLon) {
			limit = 180
		}
		if x, ok := degrees(t, limit); ok && x.decimals >= preciseDecimals {
			return c.found(70, WhyKey|WhyShape)
		}
		return match{}, false
	}
	precise, ok := pairText(t, c.keyIs(senseGeo))
	if !ok && c.assigned { // the run ended at the comma
		end := c.end
		for end < len(c.text) && end-c.start < 48 && (byteClass[c.text[end]]&isDigit != 0 || c.text[end] == '.' || c.text[end] == ',' || c.text[end] == '-' || c.text[end] == ' ') {
			end++
		}
		c.end = end
		for c.end > c.start && byteClass[c.text[c.end-1]]&isDigit == 0 {
			c.end--
		}
		precise, ok = pairText(c.run(), c.keyIs(senseGeo))
	}
	if !ok {
		return match{}, false
	}
	m, _ := c.found(85, WhyKey|WhyShape|WhyPair)
	if !precise {
		m.class = ClassLocationCoarse
	}
	m.why &^= WhyPair // one field: the pair is in it
	return m, true
}

// pairText reads "lat,lon" or "lat lon", with brackets or a height or without.
func pairText(t []byte, geo bool) (precise, ok bool) {
	if len(t) > 2 && (t[0] == '(' || t[0] == '[') {
		t = t[1 : len(t)-1]
	}
	cut := -1
	for i, b := range t {
		if b == ',' || b == ';' || b == ' ' || b == '/' {
			cut = i
			break
		}
	}
	if cut <= 0 || len(t) > 60 {
		return false, false
	}
	rest := t[cut+1:]
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	for i, b := range rest {
		if b == ',' || b == ';' || b == ' ' {
			rest = rest[:i]
			break
		}
	}
	a, okA := degrees(t[:cut], 180)
	b, okB := degrees(rest, 180)
	if !okA || !okB || max(a.value, -a.value) > 90 && max(b.value, -b.value) > 90 || a.value == 0 && b.value == 0 {
		return false, false
	}
	precise = a.decimals >= preciseDecimals || b.decimals >= preciseDecimals
	return precise, precise && (geo || min(a.decimals, b.decimals) >= preciseDecimals) || geo && min(a.decimals, b.decimals) >= 1
}

// findNMEA reads a sentence of a satellite receiver (NMEA 0183): GGA, RMC, GLL.
// The position is ddmm.mmmm,N,dddmm.mmmm,E; a checksum behind '*' must hold.
func findNMEA(c *candidate) (match, bool) {
	t := c.text[c.start:min(len(c.text), c.start+96)]
	if len(t) < 20 {
		return match{}, false
	}
	skip := 0
	switch string(t[3:6]) {
	case "GGA":
		skip = 2
	case "RMC":
		skip = 3
	case "GLL":
		skip = 1
	default:
		return match{}, false
	}
	sum, end := byte(0), -1
	for i := 1; i < len(t) && t[i] >= ' ' && t[i] < 0x7f; i++ {
		if t[i] == '*' {
			end = i
			break
		}
		sum ^= t[i]
	}
	if end < 0 || end+3 > len(t) || hexValue(t[end+1])<<4|hexValue(t[end+2]) != sum {
		return match{}, false
	}
	from := 0
	for ; skip > 0 && from < end; from++ {
		if t[from] == ',' {
			skip--
		}
	}
	to, commas := from, 0
	for ; to < end && commas < 4; to++ {
		if t[to] == ',' {
			commas++
		}
	}
	if commas == 4 {
		to--
	}
	// "4807.0380,N,01131.0000,E"
	if to-from < 18 || t[to-1] != 'E' && t[to-1] != 'W' || t[from]-'0' >= 10 {
		return match{}, false
	}
	return match{start: c.start + from, end: c.start + to, confidence: 99, why: WhyPrefix | WhyChecksum | WhyShape}, true
}

func hexValue(b byte) byte {
	switch {
	case b-'0' < 10:
		return b - '0'
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 0xff
}

// findGeoURI reads "geo:48.1372,11.5755" (RFC 5870).
func findGeoURI(c *candidate) (match, bool) {
	from := c.start + len("geo:")
	to := from
	for to < len(c.text) && to-from < 48 && (byteClass[c.text[to]]&isDigit != 0 || c.text[to] == '.' || c.text[to] == ',' || c.text[to] == '-') {
		to++
	}
	precise, ok := pairText(c.text[from:to], true)
	m := match{start: from, end: to, confidence: 95, why: WhyPrefix | WhyShape}
	if !precise {
		m.class = ClassLocationCoarse
	}
	return m, ok
}

// findGeohash reads a geohash or an open location code: from seven characters
// on a geohash is finer than two decimals.
func findGeohash(c *candidate) (match, bool) {
	t := c.run()
	if len(t) < 4 || len(t) > 80 || nothing(t) {
		return match{}, false
	}
	m, _ := c.found(80, WhyKey|WhyShape)
	n := count(t)
	if n.letters == 0 || n.digits == 0 && n.others == 0 {
		return match{}, false
	}
	if len(t) < 7 {
		m.class = ClassLocationCoarse
	}
	return m, true
}

// findTimezone reads an Olson name of a city: where the device is, coarsely.
func findTimezone(c *candidate) (match, bool) {
	t := c.run()
	slash := -1
	for i, b := range t {
		switch {
		case b == '/' && slash < 0:
			slash = i
		case byteClass[b]&isLetter == 0 && b != '_' && b != '-' && b != '/':
			return match{}, false
		}
	}
	if slash < 4 || slash+3 > len(t) || t[0] == 'E' && string(t[:slash]) == "Etc" || t[0]-'A' >= 26 {
		return match{}, false
	}
	return c.found(85, WhyKey|WhyShape)
}
