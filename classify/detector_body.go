package classify

import "github.com/sealgate/sealgate/classify/payload"

// Bodies: measurements of health, faces, feature vectors, fingerprints.

func bodyDetectors() []detector {
	return []detector{
		{name: "health", class: ClassHealth, on: onKey, senses: []sense{senseHealth, senseHealthWeak, senseTemperature}, find: findHealth},
		{name: "embedding", class: ClassBiometricEmbedding, on: onArray, senses: []sense{senseEmbedding, senseVector, senseFaceData}, find: findEmbedding},
		{name: "embedding-text", class: ClassBiometricEmbedding, on: onKey, strings: true, senses: []sense{senseEmbedding, senseVector, senseFaceData}, find: findEmbeddingText},
		{name: "face-attributes", class: ClassBiometricFace, on: onKey | onArray, senses: []sense{senseAge, senseGender, senseFaceTrait, senseFaceData}, find: findFaceAttributes},
		{name: "biometric-template", class: ClassBiometricOther, on: onKey | onArray, senses: []sense{senseFingerprint, senseIris, senseVoice, senseVector}, find: findTemplate},
	}
}

// findHealth: some words speak of health wherever they stand; a temperature, a
// weight or a pulse does so only near a body.
func findHealth(c *candidate) (match, bool) {
	t := c.run()
	switch c.kind {
	case payload.KindTopic: // "insulin/3": a level names a thing, and holds no measurement
		return match{}, false
	case payload.KindNumber, payload.KindBool:
	default:
		if nothing(t) {
			return match{}, false
		}
	}
	x, numeric := parseDecimal(t)
	if c.keyIs(senseHealth) {
		if c.assigned && !numeric && !digitIn(t) {
			return match{}, false
		}
		if c.kind == payload.KindBool {
			return c.found(70, WhyKey)
		}
		return c.found(90, WhyKey)
	}
	if !numeric || c.assigned {
		return match{}, false
	}
	if !c.about.has(senseBody) && !c.about.has(sensePatient) && !c.beside.has(senseHealth) && !c.above.has(senseHealth) {
		return match{}, false
	}
	if c.keyIs(senseTemperature) {
		// Of a body: 30 to 45 °C, 86 to 113 °F.
		if (x.value < 30 || x.value > 45) && (x.value < 86 || x.value > 113) || c.about.has(senseMachine) {
			return match{}, false
		}
		return c.found(70, WhyKey|WhyContext)
	}
	if x.value < 0 || c.up.has(senseMachine) {
		return match{}, false
	}
	return c.found(75, WhyKey|WhyContext)
}

// minVector is the shortest feature vector that is told by its shape alone.
const minVector = 64

func (c *candidate) nearFace() bool {
	return c.about.has(senseFace) || c.beside.has(senseEmbedding) || c.beside.has(senseFaceData)
}

func findEmbedding(c *candidate) (match, bool) {
	a := c.array
	switch {
	case c.keyIs(senseFaceData) && !c.keyIs(senseEmbedding) && a.fractions < minVector:
		return match{}, false // landmarks: a face's attribute
	case c.keyIs(senseEmbedding) && a.numbers >= 2 && 2*a.fractions > a.numbers:
		if a.numbers >= minVector {
			return match{confidence: 97, why: WhyKey | WhyShape}, true
		}
		return match{confidence: 70, why: WhyKey}, true
	case a.numbers >= minVector && a.others == 0 && (c.keyIs(senseEmbedding) || c.nearFace() || 5*a.fractions >= 4*a.numbers):
		return match{confidence: 80, why: WhyKey | WhyShape}, true
	}
	return match{}, false
}

func findEmbeddingText(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || len(t) < 64 || !isBase64(t) && !(isHex(t) && len(t) >= 128) {
		return match{}, false
	}
	if c.keyIs(senseVector) && !c.keyIs(senseEmbedding) && !c.nearFace() {
		return match{}, false
	}
	return c.found(88, WhyKey|WhyEntropy)
}

func findFaceAttributes(c *candidate) (match, bool) {
	if c.kind == payload.KindArray {
		if !c.keyIs(senseFaceData) || c.array.numbers < 4 || c.array.fractions >= minVector { // a template: an embedding
			return match{}, false
		}
		if c.about.has(senseFace) || c.beside.has(senseEmbedding) || c.beside.has(senseAge) || c.beside.has(senseGender) {
			return match{confidence: 90, why: WhyKey | WhyContext}, true
		}
		return match{}, false
	}
	if c.keyIs(senseFaceData) || c.assigned || nothing(c.run()) || !c.nearFace() || c.up.has(senseTime) || c.up.has(senseVersion) {
		return match{}, false
	}
	return c.found(80, WhyKey|WhyContext)
}

// findTemplate handles {"fingerprint": "…"}, and {"finger": 2, "template": "…"}.
func findTemplate(c *candidate) (match, bool) {
	if c.keyIs(senseVector) && !c.about.has(senseFinger) && !c.about.has(senseFingerprint) && !c.about.has(senseIris) && !c.about.has(senseVoice) {
		return match{}, false // of anything
	}
	if c.kind == payload.KindArray {
		return match{confidence: 75, why: WhyKey | WhyShape}, c.array.numbers >= 16 && c.array.others == 0
	}
	t := c.run()
	// A hash in hex is the fingerprint of a key or a build.
	if !c.isString() || c.assigned || len(t) < 64 || isHex(t) && len(t) <= 128 || !isBase64(t) && !isHex(t) {
		return match{}, false
	}
	return c.found(80, WhyKey|WhyEntropy)
}
