// Package envelope is the wire format of protected data, and its opener.
//
// TEMP
package envelope
