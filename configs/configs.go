// Package configs holds the annotated samples that are installed and shown,
// embedded for the programs that write them out. A test in the package that
// reads each sample holds it to what that package accepts.
//
// It holds files only: no code, and nothing that is read at run time without
// being asked for.
package configs

import _ "embed"

// Agent is the annotated agent.yaml.
//
//go:embed agent.yaml
var Agent []byte

// Policy is the annotated policy.yaml.
//
//go:embed policy.yaml
var Policy []byte

// Packaged is agent.yaml as the packages install it: nobody has edited it yet.
//
//go:embed packaging/agent.yaml
var Packaged []byte
