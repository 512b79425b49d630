// A module with a known vulnerability: the vulnerability gate has to find it,
// or its silence about the product means nothing.
module github.com/sealgate/sealgate/internal/tools/canary

go 1.26.0

require golang.org/x/text v0.3.7 // indirect
