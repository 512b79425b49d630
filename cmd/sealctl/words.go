package main

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// evidence names the bits of classify.Why for a table and for a sentence.
var evidence = []struct {
	bit         classify.Why
	short, long string
}{
	{classify.WhyKey, "key", "a key name says so"},
	{classify.WhyShape, "shape", "the value has the shape"},
	{classify.WhyChecksum, "checksum", "its checksum holds"},
	{classify.WhyContext, "context", "words near it say so"},
	{classify.WhyPrefix, "prefix", "it has a provider's fixed prefix"},
	{classify.WhyMagic, "magic", "it begins as this binary format does"},
	{classify.WhyEntropy, "entropy", "it is as random as a secret"},
	{classify.WhyPair, "pair", "it stands beside its other half"},
	{classify.WhyDeclared, "declared", "the policy declares it"},
	{classify.WhyCustom, "custom", "a detector of the policy found it"},
	{classify.WhyInKey, "in-key", "it stands in a key of the document"},
}

func whyShort(w classify.Why) []string {
	out := []string{}
	for _, x := range evidence {
		if w&x.bit != 0 {
			out = append(out, x.short)
		}
	}
	return out
}

func whyWords(w classify.Why) []string {
	var out []string
	for _, x := range evidence {
		if w&x.bit != 0 {
			out = append(out, x.long)
		}
	}
	return out
}

var raises = []struct {
	bit         classify.Raise
	short, long string
}{
	{classify.RaiseCombination, "combination", "it stands beside data that makes it worse"},
	{classify.RaiseTrack, "track", "it is one of many positions of a subject"},
	{classify.RaiseSubjects, "subjects", "the message is about many subjects"},
	{classify.RaiseDeclared, "declared", "the policy declares a higher grade"},
}

func raiseShort(r classify.Raise) []string {
	out := []string{}
	for _, x := range raises {
		if r&x.bit != 0 {
			out = append(out, x.short)
		}
	}
	return out
}

func raiseWords(r classify.Raise) []string {
	var out []string
	for _, x := range raises {
		if r&x.bit != 0 {
			out = append(out, x.long)
		}
	}
	return out
}

// reasons says for people why a message is treated more strictly than its
// fields alone demand.
var reasons = map[payload.Reason]string{
	payload.ReasonMalformed:   "it begins like a known format and breaks its grammar",
	payload.ReasonDuplicate:   "two keys of one object are equal",
	payload.ReasonEncoding:    "it is not valid UTF-8",
	payload.ReasonTooDeep:     "it is nested too deep",
	payload.ReasonTooMany:     "it has too many fields",
	payload.ReasonTooLarge:    "it is too large to be looked at",
	payload.ReasonUnknown:     "it is in no known format",
	payload.ReasonTrailing:    "bytes follow the end of the document",
	payload.ReasonReservedIn:  "it already holds the member _sg",
	classify.ReasonUnresolved: "a key says what its value is, and the value is encoded in an unknown way",
	policy.ReasonGuard:        "the guard demands it",
	policy.ReasonInKey:        "a key of the document is sensitive",
	policy.ReasonUnfit:        "its format can't carry out the action in place",
	policy.ReasonPanic:        "the classifier failed on it",
	policy.ReasonUnclassified: "a field that nobody declared can't be encrypted in place",
	policy.ReasonAudience:     "its parts are for different recipients",
	policy.ReasonNoRoute:      "no route takes its topic",
	protect.ReasonTransform:   "a transformation does not fit its value",
	protect.ReasonNoKey:       "there is no usable key",
	protect.ReasonShape:       "the document has no place for the trailer",
}

func reasonWords(v *verdict) string {
	if v.Reason == policy.ReasonGrade {
		return "what is left after the actions on fields is still " + v.Residual.String()
	}
	if v.Reason == policy.ReasonNoRoute && v.Route != "" {
		return "its route does not go to this uplink"
	}
	if s, ok := reasons[v.Reason]; ok {
		return s
	}
	if v.Reason != "" {
		return string(v.Reason)
	}
	if v.Action != "pass" && v.Residual != v.Grade {
		return "leaves as " + v.Residual.String()
	}
	return ""
}
