package classify

import "github.com/sealgate/sealgate/classify/payload"

// Pictures, sound, models and what people say to them.

func mediaDetectors() []detector {
	return []detector{
		{name: "image-binary", class: ClassMediaImage, on: onBinary, find: findImageBinary},
		{name: "model-binary", class: ClassAIModel, on: onBinary, find: findModelBinary},
		{name: "data-uri", class: ClassMediaImage, on: onLiteral, literals: []string{"data:image/", "data:video/", "data:audio/"}, find: findDataURI},
		{name: "image-base64", class: ClassMediaImage, on: onLiteral, literals: []string{"/9j/", "iVBORw0KGgo", "R0lGODlh", "R0lGODdh", "UklGR"}, find: findImageBase64},
		{name: "media-text", class: ClassMediaImage, on: onKey, strings: true, senses: []sense{senseImage, senseVideo, senseAudio}, find: findMediaText},
		{name: "model-text", class: ClassAIModel, on: onKey, strings: true, senses: []sense{senseModel}, find: findModelText},
		{name: "prompt", class: ClassAIPrompt, on: onKey, strings: true, senses: []sense{sensePrompt, senseContent}, find: findPrompt},
	}
}

// ofPerson marks a picture or a sound as being of faces or, where the profile
// says that these tell as much, of plates.
func (c *candidate) ofPerson(m match) match {
	m.special = c.about.has(senseFace) || c.about.has(senseEmbedding) || c.plateTells && c.about.has(sensePlate)
	return m
}

func findImageBinary(c *candidate) (match, bool) {
	return c.ofPerson(match{confidence: 99, why: WhyMagic}), true
}

func findModelBinary(c *candidate) (match, bool) {
	m := match{confidence: 97, why: WhyMagic}
	m.special = c.about.has(senseFace) || c.about.has(senseEmbedding)
	return m, true
}

// minMedia is the shortest base64 that can hold a picture or a sound.
const minMedia = 64

func findDataURI(c *candidate) (match, bool) {
	t := c.text[c.start:]
	class := ClassMediaImage
	switch t[len("data:")] {
	case 'v':
		class = ClassMediaVideo
	case 'a':
		class = ClassMediaAudio
	}
	end := len("data:image/")
	for end < len(t) && (tokenByte(t[end]) || t[end] == ';' || t[end] == ',' || t[end] == '%') {
		end++
	}
	if end < minMedia/2 {
		return match{}, false
	}
	return c.ofPerson(match{start: c.start, end: c.start + end, class: class, confidence: 97, why: WhyPrefix}), true
}

// findImageBase64: the beginnings of JPEG, PNG, GIF and RIFF (WebP, WAV) files
// in base64.
func findImageBase64(c *candidate) (match, bool) {
	t := c.text[c.start:]
	if len(t) < minMedia || !isBase64(t[:minMedia]) {
		return match{}, false
	}
	end := minMedia
	for end < len(t) && (tokenByte(t[end]) && t[end] != '.' && t[end] != ':' && t[end] != '~' || t[end] == '\n' || t[end] == '\r') {
		end++
	}
	m := match{start: c.start, end: c.start + end, confidence: 95, why: WhyMagic}
	if t[0] == 'U' && string(t[11:14]) == "BVk" { // "WAVE" at byte 8
		m.class = ClassMediaAudio
	}
	return c.ofPerson(m), true
}

func findMediaText(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || len(t) < 2*minMedia || !isBase64(t) {
		return match{}, false
	}
	m, _ := c.found(85, WhyKey|WhyEntropy)
	switch {
	case c.keyIs(senseVideo):
		m.class = ClassMediaVideo
	case c.keyIs(senseAudio):
		m.class = ClassMediaAudio
	}
	return c.ofPerson(m), true
}

func findModelText(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || len(t) < 4*minMedia || !isBase64(t) {
		return match{}, false
	}
	return c.found(75, WhyKey|WhyEntropy)
}

// findPrompt: what people and models say to each other. A content is one only
// in a message with a role.
func findPrompt(c *candidate) (match, bool) {
	t := c.run()
	if c.kind != payload.KindString || nothing(t) || len(t) < 2 {
		return match{}, false
	}
	if c.keyIs(sensePrompt) {
		n := count(t)
		if n.spaces == 0 && n.wide == 0 && len(t) < 24 {
			return match{}, false // a word: the state of a prompt
		}
		return c.found(85, WhyKey)
	}
	if c.beside.has(senseRole) && (c.up.has(senseMessages) || c.above.has(senseMessages) || c.up.has(sensePrompt)) {
		return c.found(90, WhyKey|WhyContext)
	}
	return match{}, false
}
