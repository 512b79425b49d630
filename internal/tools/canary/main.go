// Command canary calls a vulnerable function of an old release (GO-2022-1059).
package main

import "golang.org/x/text/language"

func main() {
	_, _, _ = language.ParseAcceptLanguage("en")
}
