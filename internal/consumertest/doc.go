// Package consumertest runs the openers of docs/consumers, which are in other
// languages, against the published vectors of package envelope. It has only
// tests.
package consumertest
