// Command sealctl is the operator's and consumer's tool of Sealgate: it shows
// what a gateway would find in data and do to it, makes keys, and opens what
// gateways sent.
//
// Results go to stdout, everything else to stderr. It exits with 0 if all is
// fine, 1 on failure, 2 on wrong usage, and 3 if it looked and found something
// bad: a message that does not verify, a policy that loosens.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
