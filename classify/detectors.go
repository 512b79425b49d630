package classify

import "slices"

// Detectors returns the built-in detectors, in the order in which ties between
// them are settled.
func Detectors() []detector {
	return slices.Concat(
		credentialDetectors(),
		secretDetectors(),
		bodyDetectors(),
		personDetectors(),
		locationDetectors(),
		mediaDetectors(),
		thingDetectors(),
		identifierDetectors(),
	)
}
